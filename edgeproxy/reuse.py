"""A stored page as this visitor gets it: variant, coding, ETag, lines; found ready, or made once for all who follow.

Here: what leaves in the SHARED lane.  Not here: finding the stored page (``sharing``), what variants are
(``assembly``, ``variants``).  Called by ``rewrite``; a fault in here is the shop's page, untouched.

What takes long is done in a thread, once: whoever asks for the same meanwhile waits for that.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Coroutine, Hashable
from functools import partial

from edgeproxy import offloop, respond
from edgeproxy.answer import Page, Reusable
from edgeproxy.assembly import Assembled, Assembly, Order
from edgeproxy.content_coding import BEST, Undecodable, accepted, codings_of, decode
from edgeproxy.core.model import Decision, Lane, LaneKind, PageRequest, RuleBook
from edgeproxy.lines import accept_encoding, joined
from edgeproxy.offloop import OFTEN, Work
from edgeproxy.pages.model import StoredPage
from edgeproxy.trail import Intent, Trail
from edgeproxy.variants import Coded, Variant, Variants
from edgeproxy.verification import Verification

__all__ = ["Reuse"]


class Reuse:
    """Of one worker; belongs to one event loop."""

    def __init__(self, assembly: Assembly, variants: Variants, verification: Verification, *, limit: int) -> None:
        """``limit``: bytes of a page in the clear."""
        self._assembly = assembly
        self._variants = variants
        self._verification = verification
        self._limit = limit
        self._making: dict[Hashable, asyncio.Task[tuple[Assembled, Coded]]] = {}

    async def page(self, kept: StoredPage, intent: Intent, trail: Trail) -> Page:
        """The whole page; raises what fails in here."""
        assert intent.book is not None
        assert intent.decision is not None
        lines = list(kept.lines)
        if not intent.decision.fitting and "no-transform" in (joined(lines, b"cache-control") or "").lower():
            return Page(200, respond.personal(lines, changed=False), kept.body)
        accepts = accept_encoding(intent.request)
        try:
            assembled, coded = await self._made(kept, intent.book, intent.decision, intent.request, accepts)
        except Undecodable as problem:
            trail.lane = Lane(LaneKind.PASS, f"not decoded: {problem}", intent.lane.personal)
            return Page(200, respond.personal(lines, changed=False), kept.body)
        trail.tally = assembled.tally
        out = respond.personal(lines, changed=assembled.changed or bool(coded.coding), negotiated=True)
        whole = respond.framed(out, length=None, coding=coded.coding, validator=coded.etag)
        reusable = None
        if assembled.shareable and coded.made in {"best", ""}:  # nothing better is to come
            body = _body_of(assembled.variant, coded.coding)
            wanted = accepted(accepts, BEST)
            reusable = Reusable(tuple(whole), len(coded.data), body, wanted, assembled.variant.mark)
        conditions = [value for name, value in intent.request.headers if name == b"if-none-match"]
        confirmed = respond.confirmed(conditions, assembled.variant.mark)
        if confirmed is not None:
            tagged = respond.framed(out, length=None, coding=coded.coding, validator=confirmed)
            return Page(304, respond.not_modified(tagged), b"", reusable=reusable)
        return Page(200, whole, coded.data, reusable=reusable)

    async def _made(
        self, kept: StoredPage, book: RuleBook, decision: Decision, request: PageRequest, accepts: bytes
    ) -> tuple[Assembled, Coded]:
        content_type, csp = joined(kept.lines, b"content-type"), joined(kept.lines, b"content-security-policy")
        distrusted = self._verification.distrusted(request.path, book.version)
        order = Order(kept.digest, book, decision, request, content_type, csp, distrusted)
        original = _in_the_clear(kept, self._limit)
        known = self._assembly.known(order)
        if known is not None:
            coded = self._variants.kept(known.variant, original, accepts)
            if coded is not None:
                return known, coded

        def make() -> tuple[Assembled, Coded]:
            assembled = known or self._assembly.of(order, original())
            return assembled, self._variants.coded(assembled.variant, order.digest, original, accepts)

        work = Work.READ if known is None else Work.CODE
        size = len(kept.body) * (OFTEN if codings_of(kept.lines) else 1)
        if not offloop.is_long(work, size):
            assembled, coded = make()
        else:
            alike = (self._assembly.key(order), accepts)
            assembled, coded = await self._once(alike, partial(offloop.run, work, size, make))
        if assembled.plan is not None:
            self._verification.queue(request.path, _while_kept(kept, self._limit), assembled.plan, book.version)
        return assembled, coded

    async def _once(
        self, alike: Hashable, make: Callable[[], Coroutine[None, None, tuple[Assembled, Coded]]]
    ) -> tuple[Assembled, Coded]:
        task = self._making.get(alike)
        if task is None:
            task = self._making[alike] = asyncio.create_task(make())
            task.add_done_callback(lambda _: self._making.pop(alike, None))
        return await asyncio.shield(task)


def _in_the_clear(kept: StoredPage, limit: int) -> Callable[[], bytes]:
    return lambda: decode(kept.lines, kept.body, limit=limit)


def _while_kept(kept: StoredPage, limit: int) -> Callable[[], bytes | None]:
    """The same, as long as the page is kept: whoever holds this does not keep it."""
    held = weakref.ref(kept)

    def body() -> bytes | None:
        page = held()
        return None if page is None else decode(page.lines, page.body, limit=limit)

    return body


def _body_of(variant: Variant, coding: str) -> Callable[[], bytes | None]:
    """The body as long as the variant is kept: whoever holds this does not keep it."""
    held = weakref.ref(variant)

    def body() -> bytes | None:
        alive = held()
        if alive is None:
            return None
        coded = alive.best.get(coding)
        return None if coded is None else coded.data

    return body
