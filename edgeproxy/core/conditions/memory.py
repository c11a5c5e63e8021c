"""Conditions about what is remembered and is neither a number nor a moment: what was bought, and what was said.

Those that count are in ``amounts``, those that ask how long ago in ``moments``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from edgeproxy.core.conditions import shapes
from edgeproxy.core.conditions.registry import About, Labels, condition
from edgeproxy.core.conditions.remembered import Remembered, remembered
from edgeproxy.core.memory import Memory, Preference
from edgeproxy.core.model import Condition, Facts
from edgeproxy.core.rules.sheet import Spot
from edgeproxy.core.words import both, either, meant, quoted


@condition
@dataclass(frozen=True, slots=True)
class Bought(Remembered):
    """They ordered something of one of these categories."""

    key: ClassVar[str] = "bought"
    help: ClassVar[str] = "they ordered something of this category, or of one of a list"
    what: ClassVar[str] = "what they bought"

    codes: tuple[str, ...]

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        return shapes.ONE_OR_MORE

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        codes = shapes.codes(value, spot, labels.categories, "category")
        return None if codes is None else cls(codes)

    @property
    def wanted(self) -> str:
        return either(self.codes)

    def seen(self, memory: Memory, at: float) -> tuple[bool | None, str]:
        codes = [code for code, _ in memory.bought]
        return any(code in self.codes for code in codes), f"bought {both(codes)}" if codes else "nothing was bought"


@condition
@dataclass(frozen=True, slots=True)
class SignedIn(Remembered):
    """They are signed in, as the shop last told."""

    key: ClassVar[str] = "signed_in"
    help: ClassVar[str] = "true: they are signed in, as the shop last told; false: they are not"
    what: ClassVar[str] = "whether they are signed in"

    inside: bool

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        return {"type": "boolean"}

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        if isinstance(value, bool):
            return cls(value)
        spot.tell("signed_in wants true or false", "without quotes" if isinstance(value, str) else "")
        return None

    @property
    def wanted(self) -> str:
        return _INSIDE[self.inside]

    def seen(self, memory: Memory, at: float) -> tuple[bool | None, str]:
        return memory.signed_in is self.inside, _INSIDE[memory.signed_in]

    def facts(self) -> frozenset[str]:
        return frozenset({_INSIDE[self.inside]})


_INSIDE: Mapping[bool, str] = {True: "signed in", False: "not signed in"}


@condition
@dataclass(frozen=True, slots=True)
class Prefers(Remembered):
    """What they chose on their own page."""

    key: ClassVar[str] = "prefers"
    help: ClassVar[str] = 'they asked for "simple" or "full" pages on the page about themselves'
    what: ClassVar[str] = "what they prefer"
    WORDS: ClassVar[tuple[str, ...]] = (Preference.SIMPLE.value, Preference.FULL.value)  # OFF: nothing ever fits

    words: tuple[str, ...]

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        one = {"enum": list(cls.WORDS)}
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        words = shapes.strings(value, spot)
        for index, one in enumerate(words or ()):
            if one not in cls.WORDS:
                place = spot.at(index) if isinstance(value, list) else spot
                place.tell(f'prefers wants {either(quoted(cls.WORDS))}, not "{one}"', meant(one, cls.WORDS))
                words = None
        return None if words is None else cls(words)

    @property
    def wanted(self) -> str:
        return either(self.words)

    def memory(self, facts: Facts) -> Memory | None:
        # Their own word: it is known without consent, and before anything else is remembered.
        return facts.visitor.memory if facts.visitor.memory is not None else remembered(facts)

    def seen(self, memory: Memory, at: float) -> tuple[bool | None, str]:
        chosen = "" if memory.prefers is None else memory.prefers.value
        return chosen in self.words, f"prefers {chosen}" if chosen else "nothing was chosen"
