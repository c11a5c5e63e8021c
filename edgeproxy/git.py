"""git, asked for what it keeps: objects of a commit, who wrote a line.  Nothing is ever checked out or written.

Here: one call of the program, with its answer, its limits and its refusals.  Not here: what is asked for (``drafts``,
``blame``).  Called from threads: a call takes milliseconds, and is ended after ``SECONDS``.

The environment is a fresh one: a GIT_DIR of somebody's shell must not lead elsewhere.  What a repository's own settings
could start (fsmonitor, hooks, text conversion, fetching what is missing) is switched off.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

SECONDS: Final = 5.0

_KEPT: Final[tuple[str, ...]] = ("PATH", "HOME", "XDG_CONFIG_HOME")
_SETTINGS: Final = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.quotePath=false",
    "log.showSignature=false",
)


class GitFailed(Exception):
    """git could not, or there is none; the sentence says why.  ``said`` is git's own first word about it."""

    def __init__(self, why: str, said: str = "") -> None:
        super().__init__(why)
        self.said = said


def git(folder: Path, *arguments: str, given: bytes | None = None) -> bytes:
    """What ``git arguments`` prints in a folder; ``given`` is its standard input.  Raises GitFailed."""
    argv = ["git", "-C", str(folder)]
    for setting in _SETTINGS:
        argv += ["-c", setting]
    try:
        done = subprocess.run(  # noqa: S603 - a list and no shell; what comes from outside was checked for its form
            [*argv, *arguments],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            env=_environment(),
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise GitFailed("git is not installed", "git: not found") from None
    except subprocess.TimeoutExpired:
        raise GitFailed(why := f"git did not answer within {SECONDS:g} seconds", why) from None
    except OSError as error:
        raise GitFailed(f"git could not be started: {error.strerror or error}") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise GitFailed(said or f"git ended with {done.returncode}", said)
    return done.stdout


def repository(folder: Path) -> tuple[Path, str]:
    """Where a folder's repository keeps its objects, and the folder's path in it ("rules/", "" at its top).

    Raises GitFailed where there is none.
    """
    kept, prefix = (
        git(folder, "rev-parse", "--git-common-dir", "--show-prefix").decode("utf-8", "replace").split("\n")[:2]
    )
    return (folder / kept).resolve(), prefix


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_PAGER": "cat",
    }
