"""Hostile shops and hostile visitors at once, over real sockets: nobody gets a byte of somebody else's.

What each request's answer is follows from its number alone, so whoever is given another one's has it written in it.
The order of events is the machine's; what each takes part in is drawn from ``SEED``.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import uvloop

from edgeproxy.origin import ShopAddresses
from edgeproxy.settings import Limits
from tests.fronts import Front, Reader, Writer, proxy
from tests.fronts import shop as one_question
from tests.server.wire import Answer, answers

SEED = 20
VISITORS = 250
AT_ONCE = 12
PLACES = 4
POISON = b"HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nX-Number: 0\r\nContent-Length: 6\r\n\r\nPOISON"
GOOD = ("whole", "whole", "whole", "interim")
BAD = ("surplus", "silent", "resets", "cut head", "cut body", "reset body", "two framings", "garbage", "closes late")
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@dataclass(frozen=True)
class Given:
    """What the shop gives to one number, and how."""

    number: int
    how: str
    framing: str
    body: bytes

    @classmethod
    def to(cls, number: int) -> Given:
        dice = random.Random(f"{SEED} {number}")
        how = dice.choice(GOOD * 6 + BAD)
        size = dice.choice([0, 1, 300] if how == "surplus" else [0, 1, 300, 70_000, 600_000])  # it comes in one piece
        mark = b"[%d]" % number
        return cls(number, how, dice.choice(["length", "chunks", "close"]), (mark * (size // len(mark) + 1))[:size])

    def written(self) -> tuple[bytes, bytes]:
        lines = b"Content-Type: text/css\r\nCache-Control: no-store\r\nX-Number: %d\r\n" % self.number
        body = self.body
        if self.framing == "length" or self.how == "two framings":
            lines += b"Content-Length: %d\r\n" % len(body)
        if self.framing == "chunks" or self.how == "two framings":
            lines += b"Transfer-Encoding: chunked\r\n"
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        before = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" if self.how == "interim" else b""
        return before + b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n", body


def reset(writer: Writer) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hostile(reader: Reader, writer: Writer, head: bytes) -> None:
    """A shop: answers until it does something after which no answer can follow."""
    while True:
        method, target, _ = head.split(b" ", 2)
        given = Given.to(int(target[1:-4]))
        first, body = given.written()
        body = b"" if method == b"HEAD" else body
        match given.how:
            case "silent":
                return
            case "resets":
                reset(writer)
                return
            case "garbage":
                writer.write(b"\0garbage\r\n\r\n" + POISON)
                return
            case "cut head":
                writer.write(first[: len(first) // 2])
                return
            case "cut body" | "reset body" if body:
                writer.write(first + body[: len(body) // 2])
                await writer.drain()
                if given.how == "reset body":
                    reset(writer)
                return
        writer.write(first + body + (POISON if given.how == "surplus" else b""))
        await writer.drain()
        if method == b"HEAD" and given.body:
            await asyncio.sleep(0)
            writer.write(POISON)  # a body all the same, behind the head
        if given.framing == "close" or given.how == "closes late":
            return
        head = await reader.readuntil(b"\r\n\r\n")


@dataclass
class Crowd:
    """Visitors before one proxy; ``whole`` counts answers of the shop's that came to their end."""

    front: Front
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 10**6)))
    whole: int = 0

    async def visit(self, visitor: int) -> None:
        dice = random.Random(f"{SEED} visitor {visitor}")
        asked = [(next(self.numbers), dice.choice(["GET", "GET", "HEAD"])) for _ in range(dice.choice([1, 1, 2, 4]))]
        data = b"".join(
            f"{method} /{number}.css HTTP/1.1\r\nHost: shop.example\r\nSec-Fetch-Dest: style\r\n{last}\r\n".encode()
            for place, (number, method) in enumerate(asked, 1)
            for last in ["Connection: close\r\n" if place == len(asked) else ""]
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", self.front.port)
        got = b""
        try:
            match dice.choice(["stays"] * 5 + ["leaves", "resets", "breaks off"]):
                case "breaks off":
                    writer.write(data[: dice.randrange(1, len(data))])
                    writer.write_eof()
                case "stays":
                    writer.write(data)
                case how:
                    writer.write(data)
                    got = await reader.read(dice.choice([1, 5000, 100_000]))
                    if how == "resets":
                        reset(writer)
                    return
            async with asyncio.timeout(20):
                while more := await reader.read(65536):
                    got += more
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()
            self.look(got, asked)

    def look(self, got: bytes, asked: list[tuple[int, str]]) -> None:
        for number, method in asked:
            if not got:
                return
            if method == "HEAD":
                head, mark, got = got.partition(b"\r\n\r\n")
                if mark and b"x-number" in head:
                    assert b"x-number: %d\r\n" % number in head + b"\r\n"
                continue
            end, answer = first_of(got)
            got = got[end:] if answer is not None and answer.complete else b""
            if answer is not None:
                self.look_at(answer, number)
        assert not got, "more answers than requests"

    def look_at(self, answer: Answer, number: int) -> None:
        given = Given.to(number)
        whose = answer.header(b"x-number")
        if whose is None:
            assert answer.status in (400, 408, 502, 503, 504)
            assert b"[" not in answer.body
            return
        assert whose == b"%d" % number
        body = given.body
        if given.framing == "close" and given.how == "surplus":
            body += POISON  # what comes before the end is the body
        assert body.startswith(answer.body)
        if answer.complete and not (given.framing == "close" and given.how == "cut body"):
            assert answer.body == body, "a part that looks whole"
        self.whole += answer.complete


def first_of(data: bytes) -> tuple[int, Answer | None]:
    """The first answer, and where it ends."""
    head, mark, rest = data.partition(b"\r\n\r\n")
    if not mark:
        return len(data), None
    size = len(head) + 4
    if b"transfer-encoding: chunked" in head:
        size += rest.find(b"0\r\n\r\n") + 5 if rest.startswith(b"0\r\n\r\n") else rest.find(b"\r\n0\r\n\r\n") + 7
        size = size if b"0\r\n\r\n" in rest else len(data)
    else:
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length: "))
        size = min(size + int(length[16:]), len(data))
    return size, answers(data[:size])[0]


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_nobody_gets_a_byte_of_somebody_elses(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    told: list[dict[str, object]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        limits = Limits(origin_connections=PLACES, connections_per_address=0)
        async with one_question(hostile) as port, proxy(port, limits=limits) as front:
            crowd, left = Crowd(front), iter(range(VISITORS))

            async def visitors() -> None:
                for visitor in left:
                    await crowd.visit(visitor)

            await asyncio.gather(*(visitors() for _ in range(AT_ONCE)))
            assert crowd.whole > VISITORS // 3
            assert isinstance(front.parts.transport, ShopAddresses)
            transport = front.parts.transport.addresses[0].via
            async with asyncio.timeout(10):
                while front.guard.connections or transport.at_work:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
            assert transport._lender._free == PLACES
            assert not transport._lender._waiting
            assert front.guard.passages == 0
            assert len(transport._lender._pool._open) <= PLACES
        assert front.parts.journal.faults.get() == 0

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    assert not told
