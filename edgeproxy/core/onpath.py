"""What a rule book says of one path: which experiences can edit it, which slots are on it, when that changes.

Here: everything about a page that its path alone decides, worked out once per path and book.  Not here: visitors,
answers of the shop.  Called by ``decide`` and ``policy`` for every request, hence the memo.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from edgeproxy.core.model import Experience, RuleBook, Slot

MOST_PATHS: Final = 4096  # remembered per book, fewer in a book of very many experiences; then all are forgotten
MOST_CELLS: Final = 400_000  # paths × experiences that are remembered
LONGEST_PATH: Final = 512  # characters; longer ones are worked out each time


@dataclass(frozen=True, slots=True)
class InForce:
    """What some enabled experience could change on one path; falsy when that is nothing."""

    slots: tuple[Slot, ...]  # in slots.toml's order
    style: bool  # a style that needs no slot

    def __bool__(self) -> bool:
        return self.style or bool(self.slots)


@dataclass(frozen=True, slots=True)
class OnPath:
    """One path as the book sees it, whoever asks and whenever."""

    never: bool  # nobody ever edits it
    why_not: tuple[str, ...]  # for each of the book's experiences: why it has no edit here, "" when it has
    lit: frozenset[str]  # slots that are on this path, and enabled
    moments: tuple[float, ...]  # when schedules that concern this path begin or end, in order
    groups: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...] = ()  # audiences → experiences that could fit here
    forces: dict[int, InForce] = field(default_factory=dict)  # by place among ``moments``, as they are asked for


class _Memo:
    """The paths of the last book that was asked; another book starts anew.  Books are never changed, so this is pure.

    Plain dicts that are read, set and replaced whole: no step of it can be seen half done by another thread.
    """

    __slots__ = ("latest",)

    def __init__(self) -> None:
        self.latest: tuple[RuleBook, dict[str, OnPath], tuple[str, ...]] | None = None


_memo: Final = _Memo()


def on_path(book: RuleBook, path: str) -> OnPath:
    """What the book says of a raw path (before ``?``, one character a byte)."""
    latest = _memo.latest
    if latest is None or latest[0] is not book:
        elsewhere = tuple(f"its on is {', '.join(one.on.texts)}" if one.on else "" for one in book.experiences)
        latest = _memo.latest = (book, {}, elsewhere)
    paths = latest[1]
    known = paths.get(path)
    if known is None:
        known = _look(book, path, latest[2])
        if len(path) <= LONGEST_PATH:
            if len(paths) >= min(MOST_PATHS, MOST_CELLS // (len(book.experiences) + 1)):
                paths.clear()
            paths[path] = known
    return known


def in_force(book: RuleBook, path: str, at: float) -> InForce:
    """What some enabled experience could change on this path at this moment, whoever asks."""
    here = on_path(book, path)
    place = bisect_right(here.moments, at)
    force = here.forces.get(place)
    if force is None:
        running = [one for one, why in zip(book.experiences, here.why_not, strict=True) if not why and _runs(one, at)]
        edits = [edit for one in running if _ever(book, one) for edit in one.edits]
        names = {edit.slot for edit in edits}
        slots = tuple(slot for name, slot in book.slots.items() if name in here.lit and name in names)
        force = here.forces[place] = InForce(slots, None in names)
    return force


def remembered() -> int:
    """How many paths are remembered now: at most ``MOST_PATHS``, whatever visitors ask for."""
    return len(_memo.latest[1]) if _memo.latest is not None else 0


def _look(book: RuleBook, path: str, elsewhere: tuple[str, ...]) -> OnPath:
    never = book.shop.never is not None and book.shop.never.touches(path)
    here = {name for name, slot in book.slots.items() if slot.on is None or slot.on.match(path)}
    why_not: list[str] = []
    moments: set[float | None] = set()
    for experience, on in zip(book.experiences, elsewhere, strict=True):
        if never:
            why = "nobody ever edits this page: never in shop.toml"
        elif experience.on is not None and not experience.on.match(path):
            why = on
        elif not any(edit.slot is None or edit.slot in here for edit in experience.edits):
            why = "none of its slots is on this page"
        else:
            why = ""
        why_not.append(why)
        lit = any(
            edit.slot is None or (edit.slot in here and book.slots[edit.slot].enabled) for edit in experience.edits
        )
        if not why and lit and _ever(book, experience):
            moments |= {experience.begins, experience.ends}
    return OnPath(
        never,
        tuple(why_not),
        frozenset(name for name in here if book.slots[name].enabled),
        tuple(sorted(moment for moment in moments if moment is not None)),
        _grouped(book, why_not),
    )


def _grouped(book: RuleBook, why_not: Sequence[str]) -> tuple[tuple[tuple[str, ...], tuple[int, ...]], ...]:
    """Who is for whom: with many rules, most are for others, and one look at an audience tells."""
    found: dict[tuple[str, ...], list[int]] = {}
    for place, experience in enumerate(book.experiences):
        if not why_not[place] and experience.enabled and book.shop.enabled:
            found.setdefault(experience.audiences, []).append(place)
    return tuple((audiences, tuple(places)) for audiences, places in found.items())


def _ever(book: RuleBook, experience: Experience) -> bool:
    """Somebody can get it, at some time."""
    return book.shop.enabled and experience.enabled and experience.share > 0.0


def _runs(experience: Experience, at: float) -> bool:
    return (experience.begins is None or at >= experience.begins) and (experience.ends is None or at < experience.ends)
