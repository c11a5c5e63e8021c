"""TLS on our own listener: pairs that cannot be used are told with their place; handshakes that stall are ended."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from edgeproxy.server.binding import bind
from edgeproxy.server.guard import Guard
from edgeproxy.server.listener import Listener
from edgeproxy.server.process import loop_factory
from edgeproxy.server.tls import BadPair, Front, context_of, read_pair
from edgeproxy.settings import Limits
from edgeproxy.values import Address
from tests.server.apps import Shop, answer
from tests.server.wire import Noted, answers

PAIRS = Path(__file__).parents[1] / "data" / "tls"
FIRST = (PAIRS / "edge-first.pem", PAIRS / "edge-first.key")
SECOND = (PAIRS / "edge-second.pem", PAIRS / "edge-second.key")
GET = b"GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


# ------------------------------------------------------------------ pairs


def test_a_good_pair_is_one_text_that_a_context_takes() -> None:
    pem = read_pair(*FIRST)
    assert pem.count("BEGIN CERTIFICATE") == pem.count("BEGIN PRIVATE KEY") == 1
    context = context_of(pem)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_NONE


def test_one_file_may_hold_both(tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(FIRST[1].read_bytes() + FIRST[0].read_bytes())
    assert context_of(read_pair(both, both))


WRONG: dict[str, tuple[Callable[[Path], tuple[Path, Path]], str]] = {
    "a certificate that is not there": (
        lambda tmp: (tmp / "none.pem", FIRST[1]),
        r"none\.pem: cannot be read: No such",
    ),
    "a key that is not there": (lambda tmp: (FIRST[0], tmp / "none.key"), r"none\.key: cannot be read"),
    "a folder": (lambda tmp: (tmp, FIRST[1]), "cannot be read: Is a directory"),
    "another's key": (lambda tmp: (FIRST[0], SECOND[1]), r"edge-second\.key: is not the key of .*edge-first\.pem"),
    "a locked key": (lambda tmp: (FIRST[0], PAIRS / "edge-first.locked.key"), "locked by a passphrase .*openssl pkey"),
    "two certificates": (lambda tmp: (FIRST[0], FIRST[0]), r"edge-first\.pem: holds no private key"),
    "two keys": (lambda tmp: (FIRST[1], FIRST[1]), r"edge-first\.key: holds no certificate"),
    "half a certificate": (lambda tmp: (cut(tmp, FIRST[0]), FIRST[1]), r"cut\.pem: cannot be used"),
    "half a key": (lambda tmp: (FIRST[0], cut(tmp, FIRST[1])), "cannot be used"),
    "a film": (lambda tmp: (film(tmp), FIRST[1]), "too long"),
}


def cut(folder: Path, whole: Path) -> Path:
    """What is there while somebody is still writing."""
    path = folder / "cut.pem"
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def film(folder: Path) -> Path:
    path = folder / "film"
    path.write_bytes(b"\0" * (2 << 20))
    return path


@pytest.mark.parametrize("name", WRONG)
def test_a_pair_that_cannot_be_used_is_told_with_its_place(tmp_path: Path, name: str) -> None:
    make, told = WRONG[name]
    with pytest.raises(BadPair, match=told):
        read_pair(*make(tmp_path))


# ------------------------------------------------------------------ connections


def on_both_loops(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Workers run on uvloop where it is there; its transports are not asyncio's own."""
    for factory in {None, loop_factory()}:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(test())


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop go on until it is so."""
    while not holds():  # noqa: ASYNC110 - nobody says when
        await asyncio.sleep(0)


def trusting(pair: tuple[Path, Path] = FIRST) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pair[0]))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@contextlib.asynccontextmanager
async def listening(app: Any, noted: Noted, **limits: Any) -> AsyncIterator[tuple[Listener, int]]:
    sock = bind(Address("127.0.0.1", 0), "--listen")
    port: int = sock.getsockname()[1]
    guard: Guard = noted.guard(Limits(**limits))
    listener = Listener.of(app, guard, sock, tls=context_of(read_pair(*FIRST)))
    await listener.start()
    try:
        yield listener, port
    finally:
        await listener.drain(grace=0, seconds=0.2, hurry=asyncio.Event())


async def ask(port: int, pair: tuple[Path, Path] = FIRST) -> tuple[bytes, str | None]:
    """What came back, and the protocol that was agreed on."""
    context = trusting(pair)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    agreed: str | None = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    writer.write(GET)
    data = await reader.read()
    writer.close()
    return data, agreed


def test_a_visitor_is_served_over_https_as_http_1_1() -> None:
    async def test() -> None:
        schemes: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            schemes.append(scope["scheme"])
            await answer(send, 200, b"x" * 300_000)

        async with listening(app, Noted()) as (listener, port):
            data, agreed = await ask(port)
            [found] = answers(data)
            assert (found.status, len(found.body)) == (200, 300_000)
            assert schemes == ["https"]
            assert agreed == "http/1.1"
            await until(lambda: listener.open == 0)

    on_both_loops(test)


def test_the_next_connection_gets_the_new_certificate_and_an_open_one_goes_on() -> None:
    async def test() -> None:
        async with listening(Shop(), Noted()) as (listener, port):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=trusting(), server_hostname="localhost"
            )
            listener.greet_with(context_of(read_pair(*SECOND)))
            [fresh] = answers((await ask(port, SECOND))[0])
            assert fresh.status == 200
            with pytest.raises(ssl.SSLCertVerificationError):
                await ask(port, FIRST)
            writer.write(GET)
            [kept] = answers(await reader.read())
            assert kept.status == 200
            writer.close()

    on_both_loops(test)


def test_what_comes_with_the_handshakes_end_is_not_lost() -> None:
    """The request lies in the very bytes that end the handshake, before anybody has been told of the connection."""

    async def test() -> None:
        async with listening(Shop(), Noted()) as (_, port):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = trusting().wrap_bio(incoming, outgoing, server_hostname="localhost")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))
            tls.write(GET)
            writer.write(outgoing.read())
            data = b""
            while b"GET /a 0" not in data:
                received = await reader.read(65536)
                assert received, data
                incoming.write(received)
                with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                    while more := tls.read(65536):
                        data += more
            writer.close()

    on_both_loops(test)


def test_little_is_encrypted_for_who_reads_nothing() -> None:
    """TLS would take half a megabyte of answers from us, on top of what the system takes."""

    async def test() -> None:
        async def picture(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, 200, b"x" * 50_000)

        async with listening(picture, Noted()) as (listener, port):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting(), server_hostname="localhost")
            writer.transport.pause_reading()  # type: ignore[attr-defined] # it is a socket's
            writer.write(GET.replace(b"Connection: close\r\n", b"") * 300)
            await until(lambda: listener.guard.connections == 1)
            [connection] = listener.guard._open
            seen = -1
            while seen != connection.written:
                seen = connection.written
                for _ in range(200):
                    await asyncio.sleep(0)
            assert connection.flow.write_paused
            assert 0 < connection.transport.get_write_buffer_size() < 200_000
            connection.reset()
            writer.transport.abort()

    on_both_loops(test)


def test_a_handshake_that_stalls_is_ended_and_counted() -> None:
    async def test() -> None:
        noted = Noted()
        async with listening(Shop(), noted, header_seconds=0.05) as (listener, port):
            silent = await asyncio.open_connection("127.0.0.1", port)
            half = await asyncio.open_connection("127.0.0.1", port)
            half[1].write(b"\x16\x03\x01")
            for reader, writer in (silent, half):
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.close()
            await until(lambda: noted.limits == ["header_seconds", "header_seconds"])
            await until(lambda: listener.open == 0)

    on_both_loops(test)


def test_plain_http_and_garbage_are_no_handshake() -> None:
    async def test() -> None:
        shop, noted = Shop(), Noted()
        async with listening(shop, noted) as (listener, port):
            for data in (GET, b"\0" * 100, b"\x16\x03\x01\x00\x05hello"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(data)
                with contextlib.suppress(ConnectionError):
                    assert b"HTTP" not in await reader.read()
                writer.close()
            assert shop.called == 0
            await until(lambda: noted.limits == ["handshake"] * 3)
            await until(lambda: listener.open == 0)

    on_both_loops(test)


def test_connections_count_from_their_first_byte_on() -> None:
    async def test() -> None:
        noted = Noted()
        async with listening(Shop(), noted, connections=3) as (listener, port):
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            await until(lambda: listener.open == 3)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            assert noted.limits == ["connections"]
            for _, each in (*held, (reader, writer)):
                each.close()

    on_both_loops(test)


def test_one_address_may_not_take_all_of_them() -> None:
    async def test() -> None:
        noted = Noted()
        async with listening(Shop(), noted, connections_per_address=2) as (listener, port):
            done = await asyncio.open_connection("127.0.0.1", port, ssl=trusting(), server_hostname="localhost")
            shaking = await asyncio.open_connection("127.0.0.1", port)
            await until(lambda: listener.open == 2)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            assert noted.limits == ["connections_per_address"]
            for each in (done[1], shaking[1], writer):
                each.close()

    on_both_loops(test)


def test_the_front_is_what_a_loop_calls() -> None:
    front = Front(context_of(read_pair(*FIRST)), Noted().guard(), asyncio.Protocol)
    assert isinstance(front(), asyncio.Protocol)
    assert front.waiting == 0
