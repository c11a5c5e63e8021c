"""The guard: requests in the bytes of one connection, on uvicorn's httptools protocol.

Here: when a request begins and ends in the bytes that come, and what is refused.  Not here: the connection's life and
deadlines (``connection``), the syntax of a head (``head``), the answer (``exchange``), what all connections share
(``guard``).

How it differs from what it is built on
---------------------------------------
1. A head is collected whole, within its limits, before the parser sees it, and the parser never sees the request
   line: uvicorn's parser takes heads of any size, HTTP/0.9, and refuses targets with bytes above 0x7f.
2. One request at a time, and one in each turn of the loop.  Bytes after a request are held until its answer has left,
   so there is no queue of pipelined requests, and nothing of one exchange can be met in another; then other connections
   have their turn before the next of them, however many came at once.  Where a chunked body ends only the parser
   knows: bytes in the same piece behind it are not read as a request, and the connection closes after the answer.
3. A request that asks for an upgrade keeps its body: uvicorn's parser takes what follows such a head for another
   protocol, and uvicorn would read it as the next request.
4. Trailers are dropped: uvicorn would add them to the headers of the scope.
5. After ``Connection: close`` nothing more is read as a request (RFC 9112, 9.6).
6. What is refused gets a page of ours and a half-closed connection that is still read for a moment, so that the
   page is not lost in a reset (RFC 9112, 9.6); nothing of it reaches the app.
7. The app begins when a short body is there whole, or 64 KB of a longer one, or after a second: a body that turns
   out broken or never comes does not reach it, and a slow one keeps no connection to the shop busy.  A client that
   expects a 100 is not waited for.
8. A request that asks for an upgrade may be handed over to the app (``exchange`` says how): from its 101 on the
   connection is a tunnel, and its bytes are nobody's requests.
9. Deadlines (``Connection.tick``): a head, an idle connection, a body that does not come, an answer not taken.

Early answers: an answer may end before its request does; what is still to come is read and dropped if it is short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.server import ServerState

from edgeproxy.server.connection import BODY, HEAD, LINGER, TUNNEL, TURN, WAIT
from edgeproxy.server.exchange import App, Exchange
from edgeproxy.server.guard import Guard
from edgeproxy.server.head import END, LONGEST_HEAD, Framing, Refused, RequestLine, framing, look_early, request_line
from edgeproxy.server.quick import QuickConnection

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["GuardProtocol", "factory"]

_PREFIX: Final = (b"POST / HTTP/1.0\r\n", b"POST / HTTP/1.1\r\n")
_CHUNKED: Final = _PREFIX[1] + b"Transfer-Encoding: chunked\r\n\r\n"
_LENGTH: Final = _PREFIX[1] + b"Content-Length: %d\r\n\r\n"
_BLANKS: Final = 8  # bytes of empty lines before a request (RFC 9112, 2.2)
_OVERHEAD: Final = 16 * 1024  # bytes of chunk extensions and trailers between two pieces of a body
_HOLD_BYTES: Final = 64 * 1024  # of a body that are waited for before the app begins, for ``HOLD_SECONDS``
_REST: Final = 256 * 1024  # of a body nobody wants any more: read, so that the connection can go on
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
_HINT: Final[dict[str, Any]] = {}
_UPGRADE: Final[dict[str, Any]] = {}


def _drop(line: tuple[bytes, bytes]) -> None:
    """Where header lines go that nobody may see."""


class _Surplus(Exception):
    """Ends parsing where a second request begins behind a chunked body."""


class GuardProtocol(QuickConnection):
    """uvicorn's protocol, guarded.  Made by ``factory``; methods without a docstring are asyncio's or the parser's."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        # of the request being read
        self._muted = False  # what the parser says now is known already
        self._sink: Callable[[tuple[bytes, bytes]], None] = _drop  # where header lines go
        self._whole = False
        self._keep = False
        self._upgrade = False  # it asks to leave HTTP
        self._left: int | None = None  # bytes that Content-Length still announces
        self._overhead = 0

    def data_received(self, data: bytes) -> None:
        phase = self._phase
        if phase == HEAD:
            found = self._heads.get(data) if len(data) <= LONGEST_HEAD else None
            if found is None or self._head or not self._is_answered(found):
                self._take_head(data)
        elif phase == BODY:
            self._take_body(data)
        elif phase in (WAIT, TURN):
            self._hold(data)
        elif phase == TUNNEL:
            self._take_bytes(data)

    # ------------------------------------------------------------------ a head

    def _take_head(self, data: bytes) -> None:
        try:
            self._take_one(data)
        except Refused as refused:
            self._refuse(refused)
        if self._phase == HEAD:
            if self._held:  # the fast lane has answered, and the next may be here
                self._await_turn()
            elif self._last:
                self.transport.close()

    def _await_turn(self) -> None:
        """What is held is looked at when the other connections have been: a burst of requests makes nobody wait."""
        self._phase = TURN
        self._since = None
        if len(self._held) > self.guard.limits.header_bytes:
            self.flow.pause_reading()
        self.loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        if self._phase != TURN or self.transport.is_closing():
            return
        self._phase = HEAD
        held = self._held
        end = held.find(END)
        if end < 0 or end + len(END) >= len(held):
            data = bytes(held)
            held.clear()
        else:
            data = bytes(held[: end + len(END)])
            del held[: end + len(END)]
        if len(held) <= self.guard.limits.header_bytes:
            self.flow.resume_reading()
        self._take_head(data)

    def _take_one(self, data: bytes) -> None:
        """One head, as far as it is here; what stands behind it is held."""
        head = self._head
        if head and head[0] != 13:
            seen = len(head)
            head += data
            end = head.find(END, max(0, seen - 3))
            if end < 0:
                look_early(head, seen, self.guard.limits)
                return
            data = bytes(head)
            head.clear()
        else:
            if head or data[0] == 13:
                data = self._without_blanks(bytes(head) + data)
                if not data:
                    return
            end = data.find(END)
            if end < 0:
                head += data
                self._idle = False
                self._since = None
                look_early(head, 0, self.guard.limits)
                return
        end += len(END)
        if end < len(data):
            self._held += data[end:]
            data = data[:end]
        self._begin(data)

    def _without_blanks(self, data: bytes) -> bytes:
        """Skip empty lines before a request; half of one is waited for."""
        self._head.clear()
        start = 0
        while data.startswith(b"\r\n", start):
            start += 2
        self._blanks += start
        if self._blanks > _BLANKS:
            raise Refused(400, "empty lines and no request")
        if data[start:] == b"\r":
            self._head += b"\r"
            return b""
        return data[start:]

    def _begin(self, head: bytes) -> None:
        """A whole head has come, and what is held stood behind it.  Raises Refused."""
        found = self._heads.get(head) if len(head) <= LONGEST_HEAD else None
        if found is not None and self._is_answered(found):
            return
        limits = self.guard.limits
        if len(head) > limits.header_bytes:
            if head.find(b"\r\n") > limits.target_bytes + 64:
                raise Refused(414, "a target that is too long", "target_bytes")
            raise Refused(431, "a head that is too large", "header_bytes")
        if head.count(b"\n") - 2 > limits.header_lines:
            raise Refused(431, "too many header lines", "header_lines")
        if self._is_familiar(head):
            return
        line = request_line(head, limits)
        self.headers = []
        body = self._parse(line, head)
        if limits.body_bytes and body.length is not None and body.length > limits.body_bytes:
            raise Refused(413, "a body that is too large", "body_bytes").of(line.method, line.target, self.headers)
        if self._whole is (body.chunked or bool(body.length)):
            raise Refused(400, "a head that two readers end in two places")
        plain = self._is_plain(line, body)
        if self._lane is not None and plain and self._is_known(self._lane, line, head):
            return
        if self._last:
            self.transport.close()
            return
        if len(self.tasks) + self.guard.passages - self.guard.tunnels >= limits.requests:
            raise Refused(503, "too many requests at work", "requests").of(line.method, line.target, self.headers)
        self.cycle = self._exchange(line, body)
        self._blanks = 0
        self._idle = False
        self._begun = False
        self._since = None
        self._received = 0
        self._body_since = None
        self._overhead = 0
        self._left = body.length
        if self._whole:
            passing = self.guard.passing if plain else None
            if passing is None or not passing.begin(self.cycle):
                self.begin_app()
            self._phase = WAIT
            if not self.cycle.keep_alive:
                self._held.clear()
        else:
            self._phase = BODY
            if self._held:
                rest = bytes(self._held)
                self._held.clear()
                self.flow.resume_reading()
                self._take_body(rest)
            if body.expects and not self._received and not self._begun and not self.cycle.disconnected:
                self.begin_app()

    # ------------------------------------------------------------------ the fast lane

    def _is_plain(self, line: RequestLine, body: Framing) -> bool:
        """A request of the usual kind: what is in it is in its headers and its target."""
        return (
            self._whole
            and not line.authority
            and not self._upgrade
            and body.length is None
            and not body.chunked
            and not body.expects
        )

    def _closes(self, line: RequestLine) -> bool:
        return not self._keep or line.minor == 0

    def _parse(self, line: RequestLine, head: bytes) -> Framing:
        """Give the header lines to the parser; afterwards it stands in the body, if there is one.  Raises Refused."""
        self._upgrade = False
        self._whole = False
        self._sink = self.headers.append
        try:
            self.parser.feed_data(_PREFIX[line.minor] + head[line.end :])
        except httptools.HttpParserUpgrade:
            self._upgrade = True
        except httptools.HttpParserError as problem:
            raise Refused(400, str(problem)) from None
        finally:
            self._sink = _drop  # trailers (4 above)
        body = framing(self.headers, line)
        if self._upgrade and (body.chunked or body.length):
            # The parser is done with this request, whatever body it has: make it read one (3 above).
            self._whole = False
            self._muted = True
            self.parser.feed_data(_CHUNKED if body.chunked else _LENGTH % (body.length or 0))
            self._muted = False
        return body

    def _exchange(self, line: RequestLine, body: Framing) -> Exchange:
        target = line.target
        raw_path, _, query = target.partition(b"?")
        path = raw_path.decode("latin-1")
        if "%" in path:
            path = unquote(path)
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": "1.1" if line.minor else "1.0",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": "",
            "headers": self.headers,
            "state": self.app_state.copy(),
            "method": line.method,
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "extensions": {"edgeproxy.target": {"target": target}, "http.response.early_hint": _HINT},
        }
        if self._upgrade and self._whole and self._keep and line.minor == 1 and not self.guard.draining:
            scope["extensions"]["edgeproxy.upgrade"] = _UPGRADE
        return Exchange(self, scope, expects=body.expects and not self._whole, keep_alive=not self._closes(line))

    def begin_app(self, app: App | None = None) -> None:
        """Call the app, or what goes on in its place, with the request that has come."""
        self._begun = True
        if self._whole:
            self.cycle.more_body = False
            self.cycle.message_event.set()
        task = self.loop.create_task(self.cycle.run_asgi(app or self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)
        self.cycle.task = task

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.cycle is not None and self.cycle.passage is not None:
            self.cycle.passage.resumed()

    # ------------------------------------------------------------------ after a 101

    def hand_over(self) -> None:
        """The app has sent a 101: what came behind the request, and whatever comes, goes to its ``receive``."""
        cycle = self.cycle
        self._phase = TUNNEL
        self.guard.tunnels += 1
        cycle.more_body = True
        cycle.body += self._held
        self._held.clear()
        cycle.message_event.set()

    def _take_bytes(self, data: bytes) -> None:
        cycle = self.cycle
        cycle.body += data
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    # ------------------------------------------------------------------ a body, and what comes after it

    def _take_body(self, data: bytes) -> None:
        cycle = self.cycle
        rest = b""
        if self._left is not None:
            rest = data[self._left :]
            data = data[: self._left] if rest else data
            self._left -= len(data)
        else:
            self._overhead += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as problem:
            if not self._whole:
                self._refuse(Refused(400, str(problem)))
                return
            cycle.keep_alive = False  # surplus behind a chunked body
        limits = self.guard.limits
        if limits.body_bytes and self._received > limits.body_bytes:
            self._refuse(Refused(413, "a body that is too large", "body_bytes"))
        elif self._overhead > _OVERHEAD and not self._whole:
            self._refuse(Refused(400, "chunk extensions or trailers without end"))
        elif self._whole:
            if self._begun:
                cycle.more_body = False
                cycle.message_event.set()
            else:
                self.begin_app()
            self._phase = WAIT
            self._since = None
            if rest:
                self._hold(rest)
            if cycle.response_complete:
                self._next()
        elif not self._begun and self._received >= _HOLD_BYTES:
            self.begin_app()

    def _hold(self, data: bytes) -> None:
        """Keep what comes behind a request until that one is answered, and others had their turn."""
        if self._phase == TURN or self.cycle.keep_alive:
            self._held += data
            if len(self._held) > self.guard.limits.header_bytes:
                self.flow.pause_reading()

    def on_response_complete(self) -> None:
        """The answer has been given to the transport whole."""
        self.server_state.total_requests += 1
        cycle = self.cycle
        if self.transport.is_closing() or self._phase == LINGER:
            return
        if not cycle.keep_alive:
            if self._whole and not self._held:
                self.transport.close()
            else:
                self._linger()
        elif self._whole:
            self._next()
        elif self._left is None or self._left > _REST:
            self._linger()
        else:
            self.flow.resume_reading()

    def _next(self) -> None:
        cycle = self.cycle
        if not cycle.keep_alive:
            self.transport.close()
            return
        self._phase = HEAD
        self._idle = True
        self._since = None
        if self._held:
            self._await_turn()
        else:
            self.flow.resume_reading()

    # ------------------------------------------------------------------ callbacks of the parser

    def on_message_begin(self) -> None:
        if self._whole and not self._muted:
            raise _Surplus

    def on_url(self, url: bytes) -> None:
        pass

    def on_header(self, name: bytes, value: bytes) -> None:
        self._sink((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if not self._muted:
            self._keep = self.parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self._received += len(body)
        self._overhead = 0
        cycle = self.cycle
        if cycle.response_complete or cycle.disconnected:
            return
        cycle.waiting_for_100_continue = False  # RFC 9110, 10.1.1: it did not wait
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._whole = True


def factory(
    config: Config, server_state: ServerState, app_state: dict[str, Any], guard: Guard
) -> Callable[[], GuardProtocol]:
    """What ``loop.create_server`` calls for each connection."""

    def connect() -> GuardProtocol:
        return GuardProtocol(config, server_state, app_state, guard=guard)

    return connect
