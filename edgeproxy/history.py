"""What happened lately: counts over time of experiences and slots, and the last decisions, for whoever looks.

Here: ``History`` (fed by the journal, bounded whatever comes), its export in plain types, ``merged`` for several
workers, and questions to the result (``Past``).  Not here: numbers for alarms (``counters``), lines of the log
(``accesslog``), how it looks (``console``).  Pure but for its own state: every moment comes with what is recorded.

Counts are kept minute by minute for an hour and by the quarter of an hour for a day.  Nothing is written down: what
happened before a process began is not known to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from edgeproxy.accesslog import Served, shortened

__all__ = ["DAY", "HOUR", "History", "Past", "Run", "Window", "exported", "merged"]

MOST: Final = 200
"""Different names of one kind; what comes after them is counted as "other"."""
LAST: Final = 200
"""Decisions that are remembered."""
LONGEST: Final = 300  # characters of a path or a reason in a remembered decision

PAGES: Final = "pages"  # HTML documents that some experience could change, by lane
APPLIED: Final = "applied"  # by experience
FOUND: Final = "found"  # by slot: an edit was placed there
LOST: Final = "lost"  # by slot: it was wanted, and no edit could be placed
_KINDS: Final = (PAGES, APPLIED, FOUND, LOST)

Counts = dict[str, dict[str, int]]  # kind → name → how often


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in equal steps."""

    words: str
    step: int  # seconds
    steps: int


HOUR: Final = Window("hour", 60, 60)
DAY: Final = Window("day", 900, 96)


class Run(NamedTuple):
    """On how many pages in a row a slot was wanted and not found, since it was last found; moments, 0.0: never."""

    found_at: float = 0.0
    lost: int = 0
    began: float = 0.0
    why: str = ""  # of the last of these pages

    def longer(self, at: float, why: str, pages: int = 1) -> Run:
        """One page more, or several."""
        return Run(self.found_at, self.lost + pages, self.began or at, why)

    def with_other(self, other: Run) -> Run:
        """What two workers saw: of the one that found it earlier, only a run that began after the other found it."""
        first, last = sorted((self, other))
        if first.began <= last.found_at:
            return last
        why = first.why if first.lost and not last.lost else last.why
        began = min(one.began for one in (first, last) if one.lost)
        return Run(last.found_at, first.lost + last.lost, began, why)


class History:
    """What one process remembers of the requests that it answered."""

    def __init__(self, *, short_addresses: bool = True) -> None:
        self._short = short_addresses
        self._minute = 0
        self._now: Counts = {kind: {} for kind in _KINDS}
        self._minutes: deque[tuple[int, Counts]] = deque(maxlen=HOUR.steps)
        self._quarters: deque[tuple[int, Counts]] = deque(maxlen=DAY.steps)
        self._seen: dict[str, float] = {}
        self._runs: dict[str, Run] = {}
        self._tail: deque[Served] = deque(maxlen=LAST)

    def add(self, served: Served) -> None:
        """Remember a request.  What concerns no page that could be changed, and went well, is no decision."""
        if not (served.personal or served.fault or served.status >= 500):
            return
        self._tail.append(served)
        if not served.preview:
            self.add_many(served, 1, served.at + served.total_ms / 1000)

    def add_many(self, served: Served, times: int, ended: float) -> None:
        """Count so many like this one, the last of which has ``ended``; none of them was a decision of its own."""
        if not served.personal:
            return
        minute = int(ended // HOUR.step)
        if minute > self._minute:  # a clock that goes backwards counts into the minute that it has reached
            self._roll(minute)
        now = self._now
        _count(now[PAGES], served.lane, times)
        for name in served.applied:
            _count(now[APPLIED], name, times)
            if name in self._seen or len(self._seen) < MOST:
                self._seen[name] = ended
        for slot in served.found:
            _count(now[FOUND], slot, times)
            if slot in self._runs or len(self._runs) < MOST:
                self._runs[slot] = Run(found_at=ended)
        for slot, why in dict(served.failed).items():
            if slot not in served.found and slot != "style":
                _count(now[LOST], slot, times)
                if slot in self._runs or len(self._runs) < MOST:
                    self._runs[slot] = self._runs.get(slot, Run()).longer(ended, why[:LONGEST], times)

    def export(self) -> dict[str, Any]:
        """Everything in plain types: what ``merged`` takes."""
        minutes = [*self._minutes, (self._minute, self._now)] if self._minute else []
        quarters = [*self._quarters]
        if minutes:
            _into(quarters, *minutes[-1])
        return {
            "minutes": [[at, counts] for at, counts in minutes],
            "quarters": [[at, counts] for at, counts in quarters],
            "seen": dict(self._seen),
            "runs": {slot: list(run) for slot, run in self._runs.items()},
            "tail": [self._told(served) for served in self._tail],
        }

    def _roll(self, minute: int) -> None:
        if self._minute:
            self._minutes.append((self._minute, self._now))
            _into(self._quarters, self._minute, self._now)
        self._minute = minute
        self._now = {kind: {} for kind in _KINDS}

    def _told(self, served: Served) -> dict[str, Any]:
        """A remembered request as the log would tell it, with the visitor's labels: no cookie, no query, no id."""
        told = served._asdict()
        told["client"] = shortened(served.client) if self._short else served.client
        told["outcomes"] = dict(served.outcomes)
        told["ended"] = served.at + served.total_ms / 1000
        for name in ("path", "why", "problem"):
            told[name] = told[name][:LONGEST]
        return told


def _count(counts: dict[str, int], name: str, times: int) -> None:
    if name not in counts and len(counts) >= MOST:
        name = "other"
    counts[name] = counts.get(name, 0) + times


def _into(quarters: deque[tuple[int, Counts]] | list[tuple[int, Counts]], minute: int, counts: Counts) -> None:
    """Add a minute to its quarter of an hour, the last one there or a new one; nothing is changed in place."""
    quarter = minute * HOUR.step // DAY.step
    before: Counts = {}
    if quarters and quarters[-1][0] == quarter:
        before = quarters.pop()[1]
    quarters.append((quarter, _sum(before, counts)))


def _sum(*all_counts: Counts) -> Counts:
    total: Counts = {}
    for counts in all_counts:
        for kind, names in counts.items():
            mine = total.setdefault(kind, {})
            for name, number in names.items():
                if name not in mine and len(mine) >= MOST:
                    name = "other"
                mine[name] = mine.get(name, 0) + number
    return total


# --------------------------------------------------------------------------- several workers, and questions


@dataclass(frozen=True, slots=True)
class Past:
    """What several processes remember together."""

    minutes: Mapping[int, Counts]  # by minute since the epoch
    quarters: Mapping[int, Counts]  # by quarter of an hour since the epoch
    seen: Mapping[str, float]  # experience → when it last changed a page
    runs: Mapping[str, Run]  # slot → how it fares now
    tail: tuple[Mapping[str, Any], ...]  # the last decisions, newest first

    def series(self, kind: str, name: str, now: float, window: Window) -> list[int]:
        """How often, step by step, oldest first; the last step is the one that ``now`` is in."""
        counts = self.minutes if window is HOUR else self.quarters
        last = int(now // window.step)
        return [counts.get(step, {}).get(kind, {}).get(name, 0) for step in range(last - window.steps + 1, last + 1)]

    def total(self, kind: str, now: float, window: Window) -> dict[str, int]:
        """How often in the whole window, by name."""
        counts = self.minutes if window is HOUR else self.quarters
        last = int(now // window.step)
        inside = (each for step, each in counts.items() if last - window.steps < step <= last)
        return _sum(*inside).get(kind, {})


def merged(exports: Iterable[Mapping[str, Any]]) -> Past:
    """What several processes' exports come to; {} is a process that remembers nothing."""
    minutes: dict[int, Counts] = {}
    quarters: dict[int, Counts] = {}
    seen: dict[str, float] = {}
    runs: dict[str, Run] = {}
    tail: list[Mapping[str, Any]] = []
    for export in exports:
        for into, key in ((minutes, "minutes"), (quarters, "quarters")):
            for at, counts in export.get(key, ()):
                into[at] = _sum(into.get(at, {}), counts)
        for name, at in export.get("seen", {}).items():
            seen[name] = max(at, seen.get(name, 0.0))
        for slot, told in export.get("runs", {}).items():
            run = Run(*told)
            runs[slot] = run.with_other(runs[slot]) if slot in runs else run
        tail += export.get("tail", ())
    tail.sort(key=lambda each: each["ended"], reverse=True)
    return Past(_newest(minutes, HOUR), _newest(quarters, DAY), seen, runs, tuple(tail[:LAST]))


def exported(past: Past) -> dict[str, Any]:
    """A past as an export again: of processes that have ended."""
    return {
        "minutes": [[at, counts] for at, counts in past.minutes.items()],
        "quarters": [[at, counts] for at, counts in past.quarters.items()],
        "seen": dict(past.seen),
        "runs": {slot: list(run) for slot, run in past.runs.items()},
        "tail": list(past.tail),
    }


def _newest(counts: dict[int, Counts], window: Window) -> dict[int, Counts]:
    return dict(sorted(counts.items())[-window.steps :])
