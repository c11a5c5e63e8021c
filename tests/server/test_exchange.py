"""Answers as they leave: framing, Connection, Date; what cannot be written is not written at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.server import exchange
from edgeproxy.server.exchange import InvalidAnswer
from tests.server.wire import DATE, Noted, answers, pipe, run, serving

Lines = tuple[tuple[bytes, bytes], ...]


def request(method: str = "GET", version: str = "1.1") -> bytes:
    return f"{method} /a HTTP/{version}\r\nHost: shop.test\r\n\r\n".encode()


def sent(status: int, headers: Lines, *bodies: bytes, ask: bytes = request()) -> tuple[bytes, list[BaseException]]:
    """The bytes of one answer, and the faults it caused."""

    async def test() -> tuple[bytes, list[BaseException]]:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": status, "headers": headers})
            for body in bodies[:-1]:
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": bodies[-1] if bodies else b""})

        noted = Noted()
        connection = pipe(app, noted.guard())
        await connection.say(ask)
        assert connection.state == ("closed" if b"connection: close" in connection.out else "open") or noted.faults
        return bytes(connection.out), noted.faults

    return run(test())


D = b"date: " + DATE[1] + b"\r\n"


@pytest.mark.parametrize(
    ("status", "headers", "bodies", "ask", "bytes_"),
    [
        pytest.param(
            200,
            ((b"content-length", b"2"),),
            [b"ok"],
            request(),
            b"HTTP/1.1 200 OK\r\n" + D + b"content-length: 2\r\n\r\nok",
            id="a length is kept",
        ),
        pytest.param(
            200,
            ((b"Content-Length", b"002"), (b"Content-Length", b"2")),
            [b"ok"],
            request(),
            b"HTTP/1.1 200 OK\r\n" + D + b"content-length: 2\r\n\r\nok",
            id="a length that is said twice is said once",
        ),
        pytest.param(
            200,
            (),
            [b"one", b"", b"three"],
            request(),
            b"HTTP/1.1 200 OK\r\n" + D + b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n",
            id="without a length it is chunked",
        ),
        pytest.param(
            200,
            ((b"transfer-encoding", b"gzip, chunked"), (b"x-a", b"b")),
            [],
            request(),
            b"HTTP/1.1 200 OK\r\nx-a: b\r\n" + D + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            id="Transfer-Encoding is ours",
        ),
        pytest.param(
            200,
            ((b"content-length", b"5"),),
            [b"12345"],
            request("HEAD"),
            b"HTTP/1.1 200 OK\r\n" + D + b"content-length: 5\r\n\r\n",
            id="HEAD has the length and no body",
        ),
        pytest.param(
            200, (), [b"12345"], request("HEAD"), b"HTTP/1.1 200 OK\r\n" + D + b"\r\n", id="HEAD without a length"
        ),
        pytest.param(
            204,
            ((b"content-length", b"5"),),
            [b"12345"],
            request(),
            b"HTTP/1.1 204 No Content\r\n" + D + b"\r\n",
            id="204 has neither length nor body",
        ),
        pytest.param(
            205,
            (),
            [b"12345"],
            request(),
            b"HTTP/1.1 205 Reset Content\r\n" + D + b"content-length: 0\r\n\r\n",
            id="205 has no body",
        ),
        pytest.param(
            304,
            ((b"content-length", b"5"), (b"etag", b'"x"')),
            [],
            request(),
            b'HTTP/1.1 304 Not Modified\r\netag: "x"\r\n' + D + b"content-length: 5\r\n\r\n",
            id="304 has the length of what it stands for",
        ),
        pytest.param(304, (), [], request(), b"HTTP/1.1 304 Not Modified\r\n" + D + b"\r\n", id="304 without a length"),
        pytest.param(
            200,
            ((b"content-length", b"2"),),
            [b"ok"],
            request(version="1.0"),
            b"HTTP/1.1 200 OK\r\n" + D + b"content-length: 2\r\nconnection: close\r\n\r\nok",
            id="HTTP/1.0 with a length",
        ),
        pytest.param(
            200,
            (),
            [b"one", b"two"],
            request(version="1.0"),
            b"HTTP/1.1 200 OK\r\n" + D + b"connection: close\r\n\r\nonetwo",
            id="HTTP/1.0 without a length is never chunked",
        ),
        pytest.param(
            200,
            ((b"connection", b"X-A, Close"), (b"x-a", b"b")),
            [],
            request(),
            b"HTTP/1.1 200 OK\r\nx-a: b\r\n" + D + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n",
            id="Connection is ours, close is obeyed",
        ),
        pytest.param(
            200,
            ((b"date", b"Tue, 02 Jun 2026 12:00:00 GMT"), (b"content-length", b"0")),
            [],
            request(),
            b"HTTP/1.1 200 OK\r\ndate: Tue, 02 Jun 2026 12:00:00 GMT\r\ncontent-length: 0\r\n\r\n",
            id="a Date is kept",
        ),
        pytest.param(
            200,
            ((b"Set-Cookie", b"a=1"), (b"X-L", b"caf\xe9\t!"), (b"Set-Cookie", b"b=2"), (b"content-length", b"0")),
            [],
            request(),
            b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nx-l: caf\xe9\t!\r\nset-cookie: b=2\r\n"
            + D
            + b"content-length: 0\r\n\r\n",
            id="order, duplicates and bytes above 0x7f stay",
        ),
        pytest.param(
            999,
            ((b"content-length", b"0"),),
            [],
            request(),
            b"HTTP/1.1 999 \r\n" + D + b"content-length: 0\r\n\r\n",
            id="a status that nobody knows",
        ),
    ],
)
def test_an_answer_leaves_as(status: int, headers: Lines, bodies: list[bytes], ask: bytes, bytes_: bytes) -> None:
    assert sent(status, headers, *bodies, ask=ask) == (bytes_, [])


@pytest.mark.parametrize(
    ("status", "headers", "bodies"),
    [
        (200, ((b"x-a", b"b\r\nset-cookie: evil=1"),), []),
        (200, ((b"x-a", b"b\nc"),), []),
        (200, ((b"x-a", b"b\rc"),), []),
        (200, ((b"x-a", b"b\0c"),), []),
        (200, ((b"x-a", b"b\x07c"),), []),
        (200, ((b"x a", b"b"),), []),
        (200, ((b"x-a: b\r\nx-b", b"c"),), []),
        (200, ((b"", b"c"),), []),
        (200, ((b"content-length", b"-1"),), []),
        (200, ((b"content-length", b"1"), (b"content-length", b"2")), [b"a"]),
        (101, (), []),
        (99, (), []),
        (1000, (), []),
    ],
)
def test_a_head_that_cannot_be_written_is_a_fault_of_ours_and_a_502(
    status: int, headers: Lines, bodies: list[bytes]
) -> None:
    out, faults = sent(status, headers, *bodies)
    [page] = answers(out)
    assert (page.status, page.complete) == (502, True)
    assert [type(fault) for fault in faults] == [InvalidAnswer]
    assert b"evil" not in out  # fmt: skip


@pytest.mark.parametrize(("length", "body"), [(b"3", b"abcd"), (b"5", b"abcd")])
def test_a_body_that_is_not_as_long_as_it_said_is_cut(length: bytes, body: bytes) -> None:
    out, faults = sent(200, ((b"content-length", length),), body)
    [cut] = answers(out)
    assert not cut.complete
    assert len(faults) == 1


def test_early_hints_come_before_the_head_and_only_to_http_1_1() -> None:
    async def test(ask: bytes, links: list[bytes]) -> bytes:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert "http.response.early_hint" in scope["extensions"]
            await send({"type": "http.response.early_hint", "links": links})
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})

        noted = Noted()
        connection = pipe(app, noted.guard())
        out = await connection.say(ask)
        return b"fault" if noted.faults else out

    hinted = run(test(request(), [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]))
    assert hinted.startswith(
        b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\n\r\nHTTP/1.1 200"
    )
    assert b"103" not in run(test(request(version="1.0"), [b"</a.css>"]))
    assert run(test(request(), [b"</a.css>\r\nset-cookie: evil=1"])) == b"fault"


@pytest.mark.parametrize(
    ("lines", "bodies", "writes"),
    [
        ([(b"content-length", b"3")], [b"one"], 1),  # head and body
        ([(b"content-length", b"90000")], [b"x" * 90_000], 1),
        ([], [b"one", b"two"], 2),  # a chunk goes with its framing
        ([], [], 1),
    ],
)
def test_what_belongs_together_is_written_in_one_go(
    lines: list[tuple[bytes, bytes]], bodies: list[bytes], writes: int
) -> None:
    async def test() -> int:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": lines})
            for body in bodies[:-1]:
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": bodies[-1] if bodies else b""})

        connection = pipe(app, Noted().guard())
        [answer] = answers(await connection.say(request()))
        assert (answer.complete, answer.body) == (True, b"".join(bodies))
        return connection.writes

    assert run(test()) == writes


def test_a_head_without_a_body_yet_does_not_wait_for_one() -> None:
    async def test() -> bytes:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await asyncio.Event().wait()

        connection = pipe(app, Noted().guard())
        out = await connection.say(request())
        connection.leave()
        return out

    assert run(test()).endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.response.body", "body": b"a"}],
        [{"type": "http.response.start", "status": 200}, {"type": "http.response.start", "status": 200}],
        [{"type": "http.response.start", "status": 200}, {"type": "http.response.early_hint", "links": [b"a"]}],
        [
            {"type": "http.response.start", "status": 200},
            {"type": "http.response.body"},
            {"type": "http.response.body"},
        ],
        [{"type": "http.response.trailers"}],
    ],
)
def test_messages_out_of_order_are_a_fault_of_ours(messages: list[dict[str, Any]]) -> None:
    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            for message in messages:
                await send(message)

        noted = Noted()
        connection = pipe(app, noted.guard())
        await connection.say(request())
        assert [type(fault) for fault in noted.faults] == [InvalidAnswer]

    run(test())


NAMES = st.binary(max_size=12) | st.sampled_from([b"content-length", b"Date", b"connection", b"x-a", b"set-cookie"])
VALUES = st.binary(max_size=20) | st.sampled_from([b"0", b"5", b"close", b"chunked", b"a\r\nb: c"])


@given(
    st.integers(0, 1100), st.lists(st.tuples(NAMES, VALUES), max_size=6), st.lists(st.binary(max_size=9), max_size=3)
)
def test_whatever_an_app_says_one_well_formed_answer_leaves_or_a_cut_one(
    status: int, headers: list[tuple[bytes, bytes]], bodies: list[bytes]
) -> None:
    out, faults = sent(status, tuple(headers), *bodies)
    found = answers(out)
    assert len(found) == 1
    said = [(name.lower(), value.strip(b" \t")) for name, value in headers]
    framing = (b"content-length", b"transfer-encoding", b"connection", b"date")
    if not faults:
        assert [(n, v.strip(b" \t")) for n, v in found[0].headers if n not in framing] == [
            line for line in said if line[0] not in framing
        ]
    elif found[0].complete and found[0].status != 502:  # more came than was promised: what was promised has left
        assert found[0].header(b"content-length") == b"%d" % len(found[0].body)


def test_a_cut_http_1_0_answer_is_reset_since_its_end_is_the_connection_s() -> None:
    from edgeproxy.errors import CutShort

    async def test() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            raise CutShort

        async with serving(app) as served:
            with pytest.raises(ConnectionResetError):
                await served.ask(request(version="1.0"))
            [cut] = answers(await served.ask(request()))
            assert not cut.complete

    run(test())


@pytest.mark.parametrize("pauses", [True, False])
def test_an_answer_of_several_buffers_waits_for_who_is_slow(pauses: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where asyncio's ``writelines`` would never pause us (CVE-2024-12254) it is not called; the bytes are the same."""
    body = b"x" * 50_000

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": ()})
        await send({"type": "http.response.body", "body": body})

    async def test() -> None:
        connection = pipe(app, Noted().guard())
        out = await connection.say(request())
        assert out.endswith(b"\r\n\r\nc350\r\n" + body + b"\r\n0\r\n\r\n")
        assert bool(connection.gathered) == pauses

    monkeypatch.setattr(exchange, "LINES_PAUSE", pauses)
    run(test())
