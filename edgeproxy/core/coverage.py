"""Who sees what: audience × slot, from the book alone; what is empty, and what can never be reached, with reasons.

Here: ``coverage``.  Not here: one visitor's page (``decide``), schedules over time (``calendar``), how it looks
(``console``).  What is said to be never reached is so for certain; where the rules alone cannot tell, nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edgeproxy.core import schedule
from edgeproxy.core.model import Edit, Experience, RuleBook, Slot
from edgeproxy.core.overlap import meet, within
from edgeproxy.core.people import Group, People, audience, people
from edgeproxy.core.showings import NO_COURTESY, HouseRules
from edgeproxy.core.words import both

STYLE: Final = "style"
"""In place of a slot's name: edits that need none."""
MOST_ENTRIES: Final = 8
"""Of one cell that are told."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one experience does to one slot for one audience."""

    experience: str
    verbs: tuple[str, ...]
    kind: str  # "all", "some": has the slot for them; "beside": takes none; "later": not yet; "never"
    why: str  # what narrows it, or why it is never seen
    where: str  # file:line of its first edit there


@dataclass(frozen=True, slots=True)
class Cell:
    """One slot for one audience; ``kind`` is its best entry's, "" when nobody wants it."""

    audience: str
    slot: str
    kind: str
    entries: tuple[Entry, ...]  # in the order in which they are tried
    more: int = 0  # that are not told


@dataclass(frozen=True, slots=True)
class Row:
    """One audience; ``impossible`` says why nobody can be of it, "" when somebody can."""

    name: str
    says: str
    where: str
    impossible: str


@dataclass(frozen=True, slots=True)
class Unreached:
    """An experience that nobody can ever get, and why."""

    experience: str
    why: str
    where: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """The whole matrix."""

    rows: tuple[Row, ...]
    slots: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]  # a tuple for each row, in the slots' order
    unreached: tuple[Unreached, ...]
    left_out: tuple[str, ...]  # visitors, in words, for whom there is no experience at all


def coverage(book: RuleBook, now: float) -> Coverage:
    """The matrix at ``now`` (seconds since the epoch).  Pure; never raises for a book that passed its checks."""
    named = [name for one in book.experiences for name in one.audiences]
    names = list(dict.fromkeys([*book.audiences, *named]))
    slots = list(book.slots)
    if any(edit.slot is None for one in book.experiences for edit in one.edits):
        slots.append(STYLE)
    who = people(book)
    look = _Look(book, now, who)
    rows = tuple(_row(book, name, who) for name in names)
    cells = tuple(tuple(look.cell(row, slot) for slot in slots) for row in rows)
    unreached = tuple(
        Unreached(one.name, why, one.where.short) for one in book.experiences if (why := look.never(one, cells))
    )
    return Coverage(rows, tuple(slots), cells, unreached, _left_out(who, named))


def _row(book: RuleBook, name: str, who: People | None) -> Row:
    found = audience(book, name)
    assert found is not None, "a checked book names no audience that is not there"
    impossible = ""
    if who is not None and not who.possible([name]):
        impossible = "no combination of stage and segments can be of it"
        if name == "unknown" and book.shop.without_cookie is None:
            impossible = 'without_cookie is "untouched": who has no cookie is of no audience'
    return Row(name, found.says, found.where.short if found.where.file else "", impossible)


def _left_out(who: People | None, named: Sequence[str]) -> tuple[str, ...]:
    if who is None:
        return ()
    theirs = who.possible(named)
    return tuple(words for words, place in who.without_segments if not place & theirs)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What an experience wants of one slot, and who may get it, who surely is of its audience."""

    experience: Experience
    edits: tuple[Edit, ...]
    takes: bool
    possible: Group
    certain: Group


class _Look:
    """One book at one moment."""

    def __init__(self, book: RuleBook, now: float, who: People | None) -> None:
        self._book = book
        self._who = who
        self._now = now
        self._zone = schedule.zone(book.shop.timezone)
        self._no: dict[tuple[str, str], str] = {}  # why an experience is nowhere in a slot
        self._always: dict[tuple[str, str, str], bool] = {}
        self._here: dict[str, list[_Wish]] = {}
        for one in book.experiences:
            edits: dict[str, list[Edit]] = {}
            for edit in one.edits:
                edits.setdefault(edit.slot or STYLE, []).append(edit)
            possible = 0 if who is None else who.possible(one.audiences)
            certain = 0 if who is None else who.certain(one.audiences)
            for slot, its in edits.items():
                takes = any(edit.action.takes_slot for edit in its)
                self._here.setdefault(slot, []).append(_Wish(one, tuple(its), takes, possible, certain))

    # ------------------------------------------------------------------ a cell

    def cell(self, row: Row, slot: str) -> Cell:
        theirs = 0 if self._who is None else self._who.possible([row.name])
        entries: list[Entry] = []
        takers: list[_Wish] = []  # that are tried before
        for wish in self._here.get(slot, ()):
            one, mine = wish.experience, theirs & wish.possible
            named = row.name in one.audiences or (self._who is None and "everyone" in one.audiences)
            if mine or named:
                kind, why = self._entry(row, slot, wish, takers, mine, theirs)
                verbs = tuple(dict.fromkeys(edit.action.verb for edit in wish.edits))
                entries.append(Entry(one.name, verbs, kind, why, wish.edits[0].where.short))
            if wish.takes and mine:
                takers.append(wish)
        best = min((entry.kind for entry in entries), key=_ORDER.index, default="")
        return Cell(row.name, slot, best, tuple(entries[:MOST_ENTRIES]), max(0, len(entries) - MOST_ENTRIES))

    def _entry(
        self,
        row: Row,
        slot: str,
        wish: _Wish,
        earlier: Sequence[_Wish],
        mine: Group,
        theirs: Group,
    ) -> tuple[str, str]:
        """How far an experience comes: its kind, and what narrows it."""
        one = wish.experience
        if row.impossible:
            return "never", row.impossible
        if why := self._nowhere(one, slot):
            return "never", why
        ahead: list[str] = []
        if wish.takes and mine:
            left, shadows = mine, []
            for other in earlier:
                if other.certain & left and self._always_before(other.experience, one, slot):
                    shadows.append(other.experience.name)
                    left &= ~other.certain
                if other.possible & mine and not self._nowhere(other.experience, slot):
                    ahead.append(other.experience.name)
            if not left:
                return "never", f"always shadowed by {both(shadows)}, which {_come(shadows)} first"
        if one.begins is not None and one.begins > self._now:
            return "later", f"begins {self._date(one.begins)}"
        narrowed = self._narrowed(one, self._book.slots.get(slot))
        if ahead:
            narrowed.append(f"behind {both(ahead[:3])}" + (f" and {len(ahead) - 3} more" if len(ahead) > 3 else ""))
        if not wish.takes:
            return "beside", ", ".join(narrowed)
        whole = self._who is not None and not theirs & ~wish.certain
        if not whole and row.name not in one.audiences:
            also = "" if row.name == "everyone" else "those who are also "
            narrowed.insert(0, f"for {also}{both(one.audiences)}")
        said = ", ".join(narrowed)
        return ("all", "") if whole and not said else ("some", said)

    def _narrowed(self, one: Experience, slot: Slot | None) -> list[str]:
        """What keeps an experience that runs from some of its audience."""
        said = []
        if one.when is not None:
            said.append("by " + both(sorted(fact.replace(".", " ") for fact in one.when.facts())))
        if one.courtesy != NO_COURTESY:
            said.append("as often as it may")
        if one.share < 1:
            said.append(f"for {one.share * 100:.4g} % of them")
        if one.on is not None and not (slot is not None and within(slot.on, one.on)):
            said.append(f"on {both(one.on.texts)}")
        if one.ends is not None:
            said.append(f"until {self._date(one.ends)}")
        return said

    # ------------------------------------------------------------------ never

    def _nowhere(self, one: Experience, slot: str) -> str:
        """Why nobody can get an experience in a slot, or its style; "" when somebody may."""
        key = (one.name, slot)
        if key not in self._no:
            self._no[key] = self._why_nowhere(one, self._book.slots.get(slot))
        return self._no[key]

    def _why_nowhere(self, one: Experience, slot: Slot | None) -> str:
        shop = self._book.shop
        if not shop.enabled:
            return f"the whole shop is off: enabled = false in {shop.where.file}"
        if not one.enabled:
            return f"off: enabled = false in {one.where.file}"
        if slot is not None and not slot.enabled:
            return f"the slot is off: enabled = false at {slot.where.short}"
        if one.ends is not None and one.ends <= self._now:
            return f"its schedule is over: ended {self._date(one.ends)}"
        if one.share <= 0:
            return "share is 0 %"
        if slot is not None and not meet(one.on, slot.on):
            assert one.on is not None
            assert slot.on is not None
            return f"its on ({both(one.on.texts)}) and the slot's ({both(slot.on.texts)}) have no page in common"
        if shop.never is not None:
            for on in (one.on, slot.on if slot is not None else None):
                if on is not None and within(on, shop.never):
                    return f"nobody ever edits {both(on.texts)}: never in {shop.where.file}"
        return ""

    def _always_before(self, other: Experience, one: Experience, slot: str) -> bool:
        """Whether ``other`` surely runs wherever and whenever ``one`` does, for whoever is of its audience."""
        key = (other.name, one.name, slot)
        if key not in self._always:
            self._always[key] = not self._nowhere(other, slot) and self._is_always_before(
                other, one, self._book.slots.get(slot)
            )
        return self._always[key]

    def _is_always_before(self, other: Experience, one: Experience, slot: Slot | None) -> bool:
        if other.when is not None or other.share < 1 or other.courtesy != NO_COURTESY:
            return False
        if self._book.shop.courtesy != HouseRules():  # what is on the page already may keep it away
            return False
        if (other.purpose == SELL != one.purpose) or (other.simplifies and not one.simplifies):
            return False  # a visitor may have asked for the one and not the other
        if other.begins is not None and other.begins > max(self._now, one.begins or self._now):
            return False
        if other.ends is not None and (one.ends is None or other.ends < one.ends):
            return False
        return within(one.on, other.on) or (slot is not None and within(slot.on, other.on))

    def never(self, one: Experience, cells: Sequence[Sequence[Cell]]) -> str:
        """Why nobody can ever get anything of an experience; "" when somebody may."""
        found = [entry for row in cells for cell in row for entry in cell.entries if entry.experience == one.name]
        if any(entry.kind != "never" for entry in found):
            return ""
        whys = list(dict.fromkeys(entry.why for entry in found))
        return "; ".join(whys[:3]) if whys else "nobody can be of its audience"

    def _date(self, at: float) -> str:
        return schedule.as_text(at, self._zone).removesuffix(f" {self._zone.key}").removesuffix(" 00:00")


SELL: Final = "sell"
_ORDER: Final = ("all", "some", "beside", "later", "never", "")


def _come(names: Sequence[str]) -> str:
    return "comes" if len(names) == 1 else "come"


def status(one: Experience, book: RuleBook, now: float) -> str:
    """Where an experience stands at a moment: "live", "waits", "over" or "off"."""
    if not one.enabled or not book.shop.enabled or one.share <= 0:
        return "off"
    return status_at(one.begins, one.ends, now)


def status_at(begins: float | None, ends: float | None, now: float) -> str:
    """The same of a schedule alone: "live", "waits" or "over"."""
    if ends is not None and ends <= now:
        return "over"
    return "waits" if begins is not None and begins > now else "live"


def by_slot(book: RuleBook) -> Mapping[str, tuple[str, ...]]:
    """The experiences that edit each slot, in the order in which they are tried."""
    found: dict[str, tuple[str, ...]] = dict.fromkeys(book.slots, ())
    for one in book.experiences:
        for slot in dict.fromkeys(edit.slot for edit in one.edits if edit.slot is not None):
            found[slot] = (*found.get(slot, ()), one.name)
    return found
