"""What in a page belongs to one visitor: tokens as platforms of shops write them, and what only looks like one."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.html.traces import trace

CASES = tomllib.loads((Path(__file__).parents[1] / "cases/cache/traces.toml").read_text("utf-8"))["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["it"])
def test_what_is_found(case: dict[str, Any]) -> None:
    pairs = (line.partition(": ") for line in case.get("lines", ()))
    lines = [(name.encode(), value.encode()) for name, _, value in pairs]
    assert trace(case["page"].encode(), lines) == case.get("found", "")


@pytest.mark.parametrize("case", [case for case in CASES if "found" in case], ids=lambda case: case["it"])
def test_it_is_found_wherever_it_stands(case: dict[str, Any]) -> None:
    pairs = (line.partition(": ") for line in case.get("lines", ()))
    lines = [(name.encode(), value.encode()) for name, _, value in pairs]
    filler = b"<p>caf\xc3\xa9 <b>x</b></p>\r\n" * 2000
    assert trace(filler + case["page"].encode() + filler, lines) == case["found"]


@given(st.binary(max_size=200), st.lists(st.tuples(st.just(b"set-cookie"), st.binary(max_size=30)), max_size=2))
def test_no_page_is_an_error(body: bytes, lines: list[tuple[bytes, bytes]]) -> None:
    assert isinstance(trace(body, lines), str)


@pytest.mark.parametrize(
    "piece",
    [
        b"<input ",
        b"<meta name=csrf ",
        b"nonce",
        b"csrf_",
        b'csrf="',
        b"a=",
        b"<script ",
        b"<script nonce",
        b"?sid=",
        b"_nonce:'",
    ],
)
def test_no_page_takes_long(piece: bytes) -> None:
    """Linear in the page, whatever it repeats: a page at the limit of what is kept."""
    assert isinstance(trace(piece * (2_000_000 // len(piece)), ()), str)
