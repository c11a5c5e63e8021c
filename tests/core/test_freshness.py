"""How old, how fresh, and whether to keep: RFC 9111's own words as examples, and what must hold whatever is said."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core import httpdate
from edgeproxy.core.cacherules import names_of
from edgeproxy.core.freshness import Freshness, Lifetimes, Use, excused, judged, use
from edgeproxy.core.model import CacheRule, Where
from edgeproxy.core.paths import compile_paths
from edgeproxy.core.storing import Terms, terms

CASES = Path(__file__).parents[1] / "cases" / "cache"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
RULE = CacheRule(
    on=compile_paths(["/**"]),
    fresh=300.0,
    stale=60.0,
    stale_if_error=600.0,
    ignore_query=names_of(()),
    ignore_cookies=names_of(()),
    bypass_cookies=names_of(()),
    strip_set_cookie=names_of(["csrf"]),
    where=Where("rules/shop.toml", 9),
)


def cases(name: str) -> list[Any]:
    return list(tomllib.loads((CASES / f"{name}.toml").read_text("utf-8"))["case"])


def of(lines: list[str]) -> list[tuple[bytes, bytes]]:
    pairs = (line.partition(": ") for line in lines)
    return [(name.encode(), value.encode()) for name, _, value in pairs]


@pytest.mark.parametrize("case", cases("dates"), ids=lambda case: case["it"])
def test_dates(case: dict[str, Any]) -> None:
    wanted = case["is"].timestamp() if "is" in case else None
    assert httpdate.parse(case["value"].encode("utf-8"), NOON) == wanted


@pytest.mark.parametrize("case", cases("storing"), ids=lambda case: case["it"])
def test_what_is_kept_and_for_how_long(case: dict[str, Any]) -> None:
    lines = of(case["lines"])
    told = terms(case.get("status", 200), lines, RULE if case.get("rule") else None, NOON)
    if "why" in case:
        assert told == case["why"]
        return
    assert isinstance(told, Terms), told
    times = told.lifetimes
    assert [times.fresh, times.stale_while_revalidate, times.stale_if_error, times.stale_if_gone] == case["kept"]
    if "age" in case:
        assert judged(times, lines, at=NOON, tick=0.0, delay=0.0).age(NOON, 0.0) == case["age"]


def test_never_says_where_that_is_written() -> None:
    never = CacheRule(
        RULE.on,
        0.0,
        0.0,
        0.0,
        RULE.ignore_query,
        RULE.ignore_cookies,
        RULE.bypass_cookies,
        RULE.strip_set_cookie,
        RULE.where,
    )
    assert terms(200, of(["cache-control: public, max-age=60"]), never, NOON) == "never, says rules/shop.toml:9"


def test_the_time_that_the_shop_took_counts_as_age() -> None:
    fresh = judged(Lifetimes(60.0), of(["age: 10"]), at=NOON, tick=0.0, delay=2.5)
    assert fresh.age(NOON, 0.0) == 12.5


# --------------------------------------------------------------------------- as time goes by

TIMES = Freshness(Lifetimes(60.0, 30.0, 40.0, 100.0), 0.0, NOON, 0.0)


@pytest.mark.parametrize(
    ("seconds", "wanted", "if_error", "if_gone"),
    [
        (0, Use.FRESH, True, True),
        (59, Use.FRESH, True, True),
        (60, Use.STALE_WHILE_REVALIDATE, True, True),
        (89, Use.STALE_WHILE_REVALIDATE, True, True),
        (90, Use.VALIDATE, True, True),
        (100, Use.VALIDATE, False, True),
        (160, Use.VALIDATE, False, False),
    ],
)
def test_what_it_is_good_for(seconds: float, wanted: Use, if_error: bool, if_gone: bool) -> None:
    at, tick = NOON + seconds, seconds
    assert use(TIMES, at, tick) is wanted
    assert excused(TIMES, at, tick, gone=False) is if_error
    assert excused(TIMES, at, tick, gone=True) is if_gone


def test_a_clock_that_is_set_back_makes_nothing_fresh_again() -> None:
    assert use(TIMES, NOON - 3600, 200.0) is Use.VALIDATE
    assert use(TIMES, NOON + 30, 200.0) is Use.VALIDATE


def test_a_machine_that_slept_has_aged() -> None:
    assert use(TIMES, NOON + 86_400, 5.0) is Use.VALIDATE


def test_a_clock_that_is_set_back_makes_nothing_older_than_it_is() -> None:
    assert TIMES.age(NOON - 3600, 10.0) == 10.0


SECONDS = st.floats(-1e6, 1e6)


@given(SECONDS, st.floats(0, 1e6), st.floats(0, 1e6), SECONDS)
def test_no_clock_makes_it_younger_as_seconds_pass(at: float, tick: float, later: float, jump: float) -> None:
    before = TIMES.age(NOON + at, tick)
    assert TIMES.age(NOON + jump, tick + later) >= min(before, tick + later)
    assert TIMES.age(NOON + jump, tick + later) >= tick + later


LINES = st.lists(
    st.tuples(
        st.sampled_from([b"cache-control", b"expires", b"date", b"age", b"pragma", b"vary", b"cdn-cache-control"]),
        st.binary(max_size=30)
        | st.sampled_from([b"max-age=60", b"public", b"Mon, 01 Jun 2026 12:01:00 GMT", b"5", b"s-maxage=9", b"x"]),
    ),
    max_size=6,
)


@given(LINES, st.sampled_from([200, 301, 404, 500]), st.booleans())
def test_no_head_is_an_error(lines: list[tuple[bytes, bytes]], status: int, ruled: bool) -> None:
    told = terms(status, lines, RULE if ruled else None, NOON)
    if isinstance(told, Terms):
        assert told.lifetimes.fresh >= 0
        assert judged(told.lifetimes, lines, at=NOON, tick=0.0, delay=0.0).age(NOON, 0.0) >= 0
    else:
        assert told


@given(LINES, st.sampled_from([b"no-store", b"private", b"max-age=1, private", b'no-store="x"']))
def test_what_the_shop_forbids_it_forbids(lines: list[tuple[bytes, bytes]], word: bytes) -> None:
    lines = [line for line in lines if line[0] != b"cdn-cache-control"]
    assert isinstance(terms(200, [*lines, (b"cache-control", word)], None, NOON), str)
