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
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from cachetools import LRUCache

from edgeproxy.core.model import Decision, Experience, RuleBook
from edgeproxy.personalise import Personalised

__all__ = ["Again", "Coded", "Where"]

SHARE: Final = 8  # a page that would take more of the memory than one part in so many is not remembered
VARIANTS: Final = 64  # of one page

Where = tuple[str, str | None, str | None, frozenset[str]]
"""A path, the page's Content-Type and policy, and its distrusted slots."""
_Who = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Coded:
    """A page as it left; ``made`` is how it came about, without its body."""

    made: Personalised
    coding: str  # "": none
    body: bytes
    digest: str  # of ``body``


@dataclass(frozen=True, slots=True)
class _Variant:
    fitting: tuple[Experience, ...]  # kept, so that nothing else gets their identity
    coded: Mapping[bytes, Coded]  # by what the visitor takes


@dataclass(slots=True)
class _Seen:
    book: RuleBook
    original: bytes
    variants: dict[_Who, _Variant] = field(default_factory=dict)


class Again:
    """Of one worker; at most ``limit`` bytes, least recently used dropped first; 0 remembers nothing."""

    def __init__(self, limit: int) -> None:
        self._seen: LRUCache[Where, _Seen] = LRUCache(max(limit, 1), getsizeof=_weight)
        self._most = limit // SHARE
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._seen.clear()

    def known(self, where: Where, book: RuleBook, decision: Decision, body: bytes, accept: bytes) -> Coded | None:
        """What this very page came to the last time, for this decision and what the visitor takes; None: not known."""
        with self._lock:
            seen = self._seen.get(where)
            if seen is None or seen.book is not book:
                return None
            variant = seen.variants.get(_who(decision))
        coded = variant.coded.get(accept) if variant is not None else None
        return coded if coded is not None and seen.original == body else None

    def note(self, where: Where, book: RuleBook, decision: Decision, body: bytes, accept: bytes, coded: Coded) -> None:
        """This page has been made; it is remembered when its bytes have come before."""
        if len(body) + len(coded.body) > self._most:
            return
        with self._lock:
            seen = self._seen.get(where)
            if seen is None or seen.book is not book or seen.original != body:
                self._seen[where] = _Seen(book, body)
                return
            if len(seen.variants) >= VARIANTS:
                seen.variants.clear()
            before = seen.variants.get(_who(decision))
            known = before.coded if before is not None and len(before.coded) < VARIANTS else {}
            kept = replace(coded, made=replace(coded.made, body=b""))
            seen.variants[_who(decision)] = _Variant(decision.fitting, {**known, accept: kept})
            if _weight(seen) <= self._most * SHARE:
                self._seen[where] = seen  # weighed anew


def _who(decision: Decision) -> _Who:
    visitor = decision.visitor
    return (tuple(map(id, decision.fitting)), visitor.stage, visitor.segments)


def _weight(seen: _Seen) -> int:
    coded = (one for variant in seen.variants.values() for one in variant.coded.values())
    return 1000 + len(seen.original) + sum(2000 + len(one.body) for one in coded)
