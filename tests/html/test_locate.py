"""Where elements stand and how far that can be trusted: one file of examples."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from edgeproxy.core.model import Expect
from edgeproxy.html import hazards
from edgeproxy.html.model import Element
from edgeproxy.html.plan import plan
from tests.html.oracle import UTF8, faults, slot, view

CASES: list[dict[str, Any]] = tomllib.loads((Path(__file__).parents[1] / "data/html/elements.toml").read_text("utf-8"))[
    "case"
]
PLAIN = "<!doctype html><html><head></head><body>{}</body></html>"


def page(case: dict[str, Any]) -> bytes:
    html: str = case["html"]
    return (html if html.startswith(("<!", "<html")) else PLAIN.format(html)).encode()


def located(case: dict[str, Any], *, children: bool = True) -> tuple[Element, ...]:
    find = case.get("find", "#x")
    wanted = {"x": ()} if children else {}
    planned = plan(page(case), UTF8, [slot("x", find, Expect.ANY)], children=wanted).slots["x"]
    assert planned.count == case.get("count", 1)
    return planned.elements


def reason(name: str) -> str:
    return getattr(hazards, name) if name else ""


@pytest.mark.parametrize("case", CASES, ids=[case["it"] for case in CASES])
def test_element(case: dict[str, Any]) -> None:
    for element in located(case):
        body = page(case)
        inner = "" if element.inner_start is None else body[element.inner_start : element.inner_end].decode()
        assert {
            "outer": body[element.start : element.end].decode() if case["outer"] else "",
            "inner": inner if element.inner_start is not None and "inner" in case else None,
            "closed": element.closed or element.implied,
            "before": list(element.unclosed_before),
            "inside": list(element.unclosed_inside),
            "raw": element.raw_text,
            "foreign": element.foreign,
            "implied": element.implied,
            "reopens": list(element.reopens),
            "trouble": element.trouble,
            "outside": element.outer_trouble,
            "children": element.children_trouble,
            "tag": element.tag_trouble,
        } == {
            "outer": case["outer"],
            "inner": case.get("inner"),
            "closed": case.get("closed", True) or case.get("implied", False),
            "before": case.get("before", []),
            "inside": case.get("inside", []),
            "raw": case.get("raw", False),
            "foreign": case.get("foreign", False),
            "implied": case.get("implied", False),
            "reopens": case.get("reopens", []),
            "trouble": reason(case.get("trouble", "")),
            "outside": reason(case.get("outside", "")),
            "children": reason(case.get("children", "")),
            "tag": reason(case.get("tag", "")),
        }


@pytest.mark.parametrize("case", CASES, ids=[case["it"] for case in CASES])
def test_what_is_promised_holds(case: dict[str, Any]) -> None:
    for children in (True, False):
        for element in located(case, children=children):
            assert list(faults(view(page(case)), element)) == []


@pytest.mark.parametrize("case", CASES, ids=[case["it"] for case in CASES])
def test_trust_is_the_same_whether_or_not_children_are_wanted(case: dict[str, Any]) -> None:
    for with_them, without in zip(located(case), located(case, children=False), strict=True):
        if not with_them.implied:
            assert (without.trouble, without.outer_trouble) == (with_them.trouble, with_them.outer_trouble)


def test_void_and_closed_elements_have_an_inside_only_if_they_can_hold_something() -> None:
    inside = {case["it"]: bool(located(case)) and located(case)[0].inner_start is not None for case in CASES}
    assert {it for it, has in inside.items() if not has} == {case["it"] for case in CASES if "inner" not in case} - {
        "a heading that another heading's end tag ends",
        "HTML makes a paragraph out of </p>: it has no tag",
        "copies of unclosed formatting elements",
    }


def test_every_reason_has_an_example() -> None:
    named = {case[key] for case in CASES for key in ("trouble", "outside", "children", "tag") if key in case}
    assert {reason(name) for name in named} == hazards.REASONS
