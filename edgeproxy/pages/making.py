"""From an answer of the shop to the page that is kept; pure.

Here: what a page is made of, and what a 304 makes of one.  Not here: whether it may be kept (``core.storing``,
``marks``), asking and keeping (``cache``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from edgeproxy.core import freshness, storing
from edgeproxy.core.freshness import Lifetimes
from edgeproxy.core.model import RawHeaders
from edgeproxy.core.sharing import is_left_out
from edgeproxy.core.storing import Terms
from edgeproxy.html.traces import trace
from edgeproxy.pages.model import FullKey, StoredPage
from edgeproxy.plans import digest_of

__all__ = ["Came", "confirmed", "everyone", "is_text", "length_of", "made", "media_of", "times"]

Lines = Sequence[tuple[bytes, bytes]]

_TEXT: Final = re.compile(rb"text/.*|application/(?:.*[+-])?(?:json|xml|javascript|ecmascript)(?:.*)?")
_CONDITIONS: Final = {b"etag": b"if-none-match", b"last-modified": b"if-modified-since"}
_NOT_UPDATED: Final = frozenset(
    {b"content-length", b"content-encoding", b"content-type", b"content-range", b"set-cookie"}
)
MOST_TAGS: Final = 1000


@dataclass(frozen=True, slots=True)
class Came:
    """When an answer's head came, by both clocks, and how long after the question: seconds."""

    at: float
    tick: float
    delay: float


def made(full: FullKey, status: int, lines: Lines, body: bytes, terms: Terms, came: Came) -> StoredPage:
    """The page of a whole answer that may be kept on these terms."""
    rule = full[0].rule
    return StoredPage(
        key=full,
        status=status,
        lines=tuple(storing.stripped(lines, rule)),
        body=body,
        digest=digest_of(body),
        freshness=times(terms, lines, came),
        everyone=everyone(lines, terms),
        tags=_tags(lines),
        validators=_validators(lines),
    )


def confirmed(page: StoredPage, lines: Lines, came: Came, country_header: bytes = b"") -> StoredPage | str:
    """The kept page under the head of a 304 (RFC 9111, 3.2 and 4.3.4); or why it may not be kept any longer."""
    rule = page.rule
    told = {name for name, _ in lines}
    tags = [value for name, value in lines if name == b"etag"]
    if tags and tags != [value for name, value in page.lines if name == b"etag"]:
        return "it was confirmed as another answer"  # 4.3.4: of another validator
    named = told - _NOT_UPDATED
    merged = [
        *(line for line in page.lines if line[0] not in named),
        *(line for line in lines if line[0] in named),
    ]
    terms = storing.terms(page.status, merged, rule, came.at)
    if terms == storing.STALE:  # a 304 without an Expires of its own: it holds now, and is asked about next time
        terms = Terms(Lifetimes(0.0), from_rule=False, declared=False)
    if isinstance(terms, str):
        return terms
    if found := trace(b"", merged):
        return found
    keyed = {name for name, _ in page.key[1]}
    if any(
        is_left_out(name.encode(), country_header) for name in {*storing.varies(merged)} - {n.decode() for n in keyed}
    ):
        return "it varies by more than it did"
    # without a Date of its own the 304 came now; the old one would make the page stale at once
    dated = merged if b"date" in named else [line for line in merged if line[0] != b"date"]
    return replace(
        page,
        lines=tuple(storing.stripped(merged, rule)),
        freshness=times(terms, dated, came),
        everyone=everyone(merged, terms),
        tags=_tags(merged),
        validators=_validators(merged),
    )


def everyone(lines: Lines, terms: Terms) -> bool:
    """As ``StoredPage.everyone``."""
    if terms.from_rule:
        return True
    if "cookie" in storing.varies(lines):
        return False
    return terms.declared or media_of(lines) != b"text/html"


def media_of(lines: Lines) -> bytes:
    """The type of an answer, without parameters, lower-case; b"" when it has none."""
    value = next((value for name, value in lines if name == b"content-type"), b"")
    return value.partition(b";")[0].strip().lower()


def is_text(media: bytes) -> bool:
    """Could it hold what a page holds: a token, a name?"""
    return _TEXT.fullmatch(media) is not None


def length_of(lines: Lines) -> int | None:
    """Bytes of the body, where the head says."""
    return next((int(value) for name, value in lines if name == b"content-length" and value.isdigit()), None)


def times(terms: Terms, lines: Lines, came: Came) -> freshness.Freshness:
    """How old an answer is that came now, and how long it is fresh."""
    if terms.from_rule:  # the operator counts from when it came
        return freshness.judged(terms.lifetimes, (), at=came.at, tick=came.tick, delay=0.0)
    return freshness.judged(terms.lifetimes, lines, at=came.at, tick=came.tick, delay=came.delay)


def _tags(lines: Lines) -> frozenset[str]:
    """What the shop calls it for purging: Surrogate-Key has spaces between, Cache-Tag commas."""
    told = b" ".join(value for name, value in lines if name in (b"surrogate-key", b"cache-tag"))
    tags = told.decode("latin-1").replace(",", " ").split()
    return frozenset(tag for tag in tags[:MOST_TAGS] if len(tag) <= 256)


def _validators(lines: Lines) -> RawHeaders:
    """The conditions that ask whether an answer still holds (RFC 9111, 4.3.1)."""
    return tuple((_CONDITIONS[name], value) for name, value in lines if name in _CONDITIONS)
