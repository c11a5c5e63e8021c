"""A page that was made for one request, and comes again for the same edits: the same, or with another token in it.

Here: ``Again``, which remembers a page of each path, and what the edits of some visitors came to on it.  Not here:
pages that may be kept (``pages``, ``variants``): nothing here is ever an answer before the shop has given its own.
Called by ``rewrite``.

What is placed follows from the page's bytes, its charset and policies, the experiences that fit, the visitor's stage
and segments, and the path: all of these are compared, the bytes last.  So nobody gets what they would not have got.

    the same bytes        what leaves is the same, coded and all (once it was coded for bytes that came twice)
    other values in it    a token, a number, a time (``html.likeness``): the same edits at places that have moved;
                          nothing is parsed and nothing is placed, the page is spliced and coded.  A nonce is such a
                          value too, as long as no edit says it: then the page is made anew
    anything else         another page, which is remembered in place of this one
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Final

from edgeproxy.bounded import Bounded, unheard
from edgeproxy.core.model import Decision, Experience, RuleBook
from edgeproxy.html import charset as charsets
from edgeproxy.html.likeness import Run, Shift, beside_tags, differences, looks_at_values, values
from edgeproxy.html.model import Splice, Unplannable
from edgeproxy.html.render import render
from edgeproxy.personalise import Personalised, children_of
from edgeproxy.plans import weight

__all__ = ["Again", "Coded", "Found", "Where"]

SHARE: Final = 8  # a page that would take more of the memory than one part in so many is not remembered
VARIANTS: Final = 64  # of one page
SETTLED: Final = 3  # times in a row that a page came which is like the one remembered, before it takes its place

Where = tuple[str, str | None, str | None, frozenset[str]]
"""A path, the page's Content-Type and policy (its nonces nameless: ``html.csp``), and its distrusted slots."""
Make = Callable[[bytes], Personalised]
"""How a page (its bytes in the clear) is made for the decision in question."""
_Who = tuple[object, ...]


@dataclass(slots=True)
class Coded:
    """A page as it leaves."""

    coding: str  # "": none
    body: bytes
    _digest: str = ""

    @property
    def digest(self) -> str:
        """Of ``body``; worked out when it is asked for first, since pages without validator need none."""
        if not self._digest:
            self._digest = blake2b(self.body, digest_size=12).hexdigest()
        return self._digest


@dataclass(frozen=True, slots=True)
class Found:
    """A page made.  The offsets of ``made`` are those of ``original``: this very page, or one that it is like."""

    made: Personalised
    original: bytes
    coded: Coded | None = None  # what leaves; None: it has to be coded yet
    same: bool = False  # its bytes came before, and may come again


@dataclass(frozen=True, slots=True)
class _Variant:
    fitting: tuple[Experience, ...]  # kept, so that nothing else gets their identity
    made: Personalised  # without its body
    spliced: bool  # the body is the page with the splices made
    portable: bool  # and so it is for pages that are like it
    coded: Mapping[bytes, Coded]  # by what the visitor takes


@dataclass(slots=True)
class _Seen:
    book: RuleBook
    original: bytes
    variants: dict[_Who, _Variant] = field(default_factory=dict)
    latest: tuple[object, ...] = ()  # how the last page that was like it differed…
    times: int = 0  # …and how often in a row


class Again:
    """Of one worker; at most ``limit`` bytes, least recently used dropped first; 0 remembers nothing."""

    def __init__(self, limit: int, full: Callable[[], object], count: Callable[[str], object]) -> None:
        """``full`` is called when something is dropped, or not remembered, for want of room; ``count`` is told of each
        page that is ``known``: "kept" or "carried over", as ``plans`` counts those that are not."""
        self._count = count
        self._seen: Bounded[Where, _Seen] = Bounded(limit, _weight, full)
        self._most = limit // SHARE
        self._full = full if limit > 0 else unheard
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._seen.clear()

    def known(
        self, where: Where, book: RuleBook, decision: Decision, body: bytes, accept: bytes | None
    ) -> Found | None:
        """This page, made from what is remembered; None where it has to be made (``made``).  Takes microseconds.

        ``accept`` is what the visitor takes; None wants the page in the clear: ``Found.made.body``, which is not there
        where ``Found.coded`` is.
        """
        found = self._found(where, book, decision, body, accept)
        if found is not None:
            self._count("kept" if found.same else "carried over")
        return found

    def _found(
        self, where: Where, book: RuleBook, decision: Decision, body: bytes, accept: bytes | None
    ) -> Found | None:
        with self._lock:
            seen = self._seen.get(where)
            if seen is None or seen.book is not book:
                return None
            variant = seen.variants.get(_who(decision))
        if variant is None:
            return None
        if seen.original == body:
            coded = variant.coded.get(accept) if accept is not None else None
            if coded is not None:
                return Found(variant.made, seen.original, coded, True)
            if not variant.spliced:
                return None
            return Found(_with(variant.made, body, ()), seen.original, None, True)
        runs = differences(seen.original, body) if variant.portable else None
        if runs is None:
            return None
        if self._settled(where, seen, body, runs):
            return None
        return _like(seen, variant, body, runs, where[1])

    def made(self, where: Where, book: RuleBook, decision: Decision, body: bytes, make: Make) -> Found:
        """This page, made and remembered.  Raises what ``make`` raises."""
        with self._lock:
            seen = self._seen.get(where)
        if seen is not None and seen.book is book:
            same = seen.original == body
            runs: list[Run] | None = [] if same else differences(seen.original, body)
            if runs is not None:
                variant = seen.variants.get(_who(decision))
                if variant is None:
                    made = make(body if same else seen.original)
                    self._remember(where, seen, decision, made)
                    if same:
                        return Found(made, body, None, True)
                    variant = seen.variants.get(_who(decision))
                    found = _like(seen, variant, body, runs, where[1]) if variant is not None else None
                    if found is not None:
                        return found
                return Found(make(body), body, None, same)
        made = make(body)
        self._remember(where, _Seen(book, body), decision, made)
        return Found(made, body)

    def keep(self, where: Where, book: RuleBook, decision: Decision, found: Found, accept: bytes, coded: Coded) -> None:
        """A page that came twice has been coded: it leaves the same when it comes again."""
        who = _who(decision)
        with self._lock:
            seen = self._seen.get(where)
            variant = seen.variants.get(who) if seen is not None and seen.book is book else None
            if seen is None or variant is None or not found.same or seen.original != found.original:
                return
            known = variant.coded if len(variant.coded) < VARIANTS else {}
            before = seen.variants[who]
            seen.variants[who] = replace(variant, coded={**known, accept: coded})
            if not self._weigh(where, seen):
                seen.variants[who] = before

    def _remember(self, where: Where, seen: _Seen, decision: Decision, made: Personalised) -> None:
        plan, placing = made.plan, made.placing
        if plan is None or (plan.nonce is not None and _says(placing.splices, plan.nonce)):
            return
        spliced = not placing.roundtrips
        asked = [place.slot.find for place in plan.slots.values()]
        asked += [text for texts in children_of(decision.fitting).values() for text in texts]
        portable = spliced and placing.portable and not looks_at_values(asked)
        kept = replace(made, body=b"")
        with self._lock:
            if len(seen.variants) >= VARIANTS:
                seen.variants.clear()
            seen.variants[_who(decision)] = _Variant(decision.fitting, kept, spliced, portable, {})
            if not self._weigh(where, seen):
                self._seen.pop(where, None)

    def _weigh(self, where: Where, seen: _Seen) -> bool:
        """Keep what has become heavier; False where it is too much.  The lock is held."""
        if _weight(seen) > self._most:
            self._full()
            return False
        self._seen[where] = seen
        return True

    def _settled(self, where: Where, seen: _Seen, body: bytes, runs: list[Run]) -> bool:
        """Whether this very page came a few times by now, so that it is better remembered than the other one."""
        latest = (*runs, *values(body, runs))
        seen.times = seen.times + 1 if seen.latest == latest else 1
        seen.latest = latest
        if seen.times < SETTLED:
            return False
        with self._lock:
            self._seen.pop(where, None)
        return True


def _like(seen: _Seen, variant: _Variant, body: bytes, runs: list[Run], content_type: str | None) -> Found | None:
    """The variant on a page that differs from the one remembered by ``runs``; None where nobody can tell."""
    plan, charset = variant.made.plan, variant.made.charset
    if not variant.portable or plan is None or charset is None or not beside_tags(plan, runs):
        return None
    if charset.source not in ("header", "bom"):  # what grows can move a declaration out of sight
        try:
            if charsets.detect(content_type, body) != charset:
                return None
        except Unplannable:
            return None
    return Found(_with(variant.made, body, runs), seen.original)


def _with(made: Personalised, body: bytes, runs: list[Run] | tuple[()]) -> Personalised:
    splices = made.placing.splices
    if runs and any(grown for _, _, grown in runs):
        splices = Shift(runs).splices(splices)
    return replace(made, body=render(body, splices))


def _says(splices: Sequence[Splice], nonce: str) -> bool:
    """Whether an edit holds the page's nonce, or, where that is too short to tell, could."""
    return len(nonce) < 8 or any(nonce.encode() in one.text for one in splices)


def _who(decision: Decision) -> _Who:
    visitor = decision.visitor
    return (tuple(map(id, decision.fitting)), visitor.stage, visitor.segments)


def _weight(seen: _Seen) -> int:
    total = 1000 + len(seen.original)
    for variant in seen.variants.values():
        texts = sum(200 + len(one.text) for one in variant.made.placing.splices)
        plan = weight(variant.made.plan) if variant.made.plan is not None else 0
        total += 1500 + texts + plan + sum(500 + len(one.body) for one in variant.coded.values())
    return total
