"""One connection to the shop, as asyncio and the pool see it.

Here: that it carries one exchange at a time, and that bytes which come while it has none end it (they would be
read as the answer to the next visitor's request).  Not here: what the bytes mean (``exchange``, ``tunnel``), how it is
opened and kept (``pool``), who may have one (``lending``).  Called by ``transport``, ``lending`` and ``pool``.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from edgeproxy.origin.exchange import Exchange, Lease
from edgeproxy.origin.patience import Limits
from edgeproxy.origin.tunnel import Tunnel

__all__ = ["ShopConnection"]


class ShopConnection(asyncio.Protocol):
    """A connection as asyncio and the pool see it; ``lost`` is told when it is gone."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, lost: Callable[[ShopConnection], None] = lambda connection: None
    ) -> None:
        self.loop = loop
        self._tell_lost = lost
        self.transport: asyncio.Transport | None = None
        self.uses = 0
        self.born = loop.time()
        self._exchange: Exchange | Tunnel | None = None
        self._spoiled = False
        self._gone: asyncio.Future[None] | None = None
        self._secured: ssl.SSLObject | None = None
        self._drain: asyncio.Future[None] | None = None
        self.full = False
        self._poll: select.poll | None = None

    # ------------------------------------------------------------------ for the transport

    def quiet(self) -> bool:
        """True when nothing has arrived, not even its end, on a connection that was idle."""
        if self._spoiled or self._poll is None:
            return False
        return not self._poll.poll(0)

    def begin(self, lease: Lease, *, head_only: bool, limits: Limits, upgrade: bool = False) -> Exchange:
        """Start an exchange; from here on what arrives is its answer."""
        self.uses += 1
        exchange = self._exchange = Exchange(self, lease, head_only=head_only, limits=limits, upgrade=upgrade)
        if not self.is_connected():  # lost since it was lent: nobody would tell the exchange
            exchange.lost(None)
        return exchange

    def write(self, data: bytes) -> None:
        """Queue bytes for the shop; on a lost connection they go nowhere, and the exchange has failed."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    async def drain(self) -> bool:
        """Wait until the shop took enough of what was queued; False when the connection is lost."""
        while self.full and self.transport is not None:
            if self._drain is None:
                self._drain = self.loop.create_future()
            await asyncio.shield(self._drain)
        return self.transport is not None and not self.transport.is_closing()

    def write_eof(self) -> None:
        """End our direction where the connection can end one alone."""
        if self.transport is not None and not self.transport.is_closing() and self.transport.can_write_eof():
            with suppress(OSError):  # a reset that nobody has read yet: the loop will tell it
                self.transport.write_eof()

    def hand_over(self, tunnel: Tunnel) -> None:
        """The exchange is over, and what arrives from here on is no HTTP."""
        self._exchange = tunnel

    def finish(self, *, reusable: bool) -> None:
        """The exchange is over."""
        self._exchange = None
        if not reusable:
            self._spoiled = True
            self.abort()

    def pause(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    # ------------------------------------------------------------------ for the pool

    def gone(self) -> asyncio.Future[None]:
        """Done when the connection is; ask while it is still there."""
        if self._gone is None:
            self._gone = self.loop.create_future()
        return self._gone

    @property
    def reusable(self) -> bool:
        """Nothing is under way, and nothing went wrong."""
        return not self._spoiled and self._exchange is None and self.is_connected()

    def is_connected(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def close(self) -> None:
        self._spoiled = True
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        self._spoiled = True
        if self.transport is not None:
            self.transport.abort()

    # ------------------------------------------------------------------ for asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._secured = transport.get_extra_info("ssl_object")
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            self.abort()
        else:
            self._exchange.feed(data)

    def eof_received(self) -> bool:
        """True keeps our direction open: in a tunnel each ends by itself (over TLS both end together)."""
        if not isinstance(self._exchange, Tunnel) or self._secured is not None:
            return False
        self._exchange.ended()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._spoiled = True
        self.transport = None
        self.resume_writing()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            if exc is None and self._secured is not None and not _closed(self._secured):
                exc = ConnectionResetError("TLS ended without a closure alert")
            exchange.lost(exc)
        self._tell_lost(self)
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        self._drain = None


def _closed(secured: ssl.SSLObject) -> bool:
    """The other end of a connection that is gone has said that it closes it.

    RFC 9112, 9.8: anybody in between can close a TCP connection, so an end without that alert is none.  Neither asyncio
    nor uvloop tells the one from the other.
    """
    try:
        return not secured.read(1)
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:
        return False
