"""The headers that leave: pure functions from the shop's lines to the visitor's.

Here: what is taken away, re-addressed and added, as lines in, lines out.  Not here: whether a page is personal or
a preview (``core.policy``, ``proxy``), bodies and codings (``content_coding``), sockets.  Called by ``proxy`` on
every answer, and by the page cache when it answers itself.

A line is ``(name, value)`` in bytes.  Names may come in any case; ``passed`` makes them lower-case, and everything
else expects that.  Order and duplicates survive except where a function says so.  Nothing here raises: what a shop
writes is data, and what cannot be read is read in the way that shares less.

The order in which they are meant:

    lines = passed(shop's, origin, scheme, host)        every answer
    lines = personal(lines, ...)                        a page with slots in force, whatever this visitor got
          | clamped(lines, seconds, now)                another answer, where the book is about to change
    lines = preview(lines)                              a preview
    lines = unshared(lines)                             an answer that sets a cookie of ours
    lines = framed(lines, length=..., coding=..., etag=...)   where the body is ours to frame
    lines = signed_off(lines, edge=..., shop=...)       every answer
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from edgeproxy.clamp import clamped, targeted

__all__ = [
    "EVENT",
    "Origin",
    "clamped",
    "confirmed",
    "elsewhere",
    "etag",
    "framed",
    "had_validator",
    "matches",
    "not_modified",
    "passed",
    "personal",
    "preview",
    "recoded",
    "signed_off",
    "strip_conditionals",
    "unshared",
]

Lines = Sequence[tuple[bytes, bytes]]
NewLines = list[tuple[bytes, bytes]]

# RFC 9110, 7.6.1, with the two that old software still treats so
_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# A Connection line may not take these away (RFC 9110, 7.6.1: never for fields meant for all recipients): without
# them an answer would be shared, framed or trusted more than the shop meant
_END_TO_END = frozenset(
    {
        b"cache-control",
        b"content-encoding",
        b"content-length",
        b"content-security-policy",
        b"content-type",
        b"expires",
        b"location",
        b"pragma",
        b"set-cookie",
        b"strict-transport-security",
        b"vary",
        b"www-authenticate",
    }
)
EVENT = b"edge-event"
"""What the shop tells us of a visitor, and nobody else (``core.events``)."""

_VALIDATORS = frozenset({b"etag", b"last-modified"})
_CONDITIONS = frozenset({b"if-match", b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since"})
_DIGESTS = frozenset({b"content-digest", b"content-md5", b"digest", b"repr-digest"})
# what a 304 does not repeat (RFC 9110, 15.4.5)
_REPRESENTATION = frozenset({b"content-encoding", b"content-language", b"content-length", b"content-range"}) | {
    b"content-type",
    b"accept-ranges",
}


# ------------------------------------------------------------------ every answer


@dataclass(frozen=True, slots=True)
class Origin:
    """The shop's own address as it may appear in its answers."""

    scheme: bytes  # b"http" or b"https"
    host: bytes  # lower-case, no port, IPv6 in brackets
    authorities: frozenset[bytes]  # every spelling of host and port, lower-case

    @classmethod
    def of(cls, url: str, *others: str) -> Origin:
        """From the address that the operator gave; raises ValueError when it is not http(s)://host[:port].

        ``others`` are further addresses of the same shop, of the same scheme.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an address: {url!r}")
        host = parts.hostname.encode("idna" if not parts.hostname.isascii() else "ascii").lower()
        if b":" in host:
            host = b"[" + host + b"]"
        default = 443 if parts.scheme == "https" else 80
        port = parts.port or default
        spellings = {b"%b:%d" % (host, port)} | ({host, host + b":"} if port == default else set())
        more = [cls.of(other).authorities for other in others]
        return cls(parts.scheme.encode("ascii"), host, frozenset(spellings).union(*more))

    def location(self, value: bytes, scheme: bytes, host: bytes) -> bytes:
        """``value`` under the visitor's address where it names this one; else the very same value.

        Only an absolute or scheme-relative URL whose authority is exactly the origin's counts: with a user part,
        another port or another scheme it is somebody else's.
        """
        found = _AUTHORITY.match(value) if host else None
        if found is None or found["authority"].lower() not in self.authorities:
            return value
        if found["scheme"] is None:
            return b"//" + host + value[found.end() :]
        if found["scheme"].lower() != self.scheme:
            return value
        return scheme + b"://" + host + value[found.end() :]

    def cookie(self, value: bytes, host: bytes) -> bytes:
        """A Set-Cookie value without its Domain where that is the origin's host and not the visitor's.

        The cookie then belongs to the host that the visitor sees, and to no other.  The last Domain is the one
        that counts (RFC 6265, 5.3); name and value are never looked into.
        """
        if b";" not in value or b"domain" not in value.lower():
            return value
        first, *rest = value.split(b";")
        domains = [part for part in rest if part.partition(b"=")[0].strip().lower() == b"domain"]
        if not domains:
            return value
        domain = domains[-1].partition(b"=")[2].strip().lower().removeprefix(b".")
        if domain != self.host or domain == _hostname(host):
            return value
        return b";".join([first, *(part for part in rest if part not in domains)])


# browsers take a backslash for a slash
_AUTHORITY = re.compile(rb"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?//(?P<authority>[^/?#\\]*)")


def _hostname(host: bytes) -> bytes:
    """A Host header's value without its port, lower-case."""
    return re.sub(rb":\d*\Z", b"", host).lower()


def passed(lines: Iterable[tuple[bytes, bytes]], origin: Origin, scheme: bytes, host: bytes) -> NewLines:
    """The shop's lines as they may leave: names in lower case, no hop-by-hop fields, our address for its own.

    What the shop tells us alone (``Edge-Event``) goes too, however it is written.

    ``scheme`` and ``host`` are the visitor's own (b"https", b"shop.example").
    """
    named = [(name.lower(), value) for name, value in lines]
    drop = _HOP
    for name, value in named:
        if name == b"connection":
            drop = drop | ({token.strip().lower() for token in value.split(b",")} - _END_TO_END)
    leaving: NewLines = []
    for name, value in named:
        if name in drop or name == EVENT:
            continue
        if name == b"set-cookie":
            value = origin.cookie(value, host)
        elif name == b"location":
            value = origin.location(value, scheme, host)
        leaving.append((name, value))
    return leaving


def signed_off(lines: Lines, *, edge: float, shop: float | None, via: bytes = b"1.1 edgeproxy") -> NewLines:
    """With our Via, and Server-Timing: ``edge`` and ``shop`` in seconds, the shop's only where it was asked."""
    timing = b"edge;dur=%.1f" % (edge * 1000)
    if shop is not None:
        timing += b", origin;dur=%.1f" % (shop * 1000)
    return [*lines, (b"via", via), (b"server-timing", timing)]


# ------------------------------------------------------------------ pages that vary by visitor


def personal(lines: Lines, *, changed: bool, negotiated: bool = False) -> NewLines:
    """A page with slots in force: it varies by visitor even for those who got nothing.

    ``Cache-Control: private, no-cache``, keeping the shop's no-store (we add none: it would end the browser's
    back/forward cache) and no-transform; ``Vary: Cookie``; nothing for shared caches; no validator of the shop's,
    whose 304 would confirm another visitor's page.  ``changed``: the bytes that leave are not the shop's, so its
    digests of them go too.  ``negotiated``: we chose the coding, so Accept-Encoding joins Vary.
    """
    keep = b"".join(b", " + word for word in (b"no-store", b"no-transform") if _says(lines, b"cache-control", word))
    gone = {b"cache-control", b"expires", b"pragma", b"age", b"accept-ranges"} | _VALIDATORS
    if changed:
        gone |= _DIGESTS
    leaving = [line for line in lines if line[0] not in gone and not targeted(line[0])]
    leaving.append((b"cache-control", b"private, no-cache" + keep))
    leaving.append((b"cdn-cache-control", b"no-store"))
    return _varying(leaving, (b"Cookie", b"Accept-Encoding") if negotiated else (b"Cookie",))


def unshared(lines: Lines) -> NewLines:
    """An answer that sets a visitor's cookie: for them alone, and asked for anew when they come back.

    The shop's own private or no-store stays as it is, and so do its validators: the bytes are its own.
    """
    said = [token.strip().lower() for name, value in lines if name == b"cache-control" for token in value.split(b",")]
    if b"private" in said or b"no-store" in said:
        leaving = [line for line in lines if not targeted(line[0])]
    else:
        keep = b", no-transform" if b"no-transform" in said else b""
        gone = {b"cache-control", b"expires", b"pragma", b"age"}
        leaving = [line for line in lines if line[0] not in gone and not targeted(line[0])]
        leaving.append((b"cache-control", b"private, no-cache" + keep))
    return [*leaving, (b"cdn-cache-control", b"no-store")]


def recoded(lines: Lines) -> NewLines:
    """The same page in another coding: other bytes, so the shop's digests go and its ETag is a weak one from here on.

    (RFC 9110, 8.8.1: a strong one would differ from coding to coding.)
    """
    gone = _DIGESTS | {b"accept-ranges"}
    leaving = [
        (name, b"W/" + value) if name == b"etag" and value.startswith(b'"') else (name, value)
        for name, value in lines
        if name not in gone
    ]
    return _varying(leaving, (b"Accept-Encoding",))


def preview(lines: Lines) -> NewLines:
    """A preview is never stored, never indexed, and its address never told to others."""
    gone = {b"cache-control", b"expires", b"pragma", b"age", b"accept-ranges", b"referrer-policy"} | _VALIDATORS
    gone |= _DIGESTS
    leaving = [line for line in lines if line[0] not in gone and not targeted(line[0])]
    leaving += [
        (b"cache-control", b"no-store"),
        (b"cdn-cache-control", b"no-store"),
        (b"x-robots-tag", b"noindex"),
        (b"referrer-policy", b"same-origin"),
    ]
    return leaving


def elsewhere(location: bytes, set_cookie: bytes | None = None) -> NewLines:
    """A 303 of ours, which nobody keeps and whose address nobody is told."""
    cookie = [(b"set-cookie", set_cookie)] if set_cookie is not None else []
    return [
        (b"location", location),
        *cookie,
        (b"cache-control", b"no-store"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-robots-tag", b"noindex"),
    ]


def strip_conditionals(lines: Lines) -> NewLines:
    """A document request without conditions and ranges: what the browser holds may be another variant."""
    return [line for line in lines if line[0] not in _CONDITIONS and line[0] != b"range"]


# ------------------------------------------------------------------ validators of ours


def had_validator(lines: Lines) -> bool:
    """True when the shop itself lets its answer be revalidated: only then do we make an ETag."""
    return any(name in _VALIDATORS and value.strip() for name, value in lines)


def etag(digest: str, coding: str) -> bytes:
    """Our ETag for one variant in one coding: ``"edge-<digest>-<coding>"``; "" and "identity" are the same."""
    return f'"edge-{digest}-{coding or "identity"}"'.encode("ascii")


def matches(if_none_match: Iterable[bytes], ours: bytes) -> bool:
    """Does an If-None-Match (all its lines) name exactly ``ours``?  (RFC 9110, 13.1.2, weak comparison.)

    ``*`` does not count: it says that the client holds something, not that it holds this visitor's variant.  A
    list that is malformed matches nothing.
    """
    return any(_TAGS.fullmatch(line) is not None and ours in _TAG.findall(line) for line in if_none_match)


def confirmed(if_none_match: Iterable[bytes], mark: str) -> bytes | None:
    """The tag in an If-None-Match (all its lines) that is of the variant with this mark, in whatever coding; else None.

    A 304 names the tag that the client has, since that is the one whose answer it keeps (RFC 9111, 4.3.4).
    """
    ours = f'"edge-{mark}-'.encode("ascii")
    for line in if_none_match:
        if ours in line and _TAGS.fullmatch(line) is not None:
            for tag in _TAG.finditer(line):
                if tag[0].startswith(ours):
                    return (b"W/" if line.endswith(b"W/", 0, tag.start()) else b"") + tag[0]
    return None


_TAG = re.compile(rb'"[\x21\x23-\x7e\x80-\xff]*"')
_TAGS = re.compile(rb'[ \t,]*(?:(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"[ \t]*(?:,[ \t,]*|\Z))+')


def not_modified(lines: Lines) -> NewLines:
    """The lines of a 304 in place of a 200 with these (RFC 9110, 15.4.5)."""
    return [line for line in lines if line[0] not in _REPRESENTATION and line[0] not in _DIGESTS]


def framed(lines: Lines, *, length: int | None, coding: str | None = None, validator: bytes | None = None) -> NewLines:
    """With the framing of the body that really leaves.

    ``length`` in bytes, None where it is not known yet (chunked) or the status has no body (204, 304).
    ``coding``: None leaves the shop's Content-Encoding as it is, "" says that there is none, else its name.
    ``validator``: an ETag of ours.
    """
    gone = {b"content-length"} | ({b"content-encoding"} if coding is not None else set())
    leaving = [line for line in lines if line[0] not in gone]
    if coding:
        leaving.append((b"content-encoding", coding.encode("ascii")))
    if validator is not None:
        leaving.append((b"etag", validator))
    if length is not None:
        leaving.append((b"content-length", b"%d" % length))
    return leaving


# ------------------------------------------------------------------ inside


def _says(lines: Lines, name: bytes, word: bytes) -> bool:
    """Does any such line hold the word, however badly it is written?"""
    return any(line == name and word in value.lower() for line, value in lines)


def _varying(lines: Lines, fields: Sequence[bytes]) -> NewLines:
    """One Vary line, where the first stood, that names these fields too; ``*`` already says more."""
    values = [bare for name, value in lines if name == b"vary" and (bare := value.strip(b" \t,"))]
    named = {token.strip().lower() for value in values for token in value.split(b",")}
    merged = b", ".join([*values, *(field for field in fields if b"*" not in named and field.lower() not in named)])
    leaving: NewLines = []
    placed = False
    for line in lines:
        if line[0] != b"vary":
            leaving.append(line)
        elif not placed:
            leaving.append((b"vary", merged))
            placed = True
    if not placed:
        leaving.append((b"vary", merged))
    return leaving
