"""A recording relay between the proxy and a shop: what the shop was asked and what it answered, byte for byte.

Pages of a real shop hold tokens that differ in every response, so a page through the proxy can only be compared with
the very response it was made from.  The relay passes every message on exactly as it came (it re-frames nothing) and
keeps it; it opens a fresh connection to the shop per request, so that no connection of the shop's goes stale under it.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it reached the shop, and the shop's answer."""

    method: str
    target: str  # path and query, as on the wire
    request_head: bytes
    request_body: bytes
    status: int
    head: bytes
    body: bytes  # without transfer coding; content coding as the shop sent it

    def asked(self, name: str) -> list[str]:
        """The values of a request header, one per line."""
        return header_lines(self.request_head, name)

    def answered(self, name: str) -> list[str]:
        """The values of a response header, one per line."""
        return header_lines(self.head, name)


def header_lines(head: bytes, name: str) -> list[str]:
    """The values of a header in the head of a message, one per line, in order."""
    pairs = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return [value.strip().decode("latin-1") for key, _, value in pairs if key.lower() == name.lower().encode()]


class Broken(Exception):
    """The peer left, or sent what is not HTTP; the relay then closes, as a wire would."""


def read_head(source: BinaryIO) -> bytes:
    """Up to and including the empty line; ``b""`` when the peer ends before it says anything."""
    head = bytearray()
    while line := source.readline():
        head += line
        if line == b"\r\n":
            return bytes(head)
    if head:
        raise Broken("ended inside a head")
    return b""


def read_body(source: BinaryIO, head: bytes, *, to_the_end: bool) -> tuple[bytes, bytes]:
    """The body as it came and without its transfer coding (RFC 9112, section 6.3)."""
    if "chunked" in ",".join(header_lines(head, "transfer-encoding")).lower():
        raw, body = bytearray(), bytearray()
        while True:
            line = source.readline()
            size = int(line.split(b";")[0] or b"x", 16)
            raw += line
            if size == 0:
                while (line := source.readline()) not in {b"\r\n", b""}:
                    raw += line
                return bytes(raw + line), bytes(body)
            chunk = source.read(size + 2)
            raw += chunk
            body += chunk[:size]
    if lengths := header_lines(head, "content-length"):
        body_bytes = source.read(int(lengths[0]))
        return body_bytes, body_bytes
    rest = source.read() if to_the_end else b""
    return rest, rest


class Relay:
    """Listens on a free port of loopback and passes everything on to ``target``, which may be named later."""

    def __init__(self) -> None:
        self.target: tuple[str, int] | None = None
        self.exchanges: list[Exchange] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.base = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, name="relay", daemon=True)]
        self._threads[0].start()

    def forget(self) -> None:
        """Start a new record."""
        with self._lock:
            self.exchanges.clear()

    def of(self, target: str, method: str = "GET") -> list[Exchange]:
        """What was recorded for this path and query, oldest first."""
        with self._lock:
            return [one for one in self.exchanges if (one.method, one.target) == (method, target)]

    def last(self, target: str, method: str = "GET") -> Exchange:
        """The newest exchange for this path and query."""
        found = self.of(target, method)
        with self._lock:
            seen = sorted({f"{one.method} {one.target}" for one in self.exchanges})
        assert found, f"the shop was never asked for {method} {target}; it was asked for {seen}"
        return found[-1]

    def close(self) -> None:
        self._closing = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            still = list(self._open)
        for one in still:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), name="relay connection", daemon=True)
            self._threads.append(thread)
            thread.start()

    @contextmanager
    def _kept(self, one: socket.socket) -> Iterator[socket.socket]:
        with self._lock:
            self._open.add(one)
        try:
            yield one
        finally:
            with self._lock:
                self._open.discard(one)
            one.close()

    def _serve(self, client: socket.socket) -> None:
        with self._kept(client), client.makefile("rb") as requests, suppress(OSError, Broken, ValueError):
            while self._one(client, requests):
                pass

    def _one(self, client: socket.socket, requests: BinaryIO) -> bool:
        """Pass one request and its answer; True when the connection can carry another."""
        request_head = read_head(requests)
        if not request_head or self.target is None:
            return False
        request_raw, request_body = read_body(requests, request_head, to_the_end=False)
        method, target, _ = request_head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        with self._kept(socket.create_connection(self.target, 30)) as shop, shop.makefile("rb") as answers:
            shop.sendall(request_head + request_raw)
            while True:
                head = read_head(answers)
                if not head:
                    return False
                matched = re.match(rb"HTTP/1\.[01] (\d{3})", head)
                if not matched:
                    raise Broken("not a status line")
                status = int(matched[1])
                if status >= 200:
                    break
                client.sendall(head)
            bodiless = method == "HEAD" or status in {204, 304}
            raw, body = (b"", b"") if bodiless else read_body(answers, head, to_the_end=True)
        with self._lock:
            self.exchanges.append(Exchange(method, target, request_head, request_body, status, head, body))
        client.sendall(head + raw)
        framed = bodiless or header_lines(head, "content-length") or header_lines(head, "transfer-encoding")
        return bool(framed) and "close" not in ",".join(header_lines(head, "connection")).lower()
