"""What happened: one record a request → a line in the access log, and counters.

Here: what is counted, under which names.  Not here: how (``counters``), and lines (``accesslog``).  Previews are
logged and never counted.  Nothing here blocks or raises: a journal that fails must not fail a page.
Called by ``proxy`` once per request, by the guard for what it refuses, and by whoever loads rules.
"""

from __future__ import annotations

import functools
import logging
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Final, Protocol, TextIO

from edgeproxy import __version__
from edgeproxy.accesslog import LogWriter, Repeated, Served, as_json, as_text
from edgeproxy.core.model import RuleBook, Slot
from edgeproxy.core.policy import TOO_BIG
from edgeproxy.counters import LIMITS, Counters
from edgeproxy.history import History
from edgeproxy.settings import Limits, Settings

__all__ = ["Journal", "Refused", "Served"]

_log = logging.getLogger("edgeproxy")

_NUMBERS: Final = re.compile(r"[0-9]+")
_LIMITS: Final = frozenset(each.name for each in fields(Limits))
_REFUSED: Final = {405: "method", 413: "too_long", 421: "host", 505: "version", 508: "loop"}
"""Why a request was turned away, in one word, where it was no limit and not malformed: labels must be few."""
_CLASSES: Final = {n: f"{n}xx" for n in range(1, 10)}


class Refused(Protocol):
    """What the guard says of a request that it turned away (``server.head.Refused``)."""

    @property
    def status(self) -> int: ...
    @property
    def why(self) -> str: ...
    @property
    def limit(self) -> str: ...
    @property
    def asked(self) -> tuple[str, str, str]: ...


class Journal:
    """Log and counters of one process."""

    def __init__(
        self, settings: Settings, *, stream: TextIO | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """``stream`` is where the access log goes (left out: standard output)."""
        line = as_json if settings.log == "json" else as_text
        short = settings.log_addresses != "full"
        self.log = LogWriter(stream or sys.stdout, functools.partial(line, short=short))
        self.history = History(short_addresses=short)
        self._clock = clock
        self._version = ""
        self._live = False
        self._repeated: list[Repeated] = []  # of which some have to be counted
        self.counters = counters = Counters(before=self.settle)
        count, measure = counters.counter, counters.histogram
        self.requests = count("edgeproxy_requests_total", "Requests answered", "lane", "status")
        self.bytes = count("edgeproxy_response_bytes_total", "Bytes of bodies sent", "lane")
        self.seconds = measure("edgeproxy_request_seconds", "From a request's head to its answer's end", "lane")
        self.origin_seconds = measure("edgeproxy_origin_seconds", "Of it, waiting for the shop", "lane")
        self.edge_seconds = measure("edgeproxy_edge_seconds", "Of it, our own work", "lane")
        self.applied = count("edgeproxy_experiences_applied_total", "Pages that an experience changed", "experience")
        self.edits = count("edgeproxy_edits_total", "What became of edits", "outcome")
        self.failed = count("edgeproxy_slots_failed_total", "Slots left alone on a page", "slot", "reason")
        self.distrusted_slots = count("edgeproxy_slots_distrusted_total", "Slots that failed verification", "slot")
        self.slow_pages = count("edgeproxy_pages_slow_total", "Pages in which finding the slots took too long")
        self.visitors = count("edgeproxy_visitors_total", "Requests by where the visitor's labels came from", "source")
        self.refusals = count("edgeproxy_refusals_total", "Requests turned away, by limit or fault", "status", "why")
        self.limits = count(LIMITS, "Times that a limit was hit, by its name", "limit")
        self.faults = count("edgeproxy_faults_total", "Failures of our own")
        self.cuts = count("edgeproxy_cuts_total", "Answers broken off after their head")
        self.cache = count("edgeproxy_cache_requests_total", "Requests by what the page cache came to", "how")
        self.loads = count("edgeproxy_rules_loads_total", "Times that the rules were read", "result")
        counters.gauge("edgeproxy_info", "What runs", lambda: {(__version__,): 1}, "version", across="max")
        counters.gauge("edgeproxy_rules_info", "The live rules", lambda: {(self._version,): 1}, "version", across="max")
        counters.gauge(
            "edgeproxy_rules_good", "1 when the rules on disk are live", lambda: {(): float(self._live)}, across="min"
        )
        counters.gauge("edgeproxy_log_lines_dropped", "Lines that the log did not take", lambda: {(): self.log.dropped})

    def served(self, served: Served) -> None:
        """A request has been answered, or its connection is gone."""
        try:
            self.log.put(served)
            self.history.add(served)
            if not served.preview:
                self._count(served)
            elif served.fault:
                self.faults.add()
        except Exception as problem:  # the answer has left: it is told, and nothing more
            self.fault(problem)

    def repeats(self, served: Served) -> Repeated:
        """A place for answers like this one: they are logged one by one (``log``), and counted later (``settle``)."""
        return Repeated(served, self._repeated)

    def settle(self) -> None:
        """Count what was only noted so far; somebody looks, or some time has passed."""
        try:
            while self._repeated:
                self._count_repeats(self._repeated.pop())
        except Exception:
            _log.exception("keeping the journal")

    def refused(self, refused: Refused, address: str, request_id: str) -> None:
        """The guard has turned a request away; without a request id it closed the connection without an answer."""
        try:
            self._turned_away(refused.status, refused.limit)
            if refused.limit in _LIMITS:
                self.limits.add(refused.limit)
            if request_id:
                method, host, path = refused.asked
                self.log.put(
                    Served(
                        at=self._clock(),
                        method=method,
                        host=host,
                        path=path,
                        status=refused.status,
                        lane="refused",
                        why=refused.why,
                        request_id=request_id,
                        client=address,
                    )
                )
        except Exception:
            _log.exception("keeping the journal")

    def limit_hit(self, limit: str) -> None:
        """A limit, by the name of its field in ``Limits``, has ended something without anybody being refused."""
        self.limits.add(limit)

    def _turned_away(self, status: int, word: str, times: int = 1) -> None:
        self.refusals.add(str(status), word or _REFUSED.get(status, "malformed"), by=times)

    def fault(self, problem: BaseException) -> None:
        """Something of ours failed where nobody else tells of it: traceback and counter."""
        self.faults.add()
        _log.error("a fault of ours", exc_info=problem)

    def rules(self, book: RuleBook | None, *, ok: bool) -> None:
        """The rules were read: ``book`` is the live one now, ``ok`` whether what is on disk is it."""
        self.loads.add("live" if ok else "refused")
        self._live = ok
        self._version = "" if book is None else book.version

    def distrusted(self, slot: str, path: str, why: str) -> None:
        """Verification found that a slot's range is not what the page's tree says."""
        self.distrusted_slots.add(slot)
        _log.warning("slot %s on %s is left alone: %s", slot, path, why)

    def slow_page(self, path: str, slots: Sequence[Slot], why: str) -> None:
        """Finding these slots took so long that pages like this one are left alone."""
        self.slow_pages.add()
        looked = ", ".join(f"{slot.name} ({slot.find})" for slot in slots)
        _log.warning("%s: %s; pages of that size stay the shop's own there. Slots: %s", path, why, looked)

    def metrics(self) -> bytes:
        """The text for Prometheus (``exposition``)."""
        from edgeproxy import exposition  # a worker never shows what it counts

        return exposition.text(self.counters.export())

    def close(self) -> None:
        """Write what waits."""
        self.log.close()

    def _count_repeats(self, repeated: Repeated) -> None:
        """What ``_count`` would have counted, for all of them at once."""
        hits, seconds, slow, served = repeated.hits, repeated.seconds, repeated.slow, repeated.served
        repeated.hits, repeated.seconds, repeated.slow = 0, 0.0, []
        lane = served.lane
        for histogram in (self.seconds, self.edge_seconds):
            histogram.observe_many(hits - len(slow), seconds - sum(slow), lane)
            for each in slow:
                histogram.observe(each, lane)
        self._count_what(served, hits)
        self.history.add_many(served, hits, self._clock())

    def _count(self, served: Served) -> None:
        lane = served.lane
        self._count_what(served, 1)
        self.seconds.observe(served.total_ms / 1000, lane)
        if served.origin_ms:
            self.origin_seconds.observe(served.origin_ms / 1000, lane)
        if served.edge_ms:
            self.edge_seconds.observe(served.edge_ms / 1000, lane)
        if served.fault:
            self.faults.add()
        if served.cut:
            self.cuts.add()

    def _count_what(self, served: Served, times: int) -> None:
        lane = served.lane
        if served.why.startswith(TOO_BIG):
            self.limits.add("page_bytes")
        self.requests.add(lane, _CLASSES.get(served.status // 100, "none"), by=times)
        if lane == "refused":
            self._turned_away(served.status, "fault" if served.fault else "", times)
        self.bytes.add(lane, by=served.bytes * times)
        if served.source:
            self.visitors.add(served.source, by=times)
        if served.cache:
            self.cache.add(served.cache, by=times)
        for name in served.applied:
            self.applied.add(name, by=times)
        for outcome, number in served.outcomes.items():
            self.edits.add(outcome, by=number * times)
        for slot, why in served.failed:
            # Reasons are sentences with numbers in them: one series each would be a series a page.
            self.failed.add(slot, _NUMBERS.sub("N", why)[:80], by=times)
