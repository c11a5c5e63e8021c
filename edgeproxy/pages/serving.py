"""What a kept answer that leaves untouched says to conditions and ranges (RFC 9110, 13 and 14).

Here: pure functions from a request's lines and a kept answer's.  Not here: pages that edits are made on, whose
conditions are of our own variants (``respond``).  Called by ``proxy``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from edgeproxy.core import httpdate

__all__ = ["Part", "not_modified", "part"]

Lines = Sequence[tuple[bytes, bytes]]

_TAG: Final = re.compile(rb'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_TAGS: Final = re.compile(rb'[ \t,]*(?:(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"[ \t]*(?:,[ \t,]*|\Z))+')
_RANGE: Final = re.compile(rb"[ \t]*bytes[ \t]*=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


def not_modified(asked: Lines, kept: Lines, now: float) -> bool:
    """Does the visitor hold this very answer?  (13.2.2: If-None-Match goes before If-Modified-Since.)

    ``now``: seconds, for years of two digits.
    """
    tags = _values(asked, b"if-none-match")
    if tags:
        etag = _first(kept, b"etag")
        if etag is None:
            return False
        bare = _TAG.fullmatch(etag)
        for value in tags:
            if value.strip() == b"*":
                return True  # 13.1.2: there is a current representation
            if bare is not None and _TAGS.fullmatch(value) and bare[1] in _TAG.findall(value):  # weak comparison
                return True
        return False
    since = _values(asked, b"if-modified-since")
    last = _first(kept, b"last-modified") or _first(kept, b"date")  # RFC 9111, 4.3.2: then by when it was made
    if len(since) != 1 or last is None:
        return False
    then, changed = httpdate.parse(since[0], now), httpdate.parse(last, now)
    return then is not None and changed is not None and changed <= then  # 13.1.3


class Part(NamedTuple):
    """One range of a body: ``start`` and ``end`` (exclusive); both 0 where none of it is there (416)."""

    start: int
    end: int


def part(asked: Lines, kept: Lines, size: int, now: float) -> Part | None:
    """The one range that was asked for; None where the whole answer is right.

    That is so for several ranges, for what is no range of bytes (14.2: may be ignored), and where If-Range names
    another answer than this one (13.1.5: only a strong validator is good enough).
    """
    found = _RANGE.fullmatch(b",".join(_values(asked, b"range")))
    if found is None or not (found[1] or found[2]):
        return None
    wanted = _values(asked, b"if-range")
    if wanted and not _same(wanted, kept, now):
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        return Part(size - length, size) if length else Part(0, 0)
    start = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    if found[2] and int(found[2]) < start:
        return None  # 14.1.1: invalid
    return Part(start, end) if start < size else Part(0, 0)


def _same(wanted: Sequence[bytes], kept: Lines, now: float) -> bool:
    if len(wanted) != 1:
        return False
    value = wanted[0].strip(b" \t")
    if value.startswith(b'"'):
        return value == _first(kept, b"etag")
    if value.startswith(b"W/"):
        return False
    last, date = _first(kept, b"last-modified"), _first(kept, b"date")
    if value != last or date is None:
        return False
    changed, made = httpdate.parse(last, now), httpdate.parse(date, now)
    return changed is not None and made is not None and made - changed >= 1  # 8.8.2.2: then it is strong


def _values(lines: Lines, name: bytes) -> list[bytes]:
    return [value for key, value in lines if key == name]


def _first(lines: Lines, name: bytes) -> bytes | None:
    return next((value for key, value in lines if key == name), None)
