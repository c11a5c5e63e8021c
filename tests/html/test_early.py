"""What of a page is settled before its end has come: always the beginning of the whole page, never a byte too many."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.model import Decision, Experience, PageRequest, Slot, Source, Visitor
from edgeproxy.html.early import looks_ahead, waiting
from edgeproxy.html.locate import Source as Parsed
from edgeproxy.personalise import begin
from tests.html.making import book, experience, made, slot
from tests.html.oracle import documents

VISITOR = Visitor("new", ("outdoor",), None, Source.COOKIE)
HEAD = "<!DOCTYPE html><html><head><meta charset=utf-8><title>t</title>" + f"<!--{'x' * 1024}--></head>"
ANY: dict[str, Any] = {"expect": "any"}


def begun(body: bytes, slots: Sequence[Slot], experiences: Sequence[Experience], **more: Any) -> bytes | None:
    """What can leave of a page that has come so far, or None."""
    rules = book(slots, experiences)
    decision = Decision(tuple(experiences), (), VISITOR, None, rules.version)
    request = PageRequest("GET", "https", "shop.example", "/", "", (), 0.0)
    found = begin(rules, decision, request, body, "text/html; charset=utf-8", **more)
    if found is not None:
        assert 0 < found.offset <= len(body)
    return None if found is None else found.body


X = slot("x", ".x", **ANY)
ONE = slot("x", ".x")
INNER: dict[str, Any] = {"slot": "x", "inner": {"text": "new"}}
REMOVE: dict[str, Any] = {"slot": "x", "remove": True}
HIDE: dict[str, Any] = {"slot": "x", "add_class": "y"}
APPEND: dict[str, Any] = {"slot": "x", "append": {"text": "more"}}

CASES = {
    # what has come; what of it leaves.  HEAD stands before both
    "what holds no match": ("<body><p>one</p><p>tw", "<body><p>one</p><p>", [X], [INNER]),
    "a tag that is not here yet": ('<body><p>one</p><div class="', "<body><p>one</p>", [X], [INNER]),
    "a closed match": ("<body><div class=x>old</div><p>", "<body><div class=x>new</div><p>", [X], [INNER]),
    "an open match, changed inside": ("<body><div class=x>old<p>one</p>", "<body><div class=x>", [X], [INNER]),
    "an open match, taken away": ("<body><p>one</p><div class=x>old<p>one</p>", "<body><p>one</p>", [X], [REMOVE]),
    "an open match, its tag changed": (
        "<body><div class=x>old<p>one</p>",
        '<body><div class="x y">old<p>one</p>',
        [X],
        [HIDE],
    ),
    "both, in one element": ("<body><div class=x>old", '<body><div class="x y">', [X], [HIDE, APPEND]),
    "the body itself": (
        "<body class=a><p>one</p>",
        '<body class="a y"><p>one</p>',
        [slot("x", "body", **ANY)],
        [HIDE],
    ),
    "one is expected": ("<body><p>one</p><div class=x>old</div><p>two</p>", "<body><p>one</p>", [ONE], [INNER]),
    "one is expected and two are there": (
        "<body><i class=x>a</i><i class=x>b</i><p>two</p>",
        "<body><i class=x>a</i><i class=x>b</i><p>two</p>",
        [ONE],
        [INNER],
    ),
    "what follows matters": ("<body><p class=x>one</p><p>", None, [slot("x", ".x:last-child", **ANY)], [INNER]),
    "the round trip": ("<body><p class=x>one</p><p>", None, [slot("x", ".x", roundtrip=True, **ANY)], [INNER]),
    "an open table": ("<body><p>one</p><table><tr><td>a</td>", "<body><p>one</p>", [X], [INNER]),
    "an open link": ("<body><p>one</p><a href=/><p>two</p>", "<body><p>one</p>", [X], [INNER]),
    "a form left open": (
        "<body><div><form></div><p>one</p>",
        "<body><div>",
        [X],
        [INNER],
    ),
    "a form that goes on": ("<body><form><p>one</p><p>", "<body><form><p>one</p><p>", [X], [INNER]),
    "a select": ("<body><select><option class=x>a</option></select>", "<body><select>", [X], [INNER]),
    "a container of a framework's": (
        "<body><div id=root><p>one</p><p class=x>old</p></div><p>",
        "<body><div id=root><p>one</p>",
        [X],
        [INNER],
    ),
    "a framework, and an edit that survives": (
        "<body><div id=root><p class=x>old</p></div><p>",
        '<body><div id=root><p class="x y">old</p></div><p>',
        [X],
        [HIDE],
    ),
    "behind </body>": ("<body><p>one</p></body><p>", "<body><p>one</p>", [X], [INNER]),
    "no body tag": ("<p>one</p><p class=x>old</p><p>", "<p>one</p>", [X], [INNER]),
    "a style": ("<body><p>one</p>", "<body><p>one</p>", [], [{"style": ".a{}"}]),
    "what cannot be edited": ("<body><p>one</p><i class=x><p>old</i></p><p>", "<body><p>one</p>", [X], [INNER]),
}


@pytest.mark.parametrize("name", CASES)
def test_how_far_a_page_is_settled(name: str) -> None:
    came, leaves, slots, edits = CASES[name]
    got = begun((HEAD + came).encode(), slots, [experience("a", edits)])
    head = HEAD.replace("</head>", "<style>.a{}</style></head>") if "style" in edits[0] else HEAD
    assert got == (None if leaves is None else (head + leaves).encode())


def test_whole_or_nothing_is_judged_at_the_end() -> None:
    page = (HEAD + "<body><p>one</p><p class=x>old</p><p>").encode()
    assert begun(page, [X], [experience("a", [INNER], whole=True)]) == (HEAD + "<body><p>one</p>").encode()
    styled = begun(page, [X], [experience("a", [{"style": ".a{}"}], whole=True)])
    assert styled == HEAD.removesuffix("</head>").encode()


def test_a_distrusted_slot_stays_the_shops_own() -> None:
    page = (HEAD + "<body><p class=x>old</p><p>").encode()
    assert begun(page, [X], [experience("a", [INNER])], distrusted=frozenset(["x"])) == page


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html><body><p>",  # too little to know its charset
        b"\xff\xfe" + (HEAD + "<body><p>").encode(),
        (HEAD + "<body><p>" + "<div>" * 600).encode(),
    ],
)
def test_a_page_that_may_have_to_be_left_alone_waits(page: bytes) -> None:
    assert begun(page, [X], [experience("a", [INNER])]) is None


@pytest.mark.parametrize(
    ("selector", "ahead"),
    [
        ("main > .x", False),
        ("#a .b + p ~ [data-x=':last-child']", False),
        (r".md\:flex", False),
        ("li:first-child, :is(h1, h2):not(.x)", False),
        ("li:nth-child(2n + 1)", False),
        ("li:last-child", True),
        ("li:nth-last-child(2)", True),
        ("div:has(> p)", True),
        ("p:empty", True),
        ("p:only-child", True),
        ("li:not(:last-of-type)", True),
    ],
)
def test_selectors_that_look_at_what_follows(selector: str, ahead: bool) -> None:
    assert looks_ahead(selector) is ahead


def test_what_waits_is_said_in_words() -> None:
    def told(*slots: Slot, whole: bool = False) -> str:
        one = experience("a", [INNER], whole=whole)
        return waiting(Decision((one,), (), VISITOR, None, ""), slots)

    assert told(X) == ""
    first = "of a page that comes slowly, what follows the first match of x"
    assert told(ONE).startswith(first + " waits for the end")
    assert told(X, whole=True).startswith(first + " waits for the end")
    assert told(ONE, slot("z", ".z")).startswith(first + ", z waits for the end")
    nothing = "nothing of a page leaves before all of it has come: "
    assert told(ONE, slot("y", "p:empty")) == nothing + '"p:empty" looks at what follows'
    assert told(slot("y", ".y", roundtrip=True)) == nothing + 'slot "y" allows the round trip'


# --------------------------------------------------------------------------- the law: the beginning of the whole page

FINDS = (
    *("body", "div", "p", "a", "b", "span", "li", "ul", "td", "table", "h1", "form", "input", "section", "title"),
    *("div > div", "body > *", "p, b", "option", "script", "svg", "div:first-child", "li:nth-child(2)", "p + p"),
    *("h1 ~ div", "[class]", "[id]", "textarea", "pre", "template", "font", "nobr", "style", "button", "x-y"),
)
EDITS: tuple[dict[str, Any], ...] = (
    *({"remove": True}, {"hide": True}, {"add_class": "zz"}, {"inner": {"html": "<b>n</b>"}}, {"keep_first": 1}),
    *({"before": {"html": "<p>B</p>"}}, {"after": {"html": "<i>A</i>"}}, {"prepend": {"text": "P"}}),
    *({"append": {"html": "<span>S</span>"}}, {"replace": {"html": "<div>R</div>"}}, {"attributes": {"title": "x"}}),
)


def rules(pick: Callable[[Sequence[Any]], Any]) -> tuple[list[Slot], list[Experience]]:
    """Some slots, and one or two experiences that edit them, by dice."""
    slots = [
        slot(f"s{number}", pick(FINDS), expect=pick(("any", "any", "any", "one"))) for number in range(pick((1, 2, 3)))
    ]
    experiences = []
    for number in range(pick((1, 2))):
        edits: list[dict[str, Any]] = [{"slot": one.name, **pick(EDITS)} for one in slots]
        if pick((True, False, False, False)):
            edits.append({"style": ".q{}"})
        experiences.append(experience(f"e{number}", edits, whole=pick((True, *[False] * 9))))
    return slots, experiences


def merged(body: bytes) -> bool:
    """A second <html> or <body> tag gives the first one attributes: the exception that ``early`` tells of."""
    return Parsed(body, 0).merged


def faults(body: bytes, slots: list[Slot], experiences: list[Experience], cuts: Sequence[int]) -> Iterator[str]:
    """Cuts of a page at which more would leave than the whole page begins with."""
    whole = made(body, slots, experiences).body
    for cut in cuts:
        early = begun(body[:cut], slots, experiences)
        if early is not None and not whole.startswith(early) and not merged(body):
            finds = [(one.find, one.expect.value) for one in slots]
            yield f"{body[max(cut - 80, 0) : cut + 40]!r} cut at {cut}: {finds}, {early[-80:]!r}"


def checked(pages: Sequence[bytes], *, seed: int, rounds: int, cuts: int) -> int:
    """Try pages with rules by dice; how often something would have left early."""
    dice = random.Random(seed)
    wrong: list[str] = []
    left = 0
    for _ in range(rounds):
        for body in pages:
            slots, experiences = rules(dice.choice)
            at = [dice.randint(1024, len(body)) for _ in range(cuts)]
            wrong += faults(body, slots, experiences, at)
            left += sum(begun(body[:cut], slots, experiences) is not None for cut in at[:1])
    assert wrong == []
    return left


def test_the_cases_above_as_whole_pages() -> None:
    pages = [(HEAD + came + "</p></div></table></form></body></html>").encode() for came, *_ in CASES.values()]
    assert checked(pages, seed=1, rounds=4, cuts=6) > len(pages)


@pytest.mark.shared
def test_shop_pages(shared: Path) -> None:
    pages = [gzip.decompress(file.read_bytes()) for file in sorted((shared / "corpus").glob("*.html.gz"))]
    assert len(pages) == 20
    assert checked([page[:120_000] for page in pages], seed=2, rounds=2, cuts=3) > 20


@pytest.mark.shared
def test_conformance_documents(shared: Path) -> None:
    files = sorted((shared / "corpus" / "html5lib-tree-construction").glob("*.dat"))
    texts = [text for file in files for text in documents(file.read_text("utf-8", errors="surrogatepass"))]
    assert len(texts) >= 1500
    start = f"<!doctype html><html><head></head><body><!--{'x' * 1024}--><div id=w>w</div>"
    pages = [(start + text + "<p>tail</p></body></html>").encode("utf-8", "surrogatepass") for text in texts]
    dice = random.Random(3)
    wrong: list[str] = []
    for body in pages:
        slots, experiences = rules(dice.choice)
        wrong += faults(body, slots, experiences, [dice.randint(1090, len(body)) for _ in range(4)])
    assert wrong == []


TAGS = ("div", "p", "ul", "li", "form", "table", "tr", "td", "a", "b", "span", "select", "option", "svg", "template")
SOUP = st.lists(
    st.one_of(
        st.sampled_from(TAGS).map("<{}>".format),
        st.sampled_from(TAGS).map("</{}>".format),
        st.sampled_from(TAGS).map("<{0} class=x>y</{0}>".format),
        st.sampled_from(("x", " ", "\n", "&amp", "<", "<!--c-->", "</body>", "<script>'<p>'</script>")),
    ),
    max_size=16,
)


@given(SOUP, st.randoms(use_true_random=False), st.integers(0, 300))
def test_any_soup_cut_anywhere(tokens: list[str], dice: random.Random, back: int) -> None:
    body = (HEAD + "<body>" + "".join(tokens) + "</body></html>").encode()
    slots, experiences = rules(dice.choice)
    cuts = {max(1, len(body) - back), len(body) - 14, dice.randint(len(HEAD), len(body))}
    assert list(faults(body, slots, experiences, sorted(cuts))) == []
