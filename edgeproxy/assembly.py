"""From a stored page to the variant that a visitor gets: one parse, one splice, for many.

Here: ``Assembly.of``, which remembers what a decision came to on a page.  Not here: stored pages (``pages``), codings
(``variants``), lines and lanes (``rewrite``, the caller).  One instance per worker; pages that take long may be
assembled in threads.

What is placed depends on the page, the plan of its slots, the experiences that fit and, where one of them chooses a
fragment or fills a placeholder by it, the visitor's stage and segments: that is what it is remembered by.  Two
decisions that come to the same edits get the same variant (``variants.identify``).  A page with a CSP nonce is never
remembered, and what it came to on one path says nothing of another: ``{{ path }}`` may be in it, and slots may not.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from edgeproxy.core.model import Choice, Decision, Experience, PageRequest, RuleBook
from edgeproxy.html.model import PagePlan
from edgeproxy.personalise import personalise
from edgeproxy.plans import Plans
from edgeproxy.trail import Tally
from edgeproxy.variants import Variant, Variants, identify

__all__ = ["Assembled", "Assembly", "Order", "looks_at_visitor"]

REMEMBERED: Final = 8192  # (page, decision) pairs


@dataclass(frozen=True, slots=True)
class Order:
    """Everything that decides what a visitor gets of a stored page."""

    digest: bytes  # the page's (``plans.digest_of``)
    book: RuleBook
    decision: Decision
    request: PageRequest
    content_type: str | None
    csp: str | None
    distrusted: frozenset[str]  # slots


@dataclass(frozen=True, slots=True)
class Assembled:
    """What a decision comes to on a stored page."""

    variant: Variant
    tally: Tally
    changed: bool  # an edit was placed
    shareable: bool  # False: made for this one request
    plan: PagePlan | None = None  # where it was made just now


class Assembly:
    """Variants of stored pages, found again or made."""

    def __init__(self, plans: Plans, variants: Variants) -> None:
        self._plans = plans
        self._variants = variants
        self._known: LRUCache[Hashable, tuple[weakref.ref[Variant], Tally, bool]] = LRUCache(REMEMBERED)
        self._lock = threading.Lock()
        self._personal: tuple[RuleBook, frozenset[str]] | None = None

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._known.clear()

    def known(self, order: Order) -> Assembled | None:
        """What was remembered, if it was; takes microseconds."""
        with self._lock:
            found = self._known.get(self.key(order))
        if found is None:
            return None
        variant, tally, changed = found
        alive = variant()
        if alive is None or self._variants.get(alive.key) is not alive:
            return None
        return Assembled(alive, tally, changed, True)

    def of(self, order: Order, body: bytes) -> Assembled:
        """The variant that is ordered; ``body`` is the page without content codings."""
        digest = order.digest
        made = personalise(
            order.book,
            order.decision,
            order.request,
            body,
            order.content_type,
            csp=order.csp,
            distrusted=order.distrusted,
            planner=self._plans.of(digest, order.request.path),
            largest=len(body),  # a stored page is one that was not too big
        )
        placing = made.placing
        tally = Tally.of(placing)
        changed = made.body is not body
        whole = made.body if placing.roundtrips else None
        splices = () if placing.roundtrips else placing.splices
        key = identify(digest, splices, whole)
        variant = self._variants.get(key) or self._variants.add(key, splices, made.body, spliced=whole is None)
        shareable = made.plan is None or made.plan.nonce is None
        if shareable:
            with self._lock:
                self._known[self.key(order)] = (weakref.ref(variant), tally, changed)
        else:
            self._variants.forget(key)
        return Assembled(variant, tally, changed, shareable, made.plan)

    def key(self, order: Order) -> Hashable:
        """Two orders of one key get the same."""
        names = tuple(one.name for one in order.decision.fitting)
        visitor = order.decision.visitor
        personal = not self._looking(order.book).isdisjoint(names)
        looked = (visitor.stage, visitor.segments) if personal else None
        path, version = order.request.path, order.book.version
        return (order.digest, path, version, names, looked, order.content_type, order.csp, order.distrusted)

    def _looking(self, book: RuleBook) -> frozenset[str]:
        """The experiences whose content depends on who gets it."""
        latest = self._personal
        if latest is None or latest[0] is not book:
            found = frozenset(one.name for one in book.experiences if looks_at_visitor(one))
            latest = self._personal = (book, found)
        return latest[1]


def looks_at_visitor(experience: Experience) -> bool:
    """Some fragment is chosen, or some placeholder filled, by the visitor's stage or segments."""
    for edit in experience.edits:
        if isinstance(edit.content, Choice):
            return True
        if edit.content is not None and edit.content.placeholders & {"segment", "stage"}:
            return True
    return False
