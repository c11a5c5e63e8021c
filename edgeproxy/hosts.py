"""The names under which visitors may come: Host values, and which of them are served here.  Pure.

Called by the guard (``server.head``), by ``sanitise``, and by the admin listener against DNS rebinding.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from edgeproxy import values

__all__ = ["Hosts", "host_name"]

_HOST_VALUE: Final = re.compile(rb"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?").fullmatch


@lru_cache(4096)
def host_name(value: bytes) -> str | None:
    """The name in a Host value, lower-case, without its port; None for what is no host (RFC 9110, 7.2)."""
    match = _HOST_VALUE(value)
    if match is None:
        return None
    name, port = match[1], match[2]
    if port is not None and not 0 < int(port) < 65536:
        return None
    if name[:1] == b"[":
        return name.decode().lower() if values.is_ip(name.decode()) else None
    return name.decode().lower() if b".." not in name and name[:1] != b"." else None


class Hosts:
    """The allow-list of one listener: names, and ``*.name`` for every name below it; an empty one allows any."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._names = frozenset(name for name in names if not name.startswith("*."))
        self._below = tuple(name[1:] for name in names if name.startswith("*."))
        self.judge = lru_cache(1024)(
            self._judge
        )  # asked with what visitors choose: bounded, and what it holds is short

    def _judge(self, value: bytes) -> tuple[str, int]:
        """(the host in lower case, 0), or (why not, the status of the refusal)."""
        name = host_name(value)
        if name is None:
            return "a Host that is no host", 400
        name = name.removesuffix(".")
        if self._names or self._below:
            bare = name.removeprefix("[").removesuffix("]")
            if bare not in self._names and not name.endswith(self._below):
                return "a Host that is not served here", 421  # RFC 9110, 15.5.20
        return value.decode().lower(), 0
