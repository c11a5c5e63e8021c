"""A browser without a picture: asks an ASGI application in-process, keeps cookies, follows redirects when told."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
from starlette.applications import Starlette

from edgeproxy.demo.shop import build_shop


class Browser:
    """One visitor of the demo shop."""

    def __init__(self, app: Starlette | None = None) -> None:
        self.app = app or build_shop(secret=b"s" * 32, token=lambda: "0123456789abcdef" * 2)
        self.cookies = httpx.Cookies()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://shop.test", cookies=self.cookies
            ) as client:
                response = await client.request(method, path, **more)
                self.cookies = client.cookies
                return response

        return asyncio.run(once())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self.ask("POST", path, data=fields)

    def token(self, path: str) -> str:
        """The form token of a page."""
        found = re.search(r'name="csrf" value="(\w+)"', self.get(path).text)
        assert found is not None, f"no form token on {path}"
        return found[1]

    def fill_basket(self, product: str = "hede-hiking-boot", colour: str = "rust", count: str = "2") -> str:
        token = self.token(f"/p/{product}")
        answer = self.post("/basket/add", csrf=token, product=product, colour=colour, count=count)
        assert answer.status_code == 303
        return token
