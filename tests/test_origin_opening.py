"""How a connection to the shop comes to be and ends: names, several addresses, TLS that stalls, cancelling, keeping."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop

from edgeproxy.origin import Limits, ShopBroken, ShopRefused, ShopTimeout, ShopTransport, names, tls_context
from edgeproxy.origin import pool as pool_module
from edgeproxy.origin.connection import ShopConnection
from edgeproxy.origin.names import HURRY, STALE, Name
from edgeproxy.origin.pool import Pool
from tests.test_origin import OK, TLS, Visit, fetch, fine, request, shop

pytestmark = pytest.mark.anyio

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
STALL = Limits(connect=0.05)


class Directory:
    """What names lead to; who asked is counted."""

    def __init__(self) -> None:
        self.leads_to: dict[str, list[str] | Exception] = {}
        self.asked: list[str] = []
        self.held: asyncio.Event | None = None
        self.began = asyncio.Event()

    async def look_up(self, host: str, port: int, **more: Any) -> list[Any]:
        self.asked.append(host)
        self.began.set()
        if self.held is not None:
            await self.held.wait()
        found = self.leads_to[host]
        if isinstance(found, Exception):
            raise found
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (one, port))
            for one in found
        ]


@pytest.fixture
async def directory(monkeypatch: pytest.MonkeyPatch) -> Directory:
    """Every name of this loop."""
    made = Directory()
    loop = asyncio.get_running_loop()
    system = loop.getaddrinfo

    async def look_up(host: Any, port: Any, **more: Any) -> Any:
        known = host in made.leads_to
        return await (made.look_up(host, port, **more) if known else system(host, port, **more))

    monkeypatch.setattr(loop, "getaddrinfo", look_up)
    return made


@dataclass
class Clock:
    """The loop's, which stands still."""

    now: float


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    loop = asyncio.get_running_loop()
    made = Clock(loop.time())
    monkeypatch.setattr(loop, "time", lambda: made.now)
    return made


class Ends:
    """A server that accepts and says nothing, and is told when each connection has ended."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.ended = asyncio.Event()
        self.connections = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.began.set()
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass
        self.ended.set()
        writer.close()


@asynccontextmanager
async def silent(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[tuple[Ends, int]]:
    ends = Ends()
    server = await asyncio.start_server(ends.connected, host, port)
    async with server:
        yield ends, server.sockets[0].getsockname()[1]


# ------------------------------------------------------------------ names


async def test_a_name_is_looked_up_once_for_all_who_ask_at_the_same_time(directory: Directory) -> None:
    directory.leads_to["shop.test"] = ["127.0.0.1"]
    directory.held = asyncio.Event()
    async with shop(fine) as (behind, _):
        transport = ShopTransport(f"http://shop.test:{behind.port}")
        asking = [asyncio.create_task(fetch(transport, request())) for _ in range(20)]
        leaving = asyncio.create_task(fetch(transport, request()))
        await directory.began.wait()
        leaving.cancel()  # takes the answer from nobody else
        await asyncio.wait([leaving])
        directory.held.set()
        assert await asyncio.gather(*asking) == [(200, b"ok")] * 20
        assert directory.asked == ["shop.test"]
        await transport.aclose()


async def test_a_name_is_believed_for_its_time_and_then_asked_again(directory: Directory, clock: Clock) -> None:
    directory.leads_to["shop.test"] = ["10.0.0.1"]
    name = Name("shop.test", 80, 10)
    assert list(await name.addresses()) == ["10.0.0.1"]
    directory.leads_to["shop.test"] = ["10.0.0.2"]
    clock.now += 9.9
    assert list(await name.addresses()) == ["10.0.0.1"]
    clock.now += 0.2
    assert list(await name.addresses()) == ["10.0.0.2"]
    assert len(directory.asked) == 2


AGAIN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.mark.parametrize("problem", [AGAIN, socket.gaierror(socket.EAI_FAIL, "failed"), OSError("resolver"), []])
async def test_an_outage_of_dns_is_no_outage_of_the_shop(
    directory: Directory, clock: Clock, caplog: pytest.LogCaptureFixture, problem: Any
) -> None:
    """RFC 8767: the last answer is used on, for a day, unless the resolver says that there is no such name."""
    caplog.set_level("INFO")
    name = Name("shop.test", 80, 10)
    directory.leads_to["shop.test"] = ["10.0.0.1"]
    assert list(await name.addresses()) == ["10.0.0.1"]
    directory.leads_to["shop.test"] = problem
    for _ in range(3):
        clock.now += 11
        assert list(await name.addresses()) == ["10.0.0.1"]
        assert list(await name.addresses()) == ["10.0.0.1"]
    assert len(directory.asked) == 4, "not by everybody who asks meanwhile"
    clock.now += STALE
    with pytest.raises(OSError, match=r"."):
        await name.addresses()
    directory.leads_to["shop.test"] = ["10.0.0.2"]
    assert list(await name.addresses()) == ["10.0.0.2"]
    first, second = [record.getMessage() for record in caplog.records]
    assert first.startswith("shop.test cannot be looked up (")
    assert second == "shop.test is looked up again"


async def test_a_name_that_is_gone_is_believed_to_be_gone(directory: Directory, clock: Clock) -> None:
    name = Name("shop.test", 80, 10)
    directory.leads_to["shop.test"] = ["10.0.0.1"]
    await name.addresses()
    clock.now += 11
    directory.leads_to["shop.test"] = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await name.addresses()
    directory.leads_to["shop.test"] = AGAIN
    assert list(await name.addresses()) == ["10.0.0.1"]


async def test_a_resolver_that_hangs_keeps_nobody_waiting_where_something_is_known(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "HURRY", 0.001)
    name = Name("shop.test", 80, 0.0)
    directory.leads_to["shop.test"] = ["10.0.0.1"]
    await name.addresses()
    directory.leads_to["shop.test"], directory.held = ["10.0.0.2"], asyncio.Event()
    assert list(await name.addresses()) == ["10.0.0.1"]
    asked = len(directory.asked)
    assert list(await name.addresses()) == ["10.0.0.1"]
    assert len(directory.asked) == asked, "the look-up goes on"
    monkeypatch.setattr(names, "HURRY", HURRY * 20)
    directory.held.set()
    assert list(await name.addresses()) == ["10.0.0.2"]
    name.forget()


@pytest.mark.parametrize(
    "problem", [socket.gaierror(socket.EAI_NONAME, "unknown"), UnicodeError("label too long"), OSError("resolver")]
)
async def test_a_name_that_leads_nowhere_is_told_and_asked_again(directory: Directory, problem: Exception) -> None:
    directory.leads_to["shop.test"] = problem
    async with shop(fine) as (behind, _):
        transport = ShopTransport(f"http://shop.test:{behind.port}")
        for _ in range(2):
            with pytest.raises(ShopRefused) as caught:
                await fetch(transport, request())
            assert caught.value.kind == "dns"
        directory.leads_to["shop.test"] = ["127.0.0.1"]
        assert await fetch(transport, request()) == (200, b"ok")
        assert transport.at_work == 0
        await transport.aclose()


async def test_a_name_without_any_address_leads_nowhere(directory: Directory) -> None:
    directory.leads_to["shop.test"] = []
    with pytest.raises(ShopRefused) as caught:
        await fetch(ShopTransport("http://shop.test:80"), request())
    assert caught.value.kind == "dns"


async def test_a_look_up_that_hangs_ends_with_the_time_to_connect(directory: Directory) -> None:
    directory.leads_to["shop.test"] = ["127.0.0.1"]
    directory.held = asyncio.Event()
    transport = ShopTransport("http://shop.test:80", limits=STALL)
    with pytest.raises(ShopTimeout) as caught:
        await fetch(transport, request())
    assert caught.value.phase == "connect"
    await transport.aclose()


async def test_families_alternate_and_every_connection_begins_elsewhere(directory: Directory) -> None:
    directory.leads_to["shop.test"] = ["::1", "::2", "::3", "10.0.0.1"]
    name = Name("shop.test", 80, 600)
    assert list(await name.addresses()) == ["::1", "10.0.0.1", "::2", "::3"]
    assert [next(iter(await name.addresses())) for _ in range(4)] == ["10.0.0.1", "::2", "::3", "::1"]


# ------------------------------------------------------------------ several addresses


@pytest.mark.parametrize("dead", [["127.0.0.3"], ["::1"], ["127.0.0.3", "127.0.0.4", "::1"]], ids=" ".join)
async def test_an_address_that_refuses_costs_nothing_where_another_does_not(
    directory: Directory, dead: list[str]
) -> None:
    directory.leads_to["shop.test"] = [*dead, "127.0.0.1"]
    async with shop(fine) as (behind, _):
        transport = ShopTransport(f"http://shop.test:{behind.port}", limits=Limits(age=0))
        for _ in range(2 * len(dead) + 2):  # whichever of them is the first
            assert await fetch(transport, request()) == (200, b"ok")
        await transport.aclose()


async def test_where_all_refuse_it_is_told_so(directory: Directory, free_port: int) -> None:
    directory.leads_to["shop.test"] = ["127.0.0.1", "127.0.0.2"]
    with pytest.raises(ShopRefused) as caught:
        await fetch(ShopTransport(f"http://shop.test:{free_port}"), request())
    assert caught.value.kind == "refused"


async def test_an_address_that_does_not_answer_is_passed_by_and_left(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8305, 5; what stands behind it here is TLS that never begins."""
    monkeypatch.setattr(pool_module, "STAGGER", 0.01)
    directory.leads_to["localhost"] = ["127.0.0.2", "127.0.0.1"]
    async with shop(fine, tls=True) as (behind, _), silent("127.0.0.2", behind.port) as (ends, _):
        transport = ShopTransport(f"https://localhost:{behind.port}", tls=tls_context(TLS / "ca.pem"))
        assert await fetch(transport, request()) == (200, b"ok")
        async with asyncio.timeout(10):
            await ends.ended.wait()  # the slower attempt was given up
        await transport.aclose()
    assert (ends.connections, behind.connections) == (1, 1)


async def test_of_two_attempts_that_succeed_in_one_moment_one_is_closed(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "STAGGER", 0)
    directory.leads_to["shop.test"] = ["127.0.0.2", "127.0.0.1"]
    both = asyncio.Barrier(2)
    connect = Pool._at

    async def together(self: Pool, address: str) -> ShopConnection:
        made = await connect(self, address)
        await both.wait()
        return made

    monkeypatch.setattr(Pool, "_at", together)
    async with silent() as (one, port), silent("127.0.0.2", port) as (other, _):
        pool = Pool("shop.test", port, tls=None, name="", limits=Limits())
        kept = await pool.open(5)
        assert kept.transport is not None
        loser = one if kept.transport.get_extra_info("peername")[0] == "127.0.0.2" else other
        async with asyncio.timeout(10):
            await loser.ended.wait()
        await pool.aclose()


async def test_tls_that_fails_with_one_address_is_tried_with_the_next(directory: Directory) -> None:
    directory.leads_to["localhost"] = ["127.0.0.2", "127.0.0.1"]

    async def speaks_no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example\r\n")
        await reader.read()
        writer.close()

    async with (
        shop(fine, tls=True) as (behind, _),
        await asyncio.start_server(speaks_no_tls, "127.0.0.2", behind.port),
    ):
        transport = ShopTransport(f"https://localhost:{behind.port}", tls=tls_context(TLS / "ca.pem"))
        assert await fetch(transport, request()) == (200, b"ok")
        await transport.aclose()


# ------------------------------------------------------------------ nothing is left behind


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("how", ["too late", "cancelled"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_whoever_waits_no_longer_leaves_nothing_open(
    scheme: str, how: str, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def main() -> None:
        async with silent() as (ends, port):
            limits = Limits(connect=0.05, answer=0.05) if how == "too late" else None
            transport = ShopTransport(f"{scheme}://127.0.0.1:{port}", limits=limits)
            asking = asyncio.create_task(fetch(transport, request()))
            async with asyncio.timeout(10):
                await ends.began.wait()
                if how == "cancelled":
                    asking.cancel()
                await asyncio.wait([asking])
                await ends.ended.wait()
            if how == "too late":
                problem = asking.exception()
                assert isinstance(problem, ShopTimeout)
                assert problem.phase == ("connect" if scheme == "https" else "answer")
            assert transport.at_work == 0
            await transport.aclose()

    with warnings.catch_warnings(), asyncio.Runner(loop_factory=new_loop) as runner:
        warnings.simplefilter("error", ResourceWarning)
        runner.run(main())
        gc.collect()


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("turns", range(8))
def test_cancelled_at_any_moment_of_connecting_nothing_stays_open(
    turns: int, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Cancelled after so many turns of the loop: before, while, and after there is a connection."""

    async def main() -> None:
        async with silent() as (ends, port):
            transport = ShopTransport(f"http://127.0.0.1:{port}")
            before = descriptors()
            asking = asyncio.create_task(fetch(transport, request()))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
            assert transport.at_work == 0
            await transport.aclose()
            if ends.began.is_set():
                await ends.ended.wait()
            others = await socket_pair()
            for end in others:  # a number that is closed twice would be one of these by now
                end.getpeername()
                end.close()
            assert descriptors() - before <= 1  # the server's own end, which it may not have looked at yet

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_a_handshake_given_up_at_any_moment_is_soon_forgotten(
    new_loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvloop holds what it began until the time that it gives a handshake, a minute, is over."""
    made: weakref.WeakSet[ShopConnection] = weakref.WeakSet()

    def connection(*what: Any) -> ShopConnection:
        one = ShopConnection(*what)
        made.add(one)
        return one

    monkeypatch.setattr(pool_module, "ShopConnection", connection)

    async def main() -> None:
        async with shop(fine, tls=True) as (behind, _):
            pool = Pool(
                "127.0.0.1", behind.port, tls=tls_context(TLS / "ca.pem"), name="localhost", limits=Limits(connect=0.5)
            )
            for turns in range(40):
                opening = asyncio.create_task(pool.open(1.0))
                for _ in range(turns):
                    await asyncio.sleep(0)
                opening.cancel()
                await asyncio.wait([opening])
            await pool.aclose()
            del opening
            async with asyncio.timeout(10):
                while made:
                    await asyncio.sleep(0.02)
                    gc.collect()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def socket_pair() -> tuple[socket.socket, socket.socket]:
    await asyncio.sleep(0)
    return socket.socketpair()


# ------------------------------------------------------------------ keeping


async def test_an_idle_connection_is_closed_after_its_time() -> None:
    ended = asyncio.Event()

    async def serve(visit: Visit) -> None:
        await visit.answers(OK)
        if visit.connection == 1:
            assert await visit.gone() == b""
            ended.set()

    async with shop(serve, limits=Limits(keepalive=0.02)) as (behind, transport):
        assert await fetch(transport, request()) == (200, b"ok")
        async with asyncio.timeout(10):
            await ended.wait()
        assert await fetch(transport, request()) == (200, b"ok")
        assert behind.connections == 2


async def test_each_idle_connection_has_a_time_of_its_own() -> None:
    """The timer goes for the oldest, and goes on for the others."""
    async with silent() as (ends, port):
        pool = Pool("127.0.0.1", port, tls=None, name="", limits=Limits(keepalive=0.02))
        older, younger = await pool.open(5), await pool.open(5)
        pool.keep(older)
        pool.keep(younger)
        pool._idle[younger] += 0.05
        async with asyncio.timeout(10):
            await older.gone()
            assert younger.is_connected()
            await younger.gone()
        assert pool.idle() is None
        await pool.aclose()
    assert ends.connections == 2


async def test_the_connection_that_became_idle_last_is_used_first() -> None:
    """So that a quiet hour needs few, and the others grow old."""
    arrived: list[Visit] = []
    both, release = asyncio.Event(), asyncio.Event()

    async def serve(visit: Visit) -> None:
        arrived.append(visit)
        if len(arrived) == 2:
            both.set()
        if len(arrived) <= 2:
            await release.wait()
        await visit.answers(OK)

    async with shop(serve) as (behind, transport):
        asking = [asyncio.create_task(fetch(transport, request())) for _ in range(2)]
        await both.wait()
        release.set()
        await asyncio.gather(*asking)
        for _ in range(4):
            await fetch(transport, request())
        assert behind.connections == 2
        assert len({visit.connection for visit in arrived[2:]}) == 1


async def test_a_connection_that_the_shop_closed_is_not_used() -> None:
    """Told at once, so that it is not even tried."""
    gone = asyncio.Event()

    async def serve(visit: Visit) -> None:
        await visit.answers(OK)
        visit.writer.close()
        await visit.writer.wait_closed()
        gone.set()

    async with shop(serve) as (behind, transport):
        for number in range(1, 4):
            gone.clear()
            assert await fetch(transport, request("POST")) == (200, b"ok")
            await gone.wait()
            assert behind.connections == number
        assert transport.retries == 0


async def test_closing_ends_what_is_idle_and_what_is_at_work() -> None:
    ends: list[bytes] = []
    begun, ended = asyncio.Event(), asyncio.Event()

    async def serve(visit: Visit) -> None:
        if visit.head.startswith(b"GET /long"):
            await visit.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            begun.set()
        else:
            await visit.answers(OK)
        ends.append(await visit.gone())
        if len(ends) == 2:
            ended.set()

    async with shop(serve) as (_, transport):
        long = await transport.handle_async_request(request(target=b"/long"))
        assert await fetch(transport, request()) == (200, b"ok")
        await begun.wait()
        await transport.aclose()
        async with asyncio.timeout(10):
            await ended.wait()
        with pytest.raises(ShopBroken) as caught:
            async for _ in long.aiter_raw():
                pass
        assert caught.value.kind == "cut"
        await long.aclose()
        assert transport.at_work == 0
    assert ends == [b"", b""]
