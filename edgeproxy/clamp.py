"""Freshness cut short: where the book is about to change, nobody downstream keeps a page beyond that.

Here: cache lifetimes in an answer's lines, as a pure function.  Not here: when the book changes
(``core.policy``), what a personal page says (``respond``, which hands this out as its own).
"""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formatdate, parsedate_to_datetime

__all__ = ["clamped", "targeted"]

Lines = Sequence[tuple[bytes, bytes]]
NewLines = list[tuple[bytes, bytes]]

# Cache rules for one kind of cache, which go before Cache-Control there (RFC 9213 and its forerunners)
_TARGETED = frozenset(
    {b"cdn-cache-control", b"edge-control", b"surrogate-control", b"x-accel-expires", b"x-litespeed-cache-control"}
)


def targeted(name: bytes) -> bool:
    """Is this field a rule for one kind of cache?"""
    return name in _TARGETED or name.endswith(b"-cdn-cache-control")


def clamped(lines: Lines, seconds: float, now: float) -> NewLines:
    """An answer that nobody downstream may keep fresh beyond ``seconds`` from ``now`` (epoch).

    Freshness only ever shrinks: max-age and s-maxage, in Cache-Control and in the rules for single kinds of
    caches, and Expires; what extends a stale answer's life goes.  A lifetime that cannot be read is none
    (RFC 9111, 4.2.1).  Where the shop left it to the cache's own guess (4.2.2), ``no-cache`` forbids the guess.
    """
    age = max((_number(value) or 0 for name, value in lines if name == b"age"), default=0)
    limit = max(int(seconds), 0) + age
    leaving: NewLines = []
    explicit = guessable = False
    for name, value in lines:
        if name == b"cache-control" or (targeted(name) and name != b"x-accel-expires"):
            value, found = _shortened(value, limit)
            explicit = explicit or found
            if not value:
                continue
        elif name == b"expires":
            explicit = True
            value = _earlier(value, lines, limit, now)
        elif name == b"x-accel-expires":
            lifetime = _number(value)
            value = b"%d" % min(lifetime if lifetime is not None else 0, limit)
        elif name == b"last-modified":
            guessable = True
        leaving.append((name, value))
    if guessable and not explicit:
        leaving.append((b"cache-control", b"no-cache"))
    return leaving


_LIFETIMES = frozenset({b"max-age", b"s-maxage"})
_EXTENSIONS = frozenset({b"stale-while-revalidate", b"stale-if-error"})


def _shortened(value: bytes, limit: int) -> tuple[bytes, bool]:
    """One Cache-Control value with no lifetime over ``limit``; whether it speaks of freshness at all.

    Quotes are not looked at: a lifetime inside a quoted argument shrinks too, which does no harm, and an open
    quote cannot hide one.  A value with nothing to shorten is returned as it is.
    """
    kept: list[bytes] = []
    explicit = touched = False
    for directive in value.split(b","):
        name, equals, argument = directive.partition(b"=")
        name = name.strip().lower().lstrip(b"!")
        if name in _EXTENSIONS:
            touched = True
            continue
        if name in _LIFETIMES:
            explicit = True
            # Surrogate-Control may extend it: max-age=600+60
            bare = argument.strip(b'" \t').partition(b"+")[0]
            lifetime = _number(bare)
            if lifetime is None or lifetime > limit or b"+" in argument:
                touched = True
                directive = name + b"=%d" % min(lifetime or 0, limit)
        elif name == b"no-store" or (name == b"no-cache" and not equals):
            explicit = True
        if directive.strip():
            kept.append(directive.strip())
    return (b", ".join(kept) if touched else value), explicit


def _earlier(value: bytes, lines: Lines, limit: int, now: float) -> bytes:
    """An Expires no later than ``limit`` seconds after the answer's own Date; one in the past stays as it is."""
    date = next((seconds for name, line in lines if name == b"date" and (seconds := _date(line)) is not None), now)
    expires = _date(value)
    if expires is None or expires <= date + limit:
        return value
    return formatdate(date + limit, usegmt=True).encode("ascii")


def _date(value: bytes) -> float | None:
    try:
        return parsedate_to_datetime(value.decode("ascii")).timestamp()
    except (ValueError, OverflowError):
        return None


def _number(value: bytes) -> int | None:
    """A non-negative integer (RFC 9111, 1.2.2), None when it is not one."""
    value = value.strip()
    return int(value[:12]) if value.isdigit() else None
