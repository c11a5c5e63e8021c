"""What the visitor's own page has to say, as sentences: what is remembered, and why a page looked as it did.  Pure.

Here: memory, labels and a decision → words of one language.  Not here: HTML (``page``), the words (``words``), what
the operator is told of the same things (``core.explain``).  Names of experiences and audiences are told as the rules
say them (``says``): for people, in the shop's own language.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from edgeproxy.core import schedule
from edgeproxy.core.audiences import named
from edgeproxy.core.courtesy import SELLS, preference
from edgeproxy.core.decide import decide
from edgeproxy.core.memory import Memory, Preference
from edgeproxy.core.model import Experience, Facts, Outcome, PageRequest, RuleBook, Source, Visitor
from edgeproxy.core.recollect import NOTHING, OPTED_OUT, Recollection
from edgeproxy.why.words import Words

__all__ = ["Account", "Held", "PageAccount", "Shown", "account"]

HELD: Final = frozenset(
    {
        Outcome.DECLINED,
        Outcome.NO_MEMORY,
        Outcome.STOPPED,
        Outcome.SUPPRESSED,
        Outcome.TOO_SOON,
        Outcome.CAPPED,
        Outcome.GROUPED,
        Outcome.CROWDED,
    }
)


@dataclass(frozen=True, slots=True)
class Shown:
    says: str
    whom: str  # "It is for: …"


@dataclass(frozen=True, slots=True)
class Held:
    says: str
    why: str


@dataclass(frozen=True, slots=True)
class PageAccount:
    """Why one page of the shop looks as it does for this visitor."""

    shown: tuple[Shown, ...]
    held: tuple[Held, ...]
    others: bool  # there is more that this shop can show


@dataclass(frozen=True, slots=True)
class Account:
    remembered: tuple[str, ...]
    why_nothing: str  # why that is so little; "" when what may be remembered is
    kept: bool  # there is a cookie of ours
    prefers: Preference | None
    page: PageAccount | None  # None: which page is not known


def account(
    book: RuleBook | None,
    visitor: Visitor,
    known: Recollection,
    page: PageRequest | None,
    words: Words,
    now: float,
) -> Account:
    """Everything the page says.  ``visitor`` is as ``decide`` gets it; ``page`` the page that is asked about."""
    if book is None:
        return Account((), words.say("remembered.not_asked"), known.state.sent, None, None)
    zone = schedule.zone(book.shop.timezone)
    judged = decide(book, visitor, page or PageRequest("GET", "https", "", "/", "", (), now), reasons=True)
    remembered = tuple(_remembered(book, judged.visitor, known.memory, words, now, zone))
    why = _why_nothing(visitor, known, words)
    prefers = preference(visitor)
    if page is None:
        return Account(remembered, why, known.state.sent, prefers, None)
    facts = Facts(judged.visitor, page, book.shop)
    shown = tuple(Shown(_name(one), _whom(book, one, facts, words)) for one in judged.fitting)
    held = tuple(
        Held(_name(step.experience), words.of("held")[step.outcome.value])
        for step in judged.steps
        if step.outcome in HELD
    )
    others = len(judged.steps) > len(shown) + len(held)
    return Account(remembered, why, known.state.sent, prefers, PageAccount(shown, held, others))


def _why_nothing(visitor: Visitor, known: Recollection, words: Words) -> str:
    if known.state.disbelief is not None or visitor.source is Source.DISBELIEVED:
        return words.say("remembered.unreadable")
    if known.refused == NOTHING.refused:
        return words.say("remembered.not_asked")
    if known.refused == OPTED_OUT:
        return words.say("remembered.opted_out")
    if "Sec-GPC" in known.refused:
        return words.say("remembered.signal")
    return words.say("remembered.no_consent") if known.refused else ""


def _remembered(
    book: RuleBook, visitor: Visitor, memory: Memory | None, words: Words, now: float, zone: tzinfo
) -> Iterator[str]:
    if visitor.stage is not None and visitor.source in {Source.COOKIE, Source.MEMORY}:
        yield words.say("remembered.stage", name=visitor.stage)
    if visitor.segments:
        yield words.say("remembered.segments", list=words.listed(visitor.segments))
    if visitor.source is Source.COOKIE:
        yield words.say("remembered.shops_own")
    if memory is None:
        return
    if memory.visits:
        yield from _visits(memory, words, now, zone)
        yield from _orders(memory, words, now, zone)
        yield from _showings(book, memory, words, now, zone)
        if memory.id:
            yield words.say("remembered.mark", name=memory.id)
    if memory.opted_out or memory.prefers is Preference.OFF:
        yield words.say("remembered.asked_off")
    elif memory.prefers is not None:
        yield words.say(f"remembered.asked_{memory.prefers.value}")


def _visits(memory: Memory, words: Words, now: float, zone: tzinfo) -> Iterator[str]:
    first = words.day_of(memory.first_day, now, zone)
    if memory.visits == 1:
        yield words.say("remembered.first_visit", first=first)
    else:
        yield words.say("remembered.visits", count=memory.visits, first=first)
    if memory.away is not None and memory.away > 1:
        yield words.say("remembered.away", count=memory.away)
    if memory.page_views > 1:
        yield words.say("remembered.pages", count=memory.page_views)
    if memory.signed_in:
        yield words.say("remembered.signed_in")
    for name, minute in memory.events:
        if minute != memory.last_order:
            yield words.say("remembered.event", name=name, date=words.day(minute * 60.0, now, zone))
    if memory.csat is not None:
        yield words.say("remembered.csat", count=memory.csat)
    if memory.nps is not None:
        yield words.say("remembered.nps", count=memory.nps)


def _orders(memory: Memory, words: Words, now: float, zone: tzinfo) -> Iterator[str]:
    if memory.orders:
        one = memory.orders == 1
        yield words.say("remembered.order") if one else words.say("remembered.orders", count=memory.orders)
    if memory.last_order is not None:
        yield words.say("remembered.last_order", date=words.day(memory.last_order * 60.0, now, zone))
    if memory.bought:
        yield words.say("remembered.bought", list=words.listed(code for code, _ in memory.bought))


def _showings(book: RuleBook, memory: Memory, words: Words, now: float, zone: tzinfo) -> Iterator[str]:
    names: dict[str, list[str]] = {}
    for experience in book.experiences:
        if experience.courtesy.code:
            names.setdefault(experience.courtesy.code, []).append(_name(experience))
    for code, times in memory.shown:
        date = words.day(times[0] * 60.0, now, zone)
        if code == SELLS:
            yield words.say("remembered.sells", date=date)
        elif code in names:
            yield words.say("remembered.shown", name=" / ".join(names[code]), date=date)


def _name(experience: Experience) -> str:
    return experience.says or experience.name


def _whom(book: RuleBook, experience: Experience, facts: Facts, words: Words) -> str:
    """For whom it is, of those that this visitor is one of."""
    found = []
    for name in experience.audiences:
        if not named(book.audiences, name).test.holds(facts):
            continue
        if name == "everyone":
            found.append(words.say("page.everyone"))
        elif name == "unknown":
            found.append(words.say("page.stranger"))
        else:
            found.append(book.audiences[name].says or name)
    return words.say("page.for", list=words.listed(found))
