"""The shop has answered: from its head and its bytes to what leaves towards the visitor.

Here: the order in which an answer is judged, collected, rewritten and sent, and what every answer gets at the end.  Not
here: asking the shop (``proxy``), what many may get (``sharing``), a page's edits (``rewrite``), a preview's additions
(``previewing``).  Called by ``proxy``; ``sharing`` and ``early`` finish their answers by ``signed`` and ``remembered``.

    confirm    the lane that the shop's head leaves
    collect    a page that is edited, or gets a preview's bar; its settled beginning may leave before (``early``)
    leave      whole, or streamed as it comes; a break of the shop's is a visible break
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter

import httpx

from edgeproxy import respond
from edgeproxy.answer import BODILESS, Answer, Page
from edgeproxy.core import courtesy
from edgeproxy.core.model import Lane, LaneKind, RawHeaders
from edgeproxy.core.policy import TOO_BIG
from edgeproxy.core.signing import Keys
from edgeproxy.counters import Counters
from edgeproxy.early import Early, EarlyFlush
from edgeproxy.errors import CutShort
from edgeproxy.origin import ShopBroken, ShopError
from edgeproxy.previewing import barred, instead, takes_bar
from edgeproxy.remember import Remembering, told_events
from edgeproxy.respond import NewLines, Origin
from edgeproxy.rewrite import OUR_FAULT, Rewriter, bare
from edgeproxy.settings import Settings
from edgeproxy.trail import Intent, Trail

__all__ = ["Delivery"]

log = logging.getLogger("edgeproxy.delivery")


class Delivery:
    """Of one listener; ``keys`` may be replaced.  Belongs to one event loop."""

    def __init__(
        self, settings: Settings, rewriter: Rewriter, remembering: Remembering, counters: Counters, *, via: bytes
    ) -> None:
        self.keys: Keys = settings.keys
        self._limit = settings.limits.page_bytes
        self._rewriter = rewriter
        self._remembering = remembering
        self._via = via
        self._origin = Origin.of(*settings.origins)
        self._early_flush = EarlyFlush(
            settings.early_flush,
            counters.counter(
                "edgeproxy_early_total", "Pages whose beginning left before the shop had sent their end", "then"
            ),
            signed=self._begun,
        )

    async def deliver(self, response: httpx.Response, intent: Intent, trail: Trail, answer: Answer) -> None:
        """The shop's answer, as this visitor gets it; raises ShopError where it is none, or breaks off."""
        status = response.status_code
        if not 200 <= status < 600:
            raise ShopBroken("head", f"status {status}")
        assert isinstance(response.stream, httpx.AsyncByteStream)
        chunks = aiter(response.stream)
        taken: list[bytes] = []
        try:
            await self._deliver(response, chunks, taken, intent, trail, answer)
        except (ShopError, CutShort):
            raise
        except Exception:
            if answer.started:
                raise
            trail.failed(log, "delivering the answer to")
            trail.nothing_made()
            trail.lane = OUR_FAULT
            lines = self._leaving(status, bare(response.headers.raw, intent), trail)
            await _stream(status, lines, chunks, b"".join(taken), trail, answer)

    async def _deliver(
        self,
        response: httpx.Response,
        chunks: AsyncIterator[bytes],
        taken: list[bytes],
        intent: Intent,
        trail: Trail,
        answer: Answer,
    ) -> None:
        """The same; may raise anything.  ``taken`` is what was read of ``chunks``."""
        status = response.status_code
        lines, lane = self.confirmed(status, response.headers.raw, intent, trail)
        page: Page | None = None
        method = intent.request.method
        stacked = lane.kind is LaneKind.PASS and self._rewriter.is_stacked(lines, status, method)
        with_bar = lane.kind is LaneKind.PASS and takes_bar(lines, status, intent, trail)
        if with_bar or stacked or (lane.kind is LaneKind.PRIVATE and method != "HEAD"):
            early = self._early(lines, intent, trail, answer) if lane.kind is LaneKind.PRIVATE else None
            body, complete = await _collected(chunks, taken, self._limit, trail, early)
            if early is not None and early.started:
                await self._follow(early, lines, body, None if complete else chunks, intent, trail)
                return
            if complete and with_bar:
                page = await barred(lines, status, body, intent, lane, trail, limit=self._limit)
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
            lines = self.remembered(page.lines, status, intent, trail, html=True)
            await answer.whole(page.status, self.signed(lines, trail), page.body)
            self._rewriter.afterwards(page, intent, trail)
            return
        await _stream(status, self.passed(status, lines, intent, lane, trail), chunks, body, trail, answer)

    def streams(self, status: int, lines: NewLines, intent: Intent, lane: Lane) -> bool:
        """Whether ``deliver`` would send this answer on as it comes."""
        if lane.kind is not LaneKind.PASS or intent.active is not None:
            return False
        return not self._rewriter.is_stacked(lines, status, intent.request.method)

    def passed(self, status: int, lines: NewLines, intent: Intent, lane: Lane, trail: Trail) -> NewLines:
        """The lines that leave before the shop's own bytes, of those that ``confirmed`` gave.  Never raises."""
        lines = self._rewriter.untouched(lines, intent, lane, trail)
        return self._leaving(status, self.remembered(lines, status, intent, trail), trail)

    def _leaving(self, status: int, lines: NewLines, trail: Trail) -> NewLines:
        if status in BODILESS:
            lines = [line for line in lines if line[0] != b"content-length"]
        return self.signed(lines, trail)

    def _begun(self, lines: NewLines, trail: Trail) -> NewLines:
        """The lines of a page that leaves before its end has come."""
        assert trail.intent is not None
        return self.signed(self.remembered(lines, 200, trail.intent, trail, html=True), trail)

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
            page = await self._rewriter.begun(lines, body, intent, trail)
            await early.follow(body, page.made if page is not None else None)
            if page is not None:
                self._rewriter.afterwards(page, intent, trail)
            return
        trail.lane = replace(trail.lane or intent.lane, why=trail.why_incomplete)
        if trail.broken is not None:
            await early.follow_cut(body)
            raise trail.broken
        await early.follow_untouched(body, more)

    def confirmed(
        self, status: int, told: Sequence[tuple[bytes, bytes]], intent: Intent, trail: Trail
    ) -> tuple[NewLines, Lane]:
        """The shop's lines as they may leave, and the lane that they leave; ``told`` as they came.  Never raises."""
        request = intent.request
        try:
            lines = respond.passed(told, self._origin, request.scheme.encode(), request.host.encode("latin-1"))
            trail.events = told_events(told)
            trail.lane = self._rewriter.confirm(intent, status, lines)
        except Exception:
            trail.failed(log, "reading the shop's head for")
            lines, trail.lane = bare(told, intent), OUR_FAULT
        return lines, trail.lane

    def remembered(
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
                self.keys,
                trail.at,
                status=status,
                html=html,
                told=trail.events,
                applied=trail.applied(),
            )
        except Exception:
            trail.failed(log, "remembering the visitor of")
            return lines

    def signed(self, lines: RawHeaders | list[tuple[bytes, bytes]], trail: Trail) -> list[tuple[bytes, bytes]]:
        """With what every answer gets: Via and Server-Timing.  Never raises."""
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


async def _stream(
    status: int, lines: NewLines, chunks: AsyncIterator[bytes], first: bytes, trail: Trail, answer: Answer
) -> None:
    """The shop's bytes as they come; ``first`` are those that were already read."""
    await answer.start(status, lines)
    if first:
        await answer.body(first)
    if trail.broken is not None:  # what came before the break has left; the break follows
        raise trail.broken
    async for chunk in chunks:
        await answer.body(chunk)
    await answer.end()


async def _collected(
    shop: AsyncIterator[bytes], chunks: list[bytes], limit: int, trail: Trail, early: Early | None = None
) -> tuple[bytes, bool]:
    """The body, and whether it is whole: a page over ``limit`` bytes, or one that broke, is passed as it comes.

    ``chunks`` gets what comes; ``early`` is told of it, and is at work no more when this returns.
    """
    size = 0
    began = perf_counter()
    try:
        async for chunk in shop:
            chunks.append(chunk)
            size += len(chunk)
            if early is not None:
                early.came(chunk)
            if size > limit:
                trail.why_incomplete = f"{TOO_BIG} {limit:,} bytes"
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
