"""Heads that are nearly the usual one: with a fast lane and without, the same answers and the same end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.content_coding import decode
from tests.server.test_fastlane import Front, cookie, head, spoken
from tests.server.wire import Answer, answers

USUAL = head("Accept: text/html", "Accept-Encoding: gzip", "Connection: keep-alive", cookie("loyal"))
BROWSER = head(
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "Accept: text/html,*/*;q=0.8", "Accept-Language: sv",
    "Referer: http://shop.example/c/boots?page=2", "Accept-Encoding: gzip", "Sec-Fetch-Dest: document",
    "Cache-Control: max-age=0", cookie("loyal") + "; _ga=GA1.1.7; _ga_X=GS2.1.7", "Sec-Fetch-Mode: navigate",
)  # fmt: skip
BYTES = st.sampled_from([b"\r\n", b"\n", b" ", b"\t", b":", b"\0", b"\xe9", b"/", b"?", b"a", b",", b";", b"%", b"1"])
LINES = st.sampled_from(
    [
        b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
        b"Host: evil.example\r\n", b"Host: shop.example\r\n", b"Cookie: edge_visitor=a.b.c\r\n",
        b"Accept-Encoding: br\r\n", b"Range: bytes=0-1\r\n", b"Connection: close\r\n",
        b"Upgrade: websocket\r\n", b"If-None-Match: *\r\n", b" folded\r\n",
    ]
)  # fmt: skip


@st.composite
def nearly(draw: st.DrawFn) -> bytes:
    """A usual head with a few bytes or lines put in, taken out or doubled."""
    raw = draw(st.sampled_from([USUAL, BROWSER]))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(raw)))
        match draw(st.sampled_from(["bytes", "line", "out", "version"])):
            case "bytes":
                raw = raw[:at] + draw(BYTES) + raw[at:]
            case "line":
                place = raw.find(b"\r\n", at) + 2
                raw = raw[:place] + draw(LINES) + raw[place:]
            case "out":
                raw = raw[:at] + raw[at + draw(st.integers(1, 20)) :]
            case "version":
                raw = raw.replace(b"HTTP/1.1", draw(st.sampled_from([b"HTTP/1.0", b"HTTP/2.0", b"http/1.1"])), 1)
    return raw


class Both:
    """One proxy, and one loop for all that is asked of it."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.front = Front()
        for usual in (USUAL, BROWSER):
            runner.run(self.front.warm(*usual.decode("latin-1").split("\r\n")[2:-2]))

    async def said(self, raw: bytes) -> list[tuple[list[Said], str]]:
        for _ in range(2):  # so that nobody is the first
            first = self.front.connect(self.front.plain)
            await spoken(first, raw + USUAL)
            first.leave()
        got = []
        for guard in (self.front.plain, self.front.guard):
            connection = self.front.connect(guard)
            out = await spoken(connection, raw + USUAL)
            got.append(([_said(one) for one in answers(out)], connection.state))
            connection.leave()
        return got


Said = tuple[int, list[tuple[bytes, bytes]], bytes, bool]
_CODED = {b"etag", b"content-encoding", b"content-length", b"server-timing"}  # a better coding may be made any moment


def _said(one: Answer) -> Said:
    lines = [line for line in one.headers if line[0] not in _CODED]
    body = decode(one.headers, one.body, limit=1 << 20)
    return one.status, lines, re.sub(rb"[0-9a-f]{16}", b"~", body), one.complete


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with asyncio.Runner() as runner:
        yield Both(runner)


@given(nearly())
def test_a_head_that_is_nearly_the_usual_one_is_judged_alike(both: Both, raw: bytes) -> None:
    plain, fast = both.runner.run(both.said(raw))
    assert fast == plain
    assert both.front.noted.faults == []
