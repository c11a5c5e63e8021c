"""Our error pages: every status in every language, escaped, never a 500."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.errors import LANGUAGES, STATUSES, error_page


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


@given(st.text(), st.text())
def test_whatever_stands_in_the_request_id_or_the_detail_is_text(request_id: str, detail: str) -> None:
    page = error_page(400, request_id="i" + request_id, detail="d" + detail)
    plain = error_page(400, request_id="i", detail="d")
    assert Reader(page.body).tags == Reader(plain.body).tags
    assert b"\r" not in b"".join(name + value for name, value in page.headers)
