"""The shop behind us, over real sockets: what it is sent, what it may do, and what becomes of the connection."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.origin import (
    Limits,
    ShopBroken,
    ShopBusy,
    ShopError,
    ShopRefused,
    ShopTimeout,
    ShopTransport,
    tls_context,
)
from edgeproxy.origin.patience import Patience

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TLS = Path(__file__).parent / "data" / "tls"
EMPTY = httpx.ByteStream(b"")
URL = httpx.URL("http://elsewhere.example/not/used")


class Visit:
    """One request at the shop, and its connection."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection = number
        self.reader = reader
        self.writer = writer
        self.head = b""

    async def answers(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def resets(self) -> None:
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> bytes:
        """Wait until the other side closed; what it sent before that."""
        try:
            return await self.reader.read()
        except ConnectionResetError:
            return b""


class Shop:
    """A shop that does what a test says, request by request; its exceptions end the connection, as they would."""

    def __init__(self, serve: Callable[[Visit], Awaitable[object]]) -> None:
        self._serve = serve
        self.visits: list[Visit] = []
        self.connections = 0
        self.port = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while True:
                visit = Visit(number, reader, writer)
                visit.head = await reader.readuntil(b"\r\n\r\n")
                self.visits.append(visit)
                await self._serve(visit)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def shop(
    serve: Callable[[Visit], Awaitable[object]], *, limits: Limits | None = None, tls: bool = False
) -> AsyncIterator[tuple[Shop, ShopTransport]]:
    """A shop and a transport to it."""
    one = Shop(serve)
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(TLS / "shop.pem")
    server = await asyncio.start_server(one.connected, "127.0.0.1", 0, ssl=context)
    one.port = server.sockets[0].getsockname()[1]
    transport = ShopTransport(one.address, limits=limits)
    try:
        yield one, transport
    finally:
        await transport.aclose()
        server.close()
        current = asyncio.current_task()
        rest = {task for task in asyncio.all_tasks() if task is not current and "connected" in repr(task)}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest)


async def fine(visit: Visit) -> None:
    await visit.answers(OK)


def request(
    method: str = "GET",
    target: bytes = b"/",
    *,
    headers: Sequence[tuple[bytes, bytes]] = ((b"host", b"shop.example"),),
    stream: httpx.AsyncByteStream = EMPTY,
    deadline: float | None = None,
) -> httpx.Request:
    extensions: dict[str, object] = {"target": target}
    if deadline is not None:
        extensions["deadline"] = deadline
    return httpx.Request(method, URL, headers=list(headers), stream=stream, extensions=extensions)


async def fetch(transport: httpx.AsyncBaseTransport, wanted: httpx.Request) -> tuple[int, bytes]:
    answer = await transport.handle_async_request(wanted)
    assert isinstance(answer.stream, httpx.AsyncByteStream)
    try:
        return answer.status_code, b"".join([data async for data in answer.stream])
    finally:
        await answer.stream.aclose()


class Body(httpx.AsyncByteStream):
    """A request's body that comes in pieces, and may end in an exception."""

    def __init__(self, *pieces: bytes, error: Exception | None = None, gate: asyncio.Event | None = None) -> None:
        self._pieces = pieces
        self._error = error
        self._gate = gate
        self.ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            for piece in self._pieces:
                yield piece
            if self._gate is not None:
                await self._gate.wait()
            if self._error is not None:
                raise self._error
        finally:
            self.ended = True


# ------------------------------------------------------------------ what the shop is sent

TARGETS = [
    b"/",
    b"/?",
    b"/a?",
    b"/%2e%2e/x",
    b"/a/../b",
    b"//a//b",
    b"/a?b=%zz&c=\xc3\xbc",
    b"/a?c=\xfc",
    b"/\xff\xfe",
    b"/a#b",
    b"/a%23b?c#d",
    b'/[]|{}^`"<>\\',
    b"/a?next=http://b/?c=d",
    b"http://shop.example/absolute",
    b"*",
]


@pytest.mark.parametrize("target", TARGETS)
async def test_the_target_is_sent_byte_for_byte(target: bytes) -> None:
    async with shop(fine) as (behind, transport):
        assert await fetch(transport, request(target=target)) == (200, b"ok")
        assert behind.visits[0].head.startswith(b"GET " + target + b" HTTP/1.1\r\n")


@given(st.lists(st.binary(min_size=1, max_size=30).map(lambda b: b"/" + b.translate(None, b"\r\n\0 ")), min_size=1))
def test_any_target_is_sent_byte_for_byte(targets: list[bytes]) -> None:
    async def ask() -> None:
        async with shop(fine) as (behind, transport):
            for target in targets:
                await fetch(transport, request(target=target))
            assert [visit.head.split(b" ")[1] for visit in behind.visits] == targets

    asyncio.run(ask())


async def test_headers_are_sent_as_they_are_and_nothing_is_added() -> None:
    headers = [
        (b"X-First", b"1"),
        (b"host", b"shop.example:8080"),
        (b"cookie", b"a=1"),
        (b"x-dup", b"b"),
        (b"Cookie", b"b=\xfc"),
        (b"x-dup", b"a"),
    ]
    async with shop(fine) as (behind, transport):
        await fetch(transport, request(headers=headers))
        assert behind.visits[0].head == (
            b"GET / HTTP/1.1\r\nX-First: 1\r\nhost: shop.example:8080\r\ncookie: a=1\r\nx-dup: b\r\nCookie: b=\xfc\r\n"
            b"x-dup: a\r\n\r\n"
        )


async def test_a_request_without_host_names_the_shop_itself() -> None:
    async with shop(fine) as (behind, transport):
        await fetch(transport, request(headers=[]))
        assert behind.visits[0].head == b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % behind.port


async def test_every_request_goes_to_the_one_shop_whatever_its_url_says() -> None:
    async with shop(fine) as (behind, transport):
        asked = httpx.Request("GET", "http://169.254.169.254/latest/meta-data?x=1", stream=EMPTY)
        await fetch(transport, asked)
        assert behind.visits[0].head.startswith(b"GET /latest/meta-data?x=1 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "bad",
    [
        partial(request, target=b"/a b"),
        partial(request, target=b""),
        partial(request, target=b"/\r\nX: y"),
        partial(request, headers=[(b"host", b"a"), (b"x", b"a\nb: c")]),
        partial(request, headers=[(b"host", b"a"), (b"x", b"a\rb")]),
        partial(request, headers=[(b"host", b"a"), (b"x", b"a\0b")]),
        partial(request, headers=[(b"host", b"a"), (b"x\r\ny", b"a")]),
        partial(request, "POST", headers=[(b"content-length", b"1"), (b"content-length", b"2")], stream=Body(b"x")),
        partial(request, "POST", headers=[(b"content-length", b"x")], stream=Body(b"x")),
        partial(request, "POST", headers=[(b"content-length", b"-1")], stream=Body(b"x")),
    ],
)
async def test_a_request_that_cannot_be_written_as_one_is_not_sent(bad: Callable[[], httpx.Request]) -> None:
    async with shop(fine) as (behind, transport):
        with pytest.raises(ValueError, match="request"):
            await fetch(transport, bad())
        assert behind.connections == 0


# ------------------------------------------------------------------ bodies of requests


async def reads_body(visit: Visit) -> None:
    """Answers with the body that it read, by the request's own framing."""
    head = visit.head.lower()
    assert not (b"content-length" in head and b"transfer-encoding" in head)
    body = b""
    if b"content-length: " in head:
        body = await visit.reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
    elif b"transfer-encoding: chunked" in head:
        while size := int(await visit.reader.readline(), 16):
            body += await visit.reader.readexactly(size)
            assert await visit.reader.readline() == b"\r\n"
        assert await visit.reader.readline() == b"\r\n"
    await visit.answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


async def test_a_body_with_a_length_keeps_it() -> None:
    async with shop(reads_body) as (behind, transport):
        sent = request(
            "POST",
            headers=[(b"host", b"a"), (b"content-length", b"11"), (b"transfer-encoding", b"chunked"), (b"x", b"y")],
            stream=Body(b"hello", b"", b" world"),
        )
        assert await fetch(transport, sent) == (200, b"hello world")
        assert behind.visits[0].head == b"POST / HTTP/1.1\r\nhost: a\r\nx: y\r\nContent-Length: 11\r\n\r\n"
        assert await fetch(transport, request()) == (200, b"")
        assert behind.connections == 1


async def test_a_body_without_a_length_goes_in_chunks() -> None:
    async with shop(reads_body) as (behind, transport):
        assert await fetch(transport, request("PUT", stream=Body(b"hello", b"", b" world"))) == (200, b"hello world")
        assert b"\r\nTransfer-Encoding: chunked\r\n" in behind.visits[0].head
        assert await fetch(transport, request("PUT", stream=Body())) == (200, b"")
        assert await fetch(transport, request("GET", stream=Body(b"odd but legal"))) == (200, b"odd but legal")
        assert behind.connections == 1


@pytest.mark.parametrize(
    ("method", "length", "data", "line"),
    [
        ("GET", None, b"", b""),
        ("DELETE", None, b"", b""),
        ("POST", None, b"", b"Content-Length: 0\r\n"),
        ("GET", b"0", b"", b"Content-Length: 0\r\n"),
        ("POST", b"5", b"hello", b"Content-Length: 5\r\n"),
    ],
)
async def test_a_body_at_hand_goes_with_its_length(method: str, length: bytes | None, data: bytes, line: bytes) -> None:
    headers = [(b"host", b"a"), *([] if length is None else [(b"content-length", length)])]
    async with shop(reads_body) as (behind, transport):
        assert await fetch(transport, request(method, headers=headers, stream=httpx.ByteStream(data))) == (200, data)
        assert behind.visits[0].head == method.encode() + b" / HTTP/1.1\r\nhost: a\r\n" + line + b"\r\n"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (Body(b"hel"), "shorter"),
        (Body(b"hello!"), "longer"),
        (Body(b"hel", error=ConnectionError("the visitor left")), "the visitor left"),
    ],
)
async def test_a_body_that_breaks_off_is_never_sent_as_whole(body: Body, problem: str) -> None:
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listens(visit: Visit) -> None:
        got.set_result(await visit.gone())

    async with shop(listens) as (_, transport):
        sent = request("POST", headers=[(b"host", b"a"), (b"content-length", b"5")], stream=body)
        with pytest.raises((ValueError, ConnectionError), match=problem):
            await fetch(transport, sent)
        assert len(await got) < 5


async def test_chunks_that_break_off_have_no_last_chunk() -> None:
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listens(visit: Visit) -> None:
        got.set_result(await visit.gone())

    async with shop(listens) as (_, transport):
        with pytest.raises(ConnectionError, match="left"):
            await fetch(transport, request("POST", stream=Body(b"hel", error=ConnectionError("left"))))
        assert b"0\r\n\r\n" not in await got


async def test_an_answer_may_come_before_the_body_is_sent_and_ends_the_sending() -> None:
    async def refuses(visit: Visit) -> None:
        await visit.answers(b"HTTP/1.1 413 Too Big\r\nContent-Length: 2\r\n\r\nno")
        await visit.gone()

    async with shop(refuses) as (behind, transport):
        body = Body(b"part", gate=asyncio.Event())
        assert await fetch(transport, request("POST", stream=body)) == (413, b"no")
        assert body.ended
        assert behind.connections == 1


async def test_nobody_reads_the_visitors_body_after_the_answer_was_closed() -> None:
    class Clinging(httpx.AsyncByteStream):
        reading = True

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                yield b"part"
                await asyncio.Event().wait()
            finally:
                for _ in range(5):
                    await asyncio.sleep(0)
                self.reading = False

    async def begins(visit: Visit) -> None:
        await visit.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf")
        await visit.gone()

    async with shop(begins) as (_, transport):
        body = Clinging()
        answer = await transport.handle_async_request(request("POST", stream=body))
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        assert body.reading
        await answer.stream.aclose()
        assert not body.reading


async def test_a_visitor_who_leaves_while_the_answer_comes_ends_it() -> None:
    gate = asyncio.Event()

    async def begins(visit: Visit) -> None:
        await visit.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf")
        await visit.gone()

    async with shop(begins) as (_, transport):
        answer = await transport.handle_async_request(
            request("POST", stream=Body(b"part", gate=gate, error=ConnectionError("the visitor left")))
        )
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        gate.set()
        with pytest.raises(ConnectionError, match="the visitor left"):
            async for _piece in answer.stream:
                pass


# ------------------------------------------------------------------ what comes back


async def test_an_answer_is_handed_out_as_it_is() -> None:
    async def answers(visit: Visit) -> None:
        await visit.answers(
            b"HTTP/1.1 302 Over There\r\nLocation: /f\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n"
            b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw"
        )

    async with shop(answers) as (behind, transport):
        answer = await transport.handle_async_request(request(headers=[(b"host", b"a"), (b"cookie", b"c=3")]))
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        assert answer.status_code == 302
        assert answer.extensions["reason_phrase"] == b"Over There"
        assert answer.headers.raw == [
            (b"Location", b"/f"),
            (b"Set-Cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"Content-Encoding", b"gzip"),
            (b"Content-Length", b"3"),
        ]
        assert b"".join([data async for data in answer.stream]) == b"raw"
        await answer.stream.aclose()
        await fetch(transport, request())
        assert b"a=1" not in behind.visits[1].head
        assert len(behind.visits) == 2


async def test_a_body_streams_while_the_shop_still_writes() -> None:
    seen = asyncio.Event()

    async def drips(visit: Visit) -> None:
        await visit.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        await seen.wait()
        await visit.answers(b"half")

    async with shop(drips) as (_, transport):
        answer = await transport.handle_async_request(request())
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        pieces = []
        async for piece in answer.stream:
            pieces.append(piece)
            seen.set()
        assert pieces == [b"half", b"half"]


async def test_a_body_given_up_closes_its_connection() -> None:
    gone = asyncio.Event()

    async def endless(visit: Visit) -> None:
        try:
            await visit.answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                await visit.answers(b"5\r\nhello\r\n")
        finally:
            gone.set()

    async with shop(endless) as (_, transport):
        answer = await transport.handle_async_request(request())
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        async for _piece in answer.stream:
            break
        await answer.stream.aclose()
        await gone.wait()
        with pytest.raises(ShopBroken, match="not read to its end"):
            async for _piece in answer.stream:
                pass


async def test_a_request_cancelled_while_it_waits_closes_its_connection() -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def listens(visit: Visit) -> None:
        asked.set()
        await visit.gone()
        gone.set()

    async with shop(listens) as (_, transport):
        task = asyncio.create_task(fetch(transport, request()))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()


# ------------------------------------------------------------------ one visitor's answer is never another's


@pytest.mark.parametrize(
    "surplus",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON", b"POISON", b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"],
)
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_bytes_left_over_never_answer_the_next_request(surplus: bytes, late: bool, method: str) -> None:
    release, spoken = asyncio.Event(), asyncio.Event()

    async def says_more(visit: Visit) -> None:
        answer = OK if method == "GET" else OK[:-2]
        if visit.connection > 1:
            await visit.answers(answer)
        elif late:
            await visit.answers(answer)
            await release.wait()
            await visit.answers(surplus)
            spoken.set()
        else:
            await visit.answers(answer + surplus)

    async with shop(says_more) as (behind, transport):
        want = (200, b"ok" if method == "GET" else b"")
        assert await fetch(transport, request(method)) == want
        release.set()
        if late:
            await spoken.wait()
        assert await fetch(transport, request(method)) == want
        if surplus != b"\r\n" or late:  # an empty line may stand before the next answer
            assert behind.connections == 2


async def test_many_requests_share_one_connection_in_turn() -> None:
    async with shop(fine) as (behind, transport):
        for _ in range(20):
            assert await fetch(transport, request()) == (200, b"ok")
        assert behind.connections == 1


async def test_answers_never_mix_however_they_interleave() -> None:
    async def echoes(visit: Visit) -> None:
        path = visit.head.split(b" ")[1]
        await visit.answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (path[:3], path[3:]):
            await asyncio.sleep(0)
            await visit.answers(b"%x\r\n%b\r\n" % (len(piece), piece))
        await visit.answers(b"0\r\n\r\n")

    async with shop(echoes, limits=Limits(connections=8)) as (behind, transport):
        targets = [b"/page/%d" % n for n in range(200)]
        got = await asyncio.gather(*(fetch(transport, request(target=target)) for target in targets))
        assert [body for _, body in got] == targets
        assert behind.connections <= 8


# ------------------------------------------------------------------ once more, or not


async def dies_when_used_again(visit: Visit, *, how: str = "closes") -> None:
    """Keeps the first answer's connection open, and drops it at the second request."""
    if visit.connection == 1 and b"/again" in visit.head:
        if how == "resets":
            visit.resets()
        raise ConnectionError
    await reads_body(visit)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("how", ["closes", "resets"])
async def test_a_get_is_asked_once_more_when_a_used_connection_was_dead(method: str, how: str) -> None:
    async with shop(partial(dies_when_used_again, how=how)) as (behind, transport):
        await fetch(transport, request())
        assert await fetch(transport, request(method, b"/again")) == (200, b"")
        assert [visit.connection for visit in behind.visits] == [1, 1, 2]
        assert transport.retries == 1


@pytest.mark.parametrize(
    "again",
    [
        partial(request, "POST"),
        partial(request, "PUT"),
        partial(request, "DELETE"),
        partial(request, "OPTIONS"),
        partial(request, "GET", stream=Body(b"x")),
        partial(request, "GET", headers=[(b"host", b"a"), (b"content-length", b"1")], stream=Body(b"x")),
        partial(request, "GET", stream=httpx.ByteStream(b"x")),
    ],
)
async def test_nothing_else_is_ever_asked_twice(again: Callable[..., httpx.Request]) -> None:
    async with shop(dies_when_used_again) as (behind, transport):
        await fetch(transport, request())
        with pytest.raises(ShopBroken) as caught:
            await fetch(transport, again(target=b"/again"))
        assert caught.value.kind == "silent"
        assert len(behind.visits) == 2
        assert transport.retries == 0


@pytest.mark.parametrize(
    ("second", "idle", "connection"),
    [
        (request, 0.0, 1),
        (request, 5.0, 1),
        (partial(request, "POST"), 0.0, 1),
        (partial(request, "POST"), 5.0, 2),
        (partial(request, "PUT", stream=Body(b"x")), 5.0, 2),
        (partial(request, "GET", stream=Body(b"x")), 5.0, 2),
    ],
)
async def test_who_may_ask_only_once_does_not_ask_on_a_connection_that_the_shop_may_be_closing(
    second: Callable[..., httpx.Request], idle: float, connection: int
) -> None:
    """An order that crosses the end of an idle connection is lost: nobody could say whether it has arrived."""
    async with shop(reads_body) as (behind, transport):
        await fetch(transport, request())
        kept = transport._lender._pool._idle
        for each in kept:
            kept[each] -= idle
        await fetch(transport, second())
        assert [visit.connection for visit in behind.visits] == [1, connection]


async def test_a_new_connection_that_dies_is_the_shops_answer() -> None:
    async def hangs_up(visit: Visit) -> None:
        raise ConnectionError

    async with shop(hangs_up) as (behind, transport):
        with pytest.raises(ShopBroken) as caught:
            await fetch(transport, request())
        assert caught.value.kind == "silent"
        assert len(behind.visits) == 1


async def test_the_second_try_is_on_a_connection_that_was_never_used() -> None:
    async def dies(visit: Visit) -> None:
        if visit.connection <= 3 and b"/again" in visit.head:
            raise ConnectionError
        await visit.answers(OK)

    async with shop(dies) as (behind, transport):
        await asyncio.gather(*(fetch(transport, request()) for _ in range(3)))
        assert behind.connections == 3
        assert await fetch(transport, request(target=b"/again")) == (200, b"ok")
        assert behind.connections == 4


async def test_the_second_try_is_the_last() -> None:
    async def dies(visit: Visit) -> None:
        if b"/again" in visit.head:
            raise ConnectionError
        await visit.answers(OK)

    async with shop(dies) as (behind, transport):
        await asyncio.gather(*(fetch(transport, request()) for _ in range(3)))
        with pytest.raises(ShopBroken):
            await fetch(transport, request(target=b"/again"))
        assert [visit.head.split(b" ")[1] for visit in behind.visits].count(b"/again") == 2


async def test_an_answer_that_began_is_not_asked_for_again() -> None:
    async def begins(visit: Visit) -> None:
        if b"/again" in visit.head:
            await visit.answers(b"HTTP/1.1 2")
            raise ConnectionError
        await visit.answers(OK)

    async with shop(begins) as (behind, transport):
        await fetch(transport, request())
        with pytest.raises(ShopBroken) as caught:
            await fetch(transport, request(target=b"/again"))
        assert caught.value.kind == "cut"
        assert len(behind.visits) == 2


# ------------------------------------------------------------------ patience


async def stalls(visit: Visit, *, before: bytes = b"") -> None:
    if before:
        await visit.answers(before)
    await visit.gone()


HTML = b"HTTP/1.1 200 OK\r\nContent-Type: Text/HTML; charset=utf-8\r\n"


@pytest.mark.parametrize(
    ("before", "phase"),
    [
        (b"", "answer"),
        (b"HTTP/1.1 200 OK\r\nX-", "answer"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "answer"),
        (HTML + b"Content-Length: 9\r\n\r\nhalf", "body"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "body"),
    ],
)
async def test_a_deadline_is_for_the_whole_document(before: bytes, phase: str) -> None:
    async with shop(partial(stalls, before=before)) as (_, transport):
        with pytest.raises(ShopTimeout) as caught:
            await fetch(transport, request(deadline=0.3))
        assert caught.value.phase == phase


async def test_a_document_that_drips_does_not_outlive_its_deadline() -> None:
    async def drips(visit: Visit) -> None:
        await visit.answers(HTML + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            await visit.answers(b"1\r\nx\r\n")
            await asyncio.sleep(0.005)

    async with shop(drips) as (_, transport):
        with pytest.raises(ShopTimeout) as caught:
            await fetch(transport, request(deadline=0.3))
        assert caught.value.phase == "body"


async def streams(visit: Visit, *, kind: bytes) -> None:
    """Twelve bytes in a little over half a second."""
    await visit.answers(b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(12):
        await visit.answers(b"1\r\nx\r\n")
        await asyncio.sleep(0.05)
    await visit.answers(b"0\r\n\r\n")


@pytest.mark.parametrize("kind", [b"application/zip", b"text/event-stream"])
async def test_what_is_no_document_streams_beyond_the_deadline(kind: bytes) -> None:
    async with shop(partial(streams, kind=kind)) as (_, transport):
        assert await fetch(transport, request(deadline=0.5)) == (200, b"x" * 12)


async def test_without_a_deadline_a_document_streams_too() -> None:
    async with shop(partial(streams, kind=b"text/html"), limits=Limits(answer=0.5)) as (_, transport):
        assert await fetch(transport, request("POST")) == (200, b"x" * 12)


async def test_a_stream_that_drips_below_the_rate_is_cut_unless_it_is_of_events() -> None:
    limits = Limits(idle=0.5, rate_grace=0.5)
    async with shop(partial(streams, kind=b"text/event-stream"), limits=limits) as (_, transport):
        assert await fetch(transport, request()) == (200, b"x" * 12)
    async with shop(partial(streams, kind=b"application/zip"), limits=limits) as (_, transport):
        with pytest.raises(ShopTimeout) as caught:
            await fetch(transport, request())
        assert caught.value.phase == "body"


@pytest.mark.parametrize("kind", [b"application/zip", b"text/event-stream"])
async def test_a_stream_that_falls_silent_is_cut(kind: bytes) -> None:
    before = b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\n\r\nhalf"
    limits = Limits(idle=0.05, rate_grace=0.05)
    async with shop(partial(stalls, before=before), limits=limits) as (_, transport):
        with pytest.raises(ShopTimeout) as caught:
            await fetch(transport, request())
        assert caught.value.phase == "body"


async def test_without_a_deadline_the_head_has_a_limit_of_its_own() -> None:
    async with shop(stalls, limits=Limits(answer=0.05)) as (_, transport):
        with pytest.raises(ShopTimeout) as caught:
            await fetch(transport, request("POST", stream=Body(b"x")))
        assert caught.value.phase == "answer"


async def test_the_time_that_a_visitor_takes_for_the_body_is_not_the_shops() -> None:
    gate = asyncio.Event()

    async with shop(reads_body, limits=Limits(answer=0.5)) as (_, transport):
        task = asyncio.create_task(fetch(transport, request("POST", stream=Body(b"slow", gate=gate))))
        await asyncio.wait({task}, timeout=0.6)
        gate.set()
        assert await task == (200, b"slow")


async def test_a_shop_that_does_not_take_the_body_is_given_up() -> None:
    async def never_reads(visit: Visit) -> None:
        visit.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with shop(never_reads, limits=Limits(sending=0.05)) as (_, transport):
        with pytest.raises(ShopTimeout) as caught:
            await fetch(transport, request("POST", stream=Body(*[b"x" * 1_000_000] * 30)))
        assert caught.value.phase == "sending"


async def test_patience_is_a_purse() -> None:
    total = Patience.total(10)
    total.spend(9)
    total.earn(1_000_000)
    assert total.left == 1
    stream = Patience.stream(Limits())
    assert stream.left == 30
    stream.spend(29)
    stream.earn(1024)
    assert stream.left == 2
    stream.earn(10_000_000)
    assert stream.left == 60
    events = Patience.events(Limits())
    events.spend(59)
    events.earn(1)
    assert events.left == 60


@given(st.lists(st.tuples(st.floats(0.01, 29), st.floats(1, 100)), max_size=50))
async def test_a_stream_that_keeps_the_rate_is_never_cut(steps: list[tuple[float, float]]) -> None:
    purse = Patience.stream(Limits())
    for seconds, factor in steps:
        purse.spend(seconds)
        assert purse.left > 0
        purse.earn(int(seconds * 1024 * factor) + 1)


# ------------------------------------------------------------------ connecting


async def test_a_shop_that_is_down_refuses(free_port: int) -> None:
    transport = ShopTransport(f"http://127.0.0.1:{free_port}")
    with pytest.raises(ShopRefused) as caught:
        await fetch(transport, request())
    assert caught.value.kind == "refused"
    await transport.aclose()


async def test_a_name_that_does_not_resolve_refuses() -> None:
    transport = ShopTransport("http://shop.invalid")
    with pytest.raises(ShopError) as caught:
        await fetch(transport, request())
    assert caught.value.kind in ("dns", "late connect")
    await transport.aclose()


async def test_a_full_pool_makes_the_next_wait_and_then_says_that_it_is_full() -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def waits(visit: Visit) -> None:
        asked.set()
        await release.wait()
        await visit.answers(OK)

    async with shop(waits, limits=Limits(connections=1, connect=0.3)) as (behind, transport):
        first = asyncio.create_task(fetch(transport, request()))
        await asked.wait()
        with pytest.raises(ShopBusy) as caught:
            await fetch(transport, request())
        assert caught.value.unsent
        assert transport.at_work == 1
        release.set()
        assert await first == (200, b"ok")
        assert await fetch(transport, request()) == (200, b"ok")
        assert behind.connections == 1
        assert transport.at_work == 0


@pytest.mark.parametrize("how", ["too late", "cancelled"])
async def test_who_waits_for_a_place_no_longer_is_not_remembered(how: str) -> None:
    """Event streams may hold all places for hours, while others come and are sent away."""

    async def waits(visit: Visit) -> None:
        await asyncio.Event().wait()

    async with shop(waits, limits=Limits(connections=1, connect=10 if how == "cancelled" else 0.01)) as (_, transport):
        first = asyncio.create_task(fetch(transport, request()))
        await asyncio.sleep(0)
        others = [asyncio.create_task(fetch(transport, request())) for _ in range(20)]
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(transport._lender._waiting) == 20
        if how == "cancelled":
            for other in others:
                other.cancel()
        await asyncio.wait(others)
        assert not transport._lender._waiting
        first.cancel()
        await asyncio.wait([first])
        assert transport.at_work == 0


async def test_a_shop_that_accepts_and_says_nothing_in_tls_is_given_up() -> None:
    async with shop(fine) as (behind, _):
        transport = ShopTransport(f"https://127.0.0.1:{behind.port}", limits=Limits(connect=0.05))
        with pytest.raises(ShopError) as caught:
            await fetch(transport, request())
        assert caught.value.kind in ("late connect", "tls")
        await transport.aclose()


@pytest.mark.parametrize(
    ("name", "context", "kind"),
    [
        ("localhost", lambda: tls_context(TLS / "ca.pem"), None),
        ("localhost", lambda: None, "tls"),  # the system does not know the authority
        ("127.0.0.1", lambda: tls_context(TLS / "ca.pem"), "tls"),  # the certificate is another name's
    ],
)
async def test_tls_is_verified(name: str, context: Callable[[], ssl.SSLContext | None], kind: str | None) -> None:
    async with shop(fine, tls=True) as (behind, _):
        transport = ShopTransport(f"https://{name}:{behind.port}", tls=context())
        if kind is None:
            for _ in range(2):
                assert await fetch(transport, request()) == (200, b"ok")
            assert behind.connections == 1
        else:
            with pytest.raises(ShopRefused) as caught:
                await fetch(transport, request())
            assert caught.value.kind == kind
            assert not behind.visits
        await transport.aclose()


@pytest.mark.parametrize("address", ["", "shop.example", "ftp://shop.example", "http://", "/path"])
def test_an_address_that_is_none_is_told_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        ShopTransport(address)


async def test_a_transport_opens_nothing_before_it_is_asked() -> None:
    transport = ShopTransport("http://127.0.0.1:1")
    await transport.aclose()
    await transport.aclose()
