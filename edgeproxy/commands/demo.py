"""`demo`: a shop of our own, the proxy before it, links to click for each kind of visitor."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path
from typing import TextIO

from edgeproxy.app import build_app
from edgeproxy.commands.serve import tell_usage
from edgeproxy.core.signing import Keys
from edgeproxy.demo.run import ShopInProcess, rules_folder, welcome
from edgeproxy.errors import ErrorPages
from edgeproxy.paths import no_folder
from edgeproxy.server.run import run
from edgeproxy.settings import Settings


def run_demo(listen: str, admin: str, rules: Path | None, out: TextIO, err: TextIO) -> int:
    """Serve the demo until it is stopped; 2 when an address or the rules folder is not to be used."""
    try:
        folder = rules_folder(rules, Path.cwd())
    except OSError as error:
        err.write(f"edgeproxy demo: a copy of the rules cannot be made here: {error}; name a folder with --rules\n")
        return 2
    settings = Settings.gather(
        argparse.Namespace(listen=listen, admin=admin),
        {},
        given={
            "origin": "http://the-demo-shop",
            "rules": folder.path,
            "keys": Keys.parse(secrets.token_hex(32)),
            "preview": "open",
        },
    )
    if not isinstance(settings, Settings):
        tell_usage("demo", settings, err)
        return 2
    if not settings.listen.is_loopback:
        err.write(f"edgeproxy demo: anybody could preview everything at {listen}: listen on loopback\n")
        return 2
    if why := no_folder(folder.path):
        err.write(f"edgeproxy demo: {folder.path} {why}\n")
        return 2
    parts = build_app(settings, transport=ShopInProcess())
    source = parts.source
    assert source is not None
    err.writelines(f"{problem}\n" for problem in source.problems)

    def ready(address: str, console: str) -> None:
        out.write(welcome(address, folder, source.book, console))
        out.flush()

    return run(
        parts.proxy,
        parts.admin,
        settings,
        parts.running,
        journal=parts.journal,
        errors=lambda: ErrorPages.of(parts.books.book),
        ready=ready,
        out=err,
    )
