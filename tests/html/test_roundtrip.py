"""Edits on the DOM, for slots whose owner allows that their page is written anew."""

from __future__ import annotations

import pytest

from edgeproxy.html.charset import detect
from edgeproxy.html.model import Unplannable
from edgeproxy.html.roundtrip import Change, DomEdit, roundtrip

MIXED = "<!doctype html><html><head></head><body><b><div id=x class='a b'>one</b>two<i>3</i></div></body></html>"
TREE = '<b></b><div id="x" class="a b"><b>one</b>two<i>3</i></div>'


def made(*edits: DomEdit, html: str = MIXED) -> str:
    body = html.encode()
    written = roundtrip(body, detect("text/html; charset=utf-8", body), edits).decode()
    head, _, rest = written.partition("<body>")
    assert head == "<!doctype html><html><head></head>"
    return rest.removesuffix("</body></html>")


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (DomEdit("#x", Change.REMOVE), "<b></b>"),
        (DomEdit("#x", Change.REPLACE, "<p>new</p> text"), "<b></b><p>new</p> text"),
        (DomEdit("#x", Change.BEFORE, "<p>1</p>2<p>3</p>"), TREE.replace("<div", "<p>1</p>2<p>3</p><div")),
        (DomEdit("#x", Change.AFTER, "<p>1</p>2<p>3</p>"), TREE + "<p>1</p>2<p>3</p>"),
        (DomEdit("#x", Change.PREPEND, "1<u>2</u>"), TREE.replace("<b>one", "1<u>2</u><b>one")),
        (DomEdit("#x", Change.APPEND, "1<u>2</u>"), TREE.replace("</i>", "</i>1<u>2</u>")),
        (DomEdit("#x", Change.INNER, "new"), '<b></b><div id="x" class="a b">new</div>'),
        (DomEdit("#x", Change.INNER, ""), '<b></b><div id="x" class="a b"></div>'),
        (DomEdit("#x > i", Change.PREPEND, "0"), TREE.replace("<i>3", "<i>03")),
        (DomEdit("#x", Change.KEEP_FIRST, keep=1), TREE.replace("<i>3</i>", "")),
        (DomEdit("#x", Change.REORDER, order=("i",)), '<b></b><div id="x" class="a b"><i>3</i>two<b>one</b></div>'),
        (
            DomEdit("#x", Change.START_TAG, attributes=(("title", 'a "b" <c>'), ("id", None), ("lang", None))),
            '<b></b><div class="a b" title="a &quot;b&quot; &lt;c&gt;"><b>one</b>two<i>3</i></div>',
        ),
        (DomEdit("#x", Change.START_TAG, add=("c", "a"), drop=("b", "z")), TREE.replace("a b", "a c")),
    ],
    ids=lambda value: value.change.value if isinstance(value, DomEdit) else "",
)
def test_each_change(edit: DomEdit, expected: str) -> None:
    assert made(edit) == expected


def test_selectors_are_asked_of_the_page_as_it_came() -> None:
    edits = [
        DomEdit("body > div:nth-child(2)", Change.BEFORE, "<div>new</div>"),
        DomEdit("body > div:nth-child(2)", Change.INNER, "inner"),
        DomEdit("#x", Change.START_TAG, attributes=(("hidden", ""),)),
    ]
    assert made(*edits) == '<b></b><div>new</div><div id="x" class="a b" hidden="">inner</div>'


def test_what_an_outer_edit_took_away_is_not_edited() -> None:
    assert made(DomEdit("#x", Change.INNER, "new"), DomEdit("#x i", Change.REPLACE, "lost")) == (
        '<b></b><div id="x" class="a b">new</div>'
    )


def test_rows_stay_in_tables() -> None:
    html = "<!doctype html><html><head></head><body><table><tr id=x><td>1</table></body></html>"
    rows = "<tr><td>0</td></tr>"
    assert made(DomEdit("#x", Change.BEFORE, rows), html=html) == (
        f'<table><tbody>{rows}<tr id="x"><td>1</td></tr></tbody></table>'
    )


OLD = (
    '<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN">'
    "<html><head></head><body><p id=x>{}</p></body></html>"
)


def test_the_doctype_the_mark_and_the_charset_are_kept() -> None:
    body = b"\xef\xbb\xbf" + OLD.format("é").encode()
    written = roundtrip(body, detect(None, body), [DomEdit("#x", Change.APPEND, "日")])
    assert written.startswith(b"\xef\xbb\xbf" + OLD[:60].encode())
    assert "é日</p>".encode() in written
    body = OLD.format("é").encode("cp1252")
    written = roundtrip(body, detect("text/html; charset=latin1", body), [DomEdit("#x", Change.APPEND, "日")])
    assert b"\xe9&#26085;</p>" in written


@pytest.mark.parametrize(
    ("body", "edit", "why"),
    [
        (b"<p id=x>\xff", DomEdit("#x", Change.REMOVE), "not valid utf-8"),
        (b"<p id=x>a", DomEdit("#y", Change.REMOVE), 'finds nothing for the selector "#y"'),
        (b"<p id=x>a", DomEdit("p:nonsense(", Change.REMOVE), 'cannot use the selector "p:nonsense("'),
        (b"<div>" * 600 + b"<p id=x>", DomEdit("#x", Change.REMOVE), "deep"),
        (b"<p id=x>" + b"a" * 2**21, DomEdit("#x", Change.REMOVE), "more than 2,097,152"),
        (b"<pre>\n\nkeeps a newline</pre><p id=x>", DomEdit("#x", Change.REMOVE), "parses to the same tree"),
        (b"<p id=x>a<plaintext>b", DomEdit("#x", Change.AFTER, "c"), "parses to the same tree"),
    ],
)
def test_pages_that_cannot_make_the_trip(body: bytes, edit: DomEdit, why: str) -> None:
    with pytest.raises(Unplannable) as refused:
        roundtrip(body, detect("text/html; charset=utf-8", body), [edit])
    assert why in str(refused.value)


def test_raw_text_has_no_references_to_fall_back_on() -> None:
    body = b"<p id=x>a"
    charset = detect("text/html; charset=latin1", body)
    with pytest.raises(Unplannable, match="windows-1252 has not all characters of a <style>"):
        roundtrip(body, charset, [DomEdit("#x", Change.AFTER, "<style>a::after{content:'日'}</style>")])
