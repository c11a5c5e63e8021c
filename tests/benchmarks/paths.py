"""What goes through ``edgeproxy serve``: a request's ways, connections, workers, memory, a slow page's first bytes.

The baseline is uvicorn itself, as we use it, answering the same bytes from memory: no shop behind, no rules.  Counted
is the processor time of the serving processes alone; the shop and whoever asks have processes of their own.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import httptools

from edgeproxy.core.signing import Keys
from edgeproxy.core.visitor import sign
from tests.benchmarks import pages
from tests.benchmarks.measure import Row, Table, cpu_of, resident
from tests.e2e.running import KEYS, environment, free_ports, serving

RATE = ("a second",)
ASK = "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\nUser-Agent: benchmark\r\n{more}\r\n"
_BROWSER = """GET {path} HTTP/1.1\r
Host: 127.0.0.1\r
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r
Accept-Language: sv-SE,sv;q=0.9,en;q=0.8\r
Accept-Encoding: gzip\r
Sec-CH-UA: "Chromium";v="140"\r
Sec-CH-UA-Mobile: ?0\r
Sec-CH-UA-Platform: "Linux"\r
Sec-Fetch-Dest: document\r
Sec-Fetch-Mode: navigate\r
Sec-Fetch-Site: same-origin\r
Sec-Fetch-User: ?1\r
Upgrade-Insecure-Requests: 1\r
Referer: http://127.0.0.1/c/~\r
Cookie: edge_visitor={cookie}; _ga=GA1.1.1234.~; _ga_ABCDEF=GS2.1.s~$o1$g1; _gid=GA1.2.~; _fbp=fb.1.17.~\r
\r
"""
_BASELINE = """
import sys, uvicorn
body = sys.stdin.buffer.read(int(sys.argv[2]))
head = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"%d" % len(body))]
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False, lifespan="off")
"""


@contextmanager
def shop() -> Iterator[str]:
    """The address of a shop that runs until the block ends."""
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.shop"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    try:
        assert running.stdout is not None
        yield f"http://127.0.0.1:{int(running.stdout.readline())}"
    finally:
        running.communicate()


@contextmanager
def proxy(*options: str, expect: str = "one") -> Iterator[tuple[int, list[int]]]:
    """Our port and the processes that serve there."""
    with tempfile.TemporaryDirectory() as folder, shop() as origin:
        for name, text in pages.rules(expect=expect).items():
            file = Path(folder) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text)
        with serving(origin, Path(folder), *options) as served:
            yield int(served.base.rpartition(":")[2]), served.running.children


@contextmanager
def baseline(body: bytes) -> Iterator[tuple[int, list[int]]]:
    """uvicorn answering ``body``, its port and process."""
    (port,) = free_ports()
    running = subprocess.Popen(
        [sys.executable, "-c", _BASELINE, str(port), str(len(body))], stdin=subprocess.PIPE, env=environment()
    )
    try:
        assert running.stdin is not None
        running.stdin.write(body)
        running.stdin.close()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                asyncio.run(_ask(port, [b""], 0, 1))
                break
            except OSError:
                time.sleep(0.05)
        yield port, [running.pid]
    finally:
        running.terminate()
        running.wait()


class Questions(Protocol):
    """What is asked, one after the other and from the beginning again."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> bytes: ...


class _Client(asyncio.Protocol):
    """One connection that asks again as soon as it is answered, until it is told enough."""

    def __init__(self, questions: Questions, number: int, until: float, done: asyncio.Future[None]) -> None:
        self.questions, self.until, self.done = questions, until, done
        self.asked = number  # others begin elsewhere
        self.answers = 0
        self.first = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._next()

    def _next(self) -> None:
        question = self.questions[self.asked % len(self.questions)]
        if (self.answers and asyncio.get_running_loop().time() >= self.until) or not question:
            self.transport.close()
            return
        self.parser = httptools.HttpResponseParser(self)
        self.transport.write(question)
        self.asked += 1

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.first = self.first or time.perf_counter()

    def on_message_complete(self) -> None:
        assert self.parser.get_status_code() == 200, self.parser.get_status_code()
        self.answers += 1
        asyncio.get_running_loop().call_soon(self._next)

    def connection_lost(self, problem: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def _ask(port: int, questions: Questions, seconds: float, connections: int) -> tuple[int, float]:
    """(requests, seconds to the first byte of a body); at least one request a connection."""
    loop = asyncio.get_running_loop()
    start, until = time.perf_counter(), loop.time() + seconds
    clients = [_Client(questions, number, until, loop.create_future()) for number in range(connections)]
    for client in clients:
        await loop.create_connection(partial(_same, client), "127.0.0.1", port)
    await asyncio.gather(*(client.done for client in clients))
    firsts = [client.first - start for client in clients if client.first]
    return sum(client.answers for client in clients), min(firsts, default=0.0)


def _same(client: _Client) -> _Client:
    return client


def asking(path: str, *, loyal: bool = True) -> bytes:
    keys = Keys.parse(KEYS)
    cookie = sign(keys, time.time(), stage="known", segments=("loyal",))
    return ASK.format(path=path, more=f"Cookie: edge_visitor={cookie}\r\n" if loyal else "").encode()


class Browser:
    """A browser's questions for one page, no two of them alike: as Referers and the counters of analytics make them."""

    def __init__(self, path: str) -> None:
        cookie = sign(Keys.parse(KEYS), time.time(), stage="known", segments=("loyal",))
        self._head = _BROWSER.format(path=path, cookie=cookie)
        self._asked = 0

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int, /) -> bytes:
        self._asked += 1
        return self._head.replace("~", str(self._asked)).encode()


def spent(
    where: tuple[int, list[int]], questions: Questions, *, quick: bool, connections: int = 8
) -> tuple[float, int]:
    """(µs of processor a request, requests a second), after everything was asked once."""
    port, pids = where
    asyncio.run(_ask(port, questions, 0.05, len(questions)))
    seconds = 0.05 if quick else 2.0
    before, began = cpu_of(pids), time.perf_counter()
    requests, _ = asyncio.run(_ask(port, questions, seconds, connections))
    elapsed = time.perf_counter() - began
    return (cpu_of(pids) - before) / requests * 1e6, round(requests / elapsed)


def ways(*, quick: bool) -> list[Table]:
    """The paths that a request can take."""
    tables = []
    for size in (20,) if quick else (20, 100, 400):
        with baseline(pages.page(size * pages.KB)) as plain:
            rows = [_row("uvicorn, the page from memory (baseline)", spent(plain, [asking("/")], quick=quick))]
        with proxy() as ours:
            for name, path, loyal in (
                ("passed, nobody's rules", f"/file/{size}", False),
                ("rewritten, never seen before", f"/fresh/{size}", True),
                ("rewritten, another token each time", f"/new/{size}", True),
                ("rewritten, the same bytes again, not to be kept", f"/again/{size}", True),
                ("kept, with this visitor's edits", f"/shared/{size}", True),
                ("kept, nothing to edit", f"/shared/{size}", False),
            ):
                rows.append(_row(name, spent(ours, [asking(path, loyal=loyal)], quick=quick)))
            new = spent(ours, Browser(f"/shared/{size}"), quick=quick)
            rows.insert(-1, _row("the same, a browser's heads, no two of them alike", new))
        tables.append(Table(f"a request for {size} KB", "µs CPU", rows, RATE))
    return tables


def connections(*, quick: bool) -> list[Table]:
    """One to 64 connections at once, each asking as fast as it is answered."""
    with proxy() as ours:
        counts = (1, 4) if quick else (1, 8, 64)
        asked = [(count, spent(ours, [asking("/new/20")], quick=quick, connections=count)) for count in counts]
    return [Table("rewritten, 20 KB", "µs CPU", [_row(f"{count} connections", cost) for count, cost in asked], RATE)]


def workers(*, quick: bool) -> list[Table]:
    """One worker and two, asked as often: what a request costs all of them together.

    Two workers on two cores that the shop and whoever asks need too are no faster than one; at the same rate, well
    below what one can do, the processors' time tells what sharing nothing costs.
    """
    rows = []
    for count in (1, 2):
        with proxy("--workers", str(count)) as ours:
            port, pids = ours
            asyncio.run(_offered(port, 0.2))
            seconds = 0.1 if quick else 4.0
            before, began = cpu_of(pids), time.perf_counter()
            times = asyncio.run(_offered(port, seconds))
            used, elapsed = cpu_of(pids) - before, time.perf_counter() - began
            notes = (
                f"{len(times) / elapsed:,.0f}",
                f"{_spread([times])[0]:.2f}",
                f"{resident(pids) / pages.KB**2:.0f}",
            )
            rows.append(Row(f"{count} worker{'s' if count > 1 else ''}", used / len(times) * 1e6, notes))
    return [
        Table("rewritten, 20 KB", "µs CPU of all workers", rows, ("a second", "ms, half of them", "MB of all workers"))
    ]


async def _offered(port: int, seconds: float) -> list[float]:
    """Sixteen connections that ask 640 times a second together, in turn: how long each answer took, in ms."""
    until = asyncio.get_running_loop().time() + seconds

    async def one(number: int) -> list[float]:
        await asyncio.sleep(number / 640)
        return await _paced(port, asking("/new/20"), 16 / 640, until)

    return [each for times in await asyncio.gather(*map(one, range(16))) for each in times]


def waits(*, quick: bool) -> list[Table]:
    """What others wait for a kept page while pages are made that nobody has seen: on the loop, or in a thread."""
    rows = []
    crowds = ((0, 0), (20, 20)) if quick else ((0, 0), (20, 100), (100, 100), (400, 30), (1000, 10), (2000, 5))
    with proxy() as ours:
        asyncio.run(_ask(ours[0], [asking("/shared/20")], 0, 1))
        for size, rate in crowds:
            rounds = [asyncio.run(_waits(ours[0], size, rate, 0.1 if quick else 1.5)) for _ in range(1 if quick else 3)]
            others, theirs = (sorted(times)[len(rounds) // 2] for times in zip(*rounds, strict=True))
            name = f"{size:,} KB, {rate} a second" if rate else "none (baseline)"
            rows.append(Row(name, others[1], (f"{others[0]:.2f}", f"{theirs[0]:.1f}" if rate else "")))
    columns = ("ms, half of them", "ms for a page never seen")
    return [Table("p99 of kept pages beside pages never seen", "ms", rows, columns)]


async def _waits(port: int, size: int, rate: int, seconds: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """(median, p99) in ms of kept pages, and of pages never seen, of which ``rate`` come each second."""
    until = asyncio.get_running_loop().time() + seconds
    paced = [_paced(port, asking("/shared/20"), 0.003, until) for _ in range(2)]
    if rate:
        paced += [_paced(port, asking(f"/fresh/{size}"), 2 / rate, until) for _ in range(2)]
    times = await asyncio.gather(*paced)
    return _spread(times[:2]), _spread(times[2:])


async def _paced(port: int, question: bytes, gap: float, until: float) -> list[float]:
    """Milliseconds of each answer, asked for every ``gap`` seconds, or as soon as the one before is there."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    times: list[float] = []
    due = loop.time()
    while loop.time() < until:
        due = max(due + gap, loop.time())
        await asyncio.sleep(due - loop.time())
        began = loop.time()
        writer.write(question)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b" 200 " in head[:20], head
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r")[0]))
        times.append((loop.time() - began) * 1000)
    writer.close()
    return times


def _spread(times: Sequence[Sequence[float]]) -> tuple[float, float]:
    alls = sorted(one for some in times for one in some)
    return (alls[len(alls) // 2], alls[int(len(alls) * 0.99)]) if alls else (0.0, 0.0)


def kept(*, quick: bool) -> list[Table]:
    """Memory for each page that is kept, against the bytes of the page."""
    size, number = (2, 20) if quick else (20, 1500)
    with proxy() as ours:
        port, pids = ours
        asyncio.run(_ask(port, [asking(f"/shared/{size}?warm={n}") for n in range(number // 5)], 0, number // 5))
        before = resident(pids)
        for start in range(0, number, 100):
            questions = [asking(f"/shared/{size}?n={n}") for n in range(start, min(start + 100, number))]
            asyncio.run(_ask(port, questions, 0, len(questions)))
        grown = (resident(pids) - before) / number
    rows = [Row("its bytes (baseline)", len(pages.page(size * pages.KB)) / pages.KB), Row("memory", grown / pages.KB)]
    return [Table(f"a kept page of {size} KB, one visitor's edits", "KB", rows)]


def drip(*, quick: bool) -> list[Table]:
    """When the first bytes of a page are there that the shop sends over 450 ms, and when an edit near its beginning is.

    The last row is what is left to gain: it knows nothing of rules, and passes on what comes as it comes.
    """
    rows = []
    settings: list[tuple[str, tuple[str, ...], str, bool]] = [
        ("all of it waited for (baseline)", ("--early-flush", "0"), "any", True),
        ('slots with expect = "one"', (), "one", True),
        ('slots with expect = "any"', (), "any", True),
        ("nothing to edit, passed on as it comes", (), "one", False),
    ]
    for name, options, expect, loyal in settings[: 3 if quick else None]:
        with proxy(*options, expect=expect) as ours:
            asyncio.run(_ask(ours[0], [asking("/new/100", loyal=loyal)], 0, 1))
            question = asking("/drip/400", loyal=loyal)
            tries = [asyncio.run(_moments(ours[0], question)) for _ in range(1 if quick else 5)]
        first, edited = (min(moments) for moments in zip(*tries, strict=True))
        rows.append(Row(name, first, (f"{edited:.0f}",)))
    return [Table("a slow page's first bytes", "ms", rows, ("ms to its first <section>",))]


async def _moments(port: int, question: bytes) -> tuple[float, float]:
    """Milliseconds till the first bytes of a page are there, and till its hero is, edited or not."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    writer.write(question)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    clear = zlib.decompressobj(31) if b"content-encoding: gzip" in head else None
    coded = text = b""
    first = 0.0
    while b"<h1>" not in text:
        if b"chunked" in head:
            coded = await reader.readexactly(int(await reader.readline(), 16) + 2)
            coded = coded[:-2]
        else:
            coded = await reader.read(1 << 16)
        assert coded, "the page ended without"
        first = first or time.perf_counter()
        text += clear.decompress(coded) if clear is not None else coded
    writer.close()
    return (first - began) * 1000, (time.perf_counter() - began) * 1000


def _row(name: str, cost: tuple[float, int]) -> Row:
    return Row(name, cost[0], (f"{cost[1]:,}",))
