"""Where answers that are ready stand: by address, by what is decided alike there, by what the page cache tells apart.

Here: putting them there within a number, taking away what is over.  Not here: what is ready and for whom
(``fastlane``, which asks), what heads lead to them (``familiar``).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from itertools import islice
from typing import Final

from edgeproxy.pages.model import FullKey
from edgeproxy.server.ready import Ready

__all__ = ["SOME", "Place", "Shelf", "Shelves"]

SOME: Final = 500
"""How many are looked at in one go: a tenth of a millisecond."""

Place = tuple[FullKey, bool]
"""Where a page is kept, and whether it is for somebody with cookies that count."""

_NONE: Final[Mapping[Hashable, Shelf]] = {}


class Shelf:
    """Answers of one address for visitors who are decided alike, by what the page cache tells apart."""

    __slots__ = ("identity", "ready")

    def __init__(self, identity: bool) -> None:
        self.identity = identity
        self.ready: dict[Place, Ready] = {}


class Shelves:
    """At most ``most`` answers; the oldest goes first."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._shelves: dict[bytes, dict[Hashable, Shelf]] = {}  # by target, then by what is decided alike
        self._count = 0
        self._round: Iterator[tuple[bytes, Hashable, Place, Ready]] = iter(())

    def __len__(self) -> int:
        return self._count

    def at(self, target: bytes) -> Mapping[Hashable, Shelf]:
        """Those of one address."""
        return self._shelves.get(target, _NONE)

    def put(self, target: bytes, decided: Hashable, place: Place, ready: Ready, *, identity: bool) -> None:
        """Another answer, in place of the one that stood there."""
        while self._count >= self.most:
            self._drop_oldest()
        shelf = self._shelves.setdefault(target, {}).setdefault(decided, Shelf(identity))
        before = shelf.ready.get(place)
        if before is None:
            self._count += 1
        else:
            before.until = 0.0
        shelf.identity = identity
        shelf.ready[place] = ready

    def clear(self) -> None:
        """Nothing is ready any more."""
        while self._shelves:
            self._drop_oldest()

    def tidy(self, is_over: Callable[[Ready], bool]) -> None:
        """Look at ``SOME`` more, round by round, and take away those that are over; called now and then."""
        some = list(islice(self._round, SOME))
        if len(some) < SOME:
            self._round = self._all()
        for target, decided, place, ready in some:
            if not is_over(ready):
                continue
            shelves = self._shelves.get(target, {})
            shelf = shelves.get(decided)
            if shelf is None or shelf.ready.get(place) is not ready:
                continue
            del shelf.ready[place]
            ready.until = 0.0  # a clock that is set back does not wake it
            self._count -= 1
            if not shelf.ready:
                del shelves[decided]
            if not shelves:
                del self._shelves[target]

    def _all(self) -> Iterator[tuple[bytes, Hashable, Place, Ready]]:
        """All that stand there now, however they come and go meanwhile."""
        for target in list(self._shelves):
            for decided, shelf in list(self._shelves.get(target, {}).items()):
                for place, ready in list(shelf.ready.items()):
                    yield target, decided, place, ready

    def _drop_oldest(self) -> None:
        target, shelves = next(iter(self._shelves.items()))
        shelf = shelves.pop(next(iter(shelves)))
        for ready in shelf.ready.values():
            ready.until = 0.0  # heads may still lead to it
        self._count -= len(shelf.ready)
        if not shelves:
            del self._shelves[target]
