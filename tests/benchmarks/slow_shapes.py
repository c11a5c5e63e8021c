"""How a client can be slow, in eight shapes, and how the same load looks when nobody is; one process for each.

Here: what each connection does.  Not here: whose latencies are looked at meanwhile (``slow_clients``, which calls
``run`` in a process of its own, so that a visitor's waiting is never that of the one who measures).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["ORDINARY", "PATIENCE", "SHAPES", "TLS_SHAPE", "Target", "run"]

PATIENCE: Final = 40.0  # seconds after which a connection counts as kept for ever
PIPELINED: Final = 50  # requests that a slow reader asks for at once
ORDINARY: Final = "ordinary"
TLS_SHAPE: Final = "TLS handshake stall"
HELLO: Final = b"\x16\x03\x01\x02\x00\x01\x00"  # the first bytes of a TLS handshake


@dataclass(frozen=True)
class Target:
    """Where it goes."""

    url: str  # http://host:port or https://host:port
    path: str
    post: str

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def place(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return self.host, parts.port or (443 if parts.scheme == "https" else 80)

    def head(self, method: str, path: str, *lines: str) -> bytes:
        return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {self.host}", *lines, "", ""]).encode()

    def tls(self) -> ssl.SSLContext | None:
        """What it speaks; whose certificate it is, is nobody's business here."""
        if not self.url.startswith("https:"):
            return None
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    async def open(
        self, *, window: int = 0, plainly: bool = False
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, socket.socket]:
        sock = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        sock.setblocking(False)
        if window:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        await asyncio.get_running_loop().sock_connect(sock, self.place)
        tls = None if plainly else self.tls()
        more: dict[str, Any] = {"ssl": tls, "server_hostname": self.host} if tls else {}
        reader, writer = await asyncio.open_connection(sock=sock, limit=window or 65536, **more)
        return reader, writer, sock


async def _until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.read(65536):
            pass
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes, every: float) -> None:
    closed = asyncio.create_task(_until_closed(reader, writer))
    try:
        for byte in data:
            if closed.done():
                break
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.wait({closed}, timeout=every)
    except ConnectionError:
        pass
    await closed


def _is_open(sock: socket.socket) -> bool:
    """Whether the other end still holds this connection."""
    try:
        sock.getpeername()
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    except OSError:
        return False


async def _header_drip(target: Target) -> None:
    reader, writer, _ = await target.open()
    await _drip(reader, writer, target.head("GET", target.path, "X-Slow: " + "x" * 500), 0.5)


async def _body_drip(target: Target) -> None:
    reader, writer, _ = await target.open()
    writer.write(target.head("POST", target.post, "Content-Length: 1000"))
    await _drip(reader, writer, b"x" * 1000, 0.5)


async def _much_asked_for(target: Target, taken: int) -> None:
    """Asks for much, and takes so many bytes each second."""
    reader, writer, sock = await target.open(window=1024)
    reader._transport.pause_reading()  # type: ignore[attr-defined] # what is taken is taken by hand
    writer.write(target.head("GET", target.path) * PIPELINED)
    looked = 0
    while _is_open(sock):
        await asyncio.sleep(0.1)
        looked += 1
        if taken and looked % 10 == 0:
            with contextlib.suppress(OSError):
                sock.recv(taken)
    writer.close()


async def _slow_read(target: Target) -> None:
    await _much_asked_for(target, 64)


async def _tiny_window(target: Target) -> None:
    await _much_asked_for(target, 0)


async def _idle(target: Target) -> None:
    reader, writer, _ = await target.open()
    await _until_closed(reader, writer)


async def _half_open(target: Target) -> None:
    """Half a request, then silence: as a client whose network is gone."""
    reader, writer, _ = await target.open()
    writer.write(target.head("GET", target.path)[:30])
    await _until_closed(reader, writer)


async def _pipelined_drip(target: Target) -> None:
    """A good request, and a second one behind it that never gets done."""
    reader, writer, _ = await target.open()
    writer.write(target.head("GET", target.path))
    await _drip(reader, writer, target.head("GET", target.path, "X-Slow: " + "x" * 500), 0.5)


async def _handshake_stall(target: Target) -> None:
    """The first bytes of a TLS handshake, then silence."""
    reader, writer, _ = await target.open(plainly=True)
    writer.write(HELLO)
    await _until_closed(reader, writer)


@dataclass(frozen=True)
class Shape:
    """How one connection is slow, and how many requests it asks to be answered meanwhile."""

    run: Callable[[Target], Awaitable[None]]
    requests: int = 0


SHAPES: Final = {
    "header drip": Shape(_header_drip),
    "body drip": Shape(_body_drip),
    "slow read": Shape(_slow_read, PIPELINED),
    "idle": Shape(_idle),
    "half-open": Shape(_half_open),
    "pipelined drip": Shape(_pipelined_drip, 1),
    "tiny window": Shape(_tiny_window, PIPELINED),
    TLS_SHAPE: Shape(_handshake_stall),
}


async def _ordinary(target: Target, requests: int) -> None:
    """Nobody is slow: so many requests, each as soon as the one before it is answered."""
    reader, writer, _ = await target.open()
    for _ in range(max(1, requests)):
        writer.write(target.head("GET", target.path))
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
        await reader.readexactly(int(found[1]) if found else 0)
    writer.close()


async def _kept(one: Awaitable[None]) -> float:
    began = time.perf_counter()
    with contextlib.suppress(TimeoutError, OSError, asyncio.IncompleteReadError):
        await asyncio.wait_for(one, PATIENCE)
    return time.perf_counter() - began


async def _all(name: str, target: Target, each: int, requests: int) -> float:
    ones = (_ordinary(target, requests) if name == ORDINARY else SHAPES[name].run(target) for _ in range(each))
    return max(await asyncio.gather(*map(_kept, ones)))


def run(name: str, target: Target, each: int, requests: int, ready: Any, go: Any, told: Any) -> None:
    """In a process of its own: say ``ready``, wait for ``go``, put into ``told`` how long the longest was kept."""
    ready.set()
    go.wait()
    told.put(asyncio.run(_all(name, target, each, requests)))
