"""One connection of a visitor from its opening to its end: who it is, what it waits for, how it is refused.

Here: counting in and out, deadlines, refusals, closing.  Not here: requests in its bytes (``protocol``, which builds on
this), the answer (``exchange``), what all connections share (``guard``).

A connection is in one phase at a time.  ``tick`` judges by the phase who is to blame for a wait: a head that does not
come, an idle connection, a body or a taking of the answer that is too slow.  What the app does takes its own time.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from edgeproxy.server.announced import Announced
from edgeproxy.server.exchange import App, Exchange
from edgeproxy.server.guard import Guard
from edgeproxy.server.head import Refused

__all__ = ["BODY", "HEAD", "LINGER", "TUNNEL", "TURN", "WAIT", "Connection"]

# What a connection is doing.
HEAD: Final = 0  # waiting for a request, or in its head
BODY: Final = 1  # in its body
WAIT: Final = 2  # the request is whole, its answer is not
LINGER: Final = 3  # refused or done: what still comes is dropped
TUNNEL: Final = 4  # a 101 was sent: bytes both ways
TURN: Final = 5  # answered; what came behind is looked at when the other connections have been

HOLD_SECONDS: Final = 1.0  # that the beginning of a body is waited for before the app begins


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with a guard over its connection; methods without a docstring are asyncio's."""

    cycle: Exchange  # None before the first request, as uvicorn has it

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        guard: Guard | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        assert guard is not None, "made by factory()"
        self.guard = guard
        self.announced: Announced | None = None  # whose it is, as a trusted proxy has said
        self.address = ""
        self.trusted = False
        self.written = 0  # bytes given to the transport
        self._phase = HEAD
        self._head = bytearray()  # a request's head as far as it has come
        self._held = bytearray()  # what came behind a request that is being answered
        self._last = False  # nothing more comes: what is held is all there will be
        self._idle = False  # between two requests, nothing of the next has come
        self._received = 0  # bytes of the present request's body
        self._begun = True  # the app has been called
        # of the clock: since when the present wait lasts (None: from the next tick on) and what had moved by then
        self._since: float | None = None
        self._moved = 0
        self._body_since: float | None = None  # the present request's body is being read
        self._stalled: float | None = None
        self._taken = 0

    # ------------------------------------------------------------------ its life

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.announced is not None:
            self.client = self.announced.client
            self.scheme = "https" if self.announced.tls else self.scheme
        self.address = self.client[0] if self.client else ""
        self.trusted = self.guard.trusts(self.address)
        over = self.guard.opened(self)
        if over:
            self._refuse(Refused(503, "too many connections", over))

    def eof_received(self) -> bool:  # type: ignore[override]
        """True keeps our direction open (over TLS both end together): in a tunnel each ends by itself.

        What is ready for requests that came at once is still given; who waits for an app is taken for gone.
        """
        if self._phase == TUNNEL:
            self.cycle.more_body = False
            self.cycle.message_event.set()
        elif self._phase == TURN:
            self._last = True
        else:
            return False
        return self.transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        self.guard.closed(self)
        if self._phase == TUNNEL:
            self.guard.tunnels -= 1
        self._phase = LINGER
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.dismiss()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """A stop has begun (``Guard.drain``): the present answer is the connection's last; a tunnel ends here."""
        if self._phase == TUNNEL:
            self.cycle.dismiss("the server stops")
            self.transport.close()
        elif self.cycle is not None:
            self.cycle.keep_alive = False

    def close_if_idle(self) -> bool:
        """Close when no request is at work; True if so."""
        idle = self._phase == LINGER or (self._phase == HEAD and not self._head)
        if idle and not self.transport.is_closing():
            self.transport.close()
        return idle

    # ------------------------------------------------------------------ refusing

    def _refuse(self, refused: Refused) -> None:
        """Answer with our own page and close; an answer that has begun is broken off instead, one that left stands."""
        cycle = self.cycle
        open_ = cycle is not None and not cycle.response_complete
        if self._phase == BODY and not open_:  # a second answer would be taken for the next request's
            self.guard.hit(refused, self.address)
            self._linger()
            return
        if open_:
            refused.of(cycle.scope["method"], cycle.scope["raw_path"], cycle.scope["headers"])
        answer = self.guard.refusal(refused, self.address)
        if open_:
            if cycle.response_started:
                cycle.cut()
            cycle.dismiss()
        if not self.transport.is_closing():
            self.written += len(answer)
            self.transport.write(answer)
            self._linger()

    def _linger(self) -> None:
        """Close our side, and read on for a moment: a reset would take back what was just sent."""
        self._phase = LINGER
        self._since = None
        self._head.clear()
        self._held.clear()
        if self.transport.can_write_eof():
            with suppress(OSError):  # a reset that nobody has read yet: the loop will tell it
                self.transport.write_eof()
        self.flow.resume_reading()

    # ------------------------------------------------------------------ the clock

    def tick(self, now: float) -> None:
        """Look whether the other end keeps its deadlines; called by ``Guard.tick``."""
        limits = self.guard.limits
        reading = self._tick_answer(now)
        since = self._since
        if self._phase == BODY:
            self._tick_body(now)
        elif self._phase in (WAIT, TUNNEL, TURN) or (reading and self._idle):
            self._since = None
        elif since is None:
            self._since = now
        elif self._phase == LINGER:
            if now - since >= limits.linger_seconds and not reading:
                self.guard.on_limit("linger_seconds")
                self.transport.abort()
        elif self._idle:
            if now - since >= (limits.idle_trusted_seconds if self.trusted else limits.idle_seconds):
                self.guard.on_limit("idle_trusted_seconds" if self.trusted else "idle_seconds")
                self.transport.close()
        elif now - since >= limits.header_seconds:
            refused = Refused(408, "a head that did not come", "header_seconds")
            if self._head:
                self._refuse(refused)
            else:
                self.guard.hit(refused, self.address)
                self.transport.close()

    def _tick_body(self, now: float) -> None:
        """A body that comes must come at a rate; while we do not read, the other end is not to blame."""
        limits = self.guard.limits
        if not self._begun and self._since is not None and now - self._since >= HOLD_SECONDS:
            self.begin_app()
        if self._body_since is None:
            self._body_since = now
        if self.flow.read_paused or self.cycle.waiting_for_100_continue:
            self._since = None
        elif now - self._body_since >= limits.body_seconds:
            self._refuse(Refused(408, "a body that takes too long", "body_seconds"))
        elif self._since is None:
            self._since, self._moved = now, self._received
        elif now - self._since >= limits.rate_seconds:
            if self._received - self._moved < limits.rate_bytes * limits.rate_seconds:
                self._refuse(Refused(408, "a body that came too slowly", "rate_bytes"))
            self._since = None

    def _tick_answer(self, now: float) -> bool:
        """Whether the other end still has something to take; one that takes it too slowly is cut off."""
        limits = self.guard.limits
        waiting = self.transport.get_write_buffer_size()
        if not waiting:
            self._stalled = None
            return False
        taken = self.written - waiting
        if self._stalled is None:
            self._stalled, self._taken = now, taken
        elif now - self._stalled >= limits.rate_seconds:
            if taken - self._taken < limits.rate_bytes * limits.rate_seconds:
                self.guard.hit(Refused(408, "an answer that was not taken", "rate_bytes"), self.address)
                self.reset()
            self._stalled = None
        return True

    def reset(self) -> None:
        """Break the connection off with a reset (RST).

        A close would leave what was not taken with the system, which goes on offering it for minutes: memory that a
        slow reader holds for nothing.  And an answer that ends with its connection would look whole (RFC 9112, 9.6).
        """
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def begin_app(self, app: App | None = None) -> None:
        """Call the app with the request that has come (``protocol``)."""
        raise NotImplementedError
