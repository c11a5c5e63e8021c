"""Dates of HTTP, read strictly: what is none of the three forms is no date (RFC 9110, 5.6.7).

Only their letters may be of any case, as a cache should take them (RFC 9111, 4.2).

Pure text; used for everything that a cache decides by (``core.freshness``).  The standard library's own reader is
kinder: it takes offsets, missing seconds and words that no cache may build on.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

__all__ = ["parse"]

_MONTHS: Final = {
    "Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6,
    "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11, "Dec": 12,
}  # fmt: skip
_DAY: Final = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_TIME: Final = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH: Final = "(?P<month>[A-Z][a-z]{2})"
_ANY_CASE: Final = re.IGNORECASE | re.ASCII
_FORMS: Final = (
    # IMF-fixdate, the only form that is sent today
    re.compile(rf"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT", _ANY_CASE),
    # RFC 850, with two digits of year
    re.compile(
        rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",
        _ANY_CASE,
    ),
    # asctime of C
    re.compile(rf"{_DAY} {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})", _ANY_CASE),
)


def parse(value: bytes, now: float) -> float | None:
    """Seconds since the epoch; None for what is no date.

    ``now`` decides the century of a year of two digits: one that seems more than 50 years ahead is past.
    """
    text = value.strip(b" \t").decode("latin-1")
    for form in _FORMS:
        found = form.fullmatch(text)
        if found is not None:
            return _seconds(found, now)
    return None


def _seconds(found: re.Match[str], now: float) -> float | None:
    month = _MONTHS.get(found["month"].title())
    if month is None:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        this = datetime.fromtimestamp(now, UTC).year
        year += this - this % 100
        if year > this + 50:
            year -= 100
    second = min(int(found["second"]), 59)  # a leap second is no time of Python's
    try:
        moment = datetime(year, month, int(found["day"]), int(found["hour"]), int(found["minute"]), second, tzinfo=UTC)
    except ValueError:
        return None
    return moment.timestamp() if int(found["second"]) <= 60 else None
