"""What a worker has learnt to be old, on its way to its neighbours.

Here: collecting addresses, telling them in as few messages as there is time for.  Not here: which addresses those are
(``sharing``: an unsafe method was answered there), what a neighbour does with them (``worker``), the supervisor that
passes them on.  Each worker has a cache of its own, and the next click of who has just changed something may meet
another worker (RFC 9111, 4.4).

The visitor's answer does not wait for it: a payment must not hang on a worker that is busy.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from edgeproxy.server.control import Changed, Gone, Unable

__all__ = ["MOST", "SECONDS", "Spreading", "address"]

SECONDS: Final = 10.0  # for all the others to have heard

MOST: Final = 4096
"""Addresses that wait to be told; beyond, everything that is kept is called old."""

Tell = Callable[[Changed], Awaitable[object]]


class Spreading:
    """Of one worker; belongs to one event loop.  ``tell`` reaches the supervisor, and may raise as a channel does."""

    def __init__(self) -> None:
        self.tell: Tell | None = None  # None: there is nobody to tell yet
        self._waiting: dict[tuple[bytes, bytes], None] = {}
        self._everything = False
        self._telling: asyncio.Task[None] | None = None

    def __call__(self, host: bytes, path: bytes) -> None:
        """What is kept for this Host and raw path, whatever its query, is old."""
        if self.tell is None:
            return
        if len(self._waiting) >= MOST:
            self._everything = True
        else:
            self._waiting[host, path] = None
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell(self.tell))

    async def _tell(self, tell: Tell) -> None:
        try:
            while self._waiting or self._everything:
                places = [] if self._everything else [(host + path).decode("latin-1") for host, path in self._waiting]
                self._waiting.clear()
                self._everything = False
                with contextlib.suppress(Gone, Unable, TimeoutError):  # nobody is there: then nobody serves beside us
                    await tell(Changed(places))
        finally:
            self._telling = None


def address(place: str) -> tuple[bytes, bytes]:
    """Host and raw path of one of the ``places`` of a ``Changed``."""
    host, slash, path = place.partition("/")
    return host.encode("latin-1", "replace"), (slash + path).encode("latin-1", "replace")
