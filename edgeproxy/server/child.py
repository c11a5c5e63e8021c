"""A worker as the supervisor sees it: a process, a conversation with it, its last numbers.

Here: starting one and talking to it.  Not here: how many there are and when (``supervisor``), its inside (``worker``).

A worker is a program of its own, not a fork: it shares nothing that a supervisor of days has gathered, it runs the
code that is on disk now (so that an upgrade needs a rolling restart and no more), and the supervisor need not hold
what only workers use.  What it inherits are listening sockets and one end of a socket pair; over that come the
settings.  Keys stand neither on its command line nor in its environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import edgeproxy
from edgeproxy.server import control
from edgeproxy.server.control import Channel, Gone, Message

__all__ = ["ALLOCATOR", "CannotStart", "Child", "Spawn"]

Reply = TypeVar("Reply")
_CODE: Final = Path(edgeproxy.__file__).resolve().parents[1]
# A page's tree is some megabytes that come and go with each request.  As glibc is set, it gives them back to the system
# every time and takes them anew, page fault by page fault, which costs as much as the parser.  Other C libraries and
# allocators read none of this (mallopt(3)).  It is the greatest threshold that glibc takes: with 8 MB, the tables of
# pages above 1 MB were mapped and faulted in each time (2 MB: 35 ms instead of 22): time was not linear in the page.
ALLOCATOR: Final = {"MALLOC_MMAP_THRESHOLD_": f"{32 * 1024 * 1024}", "MALLOC_TRIM_THRESHOLD_": f"{64 * 1024 * 1024}"}
_OURS: Final = ("EDGEPROXY_", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "NOTIFY_SOCKET", "WATCHDOG_")


class CannotStart(Exception):
    """A worker did not come to serve; the message says why."""


class Child:
    """One worker's process."""

    def __init__(self, slot: int, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self.slot = slot
        self.born = time.monotonic()
        self.numbers: dict[str, Any] = {}  # as it said last
        self.past: dict[str, Any] = {}  # what it remembered last
        self.leaving = False  # it is meant to end
        self.asked = False  # for its numbers, and has not said yet
        self._process = process
        self._channel = channel

    @classmethod
    async def spawn(
        cls, slot: int, socks: Sequence[socket.socket], told: Callable[[Child, Message], Awaitable[None]]
    ) -> Child:
        """Start the process; ``told`` is called with what it says by itself: Leaving, Changed.  Raises OSError."""
        ours, theirs = socket.socketpair()
        child: Child | None = None

        async def answer(message: Message) -> Message:
            if not isinstance(message, control.Leaving | control.Changed) or child is None:
                raise ValueError(f"{type(message).__name__} is nothing that a worker asks")
            await told(child, message)
            return control.Done()

        files = [sock.fileno() for sock in socks]
        try:
            process = await asyncio.create_subprocess_exec(
                *_command(theirs.fileno(), files),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *files),
                env=_environment(os.environ),
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        child = cls(slot, process, await Channel.over(ours, answer))
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, message: Message, reply: type[Reply], *, seconds: float | None = None) -> Reply:
        """As ``Channel.ask``."""
        return await self._channel.ask(message, reply, seconds=seconds)

    async def report(self, seconds: float) -> None:
        """Refresh ``numbers``; raises as ``ask`` does."""
        self.numbers = (await self.ask(control.Report(), control.Numbers, seconds=seconds)).counters

    async def look(self, seconds: float) -> None:
        """Refresh ``past``; raises as ``ask`` does."""
        self.past = (await self.ask(control.Look(), control.Seen, seconds=seconds)).past

    async def drain(self) -> None:
        """Let it finish what it has begun, and end; returns when it has ended, however."""
        self.leaving = True
        with contextlib.suppress(Gone, control.Unable, TimeoutError):
            await self.look(2.0)  # what it does while it drains is not remembered: that is little
        with contextlib.suppress(Gone, control.Unable):
            self.numbers = (await self.ask(control.Drain(), control.Numbers)).counters
        await self._channel.close()
        await self.ended()

    async def hurry(self) -> None:
        """Its drain waits no longer."""
        with contextlib.suppress(Gone, control.Unable, TimeoutError):
            await self.ask(control.Hurry(), control.Done, seconds=5)

    async def ended(self) -> int:
        """Wait for the process to end; its exit code, or minus the signal that ended it."""
        code = await self._process.wait()
        await self._channel.close()
        return code

    async def kill(self) -> None:
        """End it now."""
        self.leaving = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self.ended()

    def resident_bytes(self) -> float | None:
        """Its memory, where the system tells."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1]
        except (OSError, IndexError):
            return None
        return float(pages) * os.sysconf("SC_PAGE_SIZE")


Spawn = Callable[[int, Sequence[socket.socket], Callable[[Child, Message], Awaitable[None]]], Awaitable[Child]]


def _command(control_fd: int, files: Sequence[int]) -> list[str]:
    # -P: the folder that we stand in is no place to import from, unless we were found there ourselves
    safe = [] if Path.cwd() == _CODE else ["-P"]
    listen = ",".join(map(str, files))
    return [
        sys.executable,
        *safe,
        "-m",
        "edgeproxy.server.worker",
        "--control",
        str(control_fd),
        "--listen",
        listen,
    ]


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Whatever we were started with, the allocator's settings too where somebody made them, less what is ours."""
    return ALLOCATOR | {name: value for name, value in environ.items() if not name.startswith(_OURS)}
