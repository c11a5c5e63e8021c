"""Whether a fragment is well-formed HTML, and every mistake with its place.

Here: one question, ``mistakes``.  Not here: placeholders (``fragments``, which asks with harmless letters in their
stead) and the place where the fragment will stand (``context``).

What counts as well-formed: every tag is whole, every element that has an end tag is closed in order, nothing is
closed that is not open, and the tree that HTML builds has exactly the elements written, each inside the element
that it is written in.  End tags that HTML lets one omit (``</li> </p> </td> </option>``…) may be omitted where the
element ends inside an element that is closed, so that nothing leaks out of the fragment: ``<ul><li>a<li>b</ul>``
is fine, ``<li>a<li>b`` is not.  Unescaped ``&`` and ``<`` are fine where HTML reads them as text without complaint.

Two engines read every fragment; where they differ, browsers might.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import turbohtml
from selectolax.lexbor import LexborHTMLParser

from edgeproxy.html import scan
from edgeproxy.html.scan import Kind, Token


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake at an offset into the fragment's text."""

    at: int
    what: str
    hint: str = ""


OMITTABLE: Final = frozenset(
    {"li", "dt", "dd", "p", "option", "optgroup", "rb", "rt", "rtc", "rp", "caption", "colgroup"}
    | {"thead", "tbody", "tfoot", "tr", "td", "th"}
)
"""Elements whose end tag HTML lets one leave out (WHATWG, 13.1.2.4)."""

_PAGE_ONLY: Final = frozenset({"html", "head", "body", "frameset", "frame", "plaintext"})
_IMPLIED: Final = frozenset({"tbody", "colgroup"})  # <table><tr> is right without them
_TABLE_PARTS: Final = frozenset({"table", "tbody", "thead", "tfoot", "tr", "colgroup"})
_AROUND: Final = {
    **dict.fromkeys(("td", "th"), "<table><tbody><tr>"),
    "tr": "<table><tbody>",
    **dict.fromkeys(("tbody", "thead", "tfoot", "caption", "colgroup"), "<table>"),
    "col": "<table><colgroup>",
    **dict.fromkeys(
        ("path", "g", "circle", "rect", "line", "polyline", "polygon", "ellipse", "use", "symbol"), "<svg>"
    ),
    **dict.fromkeys(("defs", "stop", "tspan", "mask", "clipPath", "filter", "marker", "pattern"), "<svg>"),
}
_HEAD: Final = "<!DOCTYPE html><html><head></head><body>"
_ENDS_IN_REFERENCE: Final = re.compile(r"&#?[0-9A-Za-z]*\Z")
_MAX_NESTING: Final = 200

_WORDS: Final = {
    "unknown-named-character-reference": ("unknown character reference", 'write "&amp;" for a plain "&"'),
    "null-character-reference": ("&#0; is no character", "leave it out"),
    "unexpected-null-character": ("a NUL character", "leave it out"),
    "control-character-in-input-stream": ("a control character", "leave it out"),
    "non-void-html-element-start-tag-with-trailing-solidus": (
        'HTML ignores the "/" that should close this tag',
        "write an end tag",
    ),
    "missing-whitespace-between-attributes": ("no space between two attributes", "put a space there"),
    "unexpected-character-in-attribute-name": (
        "a stray quote or < in an attribute's name",
        "check the quotes before it",
    ),
    "unexpected-character-in-unquoted-attribute-value": (
        "a quote, < or = in a value without quotes",
        "put the value in quotes",
    ),
    "unexpected-equals-sign-before-attribute-name": ("a = without a name before it", ""),
    "unexpected-solidus-in-tag": ('a stray "/" in a tag', "leave it out"),
    "missing-attribute-value": ("an attribute with = and no value", 'write "" for an empty value'),
    "invalid-first-character-of-tag-name": ('"<" without a tag behind it', "write &lt;"),
    "missing-end-tag-name": ('"</>" closes nothing', "leave it out"),
    "end-tag-with-attributes": ("an end tag with attributes", "leave them out"),
    "end-tag-with-trailing-solidus": ('an end tag with a "/" at its end', "leave it out"),
    "incorrectly-closed-comment": ('a comment that ends in "--!>"', 'write "-->"'),
    "incorrectly-opened-comment": ('"<!" that begins no comment', 'write "<!--"'),
    "abrupt-closing-of-empty-comment": ("a comment that ends before it begins", 'write "<!-- -->"'),
    "nested-comment": ("a comment inside a comment", 'the first "-->" ends both'),
    "unexpected-doctype": ("a doctype", "a fragment stands inside the page: leave it out"),
    "cdata-in-html-content": ("CDATA outside SVG and MathML", "write the text with &lt; and &amp;"),
    "disallowed-processing-instruction-target": ('"<?" begins nothing in HTML', "leave it out"),
    "unexpected-question-mark-instead-of-tag-name": ('"<?" begins nothing in HTML', "leave it out"),
}
_SILENT: Final = frozenset(
    {"duplicate-attribute", "missing-semicolon-after-character-reference"}  # told below; harmless in addresses
    | {"eof-in-tag", "eof-in-comment", "eof-in-script-html-comment-like-text", "eof-before-tag-name", "eof-in-cdata"}
)
_POINTS_BACK: Final = {
    "unknown-named-character-reference": "&",
    "null-character-reference": "&",
    "invalid-first-character-of-tag-name": "<",
}


def mistakes(source: str) -> list[Mistake]:
    """Every mistake in a fragment, in order of place; [] when it is well-formed."""
    source = source.replace("\r", " ")  # one character a character: the parser would join \r\n
    tokens = list(scan.tokens(source))
    first = next((token.name for token in tokens if token.kind is Kind.START), "")
    around = _AROUND.get(first, "")
    opening = _HEAD + around
    document = turbohtml.parse(
        opening + source, source_locations=True, scripting=True, allow_declarative_shadow_roots=False
    )
    tree = _Tree(document, len(opening))
    found = [*_of_tokens(source, tokens), *_of_parser(document, source, len(opening))]
    found += _of_nesting(tokens, tree)
    if not found:
        found += _of_tree(source, tokens, tree)
    if not found and _shape(opening + source) != _shape_of(document):
        found.append(Mistake(0, "two HTML parsers read this fragment differently", "write it more simply"))
    return sorted(set(found), key=lambda mistake: mistake.at)


class _Tree:
    """The fragment's elements in the parsed tree, by the offset of their start tag."""

    def __init__(self, document: turbohtml.Document, offset: int) -> None:
        self.elements: dict[int, turbohtml.Element] = {}
        self.order: list[int] = []
        self.ends: set[int] = set()
        self.implied: list[turbohtml.Element] = []
        self.offset = offset
        for element in document.iter_elements():
            location = element.source_location
            if location is None:
                self.implied.append(element)
            elif location.start_tag.start_offset >= offset:
                at = location.start_tag.start_offset - offset
                self.elements[at] = element
                self.order.append(at)
                if location.end_tag is not None:
                    self.ends.add(location.end_tag.start_offset - offset)

    def inside(self, at: int) -> set[int]:
        """Offsets of the fragment's elements inside one of them."""
        found = set()
        for element in self.elements[at].iter_elements():
            location = element.source_location
            if location is not None and location.start_tag.start_offset - self.offset != at:
                found.add(location.start_tag.start_offset - self.offset)
        return found


def _of_tokens(source: str, tokens: Sequence[Token]) -> Iterator[Mistake]:
    for token in tokens:
        text = source[token.start : token.end]
        if not token.finished:
            what = {Kind.COMMENT: "this comment", Kind.RAW: f"<{token.name}>"}.get(token.kind, "this tag")
            hint = {Kind.COMMENT: 'write "-->"', Kind.RAW: f"write </{token.name}>"}.get(token.kind, 'write ">"')
            yield Mistake(token.start, f"{what} is not closed", hint)
        elif token.kind is Kind.START:
            if token.name in _PAGE_ONLY:
                yield Mistake(token.start, f"<{token.name}> has no place in a fragment", "it stands inside the page")
            seen: set[str] = set()
            for attribute in token.attributes:
                if attribute.name in seen:
                    yield Mistake(attribute.start, f'attribute "{attribute.name}" twice in one tag', "keep one of them")
                seen.add(attribute.name)
        elif token.kind is Kind.TEXT and token.end == len(source) and _ENDS_IN_REFERENCE.search(text):
            at = token.start + text.rfind("&")
            yield Mistake(at, "the fragment ends inside a character reference", 'write "&amp;" for a plain "&"')


def _of_parser(document: turbohtml.Document, source: str, offset: int) -> Iterator[Mistake]:
    lines = [0, *(i + 1 for i, c in enumerate(source) if c == "\n")]
    for error in document.errors:
        if error.code in _SILENT:
            continue
        line = error.line - 1
        at = lines[line] + error.col - (offset if line == 0 else 0) if line < len(lines) else len(source)
        if at >= 0:
            if error.code in _POINTS_BACK:
                at = max(source.rfind(_POINTS_BACK[error.code], 0, at + 1), 0)
            what, hint = _WORDS.get(error.code, (error.code.replace("-", " "), ""))
            yield Mistake(min(at, len(source)), what, hint)


def _of_nesting(tokens: Sequence[Token], tree: _Tree) -> Iterator[Mistake]:
    """Tags taken as brackets."""
    open_: list[Token] = []
    for token in tokens:
        if token.kind is Kind.START and token.finished:
            if token.name not in scan.VOID and not token.self_closing and token.name not in _PAGE_ONLY:
                open_.append(token)
                if len(open_) == _MAX_NESTING:
                    yield Mistake(token.start, f"more than {_MAX_NESTING} elements inside each other", "")
        elif token.kind is Kind.END and token.finished:
            names = [o.name for o in open_]
            if token.name in scan.VOID:
                yield Mistake(token.start, f"<{token.name}> has no end tag in HTML", "leave it out")
            elif token.name not in names:
                hint = "leave it out" if token.name in _PAGE_ONLY else f"leave it out, or open <{token.name}> before"
                yield Mistake(token.start, f"</{token.name}> closes nothing", hint)
            else:
                at = len(names) - 1 - names[::-1].index(token.name)
                for inner in open_[at + 1 :]:
                    if inner.name not in OMITTABLE:
                        yield Mistake(
                            inner.start,
                            f"<{inner.name}> is not closed before </{token.name}>",
                            f"write </{inner.name}> before it",
                        )
                del open_[at:]
    swallowing = tokens[-1].name if tokens and tokens[-1].kind is Kind.RAW and not tokens[-1].finished else ""
    for left in open_:
        if left.name != swallowing:  # told already
            yield Mistake(left.start, f"<{left.name}> is not closed", f"write </{left.name}>")


def _of_tree(source: str, tokens: Sequence[Token], tree: _Tree) -> Iterator[Mistake]:
    """What HTML makes of tags that look right: drops, moves and closes."""
    starts = [token for token in tokens if token.kind is Kind.START]
    for token in starts:
        if token.start not in tree.elements:
            yield Mistake(token.start, f"<{token.name}> cannot stand here: HTML drops it", "")
            return
    stray = next((t for t in tokens if t.kind is Kind.END and t.start not in tree.ends), None)
    implied = next((e for e in tree.implied if e.tag not in _IMPLIED and e.tag not in ("html", "head", "body")), None)
    if (displaced := _displaced(starts, tokens, tree)) is not None:
        yield displaced
    elif stray is not None:
        yield Mistake(stray.start, f"</{stray.name}> closes nothing: HTML has closed it before", "")
    elif implied is not None:
        location = next((e.source_location for e in implied.iter_elements() if e.source_location is not None), None)
        at = location.start_tag.start_offset - tree.offset if location is not None else 0
        yield Mistake(at, f"HTML puts a <{implied.tag}> of its own around this", f"write <{implied.tag}>")
    yield from _of_text(source, tokens, tree)


def _displaced(starts: Sequence[Token], tokens: Sequence[Token], tree: _Tree) -> Mistake | None:
    """The first element that is written inside another and does not end up there."""
    for outer, close in _pairs(tokens):
        inside = tree.inside(outer.start)
        for token in starts:
            if (outer.start < token.start < close) != (token.start in inside):
                return Mistake(token.start, f"<{token.name}> cannot stand inside <{outer.name}>: HTML moves it out", "")
    if tree.order != sorted(tree.order):
        return Mistake(0, "HTML builds these elements in another order than written", "")
    return None


def _pairs(tokens: Sequence[Token]) -> Iterator[tuple[Token, int]]:
    """Start tags with the offset of the end tag that belongs to them; tokens are known to nest."""
    open_: list[Token] = []
    for token in tokens:
        if token.kind is Kind.START and token.name not in scan.VOID and not token.self_closing:
            open_.append(token)
        elif token.kind is Kind.END:
            while open_:
                left = open_.pop()
                if left.name == token.name:
                    yield left, token.start
                    break


def _of_text(source: str, tokens: Sequence[Token], tree: _Tree) -> Iterator[Mistake]:
    """Text between the parts of a table is moved out of it."""
    open_: list[Token] = []
    for token in tokens:
        if token.kind is Kind.START and token.name not in scan.VOID and not token.self_closing:
            open_.append(token)
        elif token.kind is Kind.END:
            while open_ and open_.pop().name != token.name:
                pass
        elif token.kind is Kind.TEXT and open_ and open_[-1].name in _TABLE_PARTS:
            text = source[token.start : token.end]
            element = tree.elements.get(open_[-1].start)
            kept = any(isinstance(c, turbohtml.Text) and c.data.strip() for c in element.children) if element else False
            if text.strip() and not kept:
                at = token.start + len(text) - len(text.lstrip())
                yield Mistake(at, f"text cannot stand directly inside <{open_[-1].name}>: HTML moves it out", "")


def _shape_of(document: turbohtml.Document) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []

    def walk(node: turbohtml.Node, depth: int) -> None:
        for child in node.children:
            if isinstance(child, turbohtml.Element):
                found.append((child.tag.lower(), depth))
                if child.tag != "template":
                    walk(child, depth + 1)

    walk(document, 0)
    return found


def _shape(source: str) -> list[tuple[str, int]]:
    root = LexborHTMLParser(source, scripting=True).root
    found: list[tuple[str, int]] = []
    stack = [(root, 0)] if root is not None else []
    while stack:
        node, depth = stack.pop()
        if node.is_element_node:
            found.append((str(node.tag).lower(), depth))
        children = [] if node.tag == "template" else list(node.iter(include_text=False))
        stack.extend((child, depth + 1) for child in reversed(children))
    return found
