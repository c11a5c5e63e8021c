"""A memory that is bounded by what it holds, and tells when that was too much.

Here: ``Bounded``.  Not here: what is kept, and when it is too old.  Used where a limit of ``settings.limits`` bounds
memory, so that each of them is counted when it is hit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cachetools import LRUCache

__all__ = ["Bounded", "unheard"]

K = TypeVar("K")
V = TypeVar("V")


def unheard() -> None:
    """Nobody wants to know."""


class Bounded(LRUCache[K, V]):
    """At most ``most`` in all by ``weigh``, least recently used dropped first; 0 takes nothing.

    ``full`` is called each time something is dropped, or not taken, for want of room.
    """

    def __init__(self, most: int, weigh: Callable[[V], float], full: Callable[[], object] = unheard) -> None:
        super().__init__(max(most, 1), getsizeof=weigh)
        self._full = full if most > 0 else unheard

    def __setitem__(self, key: K, value: V) -> None:
        """Raises ValueError where it alone is too much."""
        try:
            super().__setitem__(key, value)
        except ValueError:
            self._full()
            raise

    def popitem(self) -> tuple[K, V]:
        """What has not been used for longest; how room is made."""
        self._full()
        return super().popitem()
