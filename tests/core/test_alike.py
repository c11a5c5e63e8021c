"""Who is decided alike: requests with one key get one decision, and a key holds nothing that no rule looks at."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.alike import FACTS, alike
from edgeproxy.core.conditions.registry import CONDITIONS
from edgeproxy.core.decide import decide, known
from edgeproxy.core.model import NOBODY, PageRequest, Visitor
from edgeproxy.core.policy import lane
from tests.core.books import ask, plain, who
from tests.core.test_laws import PATHS, VISITORS

plain()  # here: what is imported while Hypothesis draws changes what it draws

HEADERS = st.lists(
    st.sampled_from(
        [
            (b"sec-ch-ua-mobile", b"?1"),
            (b"user-agent", b"Mobi"),
            (b"accept-language", b"sv;q=0.5, de"),
            (b"accept-language", b"de"),
            (b"referer", b"https://news.example/x"),
            (b"referer", b"https://shop.example/"),
            (b"sec-fetch-dest", b"empty"),
            (b"x-anything", b"1"),
        ]
    ),
    max_size=3,
)


@given(VISITORS, VISITORS, PATHS, st.sampled_from(["", "color=red", "utm_source=mail"]), HEADERS, HEADERS)
def test_one_key_one_decision(
    one: Visitor,
    other: Visitor,
    path: str,
    query: str,
    some: list[tuple[bytes, bytes]],
    more: list[tuple[bytes, bytes]],
) -> None:
    book = plain()
    asked = [(one, ask(path, *some, query=query)), (other, ask(path, *more, query=query))]
    first, second = [alike(book, known(book, visitor), request) for visitor, request in asked]
    assert first is not None
    if first == second:
        made = [decide(book, visitor, request) for visitor, request in asked]
        assert made[0].fitting == made[1].fitting
        assert [lane(book, request, decision) for (_, request), decision in zip(asked, made, strict=True)] == [
            lane(book, asked[0][1], made[0])
        ] * 2


@pytest.mark.parametrize(
    ("visitor", "request_"),
    [
        (NOBODY, ask("/", (b"user-agent", b"Other"), (b"accept", b"*/*"), (b"cookie", b"a=b"))),
        (NOBODY, replace(ask(), at=0.0)),
    ],
)
def test_what_no_rule_looks_at_is_no_part_of_it(visitor: Visitor, request_: PageRequest) -> None:
    book = plain()
    assert alike(book, known(book, visitor), request_) == alike(book, known(book, visitor), ask())


def test_each_fact_that_the_book_looks_at_is_part_of_it() -> None:
    rollout = replace(plain().experiences[0], name="rollout", share=0.5)
    book = replace(plain(), facts=frozenset({*FACTS, "query.color"}), experiences=(rollout,))
    base = alike(book, who("new"), ask())
    others = [
        (who("loyal"), ask()),
        (who("new", "outdoor"), ask()),
        (who("new", id="v1"), ask()),
        (who("new", id="v3"), ask()),
        (replace(who("new"), source=NOBODY.source), ask()),
        (who("new"), ask("/", (b"sec-ch-ua-mobile", b"?1"))),
        (who("new"), ask("/", (b"accept-language", b"sv"))),
        (who("new"), replace(ask(), country="SE")),
        (who("new"), ask("/", (b"referer", b"https://news.example/"))),
    ]
    keys = [alike(book, visitor, request) for visitor, request in others]
    assert len({base, *keys}) == len(others) + 1
    assert None not in keys


def test_of_an_id_only_the_rollouts_count_that_it_is_in() -> None:
    rollouts = [replace(plain().experiences[0], name=f"r{number}", share=0.5) for number in range(2)]
    book = replace(plain(), facts=frozenset({"id"}), experiences=tuple(rollouts))
    keys = {alike(book, who("new", id=f"v{number}"), ask()) for number in range(200)}
    assert len(keys) == 4
    assert len({*keys, alike(book, who("new"), ask())}) == 5, "who has no id is in none"


def test_a_fact_that_nobody_here_knows_has_no_key() -> None:
    assert alike(replace(plain(), facts=frozenset({"stage", "weather"})), who("new"), ask()) is None


def test_every_condition_about_requests_is_known_here() -> None:
    """A new one either gets its fact into ``FACTS`` or is content with decisions that are made anew each time."""
    facts = {"device", "language", "country", "came_from"}
    assert facts <= set(CONDITIONS)
    assert facts <= set(FACTS)
