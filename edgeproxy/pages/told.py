"""Would the page cache keep this answer, and if not, why: in words, for ``explain`` and ``doctor``.

Here: the same judgements as the cache's own, asked about one answer that is at hand.  Not here: keeping it (``cache``).
Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgeproxy.core import durations, storing
from edgeproxy.core.cacherules import rule_for
from edgeproxy.core.model import CacheRule, RuleBook
from edgeproxy.core.policy import BIGGEST_PAGE
from edgeproxy.pages.making import everyone
from edgeproxy.pages.marks import marks

__all__ = ["Kept", "would_keep"]


class Kept(NamedTuple):
    """Whether an answer would be kept for many, and a sentence that says so."""

    kept: bool
    says: str
    rule: CacheRule | None


def would_keep(
    book: RuleBook, path: str, status: int, lines: Sequence[tuple[bytes, bytes]], body: bytes, at: float
) -> Kept:
    """Judge an answer to a question without cookies.

    ``path``: raw, before ``?``; ``lines``: as the shop sent them, names lower-case; ``body``: without content codings;
    ``at``: seconds since the epoch.
    """
    rule = rule_for(book, path) if book.cache else None
    lines = [line for line in lines if line[0] != b"content-encoding"]
    terms = storing.terms(status, lines, rule, at)
    why = terms if isinstance(terms, str) else marks(lines, body, BIGGEST_PAGE)
    if why:
        unsaid = "" if rule is not None else "; no [[cache]] table of shop.toml names it"
        return Kept(False, f"not kept for many: {why}{unsaid}", rule)
    assert not isinstance(terms, str)
    who = f"says {rule.where.short}" if terms.from_rule and rule is not None else "says the shop"
    if not terms.lifetimes.fresh:
        return Kept(True, f"kept for many, and the shop is asked each time whether it still holds: {who}", rule)
    whom = "many" if everyone(lines, terms) else "visitors without cookies"
    return Kept(True, f"kept for {whom} for {durations.words(terms.lifetimes.fresh)}: {who}", rule)
