"""Variants of stored pages: the page that ``personalise`` makes, found again by page and edits and never by visitor."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.assembly import Assembled, Assembly, Order
from edgeproxy.core.model import Decision, Experience, PageRequest, RuleBook, Source, Visitor
from edgeproxy.html.model import Splice
from edgeproxy.personalise import personalise
from edgeproxy.plans import Plans, digest_of
from edgeproxy.trail import Tally
from edgeproxy.variants import Variants
from tests.html.making import book, choice, experience, slot, whole

PAGE = whole("<div id=x class=a>old</div><ul id=u><li>1</li><li>2</li><li>3</li></ul><p id=p>x</p>").encode()
NONCE = "script-src 'nonce-r4nd0m'"
SLOTS = [slot("x", "#x"), slot("u", "#u"), slot("p", "#p"), slot("twice", "li")]
CURATED = choice(
    "c-{segment}.html", segments={"outdoor": "<b>{{ segment }}</b>", "city": "<b>c</b>"}, or_else="<i>0</i>"
)
EXPERIENCES = [
    experience("plain", [{"slot": "x", "inner": {"text": "new"}}]),
    experience("same", [{"slot": "x", "inner": {"html": "new"}}]),
    experience("stage", [{"slot": "p", "append": {"html": "<b>{{ stage }}</b>"}}]),
    experience("path", [{"slot": "p", "append": {"html": "<b>{{ path }}</b>"}}]),
    experience("chosen", [{"slot": "x", "replace": CURATED}]),
    experience("cut", [{"slot": "u", "keep_first": 1}, {"slot": "twice", "hide": True}]),
    experience("nonce", [{"slot": None, "style": "p { color: red }"}]),
]
VISITORS = st.builds(
    Visitor,
    st.sampled_from(["new", "loyal", None]),
    st.sampled_from([(), ("outdoor",), ("city",), ("outdoor", "city")]),
    st.none() | st.sampled_from(["a", "b"]),
    st.just(Source.COOKIE),
)
FITTING = st.lists(st.sampled_from(EXPERIENCES), unique_by=lambda one: one.name, max_size=4)


class Shelf:
    """An assembly, asked as the proxy does."""

    def __init__(self) -> None:
        self.variants = Variants(ThreadPoolExecutor(1))
        self.assembly = Assembly(Plans(), self.variants)
        self.book: RuleBook = book(SLOTS, EXPERIENCES)

    def get(
        self,
        fitting: list[Experience],
        visitor: Visitor,
        *,
        path: str = "/",
        csp: str | None = None,
        body: bytes = PAGE,
        distrusted: frozenset[str] = frozenset(),
    ) -> Assembled:
        decision = Decision(tuple(fitting), (), visitor, None, self.book.version)
        request = PageRequest("GET", "https", "shop.example", path, "", (), 0.0)
        order = Order(digest_of(body), self.book, decision, request, "text/html; charset=utf-8", csp, distrusted)
        known = self.assembly.known(order)
        got = self.assembly.of(order, body)
        alone = personalise(self.book, decision, request, body, order.content_type, csp=csp, distrusted=distrusted)
        for one in (got, known or got):
            assert one.variant.clear(body) == alone.body
            assert one.tally == Tally.of(alone.placing)
            assert one.changed is (alone.body is not body)
        return known or got


@given(
    st.lists(
        st.tuples(
            FITTING, VISITORS, st.sampled_from(["/", "/c"]), st.sampled_from([None, NONCE]),
            st.sampled_from([frozenset(), frozenset({"x"})]),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_law_3_whoever_asks_gets_what_would_be_made_for_them_alone(
    cases: list[tuple[list[Experience], Visitor, str, str | None, frozenset[str]]],
) -> None:
    shelf = Shelf()
    for fitting, visitor, path, csp, distrusted in cases:
        got = shelf.get(fitting, visitor, path=path, csp=csp, distrusted=distrusted)
        placeable = any(edit.slot is None or edit.slot in shelf.book.slots for one in fitting for edit in one.edits)
        assert got.shareable is not (csp == NONCE and placeable), "a page with a nonce is never shared"


def test_law_3_two_visitors_with_the_same_edits_share_one_variant() -> None:
    shelf = Shelf()
    one, other = Visitor("new", ("city",), "a", Source.COOKIE), Visitor("loyal", (), "b", Source.COOKIE)
    plain, same, stage, chosen = EXPERIENCES[0], EXPERIENCES[1], EXPERIENCES[2], EXPERIENCES[4]
    first = shelf.get([plain], one).variant
    assert shelf.get([plain], other).variant is first
    assert shelf.get([same], other).variant is first, "other rules that come to the same bytes"
    assert shelf.get([stage], one).variant is not shelf.get([stage], other).variant
    assert shelf.get([chosen], one).variant is not shelf.get([chosen], other).variant
    assert len(shelf.variants) == 5


def test_law_3_a_path_in_a_page_is_never_another_pages() -> None:
    shelf = Shelf()
    visitor = Visitor("new", (), None, Source.COOKIE)
    here, there = (shelf.get([EXPERIENCES[3]], visitor, path=path).variant for path in ("/here", "/there"))
    assert here is not there
    assert [b"<b>/here</b>" in here.clear(PAGE), b"<b>/there</b>" in there.clear(PAGE)] == [True, True]


def test_a_page_with_a_nonce_is_not_remembered_and_its_variant_not_kept() -> None:
    shelf = Shelf()
    visitor = Visitor("new", (), None, Source.COOKIE)
    got = shelf.get([EXPERIENCES[6]], visitor, csp=NONCE.replace("script", "style"))
    assert b'nonce="r4nd0m"' in got.variant.clear(PAGE)
    assert (got.shareable, len(shelf.variants)) == (False, 0)


def test_what_was_dropped_is_made_again() -> None:
    shelf = Shelf()
    visitor = Visitor("new", (), None, Source.COOKIE)
    first = shelf.get([EXPERIENCES[0]], visitor)
    key, splices = first.variant.key, first.variant.splices
    assert splices == (Splice(splices[0].start, splices[0].end, b"new"),)
    shelf.variants.clear()
    del first
    again = shelf.get([EXPERIENCES[0]], visitor)
    assert (again.variant.key, again.variant.splices) == (key, splices)
