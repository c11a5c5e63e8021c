"""Early flush: the settled beginning of a page leaves while the shop is still sending the rest.

Here: when that is tried, what was sent, and how the rest follows.  Not here: which bytes are settled
(``personalise.begin``, ``html.early``), collecting and the order of a request (``proxy``).  Made by ``proxy`` for a
page that is rewritten for one request; nothing of it is used where a page comes in one go.

Rules
-----
1. A page that comes at once is never sent early: it keeps its ETag and its Content-Length.  Only when the shop is still
   sending a while after its first bytes, and the loop has seen to whatever was waiting, is a beginning tried; after
   that each time the page has doubled, so that the work stays linear.
2. What has left is compared with the whole page in the end.  Where the one does not begin the other (the two ways are
   told in ``html.early``), or a fault of ours comes between, the remaining edits are dropped and the rest of the
   shop's bytes follow; that path is sent early no more until it is forgotten.
3. A shop that breaks off is a visible break: what came of it leaves, and the answer is cut.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from time import perf_counter
from typing import Final

from cachetools import LRUCache

from edgeproxy import offloop, respond
from edgeproxy.answer import Answer
from edgeproxy.content_coding import Coder, accepted
from edgeproxy.counters import Counter
from edgeproxy.lines import accept_encoding, joined
from edgeproxy.offloop import Work
from edgeproxy.personalise import Begun, Personalised
from edgeproxy.respond import NewLines
from edgeproxy.trail import Intent, Trail

__all__ = ["Early", "EarlyFlush"]

log = logging.getLogger("edgeproxy.early")

FIRST: Final = 1024
"""Bytes of a page that must have come before a beginning is tried."""
AT_FIRST: Final = 64 * 1024
"""Bytes of a page that are looked at first: most that keeps the rest back stands there."""
LATE: Final = 0.001
"""Seconds that the loop may be behind: one that is further behind has no time for what will come by itself."""
LEAST: Final = 128
"""Bytes of a page for which a flush is worth its overhead."""
_PATHS: Final = 1024
_TURNS: Final = 20  # of the loop, at most, in which what is waiting is taken first

Begin = Callable[[bytes], Begun | None]
Signed = Callable[[NewLines, Trail], NewLines]


class EarlyFlush:
    """Of one listener: what early flushes share.  ``pause`` in seconds; 0 never sends early."""

    def __init__(self, pause: float, counter: Counter, *, signed: Signed) -> None:
        self.pause = pause
        self.ends = counter
        self.signed = signed
        self.wrong: LRUCache[str, str] = LRUCache(_PATHS)  # path → the version of the rules under which it was

    def of(self, lines: NewLines, intent: Intent, begin: Begin, trail: Trail, answer: Answer) -> Early | None:
        """For a page with the shop's ``lines``; None where it has to wait for its end.

        A visitor who asks whether a page has changed waits: a 304 is worth more.  So do HTTP/1.0 (its end would be
        the connection's), HEAD, previews, and pages that come in a coding.
        """
        request = intent.request
        if not self.pause or trail.version != "1.1" or request.method != "GET" or intent.preview is not None:
            return None
        if joined(lines, b"content-encoding") or any(name == b"if-none-match" for name, _ in request.headers):
            return None
        if intent.book is None or self.wrong.get(request.path) == intent.book.version:
            return None
        coding = accepted(accept_encoding(request))
        head = respond.framed(respond.personal(lines, changed=True, negotiated=True), length=None, coding=coding)
        return Early(self, head, coding, intent, begin, trail, answer)


class Early:
    """One page: its bytes as they come (``came``), its end (``ended``), and what follows then (``follow``…)."""

    def __init__(
        self,
        shared: EarlyFlush,
        head: NewLines,
        coding: str,
        intent: Intent,
        begin: Begin,
        trail: Trail,
        answer: Answer,
    ) -> None:
        self._shared = shared
        self._head = head
        self._coder = Coder(coding)
        self._intent = intent
        self._begin = begin
        self._trail = trail
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._since = perf_counter()
        self._worked = 0.0
        self._chunks: list[bytes] = []
        self._size = 0
        self._next: float = FIRST  # bytes from which on a beginning is tried
        self._tried = 0  # bytes of the last one that was
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._over = False
        self._offset = 0  # bytes of the shop's page that have left…
        self._sent = b""  # …as this

    @property
    def started(self) -> bool:
        """Something has left: there is no way back to another answer."""
        return bool(self._sent)

    def came(self, chunk: bytes) -> None:
        """Something of the page has come."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size >= self._next and self._task is None and self._timer is None:
            self._wait()

    async def ended(self) -> None:
        """Nothing more comes; returns when nothing more leaves by itself."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            await asyncio.wait({self._task})

    def dropped(self) -> None:
        """Nobody waits for the page any more."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    # ------------------------------------------------------------------ while it comes

    def _wait(self) -> None:
        self._timer = self._loop.call_later(self._shared.pause, self._due, self._loop.time() + self._shared.pause)

    def _due(self, at: float) -> None:
        """What is only to be early waits where there is more to do than time; ``at`` is when this was due."""
        self._timer = None
        if self._loop.time() - at > LATE:
            self._wait()
            return
        self._task = self._loop.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            if await self._still_coming():
                await self._try()
        except Exception:
            self._next = float("inf")
            self._trail.failed(log, "sending early the beginning of the answer to")
        finally:
            self._task = None

    async def _still_coming(self) -> bool:
        """Whether nothing more is to be had now: on a busy loop a timer rings before what came first is taken."""
        size = 0
        for _ in range(_TURNS):
            if size == self._size or self._over:
                break
            size = self._size
            for _ in range(3):  # timers, sockets, and whoever waits for those
                await asyncio.sleep(0)
        return not self._over

    async def _try(self) -> None:
        began = perf_counter()
        body = b"".join(self._chunks)[: max(2 * self._tried, AT_FIRST)]
        self._tried = len(body)
        self._next = 2 * self._tried
        begun = await offloop.run(Work.READ, len(body), self._begin, body)
        self._worked += perf_counter() - began
        if self._over or begun is None or begun.offset < self._offset + LEAST:
            return
        if not begun.body.startswith(self._sent):
            self._next = float("inf")
            return
        more = begun.body[len(self._sent) :]
        leaving = self._coder.add(more) + self._coder.flush()
        if not self._sent:
            waited = perf_counter() - self._since - self._worked
            self._trail.shop_seconds += waited
            head = self._shared.signed(self._head, self._trail)
            self._trail.shop_seconds -= waited  # it is counted when all has come
            await self._answer.start(200, head)
        self._offset, self._sent = begun.offset, begun.body
        await self._answer.body(leaving)

    # ------------------------------------------------------------------ once it has come

    async def follow(self, body: bytes, made: Personalised | None) -> None:
        """The rest of a page that came whole; ``made`` is that page with its edits, None after a fault of ours."""
        kept = made is not None and made.body.startswith(self._sent)
        if made is not None and kept:
            rest = made.body[len(self._sent) :]
        else:
            rest = body[self._offset :]
            self._distrust()
        self._shared.ends.add("whole" if kept else "edits dropped")
        await self._answer.end(self._coder.add(rest) + self._coder.end())

    async def follow_untouched(self, body: bytes, chunks: AsyncIterator[bytes]) -> None:
        """The rest of a page that turned out too big: the shop's own bytes, as they come."""
        self._shared.ends.add("edits dropped")
        self._distrust()
        await self._answer.body(self._coder.add(body[self._offset :]) + self._coder.flush())
        async for chunk in chunks:
            await self._answer.body(self._coder.add(chunk) + self._coder.flush())
        await self._answer.end(self._coder.end())

    async def follow_cut(self, body: bytes) -> None:
        """What came of a page that broke off; the break is the caller's."""
        self._shared.ends.add("cut")
        await self._answer.body(self._coder.add(body[self._offset :]) + self._coder.flush())

    def _distrust(self) -> None:
        assert self._intent.book is not None
        path = self._intent.request.path
        self._shared.wrong[path] = self._intent.book.version
        log.warning("the beginning of %s left early and the whole page turned out otherwise: edits were dropped", path)
