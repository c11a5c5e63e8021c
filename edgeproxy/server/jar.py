"""What a Cookie line comes to: who the visitor is, and how its cookies bear on a kept page.

Here: both, remembered by what they depend on, since analytics make nearly every line a new one.  Not here: the
judgements themselves (``asked.Judge``, ``core.sharing``), other lines (``gist``, which calls this).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from edgeproxy.core import cookies
from edgeproxy.core.model import PageRequest, RawHeaders, RuleBook
from edgeproxy.core.sharing import bearing
from edgeproxy.server.asked import Judge, Who

__all__ = ["EMPTY", "Jar", "Jars"]

_WHO: Final = 1500  # bytes that a remembered visitor takes, beside their cookies
_MOST_NAMES: Final = 2048  # of cookies, at most 64 bytes each
_LONGEST_NAME: Final = 64

Bearings = frozenset[tuple[str, ...]]


class Jar(NamedTuple):
    """One Cookie line; ``EMPTY`` where there is none."""

    lines: RawHeaders
    proofs: tuple[tuple[bytes, ...], ...]  # the values that tell who the visitor is
    bearings: Bearings


EMPTY: Final = Jar((), (), frozenset())


_NONE: Final[Bearings] = frozenset()
_NAMELESS: Final = frozenset({("",)})
"""In place of a bearing: a pair without a name is told from nothing at all by its value."""


class _Bearings(dict[bytes, Bearings]):
    """How cookies bear on a kept page, by their names with whatever space is around them; bounded."""

    __slots__ = ("_bearing",)

    def __init__(self, bearing: Callable[[bytes], Bearings]) -> None:
        super().__init__()
        self._bearing = bearing

    def __missing__(self, name: bytes) -> Bearings:
        found = self._bearing(name) if name.strip() else _NAMELESS
        if len(name) <= _LONGEST_NAME:
            if len(self) >= _MOST_NAMES:
                self.clear()
            self[name] = found
        return found


class Jars:
    """Of one kind of connections, for one book; remembers visitors up to ``most`` bytes, then forgets them all."""

    def __init__(self, judge: Judge, book: RuleBook, *, most: int) -> None:
        self._judge = judge
        self._book = book
        self._most = most
        self._bytes = 0
        consent = book.shop.consent if book.recall is not None else None
        asked = [consent.cookie.encode()] if consent is not None and consent.needed else []
        self._visitor, state = judge.proving
        self._others = (state, *asked)  # the state is ours: nothing of it is kept
        self._asks = bool(asked)
        self._whos: dict[Hashable, Who] = {}
        self._bearings = _Bearings(self._bearing)

    def jar(self, line: tuple[bytes, bytes]) -> Jar | None:
        """That of a Cookie line; None: it is the app's."""
        kept = self._judge.kept_cookies(line[1])
        if kept is None:
            return None
        pairs = kept.split(b";")
        found = set(map(self._bearings.__getitem__, [pair.partition(b"=")[0] for pair in pairs]))
        if _NAMELESS in found:
            found = {self._bearing(pair) for pair in pairs}
        bearings = _NONE.union(*found) if len(found) > 1 else found.pop()
        lines = (line[1],)
        proofs: tuple[tuple[bytes, ...], ...] = (tuple(cookies.values(lines, self._visitor)),)
        if self._asks or kept is not line[1]:
            proofs += tuple([tuple(cookies.values(lines, name)) for name in self._others])
        return Jar((line,), proofs, bearings)

    def _bearing(self, pair: bytes) -> Bearings:
        names = self._judge.cookie_names(pair)
        return frozenset({one for each in names if (one := bearing(self._book, each)) is not None})

    def who(self, jar: Jar, memos: RawHeaders, now: float) -> Who | None:
        """The visitor by their cookies and these lines (``core.recollect.READS``); None: they prove nothing now."""
        key = (jar.proofs, memos)
        who = self._whos.get(key)
        if who is not None and who.since <= now < who.until:
            return who
        request = PageRequest("GET", "http", "", "/", "", (*jar.lines, *memos), now)
        who = self._judge.who(request, self._book, now)
        if who is not None:
            size = _WHO + sum(len(value) for values in jar.proofs for value in values)
            self._bytes += size
            if self._bytes > self._most:
                self._whos.clear()
                self._bytes = size
            self._whos[key] = who
        return who
