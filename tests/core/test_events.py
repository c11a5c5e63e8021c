"""Edge-Event: exactly its grammar, and nothing else; whatever a shop writes never raises and never reaches a memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core import lifecycle
from edgeproxy.core.events import MOST_LINES, Event, known, read
from edgeproxy.core.memory import CODE, MOST_CATEGORIES, begun
from tests.core.books import NOW
from tests.test_remember import LIFE, life
from tests.world import book_of

BOOK = book_of(LIFE)
ANY = book_of(life(lifecycle=('categories = ["phones", "cases"]', "")))


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"order", Event("order")),
        (b" order \t", Event("order")),
        (b"order; categories=phones,cases", Event("order", ("phones", "cases"))),
        (b"order;categories=cases , phones,cases", Event("order", ("cases", "phones"))),
        (b"order; categories=", Event("order")),
        (b"order; categories=phones,lamps", Event("order", ("phones",))),  # lamps: lifecycle.toml does not list it
        (b"signed-in", Event("signed-in")),
        (b"signed-out", Event("signed-out")),
        (b"csat=1", Event("csat", score=1)),
        (b"nps=10", Event("nps", score=10)),
        (b"nps=0", Event("nps", score=0)),
    ],
)
def test_what_is_an_event(line: bytes, event: Event) -> None:
    assert read([line], BOOK) == ((event,), ())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"order; total=100", "is no event"),
        (b"order; categories=phones; total=100", "is no event"),
        (b"order, signed-in", "is no event"),
        (b"Order", "is no event"),
        (b"-order", "is no event"),
        (b"csat=0", "csat is a number from 1 to 5"),
        (b"csat=6", "csat is a number from 1 to 5"),
        (b"csat", "csat is a number from 1 to 5"),
        (b"csat=04x", "is no event"),
        (b"nps=11", "nps is a number from 0 to 10"),
        (b"order=1", "only csat and nps have a number"),
        (b"signed-in; categories=phones", "only an order has categories"),
        (b"basket", "no rule and no lifecycle.toml knows this event"),
        (b"order" * 200, "is no event"),
    ],
)
def test_what_is_none_is_told(line: bytes, why: str) -> None:
    events, (problem,) = read([line], BOOK)
    assert events == ()
    assert why in problem
    assert problem.isprintable()


def test_more_lines_than_anybody_needs_are_told() -> None:
    events, problems = read([b"order"] * 30, BOOK)
    assert len(events) == MOST_LINES
    assert problems == ("30 lines, and 8 are the most",)


@given(st.lists(st.binary(max_size=80) | st.from_regex(rb"[a-z]{1,8}[=;,a-z0-9 ]{0,40}", fullmatch=True), max_size=12))
def test_whatever_a_shop_writes(lines: list[bytes]) -> None:
    events, problems = read(lines, ANY)
    assert all(problem.isprintable() for problem in problems)
    memory = begun(NOW, "a1")
    for event in events:
        assert event.name in known(ANY) | {"csat", "nps"}
        assert all(map(CODE.fullmatch, event.categories))
    grown = lifecycle.advance(memory, events, ANY, NOW, new_id="")
    assert len(grown.bought) <= MOST_CATEGORIES
    assert grown.visits == 1
