"""What a Cookie line comes to: who the visitor is, and how its cookies bear on a kept page.

Here: both, remembered by what they depend on, since analytics make nearly every line a new one.  Not here: the
judgements themselves (``asked.Judge``, ``core.sharing``), other lines (``gist``, which calls this).
"""

from __future__ import annotations

from collections.abc import Hashable
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


class Jars:
    """Of one kind of connections, for one book; remembers visitors up to ``most`` bytes, then forgets them all."""

    def __init__(self, judge: Judge, book: RuleBook, *, most: int) -> None:
        self._judge = judge
        self._book = book
        self._most = most
        self._bytes = 0
        consent = book.shop.consent if book.recall is not None else None
        asked = [consent.cookie.encode()] if consent is not None and consent.needed else []
        self._proving = (*judge.proving, *asked)
        self._whos: dict[Hashable, Who] = {}
        self._bearings: dict[bytes, Bearings] = {}

    def jar(self, line: tuple[bytes, bytes]) -> Jar | None:
        """That of a Cookie line; None: it is the app's."""
        kept = self._judge.kept_cookies(line[1])
        if kept is None:
            return None
        bearings: Bearings = frozenset()
        known = self._bearings
        for pair in kept.split(b";"):
            name = pair.partition(b"=")[0].strip()
            found = known.get(name)
            if found is None:
                found = self._bearing(name, pair)
            if found:
                bearings |= found
        value = line[1]
        proofs = tuple([tuple(cookies.values((value,), name)) if name in value else () for name in self._proving])
        return Jar((line,), proofs, bearings)

    def _bearing(self, name: bytes, pair: bytes) -> Bearings:
        names = self._judge.cookie_names(pair)
        found = frozenset({one for each in names if (one := bearing(self._book, each)) is not None})
        if 0 < len(name) <= _LONGEST_NAME:  # what has no name is told by its value
            if len(self._bearings) >= _MOST_NAMES:
                self._bearings.clear()
            self._bearings[name] = found
        return found

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
