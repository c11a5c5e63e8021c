"""A shop that costs nothing: pages made once, answered from memory.  A process of its own, so that it is not measured.

``python -m tests.benchmarks.shop`` prints its port and serves until its standard input ends.

    /file/N             N KB that nobody edits
    /shared/N           a page of N KB that everybody may keep
    /again/N            the same page for everybody, which nobody may keep
    /new/N              a page that nobody may keep, with another token in it each time
    /fresh/N            a page that nobody may keep, and that is like no other one
    /drip/N             the same in ten pieces over 450 ms
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from functools import cache

from tests.benchmarks import pages

PIECES = 10
GAP = 0.05  # seconds
_TOKEN = b"0" * 32
_KEPT = b'Cache-Control: public, max-age=300\r\nETag: "1"\r\n'
_OWN = b'Cache-Control: private, no-store\r\nETag: "1"\r\n'


@cache
def _page(size: int) -> tuple[bytes, bytes]:
    before, _, after = pages.page(size * pages.KB).partition(_TOKEN)
    return before, after


@cache
def _file(size: int) -> bytes:
    return secrets.token_bytes(size * pages.KB)


def _answer(path: str) -> bytes:
    _, kind, size, *_ = path.partition("?")[0].split("/")
    if kind == "file":
        body, head = _file(int(size)), b"Content-Type: application/octet-stream\r\nCache-Control: no-store\r\n"
    else:
        before, after = _page(int(size))
        token = secrets.token_hex(16).encode() if kind == "new" else _TOKEN
        body = before + token + after
        if kind == "fresh":
            body = body.replace(b"<p>The end", b"<p>The end %b of it" % secrets.token_hex(4).encode(), 1)
        if kind == "shared":  # what has a token in it is nobody else's
            body = body.replace(b"name=csrf", b"name=kind", 1)
        head = b"Content-Type: text/html; charset=utf-8\r\n" + (_KEPT if kind == "shared" else _OWN)
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.head = b""

    def data_received(self, data: bytes) -> None:
        self.head += data
        while (end := self.head.find(b"\r\n\r\n")) >= 0:
            path = self.head.split(b" ", 2)[1].decode("latin-1")
            self.head = self.head[end + 4 :]
            if path.startswith("/drip/"):
                self.task = asyncio.ensure_future(self._drip(_answer(path)))
            else:
                self.transport.write(_answer(path))

    async def _drip(self, answer: bytes) -> None:
        step = -(-len(answer) // PIECES)
        for start in range(0, len(answer), step):
            if start:
                await asyncio.sleep(GAP)
            self.transport.write(answer[start : start + step])


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
