"""Stitched gzip: whatever is edited, it is one gzip member of exactly the rendered page."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.html.model import Splice
from edgeproxy.html.render import render
from edgeproxy.stitch import MOST_CUTS, Piece, Seams, piece, stitched

BYTES = st.binary(max_size=400) | st.text(alphabet="<div>ab \n", max_size=2000).map(str.encode)


@st.composite
def edited(draw: st.DrawFn) -> tuple[bytes, list[list[Splice]]]:
    """A page, and several sets of edits of it."""
    body = draw(BYTES)
    sets = []
    for _ in range(draw(st.integers(1, 4))):
        places = sorted(draw(st.lists(st.integers(0, len(body)), max_size=8)))
        pairs = list(pairwise(places))[::2]
        sets.append([Splice(start, end, draw(st.binary(max_size=60))) for start, end in pairs])
    return body, sets


def one_member(data: bytes) -> bytes:
    """What a strict reader has of it; fails where anything stands behind the first member."""
    reader = zlib.decompressobj(31)
    clear = reader.decompress(data)
    assert reader.eof
    assert reader.unused_data == b""
    return clear


@given(st.lists(BYTES, max_size=6))
def test_pieces_in_a_row_are_one_member_of_their_bytes(texts: list[bytes]) -> None:
    assert one_member(stitched(piece(text) for text in texts)) == b"".join(texts)


@given(BYTES)
def test_a_piece_refers_to_nothing_before_it_and_ends_on_a_byte(text: bytes) -> None:
    data, crc, length = piece(text)
    assert (crc, length) == (zlib.crc32(text), len(text))
    assert zlib.decompressobj(-15).decompress(data + b"\x03\x00") == text


@given(edited())
def test_a_page_is_stitched_as_it_is_rendered_whatever_was_cut_before(case: tuple[bytes, list[list[Splice]]]) -> None:
    body, sets = case
    seams, texts = Seams(), dict[bytes, Piece]()
    for splices in sets:
        member = seams.member(body, splices, texts)
        assert member is not None
        assert one_member(member) == gzip.decompress(member) == render(body, splices)


def test_what_was_compressed_once_is_not_compressed_again() -> None:
    body = b"<p>hello</p>" * 5000
    seams, texts = Seams(), dict[bytes, Piece]()
    first, second = Splice(100, 200, b"one"), Splice(40000, 40100, b"two")
    seams.member(body, [first, second], texts)
    size = seams.size
    seams.member(body, [second], texts)
    seams.member(body, [first], texts)
    both = seams.size  # the edited ranges themselves are pieces now
    seams.member(body, [first, second], texts)
    seams.member(body, [], texts)
    assert (seams.size, size < both < size + 200) == (both, True)


def test_a_page_cut_at_too_many_places_is_not_stitched() -> None:
    body = b"x" * 10_000
    seams = Seams()
    assert seams.member(body, [Splice(at, at + 1, b"") for at in range(2, MOST_CUTS, 2)], {}) is not None
    assert seams.member(body, [Splice(at, at + 1, b"") for at in range(1000, 1000 + MOST_CUTS, 2)], {}) is None
