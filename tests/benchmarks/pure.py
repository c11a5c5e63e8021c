"""What needs no socket: decisions, plans by page size, codings, cookies, and memory as visitors grow."""

from __future__ import annotations

import gc
import os
import zlib
from collections.abc import Callable

import turbohtml

from edgeproxy.content_coding import compress
from edgeproxy.core import visitor as visitors
from edgeproxy.core.decide import decide
from edgeproxy.core.signing import Keys
from edgeproxy.html import charset
from edgeproxy.html.place import place
from edgeproxy.html.plan import plan
from edgeproxy.html.render import render
from edgeproxy.personalise import begin, children_of, personalise, slots_here
from tests.benchmarks import pages
from tests.benchmarks.measure import Row, Table, millis, resident

KEYS = Keys.parse("4d1f0c7be2a84b5d9c3e6f7081a2b3c4")
NOW = 1_780_315_200.0


def decisions(*, quick: bool) -> list[Table]:
    """The decision, as rules grow: most of them for others, or for other pages."""
    rows = []
    for number in (10, 30) if quick else (10, 30, 100, 300, 1000):
        made = pages.book(number)
        spent = millis(lambda made=made: decide(made, pages.LOYAL, pages.REQUEST), seconds=_seconds(quick))  # type: ignore[misc]
        rows.append(Row(f"{number:,} experiences", spent * 1000, (f"{spent * 1e6 / number:.0f}",)))
    return [Table("a decision", "µs", rows, ("ns for each experience",))]


def sizes(*, quick: bool) -> list[Table]:
    """A page from bytes to bytes, as it grows; the baseline is zlib's fastest level over the same page."""
    tables = []
    made = pages.book()
    chosen = pages.decision(made)
    slots, children = slots_here(made, chosen.fitting, "/"), children_of(chosen.fitting)
    values = {"segment": "loyal", "stage": "known", "path": "/"}
    for size in (20,) if quick else (20, 100, 400, 1000, 2000):
        body = pages.page(size * pages.KB)
        found = charset.detect(pages.CONTENT_TYPE, body)
        text = body.decode("latin-1")
        planned = plan(body, found, slots, children=children)
        placing = place(chosen, made, planned, body, values)
        seconds = _seconds(quick)
        rows = [
            Row("gzip by zlib, level 1 (baseline)", millis(lambda: zlib.compress(body, 1, 31), seconds=seconds)),  # noqa: B023
            Row("parse alone", millis(lambda: turbohtml.parse(text, source_locations=True), seconds=seconds)),  # noqa: B023
            Row("plan: parse, six slots", millis(lambda: plan(body, found, slots, children=children), seconds=seconds)),  # noqa: B023
            Row("place", millis(lambda: place(chosen, made, planned, body, values), seconds=seconds)),  # noqa: B023
            Row("render", millis(lambda: render(body, placing.splices), seconds=seconds)),  # noqa: B023
            Row("gzip, as it leaves", millis(lambda: compress(body, "gzip"), seconds=seconds)),  # noqa: B023
            Row(
                "all of it",
                millis(
                    lambda: compress(
                        personalise(made, chosen, pages.REQUEST, body, pages.CONTENT_TYPE).body,  # noqa: B023
                        "gzip",
                    ),
                    seconds=seconds,
                ),
            ),
            Row(
                "what is settled of its first half",
                millis(
                    lambda: begin(made, chosen, pages.REQUEST, body[: len(body) // 2], pages.CONTENT_TYPE),  # noqa: B023
                    seconds=seconds,
                ),
            ),
        ]
        tables.append(Table(f"a page of {size:,} KB", "ms", rows))
    return tables


def codings(*, quick: bool) -> list[Table]:
    """Codings of one page of 100 KB."""
    body = pages.page(20 * pages.KB if quick else 100 * pages.KB)
    rows = []
    ways: dict[str, Callable[[], bytes]] = {
        "zlib level 1 (baseline)": lambda: zlib.compress(body, 1, 31),
        "zlib level 6": lambda: zlib.compress(body, 6, 31),
        "gzip": lambda: compress(body, "gzip"),
        "zstd": lambda: compress(body, "zstd"),
        "br": lambda: compress(body, "br"),
    }
    for name, work in ways.items():
        rows.append(Row(name, millis(work, seconds=_seconds(quick)), (f"{len(work()) * 100 / len(body):.1f} %",)))
    return [Table(f"{len(body) // 1000} KB coded", "ms", rows, ("bytes left",))]


def cookies(*, quick: bool) -> list[Table]:
    """Reading the visitor cookie."""
    signed = visitors.sign(KEYS, NOW, stage="loyal", segments=("outdoor",), id="q7Hk2m").encode()
    line = b"sid=1; edge_visitor=" + signed + b"; cart=3"
    settings = visitors.CookieSettings()
    warm = visitors.VerifiedCookies()
    forged = line.replace(signed[-8:], b"AAAAAAAA")
    rows = [
        Row("verify a signature (baseline)", _micros(lambda: visitors.verify(signed, KEYS), quick)),
        Row("a cookie seen before", _micros(lambda: visitors.read([line], KEYS, NOW, settings, warm), quick)),
        Row(
            "a new one", _micros(lambda: visitors.read([line], KEYS, NOW, settings, visitors.VerifiedCookies()), quick)
        ),
        Row("a forged one, seen before", _micros(lambda: visitors.read([forged], KEYS, NOW, settings, warm), quick)),
        Row("none", _micros(lambda: visitors.read([b"sid=1; cart=3"], KEYS, NOW, settings, warm), quick)),
    ]
    return [Table("the visitor cookie", "µs", rows)]


def crowds(*, quick: bool) -> list[Table]:
    """Memory as different visitors come: what is remembered of them is bounded."""
    settings, warm = visitors.CookieSettings(), visitors.VerifiedCookies()
    rows = []
    seen = 0
    for until in (100, 300) if quick else (1_000, 30_000, 100_000, 300_000, 1_000_000):
        for number in range(seen, until):
            value = visitors.sign(KEYS, NOW, stage="loyal", segments=("outdoor",), id=f"v{number}")
            visitors.read([b"edge_visitor=" + value.encode()], KEYS, NOW, settings, warm)
        seen = until
        gc.collect()
        rows.append(Row(f"{until:,} visitors", resident([os.getpid()]) / pages.KB**2, (f"{len(warm):,}",)))
    return [Table("different visitor cookies", "MB resident", rows, ("remembered",))]


def _seconds(quick: bool) -> float:
    return 0.001 if quick else 0.2


def _micros(work: Callable[[], object], quick: bool) -> float:
    return millis(work, seconds=_seconds(quick)) * 1000
