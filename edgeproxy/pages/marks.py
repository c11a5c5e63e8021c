"""Does an answer's body hold what belongs to one visitor?

Here: undoing its codings, so that it can be looked through.  Not here: what is looked for (``html.traces``).  Pure, and
takes milliseconds on big pages: the cache calls it in a thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeproxy.content_coding import Undecodable, decode
from edgeproxy.html import charset
from edgeproxy.html.model import Unplannable
from edgeproxy.html.traces import trace
from edgeproxy.lines import joined

__all__ = ["marks"]


def marks(lines: Sequence[tuple[bytes, bytes]], body: bytes, limit: int) -> str:
    """Why the answer may not be kept, "" when nothing was found; what cannot be looked through may not.

    ``limit``: bytes that it may have when its codings are undone.
    """
    lines = list(lines)
    try:
        plain = decode(lines, body, limit=limit)
    except Undecodable as problem:
        return f"it cannot be looked through: {problem}"
    kind = joined(lines, b"content-type")
    if (kind or "").partition(";")[0].strip().lower() == "text/html":
        try:
            charset.detect(kind, plain)
        except Unplannable as problem:
            return f"it cannot be looked through: {problem}"
    return trace(plain, lines)
