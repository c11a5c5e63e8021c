"""An answer that is kept while it is read by many: nobody waits for its end, and nobody waits for somebody slower.

Here: bytes as they come, for any number of readers.  Not here: whether they may be kept.

Up to ``most`` bytes are held, so that every reader goes at their own pace and the shop is read as fast as it sends.
Beyond that the answer is too big to keep: from there on it is only passed on, at most ``AHEAD`` bytes before the
slowest reader, and nobody new may join.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from edgeproxy.core.freshness import Freshness
from edgeproxy.core.model import RawHeaders

__all__ = ["Filling"]

AHEAD: Final = 256 * 1024


class Filling:
    """One answer on its way: its head is known, its body is coming.

    ``everyone`` and ``freshness`` as in ``StoredPage``; ``length`` in bytes, where the shop says so.
    """

    def __init__(
        self,
        status: int,
        lines: RawHeaders,
        *,
        freshness: Freshness,
        everyone: bool,
        most: int,
        length: int | None,
    ) -> None:
        self.status = status
        self.lines = lines
        self.freshness = freshness
        self.everyone = everyone
        self.length = length
        self._most = most
        self._chunks: list[bytes] = []
        self._first = 0  # the number of the first chunk that is still held
        self._size = 0  # of what is held
        self._too_big = False
        self._ended = False
        self._failed: Exception | None = None
        self._readers: dict[int, int] = {}  # where each of them is
        self._number = 0
        self._news = asyncio.Event()

    @property
    def open(self) -> bool:
        """May a reader join?  Only while its beginning is still held."""
        return self._first == 0 and not self._too_big

    async def pump(self, shop: AsyncIterator[bytes]) -> bytes | None:
        """Read the shop's body to its end; the body, or None when it is too big to keep.

        A break of the shop's reaches every reader where it stands, and is raised here too.
        """
        try:
            async for chunk in shop:
                self._chunks.append(chunk)
                self._size += len(chunk)
                self._tell()
                if self._size > self._most:
                    self._too_big = True
                while self._too_big and not self._trimmed():
                    await self._wait()
                if self._too_big and not self._readers:
                    return None  # nobody is there any more, and it will not be kept
        except Exception as problem:
            self._failed = problem
            raise
        finally:
            self._ended = True
            self._tell()
        return None if self._too_big else b"".join(self._chunks)

    async def read(self) -> AsyncIterator[bytes]:
        """The body from its beginning, as it comes; raises what the shop's side raised."""
        self._number += 1
        me = self._number
        self._readers[me] = 0
        try:
            while True:
                at = self._readers[me] - self._first
                if at < len(self._chunks):
                    self._readers[me] += 1
                    if self._too_big:
                        self._tell()
                    yield self._chunks[at]
                elif self._failed is not None:
                    raise self._failed
                elif self._ended:
                    return
                else:
                    await self._wait()
        finally:
            del self._readers[me]
            self._tell()

    def _trimmed(self) -> bool:
        """Let go of what every reader has; True when there is room for more."""
        slowest = min(self._readers.values(), default=self._first + len(self._chunks))
        for chunk in self._chunks[: slowest - self._first]:
            self._size -= len(chunk)
        del self._chunks[: slowest - self._first]
        self._first = slowest
        return self._size <= AHEAD

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _wait(self) -> None:
        await self._news.wait()
