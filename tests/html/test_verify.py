"""The second opinion: it passes plans that hold, and finds every kind of offset that does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from edgeproxy.core.model import Expect
from edgeproxy.html.model import Element, PagePlan
from edgeproxy.html.plan import plan
from edgeproxy.html.verify import ELEMENTS, verify
from tests.html.oracle import UTF8, slot

PAGE = b"""<!doctype html>
<html><head><title>t</title></head>
<body><header>top</header>
<p>text &amp; more<div id=x class=a><b>one</b> <i>two</i></div><p>behind
<ul><li>1<li id=li>2<li>3</ul>
<textarea id=raw><b></textarea><img id=void src=a></body>
</html>
"""


def planned(body: bytes = PAGE, find: str = "#x", expect: Expect = Expect.ONE) -> PagePlan:
    return plan(body, UTF8, [slot("x", find, expect)])


def changed(page: PagePlan, change: Callable[[Element], Element]) -> PagePlan:
    place = page.slots["x"]
    return replace(page, slots={"x": replace(place, elements=tuple(map(change, place.elements)))})


@pytest.mark.parametrize("find", ["#x", "header", "#li", "ul", "#raw", "#void", "body", "head", "title", "b"])
def test_plans_that_hold_pass(find: str) -> None:
    assert planned(find=find).slots["x"].elements
    assert verify(PAGE, planned(find=find), ["x"]) == {}


WRONG: list[tuple[str, Callable[[Element], Element]]] = [
    ("its content does not begin there", lambda e: replace(e, inner_start=e.start_tag_end + len("<b>"))),
    ("its content does not end there", lambda e: replace(e, inner_end=(e.inner_end or 0) - len("</i>"))),
    ("become part of something else", lambda e: replace(e, inner_start=e.start + 2)),
    ("it does not end there", lambda e: replace(e, end=e.end + len("<p>"), inner_start=None)),
    ("stands there", lambda e: replace(e, tag="section")),
    ("<p> stands there", lambda e: replace(e, start=e.start - len("<p>text &amp; more"), unclosed_before=())),
    ("it does not begin there", lambda e: replace(e, unclosed_before=())),
    ("it does not begin there", lambda e: replace(e, unclosed_before=("body", "p"))),
]


@pytest.mark.parametrize(("why", "change"), WRONG)
def test_offsets_that_are_wrong_are_found(why: str, change: Callable[[Element], Element]) -> None:
    failed = verify(PAGE, changed(planned(), change), ["x"])
    assert failed.keys() == {"x"}
    assert any(part in failed["x"] for part in why.split("|")), failed["x"]


def test_a_comment_that_saves_a_newline_is_found() -> None:
    body = b"<!doctype html><body><pre id=x>\none</pre></body>"
    page = changed(planned(body), lambda e: replace(e, inner_start=e.start_tag_end))
    assert "change the tree elsewhere" in verify(body, page, ["x"])["x"]


def test_bytes_that_take_more_with_them_than_their_element_are_found() -> None:
    body = b"<!doctype html><body><div id=x><p><b>one</p></div><p>two</p></body>"
    assert planned(body).slots["x"].elements[0].outer_trouble
    page = changed(planned(body), lambda e: replace(e, trouble="", outer_trouble=""))
    assert "without its bytes" in verify(body, page, ["x"])["x"]


@pytest.mark.parametrize(
    "change",
    [
        lambda e: replace(e, trouble="it is not clear where it ends", start=0),
        lambda e: replace(e, implied=True, start=0),
        lambda e: replace(e, outer_trouble="HTML makes it again when it is missing", start=0, end=0),
    ],
)
def test_what_the_plan_gives_up_is_not_looked_at(change: Callable[[Element], Element]) -> None:
    assert verify(PAGE, changed(planned(), change), ["x"]) == {}


def test_only_the_slots_in_question_are_looked_at() -> None:
    page = changed(planned(), lambda e: replace(e, tag="section"))
    assert verify(PAGE, page, []) == {}
    assert verify(PAGE, page, ["missing"]) == {}


def test_a_slot_with_many_elements_is_sampled() -> None:
    body = b"<!doctype html><body>" + b"<p class=card>a</p>" * 40
    page = planned(body, ".card", Expect.ANY)
    elements = page.slots["x"].elements
    assert verify(body, page, ["x"]) == {}
    late = replace(elements[ELEMENTS], tag="section")
    page = replace(page, slots={"x": replace(page.slots["x"], elements=(*elements[:ELEMENTS], late))})
    assert verify(body, page, ["x"]) == {}


def test_one_bad_element_fails_its_slot_alone() -> None:
    page = plan(PAGE, UTF8, [slot("x", "#x"), slot("li", "li", Expect.ANY)])
    one, *rest = page.slots["li"].elements
    bad = replace(page.slots["li"], elements=(one, replace(rest[0], end=rest[0].end + 4), *rest[1:]))
    failed = verify(PAGE, replace(page, slots={**page.slots, "li": bad}), ["x", "li"])
    assert failed.keys() == {"li"}
    assert failed["li"].startswith("selectolax reads the page differently around <li>")


def test_offsets_count_the_byte_order_mark() -> None:
    body = b"\xef\xbb\xbf" + PAGE
    page = plan(body, replace(UTF8, bom=3), [slot("x", "#x")])
    assert verify(body, page, ["x"]) == {}
    assert verify(body, changed(page, lambda e: replace(e, start=e.start - 3)), ["x"])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<body><p id=x>a</p>" + b"<br>" + b"<div>" * 600, "deep"),
        (b"<body><p id=x>a</p><br " + b" ".join(b"a%d" % i for i in range(300)) + b">", "attributes"),
    ],
)
def test_pages_that_lexbor_must_not_see_fail_as_a_whole(body: bytes, why: str) -> None:
    tidy = b"<!doctype html><html><head></head><body><p id=x>a</p></body></html>"
    failed = verify(body, planned(tidy), ["x"])
    assert why in failed["x"]


def test_engines_that_disagree_fail_the_slot() -> None:
    """Lexbor ends a <colgroup> at a comment, browsers and turbohtml do not: nobody should bet on either."""
    body = b"<!doctype html><body><table><colgroup id=x><!DOCTYPE html></colgroup></table>"
    page = planned(body)
    assert page.slots["x"].elements[0].trouble == ""
    assert verify(body, page, ["x"]).keys() == {"x"}
