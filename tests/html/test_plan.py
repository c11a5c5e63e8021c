"""Plans of whole pages: guards, expectations, children, margins, policies, and their limits."""

from __future__ import annotations

import re

import pytest

from edgeproxy.core.model import Expect
from edgeproxy.html import guards, hazards
from edgeproxy.html.model import PagePlan, Unplannable
from edgeproxy.html.plan import plan
from edgeproxy.html.trial import TOO_MANY
from tests.html.oracle import UTF8, slot

SHOP = b"""<!DOCTYPE html>
<html lang=en>
<head>
  <meta charset=utf-8>
  <title>Shop</title>
</head>
<body class="home">
  <main><section class="hero"><h1>Boots</h1></section>
  <ul id=grid><li id=sale class="card new">1 <li class=card>2 <li class="card new">3 </ul></main>
</body>
</html>
"""


def planned(body: bytes, find: str, expect: Expect = Expect.ONE, **more: object) -> PagePlan:
    return plan(body, UTF8, [slot("x", find, expect)], **more)  # type: ignore[arg-type]


# --------------------------------------------------------------------------- guards


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<p>" + b"".join(b"<b x=%d>" % i for i in range(500)) + b"<p>x" * 5000, "multiply"),
        (b"<div>" * 600, "more than 512 deep"),
        (b"<p>a</p>" + b"<div>" * 600 + b"</div>" * 600, "more than 512 deep"),
        (b"<div>" * 509 + b"<b id=x>b</b></div>" + b"<p>b</p>", "more than 512 deep"),
        (b"<body><p>a</p>" + b"<i>" * 600 + b"<b id=x>b</b>", "more than 512 deep"),
        (
            b"<body><p>" + b"<b " + b" ".join(b"a%d" % i for i in range(257)) + b" id=x>b</b>",
            "more than 256 attributes",
        ),
    ],
)
def test_pages_beyond_the_limits_are_left_alone(body: bytes, why: str) -> None:
    with pytest.raises(Unplannable, match=why):
        planned(body, "#x, #grid", Expect.ANY)


@pytest.mark.parametrize(
    "body",
    [
        b"<html><head></head><body><b id=x>" + b"x" * (2 * 1024 * 1024 - 51) + b"</b></body></html>",
        b"<body>" + b"<div>" * 508 + b"<b id=x>b</b>",
        b"<body><ul>" + b"<li>item" * 5000 + b"</ul><b id=x>b</b>",  # not nested, though no end tag says so
        b"<body>" + b"</b></i>" * 5000 + b"<b id=x>b</b>",
        b"<body><b " + b" ".join(b"a%d" % i for i in range(255)) + b" id=x>b</b>",
    ],
)
def test_pages_within_the_limits_are_planned(body: bytes) -> None:
    (place,) = planned(body, "#x, p", Expect.ANY).slots.values()
    assert [element.trouble for element in place.elements] == [""]


@pytest.mark.parametrize(
    "nested", ["<div>", "<table><tr><td>", "<b><p>", "<svg><g>", "<template>", "<a><div>", "<select>"]
)
def test_hostile_nesting_is_refused_or_planned_but_never_hangs(nested: str) -> None:
    body = (nested * 30_000 + "<i id=x>a</i>").encode()
    try:
        planned(body, "#x", Expect.ANY)
    except Unplannable as reason:
        assert "deep" in str(reason)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<div>" * 600, "deep"),
        ("<p>a</p>" * 100 + "<div><p>" * 20 + "<i>" * 500 + "</i>" * 490 + "</p>", "deep"),
        ("<br " + " ".join(f"a{i}" for i in range(300)) + ">", "attributes"),
        ("<p>" + "".join(f"<font color=a{i}>" for i in range(200)) + "</p><p>x</p>" * 200, "multiply"),
    ],
)
def test_what_lexbor_would_chew_on_is_refused(text: str, why: str) -> None:
    with pytest.raises(Unplannable, match=why):
        guards.for_lexbor(text)


def test_an_ordinary_page_is_good_for_lexbor() -> None:
    guards.for_lexbor(SHOP.decode())


# --------------------------------------------------------------------------- what a slot finds


@pytest.mark.parametrize(("find", "count"), [(".missing", 0), ("li", 3), ("*", 12)])
def test_a_slot_that_expects_one_is_left_alone_where_it_is_none_or_more(find: str, count: int) -> None:
    place = planned(SHOP, find).slots["x"]
    assert (place.count, place.elements) == (count, ())
    assert place.trouble == f'"{find}" matches {count} elements, expected one'


def test_a_slot_that_expects_any_takes_each() -> None:
    place = planned(SHOP, "li", Expect.ANY).slots["x"]
    assert (place.count, place.trouble) == (3, "")
    assert [SHOP[element.start : element.end] for element in place.elements] == [
        b'<li id=sale class="card new">1 ',
        b"<li class=card>2 ",
        b'<li class="card new">3 ',
    ]
    assert planned(SHOP, ".missing", Expect.ANY).slots["x"].trouble == ""


def test_what_an_element_says() -> None:
    (element,) = planned(SHOP, "h1").slots["x"].elements
    assert SHOP[element.start : element.start_tag_end] == b"<h1>"
    assert SHOP[element.inner_start : element.inner_end] == b"Boots"
    assert element.ancestors == ("html", "body", "main", "section")
    assert (element.hydrated, element.hydrates, element.foreign, element.raw_text) == (False, False, False, False)
    (hero,) = planned(SHOP, ".hero").slots["x"].elements
    start, end, value = hero.attributes["class"]
    assert (SHOP[start:end], value) == (b'class="hero"', "hero")


def test_children_are_told_where_they_are_wanted() -> None:
    slots = [slot("grid", "#grid"), slot("main", "main")]
    places = plan(SHOP, UTF8, slots, children={"grid": ("#sale", ".new", "li:last-child", ".é")}).slots
    (grid,), (main,) = places["grid"].elements, places["main"].elements
    assert main.children == ()
    assert [SHOP[child.start : child.end] for child in grid.children] == [
        b'<li id=sale class="card new">1 ',
        b"<li class=card>2 ",
        b'<li class="card new">3 ',
    ]
    assert [sorted(child.matches) for child in grid.children] == [["#sale", ".new"], [], [".new", "li:last-child"]]
    assert {child.unclosed for child in grid.children} == {("li",)}
    assert grid.children_trouble == ""


def test_an_empty_list_of_selectors_asks_for_children_alone() -> None:
    (grid,) = plan(SHOP, UTF8, [slot("grid", "#grid")], children={"grid": ()}).slots["grid"].elements
    assert [child.matches for child in grid.children] == [frozenset()] * 3


@pytest.mark.parametrize(
    ("html", "why"),
    [
        ("<div id=x><p><b>1</p></div>", hazards.LEAKS),
        ("<pre id=x><b>1</b>\n<i>2</i></pre>", hazards.NEWLINE),
        ("<div id=x>AT&amp<b>1</b><i>2</i></div>", hazards.HALF),
        ("<table id=x><tr><td>1</table>", hazards.NO_TAG),
        ("<div id=x><form>1</div>", hazards.OPEN_FORM),
        ("<div id=x><p>1</p></b></div>", hazards.MIXED),
    ],
)
def test_children_that_may_not_be_moved_about(html: str, why: str) -> None:
    body = f"<!doctype html><body>{html}</body>".encode()
    (element,) = planned(body, "#x", children={"x": ()}).slots["x"].elements
    assert element.children_trouble == why
    (element,) = planned(body, "#x").slots["x"].elements
    assert element.children_trouble == ""


def test_untidy_pages_have_a_budget_for_trials() -> None:
    card = b"<p><b>open</p><div class=x>card</div>"
    body = b"<!doctype html><body>" + card * 60 + b"x" * 500_000
    elements = planned(body, ".x", Expect.ANY).slots["x"].elements
    troubles = [element.trouble for element in elements]
    assert set(troubles) <= {"", TOO_MANY, *hazards.REASONS}
    assert troubles.count(TOO_MANY) > 50


# --------------------------------------------------------------------------- head and body


@pytest.mark.parametrize(
    "html",
    [
        "<!doctype html><html><head><title>t</title>|</head><body><p>a</p>~</body></html>",
        "<html><head>|</head><body>~</body></html>",
        "<html><head><title>t</title></title>|</head></head><body>a</body>~</body></html>\n",
        "<html><head><title>t</title> |<body>a~</html>",
        "<!doctype html><title>t</title>|<p>a~",
        "<!doctype html>|<p>a</body>~",
        "<!doctype html><!-- c --><html>|<p>a</body> <!-- d -->~",
        "<head><meta charset=utf-8>|Text~",
        "<title>t</title><link rel=a>| <div>a</div>~",
        "<html><head><noscript><p></noscript>|</head><body>a~</body>",
        "<html><head><script>'</head>'</script>|</head><body><script>'</body>'</script>~</body>",
        "<html><head><template></head></template>|</head><body>a~</body></html>",
        "<html><head><title>t</title>|</head><body><div>a~</body><p>late</html>",
        "<html><head>|</head>~",
    ],
)
def test_where_head_and_body_end(html: str) -> None:
    body = re.sub(r"[|~]", "", html).encode()
    page = planned(body, "#x", Expect.ANY)
    assert page.head_end == html.replace("~", "").index("|")
    assert page.body_end == html.replace("|", "").index("~")


@pytest.mark.parametrize(
    ("html", "head", "body"),
    [
        ("<html><head></head><frameset><frame></frameset></html>", True, False),
        ("<html> text", False, True),  # a style would bring the blank into head
        ("<html><head></head><body><p>cut off <a href='x", True, False),
        ("<html><head></head><body><textarea>never ends", True, False),
        ("<html><head></head><body><!-- never ends", True, False),
        ("<html><head></head><body><script>never ends", True, False),
    ],
)
def test_where_they_do_not(html: str, head: bool, body: bool) -> None:
    page = planned(html.encode(), "#x", Expect.ANY)
    assert (page.head_end is not None, page.body_end is not None) == (head, body)


# --------------------------------------------------------------------------- policies

META = b'<!doctype html><html><head><meta http-equiv="Content-Security-Policy" content="%s"></head><body></body></html>'


@pytest.mark.parametrize(
    ("csp", "nonce", "styles", "elements"),
    [
        (None, None, True, True),
        ("", None, True, True),
        ("default-src 'self'", None, False, False),
        ("default-src 'self'; style-src 'self' 'unsafe-inline'", None, True, True),
        ("script-src 'self'", None, True, True),
        ("script-src 'nonce-abc123'", "abc123", True, True),
        ("script-src 'nonce-abc123' 'strict-dynamic'; style-src 'nonce-abc123'", "abc123", False, True),
        ("script-src 'nonce-s'; style-src 'nonce-c'", "c", False, True),
        ("style-src 'unsafe-inline' 'nonce-abc'", "abc", False, True),
        ("style-src 'unsafe-inline' 'sha256-abc='", None, False, False),
        ("style-src-attr 'unsafe-inline'; style-src 'self'", None, True, False),
        ("style-src-elem 'unsafe-inline'; style-src 'none'", None, False, True),
        ("style-src 'none'; style-src 'unsafe-inline'", None, False, False),  # the first of a name counts
        ("STYLE-SRC 'Unsafe-Inline'", None, True, True),
        ("style-src 'unsafe-inline', default-src 'self'", None, False, False),  # two policies, both hold
        ("style-src 'nonce-a' 'nonce-b', style-src 'nonce-b'", "b", False, True),
        ("style-src 'nonce-a', style-src 'nonce-b'", "a", False, False),
        ("script-src 'nonce-\"><script>'", None, True, True),
        (";;, ,", None, True, True),
    ],
)
def test_what_policies_allow(csp: str | None, nonce: str | None, styles: bool, elements: bool) -> None:
    page = planned(SHOP, "h1", csp=csp)
    assert (page.nonce, page.inline_styles, page.style_elements) == (nonce, styles, elements)


def test_policies_in_the_page_count_too() -> None:
    page = planned(META % b"style-src 'nonce-m'", "#x", Expect.ANY, csp="script-src 'self'")
    assert (page.nonce, page.inline_styles, page.style_elements) == ("m", False, True)
    page = planned(META % b"style-src 'self'", "#x", Expect.ANY)
    assert (page.nonce, page.inline_styles, page.style_elements) == (None, False, False)


@pytest.mark.parametrize(
    ("doctype", "found"), [(b"<!doctype html>", {"#hero": [1, 3], "#Hero": [0]}), (b"", {"#hero": [0, 1, 2, 3]})]
)
def test_ids_are_alike_whatever_their_case_in_quirks_mode_alone(doctype: bytes, found: dict[str, list[int]]) -> None:
    """Slots that are found by id are looked for together, and found as each alone; never in a template."""
    tags = (b"<p id=Hero>a</p>", b"<p id=hero>b</p>", b"<p id=HERO>c</p>", b"<svg id=h&#101;ro></svg>")
    body = doctype + b"<body>" + b"".join(tags) + b"<template><p id=hero></template><p id=menu>"
    finds = ("#hero", "#Hero", "#menu", "#none")
    slots = [slot(find, find, Expect.ANY) for find in finds]
    together = plan(body, UTF8, slots).slots
    for find, numbers in found.items():
        assert [element.start for element in together[find].elements] == [body.index(tags[n]) for n in numbers]
    for one in slots:
        assert plan(body, UTF8, [one]).slots[one.name] == together[one.name]
    assert [together[find].count for find in ("#menu", "#none")] == [1, 0]
