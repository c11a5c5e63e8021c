"""What a rule book says of one path: which experiences can edit it, which slots are on it, when that changes.

Here: everything about a page that its path alone decides, worked out once per path and book.  Not here: visitors,
moments, answers of the shop.  Called by ``decide`` and ``policy`` for every request, hence the memo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edgeproxy.core.model import Experience, RuleBook, Slot

MOST_PATHS: Final = 4096  # remembered per book; then all are forgotten at once
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
    could: tuple[tuple[Experience, frozenset[str], bool], ...]  # enabled ones: (experience, its slots here, a style)
    always: InForce | None  # what is in force, when no schedule has a say here
    moments: tuple[float, ...]  # when schedules that concern this path begin or end, in order


class _Memo:
    """The paths of the last book that was asked; another book starts anew.  Books are never changed, so this is pure.

    A plain dict that is read, set and replaced whole: no step of it can be seen half done by another thread.
    """

    __slots__ = ("latest",)

    def __init__(self) -> None:
        self.latest: tuple[RuleBook, dict[str, OnPath]] | None = None


_memo: Final = _Memo()


def on_path(book: RuleBook, path: str) -> OnPath:
    """What the book says of a raw path (before ``?``, one character a byte)."""
    latest = _memo.latest
    if latest is None or latest[0] is not book:
        latest = _memo.latest = (book, {})
    paths = latest[1]
    known = paths.get(path)
    if known is None:
        known = _look(book, path)
        if len(path) <= LONGEST_PATH:
            if len(paths) >= MOST_PATHS:
                paths.clear()
            paths[path] = known
    return known


def remembered() -> int:
    """How many paths are remembered now: at most ``MOST_PATHS``, whatever visitors ask for."""
    return len(_memo.latest[1]) if _memo.latest is not None else 0


def _look(book: RuleBook, path: str) -> OnPath:
    shop = book.shop
    never = shop.never is not None and shop.never.touches(path)
    here = {name: slot for name, slot in book.slots.items() if slot.on is None or slot.on.match(path)}
    why_not: list[str] = []
    could: list[tuple[Experience, frozenset[str], bool]] = []
    for experience in book.experiences:
        slots = {edit.slot for edit in experience.edits if edit.slot is not None and edit.slot in here}
        style = any(edit.slot is None for edit in experience.edits)
        if never:
            why = "nobody ever edits this page: never in shop.toml"
        elif experience.on is not None and not experience.on.match(path):
            why = f"its on is {', '.join(experience.on.texts)}"
        elif not slots and not style:
            why = "none of its slots is on this page"
        else:
            why = ""
            lit = frozenset(name for name in slots if here[name].enabled)
            if shop.enabled and experience.enabled and experience.share > 0.0 and (lit or style):
                could.append((experience, lit, style))
        why_not.append(why)
    moments = sorted({at for one, _, _ in could for at in (one.begins, one.ends) if at is not None})
    always = None if moments else joined(book, could)
    return OnPath(never, tuple(why_not), tuple(could), always, tuple(moments))


def joined(book: RuleBook, could: list[tuple[Experience, frozenset[str], bool]]) -> InForce:
    """What these experiences could change together."""
    names = frozenset().union(*(slots for _, slots, _ in could))
    slots = tuple(slot for name, slot in book.slots.items() if name in names)
    return InForce(slots, any(style for _, _, style in could))
