"""Moments, durations and numbers in words, for one page of the console: relative to its now, in the shop's timezone.

Here: pure text.  Not here: what is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from edgeproxy.core import durations

__all__ = ["Telling", "milliseconds", "number", "size"]


@dataclass(frozen=True, slots=True)
class Telling:
    """Words for moments, at ``now`` (seconds since the epoch)."""

    now: float
    zone: ZoneInfo

    def ago(self, at: float) -> str:
        """``3 minutes ago``; what is not older than some seconds is ``just now``."""
        passed = self.now - at
        return "just now" if passed < 5 else f"{durations.words(passed)} ago"

    def clock(self, at: float) -> str:
        """``14:05:09``, with its day where that is not today."""
        there, here = datetime.fromtimestamp(at, self.zone), datetime.fromtimestamp(self.now, self.zone)
        return f"{there:%H:%M:%S}" if there.date() == here.date() else f"{there.day} {there:%b %H:%M:%S}"

    def day(self, at: float) -> str:
        """``24 December``, with its year where that is another, and its time where it is not midnight."""
        there, here = datetime.fromtimestamp(at, self.zone), datetime.fromtimestamp(self.now, self.zone)
        year = f" {there.year}" if there.year != here.year else ""
        time = f", {there:%H:%M}" if (there.hour, there.minute) != (0, 0) else ""
        return f"{there.day} {there:%B}{year}{time}"

    def schedule(self, begins: float | None, ends: float | None) -> str:
        """``from 1 November until 1 February 2027``; ``always``."""
        said = [f"from {self.day(begins)}"] if begins is not None else []
        said += [f"until {self.day(ends)}"] if ends is not None else []
        return " ".join(said) or "always"


def number(value: float) -> str:
    """``7``, ``1,234``, ``12.3 k``, ``4.5 M``."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= limit:
            scale = {"G": 1e9, "M": 1e6, "k": 1e3}[unit]
            return f"{value / scale:.3g} {unit}"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def milliseconds(seconds: float) -> str:
    """``0.21 ms``, ``14 ms``, ``1.2 s``."""
    ms = seconds * 1000
    if ms >= 1000:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.2g} ms"


def size(count: float) -> str:
    """Bytes: ``812 B``, ``14 KB``, ``2.1 MB``."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return f"{count:.0f} B"
