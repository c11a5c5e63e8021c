"""rules/ on disk → RuleBook, and the live one: a good book replaces the old one whole, a bad one never does.

Here: reading the folder, watching it.  Not here: what files mean (``core.rulefile``).  Called by every command that
reads rules (``load``), and by ``serve`` and ``demo`` (``RuleBookSource``).

A save is seen by inotify (``watchfiles``) at once; a look at the names, sizes and times of all files every second
sees what that does not tell: a folder that went and came back, a link that points elsewhere now, a file system without
such news.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from edgeproxy.core.markup import Markup
from edgeproxy.core.model import Problem, RuleBook, Where
from edgeproxy.core.rulefile import Parsed, parse
from edgeproxy.core.rules import error_pages, experiences, fragments, tests
from edgeproxy.core.rules.sheet import LARGEST
from edgeproxy.core.rules.tests import PAGES
from edgeproxy.paths import no_folder

log = logging.getLogger(__name__)

MOST_FILES: Final = 5000
MOST_BYTES: Final = 64 << 20
LOOK_SECONDS: Final = 1.0  # between two looks at names, sizes and times
QUIET_MS: Final = 60  # a save is complete when nothing more came for so long
LONGEST_WAIT_MS: Final = 400  # … or when so much time has passed: it is live within a second

_SUFFIXES: Final = (".toml", ".html")
_HOMES: Final = (experiences.FOLDER, fragments.FOLDER, tests.FOLDER, error_pages.FOLDER)
_NOTHING: Final = (0, 0, 0, 0, 0)
_ALLOWED: Final = "the user that edgeproxy runs as has to be able to go there and read it"
_MANNERS: Final = Path(__file__).with_name("manners")

Callback = Callable[[RuleBook | None, tuple[Problem, ...]], Awaitable[None] | None]
"""Told what came of each change: the new book, or None when the folder has a mistake (the old book stays)."""


# --------------------------------------------------------------------------- one look at the folder


@dataclass(frozen=True, slots=True)
class _Entry:
    """One rule file: where it is, and what changes when it is saved; ``trouble`` says why it cannot be read."""

    name: str
    path: Path
    mark: tuple[int, int, int, int, int]  # device, inode, size, times of change
    trouble: str = ""


class _TooMany(Exception):
    """No rules folder holds so much."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that was read of a rules folder, before it is judged."""

    name: str  # the folder's own
    files: Mapping[str, bytes]
    unread: Mapping[str, str]  # files that could not be read, and why
    failed: Problem | None = None  # nothing could be read, and why


def read(folder: Path) -> Contents:
    """Read a rules folder; never raises."""
    name = shown(folder)
    if why := no_folder(folder):
        if why.startswith("cannot"):
            return _failed(name, why, _ALLOWED)
        what = "is a file, not a folder" if folder.exists() else "is not there"
        return _failed(name, what, "a rules folder is made by `edgeproxy init`")
    try:
        entries = list(_entries(folder))
    except _TooMany:
        return _failed(name, f"holds more than {MOST_FILES} files", "is it the right folder?")
    if entries and not entries[0].name:
        return _failed(name, entries[0].trouble, _ALLOWED)
    files: dict[str, bytes] = {}
    unread: dict[str, str] = {}
    left = MOST_BYTES
    for entry in entries:
        trouble = entry.trouble
        if not trouble:
            try:
                with entry.path.open("rb") as file:
                    data = file.read(LARGEST + 1)  # one more than is taken: the parser says so
            except OSError as error:
                trouble = f"cannot be read: {error.strerror or error}"
            else:
                left -= len(data)
                files[entry.name] = data
        if trouble:
            unread[entry.name] = trouble
        if left < 0:
            return _failed(name, f"holds more than {MOST_BYTES >> 20} MiB of rule files", "is it the right folder?")
    return Contents(name, files, unread)


def judge(contents: Contents, *, markup: Markup | None = None, now: float | None = None) -> Parsed:
    """Make a book of what was read, or say what is wrong with it; never raises."""
    if contents.failed is not None:
        return Parsed(None, (contents.failed,))
    return parse(
        contents.files,
        markup=_html() if markup is None else markup,
        folder=contents.name,
        now=time.time() if now is None else now,
        unread=contents.unread,
        words=_words(),
    )


def load(folder: Path, *, markup: Markup | None = None, now: float | None = None) -> Parsed:
    """Read a rules folder; places are told as ``rules/…``, by the folder's own name.  Never raises.

    ``now`` (seconds; the clock's, when left out) lets schedules that are over be told.
    """
    return judge(read(folder), markup=markup, now=now)


@cache
def _words() -> Mapping[str, bytes]:
    """The word lists of the lint of manners that come with edgeproxy, by language."""
    return {path.stem: path.read_bytes() for path in sorted(_MANNERS.glob("*.toml"))}


@cache
def _html() -> Markup:
    from edgeproxy.html.checks import HtmlMarkup  # two HTML engines: not for who brings a Markup along

    return HtmlMarkup()


def shown(folder: Path) -> str:
    """What places in this folder begin with: its own name."""
    return Path(os.path.abspath(folder)).name or str(folder)  # noqa: PTH100 - resolve() would follow links


def _failed(name: str, what: str, hint: str) -> Contents:
    return Contents(name, {}, {}, Problem(Where(name), what, hint=hint))


def _entries(folder: Path) -> Iterator[_Entry]:
    """Every ``*.toml`` and ``*.html`` whose names do not begin with a dot, but for recorded pages."""
    base = _real(folder)
    if base is None:
        return
    waiting: list[tuple[str, Path]] = [("", folder)]
    seen = {base}  # links that go round in a circle are gone along once
    count = 0
    while waiting:
        prefix, here = waiting.pop()
        inside, trouble = _listed(here)
        if trouble and (not prefix or prefix.startswith(_HOMES)):  # a lost+found is nobody's mistake
            yield _Entry(prefix.rstrip("/"), here, _NOTHING, trouble)
        for found in inside:
            count += 1
            if count > MOST_FILES:
                raise _TooMany
            entry, inner = _looked_at(prefix + found.name, found, base)
            if inner is not None and inner not in seen and f"{prefix}{found.name}/" != PAGES:
                seen.add(inner)
                waiting.append((f"{prefix}{found.name}/", here / found.name))
            if entry is not None and found.name.endswith(_SUFFIXES):
                yield entry


def _listed(here: Path) -> tuple[list[os.DirEntry[str]], str]:
    """What is in a folder; where it cannot be listed, why not (a folder that has just gone holds nothing)."""
    try:
        with os.scandir(here) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")], ""
    except FileNotFoundError:
        return [], ""
    except OSError as error:
        return [], f"cannot be read: {error.strerror or error}"


def _real(path: Path) -> Path | None:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError):
        return None


def _looked_at(name: str, found: os.DirEntry[str], base: Path) -> tuple[_Entry | None, Path | None]:
    """A file, or something in its place; and of a folder to go into the place where it really is."""
    path = Path(found.path)
    if not name.isprintable():  # surrogates of names that are no UTF-8 are not printable either
        shown = name.encode("unicode_escape").decode("ascii")
        return _Entry(shown, path, _NOTHING, "has a name that is not UTF-8 or not printable"), None
    real = path
    if found.is_symlink():
        target = _real(path)
        if target is None:
            return _Entry(name, path, _NOTHING, "is a link that leads nowhere"), None
        if not target.is_relative_to(base):
            return _Entry(name, path, _NOTHING, "is a link that leads outside the rules folder"), None
        real = target
    try:
        said = found.stat()
    except OSError as error:
        return _Entry(name, path, _NOTHING, f"cannot be read: {error.strerror or error}"), None
    mark = (said.st_dev, said.st_ino, said.st_size, said.st_mtime_ns, said.st_ctime_ns)
    if stat.S_ISDIR(said.st_mode):
        return (_Entry(name, path, mark, "is a folder, not a file"), None) if name.endswith(_SUFFIXES) else (None, real)
    if not stat.S_ISREG(said.st_mode):
        return _Entry(name, path, mark, "is not a file"), None
    return _Entry(name, path, mark), None


def fingerprint(folder: Path) -> object:
    """What differs between two looks when something was saved in between."""
    try:
        return frozenset((entry.name, entry.mark, entry.trouble) for entry in _entries(folder)), no_folder(folder)
    except _TooMany:
        return None


# --------------------------------------------------------------------------- the live book


class RuleBookSource:
    """The live book of a folder.

    ``book`` is the last good one (None before there was one), ``problems`` those of the folder as it is now: its
    mistakes, when the book is older than the files, or its warnings.
    """

    def __init__(self, folder: Path, *, markup: Markup | None = None, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.book: RuleBook | None = None
        self.problems: tuple[Problem, ...] = ()
        self._markup = markup
        self._clock = clock
        self._fingerprint: object = None
        self._parsed: Parsed | None = None
        self.reload()

    @property
    def stale(self) -> bool:
        """The files have a mistake: what is live is older than they are."""
        return self._parsed is not None and self._parsed.book is None

    def reload(self) -> bool:
        """Read the folder now; whether anything that matters has changed since it was read last."""
        return self._take(*self._read())

    def _read(self) -> tuple[Parsed, object]:
        mark = fingerprint(self.folder)  # before reading: what is saved meanwhile is seen next time
        return load(self.folder, markup=self._markup, now=self._clock()), mark

    def _take(self, parsed: Parsed, fingerprint: object) -> bool:
        before = self._parsed
        self._fingerprint = fingerprint
        self._parsed = parsed
        self.problems = parsed.problems
        if parsed.book is not None and (self.book is None or self.book.version != parsed.book.version):
            self.book = parsed.book
        return before is None or _told(before) != _told(parsed)

    async def watch(self, callback: Callback, changes: AsyncIterable[object] | None = None) -> None:
        """Keep the book live until cancelled; ``callback`` hears of every change that matters.

        ``changes`` gives a true value where something was saved and a false one where it is only time to look; left
        out, it is ``news(folder)``.
        """
        async for saved in news(self.folder) if changes is None else changes:
            try:
                await self._look(bool(saved), callback)
            except Exception:  # a fault of ours must not end the watch: the last good book stays
                log.exception("%s could not be read again", self.folder)

    async def _look(self, saved: bool, callback: Callback) -> None:
        # In threads, because a big folder takes longer to read than a visitor should wait.
        if not saved and await asyncio.to_thread(fingerprint, self.folder) == self._fingerprint:
            return
        if self._take(*await asyncio.to_thread(self._read)):
            told = callback(None if self.stale else self.book, self.problems)
            if told is not None:
                await told


def _told(parsed: Parsed) -> tuple[str | None, tuple[Problem, ...]]:
    return None if parsed.book is None else parsed.book.version, parsed.problems


async def news(folder: Path, *, look: float = LOOK_SECONDS) -> AsyncGenerator[object, None]:
    """Says each time that something below the folder was saved, and every ``look`` seconds that it is time to look."""
    from watchfiles import awatch  # only who watches needs it

    failed = False
    while True:
        place = _place(folder)
        if place is not None and not failed:
            try:
                async for saved in awatch(
                    folder,
                    watch_filter=None,
                    debounce=LONGEST_WAIT_MS,
                    step=QUIET_MS,
                    rust_timeout=int(look * 1000),
                    yield_on_timeout=True,
                ):
                    yield saved
                    if _place(folder) != place:  # it went, or came back as another: watch that one
                        break
                else:
                    return  # stopped by an interrupt
            except (OSError, RuntimeError) as error:  # no inotify here, or no more watches to be had
                if _place(folder) == place:
                    failed = True
                    log.warning("%s: changes are looked for every %g s: %s", folder, look, error)
        else:
            await asyncio.sleep(look)
        yield ()


async def changes(folder: Path, last: Contents) -> AsyncIterator[Contents]:
    """What the folder holds, each time that it is something else than what was seen last."""
    mark: object = None
    async for saved in news(folder):
        seen = await asyncio.to_thread(fingerprint, folder)  # before reading: what is saved meanwhile is seen next
        if not saved and seen == mark:
            continue
        mark = seen
        contents = await asyncio.to_thread(read, folder)
        if contents != last:
            last = contents
            yield contents


def _place(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


__all__ = ["Contents", "Parsed", "RuleBookSource", "changes", "fingerprint", "judge", "load", "news", "read"]
