"""Stitched gzip: a page's segments compressed once each, joined into one gzip member for any set of edits.

Here: ``Piece`` (bytes compressed by themselves), ``stitched`` (pieces → one member) and ``Seams`` (where one page has
been cut so far, and its pieces).  Pure: no clock, no threads.  Not here: which edits a page gets (``html.place``), when
stitching is worth it (``variants``, the only caller).

A piece is raw deflate (RFC 1951) that refers to nothing before it and ends on a byte with an empty stored block, as a
full flush leaves it (RFC 1951, 3.2.4): such pieces may stand in any order.  The member's CRC is that of its pieces,
combined.  One member, always: Chromium shows only the first of several.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Final, NamedTuple

from isal import isal_zlib

from edgeproxy.html.model import Splice

__all__ = ["MOST_CUTS", "Piece", "Seams", "piece", "stitched"]

MOST_CUTS: Final = 128
"""Places at which one page is cut; a page that is edited at more of them is compressed whole."""

# RFC 1952, 2.3.1: no name, no time, an unknown system: the same bytes for the same page on every machine.
_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_END: Final = b"\x03\x00"  # the last block: fixed codes, empty


class Piece(NamedTuple):
    """Bytes compressed by themselves: ``data`` is raw deflate, ``crc`` and ``length`` are of the bytes in the clear."""

    data: bytes
    crc: int
    length: int


def piece(text: bytes) -> Piece:
    """``text`` as a piece."""
    deflater = isal_zlib.compressobj(2, isal_zlib.DEFLATED, -15)
    data = deflater.compress(text) + deflater.flush(isal_zlib.Z_FULL_FLUSH)
    return Piece(data, isal_zlib.crc32(text), len(text))


def stitched(pieces: Iterable[Piece]) -> bytes:
    """One gzip member (RFC 1952) that holds the pieces' bytes in a row."""
    parts = [_HEADER]
    crc = length = 0
    for data, its_crc, its_length in pieces:
        if its_length:
            parts.append(data)
            crc = isal_zlib.crc32_combine(crc, its_crc, its_length)
            length += its_length
    parts += (_END, crc.to_bytes(4, "little"), (length & 0xFFFFFFFF).to_bytes(4, "little"))
    return b"".join(parts)


class Seams:
    """One page's pieces, cut wherever some edit has begun or ended so far; holds no bytes of the page in the clear."""

    __slots__ = ("_cuts", "_pieces", "size")

    def __init__(self) -> None:
        self._cuts: list[int] = []
        self._pieces: dict[tuple[int, int], Piece] = {}
        self.size = 0  # bytes of all pieces

    def member(self, body: bytes, splices: Sequence[Splice], texts: MutableMapping[bytes, Piece]) -> bytes | None:
        """``body`` with ``splices`` made, as one gzip member; None where it is cut at too many places.

        ``body`` is the same each time; ``splices`` are sorted and disjoint.  ``texts`` holds the pieces of inserted
        text: what is missing is added.
        """
        new = {at for one in splices for at in (one.start, one.end)}.difference(self._cuts, (0, len(body)))
        if len(new) + len(self._cuts) > MOST_CUTS:
            return None
        for at in new:
            insort(self._cuts, at)
        pieces: list[Piece] = []
        at = 0
        for splice in splices:
            self._run(body, at, splice.start, pieces)
            if splice.text:
                text = texts.get(splice.text)
                if text is None:
                    text = texts[splice.text] = piece(splice.text)
                pieces.append(text)
            at = splice.end
        self._run(body, at, len(body), pieces)
        if new:
            self._forget_whole()
        return stitched(pieces)

    def _run(self, body: bytes, start: int, end: int, pieces: list[Piece]) -> None:
        """Append the pieces from ``start`` to ``end``, both of which are cuts or the page's ends."""
        if start == end:
            return
        between = self._cuts[bisect_right(self._cuts, start) : bisect_left(self._cuts, end)]
        at = start
        for cut in (*between, end):
            known = self._pieces.get((at, cut))
            if known is None:
                known = self._pieces[at, cut] = piece(body[at:cut])
                self.size += len(known.data)
            pieces.append(known)
            at = cut

    def _forget_whole(self) -> None:
        """Pieces that a later cut runs through are never asked for again."""
        cuts = self._cuts
        for start, end in [one for one in self._pieces if bisect_right(cuts, one[0]) < bisect_left(cuts, one[1])]:
            self.size -= len(self._pieces.pop((start, end)).data)
