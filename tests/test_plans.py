"""Plans kept: the same as a new one, whatever was kept before; nothing of another page, charset, policy or slot."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.model import Slot
from edgeproxy.html.charset import detect
from edgeproxy.html.model import Charset, PagePlan, Unplannable
from edgeproxy.html.plan import plan
from edgeproxy.plans import NOW_AND_THEN, PATIENCE, Plans, digest_of, weight
from tests.html.making import slot, whole
from tests.world import CALM, Shop, Told, World

PAGE = whole("<div id=x class=a>old</div><ul id=u><li>1</li><li>2</li></ul>").encode()
X, U = slot("x", "#x"), slot("u", "#u")
UTF8 = detect("text/html; charset=utf-8", PAGE)
LATIN = detect("text/html; charset=iso-8859-1", PAGE)


def asked(plans: Plans, body: bytes, slots: Sequence[Slot] = (X,), charset: Charset = UTF8) -> PagePlan:
    return plans.of(digest_of(body), "/")(body, charset, slots)


def test_a_page_that_comes_again_is_not_parsed_again() -> None:
    plans = Plans()
    first = asked(plans, PAGE)
    assert asked(plans, bytes(bytearray(PAGE))) is first
    assert (plans.hits, plans.misses, len(plans)) == (1, 1, 1)
    assert first == plan(PAGE, UTF8, [X])


PAGES = st.sampled_from(
    ["<div id=x>a</div>", "<div id=x>ä</div>", "<p><b id=x>a<ul id=u><li>1</ul>", "<i id=x><i id=x>"]
)
CSPS = st.sampled_from([None, "style-src 'self'", "script-src 'nonce-abc'"])
CHILDREN = st.sampled_from([{}, {"u": ()}, {"u": ("li",)}])


@given(st.lists(st.tuples(PAGES, st.sampled_from([(X,), (U,), (X, U), (U, X)]), CSPS, CHILDREN, st.booleans())))
def test_what_is_kept_is_what_would_be_made(
    cases: list[tuple[str, tuple[Slot, ...], str | None, dict[str, tuple[str, ...]], bool]],
) -> None:
    plans = Plans()
    for page, slots, csp, children, latin in cases:
        body, charset = whole(page).encode(), LATIN if latin else UTF8
        kept = plans.of(digest_of(body), "/")(body, charset, slots, children=children, csp=csp)
        assert kept == plan(body, charset, slots, children=children, csp=csp)


def test_a_reload_keeps_plans_of_slots_that_look_for_the_same_and_says_the_new_words() -> None:
    plans = Plans()
    first = asked(plans, PAGE)
    moved = slot("x", "#x", roundtrip=True)
    again = asked(plans, PAGE, [moved])
    assert again.slots["x"].slot is moved
    assert again.slots["x"].elements is first.slots["x"].elements
    assert (plans.hits, len(plans)) == (1, 1)
    assert asked(plans, PAGE, [slot("x", "#u")]).slots["x"].count == 1
    assert plans.misses == 2


def test_a_page_that_cannot_be_planned_is_not_tried_again() -> None:
    plans = Plans()
    deep = b"<div>" * 3000
    for _ in range(2):
        with pytest.raises(Unplannable, match="nest"):
            asked(plans, deep)
    assert (plans.hits, plans.misses) == (1, 1)


def test_no_more_is_kept_than_is_allowed() -> None:
    one = weight(plan(PAGE, UTF8, [X]))
    plans = Plans(3 * one + one // 2)
    for number in range(10):
        asked(plans, PAGE + b"%d" % number)
    assert len(plans) == 3
    assert plans.size <= 3 * one + one // 2
    asked(plans, PAGE + b"9")
    assert plans.hits == 1
    for size in (0, 1):  # nothing, or nothing that is so small
        none = Plans(size)
        asked(none, PAGE)
        assert (asked(none, PAGE).slots["x"].count, len(none)) == (1, 0)


def test_where_pages_never_come_twice_their_digests_are_worked_out_now_and_then_only() -> None:
    plans = Plans()

    def look(number: int, path: str = "/") -> None:
        body = PAGE + b"%d" % number
        plans.on(path)(body, UTF8, [X])

    for number in range(PATIENCE + 2 * NOW_AND_THEN):
        look(number)
    assert plans.misses == PATIENCE + 2
    look(7, "/other")
    assert plans.misses == PATIENCE + 3
    for _ in range(2 * NOW_AND_THEN + 5):
        look(1000)
    assert plans.hits > 4, "a page that has become quiet is noticed"


def test_a_plan_is_weighed_about_right() -> None:
    body = whole(
        "<ul id=u>" + "<li class='a b'>x</li>" * 50 + "</ul><div id=x title='some words' class=y>z</div>"
    ).encode()
    for slots, children in (([X], {}), ([X, U], {"u": ("li",)})):
        made = plan(body, UTF8, slots, children=children)
        assert 0.5 < weight(made) / deep_size(made) < 2


def deep_size(thing: object) -> int:
    """Bytes of all objects that only this one reaches, about."""
    shared = {id(X), id(U), id(UTF8)}
    seen: set[int] = set()
    waiting, total = [thing], 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or id(one) in shared or isinstance(one, type) or callable(one):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        waiting += gc.get_referents(one)
    return total


def test_a_page_that_nobody_may_store_is_parsed_once_while_its_bytes_stay_the_same() -> None:
    async def story() -> None:
        world = World(shop=Shop(Told(headers=[("Content-Type", "text/html"), ("Cache-Control", "no-store")])))
        first = await world.ask("/", stage="new")
        again = await world.ask("/", stage="new")
        assert first.body == again.body == CALM
        metrics = world.parts.journal.metrics().decode()
        assert 'edgeproxy_plans_total{how="kept"} 1.0' in metrics
        assert 'edgeproxy_plans_total{how="made"} 1.0' in metrics
        world.shop.answer = Told(headers=[("Content-Type", "text/html"), ("Cache-Control", "no-store")], chunks=[PAGE])
        await world.ask("/", stage="new")
        assert 'edgeproxy_plans_total{how="made"} 2.0' in world.parts.journal.metrics().decode()

    asyncio.run(story())


def test_the_plan_of_a_paths_last_page_serves_the_next_one_that_differs_in_a_token() -> None:
    counted: list[str] = []
    plans = Plans(count=counted.append)

    def look(body: bytes, path: str = "/", slots: Sequence[Slot] = (X,)) -> PagePlan:
        made = plans.on(path)(body, UTF8, slots)
        assert made == plan(body, UTF8, slots)
        return made

    pages = [
        PAGE.replace(b"<body", b'<meta name=csrf content="%b"><body' % token) for token in (b"a1", b"b2", b"longer")
    ]
    assert look(pages[0]) is look(pages[0])
    assert look(pages[1]) is look(pages[0])
    look(pages[2])
    assert counted == ["made", "kept", "kept", "kept", "carried over"]
    before = len(counted)
    look(PAGE + b"<p>more")  # no token, but another page
    look(pages[0], "/other")  # of which nothing is known
    look(pages[0], slots=(slot("x", "p"),))
    assert counted[before:] == ["made", "kept", "made"]
