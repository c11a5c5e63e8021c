"""A guarded connection to test against: in memory, piece by piece, or over a real socket on a free port.

``Pipe`` is deterministic: what is fed is processed before ``feed`` returns, ``settle`` lets apps run until nothing
moves.  ``serving`` is the same listener on loopback, for what only a socket shows.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import httptools
import uvicorn
from uvicorn.server import ServerState

from edgeproxy.server.binding import bind
from edgeproxy.server.connection import TURN
from edgeproxy.server.guard import Guard
from edgeproxy.server.head import Refused
from edgeproxy.server.listener import Listener
from edgeproxy.server.protocol import GuardProtocol, factory
from edgeproxy.settings import Limits
from edgeproxy.values import Address

App = Callable[[Any, Any, Any], Awaitable[None]]
T = TypeVar("T")

DATE = (b"date", b"Mon, 01 Jun 2026 12:00:00 GMT")


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run one asynchronous test to its end."""
    return asyncio.run(test)


@dataclass
class Noted:
    """What the guard told: refusals and faults, in order."""

    refusals: list[Refused] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)

    def guard(self, limits: Limits = Limits(), trusted: Iterable[str] = ()) -> Guard:  # noqa: B008 - frozen
        believed = frozenset(trusted)
        return Guard(
            limits,
            trusts=lambda address: address in believed,
            on_refusal=lambda refused, address, request_id: self.refusals.append(refused),
            on_fault=self.faults.append,
        )

    @property
    def statuses(self) -> list[int]:
        return [refused.status for refused in self.refusals]

    @property
    def limits(self) -> list[str]:
        return [refused.limit for refused in self.refusals]


class Pipe(asyncio.Transport):
    """A connection without a socket: the transport of one ``GuardProtocol``, and the client's end of it."""

    def __init__(self, protocol: GuardProtocol, peer: str = "127.0.0.1") -> None:
        super().__init__({"peername": (peer, 50000), "sockname": ("127.0.0.1", 80)})
        self.protocol = protocol
        self.loop = asyncio.get_running_loop()
        self.out = bytearray()  # everything that left
        self.writes = 0  # how often something was given to the system
        self.gathered = 0  # how often as several buffers
        self.ended = False  # our side was closed after it
        self.closed = False
        self.aborted = False
        self.paused = False
        self.waiting = 0  # bytes that the client has not taken yet (set by tests)
        self._queue: list[bytes] = []
        protocol.connection_made(self)

    # the client's end

    @property
    def state(self) -> str:
        """ "open", "ended" (our side closed, still read), "closed" or "aborted"."""
        if self.closed:
            return "aborted" if self.aborted else "closed"
        return "ended" if self.ended else "open"

    def feed(self, data: bytes) -> None:
        """Send; bytes wait while the guard does not read, and are lost when it has gone."""
        self._queue.append(data)
        self._pump()

    async def settle(self) -> None:
        """Let apps run until nothing moves any more."""
        for turn in range(1000):
            await asyncio.sleep(0)
            if turn > 2 and not self.protocol.tasks and self.protocol._phase != TURN:
                break

    async def say(self, *pieces: bytes) -> bytes:
        """Feed pieces, each processed before the next; everything that has left since the beginning."""
        for piece in pieces:
            self.feed(piece)
            await self.settle()
        await self.settle()
        return bytes(self.out)

    def leave(self) -> None:
        """The client is gone."""
        if not self.closed:
            self.closed = True
            self.protocol.connection_lost(None)

    def _pump(self) -> None:
        while self._queue and not self.paused and not self.closed:
            self.protocol.data_received(self._queue.pop(0))

    # the transport

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        assert not self.ended, "bytes after the end"
        if not self.closed:
            self.out += data
            self.writes += 1

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.gathered += 1
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        if not self.closed:
            self.aborted = self.closed = True
            self.loop.call_soon(self.protocol.connection_lost, ConnectionAbortedError())

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False
        self.loop.call_soon(self._pump)

    def get_write_buffer_size(self) -> int:
        return self.waiting


def config(app: App) -> uvicorn.Config:
    """uvicorn's configuration as ``Listener`` makes it."""
    made = uvicorn.Config(
        app,
        http=GuardProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    made.load()
    return made


def pipe(app: App, guard: Guard, *, peer: str = "127.0.0.1", state: ServerState | None = None) -> Pipe:
    """A new connection to the app; needs a running loop."""
    if state is None:
        state = ServerState()
    state.default_headers = [DATE]
    return Pipe(factory(config(app), state, {}, guard)(), peer)


@dataclass(frozen=True)
class Answer:
    """One answer as a client reads it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    complete: bool

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key == name), None)


class _Reader:
    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self._parser = httptools.HttpResponseParser(self)

    def on_message_begin(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._begun = False
        self._add(complete=True)

    def _add(self, *, complete: bool) -> None:
        self.answers.append(Answer(self._parser.get_status_code(), tuple(self._headers), self._body, complete))

    def read(self, data: bytes) -> list[Answer]:
        self._begun = False
        self._parser.feed_data(data)
        if self._begun:
            self._add(complete=False)
        return self.answers


def answers(data: bytes) -> list[Answer]:
    """The answers in what left a connection; one that is cut comes last, incomplete."""
    return _Reader().read(data)


def masked(data: bytes) -> bytes:
    """Without what differs from run to run: request ids, and the length of what holds them."""
    return re.sub(rb"[0-9a-f]{16}", b"~", data)


@dataclass
class Served:
    """A listener on a free port of loopback."""

    port: int
    guard: Guard
    noted: Noted
    listener: Listener

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, *pieces: bytes) -> bytes:
        """Send on a connection of its own, read until it is closed."""
        reader, writer = await self.connect()
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        data = await reader.read()
        writer.close()
        return data


@asynccontextmanager
async def serving(app: App, limits: Limits = Limits(), trusted: Iterable[str] = ()) -> AsyncIterator[Served]:  # noqa: B008
    """Serve an app on a free port until the block ends; its end is a graceful stop."""
    noted = Noted()
    guard = noted.guard(limits, trusted)
    sock = bind(Address("127.0.0.1", 0), "--listen")
    listener = Listener.of(app, guard, sock)
    await listener.start()
    port = cast(int, sock.getsockname()[1])
    try:
        yield Served(port, guard, noted, listener)
    finally:
        await listener.drain(grace=0, seconds=5, hurry=asyncio.Event())
        assert guard.connections == 0
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
