"""The part of a request's path that the page cache takes: what many may get, before this visitor's own question.

Here: asking the cache, answering with what it has, telling it what passes by.  Not here: what may be kept and for
whom (``pages``, ``core.sharing``, ``core.storing``), edits (``rewrite``).  Called by ``proxy`` between the decision
and the shop; where it does not answer, the request goes on as the visitor sent it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from edgeproxy.answer import Answer, Reusable
from edgeproxy.content_coding import BEST, accepted
from edgeproxy.core.model import Lane, LaneKind, RuleBook
from edgeproxy.core.policy import next_change
from edgeproxy.core.sharing import NotShared, SharedRequest, shared
from edgeproxy.errors import CutShort
from edgeproxy.lines import accept_encoding, is_html
from edgeproxy.origin import ShopError
from edgeproxy.pages import Filling, Found, PageCache, Unshared
from edgeproxy.pages.model import StoredPage, body_of
from edgeproxy.pages.serving import not_modified, part
from edgeproxy.respond import NewLines
from edgeproxy.respond import not_modified as without_body
from edgeproxy.rewrite import OUR_FAULT, Rewriter, bare
from edgeproxy.sanitise import Forwardable
from edgeproxy.settings import Settings
from edgeproxy.trail import Intent, Trail

__all__ = ["Sharing"]

log = logging.getLogger("edgeproxy.sharing")

Signed = Callable[[NewLines, Trail], NewLines]


class Remembered(Protocol):
    """Adds to an answer's lines what this visitor's browser is to remember."""

    def __call__(
        self, lines: NewLines, status: int, intent: Intent, trail: Trail, *, html: bool | None = None
    ) -> NewLines: ...


class Sharing:
    """Of one listener; ``signed`` adds to an answer's lines what every answer gets, ``remembered`` a visitor's own."""

    def __init__(
        self, settings: Settings, cache: PageCache, rewriter: Rewriter, *, signed: Signed, remembered: Remembered
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._rewriter = rewriter
        self._signed = signed
        self._book: RuleBook | None = None  # whose cache rules hold for what is kept
        self._remembered = remembered
        self._country_header = (settings.country_header or "").encode()

    # ------------------------------------------------------------------ before the shop is asked

    def judge(self, head: Forwardable, target: bytes, lines: NewLines, intent: Intent) -> SharedRequest | NotShared:
        """The shared form of this request, or why it has none."""
        if intent.preview is not None:
            return NotShared("a preview is never stored")
        if head.upgrade or head.chunked or head.length:
            return NotShared("it has a body, or asks for another protocol")
        return shared(
            intent.book,
            intent.request,
            lines,
            target=target,
            cookie=self._settings.cookie_name,
            country_header=self._country_header,
            identity=intent.edited_here,
            loop=self._settings.via.encode(),
        )

    def passes(self, head: Forwardable, target: bytes, lines: NewLines, intent: Intent, trail: Trail) -> bool:
        """Whether it is certain already that nothing shared is the answer, as ``answered`` would find; noted then."""
        if intent.book is not self._book:
            return False
        wanted = self.judge(head, target, lines, intent)
        if isinstance(wanted, NotShared):
            trail.cache, trail.why_not_shared = "bypass", wanted.why
            return True
        why = self._cache.passes(wanted)
        if why is None:
            return False
        trail.shared, trail.cache, trail.why_not_shared = wanted, "pass", why
        return True

    async def answered(
        self, head: Forwardable, target: bytes, lines: NewLines, intent: Intent, trail: Trail, answer: Answer
    ) -> bool:
        """Answer with what is shared; False where the visitor's own question has to go to the shop.

        Raises ShopError where the shop failed everybody who waited.
        """
        if trail.fault:  # ours: the shop's own page, as the visitor asked for it
            return False
        began = perf_counter()
        try:
            if intent.book is not self._book:
                self._book = intent.book
                self._cache.adopt(intent.book)
            wanted = self.judge(head, target, lines, intent)
            if isinstance(wanted, NotShared):
                trail.cache, trail.why_not_shared = "bypass", wanted.why
                return False
            alone = head.method != "GET" or any(name == b"range" for name, _ in lines)
            outcome = await self._cache.get(wanted, fill=not alone)
        except ShopError:
            trail.cache = "failed"
            raise
        except Exception:
            trail.failed(log, "looking for a shared answer to")
            return False
        trail.shared = wanted
        if isinstance(outcome, Unshared):
            trail.cache, trail.why_not_shared = "pass", outcome.why
            if outcome.asked:
                trail.shop_seconds += perf_counter() - began
            return False
        if isinstance(outcome, Filling):
            trail.cache = "miss"
            trail.shop_seconds += perf_counter() - began
            await self._fill(outcome, lines, intent, trail, answer)
            return True
        trail.cache = outcome.how
        if outcome.how in _FIRST_HAND:
            trail.shop_seconds += perf_counter() - began
        await self._found(outcome, lines, intent, trail, answer)
        return True

    # ------------------------------------------------------------------ what is answered

    async def _found(self, found: Found, asked: NewLines, intent: Intent, trail: Trail, answer: Answer) -> None:
        kept = found.page
        lines = list(kept.lines)
        try:
            lane = self._rewriter.confirm(intent, kept.status, lines)
        except Exception:
            trail.failed(log, "reading the kept head for")
            trail.lane = OUR_FAULT
            await answer.whole(kept.status, self._signed(bare(lines, intent), trail), kept.body)
            return
        if lane.kind is LaneKind.PRIVATE or (lane.personal and kept.status == 200 and is_html(lines)):
            if lane.kind is LaneKind.PRIVATE:
                lane = Lane(LaneKind.SHARED, lane.why, lane.personal)
            else:
                intent = _unedited(intent)
            trail.lane = lane
            page = await self._rewriter.shared(kept, intent, trail)
            leaving = self._remembered(page.lines, kept.status, intent, trail, html=True)
            if leaving is page.lines:  # else it is for this visitor's own browser
                trail.kept, trail.reusable = kept, page.reusable
            await answer.whole(page.status, self._signed(leaving, trail), page.body)
            self._rewriter.afterwards(page, intent, trail)
            return
        trail.lane = lane
        leaving = self._rewriter.untouched(lines, intent, lane, trail)
        age = self._cache.age(kept)
        if age or found.how not in _FIRST_HAND:  # RFC 9111, 5.1: Age says that the shop did not answer just now
            leaving = [*(line for line in leaving if line[0] != b"age"), (b"age", b"%d" % age)]
        aged = leaving
        leaving = self._remembered(aged, kept.status, intent, trail)
        if leaving is aged and kept.status == 200 and not self._changes(kept, intent, trail):
            accepts = accepted(accept_encoding(intent.request), BEST)
            trail.kept = kept
            trail.reusable = Reusable(tuple(aged), len(kept.body), body_of(kept), accepts, aged=True)
        if kept.status == 200 and not_modified(asked, kept.lines, trail.at):
            await answer.whole(304, self._signed(without_body(leaving), trail), b"")
            return
        wanted = part(asked, kept.lines, len(kept.body), trail.at) if kept.status == 200 else None
        if wanted is None or intent.request.method != "GET":
            await answer.whole(kept.status, self._signed(leaving, trail), kept.body)
        elif wanted.end:
            told = (b"content-range", b"bytes %d-%d/%d" % (wanted.start, wanted.end - 1, len(kept.body)))
            await answer.whole(206, self._signed([*leaving, told], trail), kept.body[wanted.start : wanted.end])
        else:
            told = (b"content-range", b"bytes */%d" % len(kept.body))
            short = [line for line in leaving if line[0] not in (b"content-type", b"content-encoding", b"etag")]
            await answer.whole(416, self._signed([*short, told], trail), b"")

    @staticmethod
    def _changes(kept: StoredPage, intent: Intent, trail: Trail) -> bool:
        """Its lines count down to the moment when the rules change."""
        book = intent.book
        return book is not None and is_html(kept.lines) and next_change(book, intent.request.path, trail.at) is not None

    async def _fill(self, filling: Filling, asked: NewLines, intent: Intent, trail: Trail, answer: Answer) -> None:
        """A file on its way, to this visitor among others."""
        lines = list(filling.lines)
        try:
            lane = trail.lane = self._rewriter.confirm(intent, filling.status, lines)
            leaving = self._rewriter.untouched(lines, intent, lane, trail)
        except Exception:
            trail.failed(log, "reading the head for")
            trail.lane, leaving = OUR_FAULT, bare(lines, intent)
        age = self._cache.age(filling)
        if age:
            leaving = [*leaving, (b"age", b"%d" % age)]
        leaving = self._remembered(leaving, filling.status, intent, trail)
        if filling.status == 200 and not_modified(asked, filling.lines, trail.at):
            await answer.whole(304, self._signed(without_body(leaving), trail), b"")
            return
        if filling.length is not None:
            leaving = [*leaving, (b"content-length", b"%d" % filling.length)]
        await answer.start(filling.status, self._signed(leaving, trail))
        try:
            async for chunk in filling.read():
                await answer.body(chunk)
        except ShopError as error:
            trail.problem = f"shop: {error}"
            raise CutShort from None
        await answer.end()

    # ------------------------------------------------------------------ what passes by

    def passing(
        self, head: Forwardable, target: bytes, status: int, told: Sequence[tuple[bytes, bytes]], trail: Trail
    ) -> None:
        """The shop has answered this visitor's own question: what that says of what is kept.  Never raises.

        ``told`` are the shop's lines as they came.
        """
        try:
            if trail.shared is not None and head.method == "GET":
                self._cache.saw(trail.shared, status, [(name.lower(), value) for name, value in told])
            elif head.method not in _SAFE and 200 <= status < 400:
                self._changed(head, target, told)
        except Exception:
            trail.failed(log, "learning from the answer to")

    def _changed(self, head: Forwardable, target: bytes, told: Sequence[tuple[bytes, bytes]]) -> None:
        """After an unsafe method without an error what is kept there is old (RFC 9111, 4.4)."""
        host = next((value for name, value in head.headers if name == b"host"), b"")
        path = target.partition(b"?")[0]
        self._cache.changed(host, path)
        here = f"{head.scheme}://{head.host}{path.decode('latin-1')}"
        for name, value in told:
            if name.lower() not in (b"location", b"content-location"):
                continue
            try:
                place = urlsplit(urljoin(here, value.decode("latin-1")))
            except ValueError:
                continue  # no address
            if place.netloc.lower() in self._names(head):  # never another host's (4.4)
                self._cache.changed(host, place.path.encode("latin-1", "replace") or b"/")

    def _names(self, head: Forwardable) -> tuple[str, ...]:
        """What the shop may call itself to this visitor."""
        return (head.host, *(urlsplit(one).netloc for one in self._settings.origins))


def _unedited(intent: Intent) -> Intent:
    """The same visitor where the lane says that nothing is edited: a script's fetch, a part of the page."""
    decision = intent.decision
    return (
        intent if decision is None or not decision.fitting else replace(intent, decision=replace(decision, fitting=()))
    )


_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FIRST_HAND = frozenset({"miss", "confirmed"})
