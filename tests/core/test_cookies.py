"""Cookie lines: one name found and taken out, whatever else stands there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core import cookies


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([b"a=1; v=x; b=2"], [b"x"]),
        ([b"v=x"], [b"x"]),
        ([b"a=1", b"v=x"], [b"x"]),
        ([b"v=x; v=y"], [b"x", b"y"]),
        ([b"v=x", b"v=x"], [b"x", b"x"]),
        ([b" v = x ;b=2"], [b"x"]),
        ([b"\tv\t=\tx\t"], [b"x"]),
        ([b"v=x=y"], [b"x=y"]),
        ([b'v="x"'], [b'"x"']),
        ([b"v="], [b""]),
        ([b"v"], [b""]),
        ([b"v;v=x"], [b"", b"x"]),
        ([b"\x0bv=x"], [b"x"]),
        ([b"xv=1; vx=2; v-=3; a=v; b=v=1; V=4"], []),
        ([b"=v=x"], []),
        ([b""], []),
        ([b";;;v=x;;"], [b"x"]),
        ([b"avv=1;v=x"], [b"x"]),
        ([], []),
    ],
)
def test_values_of_one_name(lines: list[bytes], found: list[bytes]) -> None:
    assert cookies.values(lines, b"v") == found


def _values_plainly(lines: list[bytes], name: bytes) -> list[bytes]:
    pairs = [pair.partition(b"=") for line in lines for pair in line.split(b";")]
    return [value.strip(b" \t") for key, _, value in pairs if key.strip() == name]


@given(st.lists(st.text("v=; \tax", max_size=20), max_size=3))
def test_values_are_those_of_every_pair_in_turn(texts: list[str]) -> None:
    lines = [text.encode() for text in texts]
    assert cookies.values(lines, b"v") == _values_plainly(lines, b"v")
    assert cookies.values(lines, b"va") == _values_plainly(lines, b"va")


@pytest.mark.parametrize(
    ("line", "left"),
    [
        (b"a=1; edge_preview=x; b=2", b"a=1; b=2"),
        (b"edge_preview=x; b=2", b"b=2"),
        (b"a=1; edge_preview=x", b"a=1"),
        (b"edge_preview=x", b""),
        (b"edge_preview=x; edge_preview=y;edge_state=z", b""),
        (b"a=1;  b=2;c", b"a=1;  b=2;c"),
        (b"edge_previews=x; a=edge_preview", b"edge_previews=x; a=edge_preview"),
        (b"a=1; edge_preview ; b", b"a=1; b"),
    ],
)
def test_without_leaves_every_other_byte(line: bytes, left: bytes) -> None:
    assert cookies.without(line, {b"edge_preview", b"edge_state"}) == left


def test_without_is_the_same_object_when_nothing_is_ours() -> None:
    for line in (b"a=1; b=2", b"x_edge_preview=1"):
        assert cookies.without(line, {b"edge_preview"}) is line
