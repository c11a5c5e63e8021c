"""`edgeproxy check` and `edgeproxy schema`: what the rules folder says, and what it may say."""

from __future__ import annotations

import asyncio
import contextlib
import json as jsons
import time
from collections.abc import AsyncIterable, Callable
from datetime import datetime
from pathlib import Path
from typing import TextIO

from edgeproxy.core.markup import Markup
from edgeproxy.core.model import Problem, RuleBook
from edgeproxy.core.rulefile import Parsed
from edgeproxy.core.schema import KINDS, schema
from edgeproxy.core.words import count, meant
from edgeproxy.paths import no_folder
from edgeproxy.rulebook import Contents, changes, judge, load, read, shown

FINE, MISTAKES, USAGE, WARNINGS = 0, 1, 2, 3


def run_check(
    folder: Path, strict: bool, json: bool, out: TextIO, *, markup: Markup | None = None, now: float | None = None
) -> int:
    """Print every problem of a rules folder.

    Exit code: 0 fine, 1 mistakes, 2 there is no such folder, 3 only warnings and ``strict``.
    """
    parsed = load(folder, markup=markup, now=now)
    if json:
        jsons.dump(as_json(folder, parsed), out, indent=2, ensure_ascii=False)
        out.write("\n")
    else:
        _tell(folder, parsed, out)
    return _code(folder, parsed, strict)


def run_watch(
    folder: Path,
    strict: bool,
    json: bool,
    out: TextIO,
    *,
    markup: Markup | None = None,
    clock: Callable[[], float] = time.time,
    saved: AsyncIterable[Contents] | None = None,
) -> int:
    """The same again whenever something is saved, until Ctrl-C; ``json``: an object on each line.

    ``saved`` gives what the folder holds each time that it has changed (left out: the folder is watched).
    Exit code: that of the last check.
    """
    if no_folder(folder):
        return run_check(folder, strict, json, out, markup=markup)
    code = FINE

    def tell(contents: Contents) -> None:
        nonlocal code
        parsed = judge(contents, markup=markup, now=clock())
        code = _code(folder, parsed, strict)
        if json:
            out.write(jsons.dumps(as_json(folder, parsed), ensure_ascii=False) + "\n")
        else:
            out.write(f"--- {datetime.fromtimestamp(clock()).astimezone():%H:%M:%S}\n")
            _tell(folder, parsed, out)
        out.flush()

    async def watch() -> None:
        seen = await asyncio.to_thread(read, folder)
        tell(seen)
        async for contents in changes(folder, seen) if saved is None else saved:
            tell(contents)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(watch())
    return code


def _tell(folder: Path, parsed: Parsed, out: TextIO) -> None:
    out.writelines(f"{line(problem)}\n" for problem in parsed.problems)
    out.write(f"{shown(folder)}: {verdict(parsed)}\n")


def _code(folder: Path, parsed: Parsed, strict: bool) -> int:
    if no_folder(folder):
        return USAGE
    if parsed.book is None:
        return MISTAKES
    return WARNINGS if strict and parsed.problems else FINE


def line(problem: Problem) -> str:
    """A problem on one line, whatever the rule files hold: nothing of them may steer the terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in str(problem))


def verdict(parsed: Parsed) -> str:
    """ "2 mistakes, 1 warning", or "fine (4 slots, 3 audiences, 5 experiences)"."""
    said = [
        count(len(found), noun) for found, noun in ((parsed.mistakes, "mistake"), (parsed.warnings, "warning")) if found
    ]
    if parsed.book is None:
        return ", ".join(said)
    counted = ", ".join(count(number, noun[:-1]) for noun, number in _counts(parsed.book).items())
    return f"{', '.join(said) or 'fine'} ({counted})"


def _counts(book: RuleBook) -> dict[str, int]:
    return {
        "slots": len(book.slots),
        "audiences": len(book.audiences),
        "experiences": len(book.experiences),
    }


def as_json(folder: Path, parsed: Parsed) -> dict[str, object]:
    """What ``check --json`` prints: the verdict, counts and every problem with its place."""
    return {
        "rules": str(folder),
        "fine": parsed.book is not None and not parsed.problems,
        "version": None if parsed.book is None else parsed.book.version,
        "mistakes": len(parsed.mistakes),
        "warnings": len(parsed.warnings),
        "counts": None if parsed.book is None else _counts(parsed.book),
        "problems": [
            {
                "severity": problem.severity.value,
                "file": problem.where.file,
                "line": problem.where.line or None,
                "column": problem.where.column or None,
                "subject": problem.subject or None,
                "what": problem.what,
                "hint": problem.hint or None,
                "text": line(problem),
            }
            for problem in parsed.problems
        ],
    }


def run_schema(kind: str | None, out: TextIO, err: TextIO, *, markup: Markup | None = None) -> int:
    """Print the JSON Schema of one kind of rule file, or of all as one.  Exit code: 0, or 2 for an unknown kind."""
    if kind is not None and kind not in KINDS:
        hint = meant(kind, KINDS)
        err.write(f'edgeproxy schema: unknown kind "{kind}"{f" ({hint})" if hint else ""}: one of {", ".join(KINDS)}\n')
        return USAGE
    if markup is None:
        from edgeproxy.html.checks import HtmlMarkup  # two HTML engines: only where they are needed

        markup = HtmlMarkup()
    jsons.dump(schema(markup, kind), out, indent=2, ensure_ascii=False)
    out.write("\n")
    return FINE


__all__ = ["as_json", "line", "run_check", "run_schema", "run_watch", "verdict"]
