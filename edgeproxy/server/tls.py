"""TLS on our own listener: a certificate and its key, and a handshake that nobody can hold up.

Here: reading a pair and saying what is wrong with it, the context made of it, the handshake before HTTP.  Not here:
when a pair is read again (``supervisor``), TLS towards the shop (``origin``).

A pair is kept as one text (chain, then key), because a worker that starts while the files on disk are wrong must be
given the last good one.  A connection is counted, by its address too, from its first byte on: asyncio's own TLS
server tells of a connection only after the handshake, and would hold any number of half-open ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, cast

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from edgeproxy.core.model import Problem, Where
from edgeproxy.server.announced import Announced, Next
from edgeproxy.server.guard import Guard, source
from edgeproxy.server.head import Refused

__all__ = ["BadPair", "Front", "context_of", "read_pair"]

_KEY: Final = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_LOCKED: Final = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_MOST: Final = 1 << 20  # bytes of a PEM file


class BadPair(Exception):
    """A certificate and a key that cannot be used; ``problem`` says where, what, and what to do."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def _bad(place: Path, what: str, hint: str = "") -> BadPair:
    return BadPair(Problem(Where(str(place)), what, hint=hint))


def read_pair(certificate: Path, key: Path) -> str:
    """Chain and key as one PEM text that ``context_of`` takes; raises BadPair."""
    chain, secret = _read(certificate), _read(key)
    if _CERTIFICATE not in chain:
        raise _bad(certificate, "holds no certificate", "it is PEM text: -----BEGIN CERTIFICATE-----")
    if _LOCKED.search(secret):
        raise _bad(key, "is locked by a passphrase", "unlock it: openssl pkey -in FILE -out FILE.open")
    if not _KEY.search(secret):
        raise _bad(key, "holds no private key", "it is PEM text: -----BEGIN PRIVATE KEY-----")
    certificates = chain[chain.index(_CERTIFICATE) :] if not _KEY.search(chain) else _only_certificates(chain)
    pem = certificates.decode("latin-1") + "\n" + secret[secret.index(b"-----BEGIN") :].decode("latin-1")
    try:
        context_of(pem)
    except ssl.SSLError as problem:
        if problem.reason == "KEY_VALUES_MISMATCH":
            raise _bad(
                key, f"is not the key of the certificate in {certificate}", "was only one of them renewed?"
            ) from None
        raise _bad(certificate, f"cannot be used with {key}: {problem.reason or problem}") from None
    return pem


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except OSError as problem:
        raise _bad(path, f"cannot be read: {problem.strerror or problem}") from None
    if len(data) > _MOST:
        raise _bad(path, "is too long for a certificate or a key", "is it the right file?")
    return data


def _only_certificates(chain: bytes) -> bytes:
    """A file that holds the key too (many tools write one)."""
    found = re.findall(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", chain, re.DOTALL)
    return b"\n".join(found)


def context_of(pem: str) -> ssl.SSLContext:
    """TLS 1.2 and newer, Python's strong ciphers, HTTP/1.1 by ALPN; raises ssl.SSLError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # Debian's Python leaves it to the system
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    with _as_file(pem.encode("latin-1")) as name:  # the ssl module reads files only
        context.load_cert_chain(name, password=lambda: b"")  # never asked for on a terminal
    return context


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """A file name under which ``data`` can be read: in memory where the system has such files."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        file = os.memfd_create("pair")
        try:
            os.write(file, data)
            yield f"/proc/self/fd/{file}"
        finally:
            os.close(file)
    else:
        with tempfile.NamedTemporaryFile() as named:  # readable by us alone
            named.write(data)
            named.flush()
            yield named.name


# --------------------------------------------------------------------------- the handshake


class Front:
    """Greets connections before HTTP; called by the loop for each one.  ``context`` may be replaced at any time."""

    def __init__(self, context: ssl.SSLContext, guard: Guard, connect: Callable[[], asyncio.Protocol]) -> None:
        self.context = context
        self.guard = guard
        self.connect = connect
        self._greeted: dict[Arrival, str] = {}  # whose handshake is not done, and whose it counts as
        self._from: dict[str, int] = {}

    def __call__(self) -> asyncio.Protocol:
        return Arrival(self)

    @property
    def waiting(self) -> int:
        """Handshakes that are not done."""
        return len(self._greeted)

    def abort(self) -> None:
        """Break them off."""
        for each in tuple(self._greeted):
            each.abort()

    def comes(self, arrival: Arrival, address: str) -> str:
        """Count one in; the name of the limit that it is over, or ""."""
        limits = self.guard.limits
        whose = self._greeted[arrival] = "" if self.guard.trusts(address) else source(address)
        mine = self._from[whose] = self._from.get(whose, 0) + 1
        if self.guard.connections + len(self._greeted) > limits.connections:
            return "connections"
        most = limits.connections_per_address
        if most and whose and mine + self.guard.from_address(whose) > most:
            return "connections_per_address"
        return ""

    def goes(self, arrival: Arrival) -> None:
        """Count one out."""
        address = self._greeted.pop(arrival, None)
        if address is not None:
            self._from[address] -= 1
            if not self._from[address]:
                del self._from[address]


class Arrival(asyncio.Protocol):
    """One connection during its handshake; afterwards it hands over to HTTP, with what has come meanwhile."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self.announced: Announced | None = None  # whose it is, as a trusted proxy has said
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._early = bytearray()
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of it
        self._transport = transport
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        address = self.announced.client[0] if self.announced is not None else address
        over = self._front.comes(self, address)
        if over:
            self._front.goes(self)
            self._front.guard.hit(Refused(503, "too many connections", over), address)
            transport.abort()
            return
        transport.pause_reading()  # until start_tls reads: what comes earlier is the handshake's own
        self._task = asyncio.get_running_loop().create_task(self._greet(transport, address))

    def data_received(self, data: bytes) -> None:
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _hand_on(self, transport: asyncio.Transport) -> None:
        """Give TLS what came before it was there: uvloop begins to read whatever ``pause_reading`` says."""
        protocol: Any = transport.get_protocol()  # a buffered protocol, on both loops
        data = bytes(self._early)
        self._early.clear()
        while data and protocol is not self:
            room = protocol.get_buffer(len(data))
            size = min(len(room), len(data))
            room[:size] = data[:size]
            protocol.buffer_updated(size)
            data = data[size:]

    async def _greet(self, transport: asyncio.Transport, address: str) -> None:
        guard, limits = self._front.guard, self._front.guard.limits
        loop = asyncio.get_running_loop()
        secure: asyncio.Transport | None = None
        greeting = loop.create_task(
            loop.start_tls(
                transport,
                self,
                self._front.context,
                server_side=True,
                ssl_handshake_timeout=limits.header_seconds,
                ssl_shutdown_timeout=limits.linger_seconds,
            )
        )
        try:
            await asyncio.sleep(0)  # TLS has the transport
            await asyncio.sleep(0)  # and has begun
            self._hand_on(transport)
            secure = await greeting
        except (OSError, EOFError, RuntimeError) as problem:  # ssl.SSLError is an OSError
            slow = "taking longer" in str(problem)
            why = ("a handshake that did not come", "header_seconds") if slow else ("no TLS", "handshake")
            guard.hit(Refused(408 if slow else 400, *why), address)
            transport.abort()
        finally:
            self._front.goes(self)
        if secure is None or self._ended:
            if secure is not None:
                secure.abort()
            return
        secure.set_write_buffer_limits(HIGH_WATER_LIMIT)  # else 512 KB are encrypted for who reads nothing
        protocol = self._front.connect()
        cast(Next, protocol).announced = self.announced
        secure.set_protocol(protocol)
        protocol.connection_made(secure)
        if self._early:
            protocol.data_received(bytes(self._early))
