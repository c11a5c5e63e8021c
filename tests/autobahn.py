"""Autobahn|Testsuite (its 517 cases, run by kosoku) against a WebSocket peer directly and through edgeproxy.

    python -m tests.autobahn                                  everything, a few minutes: what differs, and exit code 1
    python -m tests.autobahn --cases '1.*' --cases 12.1.1     only these
    python -m tests.autobahn --shop ws://127.0.0.1:9001/      another echo server than websockets', say Node's ws

In the first role the suite is the visitor and judges an echo server behind us; in the second it is the shop and judges
a client that reaches it through us.  ``tests/test_autobahn.py`` runs a choice of the cases in both.  The suite runs in
a process of its own (``visitor URL`` and ``shop`` below), since its cases, written for Python 2, bend that process.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.e2e import running

AGENT = "websockets"
AGAIN = 5  # runs of what seems to differ
SIDE_BY_SIDE = 4  # cases at a time

Verdicts = dict[str, dict[str, Any]]
"""By case: how the suite judged the messages and the close, and all that it saw of the peer."""


class Judged(Protocol):
    """Runs these cases directly or through edgeproxy."""

    def __call__(self, cases: Sequence[str], /, *, proxied: bool) -> Awaitable[Verdicts]: ...


# ------------------------------------------------------------------ for a test, or a run by hand


async def as_visitor(url: str, cases: Sequence[str]) -> Verdicts:
    """The suite asks the server at ``url``."""
    child = await _suite("visitor", url, cases)
    said, _ = await child.communicate()
    assert child.returncode == 0
    return _read(said)


@asynccontextmanager
async def as_shop(cases: Sequence[str]) -> AsyncIterator[tuple[int, asyncio.Future[Verdicts]]]:
    """The suite serves: its port, and what it has to say once the client has asked ``every_case``."""
    child = await _suite("shop", "", cases)
    assert child.stdout is not None
    port = int(await child.stdout.readline())
    verdicts = asyncio.ensure_future(_rest(child.stdout))
    try:
        yield port, verdicts
    finally:
        verdicts.cancel()
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def every_case(url: str) -> None:
    """A client of the suite's server, as Autobahn wants it: asks for each case, echoes, says when it is done."""
    url = url.rstrip("/")
    async with connect(f"{url}/getCaseCount") as counting:
        count = int(await counting.recv())
    turn = asyncio.Semaphore(SIDE_BY_SIDE)

    async def run(case: int) -> None:
        asked = f"{url}/runCase?case={case}&agent={AGENT}"
        with suppress(ConnectionClosed):
            async with turn, connect(asked, max_size=None, ping_interval=None) as connection:
                async for message in connection:
                    await connection.send(message)

    await asyncio.gather(*map(run, range(1, count + 1)))
    async with connect(f"{url}/updateReports?agent={AGENT}"):
        pass


@asynccontextmanager
async def echo_server() -> AsyncIterator[int]:
    """The ``websockets`` library's server, with permessage-deflate; its port."""

    async def echo(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in connection:
                await connection.send(message)

    async with serve(echo, "127.0.0.1", 0, max_size=None, ping_interval=None) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def differences(judged: Judged, cases: Sequence[str]) -> tuple[Verdicts, list[str]]:
    """What the suite finds directly, and a line for each thing that it finds otherwise through edgeproxy.

    ``judged(cases, proxied=…)`` runs it.  Some outcomes hang on who is faster (whether an echo leaves before a broken
    frame is seen): what differs is run again, and is a difference where an outcome never occurs directly.
    """
    direct = await judged(cases, proxied=False)
    through = await judged(cases, proxied=True)
    found = {case: [f"{case}: ran on one side only"] for case in direct.keys() ^ through.keys()}
    seen = {case: [verdict] for case, verdict in direct.items()}
    unlike = {case: through[case] for case in direct.keys() & through.keys() if through[case] != direct[case]}
    for _ in range(AGAIN):
        if not unlike:
            break
        for case, verdict in (await judged(list(unlike), proxied=False)).items():
            seen[case].append(verdict)
        fresh = await judged(list(unlike), proxied=True)
        unlike = {
            case: fresh[case] for case in unlike if unlike[case] not in seen[case] or fresh[case] not in seen[case]
        }
    for case, verdict in unlike.items():
        found[case] = [
            f"{case}: {what}: {direct[case][what]!r} directly, {value!r} through edgeproxy"
            for what, value in verdict.items()
            if value != direct[case][what]
        ]
    return direct, [line for case in sorted(found) for line in found[case]]


async def _suite(role: str, url: str, cases: Sequence[str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-m", "tests.autobahn", "--role", role, *([url] if url else [])),
        *(f"--cases={case}" for case in cases),
        cwd=running.REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
    )


async def _rest(stream: asyncio.StreamReader) -> Verdicts:
    return _read(await stream.read())


def _read(said: bytes) -> Verdicts:
    verdicts: Verdicts = json.loads(said)
    return verdicts


# ------------------------------------------------------------------ the suite's own process


async def _run(role: str, url: str, cases: Sequence[str] | None) -> Verdicts:
    from kosoku import FailureError, run_fuzzingclient, run_fuzzingserver

    try:
        if role == "visitor":
            results = await run_fuzzingclient(url, cases, concurrency=SIDE_BY_SIDE)
        else:
            async with run_fuzzingserver(cases, port=0) as server:
                print(server.port, flush=True)
                results = await server.get_result()
    except FailureError as failure:  # the peer's own failures; ours are the differences
        results = failure.results
    return {
        each.case_id: {
            "messages": each.behavior.value,
            "close": each.behavior_close.value,
            "why": each.result if not each.report_time else "",  # else it tells a time
            "why so closed": each.result_close,
            "close code": each.remote_close_code,
            "close reason": each.remote_close_reason,
            "clean": each.was_clean,
            "unclean because": each.was_not_clean_reason,
            "dropped by the suite": each.dropped_by_me,
            "failed by the suite": each.failed_by_me,
            "frames": {str(kind): count for kind, count in each.rx_frame_stats.items()},
            "received": hashlib.sha256(repr(each.received).encode()).hexdigest(),
        }
        for each in results
    }


# ------------------------------------------------------------------ by hand


@asynccontextmanager
async def _in_front_of(shop: str) -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder)
        (rules / "shop.toml").write_text('format = 1\nstages = ["new"]\n', "utf-8")
        with running.serving(shop.replace("ws://", "http://", 1), rules, cwd=rules) as proxy:
            yield proxy.base.replace("http://", "ws://", 1)


def _clocked(judged: Judged) -> Judged:
    async def timed(cases: Sequence[str], /, *, proxied: bool) -> Verdicts:
        began = time.monotonic()
        verdicts = await judged(cases, proxied=proxied)
        way = "through edgeproxy" if proxied else "directly"
        print(f"  {len(verdicts)} cases {way}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        return verdicts

    return timed


async def _compare(shop: str | None, cases: Sequence[str]) -> int:
    async with echo_server() as port:
        shop = shop or f"ws://127.0.0.1:{port}/"
        async with _in_front_of(shop) as front:
            front += urlsplit(shop).path or "/"

            async def server(cases: Sequence[str], /, *, proxied: bool) -> Verdicts:
                return await as_visitor(front if proxied else shop, cases)

            bad = await _told("a server, judged by the suite as its visitor", server, cases)

    async def client(cases: Sequence[str], /, *, proxied: bool) -> Verdicts:
        async with as_shop(cases) as (port, verdicts):
            if not proxied:
                await every_case(f"ws://127.0.0.1:{port}")
                return await verdicts
            async with _in_front_of(f"ws://127.0.0.1:{port}") as front:
                await every_case(front)
                return await verdicts

    return await _told("a client, judged by the suite as its shop", client, cases) + bad


async def _told(role: str, judged: Judged, cases: Sequence[str]) -> int:
    direct, found = await differences(_clocked(judged), cases)
    peculiar = [
        f"{case} {each['messages']}/{each['close']}"
        for case, each in direct.items()
        if {each["messages"], each["close"]} - {"OK", "NON-STRICT", "INFORMATIONAL"}
    ]
    print(f"{role}: {len(direct)} cases, {len(found)} differences")
    if peculiar:
        print(f"  what the suite says against the peer itself: {', '.join(peculiar)}")
    for line in found:
        print(f"  {line}")
    return len(found)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.autobahn", description="Autobahn|Testsuite directly and through edgeproxy, compared."
    )
    parser.add_argument("--cases", action="append", default=[], metavar="GLOB", help="which (default: all)")
    parser.add_argument("--shop", metavar="ws://HOST:PORT/", help="an echo server that runs (default: one is started)")
    parser.add_argument("--role", choices=["visitor", "shop"], help=argparse.SUPPRESS)
    parser.add_argument("url", nargs="?", help=argparse.SUPPRESS)
    said = parser.parse_args(argv)
    if said.role:
        print(json.dumps(asyncio.run(_run(said.role, said.url or "", said.cases or None))))
        return 0
    return 1 if asyncio.run(_compare(said.shop, said.cases)) else 0


if __name__ == "__main__":
    sys.exit(main())
