"""A plan carried over to a page that differs in values alone is the plan that this page gets by itself."""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.model import Slot
from edgeproxy.html.likeness import LONGEST, MOST, Shift, beside_tags, carried, differences
from edgeproxy.html.model import Unplannable
from edgeproxy.html.plan import plan
from edgeproxy.html.render import render
from tests.html.making import experience, slot, whole
from tests.html.making import made as made_of
from tests.html.oracle import UTF8, documents

SLOTS = [slot("x", "#x"), slot("all", "li", expect="any"), slot("body", "body")]
PAGE = whole(
    '<form><input type=hidden name=csrf value="aB3_-x9"></form><script>var a = {"token": "q7Hk2m", n: 1};</script>'
    "<p id=x class=a>You have <b>3</b> things<a href='/out?t=1'>out</a></p><ul><li>1</li><li>22</li></ul>"
)


def agree(old: str, new: str, slots: Sequence[Slot] = SLOTS) -> bool | None:
    """Whether what is carried over is right; None where nothing is."""
    made = plan(old.encode(), UTF8, slots, children={"all": ()})
    found = carried(made, old.encode(), new.encode(), [one.find for one in slots])
    return None if found is None else found == plan(new.encode(), UTF8, slots, children={"all": ()})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("aB3_-x9", "Zz8-_10"),
        ("aB3_-x9", "longer-than-before+/=="),
        ("q7Hk2m", "q"),
        ("<b>3</b>", "<b>12</b>"),
        ("<li>22</li>", "<li>4</li>"),
        ("/out?t=1", "out?t=2"),
    ],
)
def test_values_may_differ(old: str, new: str) -> None:
    assert agree(PAGE, PAGE.replace(old, new)) is True


def test_several_of_them() -> None:
    other = PAGE.replace("aB3_-x9", "1").replace("q7Hk2m", "a-longer-one").replace("<b>3<", "<b>1000<")
    assert agree(PAGE, other) is True
    assert agree(PAGE, PAGE) is True


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<b>3</b>", "<i>3</i>"),  # a tag
        ("<b>3</b>", "<b></b>"),  # nothing
        ("<b>3</b>", "<b>3&</b>"),  # what a tokenizer looks at
        ("name=csrf", "name=seal"),  # without quotes
        ("class=a", "class=b"),
        ("id=x class=a", "id=y class=a"),
        ("type=hidden", "type=number"),
        ("You have", "He has"),  # among other text
        ("aB3_-x9", "a b"),
        ("aB3_-x9", 'a" id="x'),
        ("</ul>", "</ul><p>more</p>"),
        ("aB3_-x9", "x" * (LONGEST + 1)),
        ("n: 1", "n: 2"),
    ],
)
def test_anything_else_is_read_anew(old: str, new: str) -> None:
    assert old in PAGE
    assert agree(PAGE, PAGE.replace(old, new)) is None


@pytest.mark.parametrize(
    ("markup", "old", "new"),
    [
        ('<div id="one">', "one", "two"),
        ('<div class="one">', "one", "two"),
        ('<div lang="sv">', "sv", "de"),
        ('<script type="module">', "module", "other"),
        ('<meta http-equiv="x" content="default-src">', "default-src", "img-src"),
        ('<p id=x data-n="1">', "1", "2"),  # of a found element
    ],
)
def test_values_that_somebody_looks_at(markup: str, old: str, new: str) -> None:
    page = whole(markup)
    assert agree(page, page.replace(f'"{old}"', f'"{new}"')) is None


@pytest.mark.parametrize("selector", ["[value]", "p:lang(sv)", 'a[href="/x"]', "p:contains('x')"])
def test_selectors_that_look_at_values(selector: str) -> None:
    made = plan(PAGE.encode(), UTF8, SLOTS)
    assert carried(made, PAGE.encode(), PAGE.replace("<b>3<", "<b>4<").encode(), [selector]) is None
    assert carried(made, PAGE.encode(), PAGE.replace("<b>3<", "<b>4<").encode(), ["li:nth-child(2)"]) is made


def test_too_much_is_another_page() -> None:
    def page(value: str, number: int) -> bytes:
        return whole(f"<b>{value}</b>" * number).encode()

    assert len(differences(page("a", MOST), page("bb", MOST)) or ()) == MOST
    assert differences(page("a", MOST + 1), page("bb", MOST + 1)) is None
    assert differences(b"<b>a</b>", b"<b>a</b>more") is None


# --------------------------------------------------------------------------- on pages of every kind

VALUES = re.compile(rb"""[\s"'](?:value|content|href|alt|data-[a-z]+)=["']([A-Za-z0-9./-]+)["']|>([A-Za-z0-9]+)<""")
FINDS = ("div", "p", "li", "a", "body", "body > *", "p + p", "div:first-child", "table", "form", "#w", "script", "td")


EDITS: tuple[dict[str, object], ...] = (
    {"inner": {"html": "<p>x</p>"}},
    {"remove": True},
    {"append": {"text": "x"}},
    {"before": {"html": "<hr>"}},
    {"add_class": "x"},
    {"attributes": {"data-n": "x", "title": False}},
    {"inner": {"text": "3"}},
    {"keep_first": 2},
    {"reorder": [":nth-child(2)"]},
)


def wrong(pages: Sequence[bytes], dice: random.Random, rounds: int) -> tuple[list[str], int]:
    """Pages with values exchanged that what was carried over (plan or splices) is not of; how many could be told."""
    found, right = [], 0
    for body in (page for _ in range(rounds) for page in pages):
        values = list(VALUES.finditer(body))
        if not values:
            continue
        parts, at = [], 0
        for value in sorted(dice.sample(values, min(3, len(values))), key=lambda one: one.start()):
            start, end = value.span(1) if value[1] is not None else value.span(2)
            parts += [body[at:start], bytes(dice.choice(b"abXY09") for _ in range(dice.randint(1, 9)))]
            at = end
        other = b"".join([*parts, body[at:]])
        slots = [slot(f"s{n}", dice.choice(FINDS), expect=dice.choice(("any", "one"))) for n in range(3)]
        try:
            made = plan(body, UTF8, slots, children={"s0": ()})
        except Unplannable:
            continue
        kept = carried(made, body, other, [one.find for one in slots])
        if kept is None:
            continue
        right += 1
        if kept != plan(other, UTF8, slots, children={"s0": ()}):
            found.append(f"{other[-300:]!r}: {[one.find for one in slots]}")
        does = [experience(f"e{n}", [{"slot": f"s{n}", **dice.choice(EDITS)}]) for n in range(3)]
        before, after = made_of(body, slots, does), made_of(other, slots, does)
        runs = differences(body, other)
        if runs is None or not before.placing.portable or not beside_tags(before.plan or made, runs):
            continue
        if render(other, Shift(runs).splices(before.placing.splices)) != after.body:
            found.append(f"{other[-300:]!r}: {[one.find for one in slots]}, {[one.edits[0].action for one in does]}")
    return found, right


@pytest.mark.shared
def test_shop_pages(shared: Path) -> None:
    pages = [gzip.decompress(file.read_bytes())[:60_000] for file in (shared / "corpus").glob("*.html.gz")]
    bad, good = wrong(sorted(pages), random.Random(1), 3)
    assert bad == []
    assert good > 30


@pytest.mark.shared
def test_conformance_documents(shared: Path) -> None:
    files = sorted((shared / "corpus" / "html5lib-tree-construction").glob("*.dat"))
    texts = [text for file in files for text in documents(file.read_text("utf-8", errors="surrogatepass"))]
    before = b'<!doctype html><div id=w data-n="1">w</div><p><b>22</b>'
    pages = [before + text.encode("utf-8", "surrogatepass") + b'<i title="x">3</i>' for text in texts]
    bad, good = wrong(pages, random.Random(2), 1)
    assert bad == []
    assert good > 800


PIECES = ("<div>", "</div>", "<b>1</b>", '<p data-a="1">', "<!--", "-->", "<script>", "</script>", "<title>", "&", "<")
SOUP = st.lists(
    st.sampled_from((*PIECES, ">2<", '"token": "3"', ' value="4"', "x", "<table>", "<svg>", "<a href='5'>"))
)


@given(SOUP, st.lists(st.text("ab01", min_size=1, max_size=5), min_size=5, max_size=5))
def test_any_soup(pieces: list[str], values: list[str]) -> None:
    old = whole("<div id=x>" + "".join(pieces))
    new = re.sub(r"[1-5]", lambda found: values[int(found[0]) - 1], old.partition("<body>")[2])
    assert agree(old, old.partition("<body>")[0] + "<body>" + new) is not False
