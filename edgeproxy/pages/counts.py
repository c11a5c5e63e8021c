"""What is counted of the page cache.

Here: names of counters and gauges.  Not here: how they are kept (``counters``), what each request
came to (``journal``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from edgeproxy.counters import Counters
from edgeproxy.pages.store import Store

__all__ = ["Counts"]

_VARIABLE: Final = re.compile(r'"[^"]*"|\([^)]*\)|[0-9][0-9,]*')
"""Names and numbers inside reasons: one series each would be a series a page."""


class Counts:
    """Of one worker."""

    def __init__(self, counters: Counters, hit: Callable[[str], object] = lambda limit: None) -> None:
        """``hit`` is told the names of limits (``settings.Limits``) that were hit."""
        self._hit = hit
        count = counters.counter
        self._counters = counters
        self._refused = count("edgeproxy_cache_refused_total", "Answers that were not kept, by reason", "why")
        self._kept = count("edgeproxy_cache_kept_total", "Answers kept, anew or confirmed")
        self._purged = count("edgeproxy_cache_purged_total", "Pages forgotten because somebody asked for it")

    def watch(self, store: Store) -> None:
        """Tell of what is there."""
        gauge = self._counters.gauge
        gauge("edgeproxy_cache_bytes", "Memory of kept pages, about", lambda: {(): store.size})
        gauge("edgeproxy_cache_limit_bytes", "The most that it may be", lambda: {(): store.most})
        gauge("edgeproxy_cache_pages", "Kept pages", lambda: {(): len(store)})
        gauge("edgeproxy_cache_evicted", "Pages that went for want of room, so far", lambda: {(): store.evicted})

    def kept(self) -> None:
        self._kept.add()

    def refused(self, why: str) -> None:
        self._refused.add(_VARIABLE.sub("…", why)[:80])

    def full(self) -> None:
        """There was no room for everything."""
        self._hit("cache_bytes")

    def too_long(self) -> None:
        """An answer that is no page was too long to keep."""
        self._hit("cache_file_bytes")

    def purged(self, count: int) -> None:
        self._purged.add(by=count)
