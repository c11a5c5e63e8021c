"""Tokens with places, against the tokenizer of turbohtml."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
import turbohtml
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.html import scan
from edgeproxy.html.scan import Kind

Seen = list[tuple[str, str, tuple[str, ...]]]

PIECES = """< > / ! - -- ? = " ' a b div <a </a <!-- --> <br/> <script> </script> <style> </style> <textarea> </title>
    <title>
    &amp; x=1 y="2" z='3' <!doctype_html> <plaintext> é <A_B=C> <noscript> </noscript> </textarea_> _ ~ \f"""
SOUP = st.lists(st.sampled_from(re.split(r"[\n ]+", PIECES)), max_size=14).map(
    lambda pieces: "".join(pieces).replace("_", " ").replace("~", "\n")
)


def ours(source: str) -> Seen:
    found: Seen = []
    for token in scan.tokens(source):
        text = source[token.start : token.end]
        if token.kind in (Kind.TEXT, Kind.RAW):
            _text(found, text)
        elif token.finished or token.kind is Kind.COMMENT:
            kind = {Kind.START: "start", Kind.END: "end", Kind.COMMENT: "comment"}[token.kind]
            names = tuple(dict.fromkeys(a.name for a in token.attributes)) if kind == "start" else ()
            found.append((kind, text, names))
    return found


def theirs(source: str) -> Seen:
    found: Seen = []
    for token in turbohtml.tokenize(source, resolve_references=False, capture_source=True):
        text = token.source if token.source is not None else token.data or ""
        kind = token.type.name
        if kind in ("TEXT", "CHARACTER_REFERENCE"):
            _text(found, text)
        elif kind == "START_TAG":
            found.append(("start", text, tuple(name for name, _ in token.attrs or ())))
        else:
            found.append(("end" if kind == "END_TAG" else "comment", text, ()))
    return found


def _text(found: Seen, text: str) -> None:
    if found and found[-1][0] == "text":
        found[-1] = ("text", found[-1][1] + text, ())
    else:
        found.append(("text", text, ()))


@given(SOUP)
def test_tokens_join_to_the_source_and_are_those_of_the_parser(source: str) -> None:
    tokens = list(scan.tokens(source))
    assert "".join(source[token.start : token.end] for token in tokens) == source
    if "<?" not in source and not source.endswith("<"):  # processing instructions are in flux
        assert ours(source) == theirs(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('<a href="x">', [("href", 3, 11, 9, 10, '"')]),
        ("<a HREF = 'x' b>", [("href", 3, 13, 11, 12, "'"), ("b", 14, 15, 15, 15, None)]),
        ("<a href=x/>", [("href", 3, 10, 8, 10, "")]),
        ("<a href=>", [("href", 3, 8, 8, 8, "")]),
        ("<a\r\n  b\n=\n1>", [("b", 6, 11, 10, 11, "")]),
        ('<a b="1"c="2">', [("b", 3, 8, 6, 7, '"'), ("c", 8, 13, 11, 12, '"')]),
        ("<a b=1 b=2>", [("b", 3, 6, 5, 6, ""), ("b", 7, 10, 9, 10, "")]),
        ("<a/b=1>", [("b", 3, 6, 5, 6, "")]),
    ],
)
def test_attributes_have_their_places(source: str, expected: list[tuple[object, ...]]) -> None:
    token = scan.start_tag(source)
    assert token is not None
    assert [(a.name, a.start, a.end, a.value_start, a.value_end, a.quote) for a in token.attributes] == expected


@pytest.mark.parametrize(
    ("source", "closes"), [("<g/>", True), ("<g />", True), ("<g a=b/>", False), ("<g / >", False)]
)
def test_a_slash_closes_only_right_before_the_end(source: str, closes: bool) -> None:
    token = scan.start_tag(source)
    assert token is not None
    assert token.self_closing is closes


@pytest.mark.shared
def test_real_pages_and_awkward_documents(shared: Path) -> None:
    pages = [gzip.decompress(file.read_bytes()).decode("latin-1") for file in shared.glob("corpus/*.html.gz")]
    for file in sorted(shared.glob("corpus/html5lib-tree-construction/*.dat")):
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
        pages += re.findall(r"#data\n(.*?)\n#errors", text, re.DOTALL)
    compared = 0
    for page in pages:
        page = page.replace("\r", " ")
        if "\0" not in page and page != "<?":
            assert ours(page) == theirs(page)
            compared += 1
    assert compared > 1500
