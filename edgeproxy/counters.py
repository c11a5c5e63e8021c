"""Counters and histograms as plain dictionaries, and how Prometheus reads them.

Here: counting (a dictionary's price, since every request pays it), bounded label values, snapshots that can be summed
over several workers.  Not here: what is counted (``journal``), the text for ``/metrics`` (``exposition``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

__all__ = ["LIMITS", "SECONDS", "Counter", "Counters", "Export", "Histogram", "summed"]

MOST: Final = 500
"""Different label values of one counter; what comes after them is counted as "other"."""

LIMITS: Final = "edgeproxy_limits_total"
"""Times that a limit was hit: counted in workers and in the supervisor alike."""

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Labels = tuple[str, ...]
Export = Mapping[str, Mapping[str, Any]]
"""All numbers of a process by name, in plain types, with what is needed to sum and to show them."""


class Counter:
    """A number for each combination of labels; it only grows."""

    __slots__ = ("_overflow", "labels", "name", "says", "values")

    def __init__(self, name: str, says: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.says = says
        self.labels = tuple(labels)
        self.values: dict[Labels, float] = {} if labels else {(): 0}
        self._overflow = ("other",) * len(self.labels)

    def add(self, *labels: str, by: float = 1) -> None:
        """Count; ``labels`` in the order in which they were declared."""
        values = self.values
        if labels in values:
            values[labels] += by
        elif len(values) < MOST:
            values[labels] = by
        else:
            values[self._overflow] = values.get(self._overflow, 0) + by

    def get(self, *labels: str) -> float:
        """What has been counted so far."""
        return self.values.get(labels, 0)


class Histogram:
    """How often a duration fell into each bucket, for each combination of labels; and their sum."""

    __slots__ = ("bounds", "labels", "name", "says", "values")

    def __init__(self, name: str, says: str, labels: Sequence[str] = (), bounds: Sequence[float] = SECONDS) -> None:
        self.name = name
        self.says = says
        self.labels = tuple(labels)
        self.bounds = tuple(bounds)
        self.values: dict[Labels, list[float]] = {}  # a number per bucket, one above all bounds, the sum

    def observe(self, value: float, *labels: str) -> None:
        row = self.values.get(labels)
        if row is None:
            row = self.values[labels] = [0.0] * (len(self.bounds) + 2)
        row[bisect_left(self.bounds, value)] += 1
        row[-1] += value

    def observe_many(self, times: int, seconds: float, *labels: str) -> None:
        """So many durations of the first bucket, ``seconds`` in all."""
        row = self.values.get(labels)
        if row is None:
            row = self.values[labels] = [0.0] * (len(self.bounds) + 2)
        row[0] += times
        row[-1] += seconds


Series = TypeVar("Series", Counter, Histogram)


@dataclass(frozen=True, slots=True)
class _Gauge:
    says: str
    labels: Labels
    read: Callable[[], Mapping[Labels, float]]
    across: str  # what several processes come to: "sum", "max" or "min"


class Counters:
    """All of one process."""

    def __init__(self, *, before: Callable[[], None] = lambda: None) -> None:
        """``before`` is called when somebody is about to look: what was put off is counted then."""
        self._before = before
        self._series: dict[str, Counter | Histogram] = {}
        self._gauges: dict[str, _Gauge] = {}

    def counter(self, name: str, says: str, *labels: str) -> Counter:
        return self._add(Counter(name, says, labels))

    def histogram(self, name: str, says: str, *labels: str) -> Histogram:
        return self._add(Histogram(name, says, labels))

    def gauge(
        self, name: str, says: str, read: Callable[[], Mapping[Labels, float]], *labels: str, across: str = "sum"
    ) -> None:
        """A number that goes up and down: ``read`` is asked when somebody wants to know.

        ``across`` says what the numbers of several workers come to: their "sum", "max" or "min".
        """
        self._gauges[name] = _Gauge(says, labels, read, across)

    def snapshot(self) -> dict[str, Any]:
        """Every number, in plain types."""
        self._before()
        return {name: [[list(k), v] for k, v in series.values.items()] for name, series in self._series.items()}

    def add_snapshot(self, snapshot: Mapping[str, Any]) -> None:
        """Sum another process's numbers into these."""
        for name, rows in snapshot.items():
            series = self._series.get(name)
            for labels, value in rows:
                if isinstance(series, Counter):
                    series.add(*labels, by=value)
                elif isinstance(series, Histogram) and len(value) == len(series.bounds) + 2:
                    mine = series.values.get(tuple(labels))
                    series.values[tuple(labels)] = [
                        a + b for a, b in zip(mine or [0.0] * len(value), value, strict=True)
                    ]

    def export(self) -> dict[str, Any]:
        """Every number with its meaning, in plain types: what ``summed`` takes."""
        self._before()
        found: dict[str, Any] = {}
        for name, series in self._series.items():
            rows = [[list(labels), value] for labels, value in series.values.items()]
            bounds = list(series.bounds) if isinstance(series, Histogram) else None
            found[name] = {"says": series.says, "labels": list(series.labels), "bounds": bounds, "rows": rows}
        for name, gauge in self._gauges.items():
            rows = [[list(labels), value] for labels, value in gauge.read().items()]
            found[name] = {"says": gauge.says, "labels": list(gauge.labels), "across": gauge.across, "rows": rows}
        return found

    def _add(self, series: Series) -> Series:
        if series.name in self._series or series.name in self._gauges:
            raise ValueError(f"{series.name} is counted twice")
        self._series[series.name] = series
        return series


def _plus(a: float, b: float) -> float:
    return a + b


_ACROSS: Final[Mapping[str, Callable[[float, float], float]]] = {"sum": _plus, "max": max, "min": min}


def summed(exports: Iterable[Export], *, gauges: bool = True) -> dict[str, Any]:
    """What several processes come to.  ``gauges=False`` keeps what only grows: of processes that have ended."""
    total: dict[str, Any] = {}
    for export in exports:
        for name, each in export.items():
            if "across" in each and not gauges:
                continue
            mine = total.setdefault(name, {**each, "rows": {}})
            if mine["labels"] != each["labels"] or mine.get("bounds") != each.get("bounds"):
                continue  # of another version of us: it cannot be summed
            combine = _ACROSS.get(each.get("across", "sum"), _plus)
            rows = mine["rows"]
            for labels, value in each["rows"]:
                key = tuple(labels)
                if key not in rows:
                    rows[key] = value
                elif isinstance(value, list):
                    rows[key] = [combine(a, b) for a, b in zip(rows[key], value, strict=True)]
                else:
                    rows[key] = combine(rows[key], value)
    return {name: {**each, "rows": [[list(k), v] for k, v in each["rows"].items()]} for name, each in total.items()}
