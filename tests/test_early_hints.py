"""103 Early Hints of the shop's (RFC 8297): passed on to a proxy in front of us, and to nobody else."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest

from tests.fronts import Reader, Writer, client, proxy, shop

pytestmark = pytest.mark.anyio

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Other: x\r\nlink: </b.js>; rel=preload\r\n\r\n"
TOLD = b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok"
ASK = b"GET /c/hinted HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"
TRUST = (ip_network("127.0.0.0/8"),)


async def told(early: bytes, ask: bytes = ASK, *, trusted: bool = True) -> bytes:
    """Everything that a client gets when the shop begins its answer so; the shop waits till hints were passed on."""
    passed = asyncio.Event()

    async def serve(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(early)
        if TOLD in early or (trusted and early == HINTS and b"HTTP/1.1" in ask):
            await asyncio.wait_for(passed.wait(), 10)
        writer.write(ANSWER)

    async with (
        shop(serve) as port,
        proxy(port, trust=TRUST if trusted else ()) as front,
        client(front.port, ask) as (reader, _),
    ):
        data = b""
        while piece := await reader.read(65536):
            data += piece
            if b" 103 " in data:
                passed.set()
        return data


async def test_links_reach_the_proxy_in_front_before_the_page_is_made() -> None:
    data = await told(HINTS)
    assert data.startswith(TOLD + b"HTTP/1.1 200 OK\r\n")
    assert data.count(b"HTTP/1.1 ") == 2


@pytest.mark.parametrize(
    ("early", "ask", "trusted"),
    [
        (HINTS, ASK, False),  # a browser: on HTTP/1.1 it could take the 103 for the answer
        (HINTS, ASK.replace(b"HTTP/1.1", b"HTTP/1.0"), True),
        (b"HTTP/1.1 103 Early Hints\r\nX-Other: x\r\n\r\n", ASK, True),
        (b"HTTP/1.1 103 Early Hints\r\nLink: " + b"a" * 9000 + b"\r\n\r\n", ASK, True),
        (b"HTTP/1.1 102 Processing\r\nLink: </a.css>\r\n\r\n", ASK, True),
    ],
)
async def test_and_nothing_else_does(early: bytes, ask: bytes, trusted: bool) -> None:
    data = await told(early, ask, trusted=trusted)
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b" 103 " not in data
