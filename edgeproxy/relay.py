"""Relaying a connection that has left HTTP: WebSocket, and whatever else a shop answers a 101 to.

Here: whether a 101 may be believed, and the bytes of both directions with back-pressure, an idle limit and each
direction's own end.  Not here: which requests may ask for an upgrade (``sanitise``), the visitor's connection
(``server.exchange``), the shop's (``origin.tunnel``).  Called by ``proxy`` once the shop's 101 is there.

Nothing is read into the bytes: they are no HTTP any more, and no rule or preview touches them.  That makes a wrong 101
dangerous (whatever a visitor sends after it would reach the shop unjudged), so one is believed only where it names the
protocol that was asked for and, for WebSocket, proves that it was meant (RFC 6455, 4.1).
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha1
from typing import Any, Final, Protocol

from edgeproxy.counters import Counter, Counters
from edgeproxy.errors import CutShort
from edgeproxy.origin import ShopError

__all__ = ["Relay", "Stream", "disbelief"]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3

Lines = Sequence[tuple[bytes, bytes]]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class Stream(Protocol):
    """The shop's end: ``origin.tunnel.Tunnel``."""

    async def read(self) -> bytes: ...
    async def write(self, data: bytes, /) -> None: ...
    def end(self) -> None: ...
    async def aclose(self) -> None: ...


class Visitor(Protocol):
    """Where bytes for the visitor go: ``proxy.Answer``."""

    async def body(self, chunk: bytes, /) -> None: ...
    async def end(self) -> None: ...


def disbelief(asked: Lines, answered: Lines) -> str:
    """Why a 101 with these lines is no answer to a request with those; "" when it is one.  Names are lower-case."""
    wanted, given = _values(asked, b"upgrade"), _values(answered, b"upgrade")
    if len(given) != 1 or [value.lower() for value in given] != [value.lower() for value in wanted]:
        return "the shop switched to another protocol than was asked for"
    if wanted[0].lower() != b"websocket":
        return ""
    keys = _values(asked, b"sec-websocket-key")
    proof = b64encode(sha1(keys[0] + _GUID, usedforsecurity=False).digest()) if len(keys) == 1 else b""
    if not proof or _values(answered, b"sec-websocket-accept") != [proof]:
        return "the shop's 101 does not answer this WebSocket key"
    return ""


def _values(lines: Lines, name: bytes) -> list[bytes]:
    return [value.strip() for key, value in lines if key == name]


class Relay:
    """All relayed connections of one proxy; ``idle`` seconds without a byte in either direction end one."""

    def __init__(
        self, idle: float, counters: Counters | None = None, hit: Callable[[str], object] = lambda limit: None
    ) -> None:
        """``hit`` is told the name of the limit, when that ends one."""
        self._hit = hit
        counters = counters or Counters()
        self._idle = idle
        self.open = 0
        self.ends: Counter = counters.counter(
            "edgeproxy_upgrades_total", "Requests to leave HTTP (WebSocket), by how that ended", "end"
        )
        self._bytes = counters.counter("edgeproxy_upgrade_bytes_total", "Bytes relayed after a 101", "towards")
        counters.gauge("edgeproxy_upgrades_open", "Connections being relayed", lambda: {(): self.open})

    async def run(self, receive: Receive, visitor: Visitor, shop: Stream) -> None:
        """Relay until both directions have ended; raises CutShort where one breaks or both fall silent.

        Counted as "closed", "idle", "shop" (it broke), "visitor" (who left), "stopped" (the server does).
        """
        self.open += 1
        end = "fault"
        try:
            end = await self._run(receive, visitor, shop)
        except asyncio.CancelledError as cancelled:
            end = "visitor" if cancelled.args[:1] == ("the visitor left",) else "stopped"
            raise
        finally:
            self.open -= 1
            self.ends.add(end)
            if end == "idle":
                self._hit("upgrade_idle_seconds")
            await shop.aclose()
        if end != "closed":
            raise CutShort(end)

    async def _run(self, receive: Receive, visitor: Visitor, shop: Stream) -> str:
        loop = asyncio.get_running_loop()
        moved = loop.time()

        async def inward() -> str:
            nonlocal moved
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return "visitor"
                data: bytes = message.get("body", b"")
                more = message.get("more_body", False)
                if data:
                    moved = loop.time()
                    self._bytes.add("shop", by=len(data))
                    await shop.write(data)
                    moved = loop.time()
            shop.end()
            return ""

        async def outward() -> str:
            nonlocal moved
            while data := await shop.read():
                moved = loop.time()
                self._bytes.add("visitor", by=len(data))
                await visitor.body(data)
                moved = loop.time()
            await visitor.end()
            return ""

        going = {asyncio.create_task(inward()), asyncio.create_task(outward())}
        try:
            while going:
                left = moved + self._idle - loop.time()
                if left <= 0:
                    return "idle"
                done, going = await asyncio.wait(going, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if end := task.result():
                        return end
        except ShopError:
            return "shop"
        finally:
            for task in going:
                task.cancel()
            if going:
                await asyncio.wait(going)
        return "closed"
