"""The PROXY protocol, v1 and v2: a trusted proxy begins each connection by saying whose it is.

Here: reading the header (``read``, pure) and waiting for it (``Announcing``).  Not here: who is trusted (``guard``),
HTTP (``protocol``), TLS (``tls``): both come after the header, on the same connection.

Source: https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt.  As it demands, nothing is guessed: where the
setting is on, a connection from a trusted proxy begins with a header or is closed, and what anybody else sends is no
header but a malformed request.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple, Protocol, cast

from edgeproxy.server.guard import Guard
from edgeproxy.server.head import Refused

__all__ = ["Announced", "Announcing", "BadHeader", "read"]

_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_TEXT_MOST: Final = 107  # bytes of a v1 header with its line end (2.1)
_BINARY_MOST: Final = 4096  # bytes of a v2 header: addresses, and what few values a proxy adds
_TEXT: Final = re.compile(rb"PROXY (?:UNKNOWN(?: [ -~]*)?|(TCP[46]) ([0-9A-Fa-f:.]+) [0-9A-Fa-f:.]+ ([0-9]+) [0-9]+)")
_TLS: Final = 0x20  # PP2_TYPE_SSL
_BY_TLS: Final = 0x01  # PP2_CLIENT_SSL


class BadHeader(ValueError):
    """What came is no header."""


class Announced(NamedTuple):
    """Whose connection it is: address and port, and whether they came by TLS to the proxy, where it says so."""

    client: tuple[str, int]
    tls: bool = False


def read(data: bytes | bytearray) -> tuple[Announced | None, int] | None:
    """The header at the beginning of ``data``, and how many bytes it takes; None while it is not all there.

    ``(None, size)``: the proxy speaks for itself (a health check), or does not know whose it is.  Raises BadHeader.
    """
    if data[: len(_SIGNATURE)] == _SIGNATURE[: len(data)]:
        return _binary(bytes(data))
    if data[:6] == b"PROXY "[: len(data)]:
        return _text(bytes(data[:_TEXT_MOST]))
    raise BadHeader("no PROXY header")


def _text(data: bytes) -> tuple[Announced | None, int] | None:
    end = data.find(b"\r\n")
    if end < 0:
        if len(data) == _TEXT_MOST:
            raise BadHeader("a line that is too long")
        return None
    match = _TEXT.fullmatch(data, 0, end)
    if match is None:
        raise BadHeader("a line that is no header")
    if match[1] is None:
        return None, end + 2
    try:
        kind = IPv4Address if match[1] == b"TCP4" else IPv6Address
        address, port = str(kind(match[2].decode())), int(match[3])
    except ValueError:
        raise BadHeader("an address that is none") from None
    if port > 65535:
        raise BadHeader("a port that is none")
    return Announced((address, port)), end + 2


def _binary(data: bytes) -> tuple[Announced | None, int] | None:
    if len(data) < 16:
        return None
    version, command = data[12] >> 4, data[12] & 15
    if version != 2 or command > 1:
        raise BadHeader("a version or command that is not known")
    size = 16 + int.from_bytes(data[14:16], "big")
    if size > _BINARY_MOST:
        raise BadHeader("a header that is too long")
    if len(data) < size:
        return None
    if command == 0:  # LOCAL
        return None, size
    inner = data[16:size]
    family = data[13]
    if family == 0x11:
        width = 4
    elif family == 0x21:
        width = 16
    else:  # a family that says nothing of an address over TCP: taken as the proxy's own (2.2)
        return None, size
    if len(inner) < 2 * width + 4:
        raise BadHeader("addresses that are cut off")
    address = str((IPv4Address if width == 4 else IPv6Address)(inner[:width]))
    port = int.from_bytes(inner[2 * width : 2 * width + 2], "big")
    return Announced((address, port), _came_by_tls(inner[2 * width + 4 :])), size


def _came_by_tls(values: bytes) -> bool:
    while len(values) >= 3:
        kind, size = values[0], int.from_bytes(values[1:3], "big")
        if kind == _TLS and 1 <= size <= len(values) - 3:
            return bool(values[3] & _BY_TLS)
        values = values[3 + size :]
    return False


class Next(Protocol):
    """What goes on after the header."""

    announced: Announced | None


class Announcing:
    """Begins every connection of a listener: a trusted proxy's with a header, any other as it is."""

    def __init__(self, guard: Guard, connect: Callable[[], asyncio.Protocol]) -> None:
        """``connect`` makes what goes on with the connection; it has an ``announced``."""
        self.guard = guard
        self.connect = connect
        self.waiting: dict[_Beginning, float | None] = {}  # since when, from the first tick on

    def __call__(self) -> asyncio.Protocol:
        return _Beginning(self)

    def tick(self, now: float) -> None:
        """Close those whose header does not come."""
        for each, since in tuple(self.waiting.items()):
            if since is None:
                self.waiting[each] = now
            elif now - since >= self.guard.limits.header_seconds:
                each.refuse(Refused(408, "a PROXY header that did not come", "header_seconds"))

    def abort(self) -> None:
        """Break them off."""
        for each in tuple(self.waiting):
            each.abort()


class _Beginning(asyncio.Protocol):
    """One connection until its header has come."""

    def __init__(self, announcing: Announcing) -> None:
        self._announcing = announcing
        self._data = bytearray()
        self._address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of it
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        guard = self._announcing.guard
        if not guard.trusts(self._address):
            self._go_on(None)
        elif guard.connections + len(self._announcing.waiting) >= guard.limits.connections:
            self.refuse(Refused(503, "too many connections", "connections"))
        else:
            self._announcing.waiting[self] = None

    def data_received(self, data: bytes) -> None:
        self._data += data
        try:
            found = read(self._data)
        except BadHeader as problem:
            self.refuse(Refused(400, str(problem), "proxy_protocol"))
            return
        if found is not None:
            announced, size = found
            del self._data[:size]
            self._go_on(announced)

    def connection_lost(self, exc: Exception | None) -> None:
        self._announcing.waiting.pop(self, None)

    def refuse(self, refused: Refused) -> None:
        """Close; who speaks another protocol would not understand an answer."""
        self._announcing.waiting.pop(self, None)
        self._announcing.guard.hit(refused, self._address)
        self._transport.abort()

    def abort(self) -> None:
        self._transport.abort()

    def _go_on(self, announced: Announced | None) -> None:
        self._announcing.waiting.pop(self, None)
        following = self._announcing.connect()
        cast(Next, following).announced = announced
        self._transport.set_protocol(following)
        following.connection_made(self._transport)
        if self._data:
            following.data_received(bytes(self._data))
