"""Who asks, what fits them, and what is meant to happen: all that is known before the shop is asked.

Here: from a request that has passed the guard to an ``Intent``.  Not here: each step's own rules (``core``), what a
preview is shown by (``previewing``), the shop's word, which confirms it (``delivery``).  Called by ``proxy`` once for
each request; a fault in here is the shop's own page.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from edgeproxy.core import policy, preview
from edgeproxy.core import visitor as visitors
from edgeproxy.core.decide import decide, undecided
from edgeproxy.core.model import Lane, LaneKind, PageRequest, RuleBook
from edgeproxy.core.recollect import recalled
from edgeproxy.core.signing import Keys
from edgeproxy.core.visitor import VerifiedCookies
from edgeproxy.previewing import shown_by
from edgeproxy.remember import Remembering
from edgeproxy.sanitise import Forwardable
from edgeproxy.settings import Settings
from edgeproxy.trail import Intent
from edgeproxy.values import is_loopback

__all__ = ["Books", "Intending"]

_NO_RULES = Lane(LaneKind.PASS, "no rules are live")


class Books(Protocol):
    """Where the live rule book is; ``rulebook.RuleBookSource`` in production."""

    @property
    def book(self) -> RuleBook | None:
        """The last good book; None when there never was one."""


class Intending:
    """Of one listener; ``keys`` may be replaced, ``verified`` remembers cookies that hold."""

    def __init__(self, settings: Settings, books: Books, remembering: Remembering) -> None:
        self.keys: Keys = settings.keys
        self.verified = VerifiedCookies()
        self._settings = settings
        self._books = books
        self._remembering = remembering

    def intend(self, request: PageRequest, head: Forwardable, *, passes: bool = False) -> Intent:
        """Who asks, what fits, what is meant to happen; nothing is asked of the shop yet.

        ``passes``: it is known that it passes whoever asks (``policy.passes``), so that nothing has to be tried; then
        nothing is counted either (``note`` does that).
        """
        book = self._books.book
        if book is None:
            return Intent(_NO_RULES, replace(request, query=""))
        lines = [value for name, value in request.headers if name == b"cookie"]
        keys = self.keys
        visitor = visitors.read(lines, keys, request.at, self._settings.cookie, self.verified)
        known = self._remembering.of(request, book, keys, request.at)
        if not passes:
            self._remembering.noted(known, book)
        visitor = recalled(book, visitor, known)
        looked = preview.apply(
            request,
            visitor,
            book,
            keys,
            open_previews=self.previews_are_open(head),
            domain=self._settings.cookie_domain,
        )
        if isinstance(looked, preview.Exchange):
            return Intent(Lane(LaneKind.PASS, "a preview begins"), looked.request, preview=looked)
        if isinstance(looked, preview.Active):
            return shown_by(looked, book)
        decision = (undecided if passes else decide)(book, visitor, looked.request)
        return Intent(policy.lane(book, looked.request, decision), looked.request, decision, book, known=known)

    def note(self, intent: Intent) -> None:
        """Count what was only looked at."""
        if intent.known is not None and intent.book is not None:
            self._remembering.noted(intent.known, intent.book)

    def previews_are_open(self, head: Forwardable) -> bool:
        """Only this machine asks: a loopback Host (against DNS rebinding) and nobody in between."""
        if self._settings.preview != "open" or head.forwarded:
            return False
        name = head.host if head.host.endswith("]") else head.host.rpartition(":")[0] or head.host
        return is_loopback(name) and is_loopback(head.client)
