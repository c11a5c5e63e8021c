"""One worker: a process that serves visitors, and does what the supervisor asks.

Here: the process's life, and what each message does to it.  Not here: when it is asked (``supervisor``), the listener
itself (``run``), what is served (``app``).  Started as ``python -m edgeproxy.server.worker --control FD --listen
FD,…``; everything else, keys among it, comes over the control socket.

It ends when it is told to (``Drain``), and when the supervisor is gone: then it drains too, since nobody could reload
its rules any more.  SIGTERM makes it ask for a successor first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final, TextIO, cast

from edgeproxy.app import Parts, build_app
from edgeproxy.console.bookview import view
from edgeproxy.core.model import Problem, RuleBook, Severity
from edgeproxy.core.paths import compile_paths
from edgeproxy.core.rulefile import Parsed
from edgeproxy.errors import ErrorPages
from edgeproxy.rulebook import Contents, judge
from edgeproxy.sanitise import Sanitiser
from edgeproxy.server import control, handover
from edgeproxy.server.control import Channel, Message
from edgeproxy.server.guard import Guard
from edgeproxy.server.listener import GRACE, Listener, gauges, ticking
from edgeproxy.server.process import loop_factory, start_logging, within_files
from edgeproxy.server.spreading import SECONDS, Spreading, address
from edgeproxy.server.tls import context_of
from edgeproxy.settings import Settings

__all__ = ["HandedBooks", "Worker", "main"]

_log = logging.getLogger("edgeproxy")

PIPE: Final = getattr(select, "PIPE_BUF", 512)
"""What is written to a pipe at once is not torn apart by other writers (POSIX, write)."""


class HandedBooks:
    """The live rule book of a worker: what the supervisor handed it, judged here."""

    def __init__(self) -> None:
        self.book: RuleBook | None = None
        self.problems: tuple[Problem, ...] = ()
        self._offered: Parsed | None = None

    async def offer(self, contents: Contents) -> control.Judged:
        """Judge without making it live; in a thread, because a big folder takes longer than a visitor should wait."""
        parsed = self._offered = await asyncio.to_thread(judge, contents)
        book = parsed.book
        return control.Judged(
            version="" if book is None else book.version,
            experiences=0 if book is None else len(book.experiences),
            mistakes=sum(each.severity is Severity.MISTAKE for each in parsed.problems),
            problems=[str(each) for each in parsed.problems],
            language="en" if book is None else book.shop.language,
        )

    def settle(self, *, take: bool) -> None:
        """Make the rules offered last live, or only remember what is wrong with them."""
        parsed, self._offered = self._offered, None
        if parsed is not None:
            self.problems = parsed.problems
            if take:
                self.book = parsed.book

    async def survey(self, at: float) -> dict[str, Any]:
        """What the live book comes to; in a thread, for the same reason."""
        return {} if self.book is None else await asyncio.to_thread(view, self.book, at)


class Worker:
    """What a worker does when it is asked; ``answer`` is the other end of the supervisor's questions."""

    def __init__(
        self,
        socks: Sequence[socket.socket],
        *,
        build: Callable[..., Parts] = build_app,
        started: Callable[[], object] = lambda: None,
    ) -> None:
        """``started`` is called once everything is there that serving takes."""
        self._socks = tuple(socks)
        self._build = build
        self._started = started
        self._books = HandedBooks()
        self._stack = contextlib.AsyncExitStack()
        self._hurry = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None
        self._parts: Parts | None = None
        self._listener: Listener | None = None
        self._drain_seconds = 0.0
        self.ended = asyncio.Event()
        self.spreading = Spreading()

    async def answer(self, message: Message) -> Message:
        """Do what is asked."""
        match message:
            case control.Start():
                return await self._start(message)
            case control.Accept(slots):
                await self._listening.accept(slots)
            case control.Offer(rules):
                return await self._books.offer(handover.rules_in(rules))
            case control.Settle(take):
                self._settle(take=take)
            case control.NewKeys(keys):
                self._served.proxy.use_keys(handover.keys_in(keys))
            case control.NewCertificate(pem):
                self._listening.greet_with(context_of(pem))
            case control.Purge(paths, tags):
                cache = self._served.cache
                return control.Purged(cache.purge(compile_paths(paths) if paths else None, tags) if cache else 0)
            case control.Changed(places):
                if self._served.cache is not None:
                    self._served.cache.heard([address(place) for place in places])
            case control.Report():
                return control.Numbers(self._served.journal.counters.export())
            case control.Look():
                self._served.journal.settle()
                return control.Seen(self._served.journal.history.export())
            case control.Survey(at):
                return control.Surveyed(await self._books.survey(at))
            case control.Show(asked):
                looking = self._served.looking
                return control.Shown(await looking.ask(asked) if looking else {"trouble": "nothing is served here"})
            case control.Drain():
                await self.drain()
                return control.Numbers(self._served.journal.counters.export())
            case control.Hurry():
                self._hurry.set()
            case _:
                raise ValueError(f"{type(message).__name__} is nothing to ask a worker")
        return control.Done()

    @property
    def _served(self) -> Parts:
        if self._parts is None:
            raise ValueError("not started yet")
        return self._parts

    @property
    def _listening(self) -> Listener:
        if self._listener is None or self._draining is not None:
            raise ValueError("not started yet, or at its end")
        return self._listener

    async def _start(self, start: control.Start) -> Message:
        if start.protocol != control.PROTOCOL:
            raise ValueError(
                f"the supervisor speaks protocol {start.protocol}, this code {control.PROTOCOL}: restart it whole"
            )
        settings = handover.settings_in(start.settings)
        limits = within_files(settings.limits, len(settings.origins))
        settings = replace(settings, limits=limits)
        judged = await self._books.offer(handover.rules_in(start.rules))
        self._books.settle(take=bool(judged.version))
        stream = cast(TextIO, LineStream(sys.stdout.fileno()))
        parts = self._parts = self._build(settings, books=self._books, log_to=stream, spread=self.spreading)
        self._listener = self._listen(parts, settings, start.pem)
        self._drain_seconds = limits.drain_seconds
        await self._stack.enter_async_context(parts.running())
        await self._stack.enter_async_context(ticking(self._listener))
        self._started()
        return judged

    def _listen(self, parts: Parts, settings: Settings, pem: str) -> Listener:
        books, journal = self._books, parts.journal

        guard = Guard(
            settings.limits,
            trusts=Sanitiser.of(settings).trusts,
            errors=lambda: ErrorPages.of(books.book),
            on_refusal=journal.refused,
            on_fault=journal.fault,
            on_limit=journal.limit_hit,
            lane=parts.proxy.lane,
            passing=parts.proxy.passing,
        )
        listener = Listener.of(
            parts.proxy,
            guard,
            *self._socks,
            tls=context_of(pem) if pem else None,
            announced=settings.proxy_protocol == "on",
        )
        gauges(journal, listener)
        return listener

    def _settle(self, *, take: bool) -> None:
        self._books.settle(take=take)
        self._served.journal.rules(self._books.book, ok=take)

    async def drain(self) -> None:
        """Finish what is at work, close everything; who comes second waits for the first."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        await asyncio.shield(self._draining)

    async def _drain(self) -> None:
        try:
            if self._listener is not None:
                await self._listener.drain(grace=GRACE, seconds=self._drain_seconds, hurry=self._hurry)
            await self._stack.aclose()
            if self._parts is not None:
                self._parts.journal.close()
        finally:
            self.ended.set()


def _give_back() -> None:
    """What starting took is given back to the system once: the allocator keeps it (``child`` says why it may)."""
    gc.collect()
    gc.freeze()  # what is there now stays: later collections need not look at it
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


class LineStream:
    """Standard output that several workers share: whole lines, never torn by another's."""

    def __init__(self, file: int) -> None:
        self._file = file

    def write(self, text: str) -> int:
        waiting = b""
        for line in text.encode("utf-8", "backslashreplace").splitlines(keepends=True):
            if waiting and len(waiting) + len(line) > PIPE:
                self._out(waiting)
                waiting = b""
            waiting += line
        self._out(waiting)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def _out(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._file, data) :]


async def _live(control_fd: int, socks: Sequence[socket.socket]) -> None:
    worker = Worker(socks, started=_give_back)
    channel = await Channel.over(socket.socket(fileno=control_fd), worker.answer)
    worker.spreading.tell = lambda changed: channel.ask(changed, control.Done, seconds=SECONDS)
    asking: set[asyncio.Task[Any]] = set()

    def leave() -> None:
        asking.add(asyncio.create_task(_quietly(channel.ask(control.Leaving(), control.Done))))

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leave)
    waits = [asyncio.create_task(event.wait()) for event in (channel.ended, worker.ended)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if channel.ended.is_set():
        _log.warning("the supervisor is gone: this worker ends what it has begun")
        await worker.drain()
    else:  # the last answer is on its way: the supervisor hangs up when it has it
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(channel.ended.wait(), 5)
    for task in (*waits, *asking):
        task.cancel()
    await channel.close()


async def _quietly(asked: Coroutine[Any, Any, object]) -> None:
    with contextlib.suppress(ConnectionError, control.Unable):
        await asked


def main(argv: Sequence[str] | None = None) -> int:
    """The process."""
    parser = argparse.ArgumentParser(description="One worker of edgeproxy; started by `edgeproxy serve` alone.")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--listen", type=lambda text: [int(each) for each in text.split(",")], required=True)
    said = parser.parse_args(argv)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):  # they are for the supervisor, and reach the group
        signal.signal(number, signal.SIG_IGN)
    start_logging(sys.stderr)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_live(said.control, [socket.socket(fileno=each) for each in said.listen]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
