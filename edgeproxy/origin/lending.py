"""Connections to one address of the shop, lent for one exchange each.

Here: how many at once, who waits for one, which idle one may be used again.  Not here: how one is opened and kept
(``pool``), what is said over it (``exchange``, ``tunnel``).  Called by ``transport``.

"All are at work" (``ShopBusy``, told to come back) is told apart from "it does not answer" (``ShopTimeout``).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

from edgeproxy.origin.connection import ShopConnection
from edgeproxy.origin.errors import ShopBusy
from edgeproxy.origin.exchange import Lease
from edgeproxy.origin.patience import Limits
from edgeproxy.origin.pool import Pool

__all__ = ["RECENT", "Lender", "tls_context"]

RECENT = 1.0
"""Seconds: who may be asked only once is not asked on a connection that has been idle for longer.

Shops close idle connections when they like, after 2 seconds (gunicorn) or 5 (Node, Apache).  An order that crosses
such an end on its way is lost, since nobody knows whether it has arrived (RFC 9112, 9.3.1 and 9.5).
"""


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """TLS (1.2 and newer) to the shop: certificates and names are verified, against ``ca_file``, else the system's.

    Raises OSError or ssl.SSLError when the file cannot be read as PEM certificates.
    """
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


class Lender:
    """Up to ``most`` connections out of ``pool``; ``limit`` is that number's name, ``hit`` is told of limits."""

    def __init__(
        self,
        pool: Pool,
        limits: Limits,
        most: int,
        *,
        limit: str = "origin_connections",
        hit: Callable[[str], object] = lambda limit: None,
    ) -> None:
        self._pool = pool
        self._limits = limits
        self._limit = limit
        self._hit = hit
        self._free = most
        self._waiting: dict[asyncio.Future[None], None] = {}  # in the order in which they came
        self.lent = 0

    async def borrow(self, seconds: float, *, fresh: bool, recent: bool = False) -> tuple[Lease, ShopConnection]:
        """A connection that nothing waits on, within ``seconds``.

        ``fresh``: one that was never used; ``recent``: one that was used within ``RECENT`` seconds, or never.

        Raises ShopBusy, ShopRefused, ShopTimeout("connect").
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if self._free:
            self._free -= 1
        else:
            await self._place(min(seconds, self._limits.connect))
        self.lent += 1
        try:
            used = loop.time() - RECENT if recent else 0.0
            connection = None if fresh else self._idle(loop.time() - self._limits.age, used)
            if connection is None:
                connection = await self._pool.open(until - loop.time())
        except BaseException:
            self.back()
            raise
        return _Loan(self, connection), connection

    def at_hand(self) -> tuple[Lease, ShopConnection] | None:
        """An idle connection, here and now; None where somebody has to wait for one, or open it."""
        if not self._free or self._waiting:
            return None
        connection = self._idle(asyncio.get_running_loop().time() - self._limits.age)
        if connection is None:
            return None
        self._free -= 1
        self.lent += 1
        return _Loan(self, connection), connection

    def back(self) -> None:
        """A place is free again: for whoever has waited longest."""
        self.lent -= 1
        while self._waiting:
            waiter = next(iter(self._waiting))
            del self._waiting[waiter]
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    async def aclose(self) -> None:
        """Close every connection, idle or at work."""
        await self._pool.aclose()

    def give_back(self, connection: ShopConnection) -> None:
        """It may be used again, by whoever comes next."""
        self._pool.keep(connection)
        self.back()

    def _idle(self, born_after: float, used: float = 0.0) -> ShopConnection | None:
        """One that can be used again; those that cannot are closed on the way."""
        while (connection := self._pool.idle(used)) is not None:
            if connection.born <= born_after:
                self._hit("origin_connection_seconds")
            elif connection.quiet():
                return connection
            connection.abort()
        return None

    async def _place(self, seconds: float) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = None
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await waiter
        except BaseException as problem:
            self._waiting.pop(waiter, None)
            if waiter.done() and not waiter.cancelled():  # it was given one in the same moment
                self.lent += 1
                self.back()
            else:
                waiter.cancel()
            if isinstance(problem, TimeoutError):
                raise ShopBusy("busy", "every connection to the shop is at work", self._limit) from None
            raise


class _Loan:
    """What is lent: given back once, whichever way."""

    __slots__ = ("_connection", "_lender")

    def __init__(self, lender: Lender, connection: ShopConnection) -> None:
        self._lender = lender
        self._connection: ShopConnection | None = connection

    def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._lender.give_back(connection)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self._lender.back()
