"""One question to the shop for everybody, and what comes of its answer.

Here: asking in the shared form, judging the answer, keeping it.  Not here: who waits for it (``cache``), what is known
where nothing is kept (``knowledge``), what a page is made of (``making``).

    304 → the kept page, confirmed · a failure → the kept page where it may be used stale
    an answer that may be kept → kept, and everybody's · another → thrown away, and remembered for a while
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any

import httpx

from edgeproxy import offloop
from edgeproxy.content_coding import codings_of
from edgeproxy.core import freshness, storing
from edgeproxy.core.freshness import Lines
from edgeproxy.core.sharing import SharedRequest, is_left_out
from edgeproxy.offloop import OFTEN, Work
from edgeproxy.origin import ShopError
from edgeproxy.pages.counts import Counts
from edgeproxy.pages.filling import Filling
from edgeproxy.pages.knowledge import BUSY, Knowledge
from edgeproxy.pages.making import Came, confirmed, everyone, is_text, length_of, made, media_of, times
from edgeproxy.pages.marks import marks
from edgeproxy.pages.model import FullKey, StoredPage
from edgeproxy.pages.outcome import Found, Keeping, Outcome, Unshared
from edgeproxy.pages.store import Store

__all__ = ["Ask", "Asking", "Flight", "Passed", "full_key"]

Ask = Callable[[httpx.Request], Awaitable[httpx.Response]]
Passed = Callable[[Iterable[tuple[bytes, bytes]], str, bytes], list[tuple[bytes, bytes]]]
"""The shop's lines as they may leave: hop-by-hop fields gone, its addresses ours (scheme and Host of the visitor)."""


class Flight:
    """One question, for everybody who wants its answer; ``over`` is called when nobody may join any more."""

    __slots__ = ("keep", "over", "task", "waited_for")

    def __init__(self) -> None:
        self.keep = True  # False: what it brings was purged while it was on its way
        self.task: asyncio.Task[Outcome] | None = None
        self.over: Callable[[], None] = lambda: None
        self.waited_for = False  # a visitor hears what comes of it, a fault too


def full_key(store: Store, shared: SharedRequest) -> FullKey:
    """What a page for this request is kept by: its key, and what Vary has added to it there."""
    names = store.varying(shared.key)
    if not names:
        return shared.key, ()
    return shared.key, tuple((name, shared.left_out.get(name, b"")) for name in names)


class Asking:
    """Of one worker.  ``spawn`` runs what goes on once everybody has begun to read."""

    def __init__(
        self,
        keeping: Keeping,
        store: Store,
        known: Knowledge,
        counts: Counts,
        *,
        ask: Ask,
        origin: httpx.URL,
        passed: Passed,
        clock: Callable[[], float],
        ticks: Callable[[], float],
        country_header: bytes,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._keeping = keeping
        self._store = store
        self._known = known
        self._counts = counts
        self._ask = ask
        self._origin = origin
        self._passed = passed
        self._clock = clock
        self._ticks = ticks
        self._country_header = country_header
        self._spawn = spawn

    async def bring(self, flight: Flight, shared: SharedRequest, full: FullKey, page: StoredPage | None) -> Outcome:
        """One question, and what comes of it."""
        asked = self._ticks()
        try:
            response = await self._ask(self._request(shared, full, page))
        except ShopError:
            if page is not None and self._stale(full, page, gone=True):
                return Found(page, "stale")
            raise
        delay = self._ticks() - asked
        try:
            outcome = await self._judged(flight, response, delay, shared, full, page)
        except ShopError:  # its body broke off: each visitor sees for themselves
            if page is not None and self._stale(full, page, gone=True):
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

    def _stale(self, full: FullKey, page: StoredPage, *, gone: bool) -> bool:
        """The shop has failed; may the kept page be used all the same?"""
        self._known.failed(full, gone=gone)
        return freshness.excused(page.freshness, self._clock(), self._ticks(), gone=gone)

    async def _judged(
        self,
        flight: Flight,
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
        if status >= 500 and page is not None and self._stale(full, page, gone=False):
            return Found(page, "stale")
        terms = storing.terms(status, lines, rule, came.at)
        if status >= 500 or status in BUSY:
            return self._known.failing(full, f"status is {status}")
        if isinstance(terms, str):
            return self._refused(shared, full, terms)
        again = self._learn(shared, full, lines)
        if again:
            return Unshared(again, asked=True)
        full = full_key(self._store, shared)
        self._known.shareable(shared)
        media = media_of(lines)
        whole = media == b"text/html" or (terms.from_rule and is_text(media))
        most = self._keeping.page_bytes if media == b"text/html" else self._keeping.file_bytes
        length = length_of(lines)
        if length is not None and length > most:
            return self._too_big(shared, full, media, most)
        make = partial(made, full, status, lines, terms=terms, came=came)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        chunks = aiter(response.stream)
        if not whole:
            kept = tuple(storing.stripped(lines, rule))
            filling = Filling(
                status,
                kept,
                freshness=times(terms, lines, came),
                everyone=everyone(lines, terms),
                most=most,
                length=length,
            )
            self._pump(flight, filling, response, make)
            return filling
        parts: list[bytes] = []
        size = 0
        async for chunk in chunks:
            parts.append(chunk)
            size += len(chunk)
            if size > most:
                return self._too_big(shared, full, media, most)
        body = b"".join(parts)
        clear = size * (OFTEN if codings_of(lines) else 1)
        why = await offloop.run(Work.SEARCH, clear, marks, lines, body, self._keeping.page_bytes)
        if why:
            return self._refused(shared, full, why)
        stored = await offloop.run(Work.CODE, size, make, body)
        self._keep(flight, stored)
        return Found(stored, "miss")

    def _keep(self, flight: Flight, page: StoredPage) -> None:
        if flight.keep and self._store.put(page):
            self._counts.kept()

    def _pump(
        self,
        flight: Flight,
        filling: Filling,
        response: httpx.Response,
        make: Callable[[bytes], StoredPage],
    ) -> None:
        """Read a file to its end for whoever reads along, and keep it when it is whole."""

        async def read() -> None:
            try:
                assert isinstance(response.stream, httpx.AsyncByteStream)
                body = await filling.pump(aiter(response.stream))
                if body is None:
                    self._counts.too_long()
                else:
                    self._keep(flight, await offloop.run(Work.CODE, len(body), make, body))
            except ShopError:
                pass  # every reader has it
            finally:
                flight.over()
                await response.aclose()

        self._spawn(read())

    # ------------------------------------------------------------------ judging

    def _too_big(self, shared: SharedRequest, full: FullKey, media: bytes, most: int) -> Unshared:
        if media != b"text/html":  # a page is counted when the visitor's own question is answered
            self._counts.too_long()
        return self._refused(shared, full, f"bigger than {most:,} bytes")

    def _refused(self, shared: SharedRequest, full: FullKey, why: str) -> Unshared:
        self._store.drop([full])
        return self._known.refused(shared, full, why)

    def _learn(self, shared: SharedRequest, full: FullKey, lines: Lines) -> str:
        """What Vary names joins the key (RFC 9111, 4.1); why this answer is not the visitor's then, "" when it is.

        Judged by the fields that the shop was asked with, not by those that are known by now: another answer may have
        taught them while this one was on its way.
        """
        asked = {name for name, _ in full[1]}
        names = {name.encode() for name in storing.varies(lines)}
        fresh = sorted(name for name in names - asked if is_left_out(name, self._country_header))
        if not fresh:
            return ""
        self._store.vary(shared.key, tuple(sorted({*self._store.varying(shared.key), *fresh})))
        if not any(name in shared.left_out for name in fresh):
            return ""  # the shop was asked as this visitor asks: without these fields
        return f"it varies by {', '.join(name.decode() for name in fresh)}"

    def _confirmed(
        self, flight: Flight, page: StoredPage, lines: list[tuple[bytes, bytes]], came: Came
    ) -> Found | Unshared:
        kept = confirmed(page, lines, came, self._country_header)
        if isinstance(kept, str):
            self._store.drop([page.key])
            self._counts.refused(kept)
            return Unshared(kept, asked=True)
        self._keep(flight, kept)
        return Found(kept, "confirmed")
