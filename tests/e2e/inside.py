"""The proxy in this process, on a real socket, by a clock that a test moves.

For what takes a visitor months: the program has no way to be told another time, so the test wires it itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from edgeproxy.app import Parts, build_app
from edgeproxy.core.signing import Keys
from edgeproxy.origin import ShopTransport
from edgeproxy.server.run import open_listeners, serve
from edgeproxy.settings import Settings
from edgeproxy.values import Address
from tests.e2e.running import KEYS

__all__ = ["Clock", "Telling", "serving_inside"]


@dataclass
class Clock:
    """Seconds since the epoch, as the proxy believes."""

    now: float

    def __call__(self) -> float:
        return self.now


@dataclass
class Telling(httpx.AsyncBaseTransport):
    """The shop with the few lines that a developer of it adds: ``Edge-Event`` on some of its answers."""

    inner: ShopTransport
    events: Mapping[bytes, str]  # target → event, with its page
    told: list[str] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self.inner.handle_async_request(request)
        event = self.events.get(request.extensions["target"])
        if event is not None and response.status_code == 200:
            self.told.append(event)
            response.headers = httpx.Headers([*response.headers.raw, (b"Edge-Event", event.encode())])
        return response

    async def aclose(self) -> None:
        await self.inner.aclose()


@contextlib.contextmanager
def serving_inside(
    shop: str, rules: Path, clock: Clock, events: Mapping[bytes, str], *, listen: Address, hosts: Sequence[str] = ()
) -> Iterator[tuple[Parts, Telling]]:
    """Serve on ``listen`` in a thread with a loop of its own until the block ends."""
    given: dict[str, Any] = {"listen": listen, "admin": Address("127.0.0.1", 0), "hosts": tuple(hosts)}
    settings = Settings(origin=shop, rules=rules, keys=Keys.parse(KEYS), **given)
    started, stop = threading.Event(), asyncio.Event()
    made: list[tuple[Parts, Telling]] = []
    failed: list[BaseException] = []
    loop = asyncio.new_event_loop()

    async def run() -> None:
        shop_told = Telling(ShopTransport(shop), events)
        parts = build_app(settings, transport=shop_told, clock=clock, log_to=io.StringIO())
        made.append((parts, shop_told))
        listeners = open_listeners(settings)
        async with serve(parts.proxy, parts.admin, settings, listeners, parts.running, journal=parts.journal):
            started.set()
            await stop.wait()

    def live() -> None:
        try:
            loop.run_until_complete(run())
        except BaseException as problem:
            failed.append(problem)
            raise
        finally:
            started.set()
            loop.close()

    thread = threading.Thread(target=live, name="the proxy inside", daemon=True)
    thread.start()
    started.wait(30)
    if failed:
        raise failed[0]
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        assert not failed, failed
