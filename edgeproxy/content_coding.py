"""Content codings: what the shop sent is undone within a limit, what leaves is chosen and made.

Here: Content-Encoding and Accept-Encoding (RFC 9110, 8.4 and 12.5.3), as pure functions over bytes.  Not here:
whether a page is decoded at all, transfer codings (``origin.exchange``).  Called by ``proxy`` for pages that it
rewrites.

Costs, one core, pages of 36 / 106 / 401 KB (ms, and bytes left of 100):

    gzip, isal level 2     0.09  30     0.32  32     0.96  19      ← per request
    zstd, level 3          0.21  29     0.62  30     1.87  16
    br, quality 1          0.22  31     0.64  32     1.87  18
    gzip, zlib level 1     0.53  31     1.79  31     4.56  19
    gzip, zlib level 6     1.06  27     3.63  28    11.44  16
    br, quality 5          1.45  25     4.46  25     8.22  14

So a page that is made for one request is gzipped by isal where the visitor takes gzip at all, as nearly all do;
zstd and br serve those who do not take it or rank it lower.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, cast

import brotli
from isal import isal_zlib

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = [
    "BEST",
    "CODINGS",
    "SMALLEST",
    "Coder",
    "Undecodable",
    "accepted",
    "best",
    "codings_of",
    "compress",
    "decode",
    "encode",
]

Lines = Iterable[tuple[bytes, bytes]]

CODINGS = ("gzip", "zstd", "br")
"""What we can make, the one to take first where the visitor does not care first."""

BEST = ("br", "zstd", "gzip")
"""The same for what is kept and sent to many, where the smallest wins: it is made once (``best``)."""

SMALLEST = 256
"""Bytes below which compression is not worth its header."""

MAX_CODINGS = 3
"""More codings on top of each other are not undone; two are a known mistake of shops, three a rarity."""

MAX_MEMBERS = 64
"""Streams in a row within one coding; each costs a copy of what follows it."""

# isal's stubs take its exception for an instance
_ISAL_ERROR = cast(type[Exception], isal_zlib.error)
_CORRUPT = (_ISAL_ERROR, brotli.error, zstd.ZstdError)
_WINDOW = zstd.DecompressionParameter.window_log_max
_LARGEST_WINDOW = 23  # 8 MiB, what RFC 9659 allows on the web


class Undecodable(Exception):
    """The body cannot be had in the clear: kind "unknown", "corrupt", "truncated" or "too big".

    The proxy then passes the coded bytes as they came.
    """

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind = kind


# ------------------------------------------------------------------ from the shop


def codings_of(lines: Lines) -> tuple[str, ...]:
    """The content codings of an answer in the order in which they were applied, lower-case, without identity."""
    names: list[str] = []
    for name, value in lines:
        if len(name) == 16 and name.lower() == b"content-encoding":
            names += (word.strip().lower() for word in value.decode("latin-1").split(","))
    return tuple(name for name in names if name not in ("", "identity"))


def decode(lines: Lines, body: bytes, *, limit: int) -> bytes:
    """``body`` without its content codings, at most ``limit`` bytes of it after each.

    Without codings it is the very same object.  Memory stays near ``limit``, whatever the body claims to hold.
    Raises Undecodable.
    """
    codings = codings_of(lines)
    if len(codings) > MAX_CODINGS:
        raise Undecodable("unknown", f"{len(codings)} codings on top of each other")
    for coding in reversed(codings):
        undo = _UNDO.get(coding)
        if undo is None:
            raise Undecodable("unknown", f"content coding {coding[:40]!r}")
        if not body:  # as browsers have it: nothing is nothing in every coding
            return b""
        try:
            body = undo(body, limit)
        except _CORRUPT as problem:
            raise Undecodable("corrupt", f"corrupt {coding}: {problem}") from None
    return body


def _gunzip(body: bytes, limit: int) -> bytes:
    """gzip members in a row are one body (RFC 1952, 2.2)."""
    parts: list[bytes] = []
    while body:
        if len(parts) == MAX_MEMBERS:
            raise Undecodable("unknown", f"over {MAX_MEMBERS} gzip members")
        part, body = _inflate(body, limit, 31)
        limit -= len(part)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _undeflate(body: bytes, limit: int) -> bytes:
    """Means zlib's format; some send the bare stream, which browsers take as well."""
    try:
        part, rest = _inflate(body, limit, 15)
    except _ISAL_ERROR:
        part, rest = _inflate(body, limit, -15)
    if rest:
        raise Undecodable("corrupt", "bytes after the end of deflate")
    return part


def _inflate(body: bytes, limit: int, wbits: int) -> tuple[bytes, bytes]:
    """One member and what stands behind it."""
    inflater = isal_zlib.decompressobj(wbits)
    part = inflater.decompress(body, limit + 1)
    if len(part) > limit:
        raise _too_big(limit)
    if not inflater.eof:
        raise _truncated()
    return part, inflater.unused_data


def _unbrotli(body: bytes, limit: int) -> bytes:
    decompressor = brotli.Decompressor()
    parts = [decompressor.process(body, output_buffer_limit=limit + 1)]
    size = len(parts[0])
    while size <= limit and not decompressor.is_finished():
        part = decompressor.process(b"", output_buffer_limit=limit + 1 - size)
        if not part:
            raise _truncated()
        parts.append(part)
        size += len(part)
    if size > limit:
        raise _too_big(limit)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _unzstd(body: bytes, limit: int) -> bytes:
    """Frames in a row are one body (RFC 8878, 3)."""
    parts: list[bytes] = []
    while body:
        if len(parts) == MAX_MEMBERS:
            raise Undecodable("unknown", f"over {MAX_MEMBERS} zstd frames")
        decompressor = zstd.ZstdDecompressor(options={_WINDOW: _LARGEST_WINDOW})
        part = decompressor.decompress(body, limit + 1)
        if len(part) > limit:
            raise _too_big(limit)
        if not decompressor.eof:
            raise _truncated()
        limit -= len(part)
        parts.append(part)
        body = decompressor.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_big(limit: int) -> Undecodable:
    return Undecodable("too big", f"over {limit} bytes when decoded")


def _truncated() -> Undecodable:
    return Undecodable("truncated", "the coded body ends before its end")


_UNDO: Mapping[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}


# ------------------------------------------------------------------ to the visitor


def accepted(accept_encoding: bytes | None, offered: Iterable[str] = CODINGS) -> str:
    """The coding to answer in: one of ``offered``, or "" for none (RFC 9110, 12.5.3).

    The highest weight wins, then the order of ``offered``.  No header and an empty one mean none.  A visitor who
    forbids identity and takes nothing we offer gets identity all the same, which is better than nothing.  A weight
    that cannot be read is 0; of a coding named twice the lower one counts.
    """
    if not accept_encoding:
        return ""
    if len(accept_encoding) <= _USUAL:  # browsers have a handful of spellings, and every page asks twice
        return _remembered(accept_encoding, tuple(offered))
    return _judged(accept_encoding, offered)


_USUAL = 128


@lru_cache(256)
def _remembered(accept_encoding: bytes, offered: tuple[str, ...]) -> str:
    return _judged(accept_encoding, offered)


def _judged(accept_encoding: bytes, offered: Iterable[str]) -> str:
    weights: dict[str, float] = {}
    for item in accept_encoding.decode("latin-1").split(","):
        name, _, parameters = item.partition(";")
        name = name.strip().lower()
        if name:
            name = name.removeprefix("x-") if name == "x-gzip" else name
            weights[name] = min(_weight(parameters), weights.get(name, 1.0))
    other = weights.get("*", 0.0)
    best, best_weight = "", 0.0
    for coding in offered:
        weight = weights.get(coding, other)
        if weight > best_weight:
            best, best_weight = coding, weight
    # identity is acceptable unless refused, but only asked for where it is named
    return "" if weights.get("identity", 0.0) > best_weight else best


def _weight(parameters: str) -> float:
    """``q=0.5`` → 0.5; nothing → 1; anything else → 0."""
    if not parameters.strip():
        return 1.0
    name, _, value = parameters.partition("=")
    value = value.strip()
    if name.strip().lower() != "q" or not value.isascii() or not value.replace(".", "", 1).isdigit():
        return 0.0
    weight = float(value[:8])
    return weight if weight <= 1.0 else 0.0


def compress(body: bytes, coding: str) -> bytes:
    """``body`` in one of ``CODINGS``, the cheap way; the same bytes for the same body."""
    if coding == "gzip":
        deflater = isal_zlib.compressobj(2, isal_zlib.DEFLATED, 31)
        return b"".join((deflater.compress(body), deflater.flush()))
    if coding == "zstd":
        return zstd.compress(body, 3)
    if coding == "br":
        return bytes(brotli.compress(body, quality=1))
    raise ValueError(f"no such coding: {coding!r}")


class Coder:
    """A body that is coded piece by piece; ``coding`` is one of ``CODINGS``, or "" for none.

    ``add`` keeps back what it likes, ``flush`` gives all that a reader needs for what was added, ``end`` the end.
    """

    __slots__ = ("_coding", "_made")

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._made: Any = None  # of three libraries, two without types
        if coding == "gzip":
            self._made = isal_zlib.compressobj(2, isal_zlib.DEFLATED, 31)
        elif coding == "zstd":
            self._made = zstd.ZstdCompressor(3)
        elif coding == "br":
            self._made = brotli.Compressor(quality=1)
        elif coding:
            raise ValueError(f"no such coding: {coding!r}")

    def add(self, data: bytes) -> bytes:
        if not self._coding:
            return data
        return bytes(self._made.process(data) if self._coding == "br" else self._made.compress(data))

    def flush(self) -> bytes:
        match self._coding:
            case "gzip":
                return bytes(self._made.flush(isal_zlib.Z_SYNC_FLUSH))
            case "zstd":
                return bytes(self._made.flush(self._made.FLUSH_BLOCK))
            case "br":
                return bytes(self._made.flush())
        return b""

    def end(self) -> bytes:
        if not self._coding:
            return b""
        return bytes(self._made.finish() if self._coding == "br" else self._made.flush())


def encode(body: bytes, accept_encoding: bytes | None) -> tuple[str, bytes]:
    """The coding that the visitor takes ("" for none) and the body in it, made for one request."""
    if len(body) < SMALLEST:
        return "", body
    coding = accepted(accept_encoding)
    return (coding, compress(body, coding)) if coding else ("", body)


def best(body: bytes, coding: str) -> bytes:
    """``body`` as small as is worth it for what is kept; the same bytes for the same body."""
    if coding == "br":
        return bytes(brotli.compress(body, quality=6))
    if coding == "zstd":
        return zstd.compress(body, 12)
    if coding == "gzip":
        deflater = zlib.compressobj(9, zlib.DEFLATED, 31)
        return deflater.compress(body) + deflater.flush()
    raise ValueError(f"no such coding: {coding!r}")
