"""Conditions: a table of examples, Kleene's three values, and what a hostile visitor may send."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core import audiences
from edgeproxy.core.conditions import CONDITIONS, Every, Labels, Not, condition, kinds, table
from edgeproxy.core.memory import Memory, Preference, day_of, minute_of
from edgeproxy.core.model import Condition, Facts, PageRequest, Problem, Reasons, Shop, Source, Visitor, Where
from edgeproxy.core.rules.sheet import Sheet, Spot
from edgeproxy.core.toml import Places

CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "conditions.toml").read_text())["case"]
LABELS = Labels(("new", "exploring", "loyal"), ("outdoor", "city", "staff"))
NOW = 1_780_315_200.0  # 2026-06-01 12:00:00 UTC
SHOP = Shop(
    "UTC", ("new", "exploring", "loyal"), ("outdoor", "city", "staff"), None, None, True, "en", Where("shop.toml")
)


REMEMBERED = {
    "visits", "page_views", "orders", "csat", "nps", "first_visit", "last_visit", "last_order", "came_back_after",
    "bought", "signed_in", "prefers",
}  # fmt: skip


def spot() -> Spot:
    return Sheet("rules/x.toml", {}, Places(), []).top


def read(case: Mapping[str, Any]) -> Condition:
    place = spot()
    if "who" in case:
        made = audiences.read(case["who"], place, LABELS)
    else:
        made = table(case["when"], place, LABELS, "request")
    assert place.sheet.problems == []
    assert made is not None
    return made


def memory(said: Mapping[str, Any]) -> Memory:
    """Days and minutes are told as so many before NOW."""
    day, minute = day_of(NOW), minute_of(NOW)
    return Memory(
        first_day=day - said.get("first_day", 0),
        active=minute,
        visits=said.get("visits", 1),
        away=said.get("away"),
        page_views=said.get("page_views", 0),
        orders=said.get("orders", 0),
        signed_in=said.get("signed_in", False),
        events=(("order", minute - said["last_order"]),) if "last_order" in said else (),
        bought=tuple((code, day) for code in said.get("bought", ())),
        prefers=Preference(said["prefers"]) if "prefers" in said else None,
        csat=said.get("csat"),
        nps=said.get("nps"),
    )


def facts(case: Mapping[str, Any]) -> Facts:
    source = {"valid": Source.COOKIE, "none": Source.NOBODY, "disbelieved": Source.DISBELIEVED}[
        case.get("cookie", "valid")
    ]
    visitor = Visitor(
        case.get("visitor", {}).get("stage"), tuple(case.get("visitor", {}).get("segments", ())), None, source
    )
    if "memory" in case:
        visitor = replace(visitor, memory=memory(case["memory"]))
    visitor = replace(visitor, unremembered=case.get("unremembered", ""))
    headers = tuple((name.encode(), text.encode()) for name, text in case.get("headers", {}).items())
    request = PageRequest("GET", "https", "shop.example", "/", case.get("query", ""), headers, NOW, case.get("country"))
    return Facts(visitor, request, SHOP)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["it"])
def test_conditions(case: Mapping[str, Any]) -> None:
    made, given_facts, reasons = read(case), facts(case), Reasons()
    assert made.holds(given_facts, reasons) is {"yes": True, "no": False, "unknown": None}[case["holds"]]
    assert made.holds(given_facts) is made.holds(given_facts, Reasons())
    assert reasons, "a reason is always given"
    assert reasons == case.get("why", reasons)


@pytest.mark.parametrize(
    ("key", "value", "names"),
    [
        ("stage", "new", {"stage"}),
        ("segment", "city", {"segments"}),
        ("all_segments", ["city"], {"segments"}),
        ("device", "mobile", {"device"}),
        ("query", {"a": "b", "c d": True}, {"query.a", "query.c d"}),
        ("came_from", "google.com", {"came_from"}),
        ("language", "sv", {"language"}),
        ("country", "SE", {"country"}),
        ("visits", {"at_least": 3}, {"visits at least 3"}),
        ("page_views", {"at_least": 3, "at_most": 5}, {"page_views at least 3 and at most 5"}),
        ("orders", {"at_most": 0}, {"orders at most 0"}),
        ("csat", {"at_most": 2}, {"csat at most 2"}),
        ("nps", {"at_least": 9}, {"nps at least 9"}),
        ("first_visit", {"within": "7 days"}, {"first_visit within 7 days"}),
        ("last_visit", {"before": "7 days"}, {"last_visit more than 7 days ago"}),
        ("last_order", {"within": "2 hours"}, {"last_order within 2 hours"}),
        ("came_back_after", "30 days", {"came_back_after 30 days"}),
        ("bought", ["phones", "cases"], {"bought phones or cases"}),
        ("signed_in", True, {"signed in"}),
        ("prefers", "simple", {"prefers simple"}),
    ],
)
def test_every_condition_names_the_facts_that_it_looks_at(key: str, value: object, names: set[str]) -> None:
    kind = CONDITIONS[key]
    made = table({key: value, "not": {key: value}}, spot(), LABELS, kind.about)
    assert made is not None
    assert made.facts() == names


def test_no_condition_is_left_out_above() -> None:
    assert set(CONDITIONS) == {
        "stage", "segment", "all_segments", "not", "device", "query", "came_from", "language", "country", *REMEMBERED,
    }  # fmt: skip
    assert all(kind.help and kind.schema("request") for kind in CONDITIONS.values())


def test_audiences_look_at_the_visitor_and_when_at_the_request() -> None:
    assert set(kinds("visitor")) == {"stage", "segment", "all_segments", "not", *REMEMBERED}
    assert set(kinds("memory")) == {"not", *REMEMBERED}
    assert set(kinds("request")) == {"device", "query", "came_from", "language", "country", "not"}


def test_two_conditions_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="two conditions are called stage"):
        condition(CONDITIONS["stage"])


@pytest.mark.parametrize(
    ("name", "source", "holds"),
    [
        ("everyone", Source.COOKIE, True),
        ("everyone", Source.NOBODY, True),
        ("everyone", Source.PREVIEW, True),
        ("everyone", Source.DISBELIEVED, False),
        ("unknown", Source.NOBODY, True),
        ("unknown", Source.COOKIE, False),
        ("unknown", Source.PREVIEW, False),
        ("unknown", Source.DISBELIEVED, False),
    ],
)
def test_built_in_audiences(name: str, source: Source, holds: bool) -> None:
    reasons = Reasons()
    given_facts = Facts(Visitor(None, (), None, source), facts({}).request, SHOP)
    assert audiences.named({}, name).test.holds(given_facts, reasons) is holds
    assert len(reasons) == 1
    assert audiences.named({}, name).test.facts() == {"source"}


@pytest.mark.parametrize("key", ["segment", "all_segments"])
def test_a_cookie_that_proves_nothing_tells_no_segments(key: str) -> None:
    made = table({key: "city"}, spot(), LABELS, "visitor")
    assert made is not None
    reasons = Reasons()
    assert made.holds(facts({"cookie": "disbelieved"}), reasons) is None
    assert reasons == ["segments are unknown, wanted city"]


def test_labels_are_not_checked_where_shop_toml_cannot_tell_them() -> None:
    place = spot()
    assert table({"stage": "anything"}, place, Labels(None, None), "visitor") is not None
    assert place.sheet.problems == []


def test_all_mistakes_of_a_table_are_told() -> None:
    place = spot()
    assert table({"stage": 1, "zzz": 2, "not": {"segment": "x"}}, place, LABELS, "visitor") is None
    assert len(place.sheet.problems) == 3
    assert all(isinstance(one, Problem) for one in place.sheet.problems)


# --------------------------------------------------------------------------- laws


@dataclass(frozen=True)
class Given:
    """A condition with the value that a test gives it."""

    value: bool | None

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        if reasons is not None:
            reasons.append(str(self.value))
        return self.value

    def facts(self) -> frozenset[str]:
        return frozenset()


three = st.sampled_from([True, False, None])
ANY_FACTS = facts({})


@given(st.lists(three, max_size=5))
def test_every_is_kleenes_and(values: list[bool | None]) -> None:
    wanted = False if False in values else None if None in values else True
    made = Every(tuple(map(Given, values)))
    heard = Reasons()
    assert made.holds(ANY_FACTS) is wanted
    assert made.holds(ANY_FACTS, heard) is wanted
    assert set(heard) <= {str(wanted)}
    assert Not(made).holds(ANY_FACTS) is (None if wanted is None else not wanted)


text = st.text(st.characters(max_codepoint=255), max_size=40)
hostile = st.one_of(text, st.from_regex(r"[a-z*;,=q.0-9 -]{0,40}", fullmatch=True), st.just("=&" * 500))


@given(hostile, hostile, hostile, hostile, st.sampled_from([case for case in CASES if "when" in case]))
def test_whatever_a_visitor_sends_is_no_error(
    referer: str, languages: str, agent: str, query: str, case: Mapping[str, Any]
) -> None:
    headers = (
        (b"referer", referer.encode("latin-1")),
        (b"accept-language", languages.encode("latin-1")),
        (b"user-agent", agent.encode("latin-1")),
        (b"sec-ch-ua-mobile", agent.encode("latin-1")),
    )
    request = PageRequest("GET", "https", referer, "/", query, headers, 0.0, agent)
    reasons = Reasons()
    held = read(case).holds(Facts(facts({}).visitor, request, SHOP), reasons)
    assert held in {True, False, None}
    assert reasons
