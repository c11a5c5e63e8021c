"""Two answers for one page that differ in a token, a number, a time: the plan of one serves the other.

Here: ``carried``, and the parts of it, ``differences`` and ``Shift``; pure.  Not here: which page is compared with
which (``plans`` and ``again`` of the package).

Theory.  HTML's tokenizer looks at letters and digits only where a tag, an attribute's name, a character reference or a
doctype is being read.  Where the whole of a quoted value (``value="…"``, ``"token": "…"``) or the whole text between
two tags (``>3<``) is made of them before and after, the tokens are the same ones with another value, so the tree is the
same tree, and every offset moves by what grew before it.  What can look into values is kept out: names of attributes
that selectors, hydration or the parser ask for, selectors that ask for attributes, and start tags of found elements.
Everything else that a plan says comes from the tree.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Final

from edgeproxy.html.model import Child, Element, PagePlan, Splice

MOST: Final = 64
"""Differences; a page with more is another page."""
LONGEST: Final = 512
"""Bytes of a value that differs."""

_BLOCK: Final = 4096
_QUOTED: Final = re.compile(rb"[A-Za-z0-9+/=.:?%~@-][A-Za-z0-9+/=_.:?%~@-]*")
_TEXT: Final = re.compile(rb"[A-Za-z0-9]+")
_BACK: Final = re.compile(rb"[A-Za-z0-9+/=_.:?%~@-]*\Z")
# what stands before a quotation mark: a plain attribute's name, or something that no tag has there
_BEFORE: Final = re.compile(
    rb"(?:[\s\"'](?:value|content|href|src|srcset|action|alt|datetime|nonce|integrity|data-[a-z0-9-]+)=|[:,(\[{]\s?)\Z"
)
_LOOKS: Final = re.compile(r"[\[\"']|:(?!(?:is|where|not|has|root|empty|first|last|only|nth)\b)")

Run = tuple[int, int, int]
"""Where a difference begins and ends in the old page, and how much longer it is in the new one."""


def carried(plan: PagePlan, old: bytes, new: bytes, selectors: Iterable[str]) -> PagePlan | None:
    """The plan of ``new``, from that of ``old``; None where nobody can tell without reading it.

    ``selectors`` are all that the plan was asked for, as written; charset and policies are the same for both.
    """
    if old == new:
        return plan
    if looks_at_values(selectors):
        return None
    runs = differences(old, new)
    if runs is None or not beside_tags(plan, runs):
        return None
    if not any(grown for _, _, grown in runs):
        return plan
    return Shift(runs).plan(plan)


def looks_at_values(selectors: Iterable[str]) -> bool:
    """Whether some selector can see an attribute's value, or nobody knows."""
    return any(_LOOKS.search(selector) for selector in selectors)


def differences(old: bytes, new: bytes) -> list[Run] | None:
    """All that differs, in order; None where it is too much, or something that a tokenizer could look at."""
    runs: list[Run] = []
    at, shift = 0, 0
    while True:
        differs = _alike_till(old, new, at, shift)
        if differs == len(old) and differs + shift == len(new):
            return runs
        found = _run(old, new, differs, shift, at)
        if found is None or len(runs) == MOST:
            return None
        _, end, grown = found
        runs.append(found)
        at, shift = end, shift + grown


def _alike_till(old: bytes, new: bytes, at: int, shift: int) -> int:
    """Where in the old page the next difference is, from ``at`` on; the end of the shorter one where there is none."""
    most = min(len(old), len(new) - shift)
    block = _BLOCK
    while at < most and new.startswith(old[at : min(at + block, most)], at + shift):
        at += block
    while block > 1 and at < most:  # the difference is in this block: halve it
        block //= 2
        if new.startswith(old[at : min(at + block, most)], at + shift):
            at += block
    return min(at, most)


def _run(old: bytes, new: bytes, at: int, shift: int, floor: int) -> Run | None:
    """The value around a difference, where it is one that may differ; ``floor``: the end of the difference before."""
    begin = max(at - LONGEST, floor)
    head = _BACK.search(old, begin, at)
    start = head.start() if head is not None else at
    kind = _kind(old, start, floor)
    if kind is None:
        return None
    was, now = kind.match(old, start), kind.match(new, start + shift)
    if was is None or now is None:
        return None
    end, until = was.end(), now.end()
    if max(end - start, until - start - shift) > LONGEST or old[end : end + 1] != new[until : until + 1]:
        return None
    closing = b"<" if kind is _TEXT else old[start - 1 : start]
    return (start, end, until - end - shift) if old[end : end + 1] == closing else None


def _kind(old: bytes, start: int, floor: int) -> re.Pattern[bytes] | None:
    mark = old[start - 1 : start]
    if start <= floor:
        return None
    if mark == b">":
        return _TEXT
    if mark not in (b'"', b"'"):
        return None
    before = _BEFORE.search(old, max(start - 64, 0), start - 1)
    if before is None or (b"content=" in before[0] and _says_what_holds(old, start)):
        return None
    return _QUOTED


def _says_what_holds(old: bytes, at: int) -> bool:
    """Whether this is in a ``<meta http-equiv>``: its content can be a policy or a charset."""
    begin, end = old.rfind(b"<", 0, at), old.find(b">", at)
    return b"http-equiv" in old[begin : end if end >= 0 else len(old)].lower()


def beside_tags(plan: PagePlan, runs: Sequence[Run]) -> bool:
    """Whether no found element's own start tag is touched: what it says of its attributes would be old."""
    starts = [start for start, _, _ in runs]
    for place in plan.slots.values():
        for element in place.elements:
            if bisect_left(starts, element.start) != bisect_left(starts, element.start_tag_end):
                return False
    return True


def values(new: bytes, runs: Sequence[Run]) -> tuple[bytes, ...]:
    """What stands in the new page where it differs; with the places, all that tells it from the old one."""
    found: list[bytes] = []
    shift = 0
    for start, end, grown in runs:
        found.append(new[start + shift : end + shift + grown])
        shift += grown
    return tuple(found)


class Shift:
    """Offsets of the old page as those of the new one."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._ends = [end for _, end, _ in runs]
        self._grown = [0, *accumulate(grown for _, _, grown in runs)]

    def of(self, offset: int) -> int:
        return offset + self._grown[bisect_right(self._ends, offset)]

    def maybe(self, offset: int | None) -> int | None:
        return None if offset is None else self.of(offset)

    def splices(self, splices: Iterable[Splice]) -> tuple[Splice, ...]:
        """Those of the old page as the new one has them, where ``Placing.portable`` says that its text is the same."""
        return tuple([Splice(self.of(one.start), self.of(one.end), one.text) for one in splices])

    def plan(self, plan: PagePlan) -> PagePlan:
        slots = {
            name: replace(place, elements=tuple(map(self._element, place.elements))) if place.elements else place
            for name, place in plan.slots.items()
        }
        return replace(plan, slots=slots, head_end=self.maybe(plan.head_end), body_end=self.maybe(plan.body_end))

    def _element(self, element: Element) -> Element:
        moved = self.of(element.start) - element.start
        return replace(
            element,
            start=element.start + moved,
            end=self.of(element.end),
            start_tag_end=element.start_tag_end + moved,
            inner_start=self.maybe(element.inner_start),
            inner_end=self.maybe(element.inner_end),
            attributes={
                name: (start + moved, end + moved, value) for name, (start, end, value) in element.attributes.items()
            },
            children=tuple(map(self._child, element.children)),
        )

    def _child(self, child: Child) -> Child:
        return replace(child, start=self.of(child.start), end=self.of(child.end))
