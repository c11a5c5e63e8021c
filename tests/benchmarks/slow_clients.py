"""Slow clients of eight kinds against a running listener, by hand: how long each is borne, and who pays for it.

    python -m tests.benchmarks.slow_clients http://127.0.0.1:8080/ [--each 20] [--path /page] [--post /form]

Opens ``--each`` connections of every kind at once, and measures a healthy visitor's latencies before and meanwhile.
Prints a table: the longest that a connection of the kind was kept, and the healthy visitor's p50 and p99.  Not part of
the suite: times on a shared machine prove nothing by themselves (``tests/server/test_slow_clients.py`` holds the
same limits with a clock that is moved by hand).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import socket
import statistics
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

PATIENCE = 40.0  # seconds after which a connection counts as kept for ever
BOUND = 15.0


class Target:
    """Where it goes."""

    def __init__(self, url: str, path: str, post: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname, url
        self.host, self.tls = parts.hostname, parts.scheme == "https"
        self.port = parts.port or (443 if self.tls else 80)
        self.path, self.post = path, post

    def head(self, method: str, path: str, *lines: str) -> bytes:
        return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {self.host}", *lines, "", ""]).encode()

    async def open(self, *, window: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        sock = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        sock.setblocking(False)
        if window:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        await asyncio.get_running_loop().sock_connect(sock, (self.host, self.port))
        return await asyncio.open_connection(sock=sock, limit=window or 65536)


async def until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.read(65536):
            pass
    except ConnectionError:
        pass
    finally:
        writer.close()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes, every: float) -> None:
    closed = asyncio.create_task(until_closed(reader, writer))
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


async def header_drip(target: Target) -> None:
    reader, writer = await target.open()
    await drip(reader, writer, target.head("GET", target.path, "X-Slow: " + "x" * 500), 0.5)


async def body_drip(target: Target) -> None:
    reader, writer = await target.open()
    writer.write(target.head("POST", target.post, "Content-Length: 1000"))
    await drip(reader, writer, b"x" * 1000, 0.5)


async def slow_read(target: Target) -> None:
    """Asks for much and takes a little each second."""
    reader, writer = await target.open(window=1024)
    reader._transport.pause_reading()  # type: ignore[attr-defined] # what is taken is taken by hand
    writer.write(target.head("GET", target.path) * 50)
    sock = writer.get_extra_info("socket")._sock
    while is_open(sock):
        await asyncio.sleep(1)
        with contextlib.suppress(BlockingIOError, OSError):
            sock.recv(64)
    writer.close()


def is_open(sock: socket.socket) -> bool:
    """Whether the other end still holds this connection."""
    try:
        sock.getpeername()
    except OSError:
        return False
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


async def idle(target: Target) -> None:
    await until_closed(*await target.open())


async def half_open(target: Target) -> None:
    """Half a request, then silence: as a client whose network is gone."""
    reader, writer = await target.open()
    writer.write(target.head("GET", target.path)[:30])
    await until_closed(reader, writer)


async def pipelined_drip(target: Target) -> None:
    """A good request, and a second one behind it that never gets done."""
    reader, writer = await target.open()
    writer.write(target.head("GET", target.path))
    await drip(reader, writer, target.head("GET", target.path, "X-Slow: " + "x" * 500), 0.5)


async def tiny_window(target: Target) -> None:
    """Asks for much and takes nothing."""
    reader, writer = await target.open(window=1024)
    reader._transport.pause_reading()  # type: ignore[attr-defined] # nothing is taken
    writer.write(target.head("GET", target.path) * 50)
    while is_open(writer.get_extra_info("socket")):  # noqa: ASYNC110 - nobody says when
        await asyncio.sleep(0.2)
    writer.close()


async def handshake_stall(target: Target) -> None:
    """The first bytes of a TLS handshake, then silence (to a listener without TLS: nonsense)."""
    reader, writer = await target.open()
    writer.write(b"\x16\x03\x01\x02\x00\x01\x00")
    await until_closed(reader, writer)


KINDS: dict[str, Callable[[Target], Awaitable[None]]] = {
    "header drip": header_drip,
    "body drip": body_drip,
    "slow read": slow_read,
    "idle": idle,
    "half-open": half_open,
    "pipelined drip": pipelined_drip,
    "tiny window": tiny_window,
    "handshake stall": handshake_stall,
}


async def kept(kind: Callable[[Target], Awaitable[None]], target: Target) -> float:
    began = time.perf_counter()
    with contextlib.suppress(TimeoutError, OSError):
        await asyncio.wait_for(kind(target), PATIENCE)
    return time.perf_counter() - began


async def healthy(target: Target, stop: asyncio.Event, rate: float = 50.0) -> list[float]:
    """Latencies of a visitor who asks at a fixed rate, in seconds."""
    found: list[float] = []
    reader, writer = await target.open()
    while not stop.is_set():
        began = time.perf_counter()
        try:
            writer.write(target.head("GET", target.path))
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            found.append(time.perf_counter() - began)
        except (ConnectionError, asyncio.IncompleteReadError):
            reader, writer = await target.open()
        await asyncio.sleep(max(0.0, 1 / rate - (time.perf_counter() - began)))
    writer.close()
    return found


def told(latencies: list[float]) -> str:
    if len(latencies) < 10:
        return f"{'(over at once)':36} of {len(latencies)}"
    ranks = statistics.quantiles(latencies, n=100)
    return f"p50 {ranks[49] * 1000:6.1f} ms   p99 {ranks[98] * 1000:6.1f} ms   of {len(latencies)}"


async def measured(target: Target, seconds: float) -> list[float]:
    stop = asyncio.Event()
    asking = asyncio.create_task(healthy(target, stop))
    await asyncio.sleep(seconds)
    stop.set()
    return await asking


async def main(target: Target, each: int) -> int:
    print(f"{each} connections of each kind, at most {PATIENCE:g} s")
    print("quiet            ", told(await measured(target, 5)), flush=True)
    late = 0
    for name, kind in KINDS.items():
        stop = asyncio.Event()
        asking = asyncio.create_task(healthy(target, stop))
        longest = max(await asyncio.gather(*(kept(kind, target) for _ in range(each))))
        stop.set()
        late += longest > BOUND
        mark = "  TOO LONG" if longest > BOUND else ""
        print(f"{name:17} {told(await asking)}   kept {longest:5.1f} s{mark}", flush=True)
    return 1 if late else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--path", default="/")
    parser.add_argument("--post", default="/")
    said = parser.parse_args()
    raise SystemExit(asyncio.run(main(Target(said.url, said.path, said.post), said.each)))
