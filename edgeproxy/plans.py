"""Plans kept: a page whose bytes come again is not parsed again.

Here: which plan belongs to which bytes, bounded in memory; which pages are worth asking for.  Not here: making a plan
(``html.plan``), which slots are wanted (``personalise``, which calls a ``Planner``).  One instance per worker; the
threads in which big pages are worked on share it.

A plan is kept by all that it depends on: the body's digest and length, its charset, the Content-Security-Policy, what
each slot looks for, the children that are wanted.  The version of the rules is no part of that: after a reload the
plans of slots that look for the same things still hold, and those of others are asked for no more and fall out.  A
plan holds offsets, never the page.

A shop that writes something new into every page (a token, a number, a time) is no worse: the last page of each path is
kept beside its plan, and where the next one differs from it in such values alone, the plan is carried over
(``html.likeness``).  Where that does not help, a digest would be paid for nothing: a path whose pages never came twice
is asked for only now and then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Final, Protocol

from cachetools import LRUCache

from edgeproxy.bounded import Bounded, unheard
from edgeproxy.core.model import Slot
from edgeproxy.html.likeness import carried
from edgeproxy.html.model import Charset, Element, PagePlan, SlotPlace, Unplannable
from edgeproxy.slow_pages import SlowPages, TooSlow, asked_for

__all__ = ["Planner", "Plans", "digest_of", "weight"]

PLANS_BYTES: Final = 16 * 1024**2
PATHS: Final = 4096  # of which it is remembered whether their pages come again
PATIENCE: Final = 4  # new pages in a row, after which a path is asked for…
NOW_AND_THEN: Final = 16  # …only each so many times
SHARE: Final = 8  # a page that would take more of the memory than one part in so many is not remembered by its path

_NO_CHILDREN: Mapping[str, Collection[str]] = {}


class Planner(Protocol):
    """Where slots are in a page; ``html.plan.plan`` is one, and tells what the arguments are."""

    def __call__(
        self,
        body: bytes,
        charset: Charset,
        slots: Sequence[Slot],
        *,
        children: Mapping[str, Collection[str]] = ...,
        csp: str | None = None,
    ) -> PagePlan:
        """Raises Unplannable."""


def digest_of(body: bytes) -> bytes:
    """16 bytes that stand for a body's: by BLAKE2b, so that nobody can make another page that passes for it."""
    return blake2b(body, digest_size=16).digest()


_Key = tuple[object, ...]


class Plans:
    """The plans of one worker, at most ``limit`` bytes of them, least recently used dropped first; 0 keeps none.

    The last pages of paths take as much again.
    """

    def __init__(
        self,
        limit: int = PLANS_BYTES,
        *,
        slow: SlowPages | None = None,
        count: Callable[[str], object] = lambda how: None,
        full: Callable[[], object] = unheard,
    ) -> None:
        """``slow`` looks through pages; ``count`` is told of each: "kept", "carried over" or "made"; ``full`` when
        there is no room."""
        self._slow = SlowPages() if slow is None else slow
        self.count = count
        self._plans: Bounded[_Key, PagePlan | str] = Bounded(limit, weight, full)
        self._latest: Bounded[_Key, tuple[bytes, PagePlan]] = Bounded(limit, _latest_weight, full)
        self._luck: LRUCache[str, int] = LRUCache(PATHS)
        self._lock = threading.Lock()
        self._on = limit > 0
        self._full = full
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._plans)

    @property
    def size(self) -> int:
        """Bytes that they take, about."""
        return int(self._plans.currsize + self._latest.currsize)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._plans.clear()
            self._latest.clear()
            self._luck.clear()
        self._slow.clear()

    def of(self, digest: bytes, path: str) -> Planner:
        """A planner for the page with this digest (``digest_of``)."""

        def planner(
            body: bytes,
            charset: Charset,
            slots: Sequence[Slot],
            *,
            children: Mapping[str, Collection[str]] = _NO_CHILDREN,
            csp: str | None = None,
        ) -> PagePlan:
            return self._plan(path, digest, body, charset, slots, children, csp)

        return planner

    def on(self, path: str) -> Planner:
        """A planner for a page that was made for one request: its digest is worked out where that is worth it."""

        def planner(
            body: bytes,
            charset: Charset,
            slots: Sequence[Slot],
            *,
            children: Mapping[str, Collection[str]] = _NO_CHILDREN,
            csp: str | None = None,
        ) -> PagePlan:
            alike = self._alike(path, body, charset, slots, children, csp)
            if alike is not None:
                return alike
            if self._worth_it(path):
                before = self.hits
                made = self._plan(path, digest_of(body), body, charset, slots, children, csp)
                with self._lock:
                    self._luck[path] = 0 if self.hits > before else self._luck.get(path, 0) + 1
            else:
                made = self._slow.plan(path, body, charset, slots, children=children, csp=csp)
            self._remember(path, body, charset, slots, children, csp, made)
            return made

        return planner

    def beside(self, path: str) -> Planner:
        """A planner for a page that counts nowhere, as those of previews: nothing is kept, nothing is known."""
        return partial(self._slow.plan, path)

    def _alike(
        self,
        path: str,
        body: bytes,
        charset: Charset,
        slots: Sequence[Slot],
        children: Mapping[str, Collection[str]],
        csp: str | None,
    ) -> PagePlan | None:
        """The plan of the page that this path had last, where this one differs from it in tokens and the like."""
        with self._lock:
            last = self._latest.get((path, charset, csp, *asked_for(slots, children)))
        if last is None:
            return None
        selectors = [slot.find for slot in slots]
        selectors += [text for texts in children.values() for text in texts]
        made = carried(last[1], last[0], body, selectors)
        if made is None:
            return None
        with self._lock:
            self.hits += 1
        self.count("kept" if made is last[1] else "carried over")
        return _of_these(made, slots)

    def _remember(
        self,
        path: str,
        body: bytes,
        charset: Charset,
        slots: Sequence[Slot],
        children: Mapping[str, Collection[str]],
        csp: str | None,
        made: PagePlan,
    ) -> None:
        if not self._on:
            return
        if len(body) + weight(made) > self._latest.maxsize / SHARE:
            self._full()
        else:
            with self._lock:
                self._latest[path, charset, csp, *asked_for(slots, children)] = (body, made)

    def _worth_it(self, path: str) -> bool:
        if not self._on:
            return False
        with self._lock:
            unlucky = self._luck.get(path, 0)
            if unlucky < PATIENCE or (unlucky - PATIENCE) % NOW_AND_THEN == NOW_AND_THEN - 1:
                return True
            self._luck[path] = unlucky + 1
            return False

    def _plan(
        self,
        path: str,
        digest: bytes,
        body: bytes,
        charset: Charset,
        slots: Sequence[Slot],
        children: Mapping[str, Collection[str]],
        csp: str | None,
    ) -> PagePlan:
        key = (digest, len(body), charset, csp, *asked_for(slots, children))
        with self._lock:
            known = self._plans.get(key)
            if known is None:
                self.misses += 1
            else:
                self.hits += 1
        self.count("made" if known is None else "kept")
        if known is None:
            try:
                known = self._slow.plan(path, body, charset, slots, children=children, csp=csp)
            except TooSlow:
                raise  # another time it may be tried
            except Unplannable as why:
                known = str(why)
            self._keep(key, known)
        elif isinstance(known, PagePlan):
            current = _of_these(known, slots)
            if current is not known:
                known = current
                self._keep(key, known)
        if isinstance(known, str):
            raise Unplannable(known)
        return known

    def _keep(self, key: _Key, made: PagePlan | str) -> None:
        if self._on:
            with self._lock, suppress(ValueError):  # longer than all that may be kept
                self._plans[key] = made


def _latest_weight(latest: tuple[bytes, PagePlan]) -> int:
    return len(latest[0]) + weight(latest[1])


def _of_these(page: PagePlan, slots: Sequence[Slot]) -> PagePlan:
    """The plan with these very slots, which look for the same things: of another book they may say other words."""
    if all(page.slots[slot.name].slot is slot for slot in slots):
        return page
    return replace(page, slots={slot.name: replace(page.slots[slot.name], slot=slot) for slot in slots})


# --------------------------------------------------------------------------- what a plan weighs


def weight(made: PagePlan | str) -> int:
    """Bytes of memory that a plan takes, about: counted by its parts, since asking each object takes too long."""
    if isinstance(made, str):
        return 600 + len(made)
    return 1400 + sum(map(_slot_weight, made.slots.values()))


def _slot_weight(place: SlotPlace) -> int:
    return 400 + len(place.trouble) + sum(map(_element_weight, place.elements))


def _element_weight(element: Element) -> int:
    attributes = sum(320 + len(name) + 2 * len(value) for name, (_, _, value) in element.attributes.items())
    children = sum(220 + 60 * len(child.unclosed) + 60 * len(child.matches) for child in element.children)
    names = 60 * (len(element.ancestors) + len(element.unclosed_before) + len(element.unclosed_inside))
    return 600 + attributes + children + names
