"""Deciding: every outcome, their order, and the sentence that each one gives."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.decide import decide, known, share_number
from edgeproxy.core.model import NOBODY, Experience, Outcome, PageRequest, RuleBook, Source, Step, Visitor
from edgeproxy.core.onpath import MOST_PATHS, remembered
from edgeproxy.core.schedule import from_text, zone
from tests.core.books import DISBELIEVED, NOW, PHONE, ask, book, plain, shop_of, who


def steps(made: RuleBook, visitor: Visitor, request: PageRequest, forced: str | None = None) -> Mapping[str, Step]:
    decision = decide(made, visitor, request, forced=forced, reasons=True)
    return {step.experience.name: step for step in decision.steps}


def fitting(made: RuleBook, visitor: Visitor, request: PageRequest, forced: str | None = None) -> list[str]:
    return [one.name for one in decide(made, visitor, request, forced=forced).fitting]


# --------------------------------------------------------------------------- every outcome

NEITHER = (
    'newcomers: stage is "lapsed", wanted new or exploring; '  # each audience by its name, where there are several
    'buyers: stage is "lapsed", wanted customer or loyal'
)


@pytest.mark.parametrize(
    ("name", "visitor", "request_", "outcome", "why"),
    [
        ("calm-start", who("new"), ask("/"), Outcome.FITS, 'newcomers: stage is "new"'),
        ("sleeping", who("new"), ask("/"), Outcome.OFF, "enabled = false"),
        (
            "calm-start",
            who("loyal"),
            ask("/"),
            Outcome.NOT_FOR_AUDIENCE,
            'stage is "loyal", wanted new or exploring',
        ),
        ("strangers", who("new"), ask("/"), Outcome.NOT_FOR_AUDIENCE, "there is a cookie, wanted none"),
        (
            "for-all",
            who("lapsed"),
            ask("/"),
            Outcome.NOT_FOR_AUDIENCE,
            NEITHER,
        ),
        ("for-all", who("loyal"), ask("/"), Outcome.FITS, 'buyers: stage is "loyal"'),
        ("calm-start", who("new"), ask("/p/1"), Outcome.NOT_ON_PAGE, "its on is /, /c/**"),
        ("curated", who("loyal", "outdoor"), ask("/p/1"), Outcome.NOT_ON_PAGE, "none of its slots is on this page"),
        (
            "calm-start",
            who("new"),
            ask("/checkout/pay"),
            Outcome.NOT_ON_PAGE,
            "nobody ever edits this page: never in shop.toml",
        ),
        ("thanks", who("loyal"), ask("/"), Outcome.NOT_WHEN, "device is desktop, wanted mobile"),
        ("thanks", who("loyal"), ask("/", PHONE), Outcome.FITS, 'buyers: stage is "loyal"'),
        ("winter", who("new"), ask("/"), Outcome.NOT_YET, "begins 2026-11-01 00:00 Europe/Stockholm"),
        (
            "winter",
            who("new"),
            ask("/", at=NOW + 3e7),
            Outcome.OVER,
            "ended 2027-02-01 00:00 Europe/Stockholm",
        ),
        (
            "half",
            who("new", id="q7"),
            ask("/"),
            Outcome.NOT_IN_SHARE,
            "share is 50 %, and the visitor stands at 88.11 %",
        ),
        ("half", who("new"), ask("/"), Outcome.NOT_IN_SHARE, "share is 50 %, and the visitor has no id to hash"),
        ("half", who("new", id="q9"), ask("/"), Outcome.FITS, "it is for everyone"),
    ],
)
def test_outcomes(name: str, visitor: Visitor, request_: PageRequest, outcome: Outcome, why: str) -> None:
    step = steps(plain(), visitor, request_)[name]
    assert (step.outcome, step.why) == (outcome, why)
    assert (name in fitting(plain(), visitor, request_)) is (outcome is Outcome.FITS)


def test_the_first_condition_that_does_not_hold_gives_the_outcome() -> None:
    """OFF, audience, page, when, schedule, share: take the reasons away one by one, and the next one shows."""
    made = plain()
    winter = next(one for one in made.experiences if one.name == "winter")
    when = next(one for one in made.experiences if one.name == "thanks").when
    elsewhere = made.slots["home-hero"].on
    worst = replace(winter, enabled=False, audiences=("buyers",), on=elsewhere, when=when, share=0.5)
    shown: list[Outcome] = []
    for change in (
        {},
        {"enabled": True},
        {"audiences": ("everyone",)},
        {"on": None},
        {"when": None},
        {"begins": None, "ends": NOW},
        {"ends": None},
        {"share": 1.0},
    ):
        worst = replace(worst, **change)
        only = replace(made, experiences=(worst,))
        shown.append(decide(only, who("new"), ask("/p/1"), reasons=True).steps[0].outcome)
    assert shown == [
        Outcome.OFF,
        Outcome.NOT_FOR_AUDIENCE,
        Outcome.NOT_ON_PAGE,
        Outcome.NOT_WHEN,
        Outcome.NOT_YET,
        Outcome.OVER,
        Outcome.NOT_IN_SHARE,
        Outcome.FITS,
    ]


def test_the_order_of_the_book_is_the_order_of_what_fits() -> None:
    assert fitting(plain(), NOBODY, ask("/")) == ["calm-start", "for-all", "strangers"]
    turned = book(shop=('"calm-start", "winter", "half", "for-all"', '"for-all", "winter", "half", "calm-start"'))
    assert fitting(turned, NOBODY, ask("/")) == ["for-all", "calm-start", "strangers"]


def test_the_kill_switch_turns_everything_off() -> None:
    made = shop_of(plain(), enabled=False)
    for step in steps(made, who("new"), ask("/"), forced="calm-start").values():
        assert step.outcome is Outcome.OFF
        assert step.why == "the whole shop is off: enabled = false in rules/shop.toml"
    assert fitting(made, who("new"), ask("/"), forced="calm-start") == []


# --------------------------------------------------------------------------- who


def test_a_disbelieved_visitor_fits_nothing_not_even_everyone() -> None:
    at = from_text("2026-12-24", zone("Europe/Stockholm"))
    assert fitting(plain(), DISBELIEVED, ask("/", at=at)) == []
    step = steps(plain(), DISBELIEVED, ask("/", at=at))["winter"]
    assert step.outcome is Outcome.NOT_FOR_AUDIENCE
    assert step.why == "the cookie is not believed (forged)"
    assert "winter" in fitting(plain(), NOBODY, ask("/", at=at))


def test_nobody_has_the_stage_that_the_shop_gives_them() -> None:
    made = shop_of(plain(), without_cookie="loyal")
    assert decide(made, NOBODY, ask("/", PHONE)).visitor == Visitor("loyal", (), None, Source.NOBODY)
    assert fitting(made, NOBODY, ask("/", PHONE)) == ["thanks", "for-all", "strangers"]


def test_untouched_strangers_get_the_shops_own_page() -> None:
    made = book(shop=('without_cookie = "new"', 'without_cookie = "untouched"'))
    assert fitting(made, NOBODY, ask("/")) == []
    step = steps(made, NOBODY, ask("/"))["strangers"]
    assert step.why == 'there is no cookie, and without_cookie is "untouched"'
    assert fitting(made, who("new"), ask("/")) == ["calm-start", "for-all"]


def test_labels_that_the_shop_does_not_name_are_dropped() -> None:
    visitor = Visitor("old", ("city", "x", "outdoor"), "q7", Source.COOKIE, ("an earlier word",))
    assert known(plain(), visitor) == Visitor(
        None,
        ("outdoor", "city"),
        "q7",
        Source.COOKIE,
        (
            "an earlier word",
            'stage "old" is dropped: shop.toml does not name it',
            'segment "x" is dropped: shop.toml does not name it',
        ),
    )


def test_a_visitor_whom_the_book_knows_stays_the_same_object() -> None:
    for visitor in (who("new", "outdoor", "city"), who(), DISBELIEVED):
        assert known(plain(), visitor) is visitor


def test_a_dropped_stage_leaves_no_stage() -> None:
    step = steps(plain(), who("old"), ask("/"))["calm-start"]
    assert (step.outcome, step.why) == (Outcome.NOT_FOR_AUDIENCE, "stage is unknown, wanted new or exploring")


# --------------------------------------------------------------------------- when exactly


def test_from_is_inclusive_and_until_exclusive() -> None:
    winter = next(one for one in plain().experiences if one.name == "winter")
    assert winter.begins is not None
    assert winter.ends is not None

    def at(second: float) -> Outcome:
        return steps(plain(), who("new"), ask("/", at=second))["winter"].outcome

    assert [at(winter.begins - 0.001), at(winter.begins)] == [Outcome.NOT_YET, Outcome.FITS]
    assert [at(winter.ends - 0.001), at(winter.ends)] == [Outcome.FITS, Outcome.OVER]


# --------------------------------------------------------------------------- share


def test_share_is_the_head_of_a_sha_256() -> None:
    digest = hashlib.sha256(b"calm-start\0q7Hk2m").digest()
    assert share_number("calm-start", "q7Hk2m") == int(digest[:8].hex(), 16) == 15327763014162924982


def shared(share: float, visitor: Visitor) -> bool:
    made = plain()
    half = next(one for one in made.experiences if one.name == "half")
    only = replace(made, experiences=(replace(half, share=share),))
    return bool(decide(only, visitor, ask("/")).fitting)


def test_without_an_id_only_all_or_nothing_holds() -> None:
    assert [shared(share, who("new")) for share in (0.0, 0.5, 0.999999, 1.0)] == [False, False, False, True]
    assert [shared(share, who("new", id="x")) for share in (0.0, 1.0)] == [False, True]


def test_the_border_is_exact() -> None:
    place = share_number("half", "q7Hk2m") / 2**64
    number = share_number("half", "q7Hk2m")
    below, above = number & ~0x7FF, (number | 0x7FF) + 1  # floats next to it
    assert not shared(below / 2**64, who("new", id="q7Hk2m"))
    assert shared(above / 2**64, who("new", id="q7Hk2m"))
    assert below / 2**64 <= place <= above / 2**64


@given(st.text(min_size=1, max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_raising_a_share_only_adds_people(ident: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert shared(low, who("new", id=ident)) <= shared(high, who("new", id=ident))


def test_a_share_is_about_that_many_people() -> None:
    inside = sum(shared(0.3, who("new", id=f"visitor-{number}")) for number in range(2000))
    assert 500 < inside < 700


# --------------------------------------------------------------------------- forced by a preview


def test_a_forced_experience_comes_first_whatever_its_conditions() -> None:
    request = ask("/c/x", at=NOW + 3e7)
    for name in ("thanks", "winter", "half", "curated"):
        assert fitting(plain(), who("lapsed"), request, forced=name)[0] == name
        step = steps(plain(), who("lapsed"), request, forced=name)[name]
        assert (step.outcome, step.why) == (Outcome.PREVIEW, "forced by the preview, whoever asks and whenever")
    assert fitting(plain(), who("new"), ask("/"), forced="sleeping") == ["sleeping", "calm-start", "for-all"]
    assert fitting(plain(), DISBELIEVED, ask("/"), forced="calm-start") == ["calm-start"]


@pytest.mark.parametrize(
    ("name", "path", "why"),
    [
        ("calm-start", "/checkout/", "nobody ever edits this page: never in shop.toml"),
        ("calm-start", "/p/1", "its on is /, /c/**"),
        ("curated", "/p/1", "none of its slots is on this page"),
    ],
)
def test_forcing_goes_no_further_than_the_page(name: str, path: str, why: str) -> None:
    assert name not in fitting(plain(), who("loyal", "outdoor"), ask(path), forced=name)
    step = steps(plain(), who("loyal", "outdoor"), ask(path), forced=name)[name]
    assert (step.outcome, step.why) == (Outcome.NOT_ON_PAGE, why)


def test_forcing_what_is_not_there_changes_nothing() -> None:
    assert fitting(plain(), who("new"), ask("/"), forced="no-such") == fitting(plain(), who("new"), ask("/"))


def test_a_book_that_replaces_another_is_asked_anew() -> None:
    """What is remembered of a path belongs to one book."""
    moved = book(calm_start=('"/", "/c/**"', '"/elsewhere"'))
    for _ in range(2):
        assert "calm-start" in fitting(plain(), who("new"), ask("/"))
        assert "calm-start" not in fitting(moved, who("new"), ask("/"))


def test_more_paths_than_are_remembered() -> None:
    made = plain()
    want: list[Experience] = list(decide(made, who("new"), ask("/c/0")).fitting)
    for number in range(MOST_PATHS + 100):
        assert list(decide(made, who("new"), ask(f"/c/{number}")).fitting) == want
        assert remembered() <= MOST_PATHS
    before = remembered()
    assert fitting(made, who("new"), ask("/p/" + "x" * 600)) == ["for-all"]
    assert remembered() == before, "a long path is not kept"
