"""The PROXY protocol: whose connection it is, from those who are trusted, and nothing guessed."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.sanitise import Sanitiser
from edgeproxy.server.announced import Announced, BadHeader, read
from edgeproxy.server.binding import bind
from edgeproxy.server.listener import Listener
from edgeproxy.server.tls import context_of, read_pair
from edgeproxy.settings import Limits
from edgeproxy.values import Address, network
from tests.server.apps import Shop
from tests.server.test_tls import FIRST, on_both_loops, trusting
from tests.server.wire import Noted, answers

GET = b"GET /a HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FOUR = bytes([203, 0, 113, 9, 10, 0, 0, 1, 0x9C, 0x40, 0x01, 0xBB])
SIX = bytes.fromhex("20010db8000000000000000000000009") + bytes.fromhex("20010db8000000000000000000000001") + FOUR[8:]


def v2(inner: bytes, *, command: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(inner).to_bytes(2, "big") + inner


V1 = b"PROXY TCP4 203.0.113.9 10.0.0.1 40000 443\r\n"
GOOD = [
    (V1, Announced(("203.0.113.9", 40000))),
    (b"PROXY TCP6 2001:db8::9 2001:db8::1 40000 443\r\n", Announced(("2001:db8::9", 40000))),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    (v2(FOUR), Announced(("203.0.113.9", 40000))),
    (v2(SIX, family=0x21), Announced(("2001:db8::9", 40000))),
    (v2(FOUR + b"\x04\x00\x02ab\x20\x00\x05\x01\0\0\0\0"), Announced(("203.0.113.9", 40000), tls=True)),
    (v2(FOUR + b"\x20\x00\x05\x00\0\0\0\0"), Announced(("203.0.113.9", 40000))),
    (v2(FOUR + b"\x20\xff\xff\x01"), Announced(("203.0.113.9", 40000))),  # a value that is cut off says nothing
    (v2(b"", command=0x20, family=0), None),  # LOCAL: a health check
    (v2(FOUR, family=0x12), None),  # UDP
    (v2(b"/run/a".ljust(108, b"\0") * 2, family=0x31), None),  # a UNIX socket
]
BAD = [
    GET,
    b"PROXY TCP4 203.0.113.9 10.0.0.1 40000\r\n",
    b"PROXY TCP4 203.0.113.999 10.0.0.1 40000 443\r\n",
    b"PROXY TCP4 2001:db8::9 2001:db8::1 40000 443\r\n",
    b"PROXY TCP4 203.0.113.9 10.0.0.1 70000 443\r\n",
    b"PROXY TCP4 203.0.113.9 10.0.0.1 40000 443\n\n" + b"x" * 100,
    b"PROXY " + b"x" * 200,
    b"proxy TCP4 203.0.113.9 10.0.0.1 40000 443\r\n",
    SIGNATURE + b"\x11\x11\x00\x00",
    v2(FOUR, command=0x22),
    v2(FOUR[:-1]),
    v2(FOUR + b"\x04\xff\xff" * 2000),
    b"\r\n\r\n\0\r\nQUIP\n" + b"x" * 20,
]


@pytest.mark.parametrize(("header", "found"), GOOD)
def test_a_header_says_whose_connection_it_is(header: bytes, found: Announced | None) -> None:
    assert read(header + GET) == (found, len(header))


@pytest.mark.parametrize(("header", "found"), GOOD)
def test_it_may_come_in_any_pieces(header: bytes, found: Announced | None) -> None:
    assert [read(header[:end]) for end in range(len(header))] == [None] * len(header)


@pytest.mark.parametrize("data", BAD)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(BadHeader):
        read(data)


@given(st.sampled_from([b"", b"PROXY ", V1[:20], SIGNATURE, v2(FOUR)[:14]]), st.binary(max_size=200))
def test_no_bytes_are_read_in_another_way(start: bytes, rest: bytes) -> None:
    with contextlib.suppress(BadHeader):
        found = read(start + rest)
        assert found is None or found[1] <= len(start + rest)


# ------------------------------------------------------------------ on the wire


@contextlib.asynccontextmanager
async def listening(
    shop: Shop, noted: Noted, *, trusted: tuple[str, ...] = ("127.0.0.1",), tls: bool = False
) -> AsyncIterator[tuple[Listener, int]]:
    sock = bind(Address("127.0.0.1", 0), "--listen")
    port: int = sock.getsockname()[1]
    context = context_of(read_pair(*FIRST)) if tls else None
    listener = Listener.of(shop, noted.guard(Limits(), trusted), sock, tls=context, announced=True)
    await listener.start()
    try:
        yield listener, port
    finally:
        await listener.drain(grace=0, seconds=0.2, hurry=asyncio.Event())


async def said(port: int, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def shop() -> Shop:
    return Shop(Sanitiser(trust=[network("127.0.0.1")]))


def test_the_visitor_is_who_the_trusted_proxy_says_and_what_they_write_themselves_is_dropped() -> None:
    async def test() -> None:
        reached = shop()
        async with listening(reached, Noted()) as (_, port):
            for header in (V1, v2(FOUR)):
                assert answers(await said(port, header[:9], header[9:] + GET))[0].status == 200
        for head, _ in reached.reached:
            assert head.client == "203.0.113.9"
            assert (b"x-forwarded-for", b"203.0.113.9") in head.headers
            assert not head.trusted

    on_both_loops(test)


def test_a_proxy_that_ends_tls_says_so() -> None:
    async def test() -> None:
        reached = shop()
        async with listening(reached, Noted()) as (_, port):
            await said(port, v2(FOUR + b"\x20\x00\x05\x01\0\0\0\0") + GET)
        assert reached.reached[0][0].scheme == "https"

    on_both_loops(test)


def test_who_is_not_trusted_is_served_as_ever_and_their_header_is_no_request() -> None:
    async def test() -> None:
        reached, noted = Shop(), Noted()
        async with listening(reached, noted, trusted=()) as (_, port):
            assert answers(await said(port, GET))[0].status == 200
            assert answers(await said(port, V1 + GET))[0].status == 400
        assert [head.client for head, _ in reached.reached] == ["127.0.0.1"]
        assert noted.statuses == [400]

    on_both_loops(test)


@pytest.mark.parametrize("data", [GET, b"PROXY TCP4 nonsense\r\n", SIGNATURE + b"\x11\x11\0\0"])
def test_a_trusted_proxy_without_a_header_is_closed_and_counted(data: bytes) -> None:
    async def test() -> None:
        reached, noted = shop(), Noted()
        async with listening(reached, noted) as (listener, port):
            assert await said(port, data) == b""
            assert listener.open == 0
        assert reached.called == 0
        assert noted.limits == ["proxy_protocol"]

    on_both_loops(test)


def test_a_header_that_does_not_come_is_waited_for_as_long_as_a_head() -> None:
    async def test() -> None:
        noted = Noted()
        async with listening(shop(), noted) as (listener, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(V1[:10])
            await writer.drain()
            while not listener.open:  # noqa: ASYNC110 - nobody says when
                await asyncio.sleep(0)
            for now in (100.0, 109.0):
                listener.tick(now)
                assert listener.open == 1
            listener.tick(110.0)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            assert noted.limits == ["header_seconds"]

    on_both_loops(test)


def test_tls_begins_behind_the_header() -> None:
    async def test() -> None:
        reached = shop()
        async with listening(reached, Noted(), tls=True) as (_, port):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = trusting().wrap_bio(incoming, outgoing, server_hostname="localhost")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            first = V1
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    writer.write(first + outgoing.read())  # the header and TLS's first bytes in one piece
                    first = b""
                    incoming.write(await reader.read(65536))
            tls.write(GET)
            writer.write(outgoing.read())
            while not reached.reached:
                incoming.write(await reader.read(65536))
            writer.close()
        assert [(head.client, head.scheme) for head, _ in reached.reached] == [("203.0.113.9", "https")]

    on_both_loops(test)
