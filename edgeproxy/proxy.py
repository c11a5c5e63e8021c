"""EdgeProxy: the path of one request, read straight down.

Here: the order in which things happen, and what happens when something fails.  Not here: rules of their own about
headers (``sanitise``, ``respond``), decisions (``core``), a page's bytes (``personalise``), the wire (``server``,
``origin``).  Called by the server for every request; calls nothing that calls back up.

    guard     sanitise, cut our flags                     fails closed: 400, 405, 421, a fault of ours too
    intend    visitor, preview, decide, lane              fails open: the shop's page, untouched
    share     the page cache, where many may get it       fails open: the visitor's own question
    ask       the shop                                    502, 503, 504
    answer    PASS: streamed · PRIVATE: rewritten         fails open: its page, untouched; a break is a visible break

A fault of ours is logged once a request with its traceback, counted, and never seen by the visitor.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, MutableMapping
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import httpx

from edgeproxy import respond
from edgeproxy.answer import BODILESS, Answer, Page, Receive, RequestBody, Send, TooLong, VisitorLeft
from edgeproxy.blame import Blame
from edgeproxy.core import courtesy, policy, preview, query
from edgeproxy.core import visitor as visitors
from edgeproxy.core.decide import decide
from edgeproxy.core.model import Lane, LaneKind, PageRequest, RawHeaders, RuleBook
from edgeproxy.core.policy import is_navigation
from edgeproxy.core.recollect import recalled
from edgeproxy.core.visitor import Keys, VerifiedCookies
from edgeproxy.early import Early, EarlyFlush
from edgeproxy.errors import CutShort, ErrorPages
from edgeproxy.journal import Journal
from edgeproxy.origin import ShopBusy, ShopError, ShopTimeout
from edgeproxy.own import OWN_PATHS, Asked, Pages, own
from edgeproxy.pages import PageCache
from edgeproxy.previewing import Shelf, barred, by_its_rules, instead, shown_by, takes_bar
from edgeproxy.previewpages import PREVIEW_PAGES
from edgeproxy.relay import Relay, disbelief
from edgeproxy.remember import Remembering, told_events
from edgeproxy.respond import NewLines, Origin
from edgeproxy.rewrite import OUR_FAULT, Rewriter, bare
from edgeproxy.sanitise import Forwardable, Refusal, Sanitiser, new_request_id
from edgeproxy.server.asked import Judge
from edgeproxy.server.fastlane import FastLane, Lesson
from edgeproxy.settings import Settings
from edgeproxy.sharing import Sharing
from edgeproxy.trail import Intent, Trail
from edgeproxy.values import is_loopback

Scope = MutableMapping[str, Any]

log = logging.getLogger("edgeproxy.proxy")

_NOTHING = httpx.ByteStream(b"")
_NO_RULES = Lane(LaneKind.PASS, "no rules are live")
_UPGRADE = "another protocol is asked for (Upgrade)"


class _Checked(NamedTuple):
    """A request that has passed the guard."""

    head: Forwardable
    target: bytes  # without our flags
    lines: list[tuple[bytes, bytes]]  # for the shop, without our flags
    request: PageRequest  # with our flags: whether they count is not known yet


class Books(Protocol):
    """Where the live rule book is; ``rulebook.RuleBookSource`` in production."""

    @property
    def book(self) -> RuleBook | None:
        """The last good book; None when there never was one."""


class EdgeProxy:
    """The shop's listener as an ASGI application.

    ``transport`` reaches the shop (``ShopTransport``, or any httpx transport in tests); ``clock`` gives seconds
    since the epoch.  One instance belongs to one event loop.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        books: Books,
        transport: httpx.AsyncBaseTransport,
        clock: Callable[[], float],
        journal: Journal,
        rewriter: Rewriter,
        remembering: Remembering,
        cache: PageCache | None = None,
        pages: Pages = PREVIEW_PAGES,
        shelf: Shelf | None = None,
    ) -> None:
        self._pages = pages
        self._shelf = shelf or Shelf(settings.rules, None, Blame())
        self._settings = settings
        self._books = books
        self._transport = transport
        self._clock = clock
        self._journal = journal
        self._rewriter = rewriter
        self._remembering = remembering
        self._sharing = None
        if cache is not None:
            self._sharing = Sharing(settings, cache, rewriter, signed=self._signed, remembered=self._remembered)
        self._sanitiser = Sanitiser.of(settings)
        self._verified = VerifiedCookies()
        self._cookie = settings.cookie
        self._relay = Relay(settings.limits.upgrade_idle_seconds, journal.counters)
        self._origin = Origin.of(*settings.origins)
        self._origin_url = httpx.URL(settings.origin)
        self._open_preview = settings.preview == "open"
        self._early_flush = EarlyFlush(
            settings.early_flush,
            journal.counters.counter(
                "edgeproxy_early_total", "Pages whose beginning left before the shop had sent their end", "then"
            ),
            signed=self._begun,
        )
        self._via = f"1.1 {settings.via}".encode() if settings.via else b""
        self._cache = cache
        self.lane = self._fast_lane(cache) if cache is not None else None

    @property
    def keys(self) -> Keys:
        """What signs and verifies now."""
        return self._settings.keys

    def forget(self) -> None:
        """Forget what pages that are kept nowhere came to so far."""
        self._rewriter.forget()

    def use_keys(self, keys: Keys) -> None:
        """Sign and verify with these, from the next request on."""
        self._settings = replace(self._settings, keys=keys)
        if self.lane is not None:
            self.lane.use_keys(keys)

    def _fast_lane(self, cache: PageCache) -> FastLane:
        settings = self._settings
        ready = "Answers that leave without the app"
        self._journal.counters.gauge("edgeproxy_ready_answers", ready, lambda: {(): len(lane)})
        judge = Judge(
            self._sanitiser,
            settings.keys,
            settings.cookie,
            self._verified,
            country_header=settings.country_header,
            loop=settings.via,
        )
        lane = FastLane(
            judge,
            books=self._books,
            pages=cache,
            journal=self._journal,
            clock=self._clock,
            via=self._via,
            beside=self._rewriter.tick,
        )
        return lane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # the server speaks nothing else; anything else is refused by closing
            raise CutShort
        trail = Trail(perf_counter(), self._clock(), scope["method"], scope["http_version"])
        answer = Answer(send, trail, can_hint="http.response.early_hint" in scope.get("extensions", ()))
        try:
            checked = self._guard(scope, trail)
            if isinstance(checked, Refusal):
                await self._refuse(checked, trail, answer)
            else:
                await self._serve(checked, receive, trail, answer)
        except CutShort:
            trail.cut = True
            raise
        except asyncio.CancelledError as why:
            trail.problem = trail.problem or " ".join(map(str, why.args)) or "the visitor left"
            raise
        except Exception:
            trail.failed(log, "answering")
            if answer.started:
                raise CutShort from None
            await self._error(502, trail, answer)
        finally:
            self._record(trail)
            if trail.reusable is not None and answer.started:
                self._teach(scope, trail)

    def _record(self, trail: Trail) -> None:
        """The answer has left: what fails here must not take it back."""
        try:
            self._journal.served(trail.served(perf_counter()))
        except Exception as problem:
            self._journal.fault(problem)

    def _teach(self, scope: Scope, trail: Trail) -> None:
        """Others may get the same from the fast lane, until something changes that it was made of."""
        intent, kept, reusable, wanted = trail.intent, trail.kept, trail.reusable, trail.shared
        if self.lane is None or self._cache is None or trail.cut or trail.fault:
            return
        if intent is None or intent.book is None or intent.decision is None:
            return
        if kept is None or reusable is None or wanted is None:
            return
        try:
            request = intent.request
            change = policy.next_change(intent.book, request.path, trail.at)
            until = self._cache.fresh_until(kept)
            lesson = Lesson(
                request,
                intent.decision.visitor,
                intent.book,
                wanted,
                intent.lane.personal,
                kept,
                reusable,
                until if change is None else min(change, until),
                trail.served(perf_counter()),
                tuple(one for one in intent.decision.fitting if trail.tally and one.name in trail.tally.applied),
            )
            self.lane.learn(scope, lesson)
        except Exception as problem:
            self.lane.fault(problem)

    # ------------------------------------------------------------------ guard

    def _guard(self, scope: Scope, trail: Trail) -> _Checked | Refusal:
        """Judge a request and cut what is ours; what fails in here forwards nothing."""
        try:
            head = self._sanitiser.scope(scope)
            if isinstance(head, Refusal):
                return head
            path, mark, raw_query = head.target.partition(b"?")
            cut = query.cut(raw_query)
            target = head.target if not cut.flags else (path + mark + cut.query if cut.query else path)
            lines = [
                (name, query.clean_referer(value)) if name == b"referer" else (name, value)
                for name, value in head.headers
            ]
            trail.seen(head, target)
            request = PageRequest(
                method=head.method,
                scheme=head.scheme,
                host=head.host,
                path=path.decode("latin-1"),
                query=raw_query.decode("latin-1"),
                headers=tuple(scope["headers"]),
                at=trail.at,
                country=head.country,
            )
            return _Checked(head, target, lines, request)
        except Exception:
            trail.request_id = trail.request_id or new_request_id()
            trail.failed(log, "guarding")
            return Refusal(400, "a fault of ours in the guard", trail.request_id)

    async def _refuse(self, refusal: Refusal, trail: Trail, answer: Answer) -> None:
        trail.request_id, trail.problem, trail.refused = refusal.request_id, refusal.why, True
        await self._error(refusal.status, trail, answer)

    async def _serve(self, checked: _Checked, receive: Receive, trail: Trail, answer: Answer) -> None:
        request = checked.request
        if request.path.startswith(OWN_PATHS):
            await self._own(checked, receive, trail, answer)
            return
        told: Page | None = None  # in the shop's place: a draft that has mistakes
        try:
            intent = self._intend(request, checked.head)
            if intent.active is not None:
                looked = await by_its_rules(intent, self._shelf, getattr(self._books, "problems", ()))
                intent, told = (intent, looked) if isinstance(looked, Page) else (looked, None)
            if checked.head.upgrade and self._settings.upgrade == "relay":
                intent = replace(intent, lane=replace(intent.lane, kind=LaneKind.PASS, why=_UPGRADE))
            lines = _for_shop(checked.lines, intent)
        except Exception:
            trail.failed(log, "deciding")
            intent = Intent(OUR_FAULT, request)
            lines = _unconditional(checked.lines, request.method)
        trail.intent = intent
        if isinstance(intent.preview, preview.Exchange):
            await answer.whole(
                303,
                respond.elsewhere(intent.preview.location, intent.preview.set_cookie),
                b"",
            )
            return
        if told is not None:
            await answer.whole(told.status, told.lines, told.body)
            return
        await self._ask(checked, lines, intent, receive, trail, answer)

    # ------------------------------------------------------------------ intend

    def _intend(self, request: PageRequest, head: Forwardable) -> Intent:
        """Who asks, what fits, what is meant to happen; nothing is asked of the shop yet."""
        book = self._books.book
        if book is None:
            return Intent(_NO_RULES, replace(request, query=""))
        lines = [value for name, value in request.headers if name == b"cookie"]
        keys = self._settings.keys
        visitor = visitors.read(lines, keys, request.at, self._cookie, self._verified)
        known = self._remembering.of(request, book, keys, request.at)
        visitor = recalled(book, visitor, known)
        looked = preview.apply(
            request,
            visitor,
            book,
            keys,
            open_previews=self._previews_are_open(head),
            domain=self._settings.cookie_domain,
        )
        if isinstance(looked, preview.Exchange):
            return Intent(Lane(LaneKind.PASS, "a preview begins"), looked.request, preview=looked)
        if isinstance(looked, preview.Active):
            return shown_by(looked, book)
        decision = decide(book, visitor, looked.request)
        return Intent(policy.lane(book, looked.request, decision), looked.request, decision, book, known=known)

    def _previews_are_open(self, head: Forwardable) -> bool:
        """Only this machine asks: a loopback Host (against DNS rebinding) and nobody in between."""
        if not self._open_preview or head.forwarded:
            return False
        name = head.host if head.host.endswith("]") else head.host.rpartition(":")[0] or head.host
        return is_loopback(name) and is_loopback(head.client)

    # ------------------------------------------------------------------ ask

    async def _ask(
        self,
        checked: _Checked,
        lines: list[tuple[bytes, bytes]],
        intent: Intent,
        receive: Receive,
        trail: Trail,
        answer: Answer,
    ) -> None:
        head = checked.head
        if self._sharing is not None and await self._shared(self._sharing, checked, intent, trail, answer):
            return
        has_body = head.chunked or bool(head.length)
        extensions: dict[str, Any] = {"target": checked.target}
        if head.method in {"GET", "HEAD"}:  # what a shared question took is part of it
            extensions["deadline"] = max(self._settings.deadline - trail.shop_seconds, 1.0)
        if head.upgrade:
            extensions["upgrade"] = self._settings.upgrade == "relay"
            if not extensions["upgrade"]:
                self._relay.ends.add("refused")
        if head.trusted and answer.can_hint:  # a browser on HTTP/1.1 could take a 103 for the answer (RFC 8297, 3)
            extensions["hinted"] = answer.hint
        request = httpx.Request(
            head.method,
            self._origin_url,
            headers=httpx.Headers(lines),
            stream=RequestBody(receive, self._settings.limits.body_bytes) if has_body else _NOTHING,
            extensions=extensions,
        )
        asked = perf_counter()
        try:
            response = await self._transport.handle_async_request(request)
        except ShopError as error:
            trail.shop_seconds += perf_counter() - asked
            trail.problem = f"shop: {error}"
            await self._error(_status_of(error), trail, answer)
            return
        except TooLong:
            trail.problem, trail.refused = "the request's body is too long", True
            await self._error(413, trail, answer)
            return
        except VisitorLeft:
            trail.problem = "the visitor left"
            raise CutShort from None
        trail.shop_seconds += perf_counter() - asked
        try:
            if response.status_code == 101:
                await self._switch(head, response, receive, trail, answer)
                return
            if extensions.get("upgrade"):
                self._relay.ends.add("declined")
            if self._sharing is not None:
                self._sharing.passing(head, checked.target, response, trail)
            await self._answer(response, intent, trail, answer)
        except ShopError as error:
            trail.problem = f"shop: {error}"
            if answer.started:
                raise CutShort from None
            await self._error(_status_of(error), trail, answer)
        finally:
            await response.aclose()

    async def _shared(self, sharing: Sharing, checked: _Checked, intent: Intent, trail: Trail, answer: Answer) -> bool:
        """Whether what many may get was the answer; else the visitor's own question goes to the shop."""
        try:
            return await sharing.answered(checked.head, checked.target, checked.lines, intent, trail, answer)
        except ShopError as error:
            trail.problem = f"shop: {error}"
            if answer.started:
                raise CutShort from None
            await self._error(_status_of(error), trail, answer)
            return True

    async def _switch(
        self, head: Forwardable, response: httpx.Response, receive: Receive, trail: Trail, answer: Answer
    ) -> None:
        """The shop leaves HTTP: from here on bytes are relayed, both ways, until both have ended."""
        shop = response.extensions["network_stream"]
        try:
            lines = [(name.lower(), value) for name, value in response.headers.raw]
            if why := disbelief(head.headers, lines):
                trail.problem = f"shop: {why}"
                self._relay.ends.add("disbelieved")
                await self._error(502, trail, answer)
                return
            trail.lane = Lane(LaneKind.PASS, f"relayed: {head.upgrade.decode()}")
            passed = respond.passed(lines, self._origin, head.scheme.encode(), head.host.encode("latin-1"))
            await answer.start(101, [*passed, *(line for line in lines if line[0] == b"upgrade")])
            await self._relay.run(receive, answer, shop)
        finally:
            await shop.aclose()

    # ------------------------------------------------------------------ answer

    async def _answer(self, response: httpx.Response, intent: Intent, trail: Trail, answer: Answer) -> None:
        status = response.status_code
        if not 200 <= status < 600:
            trail.problem = f"shop: status {status}"
            await self._error(502, trail, answer)
            return
        assert isinstance(response.stream, httpx.AsyncByteStream)
        chunks = aiter(response.stream)
        lines, lane = self._confirmed(response, intent, trail)
        page: Page | None = None
        method = intent.request.method
        stacked = lane.kind is LaneKind.PASS and self._rewriter.is_stacked(lines, status, method)
        with_bar = lane.kind is LaneKind.PASS and takes_bar(lines, status, intent, trail)
        if with_bar or stacked or (lane.kind is LaneKind.PRIVATE and method != "HEAD"):
            early = self._early(lines, intent, trail, answer) if lane.kind is LaneKind.PRIVATE else None
            body, complete = await _collected(chunks, self._settings.limits.page_bytes, trail, early)
            if early is not None and early.started:
                await self._follow(early, lines, body, None if complete else chunks, intent, trail)
                return
            if complete and with_bar:
                page = await barred(lines, status, body, intent, lane, trail, limit=self._settings.limits.page_bytes)
            elif complete and stacked:
                lines, body = await self._rewriter.unstacked(lines, body, intent, trail)
            elif complete:
                page = await self._rewriter.rewrite(lines, body, intent, trail)
            else:
                lane = trail.lane = replace(lane, kind=LaneKind.PASS, why=trail.why_incomplete)
        else:
            body = b""
        if page is None and trail.broken is None:
            page = instead(lines, status, intent, lane, trail)
        if page is not None:
            lines = self._remembered(page.lines, status, intent, trail, html=True)
            await answer.whole(page.status, self._signed(lines, trail), page.body)
            self._rewriter.afterwards(page, intent, trail)
            return
        lines = self._remembered(self._rewriter.untouched(lines, intent, lane, trail), status, intent, trail)
        await self._stream(status, lines, chunks, body, trail, answer)

    def _begun(self, lines: NewLines, trail: Trail) -> NewLines:
        """The lines of a page that leaves before its end has come."""
        assert trail.intent is not None
        return self._signed(self._remembered(lines, 200, trail.intent, trail, html=True), trail)

    def _early(self, lines: NewLines, intent: Intent, trail: Trail, answer: Answer) -> Early | None:
        decision, book = intent.decision, intent.book
        if decision is not None and book is not None and courtesy.counts(decision.fitting, book.showings):
            return None  # what is shown is counted by the head, which has to wait for the page
        try:
            return self._early_flush.of(lines, intent, partial(self._rewriter.begin, lines, intent), trail, answer)
        except Exception:
            trail.failed(log, "getting ready to send early the answer to")
            return None

    async def _follow(
        self,
        early: Early,
        lines: NewLines,
        body: bytes,
        more: AsyncIterator[bytes] | None,
        intent: Intent,
        trail: Trail,
    ) -> None:
        """The rest of a page whose beginning has left; ``more`` comes behind ``body`` where that is not all."""
        if more is None:
            made = await self._rewriter.begun(lines, body, intent, trail)
            await early.follow(body, made)
            if made is not None:
                self._rewriter.afterwards(Page(200, lines, b"", body, made), intent, trail)
            return
        trail.lane = replace(trail.lane or intent.lane, why=trail.why_incomplete)
        if trail.broken is not None:
            await early.follow_cut(body)
            raise trail.broken
        await early.follow_untouched(body, more)

    def _confirmed(self, response: httpx.Response, intent: Intent, trail: Trail) -> tuple[NewLines, Lane]:
        """The shop's lines as they may leave, and the lane that they leave.  Never raises."""
        request = intent.request
        try:
            lines = respond.passed(
                response.headers.raw, self._origin, request.scheme.encode(), request.host.encode("latin-1")
            )
            trail.events = told_events(response.headers.raw)
            trail.lane = self._rewriter.confirm(intent, response.status_code, lines)
        except Exception:
            trail.failed(log, "reading the shop's head for")
            lines, trail.lane = bare(response.headers.raw, intent), OUR_FAULT
        return lines, trail.lane

    async def _stream(
        self,
        status: int,
        lines: RawHeaders | list[tuple[bytes, bytes]],
        chunks: AsyncIterator[bytes],
        first: bytes,
        trail: Trail,
        answer: Answer,
    ) -> None:
        """The shop's bytes as they come; ``first`` are those that were already read."""
        if status in BODILESS:
            lines = [line for line in lines if line[0] != b"content-length"]
        await answer.start(status, self._signed(lines, trail))
        if first:
            await answer.body(first)
        if trail.broken is not None:  # what came before the break has left; the break follows
            raise trail.broken
        async for chunk in chunks:
            await answer.body(chunk)
        await answer.end()

    def _remembered(
        self, lines: NewLines, status: int, intent: Intent, trail: Trail, *, html: bool | None = None
    ) -> NewLines:
        """With what the visitor's browser is to remember of this answer; ``status`` is the shop's.  Never raises.

        ``html`` says that its page was one, where the lines do not tell any more.
        """
        book, known = intent.book, intent.known
        if book is None or known is None or trail.fault:
            return lines
        try:
            return self._remembering.leaving(
                lines,
                known,
                book,
                intent.request,
                self._settings.keys,
                trail.at,
                status=status,
                html=html,
                told=trail.events,
                applied=trail.applied(),
            )
        except Exception:
            trail.failed(log, "remembering the visitor of")
            return lines

    def _signed(self, lines: RawHeaders | list[tuple[bytes, bytes]], trail: Trail) -> list[tuple[bytes, bytes]]:
        trail.edge_seconds = perf_counter() - trail.began - trail.shop_seconds
        try:
            return respond.signed_off(
                lines,
                edge=trail.edge_seconds,
                shop=None if trail.cache in {"hit", "stale"} else trail.shop_seconds,
                via=self._via,
            )
        except Exception:
            trail.failed(log, "signing off")
            return list(lines)

    # ------------------------------------------------------------------ our own answers

    async def _own(self, checked: _Checked, receive: Receive, trail: Trail, answer: Answer) -> None:
        """An address of ours."""
        trail.own = True
        try:
            head = checked.head
            open_ = self._previews_are_open(head)
            asked = Asked(checked.request, head, self._settings.keys, open_, self._settings.cookie_domain)
            told = await own(self._pages, asked, receive)
        except VisitorLeft:
            trail.problem = "the visitor left"
            raise CutShort from None
        if told.status == 413:
            trail.problem, trail.refused = "the form is too long", True
        if told.status in {404, 405, 413}:
            await self._error(told.status, trail, answer, allow=told.allow or None)
            return
        await answer.whole(told.status, told.lines, told.body)

    async def _error(self, status: int, trail: Trail, answer: Answer, *, allow: tuple[str, ...] | None = None) -> None:
        page = ErrorPages.of(self._books.book).page(
            status,
            request_id=trail.request_id,
            retry_after=1 if status == 503 else None,
            allow=tuple(sorted(self._settings.methods)) if allow is None else allow,
        )
        await answer.whole(page.status, page.headers, page.body)


# --------------------------------------------------------------------------- the shop's side


def _status_of(error: ShopError) -> int:
    """What the visitor is told: come back at once, it was too slow, or it was broken."""
    return 503 if isinstance(error, ShopBusy) else 504 if isinstance(error, ShopTimeout) else 502


def _for_shop(lines: list[tuple[bytes, bytes]], intent: Intent) -> list[tuple[bytes, bytes]]:
    """The lines that the shop is asked with: those of the visitor, less what must not be answered as they put it."""
    lane = intent.lane
    whole = lane.kind is LaneKind.PRIVATE or (intent.active is not None and is_navigation(intent.request))
    if whole or (lane.personal and intent.is_document):
        # what the browser holds may be another variant: it is asked for anew (RFC 9110, 13.1)
        lines = respond.strip_conditionals(lines)
    if whole:
        lines = [line for line in lines if line[0] != b"accept-encoding"]
        lines.append((b"accept-encoding", b"identity"))
    return lines


def _unconditional(lines: list[tuple[bytes, bytes]], method: str) -> list[tuple[bytes, bytes]]:
    """What a page is asked with after a fault of ours; an unsafe method keeps its conditions."""
    if method not in {"GET", "HEAD"}:
        return lines
    return [line for line in lines if not line[0].startswith(b"if-") and line[0] != b"range"]


async def _collected(
    shop: AsyncIterator[bytes], limit: int, trail: Trail, early: Early | None = None
) -> tuple[bytes, bool]:
    """The body, and whether it is whole: a page over ``limit`` bytes, or one that broke, is passed as it comes.

    ``early`` is told of what comes, and at work no more when this returns.
    """
    chunks: list[bytes] = []
    size = 0
    began = perf_counter()
    try:
        async for chunk in shop:
            chunks.append(chunk)
            size += len(chunk)
            if early is not None:
                early.came(chunk)
            if size > limit:
                trail.why_incomplete = f"bigger than {limit:,} bytes"
                return b"".join(chunks), False
    except ShopError as error:
        if not chunks:
            raise
        trail.broken, trail.why_incomplete = error, "it broke off"
        return b"".join(chunks), False
    except BaseException:
        if early is not None:
            early.dropped()
        raise
    finally:
        trail.shop_seconds += perf_counter() - began
        if early is not None:
            await early.ended()
    return b"".join(chunks), True
