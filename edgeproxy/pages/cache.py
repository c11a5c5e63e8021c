"""The page cache of one worker: look, wait for who asks already, have it asked for, forget.

Here: the order in which that happens.  Not here: asking and judging (``asking``), what is known where nothing is kept
(``knowledge``), what may be kept (``core.storing``, ``html.traces``), under which key (``core.sharing``), for how long
(``core.freshness``), where (``store``).  Called by ``sharing`` for each request that has a shared form; it answers with
a page, with one that is still coming, or with the reason why the visitor gets an answer of their own.

    get      a fresh page → it · a stale one that may serve → it, and it is asked for anew behind it
             a stale one where the shop has just failed → it
             known as not shareable, or no sign that it is → own answer, nobody waits
             else one flight for everybody who wants the same
    forget   by path or tag, after an unsafe method, under other rules; what is on its way is then not kept either

A flight belongs to nobody: a visitor who leaves ends nothing for the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import httpx

from edgeproxy.core import freshness, storing
from edgeproxy.core.cacherules import rule_for
from edgeproxy.core.freshness import Use
from edgeproxy.core.model import Paths, RuleBook
from edgeproxy.core.sharing import SharedRequest, uncoded
from edgeproxy.origin import ShopError
from edgeproxy.pages.asking import Ask, Asking, Flight, Passed, full_key
from edgeproxy.pages.counts import Counts
from edgeproxy.pages.filling import Filling
from edgeproxy.pages.knowledge import Knowledge
from edgeproxy.pages.model import FullKey, StoredPage
from edgeproxy.pages.outcome import Found, Keeping, Outcome, Unshared
from edgeproxy.pages.store import Store

__all__ = ["PageCache"]

T = TypeVar("T")


TURNS: Final = 3
"""Times that a request looks again, when the flight that it waited for was about another Vary."""


class PageCache:
    """Belongs to one event loop.

    ``ask`` reaches the shop; ``clock`` gives seconds since the epoch, ``ticks`` seconds that never go back; ``spread``
    tells other processes what is old; ``on_fault`` is told of a failure of ours that no visitor waits for.
    """

    def __init__(
        self,
        keeping: Keeping,
        *,
        ask: Ask,
        origin: httpx.URL,
        passed: Passed,
        clock: Callable[[], float],
        ticks: Callable[[], float],
        counts: Counts,
        country_header: str | None = None,
        spread: Callable[[bytes, bytes], object] = lambda host, path: None,
        on_fault: Callable[[BaseException], object] = lambda problem: None,
    ) -> None:
        self.store = Store(keeping.bytes, counts.full)
        counts.watch(self.store)
        self.known = Knowledge(counts, clock=clock, ticks=ticks, deadline=keeping.deadline)
        self._clock = clock
        self._ticks = ticks
        self._counts = counts
        self._spread = spread
        self._on_fault = on_fault
        self._flights: dict[FullKey, Flight] = {}
        self._flying: set[asyncio.Task[Any]] = set()
        self._asking = Asking(
            keeping,
            self.store,
            self.known,
            counts,
            ask=ask,
            origin=origin,
            passed=passed,
            clock=clock,
            ticks=ticks,
            country_header=(country_header or "").encode(),
            spawn=self._spawn,
        )

    # ------------------------------------------------------------------ looking

    @property
    def changes(self) -> int:
        """Another number after any page came or went."""
        return self.store.changes

    def peek(self, shared: SharedRequest) -> StoredPage | None:
        """The page that would be served right now, without a word to the shop; None when there is none.

        Nothing waits here: what answers before a task exists may call it.  A page that is stale but may still serve
        is none here, since somebody has to ask for it anew.
        """
        page = self.store.get(self.full(shared))
        if page is None or (shared.cookies and not page.everyone):
            return None
        if freshness.use(page.freshness, self._clock(), self._ticks()) is not Use.FRESH:
            return None
        return page

    def passes(self, shared: SharedRequest) -> str | None:
        """Why this visitor's own question goes to the shop; None where that is not certain before anybody has waited.

        Nothing waits here, and nothing is asked.
        """
        full = self.full(shared)
        if full in self._flights or self.store.get(full) is not None or self._uncoded(shared) is not None:
            return None
        return self.known.why_not(shared, full, tried=False)

    async def get(self, shared: SharedRequest, *, fill: bool = True) -> Outcome:
        """A page, one that is coming, or why there is none; raises ShopError where the shop failed everybody.

        ``fill``: False where the visitor wants less than a whole answer, for which the shop is not asked for one.
        """
        for _ in range(TURNS):
            full = self.full(shared)
            outcome = await self._turn(shared, full, fill)
            if not isinstance(outcome, Unshared) and shared.cookies and not outcome.everyone:
                return Unshared(f'the cookie "{shared.cookies[0][:60]}" may change it', asked=True)
            if self.full(shared) == full:  # else Vary was learnt meanwhile: it may be another's
                return outcome
        return Unshared("it varies by one field after the other", asked=True)

    def fresh_until(self, page: StoredPage) -> float:
        """The time at which it stops being fresh, as seen now: seconds since the epoch."""
        return page.freshness.fresh_until(self._clock(), self._ticks())

    def age(self, page: StoredPage | Filling) -> int:
        """Seconds since the shop made it: what Age says (RFC 9111, 5.1)."""
        return int(page.freshness.age(self._clock(), self._ticks()))

    def saw(self, shared: SharedRequest, status: int, lines: list[tuple[bytes, bytes]]) -> None:
        """An answer to a visitor's own question passed by: does its head look as if it could be shared?"""
        self.known.saw(shared, status, lines)

    async def _turn(self, shared: SharedRequest, full: FullKey, fill: bool) -> Outcome:
        page = self.store.get(full)
        if page is None and not fill:
            page = self._uncoded(shared)
        if page is not None:
            if shared.cookies and not page.everyone:
                return Unshared(f'the cookie "{shared.cookies[0][:60]}" may change it')
            at, tick = self._clock(), self._ticks()
            may = freshness.use(page.freshness, at, tick)
            if may is Use.FRESH:
                return Found(page, "hit")
            gone = self.known.fails(full)
            if may is Use.STALE_WHILE_REVALIDATE:
                if full not in self._flights and gone is None:
                    self._fly(shared, full, page)
                return Found(page, "stale")
            if gone is not None and freshness.excused(page.freshness, at, tick, gone=gone):
                return Found(page, "stale")  # nobody waits for the same failure again
        tried = page is not None or full in self._flights
        if (why := self.known.why_not(shared, full, tried=tried)) is not None:
            return Unshared(why)
        if not fill:
            return Unshared("less than a whole answer is asked for, and none is kept")
        if not shared.keep:
            return Unshared("the visitor asks that it is not stored (no-store)")
        flight = self._flights.get(full) or self._fly(shared, full, page)
        assert flight.task is not None
        flight.waited_for = True
        outcome = await asyncio.shield(flight.task)
        if isinstance(outcome, Filling) and not outcome.open:
            return Unshared("it is too big to keep, and has begun without this visitor")
        return outcome

    def _uncoded(self, shared: SharedRequest) -> StoredPage | None:
        """For who takes no coding and asks for less than a whole answer, as players do: what is kept for others.

        That must have no coding either; None: there is none.

        Not where the shop varies by Accept-Encoding: then it is not said to be the same (RFC 9111, 4.1).
        """
        for key in uncoded(shared.key):
            page = self.store.get((key, full_key(self.store, replace(shared, key=key))[1]))
            if (
                page is not None
                and page.line(b"content-encoding") is None
                and "accept-encoding" not in storing.varies(page.lines)
                and freshness.use(page.freshness, self._clock(), self._ticks()) is Use.FRESH
            ):
                return page
        return None

    def full(self, shared: SharedRequest) -> FullKey:
        """What a page for this request is kept by: its key, and what Vary has added to it there."""
        return full_key(self.store, shared)

    # ------------------------------------------------------------------ asking

    def _fly(self, shared: SharedRequest, full: FullKey, page: StoredPage | None) -> Flight:
        flight = self._flights[full] = Flight()

        def over() -> None:
            if self._flights.get(full) is flight:
                del self._flights[full]

        flight.over = over
        flight.task = self._spawn(self._flown(flight, shared, full, page), lambda: flight.waited_for)
        return flight

    async def _flown(self, flight: Flight, shared: SharedRequest, full: FullKey, page: StoredPage | None) -> Outcome:
        outcome: Outcome | None = None
        try:
            outcome = await self._asking.bring(flight, shared, full, page)
            return outcome
        finally:
            if not isinstance(outcome, Filling):  # that one may be joined until it is whole
                flight.over()

    def _spawn(self, work: Coroutine[Any, Any, T], told: Callable[[], bool] = lambda: False) -> asyncio.Task[T]:
        """``told`` says whether somebody hears of its failure anyhow."""
        task = asyncio.create_task(work)
        self._flying.add(task)

        def landed(task: asyncio.Task[T]) -> None:
            self._flying.discard(task)
            problem = None if task.cancelled() else task.exception()
            if problem is not None and not isinstance(problem, ShopError) and not told():
                self._on_fault(problem)

        task.add_done_callback(landed)
        return task

    # ------------------------------------------------------------------ forgetting

    def purge(self, paths: Paths | None, tags: Iterable[str] = ()) -> int:
        """Forget what is kept for these paths (in either form), or under one of these tags; how many pages.

        What is on its way is not kept either, and nobody new gets it: it may have been made before.
        """
        tags = frozenset(tags)
        gone = [
            page.key
            for page in self.store
            if (paths is not None and paths.touches(page.key[0].path.decode("latin-1"))) or tags & page.tags
        ]
        for full in list(self._flights):  # which tags an answer will have is not known yet
            if tags or (paths is not None and paths.touches(full[0].path.decode("latin-1"))):
                self._turn_away(full)
        count = self.store.drop(gone)
        self._counts.purged(count)
        return count

    def changed(self, host: bytes, path: bytes) -> None:
        """An unsafe method was answered without an error there: what is kept is old, everywhere (RFC 9111, 4.4)."""
        self._outdate(host, path)
        self._spread(host, path)

    def heard(self, places: Sequence[tuple[bytes, bytes]]) -> None:
        """The same was told by another process: Host and raw path of each; none: everything is old."""
        for host, path in places:
            self._outdate(host, path)
        if not places:
            for full in list(self._flights):
                self._turn_away(full)
            self.store.clear()

    def _outdate(self, host: bytes, path: bytes) -> None:
        for full in list(self._flights):
            if (full[0].host, full[0].path) == (host, path):
                self._turn_away(full)
        self.store.drop(self.store.at(host, path))

    def adopt(self, book: RuleBook | None) -> int:
        """Other rules are live: forget what was kept under cache rules that say something else now; how many pages.

        What holds under both stays; what goes is asked for when somebody wants it, one question each.
        """
        gone = [
            page.key
            for page in self.store
            if page.rule is not None
            and (book is None or rule_for(book, page.key[0].path.decode("latin-1")) != page.rule)
        ]
        return self.store.drop(gone)

    def _turn_away(self, full: FullKey) -> None:
        self._flights.pop(full).keep = False

    def clear(self) -> None:
        """Forget everything, also what was learnt."""
        for full in list(self._flights):
            self._turn_away(full)
        self.store.clear()
        self.known.clear()

    async def close(self) -> None:
        """End what is on its way."""
        for task in list(self._flying):
            task.cancel()
        await asyncio.gather(*self._flying, return_exceptions=True)
