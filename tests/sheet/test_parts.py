"""A sheet's pure parts: which cells a wish means, what reads differently, and pages made ready for a frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.sheet.differences import MOST_LINES, compared, words_of
from edgeproxy.sheet.framing import framed, outline_style
from edgeproxy.sheet.model import OWN, Cell, Persona, Place, Wish, cells_of, troubles_of

ADDRESS = "https://shop.example/c/boots?page=2"


def test_every_page_at_every_moment_for_everybody_the_shop_itself_first() -> None:
    wish = Wish(("/", "/c"), (), ("2026-12-24", "2027-01-01"))
    places = list(cells_of(wish, (Persona(OWN), Persona("anna"))))
    assert len(places) == 8
    assert places[:3] == [
        Place("/", "2026-12-24", OWN),
        Place("/", "2026-12-24", "anna"),
        Place("/", "2027-01-01", OWN),
    ]
    assert list(cells_of(Wish(("/",), ()), (Persona(OWN),))) == [Place("/", "", OWN)]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish((), ()), "no page is named"),
        (Wish(("c/boots",), ()), '"c/boots" is no path'),
        (Wish(("//evil.example/",), ()), '"//evil.example/" is no path'),
        (Wish(("https://shop.example/",), ()), "is no path"),
        (Wish(("/a b",), ()), "is no path"),
        (Wish(("/\r\nx: y",), ()), "is no path"),
        (Wish(("/#top",), ()), "is no path"),
        (Wish(("/" + "x" * 3000,), ()), "is no path"),
        (Wish(("/",), ("olga",)), 'there is no persona "olga"; personas.toml has anna, bo'),
        (Wish(("/",) * 100, ()), "that would be 300 pictures, and 200 are the most"),
    ],
)
def test_what_cannot_be_shown_is_told(wish: Wish, words: str) -> None:
    assert words in "; ".join(troubles_of(wish, ("anna", "bo")))


def test_what_can_be_shown_is_no_trouble() -> None:
    assert troubles_of(Wish(("/", "/c/boots?a=1&b=%20"), ("anna",)), ("anna", "bo")) == ()


# ------------------------------------------------------------------ what reads differently


@pytest.mark.parametrize(
    ("html", "lines"),
    [
        ("<h1>Hi  <b>you</b>\n there</h1><p>one<p>two", ["Hi you there", "one", "two"]),
        ("<p>a<script>x()</script><style>p{}</style><!-- c --><noscript>n</noscript>b", ["ab"]),
        ("<p hidden>gone</p><div><span hidden>gone</span>here</div>", ["here"]),
        ("<ul><li>one<li><a href=x>two</a> and</ul>", ["one", "two and"]),
        ('<form><input type=hidden value="csrf-1"><label>Name</label></form>', ["Name"]),
        ("", []),
        ("no tags at all", ["no tags at all"]),
        ("<frameset><frame></frameset>", []),
    ],
)
def test_the_words_of_a_page_are_what_people_read(html: str, lines: list[str]) -> None:
    assert words_of(html) == lines


def test_a_deep_page_is_read_too() -> None:
    assert words_of("<div>" * 3000 + "deep")[-1:] == ["deep"]


def test_differences_are_lines_that_went_and_lines_that_came() -> None:
    taken, added = compared(["menu", "hero", "shelf"], ["hello", "hero", "shelf", "bye"])
    assert (taken, added) == (["menu"], ["hello", "bye"])
    assert compared(["same"], ["same"]) == ([], [])


def test_a_long_difference_is_a_summary() -> None:
    taken, added = compared([f"line {n}" for n in range(50)], ["x" * 1000])
    assert len(taken) == MOST_LINES + 1
    assert taken[-1] == f"… and {50 - MOST_LINES} lines more"
    assert len(added[0]) == 160


@given(st.lists(st.text(max_size=5), max_size=20))
def test_nothing_differs_from_itself(lines: list[str]) -> None:
    assert compared(lines, lines) == ([], [])


# ------------------------------------------------------------------ a page in a frame


def page(body: bytes, *selectors: str, charset: str = "utf-8") -> Cell:
    outlines = tuple((one, "") for one in selectors)
    return Cell(Place("/c/boots?page=2", "", "anna"), 200, body, charset=charset, outlines=outlines)


@pytest.mark.parametrize(
    ("body", "base"),
    [
        (b"<!doctype html><html><head><title>x</title></head>", ADDRESS),
        (b'<head><base href="/shop/"></head>', "https://shop.example/shop/"),
        (b"<head><base target=_top href='https://cdn.example/a/'></head>", "https://cdn.example/a/"),
        (b'<head><base href="javascript:alert(1)"></head>', ADDRESS),
        (b'<head><base href="//cdn.example/&quot;x/"></head>', "https://cdn.example/&#34;x/"),
        (b"<p>no head", ADDRESS),
        (b"", ADDRESS),
    ],
)
def test_addresses_in_a_frame_lead_where_they_led(body: bytes, base: str) -> None:
    shown = framed(page(body), ADDRESS)
    assert f'<base href="{base}" target="_blank">' in shown.replace("&quot;", "&#34;")
    assert shown.index("<base") <= shown.index("<style")


def test_a_frame_keeps_the_mode_of_the_page_and_its_letters() -> None:
    shown = framed(page("<!DOCTYPE html>\n<p>café".encode("cp1252"), charset="cp1252"), ADDRESS)
    assert shown.startswith("<!DOCTYPE html><base")
    assert shown.endswith("<p>café")


@pytest.mark.parametrize("hostile", ["p</style><script>", "p { } body", "p} * {color:red", "</STYLE"])
def test_a_selector_cannot_leave_the_style(hostile: str) -> None:
    assert outline_style(page(b"", hostile, "#hero")).count("outline:") == 1


def test_what_is_changed_is_outlined_and_the_whole_page_is_not() -> None:
    style = outline_style(page(b"", "body", "#hero", "main > ul:nth-child(2)"))
    assert "body {" not in style
    assert style.count("outline:") == 2
