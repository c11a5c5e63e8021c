"""Connections to one address of the shop, lent for one exchange each.

Here: how many at once and who waits for one, which idle one may be used again, DNS, TLS and what fails in them.  Not
here: what is said over a connection (``exchange``, ``tunnel``), how the pool sees one (``connection``).  Called by
``transport``.  Finding, opening and keeping connections is aiohttp's: DNS with a time to live, happy eyeballs, TLS.

The limit is counted here and not by aiohttp, so that "all are at work" (``ShopBusy``, told to come back) is told apart
from "it does not answer" (``ShopTimeout``).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from pathlib import Path
from typing import cast

import aiohttp
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from edgeproxy.origin.connection import ShopConnection
from edgeproxy.origin.errors import ShopBusy, ShopRefused, ShopTimeout
from edgeproxy.origin.exchange import Lease
from edgeproxy.origin.patience import Limits

__all__ = ["Lender", "tls_context"]


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """TLS to the shop: certificates and names are verified, against ``ca_file`` where given, else the system's.

    Raises OSError or ssl.SSLError when the file cannot be read as PEM certificates.
    """
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    context.set_alpn_protocols(["http/1.1"])
    return context


class Lender:
    """Up to ``most`` connections to ``url``; ``name`` is asked for in TLS (SNI) and must stand in the certificate."""

    def __init__(self, url: URL, *, tls: ssl.SSLContext | None, name: str | None, limits: Limits, most: int) -> None:
        self._url = url
        self._tls = tls
        self._name = name
        self._limits = limits
        self._free = most
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._pool: aiohttp.TCPConnector | None = None
        self._address: aiohttp.ClientRequest | None = None
        self.lent = 0

    async def borrow(self, seconds: float, *, fresh: bool) -> tuple[Lease, ShopConnection]:
        """A connection that nothing waits on, within ``seconds``; ``fresh``: one that was never used.

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
            while True:
                lease = await self._connect(until - loop.time())
                connection = cast(ShopConnection, lease.protocol)
                young = loop.time() - connection.born < self._limits.age
                if connection.uses == 0 or (not fresh and young and connection.quiet()):
                    return _Loan(self, lease), connection
                lease.close()
        except BaseException:
            self.back()
            raise

    def back(self) -> None:
        """A place is free again: for whoever has waited longest."""
        self.lent -= 1
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    async def aclose(self) -> None:
        """Close every connection, idle or at work."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def _place(self, seconds: float) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await waiter
        except BaseException as problem:
            if waiter.done() and not waiter.cancelled():  # it was given one in the same moment
                self.lent += 1
                self.back()
            else:
                waiter.cancel()
            if isinstance(problem, TimeoutError):
                raise ShopBusy("busy", "every connection to the shop is at work") from None
            raise

    async def _connect(self, seconds: float) -> aiohttp.connector.Connection:
        limit = max(min(seconds, self._limits.connect), 0.001)
        pool, address = self._open()
        try:
            return await pool.connect(address, [], aiohttp.ClientTimeout(connect=limit, sock_connect=limit))
        except aiohttp.ClientConnectorDNSError as problem:
            raise ShopRefused("dns", f"the shop's name {self._url.host!r} does not resolve") from problem
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as problem:
            raise ShopRefused("tls", f"no TLS with the shop: {problem}") from problem
        except aiohttp.ClientConnectorError as problem:
            raise ShopRefused("refused", f"no connection to the shop: {problem.strerror}") from problem
        except TimeoutError as problem:
            raise ShopTimeout("connect", "no connection to the shop in time") from problem
        except aiohttp.ClientError as problem:
            raise ShopRefused("refused", f"no connection to the shop: {problem}") from problem

    def _open(self) -> tuple[aiohttp.TCPConnector, aiohttp.ClientRequest]:
        if self._pool is None or self._address is None:
            loop = asyncio.get_running_loop()
            self._pool = aiohttp.TCPConnector(
                limit=0,  # counted above
                keepalive_timeout=self._limits.keepalive,
                ttl_dns_cache=self._limits.dns,
                resolver=ThreadedResolver(),  # the system's own: /etc/hosts and all
            )
            self._pool._factory = lambda: ShopConnection(loop)  # type: ignore[assignment]
            self._address = aiohttp.ClientRequest(
                "GET", self._url, loop=loop, ssl=self._tls or True, server_hostname=self._name
            )
        return self._pool, self._address


class _Loan:
    """What is lent: given back once, whichever way."""

    __slots__ = ("_lease", "_lender")

    def __init__(self, lender: Lender, lease: Lease) -> None:
        self._lender = lender
        self._lease: Lease | None = lease

    def release(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()
            self._lender.back()

    def close(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.close()
            self._lender.back()
