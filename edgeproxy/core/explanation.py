"""An explanation as data, told as text or as JSON.

Here: the frozen nouns that ``explain`` fills, and their telling.  Not here: how it is found out.  The console tells
the same data as a page.  Same explanation, same text, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from edgeproxy.core.model import Outcome
from edgeproxy.core.words import both, count

NOBODYS: Final = "the shop's own"
TO_OTHERS: Final = "to others than previewers: "  # begins a note that is about caches, and so not about the page


@dataclass(frozen=True, slots=True)
class ExplainedVisitor:
    stage: str | None
    segments: tuple[str, ...]
    id: str | None
    source: str  # "cookie", "no cookie", "disbelieved", "preview"
    problems: tuple[str, ...]
    remembered: tuple[str, ...] = ()  # in words; what may not be looked at is one that says why

    @property
    def words(self) -> str:
        """``stage "loyal", segment outdoor, id q7Hk2m (cookie)``."""
        parts = [f'stage "{self.stage}"' if self.stage else "no stage"]
        noun = "segment" if len(self.segments) == 1 else "segments"
        parts.append(f"{noun} {both(self.segments)}" if self.segments else "no segments")
        if self.id:
            parts.append(f"id {self.id}")
        return f"{', '.join(parts)} ({self.source})"


@dataclass(frozen=True, slots=True)
class Written:
    """Who wrote a line of the rules, as git knows it; an empty ``commit``: it is not committed yet."""

    commit: str
    date: str  # 2026-11-20
    author: str

    @property
    def words(self) -> str:
        return f"{self.commit}, {self.date}, {self.author}" if self.commit else "not committed yet"


@dataclass(frozen=True, slots=True)
class ExplainedExperience:
    name: str
    outcome: str  # the value of an Outcome
    why: str
    where: str  # file:line
    says: str
    written: Written | None = None  # None: not known


@dataclass(frozen=True, slots=True)
class ExplainedEdit:
    experience: str
    verb: str
    outcome: str  # "placed", "shadowed", "refused"
    why: str
    where: str
    content: str = ""  # the fragment that was chosen
    written: Written | None = None

    @property
    def ended(self) -> str:
        """What became of it, and why where that says more."""
        return self.outcome if self.why in {"", self.outcome} else f"{self.outcome}, {self.why}"

    @property
    def does(self) -> str:
        """The verb, and the fragment it has: ``inner first-steps.html``."""
        return f"{self.verb} {self.content}" if self.content else self.verb


@dataclass(frozen=True, slots=True)
class ExplainedSlot:
    name: str
    find: str  # CSS selector
    where: str
    matches: int | None  # None: no page was looked at
    winner: str | None  # the experience that has it
    why: str  # who has it and how, or why nobody has
    edits: tuple[ExplainedEdit, ...]  # everything that fitting experiences wanted of it
    ranges: tuple[tuple[int, int], ...] = ()  # bytes of the shop's page where the first matched elements stand
    written: Written | None = None

    @property
    def found(self) -> str:
        """``2 matches, bytes 120–300 and 310–340``; "" when no page was looked at."""
        if self.matches is None:
            return ""
        at = both(f"{start:,}–{end:,}" for start, end in self.ranges)
        more = ", …" if self.ranges and self.matches > len(self.ranges) else ""
        return count(self.matches, "match", "matches") + (f", bytes {at}{more}" if at else "")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that led to what one visitor sees on one page at one moment."""

    method: str
    url: str
    at: float
    moment: str  # ``at`` in the shop's timezone
    visitor: ExplainedVisitor
    facts: tuple[tuple[str, str], ...]  # of the request: (name, value)
    lane: str  # "pass", "private", "shared"
    lane_why: str
    personal: bool  # the page's answer varies by visitor
    experiences: tuple[ExplainedExperience, ...]  # in the order in which they are tried
    slots: tuple[ExplainedSlot, ...]  # those of this path
    styles: tuple[ExplainedEdit, ...]  # edits that need no slot
    notes: tuple[str, ...]  # about the page or the preview
    book_version: str


# --------------------------------------------------------------------------- told


def as_json(explanation: Explanation) -> dict[str, object]:
    """The explanation as plain JSON values; ``facts`` as an object."""
    told = asdict(explanation)
    told["facts"] = dict(explanation.facts)
    return told


def as_text(explanation: Explanation) -> str:
    """The explanation for a terminal: aligned, no colour, no control characters, ends without a newline."""
    lines = [f"{explanation.method} {explanation.url}", ""]
    lines += _labelled("visitor", [explanation.visitor.words, *explanation.visitor.problems])
    lines += _labelled("memory", [", ".join(explanation.visitor.remembered)])
    lines += _labelled("moment", [explanation.moment])
    lines += _labelled("request", [", ".join(f"{name} {value}" for name, value in explanation.facts)])
    lines += _labelled("lane", [f"{explanation.lane}: {explanation.lane_why}"])
    lines += _labelled("rules", [explanation.book_version])
    lines += _labelled("note", explanation.notes)

    lines += ["", "Experiences, in the order in which they are tried"]
    lines += _rows(
        [
            _Row(e.outcome in GOOD, e.name, e.outcome, _place(e.where, e.written), (e.why,))
            for e in explanation.experiences
        ]
    )
    lines += ["", "Slots of this page"]
    lines += _rows([_slot_row(slot) for slot in explanation.slots])
    if explanation.styles:
        lines += ["", "Styles"]
        lines += _rows(
            [
                _Row(e.outcome == "placed", e.experience, e.outcome, _place(e.where, e.written), (e.why,))
                for e in explanation.styles
            ]
        )
    return "\n".join("".join(one if one.isprintable() else "\ufffd" for one in line).rstrip() for line in lines)


GOOD: Final = frozenset({Outcome.APPLIED.value, Outcome.FITS.value, Outcome.PREVIEW.value})


@dataclass(frozen=True, slots=True)
class _Row:
    """One thing of a list: a line with its name, what became of it and its place, and lines below that say why."""

    good: bool
    name: str
    what: str
    where: str
    below: tuple[str, ...]


def _place(where: str, written: Written | None) -> str:
    return f"{where}  ({written.words})" if written is not None else where


def _slot_row(slot: ExplainedSlot) -> _Row:
    below = [slot.find + (f", {slot.found}" if slot.found else ""), slot.why]
    if len(slot.edits) > 1 or any(edit.outcome != "placed" for edit in slot.edits):
        below += [
            f"  {edit.experience}: {edit.does}, {edit.ended}  {_place(edit.where, edit.written)}" for edit in slot.edits
        ]
    return _Row(
        slot.winner is not None, slot.name, slot.winner or NOBODYS, _place(slot.where, slot.written), tuple(below)
    )


def _rows(rows: Sequence[_Row], widest: int = 32) -> list[str]:
    """The rows as aligned lines; names beyond ``widest`` characters push the rest of their own line alone."""
    names = min(widest, max((len(row.name) for row in rows), default=0))
    whats = min(widest, max((len(row.what) for row in rows), default=0))
    lines: list[str] = []
    for row in rows:
        lines.append(f"  {'✓' if row.good else '·'} {row.name:<{names}}  {row.what:<{whats}}  {row.where}")
        lines += [f"    {'':<{names}}  {text}" for text in row.below if text]
    return lines or ["  none"]


def _labelled(label: str, texts: Sequence[str]) -> list[str]:
    return [f"  {label if not place else '':<9}{text}" for place, text in enumerate(texts) if text]
