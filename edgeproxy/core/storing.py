"""May this answer of the shop be kept for others, and for how long (RFC 9111, 3; law 4).

Here: one text, read from top to bottom: the first line that holds decides, and says why in words.  Not here: requests
(``sharing``), the body's own marks of a visitor (``html.traces``), the store (``pages``).  Pure; called by the page
cache for each answer that it could keep, and by whoever explains one.

The answer is one to a *shared* request: it was asked for without cookies, without Authorization, and with a head that
is fixed or part of the key (``sharing``).  So an answer that depends on the visitor cannot be here, unless the shop
says so by Set-Cookie, which is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edgeproxy.core import freshness
from edgeproxy.core.freshness import DISCONNECTED, Lifetimes, Lines
from edgeproxy.core.model import CacheRule

__all__ = ["STALE", "Terms", "stripped", "terms", "varies"]

_FINAL: Final = frozenset({200, 203, 301, 308, 404, 410})
"""Statuses that are kept where the shop says how long.  302 and 307 are how shops send people to log in."""


EVENT: Final = b"edge-event"
TELLS: Final = "it tells of this visitor (Edge-Event)"
STALE: Final = "it is stale at once"


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms an answer may be kept."""

    lifetimes: Lifetimes
    from_rule: bool  # an operator's rule says so, whatever the shop does
    declared: bool  # the shop says that it is for everybody (public, s-maxage), not only how long it is fresh


def terms(status: int, lines: Lines, rule: CacheRule | None, at: float) -> Terms | str:
    """The terms, or why the answer may not be kept.  ``lines``: names in lower case; ``at``: seconds (epoch)."""
    if rule is not None and rule.fresh <= 0:
        return f"never, says {rule.where.short}"
    if status not in _FINAL:
        return f"status is {status}"
    names = {name for name, _ in lines}
    if EVENT in names:
        return TELLS
    if b"content-range" in names:
        return "it is a part of something"  # 3.3: only whole answers
    if b"clear-site-data" in names:
        return "it clears what the browser keeps (Clear-Site-Data)"
    for value in freshness.values(lines, b"set-cookie"):
        name = value.partition(b"=")[0].strip().decode("latin-1")
        if rule is None or name not in rule.strip_set_cookie:
            return f'it sets the cookie "{name[:60]}"'
    if "*" in varies(lines):
        return "Vary is *"  # 4.1: matches no request
    if rule is not None and status == 200:
        return Terms(Lifetimes(rule.fresh, rule.stale, rule.stale_if_error, rule.stale_if_error), True, True)
    return _by_the_shop(lines, at)


def _by_the_shop(lines: Lines, at: float) -> Terms | str:
    said, targeted = freshness.control(lines)
    if said.no_store:
        return "the shop says no-store"  # 5.2.2.5
    if said.private:
        return "the shop says private"  # 5.2.2.7
    if b"0" in [value.strip() for value in freshness.values(lines, b"x-accel-expires")]:
        return "the shop says X-Accel-Expires: 0"
    fresh = freshness.lifetime(lines, said, at, targeted=targeted)
    if fresh is None and not said.no_cache:
        return "the shop does not say how long it is fresh"  # 4.2.2: heuristic freshness is off
    declared = said.public or said.s_maxage is not None or targeted
    if fresh is None or said.no_cache or fresh <= 0:
        # 5.2.2.4 allows storing what is validated each time; shops write no-cache where they mean no-store, so only
        # what they call public is taken at that word
        if not declared:
            return STALE if not said.no_cache else "the shop says no-cache"
        if not any(freshness.values(lines, name) for name in (b"etag", b"last-modified")):
            return f"{STALE}, and has nothing to validate by"
        fresh = 0.0
    if said.must_revalidate or said.proxy_revalidate or said.s_maxage is not None or said.no_cache:
        # 5.2.2.2, 5.2.2.8, 5.2.2.10 and 4.2.4: never used stale
        return Terms(Lifetimes(fresh), False, declared)
    stale_if_error = float(said.stale_if_error or 0)
    gone = DISCONNECTED if said.stale_if_error is None else stale_if_error
    return Terms(Lifetimes(fresh, float(said.stale_while_revalidate or 0), stale_if_error, gone), False, declared)


def stripped(lines: Lines, rule: CacheRule | None) -> list[tuple[bytes, bytes]]:
    """The lines that are kept: without the cookies that the rule lets go, and what belongs to one moment."""
    return [line for line in lines if line[0] not in _NOT_KEPT and (line[0] != b"set-cookie" or rule is None)]


_NOT_KEPT: Final = frozenset({b"age", b"content-length", b"server-timing", b"x-request-id"})


def varies(lines: Lines) -> tuple[str, ...]:
    """The fields that Vary names, lower-case, without repeats; ``*`` where one line holds it or cannot be read."""
    names: dict[str, None] = {}
    for value in freshness.values(lines, b"vary"):
        for part in value.decode("latin-1").split(","):
            name = part.strip(" \t").lower()
            if not name:
                continue
            if name == "*" or not name.isascii() or not all(letter.isalnum() or letter in _TOKEN for letter in name):
                return ("*",)  # what cannot be read could name anything
            names[name] = None
    return tuple(names)


_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~")
