"""Everybody whom a rule book can tell apart, and which audiences they are of: from the book alone, no visitor needed.

Here: one sample visitor for each combination of labels, and what audiences may say of them.  Not here: what they get
(``coverage``, ``calendar``).

What only a request or a history could tell (a condition that is not about stage, segments or the cookie itself) is
left open: it may hold, not hold, or be unknown.  So "is surely of it" and "can never be of it" are both safe to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import combinations
from typing import Final

from edgeproxy.core.audiences import BUILT_IN, Believed, Everyone, Unknown
from edgeproxy.core.conditions.registry import Every, Not
from edgeproxy.core.conditions.visitor import AllSegments, Segment, Stage
from edgeproxy.core.decide import known
from edgeproxy.core.model import NOBODY, Audience, Condition, Facts, PageRequest, RuleBook, Source, Visitor

MOST: Final = 4096
"""Combinations that are looked at; where there are more, nothing is said."""

_ANYWHERE: Final = PageRequest("GET", "https", "", "/", "", (), 0.0)
_OPEN: Final = frozenset({True, False, None})
_LEAVES: Final = (Stage, Segment, AllSegments, Everyone, Unknown)

Truths = frozenset[bool | None]


@dataclass(frozen=True, slots=True)
class People:
    """Sample visitors, one for each combination of labels that some audiences can tell apart."""

    visitors: tuple[Visitor, ...]
    said: Mapping[str, tuple[Truths, ...]]  # audience → what may be said of each visitor

    def possible(self, audiences: Iterable[str]) -> frozenset[int]:
        """The visitors (by place) who may be of one of these."""
        return frozenset(
            place
            for place in range(len(self.visitors))
            if any(True in self.said[name][place] for name in audiences if name in self.said)
        )

    def certain(self, audiences: Iterable[str]) -> frozenset[int]:
        """The visitors who are surely of one of these."""
        return frozenset(
            place
            for place in range(len(self.visitors))
            if any(self.said[name][place] == {True} for name in audiences if name in self.said)
        )


def people(book: RuleBook, names: Iterable[str]) -> People | None:
    """Everybody whom these audiences can tell apart; None where that is more than ``MOST``."""
    audiences = {name: found for name in dict.fromkeys(names) if (found := audience(book, name)) is not None}
    wanted = {label for one in audiences.values() for label in _segments(one.test)}
    labels = [one for one in book.shop.segments if one in wanted]
    if (len(book.shop.stages) + 2) * 2 ** len(labels) > MOST:
        return None
    visitors = tuple(_visitors(book, labels))
    said = {
        name: tuple(_truths(one.test, Facts(visitor, _ANYWHERE, book.shop)) for visitor in visitors)
        for name, one in audiences.items()
    }
    return People(visitors, said)


def audience(book: RuleBook, name: str) -> Audience | None:
    """The audience of the book, or a built-in one, by its name."""
    return BUILT_IN.get(name) or book.audiences.get(name)


def words(visitor: Visitor) -> str:
    """``stage "loyal", segments outdoor and staff``; who has no cookie is a stranger."""
    if visitor.source is Source.NOBODY:
        return "strangers"
    stage = f'stage "{visitor.stage}"' if visitor.stage else "no stage"
    return f"{stage} with {' and '.join(visitor.segments)}" if visitor.segments else stage


def _visitors(book: RuleBook, labels: Sequence[str]) -> Iterator[Visitor]:
    if book.shop.without_cookie is not None:  # else who has no cookie is of no audience at all
        yield known(book, NOBODY)
    for stage in (*book.shop.stages, None):
        for size in range(len(labels) + 1):
            for segments in combinations(labels, size):
                yield Visitor(stage, segments, None, Source.COOKIE)


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


def _truths(condition: Condition, facts: Facts) -> Truths:
    """What a condition may say, given the labels alone."""
    if isinstance(condition, _LEAVES):
        return frozenset({condition.holds(facts)})
    if isinstance(condition, Believed):
        return _truths(condition.lines, facts)
    if isinstance(condition, Not):
        return frozenset(None if one is None else not one for one in _truths(condition.inner, facts))
    if isinstance(condition, Every):
        lines = [_truths(line, facts) for line in condition.lines]
        if any(line == {False} for line in lines):
            return frozenset({False})
        found: set[bool | None] = set()
        if all(True in line for line in lines):
            found.add(True)
        if any(False in line for line in lines):
            found.add(False)
        if any(None in line for line in lines):
            found.add(None)
        return frozenset(found)
    return _OPEN
