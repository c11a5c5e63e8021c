"""Every limit is hit once, over real sockets, and is counted by its own name: one that is not counted fails here.

A row says how small the limit is made and what then goes over it.  Visitors, the proxy and the shop are in one loop, on
free ports of loopback; the guard's clock ticks faster than it does for visitors.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest

from edgeproxy.app import build_app
from edgeproxy.counters import LIMITS
from edgeproxy.journal import Journal
from edgeproxy.server import listener
from edgeproxy.server.run import open_listeners, serve
from edgeproxy.settings import Limits, Settings
from edgeproxy.values import Address, network
from tests.server.test_supervisor import fleet
from tests.server.wire import run
from tests.test_relay import ACCEPT, KEY
from tests.world import KEYS, PAGE, RULES, Books, book_of

FREE: Final = Address("127.0.0.1", 0)
SHARED: Final = {**RULES, "shop.toml": RULES["shop.toml"] + '\n[[cache]]\non = ["/c/**"]\nfor = "1 minute"\n'}
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: "
HTML: Final = HEAD + b"text/html; charset=utf-8\r\n"
PUBLIC: Final = b"Cache-Control: public, max-age=60\r\n"


async def shop(gone: asyncio.Event, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers as the path asks it to, until it is ``gone``."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            if path == b"/never":
                await reader.read()
                return
            if path == b"/takes-nothing":
                writer.transport.pause_reading()  # type: ignore[attr-defined] # it is a socket's
                await gone.wait()
                return
            if path == b"/begins":
                writer.write(HEAD + b"application/octet-stream\r\nContent-Length: 9999\r\n\r\nxxx")
            elif path == b"/socket":
                writer.write(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                    b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
                )
            elif path == b"/style.css":
                writer.write(HEAD + b"text/css\r\n" + PUBLIC + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000)
            else:
                writer.write(HTML + PUBLIC + b"X-Long: %b\r\nX-Line: 1\r\n" % (b"x" * 200))
                writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE))


@dataclass
class Front:
    """The proxy, and who asks it."""

    port: int
    shop_port: int
    journal: Journal
    _open: list[asyncio.StreamWriter] = field(default_factory=list)

    async def say(self, *pieces: bytes) -> asyncio.StreamReader:
        """On a connection of its own, which stays open."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._open.append(writer)
        for piece in pieces:
            writer.write(piece)
        return reader

    async def get(self, path: str, *lines: str, method: str = "GET") -> bytes:
        """The head of what is answered."""
        reader = await self.say(request(path, *lines, method=method))
        return await reader.readuntil(b"\r\n\r\n")

    @property
    def hits(self) -> Mapping[str, float]:
        return {name: times for (name,), times in self.journal.limits.values.items()}

    async def until(self, limit: str) -> None:
        async with asyncio.timeout(20):
            while not self.hits.get(limit):  # noqa: ASYNC110 - nobody says when
                await asyncio.sleep(0.001)

    async def at_work(self) -> None:
        """The first request is being answered."""
        async with asyncio.timeout(20):
            while b"edgeproxy_requests_at_work 1.0" not in self.journal.metrics():  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def leave(self) -> None:
        for writer in self._open:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def request(path: str, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: shop.example", *lines, "", ""]).encode()


SOCKET: Final = request(
    "/socket",
    "Connection: Upgrade",
    "Upgrade: websocket",
    f"Sec-WebSocket-Key: {KEY.decode()}",
    "Sec-WebSocket-Version: 13",
)

Do = Callable[[Front], Awaitable[object]]


@dataclass(frozen=True)
class Hit:
    """How a limit is hit: what is set, and what is done."""

    do: Do
    limits: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    often: bool = False  # one thing done may hit it more than once
    stopping: bool = False  # it is hit when the proxy stops


def says(*pieces: bytes) -> Do:
    return lambda front: front.say(*pieces)


def asks(path: str, *lines: str, method: str = "GET") -> Do:
    return lambda front: front.get(path, *lines, method=method)


def twice(path: str) -> Do:
    async def ask(front: Front) -> None:
        await front.get(path, "Connection: close")
        await front.get(path, "Connection: close")

    return ask


async def beside_another(front: Front) -> None:
    """A request that stays at work, and one more."""
    await front.say(request("/never"))
    await front.at_work()
    await front.get("/never")


async def two_sockets(front: Front) -> None:
    reader = await front.say(SOCKET)
    await reader.readuntil(b"\r\n\r\n")
    await front.say(SOCKET)


async def two_connections(front: Front) -> None:
    await front.say()
    reader = await front.say()
    assert b" 503 Service Unavailable\r\n" in await reader.readuntil(b"\r\n\r\n")


async def familiar(front: Front) -> None:
    """The same page until it is answered by what came before."""
    while not front.hits:
        await front.get("/c/a")


POST: Final = b"POST /a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 50\r\n\r\nx"

HITS: Final[Mapping[str, Hit]] = {
    "header_bytes": Hit(asks("/", "X-Long: " + "x" * 200), {"header_bytes": 150}),
    "header_lines": Hit(asks("/", "A: b", "C: d", "E: f"), {"header_lines": 3}),
    "target_bytes": Hit(asks("/12345"), {"target_bytes": 5}),
    "header_seconds": Hit(says(b"GET /"), {"header_seconds": 0.01}),
    "idle_seconds": Hit(asks("/a"), {"idle_seconds": 0.01}),
    "idle_trusted_seconds": Hit(
        asks("/a"), {"idle_trusted_seconds": 0.01}, {"trust": (network("127.0.0.0/8"),)}
    ),
    "body_bytes": Hit(says(POST), {"body_bytes": 10}),
    "body_seconds": Hit(says(POST), {"body_seconds": 0.01}),
    "rate_bytes": Hit(says(POST), {"rate_seconds": 0.01}),
    "linger_seconds": Hit(says(b"\0"), {"linger_seconds": 0.01}),
    "connections": Hit(two_connections, {"connections": 1}),
    "connections_per_address": Hit(two_connections, {"connections_per_address": 1}),
    "requests": Hit(beside_another, {"requests": 1}),
    "drain_seconds": Hit(says(request("/never")), {"drain_seconds": 0.01}, stopping=True),
    "page_bytes": Hit(asks("/"), {"page_bytes": 100}),
    "variants_bytes": Hit(twice("/c/a"), {"variants_bytes": 100}, often=True),
    "plans_bytes": Hit(asks("/"), {"plans_bytes": 100}, often=True),
    "heads_bytes": Hit(familiar, {"heads_bytes": 100}, often=True),
    "cache_bytes": Hit(twice("/c/a"), {"cache_bytes": 100}, often=True),
    "cache_file_bytes": Hit(twice("/style.css"), {"cache_file_bytes": 100}),
    "deadline": Hit(asks("/never"), settings={"deadline": 0.05}),
    "origin_connect_seconds": Hit(
        asks("/"), {"origin_connect_seconds": 0.05}, {"origin": "https://127.0.0.1:{shop}"}
    ),
    "origin_answer_seconds": Hit(
        asks("/never", "Content-Length: 0", method="POST"), {"origin_answer_seconds": 0.05}
    ),
    "origin_idle_seconds": Hit(asks("/begins"), {"origin_idle_seconds": 0.05, "origin_rate_seconds": 0.05}),
    "origin_rate_bytes": Hit(asks("/begins"), {"origin_rate_seconds": 0.05}),
    "origin_sending_seconds": Hit(
        says(request("/takes-nothing", "Content-Length: 20000000", method="POST"), b"x" * 20_000_000),
        {"origin_sending_seconds": 0.05},
    ),
    "origin_header_bytes": Hit(asks("/a"), {"origin_header_bytes": 100}),
    "origin_header_lines": Hit(asks("/a"), {"origin_header_lines": 4}),
    "origin_connections": Hit(beside_another, {"origin_connections": 1, "origin_connect_seconds": 0.05}),
    "origin_connection_seconds": Hit(twice("/a"), {"origin_connection_seconds": 0.0, "cache_bytes": 0}),
    "origin_failures": Hit(
        asks("/a"),
        {"origin_failures": 1},
        {"origin": "http://127.0.0.1:1", "further_origins": ("http://127.0.0.1:{shop}",)},
    ),
    "origin_health_seconds": Hit(
        lambda front: front.until("origin_health_seconds"),
        {"origin_health_seconds": 0.02},
        {"origin_health": "/never"},
        often=True,
    ),
    "upgrades": Hit(two_sockets, {"upgrades": 1, "origin_connect_seconds": 0.05}),
    "upgrade_idle_seconds": Hit(says(SOCKET), {"upgrade_idle_seconds": 0.02}),
}  # fmt: skip

WITHOUT_VISITORS: Final = {"hang_seconds"}  # the supervisor's: below


@contextlib.asynccontextmanager
async def front(hit: Hit, log: StringIO | None = None) -> AsyncIterator[Front]:
    gone = asyncio.Event()
    behind = await asyncio.start_server(partial(shop, gone), "127.0.0.1", 0)
    port = behind.sockets[0].getsockname()[1]
    said: dict[str, Any] = {"origin": "http://127.0.0.1:{shop}", "deadline": 20.0, **hit.settings}
    said["origin"] = said["origin"].format(shop=port)
    said["further_origins"] = tuple(one.format(shop=port) for one in said.get("further_origins", ()))
    settings = Settings(rules=Path(), keys=KEYS, listen=FREE, admin=FREE, limits=Limits(**hit.limits), **said)
    parts = build_app(settings, books=Books(book_of(SHARED)), log_to=log or StringIO())
    listeners = open_listeners(settings)
    async with serve(parts.proxy, parts.admin, settings, listeners, parts.running, journal=parts.journal):
        made = Front(listeners.public.getsockname()[1], port, parts.journal)
        yield made
        if not hit.stopping:
            await made.leave()
    await made.leave()
    behind.close()
    gone.set()
    for _ in range(10):  # the shop's connections end
        await asyncio.sleep(0)


def test_each_limit_has_a_row_or_is_a_part_of_one_that_has() -> None:
    own = {each.name for each in fields(Limits) if not each.metadata["of"]}
    assert own | {"deadline"} == HITS.keys() | WITHOUT_VISITORS
    assert {each.metadata["of"] for each in fields(Limits)} - {""} <= HITS.keys()


@pytest.mark.parametrize("limit", HITS)
def test_a_limit_that_is_hit_is_counted_by_its_name(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "TICK", 0.005)
    hit = HITS[limit]

    async def test() -> None:
        async with front(hit) as made:
            doing = asyncio.ensure_future(hit.do(made))
            if hit.stopping:
                await doing
                await made.at_work()
            else:
                await made.until(limit)
            before = dict(made.hits)
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await asyncio.wait_for(doing, 20)
        if not hit.stopping:
            assert before.keys() == {limit}, "and nothing else was"
        assert made.hits[limit] >= 1 if hit.often else made.hits[limit] == 1
        assert f'{LIMITS}{{limit="{limit}"}}' in made.journal.metrics().decode()

    run(test())


@pytest.mark.parametrize(
    ("limit", "line"),
    [
        ("body_bytes", '"POST shop.example/a" 413'),
        ("rate_bytes", '"POST shop.example/a" 408'),
        ("requests", '"GET shop.example/never" 503'),
        ("header_lines", '"- -" 431'),
    ],
)
def test_what_was_refused_is_named_in_the_log_as_far_as_it_was_read(
    limit: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "TICK", 0.005)

    async def test() -> None:
        log = StringIO()
        async with front(HITS[limit], log) as made:
            await HITS[limit].do(made)
            await made.until(limit)
        made.journal.close()
        assert [each for each in log.getvalue().splitlines() if line in each and " refused " in each]

    run(test())


def test_a_worker_that_hangs_is_counted_beside_what_workers_count(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, 1, watched=True, hang_seconds=0.05) as made:
            made.started[0].deaf = True
            await made.until(lambda: len(made.started) == 2 and made.supervisor.children)
            rows = (await made.supervisor.numbers())[LIMITS]["rows"]
            assert sorted(rows) == [[["hang_seconds"], 1], [["header_bytes"], 2]]
            assert f'{LIMITS}{{limit="header_bytes"}} 2.0' in (await made.supervisor.metrics())[0].decode()

    run(test())
