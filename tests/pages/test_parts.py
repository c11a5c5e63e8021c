"""The parts of the page cache by themselves: the store's bounds, a filling's readers, prospects, what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.freshness import Freshness, Lifetimes
from edgeproxy.core.sharing import PageKey
from edgeproxy.origin import ShopBroken
from edgeproxy.pages.filling import AHEAD, Filling
from edgeproxy.pages.making import Came, confirmed
from edgeproxy.pages.model import StoredPage
from edgeproxy.pages.prospects import Prospects, neighbourhood
from edgeproxy.pages.store import Store
from edgeproxy.pages.told import would_keep
from tests.world import NOON, PAGE, RULES, book_of

HOST = b"shop.example"


def page(path: bytes, size: int = 100) -> StoredPage:
    key = (PageKey("https", HOST, path, b"", (), None), ())
    return StoredPage(
        key=key,
        status=200,
        lines=((b"content-type", b"text/html"),),
        body=b"x" * size,
        digest=b"",
        freshness=Freshness(Lifetimes(60.0), 0.0, NOON, 0.0),
        everyone=True,
        tags=frozenset(),
    )


# --------------------------------------------------------------------------- store


@given(st.lists(st.tuples(st.sampled_from(["put", "get", "drop"]), st.integers(0, 9), st.integers(0, 9000))))
def test_the_store_keeps_to_its_bound_and_knows_where_everything_is(ops: list[tuple[str, int, int]]) -> None:
    store = Store(20_000)
    for what, which, size in ops:
        one = page(b"/%d" % which, size)
        if what == "put":
            store.put(one)
        elif what == "get":
            store.get(one.key)
        else:
            store.drop([one.key])
        assert store.size == sum(kept.size for kept in store) <= 20_000
        for kept in store:
            assert kept.key in store.at(HOST, kept.key[0].path)
        assert sum(len(store.at(HOST, b"/%d" % n)) for n in range(10)) == len(store)


def test_one_page_cannot_push_out_everything_else() -> None:
    store = Store(20_000)
    assert store.put(page(b"/a", 100))
    assert not store.put(page(b"/b", 15_000))
    assert len(store) == 1


def test_a_long_address_and_a_long_head_are_no_small_entry() -> None:
    one = page(b"/a", 10)
    key = replace(one.key[0], query=b"?" + b"x" * 8000, head=((b"x-a", b"y" * 20_000),))
    long = replace(one, key=(key, ((b"accept-language", b"z" * 9000),)))
    assert long.size - one.size > 37_000


def test_a_page_that_grew_too_big_is_not_served_old() -> None:
    store = Store(20_000)
    store.put(page(b"/a", 100))
    assert not store.put(page(b"/a", 15_000))
    assert store.get(page(b"/a").key) is None


def test_a_confirmed_page_is_the_same_body_under_new_lines() -> None:
    one = replace(page(b"/a"), lines=((b"cache-control", b"max-age=60"), (b"etag", b'"1"')))
    other = confirmed(one, [(b"x", b"y")], Came(NOON + 1, 0.0, 0.0))
    assert isinstance(other, StoredPage)
    assert (other.body, other.digest, other.key) == (one.body, one.digest, one.key)
    assert other.head != one.head


# --------------------------------------------------------------------------- filling


async def sent(*chunks: bytes | Exception) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await asyncio.sleep(0)
        if isinstance(chunk, Exception):
            raise chunk
        yield chunk


async def whole(filling: Filling, pause: int = 0) -> bytes:
    body = b""
    async for chunk in filling.read():
        body += chunk
        for _ in range(pause):
            await asyncio.sleep(0)
    return body


pytestmark = pytest.mark.anyio


def filling(most: int = 1000) -> Filling:
    now = Freshness(Lifetimes(60.0), 0.0, 0.0, 0.0)
    return Filling(200, (), freshness=now, everyone=True, most=most, length=None)


@pytest.mark.parametrize("pause", [0, 1, 7])
async def test_every_reader_gets_all_of_it_at_their_own_pace(pause: int) -> None:
    one = filling()
    readers = [asyncio.create_task(whole(one, pause * n)) for n in range(4)]
    assert await one.pump(sent(b"a", b"b", b"c")) == b"abc"
    assert await asyncio.gather(*readers) == [b"abc"] * 4
    assert await whole(one) == b"abc"  # who comes late


async def test_a_break_reaches_every_reader_where_they_stand() -> None:
    one = filling()
    reader = asyncio.create_task(whole(one))
    with pytest.raises(ShopBroken):
        await one.pump(sent(b"a", ShopBroken("body", "gone")))
    with pytest.raises(ShopBroken):
        await reader


async def test_what_is_too_big_is_passed_on_in_bounded_memory() -> None:
    chunk = b"x" * (AHEAD // 4)
    one = filling(most=AHEAD)
    readers = [asyncio.create_task(whole(one, n)) for n in (0, 3)]
    assert await one.pump(sent(*[chunk] * 40)) is None
    assert not one.open
    assert [len(body) for body in await asyncio.gather(*readers)] == [len(chunk) * 40] * 2
    assert len(one._chunks) <= 1 + 2 * AHEAD // len(chunk)


async def test_nobody_reads_what_is_too_big_and_it_ends() -> None:
    one = filling(most=10)
    assert await one.pump(sent(*[b"x" * 20] * 1000)) is None


async def test_a_reader_who_leaves_holds_up_nobody() -> None:
    one = filling(most=10)
    gone = asyncio.create_task(whole(one, 1000))
    stays = asyncio.create_task(whole(one))
    pumping = asyncio.create_task(one.pump(sent(*[b"x" * AHEAD] * 5)))
    for _ in range(30):
        await asyncio.sleep(0)
    gone.cancel()
    await pumping
    assert len(await stays) == AHEAD * 5


# --------------------------------------------------------------------------- prospects


def test_a_neighbourhood_is_the_first_folder_and_the_kind_of_file() -> None:
    assert neighbourhood(HOST, b"/c/boots/red") == neighbourhood(HOST, b"/c/hats") == (HOST, b"c", b"")
    assert neighbourhood(HOST, b"/boots") == (HOST, b"", b"")
    assert neighbourhood(HOST, b"/static/a.CSS") == (HOST, b"static", b"css")
    assert neighbourhood(HOST, b"/.css") == (HOST, b"", b"")


def test_only_files_of_a_theme_are_tried_before_anything_is_known() -> None:
    seen = Prospects()
    for link in (b"/download/Zx81Kq9vT0.pdf", b"/download/Zx81Kq9vT0.mp3", b"/invoices/1.json", b"/feed.xml"):
        assert not seen.promising(HOST, link)
    assert not seen.promising(HOST, b"/c/boots")
    assert seen.promising(HOST, b"/static/a.css")
    seen.refused(HOST, b"/static/a.css")
    assert not seen.promising(HOST, b"/static/b.css")
    assert seen.promising(HOST, b"/static/b.js")


def test_a_shop_that_changes_its_mind_is_believed_after_a_while() -> None:
    seen = Prospects()
    for _ in range(100):
        seen.refused(HOST, b"/c/boots")
    for _ in range(9):
        seen.shared(HOST, b"/c/boots")
    assert seen.promising(HOST, b"/c/hats")


# --------------------------------------------------------------------------- told


def test_what_would_be_kept_is_told_with_the_reason() -> None:
    book = book_of({**RULES, "shop.toml": RULES["shop.toml"] + '\n[[cache]]\non = "/c/**"\nfor = "1 hour"'})
    html = (b"content-type", b"text/html")
    assert would_keep(book, "/c/x", 200, [html], PAGE, NOON).says.startswith(
        "kept for many for 1 hour: says rules/shop."
    )
    assert would_keep(book, "/x", 200, [html], PAGE, NOON).says == (
        "not kept for many: the shop does not say how long it is fresh; no [[cache]] table of shop.toml names it"
    )
    token = PAGE + b'<input name=csrf_token value="a1b2c3d4">'
    assert would_keep(book, "/c/x", 200, [html], token, NOON).says == (
        "not kept for many: a CSRF token (the input csrf_token)"
    )


@pytest.mark.parametrize(
    ("lines", "whom"),
    [
        ([(b"cache-control", b"public, max-age=60")], "many"),
        ([(b"cache-control", b"public, max-age=60"), (b"vary", b"Cookie")], "visitors without cookies"),
        ([(b"cache-control", b"max-age=60")], "visitors without cookies"),
    ],
)
def test_whom_a_kept_page_is_for_is_told(lines: list[tuple[bytes, bytes]], whom: str) -> None:
    told = would_keep(book_of(RULES), "/x", 200, [(b"content-type", b"text/html"), *lines], PAGE, NOON)
    assert told.says == f"kept for {whom} for 1 minute: says the shop"
