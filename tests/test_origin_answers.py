"""Answers of a shop, byte for byte: each example whole, byte by byte, and split at every position."""

from __future__ import annotations

import asyncio
import socket
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.origin.connection import ShopConnection
from edgeproxy.origin.errors import ShopError
from edgeproxy.origin.exchange import Exchange
from edgeproxy.origin.patience import Limits, Patience

CASES: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "cases" / "responses" / "answers.toml").read_text("utf-8")
)["answer"]
LIMITS = Limits()


class Line(asyncio.Transport):
    """A transport to nowhere that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: ShopConnection | None = None
        self.open = True
        self.paused = 0
        self.ends = socket.socketpair()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.ends[0] if name == "socket" else default

    def is_closing(self) -> bool:
        return not self.open

    def abort(self) -> None:
        self.open = False

    def close(self) -> None:
        self.open = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert self.open

    def pause_reading(self) -> None:
        self.paused += 1

    def resume_reading(self) -> None:
        self.paused -= 1


class Lent:
    """What the pool sees at the end."""

    def __init__(self) -> None:
        self.fate = ""

    def release(self) -> None:
        assert not self.fate
        self.fate = "released"

    def close(self) -> None:
        assert not self.fate
        self.fate = "closed"


class Talk:
    """One exchange on a connection without a network."""

    def __init__(self, method: str = "GET", limits: Limits = LIMITS) -> None:
        self.line = Line()
        self.lent = Lent()
        self.connection = ShopConnection(asyncio.get_running_loop())
        self.connection.connection_made(self.line)
        self.exchange: Exchange = self.connection.begin(self.lent, head_only=method == "HEAD", limits=limits)
        self.exchange.sent = True

    def says(self, pieces: Iterable[bytes], then: str = "waits") -> None:
        for piece in pieces:
            if piece and self.line.open:
                self.connection.data_received(piece)
        if then != "waits" and self.line.open:
            self.line.open = False
            self.connection.connection_lost(ConnectionResetError() if then == "resets" else None)

    async def outcome(self) -> dict[str, Any]:
        """What the answer came to; ``error`` alone where it raised."""
        try:
            await self.exchange.head(Patience.total(0))
            body = b""
            while data := await self.exchange.read(Patience.total(0)):
                body += data
        except ShopError as problem:
            assert self.lent.fate == "closed"
            assert not self.line.open
            return {"error": problem.kind}
        return {
            "status": self.exchange.status,
            "reason": self.exchange.reason.decode("latin-1"),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in self.exchange.headers],
            "body": body.decode("latin-1"),
            "again": self.connection.reusable,
        }

    def over(self) -> None:
        for end in self.line.ends:
            end.close()


@pytest.fixture
def talking() -> Iterator[Callable[..., Talk]]:
    """Begin an exchange; all are tidied away after the test."""
    talks: list[Talk] = []

    def begin(limits: Limits = LIMITS) -> Talk:
        talks.append(Talk(limits=limits))
        return talks[-1]

    yield begin
    for talk in talks:
        talk.over()


def outcome(case: dict[str, Any], pieces: Iterable[bytes]) -> dict[str, Any]:
    async def talk() -> dict[str, Any]:
        one = Talk(case.get("method", "GET"))
        one.says(pieces, case.get("then", "waits"))
        try:
            return await one.outcome()
        finally:
            one.over()

    return asyncio.run(talk())


def wanted(case: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in case.items() if key not in ("it", "bytes", "method", "then")}


def splits(data: bytes) -> Iterator[list[bytes]]:
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for i in range(1, len(data)):
        yield [data[:i], data[i:]]


@pytest.mark.parametrize("case", CASES, ids=[case["it"] for case in CASES])
def test_an_answer_means_the_same_however_it_is_cut_into_pieces(case: dict[str, Any]) -> None:
    expected = wanted(case)
    for pieces in splits(case["bytes"].encode("latin-1")):
        got = outcome(case, pieces)
        assert {key: got.get(key) for key in expected} == expected, pieces
        assert ("error" in got) == ("error" in expected), pieces


@given(st.sampled_from(CASES), st.data())
def test_an_answer_means_the_same_in_any_pieces(case: dict[str, Any], data: st.DataObject) -> None:
    raw = case["bytes"].encode("latin-1")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    got = outcome(case, pieces)
    assert {key: got.get(key) for key in wanted(case)} == wanted(case)


@given(st.lists(st.binary(max_size=40) | st.sampled_from([case["bytes"].encode("latin-1") for case in CASES])))
def test_no_bytes_of_a_shop_raise_anything_but_our_own_errors(pieces: list[bytes]) -> None:
    outcome({"then": "closes"}, pieces)


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "pieces",
    [
        [HEAD + b"X-Big: " + b"a" * 200_000 + b"\r\nContent-Length: 0\r\n\r\n"],
        [HEAD, b"X-Big: ", *[b"a" * 1000] * 70],
        [HEAD + b"".join(b"X-%d: v\r\n" % i for i in range(5000)) + b"Content-Length: 0\r\n\r\n"],
    ],
    ids=["one line, one piece", "one line, dripping", "many lines"],
)
async def test_a_head_beyond_the_limit_is_refused(pieces: list[bytes], talking: Callable[..., Talk]) -> None:
    talk = talking()
    talk.says(pieces)
    assert await talk.outcome() == {"error": "head"}


@pytest.mark.anyio
async def test_interim_answers_are_counted_and_each_may_be_as_big_as_a_head(talking: Callable[..., Talk]) -> None:
    talk = talking()
    talk.says([b"HTTP/1.1 103 Early Hints\r\nLink: " + b"a" * 20_000 + b"\r\n\r\n"] * LIMITS.interims)
    talk.says([HEAD + b"Content-Length: 2\r\n\r\nok"])
    assert (await talk.outcome())["body"] == "ok"
    talk = talking()
    talk.says([b"HTTP/1.1 100 Continue\r\n\r\n" * (LIMITS.interims + 1)])
    assert await talk.outcome() == {"error": "interim"}


@pytest.mark.anyio
@pytest.mark.parametrize("drip", [b"1;" + b"x" * 10_000, b"0\r\nX-T: " + b"x" * 10_000], ids=["extension", "trailer"])
async def test_framing_without_end_is_refused(drip: bytes, talking: Callable[..., Talk]) -> None:
    talk = talking()
    talk.says([HEAD + b"Transfer-Encoding: chunked\r\n\r\n", drip, *[b"x" * 10_000] * 8])
    assert await talk.outcome() == {"error": "framing"}


@pytest.mark.anyio
async def test_framing_beside_a_body_is_not_counted_up(talking: Callable[..., Talk]) -> None:
    talk = talking()
    talk.says([HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1;" + b"x" * 10_000, b"\r\nx\r\n"] * 20, b"0\r\n\r\n"])
    assert (await talk.outcome())["body"] == "x" * 20


@pytest.mark.anyio
async def test_what_is_read_refills_the_patience(talking: Callable[..., Talk]) -> None:
    talk = talking()
    talk.says([HEAD + b"Content-Length: 5000\r\n\r\n", b"x" * 2048])
    patience = Patience.stream(LIMITS)
    patience.spend(20)
    assert len(await talk.exchange.read(patience)) == 2048
    assert patience.left == 12


@pytest.mark.anyio
async def test_a_visitor_who_reads_slowly_pauses_the_shop_and_costs_it_no_patience(
    talking: Callable[..., Talk],
) -> None:
    talk = talking(limits=Limits(window=10_000))
    talk.says([HEAD + b"Content-Length: 30000\r\n\r\n", b"x" * 10_001])
    assert talk.line.paused == 1
    patience = Patience.total(1000)
    await talk.exchange.head(patience)
    assert len(await talk.exchange.read(patience)) == 10_001
    assert talk.line.paused == 0
    assert patience.left == 1000
    talk.says([b"x" * 19_999])
    assert len(await talk.exchange.read(patience)) == 19_999
    assert await talk.exchange.read(patience) == b""
    assert talk.lent.fate == "released"


@pytest.mark.anyio
async def test_a_connection_goes_back_to_the_pool_only_when_it_flows(talking: Callable[..., Talk]) -> None:
    talk = talking(limits=Limits(window=10))
    talk.says([HEAD + b"Content-Length: 30\r\n\r\n" + b"x" * 20])
    assert talk.line.paused == 1
    talk.connection.data_received(b"x" * 10)  # a transport may hand over what it had read before it was paused
    assert talk.lent.fate == "released"
    assert talk.line.paused == 0


@pytest.mark.anyio
async def test_a_connection_is_not_used_again_while_its_request_is_not_sent(talking: Callable[..., Talk]) -> None:
    talk = talking()
    talk.exchange.sent = False
    talk.says([b"HTTP/1.1 413 Too Big\r\nContent-Length: 2\r\n\r\nno"])
    assert (await talk.outcome()) == {
        "status": 413,
        "reason": "Too Big",
        "headers": [["Content-Length", "2"]],
        "body": "no",
        "again": False,
    }


@pytest.mark.anyio
async def test_an_answer_given_up_closes_the_connection(talking: Callable[..., Talk]) -> None:
    talk = talking()
    talk.says([HEAD + b"Content-Length: 20\r\n\r\nhalf"])
    talk.exchange.abandon()
    assert talk.lent.fate == "closed"
    assert not talk.line.open


@pytest.mark.anyio
async def test_bytes_on_an_idle_connection_end_it(talking: Callable[..., Talk]) -> None:
    talk = talking()
    talk.says([HEAD + b"Content-Length: 2\r\n\r\nok"])
    assert talk.connection.quiet()
    talk.line.ends[1].send(b"!")  # arrived, not yet read
    assert not talk.connection.quiet()
    talk.connection.data_received(b"!")
    assert not talk.connection.reusable
    assert (await talk.outcome())["again"] is False


@pytest.mark.anyio
async def test_a_connection_lost_before_the_request_was_written_is_silent(talking: Callable[..., Talk]) -> None:
    talk = talking()
    talk.says([HEAD + b"Content-Length: 0\r\n\r\n"])
    talk.line.open = False
    lent = Lent()
    exchange = talk.connection.begin(lent, head_only=False, limits=LIMITS)
    with pytest.raises(ShopError, match="without an answer"):
        await exchange.head(Patience.total(1000))
    assert lent.fate == "closed"
