"""What may be remembered of the visitor of one request, and what an answer to it leaves behind.

Here: consent, the state cookie and the book put together: what the visitor is known by (``recollect``, ``recalled``),
what is to be written when an answer leaves (``following``), and whether anything would be (``quiet``).  Not here: the
cookie's attributes, chance, counters (``remember``).  Called by ``remember`` for the proxy, and by the fast lane.

Without consent nothing is read but what the visitor chose by a click of their own, and nothing is written but that:
an ``edge_state`` that holds more is cut down to it, or taken away.  It was kept on a consent that is no more, and a
cookie that must not be read is of no use to anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from edgeproxy.core import courtesy, lifecycle, state
from edgeproxy.core.consent import refusal
from edgeproxy.core.events import Event, of_page
from edgeproxy.core.memory import Memory, begun
from edgeproxy.core.model import Experience, PageRequest, RuleBook, Source, Visitor
from edgeproxy.core.onpath import on_path
from edgeproxy.core.policy import is_document
from edgeproxy.core.signing import Keys
from edgeproxy.core.state import NO_STATE, State, StateSettings, VerifiedStates
from edgeproxy.core.timestamped import Disbelief

FORGOTTEN: Final = Memory()
"""What ``following`` gives where the cookie is to be taken away."""

BEFOREHAND: Final = "the page is fetched beforehand, and cannot be counted"

OPTED_OUT: Final = "they asked not to be remembered"


@dataclass(frozen=True, slots=True)
class Recollection:
    """What a request brings, and what may be done with it."""

    state: State
    refused: str  # why they may not be remembered, in words; "" when they may
    memory: Memory | None  # what may be read, as it is with this visit
    at: float = 0.0  # seconds since the epoch
    beforehand: bool = False  # the visitor has not decided to go there yet (prefetch, prerender): nothing is written

    @property
    def writes(self) -> bool:
        """An answer may leave a new memory behind."""
        return not self.refused and self.state.replaceable

    @property
    def settled(self) -> tuple[float, float]:
        """From when to when all of it says the same: memories, and the rules that look at them, know whole minutes.

        Seconds since the epoch; the end is no more in it.  (A day is a whole number of minutes, and so is every
        duration that a rule names.)
        """
        begins = self.at // 60 * 60
        return max(begins, self.state.since), min(begins + 60, self.state.until)


NOTHING: Final = Recollection(NO_STATE, "no rule asks for it", None)


def recollect(
    book: RuleBook,
    request: PageRequest,
    keys: Keys,
    now: float,
    settings: StateSettings,
    cache: VerifiedStates | None = None,
) -> Recollection:
    """What is known of who asks, as far as it may be.  Never raises, whatever the cookies hold.

    ``now`` is the real moment (seconds), which a preview's request does not tell.
    """
    lines = [value for name, value in request.headers if name == b"cookie"]
    found = state.read(lines, keys, now, settings, cache) if lines else NO_STATE
    memory = found.memory
    if book.recall is None:
        return NOTHING if memory is None else Recollection(found, NOTHING.refused, memory.choices, now)
    refused = OPTED_OUT if memory is not None and memory.opted_out else refusal(book.shop.consent, request.headers)
    if memory is not None:
        memory = memory.choices if refused else lifecycle.arriving(memory, now)
    return Recollection(found, refused, memory, now, is_beforehand(request))


def recalled(book: RuleBook, visitor: Visitor, known: Recollection) -> Visitor:
    """The visitor with what may be remembered of them, or the reason why nothing is.

    A state cookie that proves nothing proves that nothing else does either, but for the shop's own word.
    """
    if book.recall is None:
        return visitor if known.memory is None else replace(visitor, memory=known.memory, unremembered=known.refused)
    if known.beforehand and not known.refused and known.state.disbelief is None:
        return replace(visitor, memory=known.memory or begun(known.at), unremembered=BEFOREHAND)
    if known.refused:
        # They chose nothing, or what they chose: that much is known.
        return replace(visitor, memory=known.memory or FORGOTTEN, unremembered=known.refused)
    broken = known.state.disbelief
    if broken is None:
        return visitor if known.memory is None else replace(visitor, memory=known.memory)
    if visitor.source is Source.NOBODY:
        return Visitor(None, (), None, Source.DISBELIEVED, (f"{broken.value}: edge_state, {known.state.words}",))
    return replace(visitor, unremembered=f"edge_state is not believed: {known.state.words}")


# --------------------------------------------------------------------------- when an answer leaves


def is_beforehand(request: PageRequest) -> bool:
    """The browser fetches the page before anybody goes there: prefetch, prerender (Sec-Purpose, and its elders)."""
    return any(
        name in _PURPOSES and any(word in value.lower() for word in _BEFOREHAND) for name, value in request.headers
    )


_PURPOSES: Final = frozenset({b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"})
READS: Final = _PURPOSES | {b"cookie", b"sec-gpc"}
"""The header fields that ``recollect`` looks at, where the book asks for memory; else it looks at cookies alone."""
_BEFOREHAND: Final = (b"prefetch", b"prerender", b"preview")


def counts(known: Recollection, request: PageRequest) -> bool:
    """An answer to this request may be remembered: it is for somebody who goes to a page, or sends a form."""
    return not known.beforehand and request.method not in _ASKED_ABOUT and is_document(request)


_ASKED_ABOUT: Final = frozenset({"HEAD", "OPTIONS", "TRACE"})
"""Methods by which nobody sees a page, and nothing happens (RFC 9110, 9.3)."""


def is_page(book: RuleBook, request: PageRequest, status: int, *, html: bool) -> bool:
    """An answer of the shop that counts as a page that somebody looked at."""
    return request.method == "GET" and status == 200 and html and not on_path(book, request.path).never


def following(
    known: Recollection,
    book: RuleBook,
    request: PageRequest,
    now: float,
    *,
    page: bool,
    events: Sequence[Event] = (),
    applied: Sequence[Experience] = (),
    new_id: str,
) -> Memory | None:
    """The memory that an answer to a navigation leaves behind; None: the cookie stays as it is.

    ``page`` says that it is one (``is_page``); ``events`` are those that the shop told, the page's own included;
    ``applied`` are the experiences that changed it.
    """
    held = known.state.memory
    if known.state.disbelief is Disbelief.DOUBLED:
        # One of them is of another domain, perhaps from before ours was changed: with both gone it begins anew.
        return FORGOTTEN if page else None
    if known.refused:
        kept = held.choices if held is not None else None
        # A wish is for good: it is written anew before its key or its age ends it.
        stale = held != (kept or FORGOTTEN) or (kept is not None and not known.state.fresh)
        stale = stale and known.state.sent and known.state.replaceable
        return (kept or FORGOTTEN) if page and stale and book.recall is not None else None
    if not known.writes or not (page or events):
        return None
    grown = lifecycle.advance(held, events, book, now, new_id=new_id, page=page)
    if page:
        grown = courtesy.shown(grown, applied, book.showings, now)
    return None if grown == held and known.state.fresh else grown


def quiet(
    known: Recollection, book: RuleBook, request: PageRequest, now: float, applied: Sequence[Experience] = ()
) -> bool:
    """A page of the shop, at this address and moment, would write nothing.  Cheap enough for every cached page.

    ``applied`` are the experiences that would change it.
    """
    if book.recall is None or not book.shop.enabled or not counts(known, request):
        return True
    if not known.state.replaceable:
        return known.state.disbelief is not Disbelief.DOUBLED
    held = known.state.memory
    if known.refused:
        return not known.state.sent or (held is not None and held == held.choices and known.state.fresh)
    if not known.state.fresh or (book.showings and courtesy.counts(applied, book.showings)):
        return False
    if on_path(book, request.path).never:
        return not of_page(book, request.path)
    return lifecycle.quiet(held, book, request.path, now)
