"""Addresses to listen on: bound sockets, and what an operator is told where that fails.

Here: binding one.  Not here: what is served on it (``listener``), sockets that systemd hands over (``activation``).
Called by ``run`` and by the supervisor.
"""

from __future__ import annotations

import errno
import socket
from typing import Final

from edgeproxy.values import Address

__all__ = ["BACKLOG", "CannotListen", "address_of", "bind"]

BACKLOG: Final = 2048


class CannotListen(Exception):
    """An address cannot be listened on; the message says which, why, and what to do."""


def bind(address: Address, flag: str, *, reuse_port: bool = False) -> socket.socket:
    """A bound socket, not yet listening; ``flag`` is named in what an operator is told."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as problem:
        raise CannotListen(f"{flag}: {address.host} is no name that resolves ({problem.strerror})") from None
    found.sort(key=lambda each: each[0] != socket.AF_INET)  # "localhost": where most things look first
    family, kind, protocol, _, place = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(place)
        # Listening at once: an address in use is told now, and what connects early waits instead of being refused.
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as problem:
        sock.close()
        raise CannotListen(f"{flag}: {_trouble(address, problem)}") from None
    return sock


def _trouble(address: Address, problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return f"{address} is taken by another program: stop it, or take another port (0 takes any free one)"
    if problem.errno == errno.EACCES:
        return f"{address} is not for everybody: take a port above 1023, or give the program CAP_NET_BIND_SERVICE"
    if problem.errno == errno.EADDRNOTAVAIL:
        return f"{address.host} is no address of this machine: take one of its own, or 0.0.0.0 for all of them"
    return f"{address} cannot be listened on: {problem.strerror}"


def address_of(sock: socket.socket) -> Address:
    """Where a socket is bound."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)
