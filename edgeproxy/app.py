"""The only place that wires things together: settings in, a running proxy's parts out.

Here: which object gets which.  Not here: sockets and signals (``server.run``), what any of them does.  Called by
`serve` and `demo`, and by tests, which hand in a transport, a clock or a book of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TextIO
from urllib.parse import urlsplit

import httpx

from edgeproxy.assembly import Assembly
from edgeproxy.blame import Blame
from edgeproxy.core.model import Problem, RuleBook
from edgeproxy.drafts import Drafts
from edgeproxy.intend import Books
from edgeproxy.journal import Journal
from edgeproxy.origin import Limits, ShopAddresses, ShopTransport, Tolerance, tls_context
from edgeproxy.pages import PageCache
from edgeproxy.pages.counts import Counts
from edgeproxy.pages.outcome import Keeping
from edgeproxy.plans import Plans
from edgeproxy.previewing import Shelf
from edgeproxy.previewpages import PREVIEW_PAGES
from edgeproxy.proxy import EdgeProxy
from edgeproxy.remember import Remembering
from edgeproxy.respond import Origin, passed
from edgeproxy.reuse import Reuse
from edgeproxy.rewrite import Rewriter
from edgeproxy.rulebook import RuleBookSource
from edgeproxy.settings import Settings
from edgeproxy.sheet.looking import Looking
from edgeproxy.slow_pages import SlowPages
from edgeproxy.variants import Variants
from edgeproxy.verification import Verification
from edgeproxy.why.page import WHY_PATH, WhyPage

if TYPE_CHECKING:
    from starlette.applications import Starlette

log = logging.getLogger("edgeproxy")


@dataclass(frozen=True, slots=True)
class Parts:
    """One wired proxy: the shop's listener, the admin listener, and what runs beside them."""

    proxy: EdgeProxy
    make_admin: Callable[[], Starlette]  # called once
    journal: Journal
    books: Books
    source: RuleBookSource | None  # the folder behind ``books``, when it is one
    transport: httpx.AsyncBaseTransport
    checks: Callable[[], Coroutine[None, None, None]] | None = None  # of the shop's addresses, for ever
    cache: PageCache | None = None
    looking: Looking | None = None  # sheets and explanations for the console

    @property
    def admin(self) -> Starlette:
        """The admin listener's app; a worker never asks for it."""
        return self.make_admin()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While it is open, rules and shop are watched; at its end the connections to the shop close."""
        watching = []
        if self.source is not None:
            watching.append(asyncio.create_task(self.source.watch(self._changed)))
        if self.checks is not None:
            watching.append(asyncio.create_task(self.checks()))
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            if self.cache is not None:
                await self.cache.close()
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


def _chance() -> str:
    return secrets.token_urlsafe(9)


def build_app(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Callable[[], float] = time.time,
    ticks: Callable[[], float] = time.monotonic,
    chance: Callable[[], str] = _chance,
    books: Books | None = None,
    log_to: TextIO | None = None,
    spread: Callable[[bytes, bytes], object] = lambda host, path: None,
) -> Parts:
    """Wire a proxy.

    ``transport`` reaches the shop (left out: over the network, at ``settings.origin``); ``clock`` gives seconds since
    the epoch, ``ticks`` seconds that never go back, ``chance`` ids that nobody can guess; ``books`` holds the live rule
    book (left out: ``settings.rules``, read now and watched while running); ``log_to`` takes the access log (left out:
    standard output); ``spread`` tells other processes that what is kept for a Host and a raw path is old.
    """
    source = None
    if books is None:
        source = RuleBookSource(settings.rules, clock=clock)
        books = source
    journal = Journal(settings, stream=log_to, clock=clock)
    journal.rules(books.book, ok=books.book is not None)
    if transport is None:
        transport = _shop(settings, journal)

    def distrusted(slot: str, path: str, why: str) -> None:
        journal.distrusted(slot, path, why)
        if proxy.lane is not None:
            proxy.lane.forget()

    verification = Verification(
        clock=time.monotonic,
        executor=ThreadPoolExecutor(1, thread_name_prefix="verification"),
        failed=distrusted,
    )
    plans = _plans(settings, journal)
    cache = _cache(settings, journal, transport, clock, ticks, spread) if settings.limits.cache_bytes else None
    remembering = Remembering(settings, journal.counters, chance=chance)
    choices = journal.counters.counter("edgeproxy_choices_total", "What visitors chose on their own page", "choice")
    why = WhyPage(books, remembering, settings.cookie, choices.add)
    proxy = EdgeProxy(
        settings,
        shelf=Shelf(
            settings.rules,
            None if settings.drafts is None else Drafts(settings.drafts, settings.rules),
            Blame(),
        ),
        books=books,
        transport=transport,
        clock=clock,
        journal=journal,
        rewriter=Rewriter(
            settings,
            verification=verification,
            plans=plans,
            reuse=_reuse(settings, journal, plans, verification),
            full=partial(journal.limit_hit, "plans_bytes"),
        ),
        cache=cache,
        remembering=remembering,
        pages={**PREVIEW_PAGES, WHY_PATH: {"GET": why.show, "POST": why.choose}},
    )
    checks = None
    if settings.origin_health and isinstance(transport, ShopAddresses):
        checks = partial(
            transport.watch, settings.origin_health.encode(), _asks(settings), settings.limits.origin_health_seconds
        )
    looking = Looking(proxy, books, clock)
    return Parts(
        proxy,
        functools.cache(partial(_admin, settings, journal, books, cache, looking, clock)),
        journal,
        books,
        source,
        transport,
        checks,
        cache,
        looking,
    )


def _admin(
    settings: Settings,
    journal: Journal,
    books: Books,
    cache: PageCache | None,
    looking: Looking,
    clock: Callable[[], float],
) -> Starlette:
    from edgeproxy.console.single import build_admin

    return build_admin(settings, journal, books, cache=cache, looking=looking, clock=clock)


def _cache(
    settings: Settings,
    journal: Journal,
    transport: httpx.AsyncBaseTransport,
    clock: Callable[[], float],
    ticks: Callable[[], float],
    spread: Callable[[bytes, bytes], object],
) -> PageCache:
    limits = settings.limits
    origin = Origin.of(*settings.origins)
    return PageCache(
        Keeping(limits.cache_bytes, limits.page_bytes, limits.cache_file_bytes, settings.deadline),
        ask=transport.handle_async_request,
        origin=httpx.URL(settings.origin),
        passed=lambda lines, scheme, host: passed(lines, origin, scheme.encode(), host),
        clock=clock,
        ticks=ticks,
        counts=Counts(journal.counters, journal.limit_hit),
        country_header=settings.country_header,
        spread=spread,
        on_fault=journal.fault,
    )


def _reuse(settings: Settings, journal: Journal, plans: Plans, verification: Verification) -> Reuse:
    executor = ThreadPoolExecutor(1, thread_name_prefix="compression")
    full = partial(journal.limit_hit, "variants_bytes")
    variants = Variants(executor, settings.limits.variants_bytes, full)
    journal.counters.gauge("edgeproxy_variants", "Variants of stored pages that are kept", lambda: {(): len(variants)})
    journal.counters.gauge("edgeproxy_variants_bytes", "Memory that they take, about", lambda: {(): variants.size})
    return Reuse(Assembly(plans, variants), variants, verification, limit=settings.limits.page_bytes)


def _plans(settings: Settings, journal: Journal) -> Plans:
    counters = journal.counters
    found = counters.counter("edgeproxy_plans_total", "Pages whose plan was kept, or made anew", "how")
    full = partial(journal.limit_hit, "plans_bytes")
    plans = Plans(settings.limits.plans_bytes, slow=SlowPages(journal.slow_page), count=found.add, full=full)
    counters.gauge("edgeproxy_plans_bytes", "Memory that kept plans take, about", lambda: {(): plans.size})
    return plans


def _shop(settings: Settings, journal: Journal) -> ShopAddresses:
    """The shop at all its addresses, each counted."""
    said = settings.limits
    limits = Limits(
        connect=said.origin_connect_seconds,
        answer=said.origin_answer_seconds,
        idle=said.origin_idle_seconds,
        rate=said.origin_rate_bytes,
        rate_grace=said.origin_rate_seconds,
        head=said.origin_header_bytes,
        headers=said.origin_header_lines,
        sending=said.origin_sending_seconds,
        connections=said.origin_connections,
        tunnels=said.upgrades,
        age=said.origin_connection_seconds,
    )
    tls = tls_context(settings.origin_ca) if settings.origin.startswith("https:") else None
    name = None
    if settings.origin_host is not None:  # asked for in TLS too, without its port (RFC 6066, 3)
        name = urlsplit(f"//{settings.origin_host}").hostname
    counters = journal.counters
    shop = ShopAddresses(
        [
            (each, ShopTransport(each, tls=tls, limits=limits, name=name, hit=journal.limit_hit))
            for each in settings.origins
        ],
        tolerance=Tolerance(said.origin_failures, said.origin_out_seconds, said.origin_out_most_seconds),
        count=counters.counter(
            "edgeproxy_origin_answers_total", "What the shop's addresses answered, or how they failed", "address", "how"
        ).add,
        hit=journal.limit_hit,
    )
    counters.gauge(
        "edgeproxy_origin_usable",
        "1 when an address of the shop is not left out",
        lambda: {(one.name,): float(shop.usable(one)) for one in shop.addresses},
        "address",
    )
    counters.gauge(
        "edgeproxy_origin_connections",
        "Connections to the shop at work",
        lambda: {(one.name,): one.via.at_work for one in shop.addresses},
        "address",
    )
    return shop


def _asks(settings: Settings) -> list[tuple[bytes, bytes]]:
    """The head of a health check: under the name by which visitors come, as far as there is one."""
    names = [name for name in settings.hosts if not name.startswith("*.")]
    host = settings.origin_host or next(iter(names), "")
    lines = [(b"user-agent", b"edgeproxy health check"), (b"accept", b"*/*")]
    return [(b"host", host.encode()), *lines] if host else lines
