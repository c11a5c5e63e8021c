"""One page for one visitor: what is composed, and what is left alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.model import Outcome
from edgeproxy.core.paths import compile_paths
from edgeproxy.html.model import PlaceOutcome
from edgeproxy.personalise import children_of, personalise, slots_here
from tests.html.making import experience, made, slot, whole

PAGE = whole("<div id=x class=a>old</div><ul id=u><li>1</li><li>2</li></ul>").encode()
X = slot("x", "#x")
NEW = experience("a", [{"slot": "x", "inner": {"text": "new"}}])


def test_a_page_with_its_edits() -> None:
    result = made(PAGE, [X], [NEW])
    assert result.body == PAGE.replace(b"old", b"new")
    assert result.charset is not None
    assert result.charset.label == "utf-8"
    assert result.plan is not None
    assert list(result.plan.slots) == ["x"]
    assert result.note == ""


def test_nobody_fits_and_nothing_is_looked_at() -> None:
    result = made(PAGE, [X], [])
    assert result.body is PAGE
    assert (result.plan, result.charset, result.placing.placements) == (None, None, ())


@pytest.mark.parametrize(
    ("page", "charset", "note"),
    [
        (PAGE.decode().encode("utf-16"), "utf-16", "UTF-16"),
        (b"\xff\xfe" + PAGE, "utf-8", "UTF-16"),
        (b'<?xml version="1.0"?>' + PAGE, "utf-8", "XHTML"),
        (PAGE + b" " * (2 << 20), "utf-8", ""),
    ],
)
def test_a_page_that_cannot_be_planned_is_left_alone_with_the_reason(page: bytes, charset: str, note: str) -> None:
    result = made(page, [X], [NEW], charset=charset)
    assert result.body is page
    assert note in result.note
    assert result.note
    assert result.placing.outcomes["a"] == (Outcome.NOT_PLACED, result.note)
    assert [p.outcome for p in result.placing.placements] == [PlaceOutcome.REFUSED]


def test_slots_that_are_not_on_this_page() -> None:
    elsewhere = slot("x", "#x", on=compile_paths(["/c/**"]))
    result = made(PAGE, [elsewhere], [NEW], path="/p/1")
    assert result.body is PAGE
    assert result.placing.placements[0].outcome is PlaceOutcome.ELSEWHERE, "nobody need look after this page"
    assert result.placing.placements[0].why == 'the slot "x" is not on this page'
    assert result.plan is None  # and the page was not even read
    assert made(PAGE, [elsewhere], [NEW], path="/c/1").body != PAGE


def test_a_whole_experience_is_whole_on_each_page() -> None:
    both = experience("a", [{"slot": "x", "add_class": "b"}, {"slot": "y", "remove": True}], whole=True)
    slots = [X, slot("y", "#y", on=compile_paths(["/c/**"]))]
    assert made(PAGE, slots, [both], path="/").placing.outcomes["a"] == (Outcome.APPLIED, "placed")
    assert made(PAGE, slots, [both], path="/c/1").placing.outcomes["a"][0] is Outcome.NOT_PLACED


def test_the_nonce_of_the_page() -> None:
    edits: list[dict[str, Any]] = [
        {"slot": "x", "inner": {"html": '<script nonce="{{ nonce }}">a()</script>'}},
        {"style": ".a{}"},
    ]
    result = made(PAGE, [X], [experience("a", edits)], csp="script-src 'nonce-abc'; style-src 'nonce-abc'")
    assert b'<div id=x class=a><script nonce="abc">a()</script></div>' in result.body
    assert b'<style nonce="abc">.a{}</style></head>' in result.body


def test_a_path_is_shown_as_its_characters() -> None:
    edits: list[dict[str, Any]] = [{"slot": "x", "inner": {"html": "{{ path }}"}}]
    path = "/ö/<b>".encode().decode("latin-1")
    assert "class=a>/ö/&lt;b&gt;</div>".encode() in made(PAGE, [X], [experience("a", edits)], path=path).body


def test_only_what_fitting_experiences_edit_is_looked_for() -> None:
    slots = [slot("other", "#other"), X, slot("off", "#x", enabled=False)]
    result = made(PAGE, slots, [NEW])
    assert result.plan is not None
    assert list(result.plan.slots) == ["x"]


def test_children_are_asked_for_by_those_who_need_them() -> None:
    one = experience("a", [{"slot": "u", "reorder": [".a", "#b"]}, {"slot": "x", "hide": True}])
    other = experience("b", [{"slot": "u", "reorder": ["#b", ".c"]}, {"slot": "v", "keep_first": 2}])
    assert children_of([one, other]) == {"u": (".a", "#b", ".c"), "v": ()}


def test_slots_come_in_the_books_order() -> None:
    edits: list[dict[str, Any]] = [{"slot": "x", "hide": True}, {"slot": "u", "hide": True}, {"style": ".a{}"}]
    wanted = experience("a", edits)
    made_ = made(PAGE, [slot("u", "#u"), X], [wanted])
    assert made_.plan is not None
    assert list(made_.plan.slots) == ["u", "x"]
    assert slots_here.__doc__
    assert personalise.__doc__


def test_slots_of_one_element_of_which_one_asks_for_its_children() -> None:
    edits: list[dict[str, Any]] = [{"slot": "u", "append": {"html": "<li>3</li>"}}, {"slot": "v", "keep_first": 1}]
    result = made(PAGE, [slot("u", "#u"), slot("v", "ul")], [experience("a", edits)])
    assert b"<ul id=u><li>1</li><li>3</li></ul>" in result.body


# --------------------------------------------------------------------------- the round trip, by leave

UNTIDY = whole("<div id=x><p><b>1</div>text").encode()


def test_a_slot_that_cannot_be_spliced_is_left_alone_without_leave() -> None:
    result = made(UNTIDY, [X], [experience("a", [{"slot": "x", "remove": True}])])
    assert result.body is UNTIDY
    assert result.placing.placements[0].outcome is PlaceOutcome.REFUSED


def test_with_leave_the_page_is_written_anew() -> None:
    allowed = slot("x", "#x", roundtrip=True)
    result = made(UNTIDY, [allowed], [experience("a", [{"slot": "x", "inner": {"html": "<i>new</i>"}}])])
    assert b'<div id="x"><i>new</i></div><b>text</b>' in result.body
    assert result.placing.outcomes["a"][0] is Outcome.APPLIED
    assert "written anew" in result.placing.placements[0].why
    assert result.placing.winners == {"x": "a"}


def test_leave_is_not_used_where_bytes_will_do() -> None:
    result = made(PAGE, [slot("x", "#x", roundtrip=True)], [NEW])
    assert result.body == PAGE.replace(b"old", b"new")
    assert result.placing.roundtrips == ()


def test_where_the_round_trip_fails_the_slot_stays_and_the_others_are_made() -> None:
    page = UNTIDY.replace(b"<div id=x", b"<div id=y>\xff</div><div id=x")
    slots = [slot("x", "#x", roundtrip=True), slot("y", "#y")]
    edits: list[dict[str, Any]] = [{"slot": "x", "inner": {"html": "<i>new</i>"}}, {"slot": "y", "add_class": "c"}]
    result = made(page, slots, [experience("a", edits)])
    assert result.body == page.replace(b"<div id=y>", b'<div id=y class="c">')
    assert result.note
    assert [p.outcome for p in result.placing.placements] == [PlaceOutcome.REFUSED, PlaceOutcome.PLACED]


# --------------------------------------------------------------------------- laws


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "windows-1252", "shift_jis", "gb18030", "nonsense"]))
def test_no_page_raises_and_its_bytes_stay(junk: bytes, charset: str) -> None:
    page = junk + b"<div id=x>old</div>" + junk
    edits: list[dict[str, Any]] = [
        {"slot": "x", "append": {"text": "é"}},
        {"slot": "x", "add_class": "é"},
        {"style": ".é{}"},
    ]
    result = made(page, [X], [experience("a", edits)], charset=charset)
    if result.placing.splices:
        at = 0
        for splice in result.placing.splices:
            assert page[at : splice.start] in result.body
            at = splice.end
    else:
        assert result.body is page
