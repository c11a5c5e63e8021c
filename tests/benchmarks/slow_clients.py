"""Slow clients in eight shapes, by hand: how long each is borne, and what a healthy visitor pays for it.

    python -m tests.benchmarks.slow_clients [URL] [--tls URL] [--each 20] [--only SHAPE] [--rounds 1]

Without a URL it starts a shop of its own and `edgeproxy serve` before it, twice: plain, and with TLS on our listener
for the stalled handshake.  Whoever is slow has a process of its own; a visitor who is not asks for the same page at a
fixed rate all the while.  For each shape, on the same server, one after the other:

    quiet · the shape, until the last of its connections is closed · quiet · the control

The control is as many connections that ask for as much and are not slow.  What a shape costs at its beginning is
judged by that: a server does work for whoever asks, and slowness must not be a lever.  Prints the healthy visitor's
p50 and p99 as ratios to the quiet before and after, with the number of samples.  Exit code 1 when something was kept
for over 15 s, or the p99 went over twice the quiet one.  Where other programs want the processor too, a p99 is theirs:
begin the line with ``chrt -r 5`` there (as root), or compare several runs.  ``tests/server/test_slow_clients.py``
holds the limits by a clock that is moved by hand.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import re
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, nan
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any, Final

from tests.benchmarks import paths
from tests.benchmarks.slow_shapes import ORDINARY, PATIENCE, SHAPES, TLS_SHAPE, Target, run

BOUND: Final = 15.0  # seconds that anybody may be kept
MOST: Final = 2.0  # times the quiet p99
RATE: Final = 200.0  # requests a second of the healthy visitor
BEGINNING: Final = 2.0  # seconds in which a shape asks for what it asks
TLS_FILES: Final = Path(__file__).parents[1] / "data" / "tls"


class Healthy:
    """A visitor on one kept connection, whose latencies count from when each request was due."""

    def __init__(self, target: Target, rate: float) -> None:
        self.target, self.gap = target, 1 / rate
        self._question = target.head("GET", target.path)
        self._connection = self._open()

    def _open(self) -> socket.socket:
        connection = socket.create_connection(self.target.place, 10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = self.target.tls()
        return tls.wrap_socket(connection, server_hostname=self.target.host) if tls else connection

    def _ask(self) -> None:
        self._connection.sendall(self._question)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._some()
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
        left = int(length[1]) - len(body) if length else 0
        while left > 0:
            left -= len(self._some())

    def _some(self) -> bytes:
        data = self._connection.recv(1 << 18)
        if not data:
            raise ConnectionError("closed between two requests")
        return data

    def close(self) -> None:
        self._connection.close()

    def asks(self, seconds: float = PATIENCE + 5, *, until: Any = None) -> Latencies:
        """For so long, or until somebody has told that it is over."""
        found = Latencies()
        began = due = time.perf_counter()
        while time.perf_counter() - began < seconds and not (until is not None and until.is_set()):
            try:
                self._ask()
            except ConnectionError:
                self.close()
                self._connection = self._open()
                due = time.perf_counter()
                continue
            now = time.perf_counter()
            found.add(due - began, now - due)
            due += self.gap
            if due > now:
                time.sleep(due - now)
                due = time.perf_counter()  # what the sleep took too long is not the server's
        return found


@dataclass
class Latencies:
    """When each request was due, in seconds from the beginning, and how long its answer took."""

    all: list[tuple[float, float]] = field(default_factory=list)

    def add(self, at: float, took: float) -> None:
        self.all.append((at, took))

    def __add__(self, other: Latencies) -> Latencies:
        return Latencies(self.all + other.all)

    def first(self, seconds: float) -> Latencies:
        return Latencies([each for each in self.all if each[0] < seconds])

    def rank(self, share: float) -> float:
        """A quantile, in ms: the smallest that is not below so many of them (nearest rank)."""
        took = sorted(each for _, each in self.all)
        return took[ceil(share * len(took)) - 1] * 1000 if took else nan

    def told(self) -> str:
        return f"{self.rank(0.5):.2f} / {self.rank(0.99):.2f} ({len(self.all)})"


class Aside:
    """A shape, or the control, in its process: made ready before anything is measured."""

    def __init__(self, context: SpawnContext, name: str, target: Target, each: int, requests: int) -> None:
        self.over = context.Event()
        self._ready, self._go, self._told = context.Event(), context.Event(), context.SimpleQueue()
        self._process = context.Process(
            target=_aside, args=(name, target, each, requests, self._ready, self._go, self._told, self.over)
        )
        self._process.start()
        self._ready.wait()

    def go(self) -> None:
        self._go.set()

    def kept(self) -> float:
        """Seconds that the longest of its connections was kept."""
        longest: float = self._told.get()
        self._process.join()
        return longest


def _aside(name: str, target: Target, each: int, requests: int, ready: Any, go: Any, told: Any, over: Any) -> None:
    run(name, target, each, requests, ready, go, told)
    over.set()


@dataclass
class Row:
    """What one shape came to, over all rounds."""

    kept: float = 0.0
    quiet: Latencies = field(default_factory=Latencies)
    during: Latencies = field(default_factory=Latencies)
    control: Latencies = field(default_factory=Latencies)

    def ratio(self, share: float, of: Latencies) -> float:
        return of.rank(share) / self.quiet.rank(share)

    @property
    def fails(self) -> bool:
        return self.kept > BOUND or self.ratio(0.99, self.during) > MOST

    def markdown(self, name: str) -> str:
        cells = [name, f"{self.kept:.1f}", self.quiet.told(), self.during.told()]
        cells += [f"{self.ratio(0.5, self.during):.2f}", f"{self.ratio(0.99, self.during):.2f}"]
        cells += [f"{self.ratio(0.99, each.first(BEGINNING)):.2f}" for each in (self.during, self.control)]
        cells += [f"{self.ratio(0.5, each.first(BEGINNING)):.2f}" for each in (self.during, self.control)]
        return f"| {' | '.join(cells)} |{' TOO MUCH' if self.fails else ''}"


COLUMNS: Final = (
    "shape",
    "kept, s",
    "quiet: p50 / p99, ms (n)",
    "during it",
    "p50 ×",
    "p99 ×",
    "p99 × of its first 2 s",
    "of the control's",
    "p50 × of its first 2 s",
    "of the control's ",
)


@contextlib.contextmanager
def ahead() -> Iterator[None]:
    """Under ``chrt``, whoever measures goes before those who are slow: they keep a processor busy, too."""
    if sys.platform != "linux" or os.sched_getscheduler(0) not in (os.SCHED_RR, os.SCHED_FIFO):
        yield
        return
    before = os.sched_getparam(0)
    os.sched_setparam(0, os.sched_param(before.sched_priority + 1))
    try:
        yield
    finally:
        os.sched_setparam(0, before)


def look(context: SpawnContext, name: str, target: Target, each: int, quiet: float, row: Row) -> None:
    """One shape once, added to its row."""
    requests = SHAPES[name].requests
    shape = Aside(context, name, target, each, requests)
    control = Aside(context, ORDINARY, target, each, requests)
    with ahead(), contextlib.closing(Healthy(target, RATE)) as visitor:
        visitor.asks(0.5)
        row.quiet += visitor.asks(quiet)
        shape.go()
        row.during += visitor.asks(until=shape.over)
        row.kept = max(row.kept, shape.kept())
        row.quiet += visitor.asks(quiet)
        control.go()
        row.control += visitor.asks(min(quiet, BEGINNING))
        control.kept()


@contextlib.contextmanager
def listeners(said: argparse.Namespace) -> Iterator[tuple[Target, Target]]:
    """What is asked: plainly, and for the stalled handshake."""
    if said.url:
        yield Target(said.url, said.path, said.post), Target(said.tls or said.url, said.path, said.post)
        return
    tls = ("--tls-cert", str(TLS_FILES / "edge-first.pem"), "--tls-key", str(TLS_FILES / "edge-first.key"))
    with paths.proxy(*said.option) as (plain, _), paths.proxy(*said.option, *tls) as (secure, _):
        path, post = said.path or "/shared/100", said.post or "/file/1"
        yield Target(f"http://127.0.0.1:{plain}", path, post), Target(f"https://127.0.0.1:{secure}", path, post)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="a listener that runs already (with https: all shapes over TLS)")
    parser.add_argument("--tls", metavar="URL", help="its listener with TLS, for the handshake that stalls")
    parser.add_argument("--each", type=int, default=20, metavar="N", help="connections of a shape (default: 20)")
    parser.add_argument("--path", help="the page that is asked for (default: / or a kept page of 100 KB)")
    parser.add_argument("--post", help="where the dripping body goes (default: the same)")
    parser.add_argument("--only", action="append", choices=list(SHAPES), metavar="SHAPE", help="may be repeated")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="of everything; their samples are pooled")
    parser.add_argument("--quiet", type=float, default=4.0, metavar="SECONDS", help="of each quiet time (default: 4)")
    parser.add_argument("--option", action="append", default=[], help="of the `edgeproxy serve` that it starts")
    said = parser.parse_args(argv)
    if said.url:
        said.path, said.post = said.path or "/", said.post or said.path or "/"
    context = multiprocessing.get_context("spawn")
    rows = {name: Row() for name in said.only or SHAPES}
    with listeners(said) as (plain, secure):
        for number in range(said.rounds):
            for name, row in rows.items():
                print(f"round {number + 1}: {name}", file=sys.stderr, flush=True)
                look(context, name, secure if name == TLS_SHAPE else plain, said.each, said.quiet, row)
    print(f"| {' | '.join(COLUMNS)} |\n|---|---:|---|---|{'---:|' * 6}")
    for name, row in rows.items():
        print(row.markdown(name))
    return 1 if any(row.fails for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
