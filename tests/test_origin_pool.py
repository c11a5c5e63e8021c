"""Several addresses of one shop, names that move, TLS by name: which connection a request goes out on."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.app import build_app
from edgeproxy.origin import (
    Limits,
    ShopAddresses,
    ShopBroken,
    ShopBusy,
    ShopError,
    ShopRefused,
    ShopTimeout,
    ShopTransport,
    Tolerance,
    tls_context,
)
from edgeproxy.origin.exchange import Exchange
from edgeproxy.origin.health import BAD_CHECKS, Health
from edgeproxy.origin.lending import Lender
from edgeproxy.origin.patience import Patience
from edgeproxy.settings import Settings
from tests.conftest import Clock
from tests.test_origin import OK, TLS, Body, Visit, fetch, fine, reads_body, request, shop
from tests.world import KEYS, PAGE, RULES, Books, Told, World, book_of
from tests.world import Shop as BehindShop

pytestmark = pytest.mark.anyio

TOLERANCE = Tolerance(failures=3, first=10, most=60)


# ------------------------------------------------------------------ health, by itself


def test_an_address_goes_out_after_so_many_failures_in_a_row() -> None:
    health = Health(TOLERANCE)
    assert [health.failed(100, 0.5) for _ in range(3)] == [False, False, True]
    assert not health.usable(109.9)
    assert health.usable(110)


def test_a_whole_answer_between_failures_starts_the_count_anew() -> None:
    health = Health(TOLERANCE)
    for _ in range(10):
        assert not health.failed(0, 0)
        assert not health.failed(0, 0)
        health.answered(0)
    assert health.usable(0)


def test_it_stays_out_twice_as_long_each_time_up_to_a_limit_and_a_good_answer_ends_that() -> None:
    health = Health(TOLERANCE)
    now, spans = 0.0, []
    for _ in range(3):
        health.failed(now, 0.5)
    for _ in range(5):
        spans.append(health.out_until - now)
        now = health.out_until
        assert health.usable(now)
        assert health.failed(now, 0.5)  # on trial: one is enough
    assert spans == [10, 20, 40, 60, 60]
    now = health.out_until
    health.answered(now)
    assert [health.failed(now, 0.5) for _ in range(3)] == [False, False, True]
    assert health.out_until - now == 10


def test_what_was_under_way_when_it_went_out_changes_nothing() -> None:
    health = Health(TOLERANCE)
    for _ in range(20):
        health.failed(0, 0.5)
    assert health.out_until == 10
    health.answered(5)
    assert not health.usable(9)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1, exclude_max=True)), max_size=60))
def test_chance_spreads_and_never_more_than_a_quarter(steps: list[tuple[float, float]]) -> None:
    health, now = Health(TOLERANCE), 0.0
    for passed, chance in steps:
        now += passed
        times = health.times
        if health.failed(now, chance):
            span = min(60.0, 10.0 * 2**times)
            assert 0.7499 * span <= health.out_until - now <= 1.2501 * span


def test_checks_take_out_and_put_back() -> None:
    health = Health(TOLERANCE)
    assert [health.checked(good=False) for _ in range(BAD_CHECKS + 1)] == [False] * (BAD_CHECKS - 1) + [True, False]
    assert not health.usable(1e9)
    health.answered(1e9)
    assert not health.usable(1e9)
    assert not health.checked(good=True)
    assert health.usable(0)
    for _ in range(3):
        health.failed(0, 0)
    health.checked(good=True)
    assert health.usable(0)


# ------------------------------------------------------------------ several addresses


class Behind(httpx.AsyncBaseTransport):
    """One address: what it does next is told by a test."""

    def __init__(self, name: str, asked: list[str]) -> None:
        self.name = name
        self.at_work = 0
        self.does: Callable[[httpx.Request], ShopError | int] = lambda request: 200
        self._asked = asked
        self.deadlines: list[float | None] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._asked.append(self.name)
        self.deadlines.append(request.extensions.get("deadline"))
        outcome = request.extensions.get("outcome", lambda problem: None)
        done = self.does(request)
        if isinstance(done, ShopError):
            outcome(done)
            raise done
        outcome(None)
        return httpx.Response(done, stream=httpx.ByteStream(b""))

    def at_hand(self) -> None:
        """Nothing is idle."""

    async def aclose(self) -> None:
        self.name = "closed"


class Several:
    """A shop at three addresses, a clock to move, chance that is always one half."""

    def __init__(self, *names: str, tolerance: Tolerance = TOLERANCE) -> None:
        self.clock = Clock(0)
        self.asked: list[str] = []
        self.counted: list[tuple[str, str]] = []
        self.behind = {name: Behind(name, self.asked) for name in names or ("a", "b", "c")}
        pairs: Any = list(self.behind.items())
        self.shop = ShopAddresses(
            pairs,
            tolerance=tolerance,
            clock=self.clock,
            dice=lambda: 0.5,
            count=lambda address, what: self.counted.append((address, what)),
        )

    async def ask(self, method: str = "GET", deadline: float | None = None) -> int:
        asked = request(method, deadline=deadline)
        return (await self.shop.handle_async_request(asked)).status_code

    async def turns(self, number: int) -> list[str]:
        """Who is asked in so many requests."""
        self.asked.clear()
        for _ in range(number):
            await self.ask()
        return self.asked

    @property
    def usable(self) -> list[str]:
        return [one.name for one in self.shop.addresses if self.shop.usable(one)]


REFUSED = ShopRefused("refused", "no connection")
SLOW_TO_CONNECT = ShopTimeout("connect", "no connection in time")
BROKEN = ShopBroken("silent", "closed")


async def test_addresses_are_asked_in_turn_and_the_idle_one_first() -> None:
    several = Several()
    assert await several.turns(6) == ["a", "b", "c", "a", "b", "c"]
    several.behind["b"].at_work = several.behind["c"].at_work = 1
    assert await several.turns(3) == ["a", "a", "a"]


async def test_who_only_looks_for_an_idle_connection_takes_nobodys_turn() -> None:
    several = Several("a", "b")
    asked = []
    for _ in range(4):
        assert several.shop.at_hand() is None
        asked += await several.turns(1)
    assert asked == ["a", "b", "a", "b"]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("problem", [REFUSED, SLOW_TO_CONNECT, ShopRefused("dns", "x"), ShopBusy("busy", "x")])
async def test_what_was_not_sent_goes_to_the_next_address(problem: ShopError, method: str) -> None:
    several = Several()
    several.behind["a"].does = several.behind["b"].does = lambda request: problem
    assert await several.ask(method) == 200
    assert several.asked == ["a", "b", "c"]


@pytest.mark.parametrize("problem", [BROKEN, ShopTimeout("answer", "x"), ShopTimeout("sending", "x")])
async def test_what_was_sent_is_never_sent_elsewhere(problem: ShopError) -> None:
    several = Several()
    several.behind["a"].does = lambda request: problem
    with pytest.raises(type(problem)):
        await several.ask()
    assert several.asked == ["a"]


async def test_each_address_is_tried_once_and_the_last_problem_told() -> None:
    several = Several()
    for one in several.behind.values():
        one.does = lambda request: REFUSED
    with pytest.raises(ShopRefused):
        await several.ask()
    assert sorted(several.asked) == ["a", "b", "c"]


async def test_looking_for_an_address_is_part_of_the_deadline() -> None:
    several = Several()

    def slow(request: httpx.Request) -> ShopError:
        several.clock.advance(4)
        return SLOW_TO_CONNECT

    for one in several.behind.values():
        one.does = slow
    with pytest.raises(ShopTimeout):
        await several.ask(deadline=7)
    assert several.asked == ["a", "b"]
    assert several.behind["a"].deadlines == [7]
    assert several.behind["b"].deadlines == [3]


@pytest.mark.parametrize("problem", [REFUSED, SLOW_TO_CONNECT, BROKEN, ShopTimeout("body", "x")])
async def test_a_failing_address_is_left_out_and_comes_back(problem: ShopError) -> None:
    several = Several()
    several.behind["b"].does = lambda request: problem
    for _ in range(9):
        with suppress(ShopError):
            await several.ask()
    assert several.usable == ["a", "c"]
    assert several.counted.count(("b", problem.kind)) == 3
    assert several.counted.count(("b", "out")) == 1
    assert "b" not in await several.turns(10)
    several.behind["b"].does = lambda request: 200
    several.clock.advance(10)
    assert several.usable == ["a", "b", "c"]
    assert (await several.turns(6)).count("b") == 2


async def test_a_full_pool_of_ours_is_no_failure_of_the_shops() -> None:
    several = Several()
    several.behind["a"].does = lambda request: ShopBusy("busy", "x")
    await several.turns(30)
    assert several.usable == ["a", "b", "c"]


async def test_all_are_never_left_out() -> None:
    several = Several()
    for one in several.behind.values():
        one.does = lambda request: BROKEN
    for _ in range(20):
        with pytest.raises(ShopBroken):
            await several.ask()
    assert several.usable == []
    several.asked.clear()
    for _ in range(3):
        with pytest.raises(ShopBroken):
            await several.ask()
    assert sorted(several.asked) == ["a", "b", "c"]


async def test_the_health_path_takes_out_and_puts_back() -> None:
    several = Several()
    paths = []

    def ill(request: httpx.Request) -> int:
        paths.append(request.extensions["target"])
        return 503

    several.behind["a"].does = ill
    for _ in range(BAD_CHECKS):
        await several.shop.check(b"/well", [], 10)
    assert paths == [b"/well"] * BAD_CHECKS
    assert several.usable == ["b", "c"]
    assert several.counted.count(("a", "out")) == 1
    assert several.counted.count(("a", "check failed")) == BAD_CHECKS
    assert "a" not in await several.turns(6)
    several.behind["a"].does = lambda request: 204
    await several.shop.check(b"/well", [], 10)
    assert several.usable == ["a", "b", "c"]
    several.behind["b"].does = lambda request: BROKEN
    for _ in range(9):
        with suppress(ShopError):
            await several.ask()
    assert several.usable == ["a", "c"]
    several.behind["b"].does = lambda request: 302
    await several.shop.check(b"/well", [], 10)
    assert several.usable == ["a", "b", "c"]


async def test_checks_go_on_for_ever_whatever_they_meet() -> None:
    several = Several("a")
    rounds = asyncio.Event()
    seen: list[object] = []

    def meets(request: httpx.Request) -> int:
        seen.append(request.headers.get("host"))
        if len(seen) == 3:
            rounds.set()
        raise ZeroDivisionError

    several.behind["a"].does = meets
    watching = asyncio.create_task(several.shop.watch(b"/well", [(b"host", b"shop.example")], 0.001))
    async with asyncio.timeout(10):
        await rounds.wait()
    watching.cancel()
    assert seen[0] == "shop.example"


async def test_closing_closes_every_address() -> None:
    several = Several()
    await several.shop.aclose()
    assert {one.name for one in several.behind.values()} == {"closed"}
    with pytest.raises(ValueError, match="address"):
        ShopAddresses([])


async def test_over_real_sockets_a_dead_address_costs_nobody_an_answer(free_port: int) -> None:
    """A body that streams is read for the address that answers, and for no other."""
    async with shop(reads_body) as (behind, transport):
        dead = ShopTransport(f"http://127.0.0.1:{free_port}")
        several = ShopAddresses([("dead", dead), ("alive", transport)], tolerance=TOLERANCE)
        for _ in range(10):
            asked = request("POST", headers=[(b"host", b"x")], stream=Body(b"abc"))
            assert await fetch(several, asked) == (200, b"abc")
        assert await fetch(several, request("DELETE", headers=[(b"host", b"x"), (b"content-length", b"0")]))
        assert len(behind.visits) == 11
        assert not several.usable(several.addresses[0])
        await several.aclose()


async def test_an_address_that_cuts_its_bodies_is_failing_too() -> None:
    async def cuts(visit: Visit) -> None:
        await visit.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        visit.writer.close()

    async with shop(cuts) as (_, broken), shop(fine) as (_, whole):
        several = ShopAddresses([("broken", broken), ("whole", whole)], tolerance=TOLERANCE)
        for _ in range(6):
            with suppress(ShopBroken):
                await fetch(several, request())
        assert [several.usable(one) for one in several.addresses] == [False, True]


async def test_no_address_of_the_shop_stands_in_a_redirect() -> None:
    world = World(settings={"further_origins": ("http://second.internal:8000",)})
    for address in ("http://shop.internal:8000", "http://second.internal:8000"):
        world.shop.answer = Told(status=302, headers=(("Location", f"{address}/b?c"),), chunks=())
        assert (await world.ask("/a")).one("location") == "http://shop.example/b?c"


# ------------------------------------------------------------------ a name that moves


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A directory of names → IP addresses, and each look-up of one in ``names["asked"]``."""
    directory: dict[str, str] = {"asked": ""}
    system = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host in directory:
            directory["asked"] += f"{host} "
            host = directory[host]
        return system(host, port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return directory


def two_shops() -> tuple[socket.socket, socket.socket, int]:
    """Sockets on two addresses of loopback and one port."""
    for _ in range(100):
        first, second = socket.socket(), socket.socket()
        first.bind(("127.0.0.1", 0))
        port: int = first.getsockname()[1]
        try:
            second.bind(("127.0.0.2", port))
        except OSError:
            first.close()
            second.close()
            continue
        return first, second, port
    raise OSError("no port is free on both")


@asynccontextmanager
async def moving_shop(answers: Sequence[bytes]) -> Any:
    async with AsyncExitStack() as stack:
        first, second, port = two_shops()
        for sock, body in zip((first, second), answers, strict=True):

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes = body) -> None:
                try:
                    while True:
                        await reader.readuntil(b"\r\n\r\n")
                        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                except (asyncio.IncompleteReadError, ConnectionError):
                    writer.close()

            await stack.enter_async_context(await asyncio.start_server(serve, sock=sock))
        yield port


async def test_a_name_that_moves_is_followed(names: dict[str, str]) -> None:
    """Each new connection asks the name again when its time is over, and no connection outlives its age."""
    names["moving.example"] = "127.0.0.1"
    async with moving_shop((b"old", b"new")) as port:
        transport = ShopTransport(f"http://moving.example:{port}", limits=Limits(dns=0, age=0))
        assert await fetch(transport, request()) == (200, b"old")
        names["moving.example"] = "127.0.0.2"
        assert await fetch(transport, request()) == (200, b"new")
        await transport.aclose()


async def test_a_connection_is_used_up_to_its_age_and_a_name_believed_for_its_time(names: dict[str, str]) -> None:
    names["moving.example"] = "127.0.0.1"
    async with moving_shop((b"old", b"new")) as port:
        young = ShopTransport(f"http://moving.example:{port}", limits=Limits(dns=0, age=600))
        believing = ShopTransport(f"http://moving.example:{port}", limits=Limits(dns=600, age=0))
        for transport in (young, believing):
            assert await fetch(transport, request()) == (200, b"old")
        asked = names["asked"]
        names["moving.example"] = "127.0.0.2"
        for transport in (young, believing):
            assert await fetch(transport, request()) == (200, b"old")
            await transport.aclose()
        assert names["asked"] == asked


# ------------------------------------------------------------------ TLS


@asynccontextmanager
async def tls_shop(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> Any:
    """A shop with the certificate of localhost; gives its port and the names that were asked for."""
    asked: list[str | None] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "shop.pem")
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()


async def answers_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK)
    await writer.drain()
    writer.close()


async def test_tls_asks_for_the_origins_host() -> None:
    async with tls_shop(answers_once) as (port, asked):
        transport = ShopTransport(f"https://localhost:{port}", tls=tls_context(TLS / "ca.pem"))
        assert await fetch(transport, request()) == (200, b"ok")
        await transport.aclose()
    assert asked == ["localhost"]


@pytest.mark.parametrize(
    ("origin_host", "status", "names"),
    [("localhost:8443", 200, ["localhost"]), ("other.example", 502, ["other.example"]), (None, 502, [None])],
)
async def test_the_name_for_an_address_by_number_is_the_one_of_origin_host(
    origin_host: str | None, status: int, names: list[str | None]
) -> None:
    """Through the whole proxy: SNI and verification go by --origin-host, and an IP address is no name."""
    async with tls_shop(answers_once) as (port, asked):
        world = World()
        given = Settings(
            f"https://127.0.0.1:{port}",
            Path(),
            KEYS,
            hosts=("shop.example",),
            origin_host=origin_host,
            origin_ca=TLS / "ca.pem",
        )
        world.parts = build_app(given, books=Books(book_of(RULES)), log_to=world.log, clock=lambda: world.now)
        got = await world.ask("/x")
        await world.parts.transport.aclose()
    assert got.status == status
    assert asked == names


async def test_over_tls_too_a_body_without_a_length_ends_with_the_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it")
        await writer.drain()
        writer.close()

    async with tls_shop(serve) as (port, _):
        transport = ShopTransport(f"https://localhost:{port}", tls=tls_context(TLS / "ca.pem"))
        assert await fetch(transport, request()) == (200, b"all of it")
        await transport.aclose()


@pytest.mark.parametrize("says", [True, False], ids=["close_notify", "a bare FIN"])
@pytest.mark.parametrize("framed", [True, False], ids=["with its length", "until the close"])
def test_a_tls_connection_that_just_stops_is_a_cut(says: bool, framed: bool) -> None:
    """RFC 9112, 9.8: without a closure alert nobody knows that a body which ends with the connection is whole."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "shop.pem")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + (b"Content-Length: 4\r\n" if framed else b"")

    def serve(listener: socket.socket) -> None:
        plain, _ = listener.accept()
        with context.wrap_socket(plain, server_side=True) as secured:
            secured.recv(65536)
            secured.sendall(head + b"\r\nhalf")
            if says:
                with suppress(OSError):
                    secured.unwrap()

    async def ask(port: int) -> tuple[int, bytes]:
        transport = ShopTransport(f"https://localhost:{port}", tls=tls_context(TLS / "ca.pem"))
        try:
            return await fetch(transport, request())
        finally:
            await transport.aclose()

    for new_loop in (asyncio.new_event_loop, uvloop.new_event_loop):
        with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
            serving = pool.submit(serve, listener)
            with asyncio.Runner(loop_factory=new_loop) as runner:
                if says or framed:
                    assert runner.run(ask(listener.getsockname()[1])) == (200, b"half")
                else:
                    with pytest.raises(ShopBroken) as caught:
                        runner.run(ask(listener.getsockname()[1]))
                    assert caught.value.kind == "cut"
            serving.result()


# ------------------------------------------------------------------ deadlines


@pytest.mark.parametrize("tls", [False, True])
async def test_the_time_to_a_connection_is_part_of_the_deadline(tls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What looking a name up, connecting and TLS took is not there for the answer any more."""
    loop = asyncio.get_running_loop()
    late, real = 0.0, loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + late)
    given: list[float] = []
    borrow = Lender.borrow

    async def slowly(self: Lender, seconds: float, *, fresh: bool, recent: bool) -> Any:
        nonlocal late
        found = await borrow(self, seconds, fresh=fresh)
        late += 1.5
        return found

    async def head(self: Exchange, patience: Patience, *rest: Any) -> None:
        given.append(patience.left)
        await waiting(self, patience, *rest)

    waiting = Exchange.head
    monkeypatch.setattr(Lender, "borrow", slowly)
    monkeypatch.setattr(Exchange, "head", head)
    async with shop(fine, tls=tls) as (behind, _):
        scheme = "https" if tls else "http"
        context = tls_context(TLS / "ca.pem") if tls else None
        transport = ShopTransport(f"{scheme}://localhost:{behind.port}", tls=context)
        assert await fetch(transport, request(deadline=10)) == (200, b"ok")
        await transport.aclose()
    assert 5 < given[0] <= 8.5


# ------------------------------------------------------------------ codings on top of each other


LONG = PAGE * 4


def doubled(**more: str) -> Told:
    headers = {"Content-Type": "text/html", "Content-Encoding": "gzip, gzip", "ETag": '"a"', "Digest": "x", **more}
    return Told(headers=tuple(headers.items()), chunks=(gzip.compress(gzip.compress(LONG)),))


@pytest.mark.parametrize("accept", ["gzip", ""])
async def test_a_page_gzipped_twice_is_a_page_again(accept: str) -> None:
    world = World(shop=BehindShop(doubled()))
    got = await world.ask("/nowhere", headers=[("Accept-Encoding", accept)] if accept else [])
    assert (got.status, got.body) == (200, LONG)
    assert got.get("content-encoding") == ([accept] if accept else [])
    assert got.get("etag") == ['W/"a"']
    assert got.get("digest") == []
    assert got.one("content-length") == str(len(got.raw))
    assert "Accept-Encoding" in got.one("vary")


async def test_a_page_that_is_looked_at_leaves_in_one_coding_too() -> None:
    rules = {**RULES, "slots.toml": '[hero]\nfind = ".none"\n[menu]\nfind = ".none"\n'}
    got = await World(shop=BehindShop(doubled()), rules=rules).ask("/", headers=[("Accept-Encoding", "gzip")])
    assert got.get("content-encoding") == ["gzip"]
    assert got.body == LONG


@pytest.mark.parametrize(
    "told",
    [
        doubled(**{"Cache-Control": "public, no-transform"}),
        doubled(**{"Content-Type": "image/svg+xml"}),
        doubled(**{"Content-Encoding": "gzip, mine"}),
        Told(headers=doubled().headers, chunks=(b"no gzip at all",)),
        Told(status=404, headers=doubled().headers, chunks=doubled().chunks),
    ],
    ids=["no-transform", "no page", "unknown coding", "corrupt", "not 200"],
)
async def test_what_is_not_undone_passes_as_it_came(told: Told) -> None:
    got = await World(shop=BehindShop(told)).ask("/nowhere", headers=[("Accept-Encoding", "gzip")])
    assert got.raw == b"".join(chunk for chunk in told.chunks if isinstance(chunk, bytes))
    assert got.get("content-encoding") == [dict(told.headers)["Content-Encoding"]]
    assert got.get("etag") == ['"a"']


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_has_no_length(status: int) -> None:
    """RFC 9110, 8.6: never in a 204; in a 304 it would be another coding's."""
    told = Told(status=status, headers=(("Content-Length", "7"), ("ETag", '"a"')), chunks=())
    for rules in (RULES, None):
        got = await World(shop=BehindShop(told), rules=rules).ask("/")
        assert got.status == status
        assert got.get("content-length") == []
