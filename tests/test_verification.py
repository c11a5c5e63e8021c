"""Which pages a second engine looks over, and what follows when it disagrees."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from edgeproxy import verification
from edgeproxy.html.charset import detect
from edgeproxy.html.model import PagePlan
from edgeproxy.html.plan import plan
from edgeproxy.verification import AGAIN, LARGEST, Verification
from tests.conftest import Clock
from tests.world import PAGE, RULES, book_of

PLAN: PagePlan = plan(PAGE, detect("text/html; charset=utf-8", PAGE), tuple(book_of(RULES).slots.values()))


class AtOnce(Executor):
    """Runs what is submitted before it returns; counts."""

    def __init__(self) -> None:
        self.runs = 0

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.runs += 1
        done: Future[Any] = Future()
        done.set_result(call(*args, **kwargs))
        return done


class Case:
    def __init__(self, clock: Clock) -> None:
        self.executor = AtOnce()
        self.failed: list[tuple[str, str, str]] = []
        self.verification = Verification(
            clock=clock, executor=self.executor, failed=lambda *told: self.failed.append(told)
        )

    def look(self, path: str = "/", body: bytes = PAGE) -> int:
        self.verification.consider(path, body, PLAN, "book-1")
        self.verification.distrusted(path, "book-1")  # the next request takes in what was found
        return self.executor.runs


@pytest.fixture
def case(clock: Clock) -> Case:
    return Case(clock)


def test_each_path_is_looked_at_once_and_later_again(case: Case, clock: Clock) -> None:
    assert [case.look("/"), case.look("/"), case.look("/c/x")] == [1, 1, 2]
    clock.advance(AGAIN + 1)
    assert case.look("/") == 3


def test_a_page_that_would_stop_the_others_is_not_looked_at(case: Case) -> None:
    assert case.look(body=PAGE + b" " * LARGEST) == 0


def test_a_look_is_followed_by_a_rest(case: Case, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object) -> dict[str, str]:
        clock.advance(1.0)
        return {}

    monkeypatch.setattr(verification, "verify", slow)
    assert [case.look("/a"), case.look("/b")] == [1, 1]
    clock.advance(verification.REST + 1)
    assert case.look("/b") == 2


def test_a_slot_that_fails_is_distrusted_on_that_path_until_the_rules_change(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "verify", lambda *_: {"hero": "the tree differs"})
    case.look("/")
    assert case.failed == [("hero", "/", "the tree differs")]
    assert case.verification.distrusted("/", "book-1") == {"hero"}
    assert case.verification.distrusted("/c/x", "book-1") == frozenset()
    assert case.verification.distrusted("/", "book-2") == frozenset()


def test_a_request_of_the_rules_before_forgets_nothing_of_the_new_ones(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "verify", lambda *_: {"hero": "the tree differs"})
    case.look("/")
    assert case.verification.distrusted("/", "book-0") == frozenset()
    assert case.verification.distrusted("/", "book-1") == {"hero"}


def test_the_thread_that_looks_touches_nothing_that_requests_read(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hands its finding over; whoever comes next on the loop takes it in, and tells of it there."""
    waiting: list[Callable[..., Any]] = []
    monkeypatch.setattr(case.executor, "submit", waiting.append)
    monkeypatch.setattr(verification, "verify", lambda *_: {"hero": "the tree differs"})
    case.look("/")
    waiting.pop()()
    assert case.failed == []
    assert case.verification.distrusted("/", "book-1") == {"hero"}
    assert case.failed == [("hero", "/", "the tree differs")]


def test_a_look_that_fails_changes_nothing(
    case: Case, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> dict[str, str]:
        raise RuntimeError

    monkeypatch.setattr(verification, "verify", broken)
    assert [case.look("/a"), case.look("/b")] == [1, 2]
    assert case.failed == []
    assert "verification of /a failed" in caplog.text


def test_each_plan_of_a_stored_page_has_its_turn(case: Case, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[bytes] = []

    def slow(body: bytes, *_: object) -> dict[str, str]:
        clock.advance(1.0)
        looked.append(body)
        return {"hero": "the tree differs"} if len(looked) == 4 else {}

    monkeypatch.setattr(verification, "verify", slow)
    bodies: list[bytes | None] = [PAGE + b"%d" % number for number in range(4)]
    for number in range(4):
        case.verification.queue("/", lambda number=number: bodies[number], PLAN, "book-1")  # type: ignore[misc]  # the default binds
    assert looked == [bodies[0]]
    bodies[1] = None  # it is stored no more
    for _ in range(3):
        case.verification.tick()
    assert looked == [bodies[0]], "a look is followed by a rest"
    for _ in range(3):
        clock.advance(verification.REST + 1)
        case.verification.tick()
    assert looked == [bodies[0], bodies[2], bodies[3]], "each of them, though they are of one path"
    for number in range(verification.WAITING + 3):
        case.verification.queue("/", lambda number=number: PAGE + b"#%d" % number, PLAN, "book-1")  # type: ignore[misc]  # the default binds
    clock.advance(verification.REST + 1)
    case.verification.tick()
    assert looked[-1] == PAGE + b"#3", "of too many the first are forgotten"
    assert case.failed == [("hero", "/", "the tree differs")]
