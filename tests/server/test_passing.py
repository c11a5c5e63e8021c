"""What passes without the app: the same as the app gives, whatever is asked and whatever the shop does."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from edgeproxy.app import Parts, build_app
from edgeproxy.origin import Limits as ShopLimits
from edgeproxy.origin import ShopAddresses, ShopTransport
from edgeproxy.server.exchange import Exchange as ServerExchange
from edgeproxy.settings import Limits, Settings
from tests.server.test_fastlane import cookie, head
from tests.server.wire import Answer, Noted, Pipe, masked, pipe, run
from tests.server.wire import answers as all_answers
from tests.test_remember import LIFE
from tests.world import HOST, KEYS, NOON, RULES, Books, book_of

CSS = ("Sec-Fetch-Dest: style", "Accept: text/css,*/*;q=0.1")
HEAD_OF = b"HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nCache-Control: no-store\r\n"
PLAIN = HEAD_OF + b"Content-Length: 3\r\n\r\na{}"
Serve = Callable[[bytes, asyncio.StreamWriter], Awaitable[object]]
"""What a shop does when it is asked by a method."""


def says(*pieces: bytes, then: str = "waits") -> Serve:
    """A shop that answers so, piece by piece; ``then`` it "waits", "closes" or "resets"."""

    async def serve(method: bytes, writer: asyncio.StreamWriter) -> None:
        for piece in pieces if method != b"HEAD" else _bodiless(b"".join(pieces)):
            writer.write(piece)
            await writer.drain()
            for _ in range(5):
                await asyncio.sleep(0)
        if then == "resets":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif then == "closes":
            writer.close()

    return serve


def _bodiless(answer: bytes) -> list[bytes]:
    """As to HEAD: the interim heads, and the real one."""
    heads, rest = b"", answer
    while rest:
        one, mark, rest = rest.partition(b"\r\n\r\n")
        heads += one + mark
        if not one.startswith(b"HTTP/1.1 1"):
            break
    return [heads]


def page(kind: bytes, body: bytes, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    more = b"".join(b"%b\r\n" % line for line in lines)
    return b"HTTP/1.1 %b\r\nContent-Type: %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, kind, more, len(body), body)


class Shop:
    """Answers by path, over real sockets; what it was asked is kept."""

    def __init__(self, does: Mapping[str, Serve]) -> None:
        self.does = dict(does)
        self.asked: list[bytes] = []
        self.connections = 0
        self.ended = asyncio.Event()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                asked = await reader.readuntil(b"\r\n\r\n")
                self.asked.append(asked)
                path = asked.split(b" ", 2)[1].partition(b"?")[0].decode("latin-1")
                await self.does.get(path, says(PLAIN))(asked.partition(b" ")[0], writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.ended.set()
            writer.close()


@dataclass
class Front:
    """A proxy before that shop, with what passes past the app or without."""

    shop: Shop
    port: int
    passing: bool
    settings: Mapping[str, Any] = field(default_factory=dict)
    shop_limits: ShopLimits = ShopLimits()  # noqa: RUF009 - frozen
    trusted: tuple[str, ...] = ()
    rules: Mapping[str, str] = field(default_factory=lambda: RULES)
    apps: int = 0

    def __post_init__(self) -> None:
        self.log = StringIO()
        self.outcomes: list[str] = []
        self.noted = Noted()
        self.transport = ShopTransport(f"http://127.0.0.1:{self.port}", limits=self.shop_limits)
        self.books = Books(book_of(self.rules))
        given = Settings(
            **{
                "origin": f"http://127.0.0.1:{self.port}",
                "rules": Path("rules"),
                "keys": KEYS,
                "hosts": (HOST,),
                **self.settings,
            }
        )
        self.parts: Parts = build_app(
            given,
            transport=ShopAddresses([("shop", self.transport)], count=lambda _, what: self.outcomes.append(what)),
            clock=lambda: NOON,
            ticks=lambda: 1000.0,
            books=self.books,
            log_to=self.log,
        )
        self.guard = self.noted.guard(given.limits, self.trusted)
        assert self.parts.proxy.passing is not None
        if self.passing:
            self.guard.passing = self.parts.proxy.passing

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.apps += 1
        await self.parts.proxy(scope, receive, send)

    def connect(self, peer: str = "203.0.113.9") -> Pipe:
        return pipe(self, self.guard, peer=peer)

    async def warm(self, connections: int = 1) -> None:
        """So many idle connections to the shop, and an address that is known to be nobody's."""
        visitors = [self.connect() for _ in range(connections)]
        for visitor in visitors:
            visitor.feed(head(*CSS, target="/warm.css"))
        for visitor in visitors:
            await answered(visitor)
        self.apps = 0
        self.shop.asked.clear()
        self.logged()

    def logged(self) -> list[str]:
        """The lines of the log so far, without what time alone changes."""
        self.parts.journal.log.flush()
        text = self.log.getvalue()
        self.log.seek(0)
        self.log.truncate()
        text = re.sub(r"[0-9.]+ms", "~ms", text)
        return [re.sub(r"id=\S+", "id=~", re.sub(r" (shop|edge)=~ms", "", line)) for line in text.splitlines()]

    def counted(self) -> str:
        text = self.parts.journal.metrics().decode()
        return "\n".join(
            line
            for line in text.splitlines()
            if line.startswith("edgeproxy_") and not re.search("_seconds|_created|connections", line)
        )

    async def close(self) -> None:
        await self.parts.transport.aclose()


async def answered(visitor: Pipe, number: int = 1, *, bodies: bool = True) -> bytes:
    """What has left once so many whole answers have, or the connection is gone."""
    while visitor.state == "open":
        got = answers(bytes(visitor.out), bodies) if visitor.out else []
        if len(got) >= number and all(one.complete for one in got):
            break
        await turn()
    await visitor.settle()
    return bytes(visitor.out)


def answers(data: bytes, bodies: bool) -> list[Answer]:
    """Those in what left a connection; to HEAD they have no bodies."""
    if bodies:
        return [one for one in all_answers(data) if one.status >= 200]
    return [Answer(0, (), b"", complete=True) for one in data.split(b"\r\n\r\n")[:-1] if b"HTTP/1.1 1" not in one]


async def turn() -> None:
    """Let the loop look at its sockets."""
    await asyncio.sleep(0)


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not so():
            await turn()


@asynccontextmanager
async def fronts(does: Mapping[str, Serve], **more: Any) -> AsyncIterator[tuple[Front, Front]]:
    """The same twice: by the app, and past it."""
    made: list[Front] = []
    servers = []
    for passing in (False, True):
        shop = Shop(does)
        server = await asyncio.start_server(shop.connected, "127.0.0.1", 0)
        servers.append(server)
        front = Front(shop, server.sockets[0].getsockname()[1], passing, **more)
        await front.warm()
        made.append(front)
    try:
        yield made[0], made[1]
    finally:
        for front in made:
            await front.close()
        for server in servers:
            server.close()
        mine = asyncio.current_task()
        rest = {task for task in asyncio.all_tasks() if task is not mine and "connected" in repr(task)}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest)


def timeless(data: bytes, front: Front) -> bytes:
    data = re.sub(rb"dur=[0-9.]+", b"~", masked(data))
    return data.replace(b"%d" % front.port, b"PORT")


async def compared(
    by_app: Front,
    past_it: Front,
    *lines: str,
    target: str = "/a.css",
    method: str = "GET",
    version: str = "1.1",
    peer: str = "203.0.113.9",
) -> bytes:
    """Ask both the same, twice on one connection; what they got, which must be equal, and all that it left behind."""
    told = []
    for front in (by_app, past_it):
        if method == "HEAD":
            await front.warm(2)  # the first one's connection is not kept
        visitor = front.connect(peer)
        data = b""
        for number in (1, 2):
            if visitor.state == "open":
                asked = head(*lines, target=target, method=method)
                visitor.feed(asked.replace(b" HTTP/1.1\r\n", b" HTTP/%b\r\n" % version.encode(), 1))
                data = await answered(visitor, number, bodies=method != "HEAD")
        told.append(
            (
                timeless(data, front),
                visitor.state,
                [timeless(asked, front) for asked in front.shop.asked],
                front.logged(),
                [type(fault) for fault in front.noted.faults],
                front.counted(),
                front.outcomes,
                front.transport.at_work,
            )
        )
    assert past_it.parts.proxy.passing is not None
    assert past_it.parts.proxy.passing.at_work == 0
    for one, other in zip(*told, strict=True):
        assert other == one
    return told[0][0]


# ------------------------------------------------------------------ whatever is asked

REQUESTS: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "a style": ("GET", CSS, "/a.css"),
    "a style, HEAD": ("HEAD", CSS, "/a.css"),
    "by its Accept": ("GET", ("Accept: image/webp,*/*",), "/a"),
    "by its ending": ("GET", (), "/a.css?v=1"),
    "a page that nobody edits": ("GET", ("Sec-Fetch-Dest: document",), "/nowhere"),
    "a page that is never edited": ("GET", (), "/checkout/pay"),
    "a part of a page": ("GET", ("Range: bytes=0-1",), "/"),
    "a part of a file": ("GET", (*CSS, "Range: bytes=0-1"), "/a.css"),
    "what it may have": ("GET", (*CSS, 'If-None-Match: "a"', "If-Modified-Since: Mon, 01 Jun 2026 12:00:00 GMT"), "/a"),
    "a script's fetch of a page": ("GET", ("Sec-Fetch-Dest: empty",), "/"),
    "a visitor": ("GET", (*CSS, "{loyal}; session=1"), "/a.css"),
    "a forged visitor": ("GET", (*CSS, "Cookie: edge_visitor=aa.bb.cc"), "/a.css"),
    "a doubled visitor": ("GET", (*CSS, "{loyal}", "{new}"), "/a.css"),
    "a state that is none": ("GET", (*CSS, "Cookie: edge_state=aa.bb.cc; a=b"), "/a.css"),
    "the last of its connection": ("GET", (*CSS, "Connection: close"), "/a.css"),
    "authorization": ("GET", (*CSS, "Authorization: Basic YTpi"), "/a.css"),
    "no-cache": ("GET", (*CSS, "Cache-Control: no-cache", "Pragma: no-cache"), "/a.css"),
    "a Referer with flags": ("GET", (*CSS, "Referer: http://shop.example/?edge_stage=loyal&a=b"), "/a.css"),
    "headers of its own": ("GET", (*CSS, "X-Mode: wholesale", "X_Mode: b", "Connection: keep-alive, x-mode"), "/a.css"),
    "words of a proxy": ("GET", (*CSS, "X-Forwarded-For: 1.2.3.4", "X-Request-Id: abc", "Via: 1.1 x"), "/a.css"),
    "raw bytes": ("GET", CSS, "/%2e%2e//caf\xe9?\xe9=%zz"),
    "a flag that nobody may set": ("GET", CSS, "/a.css?edge_stage=loyal&a=b"),
    "a preview cookie that is none": ("GET", (*CSS, "Cookie: edge_preview=1"), "/a.css"),
    "a range that is none": ("GET", (*CSS, "Range: cows"), "/a.css"),
}
APPS: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "a page that is edited": ("GET", ("Sec-Fetch-Dest: document",), "/"),
    "an address of ours": ("GET", CSS, "/-/edge/why"),
    "a body": ("POST", (*CSS, "Content-Length: 0"), "/a.css"),
    "another method": ("OPTIONS", CSS, "/a.css"),
    "an upgrade": ("GET", (*CSS, "Upgrade: x", "Connection: upgrade"), "/a.css"),
    "an expectation": ("GET", (*CSS, "Expect: 100-continue"), "/a.css"),
    "another host": ("GET", (*CSS, "Host: evil.example"), "/a.css"),
    "an absolute target": ("GET", CSS, "http://shop.example/a.css"),
}


@pytest.mark.parametrize("cache", [64_000_000, 0], ids=["with a cache", "without"])
@pytest.mark.parametrize("name", [*REQUESTS, *APPS])
def test_a_request_comes_to_the_same(name: str, cache: int) -> None:
    method, lines, target = {**REQUESTS, **APPS}[name]
    lines = tuple(line.format(loyal=cookie("loyal"), new=cookie("new")) for line in lines)

    async def story() -> None:
        async with fronts({}, settings={"limits": Limits(cache_bytes=cache)}) as (by_app, past_it):
            await compared(by_app, past_it, *lines, target=target, method=method)
            assert past_it.apps == (0 if name in REQUESTS else by_app.apps)

    run(story())


def test_what_visitors_bring_is_counted_where_rules_look_at_it() -> None:
    async def story() -> None:
        async with fronts({}, rules=LIFE) as (by_app, past_it):
            await compared(by_app, past_it, *CSS, "Cookie: edge_state=aa.bb.cc")
            assert "edgeproxy_state_cookies_total" in past_it.counted()
            assert past_it.apps == 0

    run(story())


@pytest.mark.parametrize("trusted", [(), ("203.0.113.9",)])
def test_what_a_trusted_proxy_says_is_believed(trusted: tuple[str, ...]) -> None:
    lines = (
        *CSS,
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Proto: https",
        "X-Request-Id: abc",
        "Forwarded: for=1.2.3.4",
    )

    async def story() -> None:
        does = {"/a.css": says(b"HTTP/1.1 103 Early\r\nLink: </b.css>; rel=preload\r\n\r\n", PLAIN)}
        networks = Settings("http://a", Path(), KEYS).trust if not trusted else _networks(trusted[0])
        async with fronts(does, trusted=trusted, settings={"trust": networks}) as (by_app, past_it):
            data = await compared(by_app, past_it, *lines)
            assert (b" 103 " in data) is bool(trusted)
            assert past_it.apps == 0

    run(story())


def _networks(address: str) -> Any:
    from edgeproxy.values import network

    return (network(address),)


# ------------------------------------------------------------------ whatever the shop does

HTML = b"text/html; charset=utf-8"
LONG = b"x" * 300_000
ANSWERS: Mapping[str, Serve] = {
    "with its length": says(PLAIN),
    "in pieces": says(PLAIN[:20], PLAIN[20:60], PLAIN[60:-1], PLAIN[-1:]),
    "empty": says(page(b"text/css", b"")),
    "long": says(page(b"text/css", LONG)),
    "in chunks": says(HEAD_OF + b"Transfer-Encoding: chunked\r\n\r\n3\r\na{}\r\n", b"2\r\nb{\r\n0\r\n\r\n"),
    "in chunks with trailers": says(HEAD_OF + b"Transfer-Encoding: chunked\r\n\r\n3\r\na{}\r\n0\r\nA: b\r\n\r\n"),
    "until the close": says(HEAD_OF + b"\r\nall", b" of it", then="closes"),
    "until a reset": says(HEAD_OF + b"\r\nhalf", then="resets"),
    "the last of its connection": says(page(b"text/css", b"a{}", b"Connection: close"), then="closes"),
    "by HTTP/1.0": says(b"HTTP/1.0 200 OK\r\nContent-Type: text/css\r\nContent-Length: 3\r\n\r\na{}", then="closes"),
    "no content": says(b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n"),
    "not modified": says(b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 7\r\n\r\n'),
    "not found": says(page(HTML, b"<p>none</p>", status=b"404 Not Found")),
    "a fault": says(page(HTML, b"<p>oops</p>", status=b"500 Oops")),
    "a strange status": says(page(b"text/css", b"a{}", status=b"299 Strange")),
    "a redirect": says(page(HTML, b"", b"Location: http://127.0.0.1/b?c", status=b"302 Found")),
    "cookies": says(page(b"text/css", b"a{}", b"Set-Cookie: a=1; Domain=127.0.0.1; Path=/", b"Set-Cookie: b=2")),
    "an event": says(page(b"text/css", b"a{}", b"Edge-Event: order")),
    "hop by hop": says(page(b"text/css", b"a{}", b"Connection: x-mine, keep-alive", b"X-Mine: 1", b"Keep-Alive: 5")),
    "a page": says(page(HTML, b"<p>here</p>", b'ETag: "a"', b"Cache-Control: public, max-age=60")),
    "a page for all": says(page(HTML, b"<p>here</p>", b"Cache-Control: no-store")),
    "events": says(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n", b"data: 2\n\n", then="closes"
    ),
    "a page in two codings": says(page(HTML, b"no gzip", b"Content-Encoding: gzip, gzip")),
    "interim answers": says(b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 103 E\r\nLink: </a>\r\n\r\n" + PLAIN),
    "too many interim answers": says(b"HTTP/1.1 102 Processing\r\n\r\n" * 30),
    "an unasked upgrade": says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    "surplus": says(PLAIN + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    "no HTTP": says(b"220 mail.example\r\n"),
    "half a head": says(HEAD_OF, then="closes"),
    "a head that is reset": says(HEAD_OF, then="resets"),
    "a head that is too large": says(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000 + b"\r\n\r\n"),
    "two lengths": says(HEAD_OF + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\na{}"),
    "a length and chunks": says(HEAD_OF + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\na{}"),
    "chunks that are none": says(HEAD_OF + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\na{}\r\n"),
    "a body that is cut": says(HEAD_OF + b"Content-Length: 9\r\n\r\nhalf", then="closes"),
    "a body that is reset": says(HEAD_OF + b"Content-Length: 9\r\n\r\n", b"half", then="resets"),
    "chunks that are cut": says(HEAD_OF + b"Transfer-Encoding: chunked\r\n\r\n3\r\na{}\r\n", then="closes"),
    "an odd name": says(page(b"text/css", b"a{}", b"A(b): c")),
    "a control character": says(page(b"text/css", b"a{}", b"A: \x7f")),
    "status 600": says(page(b"text/css", b"a{}", status=b"600 No")),
    "closed at once": says(then="closes"),
}


@pytest.mark.parametrize(("method", "version"), [("GET", "1.1"), ("HEAD", "1.1"), ("GET", "1.0")])
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_comes_to_the_same(name: str, method: str, version: str) -> None:
    async def story() -> None:
        async with fronts({"/a.css": ANSWERS[name], "/nowhere": ANSWERS[name]}) as (by_app, past_it):
            for target, lines in (("/a.css", CSS), ("/nowhere", ())):
                await compared(by_app, past_it, *lines, target=target, method=method, version=version)
            await compared(by_app, past_it, *CSS, target="/other.css")
            assert past_it.apps < by_app.apps

    run(story())


# ------------------------------------------------------------------ who waits for whom


def test_a_dead_connection_is_asked_again_once_and_on_a_new_one() -> None:
    async def story() -> None:
        async with fronts({"/a.css": says(then="closes")}) as (by_app, past_it):
            data = await compared(by_app, past_it, *CSS)
            assert data.startswith(b"HTTP/1.1 502 ")
            assert past_it.transport.retries == by_app.transport.retries == 1
            assert past_it.apps == 2

    run(story())


@pytest.mark.parametrize("then", ["head", "body"])
def test_a_visitor_who_leaves_ends_the_question(then: str) -> None:
    """Nobody reads on for them, the connection is not used again, and the log says so."""

    async def story() -> None:
        began = asyncio.Event()

        async def slow(method: bytes, writer: asyncio.StreamWriter) -> None:
            if then == "body":
                writer.write(HEAD_OF + b"Content-Length: 9\r\n\r\nhalf")
                await writer.drain()
            began.set()
            await asyncio.Event().wait()

        async with fronts({"/a.css": slow}) as (by_app, past_it):
            logged = []
            for front in (by_app, past_it):
                began.clear()
                visitor = front.connect()
                visitor.feed(head(*CSS, target="/a.css"))
                await began.wait()
                await until(lambda: then == "head" or b"half" in visitor.out)  # noqa: B023 - asked at once
                visitor.leave()
                await until(lambda: front.transport.at_work == 0)  # noqa: B023
                await visitor.settle()
                logged.append(front.logged())
                assert front.transport.at_hand() is None
            assert logged[0] == logged[1]
            assert "the visitor left" in logged[1][0]
            assert past_it.apps == 0
            assert past_it.parts.proxy.passing is not None
            assert past_it.parts.proxy.passing.at_work == 0

    run(story())


def test_what_a_visitor_does_not_take_stays_with_the_shop() -> None:
    """The connection to the shop is not read above the window, and goes on when the visitor does."""
    body = b"x" * 3_000_000

    async def story() -> None:
        async with fronts({"/a.css": says(page(b"text/css", body))}) as (_, past_it):
            visitor = past_it.connect()
            visitor.protocol.pause_writing()
            visitor.feed(head(*CSS, target="/a.css"))
            passage = visitor.protocol.cycle.passage
            assert passage is not None
            exchange = passage._exchange
            await until(lambda: exchange._paused)
            assert exchange._held < len(body) // 2
            assert len(visitor.out) < 1000  # the head
            visitor.protocol.resume_writing()
            assert (await answered(visitor)).endswith(body)
            assert past_it.apps == past_it.transport.at_work == 0

    run(story())


class Late:
    """The clock of the running loop, which a test moves on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        real = loop.time
        self.by = 0.0
        monkeypatch.setattr(loop, "time", lambda: real() + self.by)


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ((), b"HTTP/1.1 504 "),
        ((HEAD_OF.replace(b"css", b"html") + b"Content-Length: 9\r\n\r\nhalf",), b"HTTP/1.1 200 "),
        ((HEAD_OF + b"Content-Length: 9\r\n\r\nhalf",), b"HTTP/1.1 200 "),
    ],
    ids=["no head", "a document that does not end", "a file that falls silent"],
)
def test_a_shop_that_takes_too_long_is_given_up(
    pieces: tuple[bytes, ...], status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        late = Late(monkeypatch)

        async def slow(method: bytes, writer: asyncio.StreamWriter) -> None:
            await says(*pieces)(method, writer)
            for _ in range(50):
                await turn()
            late.by += 31

        keeps = ShopLimits(keepalive=1000)
        async with fronts({"/a.css": slow}, settings={"deadline": 30.0}, shop_limits=keeps) as both:
            assert (await compared(*both, *CSS)).startswith(status)
            assert both[1].apps < both[0].apps

    run(story())


def test_what_comes_earns_time_beyond_what_was_given_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """30 seconds, and one more for each KB; then it is cut."""

    async def story() -> None:
        late, more = Late(monkeypatch), asyncio.Event()

        async def drips(method: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(HEAD_OF + b"Content-Length: 100000\r\n\r\nx")
            await more.wait()
            writer.write(b"y" * 20480)
            await asyncio.Event().wait()

        async with fronts({"/a.css": drips}, settings={"deadline": 30.0}) as (_, past_it):
            passing = past_it.parts.proxy.passing
            assert passing is not None
            visitor = past_it.connect()
            visitor.feed(head(*CSS, target="/a.css"))
            await until(lambda: b"x" in visitor.out)
            late.by += 29
            more.set()
            await until(lambda: len(visitor.out) > 20480)
            late.by += 19
            for _ in range(50):
                await turn()
            assert passing.at_work == 1
            late.by += 3
            await until(lambda: visitor.state == "aborted")
            assert passing.at_work == past_it.transport.at_work == past_it.apps == 0
            assert "too slowly" in past_it.logged()[0]

    run(story())


def test_requests_that_come_at_once_are_answered_in_turn() -> None:
    async def story() -> None:
        does = {f"/{n}.css": says(page(b"text/css", b"%d" % n)) for n in range(5)}
        async with fronts(does) as both:
            outs = []
            for front in both:
                visitor = front.connect()
                visitor.feed(b"".join(head(*CSS, target=f"/{n}.css") for n in range(5)))
                outs.append(timeless(await answered(visitor, 5), front))
            assert outs[0] == outs[1]
            assert [one.body for one in all_answers(outs[1])] == [b"0", b"1", b"2", b"3", b"4"]
            assert both[1].apps == 0

    run(story())


def waits_for(release: asyncio.Event) -> Serve:
    async def serve(method: bytes, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(PLAIN)

    return serve


def test_without_an_idle_connection_it_is_the_apps() -> None:
    """Nobody waits for one here, and nobody opens one."""

    async def story() -> None:
        release = asyncio.Event()
        async with fronts({"/a.css": waits_for(release)}) as (_, past_it):
            visitors = [past_it.connect() for _ in range(3)]
            for visitor in visitors:
                visitor.feed(head(*CSS, target="/a.css"))
            passing = past_it.parts.proxy.passing
            assert passing is not None
            await until(lambda: (passing.at_work, past_it.apps) == (1, 2))
            release.set()
            for visitor in visitors:
                assert (await answered(visitor)).endswith(b"a{}")
            assert passing.at_work == past_it.transport.at_work == 0

    run(story())


def test_requests_at_work_are_limited_whoever_answers_them() -> None:
    async def story() -> None:
        release = asyncio.Event()
        limits = Limits(requests=1)
        async with fronts({"/a.css": waits_for(release)}, settings={"limits": limits}) as (_, past_it):
            first, second = past_it.connect(), past_it.connect()
            first.feed(head(*CSS, target="/a.css"))
            assert (await second.say(head(*CSS, target="/b.css"))).startswith(b"HTTP/1.1 503 ")
            release.set()
            assert (await answered(first)).endswith(b"a{}")

    run(story())


def test_a_stop_lets_it_end_and_closes_then() -> None:
    async def story() -> None:
        release = asyncio.Event()
        async with fronts({"/a.css": waits_for(release)}) as (_, past_it):
            visitor = past_it.connect()
            visitor.feed(head(*CSS, target="/a.css"))
            past_it.guard.drain()
            assert past_it.guard.close_idle() == 1
            release.set()
            assert b"connection: close\r\n" in await answered(visitor)
            assert visitor.state == "closed"

    run(story())


@pytest.mark.parametrize("where", ["_go_on", "_begun"])
def test_a_fault_between_the_connections_is_answered_by_the_app(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has left yet, so the shop is asked once more: its answer, told once, and counted."""

    def fails(*args: Any, **more: Any) -> Any:
        raise ZeroDivisionError

    async def story() -> None:
        async with fronts({}) as (_, past_it):
            right = await past_it.connect().say(head(*CSS, target="/a.css"))
            visitor = past_it.connect()
            monkeypatch.setattr(f"edgeproxy.passing.Passage.{where}", fails)
            visitor.feed(head(*CSS, target="/a.css"))
            assert timeless(await answered(visitor), past_it) == timeless(right, past_it)
            assert "edgeproxy_faults_total 1" in past_it.counted()
            passing = past_it.parts.proxy.passing
            assert passing is not None
            assert passing.at_work == past_it.transport.at_work == 0

    run(story())


@pytest.mark.parametrize("where", ["begin", "confirm", "untouched", "write_body"])
def test_a_fault_of_ours_is_never_the_visitors(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the shop is asked the app answers, later it is what the app makes of a fault; told once, and counted."""

    def fails(*args: Any, **more: Any) -> Any:
        raise ZeroDivisionError

    async def story() -> None:
        async with fronts({}) as both:
            outs = []
            for front in both:
                passing = front.parts.proxy.passing
                assert passing is not None
                if where == "begin":
                    monkeypatch.setattr(passing, "_asked", fails)
                elif where != "write_body":
                    monkeypatch.setattr(passing.delivery._rewriter, where, fails)
                visitor = front.connect()
                with monkeypatch.context() as during:
                    if where == "write_body":
                        during.setattr(ServerExchange, "write_body", fails)
                    visitor.feed(head(*CSS, target="/a.css"))
                    outs.append((timeless(await answered(visitor), front), visitor.state, front.logged()))
                assert passing.at_work == front.transport.at_work == 0
            assert outs[0] == outs[1]
            assert "edgeproxy_faults_total 1" in both[1].counted()
            assert (both[0].counted() == both[1].counted()) is (where != "begin")

    run(story())
