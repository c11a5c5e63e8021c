"""Who wins each slot, and why not the others."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.model import Outcome, Source, Visitor
from edgeproxy.html.model import PlaceOutcome
from edgeproxy.personalise import Personalised
from tests.html.making import choice, experience, made, slot, whole

PAGE = whole(
    "<header id=top class=bar><a id=logo href=/>Shop</a></header><main id=main><section id=hero><h1>Hi</h1></section>"
    "<ul id=grid><li>1</li><li>2</li><li>3</li></ul></main>"
).encode()
SLOTS = [
    slot("top", "#top"),
    slot("logo", "#logo"),
    slot("main", "#main"),
    slot("hero", "#hero"),
    slot("big-picture", "main > section"),
    slot("headline", "#hero h1"),
    slot("grid", "#grid"),
    slot("items", "#grid > li", expect="any"),
    slot("nowhere", "#nowhere"),
    slot("off", "#top", enabled=False),
]

Written = Mapping[str, Any]


def text(slot_: str, verb: str, content: str) -> Written:
    return {"slot": slot_, verb: {"text": content}}


def told(result: Personalised) -> list[tuple[str, str, str]]:
    return [(p.experience.name, p.outcome.name, p.why) for p in result.placing.placements]


def outcome(result: Personalised, name: str) -> Outcome:
    return result.placing.outcomes[name][0]


def changed(result: Personalised) -> str:
    return result.body.decode()


# --------------------------------------------------------------------------- slots


def test_the_first_experience_that_edits_a_slot_has_it() -> None:
    first, second = experience("a", [text("hero", "inner", "A")]), experience("b", [text("hero", "inner", "B")])
    result = made(PAGE, SLOTS, [first, second])
    assert "<section id=hero>A</section>" in changed(result)
    assert result.placing.winners == {"hero": "a"}
    assert told(result) == [("a", "PLACED", "placed"), ("b", "SHADOWED", 'shadowed by "a"')]
    assert outcome(result, "a") is Outcome.APPLIED
    assert result.placing.outcomes["b"] == (Outcome.SHADOWED, 'hero: shadowed by "a"')


def test_a_slot_stays_the_shops_own_where_its_winner_cannot_be_placed() -> None:
    first = experience("a", [{"slot": "logo", "inner": {"html": "<a href=/x>x</a>"}}])
    result = made(PAGE, SLOTS, [first, experience("b", [text("logo", "inner", "B")])])
    assert result.body is PAGE
    assert result.placing.winners == {}
    assert [outcome(result, name) for name in "ab"] == [Outcome.NOT_PLACED, Outcome.SHADOWED]
    assert "<a> cannot stand inside another <a>" in result.placing.outcomes["a"][1]


def test_the_other_edits_of_a_shadowed_experience_are_made() -> None:
    first = experience("a", [text("hero", "inner", "A")])
    second = experience("b", [text("hero", "append", "B"), text("grid", "before", "B")])
    result = made(PAGE, SLOTS, [first, second])
    assert "<section id=hero>A</section>B<ul" in changed(result)
    assert outcome(result, "b") is Outcome.APPLIED
    assert result.placing.outcomes["b"][1] == '1 of 2 edits placed; hero: shadowed by "a"'


def test_slots_of_one_element_are_one_slot() -> None:
    first = experience("a", [text("hero", "inner", "A")])
    result = made(PAGE, SLOTS, [first, experience("b", [text("big-picture", "append", "B")])])
    assert "<section id=hero>A</section>" in changed(result)
    assert told(result)[1] == ("b", "SHADOWED", 'shadowed by "a"')
    assert result.placing.winners == {"hero": "a", "big-picture": "a"}


def test_a_slot_that_is_not_found_is_refused_with_its_reason() -> None:
    result = made(PAGE, SLOTS, [experience("a", [text("nowhere", "inner", "A")])])
    assert result.body is PAGE
    assert told(result) == [("a", "REFUSED", '"#nowhere" matches 0 elements, expected one')]
    assert outcome(result, "a") is Outcome.NOT_PLACED


def test_a_slot_that_is_switched_off() -> None:
    result = made(PAGE, SLOTS, [experience("a", [text("off", "inner", "A")])])
    assert told(result) == [("a", "REFUSED", 'the slot "off" is switched off')]


def test_a_distrusted_slot_stays_the_shops_own() -> None:
    edits = [text("hero", "inner", "A"), text("grid", "before", "A")]
    result = made(PAGE, SLOTS, [experience("a", edits)], distrusted=frozenset({"hero"}))
    assert "<section id=hero><h1>Hi" in changed(result)
    assert told(result)[0] == ("a", "REFUSED", "its place on this page failed verification")
    assert "A<ul id=grid" in changed(result)


def test_every_match_of_an_any_slot_and_whose_it_is() -> None:
    result = made(PAGE, SLOTS, [experience("a", [text("items", "append", "!")])])
    assert changed(result).count("!</li>") == 3
    assert result.placing.winners == {"items": "a"}


# --------------------------------------------------------------------------- side by side


def test_the_earlier_experience_stands_nearer() -> None:
    both = [
        experience(name, [text("hero", verb, f"[{name}{number}]") for verb in ("before", "after") for number in (1, 2)])
        for name in "ab"
    ]
    result = made(PAGE, SLOTS, both)
    assert "[b1][b2][a1][a2]<section id=hero><h1>Hi</h1></section>[a1][a2][b1][b2]" in changed(result)
    assert result.placing.winners == {}
    assert [outcome(result, name) for name in "ab"] == [Outcome.APPLIED, Outcome.APPLIED]


def test_the_earlier_experiences_attribute_wins_and_classes_add_up() -> None:
    first = experience("a", [{"slot": "top", "attributes": {"title": "A"}}, {"slot": "top", "add_class": "a"}])
    edits: list[Written] = [{"slot": "top", "attributes": {"title": "B", "lang": "sv"}}]
    edits.append({"slot": "top", "add_class": "b"})
    result = made(PAGE, SLOTS, [first, experience("b", edits)])
    assert '<header id=top class="bar a b" title="A" lang="sv">' in changed(result)
    assert told(result)[2] == ("b", "PLACED", 'placed: "a" has decided about title')


def test_an_edit_of_attributes_that_are_all_taken_is_shadowed() -> None:
    names = [
        experience("a", [{"slot": "top", "attributes": {"title": "A"}}, {"slot": "top", "remove_class": "bar"}]),
        experience("b", [{"slot": "top", "attributes": {"TITLE": "B"}}, {"slot": "top", "add_class": "bar"}]),
    ]
    result = made(PAGE, SLOTS, names)
    assert '<header id=top class="" title="A">' in changed(result)
    assert outcome(result, "b") is Outcome.SHADOWED


def test_styles_of_several_experiences_in_one_element_in_order() -> None:
    result = made(PAGE, SLOTS, [experience("a", [{"style": ".a{}"}]), experience("b", [{"style": ".b{}"}])])
    assert "</title><style>.a{}\n.b{}</style></head>" in changed(result)


# --------------------------------------------------------------------------- crossing bytes


def test_the_inside_of_a_slot_and_a_class_on_what_holds_it_do_not_cross() -> None:
    first = experience("a", [text("hero", "inner", "A")])
    result = made(PAGE, SLOTS, [first, experience("b", [{"slot": "main", "add_class": "b"}])])
    assert '<main id=main class="b"><section id=hero>A<' in changed(result)


@pytest.mark.parametrize("verb", ["inner", "replace"])
@pytest.mark.parametrize(
    "inner", [text("hero", "inner", "I"), text("hero", "before", "I"), {"slot": "hero", "hide": True}]
)
def test_of_slots_inside_each_other_the_earlier_experience_wins(verb: str, inner: Written) -> None:
    outer = text("main", verb, "O")
    result = made(PAGE, SLOTS, [experience("a", [outer]), experience("b", [inner])])
    assert 'shadowed by "a"' in told(result)[1][2]
    assert "id=hero" not in changed(result)
    result = made(PAGE, SLOTS, [experience("a", [inner]), experience("b", [outer])])
    assert 'shadowed by "a"' in told(result)[1][2]
    assert "id=hero" in changed(result)


def test_inside_one_experience_the_outer_edit_stands_whatever_the_order() -> None:
    edits = [text("hero", "inner", "I"), text("main", "inner", "O")]
    for order in itertools.permutations(edits):
        result = made(PAGE, SLOTS, [experience("a", order)])
        assert "<main id=main>O</main>" in changed(result)
        assert {p.edit.slot: p.outcome for p in result.placing.placements} == {
            "hero": PlaceOutcome.SHADOWED,
            "main": PlaceOutcome.PLACED,
        }


def test_children_that_are_cut_away_cannot_be_edited() -> None:
    first = experience("a", [{"slot": "grid", "keep_first": 1}])
    result = made(PAGE, SLOTS, [first, experience("b", [text("items", "append", "!")])])
    assert "<li>1!</li></ul>" in changed(result)
    assert told(result)[1][2].startswith("placed on 1 of 3 elements: shadowed by")


def test_ends_and_insides_of_neighbours_meet_without_crossing() -> None:
    edits = [
        text("hero", "after", "[after hero]"),
        text("grid", "before", "[before grid]"),
        text("main", "append", "[end of main]"),
        text("grid", "after", "[after grid]"),
        text("main", "prepend", "[start of main]"),
        text("hero", "before", "[before hero]"),
    ]
    for order in (edits, edits[::-1]):
        result = made(PAGE, SLOTS, [experience("a", order)])
        assert "<main id=main>[start of main][before hero]<section" in changed(result)
        assert "</section>[after hero][before grid]<ul" in changed(result)
        assert "</ul>[after grid][end of main]</main>" in changed(result)


# --------------------------------------------------------------------------- whole


def test_a_whole_experience_is_made_when_all_of_it_can_be() -> None:
    edits: list[Written] = [text("hero", "inner", "A"), {"style": ".a{}"}]
    edits.append({"slot": "grid", "append": {"html": "<li>A</li>"}})
    result = made(PAGE, SLOTS, [experience("a", edits, whole=True)])
    assert outcome(result, "a") is Outcome.APPLIED
    assert changed(result).count("A") == 2


@pytest.mark.parametrize(
    "culprit",
    [
        text("nowhere", "inner", "A"),
        text("off", "inner", "A"),
        {"slot": "logo", "inner": {"html": "<a href=/x>x</a>"}},
        {"slot": "logo", "inner": choice("x-{segment}.html")},
    ],
)
def test_a_whole_experience_that_fails_takes_nothing(culprit: Written) -> None:
    """What it would have shadowed is free again."""
    first = experience("a", [text("hero", "inner", "A"), {"style": ".a{}"}, culprit], whole=True)
    second = experience("b", [text("hero", "inner", "B"), {"slot": "top", "add_class": "b"}])
    result = made(PAGE, SLOTS, [first, second])
    assert result.body == made(PAGE, SLOTS, [second]).body
    assert result.placing.winners == made(PAGE, SLOTS, [second]).placing.winners
    assert outcome(result, "a") is Outcome.NOT_PLACED
    assert "it says whole" in told(result)[0][2]
    assert "inner (rules/experiences/x.toml:3)" in told(result)[0][2]


def test_a_whole_experience_that_is_shadowed_in_part_takes_nothing() -> None:
    first = experience("a", [text("hero", "inner", "A")])
    second = experience("b", [text("hero", "inner", "B"), text("grid", "before", "B")], whole=True)
    result = made(PAGE, SLOTS, [first, second])
    assert outcome(result, "b") is Outcome.SHADOWED
    assert "B" not in changed(result)


def test_a_whole_experience_whose_attribute_is_taken_takes_nothing() -> None:
    first = experience("a", [{"slot": "top", "attributes": {"title": "A"}}])
    edits: list[Written] = [{"slot": "top", "add_class": "b"}]
    edits.append({"slot": "top", "attributes": {"lang": "sv", "title": "B"}})
    result = made(PAGE, SLOTS, [first, experience("b", edits, whole=True)])
    assert '<header id=top class=bar title="A">' in changed(result)
    assert outcome(result, "b") is Outcome.SHADOWED


def test_a_preview_forces_and_says_what_came_of_it() -> None:
    result = made(PAGE, SLOTS, [experience("a", [text("hero", "inner", "A")])], forced="a")
    assert result.placing.outcomes["a"] == (Outcome.PREVIEW, "forced by preview: placed")


# --------------------------------------------------------------------------- content by visitor


def visitor(stage: str | None, *segments: str) -> Visitor:
    return Visitor(stage, segments, None, Source.COOKIE)


@pytest.mark.parametrize(
    ("who", "content", "expected"),
    [
        (visitor("new", "city", "outdoor"), choice("{segment}", segments={"city": "C", "outdoor": "O"}), "O"),
        (visitor("new", "city", "outdoor"), choice("{segment}", segments={"city": "C"}), "C"),
        (visitor("new", "city"), choice("{segment}", segments={"outdoor": "O"}, or_else="else"), "else"),
        (visitor("new", "city"), choice("{segment}", segments={"outdoor": "O"}), None),
        (visitor("new"), choice("{stage}", stages={"new": "N", "loyal": "L"}), "N"),
        (visitor(None), choice("{stage}", stages={"new": "N"}, or_else="else"), "else"),
        (visitor("loyal", "outdoor", "city"), choice("{segment}-{stage}", both={("city", "loyal"): "CL"}), "CL"),
        (visitor("new", "city"), choice("{segment}-{stage}", both={("city", "loyal"): "CL"}), None),
        (visitor("new", "city", "outdoor"), choice("{segment}", segments={"city": "{{ segment }}"}), "city"),
        (visitor("new", "city", "outdoor"), choice("{stage}", stages={"new": "{{ segment }}"}), "outdoor"),
    ],
)
def test_content_is_chosen_by_the_visitor(who: Visitor, content: Any, expected: str | None) -> None:
    result = made(PAGE, SLOTS, [experience("a", [{"slot": "hero", "inner": content}])], visitor=who)
    if expected is None:
        assert result.body is PAGE
        assert "has no file for this visitor" in told(result)[0][2]
    else:
        assert f"<section id=hero>{expected}</section>" in changed(result)


def test_a_sentence_without_its_word_is_not_placed() -> None:
    edits = [
        {"slot": "hero", "inner": {"html": "<p>For {{ segment }} people</p>"}},
        {"slot": "grid", "before": {"html": '<p data-segment="{{ segment }}">Hello</p>'}},
    ]
    result = made(PAGE, SLOTS, [experience("a", edits)], visitor=visitor("new"))
    assert told(result)[0] == ("a", "REFUSED", "f.html shows {{ segment }}, and this visitor has none")
    assert '<p data-segment="">Hello</p><ul' in changed(result)


# --------------------------------------------------------------------------- hydration

NEXT = whole(
    '<div id=__next><div id=in class=a><p>1</p></div></div><script id=__NEXT_DATA__ type="application/json">{}</script>'
).encode()
NEXT_SLOTS = [slot("root", "#__next"), slot("in", "#in"), slot("body", "body")]


@pytest.mark.parametrize(
    "edit",
    [text("in", verb, "x") for verb in ("inner", "replace", "before", "after", "prepend", "append")]
    + [text("root", verb, "x") for verb in ("inner", "append")]
    + [{"slot": "in", "remove": True}, {"slot": "in", "keep_first": 1}, {"slot": "in", "reorder": ["p"]}],
)
def test_what_a_framework_would_undo_is_refused_by_its_name(edit: Written) -> None:
    result = made(NEXT, NEXT_SLOTS, [experience("a", [edit])])
    assert result.body is NEXT
    assert "Next hydrates" in told(result)[0][2]


@pytest.mark.parametrize(
    "edit",
    [
        {"slot": "in", "hide": True},
        {"slot": "in", "add_class": "b"},
        {"slot": "in", "attributes": {"title": "t"}},
        text("root", "before", "x"),
        text("root", "after", "x"),
        text("body", "append", "x"),
        {"style": ".a{}"},
    ],
)
def test_what_survives_hydration_is_made(edit: Written) -> None:
    result = made(NEXT, NEXT_SLOTS, [experience("a", [edit])])
    assert outcome(result, "a") is Outcome.APPLIED


# --------------------------------------------------------------------------- laws

EDITS: Sequence[Written] = (
    [
        text(name, verb, f"[{name} {verb}]")
        for name in ("hero", "headline", "logo")
        for verb in ("inner", "before", "after")
    ]
    + [text("main", "append", "[m]"), text("big-picture", "prepend", "[b]"), text("items", "append", "[i]")]
    + [
        text("nowhere", "inner", "n"),
        {"slot": "hero", "replace": {"html": "<p>r</p>"}},
        {"slot": "items", "hide": True},
    ]
    + [
        {"slot": "grid", "keep_first": 2},
        {"slot": "grid", "reorder": ["li:last-child"]},
        {"slot": "grid", "remove": True},
    ]
    + [
        {"slot": "top", "add_class": "c"},
        {"slot": "top", "attributes": {"class": "d", "title": "t"}},
        {"style": ".a{}"},
    ]
    + [
        {"slot": "main", "remove": True},
        {"slot": "headline", "remove_class": "x"},
        {"slot": "top", "attributes": {"title": "u"}},
    ]
)
BOOKS = st.lists(
    st.tuples(st.lists(st.sampled_from(range(len(EDITS))), min_size=1, max_size=4), st.booleans()), max_size=4
)


def books(drawn: list[tuple[list[int], bool]]) -> list[Any]:
    return [
        experience(f"e{number}", [EDITS[i] for i in chosen], whole=whole_)
        for number, (chosen, whole_) in enumerate(drawn)
    ]


@given(BOOKS)
def test_every_edit_is_accounted_for_and_the_bytes_outside_are_the_shops(drawn: list[tuple[list[int], bool]]) -> None:
    result = made(PAGE, SLOTS, books(drawn))
    placing = result.placing
    assert [p.edit for p in placing.placements] == [e for one in books(drawn) for e in one.edits]
    assert all(p.why for p in placing.placements)
    rest, at, kept = result.body, 0, []
    for splice in placing.splices:
        assert at <= splice.start <= splice.end
        kept.append(PAGE[at : splice.start])
        at = splice.end
    kept.append(PAGE[at:])
    for piece, splice in itertools.zip_longest(kept, placing.splices):
        assert rest.startswith(piece)
        rest = rest[len(piece) :]
        if splice is not None:
            assert rest.startswith(splice.text)
            rest = rest[len(splice.text) :]
    assert rest == b""
    if not placing.splices:
        assert result.body is PAGE


@given(BOOKS)
def test_the_same_input_gives_the_same_page(drawn: list[tuple[list[int], bool]]) -> None:
    one, other = made(PAGE, SLOTS, books(drawn)), made(PAGE, SLOTS[::-1], books(drawn))
    assert one.body == other.body
    assert one.placing.splices == other.placing.splices
    assert one.placing.outcomes == other.placing.outcomes


@given(BOOKS)
def test_a_whole_experience_is_made_in_all_its_parts_or_in_none(drawn: list[tuple[list[int], bool]]) -> None:
    experiences = books(drawn)
    result = made(PAGE, SLOTS, experiences)
    for one in experiences:
        outcomes = {p.outcome for p in result.placing.placements if p.experience is one}
        if one.whole:
            assert outcomes == {PlaceOutcome.PLACED} or PlaceOutcome.PLACED not in outcomes
            if PlaceOutcome.PLACED not in outcomes:
                without = made(PAGE, SLOTS, [other for other in experiences if other is not one])
                assert without.body == result.body


@given(BOOKS)
def test_an_earlier_experience_is_not_touched_by_later_ones(drawn: list[tuple[list[int], bool]]) -> None:
    experiences = books(drawn)
    for count in range(len(experiences)):
        alone = made(PAGE, SLOTS, experiences[:count])
        result = made(PAGE, SLOTS, experiences)
        for one in experiences[:count]:
            assert alone.placing.outcomes[one.name] == result.placing.outcomes[one.name]
