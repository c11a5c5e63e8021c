"""The rules that ship: no mistake, no warning, their own promises kept, on pages that the demo shop really sends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

import pytest
from selectolax.lexbor import LexborHTMLParser

from edgeproxy import recordings
from edgeproxy.core.decide import decide
from edgeproxy.core.markup import Markup
from edgeproxy.core.model import PageRequest, RuleBook, RuleTest, Source, Visitor
from edgeproxy.core.rulefile import Parsed, parse
from edgeproxy.core.ruletest import run_one
from edgeproxy.html.checks import HtmlMarkup
from edgeproxy.personalise import personalise
from tests.demo.recorded import PAGES, RULES, as_the_shop_sends_it

MOMENTS = [datetime(2026, month, 12, 12, tzinfo=UTC) for month in (5, 11, 12)]
NOW = datetime(2026, 11, 22, tzinfo=UTC).timestamp()  # a schedule that is over is a warning: judged at one moment


@cache
def shipped() -> Parsed:
    markup: Markup = HtmlMarkup()
    files = {
        path.relative_to(RULES).as_posix(): path.read_bytes()
        for path in RULES.rglob("*")
        if path.suffix in {".toml", ".html"}
    }
    return parse(files, markup=markup, now=NOW)


def book() -> RuleBook:
    found = shipped().book
    assert found is not None
    return found


def test_no_mistake_and_no_warning() -> None:
    assert [str(problem) for problem in shipped().problems] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_recorded_page_is_what_the_shop_sends(page: str) -> None:
    recorded = recordings.read(RULES)[page]
    assert recorded.body == as_the_shop_sends_it(page).body, "record them anew: python -m tests.demo.recorded"


def test_nothing_else_is_recorded() -> None:
    assert set(recordings.read(RULES)) == set(PAGES)


@cache
def recorded_pages() -> Mapping[str, recordings.Recording]:
    return recordings.read(RULES)


@pytest.mark.parametrize("test", book().tests, ids=lambda test: test.it)
def test_a_promise_is_kept(test: RuleTest) -> None:
    assert test.page in recorded_pages(), "a promise about a page that nobody recorded is half a promise"
    for at in MOMENTS:
        result = run_one(test, book(), recorded_pages(), personalise, at.timestamp())
        assert result.failures == (), at


def seen_by(stage: str) -> LexborHTMLParser:
    visitor = Visitor(stage, (), None, Source.PREVIEW)
    request = PageRequest("GET", "http", "shop.test", "/", "", (), NOW)
    page = recorded_pages()["/"]
    made = personalise(book(), decide(book(), visitor, request), request, page.body, page.content_type)
    return LexborHTMLParser(made.body)


def test_a_newcomer_sees_half_the_page_and_one_thing_to_do() -> None:
    full, calm = LexborHTMLParser(recorded_pages()["/"].body), seen_by("new")
    assert len(calm.css("main > *")) <= len(full.css("main > *")) / 2
    assert len(calm.css("a")) <= len(full.css("a")) / 2
    (main,) = calm.css("main")
    (full_main,) = full.css("main")
    assert len(main.text().split()) <= len(full_main.text().split()) / 2
    assert len(calm.css(".hero .button")) == 1


def test_every_verb_is_shown_once() -> None:
    verbs = {edit.action.verb for experience in book().experiences for edit in experience.edits}
    assert verbs == set(HtmlMarkup().verbs)
