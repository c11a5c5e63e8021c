"""Running the rules' own tests: kept and broken promises, and how a broken one is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from edgeproxy.core.explain import as_text
from edgeproxy.core.model import NOBODY, RuleTest, Visitor, Where
from edgeproxy.core.ruletest import TestResult, run, run_one
from tests.core.books import NOW, PHONE, book, plain, who
from tests.core.pages import Recorded, personalise

PAGE = Recorded(b"<p>Find your size\n  in three steps &amp; more</p><ul id=product-grid></ul>")
HOME = {"/": PAGE}


def a_test(
    visitor: Visitor = NOBODY,
    page: str = "/",
    at: float | None = None,
    shows: Mapping[str, str | None] | None = None,
    has: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> RuleTest:
    return RuleTest(
        "a promise", visitor, page, at, shows or {}, has, without, headers, Where("rules/tests/home.toml", 4)
    )


def result(test: RuleTest, pages: Mapping[str, Recorded] = HOME) -> TestResult:
    return run_one(test, plain(), pages, personalise, NOW)


def test_promises_that_are_kept() -> None:
    kept = result(
        a_test(
            who("new"),
            shows={"home-hero": "calm-start", "mega-menu": "calm-start", "footer-note": None},
            has=("Find your size in three steps", "steps & more", "steps &amp; more", "home-hero is calm-start's"),
            without=("Welcome back",),
        )
    )
    assert kept.failures == ()
    assert kept.passed
    assert kept.placed
    assert kept.lines == ()


def test_promises_that_are_broken_are_told_like_a_compiler_does() -> None:
    broken = result(
        a_test(
            who("lapsed"),
            shows={"home-hero": "calm-start", "footer-note": None},
            has=("Welcome back",),
            without=("three steps", "steps & more"),
        )
    )
    assert not broken.passed
    assert broken.lines == (
        "rules/tests/home.toml:4: home-hero: wanted calm-start, got the shop's own",
        'rules/tests/home.toml:4: the page lacks "Welcome back"',
        'rules/tests/home.toml:4: the page holds "three steps"',
        'rules/tests/home.toml:4: the page holds "steps & more"',
    )
    told = as_text(broken.explanation)
    assert "calm-start  not for this audience  rules/experiences/calm-start.toml:1" in told
    assert 'stage is "lapsed", wanted new or exploring' in told


def test_a_slot_that_the_page_lacks_stays_the_shops_own() -> None:
    without_grid = {"/": Recorded(b"<p>no grid</p>")}
    kept = result(a_test(who("new"), shows={"product-grid": None, "mega-menu": "calm-start"}), without_grid)
    assert kept.passed
    grid = next(slot for slot in kept.explanation.slots if slot.name == "product-grid")
    assert (grid.matches, grid.winner, grid.why) == (0, None, "no element matches")
    assert kept.explanation.notes == ("a note of the page",)


def test_an_edit_beside_a_slot_shows_and_is_not_the_shops_own() -> None:
    """strangers puts something after the hero: calm-start has the slot, and both show there."""
    assert result(a_test(NOBODY, shows={"home-hero": "strangers"})).passed
    broken = result(a_test(NOBODY, shows={"home-hero": None}))
    assert broken.failures == ("home-hero: wanted the shop's own, got calm-start and strangers",)


def test_without_a_page_it_is_decided_only() -> None:
    kept = result(a_test(who("new"), shows={"home-hero": "calm-start", "footer-note": None}), {})
    assert kept.passed
    assert not kept.placed
    assert kept.explanation.notes == ("decided only: no page is recorded for it",)
    broken = result(a_test(who("new"), page="/c/x", shows={"home-hero": "calm-start"}, has=("x",)), {})
    assert broken.failures == (
        "home-hero: wanted calm-start, got the shop's own",
        "has and without need the page: save it with `edgeproxy record` (/c/x)",
    )


def test_never_is_never_also_in_tests() -> None:
    for pages in ({}, {"/checkout/": PAGE}):
        kept = result(a_test(who("new"), page="/checkout/", shows={"mega-menu": None, "footer-note": None}), pages)
        assert kept.passed


def test_the_page_with_its_query_goes_before_the_path_alone() -> None:
    pages = {"/c/x": Recorded(b"plain"), "/c/x?a=1": Recorded(b"with a")}
    assert result(a_test(who("new"), page="/c/x?a=1", has=("with a",)), pages).passed
    assert result(a_test(who("new"), page="/c/x?a=2", has=("plain",)), pages).passed


def test_moment_and_headers_are_the_tests_own() -> None:
    assert result(a_test(who("new"), has=(f"at {int(NOW)}",))).passed
    assert result(a_test(who("new"), at=1e9, has=("at 1000000000",))).passed
    assert result(a_test(who("loyal"), headers=(PHONE,), shows={"mega-menu": "thanks"})).passed
    assert not result(a_test(who("loyal"), shows={"mega-menu": "thanks"})).passed


def test_a_page_in_another_charset() -> None:
    pages = {"/": Recorded("<p>båtar för höst</p>".encode("windows-1252"), "text/html; charset=windows-1252")}
    assert result(a_test(who("new"), has=("båtar för höst",)), pages).passed


def test_all_tests_of_a_book_in_order() -> None:
    tests = (a_test(who("new"), has=("three",)), a_test(who("new"), has=("four",)))
    results = run(replace(book(), tests=tests), HOME, personalise, NOW)
    assert [one.passed for one in results] == [True, False]
    assert [one.test for one in results] == list(tests)


@pytest.mark.parametrize("visitor", [NOBODY, who("new"), who("lapsed")])
def test_a_result_is_the_same_every_time(visitor: Visitor) -> None:
    test = a_test(visitor, shows={"home-hero": "calm-start"}, has=("x",))
    assert result(test) == result(test)
