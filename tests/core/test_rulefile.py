"""The rule file parser: every kind of mistake with its place, and the book that good files make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproxy.core.model import Choice, Consent, ConsentForm, Fragment, Piece, RuleBook, Severity, Source, Visitor
from edgeproxy.core.rulefile import Parsed, parse, version
from edgeproxy.html.checks import HtmlMarkup
from tests.core.rule_cases import HERE, Case, base, read_cases

MARKUP = HtmlMarkup()
NOW = 1_800_000_000.0  # 2027-01-15
CASES = [
    pytest.param(case, id=f"{file.stem}: {case.title}")
    for file in sorted(HERE.glob("*.txt"))
    for case in read_cases(file)
]


def read(files: Mapping[str, bytes | str], **more: Any) -> Parsed:
    """The base folder with these files in it."""
    texts = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return parse({**base(), **texts}, markup=MARKUP, now=NOW, **more)


def book_of(files: Mapping[str, bytes | str]) -> RuleBook:
    parsed = read(files)
    assert parsed.book is not None, "\n".join(map(str, parsed.problems))
    return parsed.book


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_mistake(case: Case) -> None:
    parsed = parse(case.files, markup=MARKUP, now=NOW)
    assert list(map(str, parsed.problems)) == case.problems
    assert (parsed.book is None) is bool(parsed.mistakes)


def test_the_base_of_the_cases_is_fine() -> None:
    assert read({}).problems == ()


def test_the_least_folder_has_no_experience() -> None:
    parsed = parse({"shop.toml": b"format = 1\n"}, markup=MARKUP)
    assert parsed.book is not None
    assert parsed.book.experiences == ()
    assert parsed.book.shop.without_cookie is None
    assert parsed.book.shop.timezone == "UTC"
    assert parsed.problems == ()


def test_an_empty_folder_says_what_is_missing() -> None:
    assert [str(one) for one in parse({}, markup=MARKUP).problems] == [
        "rules/shop.toml: is missing (every rules folder has one; `edgeproxy init` makes a start)"
    ]


def test_places_begin_with_the_folders_name() -> None:
    assert str(read({"shop.toml": "x"}, folder="my-rules").problems[0]).startswith("my-rules/shop.toml:1:2: ")


FULL: dict[str, bytes | str] = {
    "shop.toml": """
        format = 1
        timezone = "Europe/Stockholm"
        stages = ["new", "loyal"]
        segments = ["outdoor", "city"]
        without_cookie = "new"
        order = ["second", "first"]
        never = ["/checkout/**"]
        enabled = false
        language = "sv"
        consent = { tool = "cookiebot", categories = ["preferences", "statistics"], cookie = "CookieConsent" }
    """,
    "lifecycle.toml": """
        categories = ["phones", "cases"]
        [events]
        order = "/checkout/thank-you"
        basket = ["/basket/added", "/sv/korg/**"]
        [[stage]]
        name = "new"
        says = "Everybody"
        [[stage]]
        name = "loyal"
        visits = { at_least = 2, at_most = 900 }
        page_views = { at_least = 5 }
        orders = { at_least = 1 }
        first_visit = { before = "7 days" }
        last_visit = { within = "30 days" }
        last_order = { within = "365 days", before = "2 hours" }
        bought = ["phones"]
        signed_in = true
        prefers = ["full", "simple"]
        csat = { at_least = 3 }
        nps = { at_most = 10 }
        not = { came_back_after = "60 days" }
        [[stage]]
        name = "loyal"
        orders = { at_least = 9 }
    """,
    "slots.toml": """
        [home-hero]
        says = "The picture"
        find = "#hero"
        on = ["/", "/c/**"]
        expect = "any"
        enabled = false
        roundtrip = true
        [mega-menu]
        find = "#menu"
    """,
    "audiences.toml": """
        [regulars]
        says = "They come often"
        stage = "loyal"
        not = { segment = "city" }
    """,
    "experiences/calm-start.toml": """
        for = "everyone"
        [[edit]]
        slot = "mega-menu"
        add_class = "calm"
    """,
    "experiences/first.toml": """
        says = "First"
        for = ["regulars", "unknown"]
        because = "It helps"
        purpose = "inform"
        owner = "web@shop.example"
        on = "/c/**"
        when = { device = "mobile", query = { color = "red" } }
        from = 2026-11-01
        until = 2027-02-01T12:00:00+00:00
        share = "12.5%"
        whole = true
        enabled = false
        [[edit]]
        slot = "home-hero"
        inner = { text = "a < b {{ stage }}" }
        [[edit]]
        slot = "home-hero"
        before = "curated-{segment}.html"
        or_else = { html = "<p></p>" }
        [[edit]]
        style = "p { color: red }"
    """,
    "experiences/second.toml": """
        for = "everyone"
        [[edit]]
        slot = "mega-menu"
        replace = "{stage}/{segment}.html"
        share = 1
    """.replace("share = 1", ""),
    "fragments/curated-city.html": "<p>{{ segment }}</p>",
    "fragments/loyal/outdoor.html": "<p></p>",
    "fragments/new/city.html": "<p></p>",
    "personas.toml": """
        [anna]
        says = "Loyal"
        stage = "loyal"
        segments = ["outdoor"]
        id = "a1"
        [nobody]
        cookie = false
        [hanna]
        visits = 4
        page_views = 3
        first_visit = "60 days"
        last_visit = "4 days"
        orders = 2
        last_order = "10 days"
        bought = ["phones"]
        signed_in = true
        prefers = "simple"
        csat = 4
        nps = 9
    """,
    "tests/home.toml": """
        [[test]]
        it = "is calm"
        persona = "anna"
        page = "/c/x?y=1"
        at = 2026-12-24T10:00:00
        shows = { home-hero = "first", mega-menu = "the shop's own" }
        has = "a"
        without = ["b", "c"]
        device = "mobile"
        language = "sv"
        came_from = "köp.example"
        country = "SE"
        headers = { X-Test = "1" }
        [[test]]
        it = "asks as a stranger"
        page = "/"
        has = "x"
        [[test]]
        it = "asks as somebody"
        visitor = { stage = "new", segment = "city" }
        page = "/"
        has = "x"
    """,
    "tests/pages/index.html": b"\xff not read here",
    "tests/pages/pages.toml": "nor this",
}


@pytest.fixture(scope="module")
def full() -> RuleBook:
    return book_of(FULL)


def test_the_shop(full: RuleBook) -> None:
    shop = full.shop
    assert (shop.timezone, shop.stages, shop.segments) == ("Europe/Stockholm", ("new", "loyal"), ("outdoor", "city"))
    assert (shop.without_cookie, shop.enabled, shop.language) == ("new", False, "sv")
    assert shop.never is not None
    assert shop.never.touches("/checkout")
    assert str(shop.where) == "rules/shop.toml"


def test_slots(full: RuleBook) -> None:
    hero, menu = full.slots.values()
    assert (hero.name, hero.find, hero.expect.value) == ("home-hero", "#hero", "any")
    assert (hero.enabled, hero.roundtrip, hero.says) == (False, True, "The picture")
    assert hero.on is not None
    assert hero.on.texts == ("/", "/c/**")
    assert str(hero.where) == "rules/slots.toml:2:10"
    assert (menu.on, menu.expect.value, menu.enabled, menu.roundtrip) == (None, "one", True, False)


def test_the_lifecycle(full: RuleBook) -> None:
    life = full.lifecycle
    assert life is not None
    assert [(stage.name, stage.says, stage.test is None) for stage in life.stages] == [
        ("new", "Everybody", True),
        ("loyal", "", False),
        ("loyal", "", False),
    ]
    assert (life.categories, {name: pages.texts for name, pages in life.events.items()}) == (
        ("phones", "cases"),
        {"order": ("/checkout/thank-you",), "basket": ("/basket/added", "/sv/korg/**")},
    )
    assert full.recall is not None
    assert full.recall.page_views == 5
    assert len(full.recall.conditions) == 13
    assert full.recall.where.file == "rules/lifecycle.toml"


def test_a_book_that_looks_at_no_memory_remembers_nothing() -> None:
    assert book_of({}).recall is None


def test_consent(full: RuleBook) -> None:
    wanted = ("preferences", "statistics")
    assert full.shop.consent == Consent(True, "CookieConsent", ConsentForm.COOKIEBOT, wanted)


def test_audiences(full: RuleBook) -> None:
    regulars = full.audiences["regulars"]
    assert regulars.says == "They come often"
    assert regulars.test.facts() == {"stage", "segments", "source"}
    assert str(regulars.where) == "rules/audiences.toml:2:10"


def test_experiences_stand_in_the_order_in_which_they_are_tried(full: RuleBook) -> None:
    assert [one.name for one in full.experiences] == ["second", "first", "calm-start"]


def test_an_experience(full: RuleBook) -> None:
    first = full.experiences[1]
    assert (first.says, first.because, first.purpose) == ("First", "It helps", "inform")
    assert (first.owner, first.audiences) == ("web@shop.example", ("regulars", "unknown"))
    assert first.on is not None
    assert first.on.texts == ("/c/**",)
    assert first.when is not None
    assert first.when.facts() == {"device", "query.color"}
    assert (first.begins, first.ends) == (1793487600.0, 1801483200.0)
    assert (first.share, first.whole, first.enabled) == (0.125, True, False)
    assert first.where.short == "rules/experiences/first.toml:1"
    assert [(edit.slot, edit.action.verb, edit.where.line) for edit in first.edits] == [
        ("home-hero", "inner", 14),
        ("home-hero", "before", 17),
        (None, "style", 21),
    ]


def test_an_experience_that_says_little_is_for_everybody_always(full: RuleBook) -> None:
    calm = full.experiences[2]
    assert (calm.on, calm.when, calm.begins, calm.ends, calm.share) == (None, None, None, None, 1.0)
    assert (calm.whole, calm.enabled, calm.purpose) == (False, True, "")


def test_content_that_is_said_in_the_rule_itself(full: RuleBook) -> None:
    content = full.experiences[1].edits[0].content
    assert isinstance(content, Fragment)
    assert content.parts == ("a &lt; b ", Piece("stage", "text"))
    assert content.path == "rules/experiences/first.toml:16"


def test_content_that_picks_by_segment(full: RuleBook) -> None:
    content = full.experiences[1].edits[1].content
    assert isinstance(content, Choice)
    assert (content.template, content.by_stage, content.by_both) == ("curated-{segment}.html", {}, {})
    assert {name: one.path for name, one in content.by_segment.items()} == {"city": "curated-city.html"}
    assert content.or_else is not None
    assert content.or_else.parts == ("<p></p>",)


def test_content_that_picks_by_both_keeps_the_shops_order(full: RuleBook) -> None:
    content = full.experiences[0].edits[0].content
    assert isinstance(content, Choice)
    assert list(content.by_both) == [("outdoor", "loyal"), ("city", "new")]
    assert content.or_else is None


def test_content_that_picks_by_stage() -> None:
    rule = 'for = "everyone"\n[[edit]]\nslot = "mega-menu"\nbefore = "{stage}.html"\n'
    files = {"experiences/calm-start.toml": rule, "fragments/loyal.html": "<p></p>", "fragments/new.html": "<p></p>"}
    content = book_of(files).experiences[0].edits[0].content
    assert isinstance(content, Choice)
    assert list(content.by_stage) == ["new", "loyal"]


def test_fragments_remember_their_file(full: RuleBook) -> None:
    content = full.experiences[1].edits[1].content
    assert isinstance(content, Choice)
    assert str(content.by_segment["city"].where) == "rules/fragments/curated-city.html"
    assert content.by_segment["city"].placeholders == {"segment"}


def test_personas(full: RuleBook) -> None:
    assert full.personas["anna"].visitor == Visitor("loyal", ("outdoor",), "a1", Source.PREVIEW)
    assert full.personas["nobody"].visitor.source is Source.NOBODY


def test_rule_tests(full: RuleBook) -> None:
    calm, stranger, somebody = full.tests
    assert (calm.it, calm.page, calm.at) == ("is calm", "/c/x?y=1", 1798102800.0)
    assert calm.visitor == full.personas["anna"].visitor
    assert calm.shows == {"home-hero": "first", "mega-menu": None}
    assert (calm.has, calm.without, calm.country) == (("a",), ("b", "c"), "SE")
    assert calm.headers == (
        (b"sec-ch-ua-mobile", b"?1"),
        (b"accept-language", b"sv"),
        (b"referer", b"https://xn--kp-fka.example/"),
        (b"x-test", b"1"),
    )
    assert calm.where.short == "rules/tests/home.toml:2"
    assert (stranger.visitor.source, stranger.at, stranger.headers) == (Source.NOBODY, None, ())
    assert somebody.visitor == Visitor("new", ("city",), None, Source.PREVIEW)


def test_the_book_knows_every_fact_that_rules_look_at(full: RuleBook) -> None:
    assert full.facts == {"source", "stage", "segments", "device", "query.color", "id"}
    assert book_of({}).facts == {"source", "stage"}
    everybody = 'for = "everyone"\n[[edit]]\nslot = "mega-menu"\nbefore = "steps.html"\n'
    assert book_of({"experiences/calm-start.toml": everybody}).facts == {"source"}
    shown = {"experiences/calm-start.toml": everybody, "fragments/steps.html": "{{ segment }} {{ path }}"}
    assert book_of(shown).facts == {"source", "segments"}


def test_warnings_go_with_the_book(full: RuleBook) -> None:
    assert full.warnings
    assert all(one.severity is Severity.WARNING for one in full.warnings)


def test_a_file_that_cannot_be_read_is_one_mistake_and_no_more() -> None:
    files = {name: data for name, data in base().items() if name not in {"slots.toml", "fragments/steps.html"}}
    unread = {"slots.toml": "cannot be read: denied", "fragments/steps.html": "is a folder, not a file"}
    parsed = parse(files, markup=MARKUP, unread=unread)
    assert [str(one) for one in parsed.problems] == [
        "rules/fragments/steps.html: is a folder, not a file",
        "rules/slots.toml: cannot be read: denied",
    ]


def test_a_big_file_is_refused_before_it_is_read() -> None:
    parsed = read({"fragments/steps.html": b"<p></p>" + b" " * (1 << 20), "slots.toml": b"#" * (1 << 20)})
    assert "rules/fragments/steps.html: is bigger than 1 MiB (rule files are small)" in map(str, parsed.problems)
    assert not [one for one in parsed.problems if one.where.file == "rules/slots.toml"]


# --------------------------------------------------------------------------- the version


def test_the_version_is_of_every_name_and_byte() -> None:
    book = book_of({})
    assert len(book.version) == 12
    assert int(book.version, 16) >= 0
    assert book_of({}).version == book.version
    assert book_of({"shop.toml": base()["shop.toml"] + b"\n"}).version != book.version
    assert book_of({"tests/pages/index.html": b"x"}).version == book.version


@given(st.dictionaries(st.text(max_size=3), st.binary(max_size=3), max_size=3))
def test_two_folders_have_two_versions(files: dict[str, bytes]) -> None:
    assert version(dict(reversed(files.items()))) == version(files)
    assert version({**files, "more": b""}) != version(files)
    joined = {"".join(files): b"".join(files.values())}
    assert joined == files or version(joined) != version(files)


# --------------------------------------------------------------------------- whatever stands in a file

FILES = sorted({*base(), "personas.toml", "tests/home.toml"})
WORDS = [
    "find",
    "on",
    "for",
    "edit",
    "slot",
    "stage",
    "not",
    "when",
    "share",
    "from",
    "test",
    "visitor",
    "order",
    "says",
    "x",
]
toml_value = st.recursive(
    st.sampled_from(
        ["1", "true", "2026-11-01", "nan", "''", "'/'", "'new'", "'home-hero'", "'{segment}.html'", "07:00:00"]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        st.dictionaries(st.sampled_from(WORDS), inner, max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key} = {one}" for key, one in pairs.items()) + "}"
        ),
    ),
    max_leaves=5,
)
toml_lines = st.one_of(
    st.tuples(st.sampled_from(WORDS), toml_value).map(" = ".join),
    st.sampled_from(["[[edit]]", "[[test]]", "[x]", "[when]", "[x.not]", "# c"]),
)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(FILES), st.lists(toml_lines, max_size=6).map("\n".join), min_size=1))
def test_whatever_stands_in_a_file_is_told_with_its_place(files: dict[str, str]) -> None:
    parsed = read(files)
    assert (parsed.book is None) is bool(parsed.mistakes)
    assert list(parsed.problems) == sorted(parsed.problems, key=lambda one: one.where)
    for one in parsed.problems:
        assert one.where.file.startswith("rules/")
        assert one.what
        assert "\n" not in str(one)


@given(st.sampled_from(FILES), st.binary(max_size=60))
def test_any_bytes_at_all(name: str, data: bytes) -> None:
    read({name: data})
