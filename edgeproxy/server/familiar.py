"""What came before on connections of one kind: heads byte for byte, and gists of heads, with what they were answered.

Here: remembering it within a number of bytes.  Not here: whether it still holds (``fastlane``, which looks at each
hit), what a gist is (``gist``).  Called by ``fastlane``; a connection looks its heads up here itself.

A head is remembered whole when it comes for the second time: most never do, and those would fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from edgeproxy.bounded import unheard
from edgeproxy.server.gist import Gist, Looks, Reader
from edgeproxy.server.ready import Hit, Ready
from edgeproxy.server.shelves import SOME

__all__ = ["LINES", "Familiar", "Found", "Room"]

LINES: Final = 16
"""Of the memory, one part in so many is for header lines of one kind of connection, and as much for its visitors."""

_KINDS: Final = 4  # at most: http and https, believed and not
_HEAD: Final = 400  # bytes that a remembered head takes beside its own
_GIST: Final = 800  # that a gist takes, beside its request line
_MOST_ONCE: Final = 4096  # heads that came once: their hashes


class Found(NamedTuple):
    """What one head gets."""

    hit: Hit
    since: float  # its visitor is who they are from … to, in seconds since the epoch
    until: float
    client: str  # the visitor's address, where a trusted proxy told it
    request_id: str  # where a proxy in front has made one


_Entry = tuple[dict[Any, Any], Hashable, int]
"""One of these dicts, a key of it, and the bytes that it takes."""


def _hit(remembered: Found | Hit | None) -> Hit | None:
    return remembered.hit if isinstance(remembered, Found) else remembered


class Room:
    """The bytes that heads and gists of all kinds may take together; when they are full all are forgotten."""

    def __init__(self, most: int, full: Callable[[], object] = unheard) -> None:
        """``full`` is called when there was no room."""
        self._full = full if most > 0 else unheard
        self.most = most - 2 * most * _KINDS // LINES
        self.lines = most // LINES
        self.taken = 0
        self._kinds: list[Familiar] = []
        self._round: Iterator[_Entry] = iter(())

    def add(self, kind: Familiar) -> None:
        """One kind more that takes room."""
        self._kinds.append(kind)

    def take(self, size: int) -> bool:
        """Make room for so many bytes; False where there is never so much."""
        if size > self.most:
            self._full()
            return False
        if self.taken + size > self.most:
            self._full()
            self.forget()
        self.taken += size
        return True

    def forget(self) -> None:
        """Forget whatever came before."""
        for kind in self._kinds:
            kind.heads.clear()
            kind.gists.clear()
        self._round = iter(())
        self.taken = 0

    def tidy(self, is_over: Callable[[Ready], bool]) -> None:
        """Look at ``SOME`` more, round by round, and forget what leads to an answer that is over; called now and then.

        Without that, what a page was answered with an hour ago is held by heads that have not come since."""
        some = list(islice(self._round, SOME))
        if len(some) < SOME:
            self._round = self._all()
        for entries, key, size in some:
            hit = _hit(entries.get(key))
            if hit is not None and is_over(hit.ready):
                del entries[key]
                self.taken -= size

    def _all(self) -> Iterator[_Entry]:
        """All that is remembered now, however it comes and goes meanwhile; of the keys alone a copy costs nothing."""
        for kind in self._kinds:
            for head in list(kind.heads):
                yield kind.heads, head, len(head) + _HEAD
            for line in list(kind.gists):
                gists = kind.gists.get(line, {})
                for key in list(gists):
                    yield gists, key, len(line) + _GIST
                if not gists:
                    kind.gists.pop(line, None)


class Familiar:
    """What came before on connections of one scheme whose other ends are believed, or not."""

    __slots__ = ("_once", "_room", "gists", "heads", "reader")

    def __init__(self, reader: Reader, room: Room) -> None:
        self.reader = reader
        self.heads: dict[bytes, Found] = {}
        self.gists: dict[bytes, dict[tuple[Hashable, ...], Hit]] = {}  # by request line
        self._once: set[int] = set()
        self._room = room
        room.add(self)

    def gist(self, rest: bytes, looks: Looks, now: float) -> Gist | None:
        """That of a head whose request line is cut off; None: it has none."""
        return self.reader.read(rest.split(b"\r\n")[:-2], looks, now)

    def came(self, head: bytes, found: Found) -> None:
        """A head was answered: the next time it is looked up whole."""
        if found.request_id:  # it belongs to one request
            return
        once = hash(head)
        if once not in self._once:
            if len(self._once) >= _MOST_ONCE:
                self._once.clear()
            self._once.add(once)
        elif head in self.heads or self._room.take(len(head) + _HEAD):
            self.heads[head] = found

    def answered(self, line: bytes, gist: Gist, hit: Hit) -> None:
        """Heads with this request line and this gist get the same."""
        if gist[0] in self.gists.get(line, ()) or self._room.take(len(line) + _GIST):
            self.gists.setdefault(line, {})[gist[0]] = hit
