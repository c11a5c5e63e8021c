"""Who sees what: audience × slot, from the book alone; what is empty, and what can never be reached, with reasons.

Here: ``coverage``.  Not here: one visitor's page (``decide``), schedules over time (``calendar``), how it looks
(``console``).  What is said to be never reached is so for certain; where the rules alone cannot tell, nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edgeproxy.core import schedule
from edgeproxy.core.model import Edit, Experience, RuleBook, Slot
from edgeproxy.core.overlap import meet, within
from edgeproxy.core.people import People, audience, people, words
from edgeproxy.core.words import both

STYLE: Final = "style"
"""In place of a slot's name: edits that need none."""


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
    look = _Look(book, now)
    rows = tuple(_row(book, name) for name in names)
    cells = tuple(tuple(look.cell(row, slot) for slot in slots) for row in rows)
    unreached = tuple(
        Unreached(one.name, why, one.where.short) for one in book.experiences if (why := look.never(one, cells))
    )
    return Coverage(rows, tuple(slots), cells, unreached, _left_out(book, named))


def _row(book: RuleBook, name: str) -> Row:
    found = audience(book, name)
    assert found is not None, "a checked book names no audience that is not there"
    who = people(book, [name])
    impossible = ""
    if who is not None and not who.possible([name]):
        impossible = "no combination of stage and segments can be of it"
        if name == "unknown" and book.shop.without_cookie is None:
            impossible = 'without_cookie is "untouched": who has no cookie is of no audience'
    return Row(name, found.says, found.where.short if found.where.file else "", impossible)


def _left_out(book: RuleBook, named: Iterable[str]) -> tuple[str, ...]:
    who = people(book, named)
    if who is None:
        return ()
    theirs = who.possible(named)
    return tuple(
        words(visitor) for place, visitor in enumerate(who.visitors) if place not in theirs and not visitor.segments
    )


class _Look:
    """One book at one moment."""

    def __init__(self, book: RuleBook, now: float) -> None:
        self._book = book
        self._now = now
        self._zone = schedule.zone(book.shop.timezone)
        self._known: dict[tuple[str, ...], People | None] = {}
        self._here: dict[str, list[tuple[Experience, tuple[Edit, ...]]]] = {}
        for one in book.experiences:
            edits: dict[str, list[Edit]] = {}
            for edit in one.edits:
                edits.setdefault(edit.slot or STYLE, []).append(edit)
            for slot, its in edits.items():
                self._here.setdefault(slot, []).append((one, tuple(its)))

    def _people(self, *names: str) -> People | None:
        key = tuple(dict.fromkeys(names))
        if key not in self._known:
            self._known[key] = people(self._book, key)
        return self._known[key]

    # ------------------------------------------------------------------ a cell

    def cell(self, row: Row, slot: str) -> Cell:
        wanting = self._here.get(slot, [])
        who = self._people(row.name, *(name for one, _ in wanting for name in one.audiences))
        entries: list[Entry] = []
        for place, (one, edits) in enumerate(wanting):
            mine: frozenset[int] | None = None
            if who is None:
                if row.name not in one.audiences and "everyone" not in one.audiences:
                    continue
            else:
                mine = who.possible([row.name]) & who.possible(one.audiences)
                if not mine and row.name not in one.audiences:
                    continue
            kind, why = self._entry(row, slot, one, edits, wanting[:place], who, mine)
            verbs = tuple(dict.fromkeys(edit.action.verb for edit in edits))
            entries.append(Entry(one.name, verbs, kind, why, edits[0].where.short))
        best = min((entry.kind for entry in entries), key=_ORDER.index, default="")
        return Cell(row.name, slot, best, tuple(entries))

    def _entry(
        self,
        row: Row,
        slot: str,
        one: Experience,
        edits: Sequence[Edit],
        earlier: Sequence[tuple[Experience, tuple[Edit, ...]]],
        who: People | None,
        mine: frozenset[int] | None,
    ) -> tuple[str, str]:
        """How far an experience comes: its kind, and what narrows it."""
        if row.impossible:
            return "never", row.impossible
        if why := self._nowhere(one, self._book.slots.get(slot)):
            return "never", why
        takes = any(edit.action.takes_slot for edit in edits)
        ahead: list[str] = []
        if takes and who is not None and mine:
            left, shadows = mine, []
            for other, its in earlier:
                if not any(edit.action.takes_slot for edit in its):
                    continue
                if self._always_before(other, one, self._book.slots.get(slot)):
                    taken = who.certain(other.audiences) & left
                    if taken:
                        shadows.append(other.name)
                        left = left - taken
                if who.possible(other.audiences) & mine and not self._nowhere(other, self._book.slots.get(slot)):
                    ahead.append(other.name)
            if not left:
                return "never", f"always shadowed by {both(shadows)}, which {_come(shadows)} first"
        if one.begins is not None and one.begins > self._now:
            return "later", f"begins {self._date(one.begins)}"
        narrowed = self._narrowed(one, self._book.slots.get(slot))
        if ahead:
            narrowed.append(f"behind {both(ahead)}")
        if not takes:
            return "beside", ", ".join(narrowed)
        whole = who is not None and who.possible([row.name]) <= who.certain(one.audiences)
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
        if one.share < 1:
            said.append(f"for {one.share * 100:.4g} % of them")
        if one.on is not None and not (slot is not None and within(slot.on, one.on)):
            said.append(f"on {both(one.on.texts)}")
        if one.ends is not None:
            said.append(f"until {self._date(one.ends)}")
        return said

    # ------------------------------------------------------------------ never

    def _nowhere(self, one: Experience, slot: Slot | None) -> str:
        """Why nobody can get an experience in a slot (None: it needs none); "" when somebody may."""
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

    def _always_before(self, other: Experience, one: Experience, slot: Slot | None) -> bool:
        """Whether ``other`` surely runs wherever and whenever ``one`` does, for whoever is of its audience."""
        if other.when is not None or other.share < 1 or self._nowhere(other, slot):
            return False
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


_ORDER: Final = ("all", "some", "beside", "later", "never", "")


def _come(names: Sequence[str]) -> str:
    return "comes" if len(names) == 1 else "come"


def status(one: Experience, book: RuleBook, now: float) -> str:
    """Where an experience stands at a moment: "live", "waits", "over" or "off"."""
    if not one.enabled or not book.shop.enabled or one.share <= 0:
        return "off"
    if one.ends is not None and one.ends <= now:
        return "over"
    return "waits" if one.begins is not None and one.begins > now else "live"


def by_slot(book: RuleBook) -> Mapping[str, tuple[str, ...]]:
    """The experiences that edit each slot, in the order in which they are tried."""
    found: dict[str, tuple[str, ...]] = dict.fromkeys(book.slots, ())
    for one in book.experiences:
        for slot in dict.fromkeys(edit.slot for edit in one.edits if edit.slot is not None):
            found[slot] = (*found.get(slot, ()), one.name)
    return found
