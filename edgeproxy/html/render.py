"""Original segments and new text, joined.

Here: ``render``, pure, microseconds.  Not here: what the splices are (``place``).  Called by ``personalise``.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeproxy.html.model import Splice


def render(body: bytes, splices: Sequence[Splice]) -> bytes:
    """``body`` with ``splices`` made; the very same object when there are none.

    Raises ValueError when they are not sorted, overlap, or leave the body: a fault of ours, never of a page.
    """
    if not splices:
        return body
    pieces: list[bytes] = []
    at = 0
    for splice in splices:
        if not at <= splice.start <= splice.end <= len(body):
            raise ValueError(f"splices must be sorted and disjoint: {splice.start}–{splice.end} after {at}")
        pieces += (body[at : splice.start], splice.text)
        at = splice.end
    pieces.append(body[at:])
    return b"".join(pieces)
