"""`serve` as a process: sockets bound once, a supervisor with its workers, the admin listener, signals.

Here: what happens from the first socket to the last worker's end.  Not here: how workers are kept (``supervisor``), the
verb (``commands.serve``).

    SIGTERM, SIGINT   stop: nothing new, what is open is finished; a second one cuts it short
    SIGHUP            read rules, keys and certificate again
    SIGUSR2           rolling restart: a new worker for each, from the code that is on disk now
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from edgeproxy import __version__
from edgeproxy.console.admin import build_console
from edgeproxy.server.activation import Activated, notify
from edgeproxy.server.binding import CannotListen, address_of, bind
from edgeproxy.server.guard import EngineMismatch, Guard, check_engine
from edgeproxy.server.listener import Listener, ticking
from edgeproxy.server.process import signals, start_logging
from edgeproxy.server.supervisor import CannotStart, Supervisor
from edgeproxy.server.tls import BadPair
from edgeproxy.settings import Settings

__all__ = ["supervise", "usable_cores"]

_log = logging.getLogger("edgeproxy")

QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = QUOTA) -> int:
    """How many this process may keep busy: by its affinity, and by the quota of its container (cgroup v2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        allowed, _, period = quota.read_text("ascii").partition(" ")
        cores = min(cores, -(-int(allowed) // int(period)))
    return max(1, cores)


def supervise(settings: Settings, activated: Activated, environ: Mapping[str, str], out: TextIO) -> int:
    """Serve until a signal stops it; the exit code: 0 after a stop, 1 when it cannot start, with the reason told."""
    start_logging(out)
    slots = settings.workers or usable_cores()
    socks: list[socket.socket] = []
    try:
        check_engine()
        if len(activated.public) > slots:
            raise CannotListen(
                f"systemd has bound {len(activated.public)} sockets for {slots} workers: whoever comes to one of the"
                " others would wait for ever (--workers)"
            )
        socks = list(activated.public) or bind_slots(settings, slots)
        admin = activated.admin or bind(settings.admin, "--admin")
        supervisor = Supervisor(settings, slots, socks)
        with asyncio.Runner() as runner:
            runner.run(_run(supervisor, admin, environ, out))
    except (CannotListen, CannotStart, EngineMismatch, BadPair) as problem:
        out.write(f"edgeproxy: {problem}\n")
        for sock in socks:
            sock.close()
        return 1
    return 0


def bind_slots(settings: Settings, slots: int) -> list[socket.socket]:
    """A socket for each slot on one address; raises CannotListen, and leaves none bound then."""
    first = bind(settings.listen, "--listen")  # alone: another program on this address is told, not shared with
    if slots == 1:
        return [first]
    address = address_of(first)
    first.close()
    socks: list[socket.socket] = []
    try:
        for _ in range(slots):
            socks += [bind(address, "--listen", reuse_port=True)]
    except CannotListen:
        for sock in socks:
            sock.close()
        raise
    return socks


async def _run(supervisor: Supervisor, admin: socket.socket, environ: Mapping[str, str], out: TextIO) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()
    settings = supervisor.settings
    console = build_console(settings, supervisor)
    listener = Listener.of(console, Guard(settings.limits), admin)
    public = address_of(supervisor.bound[0])
    console.state.public = f"{supervisor.scheme}://{public}"
    admin_address = address_of(admin)
    with _signals(supervisor, stop, hurry):
        if not await _started(supervisor, stop):
            return
        async with ticking(listener):
            await listener.start()
            watching = asyncio.create_task(supervisor.watch())
            try:
                out.writelines(f"{problem}\n" for problem in supervisor.news.seen.problems)
                if supervisor.news.live is None:
                    out.write(
                        f"{settings.rules} has mistakes: every page is the shop's own until they are mended"
                        " (edgeproxy check tells them too)\n"
                    )
                shop, workers = ", ".join(settings.origins), supervisor.slots
                out.write(f"edgeproxy {__version__} listens on {supervisor.scheme}://{public} for {shop}\n")
                out.write(
                    f"admin listener on http://{admin_address}: the console at /,"
                    " for machines /healthz /readyz /metrics /reload\n"
                )
                out.write(f"pid {os.getpid()}, {workers} worker{'s' if workers > 1 else ''}\n")
                out.flush()
                notify(environ, "READY=1")
                await stop.wait()
                _log.info("stopping: open requests are finished first")
                notify(environ, "STOPPING=1")
                await supervisor.stop(hurry)
            finally:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
                await listener.drain(grace=0, seconds=1.0, hurry=hurry)


async def _started(supervisor: Supervisor, stop: asyncio.Event) -> bool:
    """Whether all workers serve; False when a stop came first.  Raises CannotStart."""
    starting = asyncio.create_task(supervisor.start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if starting.done():
        await starting
        return True
    supervisor.stopping = True
    with contextlib.suppress(CannotStart):
        await starting
        await supervisor.stop(stop)
    return False


@contextlib.contextmanager
def _signals(supervisor: Supervisor, stop: asyncio.Event, hurry: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    working: set[asyncio.Task[Any]] = set()

    def end() -> None:
        (hurry if stop.is_set() else stop).set()

    def does(work: Callable[[], Coroutine[Any, Any, object]]) -> Callable[[], None]:
        def caught() -> None:
            if stop.is_set() or not supervisor.children:
                return
            task = loop.create_task(work())
            working.add(task)
            task.add_done_callback(working.discard)

        return caught

    wanted: dict[signal.Signals, Callable[[], None]] = {
        signal.SIGTERM: end,
        signal.SIGINT: end,
        signal.SIGHUP: does(supervisor.reload),
        signal.SIGUSR2: does(supervisor.restart),
    }
    with signals(wanted):
        try:
            yield
        finally:
            for task in working:
                task.cancel()
