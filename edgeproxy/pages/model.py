"""What is kept: one answer of the shop, whole, that many may get.

Here: nouns.  Not here: whether it may be used (``core.freshness``), where it lies (``store``).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b

from edgeproxy.core.freshness import Freshness
from edgeproxy.core.model import CacheRule, RawHeaders
from edgeproxy.core.sharing import PageKey

__all__ = ["FullKey", "StoredPage", "body_of"]

FullKey = tuple[PageKey, RawHeaders]
"""The key, and the fields that Vary has added to it for this address, by name and value."""

OVERHEAD = 1500
"""Bytes that an entry takes beside its body and its lines: objects, keys, places in dictionaries."""


@dataclass(frozen=True, eq=False)
class StoredPage:
    """An answer of the shop that is kept, and served as it is or with edits.

    Identity: two pages with the same ``digest`` have the same body, whatever their headers say.  Everything made of a
    body alone (a plan, a variant, a compressed form) may be kept by ``digest``; it stays right when the page is
    confirmed by the shop (a 304 makes a new ``StoredPage`` of the same body and digest), when it is purged and when
    it comes back.  What depends on its lines too (Content-Type, Content-Security-Policy) keys on ``head`` besides.

    It is never changed and holds nothing of any visitor.
    """

    key: FullKey
    status: int
    lines: RawHeaders  # as they may leave: lower-case, hop-by-hop fields gone, addresses ours; no Age, no length
    body: bytes  # in the shop's coding (lines say which); the shop was asked for identity where pages are edited
    digest: bytes  # of ``body``, by ``plans.digest_of``
    freshness: Freshness
    everyone: bool  # False: only for visitors without cookies that count (Vary: Cookie, or never declared public)
    tags: frozenset[str]  # Surrogate-Key, Cache-Tag
    validators: RawHeaders = field(default=())  # what the shop is asked with whether it still holds

    @property
    def rule(self) -> CacheRule | None:
        """The operator's rule under which it is kept."""
        return self.key[0].rule

    @cached_property
    def head(self) -> str:
        """Digest of status and lines but for those that change with each confirmation: 16 hex digits."""
        told = b"\n".join(b"%b: %b" % line for line in self.lines if line[0] not in _OF_A_MOMENT)
        return blake2b(b"%d\n%b" % (self.status, told), digest_size=8).hexdigest()

    @property
    def size(self) -> int:
        """Bytes that it takes, with its key: a long address with a short answer is no small entry."""
        key, varied = self.key
        lines = (*self.lines, *key.head, *varied)
        texts = len(key.path) + len(key.query) + sum(len(name) + len(value) + 100 for name, value in lines)
        return len(self.body) + texts + OVERHEAD

    def line(self, name: bytes) -> bytes | None:
        """The first value of a field; None when it has none."""
        return next((value for key, value in self.lines if key == name), None)


_OF_A_MOMENT = frozenset({b"date", b"expires", b"age"})


def body_of(page: StoredPage) -> Callable[[], bytes | None]:
    """Its body as long as it is kept: whoever holds this does not keep it."""
    held = weakref.ref(page)

    def body() -> bytes | None:
        alive = held()
        return None if alive is None else alive.body

    return body
