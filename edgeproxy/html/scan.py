"""Tokens of HTML source with their places: tags, attributes, comments, text (WHATWG, 13.2.5).

Here: the tokenizer's rules as far as places need them; nothing is decoded, nothing is built.  The tree is
turbohtml's business.  Two callers: ``starttag`` rewrites single attributes of a page's start tag, ``fragments``
asks what a placeholder stands in.  Source is text with one character per byte (latin-1) or plain text: every
character that matters here is ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

VOID: Final = frozenset(
    {"area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "keygen", "link"}
    | {"meta", "param", "source", "track", "wbr"}
)
"""Elements that never have content (WHATWG, 13.1.2 and, for the obsolete ones, 13.3)."""

RCDATA: Final = frozenset({"title", "textarea"})
"""Elements whose content is text in which character references count."""

RAW_TEXT: Final = frozenset({"script", "style", "xmp", "iframe", "noembed", "noframes", "noscript", "plaintext"})
"""Elements whose content is text as it stands (``noscript`` because scripting is on)."""

NEWLINE_EATERS: Final = frozenset({"pre", "listing", "textarea"})
"""Elements whose start tag swallows the newline right after it (WHATWG, 13.2.6.4.7)."""

_SPACE: Final = "\t\n\f\r "
_TAG_NAME: Final = re.compile(r"[A-Za-z][^\t\n\f\r />]*")
_BETWEEN: Final = re.compile(r"[\t\n\f\r /]*")
_NAME: Final = re.compile(r"=?[^\t\n\f\r />=]*")
_EQUALS: Final = re.compile(r"[\t\n\f\r ]*=[\t\n\f\r ]*")
_UNQUOTED: Final = re.compile(r"[^\t\n\f\r >]*")
_COMMENT_END: Final = re.compile(r"--!?>")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a tag; offsets into the source, half-open.

    ``quote`` is the quotation mark, "" for an unquoted value and None where there is no value at all.
    """

    name: str  # ASCII lower-case
    start: int
    end: int  # behind the value with its closing quote
    value_start: int
    value_end: int
    quote: str | None


class Kind(Enum):
    START = "start tag"
    END = "end tag"
    COMMENT = "comment"  # bogus comments, doctypes and processing instructions too
    TEXT = "text"
    RAW = "raw text"  # inside script, style, textarea, title…


@dataclass(frozen=True, slots=True)
class Token:
    """A stretch of source; ``name`` is the tag's, or the element's that RAW text stands in."""

    kind: Kind
    start: int
    end: int
    name: str = ""
    attributes: tuple[Attribute, ...] = ()
    self_closing: bool = False
    finished: bool = True  # False: the source ended inside


def tag_attributes(source: str, at: int) -> tuple[tuple[Attribute, ...], int, bool, bool]:
    """The attributes of a tag from the end of its name on → (attributes, end, self-closing, finished).

    Duplicates are kept: HTML reads the first, and whoever removes an attribute must remove them all.
    """
    found: list[Attribute] = []
    size = len(source)
    while True:
        gap = _BETWEEN.match(source, at)
        start = gap.end() if gap else at
        if start >= size:
            return tuple(found), size, False, False
        if source[start] == ">":
            # "/" closes only directly before ">"; after an unquoted value it is part of the value
            return tuple(found), start + 1, start > at and source[start - 1] == "/", True
        name = _NAME.match(source, start)
        at = name.end() if name else start + 1
        equals = _EQUALS.match(source, at)
        if equals is None:
            found.append(Attribute(_lower(source[start:at]), start, at, at, at, None))
            continue
        label = _lower(source[start:at])
        value = equals.end()
        quote = source[value : value + 1]
        if quote in ('"', "'") and quote:
            close = source.find(quote, value + 1)
            if close < 0:
                return tuple(found), size, False, False
            at = close + 1
            found.append(Attribute(label, start, at, value + 1, close, quote))
        else:
            unquoted = _UNQUOTED.match(source, value)
            at = unquoted.end() if unquoted else value
            found.append(Attribute(label, start, at, value, at, ""))


def start_tag(source: str) -> Token | None:
    """The start tag that ``source`` begins with; None when it does not begin with one."""
    name = _TAG_NAME.match(source, 1) if source.startswith("<") else None
    return _tag(source, 0, name) if name else None


def tokens(source: str) -> Iterator[Token]:
    """All tokens in order, without a gap: their ranges join to the source.

    Foreign content (SVG, MathML) is read by the HTML rules; what differs there is caught by the comparison
    with the parsed tree.
    """
    at, size = 0, len(source)
    raw = ""  # the element whose raw text we are in
    while at < size:
        if raw:
            text = _raw_text(source, at, raw)
            raw, at = "", text.end
            if text.end > text.start:
                yield text
            continue
        token = (_markup(source, at) if source[at] == "<" else None) or Token(Kind.TEXT, at, _text_end(source, at))
        if token.kind is Kind.START and token.finished and (token.name in RCDATA or token.name in RAW_TEXT):
            raw = token.name
        yield token
        at = token.end


def _text_end(source: str, at: int) -> int:
    """Where text that begins at ``at`` ends: at the next markup."""
    while True:
        at = source.find("<", at + 1)
        if at < 0:
            return len(source)
        if _begins_markup(source, at):
            return at


def _begins_markup(source: str, at: int) -> bool:
    follow = source[at + 1 : at + 2]
    if follow == "/":
        return source[at + 2 : at + 3] != ""
    return follow in ("!", "?") or (follow.isascii() and follow.isalpha())


def _markup(source: str, at: int) -> Token | None:
    """The tag or comment at ``<``; None when this ``<`` is text."""
    if not _begins_markup(source, at):
        return None
    follow = source[at + 1]
    if follow == "/":
        name = _TAG_NAME.match(source, at + 2)
        return _tag(source, at, name, Kind.END) if name else _bogus(source, at)
    if follow in "!?":
        return _comment(source, at) if source.startswith("<!--", at) else _bogus(source, at)
    name = _TAG_NAME.match(source, at + 1)
    return _tag(source, at, name) if name else None


def _tag(source: str, at: int, name: re.Match[str], kind: Kind = Kind.START) -> Token:
    attributes, end, self_closing, finished = tag_attributes(source, name.end())
    return Token(kind, at, end, _lower(name.group()), attributes, self_closing, finished)


def _bogus(source: str, at: int) -> Token:
    end = source.find(">", at + 2)
    return Token(Kind.COMMENT, at, len(source) if end < 0 else end + 1, finished=end >= 0)


def _comment(source: str, at: int) -> Token:
    for abrupt in ("<!-->", "<!--->"):
        if source.startswith(abrupt, at):
            return Token(Kind.COMMENT, at, at + len(abrupt))
    end = _COMMENT_END.search(source, at + 4)
    return Token(Kind.COMMENT, at, end.end() if end else len(source), finished=end is not None)


def _raw_text(source: str, at: int, name: str) -> Token:
    """Raw text up to the end tag that fits; ``plaintext`` never ends."""
    if name != "plaintext":
        if name == "script":
            end = _script_end(source, at)
        else:
            found = re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE).search(source, at)
            end = found.start() if found else -1
        if end >= 0:
            return Token(Kind.RAW, at, end, name)
    return Token(Kind.RAW, at, len(source), name, finished=False)


_SCRIPT_STEP: Final = re.compile(r"<!--|-->|<(/?)script(?=[\t\n\f\r />])", re.IGNORECASE)


def _script_end(source: str, at: int) -> int:
    """Where a script's text ends; ``<!-- <script> … </script> -->`` hides one end tag (13.2.5.17 and on)."""
    escaped = doubly = False
    opened = at
    for step in _SCRIPT_STEP.finditer(source, at):
        text = step.group()
        if text == "<!--":
            if not escaped:
                # "<!-->" and "<!--->" open and close at once
                escaped, opened = True, step.start()
        elif text == "-->":
            if step.start() >= opened + 2:
                escaped = doubly = False
        elif not step.group(1):
            doubly = doubly or escaped
        elif doubly:
            doubly = False
        else:
            return step.start()
    return -1


def _lower(text: str) -> str:
    """ASCII lower-case: bytes of other scripts that look like latin-1 capitals stay."""
    return text if text.islower() else "".join(c.lower() if "A" <= c <= "Z" else c for c in text)
