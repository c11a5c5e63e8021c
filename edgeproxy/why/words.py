"""The languages of the visitor's own page: one TOML file each beside this module.

Here: reading them, which one a visitor gets, and how a day is said.  Not here: what is said (``account``).  A new
language is a file with the keys of ``en.toml``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any, Final

__all__ = ["Words", "languages", "spoken"]

_HERE: Final = Path(__file__).parent
_RANGE: Final = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9]{1,8})*\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?")
MOST_RANGES: Final = 20  # of an Accept-Language that are looked at


@dataclass(frozen=True, slots=True)
class Words:
    """One language: what its file says, by ``say("remembered.visits", count=3)``."""

    code: str  # BCP 47: "en"
    said: Mapping[str, Any]

    def of(self, table: str) -> Mapping[str, str]:
        """A whole table of the file."""
        found: Mapping[str, str] = self.said[table]
        return found

    def say(self, key: str, **values: object) -> str:
        """A sentence with its values filled in.  KeyError for one that no file has: a fault of ours."""
        found: Any = self.said
        for step in key.split("."):
            found = found[step]
        text: str = found
        return text.format(**values)

    def day(self, at: float, now: float, zone: tzinfo) -> str:
        """The day of a moment (seconds since the epoch) in words, in the shop's timezone."""
        then, today = (datetime.fromtimestamp(min(max(one, 0.0), 4e9), zone).date() for one in (at, now))
        if then == today:
            return self.say("today")
        return self.say("date", day=then.day, month=self.said["months"][then.month - 1], year=then.year)

    def day_of(self, day: int, now: float, zone: tzinfo) -> str:
        """As ``day``, for a day that was remembered as such (days since the epoch, UTC)."""
        if day == int(now // 86400):
            return self.say("today")
        return self.day(day * 86400.0, now, UTC)

    def listed(self, values: Iterable[str]) -> str:
        """ "a, b and c"."""
        found = list(values)
        return f" {self.say('and')} ".join(part for part in (", ".join(found[:-1]), *found[-1:]) if part)


@cache
def languages() -> Mapping[str, Words]:
    """Every language by its code, English first."""
    codes = sorted((path.stem for path in _HERE.glob("*.toml")), key=lambda code: (code != "en", code))
    return {code: Words(code, tomllib.loads((_HERE / f"{code}.toml").read_text("utf-8"))) for code in codes}


def spoken(accept_language: str | None, shop: str) -> Words:
    """The language that the browser wants most of those that there are (RFC 9110, 12.5.4), else the shop's."""
    known = languages()
    best: tuple[float, str] | None = None
    for item in (accept_language or "").split(",", MOST_RANGES)[:MOST_RANGES]:
        if found := _RANGE.fullmatch(item):
            code, weight = found[1].lower(), float(found[2] or 1)
            if code in known and weight > 0 and (best is None or weight > best[0]):
                best = weight, code
    return known[best[1]] if best is not None else known.get(shop, known["en"])
