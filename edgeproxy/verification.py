"""Watching our own splices: a second HTML5 engine looks over plans that were just used, off the hot path.

Here: which pages are looked at, and which slots are distrusted on which paths since.  Not here: the check
itself (``html.verify``).  Called by ``proxy`` after a rewritten page has left; a slot that failed stays the
shop's own on that path until the rules change or the entry is the oldest of many.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from cachetools import LRUCache

from edgeproxy.html.model import PagePlan
from edgeproxy.html.verify import verify

log = logging.getLogger("edgeproxy.verification")

SEEN: Final = 4096  # (path, slots) pairs remembered as looked at
DISTRUSTED: Final = 1024  # paths on which some slot failed
AGAIN: Final = 600.0  # seconds after which the same path is looked at again: themes change
REST: Final = 50.0  # a look that took a second is followed by so many without one: two in a hundred of a core
LARGEST: Final = 512 * 1024  # bytes: a bigger page would keep the interpreter from serving for too long


class Verification:
    """Samples rewritten pages: each path's slots once, and again every ten minutes; one check at a time, with rests.

    ``clock`` gives monotonic seconds; ``executor`` runs the check; ``failed`` is told (slot, path, why).
    Belongs to one event loop.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        executor: Executor,
        failed: Callable[[str, str, str], None],
    ) -> None:
        self._clock = clock
        self._executor = executor
        self._failed = failed
        self._book = ""
        self._seen: LRUCache[tuple[str, frozenset[str]], float] = LRUCache(SEEN)
        self._distrusted: LRUCache[str, frozenset[str]] = LRUCache(DISTRUSTED)
        self._busy = False
        self._rest_until = 0.0

    def distrusted(self, path: str, book: str) -> frozenset[str]:
        """Slots that stay the shop's own on this path; a new book starts with a clean slate."""
        if book != self._book:
            self._book = book
            self._seen.clear()
            self._distrusted.clear()
        if not self._distrusted:
            return frozenset()
        return self._distrusted.get(path, frozenset())

    def consider(self, path: str, body: bytes, plan: PagePlan) -> None:
        """Look over this plan if its path is due and nothing else is being looked at; never raises, never waits."""
        names = frozenset(name for name, place in plan.slots.items() if place.elements)
        if self._busy or not names or len(body) > LARGEST:
            return
        now = self._clock()
        if now < self._rest_until:
            return
        due = self._seen.get((path, names))
        if due is not None and now < due:
            return
        self._seen[path, names] = now + AGAIN
        self._busy = True
        book = self._book

        def look() -> None:
            try:
                bad = verify(body, plan, tuple(sorted(names)))
            except Exception:
                log.exception("verification of %s failed", path)
                bad = {}
            finally:
                after = self._clock()
                self._rest_until = after + REST * (after - now)
                self._busy = False
            if bad and book == self._book:
                self._distrusted[path] = self._distrusted.get(path, frozenset()) | frozenset(bad)
                for slot, why in bad.items():
                    log.error("slot %s on %s: %s; it stays the shop's own there", slot, path, why)
                    self._failed(slot, path, why)

        self._executor.submit(look)
