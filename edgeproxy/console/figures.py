"""Numbers as people read them: rates, shares and percentiles out of what ``Counters.export`` holds.

Here: pure functions on exports.  Not here: what is counted (``journal``), how it looks (templates).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edgeproxy.counters import Export

__all__ = ["Figure", "Lane", "figures", "lanes", "percentile", "value"]

_LANES: Final = ("shared", "private", "pass", "relay", "own", "refused")
_OF_CACHES: Final = re.compile(r"cache|stored|variant|_plan|_pages?_|flight|lane_hits|stitch|stale|purge")
_SHOWN_ELSEWHERE: Final = frozenset({"edgeproxy_experiences_applied_total"})


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane's requests; times in seconds, None where nothing was measured."""

    name: str
    requests: int
    failed: int  # 5xx
    bytes: float
    total: tuple[float, float] | None  # 50 % and 95 % took no longer
    shop: tuple[float, float] | None
    edge: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Figure:
    """One counter or gauge: what it says, and its rows, biggest first."""

    name: str
    says: str
    rows: tuple[tuple[str, float], ...]  # labels in words, number


def percentile(bounds: Sequence[float], row: Sequence[float], part: float) -> float | None:
    """The duration that ``part`` (0 to 1) of all stayed below, between two bounds by proportion; None without any.

    ``row`` has a count for each bound, one above all bounds, and the sum; above the last bound the last bound is told.
    """
    counts = row[: len(bounds) + 1]
    total = sum(counts)
    if not total:
        return None
    wanted, before, low = part * total, 0.0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and before + count >= wanted:
            return low + (bound - low) * (wanted - before) / count
        before += count
        low = bound
    return bounds[-1]


def lanes(export: Export) -> tuple[Lane, ...]:
    """Every lane that has answered something."""
    requests = _by_first(export, "edgeproxy_requests_total")
    return tuple(
        Lane(
            lane,
            int(sum(requests[lane].values())),
            int(requests[lane].get("5xx", 0)),
            value(export, "edgeproxy_response_bytes_total", lane),
            _times(export, "edgeproxy_request_seconds", lane),
            _times(export, "edgeproxy_origin_seconds", lane),
            _times(export, "edgeproxy_edge_seconds", lane),
        )
        for lane in sorted(requests, key=lambda one: _LANES.index(one) if one in _LANES else len(_LANES))
    )


def pages(export: Export, name: str) -> tuple[float, float] | None:
    """A histogram's median and 95th percentile over the pages that are rewritten."""
    each = export.get(name)
    if each is None or not each.get("bounds"):
        return None
    rows = [row for labels, row in each["rows"] if labels[:1] != ["pass"] and labels[:1] in (["private"], ["shared"])]
    if not rows:
        return None
    total = [sum(column) for column in zip(*rows, strict=True)]
    return _two(each["bounds"], total)


def figures(export: Export) -> tuple[Figure, ...]:
    """Whatever is counted about caches, under its own words, so that a new counter shows without a change here."""
    found = []
    for name, each in export.items():
        if each.get("bounds") or name in _SHOWN_ELSEWHERE or not _OF_CACHES.search(name.removeprefix("edgeproxy_")):
            continue
        rows = sorted(((_words(each["labels"], labels), number) for labels, number in each["rows"]), key=_biggest)
        found.append(Figure(name, each["says"], tuple(rows)))
    return tuple(found)


def value(export: Export, name: str, *labels: str) -> float:
    """The sum of a counter's or gauge's rows whose first labels are these; 0 where nothing was counted."""
    rows = export.get(name, {}).get("rows", ())
    return float(sum(number for have, number in rows if tuple(have[: len(labels)]) == labels))


def rows(export: Export, name: str) -> Iterator[tuple[tuple[str, ...], float]]:
    """A counter's rows with a number in them."""
    for labels, number in export.get(name, {}).get("rows", ()):
        if number:
            yield tuple(labels), number


def _by_first(export: Export, name: str) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for labels, number in export.get(name, {}).get("rows", ()):
        found.setdefault(labels[0], {})[labels[1]] = number
    return found


def _times(export: Export, name: str, lane: str) -> tuple[float, float] | None:
    each: Mapping[str, Any] = export.get(name, {})
    for labels, row in each.get("rows", ()):
        if labels == [lane]:
            return _two(each["bounds"], row)
    return None


def _two(bounds: Sequence[float], row: Sequence[float]) -> tuple[float, float] | None:
    half, most = percentile(bounds, row, 0.5), percentile(bounds, row, 0.95)
    return None if half is None or most is None else (half, most)


def _words(names: Sequence[str], labels: Sequence[str]) -> str:
    return labels[0] if len(labels) == 1 else ", ".join(f"{n} {v}" for n, v in zip(names, labels, strict=True) if v)


def _biggest(row: tuple[str, float]) -> tuple[float, str]:
    return -row[1], row[0]
