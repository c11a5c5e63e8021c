"""What only passes: requests whose answer is certain to be the shop's own bytes, answered with no task.

Here: which requests those are, and an answer's way from the shop's connection to the visitor's.  Not here: what a step
decides (the very functions of ``proxy``, ``intend``, ``sharing`` and ``delivery``), bytes on the wire (``server``,
``origin``).  Called by the protocol for each plain GET or HEAD that the fast lane does not answer, and afterwards by
the two connections as they move.

Theory of operation
-------------------
Pictures, styles and scripts, and pages on which no experience can change anything, need no rewriting, whoever asks.
``begin`` takes them where nothing has to be waited for: an idle connection to the shop is at hand, and the page cache
says that it has no part in it.  Everything else is the app's, from the beginning.

    visitor's protocol ─ begin ─ guard, intend, sharing: as the app ─ ask ──► the shop's connection
            ▲                                                                       │
            └── write_head, write_body ── confirmed, passed: as the app ◄── moved ──┘

An answer that does not simply stream, a shop that fails before its head has come, and a fault of ours are handed to the
app's own code, which goes on in a task (``Rest``).  A connection that turns out dead is the app's one retry.

Who waits for whom: bytes that the visitor does not take stay in the exchange, which stops reading from the shop above
its window; the time that this takes is not the shop's.  A visitor who leaves ends the exchange (``Passage.left``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

import httpx

from edgeproxy.core.model import LaneKind, RuleBook
from edgeproxy.core.policy import passes
from edgeproxy.delivery import Delivery
from edgeproxy.intend import Books, Intending
from edgeproxy.origin import ShopError
from edgeproxy.origin.exchange import Exchange as ShopExchange
from edgeproxy.origin.exchange import too_late
from edgeproxy.origin.patience import Patience
from edgeproxy.origin.transport import AtHand, answered, patience_for
from edgeproxy.own import OWN_PATHS
from edgeproxy.respond import NewLines
from edgeproxy.sanitise import Forwardable, Refusal
from edgeproxy.sharing import Sharing
from edgeproxy.trail import Intent, Trail

if TYPE_CHECKING:
    from edgeproxy.proxy import Checked
    from edgeproxy.server.exchange import Exchange

__all__ = ["FRESH", "Passage", "Passing", "Rest", "Steps"]

log = logging.getLogger("edgeproxy.passing")

_SAFE: Final = frozenset({"GET", "HEAD"})

VISITOR: Final = 0.5
"""Seconds after which it is looked again while a visitor does not take what has come."""

FRESH: Final = "edgeproxy.fresh"
"""An extension of the scope: the shop has been asked once already, on a connection that was dead."""


class Shop(Protocol):
    """What can be asked without waiting: ``ShopAddresses``."""

    def at_hand(self) -> AtHand | None: ...


class Rest(Protocol):
    """Goes on with an answer in the app's own way; ``told`` is what the shop came to, None for a fault of ours."""

    async def __call__(
        self,
        head: Forwardable,
        target: bytes,
        intent: Intent,
        trail: Trail,
        told: httpx.Response | ShopError | None,
        send: Any,
    ) -> None: ...


class Steps(Protocol):
    """The app's own steps."""

    def guard(self, scope: Any, trail: Trail, /) -> Checked | Refusal: ...
    def for_shop(self, checked: Checked, intent: Intent, /) -> list[tuple[bytes, bytes]]: ...
    def record(self, trail: Trail, /) -> None: ...
    @property
    def rest(self) -> Rest: ...


class Passing:
    """Of one listener; belongs to one event loop.  ``clock`` gives seconds since the epoch."""

    def __init__(
        self,
        steps: Steps,
        shop: Shop,
        *,
        books: Books,
        intending: Intending,
        sharing: Sharing | None,
        delivery: Delivery,
        deadline: float,
        clock: Callable[[], float],
        fault: Callable[[BaseException], object],
    ) -> None:
        self.at_work = 0
        self.steps = steps
        self.sharing = sharing
        self.delivery = delivery
        self.deadline = deadline
        self._shop = shop
        self._books = books
        self._intending = intending
        self._clock = clock
        self.fault = fault

    def begin(self, cycle: Exchange) -> bool:
        """Ask the shop for this request where it is certain to pass; False: the app has to answer it."""
        scope = cycle.scope
        if scope["method"] not in _SAFE:
            return False
        at, path = self._clock(), scope["raw_path"].decode("latin-1")
        try:
            book = self._books.book
            if book is None or path.startswith(OWN_PATHS) or not passes(book, path, scope["headers"], at):
                return False
            lent = self._shop.at_hand()
            if lent is None:
                return False
            asked = False
            try:
                asked = self._asked(cycle, lent, book, at)
            finally:
                if not asked:
                    lent.release()
            return asked
        except Exception as problem:  # ours: the app answers as if nobody had tried
            self.fault(problem)
            return False

    def _asked(self, cycle: Exchange, lent: AtHand, book: RuleBook, at: float) -> bool:
        scope = cycle.scope
        trail = Trail(perf_counter(), at, scope["method"], scope["http_version"])
        checked = self.steps.guard(scope, trail)
        if isinstance(checked, Refusal):
            return False
        intent = self._intending.intend(checked.request, checked.head, passes=True)
        if intent.preview is not None or intent.lane.kind is not LaneKind.PASS or intent.book is not book:
            return False
        lines = self.steps.for_shop(checked, intent)
        sharing = self.sharing
        if sharing is not None and not sharing.passes(checked.head, checked.target, checked.lines, intent, trail):
            return False
        trail.intent = intent
        exchange = lent.ask(checked.head.method, checked.target, lines)
        self._intending.note(intent)
        cycle.passage = Passage(self, cycle, exchange, lent, checked, intent, trail)
        self.at_work += 1
        return True


class Passage:
    """One answer on its way from the shop's connection to the visitor's; told by both when anything has moved."""

    __slots__ = (
        "_asked",
        "_checked",
        "_cycle",
        "_due",
        "_exchange",
        "_intent",
        "_lent",
        "_loop",
        "_passing",
        "_patience",
        "_since",
        "_started",
        "_timer",
        "_trail",
    )

    def __init__(
        self,
        passing: Passing,
        cycle: Exchange,
        exchange: ShopExchange,
        lent: AtHand,
        checked: Checked,
        intent: Intent,
        trail: Trail,
    ) -> None:
        self._passing = passing
        self._cycle: Exchange | None = cycle  # None: it is over, or somebody else's
        self._exchange = exchange
        self._lent = lent
        self._checked = checked
        self._intent = intent
        self._trail = trail
        self._asked = perf_counter()
        self._started = False
        self._patience = Patience.total(passing.deadline)
        self._loop = loop = cycle.protocol.loop
        self._since: float | None = loop.time()  # since when the shop is waited for
        self._due = self._since + self._patience.left
        self._timer = loop.call_at(self._due, self._looked)
        exchange.moved = self._moved
        if exchange.error is not None:  # lost in the very moment
            loop.call_soon(self._moved)

    # ------------------------------------------------------------------ told by the connections

    def resumed(self) -> None:
        """The visitor takes more."""
        if self._cycle is not None and self._since is None:
            self._since = self._loop.time()
            self._moved()

    def left(self, why: str) -> None:
        """The visitor is gone."""
        self._trail.problem = self._trail.problem or why
        self._over()
        self._exchange.abandon()
        self._passing.steps.record(self._trail)

    def _moved(self) -> None:
        """Something has come from the shop, or its connection is gone."""
        if self._cycle is None:
            return
        try:
            self._go_on(self._cycle, self._exchange)
        except Exception as problem:
            self._give_up(problem)

    def _looked(self) -> None:
        """The time that was given at first is over; what has come since may have earned more."""
        now = self._loop.time()
        if self._since is not None:
            self._patience.spend(now - self._since)
            self._since = now
        left = self._patience.left
        if left > 0 or self._since is None:
            self._wait(now + (left if self._since is not None else max(left, VISITOR)))
            return
        self._exchange.fail(too_late("body" if self._started else "answer", self._patience))
        self._moved()

    def _wait(self, due: float) -> None:
        self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_at(due, self._looked)

    # ------------------------------------------------------------------ the way of the bytes

    def _go_on(self, cycle: Exchange, exchange: ShopExchange) -> None:
        if self._since is not None:
            now = self._loop.time()
            self._patience.spend(now - self._since)
            self._since = now
        if not self._started:
            if exchange.hints and self._checked.head.trusted:  # a browser could take a 103 for the answer (RFC 8297, 3)
                links, exchange.hints = exchange.hints, []
                cycle.write_hints(links)
            if exchange.error is not None:
                self._failed(cycle, exchange.error)
                return
            if not exchange.head_done or not self._begun(cycle, exchange):
                return
        self._pour(cycle, exchange)

    def _begun(self, cycle: Exchange, exchange: ShopExchange) -> bool:
        """The shop's head has come, and ours leaves; False where the app goes on with it."""
        passing, trail, intent, head = self._passing, self._trail, self._intent, self._checked.head
        trail.shop_seconds += perf_counter() - self._asked
        status = exchange.status
        patience = patience_for(exchange, self._patience, self._lent.limits, timed=True)
        leaving: NewLines | None = None
        try:
            lines, lane = passing.delivery.confirmed(status, exchange.headers, intent, trail)
            if not trail.fault and passing.delivery.streams(status, lines, intent, lane):
                leaving = passing.delivery.passed(status, lines, intent, lane, trail)
        except Exception:
            log.debug("the app meets the same fault, and tells it", exc_info=True)
        if leaving is None:
            self._hand_over(cycle, answered(exchange, patience, self._lent.outcome))
            return False
        if patience is not self._patience:
            self._patience = patience
            if not exchange.complete and self._loop.time() + patience.left < self._due:
                self._wait(self._loop.time() + patience.left)
        if passing.sharing is not None:
            passing.sharing.passing(head, self._checked.target, status, exchange.headers, trail)
        self._started = True
        trail.status = status
        cycle.write_head(status, leaving)
        return True

    def _pour(self, cycle: Exchange, exchange: ShopExchange) -> None:
        """What has come leaves, as far as the visitor takes it."""
        if not _takes(cycle):
            self._since = None
            return
        data = exchange.take()
        if data:
            self._patience.earn(len(data))
            self._trail.sent += len(data)
        if exchange.complete:
            cycle.write_body(data, False)
            self._end(None)
        elif exchange.error is not None:
            if data:
                cycle.write_body(data, True)
            self._trail.cut = True
            self._trail.problem = f"shop: {exchange.error}"
            cycle.cut()
            self._end(exchange.error)
        elif data:
            cycle.write_body(data, True)
            if not _takes(cycle):
                self._since = None

    # ------------------------------------------------------------------ its end

    def _over(self) -> None:
        """Nobody tells it anything any more."""
        cycle, self._cycle = self._cycle, None
        self._timer.cancel()
        self._exchange.moved = None
        if cycle is not None:
            cycle.passage = None
            self._passing.at_work -= 1

    def _end(self, problem: BaseException | None) -> None:
        self._over()
        if problem is None or isinstance(problem, ShopError):
            self._lent.outcome(problem)
        self._passing.steps.record(self._trail)

    def _failed(self, cycle: Exchange, problem: BaseException) -> None:
        """There is no head: asked once more where the connection was dead, else an error page."""
        self._trail.shop_seconds += perf_counter() - self._asked
        if isinstance(problem, ShopError) and problem.kind == "silent":
            self._over()
            cycle.scope["extensions"][FRESH] = {}
            cycle.protocol.begin_app()
            return
        if isinstance(problem, ShopError):
            self._lent.outcome(problem)
            self._hand_over(cycle, problem)
        else:
            self._hand_over(cycle, None)

    def _give_up(self, problem: Exception) -> None:
        """A fault of ours: before anything has left, the app answers as if nobody had tried."""
        cycle = self._cycle
        self._exchange.abandon()
        if self._started:
            self._trail.failed(log, "passing")
            if cycle is not None:
                cycle.cut()
                self._over()
                self._passing.steps.record(self._trail)
        else:
            self._passing.fault(problem)
            if cycle is not None:
                self._over()
                cycle.protocol.begin_app()

    def _hand_over(self, cycle: Exchange, told: httpx.Response | ShopError | None) -> None:
        """The app goes on with it."""
        self._over()
        checked, intent, trail, rest = self._checked, self._intent, self._trail, self._passing.steps.rest

        async def go_on(scope: Any, receive: Any, send: Any) -> None:
            await rest(checked.head, checked.target, intent, trail, told, send)

        cycle.protocol.begin_app(go_on)


def _takes(cycle: Exchange) -> bool:
    """The visitor has taken what was written, or most of it."""
    return not cycle.flow.write_paused
