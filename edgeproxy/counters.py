"""Counters and histograms as plain dictionaries, and how Prometheus reads them.

Here: counting (a dictionary's price, since every request pays it), bounded label values, snapshots that can be summed
over several workers, the text for ``/metrics``.  Not here: what is counted (``journal``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE", "SECONDS", "Counter", "Counters", "Histogram"]

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
MOST: Final = 500
"""Different label values of one counter; what comes after them is counted as "other"."""

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Labels = tuple[str, ...]


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

    def family(self) -> Metric:
        family = CounterMetricFamily(self.name, self.says, labels=self.labels)
        for labels, value in sorted(self.values.items()):
            family.add_metric(labels, value)
        return family


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

    def family(self) -> Metric:
        family = HistogramMetricFamily(self.name, self.says, labels=self.labels)
        for labels, row in sorted(self.values.items()):
            total = 0.0
            buckets: list[tuple[str, float]] = []
            for bound, count in zip((*map(str, self.bounds), "+Inf"), row, strict=False):
                total += count
                buckets.append((bound, total))
            family.add_metric(labels, buckets, row[-1])
        return family


Series = TypeVar("Series", Counter, Histogram)


class Counters(Collector):
    """All of one process; ``collect`` is Prometheus' side of it."""

    def __init__(self) -> None:
        self._series: dict[str, Counter | Histogram] = {}
        self._gauges: dict[str, tuple[str, Callable[[], Mapping[Labels, float]], Labels]] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def counter(self, name: str, says: str, *labels: str) -> Counter:
        return self._add(Counter(name, says, labels))

    def histogram(self, name: str, says: str, *labels: str) -> Histogram:
        return self._add(Histogram(name, says, labels))

    def gauge(self, name: str, says: str, read: Callable[[], Mapping[Labels, float]], *labels: str) -> None:
        """A number that goes up and down: ``read`` is asked when somebody wants to know."""
        self._gauges[name] = (says, read, labels)

    def snapshot(self) -> dict[str, Any]:
        """Every number, in plain types."""
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

    def text(self) -> bytes:
        """The text that ``/metrics`` answers, of type ``CONTENT_TYPE``."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        for name, (says, read, labels) in self._gauges.items():
            family = GaugeMetricFamily(name, says, labels=labels)
            for values, number in read().items():
                family.add_metric(values, number)
            yield family
        for series in self._series.values():
            yield series.family()

    def _add(self, series: Series) -> Series:
        if series.name in self._series or series.name in self._gauges:
            raise ValueError(f"{series.name} is counted twice")
        self._series[series.name] = series
        return series
