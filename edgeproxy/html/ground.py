"""Which bytes of a page are spoken for, and by whom.

Here: ``Ground``, a set of ranges that do not overlap.  Not here: the rules by which somebody wins (``place``, the
only caller).

Two edits are in each other's way when the ranges that they rewrite intersect, or when one rewrites a range that the
other's element stands in: what is put before an element that another edit replaces would have nothing to stand
before.  Edits of one start tag go together.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field

Identity = tuple[int, int, int]  # draft.identity
Ranges = Iterable[tuple[int, int]]


@dataclass(slots=True)
class Ground:
    """``owner`` is whatever the caller wants to hear: an experience's name, an edit."""

    _ranges: list[tuple[int, int, Identity, str]] = field(default_factory=list)
    _elements: list[tuple[int, int, Identity, str]] = field(default_factory=list)

    def claim(self, identity: Identity, ranges: Ranges, owner: str) -> None:
        """Speak for an element and the ranges rewritten for it, which are known to be free."""
        insort(self._elements, (identity[0], identity[1], identity, owner))
        for start, end in ranges:
            if end > start:
                insort(self._ranges, (start, end, identity, owner))

    def holder(self, identity: Identity, ranges: Ranges) -> str:
        """Who is in the way of such an edit; "" when nobody is."""
        start, end = identity[:2]
        at = bisect_right(self._ranges, (start, float("inf"))) - 1
        if at >= 0:
            _, until, other, owner = self._ranges[at]
            if other != identity and start < until and (end <= until or not _implied(identity)):
                return owner
        for low, high in ranges:
            owner = self._in_the_way(low, high, identity)
            if owner:
                return owner
        return ""

    def cut(self, offset: int) -> str:
        """Who rewrites a range that ``offset`` lies strictly inside; "" when nobody does."""
        return next((owner for start, end, _, owner in self._ranges if start < offset < end), "")

    def _in_the_way(self, low: int, high: int, identity: Identity) -> str:
        for number in range(bisect_left(self._elements, (low,)), len(self._elements)):
            start, end, other, owner = self._elements[number]
            if start >= high:
                break
            if other != identity and (end <= high or not _implied(other)):
                return owner
        for number in range(max(bisect_left(self._ranges, (low,)) - 1, 0), len(self._ranges)):
            start, end, other, owner = self._ranges[number]
            if start >= high:
                break
            if end > low and not (other == identity and (start, end) == (low, high)):
                return owner
        return ""


def _implied(identity: Identity) -> bool:
    """An element without a start tag begins where its first child begins, and is not inside it."""
    return identity[2] < 0
