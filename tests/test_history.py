"""What is remembered of the requests: counts over time, bounded, summed over workers; decisions without secrets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.accesslog import Served
from edgeproxy.history import APPLIED, DAY, FOUND, HOUR, LAST, LOST, MOST, PAGES, History, Past, Run, exported, merged

NOON = 1_780_315_200.0  # 2026-06-01 12:00:00 UTC
MINUTE = 60.0


def page(at: float = NOON, **more: Any) -> Served:
    """A page that some experience could change, as it was answered."""
    given: dict[str, Any] = {"lane": "private", "personal": True, "total_ms": 5.0, "request_id": f"r{at}"} | more
    return Served(at=at, method="GET", host="shop.test", path=given.pop("path", "/c/boots"), status=200, **given)


def remembered(*pages: Served) -> Past:
    history = History()
    for each in pages:
        history.add(each)
    return merged([json.loads(json.dumps(history.export()))])


def test_counts_are_kept_by_the_minute_and_by_the_quarter() -> None:
    past = remembered(
        page(NOON, applied=("calm",)),
        page(NOON + 20, applied=("calm",)),
        page(NOON + MINUTE, applied=("calm", "snow")),
        page(NOON + 20 * MINUTE, applied=("snow",)),
    )
    now = NOON + 20 * MINUTE
    assert past.series(APPLIED, "calm", now, HOUR)[-21:] == [2, 1, *[0] * 19]
    assert past.series(APPLIED, "snow", now, HOUR)[-21:] == [0, 1, *[0] * 18, 1]
    assert past.series(APPLIED, "calm", now, DAY)[-2:] == [3, 0]
    assert past.series(APPLIED, "snow", now, DAY)[-2:] == [1, 1]
    assert past.total(APPLIED, now, HOUR) == {"calm": 3, "snow": 2}
    assert past.total(PAGES, now, HOUR) == {"private": 4}
    assert past.seen == {"calm": NOON + MINUTE + 0.005, "snow": NOON + 20 * MINUTE + 0.005}


def test_what_is_older_than_the_window_is_forgotten() -> None:
    past = remembered(page(NOON, applied=("calm",)), page(NOON + 90 * MINUTE, applied=("calm",)))
    assert past.total(APPLIED, NOON + 90 * MINUTE, HOUR) == {"calm": 1}
    assert past.total(APPLIED, NOON + 90 * MINUTE, DAY) == {"calm": 2}
    assert past.total(APPLIED, NOON + 26 * 60 * MINUTE, DAY) == {}


def test_a_slot_is_found_where_any_edit_of_it_was_placed_and_lost_where_none_was() -> None:
    past = remembered(
        page(found=("hero",), failed=(("hero", "an odd fragment"), ("menu", "matches 0 elements"), ("style", "CSP"))),
        page(found=("hero", "menu")),
    )
    assert past.total(FOUND, NOON, HOUR) == {"hero": 2, "menu": 1}
    assert past.total(LOST, NOON, HOUR) == {"menu": 1}
    assert past.runs == {"hero": Run(found_at=NOON + 0.005), "menu": Run(found_at=NOON + 0.005)}


def test_a_run_of_pages_without_a_slot_begins_anew_when_it_is_found() -> None:
    gone: dict[str, Any] = {"failed": (("menu", "gone"),)}
    found: dict[str, Any] = {"found": ("menu",)}
    past = remembered(page(NOON, **gone), page(NOON + 1, **found), page(NOON + 2, **gone), page(NOON + 3, **gone))
    assert past.runs == {"menu": Run(NOON + 1.005, 2, NOON + 2.005, "gone")}


def test_several_workers_runs_are_one_where_nobody_found_the_slot_meanwhile() -> None:
    after, before, other = Run(100.0, 2, 110.0, "gone"), Run(90.0, 3, 95.0, "gone"), Run(90.0, 4, 105.0, "away")
    assert after.with_other(before) == before.with_other(after) == after
    assert after.with_other(other) == other.with_other(after) == Run(100.0, 6, 105.0, "gone")
    assert Run(100.0).with_other(other) == Run(100.0, 4, 105.0, "away")
    assert Run(100.0).with_other(Run(50.0)) == Run(100.0)


def test_only_pages_that_rules_could_change_are_decisions_and_what_went_wrong() -> None:
    past = remembered(
        page(personal=False, lane="pass", path="/logo.svg"),
        page(personal=False, lane="pass", path="/broken", fault=True),
        page(personal=True, lane="pass", path="/nothing-fits"),
        page()._replace(personal=False, path="/down", status=502),
    )
    assert [one["path"] for one in past.tail] == ["/broken", "/nothing-fits", "/down"]
    assert past.total(PAGES, NOON, HOUR) == {"pass": 1}


def test_a_preview_is_told_and_never_counted() -> None:
    past = remembered(page(preview=True, applied=("calm",), found=("hero",), failed=(("menu", "gone"),)))
    assert [one["preview"] for one in past.tail] == [True]
    assert (past.minutes, past.quarters) == ({}, {})
    assert (past.seen, past.runs) == ({}, {})


def test_addresses_are_told_as_the_log_tells_them() -> None:
    for short, told in ((True, "203.0.113.0"), (False, "203.0.113.77")):
        history = History(short_addresses=short)
        history.add(page(client="203.0.113.77"))
        assert [one["client"] for one in merged([history.export()]).tail] == [told]


def test_several_workers_come_to_one_past_the_newest_decision_first() -> None:
    one, other = History(), History()
    one.add(page(NOON, applied=("calm",), failed=(("menu", "gone"),)))
    other.add(page(NOON + 1, applied=("calm",)))
    one.add(page(NOON + 2, applied=("calm",)))
    past = merged([{}, one.export(), other.export()])
    assert past.total(APPLIED, NOON, HOUR) == {"calm": 3}
    assert past.seen["calm"] == NOON + 2.005
    assert [each["at"] for each in past.tail] == [NOON + 2, NOON + 1, NOON]
    assert merged([exported(past)]) == past


def test_a_clock_that_goes_backwards_breaks_nothing() -> None:
    past = remembered(page(NOON + 5 * MINUTE, applied=("calm",)), page(NOON, applied=("calm",)))
    assert past.total(APPLIED, NOON + 5 * MINUTE, HOUR) == {"calm": 2}


NAMES = st.integers(0, 2 * MOST).map(str)


@given(
    st.lists(st.tuples(st.floats(0, 3 * 86400), st.lists(NAMES, max_size=8), st.lists(NAMES, max_size=4)), max_size=300)
)
def test_whatever_comes_it_is_bounded_and_nothing_is_lost_on_the_way(
    visits: Sequence[tuple[float, list[str], list[str]]],
) -> None:
    history = History()
    for after, applied, lost in visits:
        history.add(page(NOON + after, applied=tuple(applied), failed=tuple((slot, "w" * 2000) for slot in lost)))
    export = history.export()
    assert len(export["tail"]) <= LAST
    assert len(export["minutes"]) <= HOUR.steps + 1
    assert len(export["quarters"]) <= DAY.steps + 1
    assert all(len(names) <= MOST + 1 for _, counts in export["quarters"] for names in counts.values())
    assert len(export["seen"]) <= MOST
    assert len(export["runs"]) <= MOST
    assert all(len(why) <= 300 for *_, why in export["runs"].values())
    if visits and max(after for after, _, _ in visits) < 86400 - 900:
        total = sum(sum(counts[PAGES].values()) for _, counts in export["quarters"])
        assert total == len(visits)
