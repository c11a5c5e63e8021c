"""What the app has just answered, as a lesson for the fast lane.

Here: the lane of a listener, and what of a request's notes others may get too.  Not here: what the lane makes of it
(``server.fastlane``), whether a stored page's variant may be used again (``rewrite``, ``sharing``: ``Reusable``).
Called by ``proxy`` once the answer has left.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from edgeproxy.core import policy
from edgeproxy.core.visitor import VerifiedCookies
from edgeproxy.journal import Journal
from edgeproxy.pages import PageCache
from edgeproxy.sanitise import Sanitiser
from edgeproxy.server.asked import Judge
from edgeproxy.server.fastlane import Books, FastLane, Lesson
from edgeproxy.server.head import LONGEST_HEAD
from edgeproxy.settings import Settings
from edgeproxy.trail import Trail

__all__ = ["fast_lane", "lesson"]


def fast_lane(
    settings: Settings,
    *,
    sanitiser: Sanitiser,
    verified: VerifiedCookies,
    books: Books,
    cache: PageCache,
    journal: Journal,
    clock: Callable[[], float],
    via: bytes,
    beside: Callable[[], None],
) -> FastLane:
    """The lane of one listener; it shares what the app has verified, and stands before the app's own cache."""
    judge = Judge(
        sanitiser,
        settings.keys,
        settings.cookie,
        settings.state_cookie,
        verified,
        country_header=settings.country_header,
        loop=settings.via,
    )
    lane = FastLane(
        judge,
        books=books,
        pages=cache,
        journal=journal,
        clock=clock,
        via=via,
        beside=beside,
        heads_bytes=settings.limits.heads_bytes,
    )
    journal.counters.gauge("edgeproxy_ready_answers", "Answers that leave without the app", lambda: {(): len(lane)})
    return lane


def lesson(trail: Trail, cache: PageCache) -> Lesson | None:
    """What others may get until something changes that the answer was made of; None where nobody may."""
    intent, kept, reusable, wanted = trail.intent, trail.kept, trail.reusable, trail.shared
    if trail.cut or trail.fault or intent is None or intent.book is None or intent.decision is None:
        return None
    if kept is None or reusable is None or wanted is None:
        return None
    request = intent.request
    told = len(request.path) + len(request.query) + sum(len(name) + len(value) for name, value in request.headers)
    if told > LONGEST_HEAD:
        return None  # it would be held as long as the answer is ready
    change = policy.next_change(intent.book, request.path, trail.at)
    until = cache.fresh_until(kept)
    return Lesson(
        request,
        intent.decision.visitor,
        intent.book,
        wanted,
        intent.edited_here,
        kept,
        reusable,
        until if change is None else min(change, until),
        trail.served(perf_counter()),
        tuple(one for one in intent.decision.fitting if trail.tally and one.name in trail.tally.applied),
    )
