"""What the browser is given to remember: ``edge_state`` read from requests and written with answers.

Here: the cookie's name, attributes and memo, chance for an id, counters, and the shop's ``Edge-Event`` lines.  Not
here: what is remembered and when it changes (``core.recollect``), what rules make of it (``core.conditions``).
Called by ``proxy``: ``of`` before it decides, ``leaving`` with the head of every answer of the shop.

A cookie leaves only with a document, never with a preview or something that is fetched beforehand, and only when
what it remembers has changed: most pages set none.  An answer that sets one is for nobody else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from edgeproxy import respond
from edgeproxy.core import events, recollect, state
from edgeproxy.core.memory import Memory
from edgeproxy.core.model import Experience, PageRequest, RuleBook
from edgeproxy.core.recollect import FORGOTTEN, Recollection
from edgeproxy.core.signing import Keys
from edgeproxy.core.state import VerifiedStates
from edgeproxy.core.timestamped import Disbelief
from edgeproxy.counters import Counters
from edgeproxy.lines import is_html
from edgeproxy.respond import EVENT, NewLines
from edgeproxy.settings import Settings

__all__ = ["Remembering", "told_events"]

log = logging.getLogger("edgeproxy.remember")

MOST_DOMAINS: Final = 4
"""Parents of a host whose cookies of our name are taken away."""

MOST_TOLD: Final = 100
"""Different sentences about ``Edge-Event`` lines that are logged: a shop repeats its mistakes."""


class Remembering:
    """Reads and writes the state cookie by the settings of one listener; holds no request."""

    def __init__(self, settings: Settings, counters: Counters, *, chance: Callable[[], str]) -> None:
        """``chance`` gives an id that nobody can guess, such as ``secrets.token_urlsafe(9)``."""
        self._cookie = settings.state_cookie
        self._domain = f"; Domain={settings.cookie_domain}" if settings.cookie_domain else ""
        self._verified = VerifiedStates()
        self._chance = chance
        self._told: set[str] = set()
        self._cookies = counters.counter(
            "edgeproxy_state_cookies_total", "State cookies, by what became of them", "what"
        )
        self._dropped = counters.counter("edgeproxy_state_dropped_total", "What a state cookie had no room for", "kind")
        self._events = counters.counter("edgeproxy_events_total", "Events that the shop told", "event")
        self._strange = counters.counter("edgeproxy_events_refused_total", "Edge-Event lines that were not taken")

    def of(self, request: PageRequest, book: RuleBook, keys: Keys, now: float) -> Recollection:
        """What the request brings, and what may be done with it."""
        return recollect.recollect(book, request, keys, now, self._cookie, self._verified)

    def noted(self, known: Recollection, book: RuleBook) -> None:
        """Count what a request brought, once for each."""
        if known.state.disbelief is not None and book.recall is not None:
            self._cookies.add(known.state.disbelief.value)

    def leaving(
        self,
        lines: NewLines,
        known: Recollection,
        book: RuleBook,
        request: PageRequest,
        keys: Keys,
        now: float,
        *,
        status: int,
        html: bool | None = None,
        told: Sequence[bytes] = (),
        applied: Sequence[Experience] = (),
    ) -> NewLines:
        """The lines of an answer of the shop with what is to be remembered; the very same list when nothing is.

        ``status`` is the shop's, ``html`` whether it is a page (left out: as the lines say), ``told`` are the values
        of its ``Edge-Event`` lines, ``applied`` are the experiences that changed the page.  Not for previews.
        """
        if book.recall is None or not book.shop.enabled:
            return lines
        heard, problems = events.read(told, book) if told else ((), ())
        if status >= 400 and heard:  # what failed has not happened
            heard, problems = (), (*problems, f"an event with status {status}")
        seen = recollect.counts(known, request)
        if told:
            self._hear(heard, problems, request, seen=seen)
        if not seen:
            return lines
        if 200 <= status < 300:
            heard = (*heard, *events.of_page(book, request.path))
        page = recollect.is_page(book, request, status, html=is_html(lines) if html is None else html)
        held = known.state.memory
        new_id = "" if held is not None and held.visits else self._chance()
        memory = recollect.following(known, book, request, now, page=page, events=heard, applied=applied, new_id=new_id)
        if memory is None:
            return lines
        cookies = [self.set_cookie(memory, request, keys, now)]
        if known.state.disbelief is Disbelief.DOUBLED:
            cookies += self._taken_away_elsewhere(request)
        return [*respond.unshared(lines), *((b"set-cookie", one) for one in cookies)]

    def _taken_away_elsewhere(self, request: PageRequest) -> list[bytes]:
        """What takes the cookie away from each domain that this host can set one for, beside the one that is ours."""
        name = request.host.rpartition(":")[0] or request.host
        labels = name.split(".")
        parents = [".".join(labels[place:]) for place in range(min(len(labels) - 1, MOST_DOMAINS))]
        named = not labels[-1].isdigit() and name[:1] != "["  # an address has no parents
        domains = ("", *(f"; Domain={one}" for one in parents if named))
        secure = "; Secure" if request.scheme == "https" else ""
        attributes = "; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
        return [
            f"{self._cookie.name}={attributes}{domain}{secure}".encode("ascii")
            for domain in domains
            if domain != self._domain
        ]

    def set_cookie(self, memory: Memory, request: PageRequest, keys: Keys, now: float) -> bytes:
        """The Set-Cookie that makes a browser remember this; FORGOTTEN takes the cookie away."""
        name, age = self._cookie.name, int(self._cookie.max_age)
        if memory == FORGOTTEN:
            value, age = "", 0
            self._cookies.add("taken away")
        else:
            written = state.sign(memory, keys, now)
            value = written.value
            self._cookies.add("written")
            for kind in written.dropped:
                self._dropped.add(kind)
        secure = "; Secure" if request.scheme == "https" else ""
        attributes = f"; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}{self._domain}{secure}"
        return f"{name}={value}{attributes}".encode("ascii")

    def _hear(
        self, heard: Sequence[events.Event], problems: Sequence[str], request: PageRequest, *, seen: bool
    ) -> None:
        for one in heard:
            self._events.add(one.name)
        if not seen and heard:
            problems = (
                *problems,
                "an event on an answer that is no page: send it with the page, or the redirect to it",
            )
        for problem in problems:
            self._strange.add()
            if problem not in self._told and len(self._told) < MOST_TOLD:
                self._told.add(problem)
                log.warning("Edge-Event of the shop at %s: %s", ascii(request.path)[1:-1], problem)


def told_events(lines: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    """The values of the shop's ``Edge-Event`` lines, as they came; names in any case."""
    return tuple([value for name, value in lines if len(name) == len(EVENT) and name.lower() == EVENT])
