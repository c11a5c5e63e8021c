"""Who wins each slot of a page, and why not the others: decision and plan → splices.

Here: ``place``, pure: the same decision, plan and body give the same placing on every machine.  Not here: which
experiences fit (``core.decide``), whether an edit can be made somewhere (``edits``), offsets (``draft``).  Called by
``personalise`` alone.

The rules, in order:

1. Experiences are tried as the decision has them.  The first that edits a slot with a verb that takes slots holds
   it, whether its edit can be made or not: what people see never depends on luck.  Slots that resolve to one
   element are one slot.
2. An edit whose bytes cross those of an earlier experience is shadowed; inside one experience the outer edit stands.
   Inside one experience edits of one element apply in file order.
3. An experience that says ``whole`` is tried on a copy: all of its edits for this page are made, or it takes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from edgeproxy.core.model import Decision, Edit, Experience, Outcome, RuleBook
from edgeproxy.html.content import Resolved, resolve
from edgeproxy.html.draft import Draft, identity
from edgeproxy.html.edits import Style
from edgeproxy.html.ground import Ground, Identity
from edgeproxy.html.model import Element, PagePlan, Placement, PlaceOutcome, Placing
from edgeproxy.html.roundtrip import DomEdit
from edgeproxy.html.verb import Ranges, Site, Verb, Zone


def place(
    decision: Decision,
    book: RuleBook,
    page: PagePlan,
    body: bytes,
    values: Mapping[str, str],
    *,
    roundtrips: bool = True,
) -> Placing:
    """All that a decision comes to on one page.

    ``page`` holds the slots that are on this page (``Slot.on``) and switched on; edits of others are refused.
    ``values`` are those of the placeholders segment, stage and path; the nonce is the page's own.  ``roundtrips``:
    slots whose owner allows it may be changed on the DOM where bytes cannot; ``Placing.roundtrips`` are these edits.
    """
    values = {**values, "nonce": page.nonce or ""}
    state = _State(Draft(body, page))
    placements: list[Placement] = []
    outcomes: dict[str, tuple[Outcome, str]] = {}
    for experience in decision.fitting:
        trial = _Trial(experience, decision, book, page, body, values, state, roundtrips)
        tried = trial.run()
        placements += tried
        outcomes[experience.name] = _outcome(experience, tried, forced=experience.name == decision.forced)
    splices, trips = state.draft.splices(), tuple(state.trips)
    portable = state.draft.portable and not trips
    return Placing(splices, tuple(placements), _winners(page, placements, state), outcomes, trips, portable)


def nothing(decision: Decision, why: str) -> Placing:
    """The placing on a page that is left alone as a whole."""
    placements = tuple(
        Placement(experience, edit, PlaceOutcome.REFUSED, why)
        for experience in decision.fitting
        for edit in experience.edits
    )
    outcomes = {
        experience.name: (Outcome.PREVIEW if experience.name == decision.forced else Outcome.NOT_PLACED, why)
        for experience in decision.fitting
    }
    return Placing((), placements, {}, outcomes)


@dataclass(slots=True)
class _State:
    """What earlier experiences have come to."""

    draft: Draft
    slots: dict[str, str] = field(default_factory=dict)  # slot → who holds it
    holders: dict[Identity, str] = field(default_factory=dict)  # element → who holds it
    placed: dict[Identity, str] = field(default_factory=dict)  # element → whose taking edit was made there
    ground: Ground = field(default_factory=Ground)
    trips: list[DomEdit] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One edit at one element that nothing earlier is in the way of."""

    number: int  # of the edit in its experience
    site: Site
    identity: Identity
    ranges: Ranges


@dataclass(slots=True)
class _Tally:
    """What became of one edit so far."""

    placed: int = 0
    shadowed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    partly: list[str] = field(default_factory=list)  # what earlier experiences have kept of edits that were made
    remarks: list[str] = field(default_factory=list)
    stuck: int = 0  # elements whose bytes do not allow it, though their tree does
    trip: DomEdit | None = None  # made on the DOM instead, for the slot's owner allows it
    elsewhere: bool = False  # its slot is not on this page: no success and no failure
    content: str = ""  # the fragment that was chosen

    def failed(self) -> bool:
        return bool(self.shadowed or self.refused or self.partly) and not self.elsewhere


class _Trial:
    """One experience on one page: judged edit by edit, then made, all or what can be."""

    def __init__(
        self,
        experience: Experience,
        decision: Decision,
        book: RuleBook,
        page: PagePlan,
        body: bytes,
        values: Mapping[str, str],
        state: _State,
        roundtrips: bool,
    ) -> None:
        self.experience = experience
        self.decision = decision
        self.book = book
        self.page = page
        self.body = body
        self.values = values
        self.state = state
        self.roundtrips = roundtrips
        self.tallies = [_Tally() for _ in experience.edits]
        self.slots: set[str] = set()
        self.holders: set[Identity] = set()

    def run(self) -> list[Placement]:
        candidates = [
            candidate
            for number, edit in enumerate(self.experience.edits)
            if _verb(edit).needs_slot
            for candidate in self._candidates(number, edit)
        ]
        candidates = self._outer(self._one_element(candidates))
        if not self.experience.whole:
            self._claim()
            self._make(candidates, self.state.draft)
        elif not self._fails():
            draft = self.state.draft.copy()
            self._make(candidates, draft)
            if not self._fails():
                self.state.draft = draft
                self._claim()
        if not self.experience.whole or not self._fails():
            self._speak_for(candidates)
            return [
                self._placement(edit, tally) for edit, tally in zip(self.experience.edits, self.tallies, strict=True)
            ]
        return self._nothing_of_it()

    # -- judging

    def _candidates(self, number: int, edit: Edit) -> list[_Candidate]:
        tally, action = self.tallies[number], _verb(edit)
        slot = edit.slot or ""
        found = self.page.slots.get(slot)
        if found is None:
            known = self.book.slots.get(slot)
            off = known is not None and not known.enabled
            tally.elsewhere = not off
            tally.refused.append(f'the slot "{slot}" is ' + ("switched off" if off else "not on this page"))
            return []
        if action.takes_slot:
            holder = self.state.slots.get(slot)
            if holder is not None:
                tally.shadowed.append(_shadow(holder))
                return []
            self.slots.add(slot)
        if found.trouble or not found.elements:
            tally.refused.append(found.trouble or f'"{found.slot.find}" matches nothing on this page')
            return []
        content = resolve(edit.content, self.decision.visitor, self.book.shop, self.values)
        tally.content = content.path
        if content.trouble:
            if action.takes_slot:
                self.holders.update(identity(element) for element in found.elements)
            tally.refused.append(content.trouble)
            return []
        judged = [self._judge(number, action, element, content) for element in found.elements]
        candidates = [candidate for candidate in judged if candidate is not None]
        only_bytes = tally.stuck and len(candidates) + tally.stuck == len(found.elements)
        if only_bytes and found.slot.roundtrip and self.roundtrips:
            tally.trip = action.dom(found.slot.find, content.markup)
            tally.placed, tally.refused = len(found.elements), []
            tally.remarks.append("the page is written anew for it, since its bytes cannot be spliced there")
            return []
        return candidates

    def _judge(self, number: int, action: Verb, element: Element, content: Resolved) -> _Candidate | None:
        tally, key = self.tallies[number], identity(element)
        if action.takes_slot:
            holder = self.state.holders.get(key)
            if holder is not None:
                tally.shadowed.append(_shadow(holder))
                return None
            self.holders.add(key)
        site = Site(self.body, self.page, element, content.markup, content.outline)
        refusal = action.illegal(site)
        stuck = "" if refusal else action.unspliceable(site)
        if refusal or stuck:
            tally.refused.append(refusal or stuck)
            tally.stuck += bool(stuck)
            return None
        ranges = action.reach(site)
        holder = self.state.ground.holder(key, ranges)
        if holder:
            tally.shadowed.append(f"{_shadow(holder)}, which changes the same part of the page")
            return None
        return _Candidate(number, site, key, ranges)

    def _one_element(self, candidates: Sequence[_Candidate]) -> list[_Candidate]:
        """Edits of one element by one experience, in file order: what a later one overwrites is not made."""
        kept: list[_Candidate] = []
        there: dict[Identity, list[_Candidate]] = {}
        for new in candidates:
            zone = self._zone(new)
            for old in list(there.get(new.identity, ())):
                before = self._zone(old)
                if before is Zone.ALL and zone is not Zone.BESIDE:
                    self._own(new, old)
                    break
                if before is Zone.CONTENT and zone is Zone.CHILDREN:
                    self._own(new, old)
                    break
                swallowed = zone is Zone.ALL and before is not Zone.BESIDE
                if swallowed or (zone is Zone.CONTENT and before in (Zone.ENDS, Zone.CONTENT, Zone.CHILDREN)):
                    self._own(old, new)
                    kept.remove(old)
                    there[new.identity].remove(old)
            else:
                kept.append(new)
                there.setdefault(new.identity, []).append(new)
        return kept

    def _outer(self, candidates: Sequence[_Candidate]) -> list[_Candidate]:
        """Of edits that cross inside one experience the outer one is made."""
        if len(candidates) < 2:
            return list(candidates)
        ground, kept = Ground(), []
        for candidate in sorted(candidates, key=lambda c: (c.identity[0], -c.identity[1], c.identity[2], c.number)):
            number = ground.holder(candidate.identity, candidate.ranges)
            if not number:
                ground.claim(candidate.identity, candidate.ranges, str(candidate.number))
                kept.append(candidate)
            elif int(number) != candidate.number:  # inside an element of the same edit it is done already
                self._own(candidate, int(number))
        return sorted(kept, key=lambda c: c.number)

    def _zone(self, candidate: _Candidate) -> Zone:
        return _verb(self.experience.edits[candidate.number]).zone

    def _own(self, loser: _Candidate, winner: _Candidate | int) -> None:
        edit = self.experience.edits[winner if isinstance(winner, int) else winner.number]
        self.tallies[loser.number].shadowed.append(
            f"its own {edit.action.verb} ({edit.where.short}) changes the same part of the page"
        )

    # -- making

    def _make(self, candidates: Sequence[_Candidate], draft: Draft) -> None:
        waiting = list(candidates)
        for number, edit in enumerate(self.experience.edits):
            action, tally = _verb(edit), self.tallies[number]
            if isinstance(action, Style):
                self._make_style(action, tally, draft)
            while waiting and waiting[0].number == number:
                candidate = waiting.pop(0)
                done = action.apply(candidate.site, draft, self.experience.name)
                if done.all_lost:
                    tally.shadowed.append(done.lost)
                    continue
                tally.placed += 1
                if done.lost:
                    tally.partly.append(done.lost)
                tally.remarks += [remark for remark in (action.remark(candidate.site),) if remark]

    def _make_style(self, action: Style, tally: _Tally, draft: Draft) -> None:
        refusal = action.page_refusal(self.page)
        holder = self.state.ground.cut(self.page.head_end) if self.page.head_end is not None else ""
        if refusal:
            tally.refused.append(refusal)
        elif holder:
            tally.shadowed.append(_shadow(holder))
        else:
            action.put(draft)
            tally.placed += 1

    def _claim(self) -> None:
        for slot in self.slots:
            self.state.slots.setdefault(slot, self.experience.name)
        for key in self.holders:
            self.state.holders.setdefault(key, self.experience.name)

    def _speak_for(self, candidates: Sequence[_Candidate]) -> None:
        self.state.trips += [tally.trip for tally in self.tallies if tally.trip is not None]
        for candidate in candidates:
            self.state.ground.claim(candidate.identity, candidate.ranges, self.experience.name)
            if _verb(self.experience.edits[candidate.number]).takes_slot:
                self.state.placed[candidate.identity] = self.experience.name

    # -- telling

    def _fails(self) -> bool:
        return any(tally.failed() for tally in self.tallies) or all(tally.elsewhere for tally in self.tallies)

    def _placement(self, edit: Edit, tally: _Tally) -> Placement:
        if tally.placed:
            missed = list(dict.fromkeys(tally.shadowed + tally.refused + tally.partly + tally.remarks))
            left = len(tally.refused) + len(tally.shadowed)
            many = f" on {tally.placed} of {tally.placed + left} elements" if left else ""
            why = f"placed{many}" + (f": {'; '.join(missed)}" if missed else "")
            return Placement(self.experience, edit, PlaceOutcome.PLACED, why, tally.content)
        shadows = tally.shadowed + tally.partly
        if shadows:
            why = "; ".join(dict.fromkeys(shadows))
            return Placement(self.experience, edit, PlaceOutcome.SHADOWED, why, tally.content)
        outcome = PlaceOutcome.ELSEWHERE if tally.elsewhere else PlaceOutcome.REFUSED
        return Placement(self.experience, edit, outcome, "; ".join(dict.fromkeys(tally.refused)), tally.content)

    def _nothing_of_it(self) -> list[Placement]:
        """An experience that is whole or nothing came to nothing: the culprits say why, the others name them."""
        edits, tallies = self.experience.edits, self.tallies
        culprits = [edit for edit, tally in zip(edits, tallies, strict=True) if tally.failed()]
        named = ", ".join(f"{edit.action.verb} ({edit.where.short})" for edit in culprits)
        placements: list[Placement] = []
        for edit, tally in zip(edits, tallies, strict=True):
            if tally.failed() or tally.elsewhere:
                tally.placed = 0
                placements.append(self._placement(edit, tally))
            else:
                why = f"it says whole, and of its edits {named} cannot be placed"
                placements.append(Placement(self.experience, edit, PlaceOutcome.REFUSED, why))
        return placements


def _verb(edit: Edit) -> Verb:
    return cast("Verb", edit.action)  # opaque to core, made by html.edits


def _shadow(name: str) -> str:
    return f'shadowed by "{name}"'


def _outcome(experience: Experience, placements: Sequence[Placement], *, forced: bool) -> tuple[Outcome, str]:
    """How an experience ended, with a sentence."""
    here = [p for p in placements if p.outcome is not PlaceOutcome.ELSEWHERE]
    placements = here or placements
    placed = [p for p in placements if p.outcome is PlaceOutcome.PLACED]
    shadowed = [p for p in placements if p.outcome is PlaceOutcome.SHADOWED]
    failed = [p for p in placements if p.outcome is not PlaceOutcome.PLACED]
    reasons = "; ".join(dict.fromkeys(f"{_name(p.edit)}: {p.why}" for p in failed))
    if placed:
        count = f"{len(placed)} of {len(placements)} edits placed" if failed else "placed"
        outcome, why = Outcome.APPLIED, f"{count}; {reasons}" if failed else count
    else:
        outcome, why = Outcome.SHADOWED if shadowed else Outcome.NOT_PLACED, reasons or "it has no edits"
    return (Outcome.PREVIEW, f"forced by preview: {why}") if forced else (outcome, why)


def _name(edit: Edit) -> str:
    return edit.slot or edit.action.verb


def _winners(page: PagePlan, placements: Sequence[Placement], state: _State) -> dict[str, str]:
    """Slot → the experience whose taking edit was made there; slots of one element are one."""
    winners = {
        p.edit.slot: p.experience.name
        for p in placements
        if p.outcome is PlaceOutcome.PLACED and p.edit.slot is not None and p.edit.action.takes_slot
    }
    for name, found in page.slots.items():
        owners = {state.placed.get(identity(element)) for element in found.elements}
        if name not in winners and len(owners) == 1:
            owner = owners.pop()
            if owner is not None:
                winners[name] = owner
    return winners
