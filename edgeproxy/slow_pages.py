"""Pages in which finding the slots takes too long: the next ones like them are left alone.

Here: which pages those are, by path, selectors and size.  Not here: finding slots (``html.plan``, which nothing can
interrupt), keeping what was found (``plans``, which calls this for every page that it has to look through).

A selector that costs nothing on most pages can take seconds on one: ``main:has(.sale) li`` looks through all of
``main`` for each ``li``, and a slot with ``expect = "any"`` may match ten thousand times.  While that goes on the
worker does nothing else, so it happens once, not with every visitor: pages of that path that are more than half as
big stay the shop's own, for the same selectors, but for one in ``AGAIN`` that tells whether it is still so.  After
``FEW`` paths it is held to be so on all of them, since a shop has thousands of pages of one kind.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from edgeproxy.core.model import Slot
from edgeproxy.html.model import Charset, PagePlan, Unplannable
from edgeproxy.html.plan import plan as plan_page

__all__ = ["LONG", "SlowPages", "TooSlow", "asked_for"]

LONG: Final = 0.3
"""Seconds of processor time: ten times what a page of 2 MB takes."""

AGAIN: Final = 100  # pages that are left alone before one is tried
FEW: Final = 3  # paths
MOST: Final = 1024  # paths of which it is remembered
_NO_CHILDREN: Final[Mapping[str, Collection[str]]] = {}


Asked = tuple[object, object]


class TooSlow(Unplannable):
    """A page like this one took too long."""


@dataclass(slots=True)
class _Slow:
    """Pages that took too long, and what became of those like them."""

    size: int  # bytes of the smallest
    why: str
    times: int = 1
    left_alone: int = 0


class SlowPages:
    """``spent`` gives processor seconds of the thread; ``told`` is called with path, slots and why, each time anew."""

    def __init__(
        self,
        told: Callable[[str, Sequence[Slot], str], object] = lambda path, slots, why: None,
        *,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._told = told
        self._spent = spent
        self._slow: LRUCache[tuple[str | None, Asked], _Slow] = LRUCache(MOST)
        self._lock = threading.Lock()

    def plan(
        self,
        path: str,
        body: bytes,
        charset: Charset,
        slots: Sequence[Slot],
        *,
        children: Mapping[str, Collection[str]] = _NO_CHILDREN,
        csp: str | None = None,
    ) -> PagePlan:
        """As ``html.plan.plan``, for a page of this path.  Raises TooSlow where one like it took too long."""
        asked = asked_for(slots, children)
        if self._slow:
            self._hold(path, asked, len(body))
        began = self._spent()
        try:
            return plan_page(body, charset, slots, children=children, csp=csp)
        finally:
            took = self._spent() - began
            if took > LONG:
                self._remember(path, asked, len(body), took, slots)
            elif self._slow:
                self._forget(path, asked, len(body))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._slow.clear()

    def _hold(self, path: str, asked: Asked, size: int) -> None:
        with self._lock:
            for known, times in ((self._slow.get((path, asked)), 1), (self._slow.get((None, asked)), FEW)):
                if known is not None and known.times >= times and 2 * size > known.size:
                    known.left_alone += 1
                    if known.left_alone % AGAIN:
                        raise TooSlow(known.why)
                    return

    def _forget(self, path: str, asked: Asked, size: int) -> None:
        with self._lock:
            for place in ((path, asked), (None, asked)):
                known = self._slow.get(place)
                if known is not None and 2 * size > known.size:  # a smaller one proves nothing
                    del self._slow[place]

    def _remember(self, path: str, asked: Asked, size: int, took: float, slots: Sequence[Slot]) -> None:
        why = f"finding the slots of a page like this took {took * 1000:,.0f} ms ({size:,} bytes)"
        with self._lock:
            known, anywhere = self._slow.get((path, asked)), self._slow.get((None, asked))
            times = 0 if anywhere is None else anywhere.times
            self._slow[path, asked] = _Slow(size if known is None else min(size, known.size), why)
            self._slow[None, asked] = _Slow(
                size if anywhere is None else min(size, anywhere.size), why, times + (known is None)
            )
        self._told(path, slots, why)


def asked_for(slots: Sequence[Slot], children: Mapping[str, Collection[str]]) -> Asked:
    """What a plan is asked for: two that are asked the same of the same page are the same."""
    wanted = tuple((slot.name, slot.find, slot.expect) for slot in slots)
    return wanted, tuple((name, tuple(texts)) for name, texts in children.items())
