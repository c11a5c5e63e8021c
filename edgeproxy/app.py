"""The only place that wires things together: settings in, a running proxy's parts out.

Here: which object gets which.  Not here: sockets and signals (``server.run``), what any of them does.  Called by
`serve` and `demo`, and by tests, which hand in a transport, a clock or a book of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TextIO

import httpx
from starlette.applications import Starlette

from edgeproxy.console.admin import build_admin
from edgeproxy.core.model import Problem, RuleBook
from edgeproxy.journal import Journal
from edgeproxy.origin import Limits, ShopTransport, tls_context
from edgeproxy.proxy import Books, EdgeProxy
from edgeproxy.rewrite import Rewriter
from edgeproxy.rulebook import RuleBookSource
from edgeproxy.settings import Settings
from edgeproxy.verification import Verification

log = logging.getLogger("edgeproxy")


@dataclass(frozen=True, slots=True)
class Parts:
    """One wired proxy: the shop's listener, the admin listener, and what runs beside them."""

    proxy: EdgeProxy
    admin: Starlette
    journal: Journal
    books: Books
    source: RuleBookSource | None  # the folder behind ``books``, when it is one
    transport: httpx.AsyncBaseTransport

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While it is open, the rules are watched; at its end the connections to the shop close."""
        watching = None
        if self.source is not None:
            watching = asyncio.create_task(self.source.watch(self._changed))
        try:
            yield
        finally:
            if watching is not None:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
            await self.transport.aclose()

    def _changed(self, book: RuleBook | None, problems: tuple[Problem, ...]) -> None:
        tell(book, problems)
        assert self.source is not None
        self.journal.rules(self.source.book, ok=book is not None)


def tell(book: RuleBook | None, problems: tuple[Problem, ...]) -> None:
    """Log what became of the rules folder: each problem with its place, then what is live."""
    for problem in problems:
        log.warning("%s", problem)
    if book is None:
        log.error("the rules on disk have mistakes; the last good ones stay live")
    else:
        log.info("rules %s are live: %d experiences", book.version, len(book.experiences))


def build_app(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Callable[[], float] = time.time,
    books: Books | None = None,
    log_to: TextIO | None = None,
) -> Parts:
    """Wire a proxy.

    ``transport`` reaches the shop (left out: over the network, at ``settings.origin``); ``clock`` gives seconds since
    the epoch; ``books`` holds the live rule book (left out: ``settings.rules``, read now and watched while running);
    ``log_to`` takes the access log (left out: standard output).
    """
    source = None
    if books is None:
        source = RuleBookSource(settings.rules, clock=clock)
        books = source
    journal = Journal(settings, stream=log_to, clock=clock)
    journal.rules(books.book, ok=books.book is not None)
    if transport is None:
        transport = _shop(settings)
    verification = Verification(
        clock=time.monotonic,
        executor=ThreadPoolExecutor(1, thread_name_prefix="verification"),
        failed=journal.distrusted,
    )
    proxy = EdgeProxy(
        settings,
        books=books,
        transport=transport,
        clock=clock,
        journal=journal,
        rewriter=Rewriter(settings, verification=verification),
    )
    return Parts(proxy, build_admin(settings, journal, books), journal, books, source, transport)


def _shop(settings: Settings) -> ShopTransport:
    limits = settings.limits
    return ShopTransport(
        settings.origin,
        tls=tls_context(settings.origin_ca) if settings.origin.startswith("https:") else None,
        limits=Limits(
            connect=limits.origin_connect_seconds,
            answer=limits.origin_answer_seconds,
            idle=limits.origin_idle_seconds,
            rate=limits.origin_rate_bytes,
            rate_grace=limits.origin_rate_seconds,
            head=limits.origin_header_bytes,
            connections=limits.origin_connections,
        ),
    )
