"""A soak, by hand: ten minutes of mixed traffic at a fixed rate, and whether memory grows.

    python -m tests.benchmarks.soak [--minutes 10] [--rate 40] [--workers 1] [--rules DIR]

Starts a small shop of its own and `edgeproxy serve` before it; asks for pages that are rewritten for every kind of
visitor, cached pages, pages with a token in them, assets, posts, redirects, errors, answers that break off, aborted
requests and malformed ones.  The first tenth of the time goes ten times as fast, so that what may be remembered is
full: its filling is no leak.  Prints memory each half minute, then the slope of every process over the rest of the
time (Theil and Sen: the median over all pairs), in MiB an hour.  Exit code 1 above ``MOST``, or when an answer was not
the one expected.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import median

from edgeproxy.core.signing import Keys
from edgeproxy.core.visitor import sign

MOST = 10.0  # MiB an hour
FILLING = 10  # times as fast is the first tenth of the time
KEYS = "soak-4d1f0c7be2a84b5d9c3e6f70"
HOST = "shop.example"

KINDS = (  # of requests, and up to which roll of the dice
    ("kept", 0.3),
    ("page", 0.5),
    ("token", 0.65),
    ("asset", 0.8),
    ("post", 0.85),
    ("moved", 0.88),
    ("gone", 0.91),
    ("cut", 0.93),
    ("abort", 0.96),
    ("malformed", 1.01),
)
PAGE = (
    b"<!DOCTYPE html><html lang=en><head><title>Shop</title></head><body><nav id=menu><a href=/>Home</a></nav>"
    b"<main><section class=hero>Hello</section>%b<form><input name=csrf value=%b></form></main></body></html>"
)
RULES = {
    "shop.toml": 'format = 1\ntimezone = "UTC"\nstages = ["new", "loyal"]\nsegments = ["outdoor", "city"]\n'
    'without_cookie = "new"\norder = ["calm", "shelf"]\n[[cache]]\non = ["/kept/**"]\nfor = "1 minute"\n',
    "slots.toml": '[menu]\nfind = "#menu"\n[hero]\nfind = ".hero"\n',
    "audiences.toml": '[newcomers]\nstage = "new"\n[regulars]\nstage = "loyal"\n',
    "experiences/calm.toml": 'for = "newcomers"\n[[edit]]\nslot = "menu"\nremove = true\n',
    "experiences/shelf.toml": 'for = "regulars"\n[[edit]]\nslot = "hero"\ninner = { text = "{{ segment }}" }\n',
}


async def shop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection of a shop that does a bit of everything."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode("latin-1")
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            await reader.readexactly(length)
            if not _answer(target, writer):
                break
            await writer.drain()
    writer.close()


def _answer(target: str, writer: asyncio.StreamWriter) -> bool:
    """Answer; False: the connection ends here."""
    kind = target.split("/")[1].split("?")[0]
    lines, body, status = "Content-Type: text/html; charset=utf-8\r\n", b"", "200 OK"
    if kind in ("kept", "page"):
        seed = random.Random(target)
        body = PAGE % (b"<p>%b</p>" % seed.randbytes(40).hex().encode() * seed.randint(5, 400), b"none")
        lines += "Cache-Control: max-age=60\r\n" if kind == "kept" else ""
    elif kind == "token":
        body = PAGE % (b"<p>text</p>" * 300, os.urandom(16).hex().encode())
        lines += "Set-Cookie: csrf=x; Path=/\r\n"
    elif kind == "asset":
        body, lines = os.urandom(40_000), "Content-Type: image/png\r\nCache-Control: max-age=60\r\n"
    elif kind == "gone":
        status, body = "404 Not Found", b"<p>gone"
    elif kind == "moved":
        status, lines = "302 Found", "Location: /page/1\r\n"
    elif kind == "cut":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5000\r\n\r\n<p>half")
        return False
    else:
        body = b"<p>thanks"
    writer.write(f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return True


class Visitors:
    """Mixed traffic against one port; counts what came of it."""

    def __init__(self, port: int, dice: random.Random) -> None:
        self.port = port
        self.dice = dice
        self.came: Counter[str] = Counter()
        self.wrong: list[str] = []
        keys, now = Keys.parse(KEYS), time.time()
        self.cookies = [
            sign(keys, now, stage=stage, segments=segments, id=f"visitor-{n}")
            for n in range(8)
            for stage, segments in ((("new", []), ("loyal", ["outdoor"]), ("loyal", ["city"]), ("loyal", []))[n % 4],)
        ]

    async def one(self) -> None:
        roll = self.dice.random()
        number = self.dice.randint(1, 20)  # few, as visitors are: what may be remembered is full soon
        kind = next(name for name, upto in KINDS if roll < upto)
        try:
            async with asyncio.timeout(20):
                await self._ask(kind, number)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as problem:
            if kind not in ("cut", "abort", "malformed"):
                self.wrong.append(f"{kind}: {problem!r}")
        self.came[kind] += 1

    async def _ask(self, kind: str, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            place = "page" if kind in ("abort", "malformed") else kind
            lines = [
                f"{'POST' if kind == 'post' else 'GET'} /{place}/{number}?q={number % 7} HTTP/1.1",
                f"Host: {HOST}",
            ]
            if self.dice.random() < 0.8:
                lines.append(f"Cookie: a=b; edge_visitor={self.dice.choice(self.cookies)}")
            if self.dice.random() < 0.5:
                lines.append("Accept-Encoding: gzip, br")
            if kind == "malformed":
                lines.append("Content-Length: 3\r\nTransfer-Encoding: chunked")
            body = b"x" * number * 20 if kind == "post" else b""
            lines += [f"Content-Length: {len(body)}"] if body else []
            writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
            if kind == "abort":
                await writer.drain()
                return
            answer = await reader.read()
            status = answer[9:12]
            wanted = {"moved": b"302", "gone": b"404", "malformed": b"400"}.get(kind, b"200")
            if status != wanted and not (kind == "cut" and status in (b"", b"502")):
                self.wrong.append(f"{kind}: {answer[:60]!r}")
        finally:
            writer.close()


def resident(pid: int) -> float:
    """Memory of a process, MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


def slope(points: Sequence[tuple[float, float]]) -> float:
    """MiB an hour of (seconds, MiB): the median over all pairs (Theil and Sen), unmoved by one drop."""
    each = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2]
    return 3600 * median(each) if each else 0.0


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


async def soak(minutes: float, rate: float, workers: int, rules: Path) -> int:
    behind = await asyncio.start_server(shop, "127.0.0.1", 0, limit=1 << 20)
    origin = behind.sockets[0].getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "edgeproxy",
        "serve",
        "--origin",
        f"http://127.0.0.1:{origin}",
        "--rules",
        str(rules),
    ]
    command += ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--host", HOST, "--workers", str(workers)]
    environ = {**os.environ, "EDGEPROXY_KEYS": KEYS}
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    port = 0
    try:
        while not port:
            line = (await process.stderr.readline()).decode()
            assert line, "it did not start"
            if " listens on " in line:
                port = int(line.partition(" listens on ")[2].split()[0].rpartition(":")[2])
        drain = asyncio.create_task(process.stderr.read())
        visitors = Visitors(port, random.Random(3))
        pids = [process.pid, *children(process.pid)]
        points: dict[int, list[tuple[float, float]]] = {pid: [] for pid in pids}
        began, count, said = time.monotonic(), 0, 0.0
        going: set[asyncio.Task[None]] = set()
        while (now := time.monotonic() - began) < minutes * 60:
            task = asyncio.create_task(visitors.one())
            going.add(task)
            task.add_done_callback(going.discard)
            count += 1
            if now >= said:
                for pid in pids:
                    points[pid].append((now, resident(pid)))
                latest = "  ".join(f"{points[pid][-1][1]:.1f}" for pid in pids)
                print(f"{now:5.0f} s  {count:6} requests  MiB: {latest}", flush=True)
                said += 30 if minutes > 2 else 5
            filling = min(now, minutes * 6)
            due = began + (count / rate - (FILLING - 1) * filling if now > filling else count / rate / FILLING)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*going)
        drain.cancel()
    finally:
        process.terminate()
        await process.wait()
        behind.close()
    print(dict(visitors.came))
    worst = 0.0
    for pid in pids:
        late = [point for point in points[pid] if point[0] >= minutes * 6]
        found = slope(late)
        worst = max(worst, found)
        print(f"{'supervisor' if pid == pids[0] else 'worker':10} {found:+.1f} MiB/h over {len(late)} points")
    for each in visitors.wrong[:10]:
        print("wrong:", each)
    return 1 if worst > MOST or visitors.wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=40, help="requests a second")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rules", type=Path, help="a rules folder instead of the built-in one")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if said.rules is None:
            for name, text in RULES.items():
                path = Path(folder, name)
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, "utf-8")
        return asyncio.run(soak(said.minutes, said.rate, said.workers, said.rules or Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
