"""A whole proxy without ports: rules as text, a shop that answers as told, a clock to move, a visitor who asks.

A test reads like a page: what the shop has, what the rules say, who asks, what they get, what the shop was asked.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import httpx

from edgeproxy.app import Parts, build_app
from edgeproxy.core.model import RuleBook
from edgeproxy.core.rulefile import parse
from edgeproxy.core.signing import Keys
from edgeproxy.core.visitor import sign
from edgeproxy.html.checks import HtmlMarkup
from edgeproxy.settings import Settings

KEYS = Keys.parse("4d1f0c7be2a84b5d9c3e6f7081a2b3c4")
HOST = "shop.example"
NOON = 1_780_315_200.0  # 2026-06-01 12:00:00 UTC

PAGE = (
    b"<!DOCTYPE html>\r\n<html lang=en><head><title>Shop</title></head>\n<body class=home>\n"
    b'<nav id="menu"><a href="/a">A</a></nav>\n<main><section class="hero">Old</section><p>caf\xc3\xa9</p></main>\n'
    b"</body></html>\n"
)
RULES: Mapping[str, str] = {
    "shop.toml": """
        format = 1
        timezone = "UTC"
        stages = ["new", "loyal"]
        segments = ["outdoor"]
        without_cookie = "new"
        order = ["calm", "thanks"]
        never = ["/checkout/**"]
    """,
    "slots.toml": """
        [hero]
        find = ".hero"
        on = ["/", "/c/**"]
        [menu]
        find = "#menu"
        on = ["/", "/c/**"]
    """,
    "audiences.toml": """
        [newcomers]
        stage = "new"
        [regulars]
        stage = "loyal"
    """,
    "experiences/calm.toml": """
        for = "newcomers"
        [[edit]]
        slot = "menu"
        remove = true
    """,
    "experiences/thanks.toml": """
        for = "regulars"
        [[edit]]
        slot = "hero"
        inner = "thanks.html"
    """,
    "fragments/thanks.html": "<p>Good to see you</p>",
}
CALM = PAGE.replace(b'<nav id="menu"><a href="/a">A</a></nav>', b"")
THANKS = PAGE.replace(b">Old<", b"><p>Good to see you</p><")


@dataclass
class Asked:
    """One request as the shop saw it."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    deadline: float | None

    def get(self, name: str) -> list[str]:
        return [value.decode("latin-1") for key, value in self.headers if key.lower() == name.encode()]


Chunk = bytes | Exception | Callable[[], Awaitable[object]]


@dataclass
class Told:
    """What the shop answers: chunks may be bytes, an exception that is raised in their place, or what is waited for."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = (("Content-Type", "text/html; charset=utf-8"),)
    chunks: Sequence[Chunk] = (PAGE,)


class _Stream(httpx.AsyncByteStream):
    def __init__(self, chunks: Sequence[Chunk], closed: list[bool]) -> None:
        self._chunks = list(chunks)
        self._closed = closed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._chunks:
            chunk = self._chunks.pop(0)
            if isinstance(chunk, Exception):
                raise chunk
            if not isinstance(chunk, bytes):
                await chunk()
                continue
            yield chunk

    async def aclose(self) -> None:
        self._closed.append(True)


class Shop(httpx.AsyncBaseTransport):
    """Answers every request by ``answer(asked)``: a Told, or an exception to raise."""

    def __init__(self, answer: Callable[[Asked], Told | Exception] | Told | Exception | None = None) -> None:
        self.answer = answer if answer is not None else Told()
        self.asked: list[Asked] = []
        self.closed: list[bool] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        body = b"".join([chunk async for chunk in request.stream])
        asked = Asked(
            request.method,
            request.extensions["target"],
            list(request.headers.raw),
            body,
            request.extensions.get("deadline"),
        )
        self.asked.append(asked)
        told = self.answer(asked) if callable(self.answer) else self.answer
        if isinstance(told, Exception):
            raise told
        return httpx.Response(
            told.status,
            headers=[(name.encode(), value.encode("latin-1")) for name, value in told.headers],
            stream=_Stream(told.chunks, self.closed),
        )


@dataclass
class Books:
    """A live book that a test exchanges."""

    book: RuleBook | None


def book_of(rules: Mapping[str, str]) -> RuleBook:
    """Rules as text → a book; fails with their problems."""
    parsed = parse({name: text.encode() for name, text in rules.items()}, markup=HtmlMarkup(), now=NOON)
    assert parsed.book is not None, "\n".join(str(problem) for problem in parsed.problems)
    return parsed.book


@dataclass
class Got:
    """What the visitor got; ``body`` without its content coding, ``raw`` with it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    raw: bytes
    cut: bool = False

    def get(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str:
        (value,) = self.get(name)
        return value


@dataclass
class World:
    """A proxy before a shop."""

    shop: Shop = field(default_factory=Shop)
    rules: Mapping[str, str] | None = field(default_factory=lambda: RULES)
    settings: Mapping[str, Any] = field(default_factory=dict)
    now: float = NOON
    ticks: float | None = None  # by the clock that never goes back; None: as ``now``
    log: StringIO = field(default_factory=StringIO)
    left: asyncio.Event = field(default_factory=asyncio.Event)  # some of a body has left since it was cleared

    def __post_init__(self) -> None:
        self.books = Books(book_of(self.rules) if self.rules is not None else None)
        given = {"origin": "http://shop.internal:8000", "rules": Path("rules"), "keys": KEYS, "hosts": (HOST,)}
        self.parts: Parts = build_app(
            Settings(**{**given, **self.settings}),
            transport=self.shop,
            clock=lambda: self.now,
            ticks=lambda: self.now if self.ticks is None else self.ticks,
            books=self.books,
            log_to=self.log,
        )

    async def ask(
        self,
        target: str | bytes = "/",
        *,
        method: str = "GET",
        headers: Sequence[tuple[str, str]] = (),
        stage: str | None = None,
        segments: Sequence[str] = (),
        body: Sequence[bytes] = (),
        host: str = HOST,
        client: str = "203.0.113.9",
        scheme: str = "http",
        version: str = "1.1",
    ) -> Got:
        """Ask the proxy as the server does, and collect what leaves; ``cut`` when the answer was broken off."""
        from edgeproxy.errors import CutShort

        raw = target.encode("latin-1") if isinstance(target, str) else target
        path, _, query = raw.partition(b"?")
        lines = [
            (b"host", host.encode()),
            *((name.lower().encode(), value.encode("latin-1")) for name, value in headers),
        ]
        if stage is not None:
            lines.append((b"cookie", b"edge_visitor=" + sign(KEYS, self.now, stage=stage, segments=segments).encode()))
        if body:
            lines.append((b"content-length", str(sum(map(len, body))).encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": version,
            "method": method,
            "scheme": scheme,
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": lines,
            "client": (client, 40000),
            "server": ("127.0.0.1", 8080),
            "extensions": {"edgeproxy.target": {"target": raw}},
        }
        waiting = list(body)
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            chunk = waiting.pop(0) if waiting else b""
            return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

        async def send(message: Any) -> None:
            sent.append(message)
            if message.get("body"):
                self.left.set()

        cut = False
        try:
            await self.parts.proxy(scope, receive, send)
        except CutShort:
            cut = True
        if not sent:
            return Got(0, [], b"", b"", cut)
        start, *rest = sent
        content = b"".join(message.get("body", b"") for message in rest)
        got = Got(
            start["status"],
            [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]],
            content,
            content,
            cut or not (rest and not rest[-1].get("more_body", False)),
        )
        if got.get("content-encoding") == ["gzip"] and not got.cut:
            with suppress(OSError, EOFError):  # a shop's own broken gzip stays what it is
                got.body = gzip.decompress(content)
        return got
