"""The shop as an httpx transport: connect, send, wait for the head, hand out the body.

Here: what is sent and in which bytes, the one retry, which patience holds.  Not here: parsing (``exchange``), who may
ask what (``sanitise``), what the visitor gets (``respond``, ``proxy``), several addresses (``addresses``), connections
(``lending``, ``pool``).

Why not a client library: targets have to leave byte for byte ("/?" is not "/"), bytes that arrive late on an idle
connection are nobody's answer, and a reset is no end of a body.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence

import httpx

from edgeproxy.origin.connection import ShopConnection
from edgeproxy.origin.errors import ShopBroken, ShopError, ShopTimeout
from edgeproxy.origin.exchange import Exchange, Lease
from edgeproxy.origin.lending import Lender, tls_context
from edgeproxy.origin.patience import Limits, Patience
from edgeproxy.origin.pool import Pool

__all__ = ["AtHand", "Outcome", "ShopBody", "ShopTransport", "answered", "patience_for"]

_SAFE = frozenset({"GET", "HEAD"})
_SENDS_BODY = frozenset({"POST", "PUT", "PATCH"})
_SPECIAL = frozenset(map(len, (b"host", b"content-length", b"transfer-encoding")))
_DOCUMENT = (b"text/html", b"application/xhtml+xml")
_NOTHING = httpx.ByteStream(b"")

Outcome = Callable[[ShopError | None], object]
"""Told once how an exchange went: None when the whole answer came; never told when somebody gave it up."""


class ShopBody(httpx.AsyncByteStream):
    """The body of one answer; iterate once, then ``aclose()``, in a ``finally``.

    Iteration ends only where the answer ended by its own framing; else it raises ShopTimeout or ShopBroken, after
    the bytes that did come.  ``aclose()`` before the end closes the connection: nobody gets its rest.
    """

    __slots__ = ("_exchange", "_outcome", "_patience")

    def __init__(self, exchange: Exchange, patience: Patience, outcome: Outcome | None = None) -> None:
        self._exchange = exchange
        self._patience = patience
        self._outcome = outcome

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while data := await self._exchange.read(self._patience):
                yield data
        except ShopError as problem:
            self._told(problem)
            raise
        self._told(None)

    def _told(self, problem: ShopError | None) -> None:
        outcome, self._outcome = self._outcome, None
        if outcome is not None:
            outcome(problem)

    async def aclose(self) -> None:
        self._exchange.abandon()
        sender = self._exchange.sender
        if sender is not None and not sender.done():
            await asyncio.wait({sender})  # it was cancelled: nobody reads the visitor's body after this


class AtHand:
    """A connection that is lent for one question without a body: ``ask``, or ``release`` it."""

    __slots__ = ("_connection", "_lease", "limits", "outcome")

    def __init__(self, lease: Lease, connection: ShopConnection, limits: Limits) -> None:
        self._lease = lease
        self._connection = connection
        self.limits = limits
        self.outcome: Outcome = _untold

    def ask(self, method: str, target: bytes, lines: Sequence[tuple[bytes, bytes]]) -> Exchange:
        """Ask; what comes is told by ``Exchange.moved``, which the caller sets.

        The caller watches the time (``patience_for``) and tells ``outcome``.  Raises ValueError for a request that
        cannot be written as one (which is a fault of ours); nothing is sent then.
        """
        if b" " in target or not target:
            raise ValueError("the request's target cannot be written")
        parts = [method.encode("ascii"), b" ", target, b" HTTP/1.1\r\n"]
        for name, value in lines:
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"\r\n")
        head = b"".join(parts)
        _check(head, len(lines) + 2)
        exchange = self._connection.begin(self._lease, head_only=method == "HEAD", limits=self.limits)
        exchange.sent = True
        self._connection.write(head)
        return exchange

    def release(self) -> None:
        """Nobody asks."""
        self._lease.release()


class ShopTransport(httpx.AsyncBaseTransport):
    """Requests to one address of the shop.

    ``origin`` is "http://host:port" or "https://host:port"; every request goes there, whatever its URL says.  ``name``
    is what TLS asks for and verifies where that is not the address's own host (``--origin-host``).

    A request's parts: ``method``; ``extensions["target"]``, the raw path and query, sent byte for byte (default:
    the URL's); ``headers`` as they are, in order, with duplicates, Host among them (default: the origin's), less
    framing, which is made anew; ``stream``, where an ``httpx.ByteStream`` is sent with its length, and anything
    else with the Content-Length of the headers or, without one, chunked; ``extensions["deadline"]``, seconds for
    a whole document (default: ``Limits.answer`` to the head).  The deadline binds the body too when the answer is
    HTML or does not say what it is; other answers stream, under an idle limit and a minimum rate.

    ``extensions["upgrade"]``, where it is true, says that the headers ask for an upgrade: a 101 then is an answer whose
    ``extensions["network_stream"]`` is the ``Tunnel``, on a connection that counts apart from the others; any other
    answer is an ordinary one.  ``extensions["outcome"]``: an ``Outcome`` to tell; ``extensions["hinted"]``:
    an ``exchange.Hinted`` that takes the links of a 103.  ``extensions["fresh"]``, where it is true: this is the second
    time already, on a connection that was never used.

    Answers carry the shop's status, raw headers and ``extensions["reason_phrase"]``; nothing is decoded, followed,
    stored or added.  Raises ShopRefused, ShopBusy, ShopTimeout, ShopBroken, what the request's stream raised, and
    ValueError for a request that cannot be written as one (which is a fault of ours).

    A GET or HEAD without a body is sent a second time, on a new connection, when a used connection closed before
    the first byte of the answer; nothing else ever is (RFC 9112, 9.3.1), and what is not is sent on a connection that
    was just used, or a new one: the shop may be closing one that was idle (``lending.RECENT``).
    """

    def __init__(
        self,
        origin: str,
        *,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        name: str | None = None,
        hit: Callable[[str], object] = lambda limit: None,
    ) -> None:
        """``hit`` is told the name of a limit (``settings.Limits``) that ended something without an error."""
        url = _address(origin)
        self.limits = limits or Limits()
        if url.scheme == "http":
            tls = None
        elif tls is None:
            tls = tls_context()
        self._authority = url.netloc
        host = url.raw_host.decode("ascii")
        port = url.port or (443 if url.scheme == "https" else 80)
        pools = [Pool(host, port, tls=tls, name=name or host, limits=self.limits) for _ in range(2)]
        self._lender = Lender(pools[0], self.limits, self.limits.connections, hit=hit)
        self._tunnels = Lender(pools[1], self.limits, self.limits.tunnels, limit="upgrades", hit=hit)
        self.retries = 0

    @property
    def at_work(self) -> int:
        """Connections that carry something now."""
        return self._lender.lent + self._tunnels.lent

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        outcome: Outcome | None = request.extensions.get("outcome")
        try:
            return await self._asked(request, outcome)
        except ShopError as problem:
            if outcome is not None:
                outcome(problem)
            raise

    async def _asked(self, request: httpx.Request, outcome: Outcome | None) -> httpx.Response:
        head, size, body, empty = self._written(request)
        loop = asyncio.get_running_loop()
        since = loop.time()
        deadline = request.extensions.get("deadline")
        upgrade = bool(request.extensions.get("upgrade"))
        if deadline is None:
            total = Patience.total(self.limits.answer, "origin_answer_seconds")
        else:
            total = Patience.total(deadline)
        fresh = bool(request.extensions.get("fresh"))
        self.retries += fresh
        retriable = empty and request.method in _SAFE and not fresh
        lender = self._tunnels if upgrade else self._lender
        lease, connection = await lender.borrow(total.left, fresh=upgrade or fresh, recent=not retriable)
        while True:
            total.spend(loop.time() - since)
            reused = connection.uses > 0
            exchange = connection.begin(lease, head_only=request.method == "HEAD", limits=self.limits, upgrade=upgrade)
            try:
                connection.write(head)
                if body is None:
                    exchange.sent = True
                else:
                    exchange.sender = loop.create_task(self._send(exchange, connection, body, size))
                await exchange.head(total, request.extensions.get("hinted"))
                break
            except ShopBroken as broken:
                if not (retriable and reused and broken.kind == "silent"):
                    raise
                retriable = False
                self.retries += 1
                since = loop.time()
                lease, connection = await lender.borrow(total.left, fresh=True)
            except BaseException:
                exchange.abandon()
                raise
        if exchange.tunnel is not None:
            if outcome is not None:
                outcome(None)
            extensions = {**_extensions(exchange), "network_stream": exchange.tunnel}
            return httpx.Response(101, headers=exchange.headers, stream=_NOTHING, extensions=extensions)
        return answered(exchange, patience_for(exchange, total, self.limits, timed=deadline is not None), outcome)

    def at_hand(self) -> AtHand | None:
        """An idle connection, here and now; None where somebody has to wait for one, or open it."""
        found = self._lender.at_hand()
        return None if found is None else AtHand(*found, self.limits)

    async def aclose(self) -> None:
        """Close every connection; answers that still stream are cut."""
        await self._lender.aclose()
        await self._tunnels.aclose()

    # ------------------------------------------------------------------ sending

    def _written(self, request: httpx.Request) -> tuple[bytes, int | None, httpx.AsyncByteStream | None, bool]:
        """The head's bytes with a body at hand, the length of a streamed body, that body, and whether there is none."""
        target = request.extensions.get("target")
        if target is None:
            target = request.url.raw_path
        lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), target)]
        if b" " in target or not target:
            raise ValueError("the request's target cannot be written")
        length: bytes | None = None
        host = False
        for name, value in request.headers.raw:
            if len(name) in _SPECIAL:
                lower = name.lower()
                if lower == b"content-length":
                    if length not in (None, value):
                        raise ValueError("the request has two lengths")
                    length = value
                    continue
                if lower == b"transfer-encoding":
                    continue
                host = host or lower == b"host"
            lines.append(name + b": " + value)
        if not host:
            lines.insert(1, b"Host: " + self._authority)
        body: httpx.AsyncByteStream | None = None
        size: int | None = None
        data = b""
        if isinstance(request.stream, httpx.ByteStream):
            data = b"".join(request.stream)
            if data or length is not None or request.method in _SENDS_BODY:
                lines.append(b"Content-Length: %d" % len(data))
        elif isinstance(request.stream, httpx.AsyncByteStream):
            if length is None:
                body = request.stream
                lines.append(b"Transfer-Encoding: chunked")
            else:
                if not length.isdigit():
                    raise ValueError("the request's length is not a number")
                size = int(length)
                body = request.stream if size else None
                lines.append(b"Content-Length: %d" % size)
        else:
            raise ValueError("the request's body cannot be sent from here")
        return _joined(lines) + data, size, body, body is None and not data

    async def _send(
        self, exchange: Exchange, connection: ShopConnection, body: httpx.AsyncByteStream, size: int | None
    ) -> None:
        """Send a body as it comes; whatever goes wrong ends the exchange, never the body as if it were whole."""
        left = size
        try:
            async for data in body:
                if not data:
                    continue
                if left is None:
                    connection.write(b"%x\r\n%b\r\n" % (len(data), data))
                else:
                    left -= len(data)
                    if left < 0:
                        raise ValueError("the request's body is longer than it said")
                    connection.write(data)
                if connection.full and not await self._drained(connection):
                    return
            if left:
                raise ValueError("the request's body is shorter than it said")
            if left is None:
                connection.write(b"0\r\n\r\n")
            exchange.sent = True
        except asyncio.CancelledError:
            raise
        except Exception as problem:
            exchange.fail(problem)
        exchange.wake()

    async def _drained(self, connection: ShopConnection) -> bool:
        try:
            async with asyncio.timeout(self.limits.sending):
                return await connection.drain()
        except TimeoutError:
            what = "the shop does not take the request's body"
            raise ShopTimeout("sending", what, "origin_sending_seconds") from None


def patience_for(exchange: Exchange, total: Patience, limits: Limits, *, timed: bool) -> Patience:
    """How long the body is waited for; ``total`` is what is left of the document's, ``timed`` where it has one."""
    kind = _media_type(exchange.headers)
    if timed and (not kind or kind in _DOCUMENT):
        return total
    if kind == b"text/event-stream":
        return Patience.events(limits)
    return Patience.stream(limits)


def answered(exchange: Exchange, patience: Patience, outcome: Outcome | None) -> httpx.Response:
    """The answer whose head has come, for whoever reads its body."""
    return httpx.Response(
        exchange.status,
        headers=exchange.headers,
        stream=ShopBody(exchange, patience, outcome),
        extensions=_extensions(exchange),
    )


def _extensions(exchange: Exchange) -> dict[str, object]:
    return {"http_version": b"HTTP/1.1", "reason_phrase": exchange.reason}


def _joined(lines: Sequence[bytes]) -> bytes:
    head = b"\r\n".join([*lines, b"", b""])
    _check(head, len(lines) + 1)
    return head


def _check(head: bytes, breaks: int) -> None:
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise ValueError("the request has a control character in its head")


def _untold(problem: ShopError | None) -> None:
    """Nobody wants to know how it went."""


def _address(origin: str) -> httpx.URL:
    try:
        url = httpx.URL(origin)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise ValueError(f"the shop's address must be http://host or https://host, not {origin!r}")
    return url


def _media_type(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if len(name) == 12 and name.lower() == b"content-type":
            return value.partition(b";")[0].strip().lower()
    return b""
