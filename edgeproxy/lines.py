"""What the lines of an answer say: pure questions to header lines whose names are lower-case.

Here: reading.  Not here: changing them (``respond``).  Called by ``rewrite`` and ``previewing``.
"""

from __future__ import annotations

from collections.abc import Iterable

from edgeproxy.core.model import PageRequest

__all__ = ["accept_encoding", "content_length", "is_html", "joined"]


def joined(lines: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """All values of a field as one, separated by ", " (RFC 9110, 5.3), as latin-1 text; None without any."""
    values = [value for key, value in lines if key == name]
    return b", ".join(values).decode("latin-1") if values else None


def content_length(lines: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Bytes of the body, where the head says so in a way that can be believed."""
    value = joined(lines, b"content-length")
    return int(value) if value is not None and value.isascii() and value.isdigit() else None


def is_html(lines: Iterable[tuple[bytes, bytes]]) -> bool:
    """The answer is text/html, whatever its charset."""
    return (joined(lines, b"content-type") or "").partition(";")[0].strip().lower() == "text/html"


def accept_encoding(request: PageRequest) -> bytes:
    """What the visitor takes, all lines as one; b"" where they do not say."""
    return b", ".join(value for name, value in request.headers if name == b"accept-encoding")
