"""Cache-Control and its kin, read in the way that shares less (RFC 9111, 5.2).

Here: from field lines to a ``CacheControl``.  Not here: what follows from it (``freshness``, ``storing``).  Pure
text, and nothing here raises: what a shop writes is data.

Where a value is malformed, the two kinds of directives are read differently.  One that *restricts* (``no-store``,
``private``, ``no-cache``, ``must-revalidate``, ``proxy-revalidate``) holds wherever its word stands, also in a piece
that cannot be read, behind a quote that never closes, or with arguments that it does not take.  One that *allows*
(``max-age``, ``s-maxage``, ``public``, ``stale-…``) holds only as RFC 9111 writes it; a lifetime that cannot be read
is none at all (4.2.1), one that stands there twice is the shorter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

__all__ = ["LONGEST", "CacheControl", "delta_seconds", "is_dictionary", "parse"]

LONGEST: Final = 2**31
"""Seconds: what is longer is this long (RFC 9111, 1.2.2)."""


@dataclass(frozen=True, slots=True)
class CacheControl:
    """What the lines of one field say; lifetimes in seconds, None where none was said."""

    no_store: bool = False
    private: bool = False  # also with field names, which RFC 9111, 5.2.2.7, lets us read as without
    no_cache: bool = False  # the same (5.2.2.4)
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    public: bool = False
    max_age: int | None = None
    s_maxage: int | None = None
    stale_while_revalidate: int | None = None  # RFC 5861, 3
    stale_if_error: int | None = None  # RFC 5861, 4
    malformed: bool = False  # a part could not be read


# token [ "=" ( token / quoted-string ) ] (RFC 9110, 5.6.2 and 5.6.4)
_WORD: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_DIRECTIVE: Final = re.compile(rf"[ \t]*(?:(?P<name>{_WORD})(?:=(?:(?P<token>{_WORD})|(?P<quoted>{_QUOTED})))?)?[ \t]*")
_RESTRICTS: Final = re.compile(
    r"(?<![\w-])(no-store|private|no-cache|must-revalidate|proxy-revalidate)(?![\w-])", re.ASCII
)
_DIGITS: Final = re.compile(r"[0-9]+")
_LIFETIMES: Final = frozenset({"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"})
# what of a Dictionary (RFC 8941, 3.2) is read here too; a lifetime is an Integer and nothing else (RFC 9213, 2.1)
_MEMBER: Final = (
    r"(?:(?:max-age|s-maxage|stale-while-revalidate|stale-if-error)=[0-9]{1,15}(?=[ \t]*+(?:,|\Z))"
    r"|(?!(?:max-age|s-maxage|stale-while-revalidate|stale-if-error)(?![a-z0-9_.*-]))[a-z*][a-z0-9_.*-]*+"
    r"(?>(?:=(?:[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z-]*+|-?[0-9]{1,12}(?>(?:\.[0-9]{1,3})?)"
    r'|"(?>(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"))?))'
)
_DICTIONARY: Final = re.compile(rf"[ ]*+{_MEMBER}(?>(?:[ \t]*+,[ \t]*+{_MEMBER})*)[ ]*+")
_SHORT: Final = 256  # bytes; longer ones are not remembered
_FLAGS: Final = frozenset({"public"})


def parse(lines: Iterable[bytes]) -> CacheControl:
    """The values of all lines of one field, in order."""
    all_ = tuple(lines)
    return _remembered(all_) if sum(map(len, all_)) <= _SHORT else _parse(all_)


def is_dictionary(lines: Iterable[bytes]) -> bool:
    """May a targeted field with these lines be taken at its word (RFC 9213, 2.1)?  False where it is empty, too.

    A Cache-Control parser reads much as a token that no Structured Field may hold, and quotes around a number.
    """
    return _DICTIONARY.fullmatch(b", ".join(lines).decode("latin-1")) is not None


def _parse(lines: tuple[bytes, ...]) -> CacheControl:
    said = CacheControl()
    for line in lines:
        text = line.decode("latin-1")
        for word in _RESTRICTS.findall(text.lower()):
            said = replace(said, **{word.replace("-", "_"): True})
        said = _allowed(text, said)
    return said


_remembered: Final = lru_cache(1024)(_parse)  # a shop says the same few things all day


def _allowed(text: str, said: CacheControl) -> CacheControl:
    """With what a line allows: piece by piece, each only where it is written as it must be."""
    at = 0
    while at <= len(text):
        found = _DIRECTIVE.match(text, at)
        assert found is not None  # everything in it may be missing
        end = found.end()
        if end < len(text) and text[end] != ",":
            said = replace(said, malformed=True)
            end = _behind(text, end)
            if end < 0:  # a quote that never closes: what it hides is not known
                return said
            at = end + 1
            said = _spoilt(text[found.start() : end], said)
            continue
        if found["name"]:
            said = _with(said, found["name"].lower(), found["token"], found["quoted"])
        at = end + 1
    return said


def _behind(text: str, at: int) -> int:
    """Where the piece that ``at`` stands in ends: its comma or the end; -1 when a quote never closes."""
    quoted = False
    while at < len(text):
        if text[at] == "\\" and quoted:
            at += 1
        elif text[at] == '"':
            quoted = not quoted
        elif text[at] == "," and not quoted:
            return at
        at += 1
    return -1 if quoted else at


def _spoilt(piece: str, said: CacheControl) -> CacheControl:
    """A lifetime inside a piece that cannot be read (``max-age=1 0``, ``max-age = 60``) is none."""
    name = piece.partition("=")[0].strip(" \t").lower()
    return _lifetime(said, name, 0) if name in _LIFETIMES else said


def _with(said: CacheControl, name: str, token: str | None, quoted: str | None) -> CacheControl:
    if name in _LIFETIMES:
        # "recipients ought to accept both" token and quoted-string (RFC 9111, 5.2)
        argument = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted[1:-1])
        seconds = delta_seconds(argument) if argument is not None else None
        return _lifetime(said if seconds is not None else replace(said, malformed=True), name, seconds or 0)
    if name in _FLAGS:
        if token is None and quoted is None:
            return replace(said, **{name.replace("-", "_"): True})
        return replace(said, malformed=True)
    return said


def _lifetime(said: CacheControl, name: str, seconds: int) -> CacheControl:
    field = name.replace("-", "_")
    before: int | None = getattr(said, field)
    shorter: dict[str, Any] = {field: seconds if before is None else min(before, seconds)}
    return replace(said, **shorter)


def delta_seconds(text: str) -> int | None:
    """A non-negative integer of seconds (RFC 9111, 1.2.2), at most ``LONGEST``; None when it is none."""
    if not _DIGITS.fullmatch(text):
        return None
    digits = text.lstrip("0")
    return LONGEST if len(digits) > 10 else min(int(digits or "0"), LONGEST)
