"""How a page's bytes become characters: byte-order mark, Content-Type, ``<meta>``, as browsers decide it.

Here: ``detect``, pure.  Not here: decoding whole pages (nobody does that: pages are read as latin-1, one
character a byte).  Called by whoever wants a plan of a page, before ``plan``.

Source: WHATWG HTML 13.2.3.2 (encoding sniffing) and the WHATWG Encoding Standard (labels).
"""

from __future__ import annotations

import re

from edgeproxy.html.model import Charset, Unplannable

PRESCAN = 1024
"""Bytes of the page that are searched for a ``<meta>`` (HTML 13.2.3.2)."""

_CHARSET = re.compile(rb"<meta[^>]*?charset\s*=\s*[\"']?\s*([-\w.:]+)", re.IGNORECASE)
_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([-\w.:]+)", re.IGNORECASE)


def detect(content_type: str | None, body: bytes) -> Charset:
    """The page's charset.  Raises ``Unplannable`` where bytes cannot be read as ASCII with extras (UTF-16…)."""
    if body.startswith(b"\xef\xbb\xbf"):
        return Charset("utf-8", "utf-8", 3, "bom")
    if body.startswith((b"\xfe\xff", b"\xff\xfe")):
        raise Unplannable("the page is UTF-16")
    header = _HEADER.search(content_type or "")
    if header is not None:
        return Charset(header[1].lower(), header[1].lower(), 0, "header")
    meta = _CHARSET.search(body[:PRESCAN])
    if meta is not None:
        label = meta[1].decode("ascii").lower()
        return Charset(label, label, 0, "meta")
    return Charset("windows-1252", "cp1252", 0, "default")
