"""Started by systemd: sockets that it has bound for us, and telling it how far we are.

Here: the two small protocols of sd_listen_fds(3) and sd_notify(3), in the standard library's terms.  Called by
`serve`.  Off systemd both do nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Activated", "NotOurs", "inherited", "notify"]

FIRST: Final = 3  # SD_LISTEN_FDS_START


class NotOurs(Exception):
    """A socket was handed to us that we cannot serve on; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Activated:
    """Listening sockets: the shop's (one, or several on one address), the admin listener's."""

    public: tuple[socket.socket, ...] = ()
    admin: socket.socket | None = None


def inherited(environ: Mapping[str, str]) -> Activated:
    """The sockets that are ours by LISTEN_PID and LISTEN_FDS; one named "admin" is that listener's.  Raises NotOurs."""
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not count.isascii() or not count.isdigit():
        return Activated()
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    public: list[socket.socket] = []
    admin: socket.socket | None = None
    for index in range(int(count)):
        file = FIRST + index
        name = names[index] if index < len(names) else ""
        try:
            sock = socket.socket(fileno=file)
            listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as problem:
            raise NotOurs(f"file {file} of systemd is no socket: {problem.strerror}") from None
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM or not listens:
            raise NotOurs(
                f"socket {name or file} of systemd is none that listens for TCP: write ListenStream=HOST:PORT"
            )
        os.set_inheritable(file, False)
        sock.setblocking(False)
        if name == "admin" and admin is None:
            admin = sock
        else:
            public.append(sock)
    if len({sock.getsockname() for sock in public}) > 1:
        raise NotOurs("systemd has bound several addresses: one is served; name the socket of the admin listener admin")
    return Activated(tuple(public), admin)


def notify(environ: Mapping[str, str], state: str) -> None:
    """Tell systemd, where it asked to be told (``Type=notify``): "READY=1", "STOPPING=1"."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendall(state.encode())
