"""EdgeProxy: the path of one request, read straight down.

Here: the order in which things happen, and what happens when something fails.  Not here: rules of their own about
headers (``sanitise``, ``respond``), decisions (``intend``, ``core``), what becomes of the shop's answer (``delivery``),
the wire (``server``, ``origin``).  Called by the server for every request; calls nothing that calls back up.

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
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple

import httpx

from edgeproxy import respond
from edgeproxy.answer import Answer, Page, Receive, RequestBody, Send, TooLong, VisitorLeft
from edgeproxy.blame import Blame
from edgeproxy.core import preview, query
from edgeproxy.core.model import Lane, LaneKind, PageRequest
from edgeproxy.core.policy import is_navigation
from edgeproxy.core.visitor import Keys
from edgeproxy.delivery import Delivery
from edgeproxy.errors import CutShort, ErrorPages
from edgeproxy.intend import Books, Intending
from edgeproxy.journal import Journal
from edgeproxy.lessons import fast_lane, lesson
from edgeproxy.origin import ShopAddresses, ShopBusy, ShopError, ShopTimeout
from edgeproxy.own import OWN_PATHS, Asked, Pages, own
from edgeproxy.pages import PageCache
from edgeproxy.passing import FRESH, Passing
from edgeproxy.previewing import Shelf, by_its_rules
from edgeproxy.previewpages import PREVIEW_PAGES
from edgeproxy.relay import Relay, disbelief
from edgeproxy.remember import Remembering
from edgeproxy.respond import Origin
from edgeproxy.rewrite import OUR_FAULT, Rewriter
from edgeproxy.sanitise import Forwardable, Refusal, Sanitiser, new_request_id
from edgeproxy.server.fastlane import FastLane
from edgeproxy.settings import Settings
from edgeproxy.sharing import Sharing
from edgeproxy.trail import Intent, Trail

Scope = MutableMapping[str, Any]

log = logging.getLogger("edgeproxy.proxy")

_NOTHING = httpx.ByteStream(b"")
_UPGRADE = "another protocol is asked for (Upgrade)"


class Checked(NamedTuple):
    """A request that has passed the guard."""

    head: Forwardable
    target: bytes  # without our flags
    lines: list[tuple[bytes, bytes]]  # for the shop, without our flags
    request: PageRequest  # with our flags: whether they count is not known yet


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
        self._sanitiser = Sanitiser.of(settings)
        self._relay = Relay(settings.limits.upgrade_idle_seconds, journal.counters, journal.limit_hit)
        self._origin = Origin.of(*settings.origins)
        self._origin_url = httpx.URL(settings.origin)
        via = f"1.1 {settings.via}".encode() if settings.via else b""
        self._intending = Intending(settings, books, remembering)
        self._delivery = Delivery(settings, rewriter, remembering, journal.counters, via=via)
        self._cache = cache
        self._sharing: Sharing | None = None
        self.lane: FastLane | None = None
        if cache is not None:
            self._sharing = Sharing(
                settings, cache, rewriter, signed=self._delivery.signed, remembered=self._delivery.remembered
            )
            self.lane = fast_lane(
                settings,
                sanitiser=self._sanitiser,
                verified=self._intending.verified,
                books=books,
                cache=cache,
                journal=journal,
                clock=clock,
                via=via,
                beside=rewriter.tick,
            )

        self.passing: Passing | None = None
        if isinstance(transport, ShopAddresses):
            self.passing = Passing(
                self,
                transport,
                books=books,
                intending=self._intending,
                sharing=self._sharing,
                delivery=self._delivery,
                deadline=settings.deadline,
                clock=clock,
                fault=journal.fault,
            )

    @property
    def keys(self) -> Keys:
        """What signs and verifies now."""
        return self._intending.keys

    def forget(self) -> None:
        """Forget what pages that are kept nowhere came to so far."""
        self._rewriter.forget()

    def use_keys(self, keys: Keys) -> None:
        """Sign and verify with these, from the next request on."""
        self._intending.keys = self._delivery.keys = keys
        if self.lane is not None:
            self.lane.use_keys(keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # the server speaks nothing else; anything else is refused by closing
            raise CutShort
        trail = Trail(perf_counter(), self._clock(), scope["method"], scope["http_version"])
        answer = Answer(send, trail, can_hint="http.response.early_hint" in scope.get("extensions", ()))
        try:
            await self._told(self._answered(scope, receive, trail, answer), trail, answer)
        finally:
            if trail.reusable is not None and answer.started:
                self._teach(scope, trail)

    async def _answered(self, scope: Scope, receive: Receive, trail: Trail, answer: Answer) -> None:
        checked = self.guard(scope, trail)
        if isinstance(checked, Refusal):
            trail.turned_away(scope)
            await self._refuse(checked, trail, answer)
        else:
            await self._serve(checked, receive, trail, answer, fresh=FRESH in scope.get("extensions", ()))

    async def rest(
        self,
        head: Forwardable,
        target: bytes,
        intent: Intent,
        trail: Trail,
        told: httpx.Response | ShopError | None,
        send: Send,
    ) -> None:
        """Go on with an answer that does not simply pass (``passing``); ``told`` is None for a fault of ours."""
        answer = Answer(send, trail)
        if told is None:
            await self._told(self._error(502, trail, answer), trail, answer)
        elif isinstance(told, ShopError):
            trail.problem = f"shop: {told}"
            await self._told(self._error(_status_of(told), trail, answer), trail, answer)
        else:
            await self._told(self._deliver(head, target, told, intent, trail, answer), trail, answer)

    async def _told(self, work: Awaitable[None], trail: Trail, answer: Answer) -> None:
        """Do it; however it ends, it is recorded, and a fault of ours is never seen."""
        try:
            await work
        except CutShort:
            trail.cut = True
            raise
        except asyncio.CancelledError as why:
            trail.problem = trail.problem or " ".join(map(str, why.args)) or "the visitor left"
            raise
        except Exception:
            trail.failed(log, "answering")
            if answer.ended:  # what fails once it has left must not take it back
                return
            if answer.started:
                raise CutShort from None
            await self._error(502, trail, answer)
        finally:
            self.record(trail)

    def record(self, trail: Trail) -> None:
        """The answer has left: what fails here must not take it back."""
        try:
            self._journal.served(trail.served(perf_counter()))
        except Exception as problem:
            self._journal.fault(problem)

    def _teach(self, scope: Scope, trail: Trail) -> None:
        """Others may get the same from the fast lane, until something changes that it was made of."""
        if self.lane is None or self._cache is None:
            return
        try:
            learnt = lesson(trail, self._cache)
            if learnt is not None:
                self.lane.learn(scope, learnt)
        except Exception as problem:
            self.lane.fault(problem)

    # ------------------------------------------------------------------ guard

    def guard(self, scope: Scope, trail: Trail) -> Checked | Refusal:
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
            return Checked(head, target, lines, request)
        except Exception:
            trail.request_id = trail.request_id or new_request_id()
            trail.failed(log, "guarding")
            return Refusal(400, "a fault of ours in the guard", trail.request_id)

    async def _refuse(self, refusal: Refusal, trail: Trail, answer: Answer) -> None:
        trail.request_id, trail.problem, trail.refused = refusal.request_id, refusal.why, True
        await self._error(refusal.status, trail, answer)

    def for_shop(self, checked: Checked, intent: Intent) -> list[tuple[bytes, bytes]]:
        """The lines that the shop is asked with."""
        return _for_shop(checked.lines, intent)

    async def _serve(
        self, checked: Checked, receive: Receive, trail: Trail, answer: Answer, *, fresh: bool = False
    ) -> None:
        request = checked.request
        if request.path.startswith(OWN_PATHS):
            await self._own(checked, receive, trail, answer)
            return
        told: Page | None = None  # in the shop's place: a draft that has mistakes
        try:
            intent = self._intending.intend(request, checked.head)
            if intent.active is not None:
                looked = await by_its_rules(intent, self._shelf, getattr(self._books, "problems", ()))
                intent, told = (intent, looked) if isinstance(looked, Page) else (looked, None)
            if checked.head.upgrade and self._settings.upgrade == "relay":
                intent = replace(intent, lane=replace(intent.lane, kind=LaneKind.PASS, why=_UPGRADE))
            lines = self.for_shop(checked, intent)
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
        await self._ask(checked, lines, intent, receive, trail, answer, fresh=fresh)

    # ------------------------------------------------------------------ ask

    async def _ask(
        self,
        checked: Checked,
        lines: list[tuple[bytes, bytes]],
        intent: Intent,
        receive: Receive,
        trail: Trail,
        answer: Answer,
        *,
        fresh: bool = False,
    ) -> None:
        head = checked.head
        if self._sharing is not None and await self._shared(self._sharing, checked, intent, trail, answer):
            return
        has_body = head.chunked or bool(head.length)
        extensions: dict[str, Any] = {"target": checked.target}
        if head.method in {"GET", "HEAD"}:  # what a shared question took is part of it
            extensions["deadline"] = max(self._settings.deadline - trail.shop_seconds, 0.0)
        if fresh:
            extensions["fresh"] = True
        if head.upgrade:
            extensions["upgrade"] = self._settings.upgrade == "relay"
            if not extensions["upgrade"]:
                self._relay.ends.add("refused")
        if head.trusted and answer.can_hint:  # a browser on HTTP/1.1 could take a 103 for the answer (RFC 8297, 3)
            extensions["hinted"] = answer.hint
        request = httpx.Request(
            head.method,
            self._origin_url,
            headers=lines,
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
        if response.status_code == 101:
            try:
                await self._switch(head, response, receive, trail, answer)
            finally:
                await _close(response)
            return
        if extensions.get("upgrade"):
            self._relay.ends.add("declined")
        await self._deliver(head, checked.target, response, intent, trail, answer)

    async def _deliver(
        self,
        head: Forwardable,
        target: bytes,
        response: httpx.Response,
        intent: Intent,
        trail: Trail,
        answer: Answer,
    ) -> None:
        """The shop has answered this visitor's own question."""
        try:
            if self._sharing is not None:
                self._sharing.passing(head, target, response.status_code, response.headers.raw, trail)
            await self._delivery.deliver(response, intent, trail, answer)
        except ShopError as error:
            trail.problem = f"shop: {error}"
            if answer.started:
                raise CutShort from None
            await self._error(_status_of(error), trail, answer)
        finally:
            await _close(response)

    async def _shared(self, sharing: Sharing, checked: Checked, intent: Intent, trail: Trail, answer: Answer) -> bool:
        """Whether what many may get was the answer; else the visitor's own question goes to the shop."""
        try:
            return await sharing.answered(checked.head, checked.target, checked.lines, intent, trail, answer)
        except ShopError as error:
            trail.problem = f"shop: {error}"
            if answer.started:
                raise CutShort from None
            await self._error(_status_of(error), trail, answer)
            return True
        except CutShort:
            raise
        except Exception:
            if answer.started:
                raise
            trail.failed(log, "answering with what is shared")
            trail.nothing_made()
            return False

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

    # ------------------------------------------------------------------ our own answers

    async def _own(self, checked: Checked, receive: Receive, trail: Trail, answer: Answer) -> None:
        """An address of ours."""
        trail.own = True
        try:
            head = checked.head
            open_ = self._intending.previews_are_open(head)
            asked = Asked(checked.request, head, self.keys, open_, self._settings.cookie_domain)
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


async def _close(response: httpx.Response) -> None:
    if isinstance(response.stream, httpx.AsyncByteStream):  # the stream's own: httpx would wrap it
        await response.stream.aclose()


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
