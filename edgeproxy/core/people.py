"""Everybody whom a rule book can tell apart, and which audiences they are of: from the book alone, no visitor needed.

Here: one place for each combination of labels, and what audiences may say of it.  Not here: what they get
(``coverage``, ``calendar``).

A group of people is a number whose bits are the places: one operation judges all of them at once, so that a book with
many audiences takes no longer than it should.

What only a request or a history could tell (a condition that is not about stage, segments or the cookie itself) is
left open: it may hold, not hold, or be unknown.  So "is surely of it" and "can never be of it" are both safe to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import reduce
from operator import and_, or_
from typing import Final, NamedTuple

from edgeproxy.core.audiences import BUILT_IN, Believed, Everyone, Unknown
from edgeproxy.core.conditions.registry import Every, Not
from edgeproxy.core.conditions.visitor import AllSegments, Segment, Stage
from edgeproxy.core.decide import known
from edgeproxy.core.model import NOBODY, Audience, Condition, RuleBook

MOST: Final = 1 << 17
"""Combinations that are looked at; where there are more, nothing is said."""

Group = int
"""Some of the people: bit by bit, by their places."""


class _Truths(NamedTuple):
    """For whom a condition may hold, may not hold, may be unknown."""

    yes: Group
    no: Group
    unknown: Group


@dataclass(frozen=True, slots=True)
class People:
    """Everybody whom the audiences of a book can tell apart."""

    everybody: Group
    said: Mapping[str, _Truths]  # by audience
    without_segments: tuple[tuple[str, Group], ...]  # in words, and their place

    def possible(self, audiences: Iterable[str]) -> Group:
        """Those who may be of one of these."""
        return reduce(or_, (self.said[name].yes for name in audiences if name in self.said), 0)

    def certain(self, audiences: Iterable[str]) -> Group:
        """Those who are surely of one of these."""
        truths = (self.said[name] for name in audiences if name in self.said)
        return reduce(or_, (one.yes & ~one.no & ~one.unknown for one in truths), 0)


def people(book: RuleBook) -> People | None:
    """Everybody whom this book's experiences can tell apart; None where that is more than ``MOST``."""
    names = dict.fromkeys([*book.audiences, *(name for one in book.experiences for name in one.audiences)])
    audiences = {name: found for name in names if (found := audience(book, name)) is not None}
    wanted = {label for one in audiences.values() for label in _segments(one.test)}
    labels = [one for one in book.shop.segments if one in wanted]
    if (len(book.shop.stages) + 2) << len(labels) > MOST:
        return None
    ground = _Ground.of(book, labels)
    said = {name: ground.truths(one.test) for name, one in audiences.items()}
    return People(ground.everybody, said, tuple(ground.without_segments()))


def audience(book: RuleBook, name: str) -> Audience | None:
    """The audience of the book, or a built-in one, by its name."""
    return BUILT_IN.get(name) or book.audiences.get(name)


@dataclass(frozen=True, slots=True)
class _Ground:
    """Who has which label.  The first place is who has no cookie; then, for each stage, every set of segments."""

    everybody: Group
    strangers: Group
    stages: Mapping[str | None, Group]
    segments: Mapping[str, Group]
    size: int  # of a stage's block

    @classmethod
    def of(cls, book: RuleBook, labels: list[str]) -> _Ground:
        size = 1 << len(labels)
        block = (1 << size) - 1
        stages = {stage: block << (1 + place * size) for place, stage in enumerate((*book.shop.stages, None))}
        cookies = reduce(or_, stages.values())
        repeat = sum(1 << (1 + place * size) for place in range(len(stages)))
        segments = {label: _every_other(1 << place, size) * repeat for place, label in enumerate(labels)}
        # who has no cookie, where that leaves the shop's own page, is of no audience at all
        strangers = 1 if book.shop.without_cookie is not None else 0
        if strangers:
            stages[known(book, NOBODY).stage] |= 1
        return cls(cookies | strangers, strangers, stages, segments, size)

    def without_segments(self) -> Iterator[tuple[str, Group]]:
        """Words for everybody who has no segment, and their places."""
        if self.strangers:
            yield "strangers", 1
        for place, stage in enumerate(self.stages):
            yield f'stage "{stage}"' if stage else "no stage", 1 << (1 + place * self.size)

    def truths(self, condition: Condition) -> _Truths:
        """What a condition may say, given the labels alone."""
        everybody = self.everybody
        match condition:
            case Believed(lines):
                return self.truths(lines)
            case Not(inner):
                yes, no, unknown = self.truths(inner)
                return _Truths(no, yes, unknown)
            case Every(lines):
                return self._every([self.truths(line) for line in lines])
            case Stage(wanted):
                unknown = self.stages[None]
                yes = reduce(or_, (self.stages.get(one, 0) for one in wanted), 0)
                return _Truths(yes, everybody & ~yes & ~unknown, unknown)
            case Segment(wanted):
                return self._known(reduce(or_, (self.segments.get(one, 0) for one in wanted), 0))
            case AllSegments(wanted):
                return self._known(reduce(and_, (self.segments.get(one, 0) for one in wanted), everybody))
            case Everyone():
                return self._known(everybody)
            case Unknown():
                return self._known(self.strangers)
            case _:
                return _Truths(everybody, everybody, everybody)

    def _known(self, yes: Group) -> _Truths:
        return _Truths(yes, self.everybody & ~yes, 0)

    def _every(self, lines: list[_Truths]) -> _Truths:
        """Kleene's and: one that surely does not hold decides, then one that may be unknown."""
        yes = reduce(and_, (one.yes for one in lines), self.everybody)
        no = reduce(or_, (one.no for one in lines), 0)
        never = reduce(or_, (one.no & ~one.yes & ~one.unknown for one in lines), 0)
        return _Truths(yes, no, reduce(or_, (one.unknown for one in lines), 0) & ~never)


def _every_other(run: int, size: int) -> Group:
    """``run`` noughts, ``run`` ones, and so on, up to ``size``."""
    ones = ((1 << run) - 1) << run
    return sum(ones << place for place in range(0, size, 2 * run))


def _segments(condition: object) -> Iterator[str]:
    """Every segment that a condition names, however deep."""
    if isinstance(condition, Segment | AllSegments):
        yield from condition.wanted
    elif isinstance(condition, tuple):
        for one in condition:
            yield from _segments(one)
    elif is_dataclass(condition):
        for field in fields(condition):
            yield from _segments(getattr(condition, field.name))
