"""Durations in words, both ways: ``"7d"``, ``"12h"``, ``"30 minutes"`` → seconds, and seconds → ``"3 hours"``.

Pure text; used by preview links, cookies and explanations.
"""

from __future__ import annotations

import re
from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0
WEEK: Final = 7 * DAY

_UNITS: Final = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": MINUTE,
    "min": MINUTE,
    "minute": MINUTE,
    "h": HOUR,
    "hr": HOUR,
    "hour": HOUR,
    "d": DAY,
    "day": DAY,
    "w": WEEK,
    "week": WEEK,
}
_DURATION: Final = re.compile(r"([0-9]{1,6}) ?([a-z]+)", re.ASCII)
_LONGER: Final = re.compile(r"(mon|month|y|yr|year)s?")


class NotADuration(ValueError):
    """The text is no duration; the message says what one looks like."""


def parse(text: str) -> float:
    """Seconds of one number and one unit: seconds, minutes, hours, days, weeks or their first letters.

    Raises NotADuration, also for zero.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match:
        number, unit = int(match[1]), match[2]
        seconds = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s"))
        if seconds and number:
            return number * seconds
        if _LONGER.fullmatch(unit):
            raise NotADuration(f'"{text}": months and years differ in length: write days or weeks, like "365 days"')
    raise NotADuration(f'"{text}" is no duration: write it like "7d", "12h" or "30 minutes"')


def words(seconds: float) -> str:
    """The duration in its largest fitting unit, rounded down: ``"3 hours"``, ``"1 day"``, ``"0 seconds"``."""
    for unit, size in (("day", DAY), ("hour", HOUR), ("minute", MINUTE), ("second", 1.0)):
        number = int(seconds // size)
        if number or unit == "second":
            break
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
