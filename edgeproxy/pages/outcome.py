"""What the page cache says to a request, and its limits: nouns.

Here: ``Found``, ``Unshared`` (the third answer is a ``Filling``), ``Keeping``.  Not here: how it comes to them
(``cache``, ``asking``).
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeproxy.pages.filling import Filling
from edgeproxy.pages.model import StoredPage

__all__ = ["Found", "Keeping", "Outcome", "Unshared"]


@dataclass(frozen=True, slots=True)
class Found:
    """A page, and how it came: "hit", "stale" (the shop was not waited for, or failed), "confirmed" (it said 304),
    "miss" (it was asked for, by whomever)."""

    page: StoredPage
    how: str

    @property
    def everyone(self) -> bool:
        """As ``StoredPage.everyone``."""
        return self.page.everyone


@dataclass(frozen=True, slots=True)
class Unshared:
    """The visitor gets an answer of their own, and why; ``asked``: the shop was asked before that was known."""

    why: str
    asked: bool = False


Outcome = Found | Filling | Unshared


@dataclass(frozen=True, slots=True)
class Keeping:
    """Limits of a cache: bytes and seconds."""

    bytes: int  # of all pages
    page_bytes: int  # of one HTML page
    file_bytes: int  # of anything else
    deadline: float  # for a whole page
