"""Why somebody sees what they see: ``explain`` puts together what led to it.

Here: what ``decide`` said with its reasons, joined with what placing on the page came to, where one was looked at.
Not here: the reasons themselves (they are written where they are known), and telling (``explanation``).  Called by
the command, by previews, and by rule tests.

``core`` knows no HTML: a page's placing and plan are handed in, and read through the protocols below.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Final, Protocol

from edgeproxy.core import policy, schedule
from edgeproxy.core.conditions.request import device_of, language_of
from edgeproxy.core.decide import decide
from edgeproxy.core.explanation import (
    NOBODYS,
    ExplainedEdit,
    ExplainedExperience,
    ExplainedSlot,
    ExplainedVisitor,
    Explanation,
    Written,
    as_json,
    as_text,
)
from edgeproxy.core.model import Edit, Experience, Lane, Outcome, PageRequest, RuleBook, Slot, Step, Visitor
from edgeproxy.core.onpath import on_path
from edgeproxy.core.remembered import phrases
from edgeproxy.core.words import both

__all__ = ["NOBODYS", "Explanation", "PlacingSeen", "PlanSeen", "as_json", "as_text", "explain", "taker"]


MOST_RANGES: Final = 20
"""Elements of a slot whose bytes are told."""


class PlacementSeen(Protocol):
    """What became of one edit on a page (``html.model.Placement``)."""

    @property
    def experience(self) -> Experience: ...
    @property
    def edit(self) -> Edit: ...
    @property
    def outcome(self) -> Enum:
        """Its value is "placed", "shadowed" or "refused"."""

    @property
    def why(self) -> str: ...
    @property
    def content(self) -> str:
        """The fragment that was chosen, if the edit has one."""


class PlacingSeen(Protocol):
    """What a decision came to on a page (``html.model.Placing``)."""

    @property
    def placements(self) -> Sequence[PlacementSeen]: ...
    @property
    def winners(self) -> Mapping[str, str]: ...
    @property
    def outcomes(self) -> Mapping[str, tuple[Outcome, str]]: ...


class ElementSeen(Protocol):
    """Where one matched element stands in the page's bytes (``html.model.Element``)."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


class SlotSeen(Protocol):
    """What a slot's selector found (``html.model.SlotPlace``)."""

    @property
    def count(self) -> int: ...
    @property
    def trouble(self) -> str: ...
    @property
    def elements(self) -> Sequence[ElementSeen]: ...


class PlanSeen(Protocol):
    """Where the slots of a page are (``html.model.PagePlan``)."""

    @property
    def slots(self) -> Mapping[str, SlotSeen]: ...
    @property
    def framework(self) -> str | None: ...


def explain(
    book: RuleBook,
    visitor: Visitor,
    request: PageRequest,
    *,
    forced: str | None = None,
    without: Collection[str] = (),
    placing: PlacingSeen | None = None,
    plan: PlanSeen | None = None,
    lane: Lane | None = None,
    notes: Sequence[str] = (),
    written: Mapping[str, Written] | None = None,
) -> Explanation:
    """Decide once more, asked for the reasons, and join what placing on the page came to.

    Without ``placing`` experiences end in "fits" and slots tell who would have them.  ``lane`` is the one that was
    taken, when the caller knows it better than ``policy.lane`` does before the shop answered; ``written`` says who
    wrote a line of the rules, by its ``file:line``.
    """
    written = {} if written is None else written
    decision = decide(book, visitor, request, forced=forced, without=without, reasons=True)
    seen = decision.visitor
    taken = policy.lane(book, request, decision) if lane is None else lane
    said = list(notes)
    if plan is not None and plan.framework:
        said.append(f"{plan.framework} hydrates this page: edits that would not survive it are refused")
    query = f"?{request.query}" if request.query else ""
    return Explanation(
        method=request.method,
        url=f"{request.scheme}://{request.host}{request.path}{query}",
        at=request.at,
        moment=schedule.as_text(request.at, schedule.zone(book.shop.timezone)),
        visitor=ExplainedVisitor(
            seen.stage, seen.segments, seen.id, seen.source.value, seen.problems, _remembered(seen, request.at)
        ),
        facts=_facts(request),
        lane=taken.kind.value,
        lane_why=taken.why,
        personal=taken.personal,
        experiences=tuple(_experience(step, placing, written) for step in decision.steps),
        slots=_slots(book, request.path, decision.fitting, placing, plan, written),
        styles=_edits(placing, None, written),
        notes=tuple(said),
        book_version=decision.book_version,
    )


def _remembered(visitor: Visitor, at: float) -> tuple[str, ...]:
    said = phrases(visitor.memory, at) if visitor.memory is not None else ()
    return (*said, f"nothing may be: {visitor.unremembered}") if visitor.unremembered else said


def _facts(request: PageRequest) -> tuple[tuple[str, str], ...]:
    found = [("device", device_of(request)), ("language", language_of(request)), ("country", request.country)]
    return tuple((name, value) for name, value in found if value)


def _experience(step: Step, placing: PlacingSeen | None, written: Mapping[str, Written]) -> ExplainedExperience:
    experience, outcome, why = step.experience, step.outcome, step.why
    placed = placing.outcomes.get(experience.name) if placing is not None else None
    if placed is not None and outcome is Outcome.FITS:
        outcome, why = placed[0], "; ".join(one for one in (why, placed[1]) if one)
    elif placed is not None and outcome is Outcome.PREVIEW:
        words = "; ".join(one for one in (placed[0].value, placed[1]) if one)
        why = f"{why}; {words}"
    where = experience.where.short
    return ExplainedExperience(experience.name, outcome.value, why, where, experience.says, written.get(where))


def _edits(placing: PlacingSeen | None, slot: str | None, written: Mapping[str, Written]) -> tuple[ExplainedEdit, ...]:
    if placing is None:
        return ()
    return tuple(
        ExplainedEdit(
            one.experience.name,
            one.edit.action.verb,
            str(one.outcome.value),
            one.why,
            one.edit.where.short,
            one.content,
            written.get(one.edit.where.short),
        )
        for one in placing.placements
        if one.edit.slot == slot
    )


def _slots(
    book: RuleBook,
    path: str,
    fitting: tuple[Experience, ...],
    placing: PlacingSeen | None,
    plan: PlanSeen | None,
    written: Mapping[str, Written],
) -> tuple[ExplainedSlot, ...]:
    if on_path(book, path).never:
        return ()
    explained = []
    for slot in book.slots.values():
        if slot.on is not None and not slot.on.match(path):
            continue
        found = None if plan is None else plan.slots.get(slot.name)
        edits = _edits(placing, slot.name, written)
        winner = placing.winners.get(slot.name) if placing is not None else taker(slot.name, fitting)
        why = _why_slot(book, slot, found, winner, edits, fitting, looked=placing is not None)
        matches = None if found is None else found.count
        where = slot.where.short
        ranges = () if found is None else tuple((one.start, one.end) for one in found.elements[:MOST_RANGES])
        explained.append(
            ExplainedSlot(slot.name, slot.find, where, matches, winner, why, edits, ranges, written.get(where))
        )
    return tuple(explained)


def taker(slot: str, fitting: Sequence[Experience]) -> str | None:
    """The first fitting experience that would take the slot, if every edit can be placed."""
    for experience in fitting:
        if any(edit.slot == slot and edit.action.takes_slot for edit in experience.edits):
            return experience.name
    return None


def _why_slot(
    book: RuleBook,
    slot: Slot,
    found: SlotSeen | None,
    winner: str | None,
    edits: tuple[ExplainedEdit, ...],
    fitting: tuple[Experience, ...],
    *,
    looked: bool,
) -> str:
    """Who has the slot and by which verbs, or why it is the shop's own."""
    if not slot.enabled:
        return "off: enabled = false"
    if winner is not None and looked:
        return both(edit.does for edit in edits if edit.experience == winner and edit.outcome == "placed")
    if winner is not None:
        return "would have it; no page was looked at"
    if found is not None and found.trouble:
        return found.trouble
    placed = [f"{edit.does} of {edit.experience}" for edit in edits if edit.outcome == "placed"]
    if placed:
        return f"nobody takes it; beside it: {both(placed)}"
    if edits:
        return "; ".join(dict.fromkeys(f"{edit.verb} of {edit.experience}: {edit.why}" for edit in edits))
    wanted = [one.name for one in book.experiences if any(edit.slot == slot.name for edit in one.edits)]
    fits = {one.name for one in fitting}
    if not wanted:
        return "no experience edits it"
    if fits.isdisjoint(wanted):
        return f"{both(wanted)} {'edits' if len(wanted) == 1 else 'edit'} it, and {_none(wanted)} here"
    return "nobody takes it" if looked else f"nobody takes it; beside it: {both(one for one in wanted if one in fits)}"


def _none(names: Sequence[str]) -> str:
    return "does not fit" if len(names) == 1 else "neither fits" if len(names) == 2 else "none fits"
