"""Every verb, on real pages and on the strangest ones: the spliced page has the tree of the same edit on a DOM.

What is refused is left as it is; how much may be is said here too, so that nothing passes by being refused.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.model import Decision, Source, Visitor
from edgeproxy.html.model import Charset, Element, PagePlan, PlaceOutcome, SlotPlace, Unplannable
from edgeproxy.html.place import place
from edgeproxy.html.plan import plan
from edgeproxy.html.render import render
from tests.html import dom, oracle
from tests.html.making import book, experience, slot

EDITS: Mapping[str, Any] = {
    "replace": {"html": "<i>new</i>text"},
    "inner": {"html": "<i>new</i>text"},
    "before": {"html": "text<i>new</i>"},
    "after": {"html": "text<i>new</i>"},
    "prepend": {"html": "text<i>new</i>"},
    "append": {"html": "<div><p>new</p></div>"},
    "remove": True,
    "hide": True,
    "attributes": {"title": 'a "quoted" & <b>', "class": False, "id": "new"},
    "add_class": "calm",
    "remove_class": "a",
    "keep_first": 1,
    "reorder": ["p, li, tr, td", ".a", "div, a"],
}
ALL = slot("all", "*", expect="any")
UTF8 = Charset("utf-8", "utf-8", 0, "header")
VISITOR = Visitor("new", (), None, Source.COOKIE)


class Page:
    """A page of which every element is known."""

    def __init__(self, body: bytes, find: str = "*") -> None:
        self.body = body
        self.find = find
        # whether two engines see one tree; what <select> may hold has changed lately, not in both alike
        self.agreed = b"<select" not in body.lower() and oracle.agree(body.decode("latin-1").replace("\r", " "))
        self.text = body.decode("latin-1").replace("\r", " ")
        self.plan = plan(body, UTF8, [slot("all", find, expect="any")], children={"all": EDITS["reorder"]})
        self.elements = self.plan.slots["all"].elements

    def edited(self, numbers: Sequence[int], verb: str) -> tuple[bytes, list[int], str]:
        """One edit of these elements → (the page, the elements where it was made, why not the others)."""
        rules = [experience("a", [{"slot": "all", verb: EDITS[verb]}])]
        book_ = book([ALL], rules)
        decision = Decision(tuple(rules), (), VISITOR, None, book_.version)
        made: list[int] = []
        reasons = ""
        for number in numbers:
            placing = place(decision, book_, self._plan([self.elements[number]]), self.body, {})
            if placing.placements[0].outcome is PlaceOutcome.PLACED:
                made.append(number)
            else:
                reasons = placing.placements[0].why
        placing = place(decision, book_, self._plan([self.elements[n] for n in made]), self.body, {})
        return render(self.body, placing.splices), made, reasons

    def _plan(self, elements: Sequence[Element]) -> PagePlan:
        return PagePlan(
            UTF8, {"all": SlotPlace(ALL, len(elements), tuple(elements))}, None, None, None, self.plan.framework
        )

    def fault(self, numbers: Sequence[int], verb: str) -> tuple[str, list[int], str]:
        body, made, reasons = self.edited(numbers, verb)
        if not made:
            assert body is self.body
            return "", made, reasons
        got = dom.parse(body.decode("latin-1").replace("\r", " ")).html
        wanted = dom.edited(self.text, self.find, made, verb, EDITS[verb])
        if any(self.elements[number].tag == "body" for number in made):
            # HTML moves blank text from behind </body> into the body, to its very end
            got, wanted = "".join(got.split()), "".join(wanted.split())
        if got == wanted:
            spliced = body.decode("latin-1").replace("\r", " ")
            if self.agreed and not oracle.agree(spliced):
                return f"{verb}: selectolax reads {spliced!r} differently", made, reasons
            return "", made, reasons
        shown = [f"<{self.elements[n].tag}> at {self.elements[n].start}" for n in made]
        at = next((i for i, (a, b) in enumerate(zip(got, wanted, strict=False)) if a != b), 0)
        return f"{verb} {shown}: …{got[at - 60 : at + 90]!r} is not …{wanted[at - 60 : at + 90]!r}", made, reasons


def apart(elements: Sequence[Element], start: int, step: int) -> list[int]:
    """Elements none of which is inside another, every ``step``-th from ``start`` on."""
    chosen: list[int] = []
    end = 0
    for number, element in enumerate(elements):
        around = element.implied or element.tag in ("html", "head", "body")
        if number % step == start % step and element.start >= end and not around:
            chosen.append(number)
            end = element.end
    return chosen


# --------------------------------------------------------------------------- tag soup


TAGS = "div p ul li b i a h1 nobr font table tr td tbody th caption select option dl dt dd form button span section"
OTHERS = (
    "<a href=1>|<body class=a>|</body>|</html>|<head>|</head>|<title>t</title>|<style>a{}</style>|<br>|<hr/>|text| |\n"
    "|<span class='a b'>|<section class=a>|<img src=x class=a />|<svg>|<path/>|</svg>|<math>|<mi>|</math>|<object>"
    "|<pre>|<pre>\n|</pre>|<textarea>\nx</textarea>|<noscript><p></noscript>|<template><p>x</template>|</object>|a & b"
    "|&amp|&lt|<|x<y|<!-- c -->|<!doctype html>|<script>a<b</script>"
)
PIECES = st.sampled_from(
    [f"<{tag}>" for tag in TAGS.split(" ")] + [f"</{tag}>" for tag in TAGS.split(" ")] + OTHERS.split("|")
)


@given(soup=st.lists(PIECES, max_size=14).map("".join), verb=st.sampled_from(sorted(EDITS)), data=st.data())
def test_tag_soup_has_the_tree_of_the_same_edit(soup: str, verb: str, data: st.DataObject) -> None:
    try:
        page = Page(soup.encode())
    except Unplannable:
        return
    if not page.elements or soup.count("<body") > 1:  # a second <body> hands its attributes to the first
        return
    number = data.draw(st.integers(0, len(page.elements) - 1))
    fault, _, _ = page.fault([number], verb)
    assert not fault


# --------------------------------------------------------------------------- html5lib's documents


def documents(shared: Path) -> Iterator[str]:
    for file in sorted(shared.joinpath("corpus", "html5lib-tree-construction").glob("*.dat")):
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
        for found in re.finditer(r"#data\n(.*?)\n#errors(.*?)(?=\n#data\n|\Z)", text, re.DOTALL):
            # what selectedcontent holds is copied by the browser, again and again: the oracle copies once
            if "#document-fragment" not in found[2] and "<selectedcontent" not in found[1]:
                yield found[1]


@pytest.mark.shared
def test_awkward_documents_have_the_tree_of_the_same_edit(shared: Path) -> None:
    faults: list[str] = []
    counts: Counter[str] = Counter()
    verbs = list(EDITS)
    for at, text in enumerate(documents(shared)):
        try:
            page = Page(text.encode("utf-8", "surrogateescape"))
        except Unplannable:
            continue
        for number in range(len(page.elements)):
            verb = verbs[(at + number) % len(verbs)]
            fault, made, _ = page.fault([number], verb)
            counts[verb] += len(made)
            if fault:
                faults.append(f"{text!r}: {fault}")
    assert not faults, f"{len(faults)}: " + "\n".join(faults[:5])
    assert set(counts) == set(verbs)
    assert counts.total() > 1500


# --------------------------------------------------------------------------- real pages


@pytest.mark.shared
def test_real_pages_have_the_tree_of_the_same_edit(shared: Path) -> None:
    faults: list[str] = []
    placed: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    verbs = list(EDITS)
    for at, file in enumerate(sorted(shared.joinpath("corpus").glob("*.html.gz"))):
        page = Page(gzip.decompress(file.read_bytes()), ":nth-child(5n+2)")
        for step in range(4):
            verb = verbs[(4 * at + step) % len(verbs)]
            numbers = apart(page.elements, step, 3 + step)[:40]
            fault, made, _ = page.fault(numbers, verb)
            placed[verb] += len(made)
            refused[verb] += len(numbers) - len(made)
            if fault:
                faults.append(f"{file.name}: {fault}")
    assert not faults, "\n".join(faults)
    assert set(placed) == set(verbs)
    assert placed.total() > 3 * refused.total(), (placed, refused)
