"""How old an answer is, how long it is fresh, and what may be done with it when it is not (RFC 9111, 4.2).

Here: pure functions, the paragraph beside each line.  Not here: reading the fields (``cachecontrol``, ``httpdate``),
whether an answer may be stored at all (``storing``), the store (``pages``).

Two clocks are arguments.  ``at`` is the wall clock, seconds since the epoch, which dates are told in and which may be
set back; ``tick`` counts seconds and never goes back, but may stand still while a machine sleeps.  An answer is as old
as the older of the two says: a clock that is set back makes nothing fresh again, and one that runs ahead only makes us
ask the shop sooner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from edgeproxy.core import httpdate
from edgeproxy.core.cachecontrol import CacheControl, delta_seconds, is_dictionary, parse

__all__ = [
    "DISCONNECTED",
    "Freshness",
    "Lifetimes",
    "Use",
    "age",
    "control",
    "excused",
    "judged",
    "lifetime",
    "use",
    "values",
]

Lines = Sequence[tuple[bytes, bytes]]
"""Header lines in wire order, names lower-case."""

DISCONNECTED: Final = 3600.0
"""Seconds that an answer may be stale while the shop cannot be reached, where nobody said (RFC 9111, 4.2.4)."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long an answer may be used: seconds from its making, and seconds beyond that."""

    fresh: float
    stale_while_revalidate: float = 0.0  # RFC 5861, 3
    stale_if_error: float = 0.0  # RFC 5861, 4: the shop answers 5xx
    stale_if_gone: float = 0.0  # RFC 9111, 4.2.4: the shop cannot be reached


@dataclass(frozen=True, slots=True)
class Freshness:
    """A stored answer's times, fixed when it came or was confirmed."""

    lifetimes: Lifetimes
    initial_age: float  # seconds, corrected (RFC 9111, 4.2.3)
    at: float  # when it came: wall clock
    tick: float  # the same moment by the clock that never goes back

    def age(self, at: float, tick: float) -> float:
        """Seconds since it was made (RFC 9111, 4.2.3: current_age)."""
        resident = max(at - self.at, tick - self.tick, 0.0)
        return self.initial_age + resident

    def fresh_until(self, at: float, tick: float) -> float:
        """The wall clock's time at which it stops being fresh, as seen now."""
        return at + self.lifetimes.fresh - self.age(at, tick)


class Use(Enum):
    """What a stored answer is good for (RFC 9111, 4.2)."""

    FRESH = "fresh"
    STALE_WHILE_REVALIDATE = "stale, and asked for anew behind it"
    VALIDATE = "stale: the shop is asked whether it still holds"


def use(freshness: Freshness, at: float, tick: float) -> Use:
    """What may be done with it now."""
    beyond = freshness.age(at, tick) - freshness.lifetimes.fresh
    if beyond < 0:  # 4.2: fresh while freshness_lifetime > current_age
        return Use.FRESH
    if beyond < freshness.lifetimes.stale_while_revalidate:
        return Use.STALE_WHILE_REVALIDATE
    return Use.VALIDATE


def excused(freshness: Freshness, at: float, tick: float, *, gone: bool) -> bool:
    """May it be used stale, now that the shop failed?  ``gone``: it could not be reached; else it answered 5xx."""
    lifetimes = freshness.lifetimes
    beyond = freshness.age(at, tick) - lifetimes.fresh
    return beyond < (lifetimes.stale_if_gone if gone else lifetimes.stale_if_error)


# --------------------------------------------------------------------------- from the fields of an answer


def values(lines: Lines, name: bytes) -> list[bytes]:
    """The values of a field's lines, in order; names in lower case."""
    return [value for key, value in lines if key == name]


def control(lines: Lines) -> tuple[CacheControl, bool]:
    """The directives that hold for us, and whether a targeted field said them.

    That is the targeted field where there is a readable one, else Cache-Control.  We are a cache in front of the
    shop, which is what CDN-Cache-Control is for (RFC 9213, 3).  A targeted field that is empty or cannot be read is
    ignored (2.1), but for what it forbids; what other targeted fields forbid holds too.
    """
    general = values(lines, b"cache-control")
    said = parse(general)
    if not general and any(b"no-cache" in value.lower() for value in values(lines, b"pragma")):
        said = parse([b"no-cache"])  # 5.4: for caches that know no better; here it is the safe reading
    for name in (b"surrogate-control", b"cdn-cache-control"):
        found = values(lines, name)
        if not found:
            continue
        targeted = parse(found)
        if name == b"cdn-cache-control" and not targeted.malformed and is_dictionary(found):
            return targeted, True
        said = _forbidding(said, targeted)
    return said, False


def _forbidding(said: CacheControl, also: CacheControl) -> CacheControl:
    return replace(
        said,
        no_store=said.no_store or also.no_store,
        private=said.private or also.private,
        no_cache=said.no_cache or also.no_cache,
        must_revalidate=said.must_revalidate or also.must_revalidate,
        proxy_revalidate=said.proxy_revalidate or also.proxy_revalidate,
    )


def lifetime(lines: Lines, said: CacheControl, at: float, *, targeted: bool = False) -> float | None:
    """Seconds that the shop says its answer is fresh in a shared cache; None when it does not say (RFC 9111, 4.2.1).

    There is no guess from Last-Modified: heuristic freshness (4.2.2) is off.  ``targeted``: the directives came from
    a targeted field, beside which Expires counts for nothing (RFC 9213, 2.1).
    """
    if said.s_maxage is not None:  # "if the cache is shared and the s-maxage response directive is present"
        return float(said.s_maxage)
    if said.max_age is not None:  # "if the max-age response directive is present"
        return float(said.max_age)
    expires = [] if targeted else values(lines, b"expires")
    if expires:  # "if Expires is present, use its value minus the value of Date"
        moments = [httpdate.parse(value, at) for value in expires]
        if None in moments:  # 5.3: an invalid date, especially "0", is a time in the past
            return 0.0
        earliest = min(moment for moment in moments if moment is not None)  # 4.2.1: several: the stricter one
        date = _date(lines, at)
        return max(earliest - (at if date is None else date), 0.0)
    return None


def age(lines: Lines, at: float, delay: float) -> float | None:
    """Seconds that an answer had behind it when it came (RFC 9111, 4.2.3: corrected_initial_age); None: not known.

    ``delay`` is the time between asking and its head.  5.1 would ignore an Age that is no number, and take the first
    of several; since we cannot know how old the answer is then, it counts as unknown here, and as old as the oldest.
    """
    parts = b",".join(values(lines, b"age")).split(b",") if any(name == b"age" for name, _ in lines) else []
    told = [delta_seconds(part.strip(b" \t").decode("latin-1")) for part in parts]
    if None in told:
        return None
    age_value = max((seconds for seconds in told if seconds is not None), default=0)
    date = _date(lines, at)
    apparent = max(0.0, at - date) if date is not None else 0.0
    return max(apparent, age_value + delay)


def _date(lines: Lines, at: float) -> float | None:
    """When the answer was made; None when it does not say, or more than one thing (RFC 9110, 6.6.1: then now)."""
    found = values(lines, b"date")
    return httpdate.parse(found[0], at) if len(found) == 1 else None


def judged(lifetimes: Lifetimes, lines: Lines, *, at: float, tick: float, delay: float) -> Freshness:
    """The times of an answer that came now; one of unknown age is stale from the start."""
    initial = age(lines, at, delay)
    return Freshness(lifetimes, lifetimes.fresh if initial is None else initial, at, tick)
