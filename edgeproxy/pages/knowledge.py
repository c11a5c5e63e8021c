"""What is known of addresses where nothing is kept: not shareable, failing, or worth a question for everybody.

Here: remembering it for a while, bounded.  Not here: scores of neighbourhoods (``prospects``), asking (``asking``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cachetools import LRUCache

from edgeproxy.core import storing
from edgeproxy.core.freshness import Lines
from edgeproxy.core.sharing import SharedRequest
from edgeproxy.pages.counts import Counts
from edgeproxy.pages.model import FullKey
from edgeproxy.pages.outcome import Unshared
from edgeproxy.pages.prospects import Prospects

__all__ = ["BUSY", "Knowledge"]

NOT_SHARED_SECONDS: Final = 120.0
"""How long an address is remembered as not shareable: until then nobody waits for anybody there ("hit for miss")."""

FAILING_SECONDS: Final = 2.0
"""The same where the shop answered that it cannot answer now; so long a kept page is served without asking again."""

MOST_NOT_SHARED: Final = 16_384
"""Remembered by hash alone: a key may be long, and two that collide only ask for themselves."""

MOST_SCOUTS: Final = 4096
BUSY: Final = frozenset({408, 425, 429})
_TELL_NOTHING: Final = BUSY | {206, 304}  # of what a whole answer there would say


class Knowledge:
    """Of one worker.  ``clock`` gives seconds since the epoch, ``ticks`` seconds that never go back."""

    def __init__(
        self, counts: Counts, *, clock: Callable[[], float], ticks: Callable[[], float], deadline: float
    ) -> None:
        self._counts = counts
        self._clock = clock
        self._ticks = ticks
        self._deadline = deadline
        self._not_shared: LRUCache[int, tuple[float, str]] = LRUCache(MOST_NOT_SHARED)
        self._scouts: LRUCache[int, float] = LRUCache(MOST_SCOUTS)  # until when an own question may be on its way
        self._shareable: LRUCache[int, None] = LRUCache(MOST_NOT_SHARED)  # as an answer there looked that passed by
        self._failed: LRUCache[int, tuple[float, bool]] = LRUCache(MOST_SCOUTS)
        self.prospects = Prospects()

    def clear(self) -> None:
        """Forget everything."""
        self._not_shared.clear()
        self._scouts.clear()
        self._shareable.clear()
        self._failed.clear()
        self.prospects = Prospects()

    def why_not(self, shared: SharedRequest, full: FullKey, *, tried: bool) -> str | None:
        """Why the shop is not asked for everybody; None when it is.

        ``tried``: something is kept there, or somebody is asking already.
        """
        known = self._not_shared.get(hash(full))
        if known is not None:
            until, why = known
            if self._ticks() < until:
                return why
            del self._not_shared[hash(full)]
        if tried or shared.key.rule is not None or hash(shared.key) in self._shareable:
            return None
        host, path = shared.key.host, shared.key.path
        if self.prospects.promising(host, path) or self._comes_second(full, host, path):
            return None
        return "no answer around there was shareable so far"

    def _comes_second(self, full: FullKey, host: bytes, path: bytes) -> bool:
        """Nobody knows yet, and somebody's own question about the same is on its way: better one for all the others."""
        if not self.prospects.unknown(host, path):
            return False
        now = self._ticks()
        if now < self._scouts.get(hash(full), 0.0):
            return True
        self._scouts[hash(full)] = now + self._deadline
        return False

    # ------------------------------------------------------------------ what was learnt

    def saw(self, shared: SharedRequest, status: int, lines: Lines) -> None:
        """An answer to a visitor's own question passed by: does its head look as if it could be shared?"""
        if shared.key.rule is not None or status in _TELL_NOTHING or status >= 500:
            return
        host, path = shared.key.host, shared.key.path
        if isinstance(storing.terms(status, lines, None, self._clock()), str):
            self.prospects.passed(host, path)
        else:
            self._shareable[hash(shared.key)] = None
            self.prospects.shared(host, path)

    def shareable(self, shared: SharedRequest) -> None:
        """An answer to a question for everybody may be kept, as its head says."""
        if shared.key.rule is None:
            self.prospects.shared(shared.key.host, shared.key.path)

    def refused(self, shared: SharedRequest, full: FullKey, why: str) -> Unshared:
        """It may not: whoever waited asks for themselves, and for a while nobody waits."""
        self._not_shared[hash(full)] = (self._ticks() + NOT_SHARED_SECONDS, why)
        self._shareable.pop(hash(shared.key), None)
        if shared.key.rule is None:
            self.prospects.refused(shared.key.host, shared.key.path)
        self._counts.refused(why)
        return Unshared(why, asked=True)

    def failing(self, full: FullKey, why: str) -> Unshared:
        """The shop has a bad moment: for a short while nobody waits."""
        self._not_shared[hash(full)] = (self._ticks() + FAILING_SECONDS, why)
        self._counts.refused(why)
        return Unshared(why, asked=True)

    def failed(self, full: FullKey, *, gone: bool) -> None:
        """The shop was asked about a kept page, and could not be reached (``gone``) or answered 5xx."""
        self._failed[hash(full)] = (self._ticks() + FAILING_SECONDS, gone)

    def fails(self, full: FullKey) -> bool | None:
        """Whether it was ``gone`` when it failed about this page just now; None: it did not."""
        until, gone = self._failed.get(hash(full), (0.0, False))
        return gone if self._ticks() < until else None
