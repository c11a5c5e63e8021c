"""The head of a request as bytes: request line, framing, what is refused.  Pure; no connection, no clock.

Here: RFC 9112 where the parser under us is lenient, silent, or must not look (it refuses bytes above 0x7f in a
target, and would unwrap HTTP/0.9).  Not here: header syntax and chunks, which llhttp judges in its strict mode
(``tests/server/test_contract.py`` pins that), and what reaches the shop (``sanitise``).  Called by ``protocol``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from edgeproxy.hosts import host_name
from edgeproxy.settings import Limits

__all__ = ["END", "LONGEST_HEAD", "Framing", "Refused", "RequestLine", "framing", "look_early", "request_line"]

END: Final = b"\r\n\r\n"
LONGEST_HEAD: Final = 8 * 1024
"""Bytes of a head that is remembered whole (``fastlane``): looking it up must cost less than reading it."""

_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([^\x00-\x20\x7f#]+) HTTP/1\.([01])\r\n").match
_OTHER_VERSION: Final = re.compile(rb"[A-Z]{1,32} [^\x00-\x20\x7f#]+ HTTP/(?!1\.[01])[0-9]\.[0-9]\r\n").match
_BARE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)").search
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL).fullmatch
_TOKEN_BYTE: Final = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_WATCHED: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})


class Refused(Exception):
    """A request that is answered right here.  ``limit`` is the field of ``Limits`` that was hit, else "".

    ``asked`` is for the log: its method, Host and path as far as they were read.
    """

    def __init__(self, status: int, why: str, limit: str = "") -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.limit = limit
        self.asked = ("-", "-", "")

    def of(self, method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Refused:
        """The same, of a request whose head was read."""
        host = next((value for name, value in headers if name == b"host"), b"-")[:255]
        self.asked = (method, host.decode("latin-1"), target.partition(b"?")[0].decode("latin-1"))
        return self


class RequestLine(NamedTuple):
    """A request line that may be served."""

    method: str
    target: bytes  # origin-form, bytes as they came
    authority: bytes  # of an absolute-form target, else b""
    minor: int  # of the version: 0 or 1
    end: int  # where the header lines begin


class Framing(NamedTuple):
    """How the body is framed, and what the client waits for."""

    length: int | None  # Content-Length
    chunked: bool
    expects: bool  # it wants "100 Continue" before it sends the body


def request_line(head: bytes | bytearray, limits: Limits) -> RequestLine:
    """The request line at the start of ``head``; raises Refused (RFC 9112, 3).

    Targets: origin-form as it is; absolute-form becomes origin-form, its authority is compared with Host later
    (3.2.2); authority-form belongs to CONNECT, which a reverse proxy does not serve; ``OPTIONS *`` asks about the
    server itself, and there is no one answer for the shop's and ours.
    """
    match = _LINE(head)
    if match is None:
        if _OTHER_VERSION(head):
            raise Refused(505, "a version other than HTTP/1.0 and 1.1")
        raise Refused(400, "no request line")
    method, target = match[1].decode(), match[2]
    authority = b""
    if len(target) > limits.target_bytes:
        raise Refused(414, "a target that is too long", "target_bytes")
    if target[0] != 0x2F:
        if method == "CONNECT":
            raise Refused(405, "CONNECT")
        absolute = _ABSOLUTE(target)
        if absolute is None:
            raise Refused(400, "a target that is no path")
        authority, target = absolute[1], absolute[2]
        if not host_name(authority):
            raise Refused(400, "an absolute target without a host")
        if not target.startswith(b"/"):
            target = b"/" + target  # RFC 9112, 3.2.1: an empty path is "/"
    return RequestLine(method, target, authority, 1 if match[3] == b"1" else 0, match.end())


def framing(headers: Sequence[tuple[bytes, bytes]], line: RequestLine) -> Framing:
    """How the body of a request is framed; raises Refused for whatever two readers could read in two ways.

    ``headers`` have lower-case names, and values without whitespace around them.
    """
    host: bytes | None = None
    length: int | None = None
    codings = 0
    expects = False
    for name, value in headers:
        if name not in _WATCHED:
            continue
        if name == b"host":
            if host is not None or host_name(value) is None:
                raise Refused(400, "no single Host that is one")  # RFC 9112, 3.2
            host = value
        elif name == b"content-length":
            if length is not None or not value.isdigit() or len(value) > 18:
                raise Refused(400, "no single Content-Length")  # RFC 9112, 6.3
            length = int(value)
        elif name == b"transfer-encoding":
            codings += 1
            if codings > 1 or value.lower() != b"chunked":
                raise Refused(400, "a Transfer-Encoding other than chunked")  # RFC 9112, 6.1
        else:
            expects = expects or (line.minor == 1 and value.lower() == b"100-continue")
    if codings and (length is not None or line.minor == 0):
        raise Refused(400, "Transfer-Encoding beside Content-Length, or in HTTP/1.0")  # RFC 9112, 6.1: the attack
    if host is None and line.minor == 1:
        raise Refused(400, "no Host")
    if line.authority and (host is None or line.authority.lower() != host.lower()):
        raise Refused(400, "an absolute target for another host than Host")
    return Framing(length, codings > 0, expects)


def look_early(head: bytearray, seen: int, limits: Limits) -> None:
    """Judge a head that is not complete; raises Refused for one that cannot become good, before it is waited for.

    ``seen`` bytes of it have been looked at before.
    """
    if head[0] not in _TOKEN_BYTE:
        raise Refused(400, "no request line")
    if _BARE(head, max(0, seen - 1)):
        raise Refused(400, "a line that does not end in CR LF")
    end = head.find(b"\r\n")
    if end < 0:
        if len(head) > limits.target_bytes + 64:
            raise Refused(414, "a target that is too long", "target_bytes")
    elif end + 2 > seen:
        request_line(head, limits)
    if len(head) > limits.header_bytes:
        raise Refused(431, "a head that is too large", "header_bytes")
