"""Who knows how everything stands: what the admin listener and the console ask, and the answers of a single process.

Here: the ``Overview`` protocol with its nouns, and ``OneProcess``.  Not here: the answers of several workers
(``server.supervisor``), HTTP (``admin``, ``site``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edgeproxy.console.bookview import view
from edgeproxy.core.model import Problem, RuleBook, Severity
from edgeproxy.core.paths import compile_paths
from edgeproxy.counters import Export
from edgeproxy.history import Past, merged
from edgeproxy.journal import CONTENT_TYPE, Journal
from edgeproxy.pages import PageCache

__all__ = ["Books", "OneProcess", "Overview", "Rules", "Standing", "Workers"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How something stands, or what came of it, in lines for an operator."""

    ok: bool
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Rules:
    """How the rules folder stands to the rules that are live."""

    live: bool  # some rules are
    good: bool  # those on disk are
    problems: tuple[str, ...]  # of those on disk, as they are told everywhere


@dataclass(frozen=True, slots=True)
class Workers:
    """Those that serve, of those that should."""

    serving: int
    wanted: int


class Overview(Protocol):
    """Who knows how everything stands."""

    async def health(self) -> Standing:
        """Whether anybody serves at all."""

    async def readiness(self) -> Standing:
        """Whether traffic should come: rules are live, and no stop has begun."""

    async def metrics(self) -> tuple[bytes, str]:
        """Prometheus' text and its content type."""

    async def reload(self) -> Standing:
        """Read again whatever can be read again."""

    async def purge(self, paths: Sequence[str], tags: Sequence[str]) -> int:
        """Forget what is kept for these path patterns, or under one of these tags; how many answers that were."""

    async def numbers(self) -> Export:
        """The same as ``metrics``, in plain types."""

    async def past(self) -> Past:
        """What happened lately."""

    async def survey(self, at: float) -> Mapping[str, Any]:
        """What the live rules come to at a moment (``bookview.view``); {} without any."""

    def rules(self) -> Rules:
        """How the rules on disk stand to those that are live."""

    def workers(self) -> Workers:
        """Those that serve, of those that should."""


class Books(Protocol):
    """Where the live rule book is."""

    @property
    def book(self) -> RuleBook | None:
        """The last good book; None when there never was one."""


class OneProcess:
    """The overview of a process that serves by itself."""

    def __init__(self, journal: Journal, books: Books, cache: PageCache | None = None) -> None:
        self.draining = False
        self._cache = cache
        self._journal = journal
        self._books = books

    async def health(self) -> Standing:
        return Standing(True, ["ok"])

    async def readiness(self) -> Standing:
        if self.draining:
            return Standing(False, ["a stop has begun"])
        book = self._books.book
        if book is None:
            return Standing(False, ["no rules are live: the folder has mistakes"])
        lines = [f"ready, rules {book.version}"]
        mistakes = sum(problem.severity is Severity.MISTAKE for problem in self._problems)
        if mistakes:
            lines.append(f"the rules on disk have {mistakes} mistakes; these are the last good ones")
        return Standing(True, lines)

    async def metrics(self) -> tuple[bytes, str]:
        return self._journal.metrics(), CONTENT_TYPE

    async def reload(self) -> Standing:
        again: Callable[[], object] | None = getattr(self._books, "reload", None)
        if again is None:
            return Standing(False, ["these rules are no folder: there is nothing to read again"])
        again()
        book, ok = self._books.book, not getattr(self._books, "stale", False)
        self._journal.rules(book, ok=ok)
        last = "the rules on disk have mistakes" if not ok or book is None else f"rules {book.version} are live"
        return Standing(ok, [*map(str, self._problems), last])

    async def purge(self, paths: Sequence[str], tags: Sequence[str]) -> int:
        if self._cache is None:
            return 0
        return self._cache.purge(compile_paths(paths) if paths else None, tags)

    async def numbers(self) -> Export:
        return self._journal.counters.export()

    async def past(self) -> Past:
        return merged([self._journal.history.export()])

    async def survey(self, at: float) -> Mapping[str, Any]:
        book = self._books.book
        return {} if book is None else await asyncio.to_thread(view, book, at)

    def rules(self) -> Rules:
        stale = getattr(self._books, "stale", False)
        return Rules(self._books.book is not None, not stale, tuple(map(str, self._problems)))

    def workers(self) -> Workers:
        return Workers(1, 1)

    @property
    def _problems(self) -> tuple[Problem, ...]:
        return getattr(self._books, "problems", ())
