"""One process that serves the shop's listener and the admin listener in one event loop, until a signal stops it.

Here: putting a listener (``listener``) on each address (``binding``).  Not here: what is served, and the wire itself
(``protocol``).  Called by `demo`; `serve` has a supervisor and workers instead.

A stop, on SIGTERM or SIGINT, is the listeners' drain, of at most ``limits.drain_seconds``; a second signal cuts it
short.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, NamedTuple, TextIO

from edgeproxy import __version__
from edgeproxy.errors import ErrorPages
from edgeproxy.journal import Journal
from edgeproxy.sanitise import Sanitiser
from edgeproxy.server.binding import CannotListen, address_of, bind
from edgeproxy.server.guard import EngineMismatch, Guard, check_engine
from edgeproxy.server.listener import GRACE, App, Listener, gauges, ticking
from edgeproxy.server.process import loop_factory, signals, start_logging, within_files
from edgeproxy.settings import Settings

__all__ = ["Listeners", "open_listeners", "run", "serve"]

_log = logging.getLogger("edgeproxy")

Running = Callable[[], AbstractAsyncContextManager[None]]


class Listeners(NamedTuple):
    """The bound sockets, and the addresses they really have (port 0 has become a port)."""

    public: socket.socket
    admin: socket.socket

    @property
    def urls(self) -> tuple[str, str]:
        """Where they are reached: the shop's listener, the admin listener."""
        return _url(self.public), _url(self.admin)


def open_listeners(settings: Settings, *, reuse_port: bool = False) -> Listeners:
    """Bind both addresses; raises CannotListen, and leaves none bound then."""
    public = bind(settings.listen, "--listen", reuse_port=reuse_port)
    try:
        return Listeners(public, bind(settings.admin, "--admin", reuse_port=False))
    except CannotListen:
        public.close()
        raise


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
    settings = replace(settings, limits=within_files(settings.limits, len(settings.origins)))

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

    def caught() -> None:
        (hurry if stop.is_set() else stop).set()

    with signals({signal.SIGTERM: caught, signal.SIGINT: caught}):
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


def _url(sock: socket.socket) -> str:
    return f"http://{address_of(sock)}"
