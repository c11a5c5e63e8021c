"""What a process that serves arranges for itself: its log, its open files, its loop, its signals.

Here: these four.  Not here: what is served.  Called by ``run``, the supervisor and its workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, TextIO

from edgeproxy.settings import Limits

__all__ = ["FILES", "loop_factory", "raise_file_limit", "signals", "start_logging", "within_files"]

FILES: Final = 256  # besides a socket for each connection, on both sides

_log = logging.getLogger("edgeproxy")


def start_logging(out: TextIO) -> None:
    """What is told of what happens goes to ``out``, unless somebody has arranged it otherwise."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, stream=out, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("uvicorn", "watchfiles", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


@contextlib.contextmanager
def signals(handlers: Mapping[signal.Signals, Callable[[], object]]) -> Iterator[None]:
    """Each of these is answered so while it is open, by the running loop."""
    loop = asyncio.get_running_loop()
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)


def within_files(limits: Limits, addresses: int) -> Limits:
    """The limits, with as many connections of visitors as there are files for, beside those to the shop's addresses.

    Who is one too many is told to come back.  Without this, connections would be taken until no file is left for the
    one to the shop, and everybody would hear that the shop is down.  Half of what there is is the shop's at most: a
    visitor's connection wants one of them at a time.
    """
    shop = addresses * (limits.origin_connections + limits.upgrades)
    wanted = limits.connections + shop + FILES
    files = raise_file_limit(wanted)
    if files >= wanted:
        return limits
    room = files - min(FILES, files // 4)
    connections = max(1, min(limits.connections, max(room // 2, room - shop)))
    told = "only %d files may be open: %d connections at once are taken, not %d (raise ulimit -n or LimitNOFILE to %d)"
    _log.warning(told, files, connections, limits.connections, wanted)
    return replace(limits, connections=connections)


def raise_file_limit(wanted: int) -> int:
    """Let the process hold ``wanted`` open files, as far as the system allows; how many it may, at most ``wanted``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
            soft = allowed
    return wanted if soft == resource.RLIM_INFINITY else min(soft, wanted)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is there (it is a dependency on every system that has it)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
