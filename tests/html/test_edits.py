"""Every verb and every trap, as examples: tests/cases/edits/*.toml."""

from __future__ import annotations

import codecs
import tomllib
from pathlib import Path
from typing import Any, cast

import pytest

from edgeproxy.core.markup import VerbMistake
from edgeproxy.html.charset import detect
from edgeproxy.html.edits import VERBS, verb
from edgeproxy.html.model import PlaceOutcome
from tests.html.making import experience, made, slot, whole

CASES = [
    pytest.param(case, id=f"{file.stem}: {case['it']}")
    for file in sorted(Path(__file__).parents[1].joinpath("cases", "edits").glob("*.toml"))
    for case in tomllib.loads(file.read_text(encoding="utf-8"))["case"]
]


def page_of(case: dict[str, Any], key: str) -> bytes | None:
    """The page of a case: `page` as it is, `body` in a small page, in the case's charset."""
    codec = detect(f"text/html; charset={case.get('charset', 'utf-8')}", b"").codec
    if key == "page":
        return (case["page"] if "page" in case else whole(case["body"])).encode(codec)
    if "gives" in case:
        return (case["gives"] if "page" in case else whole(case["gives"])).encode(codec)
    return None


@pytest.mark.parametrize("case", CASES)
def test_an_edit_gives_these_bytes(case: dict[str, Any]) -> None:
    page, expected = page_of(case, "page"), page_of(case, "gives")
    assert page is not None
    slots = case.get("slots") or ({"it": case["find"]} if "find" in case else {})
    edits = [one if "slot" in one or "style" in one else {"slot": "it", **one} for one in case["edits"]]
    result = made(
        page,
        [slot(name, find, expect="any" if case.get("any") else "one") for name, find in slots.items()],
        [experience("a", edits)],
        charset=case.get("charset", "utf-8"),
        path=case.get("path", "/"),
        csp=case.get("csp"),
    )
    if expected is None:
        assert result.body is page
        [placement] = result.placing.placements
        assert placement.outcome is PlaceOutcome.REFUSED
        assert case["refused"] in placement.why
        assert placement.why
        return
    assert result.body == expected, [(p.outcome, p.why) for p in result.placing.placements]
    if expected == page:
        assert result.body is page


def test_the_byte_order_mark_of_the_case_is_one() -> None:
    [case] = [cast("dict[str, Any]", p.values[0]) for p in CASES if "byte-order" in str(p.id)]
    page = page_of(case, "page")
    assert page is not None
    assert page.startswith(codecs.BOM_UTF8)


# --------------------------------------------------------------------------- the registry


def test_every_verb_of_the_rules_is_there() -> None:
    assert list(VERBS) == [
        "replace",
        "inner",
        "before",
        "after",
        "prepend",
        "append",
        "remove",
        "hide",
        "attributes",
        "add_class",
        "remove_class",
        "keep_first",
        "reorder",
        "style",
    ]


def test_two_verbs_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match='two verbs are called "hide"'):
        verb(VERBS["hide"])


def test_who_takes_a_slot() -> None:
    assert {name for name, spec in VERBS.items() if not spec.takes_slot} == {
        "before",
        "after",
        "hide",
        "attributes",
        "add_class",
        "remove_class",
        "style",
    }
    assert {name for name, spec in VERBS.items() if not spec.needs_slot} == {"style"}
    assert {name for name, spec in VERBS.items() if spec.ends_slot} == {"remove", "replace"}


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_helps_in_one_line(name: str) -> None:
    spec = VERBS[name]
    assert spec.help
    assert "\n" not in spec.help
    assert spec.schema


@pytest.mark.parametrize(
    ("name", "value", "what", "hint"),
    [
        ("inner", 5, "takes a file below fragments/, text or HTML", "{ text"),
        ("inner", "<b>x</b>", "a plain string names a file", "{ html"),
        ("inner", "Hello you", "is no file below fragments/", "{ text"),
        ("inner", "first-steps.htm", "is no file below fragments/", ".html"),
        ("inner", "../shop.html", "leaves fragments/", "without .."),
        ("inner", "/shop.html", "leaves fragments/", "below fragments/"),
        ("inner", "a/.b.html", "leaves fragments/", "dot files"),
        ("inner", "fragments/a.html", "begins with fragments/", '"a.html"'),
        ("inner", "a-{segmnt}.html", 'unknown "{segmnt}"', "{segment}"),
        ("inner", "a-{segment.html", "a single brace", "{segment}"),
        ("inner", {}, "an empty table", "{ text"),
        ("inner", {"text": "a", "html": "b"}, "both text and html", "{ text"),
        ("inner", {"txt": "a"}, 'unknown key "txt"', "{ text"),
        ("inner", {"text": 5}, "text is not a string", "text ="),
        ("remove", "yes", "takes only true", "remove = true"),
        ("remove", False, "does nothing", "delete the edit"),
        ("remove", 1, "takes only true", "remove = true"),
        ("hide", 0, "takes only true", "hide = true"),
        ("attributes", {}, "takes a table", "href"),
        ("attributes", {"a b": "x"}, "no attribute's name", "spaces"),
        ("attributes", {"width": 300}, "width is not a string", 'width = "300"'),
        ("attributes", {"title": "a", "TITLE": "b"}, "twice", "capitals"),
        ("attributes", {"title": "a\0"}, "NUL", "leave it out"),
        ("add_class", "", "empty class", "add_class"),
        ("add_class", ".calm", "begins with a dot", '"calm"'),
        ("add_class", [], "takes a class", "add_class"),
        ("remove_class", 5, "takes a class", "remove_class"),
        ("keep_first", 0, "takes a number from 1 on", "inner"),
        ("keep_first", True, "takes a number from 1 on", "keep_first = 6"),
        ("keep_first", "6", "takes a number from 1 on", "keep_first = 6"),
        ("reorder", "#sale", "takes a list", "["),
        ("reorder", [], "takes a list", "["),
        ("reorder", ["#a", "#a"], "twice", "first"),
        ("reorder", ["#a["], "does not parse", ""),
        ("style", "", "takes CSS", "style ="),
        ("style", ".a{}</STYLE>", "would end the style element", ""),
        ("style", ".a{", "is not closed", '"}"'),
        ("style", ".a}", "closes nothing", "brackets"),
        ("style", "/* a", "a comment is not closed", ""),
        ("style", ".a{content:'x}", "a string is not closed", ""),
    ],
)
def test_a_mistake_says_what_and_what_to_write(name: str, value: object, what: str, hint: str) -> None:
    with pytest.raises(VerbMistake) as caught:
        VERBS[name].parse(value)
    assert what in caught.value.what
    assert hint in caught.value.hint


def test_the_same_value_is_the_same_action() -> None:
    for name, value in {
        "inner": {"text": "a"},
        "attributes": {"a": "b", "c": False},
        "reorder": ["a", "b"],
        "keep_first": 3,
        "style": ".a{}",
        "add_class": "a b",
    }.items():
        one, other = VERBS[name].parse(value), VERBS[name].parse(value)
        assert one == other
        assert hash(one) == hash(other)
        assert one.verb == name


def test_code_in_an_address_is_doubted() -> None:
    assert VERBS["attributes"].doubts({"href": " JavaScript:alert(1)"})
    assert not VERBS["attributes"].doubts({"href": "/javascript:x", "onclick": "go()"})
    assert VERBS["style"].doubts("@import 'a.css';")
