"""`serve`: settings gathered, everything that is wrong told at once, then the proxy runs until it is stopped."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TextIO

from edgeproxy.core.model import Problem
from edgeproxy.server.activation import NotOurs, inherited
from edgeproxy.server.binding import address_of
from edgeproxy.server.supervise import supervise
from edgeproxy.settings import Settings


def run_serve(arguments: argparse.Namespace, environ: Mapping[str, str], err: TextIO) -> int:
    """Serve until a signal stops it; 2 when the settings are wrong, 1 when it cannot listen."""
    try:
        activated = inherited(environ)
    except NotOurs as problem:
        err.write(f"edgeproxy serve: {problem}\n")
        return 2
    if activated.public:  # what is judged below is where it really listens
        arguments.listen = str(address_of(activated.public[0]))
    if activated.admin is not None:
        arguments.admin = str(address_of(activated.admin))
    settings = Settings.gather(arguments, environ)
    if not isinstance(settings, Settings):
        tell_usage("serve", settings, err)
        return 2
    return supervise(settings, activated, environ, err)


def tell_usage(verb: str, problems: tuple[Problem, ...], err: TextIO) -> None:
    """Everything that is wrong with the settings, a line each."""
    err.writelines(f"edgeproxy {verb}: {problem}\n" for problem in problems)
    err.write(f"edgeproxy {verb} --help shows every setting.\n")
