"""Who wrote a line of the rules, and when: asked of git, where the rules folder is in a repository.

Here: places in the rules → ``Written``.  Not here: git itself (``git``), what is told of it (``core.explanation``).
Called for explanations: ``Blame`` by ``proxy``, on one event loop, which asks in threads and never waits long;
``written`` by commands.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from cachetools import LRUCache

from edgeproxy.core.explanation import Written
from edgeproxy.core.model import RuleBook, Where
from edgeproxy.git import GitFailed, git

log = logging.getLogger("edgeproxy.blame")

WAITS: Final = 1.5  # seconds that an explanation waits for what git says: the next one has what came too late
FILES: Final = 1024  # whose lines are remembered
AT_ONCE: Final = 4  # files that git is asked about at a time

_UNCOMMITTED: Final = Written("", "", "")

Lines = dict[int, Written]


class Blame:
    """What git said of rule files, remembered as long as they stay what they are."""

    def __init__(self) -> None:
        self._files: LRUCache[object, Lines] = LRUCache(FILES)
        self._lock = threading.Lock()

    async def of(self, folder: Path, book: RuleBook, commit: str | None = None, prefix: str = "") -> dict[str, Written]:
        """By ``file:line``: who wrote it, as far as is known in time.  Never raises.

        ``commit`` is where the rules were read, below ``prefix`` of the repository; None: the folder on disk.
        """
        asked = asyncio.create_task(asyncio.to_thread(self.written, folder, book, commit, prefix))
        done, _ = await asyncio.wait([asked], timeout=WAITS)
        return asked.result() if done else {}

    def written(self, folder: Path, book: RuleBook, commit: str | None = None, prefix: str = "") -> dict[str, Written]:
        """The same, waiting as long as it takes.  Never raises."""
        try:
            head = commit or git(folder, "rev-parse", "--verify", "HEAD").decode("ascii", "replace").strip()
        except GitFailed:
            return {}  # no repository, one without a commit, or no git
        places: dict[str, set[Where]] = {}
        for where in _places(book):
            places.setdefault(where.file.partition("/")[2], set()).add(where)

        def ask(file: str) -> Lines:
            try:
                return self._lines(folder, file, head, commit, prefix)
            except OSError:
                return {}  # it went meanwhile
            except Exception:
                log.exception("who wrote %s could not be found out", file)
                return {}

        found: dict[str, Written] = {}
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="blame") as threads:
            for (_, wheres), lines in zip(places.items(), threads.map(ask, places), strict=True):
                found |= {where.short: lines[where.line] for where in wheres if where.line in lines}
        return found

    def _lines(self, folder: Path, file: str, head: str, commit: str | None, prefix: str) -> Lines:
        key: object = (folder, file, head, prefix)
        if commit is None:
            mark = (folder / file).stat()
            key = (folder, file, head, mark.st_mtime_ns, mark.st_size)
        with self._lock:
            known = self._files.get(key)
        if known is None:
            known = _blamed(folder, file, commit, prefix)
            with self._lock:
                self._files[key] = known
        return known


def _places(book: RuleBook) -> Iterator[Where]:
    """Every place that an explanation tells."""
    for slot in book.slots.values():
        yield slot.where
    for experience in book.experiences:
        yield experience.where
        for edit in experience.edits:
            yield edit.where


def _blamed(folder: Path, file: str, commit: str | None, prefix: str) -> Lines:
    """What ``git blame --porcelain`` says: for each line its commit, and of each commit, once, who and when."""
    try:
        what = ["--", file]
        if commit is not None:
            top = git(folder, "rev-parse", "--show-cdup").decode("utf-8", "replace").strip()
            folder, what = folder / top, [commit, "--", prefix + file]
        said = git(folder, "-c", "blame.ignoreRevsFile=", "blame", "--porcelain", *what)
    except GitFailed:
        return _Everything()  # git does not know the file
    return dict(_parsed(said.decode("utf-8", "replace").split("\n")))


class _Everything(Lines):
    """A file that no commit holds."""

    def __contains__(self, line: object) -> bool:
        return True

    def __missing__(self, line: int) -> Written:
        return _UNCOMMITTED


def _parsed(lines: Iterable[str]) -> Iterator[tuple[int, Written]]:
    facts: dict[str, dict[str, str]] = {}
    commit, number = "", 0
    for line in lines:
        if line.startswith("\t"):
            yield number, _said(commit, facts[commit])
            commit = ""
        elif not commit and line:
            commit, _, rest = line.partition(" ")
            number = int(rest.split()[1])
            facts.setdefault(commit, {})
        elif commit:
            name, _, value = line.partition(" ")
            facts[commit][name] = value


def _said(commit: str, facts: dict[str, str]) -> Written:
    if not commit.strip("0"):
        return _UNCOMMITTED
    return Written(commit[:7], _day(facts.get("author-time", ""), facts.get("author-tz", "")), facts.get("author", ""))


def _day(seconds: str, zone: str) -> str:
    """The author's own date: ``1780315200``, ``+0200`` → 2026-06-01."""
    try:
        sign = -1 if zone.startswith("-") else 1
        ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5])) * sign if zone else timedelta()
        return datetime.fromtimestamp(int(seconds), UTC).astimezone(timezone(ahead)).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return ""
