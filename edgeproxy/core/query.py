"""Our flags in a query string: cut out byte for byte, so that they never reach the shop.

Here: which parameters are ours, taking them out of a query and of a Referer, and writing an address that is safe in a
Location.  Not here: what flags mean (``preview``).  Called by ``preview`` and by whoever forwards a request's head.

Only ``&`` separates parameters (WHATWG URL, application/x-www-form-urlencoded); a name is ours when it is one of
``FLAGS`` after percent-decoding, since that is how a shop would read it.  What stays keeps its bytes, its order and
its separators.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

FLAGS: Final = frozenset(
    {
        b"edge_stage",
        b"edge_segment",
        b"edge_persona",
        b"edge_experience",
        b"edge_at",
        b"edge_off",
        b"edge_explain",
        b"edge_outline",
        b"edge_rules",
        b"edge_token",
    }
)

_MAYBE: Final = re.compile(rb"edge_|%", re.ASCII)  # without either, no parameter can be ours
_UNSAFE: Final = re.compile(rb"[^!$-;=?-Z_a-z~%\[\]]")  # what may not stand raw in a URI's path and query


@dataclass(frozen=True, slots=True)
class Cut:
    """A query without our parameters, and these, decoded, in their order."""

    query: bytes
    flags: tuple[tuple[str, str], ...]


def cut(query: bytes) -> Cut:
    """Take our parameters out of a raw query (after ``?``).  The very same object stays when none is there."""
    if not _MAYBE.search(query):
        return Cut(query, ())
    kept: list[bytes] = []
    flags: list[tuple[str, str]] = []
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        plain = unquote_to_bytes(name) if b"%" in name else name
        if plain in FLAGS:
            flags.append((plain.decode("ascii"), _decoded(value)))
        else:
            kept.append(pair)
    return Cut(b"&".join(kept), tuple(flags)) if flags else Cut(query, ())


def clean_referer(referer: bytes) -> bytes:
    """A Referer's value without our parameters; the very same object when it has none (RFC 9110, 10.1.3)."""
    address, mark, query = referer.partition(b"?")
    if not mark:
        return referer
    left = cut(query)
    if not left.flags:
        return referer
    return address + mark + left.query if left.query else address


def target(path: str, query: bytes = b"") -> bytes:
    """``path?query`` where raw bytes that no URI may hold are percent-encoded, and no others: plain ASCII."""
    raw = path.encode("latin-1", "replace") + (b"?" + query if query else b"")
    return _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], raw)


def on_host(host: str, path: str, query: bytes = b"") -> bytes:
    """``//host/path?query``: for a Location (RFC 9110, 10.2.2) or a link, in whatever scheme the browser speaks.

    Behind a proxy that ends TLS and is not trusted, only the browser knows that scheme.  ``path`` is one character a
    byte and begins with ``/``, also with ``//``: behind a host it can name no other one.
    """
    return f"//{host}".encode("latin-1", "replace") + target(path, query)


def _decoded(value: bytes) -> str:
    return unquote_to_bytes(value.replace(b"+", b" ")).decode("utf-8", "replace")
