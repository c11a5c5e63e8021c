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

The way is short for a head that has come before, byte for byte: it is looked up whole (``heads``), and only what time
can change is looked at again.  Another head is judged once (``find``).  A fault in here sends requests to the app.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from time import perf_counter
from typing import Any, Final, Protocol

from edgeproxy import respond
from edgeproxy.accesslog import Again, Repeated
from edgeproxy.core.alike import alike
from edgeproxy.core.model import RuleBook
from edgeproxy.core.sharing import SharedRequest
from edgeproxy.core.signing import Keys
from edgeproxy.journal import Journal
from edgeproxy.pages.model import StoredPage
from edgeproxy.server.asked import Judge
from edgeproxy.server.head import LONGEST_HEAD
from edgeproxy.server.ready import Hit, Lesson, Ready

__all__ = ["Books", "FastLane", "Heads", "Hit", "Lesson", "Pages"]

MOST_READY: Final = 8192
MOST_HEADS: Final = 16 * 1024 * 1024  # bytes of heads that are remembered whole; then all are forgotten
LOOK_AGAIN: Final = 1.0  # seconds after which the page cache is asked again, so that it knows what is used

Heads = dict[bytes, Hit]
"""Heads that were answered before, to the byte."""


class Pages(Protocol):
    """What the lane asks of the page cache."""

    @property
    def changes(self) -> int:
        """Another number after any page came or went."""

    def peek(self, shared: SharedRequest) -> StoredPage | None:
        """The page that would be served right now."""

    def age(self, page: StoredPage) -> int:
        """Seconds since the shop made it."""

    def full(self, shared: SharedRequest) -> Hashable:
        """What a page for this request is kept by."""


class Books(Protocol):
    """Where the live rule book is."""

    @property
    def book(self) -> RuleBook | None: ...


class _Shelf:
    """Answers of one address for visitors who are decided alike, by what the page cache tells apart."""

    __slots__ = ("identity", "ready")

    def __init__(self, identity: bool) -> None:
        self.identity = identity
        self.ready: dict[Hashable, Ready] = {}


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
    ) -> None:
        """``beside`` is called now and then, since what the lane answers goes past everybody else."""
        self._beside = beside
        self._judge = judge
        self._books = books
        self._book: RuleBook | None = None
        self._pages = pages
        self._journal = journal
        self._log = journal.log
        self._clock = clock
        self._via = via
        self._most = most
        self._stale = False
        self._shelves: dict[bytes, dict[Hashable, _Shelf]] = {}  # by target, then by what is decided alike
        self._count = 0
        self._now = 0.0  # of the last answer
        self._heads: dict[tuple[str, str], Heads] = {}
        self._heads_bytes = 0

    def __len__(self) -> int:
        """Answers that are ready."""
        return self._count

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
        self._forget_heads()
        self._journal.fault(problem)

    def _is_current(self) -> bool:
        """False where everything was just forgotten: another book, other keys, a slot that is not trusted any more."""
        if self._books.book is self._book and not self._stale:
            return True
        self._stale = False
        self._book = self._books.book
        while self._shelves:
            self._drop_oldest()
        self._forget_heads()
        return False

    def _forget_heads(self) -> None:
        for heads in self._heads.values():
            heads.clear()
        self._heads_bytes = 0

    def _drop_oldest(self) -> None:
        target, shelves = next(iter(self._shelves.items()))
        shelf = shelves.pop(next(iter(shelves)))
        for ready in shelf.ready.values():
            ready.until = 0.0  # heads that are remembered may still lead to it
        self._count -= len(shelf.ready)
        if not shelves:
            del self._shelves[target]

    # ------------------------------------------------------------------ answering

    def heads(self, scheme: str, address: str, trusted: bool) -> Heads:
        """Those of connections like this one; what a trusted peer says of visitors is its own word."""
        return self._heads.setdefault((scheme, address if trusted else ""), {})

    def named(self, address: str) -> str:
        """A peer's address as the app would log it."""
        return self._judge.named(address)

    def answer(self, hit: Hit, defaults: list[tuple[bytes, bytes]], began: float) -> tuple[bytes, bytes] | None:
        """Head and body; None: the app is to answer.  ``began`` is by ``perf_counter``, ``defaults`` the Date."""
        ready = hit.ready
        now = self._now = self._clock()
        if not self._is_current() or not (hit.since <= now < hit.until and ready.since <= now < ready.until):
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

    def left(self, hit: Hit, peer: str, seconds: float) -> None:
        """It has been given to the connection, ``seconds`` after it was asked for: logged, and counted."""
        try:
            hit.repeated.add(seconds)
            client = hit.client or peer
            self._log.put(Again(hit.repeated, self._now, client, seconds * 1000, hit.request_id))
        except Exception as problem:  # the answer has left: what fails here must not take it back
            self._journal.fault(problem)

    def tick(self) -> None:
        """Some time has passed: what was answered is counted."""
        self._journal.settle()
        try:
            self._beside()
        except Exception as problem:  # it must not stop the clock of all connections
            self._journal.fault(problem)

    # ------------------------------------------------------------------ judging a head

    def find(
        self, method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]], peer: str, scheme: str
    ) -> Hit | None:
        """What a request gets: HTTP/1.1, no body, a connection that stays open; None: the app is to answer."""
        if not self._is_current() or self._book is None:
            return None
        shelves = self._shelves.get(target)
        if shelves is None:
            return None
        now = self._clock()
        asked = self._judge.asked(method, target, headers, peer, scheme, book=self._book, now=now)
        shelf = None if asked is None else shelves.get(asked.key)
        if asked is None or shelf is None:
            return None
        wanted = self._judge.shared(asked, self._book, identity=shelf.identity)
        ready = None if wanted is None else shelf.ready.get(self._place(wanted))
        if ready is None or not self._judge.is_quiet(asked, self._book, now, ready.applied):
            return None
        if asked.conditions and not ready.mark:
            return None
        head, bodied, status = ready.whole, method == "GET", 200
        tag = respond.confirmed(asked.conditions, ready.mark) if asked.conditions else None
        if tag is not None:
            if tag != ready.etag:
                return None  # of the same page in another coding: the app names that one
            head, bodied, status = ready.unchanged, False, 304
        repeated = self._repeated(ready, method, status, ready.length if bodied else 0)
        lasting = not asked.request_id
        return Hit(ready, head, bodied, asked.since, asked.until, asked.client, asked.request_id, repeated, lasting)

    def remember(self, heads: Heads, head: bytes, hit: Hit) -> None:
        """The same head may be answered without a look next time; ``heads`` are those of its connection."""
        if not hit.lasting or len(head) > LONGEST_HEAD:
            return
        self._heads_bytes += len(head) + 400
        if self._heads_bytes > MOST_HEADS:
            self._forget_heads()
        heads[head] = hit

    def _place(self, wanted: SharedRequest) -> Hashable:
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
        if lesson.book is not self._book or scope["http_version"] != "1.1":
            return False
        method, client, now = scope["method"], scope["client"], lesson.request.at
        target = scope["extensions"].get("edgeproxy.target", {}).get("target", b"")
        peer = client[0] if client else ""
        asked = self._judge.asked(method, target, scope["headers"], peer, scope["scheme"], book=lesson.book, now=now)
        if asked is None or asked.coding != lesson.reusable.wanted:
            return False
        wanted = self._judge.shared(asked, lesson.book, identity=lesson.identity)
        if (
            wanted is None
            or self._place(wanted) != self._place(lesson.shared)
            or asked.decided != alike(lesson.book, lesson.visitor, lesson.request)
        ):
            return False
        while self._count >= self._most:
            self._drop_oldest()
        shelf = self._shelves.setdefault(target, {}).setdefault(asked.key, _Shelf(lesson.identity))
        place = self._place(lesson.shared)
        before = shelf.ready.get(place)
        if before is None:
            self._count += 1
        elif before.page() is lesson.page and before.since <= now < before.until and before.body() is not None:
            return True  # somebody with an unusual request was given by the app what is ready
        else:
            before.until = 0.0
        shelf.identity = lesson.identity
        shelf.ready[place] = Ready(lesson, self._via)
        return True
