"""Early flush, through the whole proxy: what leaves while the shop is still sending, and how it goes on.

The shop sends the rest of a page only when the visitor has got the beginning (``world.left``), so nothing here depends
on time.  Where a page must not be sent early, the shop lets the loop turn instead.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

import edgeproxy.early
import edgeproxy.rewrite
from edgeproxy.content_coding import decode
from edgeproxy.origin import ShopBroken
from tests.world import RULES, Chunk, Shop, Told, World

pytestmark = pytest.mark.anyio

HTML = ("Content-Type", "text/html; charset=utf-8")
HEAD = b"<!DOCTYPE html><html><head><title>Shop</title><!--" + b"x" * 2000 + b"--></head>\n<body class=home>\n"
FIRST = HEAD + b'<nav id="menu"><a href="/a">A</a></nav>\n<main><p>one</p>' + b"<p>more</p>" * 100 + b"<p>half a ta"
REST = b'g</p><section class="hero">Old</section></main>\n</body></html>\n'
PAGE = FIRST + REST
CALM = PAGE.replace(b'<nav id="menu"><a href="/a">A</a></nav>', b"")
ANY = {**RULES, "slots.toml": RULES["slots.toml"].replace("[menu]", '[menu]\nexpect = "any"')}


async def turns() -> None:
    """Enough of them for a timer that is due at once, and for what it begins."""
    for _ in range(200):
        await asyncio.sleep(0)


def before(*chunks: Chunk, headers: Sequence[tuple[str, str]] = ()) -> Told:
    return Told(headers=[HTML, ("ETag", '"1"'), *headers], chunks=chunks)


def world(*chunks: Chunk, rules: Any = ANY, early: float = 1e-6) -> World:
    return World(Shop(before(*chunks)), rules, {"early_flush": early})


def slowly(*pieces: Chunk, rules: Any = ANY) -> World:
    """A shop that sends each piece when something of the piece before has left."""
    made = world(rules=rules)

    async def left() -> None:
        await made.left.wait()
        made.left.clear()

    chunks: list[Chunk] = []
    for piece in pieces:
        chunks += [piece, left] if piece is not pieces[-1] else [piece]
    made.shop.answer = before(*chunks)
    return made


def counted(asked: World) -> dict[str, float]:
    text = asked.parts.journal.metrics().decode()
    lines = [line for line in text.splitlines() if line.startswith("edgeproxy_early_total{")]
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}


async def test_the_beginning_leaves_while_the_shop_is_still_sending() -> None:
    asked = slowly(FIRST, REST)
    got = await asked.ask("/", stage="new")
    assert (got.status, got.body, got.cut) == (200, CALM, False)
    assert got.get("etag") == got.get("content-length") == []
    assert got.one("cache-control") == "private, no-cache"
    assert got.one("vary") == "Cookie, Accept-Encoding"
    assert got.one("cdn-cache-control") == "no-store"
    assert "edge;dur=" in got.one("server-timing")
    assert counted(asked) == {"whole": 1}


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_it_can_be_read_as_soon_as_it_has_left(coding: str) -> None:
    got = await slowly(FIRST, REST).ask("/", stage="new", headers=[("accept-encoding", coding)])
    assert got.one("content-encoding") == coding
    assert decode([(b"content-encoding", coding.encode())], got.raw, limit=1 << 20) == CALM


async def test_what_has_come_of_it_leaves_again_when_it_has_doubled() -> None:
    more = b"<p>more</p>" * 500
    asked = slowly(FIRST, b"g</p>" + more, more * 3 + b"<p>half a ta", REST)
    got = await asked.ask("/", stage="new")
    assert got.body == CALM.replace(b"half a tag</p>", b"half a tag</p>" + more * 4 + b"<p>half a tag</p>", 1)
    assert counted(asked) == {"whole": 1}


async def test_the_rest_of_a_page_that_is_like_an_earlier_one_is_not_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = world()
    for _ in range(3):  # till it is remembered as it leaves, too
        asked.shop.answer = before(PAGE)
        await asked.ask("/", stage="new")
    monkeypatch.setattr(edgeproxy.rewrite, "personalise", None)
    for value in (b"Old", b"New"):
        asked.left.clear()
        asked.shop.answer = before(FIRST, asked.left.wait, REST.replace(b"Old", value))
        got = await asked.ask("/", stage="new")
        assert (got.body, got.cut) == (CALM.replace(b"Old", value), False)
    assert counted(asked) == {"whole": 2}


async def test_a_slot_that_expects_one_keeps_back_what_follows_its_first_match() -> None:
    asked = slowly(FIRST, REST, rules=RULES)
    got = await asked.ask("/", stage="new")
    assert got.body == CALM
    two = slowly(FIRST, b'g</p><nav id="menu"></nav>' + REST, rules=RULES)
    assert (await two.ask("/", stage="new")).body == FIRST + b'g</p><nav id="menu"></nav>' + REST


# --------------------------------------------------------------------------- what waits


async def test_a_page_that_comes_at_once_keeps_its_etag() -> None:
    asked = world(FIRST, REST)
    got = await asked.ask("/", stage="new")
    assert (got.body, counted(asked)) == (CALM, {})
    assert got.one("etag").startswith('"edge-')
    assert got.one("content-length") == str(len(CALM))


@pytest.mark.parametrize(
    ("how", "rules"),
    [
        ({"headers": [("if-none-match", '"edge-0-identity"')]}, ANY),
        ({"version": "1.0"}, ANY),
        ({"stage": "unheard-of"}, ANY),
        ({"target": "/other"}, ANY),
        ({}, {**ANY, "slots.toml": ANY["slots.toml"].replace("#menu", "#menu:last-child")}),
        ({}, {**ANY, "slots.toml": ANY["slots.toml"].replace("[menu]", "[menu]\nroundtrip = true")}),
    ],
    ids=["asks whether it has changed", "HTTP/1.0", "nothing fits", "nothing to edit", "looks ahead", "round trip"],
)
async def test_what_waits_for_the_end(how: dict[str, Any], rules: Any) -> None:
    asked = world(FIRST, turns, REST, rules=rules)
    await asked.ask(**{"target": "/", "stage": "new", **how})
    assert counted(asked) == {}


async def test_nothing_leaves_early_where_that_is_switched_off() -> None:
    asked = world(FIRST, turns, REST, early=0)
    assert (await asked.ask("/", stage="new")).one("etag")


async def test_a_busy_loop_has_no_time_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edgeproxy.early, "LATE", -1.0)  # always behind
    assert (await world(FIRST, turns, REST).ask("/", stage="new")).one("etag")


async def test_too_little_is_not_worth_a_flush() -> None:
    asked = world(FIRST[:900], turns, FIRST[900:] + REST)
    assert (await asked.ask("/", stage="new")).one("etag")


# --------------------------------------------------------------------------- what goes wrong then


async def test_a_shop_that_breaks_off_is_a_visible_break() -> None:
    asked = slowly(FIRST, ShopBroken("cut", "the shop closed the connection inside its answer"))
    got = await asked.ask("/", stage="new", headers=[("accept-encoding", "identity")])
    assert got.cut
    assert got.body == FIRST.replace(b'<nav id="menu"><a href="/a">A</a></nav>', b"")
    assert counted(asked) == {"cut": 1}


async def test_our_own_fault_then_drops_the_remaining_edits(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(edgeproxy.rewrite, "personalise", fails)
    asked = slowly(FIRST, b"g</p><nav id=menu>again</nav>" + REST)
    got = await asked.ask("/", stage="new")
    begun = FIRST.replace(b'<nav id="menu"><a href="/a">A</a></nav>', b"")
    assert (got.status, got.body, got.cut) == (200, begun + b"g</p><nav id=menu>again</nav>" + REST, False)
    assert counted(asked) == {"edits dropped": 1}


async def test_our_own_fault_before_anything_left_is_the_shops_page(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []

    def fails(*_: object, **__: object) -> None:
        called.append(1)
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(edgeproxy.rewrite, "begin", fails)
    asked = world(FIRST, turns, b"x", turns, REST)
    got = await asked.ask("/", stage="new")
    assert (got.status, got.body) == (200, CALM.replace(FIRST[-9:], FIRST[-9:] + b"x"))
    assert (counted(asked), called) == ({}, [1])


async def test_a_page_that_turns_out_otherwise_loses_its_remaining_edits_and_waits_from_then_on() -> None:
    state = b'<div id=late></div><script id="__NEXT_DATA__">{}</script><nav id=menu>again</nav>'
    asked = slowly(FIRST, b"g</p>" + state + REST)
    begun = FIRST.replace(b'<nav id="menu"><a href="/a">A</a></nav>', b"")
    got = await asked.ask("/", stage="new")
    assert got.body == begun + b"g</p>" + state + REST
    assert counted(asked) == {"edits dropped": 1}
    asked.shop.answer = before(FIRST, turns, b"g</p>" + state + REST)
    assert (await asked.ask("/", stage="new")).body == FIRST + b"g</p>" + state + REST
    assert counted(asked) == {"edits dropped": 1}


async def test_a_page_that_grows_too_big_goes_on_as_the_shops() -> None:
    big = b"<p>more</p>" * 250_000
    asked = slowly(FIRST, b"g</p><nav id=menu>again</nav>" + big, REST)
    got = await asked.ask("/", stage="new", headers=[("accept-encoding", "gzip")])
    begun = FIRST.replace(b'<nav id="menu"><a href="/a">A</a></nav>', b"")
    assert got.body == begun + b"g</p><nav id=menu>again</nav>" + big + REST
    assert not got.cut


async def test_a_visitor_who_leaves_takes_everything_with_them() -> None:
    never = asyncio.Event()
    asked = world(FIRST, never.wait, REST)
    request = asyncio.create_task(asked.ask("/", stage="new"))
    await asked.left.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert asked.shop.closed == [True]
    assert [task for task in asyncio.all_tasks() if "early" in repr(task)] == []


async def test_the_log_tells_of_such_a_page_as_of_any_other() -> None:
    asked = World(Shop(before(FIRST, turns, REST)), ANY, {"early_flush": 1e-6, "log": "json"})
    got = await asked.ask("/", stage="new")
    asked.parts.journal.close()
    line = json.loads(asked.log.getvalue())
    assert (line["bytes"], line["applied"], line["lane"]) == (len(got.raw), ["calm"], "private")
