"""Small drawings as SVG geometry: bars over time, and strips of a calendar.

Here: numbers in, coordinates out.  Not here: colours (the style sheet), markup (templates).  Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["WIDTH", "Month", "Span", "bars", "month_after", "months", "rates", "span"]

BARS: Final = 48  # at most; more steps are put together
GAP: Final = 0.25  # between two bars, of a bar's width
WIDTH: Final = 1000.0  # of a calendar's strip, in units of its drawing
THINNEST: Final = 3.0  # an hour in a strip of months can still be seen


def bars(values: Sequence[int], width: float, height: float) -> str:
    """The path of a bar for each step, the highest as high as there is room; "" where all are nothing."""
    size = _size(values)
    steps = [sum(values[place : place + size]) for place in range(0, len(values), size)]
    most = max(steps, default=0)
    return _path([(0.0, step / most if most else 0.0) for step in steps], width, height)


def rates(steps: Sequence[tuple[int, int]], width: float, height: float) -> tuple[str, str]:
    """Two paths for (found, lost) step by step: what was found from below, what was lost above it."""
    size = _size(steps)
    found, lost = [], []
    for place in range(0, len(steps), size):
        part = steps[place : place + size]
        good, bad = sum(one[0] for one in part), sum(one[1] for one in part)
        share = good / (good + bad) if good + bad else 0.0
        found.append((0.0, share))
        lost.append((share, 1.0 if bad else share))
    return _path(found, width, height), _path(lost, width, height)


def _size(values: Sequence[object]) -> int:
    """How many steps make a bar."""
    return -(-len(values) // BARS) or 1


def _path(heights: Sequence[tuple[float, float]], width: float, height: float) -> str:
    """Rectangles from one share of the height to another, side by side; what would be lower than a pixel is one."""
    step = width / (len(heights) or 1)
    drawn = []
    for place, (low, high) in enumerate(heights):
        if high > low:
            x, y = place * step, height * (1 - max(high, low + 1 / height))
            drawn.append(f"M{x:.1f} {height * (1 - low):.1f}V{y:.1f}h{step * (1 - GAP):.1f}V{height * (1 - low):.1f}z")
    return "".join(drawn)


# --------------------------------------------------------------------------- calendars


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a strip; ``open_left`` and ``open_right`` say that it goes on beyond."""

    x: float
    width: float
    open_left: bool
    open_right: bool


@dataclass(frozen=True, slots=True)
class Month:
    name: str  # "December"
    year: int
    span: Span


def month_after(at: float, zone: ZoneInfo, number: int) -> float:
    """The beginning of the month ``number`` months after the one that ``at`` is in (0: its own)."""
    there = datetime.fromtimestamp(at, zone)
    count = there.year * 12 + there.month - 1 + number
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=zone).timestamp()


def months(start: float, number: int, zone: ZoneInfo) -> tuple[Month, ...]:
    """The months of a strip that begins with the one that ``start`` is in."""
    edges = [month_after(start, zone, place) for place in range(number + 1)]
    found = []
    for begins, ends in pairwise(edges):
        there = datetime.fromtimestamp(begins, zone)
        drawn = span(begins, ends, edges[0], edges[-1])
        assert drawn is not None
        found.append(Month(f"{there:%B}", there.year, drawn))
    return tuple(found)


def span(begins: float | None, ends: float | None, start: float, stop: float) -> Span | None:
    """Where a stretch of time is on a strip from ``start`` to ``stop``; None where it is not on it."""
    low = start if begins is None else max(begins, start)
    high = stop if ends is None else min(ends, stop)
    if high <= low:
        return None
    unit = WIDTH / (stop - start)
    x, width = (low - start) * unit, max((high - low) * unit, THINNEST)
    return Span(
        round(min(x, WIDTH - width), 1),
        round(width, 1),
        begins is None or begins < start,
        ends is None or ends > stop,
    )
