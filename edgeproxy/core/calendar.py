"""Schedules against each other: who wants one slot at one time, and when a slot that had somebody has nobody.

Here: ``collisions`` and ``gaps``, from the book alone.  Not here: the moment of one request (``decide``), drawing
(``console``).  Who comes first in shop.toml's order has a slot; a collision is no mistake, but worth knowing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf

from edgeproxy.core.model import Experience, RuleBook, Slot
from edgeproxy.core.overlap import meet
from edgeproxy.core.people import People, people


@dataclass(frozen=True, slots=True)
class Collision:
    """Two experiences that take one slot, for visitors of both audiences, at one time; ``first`` has it."""

    slot: str
    first: str
    second: str
    begins: float | None  # seconds since the epoch; None: no beginning
    ends: float | None  # exclusive; None: no end
    scheduled: bool  # False: both are there all the time


@dataclass(frozen=True, slots=True)
class Gap:
    """A time between two experiences in which a slot has none for an audience."""

    slot: str
    audience: str
    after: str  # the experience before it
    before: str  # the one after it
    begins: float
    ends: float


def collisions(book: RuleBook, now: float) -> tuple[Collision, ...]:
    """Every collision that is not over, those of schedules first, by when they begin."""
    who = people(book)
    found = [
        one
        for slot in book.slots.values()
        if slot.enabled and book.shop.enabled
        for one in _collisions(who, slot, _takers(book, slot), now)
    ]
    found.sort(key=lambda one: (not one.scheduled, one.begins or -inf, one.slot))
    return tuple(found)


def gaps(book: RuleBook, now: float) -> tuple[Gap, ...]:
    """Every gap that is not over, by when it begins."""
    who = people(book)
    found: list[Gap] = []
    for slot in book.slots.values():
        if not slot.enabled or not book.shop.enabled:
            continue
        takers = _takers(book, slot)
        for name in dict.fromkeys(name for one in takers for name in one.audiences):
            found += _gaps(slot.name, name, _serving(who, takers, name), now)
    found.sort(key=lambda gap: (gap.begins, gap.slot, gap.audience))
    return tuple(found)


def _takers(book: RuleBook, slot: Slot) -> list[Experience]:
    """Who takes the slot, and can: in the order in which they are tried."""
    return [
        one
        for one in book.experiences
        if one.enabled
        and one.share > 0
        and meet(one.on, slot.on)
        and any(edit.slot == slot.name and edit.action.takes_slot for edit in one.edits)
    ]


def _collisions(who: People | None, slot: Slot, takers: list[Experience], now: float) -> Iterator[Collision]:
    for place, first in enumerate(takers):
        for second in takers[place + 1 :]:
            begins = max(_begins(first), _begins(second))
            ends = min(_ends(first), _ends(second))
            if begins >= ends or ends <= now or not meet(first.on, second.on, slot.on):
                continue
            if who is not None and not who.possible(first.audiences) & who.possible(second.audiences):
                continue
            scheduled = any(moment is not None for one in (first, second) for moment in (one.begins, one.ends))
            yield Collision(slot.name, first.name, second.name, _or_none(begins), _or_none(ends), scheduled)


def _serving(who: People | None, takers: Iterable[Experience], audience: str) -> list[Experience]:
    """Those of the takers that everybody of an audience gets."""
    if who is None:
        return [one for one in takers if audience in one.audiences]
    theirs = who.possible([audience])
    return [one for one in takers if audience in one.audiences or not theirs & ~who.certain(one.audiences)]


def _gaps(slot: str, audience: str, serving: list[Experience], now: float) -> Iterator[Gap]:
    last: Experience | None = None
    for one in sorted(serving, key=_begins):
        if last is not None and last.ends is not None and one.begins is not None and last.ends < one.begins > now:
            yield Gap(slot, audience, last.name, one.name, last.ends, one.begins)
        if last is None or _ends(one) > _ends(last):
            last = one


def _begins(one: Experience) -> float:
    return -inf if one.begins is None else one.begins


def _ends(one: Experience) -> float:
    return inf if one.ends is None else one.ends


def _or_none(moment: float) -> float | None:
    return None if moment in {inf, -inf} else moment
