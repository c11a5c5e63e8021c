"""Warnings about a rules folder without mistakes: what nobody uses, and what crawlers would miss.

Here: what can only be said of the whole.  Not here: mistakes, and warnings about one table (``core.rules`` tells
both where they are read).  Called by ``rulefile.parse``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from edgeproxy.core.audiences import named
from edgeproxy.core.decide import known
from edgeproxy.core.markup import Markup
from edgeproxy.core.memory import MOST_SHOWN, ORDER, SIGNED_IN, SIGNED_OUT
from edgeproxy.core.model import NOBODY, Experience, Facts, PageRequest, Problem, RuleBook, Severity, Where
from edgeproxy.core.overlap import meet, within
from edgeproxy.core.words import both, meant


@dataclass(frozen=True, slots=True)
class Used:
    """What the experiences of a folder name: slots, audiences, and fragments by their path below fragments/."""

    slots: set[str]
    audiences: set[str]
    fragments: set[str]


def warnings(book: RuleBook, used: Used, fragments: Collection[str], shelf: str, markup: Markup) -> Iterator[Problem]:
    """Every warning about the book; ``fragments`` are all paths below ``shelf`` ("rules/fragments/")."""
    for slot in book.slots.values():
        if slot.name not in used.slots:
            yield _warning(slot.where, slot.name, "no edit uses this slot")
    for audience in book.audiences.values():
        if audience.name not in used.audiences:
            yield _warning(audience.where, audience.name, "no experience is for this audience")
    for path in fragments:
        if path not in used.fragments:
            yield _warning(Where(f"{shelf}{path}"), "", "no edit uses this fragment", meant(path, used.fragments))
    if book.recall is not None and book.shop.consent is None:
        what = f"visitors are remembered ({book.recall.where.short} asks for it), and nothing says that they consent"
        yield _warning(
            book.shop.where, "consent", what, "write [consent]; or consent = { needed = false }, if none is needed"
        )
    yield from _too_much_to_remember(book)
    yield from _misspelt_events(book)
    for experience in book.experiences:
        yield from _on_no_page(book, experience)
        if _without_cookie(book, experience):
            yield from _missed_by_crawlers(experience, markup)


def _on_no_page(book: RuleBook, experience: Experience) -> Iterator[Problem]:
    """Edits of which the paths alone say that no page can get them."""
    never = book.shop.never
    for edit in experience.edits:
        slot = book.slots[edit.slot] if edit.slot is not None else None
        places = [on for on in (experience.on, slot.on if slot is not None else None) if on is not None]
        closed = next((on for on in places if never is not None and within(on, never)), None)
        if not meet(*places):
            what = f'"{edit.slot}" is on {both(places[1].texts)}, and this experience on {both(places[0].texts)}'
            yield _warning(edit.where, experience.name, what, "no page is both: nobody gets this edit")
        elif closed is not None:
            what = f"{both(closed.texts)} is under never of {book.shop.where.file}"
            yield _warning(edit.where, experience.name, what, "nobody gets this edit")


def _warning(where: Where, subject: str, what: str, hint: str = "") -> Problem:
    return Problem(where, what, subject, hint, Severity.WARNING)


def _without_cookie(book: RuleBook, experience: Experience) -> bool:
    """Whether somebody without any cookie can get it, as crawlers are; a share needs an id, which they have not."""
    if not experience.enabled or experience.share < 1:
        return False
    anywhere = PageRequest("GET", "https", "", "/", "", (), 0.0)  # audiences look at the visitor alone
    facts = Facts(known(book, NOBODY), anywhere, book.shop)
    return any(named(book.audiences, name).test.holds(facts) for name in experience.audiences)


ROOM: Final = 560
"""Bytes of a state cookie's JSON that showings can have beside visits, orders and some events and categories."""


def _too_much_to_remember(book: RuleBook) -> Iterator[Problem]:
    """Caps that one cookie cannot hold at their worst: the oldest showings are forgotten then, and caps exceeded."""
    need = sum(10 + 6 * kept.times for kept in book.showings.values())  # a code, and minutes as numbers
    if need > ROOM or len(book.showings) > MOST_SHOWN:
        what = f"caps and gaps may need {need} bytes of a visitor's cookie, and {ROOM} are there"
        hint = "the oldest showings are forgotten then: smaller caps, or groups that are counted together"
        yield _warning(book.shop.where, "", what, hint)


def _misspelt_events(book: RuleBook) -> Iterator[Problem]:
    """Events that a rule waits for, that no page says and that are nearly one that is said.

    Others may come by the shop's header alone, so they are nobody's mistake.
    """
    said = {ORDER, SIGNED_IN, SIGNED_OUT, *(book.lifecycle.events if book.lifecycle is not None else ())}
    for experience in book.experiences:
        wait = experience.courtesy.not_before
        for event in dict.fromkeys((*experience.courtesy.stop_after, *((wait.event,) if wait is not None else ()))):
            hint = meant(event, said) if event not in said else ""
            if hint:
                where = experience.courtesy.said_at.get(event, experience.where)
                yield _warning(where, experience.name, f'no page says that "{event}" happened', hint)


def _missed_by_crawlers(experience: Experience, markup: Markup) -> Iterator[Problem]:
    for edit in experience.edits:
        if markup.verbs[edit.action.verb].removes:
            what = f'{edit.action.verb} on "{edit.slot}" reaches visitors without a cookie, crawlers among them'
            hint = "links, headings and structured data that it takes away are not indexed"
            yield _warning(edit.where, experience.name, what, hint)
