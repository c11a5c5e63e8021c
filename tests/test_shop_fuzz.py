"""Whatever a shop answers: no exception out of the app, no fault of ours, and nothing of it in another's answer.

Answers are put together from good and bad parts, changed, cut, doubled and sent in pieces by a real socket; behind each
comes an ordinary request on the same proxy, whose page must be its own.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edgeproxy.origin import Limits, ShopTransport
from tests.world import PAGE, Got, World

MARK = b"bytes-of-the-fuzzed-exchange"
MARKED = PAGE.replace(b"</main>", b"<p>%b</p></main>" % MARK)
NEXT = PAGE.replace(b"</main>", b"<p>the next one</p></main>")
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\n" + MARK


@dataclass(frozen=True)
class Answer:
    """What the shop writes, in which pieces, whether it closes the connection then, and what it writes on it unasked.

    ``late`` goes out while the connection is idle: after the answer was read, before the next request.
    """

    pieces: tuple[bytes, ...]
    closes: bool
    late: bytes = b""

    @classmethod
    def of(cls, data: bytes, places: tuple[int, ...] = (), *, closes: bool = True, late: bytes = b"") -> Answer:
        ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
        return cls(tuple(data[a:b] for a, b in pairwise(ends)), closes, late)


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


STATUSES = [b"200 OK"] * 6 + [b"204 No Content", b"206 Partial", b"301 Moved", b"304 Not Modified", b"404 Not Found"]
STATUSES += [b"500 Oh", b"099 Low", b"600 High", b"101 Switching", b"20 OK", b"200", b"200 \xff\x00", b"103 Early"]
LINES = [
    b"Content-Type: text/html",
    b"Content-Type: text/html; charset=utf-8",
    b"Content-Type: text/html; charset=utf-16",
    b"Content-Type: text/html;charset=\xff",
    b"Content-Type: application/json",
    b"Content-Type: text/event-stream",
    b"Content-Encoding: gzip",
    b"Content-Encoding: br, gzip",
    b"Content-Encoding: unknown",
    b"Set-Cookie: session=" + MARK,
    b"Set-Cookie: a\x01=b; Domain=shop.internal",
    b"Cache-Control: public, max-age=600",
    b"Cache-Control: private, no-store",
    b"Cache-Control: max-age=99999999999999999999999",
    b"Expires: yesterday",
    b"Age: -1",
    b'ETag: "' + MARK + b'"',
    b"Last-Modified: Mon, 99 Foo 2026 99:99:99 GMT",
    b"Vary: *",
    b"Vary: Cookie, ,,Accept",
    b"Location: http://shop.internal:8000//evil.example/\xc3\xa9",
    b"Location: http://[::1",
    b"Content-Security-Policy: default-src 'self'; script-src 'nonce-abc'",
    b"Content-Security-Policy: ;;;'nonce-",
    b"Edge-Event: order",
    b"Connection: close",
    b"Connection: keep-alive, content-type",
    b"Transfer-Encoding: gzip, chunked",
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Link: </a.css>; rel=preload",
    b"No Colon",
    b" folded",
    b": empty",
    b"X-Bytes: \xf0\x9f\x9b\x92\xff",
    b"X-Null: a\x00b",
    b"Edge-Purge: /**",
    b"Trailer: X-After",
]
BODIES = [MARKED, MARKED[:-20], b"", b"\x00" * 50, MARK * 3, b"<p" + b"<b x=1>" * 50, MARKED.decode().encode("utf-16")]
BODIES += [
    gzip.compress(MARKED),
    gzip.compress(MARKED)[:-9],
    gzip.compress(gzip.compress(MARKED)),
    b"\xef\xbb\xbf" + MARKED,
]


@st.composite
def answers(draw: Any) -> Answer:
    body = draw(st.sampled_from(BODIES))
    lines = draw(st.lists(st.sampled_from(LINES), max_size=5))
    framing = draw(st.sampled_from(["length", "length", "chunked", "chunked", "none", "both", "wrong"]))
    if framing in ("length", "both", "wrong"):
        lines.append(b"Content-Length: %d" % (len(body) + (draw(st.integers(-9, 9)) if framing == "wrong" else 0)))
    if framing in ("chunked", "both"):
        lines.append(b"Transfer-Encoding: chunked")
        body = chunked(body, draw(st.integers(1, 400)))
    head = b"HTTP/1.%b %b\r\n" % (
        draw(st.sampled_from([b"1", b"1", b"1", b"0", b"9"])),
        draw(st.sampled_from(STATUSES)),
    )
    early = draw(st.sampled_from([b"", b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"]))
    data = early + head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body
    data += draw(st.sampled_from([b"", b"", b"", MARK, SECOND]))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):  # bytes changed
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + 1 :]
    if draw(st.booleans()):
        data = data[: draw(st.integers(0, len(data)))]
    places = tuple(draw(st.lists(st.integers(0, 5000), max_size=4)))
    closes = draw(st.integers(0, 15)) < 15
    return Answer.of(data, places, closes=closes, late=b"" if closes else draw(st.sampled_from([b"", MARK, SECOND])))


class Front:
    """One proxy before one shop for all examples; the shop answers /c/fuzz/… as it is told at the time."""

    def __init__(self) -> None:
        self.answer = Answer((), closes=True)
        self.number = 0
        self.idle: asyncio.StreamWriter | None = None
        self.runner = asyncio.Runner()
        self.world, self.server = self.runner.run(self._start())

    async def _start(self) -> tuple[World, asyncio.Server]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        transport: Any = ShopTransport(origin, limits=Limits(answer=0.08, idle=0.08, rate_grace=0.08))
        return World(transport, settings={"origin": origin, "deadline": 0.08}), server

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b" /c/fuzz" in head:
                    for piece in self.answer.pieces:
                        writer.write(piece)
                        await asyncio.sleep(0)
                    if self.answer.closes:
                        break
                    self.idle = writer
                else:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n")
                    writer.write(b"Content-Length: %d\r\n\r\n" % len(NEXT) + NEXT)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def ask(self, answer: Answer, stage: str | None) -> tuple[Got, Got, Got]:
        """The fuzzed page, an ordinary one behind it, and the fuzzed one for somebody else."""
        self.answer = answer
        self.number += 1

        async def three() -> tuple[Got, Got, Got]:
            first = await self.world.ask(f"/c/fuzz/{self.number}", stage=stage, headers=[("accept-encoding", "gzip")])
            if answer.late and self.idle is not None and not self.idle.is_closing():
                self.idle.write(answer.late)  # on loopback it has arrived when this returns
            self.idle = None
            second = await self.world.ask(f"/c/next/{self.number}", stage="loyal")
            return first, second, await self.world.ask(f"/c/fuzz/{self.number}", stage="new")

        return self.runner.run(three())

    def close(self) -> None:
        async def stop() -> None:
            await self.world.parts.transport.aclose()
            self.server.close()
            await self.server.wait_closed()

        self.runner.run(stop())
        self.runner.close()


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    made = Front()
    yield made
    made.close()


def surplus(then: bytes) -> Answer:
    """A whole answer, and bytes behind it on a connection that stays open."""
    return Answer((WHOLE + then[:1], then[1:]), closes=False)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answers(), st.sampled_from([None, "new", "loyal"]))
@example(surplus(SECOND), "new")
@example(Answer((WHOLE,), closes=False, late=SECOND), "new")
@example(Answer((WHOLE,), closes=False, late=SECOND), None)
@example(Answer.of(b"", closes=True), None)
@example(Answer.of(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + MARKED), "loyal")
def test_whatever_a_shop_answers(front: Front, answer: Answer, stage: str | None) -> None:
    first, second, again = front.ask(answer, stage)
    for got in (first, again):
        assert got.cut or 200 <= got.status < 600
        for name, value in got.headers:
            assert name.isascii()
            assert not set("\r\n\0") & set(value)
    assert (second.status, second.cut) == (200, False)
    assert MARK not in second.raw + repr(second.headers).encode()
    assert second.body == NEXT.replace(b">Old<", b"><p>Good to see you</p><")
    assert front.world.parts.journal.faults.get() == 0
