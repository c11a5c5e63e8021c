"""A whole proxy that serves on a real socket, raw shops behind it and raw clients before it, all in one event loop.

Called by tests of what leaves HTTP, which has to be seen on the wire.  Not here: the proxy without ports
(``tests.world``), ``edgeproxy serve`` as a process (``tests.e2e.running``), the server without the proxy
(``tests.server.wire``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from edgeproxy.app import Parts, build_app
from edgeproxy.sanitise import Sanitiser
from edgeproxy.server.binding import bind
from edgeproxy.server.guard import Guard
from edgeproxy.server.listener import Listener
from edgeproxy.settings import Limits, Settings
from edgeproxy.values import Address
from tests.world import KEYS, RULES, Books, book_of

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


@dataclass
class Front:
    """A proxy that serves."""

    port: int
    parts: Parts
    guard: Guard
    listener: Listener
    log: StringIO

    def counted(self, name: str) -> dict[str, float]:
        """A counter's values by its first label."""
        rows = self.parts.journal.counters.snapshot()[name]
        return {labels[0]: value for labels, value in rows}

    def ended(self) -> dict[str, float]:
        return self.counted("edgeproxy_upgrades_total")

    def logged(self) -> str:
        self.parts.journal.close()
        return self.log.getvalue()


@asynccontextmanager
async def proxy(
    *ports: int, limits: Limits | None = None, hosts: tuple[str, ...] = ("shop.example",), **settings: Any
) -> AsyncIterator[Front]:
    """The whole proxy on a free port, in front of a shop on ``ports``; its end is a graceful stop."""
    limits = limits or Limits()
    origin, *others = [f"http://127.0.0.1:{port}" for port in ports]
    log = StringIO()
    made = Settings(origin, Path(), KEYS, hosts=hosts, limits=limits, further_origins=tuple(others), **settings)
    parts = build_app(made, books=Books(book_of(RULES)), log_to=log)
    sock = bind(Address("127.0.0.1", 0), "--listen")
    guard = Guard(
        limits,
        trusts=Sanitiser.of(made).trusts,
        on_fault=parts.journal.fault,
        lane=parts.proxy.lane,
        passing=parts.proxy.passing,
    )
    listener = Listener.of(parts.proxy, guard, sock)
    port = sock.getsockname()[1]
    async with parts.running():
        await listener.start()
        try:
            yield Front(port, parts, guard, listener, log)
        finally:
            await listener.drain(grace=0, seconds=5, hurry=asyncio.Event())
            assert guard.connections == 0
            assert guard.tunnels == 0
            assert parts.journal.faults.get() == 0


@asynccontextmanager
async def shop(serve: Callable[[Reader, Writer, bytes], Awaitable[object]]) -> AsyncIterator[int]:
    """A shop that reads a head and then does as told; gives its port."""
    going: set[asyncio.Task[object]] = set()

    async def connected(reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        going.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await serve(reader, writer, await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in going:
            task.cancel()
        if going:
            await asyncio.wait(going)


@asynccontextmanager
async def client(port: int, send: bytes = b"") -> AsyncIterator[tuple[Reader, Writer]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(send)
        yield reader, writer
    finally:
        writer.transport.abort()
