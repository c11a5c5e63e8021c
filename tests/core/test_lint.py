"""Warnings about the whole of a folder: what nobody uses, what is over, what crawlers would miss."""

from __future__ import annotations

import pytest

from edgeproxy.core.rulefile import parse
from edgeproxy.html.checks import HtmlMarkup
from tests.core.rule_cases import base

SAID = 'says = "x"\nbecause = "x"\npurpose = "help"\nowner = "x"\n'
USED = '[[edit]]\nslot = "home-hero"\nbefore = "steps.html"\n'
SHOP = 'format = 1\nstages = ["new", "loyal"]\nsegments = ["city"]\norder = ["calm-start"]\n'
CRAWLERS = "reaches visitors without a cookie, crawlers among them"


def warnings(now: float | None = None, **files: str) -> list[str]:
    """The warnings of the base folder with these files in it (``shop=…``, ``calm_start=…``); no mistakes."""
    names = {
        "shop": "shop.toml",
        "audiences": "audiences.toml",
        "slots": "slots.toml",
        "calm_start": "experiences/calm-start.toml",
    }
    texts = {names[name]: text.encode() for name, text in files.items()}
    parsed = parse({**base(), **texts}, markup=HtmlMarkup(), now=now)
    assert parsed.mistakes == ()
    return [str(one) for one in parsed.problems]


def remove(head: str) -> str:
    return f'{SAID}{head}\n[[edit]]\nslot = "mega-menu"\nremove = true\n{USED}'


@pytest.mark.parametrize(
    ("without_cookie", "audience", "head", "warned"),
    [
        ("new", 'stage = "new"', 'for = "newcomers"', True),
        ("loyal", 'stage = "new"', 'for = "newcomers"', False),
        ("untouched", 'stage = "new"', 'for = "newcomers"', False),
        ("untouched", 'not = { stage = "new" }', 'for = "newcomers"', False),
        ("untouched", 'not = { segment = "city" }', 'for = "newcomers"', True),
        ("new", 'stage = "loyal"', 'for = ["newcomers", "unknown"]', True),
        ("untouched", 'stage = "loyal"', 'for = ["newcomers", "everyone"]', True),
        ("new", 'stage = "new"', 'for = "newcomers"\nshare = "99%"', False),
        ("new", 'stage = "new"', 'for = "newcomers"\nshare = "100%"', True),
        ("new", 'stage = "new"', 'for = "newcomers"\nenabled = false', False),
        ("new", 'stage = "new"', 'for = "newcomers"\nwhen = { device = "mobile" }', True),
    ],
)
def test_what_crawlers_would_miss(without_cookie: str, audience: str, head: str, warned: bool) -> None:
    told = warnings(
        shop=f'{SHOP}without_cookie = "{without_cookie}"\n',
        audiences=f"[newcomers]\n{audience}\n",
        calm_start=remove(head),
    )
    assert any(CRAWLERS in one for one in told) is warned
    assert len(told) == int(warned)


def test_only_edits_that_take_something_away() -> None:
    rule = f'{SAID}for = "everyone"\n[[edit]]\nslot = "mega-menu"\nadd_class = "x"\n{USED}'
    assert warnings(calm_start=rule, audiences="") == []


def test_the_warning_names_the_edit() -> None:
    told = warnings(calm_start=remove('for = ["everyone", "newcomers"]'))
    assert told[0].startswith('rules/experiences/calm-start.toml:6:3: warning: calm-start: remove on "mega-menu" ')


@pytest.mark.parametrize(
    ("on", "what"),
    [
        ('"/p/**"', '"mega-menu" is on /c/**, and this experience on /p/** (no page is both: nobody gets this edit)'),
        ('"/c/sale/**"', "/c/sale/** is under never of rules/shop.toml (nobody gets this edit)"),
        ('["/c/sale/**", "/c/new"]', ""),
        ('"/**"', ""),
    ],
)
def test_edits_that_no_page_can_get_are_told(on: str, what: str) -> None:
    rule = f'{SAID}for = "newcomers"\non = {on}\n[[edit]]\nslot = "mega-menu"\nbefore = "steps.html"\n'
    newcomers = '[newcomers]\nstage = "new"\n'
    slots = '[home-hero]\nfind = "h1"\n[mega-menu]\nfind = "#mega-menu"\non = "/c/**"\n'
    told = warnings(calm_start=rule, slots=slots, audiences=newcomers, shop=f'{SHOP}never = "/c/sale/**"\n')
    assert [one for one in told if "gets this edit" in one] == (
        [f"rules/experiences/calm-start.toml:7:3: warning: calm-start: {what}"] if what else []
    )


def test_schedules_that_are_over_are_told_only_to_who_knows_the_time() -> None:
    head = 'for = "newcomers"\nuntil = 2026-01-07T00:00:00+00:00'
    rule = f'{SAID}{head}\n[[edit]]\nslot = "mega-menu"\nbefore = "steps.html"\n{USED}'
    over = 1767744000.0
    assert warnings(None, calm_start=rule) == []
    assert warnings(over - 1, calm_start=rule) == []
    (told,) = warnings(over, calm_start=rule)
    assert told.startswith(
        "rules/experiences/calm-start.toml:6:1: warning: calm-start: is over since 2026-01-07 01:00 "
    )


def test_caps_that_one_cookie_cannot_hold_are_told() -> None:
    def told(count: int, cap: str) -> list[str]:
        rule = f'{SAID}for = "everyone"\ncap = "{cap}"\n[[edit]]\nslot = "mega-menu"\nhide = true\n{USED}'
        files = {f"experiences/n{number}.toml": rule.encode() for number in range(count)}
        problems = parse({**base(), **files}, markup=HtmlMarkup()).problems
        return [str(one) for one in problems if "bytes of a visitor's cookie" in str(one)]

    assert told(6, "12 a week") == []
    assert told(30, "once a week") == []
    (one,) = told(7, "12 a week")
    assert one.startswith(
        "rules/shop.toml: warning: caps and gaps may need 574 bytes of a visitor's cookie, and 560 are"
    )
    assert told(36, "once a week")
