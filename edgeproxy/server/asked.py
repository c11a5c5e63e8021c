"""A request as far as it decides its answer, judged by the very functions that the app uses.

Here: from a head to what tells it from others.  Not here: what is ready for whom (``fastlane``, which calls this for
each head that it has not met before), the head's syntax (``protocol``, ``head``).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple

from edgeproxy.content_coding import BEST, accepted
from edgeproxy.core import cookies, query
from edgeproxy.core.alike import labels, requested
from edgeproxy.core.cookies import without
from edgeproxy.core.decide import known
from edgeproxy.core.lifecycle import staged
from edgeproxy.core.model import NOBODY, PageRequest, RawHeaders, RuleBook, Source, Visitor
from edgeproxy.core.recollect import NOTHING, Recollection, recalled, recollect
from edgeproxy.core.sharing import NotShared, SharedRequest, cookie_names, shared
from edgeproxy.core.signing import Keys
from edgeproxy.core.state import StateSettings, VerifiedStates
from edgeproxy.core.timestamped import SKEW
from edgeproxy.core.visitor import CookieSettings, Signed, VerifiedCookies
from edgeproxy.sanitise import OWN_COOKIES, Refusal, Sanitiser

__all__ = ["ELSEWHERE", "Asked", "Judge", "Who"]

_FOREVER: Final = float("inf")
ELSEWHERE: Final = frozenset(
    b"""authorization content-length expect if-match if-range if-unmodified-since keep-alive proxy-authorization
    proxy-connection range te trailer transfer-encoding upgrade""".split()
)
"""A request with one of these is the app's."""
_CONDITIONS: Final = frozenset({b"if-none-match", b"if-modified-since"})


class Asked(NamedTuple):
    """One request, as far as it decides the answer."""

    decided: tuple[Hashable, ...]  # ``core.alike``
    coding: str  # that it takes best of those in which pages are kept
    request: PageRequest
    lines: RawHeaders  # for the shop
    target: bytes
    conditional: bool  # it may be answered without a body
    who: Who
    client: str  # the visitor's address, where a trusted proxy tells it; "": the connection knows it
    request_id: str  # where a proxy in front has made one

    @property
    def key(self) -> Hashable:
        """What it shares with those that get the same answer, at one target and as far as the page cache lets them."""
        return self.request.scheme, self.request.host, self.coding, self.decided


class Who(NamedTuple):
    """Who asks, whatever they ask for."""

    visitor: Visitor  # as the book sees them
    labels: tuple[Hashable, ...]  # ``core.alike``: who has the same is decided alike
    mark: bytes  # the same in one piece, whose hash is known: labels, booleans and small numbers have one spelling
    since: float  # they are who they are from … to, in seconds since the epoch
    until: float
    recollection: Recollection | None  # what is remembered of them; None: the book looks at nothing of it


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
        self.country_header = (country_header or "").encode()
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
        if method not in ("GET", "HEAD") or not ELSEWHERE.isdisjoint([name for name, _ in headers]):
            return None
        head = self._sanitiser.head(method, target, "1.1", headers, peer, scheme)
        if isinstance(head, Refusal):
            return None
        path, _, raw_query = target.partition(b"?")
        jars = [value for name, value in headers if name == b"cookie"]
        if query.cut(raw_query).flags or any(b"edge_preview" in jar for jar in jars):
            return None
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
        who = self.who(request, book, now)
        asked = requested(book, request)
        if who is None or asked is None:
            return None
        return Asked(
            (*asked, *who.labels),
            accepted(b", ".join(value for name, value in headers if name == b"accept-encoding"), BEST),
            request,
            head.headers,
            target,
            any(name in _CONDITIONS for name, _ in headers),
            who,
            head.client if head.trusted else "",
            head.request_id if head.trusted and any(name == b"x-request-id" for name, _ in headers) else "",
        )

    def who(self, request: PageRequest, book: RuleBook, now: float) -> Who | None:
        """The visitor, by their cookies and ``core.recollect.READS``; None: what they bring proves nothing now."""
        believed = self._believed([value for name, value in request.headers if name == b"cookie"], now)
        if believed is None:
            return None
        bare, since, until = believed
        recollection = recollect(book, request, self.keys, now, self._state, self._states)
        visitor = known(book, staged(book, recalled(book, bare, recollection), now))
        said = None if visitor.source is Source.DISBELIEVED else labels(book, visitor, now)
        if said is None:
            return None
        mark = repr(said).encode()
        if recollection is NOTHING:
            return Who(visitor, said, mark, since, until, None)
        begins, ends = recollection.settled
        return Who(visitor, said, mark, max(since, begins), min(until, ends), recollection)

    def shared(self, asked: Asked, book: RuleBook, *, identity: bool) -> SharedRequest | None:
        """As the page cache sees it; None where it wants a page of its own."""
        wanted = shared(
            book,
            asked.request,
            asked.lines,
            target=asked.target,
            cookie=self._cookie.name,
            country_header=self.country_header,
            identity=identity,
            loop=self._loop,
        )
        return None if isinstance(wanted, NotShared) else wanted

    def named(self, address: str) -> str:
        """A peer's address as it is logged."""
        return self._sanitiser.named(address)

    # ------------------------------------------------------------------ single lines

    def passes(self, name: bytes, *, trusted: bool) -> bool | None:
        """Whether lines of this name reach the shop, whatever they say (``Sanitiser.passes``)."""
        return self._sanitiser.passes(name, trusted=trusted)

    def visitor(self, value: bytes) -> str:
        """The visitor's address by a trusted proxy's X-Forwarded-For; "": it tells none."""
        return self._sanitiser.visitor(value)

    @property
    def proving(self) -> tuple[bytes, ...]:
        """Names of the cookies that say who a visitor is."""
        return self._name, self._state.name.encode()

    def kept_cookies(self, jar: bytes) -> bytes | None:
        """What of a Cookie line reaches the page cache; None: a preview's is in it."""
        if jar.count(b"edge_") > (b"edge_visitor" in jar):  # one look at most lines
            return None if b"edge_preview" in jar else without(jar, OWN_COOKIES)
        return jar

    def cookie_names(self, jar: bytes) -> tuple[str, ...]:
        """The names of cookies, as the page cache sees them."""
        return cookie_names([jar], self._cookie.name)

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
