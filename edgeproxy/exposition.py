"""What was counted, as Prometheus reads it: the text of ``/metrics``.

Here: exported numbers (``counters.Counters.export``) → text.  Not here: counting.  Apart from it, because a worker
counts and never shows: it does without what this takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from edgeproxy.counters import Export

__all__ = ["CONTENT_TYPE", "text"]

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


def text(export: Export) -> bytes:
    """The text that ``/metrics`` answers: these numbers, and what Prometheus knows of every Python process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Shown(export))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return generate_latest(registry)


class _Shown(Collector):
    """Exported numbers, as Prometheus reads them."""

    def __init__(self, export: Export) -> None:
        self._export = export

    def collect(self) -> Iterable[Metric]:
        for name, each in self._export.items():
            rows = sorted((tuple(labels), value) for labels, value in each["rows"])
            says, labels = each["says"], each["labels"]
            if "across" in each:
                gauge = GaugeMetricFamily(name, says, labels=labels)
                for values, number in rows:
                    gauge.add_metric(values, number)
                yield gauge
            elif each["bounds"] is None:
                counter = CounterMetricFamily(name, says, labels=labels)
                for values, number in rows:
                    counter.add_metric(values, number)
                yield counter
            else:
                histogram = HistogramMetricFamily(name, says, labels=labels)
                for values, row in rows:
                    total = 0.0
                    buckets: list[tuple[str, float]] = []
                    for bound, count in zip((*map(str, each["bounds"]), "+Inf"), row, strict=False):
                        total += count
                        buckets.append((bound, total))
                    histogram.add_metric(values, buckets, row[-1])
                yield histogram
