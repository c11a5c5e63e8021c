"""Conditions about the visitor: what a signed cookie proves.  They stand in audiences.

With no cookie at all the segments are known (none); a stage that is missing is unknown; a cookie that proves nothing
tells neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from edgeproxy.core.conditions import shapes
from edgeproxy.core.conditions.registry import About, Labels, condition
from edgeproxy.core.model import Condition, Facts, Reasons, Source
from edgeproxy.core.rules.sheet import Spot
from edgeproxy.core.words import both, either


@condition
@dataclass(frozen=True, slots=True)
class Stage:
    """The visitor's lifecycle stage is one of these."""

    key: ClassVar[str] = "stage"
    about: ClassVar[About] = "visitor"
    help: ClassVar[str] = "the visitor's stage is this one, or one of a list"

    wanted: tuple[str, ...]

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        return shapes.ONE_OR_MORE

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        wanted = shapes.labels(value, spot, labels.stages, "stage")
        return None if wanted is None else cls(wanted)

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        stage = facts.visitor.stage
        if reasons is not None:
            has = "stage is unknown" if stage is None else f'stage is "{stage}"'
            reasons.append(has if stage in self.wanted else f"{has}, wanted {either(self.wanted)}")
        return None if stage is None else stage in self.wanted

    def facts(self) -> frozenset[str]:
        return frozenset({"stage"})


def _segments(facts: Facts) -> tuple[str, ...] | None:
    return None if facts.visitor.source is Source.DISBELIEVED else facts.visitor.segments


def _said(segments: tuple[str, ...] | None, held: bool | None, wanted: str) -> str:
    if segments is None:
        has = "segments are unknown"
    elif len(segments) == 1:
        has = f"segment is {segments[0]}"
    else:
        has = f"segments are {both(segments)}" if segments else "there are no segments"
    return has if held else f"{has}, wanted {wanted}"


@dataclass(frozen=True, slots=True)
class _Segments:
    """What both conditions on segments have in common."""

    about: ClassVar[About] = "visitor"

    wanted: tuple[str, ...]

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        return shapes.ONE_OR_MORE

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Self | None:
        wanted = shapes.labels(value, spot, labels.segments, "segment")
        return None if wanted is None else cls(wanted)

    def facts(self) -> frozenset[str]:
        return frozenset({"segments"})


@condition
@dataclass(frozen=True, slots=True)
class Segment(_Segments):
    """One of these is among the visitor's segments."""

    key: ClassVar[str] = "segment"
    help: ClassVar[str] = "one of the visitor's segments is this one, or one of a list"

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        segments = _segments(facts)
        held = None if segments is None else any(one in segments for one in self.wanted)
        if reasons is not None:
            reasons.append(_said(segments, held, either(self.wanted)))
        return held


@condition
@dataclass(frozen=True, slots=True)
class AllSegments(_Segments):
    """All of these are among the visitor's segments."""

    key: ClassVar[str] = "all_segments"
    help: ClassVar[str] = "the visitor has every segment of the list"

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        segments = _segments(facts)
        held = None if segments is None else all(one in segments for one in self.wanted)
        if reasons is not None:
            reasons.append(_said(segments, held, both(self.wanted)))
        return held
