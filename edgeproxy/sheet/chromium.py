"""One headless Chromium and a conversation with it: the DevTools protocol over a pair of pipes.

Here: finding it, starting and ending it, commands and events.  Not here: what is photographed (``pictures``).  Pipes
and not a port: nobody else on the machine can speak to the browser, and no WebSocket is needed.

Messages are JSON, each ended by a NUL byte (``--remote-debugging-pipe``: the browser reads descriptor 3, writes 4).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["Chromium", "ChromiumError", "find_chromium"]

NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
SECONDS: Final = 20.0  # for one command
ENDING: Final = 5.0
LARGEST: Final = 64 << 20  # bytes of a message: a screenshot in base64

FLAGS: Final = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--hide-scrollbars",
    "--mute-audio",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers give little of it
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--blink-settings=lazyLoadEnabled=false",  # what is below the window is photographed too
)

Event = Callable[[str, str, Mapping[str, Any]], None]
"""Hears of events: the session's id, the method, the parameters."""


class ChromiumError(Exception):
    """The browser could not be started, said no, or said nothing; the sentence says which."""


def find_chromium(environ: Mapping[str, str]) -> str | None:
    """The program: what CHROMIUM names, else what stands in PATH under one of its names; None where there is none."""
    named = environ.get("CHROMIUM")
    if named:
        return shutil.which(named)
    return next((found for name in NAMES if (found := shutil.which(name, path=environ.get("PATH")))), None)


class Chromium:
    """A running browser; made by ``running``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.WriteTransport, log: Path) -> None:
        self._log = log  # what it writes to standard error
        self._reader = reader
        self._writer = writer
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self.on_event: Event = lambda session, method, params: None
        self._reading = asyncio.create_task(self._read())

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, program: str) -> AsyncIterator[Chromium]:
        """The browser while it is open, with a profile of its own that goes with it; raises ChromiumError."""
        with tempfile.TemporaryDirectory(prefix="edgeproxy-chromium-", ignore_cleanup_errors=True) as profile:
            log = Path(profile) / "edgeproxy-stderr"
            theirs_in, ours_out = os.pipe()
            ours_in, theirs_out = os.pipe()
            try:
                pid = _spawn(program, profile, log, theirs_in, theirs_out)
            except OSError as error:
                os.close(ours_out)
                os.close(ours_in)
                raise ChromiumError(f"{program} cannot be started: {error.strerror or error}") from None
            finally:
                os.close(theirs_in)
                os.close(theirs_out)
            loop = asyncio.get_running_loop()
            reader = asyncio.StreamReader(limit=LARGEST)
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours_in, "rb", 0))
            writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(ours_out, "wb", 0))
            browser = cls(reader, writer, log)
            try:
                yield browser
            finally:
                browser._reading.cancel()
                writer.close()
                await _end(pid)

    async def ask(
        self, method: str, params: Mapping[str, Any] | None = None, session: str = "", *, seconds: float = SECONDS
    ) -> Mapping[str, Any]:
        """One command and its result; raises ChromiumError."""
        if self._reading.done():
            raise self._ended()
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": dict(params or {})}
        if session:
            message["sessionId"] = session
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(json.dumps(message).encode() + b"\0")
            async with asyncio.timeout(seconds):
                result: Mapping[str, Any] = await waiting
                return result
        except TimeoutError:
            raise ChromiumError(f"{method}: the browser said nothing for {seconds:g} s") from None
        finally:
            self._waiting.pop(number, None)

    def _ended(self) -> ChromiumError:
        """With its last words, which often say why (no sandbox to be had, a library that is missing)."""
        try:
            lines = [line.strip() for line in self._log.read_text("utf-8", "replace").splitlines() if line.strip()]
        except OSError:
            lines = []
        return ChromiumError("the browser has ended" + (f": {lines[-1][-300:]}" if lines else ""))

    async def _read(self) -> None:
        try:
            while True:
                message = json.loads((await self._reader.readuntil(b"\0"))[:-1])
                waiting = self._waiting.get(message.get("id", 0))
                if waiting is None:
                    if "method" in message:
                        self.on_event(message.get("sessionId", ""), message["method"], message.get("params", {}))
                elif not waiting.done():
                    if "error" in message:
                        waiting.set_exception(
                            ChromiumError(str(message["error"].get("message", "the browser says no")))
                        )
                    else:
                        waiting.set_result(message.get("result", {}))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
            pass
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(self._ended())


def _spawn(program: str, profile: str, log: Path, reads: int, writes: int) -> int:
    """Start it in a process group of its own; its descriptors 3 and 4 are the pipes' ends, 2 is the log."""
    high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in (reads, writes)]  # out of the way of 3 and 4
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    flags = [*FLAGS, f"--user-data-dir={profile}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    actions = [(os.POSIX_SPAWN_DUP2, each, place) for each, place in ((nothing, 0), (nothing, 1), (said, 2))]
    actions += [(os.POSIX_SPAWN_DUP2, each, place) for each, place in zip(high, (3, 4), strict=True)]
    try:
        return os.posix_spawn(program, [program, *flags, "about:blank"], os.environ, file_actions=actions, setpgroup=0)
    finally:
        for each in (*high, nothing, said):
            os.close(each)


async def _end(pid: int) -> None:
    """The whole group ends: asked first, made to after ``ENDING`` seconds."""
    waiting = asyncio.create_task(asyncio.to_thread(os.waitpid, pid, 0))
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
        with contextlib.suppress(TimeoutError, ChildProcessError):
            await asyncio.wait_for(asyncio.shield(waiting), ENDING)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what it may have left behind
