"""Sockets, the ready lines, signals, and a stop that loses no request: real listeners on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import resource
import signal
import socket
import threading
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeproxy.console.single import build_admin
from edgeproxy.core.visitor import Keys
from edgeproxy.journal import Journal
from edgeproxy.server import process
from edgeproxy.server import run as running
from edgeproxy.server.binding import CannotListen, bind
from edgeproxy.server.run import open_listeners, serve
from edgeproxy.settings import Limits, Settings
from edgeproxy.values import Address
from tests.server.apps import Shop, answer
from tests.server.wire import answers, run

KEYS = Keys.parse("tests-sign-with-this-9f31c2")
FREE = Address("127.0.0.1", 0)
GET = b"GET /a HTTP/1.1\r\nHost: shop.test\r\n\r\n"


class NoBooks:
    book = None


def settings(listen: Address = FREE, admin: Address = FREE, **limits: Any) -> Settings:
    return Settings("http://shop.invalid", Path(), KEYS, listen=listen, admin=admin, limits=Limits(**limits))


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


async def connected(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port_of(url))


async def ask(url: str, path: str = "/a") -> bytes:
    reader, writer = await connected(url)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    data = await reader.read()
    writer.close()
    return data


# ------------------------------------------------------------------ addresses


def test_port_0_becomes_a_port_that_is_told() -> None:
    listeners = open_listeners(settings())
    public, admin = listeners.urls
    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9][0-9]*", public)
    assert public != admin
    listeners.public.close()
    listeners.admin.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_ipv6_address_is_written_in_brackets() -> None:
    try:
        listeners = open_listeners(settings(Address("::1", 0)))
    except CannotListen:
        pytest.skip("no IPv6 loopback here")
    assert listeners.urls[0].startswith("http://[::1]:")
    listeners.public.close()
    listeners.admin.close()


def test_an_address_in_use_is_told_with_what_to_do_and_leaves_nothing_bound() -> None:
    with bind(FREE, "--listen") as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(CannotListen, match=f"--listen: 127.0.0.1:{address.port} is taken .*0 takes any free one"):
            open_listeners(settings(address))
        free = socket.socket()
        free.bind(("127.0.0.1", 0))
        other = Address("127.0.0.1", free.getsockname()[1])
        free.close()
        with pytest.raises(CannotListen, match="--admin"):
            open_listeners(settings(other, address))
        bind(other, "--listen").close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_told(host: str) -> None:
    with pytest.raises(CannotListen, match=host):
        bind(Address(host, 0), "--listen")


def test_several_workers_can_share_an_address() -> None:
    with bind(FREE, "--listen", reuse_port=True) as first:
        address = Address("127.0.0.1", first.getsockname()[1])
        bind(address, "--listen", reuse_port=True).close()


# ------------------------------------------------------------------ serving


@contextlib.asynccontextmanager
async def up(app: Any, running: Any = contextlib.nullcontext, **limits: Any) -> AsyncIterator[tuple[str, str, Journal]]:
    made = settings(**limits)
    journal = Journal(made, stream=io.StringIO())
    admin = build_admin(made, journal, NoBooks())
    async with serve(app, admin, made, open_listeners(made), running, journal=journal) as (public, private):
        yield public, private, journal


def test_each_listener_answers_its_own_paths_only() -> None:
    async def test() -> None:
        shop = Shop()
        async with up(shop) as (public, private, _):
            [from_shop] = answers(await ask(public, "/healthz"))
            [from_admin] = answers(await ask(private, "/healthz"))
            [missing] = answers(await ask(private, "/a"))
        assert from_shop.body == b"GET /healthz 0"
        assert from_admin.body == b"ok\n"
        assert missing.status == 404
        assert shop.targets == [b"/healthz"]

    run(test())


def test_what_runs_beside_is_up_before_the_first_request_and_down_after_the_last() -> None:
    async def test() -> None:
        order: list[str] = []

        @contextlib.asynccontextmanager
        async def beside() -> AsyncIterator[None]:
            order.append("up")
            yield
            order.append("down")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            order.append("asked")
            await answer(send)

        async with up(app, beside) as (public, _, _):
            await ask(public)
        assert order == ["up", "asked", "down"]

    run(test())


def test_refusals_and_faults_reach_the_journal_and_connections_are_counted() -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise ValueError("a bug")

        async with up(app, header_lines=2) as (public, _, journal):
            reader, writer = await connected(public)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nB: c\r\nD: e\r\n\r\n")
            assert b"431" in await reader.readline()
            assert b"502" in await ask(public)
            text = journal.metrics().decode()
            assert 'edgeproxy_refusals_total{status="431",why="header_lines"} 1.0' in text
            assert "edgeproxy_faults_total 1.0" in text
            assert "edgeproxy_connections 1.0" in text
            writer.close()

    run(test())


def test_answers_have_the_present_date() -> None:
    async def test() -> None:
        async with up(Shop()) as (public, _, _):
            [found] = answers(await ask(public))
            date = found.header(b"date")
            assert date is not None
            assert date.endswith(b" GMT")

    run(test())


# ------------------------------------------------------------------ stopping


async def accepts(url: str) -> bool:
    try:
        _, writer = await connected(url)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


def test_a_stop_waits_for_open_requests_and_takes_no_new_ones() -> None:
    async def test() -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            begun.set()
            await go.wait()
            await answer(send, 200, b"finished")

        stack = contextlib.AsyncExitStack()
        public, private, _ = await stack.enter_async_context(up(app))
        reader, writer = await connected(public)
        writer.write(GET)
        await begun.wait()
        stopping = asyncio.create_task(stack.aclose())
        while True:  # until the stop has begun
            [ready] = answers(await ask(private, "/readyz"))
            if b"a stop has begun" in ready.body:
                break
        while await accepts(public):
            pass
        assert not stopping.done()
        go.set()
        [finished] = answers(await reader.read())
        writer.close()
        await stopping
        assert (finished.body, finished.header(b"connection")) == (b"finished", b"close")

    run(test())


def test_a_stop_closes_idle_connections_and_cuts_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(running, "GRACE", 0.0)

    async def test() -> None:
        async with up(Shop(), drain_seconds=2) as (public, _, _):
            reader, writer = await connected(public)
            writer.write(GET)
            await reader.readuntil(b"GET /a 0")
        assert await reader.read() == b""
        writer.close()

    run(test())
    assert not [record for record in caplog.records if "cut" in record.message]


def test_a_stop_does_not_wait_for_ever() -> None:
    async def test() -> None:
        begun = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        async with up(app, drain_seconds=0.05) as (public, _, _):
            reader, writer = await connected(public)
            writer.write(GET)
            await begun.wait()
        assert await reader.read() == b""
        writer.close()

    run(test())


def test_run_tells_where_it_listens_and_stops_on_a_signal() -> None:
    """The whole of it, in this process: signals go to the main thread, where the tests are."""
    for number in (signal.SIGTERM, signal.SIGINT):
        made = settings()
        out = io.StringIO()
        told: list[tuple[str, str]] = []
        bodies: list[bytes] = []

        def ready(public: str, private: str, number: int = number, told: Any = told, bodies: Any = bodies) -> None:
            told.append((public, private))

            def visit() -> None:  # the loop is busy telling: somebody else asks
                with urllib.request.urlopen(private + "/healthz", timeout=20) as reply:
                    bodies.append(reply.read())
                os.kill(os.getpid(), number)

            threading.Thread(target=visit).start()

        journal = Journal(made, stream=io.StringIO())
        code = running.run(Shop(), build_admin(made, journal, NoBooks()), made, journal=journal, ready=ready, out=out)
        assert code == 0
        assert bodies == [b"ok\n"]
        [(public, private)] = told
        assert f"listens on {public} for http://shop.invalid\n" in out.getvalue()
        assert f"admin listener on {private}" in out.getvalue()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_run_says_why_it_cannot_start() -> None:
    with bind(FREE, "--listen") as taken:
        out = io.StringIO()
        code = running.run(Shop(), Shop(), settings(Address("127.0.0.1", taken.getsockname()[1])), out=out)
    assert code == 1
    assert "is taken by another program" in out.getvalue()


def test_a_file_limit_is_raised_as_far_as_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda what: (100, 1000))
    monkeypatch.setattr(resource, "setrlimit", lambda what, limits: asked.append(limits))
    assert process.raise_file_limit(500) == 500
    assert process.raise_file_limit(5000) == 1000
    assert process.raise_file_limit(50) == 50
    assert asked == [(500, 1000), (1000, 1000)]


@pytest.mark.parametrize(
    ("files", "connections"), [(100_000, 8192), (9216, 8192), (4096, 3072), (1024, 384), (256, 96), (2, 1)]
)
def test_no_more_connections_are_taken_than_there_are_files_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, files: int, connections: int
) -> None:
    """768 to one address of the shop, and 256 files, or a quarter of few, for everything else."""
    monkeypatch.setattr(resource, "getrlimit", lambda what: (files, files))
    limits = process.within_files(Limits(), 1)
    assert limits == replace(Limits(), connections=connections)
    told = f"only {files} files may be open: {connections} connections at once are taken, not 8192"
    assert [one.getMessage().partition(" (raise")[0] for one in caplog.records] == [told] * (files < 9216)
