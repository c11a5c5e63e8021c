"""Caps, waits and what was bought, promised in rule tests: sample visitors who were shown things."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from edgeproxy.core.rulefile import Parsed, parse
from edgeproxy.core.ruletest import run_one
from edgeproxy.html.checks import HtmlMarkup
from edgeproxy.personalise import personalise
from tests.core.books import NOW
from tests.core.rule_cases import base

SAID = 'says = "x"\nbecause = "x"\npurpose = "sell"\nowner = "x"\n'
REMINDER = f"""{SAID}for = "everyone"
category = "boots"
not_before = "2 hours after basket"
gap = "24 hours"
cap = "2 a week"
stop_after = "order"
group = "reminders"
[[edit]]
slot = "home-hero"
inner = "steps.html"
[[edit]]
slot = "mega-menu"
hide = true
"""


def parsed(tests: str, personas: str = "") -> Parsed:
    files: Mapping[str, bytes] = {
        **base(),
        "experiences/calm-start.toml": REMINDER.encode(),
        "audiences.toml": b"",
        "tests/home.toml": tests.encode(),
        "personas.toml": personas.encode(),
    }
    return parse(files, markup=HtmlMarkup())


WAITED = 'happened = { basket = "3 hours" }'


@pytest.mark.parametrize(
    ("remembered", "shown"),
    [
        ("orders = 1", False),
        (WAITED, True),
        ('happened = { basket = "1 hour" }', False),
        ('happened = { basket = "3 hours" }, last_order = "1 hour"', False),
        ('happened = { basket = "3 hours" }, last_order = "5 hours"', True),
        (f'{WAITED}, shown = {{ calm-start = "23 hours" }}', False),
        (f'{WAITED}, shown = {{ reminders = "25 hours" }}', True),
        (f'{WAITED}, shown = {{ calm-start = ["25 hours", "3 days"] }}', False),
        (f'{WAITED}, shown = {{ calm-start = ["25 hours", "8 days"] }}', True),
        (f'{WAITED}, bought = "boots", last_order = "20 days"', False),
        (f'{WAITED}, bought = "boots", last_order = "40 days"', True),
        (f'{WAITED}, prefers = "simple"', False),
    ],
)
@pytest.mark.parametrize("who", ["visits = 2, ", 'visits = 2, stage = "new", '])
def test_a_rule_test_says_what_is_remembered(remembered: str, shown: bool, who: str) -> None:
    holds = '"calm-start"' if shown else '"the shop\'s own"'
    made = parsed(
        f'[[test]]\nit = "x"\npage = "/"\nvisitor = {{ {who}{remembered} }}\nshows = {{ home-hero = {holds} }}\n'
    )
    assert made.book is not None, made.problems
    (test,) = made.book.tests
    result = run_one(test, made.book, {}, personalise, NOW)
    assert result.failures == ()


@pytest.mark.parametrize(
    ("remembered", "told"),
    [
        ('happened = { Basket = "3 days" }', '"Basket" cannot be an event here (small letters, digits'),
        ('happened = { order = "3 days" }', '"order" cannot be an event here (that is last_order)'),
        ('happened = { basket = "soon" }', 'basket wants how long ago it was ("10 days", "2 hours")'),
        ('happened = "basket"', 'happened wants a table of events ({ basket = "3 hours" })'),
        ("shown = { calm-start = [] }", "calm-start wants one to 12 times"),
        ('shown = { calm-start = ["1 day", 2] }', "calm-start wants how long ago it was"),
        (
            'shown = { calm-stort = "1 day" }',
            'nothing that is called "calm-stort" has a cap or a gap (did you mean "calm-start"?)',
        ),
        ("shown = 3", "shown wants a table of experiences or groups"),
    ],
)
def test_mistakes_are_told(remembered: str, told: str) -> None:
    (one,) = parsed("", f"[anna]\nsays = 'x'\n{remembered}\n").mistakes
    assert told in str(one)
