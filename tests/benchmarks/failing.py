"""What a visitor waits when something of ours fails: each function on the path of a page in turn, without sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from time import perf_counter

from tests.benchmarks import pages
from tests.benchmarks.measure import Row, Table
from tests.test_law_2 import INSIDE, failing
from tests.world import Told, World

_HTML = ("Content-Type", pages.CONTENT_TYPE)
_RULES = {name: text.decode() for name, text in pages.rules().items()}


def faults(*, quick: bool) -> list[Table]:
    """What a visitor waits when something of ours fails, against the shop's page passed on: the worst of each."""
    tables = []
    for size in (20,) if quick else (20, 100, 400, 1000, 2000):
        asked = World(rules=_RULES)
        rounds = 1 if quick else 5
        rows = [
            Row("passed on, nobody's rules (baseline)", _worst(asked, "/file/", size, rounds)),
            Row("rewritten", _worst(asked, "/", size, rounds)),
        ]
        failed = []
        with _logged():
            for point in INSIDE[:4] if quick else INSIDE:
                with failing(point) as called:
                    worst = _worst(asked, "/", size, rounds)
                if called:
                    failed.append(Row("a fault in " + point.removeprefix("edgeproxy."), worst))
        failed.sort(key=lambda row: row.value)
        rows += [failed[len(failed) // 2], *failed[-3:]]
        tables.append(Table(f"a page of {size:,} KB", "ms", rows))
    return tables


def _worst(asked: World, path: str, size: int, rounds: int) -> float:
    """The longest of ``rounds`` answers, in ms; nothing is known of any page."""
    return max(_once(asked, path, pages.page(size * pages.KB)) for _ in range(rounds))


def _once(asked: World, path: str, page: bytes) -> float:
    asked.shop.answer = Told(headers=[_HTML], chunks=[page])
    asked.shop.asked.clear()
    asked.parts.proxy.forget()

    async def timed() -> float:
        began = perf_counter()
        got = await asked.ask(path, segments=("loyal",), stage="known", headers=[("Accept-Encoding", "gzip")])
        assert got.status == 200
        return perf_counter() - began

    return asyncio.run(timed()) * 1000


@contextmanager
def _logged() -> Iterator[None]:
    """Tracebacks are written, as they would be, but nowhere that anybody sees."""
    logger = logging.getLogger("edgeproxy")
    handler, spread = logging.StreamHandler(StringIO()), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = spread
