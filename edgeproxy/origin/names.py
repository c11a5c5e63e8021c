"""Where the shop's name leads, as DNS says now, or said last.

Here: ``Name``, one name's addresses with a time to live.  Not here: connecting to one of them (``pool``, which asks).

Rules
-----
1. A name is looked up once for everybody who asks at the same time, and believed for some seconds.
2. What was known is used on where the resolver fails, or takes longer than ``HURRY``, for at most ``STALE`` seconds: an
   outage of DNS is no outage of the shop (RFC 8767).  A resolver that says that there is no such name is believed.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import Final

__all__ = ["HURRY", "STALE", "Name"]

HURRY: Final = 0.5
"""Seconds for which a resolver is waited for where something is known: the look-up goes on (RFC 8767, 5)."""
STALE: Final = 86400.0
"""Seconds for which it is used after its time (RFC 8767, 5: one to three days)."""

_GONE: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})

log = logging.getLogger("edgeproxy.origin")


class Name:
    """Where a name leads: its addresses, believed for ``ttl`` seconds."""

    def __init__(self, host: str, port: int, ttl: float) -> None:
        self.host = host
        self.port = port
        self._ttl = ttl
        self._known: list[str] = []
        self._until = 0.0  # it is believed
        self._at_most = 0.0  # it is used, by the loop's clock
        self._failing = False
        self._asking: asyncio.Task[None] | None = None
        try:
            ip_address(host)
        except ValueError:
            return
        self._known, self._until = [host], float("inf")

    async def addresses(self) -> Sequence[str]:
        """At least one, each time another one first; raises OSError or UnicodeError."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._until:
            if self._asking is None:
                self._asking = loop.create_task(self._looked_up(loop))
                self._asking.add_done_callback(self._told)
            if loop.time() < self._at_most:
                await self._hurried(loop, self._asking)
            else:
                await asyncio.shield(self._asking)  # who waits no longer does not take the answer from the others
        found = self._known
        self._known = [*found[1:], found[0]]
        return found

    def forget(self) -> None:
        """Nobody waits for an answer any more."""
        if self._asking is not None:
            self._asking.cancel()

    async def _hurried(self, loop: asyncio.AbstractEventLoop, asking: asyncio.Task[None]) -> None:
        """Wait for the answer, but not long, since there is another; raises where the answer is that there is none."""
        await asyncio.wait({asking}, timeout=HURRY)
        problem: BaseException | None = TimeoutError("the resolver does not answer")
        if asking.done():
            problem = None if asking.cancelled() else asking.exception()
        if problem is None:
            return
        if not isinstance(problem, OSError) or (isinstance(problem, socket.gaierror) and problem.errno in _GONE):
            raise problem
        self._until = max(self._until, loop.time() + self._ttl)  # nobody else waits in the meantime
        if not self._failing:
            why = problem.strerror or problem
            log.warning("%s cannot be looked up (%s): its last addresses are used", self.host, why)
        self._failing = True

    def _told(self, asked: asyncio.Task[None]) -> None:
        self._asking = None
        if not asked.cancelled():
            asked.exception()  # those who still waited were told

    async def _looked_up(self, loop: asyncio.AbstractEventLoop) -> None:
        found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        families: dict[int, list[str]] = {}
        for family, _, _, _, where in found:
            families.setdefault(family, []).append(str(where[0]))
        alternating = chain.from_iterable(zip_longest(*families.values()))
        known = [address for address in alternating if address is not None]
        if not known:
            raise OSError("the name has no address")
        if self._failing:
            log.info("%s is looked up again", self.host)
        self._failing = False
        self._known, self._until = known, loop.time() + self._ttl
        self._at_most = self._until + STALE
