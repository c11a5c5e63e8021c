"""The first law on pages that parsers disagree about, and on pages of real shops.

For every element that a plan trusts: cutting its bytes gives the tree that removing the node gives, and a comment
written at each of its offsets stands where the offset says and changes nothing else; judged by Lexbor and turbohtml.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeproxy.core.model import Expect
from edgeproxy.html import hazards
from edgeproxy.html.model import Element
from edgeproxy.html.plan import plan
from edgeproxy.html.trial import TOO_MANY
from edgeproxy.html.verify import verify
from tests.html.oracle import UTF8, agree, child_faults, documents, everything, faults, slot, view

LEXBOR_ALONE = {
    # Lexbor ends a <colgroup> at a comment; the standard and turbohtml keep the comment in it
    "<table><colgroup><!DOCTYPE html></colgroup></table>",
}
PER_PAGE = 2


def broken(text: str, elements: Sequence[Element]) -> list[str]:
    both = agree(text) and text not in LEXBOR_ALONE
    engines = ("turbohtml", "lexbor") if both else ("turbohtml",)
    return [
        f"<{element.tag}> at {element.start} of {text[:300]!r}: {fault}"
        for element in elements
        for fault in (*faults(text, element, engines), *child_faults(text, element))
    ]


@pytest.mark.shared
@pytest.mark.parametrize("children", [True, False], ids=["with children", "without"])
def test_every_element_of_every_conformance_document(shared: Path, children: bool) -> None:
    documented, disputed, trusted, wrong = 0, 0, 0, []
    for file in sorted((shared / "corpus" / "html5lib-tree-construction").glob("*.dat")):
        for data in documents(file.read_text(encoding="utf-8", errors="surrogatepass")):
            body = data.encode("utf-8", "surrogatepass")
            elements = everything(body, children=children)
            documented += 1
            disputed += not agree(view(body))
            trusted += sum(not element.trouble and not element.implied for element in elements)
            wrong += broken(view(body), elements)
            for element in elements:
                reasons = {element.trouble, element.outer_trouble, element.children_trouble, element.tag_trouble}
                assert reasons <= hazards.REASONS | {"", TOO_MANY}
    assert wrong == []
    assert documented >= 1500
    assert disputed <= 12  # documents that the two engines read differently: judged by one of them
    assert trusted >= 1500  # most of these documents have no <body>, or tags that are mixed on purpose


def shop_pages(shared: Path) -> list[Path]:
    return sorted((shared / "corpus").glob("*.html.gz"))


def sampled(body: bytes, number: int) -> list[Element]:
    """Some elements of a page, other ones on each page: big and small, at every depth."""
    find = ("body li, body td", "body *:nth-child(2)", "body > *", "body p, body form, body table")[number % 4]
    elements = plan(body, UTF8, [slot("s", find, Expect.ANY)]).slots["s"].elements
    return list(elements[number % 3 :: max(1, len(elements) // PER_PAGE)][:PER_PAGE])


@pytest.mark.shared
def test_elements_of_shop_pages(shared: Path) -> None:
    pages = shop_pages(shared)
    assert len(pages) == 20
    for number, file in enumerate(pages):
        body = gzip.decompress(file.read_bytes())
        elements = sampled(body, number)
        assert [element.trouble for element in elements if element.trouble] == [], file.name
        assert [fault for element in elements for fault in faults(view(body), element)] == [], file.name


@pytest.mark.shared
def test_elements_of_shop_pages_that_leave_end_tags_out(shared: Path) -> None:
    """The same pages as an old template would have written them: no end tags in lists and tables."""
    trusted, distrusted = 0, 0
    for number, file in enumerate(shop_pages(shared)):
        body = re.sub(rb"</(?:li|td|th|tr|option|dd|dt)>", b"", gzip.decompress(file.read_bytes()))
        elements = sampled(body, number + number // 4)
        trusted += sum(not element.trouble for element in elements)
        distrusted += sum(bool(element.trouble) for element in elements)
        assert [fault for element in elements for fault in faults(view(body), element)] == [], file.name
    assert trusted >= 20 * distrusted


@pytest.mark.shared
def test_verification_finds_nothing_on_shop_pages(shared: Path) -> None:
    slots = [slot("heading", "h1", Expect.ANY), slot("list", "ul", Expect.ANY), slot("body", "body")]
    for file in shop_pages(shared)[::4]:
        body = gzip.decompress(file.read_bytes())
        assert verify(body, plan(body, UTF8, slots), [one.name for one in slots]) == {}, file.name


TAGS = (
    *("div", "p", "ul", "li", "h1", "h2", "dl", "dd", "form", "pre", "table", "tr", "td", "tbody", "caption"),
    *("a", "b", "i", "span", "nobr", "button", "select", "option", "textarea", "ruby", "rt", "object", "x-y"),
    *("br", "img", "input", "svg", "math", "foreignObject", "title", "style", "template", "body", "frameset"),
)
TOKENS = st.one_of(
    st.sampled_from(TAGS).map("<{}>".format),
    st.sampled_from(TAGS).map("</{}>".format),
    st.sampled_from(TAGS).map("<{0}>x</{0}>".format),
    st.sampled_from(("x", " ", "\n", "&copy", ";", "&", "<", "1 < 2", "&nbsp;", "é", "\r\n", "<!--c-->", "</html>")),
)
STARTS = st.sampled_from(("", "<!doctype html>", "<!doctype html><html><head></head><body>"))


@given(STARTS, st.lists(TOKENS, max_size=14), st.sampled_from(("", "</body></html>", "</body>\n</html>\n")))
@example("<body>", ["<form>", "<ruby>", "</form>"], "</body>")  # </form> ends the form alone
@example("<table>", ["x", "<style> </style>", " "], "</table>")  # blank text goes where its neighbours go
@example("<body>", ["<div>", "</html>", "<!--c-->", "</div>"], "</body>")  # the comment leaves the page
@example("<body>", ["<", "</html>", "</template>", "<rt>", "x", "</rt>"], "</body></html>")
@example("<body>", ["<form>", "<div>", "</form>", "</div>", "<form>"], "</body>")
@example("<b><i>", ["<x-y>", "<x-y>", "<x-y>", "<div>", "</b>"], "")  # the adoption agency counts
def test_any_soup(start: str, tokens: list[str], end: str) -> None:
    body = (start + "".join(tokens) + end).encode()
    assert broken(view(body), everything(body)) == []
    assert broken(view(body), everything(body, children=False)) == []
