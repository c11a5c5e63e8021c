"""Slow clients of eight kinds: each is let go within 15 seconds, and meanwhile others are served as ever.

Seven on a connection in memory with a clock that is moved by hand, with the limits as they are by default; the eighth,
a TLS handshake that stalls, is ``test_tls``'s.  ``python -m tests.benchmarks.slow_clients`` measures all eight.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from edgeproxy.server.listener import UNSENT
from edgeproxy.settings import Limits
from tests.server.apps import Shop, answer
from tests.server.test_tls import on_both_loops
from tests.server.wire import Noted, Pipe, answers, pipe, run, serving

BOUND: Final = 15.0  # seconds
TICK: Final = 0.5
GET: Final = b"GET /page HTTP/1.1\r\nHost: shop.test\r\n\r\n"
ENDLESS: Final = b"GET /page HTTP/1.1\r\nHost: shop.test\r\nX-Slow: " + b"x" * 1000
POST: Final = b"POST /page HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 100000\r\n\r\n"
PAGE: Final = b"x" * 200_000

Kind = Callable[[Pipe], Iterator[None]]


def header_drip(connection: Pipe) -> Iterator[None]:
    for byte in ENDLESS:
        connection.feed(bytes([byte]))
        yield


def body_drip(connection: Pipe) -> Iterator[None]:
    connection.feed(POST)
    while True:
        yield
        connection.feed(b"x" * 100)  # 200 bytes a second


def slow_read(connection: Pipe) -> Iterator[None]:
    connection.feed(GET)
    connection.waiting = len(PAGE)
    while True:
        yield
        connection.waiting -= 100


def idle(connection: Pipe) -> Iterator[None]:
    while True:
        yield


def idle_after_a_request(connection: Pipe) -> Iterator[None]:
    connection.feed(GET)
    while True:
        yield


def half_open(connection: Pipe) -> Iterator[None]:
    connection.feed(ENDLESS[:30])
    while True:
        yield


def pipelined_drip(connection: Pipe) -> Iterator[None]:
    connection.feed(GET)
    yield from header_drip(connection)


def tiny_window(connection: Pipe) -> Iterator[None]:
    connection.feed(GET)
    connection.waiting = len(PAGE)
    while True:
        yield


async def app(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await answer(send, 200, PAGE)


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        (header_drip, "header_seconds"),
        (body_drip, "rate_bytes"),
        (slow_read, "rate_bytes"),
        (idle, "header_seconds"),
        (idle_after_a_request, "idle_seconds"),
        (half_open, "header_seconds"),
        (pipelined_drip, "header_seconds"),
        (tiny_window, "rate_bytes"),
    ],
    ids=lambda each: each.__name__.replace("_", " ") if callable(each) else None,
)
def test_who_is_slow_is_let_go_and_counted_and_others_do_not_wait(kind: Kind, limit: str) -> None:
    async def test() -> None:
        noted = Noted()
        guard = noted.guard(Limits())
        told: list[str] = []
        guard.on_limit = told.append
        shop = Shop()
        slow = [pipe(app, guard) for _ in range(20)]
        steps = [kind(connection) for connection in slow]
        now = 0.0
        while any(not connection.closed for connection in slow):
            assert now <= BOUND, f"kept for over {BOUND:g} s"
            for connection, step in zip(slow, steps, strict=True):
                if not connection.closed and not connection.ended:
                    next(step)
                await connection.settle()
            healthy = pipe(shop, guard)
            assert [each.status for each in answers(await healthy.say(GET))] == [200]
            healthy.leave()
            guard.tick(now)
            now += TICK
        refused = limit not in ("idle_seconds", "linger_seconds")
        assert noted.limits == ([limit] * 20 if refused else [])
        assert refused or told == [limit] * 20
        await slow[-1].settle()
        assert guard.connections == 0

    run(test())


async def film(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, 200, b"x" * 8_000_000)


@asynccontextmanager
async def blind(port: int) -> AsyncIterator[socket.socket]:
    """A client with a small window, who has asked for a film and seen its first bytes."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", port))
        await loop.sock_sendall(sock, GET)
        assert await loop.sock_recv(sock, 64)
        yield sock


async def rest(sock: socket.socket, taken: list[bytes]) -> None:
    """Read to an ordinary end, which there must not be: what was sent would look whole."""
    while piece := await asyncio.get_running_loop().sock_recv(sock, 65536):
        taken.append(piece)


def test_what_a_slow_reader_did_not_take_is_given_up_by_the_system_too() -> None:
    """A plain close leaves it with the kernel, which offers it for minutes: a reset is what frees it."""

    async def test() -> None:
        async with serving(film) as served, blind(served.port) as sock:
            while not next(iter(served.guard._open)).transport.get_write_buffer_size():  # noqa: ASYNC110
                await asyncio.sleep(0)
            for now in (0.0, 10.0):
                served.listener.tick(now)
            while served.guard.connections:  # noqa: ASYNC110 - nobody says when
                await asyncio.sleep(0)
            taken: list[bytes] = []
            with pytest.raises(ConnectionResetError):
                await rest(sock, taken)
            assert len(b"".join(taken)) < 200_000

    on_both_loops(test)


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system cannot be told")
def test_the_system_takes_little_for_who_reads_nothing() -> None:
    """Its buffers grow to megabytes a connection, and every pipelined answer that fits there is made for nobody."""

    async def test() -> None:
        many = GET * 100
        async with serving(film) as served, blind(served.port) as sock:
            await asyncio.get_running_loop().sock_sendall(sock, many)
            [connection] = served.guard._open
            seen = -1
            while seen != connection.written:  # the app is let go on until it waits
                seen = connection.written
                for _ in range(100):
                    await asyncio.sleep(0)
            taken = connection.written - connection.transport.get_write_buffer_size()
            assert taken < UNSENT + 100_000
            connection.reset()

    on_both_loops(test)
