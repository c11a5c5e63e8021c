"""Connections to one address of the shop: found, opened, kept while idle, closed.

Here: happy eyeballs (RFC 8305), TLS, which idle connection is used next and until when.  Not here: where a name leads
(``names``), how many there may be and who waits for one (``lending``), what a connection carries (``connection``).
Called by ``lending``.

Rules
-----
1. The connection that became idle last is used first, so that those that are not needed grow old and close.
2. An idle one is closed after ``Limits.keepalive``, by one timer for all; one that the shop closes is dropped at once.
3. Of several addresses each new connection begins with another, and families alternate.  The next one is tried when
   one fails, TLS included, or after ``STAGGER``; the first connection that is there is the one.
4. Whoever is cancelled or too late while a connection is being opened leaves nothing open behind.

The event loop makes its own sockets: one that is handed to uvloop before 0.23 is closed a second time when the waiting
is cancelled, whosever its number is by then (MagicStack/uvloop 738).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from functools import partial

from edgeproxy.origin.connection import ShopConnection
from edgeproxy.origin.errors import ShopRefused, ShopTimeout
from edgeproxy.origin.names import Name
from edgeproxy.origin.patience import Limits

__all__ = ["Pool"]

STAGGER = 0.25
"""Seconds after which the next address is tried beside one that does not answer (RFC 8305, 5)."""


class Pool:
    """Connections to ``host`` and ``port``; ``tls`` and the name that it asks for (SNI) and verifies, or None and "".

    Belongs to one event loop.
    """

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None, name: str, limits: Limits) -> None:
        self._name = Name(host, port, limits.dns)
        self._tls = tls
        self._server_name = name.rstrip(".")  # certificates have no final dot
        self._limits = limits
        self._idle: dict[ShopConnection, float] = {}  # since when, oldest first
        self._open: set[ShopConnection] = set()
        self._sweep: asyncio.TimerHandle | None = None

    def idle(self, since: float = 0.0) -> ShopConnection | None:
        """The connection that has been idle for the shortest time, nobody's any more; None when there is none.

        ``since``: it must have been at work at that time, by the loop's clock.
        """
        if not self._idle or next(reversed(self._idle.values())) < since:
            return None
        return self._idle.popitem()[0]

    def keep(self, connection: ShopConnection) -> None:
        """Nothing is under way on it: it may be used again; where that is not so it is closed."""
        loop = connection.loop
        if not connection.reusable:
            connection.abort()
        elif connection in self._open:
            self._idle[connection] = loop.time()
            if self._sweep is None:
                self._sweep = loop.call_later(self._limits.keepalive, self._swept, loop)

    async def open(self, seconds: float) -> ShopConnection:
        """A new connection, within ``seconds``; raises ShopRefused, ShopTimeout("connect")."""
        try:
            async with asyncio.timeout(max(min(seconds, self._limits.connect), 0.001)):
                return await self._opened()
        except TimeoutError as problem:
            limit = "origin_connect_seconds" if self._limits.connect <= seconds else "deadline"
            raise ShopTimeout("connect", "no connection to the shop in time", limit) from problem

    async def aclose(self) -> None:
        """Close every connection, idle or at work, and wait until they are gone."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._idle.clear()
        self._name.forget()
        gone = [connection.gone() for connection in self._open]
        for connection in tuple(self._open):
            connection.abort()
        await asyncio.gather(*gone)

    # ------------------------------------------------------------------ inside

    async def _opened(self) -> ShopConnection:
        try:
            addresses = await self._name.addresses()
        except (OSError, UnicodeError) as problem:  # UnicodeError: a label that no name can have
            raise ShopRefused("dns", f"the shop's name {self._name.host!r} does not resolve") from problem
        try:
            connection = await (self._at(addresses[0]) if len(addresses) == 1 else self._raced(addresses))
        except ssl.SSLError as problem:
            raise ShopRefused("tls", f"no TLS with the shop: {problem}") from problem
        except OSError as problem:
            raise ShopRefused("refused", f"no connection to the shop: {problem.strerror or problem}") from problem
        self._open.add(connection)
        return connection

    async def _at(self, address: str) -> ShopConnection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            partial(ShopConnection, loop, self._lost),
            address,
            self._name.port,
            ssl=self._tls,
            server_hostname=self._server_name if self._tls is not None else None,
            # whoever opens it waits no longer; uvloop holds what was given up until this is over
            ssl_handshake_timeout=self._limits.connect if self._tls is not None else None,
        )
        return connection

    async def _raced(self, addresses: Sequence[str]) -> ShopConnection:
        """The first connection to any of them (RFC 8305, 5); raises the first one's problem when there is none."""
        left = list(addresses)
        attempts: list[asyncio.Task[ShopConnection]] = []
        try:
            while True:
                if left:
                    attempts.append(asyncio.create_task(self._at(left.pop(0))))
                waiting = [attempt for attempt in attempts if not attempt.done()]
                if waiting:
                    await asyncio.wait(waiting, timeout=STAGGER if left else None, return_when=asyncio.FIRST_COMPLETED)
                for attempt in attempts:
                    if attempt.done() and attempt.exception() is None:
                        attempts.remove(attempt)
                        return attempt.result()
                if not left and all(attempt.done() for attempt in attempts):
                    return attempts[0].result()
        finally:
            for attempt in attempts:
                attempt.cancel()
                attempt.add_done_callback(_unwanted)

    def _lost(self, connection: ShopConnection) -> None:
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def _swept(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what has been idle for too long, and come again when the next one will have been."""
        self._sweep = None
        oldest = loop.time() - self._limits.keepalive
        while self._idle:
            connection, since = next(iter(self._idle.items()))
            if since > oldest:
                self._sweep = loop.call_at(since + self._limits.keepalive, self._swept, loop)
                return
            del self._idle[connection]
            connection.close()


def _unwanted(attempt: asyncio.Task[ShopConnection]) -> None:
    """Another address was faster, or nobody waits."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().abort()
