"""An answer that is ready to leave: nouns of the fast lane, and the bytes of a head.

Here: what the app hands in (``Lesson``), what is kept of it (``Ready``), what one head gets (``Hit``).  Not here: who
may have it (``fastlane``, ``asked``).  Called by ``fastlane``; the app makes ``Lesson``.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from edgeproxy import respond
from edgeproxy.accesslog import Repeated, Served
from edgeproxy.answer import Reusable
from edgeproxy.core.model import Experience, PageRequest, RuleBook, Visitor
from edgeproxy.core.sharing import SharedRequest
from edgeproxy.pages.model import StoredPage
from edgeproxy.pages.serving import not_modified
from edgeproxy.server.asked import Asked

__all__ = ["Head", "Hit", "Lesson", "Ready"]


@dataclass(frozen=True, slots=True)
class Lesson:
    """An answer that the app has just given, with all that it was made of."""

    request: PageRequest
    visitor: Visitor  # as the book sees them
    book: RuleBook
    shared: SharedRequest
    identity: bool  # the shop was asked for the page uncompressed
    page: StoredPage
    reusable: Reusable
    until: float  # when the book next changes there, or the page is not fresh any more; seconds since the epoch
    served: Served  # how it was logged
    applied: tuple[Experience, ...] = ()  # experiences that changed the page


class Head:
    """A status line and header lines as bytes, but for what the moment adds: Server-Timing and Date."""

    __slots__ = ("_after", "_age", "_before", "_date", "_dated", "_text", "_timing")

    def __init__(self, status: int, lines: Iterable[tuple[bytes, bytes]], via: bytes, length: int | None) -> None:
        """``length``: of the body; None where the status has none.  An Age, where it has one, stands last."""
        parts = [STATUS_LINE[status]]
        self._dated = False
        for name, value in lines:
            if name in _OF_THE_MOMENT or (name == b"date" and self._dated):
                continue
            self._dated = self._dated or name == b"date"
            parts += (name, b": ", value, b"\r\n")
        self._before = b"".join(parts)
        self._timing = b"via: %b\r\nserver-timing: edge;dur=" % via
        self._age = 0  # of ``_text``
        self._after = b"\r\n" if length is None else b"content-length: %d\r\n\r\n" % length
        self._date: object = None  # of ``_text``
        self._text = b""  # whole, for an answer that took no time worth mentioning

    def at(self, defaults: list[tuple[bytes, bytes]], seconds: float, age: int = -1) -> bytes:
        """The head of an answer that took so long.

        ``defaults`` is the server's Date, a new list when it changes; ``age`` in seconds, less than 0: it tells none.
        """
        if seconds < 0.00005:
            if self._date is not defaults or self._age != age:
                self._date, self._age, self._text = defaults, age, self._joined(defaults, b"0.0", age)
            return self._text
        return self._joined(defaults, b"%.1f" % (seconds * 1000), age)

    def _joined(self, defaults: list[tuple[bytes, bytes]], timing: bytes, age: int) -> bytes:
        date = b"" if self._dated else b"".join(b"%b: %b\r\n" % line for line in defaults)
        old = b"" if age < 0 else b"age: %d\r\n" % age
        return b"".join((self._before, old, self._timing, timing, b"\r\n", date, self._after))


_OF_THE_MOMENT: Final = frozenset({b"age", b"connection", b"content-length", b"transfer-encoding"})


class Ready:
    """One answer, ready to leave; holds neither the page nor the body, which go when their caches let go of them."""

    __slots__ = (
        "_via",
        "aged",
        "applied",
        "body",
        "length",
        "lines",
        "look_again",
        "mark",
        "page",
        "repeats",
        "seen",
        "served",
        "shared",
        "since",
        "until",
        "whole",
    )

    def __init__(self, lesson: Lesson, via: bytes) -> None:
        answer = lesson.reusable
        self.page = weakref.ref(lesson.page)
        self.shared = lesson.shared
        self.served = lesson.served
        self.applied = lesson.applied
        # a clock that is set back makes no old decision valid
        self.since, self.until = lesson.request.at, lesson.until
        self.body = answer.body
        self.length = answer.length
        self.mark = answer.mark
        self.aged = answer.aged
        self.lines = answer.lines
        self.whole = Head(200, answer.lines, via, answer.length)
        self.look_again = 0.0  # by perf_counter
        self.seen = -1  # the cache's changes when it was asked last
        self.repeats: dict[tuple[str, int], Repeated] = {}
        self._via = via

    def unchanged(self, asked: Asked, now: float) -> Head | None:
        """The 304 for who holds this very answer; None: they do not."""
        lines = self.lines
        if self.mark:
            tags = [value for name, value in asked.request.headers if name == b"if-none-match"]
            tag = respond.confirmed(tags, self.mark)
            if tag is None:
                return None
            lines = tuple((name, tag if name == b"etag" else value) for name, value in lines)
        else:
            page = self.page()
            if page is None or not not_modified(asked.lines, page.lines, now):
                return None
        return Head(304, respond.not_modified(lines), self._via, None)


class Hit(NamedTuple):
    """What heads get that are judged alike."""

    ready: Ready
    head: Head
    bodied: bool
    closes: bool  # it is the last of its connection
    request: PageRequest  # the first of them, as far as what is remembered of a visitor depends on it
    repeated: Repeated
