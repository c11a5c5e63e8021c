"""From the shop's page to the visitor's: what the proxy does once the shop's head is here.

Here: confirming the lane, the lines of every kind of answer, the page with its edits, our ETag, the coding it leaves
in.  Not here: the order of a request (``proxy``), how edits are placed (``personalise``), single headers (``respond``),
what a preview adds (``previewing``).  Called by ``proxy``; a fault in here is the shop's page, untouched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

from edgeproxy import offloop, respond
from edgeproxy.again import Again, Coded, Found, Where
from edgeproxy.answer import Page
from edgeproxy.bounded import unheard
from edgeproxy.content_coding import Undecodable, accepted, codings_of, compress, decode, encode
from edgeproxy.core import policy
from edgeproxy.core.model import Lane, LaneKind
from edgeproxy.html.csp import nameless
from edgeproxy.lines import accept_encoding, content_length, is_html, joined
from edgeproxy.offloop import OFTEN, Work
from edgeproxy.pages.model import StoredPage
from edgeproxy.personalise import Begun, Personalised, begin, personalise
from edgeproxy.plans import Plans
from edgeproxy.previewing import explanation, previewed, shown
from edgeproxy.respond import NewLines
from edgeproxy.reuse import Reuse
from edgeproxy.settings import Settings
from edgeproxy.trail import Intent, Trail
from edgeproxy.verification import Verification

log = logging.getLogger("edgeproxy.rewrite")

DECODABLE: Final = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd"})
_NEVER_BARE: Final = frozenset(
    b"""accept-ranges age cache-control cdn-cache-control connection edge-event etag expires keep-alive last-modified
    pragma proxy-authenticate proxy-connection surrogate-control te trailer transfer-encoding upgrade
    x-accel-expires""".split()
)
"""Of one connection, for us alone, or what lets somebody keep an answer."""
OUR_FAULT: Final = Lane(LaneKind.PASS, "a fault of ours: the shop's own page", personal=True)


class Rewriter:
    """Rewrites pages by the settings of one listener; holds no request."""

    def __init__(
        self,
        settings: Settings,
        *,
        verification: Verification,
        plans: Plans,
        reuse: Reuse,
        full: Callable[[], object] = unheard,
    ) -> None:
        """``full`` is called when something that was remembered goes for want of room."""
        self._limit = settings.limits.page_bytes
        self._plans = plans
        self._reuse = reuse
        self._verification = verification
        self._again = Again(settings.limits.plans_bytes, full, plans.count)

    # ------------------------------------------------------------------ lanes and lines

    def confirm(self, intent: Intent, status: int, lines: NewLines) -> Lane:
        """The lane that the head of the shop's answer leaves."""
        if intent.book is None and not intent.lane.personal:
            return intent.lane
        return policy.response_lane(
            intent.lane,
            status=status,
            content_type=joined(lines, b"content-type"),
            content_encoding=joined(lines, b"content-encoding"),
            content_length=content_length(lines),
            decodable=DECODABLE,
            biggest=self._limit,
        )

    def untouched(self, lines: NewLines, intent: Intent, lane: Lane, trail: Trail) -> NewLines:
        """The lines of an answer whose body is the shop's own, or that has none.  Never raises."""
        try:
            if lane.kind is LaneKind.PRIVATE:
                return self._head_only(lines, intent)
            return self._untouched(lines, intent, lane, trail.at)
        except Exception:
            trail.failed(log, "marking the answer to")
            return bare(lines, intent)

    def _untouched(self, lines: NewLines, intent: Intent, lane: Lane, at: float) -> NewLines:
        active = intent.active
        if active is not None and (lane.personal or is_html(lines) or active.set_cookie is not None):
            return previewed(lines, active)  # a redirect too carries the preview on to the next page
        if lane.personal:
            return respond.personal(lines, changed=False)
        if intent.book is not None and is_html(lines):
            soon = policy.next_change(intent.book, intent.request.path, at)
            if soon is not None:
                return respond.clamped(lines, soon - at, at)
        return lines

    def _head_only(self, lines: NewLines, intent: Intent) -> NewLines:
        """HEAD of a page that would be rewritten: its lines without what only the body could tell."""
        lines = previewed(lines, intent.active) if intent.active else respond.personal(lines, changed=True)
        return respond.framed(lines, length=None, coding="")

    # ------------------------------------------------------------------ codings on top of each other

    def is_stacked(self, lines: NewLines, status: int, method: str) -> bool:
        """A page in more than one coding ("gzip, gzip"): a known mistake of shops that browsers show as rubbish."""
        if status != 200 or method != "GET" or len(codings_of(lines)) < 2 or not is_html(lines):
            return False
        return "no-transform" not in (joined(lines, b"cache-control") or "").lower()

    async def unstacked(self, lines: NewLines, coded: bytes, intent: Intent, trail: Trail) -> tuple[NewLines, bytes]:
        """The same page in one coding that the visitor takes; as it came where it cannot be undone.  Never raises."""
        try:
            size = len(coded) * OFTEN
            return await offloop.run(Work.CODE, size, self._unstacked, lines, coded, intent)
        except Undecodable:
            return lines, coded
        except Exception:
            trail.failed(log, "undoing the codings of the answer to")
            return lines, coded

    def _unstacked(self, lines: NewLines, coded: bytes, intent: Intent) -> tuple[NewLines, bytes]:
        coding, leaving = encode(decode(lines, coded, limit=self._limit), accept_encoding(intent.request))
        out = respond.recoded(lines)
        return respond.framed(out, length=len(leaving), coding=coding), leaving

    # ------------------------------------------------------------------ the page

    async def rewrite(self, lines: NewLines, body: bytes, intent: Intent, trail: Trail) -> Page:
        """The whole page as this visitor gets it.  Never raises: a fault of ours is the shop's page, untouched."""
        try:
            assert intent.book is not None
            distrusted: frozenset[str] = frozenset()
            if intent.draft is None:  # whose versions come and go beside the live one
                distrusted = self._verification.distrusted(intent.request.path, intent.book.version)
            return await self._rewritten(lines, body, intent, trail, distrusted)
        except Exception:
            trail.failed(log, "rewriting the answer to")
            trail.placing = None
            return Page(200, bare(lines, intent), body)

    def begin(self, lines: NewLines, intent: Intent, body: bytes) -> Begun | None:
        """What of a page can leave while the rest is still coming; ``body`` is what has come.  May raise."""
        assert intent.book is not None
        assert intent.decision is not None
        return begin(
            intent.book,
            intent.decision,
            intent.request,
            body,
            joined(lines, b"content-type"),
            csp=joined(lines, b"content-security-policy"),
            distrusted=self._verification.distrusted(intent.request.path, intent.book.version),
        )

    async def begun(self, lines: NewLines, body: bytes, intent: Intent, trail: Trail) -> Page | None:
        """The whole of a page whose beginning has left already, made; None after a fault of ours.  Never raises."""
        try:
            assert intent.book is not None
            assert intent.decision is not None
            distrusted = self._verification.distrusted(intent.request.path, intent.book.version)
            where = _where(lines, intent, distrusted)
            found = self._again.known(where, intent.book, intent.decision, body, None)
            if found is None:
                found = await offloop.run(Work.READ, len(body), self._found, lines, body, intent, distrusted, where)
        except Exception:
            trail.failed(log, "rewriting the answer to")
            return None
        trail.placing = found.made.placing
        return Page(200, lines, b"", found.original, found.made)

    def _found(self, lines: NewLines, body: bytes, intent: Intent, distrusted: frozenset[str], where: Where) -> Found:
        assert intent.book is not None
        assert intent.decision is not None
        return self._again.made(
            where, intent.book, intent.decision, body, lambda page: self._made(lines, page, intent, distrusted)
        )

    def _made(self, lines: NewLines, body: bytes, intent: Intent, distrusted: frozenset[str]) -> Personalised:
        assert intent.book is not None
        assert intent.decision is not None
        return personalise(
            intent.book,
            intent.decision,
            intent.request,
            body,
            joined(lines, b"content-type"),
            csp=joined(lines, b"content-security-policy"),
            distrusted=distrusted,
            planner=(self._plans.on if intent.active is None else self._plans.beside)(intent.request.path),
            largest=self._limit,
        )

    def forget(self) -> None:
        """Forget what pages came to so far."""
        self._plans.clear()
        self._again.clear()

    def tick(self) -> None:
        """Some time has passed."""
        self._verification.tick()

    async def shared(self, kept: StoredPage, intent: Intent, trail: Trail) -> Page:
        """A kept page as this visitor gets it.  Never raises."""
        try:
            return await self._reuse.page(kept, intent, trail)
        except Exception:
            trail.failed(log, "making a variant for")
            trail.tally = None
            return Page(200, bare(kept.lines, intent), kept.body)

    async def _rewritten(
        self, lines: NewLines, coded: bytes, intent: Intent, trail: Trail, distrusted: frozenset[str]
    ) -> Page:
        assert intent.book is not None
        assert intent.decision is not None
        active = intent.active
        body = coded
        if codings_of(lines):
            try:
                body = await offloop.run(Work.CODE, len(coded) * OFTEN, decode, lines, coded, limit=self._limit)
            except Undecodable as problem:
                trail.lane = Lane(LaneKind.PASS, f"not decoded: {problem}", intent.lane.personal)
                if active is not None and active.explain:
                    return explanation(lines, intent, active, trail.lane)
                return self._as_it_is(lines, coded, intent)
        if active is not None:
            return await offloop.run(Work.SHOW, len(body), self._shown, lines, body, intent, trail, distrusted)
        where = _where(lines, intent, distrusted)
        found = self._again.known(where, intent.book, intent.decision, body, accept_encoding(intent.request))
        work = Work.READ if found is None else Work.CODE
        return await offloop.run(
            work, len(body), self._edited, lines, coded, body, intent, trail, distrusted, where, found
        )

    def _shown(self, lines: NewLines, body: bytes, intent: Intent, trail: Trail, distrusted: frozenset[str]) -> Page:
        """A preview of a page."""
        assert intent.active is not None
        made = self._made(lines, body, intent, distrusted)
        trail.placing = made.placing
        return shown(lines, body, made, intent, intent.active)

    def _edited(
        self,
        lines: NewLines,
        coded: bytes,
        body: bytes,
        intent: Intent,
        trail: Trail,
        distrusted: frozenset[str],
        where: Where,
        found: Found | None,
    ) -> Page:
        """A page with its edits, made where it is not ``found`` already, and coded; ``coded`` as the shop sent it."""
        assert intent.book is not None
        assert intent.decision is not None
        accept = accept_encoding(intent.request)
        if found is None:
            found = self._found(lines, body, intent, distrusted, where)
        made, original = found.made, found.original
        trail.placing = made.placing
        leaving = found.coded
        if leaving is None:
            if made.body is body:
                return self._as_it_is(lines, coded, intent, made=made if original is body else None, original=body)
            leaving = Coded(*encode(made.body, accept))
            if found.same:
                self._again.keep(where, intent.book, intent.decision, found, accept, leaving)
        out = respond.personal(lines, changed=True, negotiated=True)
        validator = None
        if respond.had_validator(lines):
            validator = respond.etag(leaving.digest, leaving.coding)
            if respond.matches(_conditions(intent), validator):
                out = respond.not_modified(respond.framed(out, length=None, coding=leaving.coding, validator=validator))
                return Page(304, out, b"", original, made)
        out = respond.framed(out, length=None, coding=leaving.coding, validator=validator)
        return Page(200, out, leaving.body, original, made)

    def _as_it_is(
        self, lines: NewLines, coded: bytes, intent: Intent, *, made: Personalised | None = None, original: bytes = b""
    ) -> Page:
        """The shop's bytes in the shop's coding, marked as a page that varies by visitor.

        The shop was asked for identity; where it obeyed, the page is compressed on its way like a rewritten one.
        """
        if intent.active is not None:
            return Page(200, previewed(lines, intent.active), coded, original, made)
        if len(codings_of(lines)) > 1 and original:
            out = respond.personal(lines, changed=True, negotiated=True)
            coding, leaving = encode(original, accept_encoding(intent.request))
            return Page(200, respond.framed(out, length=None, coding=coding), leaving, original, made)
        coding = "" if joined(lines, b"content-encoding") else accepted(accept_encoding(intent.request))
        if not coding or len(coded) < 256:
            return Page(200, respond.personal(lines, changed=False), coded, original, made)
        out = respond.personal(lines, changed=True, negotiated=True)
        return Page(200, respond.framed(out, length=None, coding=coding), compress(coded, coding), original, made)

    def afterwards(self, page: Page, intent: Intent, trail: Trail) -> None:
        """Once the page has left: have a second engine look over what was spliced.  Never raises."""
        if page.made is None or page.made.plan is None or intent.active is not None or intent.book is None:
            return
        try:
            self._verification.consider(intent.request.path, page.original, page.made.plan, intent.book.version)
        except Exception:
            trail.failed(log, "looking over the answer to")


def bare(lines: Iterable[tuple[bytes, bytes]], intent: Intent) -> NewLines:
    """The shop's lines where a fault of ours kept us from working them out: nobody may keep such an answer.

    Takes lines in any spelling, and does without everything that may have failed.
    """
    out: NewLines = []
    keep = b""
    for name, value in lines:
        name = name.lower()
        if name == b"cache-control" and b"no-store" in value.lower():
            keep = b", no-store"
        if name not in _NEVER_BARE:
            out.append((name, value))
    if intent.preview is not None:
        keep = b", no-store"
        out.append((b"x-robots-tag", b"noindex"))
    out.append((b"cache-control", b"private, no-cache" + keep))
    out.append((b"cdn-cache-control", b"no-store"))
    return out


def _where(lines: NewLines, intent: Intent, distrusted: frozenset[str]) -> Where:
    policies = nameless(joined(lines, b"content-security-policy"))
    return (intent.request.path, joined(lines, b"content-type"), policies, distrusted)


def _conditions(intent: Intent) -> list[bytes]:
    return [value for name, value in intent.request.headers if name == b"if-none-match"]
