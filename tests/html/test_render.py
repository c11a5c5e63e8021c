"""Joining original segments and new text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.html.model import Splice
from edgeproxy.html.render import render


def test_no_splice_gives_the_very_same_object() -> None:
    body = b"<p>x</p>"
    assert render(body, ()) is body


def test_inserted_replaced_and_removed() -> None:
    splices = (Splice(0, 0, b"a"), Splice(3, 4, b""), Splice(4, 4, b"b"), Splice(8, 8, b"c"))
    assert render(b"<p>x</p>", splices) == b"a<p>b</p>c"


@pytest.mark.parametrize(
    "splices",
    [
        (Splice(4, 4, b""), Splice(3, 3, b"")),
        (Splice(1, 5, b""), Splice(4, 6, b"")),
        (Splice(5, 4, b""),),
        (Splice(-1, 4, b""),),
        (Splice(4, 9, b""),),
    ],
)
def test_splices_that_overlap_or_leave_the_page_are_a_fault_of_ours(splices: tuple[Splice, ...]) -> None:
    with pytest.raises(ValueError, match="sorted and disjoint"):
        render(b"<p>x</p>", splices)


@given(st.binary(max_size=60), st.data())
def test_what_no_splice_touches_stays(body: bytes, data: st.DataObject) -> None:
    ends = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8).filter(lambda found: len(found) % 2 == 0)))
    splices = [Splice(*pair, data.draw(st.binary(max_size=5))) for pair in zip(ends[::2], ends[1::2], strict=True)]
    expected, at = b"", 0
    for splice in splices:
        expected += body[at : splice.start] + splice.text
        at = splice.end
    assert render(body, splices) == expected + body[at:]
