"""Cache-Control, read in the way that shares less: every way of the grammar in which it can be wrong."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.cachecontrol import CacheControl, parse

CASES = tomllib.loads((Path(__file__).parents[1] / "cases/cache/cache_control.toml").read_text("utf-8"))["case"]
NOTHING = asdict(CacheControl())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["it"])
def test_what_is_read(case: dict[str, Any]) -> None:
    told = asdict(parse(line.encode("latin-1" if max(line, default="") < "Ā" else "utf-8") for line in case["lines"]))
    assert {name: value for name, value in told.items() if value != NOTHING[name]} == case["read"]


RESTRICTS = st.sampled_from(["no-store", "private", "no-cache", "must-revalidate", "proxy-revalidate"])


@given(st.text(st.characters(max_codepoint=255)), RESTRICTS, st.text(st.characters(max_codepoint=255)))
def test_no_surroundings_hide_a_restriction(before: str, word: str, after: str) -> None:
    said = parse([f"{before},{word},{after}".encode("latin-1")])
    assert getattr(said, word.replace("-", "_"))


@given(st.lists(st.binary(max_size=40)))
def test_no_bytes_are_an_error_nor_make_time(lines: list[bytes]) -> None:
    said = parse(lines)
    for lifetime in (said.max_age, said.s_maxage, said.stale_while_revalidate, said.stale_if_error):
        assert lifetime is None or 0 <= lifetime <= 2**31


PARTS = st.sampled_from(
    ["max-age=60", "public", 'x="a, b"', "max-age", "max-age=x", 'y="open', "no-store", " ", "max-age = 5", "a;b", "="]
)


@given(st.lists(PARTS, max_size=6), PARTS)
def test_saying_more_never_makes_a_lifetime_longer(parts: list[str], more: str) -> None:
    before = parse([", ".join(parts).encode()]).max_age
    after = parse([", ".join(parts).encode(), more.encode()]).max_age
    assert before is None or after is None or after <= before
