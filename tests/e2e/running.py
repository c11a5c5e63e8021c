"""Programs that tests start: known to be ready by what they print, stopped cleanly, their output in every failure.

Here: child processes (``Running``), ``edgeproxy serve`` as one of them (``serving``), single commands (``edgeproxy``)
and free ports.  Not here: fixtures (``tests/conftest.py``, ``tests/e2e/conftest.py``) and what is asserted.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
KEYS = "tests-sign-with-this-older-key,tests-sign-with-this-newer-key"

alive: list[Running] = []
"""Every child that runs now: a failing test shows what each of them has printed since the test began."""


def free_ports(count: int = 1, *, offsets: Sequence[int] = (0,)) -> list[int]:
    """Distinct ports that nobody listens on, for programs that cannot be told "any"; ``port + offset`` is free too."""
    found: list[int] = []
    for _ in range(1000):
        if len(found) == count:
            return found
        with socket.socket() as asked:
            asked.bind(("127.0.0.1", 0))
            port: int = asked.getsockname()[1]
        if port not in found and all(_is_free(port + offset) for offset in offsets):
            found.append(port)
    raise OSError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


class Running:
    """One child process.  Its output (both streams) is read as it comes, so that it never blocks on a full pipe."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        keeps: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.shown = 0  # lines that an earlier test has seen already
        self._lines: list[str] = []
        self._ended = False
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            argv,
            env=None if env is None else dict(env),
            cwd=cwd,
            pass_fds=keeps,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that a stubborn child can be ended with its own children
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()
        alive.append(self)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                with self._news:
                    self._lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def children(self) -> list[int]:
        """The processes that it has started and that are still there: of `serve`, its workers."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii").split()]

    def output(self, since: int = 0) -> str:
        """What it printed, from a line on."""
        with self._news:
            return "\n".join(self._lines[since:])

    def recent(self, at_most: int = 60) -> str:
        """What it printed since ``shown`` was set, the last lines of it when there are many."""
        lines = self.output(self.shown).splitlines()
        left_out = [f"… {len(lines) - at_most} lines before"] if len(lines) > at_most else []
        return "\n".join(left_out + lines[-at_most:])

    @property
    def lines(self) -> int:
        """How many lines it has printed."""
        with self._news:
            return len(self._lines)

    def wait_for(self, pattern: str, *, seconds: float = 30, since: int = 0) -> re.Match[str]:
        """The first line that the pattern is found in; fails with the whole output when none comes or it ends."""
        wanted = re.compile(pattern)
        until = time.monotonic() + seconds
        seen = since
        with self._news:
            while True:
                for line in self._lines[seen:]:
                    if found := wanted.search(line):
                        return found
                seen = len(self._lines)
                left = until - time.monotonic()
                if self._ended or left <= 0:
                    how = "ended" if self._ended else f"said nothing like it for {seconds:g} s"
                    raise AssertionError(f"{self.name} {how}; wanted {pattern!r}, got:\n" + "\n".join(self._lines))
                self._news.wait(left)

    def tell(self, signal_number: signal.Signals) -> None:
        """Send a signal to the process itself (not to its children)."""
        self._process.send_signal(signal_number)

    def stop(self, *, seconds: float = 20) -> int:
        """Ask it to end (SIGTERM) and wait; returns the exit code.  One that does not end is killed, and that fails."""
        if self in alive:
            alive.remove(self)
        if self._process.poll() is None:
            self._process.terminate()
        stubborn = False
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            stubborn = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # what it may have left behind
        code = self._process.wait()
        self._reader.join(10)
        assert not stubborn, f"{self.name} did not end within {seconds:g} s of SIGTERM; it printed:\n{self.output()}"
        return code


def environment(**more: str) -> dict[str, str]:
    """What a child is given: this tree's package, the tests' keys, and nothing that a developer has set by hand."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "EDGEPROXY_KEYS": KEYS,
        **more,
    }


def edgeproxy(*args: str, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "edgeproxy", *args],
        env=environment(),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"edgeproxy {' '.join(args)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


@cache
def visitor_cookie(stage: str, *segments: str) -> str:
    """The bare value of an ``edge_visitor`` cookie, as ``edgeproxy cookie`` prints it."""
    labels = [word for segment in segments for word in ("--segment", segment)]
    return edgeproxy("cookie", "--stage", stage, *labels).stdout.strip()


@dataclass(frozen=True, slots=True)
class Proxy:
    """``edgeproxy serve`` as it runs: where shoppers and where operators reach it."""

    base: str  # http://127.0.0.1:PORT
    admin: str  # the same of the admin listener
    running: Running

    @property
    def netloc(self) -> str:
        return self.base.removeprefix("http://")


@contextmanager
def serving(
    origin: str, rules: Path, *options: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Proxy]:
    """``edgeproxy serve`` on free ports of loopback until the block ends; it must stop cleanly, with no traceback.

    One worker, unless the options say otherwise.
    """
    argv = [sys.executable, "-m", "edgeproxy", "serve", "--origin", origin, "--rules", str(rules)]
    argv += ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "1", *options]
    running = Running("edgeproxy serve", argv, env=environment(**(env or {})), cwd=cwd)
    try:
        shoppers = running.wait_for(r" listens on (https?://127\.0\.0\.1:\d+)")
        operators = running.wait_for(r"admin listener on (http://127\.0\.0\.1:\d+)")
        yield Proxy(shoppers[1], operators[1], running)
    finally:
        code = running.stop()
    printed = running.output()
    assert code in {0, -signal.SIGTERM}, f"edgeproxy serve ended with {code}:\n{printed}"
    assert "Traceback (most recent call last)" not in printed, printed
