"""A page that was made for one request, and comes again for the same edits: the shop's bytes alike, ours are too.

Here: ``Again``, which remembers by path what the last bytes came to, coded and all.  Not here: pages that may be kept
(``pages``, ``variants``): nothing here is ever an answer before the shop has given its own, byte for byte the same.
Called by ``rewrite``.

What is placed follows from the page's bytes, its charset and policies, the experiences that fit, the visitor's stage
and segments, and the path: all of these are compared, the bytes last.  So nobody gets what they would not have got.
Only what came twice is remembered: a shop that writes something new into each page costs a comparison that ends early.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final

from cachetools import LRUCache

from edgeproxy.core.model import Decision, Experience, RuleBook
from edgeproxy.personalise import Personalised

__all__ = ["Again", "Coded", "Key"]

SHARE: Final = 8  # a page that would take more of the memory than one part in so many is not remembered

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Coded:
    """A page as it left."""

    coding: str  # "": none
    body: bytes
    digest: str  # of ``body``


@dataclass(slots=True)
class _Seen:
    book: RuleBook
    fitting: tuple[Experience, ...]
    original: bytes
    made: Personalised | None = None  # None: it came once
    coded: dict[str, Coded] = field(default_factory=dict)  # by what the visitor takes


class Again:
    """Of one worker; at most ``limit`` bytes, least recently used dropped first; 0 remembers nothing."""

    def __init__(self, limit: int) -> None:
        self._seen: LRUCache[Key, _Seen] = LRUCache(max(limit, 1), getsizeof=_weight)
        self._most = limit // SHARE
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._seen.clear()

    @staticmethod
    def key(path: str, decision: Decision, *about: object) -> Key:
        """``about``: all else that the page depends on, the book and the page's bytes aside."""
        visitor = decision.visitor
        return (path, tuple(map(id, decision.fitting)), visitor.stage, visitor.segments, *about)

    def made(self, key: Key, book: RuleBook, body: bytes) -> Personalised | None:
        """What this very page came to the last time; None where that is not known."""
        with self._lock:
            seen = self._seen.get(key)
        if seen is None or seen.made is None or seen.book is not book or seen.original != body:
            return None
        return seen.made

    def coded(self, key: Key, made: Personalised, accept_encoding: bytes) -> Coded | None:
        """``made``, which was remembered, as it left for those who take the same codings."""
        with self._lock:
            seen = self._seen.get(key)
            return seen.coded.get(accept_encoding.decode("latin-1")) if seen is not None and seen.made is made else None

    def note(
        self, key: Key, book: RuleBook, decision: Decision, body: bytes, made: Personalised, accept: bytes, coded: Coded
    ) -> None:
        """This page has been made."""
        if len(body) + len(made.body) + len(coded.body) > self._most:
            return
        with self._lock:
            seen = self._seen.get(key)
            if seen is None or seen.book is not book or seen.original != body:
                self._seen[key] = _Seen(book, decision.fitting, body)
                return
            known = seen.coded if seen.made is not None and len(seen.coded) < SHARE else {}
            known = {**known, accept.decode("latin-1"): coded}
            self._seen[key] = _Seen(book, decision.fitting, body, seen.made or made, known)


def _weight(seen: _Seen) -> int:
    made = len(seen.made.body) if seen.made is not None else 0
    return 2000 + len(seen.original) + made + sum(len(one.body) for one in seen.coded.values())
