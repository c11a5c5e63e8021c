"""A request as far as it decides its answer, judged by the very functions that the app uses.

Here: from a head to what tells it from others.  Not here: what is ready for whom (``fastlane``, which calls this for
each head that it has not met before), the head's syntax (``protocol``, ``head``).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple

from edgeproxy.content_coding import BEST, accepted
from edgeproxy.core import cookies, query
from edgeproxy.core.alike import alike
from edgeproxy.core.decide import known
from edgeproxy.core.lifecycle import staged
from edgeproxy.core.model import NOBODY, Experience, PageRequest, RawHeaders, RuleBook, Source, Visitor
from edgeproxy.core.recollect import NOTHING, Recollection, quiet, recalled, recollect
from edgeproxy.core.sharing import NotShared, SharedRequest, shared
from edgeproxy.core.signing import Keys
from edgeproxy.core.state import StateSettings, VerifiedStates
from edgeproxy.core.timestamped import SKEW
from edgeproxy.core.visitor import CookieSettings, Signed, VerifiedCookies
from edgeproxy.sanitise import Refusal, Sanitiser

__all__ = ["Asked", "Judge"]

_FOREVER: Final = float("inf")
_ELSEWHERE: Final = frozenset(
    b"""authorization cache-control content-length expect if-match if-modified-since if-range if-unmodified-since pragma
    proxy-authorization range te trailer transfer-encoding upgrade""".split()
)
"""A request with one of these is the app's."""


class Asked(NamedTuple):
    """One request, as far as it decides the answer."""

    decided: tuple[Hashable, ...]  # ``core.alike``
    coding: str  # that it takes best of those in which pages are kept
    request: PageRequest
    lines: RawHeaders  # for the shop
    target: bytes
    conditions: list[bytes]  # If-None-Match
    since: float  # the visitor is who they are from … to
    until: float
    recollection: Recollection | None  # what is remembered of the visitor; None: the book looks at nothing of it
    client: str  # the visitor's address, where a trusted proxy tells it; "": the connection knows it
    request_id: str  # where a proxy in front has made one

    @property
    def key(self) -> Hashable:
        """What it shares with those that get the same answer, at one target and as far as the page cache lets them."""
        return self.request.scheme, self.request.host, self.coding, self.decided


class Judge:
    """Of one worker; the functions are the app's, and what they remember is their own."""

    def __init__(
        self,
        sanitiser: Sanitiser,
        keys: Keys,
        cookie: CookieSettings,
        state: StateSettings,
        verified: VerifiedCookies,
        *,
        country_header: str | None = None,
        loop: str = "",
    ) -> None:
        self.keys = keys
        self._sanitiser = sanitiser
        self._cookie = cookie
        self._name = cookie.name.encode()
        self._verified = verified
        self._state = state
        self._states = VerifiedStates()
        self._country_header = (country_header or "").encode()
        self._loop = loop.encode()

    def asked(
        self,
        method: str,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        peer: str,
        scheme: str,
        *,
        book: RuleBook,
        now: float,
    ) -> Asked | None:
        """What there is to know of a head; None: it is the app's, whatever is ready."""
        if method not in ("GET", "HEAD") or not _ELSEWHERE.isdisjoint([name for name, _ in headers]):
            return None
        head = self._sanitiser.head(method, target, "1.1", headers, peer, scheme)
        if isinstance(head, Refusal):
            return None
        path, _, raw_query = target.partition(b"?")
        jars = [value for name, value in headers if name == b"cookie"]
        if query.cut(raw_query).flags or any(b"edge_preview" in jar for jar in jars):
            return None
        believed = self._believed(jars, now)
        if believed is None:
            return None
        who, since, until = believed
        request = PageRequest(
            method=head.method,
            scheme=head.scheme,
            host=head.host,
            path=path.decode("latin-1"),
            query=raw_query.decode("latin-1"),
            headers=tuple(headers),
            at=now,
            country=head.country,
        )
        recollection = recollect(book, request, self.keys, now, self._state, self._states)
        visitor = known(book, staged(book, recalled(book, who, recollection), now))
        decided = None if visitor.source is Source.DISBELIEVED else alike(book, visitor, request)
        if decided is None:
            return None
        if recollection is not NOTHING:
            begins, ends = recollection.settled
            since, until = max(since, begins), min(until, ends)
        return Asked(
            decided,
            accepted(b", ".join(value for name, value in headers if name == b"accept-encoding"), BEST),
            request,
            head.headers,
            target,
            [value for name, value in headers if name == b"if-none-match"],
            since,
            until,
            None if recollection is NOTHING else recollection,
            head.client if head.trusted else "",
            head.request_id if head.trusted and any(name == b"x-request-id" for name, _ in headers) else "",
        )

    def shared(self, asked: Asked, book: RuleBook, *, identity: bool) -> SharedRequest | None:
        """As the page cache sees it; None where it wants a page of its own."""
        wanted = shared(
            book,
            asked.request,
            asked.lines,
            target=asked.target,
            cookie=self._cookie.name,
            country_header=self._country_header,
            identity=identity,
            loop=self._loop,
        )
        return None if isinstance(wanted, NotShared) else wanted

    def named(self, address: str) -> str:
        """A peer's address as it is logged."""
        return self._sanitiser.named(address)

    def is_quiet(self, asked: Asked, book: RuleBook, now: float, applied: Sequence[Experience]) -> bool:
        """Nothing would be written into what is remembered of the visitor; else the app has to answer."""
        known = asked.recollection
        return known is None or quiet(known, book, asked.request, now, applied)

    def _believed(self, jars: Sequence[bytes], now: float) -> tuple[Visitor, float, float] | None:
        """The visitor, and from when to when they are who they are; None: their cookie proves nothing now."""
        values = cookies.values(jars, self._name)
        if not values:
            return NOBODY, 0.0, _FOREVER
        if len(values) > 1:
            return None
        signed = self._verified.verify(values[0], self.keys)
        if not isinstance(signed, Signed):
            return None
        since, until = signed.at - SKEW, signed.at + self._cookie.max_age
        return (signed.visitor, since, until) if since <= now < until else None
