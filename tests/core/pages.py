"""A page of the tests that places without an HTML engine: what ``core`` is handed by whoever knows HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from edgeproxy.core.model import Decision, Edit, Experience, Outcome, PageRequest, RuleBook


class Placed(Enum):
    PLACED = "placed"
    SHADOWED = "shadowed"
    REFUSED = "refused"


@dataclass(frozen=True)
class Placement:
    experience: Experience
    edit: Edit
    outcome: Placed
    why: str
    content: str = ""


@dataclass(frozen=True)
class Placing:
    placements: Sequence[Placement]
    winners: Mapping[str, str]
    outcomes: Mapping[str, tuple[Outcome, str]]


@dataclass(frozen=True)
class Element:
    start: int
    end: int


@dataclass(frozen=True)
class SlotPlace:
    count: int
    trouble: str = ""
    elements: Sequence[Element] = ()


@dataclass(frozen=True)
class Plan:
    slots: Mapping[str, SlotPlace]
    framework: str | None = None


@dataclass(frozen=True)
class Charset:
    codec: str


@dataclass(frozen=True)
class Made:
    body: bytes
    placing: Placing | None
    plan: Plan | None
    charset: Charset | None
    note: str = ""


@dataclass(frozen=True)
class Recorded:
    body: bytes
    content_type: str | None = "text/html"
    csp: str | None = None


def place(decision: Decision, missing: frozenset[str] = frozenset()) -> tuple[Placing, Plan]:
    """The first experience has a slot, later ones are shadowed; slots that are ``missing`` refuse every edit."""
    winners: dict[str, str] = {}
    placements: list[Placement] = []
    outcomes: dict[str, tuple[Outcome, str]] = {}
    for experience in decision.fitting:
        results: list[Placed] = []
        for edit in experience.edits:
            if edit.slot in missing:
                result, why = Placed.REFUSED, "no element matches"
            elif (
                edit.slot is not None
                and edit.action.takes_slot
                and winners.get(edit.slot, "") not in {"", experience.name}
            ):
                result, why = Placed.SHADOWED, f"shadowed by {winners[edit.slot]}"
            else:
                result, why = Placed.PLACED, ""
                if edit.slot is not None and edit.action.takes_slot:
                    winners[edit.slot] = experience.name
            results.append(result)
            placements.append(Placement(experience, edit, result, why))
        if Placed.PLACED in results:
            outcomes[experience.name] = Outcome.APPLIED, f"{results.count(Placed.PLACED)} of {len(results)} edits"
        elif Placed.SHADOWED in results:
            outcomes[experience.name] = Outcome.SHADOWED, f"shadowed by {', '.join(winners.values())}"
        else:
            outcomes[experience.name] = Outcome.NOT_PLACED, "no element matches"
    slots = {
        name: SlotPlace(0, "no element matches") if name in missing else SlotPlace(1)
        for name in ("home-hero", "mega-menu", "product-grid", "footer-note")
    }
    return Placing(placements, winners, outcomes), Plan(slots)


def personalise(
    book: RuleBook,
    decision: Decision,
    request: PageRequest,
    body: bytes,
    content_type: str | None,
    *,
    csp: str | None = None,
) -> Made:
    """Says in the body who placed what; a body without "product-grid" has no such slot."""
    missing = frozenset(() if b"product-grid" in body else ("product-grid",))
    placing, plan = place(decision, missing)
    codec = "windows-1252" if content_type and "1252" in content_type else "utf-8"
    told = "".join(f"<p>{slot} is {name}'s, at {int(request.at)}</p>" for slot, name in sorted(placing.winners.items()))
    return Made(body + told.encode(codec), placing, plan, Charset(codec), "a note of the page")
