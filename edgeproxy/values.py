"""Text → value for what an operator may write in a flag or a variable.  Pure; each raises ``Unfit``.

Here: addresses, sizes, durations, names, networks, as ``settings`` needs them.  Not here: which options there are,
and where their text comes from.  Called by ``settings`` and by commands that take an address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from edgeproxy.core import durations

__all__ = ["Address", "Network", "Unfit"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAME: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
_SIZE: Final = re.compile(r"([0-9]{1,12}) ?(k|kb|kib|m|mb|mib|g|gb|gib|b)?", re.ASCII)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110, 5.6.2
_FACTOR: Final = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


class Unfit(ValueError):
    """A text that cannot be the value: ``what`` is wrong, and what to write instead."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a name or an IP address without brackets, and a port (0: any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Only this machine can reach it."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """True for ``localhost`` (and names below it), 127.0.0.0/8 and ::1, brackets allowed; no look-up is made."""
    host = host.lower().removeprefix("[").removesuffix("]").removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True  # RFC 6761, 6.3
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_ip(host: str) -> bool:
    """True for an IP address, brackets around an IPv6 one allowed."""
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def address(text: str) -> Address:
    """``HOST:PORT``, an IPv6 address in brackets, port 0 for any free one."""
    hint = "write HOST:PORT, like 127.0.0.1:8080 or [::1]:8080"
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host:
        raise Unfit(f'"{text}" names no host and port', hint)
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise Unfit(f'"{port}" is no port', "a port is a number from 0 to 65535; 0 takes any free one")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host or not is_ip(host):
            raise Unfit(f'"{host}" is no IPv6 address', hint)
    elif ":" in host:
        raise Unfit(f'"{text}" is ambiguous', "put an IPv6 address in brackets: [::1]:8080")
    elif not is_ip(host):
        host = _dns_name(host)
    return Address(host, int(port))


def origin(text: str) -> str:
    """The shop's address: ``http://host``, ``https://host:port``; returned without a slash at its end."""
    hint = "write the shop's own address, like https://shop-behind.example or http://10.0.0.5:8000"
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as problem:
        raise Unfit(f'"{text}" is no address: {problem}', hint) from None
    if parts.username is not None or parts.password is not None:
        raise Unfit("the address holds a user name or a password", "leave it out; it would stand in every log")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unfit(f'"{text}" is no http or https address', hint)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise Unfit(
            f'"{text}" has a path, a query or a fragment',
            "give only scheme, host and port: paths reach the shop as the visitor sent them",
        )
    host = parts.hostname
    host = f"[{host}]" if ":" in host else host if is_ip(host) else _dns_name(host)
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")


def path(text: str) -> str:
    """A path with or without a query, as it is sent: ``/healthz``."""
    text = text.strip()
    if not re.fullmatch(r"/[!-~]*", text) or "#" in text:
        raise Unfit(f'"{text}" is no path', "write it like /healthz")
    return text


def host_pattern(text: str) -> str:
    """A name that visitors use, or ``*.name`` for every name below it; lower-case, IDNs as A-labels (RFC 5890)."""
    text = text.strip().lower().removesuffix(".")
    if "/" in text:
        raise Unfit(f'"{text}" is no host name', "write only the name, like shop.example")
    if is_ip(text):
        return text.removeprefix("[").removesuffix("]")
    if ":" in text:
        raise Unfit(f'"{text}" has a port', "write only the name: it holds for every port")
    if text.startswith("*."):
        return "*." + _dns_name(text[2:])
    return _dns_name(text)


def origin_host(text: str) -> str:
    """The Host header to send to the shop instead of the visitor's: a name, with a port if it needs one."""
    name, colon, port = text.strip().partition(":") if not text.strip().startswith("[") else (text.strip(), "", "")
    if colon and (not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536):
        raise Unfit(f'"{text}" is no host', "write a name, or name:port")
    return (name if is_ip(name) else _dns_name(name)) + (f":{port}" if colon else "")


def network(text: str) -> Network:
    """A network like ``10.0.0.0/8`` or one address; the whole internet is refused."""
    try:
        found = ipaddress.ip_network(text.strip())
    except ValueError as problem:
        raise Unfit(f'"{text}" is no network: {problem}', "write it like 10.0.0.0/8, 10.1.2.3 or fd00::/8") from None
    if found.prefixlen == 0:
        raise Unfit(
            f'"{text}" trusts everybody', "anybody could then name any client address; name the proxies in front"
        )
    return found


def size(text: str) -> int:
    """Bytes: ``32KB``, ``2 MB``, ``1048576``; K is 1024."""
    match = _SIZE.fullmatch(text.strip().lower())
    if not match:
        raise Unfit(f'"{text}" is no size', "write it like 32KB, 2MB or 65536")
    return int(match[1]) * _FACTOR[(match[2] or "")[:1]]


def seconds_or_never(text: str) -> float:
    """A duration, or ``0`` for what is never to happen."""
    return 0.0 if text.strip() == "0" else seconds(text)


def seconds(text: str) -> float:
    """A duration: ``10``, ``2.5``, ``10s``, ``5 minutes``."""
    text = text.strip().lower()
    if re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,3})?", text, re.ASCII):
        found = float(text)
    elif match := re.fullmatch(r"([0-9]{1,7}\.[0-9]{1,3}) ?s(econds?)?", text, re.ASCII):
        found = float(match[1])
    else:
        try:
            found = durations.parse(text)
        except durations.NotADuration:
            found = 0.0
    if not found:
        raise Unfit(f'"{text}" is no duration', 'write it like 10, 2.5s or "5 minutes"')
    return found


def count(text: str) -> int:
    """A whole number, 0 or more."""
    text = text.strip()
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise Unfit(f'"{text}" is no whole number', "write it like 100")
    return int(text)


def workers(text: str) -> int:
    """How many processes: 1 to 256."""
    found = count(text)
    if not 1 <= found <= 256:
        raise Unfit(f'"{text}" is no number of workers', "one per core is right for most")
    return found


def token(text: str) -> str:
    """A header or cookie name (RFC 9110, 5.6.2)."""
    if not _TOKEN.fullmatch(text):
        raise Unfit(f'"{text}" is no name that HTTP knows', "letters, digits and - are safe")
    return text


def method(text: str) -> str:
    """A method beside the usual ones; CONNECT and TRACE never reach a shop."""
    text = token(text.strip()).upper()
    if text in ("CONNECT", "TRACE"):
        raise Unfit(f"{text} is never forwarded", "leave it out")
    return text


def one_of(*words: str) -> Callable[[str], str]:
    """A parser for a closed set of words."""

    def parse(text: str) -> str:
        if text.strip().lower() not in words:
            raise Unfit(f'"{text}" is not known', "write " + " or ".join(words))
        return text.strip().lower()

    return parse


def _dns_name(text: str) -> str:
    """A host name in lower-case A-labels; an underscore is let in, as private networks have it."""
    try:
        name = text.encode("idna").decode("ascii").lower() if not text.isascii() else text.lower()
    except UnicodeError:
        name = ""
    labels = name.removesuffix(".").split(".")
    if len(name) > 253 or not all(_NAME.fullmatch(label.replace("_", "a")) for label in labels):
        raise Unfit(f'"{text}" is no host name', "write it like shop.example")
    if labels[-1].isdigit():
        raise Unfit(f'"{text}" is no IP address', "four numbers from 0 to 255, like 127.0.0.1")
    return name
