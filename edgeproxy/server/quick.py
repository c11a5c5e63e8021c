"""A connection that answers out of the fast lane: what is ready leaves between two reads, with no task begun.

Here: giving a hit to the transport, and what the connection notes of it.  Not here: reading heads (``protocol``, which
asks), what is ready for whom (``fastlane``), deadlines (``connection``).  Without a lane it does nothing.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from edgeproxy.server.connection import Connection
from edgeproxy.server.exchange import LINES_PAUSE
from edgeproxy.server.head import LONGEST_HEAD

if TYPE_CHECKING:
    import asyncio

    from edgeproxy.server.fastlane import Familiar, FastLane, Found
    from edgeproxy.server.head import RequestLine

__all__ = ["QuickConnection"]

_NO_HEADS: Final[dict[bytes, Found]] = {}


class QuickConnection(Connection):
    """A visitor's connection, and the lane of its listener; a method without a docstring is asyncio's."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._blanks = 0  # bytes of empty lines since the last request
        self._lane: FastLane | None = None
        self._familiar: Familiar | None = None
        self._heads: dict[bytes, Found] = _NO_HEADS
        self._named = ""  # the other end's address as it is logged

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._lane = self.guard.lane
        if self._lane is not None:
            self._named = self._lane.named(self.address)
            self._familiar = self._lane.familiar(self.scheme or "http", self.trusted)
            self._heads = self._familiar.heads

    def _is_familiar(self, head: bytes) -> bool:
        """Look for what is ready for a head that is new in nothing that counts, and answer it."""
        lane, familiar = self._lane, self._familiar
        if lane is None or familiar is None or len(head) > LONGEST_HEAD:
            return False
        try:
            found = lane.seek(familiar, head)
        except Exception as problem:
            lane.fault(problem)
            return False
        if found is None or not self._is_answered(found):
            return False
        familiar.came(head, found)
        return True

    def _is_known(self, lane: FastLane, line: RequestLine, head: bytes) -> bool:
        """Look for what is ready for a head that has not come before, and answer it."""
        try:
            found = lane.find(
                line.method, line.target, self.headers, self.address, self.scheme or "http", closes=self._closes(line)
            )
        except Exception as problem:
            lane.fault(problem)
            return False
        if found is None or not self._is_answered(found):
            return False
        if self._familiar is not None and len(head) <= LONGEST_HEAD:
            try:
                lane.remember(self._familiar, head, self.headers, found)
            except Exception as problem:  # the answer has left
                lane.fault(problem)
        return True

    def _closes(self, line: RequestLine) -> bool:
        """The answer to the request that was read is the last of its connection (``protocol``)."""
        raise NotImplementedError

    def _is_answered(self, found: Found) -> bool:
        """Answer out of the fast lane; False where the app has to."""
        began = perf_counter()
        lane, transport = self._lane, self.transport
        if lane is None or self.flow.write_paused or self.guard.draining or transport.is_closing():
            return False
        try:
            made = lane.answer(found, self.server_state.default_headers, began)
        except Exception as problem:  # ours: the app answers as if there were no lane
            lane.fault(problem)
            return False
        if made is None:
            return False
        head, body = made
        closes = found.hit.closes
        if closes:
            head = head[:-2] + b"connection: close\r\n\r\n"
        self.written += len(head) + len(body)
        if body and LINES_PAUSE:
            transport.writelines((head, body))
        elif body:
            transport.write(head + body)
        else:
            transport.write(head)
        self.server_state.total_requests += 1
        self._blanks = 0
        self._idle = True
        self._since = None
        if closes:
            self._held.clear()
            transport.close()
        lane.left(found, self._named, perf_counter() - began)
        return True
