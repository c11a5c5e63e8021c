"""Watching our own splices: a second HTML5 engine looks over plans that were just used, off the hot path.

Here: which pages are looked at, and which slots are distrusted on which paths since.  Not here: the check
itself (``html.verify``).  Called by ``rewrite`` after a rewritten page has left; a slot that failed stays the
shop's own on that path until the rules change or the entry is the oldest of many.

Pages made for one request are sampled; each new plan of a stored page has its turn, since it serves many.

Everything is remembered by the version of the rules: a request that began before they changed neither forgets nor
spoils what is known of the new ones.  The thread that looks hands its finding over and touches nothing else.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Final, NamedTuple

from cachetools import LRUCache

from edgeproxy.html.model import PagePlan
from edgeproxy.html.verify import verify

log = logging.getLogger("edgeproxy.verification")

SEEN: Final = 4096  # (rules, path, slots) remembered as looked at
DISTRUSTED: Final = 1024  # (rules, path) on which some slot failed
AGAIN: Final = 600.0  # seconds after which the same path is looked at again: themes change
REST: Final = 50.0  # a look that took a second is followed by so many without one: two in a hundred of a core
LARGEST: Final = 512 * 1024  # bytes: a bigger page would keep the interpreter from serving for too long


WAITING: Final = 256  # plans of stored pages whose turn has not come


class _Waiting(NamedTuple):
    """A plan of a stored page that will serve many."""

    path: str
    body: Callable[[], bytes | None]
    plan: PagePlan
    book: str


class _Finding(NamedTuple):
    """What one look came to."""

    path: str
    book: str
    bad: Mapping[str, str]  # slot → why
    rest_until: float


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
        self._seen: LRUCache[tuple[str, str, frozenset[str]], float] = LRUCache(SEEN)
        self._distrusted: LRUCache[tuple[str, str], frozenset[str]] = LRUCache(DISTRUSTED)
        self._found: deque[_Finding] = deque()  # by the thread that looks, not yet taken in
        self._waiting: deque[_Waiting] = deque(maxlen=WAITING)
        self._busy = False
        self._rest_until = 0.0

    def distrusted(self, path: str, book: str) -> frozenset[str]:
        """Slots that stay the shop's own on this path under these rules (``book``: their version)."""
        if self._found:
            self._take_in()
        if not self._distrusted:
            return frozenset()
        return self._distrusted.get((book, path), frozenset())

    def queue(self, path: str, body: Callable[[], bytes | None], plan: PagePlan, book: str) -> None:
        """Look over the plan of a stored page when its turn comes; ``body`` says None when it is stored no more."""
        self._waiting.append(_Waiting(path, body, plan, book))
        self.tick()

    def tick(self) -> None:
        """Some time has passed: take in what was found, begin with what waits."""
        if self._found:
            self._take_in()
        while self._waiting and not self._busy and self._clock() >= self._rest_until:
            path, original, plan, book = self._waiting.popleft()
            body = original()
            names = _slots(plan)
            if body is not None and names and len(body) <= LARGEST:
                self._begin(path, body, plan, book, names)

    def consider(self, path: str, body: bytes, plan: PagePlan, book: str) -> None:
        """Look over this plan if its path is due and nothing else is being looked at; never raises, never waits."""
        if self._found:
            self._take_in()
        names = _slots(plan)
        if self._busy or not names or len(body) > LARGEST:
            return
        now = self._clock()
        if now < self._rest_until:
            return
        due = self._seen.get((book, path, names))
        if due is not None and now < due:
            return
        self._begin(path, body, plan, book, names)

    def _begin(self, path: str, body: bytes, plan: PagePlan, book: str, names: frozenset[str]) -> None:
        now = self._clock()
        self._seen[book, path, names] = now + AGAIN
        self._busy = True

        def look() -> None:
            bad: Mapping[str, str] = {}
            try:
                bad = verify(body, plan, tuple(sorted(names)))
            except Exception:
                log.exception("verification of %s failed", path)
            finally:
                after = self._clock()
                self._found.append(_Finding(path, book, bad, after + REST * (after - now)))

        self._executor.submit(look)

    def _take_in(self) -> None:
        while self._found:
            found = self._found.popleft()
            self._busy = False
            self._rest_until = found.rest_until
            if not found.bad:
                continue
            place = (found.book, found.path)
            self._distrusted[place] = self._distrusted.get(place, frozenset()) | frozenset(found.bad)
            for slot, why in found.bad.items():
                log.error("slot %s on %s: %s; it stays the shop's own there", slot, found.path, why)
                self._failed(slot, found.path, why)


def _slots(plan: PagePlan) -> frozenset[str]:
    return frozenset(name for name, place in plan.slots.items() if place.elements)
