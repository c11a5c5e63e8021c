"""`serve`: settings gathered, everything that is wrong told at once, then the proxy runs until it is stopped."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TextIO

from edgeproxy.app import Parts, build_app
from edgeproxy.core.model import Problem
from edgeproxy.server.run import run
from edgeproxy.settings import Settings


def run_serve(arguments: argparse.Namespace, environ: Mapping[str, str], err: TextIO) -> int:
    """Serve until a signal stops it; 2 when the settings are wrong, 1 when it cannot listen."""
    settings = Settings.gather(arguments, environ)
    if not isinstance(settings, Settings):
        tell_usage("serve", settings, err)
        return 2
    parts = build_app(settings)
    if parts.source is not None:
        err.writelines(f"{problem}\n" for problem in parts.source.problems)
        if parts.source.book is None:
            err.write(
                f"{settings.rules} has mistakes: every page is the shop's own until they are mended"
                " (edgeproxy check tells them too)\n"
            )
    return run(
        parts.proxy, parts.admin, settings, parts.running, journal=parts.journal, language=language_of(parts), out=err
    )


def language_of(parts: Parts) -> Callable[[], str]:
    """Asks the live book in which language our own pages are."""

    def language() -> str:
        book = parts.books.book
        return "en" if book is None else book.shop.language

    return language


def tell_usage(verb: str, problems: tuple[Problem, ...], err: TextIO) -> None:
    """Everything that is wrong with the settings, a line each."""
    err.writelines(f"edgeproxy {verb}: {problem}\n" for problem in problems)
    err.write(f"edgeproxy {verb} --help shows every setting.\n")
