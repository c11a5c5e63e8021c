"""Previews through the whole proxy: they stay on with the next click, whatever the page, and say why when asked."""

from __future__ import annotations

import gzip
import re

import pytest

from edgeproxy.core.flags import PreviewFlags
from edgeproxy.core.tokens import Leave, Session, Token, sign_session, sign_token
from edgeproxy.origin import ShopBroken
from tests.world import CALM, HOST, KEYS, NOON, PAGE, RULES, THANKS, Asked, Got, Shop, Told, World

pytestmark = pytest.mark.anyio

HTML = ("Content-Type", "text/html; charset=utf-8")
LATER = int(NOON + 600)
ANY = ("cookie", f"edge_preview={sign_session(Session(Leave.ANY, PreviewFlags(), LATER), KEYS)}")

OFF = PreviewFlags(off=True)


def kept(got: Got) -> tuple[str, str]:
    """The preview cookie as a browser sends it with the next click."""
    return "cookie", got.one("set-cookie").partition(";")[0]


def without_bar(got: Got) -> bytes:
    return re.sub(rb"<edge-preview>.*</edge-preview>", b"", got.body, count=1, flags=re.DOTALL)


async def test_a_link_then_a_click_then_another_stage_then_the_way_out() -> None:
    world = World()
    token = sign_token(Token(PreviewFlags(stage="loyal"), True, LATER), KEYS)
    begun = await world.ask(f"/?edge_stage=loyal&edge_token={token}&q=1", stage="new")
    assert (begun.status, begun.one("location")) == (303, f"//{HOST}/?q=1")
    assert "HttpOnly" in begun.one("set-cookie")
    seen = await world.ask("/c/boots", stage="new", headers=[kept(begun)])
    assert without_bar(seen) == THANKS
    changed = await world.ask("/?edge_stage=new", headers=[kept(begun)])
    assert without_bar(changed) == CALM
    assert without_bar(await world.ask("/c/x", headers=[kept(changed)])) == CALM
    off = await world.ask("/?edge_off=1", headers=[kept(changed)])
    assert without_bar(off) == PAGE
    left = await world.ask("/-/edge/leave", method="POST", body=[b"back=/c/x"], headers=[kept(off)])
    assert kept(left)[1] == "edge_preview="
    assert (await world.ask("/", stage="loyal")).body == THANKS


@pytest.mark.parametrize("told", [Told(302, [("Location", "/c/boots")], []), Told(204, [], []), Told(404, [HTML])])
async def test_flags_on_an_address_that_leads_elsewhere_hold_there_too(told: Told) -> None:
    """The shop sends the browser on, to another language or to a session of its own: the preview goes along."""

    def answer(asked: Asked) -> Told:
        return told if asked.target == b"/old" else Told()

    world = World(Shop(answer))
    got = await world.ask("/old?edge_stage=loyal", headers=[ANY])
    assert got.status == told.status
    assert got.one("cache-control") == "no-store"
    assert without_bar(await world.ask("/c/boots", headers=[kept(got)])) == THANKS


@pytest.mark.parametrize(
    "told",
    [
        Told(chunks=[PAGE]),
        Told(chunks=[PAGE * 20_000, PAGE]),
        Told(headers=[HTML, ("Content-Length", str(3 << 20))], chunks=[b"x" * (3 << 20)]),
        Told(headers=[HTML, ("Content-Encoding", "gzip")], chunks=[gzip.compress(PAGE)[:-9]]),
        Told(headers=[HTML, ("Content-Encoding", "rot13")]),
        Told(chunks=[PAGE.decode().encode("utf-16")]),
        Told(headers=[("Content-Type", "application/xhtml+xml")]),
    ],
    ids=["a page", "too big", "too big by its head", "broken gzip", "unknown coding", "UTF-16", "XHTML"],
)
async def test_why_is_answered_for_pages_that_cannot_be_edited_too(told: Told) -> None:
    got = await World(Shop(told)).ask("/?edge_explain=1&edge_stage=loyal", headers=[ANY])
    assert (got.status, got.cut) == (200, False)
    assert b"Why this page looks as it does" in got.body
    assert got.get("content-type") == ["text/html; charset=utf-8"]
    assert got.get("content-encoding") == []
    assert got.get("content-length") == [str(len(got.raw))]
    assert got.one("cache-control") == "no-store"


async def test_the_explanation_says_what_keeps_a_slow_page_back() -> None:
    got = await World().ask("/?edge_explain=1&edge_stage=loyal", headers=[ANY])
    assert b"what follows the first match of hero waits for the end" in got.body
    rules = {**RULES, "slots.toml": RULES["slots.toml"].replace("[hero]", '[hero]\nexpect = "any"')}
    got = await World(rules=rules).ask("/?edge_explain=1&edge_stage=loyal", headers=[ANY])
    assert b"waits for the end" not in got.body


async def test_a_page_that_breaks_off_is_not_explained_away() -> None:
    got = await World(Shop(Told(chunks=[PAGE[:50], ShopBroken("cut", "it ended early")]))).ask(
        "/?edge_explain=1", headers=[ANY]
    )
    assert (got.raw, got.cut) == (PAGE[:50], True)


@pytest.mark.parametrize(
    ("target", "method", "status", "coding"),
    [
        ("/", "POST", 200, ""),
        ("/checkout/pay", "GET", 200, ""),
        ("/checkout/pay", "GET", 200, "gzip"),
        ("/gone", "GET", 404, ""),
        ("/", "POST", 422, "gzip"),
        ("/", "GET", 500, ""),
    ],
)
async def test_every_document_has_the_bar_and_nothing_else_of_it_changes(
    target: str, method: str, status: int, coding: str
) -> None:
    """An answer to a form, a page that nobody edits, an error: the preview goes on, and is seen to."""
    lines = [HTML, ("Cache-Control", "max-age=60"), ("X-Shop", "1")]
    body = gzip.compress(PAGE) if coding else PAGE
    told = Told(status, [*lines, ("Content-Encoding", coding)] if coding else lines, [body[:50], body[50:]])
    world = World(Shop(told))
    takes = [("accept-encoding", "gzip")] if coding else []
    for headers in ([], [("accept", "text/html,*/*;q=0.8")], [("sec-fetch-dest", "document")]):
        got = await world.ask(
            target, method=method, headers=[ANY, *takes, *headers], body=[b"a=1"] if method == "POST" else []
        )
        assert (got.status, got.cut) == (status, False)
        assert got.body != PAGE
        assert without_bar(got) == PAGE
        assert got.get("x-shop") == ["1"]
        assert got.one("cache-control") == "no-store"
        assert got.one("x-robots-tag") == "noindex"


@pytest.mark.parametrize(
    ("method", "told", "headers"),
    [
        ("HEAD", Told(headers=[HTML], chunks=[]), []),
        ("GET", Told(), [("sec-fetch-dest", "iframe")]),
        ("GET", Told(404, [HTML]), [("sec-fetch-dest", "iframe")]),
        ("GET", Told(404, [HTML]), [("sec-fetch-dest", "empty")]),
        ("POST", Told(), [("sec-fetch-dest", "empty")]),
        ("POST", Told(), [("x-requested-with", "XMLHttpRequest")]),
        ("POST", Told(), [("accept", "*/*")]),
        ("POST", Told(headers=[HTML, ("Content-Disposition", "attachment; filename=bill.html")]), []),
        ("POST", Told(302, [HTML, ("Location", "/")]), []),
        ("POST", Told(headers=[("Content-Type", "application/json")]), []),
        ("GET", Told(404, [("Content-Type", "text/html; charset=utf-16")], [PAGE.decode().encode("utf-16")]), []),
        ("POST", Told(headers=[HTML, ("Content-Encoding", "rot13")]), []),
    ],
)
async def test_what_nobody_looks_at_as_a_page_has_no_bar(
    method: str, told: Told, headers: list[tuple[str, str]]
) -> None:
    """A frame in a page, what a script fetched, a file to keep, a redirect: every byte as the shop sent it."""
    got = await World(Shop(told)).ask(
        "/c/none" if method == "GET" else "/",
        method=method,
        headers=[("cookie", f"edge_preview={sign_session(Session(Leave.ANY, OFF, LATER), KEYS)}"), *headers],
        body=[b"a=1"] if method == "POST" else [],
    )
    assert got.raw == b"".join(one for one in told.chunks if isinstance(one, bytes))


async def test_pictures_and_scripts_of_a_previewed_page_are_kept_as_ever() -> None:
    lines = [("Content-Type", "text/css"), ("Cache-Control", "max-age=60"), ("ETag", '"1"')]
    got = await World(Shop(Told(headers=lines, chunks=[b"p{}"]))).ask(
        "/app.css", headers=[ANY, ("sec-fetch-dest", "style")]
    )
    assert got.one("cache-control") == "max-age=60"
    assert got.one("etag") == '"1"'
    assert got.get("x-robots-tag") == []
