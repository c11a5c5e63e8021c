"""Conditions about how long ago: the first visit, the one before this, the last order, a silence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from edgeproxy.core import durations
from edgeproxy.core.conditions import shapes
from edgeproxy.core.conditions.registry import About, Labels, condition
from edgeproxy.core.conditions.remembered import Remembered
from edgeproxy.core.memory import Memory, day_of, minute_of
from edgeproxy.core.model import Condition
from edgeproxy.core.rules.sheet import Spot
from edgeproxy.core.words import both, meant

WITHIN = "within"
BEFORE = "before"


@dataclass(frozen=True, slots=True)
class Ago(Remembered):
    """Something happened within such a time, or longer ago."""

    never: ClassVar[str]  # "there is no order"
    step: ClassVar[float] = durations.DAY  # seconds: how finely it is remembered

    within: float | None  # seconds
    before: float | None

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        properties = {WITHIN: shapes.DURATION, BEFORE: shapes.DURATION}
        return {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1}

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Self | None:
        if not isinstance(value, Mapping) or not value:
            text = value if isinstance(value, str) else "14 days"
            spot.tell(f"{cls.key} wants {{ {WITHIN} = … }} or {{ {BEFORE} = … }}", f'{{ {WITHIN} = "{text}" }}?')
            return None
        read: dict[str, float | None] = {}
        for name, one in value.items():
            if name in {WITHIN, BEFORE}:
                read[name] = shapes.duration(one, spot.at(name), cls.step)
            else:
                hint = meant(name, (WITHIN, BEFORE)) or f"{WITHIN} or {BEFORE}"
                spot.at(name).tell_key(f'unknown key "{name}"', hint)
                read[name] = None
        if None in read.values():
            return None
        within, before = read.get(WITHIN), read.get(BEFORE)
        if within is not None and before is not None and within <= before:
            what = f"within {durations.words(within)} and before {durations.words(before)} is never"
            spot.at(WITHIN).tell(what, "change one of them")
            return None
        return cls(within, before)

    @property
    def wanted(self) -> str:
        before = [] if self.before is None else [f"more than {durations.words(self.before)} ago"]
        return both([*before, *([] if self.within is None else [f"within {durations.words(self.within)}"])])

    def ago(self, memory: Memory, at: float) -> float | None:
        """Seconds since it happened, in whole steps; None: it never did."""
        raise NotImplementedError

    def seen(self, memory: Memory, at: float) -> tuple[bool | None, str]:
        ago = self.ago(memory, at)
        if ago is None:
            return False, self.never
        held = (self.within is None or ago <= self.within) and (self.before is None or ago > self.before)
        when = "today" if self.step == durations.DAY and ago < durations.DAY else f"{durations.words(ago)} ago"
        return held, f"{self.what} was {when}"


@condition
@dataclass(frozen=True, slots=True)
class FirstVisit(Ago):
    """They came here first within a week, or longer ago."""

    key: ClassVar[str] = "first_visit"
    help: ClassVar[str] = 'the first visit was { within = "7 days" } or { before = "7 days" }'
    what: ClassVar[str] = "the first visit"
    never: ClassVar[str] = "there is no first visit"

    def ago(self, memory: Memory, at: float) -> float | None:
        return max(0, day_of(at) - memory.first_day) * durations.DAY


@condition
@dataclass(frozen=True, slots=True)
class LastVisit(Ago):
    """The visit before this one was within a month, or longer ago."""

    key: ClassVar[str] = "last_visit"
    help: ClassVar[str] = 'the visit before this one was { within = "30 days" } or { before = "30 days" } ago'
    what: ClassVar[str] = "the last visit"
    never: ClassVar[str] = "there was no visit before this one"

    def ago(self, memory: Memory, at: float) -> float | None:
        return None if memory.away is None else memory.away * durations.DAY


@condition
@dataclass(frozen=True, slots=True)
class LastOrder(Ago):
    """They ordered within two weeks, or longer ago."""

    key: ClassVar[str] = "last_order"
    help: ClassVar[str] = 'the last order was { within = "14 days" } or { before = "14 days" } ago'
    what: ClassVar[str] = "the last order"
    never: ClassVar[str] = "there is no order"
    step: ClassVar[float] = durations.MINUTE

    def ago(self, memory: Memory, at: float) -> float | None:
        last = memory.last_order
        return None if last is None else max(0, minute_of(at) - last) * durations.MINUTE


@condition
@dataclass(frozen=True, slots=True)
class CameBackAfter(Remembered):
    """This visit follows a silence of so many days."""

    key: ClassVar[str] = "came_back_after"
    help: ClassVar[str] = 'this visit follows a silence at least so long: "30 days"'
    what: ClassVar[str] = "the last visit"

    silence: float  # seconds, whole days

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        return shapes.DURATION

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        silence = shapes.duration(value, spot, durations.DAY)
        return None if silence is None else cls(silence)

    @property
    def wanted(self) -> str:
        return durations.words(self.silence)

    def seen(self, memory: Memory, at: float) -> tuple[bool | None, str]:
        if memory.away is None:
            return False, LastVisit.never
        away = memory.away * durations.DAY
        return away >= self.silence, f"came back after {durations.words(away) if away else 'hours'}"
