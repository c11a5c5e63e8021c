"""The lifecycle: how a visitor's memory grows, when one visit ends, and which stage it all comes to.

Here: ``advance`` (what a page and its events change), ``quiet`` (that they change nothing), ``stage_of``.  Not here:
reading lifecycle.toml (``rules.lifecycle``), the cookie (``state``), whether anything may be written (``remember``).
Called by ``decide`` for everybody who has a memory, and by ``remember`` when an answer leaves.

A visit ends with half an hour of silence.  The last activity is written anew only every quarter of an hour, so that
most pages set no cookie; so the silence that is seen is up to a quarter longer than it was, and a visit is over when
it comes to three quarters: no visit is ever cut in two.

A stage is no memory of its own: it is what the memory comes to at a moment, so stages decay by themselves, and a
change of the file holds for everybody at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from edgeproxy.core.events import Event, of_page
from edgeproxy.core.memory import (
    MINUTES_A_DAY,
    MOST,
    ORDER,
    SIGNED_IN,
    Memory,
    begun,
    day_of,
    minute_of,
    moored,
)
from edgeproxy.core.model import Facts, PageRequest, RuleBook, Source, Visitor

RENEWED: Final = 15  # minutes after which the last activity is written anew
SILENCE: Final = 30 + RENEWED  # minutes without activity that end a visit
SAME_ORDER: Final = 30  # minutes in which an order that is told again is the same one


# --------------------------------------------------------------------------- what a memory comes to


def stage_of(memory: Memory, book: RuleBook, at: float) -> str | None:
    """The stage that a memory comes to at a moment: the last of lifecycle.toml whose lines hold; None: none does."""
    if book.lifecycle is None:
        return None
    visitor = Visitor(None, (), None, Source.MEMORY, memory=memory)
    facts = Facts(visitor, PageRequest("GET", "https", "", "/", "", (), at), book.shop)
    for stage in reversed(book.lifecycle.stages):
        if stage.test is None or stage.test.holds(facts):
            return stage.name
    return None


def staged(book: RuleBook, visitor: Visitor, at: float) -> Visitor:
    """The visitor with what their memory adds: a stage where the shop names none, an id where it gives none.

    The shop's own word wins.  The very same object when nothing is added.
    """
    if visitor.memory is None or not visitor.memory.visits or visitor.source is Source.DISBELIEVED:
        return visitor
    memory = moored(visitor.memory, at)
    ident = visitor.id if visitor.id is not None else memory.id or None
    stage, source = visitor.stage, visitor.source
    if stage is None and book.lifecycle is not None:
        stage = stage_of(memory, book, at)
        if source is Source.NOBODY and stage is not None:
            source = Source.MEMORY
    if stage == visitor.stage and ident == visitor.id and memory is visitor.memory:
        return visitor
    return replace(visitor, stage=stage, id=ident, source=source, memory=memory)


# --------------------------------------------------------------------------- how it grows


def advance(
    memory: Memory | None, events: Sequence[Event], book: RuleBook, now: float, *, new_id: str, page: bool = True
) -> Memory:
    """The memory after an answer: a ``page`` (or only its events) at ``now``.  The same object when nothing changes.

    ``new_id`` is for somebody of whom nothing was remembered; who has opted out stays as they are.
    """
    if memory is not None and memory.opted_out:
        return memory
    if memory is None or not memory.visits:
        memory = replace(begun(now, new_id), prefers=memory.prefers if memory is not None else None)
    else:
        memory = arriving(memory, now)
    if page and book.recall is not None and memory.page_views < min(book.recall.page_views, MOST):
        memory = replace(memory, page_views=memory.page_views + 1)
    for event in events:
        memory = _happened(memory, event, book, now)
    return memory


def quiet(memory: Memory | None, book: RuleBook, path: str, now: float) -> bool:
    """A page at this raw path, at this moment, would change nothing of this memory."""
    if memory is None:
        return False
    if memory.opted_out:
        return True
    if not memory.visits or not -RENEWED < minute_of(now) - memory.active < RENEWED:
        return False
    if book.recall is not None and memory.page_views < min(book.recall.page_views, MOST):
        return False
    return not of_page(book, path)


def arriving(memory: Memory, now: float) -> Memory:
    """The memory of somebody who is here ``now``: a new visit where the silence was long enough.

    Decisions look at this one, so that the first page of a visit is one of that visit.
    """
    if not memory.visits:
        return memory
    minute = minute_of(now)
    silence = minute - memory.active
    if silence >= SILENCE:
        visits, away = min(memory.visits + 1, MOST), silence // MINUTES_A_DAY
        return replace(memory, visits=visits, away=away, active=minute)
    if silence >= RENEWED or silence <= -RENEWED:  # a clock that was set back: count from here on
        return replace(memory, active=minute)
    return memory


def _happened(memory: Memory, event: Event, book: RuleBook, now: float) -> Memory:
    minute = minute_of(now)
    match event.name:
        case "order":
            # Told by a header and by the page behind it, or a page that is loaded again: one order.
            last = memory.last_order
            if last is None or not -SAME_ORDER < minute - last < SAME_ORDER:
                memory = replace(memory, orders=min(memory.orders + 1, MOST))
            memory = memory.with_event(ORDER, minute) if last != minute else memory
            return memory.with_categories(event.categories, day_of(now)) if event.categories else memory
        case "csat":
            return memory if memory.csat == event.score else replace(memory, csat=event.score)
        case "nps":
            return memory if memory.nps == event.score else replace(memory, nps=event.score)
        case "signed-in" | "signed-out":
            inside = event.name == SIGNED_IN
            memory = memory if memory.signed_in is inside else replace(memory, signed_in=inside)
    if book.recall is None or event.name not in book.recall.events:
        return memory
    last = memory.happened(event.name)
    # A shop may tell it with every page: the moment is renewed as coarsely as the last activity.
    return memory if last is not None and abs(minute - last) < RENEWED else memory.with_event(event.name, minute)
