"""The fast lane: a page that is ready is answered right in the protocol, before any task or scope exists.

Here: what is ready, for whom, until when.  Not here: making pages (the app teaches the lane by what it has just
answered), judging heads (``asked``), their bytes (``ready``), reading requests (``protocol``, which asks).

Theory of operation
-------------------
The lane decides nothing.  The app answers a request for a stored page and hands in the answer (``learn``).  Another
request gets the same bytes when everything is the same that the answer was made of:

    its address                  scheme, Host, target to the byte
    what the book looks at       ``core.alike``: stage, segments, device…; the visitor's cookie is verified each time
    what the page cache looks at ``core.sharing``: Accept, cookies that count, fields that Vary names, unknown headers
    the content coding           the one that ``content_coding.accepted`` gives

and while the answer would be made again: the same book and keys, the page still in the cache and fresh, before the
book's next change at that address.  Whatever is unusual about a request (a range, a condition on dates, a preview,
Authorization, a cookie that proves nothing) goes to the app.

The way is short for a head that has come before: whole (``familiar``), or in what of it an answer can depend on
(``gist``); only what time can change is looked at again.  Any other head is judged once (``find``).  A fault in here
sends requests to the app.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any, Final, Protocol

from edgeproxy.accesslog import Again, Repeated
from edgeproxy.core.alike import alike
from edgeproxy.core.model import PageRequest, RuleBook
from edgeproxy.core.recollect import quiet
from edgeproxy.core.sharing import SharedRequest
from edgeproxy.core.signing import Keys
from edgeproxy.journal import Journal
from edgeproxy.pages.model import FullKey, StoredPage
from edgeproxy.server.asked import Judge, Who
from edgeproxy.server.familiar import Familiar, Found, Room
from edgeproxy.server.gist import Looks, Reader
from edgeproxy.server.ready import Hit, Lesson, Ready
from edgeproxy.server.shelves import Place, Shelves

__all__ = ["Books", "Familiar", "FastLane", "Found", "Lesson", "Pages"]

MOST_READY: Final = 8192
MOST_VARYING: Final = 64  # fields that Vary may name, on all pages together
_TELLING: Final = frozenset({b"accept", b"sec-fetch-dest"})  # is it a page that somebody goes to (``core.policy``)
LOOK_AGAIN: Final = 1.0  # seconds after which the page cache is asked again, so that it knows what is used

_WRITTEN: Final = frozenset({b"forwarded", b"x-forwarded-for", b"x-request-id"})
"""Fields that the shop gets as we write them: what a page says of them, a visitor's head does not tell."""


class Pages(Protocol):
    """What the lane asks of the page cache."""

    @property
    def changes(self) -> int:
        """Another number after any page came or went."""

    def peek(self, shared: SharedRequest) -> StoredPage | None:
        """The page that would be served right now."""

    def age(self, page: StoredPage) -> int:
        """Seconds since the shop made it."""

    def full(self, shared: SharedRequest) -> FullKey:
        """What a page for this request is kept by."""


class Books(Protocol):
    """Where the live rule book is."""

    @property
    def book(self) -> RuleBook | None: ...


class FastLane:
    """The answers of one worker that are ready; belongs to one event loop, like the cache that it stands before.

    ``clock`` gives seconds since the epoch.
    """

    def __init__(
        self,
        judge: Judge,
        *,
        books: Books,
        pages: Pages,
        journal: Journal,
        clock: Callable[[], float],
        via: bytes,
        beside: Callable[[], None] = lambda: None,
        most: int = MOST_READY,
        heads_bytes: int = 16 * 1024**2,
    ) -> None:
        """``heads_bytes`` is for what came before (``familiar``); 0: every head is judged anew.

        ``beside`` is called now and then, since what the lane answers goes past everybody else."""
        self._beside = beside
        self._judge = judge
        self._books = books
        self._book: RuleBook | None = None
        self._pages = pages
        self._journal = journal
        self._log = journal.log
        self._clock = clock
        self._via = via
        self._stale = False
        self._shelves = Shelves(most)
        self._now = 0.0  # of the last answer
        self._looks: Looks | None = None
        self._varying: frozenset[bytes] = frozenset()
        self._room = Room(heads_bytes, partial(journal.limit_hit, "heads_bytes"))
        self._familiar: dict[tuple[str, bool], Familiar] = {}

    def __len__(self) -> int:
        """Answers that are ready."""
        return len(self._shelves)

    # ------------------------------------------------------------------ what ends what is ready

    def use_keys(self, keys: Keys) -> None:
        """Verify with these from now on."""
        self._judge.keys = keys
        self._stale = True

    def forget(self) -> None:
        """Let the app make every answer anew; may be called from any thread."""
        self._stale = True

    def fault(self, problem: Exception) -> None:
        """Something in here failed: told, and whatever is ready is forgotten."""
        self._stale = True
        self._room.forget()
        self._journal.fault(problem)

    def _is_current(self) -> bool:
        """False where everything was just forgotten: another book, other keys, a slot that is not trusted any more."""
        if self._books.book is self._book and not self._stale:
            return True
        self._stale = False
        self._book = self._books.book
        self._shelves.clear()
        self._look_anew()
        return False

    def _look_anew(self) -> None:
        """Answers depend on something else than so far."""
        self._looks = None if self._book is None else Looks(self._book, self._varying)
        self._room.forget()

    # ------------------------------------------------------------------ answering

    def familiar(self, scheme: str, trusted: bool) -> Familiar:
        """What came before on connections like this one; what a trusted peer says of visitors is its own word."""
        found = self._familiar.get((scheme, trusted))
        if found is None:
            reader = Reader(self._judge, trusted=trusted, most=self._room.lines)
            found = self._familiar[scheme, trusted] = Familiar(reader, self._room)
        return found

    def named(self, address: str) -> str:
        """A peer's address as the app would log it."""
        return self._judge.named(address)

    def seek(self, familiar: Familiar, head: bytes) -> Found | None:
        """What a head gets whose gist has come before; None: it has to be judged."""
        if not self._is_current() or self._looks is None:
            return None
        line, _, rest = head.partition(b"\r\n")
        gists = familiar.gists.get(line)
        if gists is None:
            return None
        now = self._clock()
        gist = familiar.gist(rest, self._looks, now)
        if gist is None:
            return None
        key, who, client, request_id = gist
        hit = gists.get(key)
        if hit is None or not self._is_quiet(who, hit.request, hit.ready, now):
            return None
        return Found(hit, who.since, who.until, client, request_id)

    def answer(self, found: Found, defaults: list[tuple[bytes, bytes]], began: float) -> tuple[bytes, bytes] | None:
        """Head and body; None: the app is to answer.  ``began`` is by ``perf_counter``, ``defaults`` the Date."""
        hit = found.hit
        ready = hit.ready
        now = self._now = self._clock()
        if not self._is_current() or not (found.since <= now < found.until and ready.since <= now < ready.until):
            return None
        if (began >= ready.look_again or ready.seen != self._pages.changes) and not self._is_kept(ready, began):
            return None
        body = ready.body() if hit.bodied else b""
        if body is None:
            return None
        age = -1
        if ready.aged:
            page = ready.page()
            if page is None:
                return None
            age = self._pages.age(page)
        return hit.head.at(defaults, perf_counter() - began, age), body

    def _is_kept(self, ready: Ready, began: float) -> bool:
        """The page is still the one that would be served, says the cache; it then knows that it is used."""
        page = self._pages.peek(ready.shared)
        if page is None or page is not ready.page():
            return False
        ready.look_again = began + LOOK_AGAIN
        ready.seen = self._pages.changes
        return True

    def left(self, found: Found, peer: str, seconds: float) -> None:
        """It has been given to the connection, ``seconds`` after it was asked for: logged, and counted."""
        try:
            repeated = found.hit.repeated
            repeated.add(seconds)
            self._log.put(Again(repeated, self._now, found.client or peer, seconds * 1000, found.request_id))
        except Exception as problem:  # the answer has left: what fails here must not take it back
            self._journal.fault(problem)

    def tick(self) -> None:
        """Some time has passed: what was answered is counted, some of what is over is forgotten."""
        self._journal.settle()
        try:
            self._beside()
            self._shelves.tidy(self._is_over)
            self._room.tidy(self._is_over)
        except Exception as problem:  # it must not stop the clock of all connections
            self._journal.fault(problem)

    def _is_over(self, ready: Ready) -> bool:
        """Nobody will get this answer any more, whatever the clock says later on."""
        return ready.until <= self._clock() or ready.page() is None

    # ------------------------------------------------------------------ judging a head

    def find(
        self,
        method: str,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        peer: str,
        scheme: str,
        *,
        closes: bool = False,
    ) -> Found | None:
        """What a request without a body gets, the last of its connection or not; None: the app is to answer."""
        if not self._is_current() or self._book is None:
            return None
        shelves = self._shelves.at(target)
        if not shelves:
            return None
        now = self._clock()
        asked = self._judge.asked(method, target, headers, peer, scheme, book=self._book, now=now)
        shelf = None if asked is None else shelves.get(asked.key)
        if asked is None or shelf is None:
            return None
        wanted = self._judge.shared(asked, self._book, identity=shelf.identity)
        ready = None if wanted is None else shelf.ready.get(self._place(wanted))
        if ready is None or not self._is_quiet(asked.who, asked.request, ready, now):
            return None
        head, bodied, status = ready.whole, method == "GET", 200
        unchanged = ready.unchanged(asked, now) if asked.conditional else None
        if unchanged is not None:
            head, bodied, status = unchanged, False, 304
        slim = replace(asked.request, headers=tuple(line for line in asked.request.headers if line[0] in _TELLING))
        hit = Hit(
            ready, head, bodied, closes, slim, self._repeated(ready, method, status, ready.length if bodied else 0)
        )
        return Found(hit, asked.who.since, asked.who.until, asked.client, asked.request_id)

    def remember(self, familiar: Familiar, head: bytes, headers: Sequence[tuple[bytes, bytes]], found: Found) -> None:
        """Heads of this one's gist may be answered without being judged; ``headers`` are what the parser read in it."""
        familiar.came(head, found)
        line, _, rest = head.partition(b"\r\n")
        if self._looks is None or len({name for name, _ in headers}) < len(headers):
            return
        gist = familiar.gist(rest, self._looks, self._now)
        if gist is not None:
            familiar.answered(line, gist, found.hit)

    def _is_quiet(self, who: Who, request: PageRequest, ready: Ready, now: float) -> bool:
        """Nothing would be written into what is remembered of the visitor; else the app has to answer."""
        known = who.recollection
        return known is None or self._book is None or quiet(known, self._book, request, now, ready.applied)

    def _place(self, wanted: SharedRequest) -> Place:
        return self._pages.full(wanted), bool(wanted.cookies)

    def _repeated(self, ready: Ready, method: str, status: int, sent: int) -> Repeated:
        found = ready.repeats.get((method, status))
        if found is None:
            like = ready.served._replace(method=method, status=status, bytes=sent, cache="hit")
            found = ready.repeats[method, status] = self._journal.repeats(like)
        return found

    # ------------------------------------------------------------------ learning

    def learn(self, scope: Mapping[str, Any], lesson: Lesson) -> bool:
        """Take an answer that the app has just given to the request of this scope; whether others may get it here.

        The request is judged anew, as the next ones will be: what does not come to the same is not learnt.
        """
        self._is_current()
        if lesson.book is not self._book:
            return False
        method, client, now = scope["method"], scope["client"], lesson.request.at
        target = scope["extensions"].get("edgeproxy.target", {}).get("target", b"")
        peer = client[0] if client else ""
        asked = self._judge.asked(method, target, scope["headers"], peer, scope["scheme"], book=lesson.book, now=now)
        if asked is None or asked.coding != lesson.reusable.wanted:
            return False
        wanted = self._judge.shared(asked, lesson.book, identity=lesson.identity)
        if wanted is None or not self._is_told_apart(lesson.shared):
            return False
        if self._place(wanted) != self._place(lesson.shared) or asked.decided != alike(
            lesson.book, lesson.visitor, lesson.request
        ):
            return False
        place = self._place(lesson.shared)
        shelf = self._shelves.at(target).get(asked.key)
        before = None if shelf is None else shelf.ready.get(place)
        if before is None or not self._holds(before, lesson, now):  # else an unusual request was given what is ready
            self._shelves.put(target, asked.key, place, Ready(lesson, self._via), identity=lesson.identity)
        return True

    def _holds(self, ready: Ready, lesson: Lesson, now: float) -> bool:
        return ready.page() is lesson.page and ready.since <= now < ready.until and ready.body() is not None

    def _is_told_apart(self, shared: SharedRequest) -> bool:
        """Whether heads tell what this page varies by; from now on gists do, too."""
        names = {name for name, _ in self._pages.full(shared)[1]}
        if names <= self._varying:
            return True
        varying = self._varying | names
        if names & _WRITTEN or len(varying) > MOST_VARYING:
            return False
        self._varying = varying
        self._look_anew()
        return True
