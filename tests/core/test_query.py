"""Cutting our flags out of queries and Referers, byte for byte; addresses that are safe in a Location."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.query import FLAGS, clean_referer, cut, on_host, target

CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "query_cut.toml").read_text())["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["it"]))
def test_cut(case: dict[str, Any]) -> None:
    raw = case["query"].encode("latin-1")
    left = cut(raw)
    assert left.query == case.get("left", case["query"]).encode("latin-1")
    assert [list(pair) for pair in left.flags] == case.get("flags", [])
    if "flags" not in case:
        assert left.query is raw


PARTS = st.lists(
    st.sampled_from([*(name.decode() for name in FLAGS), "a", "edge_", "%5F", "=", "&", ";", "+", "%", "é"])
)


@given(PARTS)
def test_nothing_of_ours_is_left_and_nothing_else_is_lost(parts: list[str]) -> None:
    raw = "".join(parts).encode("latin-1")
    left = cut(raw)
    kept = left.query.split(b"&") if left.query or not left.flags else []
    assert not any(unquote_to_bytes(pair.partition(b"=")[0]) in FLAGS for pair in kept)
    others = [pair for pair in raw.split(b"&") if unquote_to_bytes(pair.partition(b"=")[0]) not in FLAGS]
    assert left.query == b"&".join(others)
    assert cut(left.query).query is left.query


@pytest.mark.parametrize(
    ("referer", "clean"),
    [
        (b"https://shop.example/c?edge_stage=new", b"https://shop.example/c"),
        (b"https://shop.example/c?a=1&edge_token=x", b"https://shop.example/c?a=1"),
        (b"https://shop.example/edge_stage=new", b"https://shop.example/edge_stage=new"),
        (b"https://shop.example/c?", b"https://shop.example/c?"),
        (b"", b""),
    ],
)
def test_a_referer_tells_no_flags(referer: bytes, clean: bytes) -> None:
    assert clean_referer(referer) == clean


@pytest.mark.parametrize(
    ("path", "query", "location"),
    [
        ("/", b"", b"//shop.example/"),
        ("/c/%2e%2e/x", b"q=%C3%A5+b&&", b"//shop.example/c/%2e%2e/x?q=%C3%A5+b&&"),
        ("//evil.example/", b"", b"//shop.example//evil.example/"),
        ("/\\evil", b"", b"//shop.example/%5Cevil"),
        ("/a b\r\nSet-Cookie: x", b"\x00", b"//shop.example/a%20b%0D%0ASet-Cookie:%20x?%00"),
        ("/\xe5#x", b'"<>', b"//shop.example/%E5%23x?%22%3C%3E"),
    ],
)
def test_an_address_for_a_location(path: str, query: bytes, location: bytes) -> None:
    assert on_host("shop.example", path, query) == location


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_an_address_never_holds_what_a_header_may_not(path: bytes, query: bytes) -> None:
    made = target("/" + path.decode("latin-1"), query)
    assert made.isascii()
    assert made.decode().isprintable()
    assert b" " not in made
    assert unquote_to_bytes(made.partition(b"?")[0]) == unquote_to_bytes(b"/" + path).partition(b"?")[0] or b"?" in path
