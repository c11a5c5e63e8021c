"""Relayed connections, over real sockets: the whole proxy between a client and a shop that leave HTTP.

``direct`` and ``through`` are the same conversation with the shop itself and with the proxy in front of it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
import struct
import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.utils import apply_mask

from edgeproxy.relay import disbelief
from edgeproxy.settings import Limits
from tests.autobahn import echo_server
from tests.fronts import Reader, Writer, client, proxy, shop

pytestmark = pytest.mark.anyio

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3
HANDSHAKE = (
    b"GET /ws?edge_stage=x HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\nCookie: a=1; edge_preview=x\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\nX-Shop: 1\r\n\r\n"
)
OPAQUE = b"GET /p HTTP/1.1\r\nHost: shop.example\r\nConnection: upgrade\r\nUpgrade: mine\r\n\r\n"
OPAQUE_SWITCHED = b"HTTP/1.1 101 Go\r\nUpgrade: mine\r\nConnection: upgrade\r\n\r\n"


async def switches(reader: Reader, writer: Writer, head: bytes) -> None:
    """Echo after a 101."""
    writer.write(OPAQUE_SWITCHED)
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing to wait on: it is another task's counter
            await asyncio.sleep(0)


# ------------------------------------------------------------------ the handshake


async def test_a_handshake_goes_through_and_bytes_follow_both_ways() -> None:
    heads: list[bytes] = []

    async def serve(reader: Reader, writer: Writer, head: bytes) -> None:
        heads.append(head)
        writer.write(SWITCHED + b"first")
        writer.write(await reader.readexactly(4))

    async with shop(serve) as port, proxy(port) as front:
        async with client(front.port, HANDSHAKE) as (reader, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert b"\r\nconnection: upgrade\r\n" in head.lower()
            assert b"\r\nupgrade: websocket\r\n" in head
            assert b"\r\nx-shop: 1\r\n" in head
            assert b"content-length" not in head
            assert b"transfer-encoding" not in head
            assert await reader.readexactly(5) == b"first"
            writer.write(b"\x00\xff\r\n")
            assert await reader.read() == b"\x00\xff\r\n"
            writer.write_eof()
            await eventually(lambda: bool(front.ended()))
        assert front.ended() == {"closed": 1}
        assert front.counted("edgeproxy_upgrade_bytes_total") == {"shop": 4, "visitor": 9}
        line = front.logged()
    (asked,) = heads
    assert asked.startswith(b"GET /ws HTTP/1.1\r\nhost: shop.example\r\n")  # our flag and our cookie stay here
    assert b"\r\nconnection: Upgrade\r\nupgrade: websocket\r\n" in asked
    assert b"edge_preview" not in asked
    assert b"\r\ncookie: a=1\r\n" in asked
    assert " 101 " in line
    assert "relay" in line
    assert "relayed: websocket" in line


async def test_what_comes_behind_the_request_waits_for_the_answer() -> None:
    """Bytes that came too early are the other protocol's after a 101, and a request after anything else."""
    early = b"GET /early HTTP/1.1\r\nHost: shop.example\r\n\r\n"
    async with shop(switches) as port, proxy(port) as front, client(front.port, OPAQUE + early) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(len(early)) == early
    paths: list[bytes] = []

    async def declines(reader: Reader, writer: Writer, head: bytes) -> None:
        paths.append(head.split(b" ")[1])
        writer.write(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: mine\r\nContent-Length: 2\r\n\r\nno")

    async with shop(declines) as port, proxy(port) as front, client(front.port, OPAQUE + early) as (reader, _):
        for _ in range(2):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 426 ")
            assert await reader.readexactly(2) == b"no"
        assert front.ended() == {"declined": 1}
    assert paths == [b"/p", b"/early"]


async def test_a_page_in_answer_to_an_upgrade_is_marked_like_any_other() -> None:
    """Else somebody in between could keep the shop's own page for everybody."""

    async def page(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: public\r\nContent-Length: 2\r\n\r\nhi"
        )

    send = OPAQUE.replace(b"/p", b"/")
    async with shop(page) as port, proxy(port) as front, client(front.port, send) as (reader, _):
        head = await reader.readuntil(b"\r\n\r\n")
    assert b"\r\ncache-control: private, no-cache\r\n" in head


@pytest.mark.parametrize(
    "answer",
    [
        SWITCHED.replace(ACCEPT, b"x" * 28),
        SWITCHED.replace(b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n", b""),
        SWITCHED.replace(b"Upgrade: websocket", b"Upgrade: h2c"),
        SWITCHED.replace(b"Upgrade: websocket\r\n", b""),
        SWITCHED.replace(b"Upgrade: websocket", b"Upgrade: websocket\r\nUpgrade: websocket"),
        SWITCHED.replace(b"Connection: Upgrade\r\n", b""),
        SWITCHED.replace(b"Connection: Upgrade", b"Connection: keep-alive"),
        SWITCHED.replace(b"X-Shop: 1", b"Content-Length: 5"),
        SWITCHED.replace(b"X-Shop: 1", b"Transfer-Encoding: chunked"),
        SWITCHED.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
async def test_a_101_that_does_not_fit_is_no_answer(answer: bytes) -> None:
    """Whoever is made to believe in one could speak to the shop unjudged."""
    closed = asyncio.Event()

    async def serve(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(answer)
        with suppress(ConnectionError):
            assert await reader.read() == b""
        closed.set()

    async with shop(serve) as port, proxy(port) as front:
        async with client(front.port, HANDSHAKE + b"GET /admin HTTP/1.1\r\nHost: shop.example\r\n\r\n") as (reader, _):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 502 ")
        await closed.wait()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\nbad key\r\n",
        b"HTTP/1.1 401 Who\r\nWWW-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nwho",
        b"HTTP/1.1 404 Gone\r\nConnection: close\r\n\r\nno such socket",
        b"HTTP/1.1 426 More\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Later\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n0\r\n\r\n",
    ],
)
async def test_a_refused_handshake_says_what_the_shop_said(answer: bytes) -> None:
    """A WebSocket client tells its user status, body and the lines that say what to do about it."""

    async def serve(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(answer)

    async def refused(port: int) -> tuple[int, bytes, list[str | None]]:
        with pytest.raises(InvalidStatus) as raised:
            await connect(f"ws://shop.example:{port}/", host="127.0.0.1", port=port, process_exception=lambda exc: exc)
        said = raised.value.response
        names = ("WWW-Authenticate", "Sec-WebSocket-Version", "Retry-After")
        return said.status_code, bytes(said.body), [said.headers.get(name) for name in names]

    async with shop(serve) as port, proxy(port) as front:
        direct = await refused(port)
        assert await refused(front.port) == direct


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Swit", b"hello\r\n\r\n", SWITCHED[:-2]])
async def test_a_shop_that_ends_inside_the_handshake_is_a_502(answer: bytes) -> None:
    """Directly it is no HTTP; a gateway has to say so in HTTP (RFC 9110, 15.6.3)."""

    async def serve(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(answer)

    async with shop(serve) as port, proxy(port) as front, client(front.port, HANDSHAKE) as (reader, _):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 502 ")


async def test_an_upgrade_can_be_refused() -> None:
    """It goes on as the request that it is without it (RFC 9110, 7.8)."""
    heads: list[bytes] = []

    async def serve(reader: Reader, writer: Writer, head: bytes) -> None:
        heads.append(head)
        writer.write(b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n")

    async with (
        shop(serve) as port,
        proxy(port, upgrade="refuse") as front,
        client(front.port, HANDSHAKE) as (reader, _),
    ):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        assert front.ended() == {"refused": 1}
    assert b"pgrade" not in heads[0]


async def test_too_many_are_told_to_come_back_and_pages_go_on() -> None:
    async def serve(reader: Reader, writer: Writer, head: bytes) -> None:
        if b"upgrade: mine" in head:
            await switches(reader, writer, head)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    limits = Limits(upgrades=1, origin_connections=1, requests=1, origin_connect_seconds=0.2)
    async with shop(serve) as port, proxy(port, limits=limits) as front, client(front.port, OPAQUE) as (reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        async with client(front.port, OPAQUE) as (second, _):
            head = await second.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nretry-after: 1\r\n" in head
        async with client(front.port, b"GET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n") as (third, _):
            assert (await third.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        metrics = front.parts.journal.metrics()
        assert b"edgeproxy_upgrades_open 1.0" in metrics
        assert re.search(rb'edgeproxy_origin_answers_total\{address="[^"]+",how="busy"\} 1.0', metrics)


@pytest.mark.parametrize(("asked", "accept"), [((), b""), (((b"sec-websocket-key", KEY),) * 2, ACCEPT)])
def test_without_one_key_nothing_is_proved(asked: tuple[tuple[bytes, bytes], ...], accept: bytes) -> None:
    upgrade = (b"upgrade", b"websocket")
    answered = (upgrade, (b"sec-websocket-accept", accept))
    assert disbelief((upgrade, (b"sec-websocket-key", KEY)), (upgrade, (b"sec-websocket-accept", ACCEPT))) == ""
    assert "WebSocket key" in disbelief((upgrade, *asked), answered)


# ------------------------------------------------------------------ the ends


async def test_each_direction_ends_by_itself() -> None:
    async def serve(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(OPAQUE_SWITCHED)
        writer.write(b"got " + await reader.read())  # until the visitor's end

    async with shop(serve) as port, proxy(port) as front:
        async with client(front.port, OPAQUE) as (reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"all of it")
            writer.write_eof()
            assert await reader.read() == b"got all of it"
        await eventually(lambda: front.ended() == {"closed": 1})


async def test_the_shop_may_end_first() -> None:
    got: list[bytes] = []

    async def serve(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(OPAQUE_SWITCHED + b"bye")
        writer.write_eof()
        got.append(await reader.read())

    async with shop(serve) as port, proxy(port) as front, client(front.port, OPAQUE) as (reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.read() == b"bye"
        writer.write(b"later")
        writer.write_eof()
        await eventually(lambda: front.ended() == {"closed": 1})
    assert got == [b"later"]


async def test_a_visitor_who_breaks_off_ends_the_shops_side() -> None:
    gone = asyncio.Event()

    async def serve(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(OPAQUE_SWITCHED)
        with suppress(ConnectionError):
            await reader.read()
        gone.set()

    async with shop(serve) as port, proxy(port) as front:
        async with client(front.port, OPAQUE) as (reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await gone.wait()
        await eventually(lambda: front.ended() == {"visitor": 1})


async def test_a_shop_that_breaks_off_is_a_visible_break() -> None:
    async def serve(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(OPAQUE_SWITCHED + b"half")
        await reader.readexactly(2)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with shop(serve) as port, proxy(port) as front:
        async with client(front.port, OPAQUE) as (reader, writer):
            await reader.readuntil(b"half")
            writer.write(b"go")
            with pytest.raises(ConnectionResetError):
                await reader.read()
        assert front.ended() == {"shop": 1}
        assert front.parts.journal.cuts.get() == 1


@pytest.mark.parametrize("first", ["visitor", "shop"])
async def test_an_end_told_to_who_has_just_reset_is_no_fault(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the reset and its reading, the system refuses to end the other direction."""
    refused = asyncio.Event()

    def refuses(self: socket.socket, how: int) -> None:
        refused.set()
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    async def serve(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(OPAQUE_SWITCHED + b"bye")
        if first == "visitor":
            await refused.wait()
            writer.transport.abort()

    monkeypatch.setattr(socket.socket, "shutdown", refuses)
    async with shop(serve) as port, proxy(port) as front:
        async with client(front.port, OPAQUE) as (reader, writer):
            await reader.readuntil(b"bye")
            writer.close()
            await eventually(lambda: bool(front.ended()))
        assert front.parts.journal.faults.get() == 0


async def test_silence_in_both_directions_ends_it() -> None:
    async with shop(switches) as port, proxy(port, limits=Limits(upgrade_idle_seconds=0.2)) as front:
        async with client(front.port, OPAQUE) as (reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            for _ in range(4):
                await asyncio.sleep(0.1)  # bytes now and then are no silence
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
            with suppress(ConnectionError):
                assert await reader.read() == b""
        assert front.ended() == {"idle": 1}


async def test_a_stop_ends_it_at_once() -> None:
    async with shop(switches) as port, proxy(port) as front:
        async with client(front.port, OPAQUE + b"x") as (reader, _):
            await reader.readuntil(b"\r\n\r\nx")
            await front.listener.drain(grace=0, seconds=600, hurry=asyncio.Event())
            assert await reader.read() == b""
        assert front.ended() == {"stopped": 1}
        assert "the server stops" in front.logged()


@pytest.mark.parametrize("slow", ["visitor", "shop"])
async def test_whoever_takes_nothing_is_not_buffered_for(slow: str) -> None:
    """What one side does not take, the other cannot go on sending: kernels and our two windows hold so much."""
    most = 64 * 1024**2
    sent = 0
    go_on = asyncio.Event()
    settled = asyncio.Event()

    async def pours(writer: Writer) -> None:
        nonlocal sent
        while sent < most:
            writer.write(bytes(65536))
            sent += 65536
            try:
                await asyncio.wait_for(writer.drain(), 1)
            except TimeoutError:
                break
        settled.set()
        await writer.drain()
        writer.write_eof()

    async def takes(reader: Reader) -> int:
        await go_on.wait()
        size = 0
        while data := await reader.read(1 << 20):
            size += len(data)
        return size

    took: list[int] = []

    async def serve(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(OPAQUE_SWITCHED)
        if slow == "shop":
            took.append(await takes(reader))
        else:
            await pours(writer)

    async with shop(serve) as port, proxy(port) as front, client(front.port, OPAQUE) as (reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        taking = asyncio.create_task(takes(reader)) if slow == "visitor" else None
        pouring = asyncio.create_task(pours(writer)) if slow == "shop" else None
        await settled.wait()
        assert sent < most // 2
        go_on.set()
        if pouring is not None:
            await pouring
            await eventually(lambda: bool(took))
        if taking is not None:
            took.append(await taking)
    assert took == [sent]


# ------------------------------------------------------------------ a WebSocket server, directly and through the proxy


@dataclass(frozen=True)
class Talk:
    it: str
    pieces: tuple[bytes, ...]
    ends: bool


_MASK = b"\x37\xfa\x21\x3d"  # RFC 6455, 5.7
_OPCODES = {"more": 0, "text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}


def _payload(text: str) -> bytes:
    found = re.fullmatch(r"(.*?)([ -~]+)\*(\d+)", text, re.DOTALL)
    if found is None:
        return text.encode("latin-1")
    return found[1].encode("latin-1") + found[2].encode("latin-1") * int(found[3])


def _frame(text: str) -> bytes:
    kind, _, payload = text.partition(" ")
    name, _, flags = kind.partition("!")
    opcode = _OPCODES.get(name)
    first = int(name) if opcode is None else opcode
    first |= sum(bit for flag, bit in (("1", 0x40), ("2", 0x20), ("3", 0x10)) if flag in flags)
    first |= 0 if "f" in flags else 0x80
    data, size = _payload(payload), len(_payload(payload))
    masked = 0 if "u" in flags else 0x80
    if size < 126:
        head = struct.pack("!BB", first, masked | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, masked | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked | 127, size)
    return head + (_MASK + apply_mask(data, _MASK) if masked else data)


def _talks() -> list[Talk]:
    found = []
    for case in tomllib.loads((Path(__file__).parent / "cases" / "websocket.toml").read_text("utf-8"))["case"]:
        if "codes" in case:
            for code in case["codes"]:
                text = struct.pack("!H", code).decode("latin-1")
                found.append(Talk(f"close code {code}", (_frame(f"close {text}"),), ends=False))
            continue
        data = case["raw"].encode("latin-1") if "raw" in case else b"".join(map(_frame, case["frames"]))
        data = data[: len(data) - case.get("drop", 0)]
        size = case.get("pieces", 0)
        pieces = tuple(data[at : at + size] for at in range(0, len(data), size)) if size else (data,)
        found.append(Talk(case["it"], pieces, case.get("end", False)))
    return found


async def transcript(port: int, talk: Talk) -> bytes:
    """Everything that the server says after the handshake, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(HANDSHAKE)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")

        async def say() -> None:
            with suppress(ConnectionError):
                for piece in talk.pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if talk.ends:
                    writer.write_eof()

        saying = asyncio.create_task(say())
        said = b""
        with suppress(ConnectionError):
            while data := await reader.read(1 << 20):
                said += data
        await saying
        return said
    finally:
        writer.transport.abort()


async def test_every_conversation_is_the_same_through_the_proxy() -> None:
    talks = _talks()
    assert len({talk.it for talk in talks}) == len(talks) > 60
    async with echo_server() as port, proxy(port) as front:
        for talk in talks:
            async with asyncio.timeout(30):
                direct = await transcript(port, talk)
                through = await transcript(front.port, talk)
            assert through == direct, talk.it
            assert direct or talk.ends, talk.it
        await eventually(lambda: sum(front.ended().values()) == len(talks))
        assert set(front.ended()) <= {"closed", "shop", "visitor"}


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_a_client_finds_no_difference(compression: str | None) -> None:
    """Subprotocols, extensions, texts and bytes, pings, and a clean close, with a client that checks all of it."""
    messages: list[str | bytes] = ["", "Hello", "\N{SHOPPING TROLLEY}" * 5000, b"", bytes(range(256)) * 500]

    async def converse(port: int) -> list[object]:
        seen: list[object] = []
        async with connect(
            f"ws://shop.example:{port}/", host="127.0.0.1", port=port, compression=compression, ping_interval=None
        ) as client:
            for message in messages:
                await client.send(message)
                seen.append(await client.recv())
            await client.send(part for part in ("in ", "", "pieces"))
            seen.append(await client.recv())
            await (await client.ping(b"p"))
            seen.append([type(each).__name__ for each in client.protocol.extensions])
            await client.close(4321, "done")
            seen += [client.close_code, client.close_reason]
        return seen

    async with echo_server() as port, proxy(port) as front:
        direct = await converse(port)
        assert await converse(front.port) == direct
        assert direct[: len(messages)] == messages
        await eventually(lambda: front.ended() == {"closed": 1})
