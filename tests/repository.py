"""Rules in a git repository: live from one branch, with others that say something else, and who previews them.

Here: the repository (``conftest`` has it as the fixture ``repository``), git as its author, a world before it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from edgeproxy.core.flags import PreviewFlags
from edgeproxy.core.tokens import Leave, Session, sign_session
from tests.world import KEYS, NOON, PAGE, RULES, World

LATER = int(NOON + 600)
WARM = {**RULES, "fragments/thanks.html": "<p>Welcome home</p>"}
BROKEN = {**RULES, "audiences.toml": '[newcomers]\nstages = "new"\n[regulars]\nstage = "loyal"\n'}


def write(folder: Path, rules: Mapping[str, str]) -> None:
    for name, text in rules.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


def git(folder: Path, *arguments: str) -> str:
    who = {f"GIT_{who}_{what}": "Ann" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **who, "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def marks(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def repository_in(folder: Path) -> Path:
    """A repository whose rules are live from main, with a branch that says something else, and one with a mistake."""
    top = folder / "shop"
    top.mkdir()
    git(top, "init", "-q", "-b", "main")
    write(top / "rules", RULES)
    (top / "rules" / "tests" / "pages").mkdir(parents=True)
    (top / "rules" / "tests" / "pages" / "home.html").write_bytes(PAGE)
    for branch, rules in (("main", RULES), ("feature/warm", WARM), ("broken", BROKEN)):
        if branch != "main":
            git(top, "checkout", "-q", "-b", branch, "main")
        write(top / "rules", rules)
        git(top, "add", "-A")
        git(top, "commit", "-q", "-m", branch)
    git(top, "checkout", "-q", "main")
    return top


def leave(how: Leave = Leave.BOUND, draft: str | None = "feature/warm", **flags: object) -> tuple[str, str]:
    session = Session(how, PreviewFlags(rules=draft, **flags), LATER, draft=draft)  # type: ignore[arg-type]
    return "cookie", f"edge_preview={sign_session(session, KEYS)}"


def world(repository: Path, **settings: object) -> World:
    return World(settings={"drafts": repository, "rules": repository / "rules", **settings})
