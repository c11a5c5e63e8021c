"""Where pages are kept: in memory, bounded by bytes, the least used go first.

Here: putting, finding and forgetting.  Not here: whether a page may be used or kept.  Nothing here waits or asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from cachetools import LRUCache

from edgeproxy.pages.model import FullKey, StoredPage

__all__ = ["Store"]

Address = tuple[bytes, bytes]  # host and raw path: what an unsafe method or a purge is about

MOST_VARYING: Final = 16_384
"""Keys whose Vary is remembered, by hash alone; one that is forgotten is learnt again from the shop's next answer."""


class _Bounded(LRUCache[FullKey, StoredPage]):
    """An LRU by bytes that tells what it lets go."""

    def __init__(self, most: int, gone: Callable[[FullKey, StoredPage], None]) -> None:
        super().__init__(most, getsizeof=lambda page: page.size)
        self._gone = gone

    def popitem(self) -> tuple[FullKey, StoredPage]:
        key, page = super().popitem()
        self._gone(key, page)
        return key, page


class Store:
    """The pages of one worker.

    ``most`` is in bytes of all entries together; an entry bigger than half of it is not taken, so that one answer
    cannot push out everything else.
    """

    def __init__(self, most: int, full: Callable[[], object] = lambda: None) -> None:
        """``full`` is called when something goes, or is not taken, for want of room."""
        self._full = full
        self.most = most
        self.evicted = 0
        self.changes = 0  # another number after any page came or went
        self._pages = _Bounded(most, self._let_go)
        self._places: dict[Address, set[FullKey]] = {}
        self._varying: LRUCache[int, tuple[bytes, ...]] = LRUCache(MOST_VARYING)

    def __len__(self) -> int:
        return len(self._pages)

    def __iter__(self) -> Iterator[StoredPage]:
        return iter(list(self._pages.values()))

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        return int(self._pages.currsize)

    def get(self, key: FullKey) -> StoredPage | None:
        """The page, which counts as used now."""
        return self._pages.get(key)

    def put(self, page: StoredPage) -> bool:
        """Keep it in place of what was there; False when it is too big."""
        if page.size > self.most // 2:
            self.drop([page.key])
            self._full()
            return False
        self.changes += 1
        self._pages[page.key] = page
        self._places.setdefault(_address(page.key), set()).add(page.key)
        return True

    def drop(self, keys: Iterable[FullKey]) -> int:
        """Forget these; how many there were."""
        count = 0
        for key in list(keys):
            page = self._pages.pop(key, None)
            if page is not None:
                self.changes += 1
                self._unplace(key)
                count += 1
        return count

    def at(self, host: bytes, path: bytes) -> frozenset[FullKey]:
        """The keys of everything kept for an address, whatever its query."""
        return frozenset(self._places.get((host, path), ()))

    # ------------------------------------------------------------------ Vary

    def varying(self, key: object) -> tuple[bytes, ...]:
        """The fields by which answers to this key are known to vary, beyond the key itself (RFC 9111, 4.1)."""
        return self._varying.get(hash(key), ())

    def vary(self, key: object, names: tuple[bytes, ...]) -> None:
        """Remember them; what was kept under fewer names is not found any more, and goes when room is needed."""
        self._varying[hash(key)] = names
        self.changes += 1

    def clear(self) -> None:
        """Forget everything."""
        self._pages.clear()
        self._places.clear()
        self._varying.clear()
        self.changes += 1

    # ------------------------------------------------------------------ inside

    def _let_go(self, key: FullKey, page: StoredPage) -> None:
        self.evicted += 1
        self._full()
        self.changes += 1
        self._unplace(key)

    def _unplace(self, key: FullKey) -> None:
        address = _address(key)
        keys = self._places.get(address)
        if keys is not None:
            keys.discard(key)
            if not keys:
                del self._places[address]


def _address(key: FullKey) -> Address:
    return key[0].host, key[0].path
