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


@dataclass(frozen=True, slots=True)
class ExplainedVisitor:
    stage: str | None
    segments: tuple[str, ...]
    id: str | None
    source: str  # "cookie", "no cookie", "disbelieved", "preview"
    problems: tuple[str, ...]

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
class ExplainedExperience:
    name: str
    outcome: str  # the value of an Outcome
    why: str
    where: str  # file:line
    says: str


@dataclass(frozen=True, slots=True)
class ExplainedEdit:
    experience: str
    verb: str
    outcome: str  # "placed", "shadowed", "refused"
    why: str
    where: str


@dataclass(frozen=True, slots=True)
class ExplainedSlot:
    name: str
    find: str  # CSS selector
    where: str
    matches: int | None  # None: no page was looked at
    winner: str | None  # the experience that has it
    why: str  # who has it and how, or why nobody has
    edits: tuple[ExplainedEdit, ...]  # everything that fitting experiences wanted of it


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
    lines += _labelled("moment", [explanation.moment])
    lines += _labelled("request", [", ".join(f"{name} {value}" for name, value in explanation.facts)])
    lines += _labelled("lane", [f"{explanation.lane}: {explanation.lane_why}"])
    lines += _labelled("rules", [explanation.book_version])
    lines += _labelled("note", explanation.notes)

    lines += ["", "Experiences, in the order in which they are tried"]
    rows = [(_mark(one.outcome), one.name, one.outcome, one.why, one.where) for one in explanation.experiences]
    lines += _table(rows) or ["  none"]

    lines += ["", "Slots of this page"]
    slots: list[str] = []
    table = _table([_slot_row(one) for one in explanation.slots])
    for slot, line in zip(explanation.slots, table, strict=True):
        slots.append(line)
        if len(slot.edits) > 1 or any(edit.outcome != "placed" for edit in slot.edits):
            slots += _edit_lines(slot.edits)
    lines += slots or ["  none"]
    if explanation.styles:
        lines += ["", "Styles", *_edit_lines(explanation.styles)]
    return "\n".join("".join(one if one.isprintable() else "\ufffd" for one in line).rstrip() for line in lines)


def _labelled(label: str, texts: Sequence[str]) -> list[str]:
    return [f"  {label if not place else '':<9}{text}" for place, text in enumerate(texts) if text]


_GOOD: Final = frozenset({Outcome.APPLIED.value, Outcome.FITS.value, Outcome.PREVIEW.value})


def _mark(outcome: str) -> str:
    return "✓" if outcome in _GOOD else "·"


def _slot_row(slot: ExplainedSlot) -> tuple[str, ...]:
    found = "" if slot.matches is None else f" ({count(slot.matches, 'match', 'matches')})"
    return "✓" if slot.winner else "·", slot.name, slot.winner or NOBODYS, slot.why, f"{slot.find}{found}", slot.where


def _edit_lines(edits: Sequence[ExplainedEdit]) -> list[str]:
    rows = [
        ("  " + ("✓" if e.outcome == "placed" else "·"), f"{e.experience}: {e.verb}", e.outcome, e.why, e.where)
        for e in edits
    ]
    return _table(rows)


def _table(rows: Sequence[tuple[str, ...]], widest: int = 72) -> list[str]:
    """Rows as lines; each column but the last is as wide as its widest cell, up to a limit."""
    if not rows:
        return []
    widths = [min(widest, max(len(row[column]) for row in rows)) for column in range(len(rows[0]) - 1)]
    return [
        "  " + "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]
