"""Moments: what a date in a rule file means, and how a moment is said.

Here: TOML dates and times in the shop's timezone → seconds since the epoch.  Not here: what time it is.
Called by the rule parser, by commands and previews that take a moment (``--at``), by explanations.
"""

from __future__ import annotations

import difflib
import re
from datetime import date, datetime, time
from zoneinfo import ZoneInfo, available_timezones

_DASHED = re.compile(r"\d{4}-\d\d-\d\d")


class MomentError(ValueError):
    """A value that is no moment; ``what`` and ``hint`` are for people."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what} ({hint})" if hint else what)
        self.what = what
        self.hint = hint


def zone(name: str) -> ZoneInfo:
    """An IANA timezone by its name ("Europe/Stockholm").  Raises MomentError."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # not found, a path outside, a folder such as "Europe", "" …
        near = difflib.get_close_matches(name, available_timezones(), 1)
        hint = f'did you mean "{near[0]}"?' if near else 'a name such as "Europe/Stockholm"'
        raise MomentError(f'unknown timezone "{name}"', hint) from None


def moment(value: object, timezone: ZoneInfo) -> float:
    """A TOML date or date-time → seconds since the epoch.  Raises MomentError.

    A bare date is 00:00 in ``timezone``; a local date-time is in ``timezone``; an offset wins.  A time that DST
    skips moves forward by what was skipped, one that it doubles is the first: PEP 495's ``fold=0`` reads both so.
    """
    if isinstance(value, datetime):
        local = value if value.tzinfo is not None else value.replace(tzinfo=timezone, fold=0)
    elif isinstance(value, date):
        local = datetime.combine(value, time(), timezone)
    elif isinstance(value, time):
        raise MomentError("a time alone is no moment", "write date and time: 2026-12-24T10:00:00")
    elif isinstance(value, str):
        raise MomentError("a moment is written without quotes", _unquoted(value))
    else:
        raise MomentError("not a date or date-time", "2026-12-24 or 2026-12-24T10:00:00")
    return local.timestamp()


def from_text(text: str, timezone: ZoneInfo) -> float:
    """A moment as people type it: ``2026-12-24``, ``2026-12-24T10:00``, with or without offset.  Raises MomentError."""
    text = text.strip()
    try:
        if not _DASHED.match(text):  # ISO 8601 knows 20261224 and 2026-W52-4, too; rule files do not
            raise ValueError
        # Past ten characters there is a time, and fromisoformat of a date would not take it.
        value = date.fromisoformat(text) if len(text) <= len("2026-12-24") else datetime.fromisoformat(text)
    except ValueError:
        raise MomentError(f'"{text[:40]}" is not a date or date-time', "2026-12-24 or 2026-12-24T10:00") from None
    return moment(value, timezone)


def parse_moment(text: str, timezone: str) -> float:
    """``from_text`` for who has the timezone's name (``--at``, ``edge_at``).  Raises MomentError, a ValueError."""
    return from_text(text, zone(timezone))


def as_text(at: float, timezone: ZoneInfo) -> str:
    """A moment in words for explanations: "2026-11-01 00:00 Europe/Stockholm" (seconds only where there are any)."""
    try:
        local = datetime.fromtimestamp(at, timezone)
    except (OverflowError, ValueError, OSError):
        return f"{at:.0f} seconds after 1970"
    form = "%Y-%m-%d %H:%M:%S" if local.second else "%Y-%m-%d %H:%M"
    # strftime does not pad years below 1000 everywhere
    return f"{local.strftime(form)} {timezone.key or 'UTC'}"


def _unquoted(text: str) -> str:
    try:
        from_text(text, ZoneInfo("UTC"))
    except MomentError:
        return "2026-12-24 or 2026-12-24T10:00:00"
    return f"{text} without the quotes"
