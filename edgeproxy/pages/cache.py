"""The page cache of one worker: look, wait for who asks already, ask, keep.

Here: the order in which that happens.  Not here: what may be kept (``core.storing``, ``html.traces``), under which key
(``core.sharing``), for how long (``core.freshness``), where (``store``).  Called by ``proxy`` for each request that has
a shared form; it answers with a page, with one that is still coming, or with the reason why the visitor gets an answer
of their own.

    get      a fresh page → it · a stale one that may serve → it, and it is asked for anew behind it
             known as not shareable, or no sign that it is → own answer, nobody waits
             else one flight for everybody who wants the same
    flight   asks the shop in the shared form, with the kept page's validators
             304 → the kept page, confirmed · a failure → the kept page where it may be used stale
             an answer that may be kept → kept, and everybody's · another → thrown away, and remembered for a while

A flight belongs to nobody: a visitor who leaves ends nothing for the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import httpx
from cachetools import LRUCache

from edgeproxy.core import freshness, storing
from edgeproxy.core.cacherules import rule_for
from edgeproxy.core.freshness import Use
from edgeproxy.core.model import Paths, RawHeaders, RuleBook
from edgeproxy.core.sharing import SharedRequest, is_left_out
from edgeproxy.origin import ShopError
from edgeproxy.pages.counts import Counts
from edgeproxy.pages.filling import Filling
from edgeproxy.pages.making import Came, confirmed, everyone, is_text, length_of, made, media_of
from edgeproxy.pages.marks import marks
from edgeproxy.pages.model import FullKey, StoredPage
from edgeproxy.pages.prospects import Prospects
from edgeproxy.pages.store import Store

__all__ = ["Found", "Keeping", "PageCache", "Unshared"]

log = logging.getLogger("edgeproxy.pages")

NOT_SHARED_SECONDS: Final = 120.0
"""How long an address is remembered as not shareable: until then nobody waits for anybody there ("hit for miss")."""

FAILING_SECONDS: Final = 2.0
"""The same where the shop answered that it cannot answer now."""

OFF_LOOP: Final = 64 * 1024
"""Bytes of a page from which on it is looked through in a thread."""

MOST_NOT_SHARED: Final = 16_384
"""Remembered by hash alone: a key may be long, and two that collide only ask for themselves."""

MOST_SCOUTS: Final = 4096
TURNS: Final = 3
"""Times that a request looks again, when the flight that it waited for was about another Vary."""

Ask = Callable[[httpx.Request], Awaitable[httpx.Response]]
Passed = Callable[[Iterable[tuple[bytes, bytes]], str, bytes], list[tuple[bytes, bytes]]]
"""The shop's lines as they may leave: hop-by-hop fields gone, its addresses ours (scheme and Host of the visitor)."""


@dataclass(frozen=True, slots=True)
class Found:
    """A page, and how it came: "hit", "stale" (the shop was not waited for, or failed), "confirmed" (it said 304),
    "miss" (it was asked for, by whomever)."""

    page: StoredPage
    how: str

    @property
    def everyone(self) -> bool:
        """As ``StoredPage.everyone``."""
        return self.page.everyone


@dataclass(frozen=True, slots=True)
class Unshared:
    """The visitor gets an answer of their own, and why; ``asked``: the shop was asked before that was known."""

    why: str
    asked: bool = False


Outcome = Found | Filling | Unshared


@dataclass(frozen=True, slots=True)
class Keeping:
    """Limits of a cache: bytes and seconds."""

    bytes: int  # of all pages
    page_bytes: int  # of one HTML page
    file_bytes: int  # of anything else
    deadline: float  # for a whole page


class _Flight:
    """One question to the shop, for everybody who wants its answer."""

    __slots__ = ("keep", "task")

    def __init__(self) -> None:
        self.keep = True  # False: what it brings was purged while it was on its way
        self.task: asyncio.Task[Outcome] | None = None


class PageCache:
    """Belongs to one event loop.

    ``ask`` reaches the shop; ``clock`` gives seconds since the epoch, ``ticks`` seconds that never go back.
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
    ) -> None:
        self.store = Store(keeping.bytes)
        counts.watch(self.store)
        self._keeping = keeping
        self._ask = ask
        self._origin = origin
        self._passed = passed
        self._clock = clock
        self._ticks = ticks
        self._counts = counts
        self._country_header = (country_header or "").encode()
        self._flights: dict[FullKey, _Flight] = {}
        self._flying: set[asyncio.Task[Any]] = set()
        self._not_shared: LRUCache[int, tuple[float, str]] = LRUCache(MOST_NOT_SHARED)
        self._prospects = Prospects()
        self._scouts: LRUCache[int, float] = LRUCache(MOST_SCOUTS)  # until when an own question may be on its way

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

    def age(self, page: StoredPage) -> int:
        """Seconds since the shop made it: what Age says (RFC 9111, 5.1)."""
        return int(page.freshness.age(self._clock(), self._ticks()))

    def saw(self, shared: SharedRequest, status: int, lines: list[tuple[bytes, bytes]]) -> None:
        """An answer to a visitor's own question passed by: does its head look as if it could be shared?"""
        if shared.key.rule is not None or status in _TELL_NOTHING or status >= 500:
            return
        host, path = shared.key.host, shared.key.path
        if isinstance(storing.terms(status, lines, None, self._clock()), str):
            self._prospects.passed(host, path)
        else:
            self._prospects.shared(host, path)

    async def _turn(self, shared: SharedRequest, full: FullKey, fill: bool) -> Outcome:
        page = self.store.get(full)
        if page is not None:
            if shared.cookies and not page.everyone:
                return Unshared(f'the cookie "{shared.cookies[0][:60]}" may change it')
            may = freshness.use(page.freshness, self._clock(), self._ticks())
            if may is Use.FRESH:
                return Found(page, "hit")
            if may is Use.STALE_WHILE_REVALIDATE:
                if full not in self._flights:
                    self._fly(shared, full, page)
                return Found(page, "stale")
        if (why := self._why_not(shared, full, page)) is not None:
            return Unshared(why)
        if not fill:
            return Unshared("less than a whole answer is asked for, and none is kept")
        if not shared.keep:
            return Unshared("the visitor asks that it is not stored (no-store)")
        flight = self._flights.get(full) or self._fly(shared, full, page)
        assert flight.task is not None
        outcome = await asyncio.shield(flight.task)
        if isinstance(outcome, Filling) and not outcome.open:
            return Unshared("it is too big to keep, and has begun without this visitor")
        return outcome

    def _why_not(self, shared: SharedRequest, full: FullKey, page: StoredPage | None) -> str | None:
        """Why the shop is not asked for everybody; None when it is.  ``page``: what is kept, and too old."""
        known = self._not_shared.get(hash(full))
        if known is not None:
            until, why = known
            if self._ticks() < until:
                return why
            del self._not_shared[hash(full)]
        if page is not None or shared.key.rule is not None or full in self._flights:
            return None
        host, path = shared.key.host, shared.key.path
        if self._prospects.promising(host, path) or self._comes_second(full, host, path):
            return None
        return "no answer around there was shareable so far"

    def _comes_second(self, full: FullKey, host: bytes, path: bytes) -> bool:
        """Nobody knows yet, and somebody's own question about the same is on its way: better one for all the others."""
        if not self._prospects.unknown(host, path):
            return False
        now = self._ticks()
        if now < self._scouts.get(hash(full), 0.0):
            return True
        self._scouts[hash(full)] = now + self._keeping.deadline
        return False

    def full(self, shared: SharedRequest) -> FullKey:
        """What a page for this request is kept by: its key, and what Vary has added to it there."""
        names = self.store.varying(shared.key)
        if not names:
            return shared.key, ()
        return shared.key, tuple((name, shared.left_out.get(name, b"")) for name in names)

    # ------------------------------------------------------------------ asking

    def _fly(self, shared: SharedRequest, full: FullKey, page: StoredPage | None) -> _Flight:
        flight = self._flights[full] = _Flight()
        task = flight.task = asyncio.create_task(self._flown(flight, shared, full, page))
        self._flying.add(task)
        task.add_done_callback(self._landed)
        return flight

    def _landed(self, task: asyncio.Task[Any]) -> None:
        self._flying.discard(task)
        problem = None if task.cancelled() else task.exception()
        if problem is not None and not isinstance(problem, ShopError):
            log.error("a fault of ours while asking for a shared page", exc_info=problem)

    async def _flown(self, flight: _Flight, shared: SharedRequest, full: FullKey, page: StoredPage | None) -> Outcome:
        outcome: Outcome | None = None
        try:
            outcome = await self._bring(flight, shared, full, page)
            return outcome
        finally:
            if not isinstance(outcome, Filling):  # that one may be joined until it is whole
                self._over(flight, full)

    def _over(self, flight: _Flight, full: FullKey) -> None:
        if self._flights.get(full) is flight:
            del self._flights[full]

    async def _bring(self, flight: _Flight, shared: SharedRequest, full: FullKey, page: StoredPage | None) -> Outcome:
        """One question, and what comes of it."""
        asked = self._ticks()
        try:
            response = await self._ask(self._request(shared, full, page))
        except ShopError:
            if page is not None and self._excused(page, gone=True):
                return Found(page, "stale")
            raise
        delay = self._ticks() - asked
        try:
            outcome = await self._judged(flight, response, delay, shared, full, page)
        except ShopError:  # its body broke off: each visitor sees for themselves
            if page is not None and self._excused(page, gone=True):
                outcome = Found(page, "stale")
            else:
                outcome = Unshared("it broke off", asked=True)
        except BaseException:
            await response.aclose()
            raise
        if not isinstance(outcome, Filling):
            await response.aclose()
        return outcome

    def _request(self, shared: SharedRequest, full: FullKey, page: StoredPage | None) -> httpx.Request:
        lines = [*shared.lines, *(line for line in full[1] if line[1])]
        if page is not None:
            lines += page.validators
        extensions = {"target": shared.target, "deadline": self._keeping.deadline}
        return httpx.Request("GET", self._origin, headers=httpx.Headers(lines), extensions=extensions)

    def _excused(self, page: StoredPage, *, gone: bool) -> bool:
        return freshness.excused(page.freshness, self._clock(), self._ticks(), gone=gone)

    async def _judged(
        self,
        flight: _Flight,
        response: httpx.Response,
        delay: float,
        shared: SharedRequest,
        full: FullKey,
        page: StoredPage | None,
    ) -> Outcome:
        came = Came(self._clock(), self._ticks(), delay)
        status, rule = response.status_code, shared.key.rule
        lines = self._passed(response.headers.raw, shared.key.scheme, shared.host)
        if any(name.lower() == storing.EVENT for name, _ in response.headers.raw):
            return self._refused(shared, full, storing.TELLS)  # ``passed`` has taken it away
        if status == 304 and page is not None:
            return self._confirmed(flight, page, lines, came)
        if status >= 500 and page is not None and self._excused(page, gone=False):
            return Found(page, "stale")
        terms = storing.terms(status, lines, rule, came.at)
        if status >= 500 or status in _BUSY:
            return self._failing(full, f"status is {status}")
        if isinstance(terms, str):
            return self._refused(shared, full, terms)
        again = self._learn(shared, full, lines)
        if again:
            return Unshared(again, asked=True)
        full = self.full(shared)
        if rule is None:
            self._prospects.shared(shared.key.host, shared.key.path)
        media = media_of(lines)
        whole = media == b"text/html" or (terms.from_rule and is_text(media))
        most = self._keeping.page_bytes if media == b"text/html" else self._keeping.file_bytes
        length = length_of(lines)
        if length is not None and length > most:
            return self._refused(shared, full, f"bigger than {most:,} bytes")
        make = partial(made, full, status, lines, terms=terms, came=came)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        chunks = aiter(response.stream)
        if not whole:
            kept = tuple(storing.stripped(lines, rule))
            filling = Filling(status, kept, everyone=everyone(lines, terms), most=most, length=length)
            self._pump(flight, filling, response, make, full)
            return filling
        parts: list[bytes] = []
        size = 0
        async for chunk in chunks:
            parts.append(chunk)
            size += len(chunk)
            if size > most:
                return self._refused(shared, full, f"bigger than {most:,} bytes")
        body = b"".join(parts)
        if size >= OFF_LOOP:
            why = await asyncio.to_thread(marks, lines, body, self._keeping.page_bytes)
        else:
            why = marks(lines, body, self._keeping.page_bytes)
        if why:
            return self._refused(shared, full, why)
        stored = make(body)
        self._keep(flight, stored)
        return Found(stored, "miss")

    def _keep(self, flight: _Flight, page: StoredPage) -> None:
        if flight.keep and self.store.put(page):
            self._counts.kept()

    def _pump(
        self,
        flight: _Flight,
        filling: Filling,
        response: httpx.Response,
        make: Callable[[bytes], StoredPage],
        full: FullKey,
    ) -> None:
        """Read a file to its end for whoever reads along, and keep it when it is whole."""

        async def read() -> None:
            try:
                assert isinstance(response.stream, httpx.AsyncByteStream)
                body = await filling.pump(aiter(response.stream))
                if body is not None:
                    self._keep(flight, make(body))
            except ShopError:
                pass  # every reader has it
            finally:
                self._over(flight, full)
                await response.aclose()

        task = asyncio.create_task(read())
        self._flying.add(task)
        task.add_done_callback(self._landed)

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
        """An unsafe method was answered without an error there: what is kept is old (RFC 9111, 4.4)."""
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
        self._not_shared.clear()
        self._scouts.clear()
        self._prospects = Prospects()

    async def close(self) -> None:
        """End what is on its way."""
        for task in list(self._flying):
            task.cancel()
        await asyncio.gather(*self._flying, return_exceptions=True)

    # ------------------------------------------------------------------ judging

    def _refused(self, shared: SharedRequest, full: FullKey, why: str) -> Unshared:
        """Not to be shared: whoever waited asks for themselves, and for a while nobody waits."""
        self._not_shared[hash(full)] = (self._ticks() + NOT_SHARED_SECONDS, why)
        if shared.key.rule is None:
            self._prospects.refused(shared.key.host, shared.key.path)
        self.store.drop([full])
        self._counts.refused(why)
        return Unshared(why, asked=True)

    def _failing(self, full: FullKey, why: str) -> Unshared:
        """The shop has a bad moment: what is kept stays, and for a short while nobody waits."""
        self._not_shared[hash(full)] = (self._ticks() + FAILING_SECONDS, why)
        self._counts.refused(why)
        return Unshared(why, asked=True)

    def _learn(self, shared: SharedRequest, full: FullKey, lines: RawHeaders | list[tuple[bytes, bytes]]) -> str:
        """What Vary names joins the key (RFC 9111, 4.1); why this answer is not the visitor's then, "" when it is.

        Judged by the fields that the shop was asked with, not by those that are known by now: another answer may have
        taught them while this one was on its way.
        """
        asked = {name for name, _ in full[1]}
        names = {name.encode() for name in storing.varies(lines)}
        fresh = sorted(name for name in names - asked if is_left_out(name, self._country_header))
        if not fresh:
            return ""
        self.store.vary(shared.key, tuple(sorted({*self.store.varying(shared.key), *fresh})))
        if not any(name in shared.left_out for name in fresh):
            return ""  # the shop was asked as this visitor asks: without these fields
        return f"it varies by {', '.join(name.decode() for name in fresh)}"

    def _confirmed(
        self, flight: _Flight, page: StoredPage, lines: list[tuple[bytes, bytes]], came: Came
    ) -> Found | Unshared:
        kept = confirmed(page, lines, came, self._country_header)
        if isinstance(kept, str):
            self.store.drop([page.key])
            self._counts.refused(kept)
            return Unshared(kept, asked=True)
        self._keep(flight, kept)
        return Found(kept, "confirmed")


_BUSY: Final = frozenset({408, 425, 429})
_TELL_NOTHING: Final = _BUSY | {206, 304}  # of what a whole answer there would say
