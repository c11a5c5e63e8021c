"""Where the edits of a page are seen: CSS selectors for the elements that they changed, for a style from outside.

Here: ``outlines``, pure: the edited page is read once more, and each changed element is named by its slot's own
selector where that still finds exactly it, else by its way down from an id or from the root.  Nothing is put into the
page.
Not here: the style (``console``).  Called by ``previewing``, when somebody asked to see what is changed.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import turbohtml

from edgeproxy.html.locate import Source
from edgeproxy.html.model import Element, PagePlan, Placement, PlaceOutcome, Placing, Splice

MOST: Final = 60  # outlined elements of a page
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*", re.ASCII)
_BESIDE: Final = frozenset({"before", "after"})
_UNSEEN: Final = frozenset({"hide"})


@dataclass(frozen=True, slots=True)
class Outline:
    """One changed element: the selector that finds it, and the edits that were placed at its slot."""

    slot: str
    selector: str
    placements: tuple[Placement, ...]


def outlines(page: bytes, plan: PagePlan, placing: Placing) -> tuple[Outline, ...]:
    """The changed elements of ``page``, which is the planned one with the placing's splices made, in source order.

    What was removed or hidden is nowhere to be seen; a page that was written anew has lost its offsets.
    """
    if placing.roundtrips:
        return ()
    placed: dict[str, list[Placement]] = {}
    for one in placing.placements:
        if one.outcome is PlaceOutcome.PLACED and one.edit.slot is not None:
            placed.setdefault(one.edit.slot, []).append(one)
    seen = {name: edits for name, edits in placed.items() if any(_is_seen(edit) for edit in edits)}
    if not seen:
        return ()
    source = Source(page, plan.charset.bom)
    tree = _Tree(source, plan.charset.bom)
    found: list[tuple[int, Outline]] = []
    for name, edits in seen.items():
        place = plan.slots[name]
        changed: list[turbohtml.Element] = []
        for element in place.elements:
            changed += tree.inside(*_range(element, edits, placing.splices))
        own = _same(source, place.slot.find, changed)
        for node, start in ((each, source.start(each) or 0) for each in changed):
            selector = place.slot.find if own and len(changed) == 1 else tree.path(node)
            found.append((start, Outline(name, selector, tuple(edits))))
    found.sort(key=lambda each: each[0])
    return tuple(outline for _, outline in found[:MOST])


def _is_seen(placement: Placement) -> bool:
    return placement.edit.action.verb not in {"remove", *_UNSEEN}


def _range(element: Element, edits: Sequence[Placement], splices: Sequence[Splice]) -> tuple[int, int]:
    """The bytes of the edited page that stand where the element stood, with what stands beside it because of edits."""
    verbs = {edit.edit.action.verb for edit in edits}
    start, end = element.start, element.end
    own = not verbs <= _BESIDE  # the element itself is changed, too
    before, after = "before" in verbs, "after" in verbs
    first = _moved(start, splices, behind=not before and not own)
    last = _moved(end, splices, behind=after or own)
    if not own and before and not after:
        last = _moved(start, splices, behind=True)
    if not own and after and not before:
        first = _moved(end, splices, behind=False)
    return first, last


def _moved(offset: int, splices: Sequence[Splice], *, behind: bool) -> int:
    """Where an offset of the planned page is in the edited one, before or behind what was inserted just there."""
    moved = offset
    for one in splices:
        if one.end < offset or (one.end == offset and (behind or one.start < offset)):
            moved += len(one.text) - (one.end - one.start)
        elif one.start < offset:  # inside what was replaced
            moved += (len(one.text) if behind else 0) - (offset - one.start)
    return moved


def _same(source: Source, selector: str, elements: Sequence[turbohtml.Element]) -> bool:
    try:
        return source.document.select(selector) == list(elements)
    except ValueError:
        return False


class _Tree:
    """The elements of one page by their places."""

    def __init__(self, source: Source, bom: int) -> None:
        self._source = source
        self._bom = bom
        body = source.body_element
        placed = [(source.start(each), each) for each in source.document.select("body, body *")] if body else []
        self._elements = sorted(
            ((start + bom, each) for start, each in placed if start is not None), key=lambda pair: pair[0]
        )
        self._starts = [start for start, _ in self._elements]

    def inside(self, start: int, end: int) -> list[turbohtml.Element]:
        """The outermost elements that begin in a range of bytes."""
        found: list[turbohtml.Element] = []
        for at, element in self._elements[bisect_left(self._starts, start) :]:
            if at >= end:
                break
            if element.tag in {"script", "style", "template"}:
                continue
            if not found or not any(each == found[-1] for each in element.ancestors):
                found.append(element)
        return found

    def path(self, element: turbohtml.Element) -> str:
        """The way to an element from the nearest id that is its own, or from the root; ASCII."""
        steps: list[str] = []
        node: turbohtml.Node | None = element
        while isinstance(node, turbohtml.Element):
            ident = node.attr("id")
            if ident and _PLAIN.fullmatch(ident) and len(self._source.document.select(f"#{ident}")) == 1:
                steps.append(f"#{ident}")
                break
            if node.parent is None or not isinstance(node.parent, turbohtml.Element):
                steps.append(":root")
                break
            siblings = [each for each in node.parent.children if isinstance(each, turbohtml.Element)]
            tag = node.tag if _PLAIN.fullmatch(node.tag) else ""
            steps.append(f"{tag}:nth-child({1 + next(n for n, each in enumerate(siblings) if each == node)})")
            node = node.parent
        return " > ".join(reversed(steps))
