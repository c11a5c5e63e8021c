"""The proxy asked from inside its own process: the whole path of a request but for the wire.

Here: ``Inside``, an httpx transport before an ASGI application.  Not here: what is asked.  Unlike httpx's own it keeps
the target's bytes as they are, and takes no more of an answer than is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import httpx

__all__ = ["Inside"]

BIGGEST: Final = 8 << 20  # bytes of an answer


class _Enough(Exception):
    """The answer is bigger than anybody wants to see."""


class Inside(httpx.AsyncBaseTransport):
    """Asks ``app`` as if from this machine, with GET alone."""

    def __init__(self, app: Callable[..., Any], *, biggest: int = BIGGEST) -> None:
        self._app = app
        self._biggest = biggest

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path
        path, _, query = target.partition(b"?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": request.url.scheme,
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
            "extensions": {"edgeproxy.target": {"target": target}},
        }
        head: dict[str, Any] = {}
        body = bytearray()
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                await asyncio.Event().wait()  # whoever asks stays until the answer is whole
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if len(body) > self._biggest:
                    raise _Enough

        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("read")):
                await self._app(scope, receive, send)
        except _Enough:
            raise httpx.ReadError(f"more than {self._biggest >> 20} MB, which nobody wants to see") from None
        except TimeoutError:
            raise httpx.ReadTimeout("it took too long") from None
        except Exception as error:  # what the server would answer by closing the connection
            raise httpx.ReadError(f"the answer broke off ({type(error).__name__})") from None
        if not head:
            raise httpx.ReadError("the connection was closed without an answer")
        return httpx.Response(head["status"], headers=head["headers"], content=bytes(body))
