"""Drafts: other rules than the live ones, for previews by links that name them.

Here: a draft's name → its rule book, or what is wrong with it.  A draft is a folder below ``--drafts``, or a branch,
tag or commit of the repository that ``--drafts`` is (in); that is read out of git's objects, never checked out.  Not
here: who may see one (``core.preview``), the page that tells its mistakes (``console.draft_page``).  Called by
``proxy``, on one event loop; reading and judging happen in threads, once for each commit.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cachetools import LRUCache

from edgeproxy.core.model import Problem, RuleBook, Where
from edgeproxy.core.rules.sheet import LARGEST
from edgeproxy.core.rules.tests import PAGES
from edgeproxy.git import GitFailed, git, repository
from edgeproxy.rulebook import MOST_BYTES, MOST_FILES, Contents, fingerprint, judge, read, shown

KEPT: Final = 8  # judged drafts
AGAIN: Final = 1.0  # seconds after which it is looked whether a branch has moved, or a folder has changed
NAMES: Final = 64  # that are remembered so long

_NAME: Final = re.compile(r"(?![-./])(?!.*(?:\.\.|//|/\.|@\{))[^\x00-\x20\x7f~^:?*\[\\<>\"']{1,120}(?<![./])")
_SUFFIXES: Final = (".toml", ".html")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a draft was read: for whoever asks git about its lines."""

    folder: Path
    commit: str | None = None  # None: the folder as it is on disk
    prefix: str = ""  # of the rules inside the repository


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft as it is now."""

    name: str
    says: str  # which rules these are, in words
    book: RuleBook | None
    problems: tuple[Problem, ...]
    source: Source | None = None


NO_DRAFTS: Final = Draft(
    "",
    "draft",
    None,
    (Problem(Where("--drafts"), "no drafts are shown here", hint="start edgeproxy with --drafts DIR"),),
)
"""Where nobody said where drafts are."""


class Drafts:
    """The drafts of one process; ``clock`` gives monotonic seconds."""

    def __init__(self, folder: Path, rules: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._rules = rules
        self._clock = clock
        self._judged: LRUCache[object, Draft] = LRUCache(KEPT)
        self._known: LRUCache[str, tuple[float, Draft]] = LRUCache(NAMES)
        self._reading: dict[str, asyncio.Task[Draft]] = {}
        self._lock = threading.Lock()

    async def get(self, name: str) -> Draft:
        """The draft of this name; without a book where there is none, or where it has mistakes.  Never raises."""
        known = self._known.get(name)
        if known is not None and self._clock() < known[0]:
            return known[1]
        task = self._reading.get(name)
        if task is None:  # several requests of one page ask for it once
            task = self._reading[name] = asyncio.create_task(asyncio.to_thread(self._look, name))
            task.add_done_callback(lambda _: self._reading.pop(name, None))
        draft = await asyncio.shield(task)
        self._known[name] = self._clock() + AGAIN, draft
        return draft

    # ------------------------------------------------------------------ in a thread

    def _look(self, name: str) -> Draft:
        try:
            if _NAME.fullmatch(name) is None:
                return _no(name, "is no name of a folder, a branch or a commit")
            here = self._folder / name
            if "/" not in name and here.is_dir():
                return self._of_folder(name, here)
            return self._of_commit(name)
        except GitFailed as why:
            return _no(name, f"could not be read: {why}")

    def _of_folder(self, name: str, folder: Path) -> Draft:
        key = (name, fingerprint(folder))
        found = self._kept(key)
        if found is None:
            parsed = judge(read(folder))
            found = self._keep(key, Draft(name, f"draft {name}", parsed.book, parsed.problems, Source(folder)))
        return found

    def _of_commit(self, name: str) -> Draft:
        try:
            asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
            commit = git(self._folder, *asked).decode("ascii").strip()
        except GitFailed as why:
            if not why.said:  # with --quiet, what is not there is told by the exit code alone
                return _no(name, "is no folder of the drafts, and no branch, tag or commit of their repository")
            if "not a git repository" in why.said:
                return _no(name, "is no folder of the drafts, and they are in no git repository")
            raise
        found = self._kept((name, commit))
        if found is None:
            prefix = self._prefix(commit)
            if prefix is None:
                return _no(name, f"is commit {commit[:10]}, which holds no rules: there is no shop.toml")
            parsed = judge(_contents(self._folder, commit, prefix, shown(self._rules)))
            written = git(self._folder, "log", "-1", "--format=%h, %cs, %an", commit).decode("utf-8", "replace").strip()
            source = Source(self._folder, commit, prefix)
            draft = Draft(name, f"draft {name} ({written})", parsed.book, parsed.problems, source)
            found = self._keep((name, commit), draft)
        return found

    def _kept(self, key: object) -> Draft | None:
        with self._lock:
            return self._judged.get(key)

    def _keep(self, key: object, draft: Draft) -> Draft:
        with self._lock:
            self._judged[key] = draft
        return draft

    def _prefix(self, commit: str) -> str | None:
        """Where that commit has the rules: where the live ones are, where the drafts' folder is, or by their name."""
        kept, own = repository(self._folder)
        candidates = [own, f"{shown(self._rules)}/", ""]
        try:
            theirs, prefix = repository(self._rules)
        except GitFailed:
            theirs = None
        if theirs == kept:
            candidates.insert(0, prefix)
        for candidate in dict.fromkeys(candidates):
            try:
                git(self._folder, "cat-file", "-e", f"{commit}:{candidate}shop.toml")
            except GitFailed:
                continue
            return candidate
        return None


def _no(name: str, why: str) -> Draft:
    return Draft(name, f"draft {name}", None, (Problem(Where("--drafts"), why, subject=name),))


# --------------------------------------------------------------------------- a folder out of git's objects


def _contents(repository: Path, commit: str, prefix: str, name: str) -> Contents:
    """What the rules folder holds in a commit, as ``rulebook.read`` would have read it; raises GitFailed."""
    wanted: list[tuple[str, str]] = []  # file, object
    unread: dict[str, str] = {}
    size = count = 0
    for mode, kind, ident, length, path in _tree(repository, commit, prefix):
        file = path.removeprefix(prefix)
        count += 1
        if count > MOST_FILES:
            return _failed(name, f"holds more than {MOST_FILES} files")
        if not file.endswith(_SUFFIXES) or file.startswith(PAGES) or any(p.startswith(".") for p in file.split("/")):
            continue
        if kind != "blob" or mode == "120000":
            unread[file] = "is a link, which a draft does not follow"
            continue
        size += min(length, LARGEST + 1)
        if size > MOST_BYTES:
            return _failed(name, f"holds more than {MOST_BYTES >> 20} MiB of rule files")
        if length > LARGEST:  # the parser says so of one byte too many
            unread[file] = f"is bigger than {LARGEST:,} bytes"
            continue
        wanted.append((file, ident))
    return Contents(name, dict(_blobs(repository, wanted)), unread)


def _tree(repository: Path, commit: str, prefix: str) -> Iterator[tuple[str, str, str, int, str]]:
    """Mode, kind, object, length and path of everything below a prefix."""
    below = ["--", prefix] if prefix else []
    listed = git(repository, "ls-tree", "-r", "-z", "-l", "--full-tree", commit, *below)
    for entry in listed.split(b"\0"):
        if entry:
            facts, _, path = entry.decode("utf-8", "backslashreplace").partition("\t")
            mode, kind, ident, length = facts.split()
            yield mode, kind, ident, int(length) if length.isdigit() else 0, path


def _blobs(repository: Path, wanted: list[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
    if not wanted:
        return
    given = "".join(f"{ident}\n" for _, ident in wanted).encode("ascii")
    told = git(repository, "cat-file", "--batch", given=given)
    at = 0
    for file, _ in wanted:
        head = told[at : at + 200].partition(b"\n")[0]  # "<object> blob <length>"
        length = int(head.rsplit(b" ", 1)[-1])
        begins = at + len(head) + 1
        yield file, told[begins : begins + length]
        at = begins + length + 1


def _failed(name: str, what: str) -> Contents:
    return Contents(name, {}, {}, Problem(Where(name), what, hint="is it the right folder?"))
