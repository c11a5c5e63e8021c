"""One request and its answer on a connection: the ASGI side.

Here: writing the answer (framing, Connection, Date, HTTP/1.0), cutting one short, what becomes of an app that fails.
Not here: reading the request (``protocol``).  ``receive`` and the flow control are uvicorn's.

What an app may rely on
-----------------------
- ``receive()`` waits until there is body, its end, or ``http.disconnect``; the first call after ``Expect:
  100-continue`` sends the 100.
- When the client leaves, or its request turns out broken, before the answer is complete, the app is cancelled
  (``asyncio.CancelledError`` where it waits): work that must go on belongs into a task of its own.
- ``raise CutShort`` ends an answer visibly incomplete (``edgeproxy.errors``).
- ``http.response.early_hint`` (an ASGI extension: ``links``, a list of bytes) sends a 103 before the head, to
  HTTP/1.1 clients; uvicorn itself sends no informational answer but 100.
- ``scope["extensions"]["edgeproxy.target"]["target"]``: path and query exactly as they came.
- ``scope["extensions"]["edgeproxy.upgrade"]`` is there when the request may be answered with a 101: HTTP/1.1, Upgrade
  and ``Connection: upgrade``, no body, a connection that would stay open.  After ``http.response.start`` with status
  101 (Connection is added, Upgrade is the app's) the connection is a tunnel: ``receive()`` gives ``http.request`` with
  whatever bytes came, ``more_body`` false once the client has ended its direction; ``http.response.body`` writes bytes
  as they are, ``more_body`` false ends our direction.  Neither ends the other's.  Returning closes the connection,
  ``CutShort`` breaks it; a stop cancels the app.
- Framing is ours: a Content-Length is kept and held to; without one an HTTP/1.1 answer is chunked, an HTTP/1.0 one
  ends with the connection.  Transfer-Encoding and Connection of the app are dropped, ``Connection: close`` is obeyed.
- A Date of the app's is kept, else one is added (RFC 9110, 6.6.1).  Any status from 200 to 999 can be sent.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from edgeproxy.errors import CutShort

if TYPE_CHECKING:
    from edgeproxy.passing import Passage
    from edgeproxy.server.protocol import GuardProtocol

__all__ = ["LINES_PAUSE", "Exchange", "InvalidAnswer"]

_log = logging.getLogger("edgeproxy.server")

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection", b"date"})
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
_CONTROLS: Final = bytes(n for n in range(32) if n not in (9, 10, 13)) + b"\x7f"
_BODYLESS: Final = frozenset({204, 205, 304})
_JOINED: Final = 16 * 1024  # bytes up to which one copy is cheaper than several buffers
LINES_PAUSE: Final = not ((3, 12) <= sys.version_info < (3, 12, 9) or (3, 13) <= sys.version_info < (3, 13, 2))
"""``writelines`` pauses who writes too much; that of asyncio's own loop did not in between (CVE-2024-12254)."""
_REMEMBERED: Final = 4096  # header names that need no second look

App = Callable[[Any, Any, Any], Any]


class InvalidAnswer(Exception):
    """The app's answer cannot be written as HTTP; a fault of ours."""


class Exchange(RequestResponseCycle):
    """uvicorn's cycle with an answer writer that neither doubles nor guesses."""

    _names: Final[set[bytes]] = set()

    def __init__(self, protocol: GuardProtocol, scope: Any, *, expects: bool, keep_alive: bool) -> None:
        super().__init__(
            scope=scope,
            transport=protocol.transport,
            flow=protocol.flow,
            logger=_log,
            access_logger=_log,
            access_log=False,
            default_headers=protocol.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expects,
            keep_alive=keep_alive,
            on_response=protocol.on_response_complete,
        )
        self.protocol = protocol
        self.task: asyncio.Task[None] | None = None
        self.passage: Passage | None = None  # what answers in the app's place
        self.until_close = False  # the body ends with the connection
        self.tunnel = False  # a 101 was sent
        self._dismissed = False
        self._bodyless = False  # the answer has none, whatever the app sends (RFC 9112, 6.3)
        self._left: int | None = None  # bytes that Content-Length still promises; None: no promise
        self._head = b""  # of the answer, until there is some body to go with it or the loop has turned

    # ------------------------------------------------------------------ the app's run

    async def run_asgi(self, app: App) -> None:
        """Run the app; whatever it does, the client gets one whole answer or a visible end."""
        try:
            await app(self.scope, self.receive, self.send)
        except CutShort:
            self.cut()
        except asyncio.CancelledError:  # the client has left, or a stop waits no longer
            self.cut()
        except Exception as problem:
            self.protocol.guard.fault(problem)
            await self._give_up()
        else:
            if self.tunnel:
                self.response_complete = True
                self.on_response()
            elif not self.response_complete and not self.disconnected:
                self.protocol.guard.fault(InvalidAnswer("the app returned before its answer was complete"))
                await self._give_up()
        finally:
            self.on_response = lambda: None

    def dismiss(self, why: str = "the visitor left") -> None:
        """Nobody waits for the answer any more: nothing more is written, and the app is cancelled, told ``why``."""
        self.disconnected = True
        self.message_event.set()
        self.flow.resume_writing()
        passage, self.passage = self.passage, None
        if passage is not None and not self.response_complete:
            passage.left(why)
        if self.task is not None and not self.response_complete and not self._dismissed:
            self._dismissed = True  # once: a second cancellation would break into what the first has it tidy up
            self.task.cancel(why)

    async def _give_up(self) -> None:
        if self.response_started:
            self.cut()
            return
        self.keep_alive = False
        page = self.protocol.guard.errors().page(502)
        await self.send({"type": "http.response.start", "status": page.status, "headers": page.headers})
        await self.send({"type": "http.response.body", "body": page.body})

    def cut(self) -> None:
        """Break the connection off, so that nobody takes what was sent for the whole answer."""
        if self.response_complete or self.disconnected:
            return
        self._write()  # a head alone says that there was an answer: no browser asks again
        self.disconnected = True
        if self.until_close or self.tunnel:
            self.protocol.reset()  # a plain close would be the end of a whole body (RFC 9112, 9.6)
        else:
            self.transport.abort()

    # ------------------------------------------------------------------ the answer

    async def send(self, message: Any) -> None:
        """ASGI's ``send``; raises InvalidAnswer for what cannot be written, before any of it is."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.body" and self.response_started and not self.response_complete:
            if self.tunnel:
                self._write_bytes(message.get("body", b""), message.get("more_body", False))
            else:
                self.write_body(message.get("body", b""), message.get("more_body", False))
        elif kind == "http.response.start" and not self.response_started:
            self.write_head(message["status"], message.get("headers", ()))
        elif kind == "http.response.early_hint" and not self.response_started:
            self.write_hints(message.get("links", ()))
        else:
            raise InvalidAnswer(f"{kind} has no place here")

    def write_head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """The head of the answer; raises InvalidAnswer, as the next two do, before anything of it is written."""
        switches = status == 101 and "edgeproxy.upgrade" in self.scope["extensions"]
        if not 200 <= status <= 999 and not switches:
            raise InvalidAnswer(f"{status} is no status of an answer")
        lines = [STATUS_LINE.get(status) or b"HTTP/1.1 %d \r\n" % status]
        breaks = 2
        dated = False
        length: int | None = None
        names = self._names
        for name, value in headers:
            name = name.lower()
            if name in _FRAMING:
                if name == b"content-length":
                    if not value.isdigit() or length not in (None, int(value)):
                        raise InvalidAnswer("no single Content-Length")
                    length = int(value)
                    continue
                if name == b"connection":
                    if b"close" in value.lower():
                        self.keep_alive = False
                    continue
                if name != b"date" or dated:
                    continue
                dated = True
            elif name not in names:
                if not _TOKEN(name):
                    raise InvalidAnswer(f"{name!r} is no header name")
                if len(names) < _REMEMBERED:
                    names.add(name)
            breaks += 1
            lines += (name, b": ", value, b"\r\n")
        if not dated:
            for name, value in self.default_headers:
                breaks += 1
                lines += (name, b": ", value, b"\r\n")
        breaks += self._frame(status, length, lines)
        lines.append(b"\r\n")
        head = b"".join(lines)
        if (
            head.count(b"\n") != breaks
            or head.count(b"\r") != breaks
            or len(head.translate(None, _CONTROLS)) < len(head)
        ):
            raise InvalidAnswer("a control character in a header")
        self.response_started = True
        self.waiting_for_100_continue = False
        self._head = head
        if switches:
            self._write()
            self.tunnel = True
            self.protocol.hand_over()
        else:
            self.protocol.loop.call_soon(self._write)

    def _write_bytes(self, data: bytes, more: bool) -> None:
        self._write(data)
        if not more and self.transport.can_write_eof():
            with suppress(OSError):  # a reset that nobody has read yet: the loop will tell it
                self.transport.write_eof()

    def _frame(self, status: int, length: int | None, lines: list[bytes]) -> int:
        """Append the framing headers (RFC 9112, 6); returns how many."""
        added = 0
        self.chunked_encoding = self.until_close = False  # of a head that could not be written
        self._left = None
        if status == 101:
            self.keep_alive = False
            lines.append(b"connection: upgrade\r\n")
            return 1
        self._bodyless = self.scope["method"] == "HEAD" or status in _BODYLESS
        if status in (204, 205):
            length = 0 if status == 205 else None  # RFC 9110, 15.3.5 and 15.3.6
        if length is not None:
            lines += (b"content-length: ", b"%d" % length, b"\r\n")
            added += 1
        if self._bodyless:
            pass
        elif length is not None:
            self._left = length
        elif self.scope["http_version"] == "1.1":
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
            added += 1
        else:
            self.until_close = True
            self.keep_alive = False
        # The client waits for a 100 that it will not get: whether it sends the body now is its choice, so where the
        # next request begins nobody could say (RFC 9110, 10.1.1).
        if self.waiting_for_100_continue or self.protocol.guard.draining:
            self.keep_alive = False
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
            added += 1
        return added

    def write_body(self, body: bytes, more: bool) -> None:
        """A piece of the answer's body; its end where no ``more`` follows."""
        if self._bodyless:
            pass
        elif self.chunked_encoding:
            if body:
                self._write(b"%x\r\n" % len(body), body, b"\r\n" if more else b"\r\n0\r\n\r\n")
            elif not more:
                self._write(b"0\r\n\r\n")
        elif self.until_close:
            self._write(body)
        elif self._left is not None:
            if len(body) > self._left:
                raise InvalidAnswer("a body longer than its Content-Length")
            self._left -= len(body)
            self._write(body)
        if not more:
            if self._left:
                raise InvalidAnswer("a body shorter than its Content-Length")
            self._write()
            self.response_complete = True
            self.message_event.set()
            self.on_response()

    def write_hints(self, links: Iterable[bytes]) -> None:
        """103 Early Hints (RFC 8297)."""
        links = tuple(links)
        hints = b"HTTP/1.1 103 Early Hints\r\n%b\r\n" % b"".join(b"link: %b\r\n" % link for link in links)
        if hints.count(b"\n") != len(links) + 2 or hints.count(b"\r") != len(links) + 2:
            raise InvalidAnswer("a line break in a link")
        if links and self.scope["http_version"] == "1.1":
            self._write(hints)

    def _write(self, *pieces: bytes) -> None:
        """Write what belongs together in one go: the head with the first of the body, a chunk with its framing."""
        head, self._head = self._head, b""
        if head:
            pieces = (head, *pieces)
        size = sum(map(len, pieces))
        if not size or self.disconnected:
            return
        self.protocol.written += size
        if size <= _JOINED or not LINES_PAUSE:
            self.transport.write(b"".join(pieces))
        else:
            self.transport.writelines(pieces)
