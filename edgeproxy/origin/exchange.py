"""One request's answer as it arrives: bytes in, head and body out, strictly.

Here: HTTP/1.1 framing of answers on llhttp (httptools) in its strict mode, its limits, and waiting with patience.
Not here: sockets (``connection`` feeds it), which connection and when again (``transport``), httpx.

Rules
-----
1. Every end that is not the answer's own end raises: a cut body never looks whole.  A body framed by the
   connection's close ends only by a close, never by a reset (RFC 9112, 9.6).
2. An answer with two framings, or a framing that we do not speak, is no answer (RFC 9112, 6.1 and 6.3).
3. An answer to HEAD, a 204 and a 304 have no body, whatever they say (RFC 9112, 6.3).
4. The connection may be used again only when the request went out whole and the answer came to its end by its own
   framing, with nothing behind it.
5. It is not used again after an answer to HEAD that does not say that there is nothing, nor after a 204 that says that
   there is something.  Shops do write those bodies, behind the head (gunicorn up to 23 writes whatever the app gives),
   and the next visitor's request may be out by then: a file that somebody has brought would be the answer to it.
6. A 101 is an answer only to a request that asked for an upgrade, and only as RFC 9110, 7.8 has it: HTTP/1.1, with
   Connection and Upgrade, without a body.  Every byte behind it is the other protocol's (``tunnel``).
7. Interim answers are read past: 100 was not asked for (Expect is answered by our own listener), 102 says nothing that
   a visitor could use.  The links of a 103 are handed to who wants them (RFC 8297), up to a limit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

import httptools

from edgeproxy.origin.errors import ShopBroken, ShopTimeout
from edgeproxy.origin.patience import Limits, Patience
from edgeproxy.origin.tunnel import Tunnel, TwoWay

__all__ = ["Exchange", "Hinted", "Lease", "Wire", "too_late"]


HINTS = 8 * 1024
"""Bytes of links that are kept for who wants them; what is beyond is only read past."""

Hinted = Callable[[list[bytes]], Awaitable[None]]
"""Takes the links of a 103."""


class Wire(TwoWay, Protocol):
    """What an exchange asks of its connection."""

    def hand_over(self, tunnel: Tunnel) -> None: ...


class Lease(Protocol):
    """What is lent (``lending``): given back once, to be used again or not."""

    def release(self) -> None: ...
    def close(self) -> None: ...


class _Stop(Exception):
    """Ends parsing from within a callback; the reason is already kept."""


_CALLBACK_ERRORS = (httptools.HttpParserError, httptools.HttpParserUpgrade, _Stop)


class Exchange:
    """One request's answer as it arrives.  Methods without a docstring are called by the parser."""

    __slots__ = (
        "_body_expected",
        "_chunks",
        "_connection",
        "_dry",
        "_head_size",
        "_held",
        "_interims",
        "_keep",
        "_lease",
        "_limits",
        "_loop",
        "_paused",
        "_phase",
        "_surplus",
        "_until_close",
        "_upgrade",
        "_waiter",
        "arrived",
        "complete",
        "error",
        "head_done",
        "headers",
        "hints",
        "moved",
        "parser",
        "reason",
        "sender",
        "sent",
        "status",
        "tunnel",
    )

    def __init__(
        self, connection: Wire, lease: Lease, *, head_only: bool, limits: Limits, upgrade: bool = False
    ) -> None:
        self._connection = connection
        self._lease: Lease | None = lease
        self._loop = connection.loop
        self._limits = limits
        self._body_expected = not head_only
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._dry = 0
        self._head_size = 0
        self._interims = 0
        self._keep = False
        self._paused = False
        self._phase = "answer"
        self._surplus = False
        self._until_close = False
        self._upgrade = upgrade
        self._waiter: asyncio.Future[None] | None = None
        self.arrived = False
        self.complete = False
        self.error: BaseException | None = None
        self.head_done = False
        self.headers: list[tuple[bytes, bytes]] = []
        self.hints: list[bytes] = []  # links of a 103 that nobody has taken yet
        self.moved: Callable[[], None] | None = None  # called after anything has happened, where nobody waits
        self.reason = b""
        self.status = 0
        self.sender: asyncio.Task[None] | None = None
        self.sent = False
        self.tunnel: Tunnel | None = None
        self.parser = httptools.HttpResponseParser(self)

    # ------------------------------------------------------------------ for the transport

    async def head(self, patience: Patience, hinted: Hinted | None = None) -> None:
        """Wait for the head of the answer; its ``status``, ``reason`` and ``headers`` hold afterwards.

        ``hinted`` is given the links of each 103 that comes before it.

        The time that the request's own body takes is not counted.  Raises ShopTimeout, ShopBroken, or what the
        request's body raised.
        """
        while not self.head_done and self.error is None:
            if self.hints and hinted is not None:
                links, self.hints = self.hints, []
                await hinted(links)
            else:
                await self._wait(patience if self.sent else None)
        if self.error is not None:
            raise self.error

    async def read(self, patience: Patience) -> bytes:
        """The next piece of the body, b"" at its end; raises rather than end early."""
        while not self._chunks:
            if self.error is not None:
                raise self.error
            if self.complete:
                return b""
            self._phase = "body"
            await self._wait(patience)
        data = self.take()
        patience.earn(len(data))
        return data

    def take(self) -> bytes:
        """What has come of the body since, b"" when that is nothing."""
        if len(self._chunks) == 1:
            data = self._chunks.popleft()
        else:
            data = b"".join(self._chunks)
            self._chunks.clear()
        self._held = 0
        if self._paused:
            self._paused = False
            self._connection.resume()
        return data

    def fail(self, error: BaseException) -> None:
        """Give this exchange up, and its connection; what arrived before can still be read."""
        if self.error is None and not self.complete:
            self.error = error
        self._end(reusable=False)

    def abandon(self) -> None:
        """Nobody wants the rest: the connection is closed unless the answer had come to its end."""
        if self.error is None and not self.complete:
            self.error = ShopBroken("cut", "the answer was not read to its end")
        self._chunks.clear()
        if self.tunnel is not None:
            self.tunnel.close()
        self._end(reusable=False)

    def wake(self) -> None:
        """Let whoever waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        elif self.moved is not None:
            self.moved()

    # ------------------------------------------------------------------ for the connection

    def feed(self, data: bytes) -> None:
        """Bytes of the shop's; never raises."""
        self.arrived = True
        if not self.head_done:
            self._head_size += len(data)
        held = self._held
        try:
            self.parser.feed_data(data)
        except _CALLBACK_ERRORS as problem:
            if self.status == 101 and isinstance(problem, httptools.HttpParserUpgrade):
                self._switch(data[problem.args[0] :])
                return
            if self.complete:
                self._surplus = True
            elif self.error is None:
                if isinstance(problem, httptools.HttpParserUpgrade):
                    self.error = ShopBroken("upgrade", "the shop switched protocols unasked")
                else:
                    kind = "framing" if self.head_done else "head"
                    self.error = ShopBroken(kind, f"the shop's answer is malformed: {problem}")
        if self.error is None and not self.complete:
            if not self.head_done:
                if self._head_size > self._limits.head:
                    self.error = self._too_long()
            elif self._held == held:
                # trailers and chunk extensions without end would be no body and no end
                self._dry += len(data)
                if self._dry > self._limits.head:
                    self.error = ShopBroken("framing", "the shop sends framing without a body")
            else:
                self._dry = 0
        if self.error is not None:
            self._end(reusable=False)
        elif self.complete:
            self._end(reusable=self._keep and not self._surplus)
        elif self._held > self._limits.window and not self._paused:
            self._paused = True
            self._connection.pause()
        self.wake()

    def lost(self, reset: Exception | None) -> None:
        """The connection is gone."""
        if not self.complete and self.error is None:
            if self.head_done and self._until_close and reset is None:
                self.complete = True
            elif not self.arrived:
                self.error = ShopBroken("silent", "the shop closed the connection without an answer")
            else:
                how = "reset" if reset is not None else "closed"
                where = "inside its answer" if self.head_done else "inside the head of its answer"
                self.error = ShopBroken("cut", f"the shop {how} the connection {where}")
        self._end(reusable=False)
        self.wake()

    # ------------------------------------------------------------------ callbacks of the parser

    def on_message_begin(self) -> None:
        if self.complete:
            raise _Stop("a second answer")
        self.headers = []
        self.reason = b""

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head_done:
            self.headers.append((name, value.rstrip(b" \t")))  # llhttp strips before the value only

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        status = self.parser.get_status_code()
        if status == 101 and self._upgrade:
            self._check_switch()
            return
        if status < 200:
            self._interim(status)
            return
        if status > 599:  # RFC 9110, 15: not a status; 5xx at best
            raise self._stop("head", f"the shop answered with status {status}")
        if len(self.headers) > self._limits.headers:
            what = f"the shop's answer has over {self._limits.headers} header lines"
            raise self._stop("head", what, "origin_header_lines")
        self.status = status
        self._keep = self.parser.should_keep_alive()
        length, codings = None, []
        size = 0
        for name, value in self.headers:
            size += len(name) + len(value) + 4
            if len(name) == 14 and name.lower() == b"content-length":
                length = value
            elif len(name) == 17 and name.lower() == b"transfer-encoding":
                codings.append(value.strip().lower())
        if size > self._limits.head:
            self.error = self._too_long()
            raise _Stop(str(self.error))
        if codings and (codings != [b"chunked"] or self.parser.get_http_version() != "1.1"):
            raise self._stop("framing", "the shop's answer has a transfer coding that is not plain chunked")
        untold = status == 204  # what it comes to where an answer says nothing of a body (5)
        if (untold or not self._body_expected) and not _is_nothing(length, codings, untold=untold):
            self._keep = False
        self._until_close = length is None and not codings
        self.head_done = True
        if not self._body_expected:  # of 204 and 304 llhttp knows
            # whatever framing it speaks of does not come; when it does come after all, it is surplus
            self.complete = True

    def on_body(self, data: bytes) -> None:
        if self.complete:
            self._surplus = True
        else:
            self._chunks.append(data)
            self._held += len(data)

    def on_message_complete(self) -> None:
        if self.head_done:
            self.complete = True

    # ------------------------------------------------------------------ inside

    def _interim(self, status: int) -> None:
        if status < 100:
            raise self._stop("head", f"the shop answered with status {status}")
        if status == 101:
            raise self._stop("upgrade", "the shop switched protocols unasked")
        self._interims += 1
        self._head_size = 0
        if self._interims > self._limits.interims:
            raise self._stop("interim", f"the shop sent over {self._limits.interims} interim answers")
        if status == 103:
            links = [value for name, value in self.headers if len(name) == 4 and name.lower() == b"link"]
            if sum(map(len, self.hints)) + sum(map(len, links)) <= HINTS:
                self.hints += links

    def _check_switch(self) -> None:
        """The parser stops behind this head only where it has Upgrade and Connection, and no framing."""
        names = {name.lower() for name, _ in self.headers}
        options = b",".join(value for name, value in self.headers if name.lower() == b"connection").lower()
        if (
            b"upgrade" not in names
            or b"upgrade" not in {option.strip() for option in options.split(b",")}
            or names & {b"content-length", b"transfer-encoding"}
            or self.parser.get_http_version() != "1.1"
            or len(self.headers) > self._limits.headers
        ):
            raise self._stop("upgrade", "the shop's 101 is malformed")
        self.status = 101

    def _switch(self, rest: bytes) -> None:
        lease, self._lease = self._lease, None
        assert lease is not None
        del self.parser
        self.tunnel = Tunnel(self._connection, lease, rest, self._limits.window)
        self._connection.hand_over(self.tunnel)
        self.head_done = self.complete = True
        self.wake()

    def _stop(self, kind: str, what: str, limit: str = "") -> _Stop:
        self.error = ShopBroken(kind, what, limit)
        return _Stop(what)

    def _too_long(self) -> ShopBroken:
        what = f"the head of the shop's answer is over {self._limits.head} bytes"
        return ShopBroken("head", what, "origin_header_bytes")

    async def _wait(self, patience: Patience | None) -> None:
        self._waiter = self._loop.create_future()
        if patience is None:
            try:
                await self._waiter
            finally:
                self._waiter = None
            return
        since = self._loop.time()
        timer = self._loop.call_later(max(patience.left, 0), self._too_late, patience)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
            patience.spend(self._loop.time() - since)

    def _too_late(self, patience: Patience) -> None:
        self.fail(too_late(self._phase, patience))
        self.wake()

    def _end(self, *, reusable: bool) -> None:
        lease, self._lease = self._lease, None
        if lease is None:
            return
        del self.parser  # it holds this object by its callbacks: a ring for every request
        reusable = reusable and self.sent
        if self.sender is not None and not self.sent:
            self.sender.cancel()
        if self._paused:
            self._paused = False
            self._connection.resume()
        self._connection.finish(reusable=reusable)
        if reusable:
            lease.release()
        else:
            lease.close()


def _is_nothing(length: bytes | None, codings: list[bytes], *, untold: bool) -> bool:
    """Whether the lines of an answer without a body speak of none either; ``untold``: where they say nothing."""
    return not codings and (untold if length is None else not length.strip(b"0"))


def too_late(phase: str, patience: Patience) -> ShopTimeout:
    """The shop's time is over; ``phase`` is "answer" or "body"."""
    what = "the shop did not answer in time" if phase == "answer" else "the shop sends its answer too slowly"
    return ShopTimeout(phase, what, patience.limit)
