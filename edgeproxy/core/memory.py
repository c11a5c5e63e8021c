"""What edgeproxy remembers of one visitor: the noun, and the few steps by which it grows.

Here: ``Memory`` as frozen data, what it says at a moment, and the same memory with one thing more.  Not here: the
cookie that carries it (``state``), when a visit or an order counts (``lifecycle``), which words rules have for it
(``conditions.memory``).  Anybody in ``core`` may import it; it imports nothing of ours.

It lives in the visitor's own browser and nowhere else.  It holds counts, days and codes: never an address, a name, a
page, a price, or anything that is worth something; a copy that is played again shows an old picture, no more.

Moments are whole minutes since the epoch, days are whole days since the epoch (UTC): coarse on purpose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

MINUTES_A_DAY: Final = 1440
MOST_CATEGORIES: Final = 8
MOST_EVENTS: Final = 8
MOST_SHOWN: Final = 32  # experiences and groups whose exposures are remembered
MOST_TIMES: Final = 12  # exposures of one of them: the largest number that a cap may name
MOST: Final = 999  # visits, page views and orders are not counted further

ORDER: Final = "order"
SIGNED_IN: Final = "signed-in"
SIGNED_OUT: Final = "signed-out"

CODE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,23}")
"""What events and categories of orders are called, in rules and in ``Edge-Event``."""


class Preference(Enum):
    """What the visitor asked for on their own page."""

    SIMPLE = "simple"
    FULL = "full"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Memory:
    """One visitor as their browser remembers them; ``visits == 0``: nothing but their own choices."""

    id: str = ""  # opaque, made by chance: keeps shares stable
    first_day: int = 0
    active: int = 0  # minute of the last activity, renewed at most every quarter of an hour; 0: a sample (``moored``)
    visits: int = 0  # this one included
    away: int | None = None  # whole days between the visit before and this one; None: this is the first
    page_views: int = 0  # up to the largest number that a rule names
    orders: int = 0
    signed_in: bool = False
    events: tuple[tuple[str, int], ...] = ()  # (name, minute it last happened), newest first; "order" among them
    bought: tuple[tuple[str, int], ...] = ()  # (category code, day of the order), newest first
    shown: tuple[tuple[str, tuple[int, ...]], ...] = ()  # (code of an experience or group, its minutes, newest first)
    prefers: Preference | None = None
    csat: int | None = None  # 1 to 5, the last one told
    nps: int | None = None  # 0 to 10
    opted_out: bool = False  # wants not to be remembered

    @property
    def last_day(self) -> int:
        """The day of the last activity."""
        return self.active // MINUTES_A_DAY

    @property
    def last_order(self) -> int | None:
        """Minute of the last order."""
        return self.happened(ORDER)

    def happened(self, event: str) -> int | None:
        """Minute when this event last happened; None: never, or longer ago than is remembered."""
        return next((at for name, at in self.events if name == event), None)

    def times(self, code: str) -> tuple[int, ...]:
        """Minutes when the experience or group of this code was shown, newest first."""
        return next((times for one, times in self.shown if one == code), ())

    @property
    def choices(self) -> Memory | None:
        """What the visitor chose, and nothing else; None where they chose nothing.

        It is what may be kept without consent: they asked for it themselves, by a click.
        """
        if self.prefers is None and not self.opted_out:
            return None
        return Memory(prefers=self.prefers, opted_out=self.opted_out)

    # ------------------------------------------------------------------ one thing more

    def with_event(self, event: str, minute: int) -> Memory:
        """The same memory, in which ``event`` happened last at ``minute``."""
        others = tuple(one for one in self.events if one[0] != event)
        return replace(self, events=_newest(((event, minute), *others), MOST_EVENTS))

    def with_categories(self, codes: tuple[str, ...], day: int) -> Memory:
        """The same memory, in which these categories were bought on ``day``; the newest eight stay."""
        wanted = dict.fromkeys(codes)
        others = tuple(one for one in self.bought if one[0] not in wanted)
        return replace(self, bought=_newest((*((code, day) for code in wanted), *others), MOST_CATEGORIES))

    def with_exposure(self, code: str, minute: int, keep: int = MOST_TIMES) -> Memory:
        """The same memory, in which the experience or group ``code`` was shown at ``minute``; ``keep`` times stay."""
        times = tuple(sorted((minute, *self.times(code)), reverse=True)[: min(keep, MOST_TIMES)])
        others = tuple(one for one in self.shown if one[0] != code)
        shown = sorted(((code, times), *others), key=lambda one: one[1][0], reverse=True)
        return replace(self, shown=tuple(shown[:MOST_SHOWN]))


def begun(at: float, ident: str = "") -> Memory:
    """The memory of somebody who is here for the first time at ``at`` (seconds): this visit, and nothing else."""
    return Memory(id=ident, first_day=day_of(at), active=minute_of(at), visits=1)


def moored(memory: Memory, at: float) -> Memory:
    """A sample's memory (a persona's) as it is at ``at``: its moments are told from when it is looked at, 0 is now.

    A real visitor's, whose last activity is a moment of its own, stays the very same object.
    """
    if memory.active or not memory.visits:
        return memory
    minute, day = minute_of(at), day_of(at)
    return replace(
        memory,
        first_day=memory.first_day + day,
        active=minute,
        events=tuple((name, one + minute) for name, one in memory.events),
        bought=tuple((code, one + day) for code, one in memory.bought),
        shown=tuple((code, tuple(one + minute for one in times)) for code, times in memory.shown),
    )


def minute_of(at: float) -> int:
    """The minute in which a moment (seconds since the epoch) lies."""
    return int(at // 60)


def day_of(at: float) -> int:
    """The day in which a moment (seconds since the epoch) lies."""
    return int(at // 86400)


def _newest(entries: tuple[tuple[str, int], ...], most: int) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(entries, key=lambda one: one[1], reverse=True)[:most])
