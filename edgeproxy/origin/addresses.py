"""Several addresses of one shop behind one httpx transport.

Here: which address is asked, when the next one is, what is counted of each, and the checks of a health path.  Not
here: what puts an address out (``health``), one exchange (``transport``).  Wired by ``app``; with one address it only
counts.

Rules
-----
1. The address with the fewest exchanges under way is asked, in turn where they are equal.
2. An address that is out is not asked, unless all are: then all are asked as if none were, since a shop that answers
   badly is better than none.
3. Where nothing of a request has been sent (no connection, no TLS, no name) it goes to the next address, whatever its
   method; each address at most once, within the request's deadline.  Anything else is the shop's answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import httpx

from edgeproxy.origin.errors import ShopBusy, ShopError, ShopTimeout
from edgeproxy.origin.health import Health, Tolerance
from edgeproxy.origin.transport import AtHand, ShopTransport

__all__ = ["Address", "Count", "ShopAddresses"]

log = logging.getLogger("edgeproxy.origin")

_EMPTY = httpx.ByteStream(b"")


class Count(Protocol):
    """What counts: ``what`` is "answered", the kind of a ShopError, "out" or "check failed"."""

    def __call__(self, address: str, what: str, /) -> None: ...


class Address:
    """One address, and what is known of it."""

    __slots__ = ("health", "name", "outcome", "turn", "via")

    def __init__(self, name: str, via: ShopTransport, health: Health) -> None:
        self.name = name
        self.via = via
        self.health = health
        self.turn = 0
        self.outcome: Callable[[ShopError | None], None]


class ShopAddresses(httpx.AsyncBaseTransport):
    """The shop at all its addresses; requests are written as for ``ShopTransport``.

    ``origins`` and what reaches each; ``clock`` gives seconds that only go forward, ``dice`` numbers in [0, 1).
    """

    def __init__(
        self,
        addresses: Sequence[tuple[str, ShopTransport]],
        *,
        tolerance: Tolerance | None = None,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
        count: Count | None = None,
        hit: Callable[[str], object] = lambda limit: None,
    ) -> None:
        """``hit`` is told the name of each limit (``settings.Limits``) that was hit."""
        if not addresses:
            raise ValueError("the shop has no address")
        tolerance = tolerance or Tolerance()
        self.addresses = tuple(Address(name, via, Health(tolerance)) for name, via in addresses)
        for one in self.addresses:
            one.outcome = partial(self._outcome, one)
        self._clock = clock
        self._dice = dice
        self._count = count or (lambda address, what: None)
        self._hit = hit
        self._turn = 0

    def usable(self, one: Address) -> bool:
        """The address is not out."""
        return one.health.usable(self._clock())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        began = self._clock()
        deadline = request.extensions.get("deadline")
        left = list(self.addresses)
        while True:
            one = self._choose(left)
            left.remove(one)
            request.extensions["outcome"] = one.outcome
            try:
                return await one.via.handle_async_request(request)
            except ShopError as problem:
                if not left or not problem.unsent:
                    raise
                if deadline is not None:
                    rest = deadline - (self._clock() - began)
                    if rest <= 0:
                        raise
                    request.extensions["deadline"] = rest

    def at_hand(self) -> AtHand | None:
        """An idle connection to the address whose turn it is; None where there is none."""
        one = self._next(self.addresses)
        found = one.via.at_hand()
        if found is not None:
            self._asked(one)
            found.outcome = one.outcome
        return found

    async def aclose(self) -> None:
        """Close every connection."""
        for one in self.addresses:
            await one.via.aclose()

    # ------------------------------------------------------------------ the health path

    async def watch(self, target: bytes, headers: Sequence[tuple[bytes, bytes]], seconds: float) -> None:
        """Ask every address for ``target`` every ``seconds``, for ever; never raises but CancelledError.

        Good is a status from 200 to 399 and a whole answer, within ``seconds``.
        """
        while True:
            await asyncio.sleep(seconds * (0.9 + 0.2 * self._dice()))
            await self.check(target, headers, seconds)

    async def check(self, target: bytes, headers: Sequence[tuple[bytes, bytes]], seconds: float) -> None:
        """Ask every address once, all at the same time."""
        await asyncio.gather(*(self._check(one, target, headers, seconds) for one in self.addresses))

    async def _check(self, one: Address, target: bytes, headers: Sequence[tuple[bytes, bytes]], seconds: float) -> None:
        request = httpx.Request(
            "GET",
            "http://shop.invalid",
            headers=list(headers),
            stream=_EMPTY,
            extensions={"target": target, "deadline": seconds},
        )
        why = ""
        try:
            async with asyncio.timeout(seconds):
                answer = await one.via.handle_async_request(request)
                async with contextlib.aclosing(answer):
                    assert isinstance(answer.stream, httpx.AsyncByteStream)
                    async for _ in answer.stream:
                        pass
                if not 200 <= answer.status_code < 400:
                    why = f"status {answer.status_code}"
        except ShopBusy:
            return  # it says nothing of the shop
        except (ShopError, TimeoutError) as problem:
            why = str(problem) or "no whole answer in time"
            if isinstance(problem, ShopTimeout | TimeoutError):
                self._hit("origin_health_seconds")
        except Exception:
            log.exception("checking %s", one.name)
            return
        was_out = not self.usable(one)
        if why:
            self._count(one.name, "check failed")
        if one.health.checked(good=not why):
            self._out(one, f"its health path: {why}")
        elif was_out and not why:
            log.info("the shop's address %s is back: its health path answers", one.name)

    # ------------------------------------------------------------------ inside

    def _choose(self, among: Sequence[Address]) -> Address:
        one = self._next(among)
        self._asked(one)
        return one

    def _next(self, among: Sequence[Address]) -> Address:
        """Whose turn it is: it stays so until it is asked."""
        if len(among) == 1:
            return among[0]
        now = self._clock()
        return min(
            [one for one in among if one.health.usable(now)] or among, key=lambda one: (one.via.at_work, one.turn)
        )

    def _asked(self, one: Address) -> None:
        self._turn += 1
        one.turn = self._turn

    def _outcome(self, one: Address, problem: ShopError | None) -> None:
        if problem is None:
            self._count(one.name, "answered")
            one.health.answered(self._clock())
            return
        self._count(one.name, problem.kind)
        if problem.limit:
            self._hit(problem.limit)
        if not isinstance(problem, ShopBusy) and one.health.failed(self._clock(), self._dice()):
            self._out(one, str(problem))
            if len(self.addresses) > 1:
                self._hit("origin_failures")

    def _out(self, one: Address, why: str) -> None:
        if len(self.addresses) > 1:
            self._count(one.name, "out")
            log.warning("the shop's address %s is left out: %s", one.name, why)
