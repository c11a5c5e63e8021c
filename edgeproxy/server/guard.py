"""What all connections of a listener share: limits, who is trusted, the clock's hand, counters, the engine's check.

Here: ``Guard`` and ``check_engine``.  Not here: one connection (``protocol``), sockets and the clock (``listener``).

Deadlines need no timer per connection: once every ``TICK`` seconds the guard looks at each connection, which says by
its own state what it is waiting for and how much has moved since the last look.  A deadline is therefore kept up to
two ticks late and never early, and tests move the time by hand.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from edgeproxy.errors import ErrorPages
from edgeproxy.sanitise import new_request_id
from edgeproxy.settings import Limits

if TYPE_CHECKING:
    from edgeproxy.passing import Passing
    from edgeproxy.server.connection import Connection
    from edgeproxy.server.fastlane import FastLane
    from edgeproxy.server.head import Refused

__all__ = ["TICK", "UVICORN", "EngineMismatch", "Guard", "check_engine", "source"]

TICK: Final = 0.5
UVICORN: Final = (0, 54)
"""The minor version whose insides the guard builds on."""

_log = logging.getLogger("edgeproxy.server")


class EngineMismatch(RuntimeError):
    """What is installed under us is not what the guard was built and tested on; the message says what to do."""


def source(address: str) -> str:
    """Whose connections are counted together: those of an IPv4 address, those of an IPv6 network of 64 bits.

    A subscriber is given at least such a network, and may come from each of its addresses (RFC 6177, RFC 7934).
    """
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))


class Guard:
    """Shared by the connections of one listener."""

    def __init__(
        self,
        limits: Limits,
        *,
        trusts: Callable[[str], bool] = lambda address: False,
        errors: Callable[[], ErrorPages] = ErrorPages,
        on_refusal: Callable[[Refused, str, str], None] | None = None,
        on_fault: Callable[[BaseException], None] | None = None,
        on_limit: Callable[[str], object] = lambda limit: None,
        lane: FastLane | None = None,
        passing: Passing | None = None,
    ) -> None:
        """``on_refusal`` gets the refusal, the other end's address, the request id; ``on_fault`` an app's exception.

        ``on_limit`` is told the name of a limit that ends a connection without anybody being refused.
        """
        self.limits = limits
        self.lane = lane  # what may be answered without the app
        self.passing = passing  # what may pass without it
        self.errors = errors  # the pages of the moment
        self.draining = False  # a stop has begun: every answer closes its connection
        self.tunnels = 0  # connections that have left HTTP: their apps run, and are no requests at work
        self.trusts = trusts
        self._on_refusal = on_refusal
        self._on_fault = on_fault
        self.on_limit = on_limit
        self._open: dict[Connection, str] = {}  # and whose it counts as; "": nobody's, a trusted proxy's
        self._by_source: dict[str, int] = {}

    @property
    def passages(self) -> int:
        """Requests at work for which no app runs."""
        return 0 if self.passing is None else self.passing.at_work

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def from_address(self, address: str) -> int:
        """How many of them come from there."""
        return self._by_source.get(source(address), 0)

    def opened(self, connection: Connection) -> str:
        """Count a new connection in; the name of the limit that it is over, or ""."""
        whose = self._open[connection] = "" if connection.trusted else source(connection.address)
        if whose:
            self._by_source[whose] = self._by_source.get(whose, 0) + 1
        if len(self._open) > self.limits.connections:
            return "connections"
        most = self.limits.connections_per_address
        if most and self._by_source.get(whose, 0) > most:
            return "connections_per_address"
        return ""

    def closed(self, connection: Connection) -> None:
        """Count it out."""
        whose = self._open.pop(connection, "")
        if whose:
            self._by_source[whose] -= 1
            if not self._by_source[whose]:
                del self._by_source[whose]

    def tick(self, now: float) -> None:
        """Look at every connection; ``now`` is in seconds of any clock that only goes forward."""
        if self.lane is not None:
            self.lane.tick()
        for connection in tuple(self._open):
            try:
                connection.tick(now)
            except Exception as problem:  # one connection must not stop the clock of the others
                self.fault(problem)
                connection.transport.abort()

    def drain(self) -> None:
        """From now on every answer closes its connection."""
        self.draining = True
        for connection in tuple(self._open):
            connection.shutdown()

    def close_idle(self) -> int:
        """Close connections that have no request at work; how many still have one."""
        return sum(not connection.close_if_idle() for connection in tuple(self._open))

    def abort(self) -> None:
        """Break off whatever is still open: a stop waits no longer."""
        for connection in tuple(self._open):
            self.on_limit("drain_seconds")
            connection.transport.abort()

    def refusal(self, refused: Refused, address: str) -> bytes:
        """Count and write a refusal: a whole answer that closes the connection."""
        request_id = new_request_id()
        if self._on_refusal is not None:
            self._on_refusal(refused, address, request_id)
        page = self.errors().page(
            refused.status,
            request_id=request_id,
            retry_after=1 if refused.status == 503 else None,
        )
        lines = [b"%b: %b\r\n" % line for line in page.headers]
        return b"".join((STATUS_LINE[page.status], *lines, b"connection: close\r\n\r\n", page.body))

    def hit(self, refused: Refused, address: str) -> None:
        """Count a limit that closes a connection without an answer."""
        if self._on_refusal is not None:
            self._on_refusal(refused, address, "")

    def fault(self, problem: BaseException) -> None:
        """An app failed under us: ours to mend, told with a traceback."""
        if self._on_fault is not None:
            self._on_fault(problem)
        else:
            _log.error("the app failed", exc_info=problem)


class _Probe:
    """Collects what the parser makes of some bytes."""

    def __init__(self) -> None:
        self.headers = 0
        self.done = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers += 1

    def on_message_complete(self) -> None:
        self.done += 1


_POST: Final = b"POST / HTTP/1.1\r\n"
_MUST_FAIL: Final = {
    "Content-Length beside Transfer-Encoding": _POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a doubled Content-Length": _POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
    "a signed Content-Length": _POST + b"Content-Length: +3\r\n\r\n",
    "a space before the colon": _POST + b"Host : a\r\n\r\n",
    "a folded line": _POST + b"A: b\r\n c\r\n\r\n",
    "a bare LF": _POST + b"A: b\nC: d\r\n\r\n",
    "a bare CR": _POST + b"A: b\rC: d\r\n\r\n",
    "NUL in a value": _POST + b"A: b\0c\r\n\r\n",
    "a bad chunk size": _POST + b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than its size": _POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
}


def check_engine(protocol: object = None, version: str | None = None) -> None:
    """Refuse to run on anything but what the guard knows; raises EngineMismatch.

    ``protocol`` is the protocol class that is to serve (None: ours).  h11 and hypercorn accept Content-Length beside
    Transfer-Encoding and run the rest as a second request; another uvicorn may change what the guard overrides.  The
    parser's strictness is tried on a handful of requests, since the guard leaves those to it.
    """
    from edgeproxy.server.protocol import GuardProtocol

    version = version or uvicorn.__version__
    if tuple(version.split(".")[:2]) != tuple(str(part) for part in UVICORN):
        wanted = ".".join(str(part) for part in UVICORN)
        raise EngineMismatch(
            f"uvicorn {version} is installed, and {wanted} is needed: pip install 'uvicorn~={wanted}.0'"
        )
    if protocol is not None and not (isinstance(protocol, type) and issubclass(protocol, GuardProtocol)):
        raise EngineMismatch(f"{protocol!r} does not guard its connections; start with `edgeproxy serve`")
    for what, data in _MUST_FAIL.items():
        try:
            httptools.HttpRequestParser(_Probe()).feed_data(data)
        except httptools.HttpParserError:
            continue
        raise EngineMismatch(f"the installed httptools accepts {what}: pip install 'httptools>=0.7,<0.10'")
