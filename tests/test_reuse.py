"""A stored page through the whole proxy: made once for many, kept over a reload where it is still right."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edgeproxy.content_coding import decode
from edgeproxy.variants import STITCHED_FROM
from tests.world import PAGE, RULES, Got, Shop, Told, World, book_of

pytestmark = pytest.mark.anyio

LONG = b"".join(b"<p>lorem %d ipsum</p>\n" % number for number in range(4000))
BODY = PAGE.replace(b"</main>", LONG + b"</main>")
HEADERS = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "public, max-age=60"), ("ETag", '"shop"')]
BROWSER = ("Accept-Encoding", "gzip, deflate, br, zstd")


def world_of(body: bytes = BODY, headers: list[tuple[str, str]] = HEADERS, **more: Any) -> World:
    return World(shop=Shop(Told(headers=headers, chunks=[body])), **more)


async def ask(world: World, *headers: tuple[str, str], **more: Any) -> Got:
    got = await world.ask("/", headers=headers, **more)
    lines = [(name.encode(), value.encode()) for name, value in got.headers]
    got.body = decode(lines, got.raw, limit=1 << 22)
    return got


async def best(world: World, **more: Any) -> Got:
    """Ask until the best coding is there."""
    for _ in range(5000):
        got = await ask(world, BROWSER, **more)
        if got.one("etag").endswith('-best"'):
            return got
        await asyncio.sleep(0)
    raise AssertionError("it was never made")


def made(world: World) -> dict[str, float]:
    rows = (line.rpartition(" ") for line in world.parts.journal.metrics().decode().splitlines())
    return {
        name: float(value) for name, _, value in rows if name.startswith(("edgeproxy_plans_total", "edgeproxy_var"))
    }


async def test_first_stitched_then_as_small_as_it_gets_and_always_the_same_page() -> None:
    world = world_of()
    assert len(BODY) > STITCHED_FROM
    await ask(world, BROWSER, stage="loyal")
    first = await ask(world, BROWSER, stage="loyal")
    assert first.one("etag").startswith('W/"edge-')
    assert first.one("etag").endswith('-gzip-stitched"')
    last = await best(world, stage="loyal")
    assert (last.one("content-encoding"), len(last.raw) < len(first.raw)) == ("br", True)
    plain = await ask(world, stage="loyal")
    assert first.body == last.body == plain.body == plain.raw
    assert b"Good to see you" in plain.body
    assert plain.get("content-encoding") == []
    for got in (first, last, plain):
        assert got.one("cache-control") == "private, no-cache"
        assert got.one("vary") == "Cookie, Accept-Encoding"
        again = await ask(world, BROWSER, ("If-None-Match", got.one("etag")), stage="loyal")
        assert (again.status, again.one("etag"), again.raw) == (304, got.one("etag"), b""), "whatever coding it holds"
        other = await ask(world, BROWSER, ("If-None-Match", got.one("etag")), stage="new")
        assert (other.status, b"Good to see you" in other.body) == (200, False), "a 304 confirms nobody else's page"
    assert len(world.shop.asked) == 2


async def test_head_tells_what_get_would_get() -> None:
    world = world_of()
    await ask(world, BROWSER)
    await ask(world, BROWSER)
    got = await best(world)
    head = await world.ask("/", method="HEAD", headers=[BROWSER])
    assert (head.raw, head.one("content-length"), head.one("etag")) == (b"", str(len(got.raw)), got.one("etag"))


async def test_a_reload_keeps_what_is_still_right_and_makes_the_rest_anew() -> None:
    world = world_of()
    for stage in ("loyal", "new"):
        await ask(world, BROWSER, stage=stage)
        await best(world, stage=stage)
    before = made(world)
    says = 'says = "Another word for the same"\n'
    world.books.book = book_of({**RULES, "experiences/thanks.toml": says + RULES["experiences/thanks.toml"]})
    for stage in ("loyal", "new"):
        assert (await ask(world, BROWSER, stage=stage)).one("etag").endswith('-br-best"'), "nothing is compressed anew"
    after = made(world)
    assert after['edgeproxy_plans_total{how="made"}'] == before['edgeproxy_plans_total{how="made"}']
    assert after["edgeproxy_variants"] == before["edgeproxy_variants"]
    world.books.book = book_of({**RULES, "fragments/thanks.html": "<p>Welcome</p>"})
    changed = await ask(world, BROWSER, stage="loyal")
    assert b"<p>Welcome</p>" in changed.body
    assert changed.one("etag").endswith('-gzip-stitched"'), "sewn of the pieces that are there"
    assert (await ask(world, BROWSER, stage="new")).one("etag").endswith('-br-best"')
    assert made(world)['edgeproxy_plans_total{how="made"}'] == before['edgeproxy_plans_total{how="made"}']
    assert len(world.shop.asked) == 2


async def test_a_page_that_takes_long_is_made_once_for_everybody_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeproxy.assembly import Assembly

    runs = 0
    original = Assembly.of

    def counted(self: Assembly, *arguments: Any) -> Any:
        nonlocal runs
        runs += 1
        return original(self, *arguments)

    world = world_of(PAGE.replace(b"</main>", LONG * 6 + b"</main>"))
    await ask(world, stage="loyal")
    await ask(world, stage="loyal")
    monkeypatch.setattr(Assembly, "of", counted)
    got = await asyncio.gather(*(ask(world, BROWSER, stage="new") for _ in range(30)))
    assert (runs, len({one.body for one in got})) == (1, 1)
    leaving = asyncio.create_task(ask(world, BROWSER))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await ask(world, BROWSER)).body == got[0].body, "who leaves ends nothing for the others"


async def test_a_shop_that_compresses_all_the_same_is_undone_once_more() -> None:
    import gzip

    headers = [*HEADERS, ("Content-Encoding", "gzip")]
    world = world_of(gzip.compress(BODY), headers)
    for _ in range(3):
        got = await ask(world, BROWSER, stage="loyal")
        assert b"Good to see you" in got.body
    broken = world_of(gzip.compress(BODY)[:-20], headers)
    await broken.ask("/", stage="loyal", headers=[BROWSER])
    for _ in range(2):
        raw = await broken.ask("/", stage="loyal", headers=[BROWSER])
        assert raw.raw == gzip.compress(BODY)[:-20], "as broken as it came"


async def test_no_transform_is_obeyed_where_no_edit_is_made() -> None:
    headers = [HEADERS[0], ("Cache-Control", "public, max-age=60, no-transform"), HEADERS[2]]
    world = world_of(headers=headers)
    rules = {**RULES, "shop.toml": RULES["shop.toml"].replace('without_cookie = "new"', 'without_cookie = "untouched"')}
    world.books.book = book_of(rules)
    await ask(world, BROWSER)
    for _ in range(2):
        got = await ask(world, BROWSER)
        assert (got.raw, got.one("cache-control")) == (BODY, "private, no-cache, no-transform")


async def test_a_fault_of_ours_is_the_shops_page_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of()
    await ask(world)
    await ask(world)

    def broken(*_: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("edgeproxy.reuse.Reuse.page", broken)
    got = await ask(world, BROWSER, stage="loyal")
    assert (got.status, got.body, got.one("cache-control")) == (200, BODY, "private, no-cache")
    assert b"edgeproxy_faults_total 1.0" in world.parts.journal.metrics()


@pytest.mark.parametrize("limit", ["variants_bytes", "plans_bytes"])
async def test_a_worker_that_may_keep_nothing_of_it_still_answers(limit: str) -> None:
    from edgeproxy.settings import Limits

    world = world_of(settings={"limits": Limits(**{limit: 0})})
    for _ in range(4):
        got = await ask(world, BROWSER, stage="loyal")
        assert b"Good to see you" in got.body
    assert len(world.shop.asked) == 2
