"""A page that keeps a worker busy for long does so once: what is like it stays the shop's own, and it is told."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from edgeproxy.core.model import Slot
from edgeproxy.html.charset import detect
from edgeproxy.html.model import PagePlan
from edgeproxy.plans import Plans, digest_of
from edgeproxy.slow_pages import AGAIN, FEW, LONG, SlowPages, TooSlow
from tests.html.making import slot, whole
from tests.world import RULES, Shop, Told, World

X = slot("x", "main:has(.sale) li")
ONE = whole("<main><ul><li>1</li></ul></main>").encode()
BIG, SMALL = ONE + b" " * 4000, ONE
UTF8 = detect("text/html; charset=utf-8", ONE)


@dataclass
class Worker:
    """Plans whose pages take as long as they are told to."""

    took: float = 0.0
    told: list[tuple[str, str]] = field(default_factory=list)
    times: int = 0

    def __post_init__(self) -> None:
        self.now = 0.0
        self.slow = SlowPages(self.tell, spent=self.spent)

    def tell(self, path: str, slots: Sequence[Slot], why: str) -> None:
        self.told.append((path, why))

    def spent(self) -> float:
        self.times += 1
        self.now += self.took if self.times % 2 == 0 else 0.0
        return self.now

    def plan(self, body: bytes = BIG, path: str = "/", wanted: Slot = X) -> PagePlan:
        return self.slow.plan(path, body, UTF8, [wanted])


def test_a_page_that_took_too_long_is_planned_and_the_next_ones_are_not() -> None:
    worker = Worker(took=LONG + 1)
    assert set(worker.plan().slots) == {"x"}
    assert worker.told == [("/", f"finding the slots of a page like this took 1,300 ms ({len(BIG):,} bytes)")]
    worker.took = 0.0
    with pytest.raises(TooSlow, match="took 1,300 ms"):
        worker.plan()
    with pytest.raises(TooSlow):
        worker.plan(BIG[: len(BIG) // 2 + 1])
    worker.plan(BIG[: len(BIG) // 2])
    worker.plan(path="/other")
    worker.plan(wanted=slot("x", "li"))
    with pytest.raises(TooSlow):
        worker.plan()
    assert len(worker.told) == 1


def test_one_that_takes_no_longer_than_it_may_holds_up_nobody() -> None:
    worker = Worker(took=LONG)
    for _ in range(3):
        worker.plan()
    assert not worker.told


def test_it_is_tried_again_now_and_then() -> None:
    worker = Worker(took=LONG + 1)
    worker.plan()

    def tried() -> int:
        times = worker.times
        for _ in range(AGAIN - 1):
            with pytest.raises(TooSlow):
                worker.plan()
        worker.plan()
        return (worker.times - times) // 2

    assert tried() == 1
    assert len(worker.told) == 2, "it took as long again"
    worker.took = 0.0
    assert tried() == 1
    for _ in range(3):
        worker.plan()


def test_smaller_pages_that_are_slow_too_move_the_line() -> None:
    worker = Worker(took=LONG + 1)
    worker.plan()
    worker.plan(SMALL)
    with pytest.raises(TooSlow):
        worker.plan(SMALL)
    for _ in range(AGAIN - 2):
        with pytest.raises(TooSlow):
            worker.plan(BIG)
    worker.plan(BIG)
    with pytest.raises(TooSlow):
        worker.plan(SMALL)


def test_one_path_however_often_is_not_several() -> None:
    worker = Worker(took=LONG + 1)
    for number in range(FEW + 1):
        worker.plan(BIG[: len(BIG) >> number])
    worker.took = 0.0
    worker.plan(path="/other")


def test_after_a_few_paths_it_holds_everywhere() -> None:
    worker = Worker(took=LONG + 1)
    for number in range(FEW):
        worker.plan(path=f"/p/{number}")
    worker.took = 0.0
    with pytest.raises(TooSlow):
        worker.plan(path="/p/another")
    worker.plan(SMALL, path="/p/another")
    worker.plan(path="/p/another", wanted=slot("x", "li"))
    for _ in range(AGAIN - 2):
        with pytest.raises(TooSlow):
            worker.plan(path="/p/third")
    for _ in range(3):  # one is tried, and tells that it is so no more
        worker.plan(path="/p/third")
    with pytest.raises(TooSlow):
        worker.plan(path="/p/0")


def test_rules_that_change_begin_anew() -> None:
    worker = Worker(took=LONG + 1)
    plans = Plans(slow=worker.slow)
    plans.on("/")(BIG, UTF8, [X])
    for planner in (plans.on("/"), plans.beside("/"), plans.of(digest_of(BIG + b" "), "/")):
        with pytest.raises(TooSlow):
            planner(BIG + b" ", UTF8, [X])
    plans.clear()
    worker.took = 0.0
    plans.of(digest_of(BIG + b" "), "/")(BIG + b" ", UTF8, [X])


def test_a_page_that_was_left_alone_is_not_remembered_as_one_without_slots() -> None:
    worker = Worker(took=LONG + 1)
    plans = Plans(slow=worker.slow)
    planner = plans.of(digest_of(BIG), "/")
    worker.plan()
    worker.took = 0.0
    for _ in range(AGAIN - 1):
        with pytest.raises(TooSlow):
            planner(BIG, UTF8, [X])
    assert set(planner(BIG, UTF8, [X]).slots) == {"x"}


@pytest.mark.anyio
async def test_the_visitor_gets_the_shops_page_and_the_operator_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgeproxy.slow_pages.LONG", -1.0)
    caplog.set_level(logging.WARNING)
    page = whole('<nav id="menu">A</nav><section class="hero">Old</section>').encode()
    bodies = [page.replace(b"Old", b"<b>%d</b><i>Old</i>" % number * number) for number in range(1, 5)]
    world = World(rules=RULES, shop=Shop(lambda _: Told(chunks=[bodies.pop(0)])))
    got = await world.ask("/", stage="new")
    assert (got.status, b'id="menu"' in got.body) == (200, False), "what was worked for is given"
    untouched = bodies[0]
    got = await world.ask("/", stage="new")
    assert (got.status, got.body) == (200, untouched)
    assert "private" in got.one("cache-control")
    assert world.parts.journal.slow_pages.get() == 1
    (said,) = [record.getMessage() for record in caplog.records if "stay the shop's own" in record.getMessage()]
    assert said.startswith("/: finding the slots of a page like this took ")
    assert "menu (#menu)" in said
