"""The way from stranger to loyal and on to lapsed: a sample visitor for each stage, and what each page shows them.

Here: finding the samples from the rules alone (``milestones``), and walking pages with them (``walk``).  Not here:
recorded pages on disk, printing (``commands.journey``); placing is handed in, since ``core`` knows no HTML.
Called by ``edgeproxy journey``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from edgeproxy.core import policy
from edgeproxy.core.conditions import Every, Not, leaves
from edgeproxy.core.conditions.amounts import Amount, Csat, Nps, Orders, PageViews, Visits
from edgeproxy.core.conditions.memory import Bought, Prefers, SignedIn
from edgeproxy.core.conditions.moments import Ago, CameBackAfter, FirstVisit, LastOrder, LastVisit
from edgeproxy.core.decide import decide
from edgeproxy.core.durations import DAY
from edgeproxy.core.lifecycle import stage_of
from edgeproxy.core.memory import MINUTES_A_DAY, ORDER, Memory, Preference, moored
from edgeproxy.core.model import NOBODY, Condition, Decision, LaneKind, PageRequest, RuleBook, Source, Visitor
from edgeproxy.core.remembered import phrases
from edgeproxy.core.ruletest import HOST, Personalise, RecordedPage
from edgeproxy.core.words import both

MOST_LIVES: Final = 50_000  # sample lives that are looked at for one stage


@dataclass(frozen=True, slots=True)
class Milestone:
    """One stage on the way, and somebody who is there; ``visitor`` is None where no life leads to it."""

    stage: str | None
    visitor: Visitor | None
    who: str  # that sample, in words
    leads: str  # what leads there, in words
    says: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page shows at one milestone; ``experiences`` in the order of the rules, each with its edits."""

    page: str
    experiences: tuple[tuple[str, tuple[str, ...]], ...]  # (name, ("remove mega-menu", …)); () is the shop's own page
    placed: bool  # on a recorded page; False: decided only
    why: str  # why nothing can change here, "" when something could


# --------------------------------------------------------------------------- milestones


def milestones(book: RuleBook, at: float, segments: Sequence[str] = ()) -> tuple[Milestone, ...]:
    """A stranger, then somebody in each stage: by lifecycle.toml where there is one, else by the shop's own word.

    ``segments`` are those that the shop's cookie gives each of them.
    """
    labels = tuple(one for one in book.shop.segments if one in segments)
    first = book.shop.without_cookie
    known = f'stage "{first}"' if first is not None else "the shop's own page"
    found = [Milestone(first, NOBODY, "here for the very first time", f"no cookie: {known}", "")]
    if book.lifecycle is None:
        for stage in book.shop.stages:
            if stage == first:
                continue
            visitor = Visitor(stage, labels, None, Source.PREVIEW)
            found.append(Milestone(stage, visitor, "as the shop's cookie says", "the shop's cookie names it", ""))
        return tuple(found)
    ways: dict[str, list[Condition | None]] = {}
    says: dict[str, str] = {}
    for one in book.lifecycle.stages:
        ways.setdefault(one.name, []).append(one.test)
        says[one.name] = says.get(one.name) or one.says
    for stage, tests in ways.items():
        leads = " or ".join("everybody else" if test is None else in_words(test) for test in tests)
        memory = _somebody(book, stage, at)
        if memory is None:
            found.append(Milestone(stage, None, "", leads, says[stage]))
        else:
            visitor = Visitor(None, labels, None, Source.PREVIEW, memory=memory)
            said = ", ".join(phrases(moored(memory, at), at))
            found.append(Milestone(stage, visitor, said, leads, says[stage]))
    return tuple(found)


def in_words(condition: Condition) -> str:
    """A condition as rules say it: "visits at least 2 and last order within 14 days"."""
    if isinstance(condition, Every):
        return both(in_words(line) for line in condition.lines)
    if isinstance(condition, Not):
        return f"not ({in_words(condition.inner)})"
    return both(sorted(condition.facts())).replace("_", " ")


def _somebody(book: RuleBook, stage: str, at: float) -> Memory | None:
    """The plainest life that leads to a stage, told as of now (``moored``); None when none is found."""
    for tried, memory in enumerate(_lives(book)):
        if tried == MOST_LIVES:
            return None
        if stage_of(moored(memory, at), book, at) == stage:
            return memory
    return None


def _lives(book: RuleBook) -> Iterator[Memory]:
    """Lives on both sides of every number that the lifecycle names, the plainest first."""
    assert book.lifecycle is not None
    looked = [leaf for one in book.lifecycle.stages if one.test is not None for leaf in leaves(one.test)]

    def numbers(kind: type[Amount], *start: int) -> list[int]:
        named = {edge for one in looked if isinstance(one, kind) for edge in (one.at_least, one.at_most)}
        return sorted({*start, *(one + more for one in named if one is not None for more in (0, 1))})

    def days(kind: type[Ago]) -> list[int]:
        edges = [(one.within, 0) for one in looked if isinstance(one, kind)]
        edges += [(one.before, 1) for one in looked if isinstance(one, kind)]
        return sorted({0, *(-(-int(edge) // int(DAY)) + more for edge, more in edges if edge is not None)})

    back = {int(one.silence // DAY) for one in looked if isinstance(one, CameBackAfter)}
    csats: list[int | None] = [None, *(numbers(Csat) if any(isinstance(one, Csat) for one in looked) else ())]
    npses: list[int | None] = [None, *(numbers(Nps) if any(isinstance(one, Nps) for one in looked) else ())]
    codes = sorted({code for one in looked if isinstance(one, Bought) for code in one.codes})
    words = sorted({word for one in looked if isinstance(one, Prefers) for word in one.words})
    signed = [False, True] if any(isinstance(one, SignedIn) for one in looked) else [False]
    times = product(days(LastOrder), sorted({*days(LastVisit), *back}), days(FirstVisit))
    counts = product(numbers(Orders, 0, 1), [one for one in numbers(Visits, 1, 2) if one], numbers(PageViews, 0))
    others = product(signed, [(), *((code,) for code in codes)])
    said = product(csats, npses, [None, *(Preference(word) for word in words)])
    ways = product(counts, times, others, said)
    for (orders, visits, views), (ordered, away, first), (inside, bought), (csat, nps, wish) in ways:
        if (visits == 1 and away) or (not orders and (ordered or bought)):
            continue
        yield Memory(
            first_day=-max(first, away, ordered if orders else 0),
            visits=visits,
            away=None if visits == 1 else away or 1,
            page_views=views,
            orders=orders,
            signed_in=inside,
            events=((ORDER, -ordered * MINUTES_A_DAY),) if orders else (),
            bought=tuple((code, -ordered) for code in bought),
            prefers=wish,
            csat=csat or None,
            nps=nps,
        )


# --------------------------------------------------------------------------- pages


def walk(
    book: RuleBook, visitor: Visitor, pages: Sequence[str], recorded: Mapping[str, RecordedPage],
    personalise: Personalise, at: float,
) -> tuple[Seen, ...]:  # fmt: skip
    """What each page shows this visitor at ``at``.  ``pages`` are paths, with a query where there is one."""
    return tuple(_seen(book, visitor, page, recorded, personalise, at) for page in pages)


def _seen(
    book: RuleBook, visitor: Visitor, page: str, recorded: Mapping[str, RecordedPage], personalise: Personalise,
    at: float,
) -> Seen:  # fmt: skip
    path, _, query = page.partition("?")
    request = PageRequest("GET", "https", HOST, path, query, (), at)
    decision = decide(book, visitor, request)
    lane = policy.lane(book, request, decision)
    saved = recorded.get(page) or recorded.get(path)
    if lane.kind is LaneKind.PASS:
        return Seen(page, (), saved is not None, "" if lane.personal else lane.why)
    if saved is None:
        return Seen(page, _decided(book, decision, path), False, "")
    made = personalise(book, decision, request, saved.body, saved.content_type, csp=saved.csp)
    found: dict[str, list[str]] = {}
    for one in made.placing.placements if made.placing is not None else ():
        if one.outcome.value == "placed":
            found.setdefault(one.experience.name, []).append(_edit(one.edit.action.verb, one.edit.slot))
    return Seen(page, tuple((name, tuple(edits)) for name, edits in found.items()), True, made.note)


def _decided(book: RuleBook, decision: Decision, path: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What would be edited of a page that nobody recorded: each slot by the first that takes it."""
    taken: dict[str, str] = {}
    found: list[tuple[str, tuple[str, ...]]] = []
    for experience in decision.fitting:
        edits = []
        for edit in experience.edits:
            slot = None if edit.slot is None else book.slots.get(edit.slot)
            if edit.slot is not None and (slot is None or not slot.enabled or (slot.on and not slot.on.match(path))):
                continue
            takes = edit.slot is not None and edit.action.takes_slot
            if takes and taken.setdefault(edit.slot or "", experience.name) != experience.name:
                continue
            edits.append(_edit(edit.action.verb, edit.slot))
        if edits:
            found.append((experience.name, tuple(edits)))
    return tuple(found)


def _edit(verb: str, slot: str | None) -> str:
    return verb if slot is None else f"{verb} {slot}"


def pages_of(book: RuleBook, recorded: Sequence[str]) -> tuple[str, ...]:
    """The pages of a journey when nobody names any: those that are recorded, else those that rules and tests name."""
    if recorded:
        return tuple(sorted(recorded))
    named = [test.page for test in book.tests]
    for slot in book.slots.values():
        named += [] if slot.on is None else [text for text in slot.on.texts if "*" not in text and text[:1] == "/"]
    return tuple(dict.fromkeys(["/", *named]))


__all__ = ["Milestone", "Seen", "in_words", "milestones", "pages_of", "walk"]
