"""Sockets, signals, the clock of the guards, and a stop that loses no request.

Here: one process that serves the shop's listener and the admin listener in one event loop.  Not here: what is served,
and the wire itself (``protocol``).  Called by `serve` and `demo`.

Binding and serving are two steps (``open_listeners``, ``serve``), and a listener does not care where its socket comes
from: several workers can each open one of their own on the same address (``reuse_port``), or be handed one.

A stop, on SIGTERM or SIGINT: answers say ``Connection: close``; connections that wait for a next request are given
``GRACE`` seconds to bring it, since a request may be on its way; then nothing new is taken, what is at work is
finished, and what is not finished after ``limits.drain_seconds`` is cut.  A second signal cuts at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import resource
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Final, NamedTuple, TextIO

import uvicorn
from uvicorn.server import ServerState

from edgeproxy import __version__
from edgeproxy.errors import ErrorPages
from edgeproxy.journal import Journal
from edgeproxy.sanitise import Sanitiser
from edgeproxy.server.announced import Announcing
from edgeproxy.server.guard import TICK, EngineMismatch, Guard, check_engine
from edgeproxy.server.protocol import GuardProtocol, factory
from edgeproxy.server.tls import Front
from edgeproxy.settings import Settings
from edgeproxy.values import Address

__all__ = ["CannotListen", "Listener", "Listeners", "open_listeners", "run", "serve"]

BACKLOG: Final = 2048
GRACE: Final = 0.5
POLL: Final = 0.02  # between two looks at what is still at work during a stop
FILES: Final = 256  # besides a socket for each connection, on both sides
UNSENT: Final = 128 * 1024
"""Bytes that the system takes from us for a client beyond what is on its way to them.

Left to itself it takes megabytes of answers for each client that reads none of them: memory, and work of ours that
others wait for (HAProxy has the same as ``tune.notsent-lowat.client``).  What is on its way is not counted, so that who
reads fast notices nothing.
"""

_log = logging.getLogger("edgeproxy")

App = Callable[[Any, Any, Any], Any]
Running = Callable[[], AbstractAsyncContextManager[None]]


class CannotListen(Exception):
    """An address cannot be listened on; the message says which, why, and what to do."""


class Listeners(NamedTuple):
    """The bound sockets, and the addresses they really have (port 0 has become a port)."""

    public: socket.socket
    admin: socket.socket

    @property
    def urls(self) -> tuple[str, str]:
        """Where they are reached: the shop's listener, the admin listener."""
        return _url(self.public), _url(self.admin)


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


def open_listeners(settings: Settings, *, reuse_port: bool = False) -> Listeners:
    """Bind both addresses; raises CannotListen, and leaves none bound then."""
    public = bind(settings.listen, "--listen", reuse_port=reuse_port)
    try:
        return Listeners(public, bind(settings.admin, "--admin", reuse_port=False))
    except CannotListen:
        public.close()
        raise


def bind(address: Address, flag: str, *, reuse_port: bool = False) -> socket.socket:
    """A bound socket, not yet listening; ``flag`` is named in what an operator is told."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as problem:
        raise CannotListen(f"{flag}: {address.host} is no name that resolves ({problem.strerror})") from None
    found.sort(key=lambda each: each[0] != socket.AF_INET)  # "localhost": where most things look first
    family, kind, protocol, _, place = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(place)
        # Listening at once: an address in use is told now, and what connects early waits instead of being refused.
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as problem:
        sock.close()
        raise CannotListen(f"{flag}: {_trouble(address, problem)}") from None
    return sock


def _trouble(address: Address, problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return f"{address} is taken by another program: stop it, or take another port (0 takes any free one)"
    if problem.errno == errno.EACCES:
        return f"{address} is not for everybody: take a port above 1023, or give the program CAP_NET_BIND_SERVICE"
    if problem.errno == errno.EADDRNOTAVAIL:
        return f"{address.host} is no address of this machine: take one of its own, or 0.0.0.0 for all of them"
    return f"{address} cannot be listened on: {problem.strerror}"


def run(
    app: App,
    admin: App,
    settings: Settings,
    running: Running = contextlib.nullcontext,
    *,
    journal: Journal | None = None,
    errors: Callable[[], ErrorPages] = ErrorPages,
    ready: Callable[[str, str], None] | None = None,
    out: TextIO | None = None,
) -> int:
    """Serve until a signal stops it; the exit code: 0 after a stop, 1 when it cannot start, with the reason told.

    ``running`` is open while requests are served (it watches rules, and closes what the app holds); ``ready`` is called
    with the URLs of both listeners once they accept, after the ready lines were written to ``out`` (standard error).
    """
    out = out or sys.stderr
    start_logging(out)
    try:
        check_engine()
        listeners = open_listeners(settings)
    except (CannotListen, EngineMismatch) as problem:
        out.write(f"edgeproxy: {problem}\n")
        return 1
    limits = settings.limits
    raise_file_limit(limits.connections + len(settings.origins) * (limits.origin_connections + limits.upgrades) + FILES)

    def tell(public: str, private: str) -> None:
        out.write(f"edgeproxy {__version__} listens on {public} for {', '.join(settings.origins)}\n")
        out.write(f"admin listener on {private}: the console at /, for machines /healthz /readyz /metrics\n")
        out.flush()
        if ready is not None:
            ready(public, private)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_until_signal(app, admin, settings, listeners, running, journal, errors, tell))
    if journal is not None:
        journal.close()
    return 0


def start_logging(out: TextIO) -> None:
    """What is told of what happens goes to ``out``, unless somebody has arranged it otherwise."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, stream=out, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("uvicorn", "watchfiles", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


async def _until_signal(
    app: App,
    admin: App,
    settings: Settings,
    listeners: Listeners,
    running: Running,
    journal: Journal | None,
    errors: Callable[[], ErrorPages],
    tell: Callable[[str, str], None],
) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()
    with _signals(stop, hurry):
        async with serve(app, admin, settings, listeners, running, journal=journal, errors=errors, hurry=hurry) as urls:
            tell(*urls)
            await stop.wait()
            _log.info("stopping: open requests are finished first")


@contextlib.asynccontextmanager
async def serve(
    app: App,
    admin: App,
    settings: Settings,
    listeners: Listeners,
    running: Running = contextlib.nullcontext,
    *,
    journal: Journal | None = None,
    errors: Callable[[], ErrorPages] = ErrorPages,
    hurry: asyncio.Event | None = None,
) -> AsyncIterator[tuple[str, str]]:
    """Both listeners accept while it is open; its end is the graceful stop.  Gives their URLs."""
    limits = settings.limits
    hooks: dict[str, Any] = {}
    if journal is not None:
        hooks = {"on_refusal": journal.refused, "on_fault": journal.fault, "on_limit": journal.limit_hit}
    public = Listener.of(
        app,
        Guard(
            limits,
            trusts=Sanitiser.of(settings).trusts,
            errors=errors,
            lane=getattr(app, "lane", None),  # an app that is only an app has none
            passing=getattr(app, "passing", None),
            **hooks,
        ),
        listeners.public,
        announced=settings.proxy_protocol == "on",
    )
    private = Listener.of(admin, Guard(limits, **hooks), listeners.admin)
    if journal is not None:
        gauges(journal, public)
    hurry = hurry or asyncio.Event()
    async with running(), ticking(public, private):
        try:
            urls = listeners.urls
            if hasattr(admin, "state"):
                admin.state.public = urls[0]
            await private.start()
            await public.start()
            yield urls
        finally:
            if hasattr(admin, "state"):
                admin.state.draining = True  # /readyz says so while the rest goes on
            await public.drain(grace=GRACE, seconds=limits.drain_seconds, hurry=hurry)
            await private.drain(grace=0, seconds=1.0, hurry=hurry)


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


@contextlib.contextmanager
def _signals(stop: asyncio.Event, hurry: asyncio.Event) -> Iterator[None]:
    """The first SIGTERM or SIGINT sets ``stop``, the next ``hurry``."""
    loop = asyncio.get_running_loop()

    def caught() -> None:
        (hurry if stop.is_set() else stop).set()

    wanted = (signal.SIGTERM, signal.SIGINT)
    for number in wanted:
        loop.add_signal_handler(number, caught)
    try:
        yield
    finally:
        for number in wanted:
            loop.remove_signal_handler(number)


def raise_file_limit(wanted: int) -> None:
    """Let the process hold ``wanted`` open files, as far as the system allows; say so where it does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
            soft = allowed
    if soft != resource.RLIM_INFINITY and soft < wanted:
        _log.warning("only %d files may be open, for up to %d connections: see ulimit -n", soft, wanted - FILES)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is there (it is a dependency on every system that has it)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _url(sock: socket.socket) -> str:
    return f"http://{address_of(sock)}"


def address_of(sock: socket.socket) -> Address:
    """Where a socket is bound."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)
