"""Our error pages: every status in every language, escaped, never a 500."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.rules import error_pages
from edgeproxy.errors import LANGUAGES, STATUSES, ErrorPages, error_page
from edgeproxy.origin import ShopBroken, ShopBusy
from edgeproxy.server.guard import Guard
from edgeproxy.server.head import Refused
from edgeproxy.settings import Limits
from tests.world import HOST, RULES, Shop, Told, World, book_of


class Reader(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("status", sorted(STATUSES))
def test_each_page_says_what_happened_in_the_language_and_names_the_request(status: int, language: str) -> None:
    page = error_page(status, language=language, request_id="7f3a", retry_after=5)
    headers = dict(page.headers)
    assert page.status == status
    assert headers[b"content-length"] == str(len(page.body)).encode()
    assert headers[b"content-language"] == language.encode()
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"retry-after"] == b"5"
    assert f'<html lang="{language}">'.encode() in page.body
    assert "7f3a" in Reader(page.body).text


def test_the_languages_differ_and_an_unknown_one_is_english() -> None:
    assert len({error_page(502, language=language).body for language in LANGUAGES}) == len(LANGUAGES)
    assert error_page(502, language="fi").body == error_page(502).body
    assert error_page(502, language="sv-SE").body == error_page(502, language="sv").body


@pytest.mark.parametrize("status", [500, 200, 0, 999])
def test_a_status_without_a_page_is_a_502(status: int) -> None:
    assert error_page(status).status == 502


def test_a_405_names_the_methods_that_are_allowed() -> None:
    assert (b"allow", b"GET, HEAD") in error_page(405, allow=("GET", "HEAD")).headers


OWN = {
    **RULES,
    "errors/503.html": '<p title="{{ request_id }}">Half the town is here. {{ status }} {{ request_id }}',
    "errors/421.html": "<p>Wrong door: {{ status }}",
    "errors/502.html": "<p>Broken",
}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "host", "page"),
    [
        (ShopBusy("full", "full"), HOST, b'<p title="0123456789abcdef">Half the town is here. 503 0123456789abcdef'),
        (ShopBroken("cut", "cut"), HOST, b"<p>Broken"),
        (Told(), "elsewhere.example", b"<p>Wrong door: 421"),
    ],
)
async def test_a_file_of_the_rules_takes_the_place_of_our_page(
    answer: Told | Exception, host: str, page: bytes
) -> None:
    trust = {"trust": (ip_network("10.0.0.0/8"),)}
    world = World(Shop(answer), OWN, trust)
    got = await world.ask("/", host=host, headers=[("x-request-id", "0123456789abcdef")], client="10.0.0.1")
    assert got.body == page
    assert got.one("cache-control") == "no-store"
    assert got.one("content-type") == "text/html; charset=utf-8"
    assert got.get("content-security-policy") == []  # it may bring pictures and styles of its own


def test_our_own_page_stands_where_the_rules_have_none_and_where_there_are_no_rules() -> None:
    ours = error_page(504, request_id="7")
    assert ErrorPages.of(book_of(OWN)).page(504, request_id="7") == ours
    assert ErrorPages.of(None).page(504, request_id="7") == ours


@pytest.mark.anyio
async def test_a_page_of_ones_own_is_live_with_the_rules_that_hold_it() -> None:
    world = World(Shop(ShopBroken("cut", "cut")), OWN)
    assert (await world.ask("/")).body == b"<p>Broken"
    world.books.book = book_of(OWN | {"errors/502.html": "<p>Mended soon"})
    assert (await world.ask("/")).body == b"<p>Mended soon"


def test_the_guard_refuses_with_the_page_of_the_rules() -> None:
    guard = Guard(Limits(), errors=lambda: ErrorPages.of(book_of(OWN)))
    answer = guard.refusal(Refused(503, "too many"), "127.0.0.1")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert re.fullmatch(rb'<p title="([0-9a-f]{16})">Half the town is here. 503 \1', body)
    assert b"content-length: %d\r\n" % len(body) in head
    assert b"retry-after: 1\r\n" in head


def test_the_statuses_that_rules_may_have_a_page_for_are_those_that_have_one() -> None:
    assert set(error_pages.STATUSES) == STATUSES


@given(st.text())
def test_whatever_stands_in_the_request_id_is_text_in_a_page_of_ones_own_too(request_id: str) -> None:
    page = ErrorPages.of(book_of(OWN)).page(503, request_id=request_id)
    assert Reader(page.body).tags == ["p"]


@given(st.text(), st.text())
def test_whatever_stands_in_the_request_id_or_the_detail_is_text(request_id: str, detail: str) -> None:
    page = error_page(400, request_id="i" + request_id, detail="d" + detail)
    plain = error_page(400, request_id="i", detail="d")
    assert Reader(page.body).tags == Reader(plain.body).tags
    assert b"\r" not in b"".join(name + value for name, value in page.headers)
