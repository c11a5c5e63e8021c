"""`edgeproxy purge`: tells a running edgeproxy to forget what it keeps.

Asks the admin listener, which tells every worker.  Exit code: 0 done, 1 it could not be asked, 2 wrong usage.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

from edgeproxy import values
from edgeproxy.commands.looking import Usage
from edgeproxy.core.paths import PatternError, compile_paths
from edgeproxy.settings.options import ADMIN
from edgeproxy.values import Address, Unfit

__all__ = ["run_purge"]

_SECONDS: Final = 10.0


def run_purge(
    patterns: Sequence[str],
    tags: Sequence[str],
    admin: str | None,
    environ: Mapping[str, str],
    out: TextIO,
    err: TextIO,
) -> int:
    """Purge by path patterns, by tags, or both; ``admin`` is HOST:PORT, else EDGEPROXY_ADMIN's, else the default's."""
    if not patterns and not tags:
        raise Usage('say what to forget: a path pattern ("/c/**", "/**" for everything), or --tag NAME')
    for pattern in patterns:
        try:
            compile_paths([pattern])
        except PatternError as problem:
            raise Usage(str(problem)) from None
    for tag in tags:
        if not tag or not tag.isascii() or not tag.isprintable() or any(letter in ' ,"' for letter in tag):
            raise Usage(f'"{tag}" is no tag: tags have no spaces and no commas')
    text = admin or environ.get("EDGEPROXY_ADMIN") or str(ADMIN)
    try:
        address = values.address(text)
    except Unfit as problem:
        raise Usage(f"--admin: {problem}" + (f" ({problem.hint})" if problem.hint else "")) from None
    token = environ.get("EDGEPROXY_ADMIN_TOKEN", "")
    asked: list[tuple[str, dict[str, str]]] = [(pattern, {}) for pattern in patterns]
    if tags:
        asked.append(("/", {"Cache-Tag": ", ".join(tags)}))
    for target, headers in asked:
        try:
            status, said = _ask(address, target, {**headers, **({"Authorization": f"Bearer {token}"} if token else {})})
        except (OSError, http.client.HTTPException) as problem:
            err.write(f"edgeproxy purge: nobody answers on the admin listener {address}: {problem}\n")
            err.write("is edgeproxy running there? another address: --admin HOST:PORT\n")
            return 1
        if status == 401:
            err.write("edgeproxy purge: the admin listener wants its token: set EDGEPROXY_ADMIN_TOKEN\n")
            return 1
        if status != 200:
            err.write(f"edgeproxy purge: {address} answered {status}: {said.strip()[:500]}\n")
            return 1
        out.write(said)
    return 0


def _ask(address: Address, target: str, headers: Mapping[str, str]) -> tuple[int, str]:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104 - asked, not bound
    connection = http.client.HTTPConnection(host, address.port, timeout=_SECONDS)
    try:
        connection.request("PURGE", target, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read(65536).decode("utf-8", "replace")
    finally:
        connection.close()
