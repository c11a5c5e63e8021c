"""A listener: an app on bound sockets, guarded, from its start to its drain.

Here: accepting, TLS and PROXY protocol before it, the clock of its guard, a stop that loses no request.  Not here:
where sockets come from (``binding``, ``activation``), the wire itself (``protocol``).  Used by ``run`` and by workers.

A stop: answers say ``Connection: close``; connections that wait for a next request are given some time to bring it,
since a request may be on its way; then nothing new is taken, what is at work is finished, and what is not finished in
time is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Final

import uvicorn
from uvicorn.server import ServerState

from edgeproxy.journal import Journal
from edgeproxy.server.announced import Announcing
from edgeproxy.server.binding import BACKLOG
from edgeproxy.server.guard import TICK, Guard, check_engine
from edgeproxy.server.protocol import GuardProtocol, factory
from edgeproxy.server.tls import Front

__all__ = ["GRACE", "UNSENT", "App", "Listener", "gauges", "ticking"]

GRACE: Final = 0.5  # seconds for a next request that may be on its way
POLL: Final = 0.02  # between two looks at what is still at work during a stop
UNSENT: Final = 128 * 1024
"""Bytes that the system takes from us for a client beyond what is on its way to them.

Left to itself it takes megabytes of answers for each client that reads none of them: memory, and work of ours that
others wait for (HAProxy has the same as ``tune.notsent-lowat.client``).  What is on its way is not counted, so that who
reads fast notices nothing.
"""

_log = logging.getLogger("edgeproxy")

App = Callable[[Any, Any, Any], Any]


@dataclass(slots=True)
class Listener:
    """An app on bound sockets, guarded.

    With ``tls`` each connection begins with a handshake, and where trusted proxies are ``announced``, theirs with
    a header of the PROXY protocol.
    """

    app: App
    guard: Guard
    socks: tuple[socket.socket, ...]
    state: ServerState
    tls: ssl.SSLContext | None = None
    announced: bool = False
    front: Front | None = None
    announcing: Announcing | None = None
    servers: dict[int, asyncio.Server] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        app: App,
        guard: Guard,
        *socks: socket.socket,
        tls: ssl.SSLContext | None = None,
        announced: bool = False,
    ) -> Listener:
        return cls(app, guard, socks, ServerState(), tls, announced)

    async def start(self) -> None:
        """Accept connections from now on."""
        await self.accept(range(len(self.socks)))

    async def accept(self, wanted: Iterable[int]) -> None:
        """Accept on exactly these of the sockets from now on; the others stay as they are, others may have them."""
        connect = self._connect()
        loop = asyncio.get_running_loop()
        wanted = set(wanted)
        for index in wanted - self.servers.keys():
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # connections inherit it
                self.socks[index].setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
            # asyncio closes what it accepts on: a copy, so that the socket can be taken up again
            self.servers[index] = await loop.create_server(connect, sock=self.socks[index].dup(), backlog=BACKLOG)
        for index in self.servers.keys() - wanted:
            self.servers.pop(index).close()

    def _connect(self) -> Callable[[], asyncio.Protocol]:
        config = uvicorn.Config(
            self.app,
            http=GuardProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        config.load()
        check_engine(config.http_protocol_class)
        self.tick(0.0)
        connect: Callable[[], asyncio.Protocol] = factory(config, self.state, {}, self.guard)
        if self.tls is not None:
            self.front = connect = self.front or Front(self.tls, self.guard, connect)
        if self.announced:
            self.announcing = connect = self.announcing or Announcing(self.guard, connect)
        return connect

    def greet_with(self, tls: ssl.SSLContext) -> None:
        """Another certificate, from the next connection on."""
        self.tls = tls
        if self.front is not None:
            self.front.context = tls

    @property
    def open(self) -> int:
        """Connections, those in their handshake too."""
        greeted = self.front.waiting if self.front is not None else 0
        return self.guard.connections + greeted + (len(self.announcing.waiting) if self.announcing is not None else 0)

    def tick(self, now: float) -> None:
        """Move the clock: the Date of answers, the deadlines of connections."""
        self.state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        self.guard.tick(now)
        if self.announcing is not None:
            self.announcing.tick(now)

    def stop_accepting(self) -> None:
        """Take no new connection; those that are open stay."""
        for server in self.servers.values():
            server.close()
        self.servers.clear()
        for sock in self.socks:
            sock.close()

    async def drain(self, *, grace: float, seconds: float, hurry: asyncio.Event) -> None:
        """Finish what is at work, for at most ``seconds`` or until ``hurry`` is set; cut the rest."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.guard.drain()
        await asyncio.sleep(0)  # what waits in the kernel's queue is accepted before the socket closes
        self.stop_accepting()
        while self.open and not hurry.is_set():
            waited = loop.time() - began
            if waited >= seconds:
                break
            if waited >= grace:
                self.guard.close_idle()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(hurry.wait(), POLL)
        if self.open:
            _log.warning("%d connections are cut: the stop waits no longer", self.open)
            self.guard.abort()
            if self.front is not None:
                self.front.abort()
            if self.announcing is not None:
                self.announcing.abort()
        tasks = tuple(self.state.tasks)
        for task in tasks:
            if hurry.is_set() or loop.time() - began >= seconds:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=max(1.0, seconds - (loop.time() - began)))


@contextlib.asynccontextmanager
async def ticking(*listeners: Listener) -> AsyncIterator[None]:
    """The clock of these listeners goes while it is open."""

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK)
            for listener in listeners:
                listener.tick(loop.time())

    clock = asyncio.create_task(tick())
    try:
        yield
    finally:
        clock.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await clock


def gauges(journal: Journal, public: Listener) -> None:
    """What is counted at the moment somebody asks."""
    gauge = journal.counters.gauge
    gauge("edgeproxy_connections", "Open connections of visitors", lambda: {(): public.guard.connections})
    gauge(
        "edgeproxy_requests_at_work",
        "Requests being answered",
        lambda: {(): len(public.state.tasks) + public.guard.passages},
    )
    started = time.time()
    what = "When serving began, seconds since the epoch"
    gauge("edgeproxy_start_seconds", what, lambda: {(): started}, across="min")
