"""Personas and visitors of rule tests of whom something is remembered: the same at any moment they are looked at."""

from __future__ import annotations

import pytest

from edgeproxy.core.decide import decide
from edgeproxy.core.explain import as_text, explain
from edgeproxy.core.flags import PreviewFlags, resolve
from edgeproxy.core.memory import begun, moored
from edgeproxy.core.model import NOBODY, RuleBook, Source, Visitor
from edgeproxy.core.remembered import phrases
from tests.core.books import NOW, ask
from tests.test_remember import LIFE
from tests.world import book_of

DAY = 86_400.0
PERSONAS = """
    [anna]
    cookie = false
    [bo]
    visits = 2
    [carin]
    orders = 3
    last_order = "10 days"
    last_visit = "4 days"
    first_visit = "60 days"
    bought = ["phones", "cases"]
    signed_in = true
    csat = 5
    nps = 9
    page_views = 12
    prefers = "simple"
    [dag]
    cookie = false
    last_order = "91 days"
    [eva]
    stage = "new"
    orders = 1
"""


def book() -> RuleBook:
    return book_of({**LIFE, "personas.toml": PERSONAS})


@pytest.mark.parametrize("at", [NOW, NOW + 1000 * DAY, DAY, 1.0])
@pytest.mark.parametrize(
    ("persona", "stage"),
    [("anna", "stranger"), ("bo", "again"), ("carin", "customer"), ("dag", "lapsed"), ("eva", "new")],
)
def test_a_sample_is_in_the_same_stage_whenever_it_is_looked_at(persona: str, stage: str, at: float) -> None:
    made = book()
    decision = decide(made, made.personas[persona].visitor, ask(at=at))
    assert decision.visitor.stage == stage


def test_what_is_remembered_of_a_sample() -> None:
    made = book()
    visitor = decide(made, made.personas["carin"].visitor, ask(at=NOW)).visitor
    assert visitor.memory is not None
    assert phrases(visitor.memory, NOW) == (
        "2 visits",
        "first here 60 days ago",
        "back after 4 days",
        "12 page views",
        "3 orders",
        "last order 10 days ago",
        "bought phones and cases",
        "signed in",
        "csat 5",
        "nps 9",
        "asked for simple pages",
    )
    assert "memory   2 visits, first here 60 days ago" in as_text(explain(made, visitor, ask(at=NOW)))


def test_a_preview_shows_a_persona_with_its_memory() -> None:
    made = book()
    seen = resolve(PreviewFlags(persona="dag"), made, NOBODY)
    assert decide(made, seen.visitor, ask(at=NOW)).visitor.stage == "lapsed"


def test_a_preview_of_another_stage_keeps_what_is_remembered() -> None:
    made = book()
    real = Visitor(None, (), None, Source.MEMORY, memory=begun(NOW, "q7Hk2m"))
    seen = resolve(PreviewFlags(stage="customer"), made, real).visitor
    assert (seen.stage, seen.memory) == ("customer", real.memory)
    assert decide(made, seen, ask(at=NOW)).visitor.stage == "customer"


def test_a_real_visitors_memory_is_never_moved() -> None:
    memory = begun(NOW)
    assert moored(memory, NOW + 5 * DAY) is memory


def test_why_nothing_is_remembered_is_told() -> None:
    visitor = Visitor(None, (), None, Source.NOBODY, unremembered="the browser sends Sec-GPC: 1")
    text = as_text(explain(book(), visitor, ask(at=NOW)))
    assert "memory   nothing may be: the browser sends Sec-GPC: 1" in text
