"""Explanations: complete, deterministic, and told so that people read them.

The texts stand in tests/data/explanations; after a change that is meant, read the difference and write them anew with
``EDGEPROXY_REWRITE=1``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgeproxy.core.decide import decide
from edgeproxy.core.explain import Explanation, as_json, as_text, explain
from edgeproxy.core.model import NOBODY, Lane, LaneKind, PageRequest, Source, Visitor
from edgeproxy.core.schedule import from_text, zone
from tests.core.books import DISBELIEVED, PHONE, ask, plain, shop_of, who
from tests.core.pages import Plan, place

HERE = Path(__file__).parents[1] / "data" / "explanations"
CHRISTMAS = from_text("2026-12-24T10:00", zone("Europe/Stockholm"))


def placed(visitor: Visitor, request: PageRequest, *missing: str, forced: str | None = None) -> Explanation:
    placing, plan = place(decide(plain(), visitor, request, forced=forced), frozenset(missing))
    return explain(plain(), visitor, request, forced=forced, placing=placing, plan=plan)


SCENES: dict[str, Callable[[], Explanation]] = {
    "stranger, no page looked at": lambda: explain(plain(), NOBODY, ask("/")),
    "newcomer at Christmas": lambda: placed(who("new", id="q9"), ask("/", at=CHRISTMAS), "home-hero"),
    "forced on a visitor with labels nobody knows": lambda: placed(
        who("old", "ski", "city", id="q7Hk2m"),
        ask("/c/boots", PHONE, (b"accept-language", b"sv;q=0.9, en"), query="color=red"),
        "mega-menu",
        forced="curated",
    ),
    "disbelieved on the checkout": lambda: explain(plain(), DISBELIEVED, ask("/checkout/")),
    "kill switch": lambda: explain(shop_of(plain(), enabled=False), who("loyal"), ask("/"), notes=("a note",)),
}


@pytest.mark.parametrize("name", SCENES)
def test_texts(name: str) -> None:
    told = as_text(replace(SCENES[name](), book_version="0123456789ab")) + "\n"
    file = HERE / f"{name}.txt"
    if os.environ.get("EDGEPROXY_REWRITE"):
        file.write_text(told)
    assert told == file.read_text()


@pytest.mark.parametrize("name", SCENES)
def test_json_holds_everything_that_the_text_tells(name: str) -> None:
    explanation = SCENES[name]()
    told = json.loads(json.dumps(as_json(explanation)))
    assert told["url"] == explanation.url
    assert told["visitor"]["source"] == explanation.visitor.source
    assert told["facts"] == dict(explanation.facts)
    assert [one["why"] for one in told["experiences"]] == [one.why for one in explanation.experiences]
    assert [one["winner"] for one in told["slots"]] == [one.winner for one in explanation.slots]
    assert told["book_version"] == plain().version


def test_an_explanation_is_the_same_every_time() -> None:
    for make in SCENES.values():
        assert make() == make()
        assert as_text(make()) == as_text(make())


def test_a_terminal_is_not_written_to_by_visitors() -> None:
    visitor = Visitor("\x1b[2J", ("\x07",), "\x9b", Source.COOKIE, ("\x1b]0;x\x07",))
    told = as_text(explain(plain(), visitor, ask("/\x1b[31m\x00\xff", query="\x9b=\r\n")))
    assert all(line.isprintable() for line in told.split("\n"))


def test_the_lane_that_was_taken_is_told() -> None:
    lane = Lane(LaneKind.PASS, "status is 404")
    explanation = explain(plain(), who("new"), ask("/"), lane=lane)
    assert (explanation.lane, explanation.lane_why, explanation.personal) == ("pass", "status is 404", False)


def test_a_framework_is_told() -> None:
    explanation = explain(plain(), who("new"), ask("/"), plan=Plan({}, "React"))
    assert explanation.notes == ("React hydrates this page: edits that would not survive it are refused",)


def test_a_slot_that_nobody_edits_and_one_that_is_off() -> None:
    made = plain()
    alone = replace(made, experiences=())
    assert {slot.why for slot in explain(alone, NOBODY, ask("/")).slots} == {"no experience edits it"}
    off = replace(made, slots={name: replace(slot, enabled=False) for name, slot in made.slots.items()})
    assert {slot.why for slot in explain(off, NOBODY, ask("/")).slots} == {"off: enabled = false"}
