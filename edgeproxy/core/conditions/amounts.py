"""Conditions about how many: visits, page views, orders, and the scores that visitors gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from edgeproxy.core.conditions.registry import About, Labels, condition
from edgeproxy.core.conditions.remembered import Remembered
from edgeproxy.core.memory import MOST, Memory
from edgeproxy.core.rules.sheet import Spot
from edgeproxy.core.words import both, meant

AT_LEAST = "at_least"
AT_MOST = "at_most"


@dataclass(frozen=True, slots=True)
class Amount(Remembered):
    """A number that is at least this and at most that."""

    most: ClassVar[int] = MOST

    at_least: int | None
    at_most: int | None

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        number = {"type": "integer", "minimum": 0, "maximum": cls.most}
        properties = {AT_LEAST: number, AT_MOST: number}
        return {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1}

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Self | None:
        if not isinstance(value, Mapping) or not value:
            number = value if isinstance(value, int) and not isinstance(value, bool) else 3
            spot.tell(f"{cls.key} wants {{ {AT_LEAST} = … }} or {{ {AT_MOST} = … }}", f"{{ {AT_LEAST} = {number} }}?")
            return None
        good = True
        for name, one in value.items():
            if name not in {AT_LEAST, AT_MOST}:
                hint = meant(name, (AT_LEAST, AT_MOST)) or f"{AT_LEAST} or {AT_MOST}"
                spot.at(name).tell_key(f'unknown key "{name}"', hint)
                good = False
            elif type(one) is not int or not 0 <= one <= cls.most:  # True is no number
                spot.at(name).tell(f"{name} wants a whole number from 0 to {cls.most}")
                good = False
        if not good:
            return None
        least, most = value.get(AT_LEAST), value.get(AT_MOST)
        if least is not None and most is not None and least > most:
            spot.at(AT_MOST).tell(f"at least {least} and at most {most} is never", "change one of them")
            return None
        return cls(least, most)

    @property
    def wanted(self) -> str:
        least = [] if self.at_least is None else [f"at least {self.at_least}"]
        return both([*least, *([] if self.at_most is None else [f"at most {self.at_most}"])])

    def seen(self, memory: Memory, at: float) -> tuple[bool | None, str]:
        number: int | None = getattr(memory, self.key)  # a memory calls them as rules do
        if number is None:
            return None, ""
        least, most = self.at_least, self.at_most
        return (least is None or number >= least) and (
            most is None or number <= most
        ), f"{self.what} {self.be} {number}"

    @property
    def largest(self) -> int:
        """The number from which on counting changes nothing here."""
        return max(self.at_least or 0, -1 if self.at_most is None else self.at_most + 1)


@condition
@dataclass(frozen=True, slots=True)
class Visits(Amount):
    """This is the visitor's third visit, or a later one."""

    key: ClassVar[str] = "visits"
    help: ClassVar[str] = "so many visits, this one included: { at_least = 3 }, { at_most = 1 }"
    what: ClassVar[str] = "visits"
    be: ClassVar[str] = "are"


@condition
@dataclass(frozen=True, slots=True)
class PageViews(Amount):
    """They have looked at so many pages before this one."""

    key: ClassVar[str] = "page_views"
    help: ClassVar[str] = "so many pages looked at before this one, in all visits: { at_least = 5 }"
    what: ClassVar[str] = "page views"
    be: ClassVar[str] = "are"


@condition
@dataclass(frozen=True, slots=True)
class Orders(Amount):
    """They have ordered so often."""

    key: ClassVar[str] = "orders"
    help: ClassVar[str] = "so many orders: { at_least = 1 }, { at_most = 0 }"
    what: ClassVar[str] = "orders"
    be: ClassVar[str] = "are"


@condition
@dataclass(frozen=True, slots=True)
class Csat(Amount):
    """How content they said they are, the last time they were asked."""

    key: ClassVar[str] = "csat"
    help: ClassVar[str] = "their last satisfaction score, 1 to 5, as the shop told it: { at_most = 2 }"
    what: ClassVar[str] = "csat"
    most: ClassVar[int] = 5


@condition
@dataclass(frozen=True, slots=True)
class Nps(Amount):
    """Whether they would recommend the shop, the last time they were asked."""

    key: ClassVar[str] = "nps"
    help: ClassVar[str] = "their last recommendation score, 0 to 10, as the shop told it: { at_least = 9 }"
    what: ClassVar[str] = "nps"
    most: ClassVar[int] = 10
