"""The visitor's side of a request: the answer that leaves, and the body that comes.

Here: ASGI messages, counted and limited.  Not here: what is answered (``proxy``, ``own``), the wire (``server``).
Made by ``proxy`` for each request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import httpx

from edgeproxy.core.model import RawHeaders
from edgeproxy.personalise import Personalised
from edgeproxy.respond import NewLines
from edgeproxy.trail import Trail

__all__ = [
    "BODILESS",
    "Answer",
    "Message",
    "Page",
    "Receive",
    "RequestBody",
    "Reusable",
    "Send",
    "TooLong",
    "VisitorLeft",
]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODILESS: Final = frozenset({204, 304})
"""Statuses whose answers have no body (RFC 9110, 15.3.5 and 15.4.5)."""


class Reusable(NamedTuple):
    """A whole answer of status 200 that others may get, as long as what it was made of stays as it is."""

    lines: RawHeaders  # without Via, Server-Timing and Content-Length
    length: int  # of its body
    body: Callable[[], bytes | None]  # None: it is not kept any more
    wanted: str  # the content coding that a visitor must take best to get it, "" for none
    mark: str = ""  # what all ETags of it begin with; "": they are the shop's
    aged: bool = False  # it tells its age


@dataclass(frozen=True, slots=True)
class Page:
    """An answer made here, ready to leave."""

    status: int
    lines: NewLines
    body: bytes
    original: bytes = b""  # the decoded page that the plan is of
    made: Personalised | None = None
    reusable: Reusable | None = None  # another request may get it too


class Answer:
    """What leaves towards the visitor, by ASGI messages; counts what left."""

    __slots__ = ("_send", "_trail", "can_hint", "ended", "started")

    def __init__(self, send: Send, trail: Trail, *, can_hint: bool = False) -> None:
        """``can_hint``: the server can send a 103."""
        self._send = send
        self._trail = trail
        self.can_hint = can_hint
        self.started = False
        self.ended = False

    async def hint(self, links: list[bytes]) -> None:
        """What the page will need, while it is being made (103, RFC 8297)."""
        await self._send({"type": "http.response.early_hint", "links": links})

    async def start(self, status: int, lines: RawHeaders | list[tuple[bytes, bytes]]) -> None:
        self.started = True
        self._trail.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": lines})

    async def body(self, chunk: bytes) -> None:
        if chunk:
            self._trail.sent += len(chunk)
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self, chunk: bytes = b"") -> None:
        self._trail.sent += len(chunk)
        await self._send({"type": "http.response.body", "body": chunk, "more_body": False})
        self.ended = True

    async def whole(self, status: int, lines: RawHeaders | list[tuple[bytes, bytes]], body: bytes) -> None:
        """An answer that is known to its end; its Content-Length is made here."""
        if status not in BODILESS:
            lines = [*(line for line in lines if line[0] != b"content-length"), (b"content-length", b"%d" % len(body))]
        await self.start(status, lines)
        await self.end(b"" if self._trail.method == "HEAD" or status in BODILESS else body)


class VisitorLeft(Exception):
    """The visitor's connection is gone while their body was still coming."""


class TooLong(Exception):
    """The visitor's body is longer than the limit."""


class RequestBody(httpx.AsyncByteStream):
    """The visitor's body as it comes, up to ``limit`` bytes (0: no limit)."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit or None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise VisitorLeft
            chunk: bytes = message.get("body", b"")
            if chunk:
                if self._left is not None:
                    self._left -= len(chunk)
                    if self._left < 0:
                        raise TooLong
                yield chunk
            if not message.get("more_body", False):
                return
