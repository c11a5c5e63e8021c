"""What a date in a rule file means, days on which clocks change included."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.schedule import MomentError, as_text, from_text, moment, parse_moment, zone

STOCKHOLM = zone("Europe/Stockholm")


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("written", "timezone", "means"),
    [
        ("2026-11-01", "Europe/Stockholm", "2026-10-31T23:00"),
        ("2026-07-01", "Europe/Stockholm", "2026-06-30T22:00"),
        ("2026-07-01", "America/New_York", "2026-07-01T04:00"),
        ("2026-07-01", "UTC", "2026-07-01T00:00"),
        ("2026-12-24T10:00:00", "Europe/Stockholm", "2026-12-24T09:00"),
        ("2026-12-24 10:00:00.5", "Europe/Stockholm", "2026-12-24T09:00:00.5"),
        ("2026-12-24T10:00:00Z", "Europe/Stockholm", "2026-12-24T10:00"),
        ("2026-12-24T10:00:00-05:00", "Europe/Stockholm", "2026-12-24T15:00"),
        # 2026-03-29: 02:00 to 03:00 is skipped; it moves forward by that hour
        ("2026-03-29T01:59:59", "Europe/Stockholm", "2026-03-29T00:59:59"),
        ("2026-03-29T02:00:00", "Europe/Stockholm", "2026-03-29T01:00"),
        ("2026-03-29T02:30:00", "Europe/Stockholm", "2026-03-29T01:30"),
        ("2026-03-29T03:30:00", "Europe/Stockholm", "2026-03-29T01:30"),
        # 2026-10-25: 02:00 to 03:00 comes twice; the first is meant
        ("2026-10-25T02:30:00", "Europe/Stockholm", "2026-10-25T00:30"),
        ("2026-10-25T02:30:00+01:00", "Europe/Stockholm", "2026-10-25T01:30"),
        ("2026-10-25T03:00:00", "Europe/Stockholm", "2026-10-25T02:00"),
        # midnight itself is skipped in Beirut, and doubled in Havana
        ("2026-03-29", "Asia/Beirut", "2026-03-28T22:00"),
        ("2026-11-01", "America/Havana", "2026-11-01T04:00"),
        # half an hour of daylight saving
        ("2026-10-04T02:15:00", "Australia/Lord_Howe", "2026-10-03T15:45"),
    ],
)
def test_moments(written: str, timezone: str, means: str) -> None:
    value = tomllib.loads(f"at = {written}")["at"]
    assert moment(value, zone(timezone)) == utc(means)
    assert parse_moment(written, timezone) == utc(means)


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("10:00:00", "a time alone is no moment"),
        ('"2026-12-24"', "2026-12-24 without the quotes"),
        ('"tomorrow"', "2026-12-24 or"),
        ("7", "not a date or date-time"),
        ("true", "not a date or date-time"),
        ("[2026-12-24]", "not a date or date-time"),
    ],
)
def test_what_is_no_moment(written: str, what: str) -> None:
    with pytest.raises(MomentError, match=what):
        moment(tomllib.loads(f"at = {written}")["at"], STOCKHOLM)


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13-01", "24/12/2026", "2026-12-24T25:00", "20261224", "2026-W52-4", "10:00", "x" * 999]
)
def test_text_that_is_no_moment(text: str) -> None:
    with pytest.raises(MomentError, match="is not a date or date-time"):
        from_text(text, STOCKHOLM)


def test_minutes_are_enough_for_people() -> None:
    assert from_text(" 2026-12-24T10:00 ", STOCKHOLM) == utc("2026-12-24T09:00")


@pytest.mark.parametrize(
    "name", ["Europe/Stokholm", "", "Europe", "../../etc/passwd", "/etc/localtime", "a\0b", "x" * 9999]
)
def test_timezones_that_are_none(name: str) -> None:
    with pytest.raises(MomentError, match="unknown timezone"):
        zone(name)


def test_the_timezone_that_was_meant() -> None:
    with pytest.raises(MomentError, match='did you mean "Europe/Stockholm"'):
        zone("Europe/Stokholm")


def test_moments_in_words() -> None:
    assert as_text(utc("2026-10-31T23:00"), STOCKHOLM) == "2026-11-01 00:00 Europe/Stockholm"
    assert as_text(utc("2026-10-31T23:00:07"), STOCKHOLM) == "2026-11-01 00:00:07 Europe/Stockholm"
    assert as_text(1e18, STOCKHOLM) == "1000000000000000000 seconds after 1970"


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2037, 12, 31)),  # noqa: DTZ001 - local times are what is tried
    st.sampled_from(["UTC", "Europe/Stockholm", "Pacific/Apia", "Australia/Lord_Howe"]),
)
def test_a_local_time_is_itself_or_was_skipped_and_moved_forward(local: datetime, name: str) -> None:
    timezone = zone(name)
    back = datetime.fromtimestamp(moment(local, timezone), timezone).replace(tzinfo=None)
    skipped = local.replace(tzinfo=timezone).utcoffset() != local.replace(tzinfo=timezone, fold=1).utcoffset()
    assert back == local or (skipped and back > local)
