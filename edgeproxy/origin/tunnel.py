"""A connection to the shop after "101 Switching Protocols": bytes both ways, and no HTTP any more.

Here: reading and writing with back-pressure, and each direction's end.  Not here: whether a 101 may be believed and how
long silence is borne (``edgeproxy.relay``).  Made by ``exchange`` in the moment in which the 101 has come, so that no
byte behind it is lost; handed out by ``transport`` as ``extensions["network_stream"]``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

from edgeproxy.origin.errors import ShopBroken

if TYPE_CHECKING:
    from edgeproxy.origin.exchange import Lease

__all__ = ["Tunnel", "TwoWay"]


class TwoWay(Protocol):
    """What a tunnel asks of its connection."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def finish(self, *, reusable: bool) -> None: ...
    def write(self, data: bytes) -> None: ...
    def write_eof(self) -> None: ...
    async def drain(self) -> bool: ...


class Tunnel:
    """The shop's end of a relayed connection; ``aclose()`` it in a ``finally``.  One reader, one writer."""

    __slots__ = ("_chunks", "_connection", "_ended", "_error", "_held", "_lease", "_paused", "_waiter", "_window")

    def __init__(self, connection: TwoWay, lease: Lease, first: bytes, window: int) -> None:
        self._connection = connection
        self._lease: Lease | None = lease
        self._window = window
        self._chunks: deque[bytes] = deque([first] if first else ())
        self._held = len(first)
        self._paused = False
        self._ended = False
        self._error: ShopBroken | None = None
        self._waiter: asyncio.Future[None] | None = None

    # ------------------------------------------------------------------ for whoever relays

    async def read(self) -> bytes:
        """What has come since, b"" when the shop has ended its direction; raises ShopBroken for a break."""
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._waiter = self._connection.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._held = 0
        if self._paused:
            self._paused = False
            self._connection.resume()
        return data

    async def write(self, data: bytes) -> None:
        """Send, and wait while the shop takes nothing more; raises ShopBroken when it is gone."""
        if self._lease is None:
            raise self._error or ShopBroken("cut", "the shop has closed the relayed connection")
        self._connection.write(data)
        if not await self._connection.drain():
            raise self._error or ShopBroken("cut", "the shop has closed the relayed connection")

    def end(self) -> None:
        """Our direction is over; the shop's goes on (over TLS, which has no half-close, nothing is said)."""
        if self._lease is not None:
            self._connection.write_eof()

    async def aclose(self) -> None:
        """Nothing more in either direction."""
        self.close()

    def close(self) -> None:
        """The same; what was written is still sent where the shop takes it."""
        lease, self._lease = self._lease, None
        self._chunks.clear()
        if lease is not None:
            self._connection.finish(reusable=False)
            lease.close()

    # ------------------------------------------------------------------ for the connection

    def feed(self, data: bytes) -> None:
        """Bytes of the shop's."""
        self._chunks.append(data)
        self._held += len(data)
        if self._held > self._window and not self._paused:
            self._paused = True
            self._connection.pause()
        self._wake()

    def ended(self) -> None:
        """The shop has ended its direction."""
        self._ended = True
        self._wake()

    def lost(self, reset: Exception | None) -> None:
        """The connection is gone; a clean close is the end of the shop's direction, and of ours."""
        if reset is not None and not self._ended:
            self._error = ShopBroken("cut", "the shop reset the relayed connection")
        self._ended = True
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.close()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
