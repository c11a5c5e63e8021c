"""Small apps to put behind a guarded connection."""

from __future__ import annotations

from typing import Any

from edgeproxy.errors import error_page
from edgeproxy.sanitise import Forwardable, Refusal, Sanitiser


async def body_of(receive: Any) -> bytes:
    """The whole body of a request; raises ConnectionError when the client leaves before its end."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left")
        body += bytes(message["body"])
        if not message["more_body"]:
            return body


async def answer(send: Any, status: int = 200, body: bytes = b"ok", *headers: tuple[bytes, bytes]) -> None:
    lines = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


class Shop:
    """Sanitises like the proxy, answers like a shop, and keeps what reached it."""

    def __init__(self, sanitiser: Sanitiser | None = None) -> None:
        self.sanitiser = sanitiser or Sanitiser()
        self.reached: list[tuple[Forwardable, bytes]] = []
        self.called = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.called += 1
        head = self.sanitiser.scope(scope)
        if isinstance(head, Refusal):
            page = error_page(head.status, request_id=head.request_id)
            await answer(send, page.status, page.body)
            return
        body = await body_of(receive)
        self.reached.append((head, body))
        await answer(send, 200, b"%b %b %d" % (head.method.encode(), head.target, len(body)))

    @property
    def targets(self) -> list[bytes]:
        return [head.target for head, _ in self.reached]


def written(head: Forwardable) -> list[str]:
    """A request as it goes to the shop, a line each; the request id is masked."""
    lines = [f"{head.method} {head.target.decode('latin-1')}"]
    for name, value in head.headers:
        text = "*" if name == b"x-request-id" and value.decode() == head.request_id else value.decode("latin-1")
        lines.append(f"{name.decode()}: {text}")
    if head.chunked:
        lines.append("(chunked)")
    return lines
