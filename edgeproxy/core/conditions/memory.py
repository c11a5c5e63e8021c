"""Conditions about what edgeproxy remembers: visits, orders, days, what was bought.  In audiences and lifecycle.toml.

A visitor of whom nothing is remembered because nothing may be (no consent), or whose state cookie proves nothing, has
unknown facts.  Somebody who is here for the first time is known to be: one visit, no order.

``facts`` names what was derived ("visits at least 3"), never the number itself: a decision's key holds the answer, so
that there are few keys and many visitors share one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from edgeproxy.core import durations
from edgeproxy.core.conditions import shapes
from edgeproxy.core.conditions.registry import About, Labels, condition
from edgeproxy.core.memory import MOST, Memory, Preference, begun, day_of, minute_of
from edgeproxy.core.model import Condition, Facts, Reasons, Source
from edgeproxy.core.rules.sheet import Spot
from edgeproxy.core.words import both, either, meant, quoted

AT_LEAST = "at_least"
AT_MOST = "at_most"
WITHIN = "within"
BEFORE = "before"
_EITHER_AMOUNT = f"{AT_LEAST} or {AT_MOST}"
_EITHER_TIME = f"{WITHIN} or {BEFORE}"


def remembered(facts: Facts) -> Memory | None:
    """The memory that conditions judge; None: unknown.

    A visitor who brought no state, though they might have, is here for the first time as far as anybody knows.
    """
    visitor = facts.visitor
    if visitor.memory is not None:
        return visitor.memory if visitor.memory.visits else None
    if visitor.source in {Source.NOBODY, Source.COOKIE} and not visitor.unremembered:
        return begun(facts.request.at)
    return None


def _unknown(what: str, facts: Facts) -> str:
    why = facts.visitor.unremembered
    return f"{what} unknown: {why}" if why else f"{what} unknown"


# --------------------------------------------------------------------------- how many


@dataclass(frozen=True, slots=True)
class _Amount:
    """A number that is at least this and at most that."""

    key: ClassVar[str]
    about: ClassVar[About] = "memory"
    noun: ClassVar[str]  # "visits are"
    most: ClassVar[int] = MOST

    at_least: int | None
    at_most: int | None

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        number = {"type": "integer", "minimum": 0, "maximum": cls.most}
        return {
            "type": "object",
            "properties": {AT_LEAST: number, AT_MOST: number},
            "additionalProperties": False,
            "minProperties": 1,
        }

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Self | None:
        if not isinstance(value, Mapping) or not value:
            number = value if isinstance(value, int) and not isinstance(value, bool) else 3
            spot.tell(f"{cls.key} wants {{ {AT_LEAST} = … }} or {{ {AT_MOST} = … }}", f"{{ {AT_LEAST} = {number} }}?")
            return None
        good = True
        for name, one in value.items():
            if name not in {AT_LEAST, AT_MOST}:
                spot.at(name).tell_key(f'unknown key "{name}"', meant(name, (AT_LEAST, AT_MOST)) or _EITHER_AMOUNT)
                good = False
            elif type(one) is not int or not 0 <= one <= cls.most:
                spot.at(name).tell(f"{name} wants a whole number from 0 to {cls.most}")
                good = False
        if not good:
            return None
        least, most = value.get(AT_LEAST), value.get(AT_MOST)
        if least is not None and most is not None and least > most:
            spot.at(AT_MOST).tell(f"at least {least} and at most {most} is never", "change one of them")
            return None
        return cls(least, most)

    def count(self, memory: Memory) -> int | None:
        """The number that is judged; None: unknown."""
        raise NotImplementedError

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        memory = remembered(facts)
        number = None if memory is None else self.count(memory)
        if number is None:
            if reasons is not None:
                reasons.append(_unknown(self.noun, facts))
            return None
        least, most = self.at_least, self.at_most
        held = (least is None or number >= least) and (most is None or number <= most)
        if reasons is not None:
            has = f"{self.noun} {number}"
            reasons.append(has if held else f"{has}, wanted {self.wanted}")
        return held

    @property
    def wanted(self) -> str:
        said = [f"at least {self.at_least}"] if self.at_least is not None else []
        return both([*said, f"at most {self.at_most}"] if self.at_most is not None else said)

    def facts(self) -> frozenset[str]:
        return frozenset({f"{self.key} {self.wanted}"})

    @property
    def largest(self) -> int:
        """The number from which on counting changes nothing here."""
        return max(self.at_least or 0, -1 if self.at_most is None else self.at_most + 1)


@condition
@dataclass(frozen=True, slots=True)
class Visits(_Amount):
    """This is the visitor's third visit, or a later one."""

    key: ClassVar[str] = "visits"
    help: ClassVar[str] = "so many visits, this one included: { at_least = 3 }, { at_most = 1 }"
    noun: ClassVar[str] = "visits are"

    def count(self, memory: Memory) -> int | None:
        return memory.visits


@condition
@dataclass(frozen=True, slots=True)
class PageViews(_Amount):
    """They have looked at so many pages before this one."""

    key: ClassVar[str] = "page_views"
    help: ClassVar[str] = "so many pages looked at before this one, in all visits: { at_least = 5 }"
    noun: ClassVar[str] = "page views are"

    def count(self, memory: Memory) -> int | None:
        return memory.page_views


@condition
@dataclass(frozen=True, slots=True)
class Orders(_Amount):
    """They have ordered so often."""

    key: ClassVar[str] = "orders"
    help: ClassVar[str] = "so many orders: { at_least = 1 }, { at_most = 0 }"
    noun: ClassVar[str] = "orders are"

    def count(self, memory: Memory) -> int | None:
        return memory.orders


@condition
@dataclass(frozen=True, slots=True)
class Csat(_Amount):
    """How content they said they are, the last time they were asked."""

    key: ClassVar[str] = "csat"
    help: ClassVar[str] = "their last satisfaction score, 1 to 5, as the shop told it: { at_most = 2 }"
    noun: ClassVar[str] = "csat is"
    most: ClassVar[int] = 5

    def count(self, memory: Memory) -> int | None:
        return memory.csat


@condition
@dataclass(frozen=True, slots=True)
class Nps(_Amount):
    """Whether they would recommend the shop, the last time they were asked."""

    key: ClassVar[str] = "nps"
    help: ClassVar[str] = "their last recommendation score, 0 to 10, as the shop told it: { at_least = 9 }"
    noun: ClassVar[str] = "nps is"
    most: ClassVar[int] = 10

    def count(self, memory: Memory) -> int | None:
        return memory.nps


# --------------------------------------------------------------------------- how long ago


@dataclass(frozen=True, slots=True)
class _Ago:
    """Something happened within such a time, or longer ago."""

    key: ClassVar[str]
    about: ClassVar[About] = "memory"
    noun: ClassVar[str]  # "the last order was"
    never: ClassVar[str]  # "there is no order"
    step: ClassVar[float] = durations.DAY  # seconds: how finely it is remembered

    within: float | None  # seconds
    before: float | None

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        return {
            "type": "object",
            "properties": {WITHIN: shapes.DURATION, BEFORE: shapes.DURATION},
            "additionalProperties": False,
            "minProperties": 1,
        }

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
                spot.at(name).tell_key(f'unknown key "{name}"', meant(name, (WITHIN, BEFORE)) or _EITHER_TIME)
                read[name] = None
        if None in read.values():
            return None
        within, before = read.get(WITHIN), read.get(BEFORE)
        if within is not None and before is not None and within <= before:
            what = f"within {durations.words(within)} and before {durations.words(before)} is never"
            spot.at(WITHIN).tell(what, "change one of them")
            return None
        return cls(within, before)

    def ago(self, memory: Memory, at: float) -> float | None:
        """Seconds since it happened; None: it never did."""
        raise NotImplementedError

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        memory = remembered(facts)
        if memory is None:
            if reasons is not None:
                reasons.append(_unknown(self.noun, facts))
            return None
        ago = self.ago(memory, facts.request.at)
        held = (
            ago is not None
            and (self.within is None or ago <= self.within)
            and (self.before is None or ago > self.before)
        )
        if reasons is not None:
            today = self.step == durations.DAY and ago is not None and ago < durations.DAY
            has = self.never if ago is None else f"{self.noun} {'today' if today else f'{durations.words(ago)} ago'}"
            reasons.append(has if held else f"{has}, wanted {self.wanted}")
        return held

    @property
    def wanted(self) -> str:
        said = [f"more than {durations.words(self.before)} ago"] if self.before is not None else []
        return both([*said, f"within {durations.words(self.within)}"] if self.within is not None else said)

    def facts(self) -> frozenset[str]:
        return frozenset({f"{self.key} {self.wanted}"})


@condition
@dataclass(frozen=True, slots=True)
class FirstVisit(_Ago):
    """They came here first within a week, or longer ago."""

    key: ClassVar[str] = "first_visit"
    help: ClassVar[str] = 'the first visit was { within = "7 days" } or { before = "7 days" }'
    noun: ClassVar[str] = "the first visit was"
    never: ClassVar[str] = "there is no first visit"

    def ago(self, memory: Memory, at: float) -> float | None:
        return max(0, day_of(at) - memory.first_day) * durations.DAY


@condition
@dataclass(frozen=True, slots=True)
class LastVisit(_Ago):
    """The visit before this one was within a month, or longer ago."""

    key: ClassVar[str] = "last_visit"
    help: ClassVar[str] = 'the visit before this one was { within = "30 days" } or { before = "30 days" } ago'
    noun: ClassVar[str] = "the last visit was"
    never: ClassVar[str] = "there was no visit before this one"

    def ago(self, memory: Memory, at: float) -> float | None:
        return None if memory.away is None else memory.away * durations.DAY


@condition
@dataclass(frozen=True, slots=True)
class LastOrder(_Ago):
    """They ordered within two weeks, or longer ago."""

    key: ClassVar[str] = "last_order"
    help: ClassVar[str] = 'the last order was { within = "14 days" } or { before = "14 days" } ago'
    noun: ClassVar[str] = "the last order was"
    never: ClassVar[str] = "there is no order"
    step: ClassVar[float] = durations.MINUTE

    def ago(self, memory: Memory, at: float) -> float | None:
        last = memory.last_order
        return None if last is None else max(0, minute_of(at) - last) * durations.MINUTE  # as finely as it is known


@condition
@dataclass(frozen=True, slots=True)
class CameBackAfter:
    """This visit follows a silence of so many days."""

    key: ClassVar[str] = "came_back_after"
    about: ClassVar[About] = "memory"
    help: ClassVar[str] = 'this visit follows a silence at least so long: "30 days"'

    silence: float  # seconds, whole days

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        return shapes.DURATION

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        silence = shapes.duration(value, spot, durations.DAY)
        return None if silence is None else cls(silence)

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        memory = remembered(facts)
        if memory is None:
            if reasons is not None:
                reasons.append(_unknown("the last visit is", facts))
            return None
        held = memory.away is not None and memory.away * durations.DAY >= self.silence
        if reasons is not None:
            if memory.away is None:
                has = "there was no visit before this one"
            else:
                has = f"came back after {durations.words(memory.away * durations.DAY) if memory.away else 'hours'}"
            reasons.append(has if held else f"{has}, wanted {durations.words(self.silence)}")
        return held

    def facts(self) -> frozenset[str]:
        return frozenset({f"came_back_after {durations.words(self.silence)}"})


# --------------------------------------------------------------------------- what, and whether


@condition
@dataclass(frozen=True, slots=True)
class Bought:
    """They ordered something of one of these categories."""

    key: ClassVar[str] = "bought"
    about: ClassVar[About] = "memory"
    help: ClassVar[str] = "they ordered something of this category, or of one of a list"

    wanted: tuple[str, ...]

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        return shapes.ONE_OR_MORE

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        wanted = shapes.codes(value, spot, labels.categories, "category")
        return None if wanted is None else cls(wanted)

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        memory = remembered(facts)
        held = None if memory is None else any(code in self.wanted for code, _ in memory.bought)
        if reasons is not None:
            if memory is None:
                reasons.append(_unknown("what they bought is", facts))
            else:
                codes = [code for code, _ in memory.bought]
                has = f"bought {both(codes)}" if codes else "nothing was bought"
                reasons.append(has if held else f"{has}, wanted {either(self.wanted)}")
        return held

    def facts(self) -> frozenset[str]:
        return frozenset({f"bought {either(self.wanted)}"})


@condition
@dataclass(frozen=True, slots=True)
class SignedIn:
    """They are signed in, as the shop last told."""

    key: ClassVar[str] = "signed_in"
    about: ClassVar[About] = "memory"
    help: ClassVar[str] = "true: they are signed in, as the shop last told; false: they are not"

    wanted: bool

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        return {"type": "boolean"}

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        if isinstance(value, bool):
            return cls(value)
        spot.tell("signed_in wants true or false", "without quotes" if isinstance(value, str) else "")
        return None

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        memory = remembered(facts)
        if reasons is not None:
            if memory is None:
                reasons.append(_unknown("whether they are signed in is", facts))
            else:
                reasons.append("signed in" if memory.signed_in else "not signed in")
        return None if memory is None else memory.signed_in is self.wanted

    def facts(self) -> frozenset[str]:
        return frozenset({"signed_in"})


@condition
@dataclass(frozen=True, slots=True)
class Prefers:
    """What they chose on their own page."""

    key: ClassVar[str] = "prefers"
    about: ClassVar[About] = "memory"
    help: ClassVar[str] = 'they asked for "simple" or "full" pages on the page about themselves'

    wanted: tuple[str, ...]

    WORDS: ClassVar[tuple[str, ...]] = (Preference.SIMPLE.value, Preference.FULL.value)  # OFF: nothing ever fits

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        one = {"enum": list(cls.WORDS)}
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        wanted = shapes.strings(value, spot)
        for index, one in enumerate(wanted or ()):
            if one not in cls.WORDS:
                place = spot.at(index) if isinstance(value, list) else spot
                place.tell(f'prefers wants {either(quoted(cls.WORDS))}, not "{one}"', meant(one, cls.WORDS))
                wanted = None
        return None if wanted is None else cls(wanted)

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        # Their own word: it is known without consent, and before anything else is remembered.
        memory = facts.visitor.memory if facts.visitor.memory is not None else remembered(facts)
        chosen = None if memory is None or memory.prefers is None else memory.prefers.value
        if reasons is not None:
            if memory is None:
                reasons.append(_unknown("what they prefer is", facts))
            else:
                has = f"prefers {chosen}" if chosen else "nothing was chosen"
                reasons.append(has if chosen in self.wanted else f"{has}, wanted {either(self.wanted)}")
        return None if memory is None else chosen in self.wanted

    def facts(self) -> frozenset[str]:
        return frozenset({"prefers"})


def largest(condition: Condition, kind: type[_Amount]) -> int:
    """The largest number that this condition compares a ``kind`` with; 0 when it is about something else."""
    return condition.largest if isinstance(condition, kind) else 0
