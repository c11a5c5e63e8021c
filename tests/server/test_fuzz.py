"""Random requests, valid and broken, in random pieces: nothing is mixed, nothing ambiguous served.

The oracle is a second reader of requests, written from RFC 9112's grammar alone and as strict as it goes: whatever
reaches the shop must be what the oracle reads in the same bytes.
"""

from __future__ import annotations

import gc
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.sanitise import Sanitiser
from tests.server.apps import Shop
from tests.server.wire import Noted, answers, pipe, run

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
HEAD = re.compile(
    rb"(%b) (/[^\x00-\x20\x7f#]*) HTTP/1\.([01])\r\n((?:%b:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n" % (TOKEN, TOKEN)
)
BLANKS = re.compile(rb"(?:\r\n)*")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
TRAILERS = re.compile(rb"(?:%b:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n" % TOKEN)

Request = tuple[bytes, bytes, bytes]  # method, target, body


def read_strictly(data: bytes) -> list[Request]:
    """The requests in ``data`` up to the first that is broken or incomplete."""
    found: list[Request] = []
    at = 0
    while True:
        blanks = BLANKS.match(data, at)
        assert blanks is not None
        match = HEAD.match(data, blanks.end())
        if match is None:
            return found
        at = match.end()
        lines = [line.partition(b":")[::2] for line in match[4].split(b"\r\n") if line]
        named: dict[bytes, list[bytes]] = {}
        for name, value in lines:
            named.setdefault(name.lower(), []).append(value.strip(b" \t"))
        hosts, lengths = named.get(b"host", []), named.get(b"content-length", [])
        codings = [value.lower() for value in named.get(b"transfer-encoding", [])]
        if len(hosts) > 1 or (not hosts and match[3] == b"1") or len(lengths) > 1 or (lengths and codings):
            return found
        if codings and (codings != [b"chunked"] or match[3] == b"0"):
            return found
        body = b""
        if lengths:
            if not re.fullmatch(rb"[0-9]{1,18}", lengths[0]) or len(data) - at < int(lengths[0]):
                return found
            body = data[at : at + int(lengths[0])]
            at += len(body)
        while codings:
            chunk = CHUNK.match(data, at)
            if chunk is None:
                return found
            at = chunk.end()
            size = int(chunk[1], 16)
            if size == 0:
                trailers = TRAILERS.match(data, at)
                if trailers is None:
                    return found
                at = trailers.end()
                break
            body += data[at : at + size]
            at += size + 2
            if data[at - 2 : at] != b"\r\n":
                return found
        found.append((match[1], match[2], body))
        if match[3] == b"0" or b"close" in b",".join(named.get(b"connection", [])).lower():
            return found


@pytest.fixture(autouse=True, scope="module")
def _nothing_left() -> None:
    """What earlier tests left unfinished ends now, not while Hypothesis draws: it may roll dice (request ids)."""
    gc.collect()


WORDS = st.text("abcXYZ019-", min_size=1, max_size=8).map(str.encode)
TARGETS = st.binary(max_size=12).map(lambda raw: b"/" + re.sub(rb"[\x00-\x20\x7f#]", b"%", raw))
VALUES = st.binary(max_size=12).map(lambda raw: re.sub(rb"[\x00-\x08\x0a-\x1f\x7f]", b"?", raw))
BODIES = st.binary(max_size=40) | st.just(b"GET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n")


@st.composite
def requests(draw: Any) -> tuple[bytes, Request, bool]:
    """(the bytes, the request, whether its body is chunked) of one valid request."""
    method = draw(st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE"]))
    target, body = draw(TARGETS), draw(BODIES)
    lines = [b"x-" + name + b":" + value for name, value in draw(st.lists(st.tuples(WORDS, VALUES), max_size=3))]
    lines.insert(draw(st.integers(0, len(lines))), b"hOsT: shop.test")
    if draw(st.booleans()):
        lines += draw(st.sampled_from([(), (b"Connection: upgrade", b"Upgrade: x"), (b"Connection: keep-alive",)]))
    chunked = draw(st.booleans())
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
        cut = draw(st.integers(0, len(body)))
        parts = [part for part in (body[:cut], body[cut:]) if part]
        sent = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    else:
        lines.append(b"Content-Length: %d" % len(body))
        sent = body
    head = b"%b %b HTTP/1.1\r\n%b\r\n\r\n" % (method, target, b"\r\n".join(lines))
    return head + sent, (method, target, body), chunked


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """``data`` in pieces; each place is taken modulo its length."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(ends)]


async def sent(pieces: list[bytes]) -> tuple[list[Request], list[int]]:
    """What reached the shop, and the statuses that came back."""
    shop, noted = Shop(Sanitiser(methods={"GET", "POST", "PUT", "DELETE", "HEAD"})), Noted()
    connection = pipe(shop, noted.guard())
    out = await connection.say(*pieces)
    connection.leave()
    await connection.settle()
    assert not noted.faults
    for head, body in shop.reached:
        assert head.length == len(body) if head.length is not None else head.chunked or not body
    return [(head.method.encode(), head.target, body) for head, body in shop.reached], [
        answer.status for answer in answers(out)
    ]


PLACES = st.lists(st.integers(0, 10_000), max_size=8)


@given(st.lists(requests(), min_size=1, max_size=4), PLACES)
def test_valid_requests_arrive_as_they_were_sent_however_they_are_cut(
    wanted: list[tuple[bytes, Request, bool]], places: list[int]
) -> None:
    async def test() -> None:
        # Behind a chunked body the next request begins in a piece of its own, or the connection ends.
        pieces: list[bytes] = []
        together = b""
        for data, _, chunked in wanted:
            together += data
            if chunked:
                pieces += cut(together, places)
                together = b""
        if together:
            pieces += cut(together, places)
        reached, statuses = await sent(pieces)
        assert reached == [request for _, request, _ in wanted]
        assert statuses == [200] * len(wanted)

    run(test())


DAMAGE = st.lists(
    st.tuples(
        st.integers(0, 10_000),
        st.sampled_from(["replace", "insert", "delete", "double"]),
        st.binary(min_size=1, max_size=2)
        | st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b"\0", b":", b"\r\n\r\n", b"Content-Length: 5\r\n"])
        | st.sampled_from(
            [b"Transfer-Encoding: chunked\r\n", b"Host: evil.test\r\n", b" chunked", b"0", b";", b"\xff"]
        ),
    ),
    min_size=1,
    max_size=4,
)


def damaged(data: bytes, damage: list[tuple[int, str, bytes]]) -> bytes:
    for place, how, what in damage:
        at = place % (len(data) + 1)
        if how == "insert":
            data = data[:at] + what + data[at:]
        elif how == "replace":
            data = data[:at] + what + data[at + len(what) :]
        elif how == "delete":
            data = data[:at] + data[at + len(what) :]
        else:
            data = data[:at] + data[at : at + 20] + data[at:]
    return data


@given(st.lists(requests(), min_size=1, max_size=3), DAMAGE, PLACES)
def test_of_broken_requests_nothing_is_served_that_a_strict_reader_does_not_read(
    wanted: list[tuple[bytes, Request, bool]], damage: list[tuple[int, str, bytes]], places: list[int]
) -> None:
    async def test() -> None:
        data = damaged(b"".join(data for data, _, _ in wanted), damage)
        strictly = [
            request for request in read_strictly(data) if request[0] in (b"GET", b"POST", b"PUT", b"DELETE", b"HEAD")
        ]
        for pieces in ([data], cut(data, places)):
            reached, _ = await sent(pieces)
            assert reached == strictly[: len(reached)]

    run(test())


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_noise_reaches_nobody_and_breaks_nothing(pieces: list[bytes]) -> None:
    async def test() -> None:
        reached, statuses = await sent([piece for piece in pieces if piece])
        assert not reached
        assert all(status >= 400 for status in statuses)

    run(test())
