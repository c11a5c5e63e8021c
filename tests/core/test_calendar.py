"""Schedules against each other: collisions and gaps, each case a few rules and what is said of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from edgeproxy.core.calendar import Collision, Gap, collisions, gaps
from tests.core.test_coverage import BESIDE, TAKES, book
from tests.world import NOON


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def one(audience: str, *more: str, edits: str = TAKES) -> str:
    return f'for = "{audience}"\n' + "".join(f"{line}\n" for line in more) + edits


def test_two_that_want_a_slot_at_one_time_collide_and_the_first_has_it() -> None:
    rules = book(
        winter=one("regulars", "from = 2026-12-01", "until = 2027-03-01"),
        sale=one("hikers", "from = 2027-02-01", "until = 2027-04-01"),
    )
    assert collisions(rules, NOON) == (
        Collision("hero", "winter", "sale", at("2027-02-01"), at("2027-03-01"), scheduled=True),
    )


def test_what_is_there_all_the_time_stands_last() -> None:
    rules = book(
        trail=one("hikers"), shelf=one("regulars"), sale=one("regulars", "from = 2026-08-01", "until = 2026-09-01")
    )
    found = collisions(rules, NOON)
    assert [(each.first, each.second, each.scheduled) for each in found] == [
        ("trail", "sale", True),
        ("shelf", "sale", True),
        ("trail", "shelf", False),
    ]
    assert (found[-1].begins, found[-1].ends) == (None, None)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (one("newcomers"), one("regulars")),  # nobody is of both
        (one("regulars", "until = 2026-08-01"), one("regulars", "from = 2026-08-01")),  # until is exclusive
        (one("regulars", edits=BESIDE), one("regulars")),  # takes no slot
        (one("regulars", "enabled = false"), one("regulars")),
        (one("regulars", 'share = "0%"'), one("regulars")),
        (one("regulars", "until = 2026-05-01"), one("regulars")),  # over
        (one("regulars", 'on = "/c/**"'), one("regulars")),  # the slot is on / alone
    ],
)
def test_who_cannot_meet_does_not_collide(first: str, second: str) -> None:
    assert collisions(book(first=first, second=second), NOON) == ()


def test_a_gap_is_the_time_between_two_that_are_for_the_same_audience() -> None:
    rules = book(
        spring=one("regulars", "from = 2026-03-01", "until = 2026-07-01"),
        autumn=one("regulars", "from = 2026-09-01", "until = 2026-11-01"),
        winter=one("regulars", "from = 2026-11-01"),
    )
    assert gaps(rules, NOON) == (Gap("hero", "regulars", "spring", "autumn", at("2026-07-01"), at("2026-09-01")),)
    assert gaps(rules, at("2026-09-02")) == ()


def test_a_wider_audience_fills_the_gap() -> None:
    spring, autumn = one("hikers", "until = 2026-07-01"), one("hikers", "from = 2026-09-01")
    assert [gap.audience for gap in gaps(book(spring=spring, autumn=autumn), NOON)] == ["hikers"]
    assert gaps(book(spring=spring, autumn=autumn, all=one("regulars")), NOON) == ()
    assert len(gaps(book(spring=spring, autumn=autumn, other=one("newcomers")), NOON)) == 1


def test_overlapping_schedules_leave_no_gap_inside_the_longer_one() -> None:
    rules = book(
        year=one("regulars", "from = 2026-01-01", "until = 2026-12-01"),
        june=one("regulars", "from = 2026-06-01", "until = 2026-07-01"),
        after=one("regulars", "from = 2026-12-01"),
    )
    assert gaps(rules, NOON) == ()
