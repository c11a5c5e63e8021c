"""A stand-in shop: a few answers on a free port of loopback, each a function of the request, and what was asked.

For what the real shop does not do: big files, odd charsets, event streams, going away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Asked"], None]


@dataclass
class Asked:
    """One request, and the wire to answer it on."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    _handler: BaseHTTPRequestHandler = field(repr=False)

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def read(self, count: int) -> bytes:
        """So many bytes of the request's body."""
        return self._handler.rfile.read(count)

    def begin(self, status: int, *headers: tuple[str, str]) -> None:
        """Send the head; what follows is up to the answer."""
        self._handler.send_response_only(status)
        for name, value in headers:
            self._handler.send_header(name, value)
        self._handler.end_headers()

    def send(self, data: bytes) -> None:
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(data), data))


def page(body: bytes, content_type: str = "text/html; charset=utf-8", *headers: tuple[str, str]) -> Answer:
    """A whole document with its length."""

    def answer(asked: Asked) -> None:
        asked.begin(200, ("Content-Type", content_type), ("Content-Length", str(len(body))), *headers)
        if asked.method != "HEAD":
            asked.send(body)

    return answer


@dataclass
class StandIn:
    """Where it listens, and every request that it was asked."""

    base: str
    asked: list[Asked]


@contextmanager
def standing_in(answers: Mapping[str, Answer], *, port: int = 0) -> Iterator[StandIn]:
    """Answer by path (without query); anything else is a 404."""
    seen: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def any_method(self) -> None:
            asked = Asked(self.command, self.path, list(self.headers.items()), self)
            seen.append(asked)
            answer = answers.get(self.path.partition("?")[0])
            if answer is None:
                asked.begin(404, ("Content-Type", "text/plain"), ("Content-Length", "7"))
                asked.send(b"nowhere")
            else:
                answer(asked)

        def log_message(self, *message: object) -> None:
            pass  # a visitor that leaves is no news

    for method in ("GET", "HEAD", "POST", "PUT"):
        setattr(Handler, f"do_{method}", Handler.any_method)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # the visitor left

    with Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="stand-in shop", daemon=True)
        thread.start()
        try:
            yield StandIn(f"http://127.0.0.1:{server.server_address[1]}", seen)
        finally:
            server.shutdown()
            thread.join(10)
