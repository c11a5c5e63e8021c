"""The answers of a process that serves by itself (`demo`): what a supervisor says of its workers, said of one.

Here: ``OneProcess``, an ``Overview``, and the admin listener's app over it.  Not here: several workers
(``server.supervisor``), HTTP (``admin``, ``site``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.applications import Starlette

from edgeproxy.console.admin import build_console
from edgeproxy.console.bookview import view
from edgeproxy.console.overview import Books, Rules, Standing, Workers
from edgeproxy.core.model import Problem, RuleBook, Severity
from edgeproxy.core.paths import compile_paths
from edgeproxy.core.signing import Keys
from edgeproxy.core.words import count
from edgeproxy.counters import Export
from edgeproxy.exposition import CONTENT_TYPE
from edgeproxy.history import Past, merged
from edgeproxy.journal import Journal
from edgeproxy.pages import PageCache
from edgeproxy.settings import Settings
from edgeproxy.sheet.looking import Looking

__all__ = ["OneProcess", "build_admin"]


FRESH: Final = 300.0  # seconds for which what the same rules come to is not worked out again


class OneProcess:
    """The overview of a process that serves by itself."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        books: Books,
        *,
        cache: PageCache | None = None,
        looking: Looking | None = None,
    ) -> None:
        self.draining = False
        self._settings = settings
        self._cache = cache
        self._looking = looking
        self._surveyed: tuple[RuleBook | None, float, Mapping[str, Any]] = (None, 0.0, {})
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
            lines.append(f"the rules on disk have {count(mistakes, 'mistake')}; these are the last good ones")
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
        self._journal.settle()
        return self._journal.counters.export()

    async def past(self) -> Past:
        self._journal.settle()
        return merged([self._journal.history.export()])

    async def survey(self, at: float) -> Mapping[str, Any]:
        book = self._books.book
        if book is None:
            return {}
        known, then, told = self._surveyed
        if known is not book or abs(at - then) > FRESH:
            told = await asyncio.to_thread(view, book, at)
            self._surveyed = (book, at, told)
        return told

    async def look(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._looking is None:
            return {"trouble": "nothing is served here"}
        return await self._looking.ask(asked)

    def keys(self) -> Keys:
        return self._settings.keys

    def rules(self) -> Rules:
        stale = getattr(self._books, "stale", False)
        return Rules(self._books.book is not None, not stale, tuple(map(str, self._problems)))

    def workers(self) -> Workers:
        return Workers(1, 1)

    @property
    def _problems(self) -> tuple[Problem, ...]:
        return getattr(self._books, "problems", ())


def build_admin(
    settings: Settings,
    journal: Journal,
    books: Books,
    *,
    cache: PageCache | None = None,
    looking: Looking | None = None,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """The app of the admin listener of one process; ``app.state.draining``, which the server sets, is a stop's mark."""
    return build_console(settings, OneProcess(settings, journal, books, cache=cache, looking=looking), clock=clock)
