"""Who is at the other end, and what a trusted proxy there says of the visitor: address, hops, scheme, Host.  Pure.

Here: X-Forwarded-For, -Proto, -Host and Forwarded (RFC 7239), read from those who are believed and written anew.  Not
here: which header lines are looked at at all (``sanitise``, which calls this).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

from edgeproxy.hosts import Hosts
from edgeproxy.values import Network

__all__ = ["Peer", "Peers", "forwarded_line"]

HOPS: Final = 20  # proxies in a row that are looked at

_BYTE: Final = rb"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4: Final = re.compile(rb"[ \t]*(" + rb"\.".join([_BYTE] * 4) + rb")[ \t]*").fullmatch
"""An IPv4 address in its one usual spelling, as most entries are: ``ip_address`` takes ten times as long."""
_FOR_PART: Final = re.compile(rb'(?:^|[;,\s])for="?([^;,"\s]+)', re.IGNORECASE)
_PROTO_PART: Final = re.compile(rb'(?:^|[;,\s])proto="?(https?)(?![a-z])', re.IGNORECASE)


class Peer(NamedTuple):
    """What the other end of the connection is."""

    address: str
    trusted: bool
    line: tuple[bytes, bytes]  # its X-Forwarded-For


class Peers:
    """Which proxies in front are believed."""

    def __init__(self, trust: Sequence[Network] = ()) -> None:
        self._trust = tuple(trust)
        self._trust_4 = tuple((int(one.network_address), int(one.netmask)) for one in trust if one.version == 4)
        self.at = lru_cache(4096)(self._look)  # asked with what visitors choose: bounded, and what it holds is short

    def trusts(self, address: str) -> bool:
        """True when a proxy at this address is believed."""
        return self.at(address).trusted

    def _look(self, address: str) -> Peer:
        text = _plain_address(address) or address
        trusted = False
        try:
            found = ip_address(text)
        except ValueError:  # a socket without addresses
            found = None
        if found is not None:
            trusted = any(found in network for network in self._trust)
        return Peer(text, trusted, (b"x-forwarded-for", (text or "unknown").encode("ascii", "replace")))

    def visitor(self, chain: Sequence[bytes]) -> str:
        """The address that these entries of X-Forwarded-For come to, from a trusted proxy; "": they tell none."""
        return self._hops("", chain)[0]

    def told(
        self,
        hosts: Hosts,
        peer: str,
        scheme: str,
        host: bytes,
        chain: Sequence[bytes] | None,
        told: Mapping[bytes, bytes],
    ) -> tuple[list[str], str, bytes]:
        """What a trusted proxy says of the visitor: address and hops, scheme, Host; what it does not say, as it is.

        Where a header came in several lines the last is the one that the proxy itself has added.
        """
        elements = told.get(b"forwarded", b"").split(b",")
        if chain is None and b"forwarded" in told:
            chain = [match[1] if (match := _FOR_PART.search(element)) else b"" for element in elements]
        hops = self._hops(peer, chain or ())
        proto = told.get(b"x-forwarded-proto", b"").split(b",")[0].strip().lower()
        if proto in (b"http", b"https"):
            scheme = proto.decode()
        elif match := _PROTO_PART.search(elements[max(0, len(elements) - max(1, len(hops) - 1))]):
            scheme = match[1].decode().lower()
        public = told.get(b"x-forwarded-host", b"").split(b",")[0].strip()
        return hops, scheme, public if public and not hosts.judge(public)[1] else host

    def _hops(self, peer: str, chain: Sequence[bytes]) -> list[str]:
        """The visitor's address and the trusted proxies after it: what stands further left is anybody's word."""
        hops = [peer]
        for entry in reversed(chain[-HOPS:]):
            usual = _IPV4(entry)
            if usual is not None:
                address = usual[1].decode()
                trusted = self._trusts_4(usual)
            else:
                plain = _plain_address(entry.strip().decode("latin-1"))
                if plain is None:
                    break
                address = plain
                trusted = self.at(address).trusted
            hops.insert(0, address)
            if not trusted:
                break
        return hops

    def _trusts_4(self, address: re.Match[bytes]) -> bool:
        number = (int(address[2]) << 24) + (int(address[3]) << 16) + (int(address[4]) << 8) + int(address[5])
        return any(number & mask == network for network, mask in self._trust_4)


def _plain_address(text: str) -> str | None:
    """An IP address without brackets, port or zone, an IPv4 one mapped into IPv6 as itself; None for anything else."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(found)


def forwarded_line(hops: Sequence[str], scheme: str, host: bytes) -> bytes:
    """RFC 7239, 4: who it came for, hop by hop; scheme and Host are those that the visitor used (5.3, 5.4)."""
    first, *others = [f'for="[{hop}]"' if ":" in hop else f"for={hop}" for hop in hops]
    line = b'%b;proto=%b;host="%b"' % (first.encode(), scheme.encode(), host)
    return b", ".join([line, *(each.encode() for each in others)])
