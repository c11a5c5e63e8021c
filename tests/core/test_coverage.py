"""Who sees what, by the rules alone: each case is a few rules and what the matrix says of them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.audiences import named
from edgeproxy.core.coverage import Coverage, Entry, coverage, status
from edgeproxy.core.decide import decide
from edgeproxy.core.explain import taker
from edgeproxy.core.model import NOBODY, Facts, PageRequest, RuleBook, Source, Visitor
from edgeproxy.core.overlap import meet, within
from edgeproxy.core.paths import compile_paths
from tests.world import NOON, book_of

SHOP = """
format = 1
timezone = "UTC"
stages = ["new", "loyal", "gone"]
segments = ["outdoor", "staff"]
without_cookie = "new"
"""
SLOTS = '[hero]\nfind = "#hero"\non = "/"\n[menu]\nfind = "#menu"\n'
AUDIENCES = """
[newcomers]
stage = "new"
[regulars]
stage = "loyal"
[hikers]
stage = "loyal"
segment = "outdoor"
not = { segment = "staff" }
[back-again]
stage = "loyal"
visits = { at_least = 3 }
[nobody]
stage = "loyal"
not = { stage = ["new", "loyal"] }
"""
TAKES = '[[edit]]\nslot = "hero"\ninner = { text = "x" }\n'
BESIDE = '[[edit]]\nslot = "hero"\nbefore = { text = "x" }\n'


def book(order: str = "", shop: str = SHOP, slots: str = SLOTS, **experiences: str) -> RuleBook:
    names = [f'"{name.replace("_", "-")}"' for name in experiences]
    files: Mapping[str, str] = {
        "shop.toml": shop + f"order = [{', '.join(names)}]\n",
        "slots.toml": slots,
        "audiences.toml": AUDIENCES,
        **{f"experiences/{name.replace('_', '-')}.toml": text for name, text in experiences.items()},
    }
    return book_of(files)


def seen(rules: RuleBook) -> Coverage:
    return coverage(rules, NOON)


def entries(found: Coverage, audience: str, slot: str = "hero") -> dict[str, tuple[str, str]]:
    """Experience → kind and why, in one cell."""
    row = [one.name for one in found.rows].index(audience)
    cell = found.cells[row][found.slots.index(slot)]
    assert cell.kind == (min((one.kind for one in cell.entries), key=KINDS.index) if cell.entries else "")
    return {one.experience: (one.kind, one.why) for one in cell.entries}


KINDS = ("all", "some", "beside", "later", "never")


def test_an_experience_for_an_audience_has_the_slot_for_all_of_it_and_for_a_part_of_a_wider_one() -> None:
    found = seen(book(trail='for = "hikers"\n' + TAKES))
    assert entries(found, "hikers") == {"trail": ("all", "")}
    assert entries(found, "regulars") == {"trail": ("some", "for those who are also hikers")}
    assert entries(found, "newcomers") == {}


@pytest.mark.parametrize(
    ("more", "kind", "why"),
    [
        ('when = { device = "mobile" }', "some", "by device"),
        ('share = "25%"', "some", "for 25 % of them"),
        ('share = "0%"', "never", "share is 0 %"),
        ("enabled = false", "never", "off: enabled = false in rules/experiences/one.toml"),
        ("until = 2026-05-01", "never", "its schedule is over: ended 2026-05-01"),
        ("until = 2026-07-01", "some", "until 2026-07-01"),
        ("from = 2026-07-01", "later", "begins 2026-07-01"),
        ('on = "/c/**"', "never", "its on (/c/**) and the slot's (/) have no page in common"),
        ('on = ["/", "/c/**"]', "all", ""),
    ],
)
def test_what_narrows_an_experience_or_keeps_it_from_everybody(more: str, kind: str, why: str) -> None:
    found = seen(book(one=f'for = "regulars"\n{more}\n{TAKES}'))
    assert entries(found, "regulars") == {"one": (kind, why)}
    assert [(one.experience, one.why) for one in found.unreached] == ([("one", why)] if kind == "never" else [])


def test_what_stands_beside_takes_nothing_and_shadows_nobody() -> None:
    found = seen(book(note='for = "regulars"\n' + BESIDE, shelf='for = "regulars"\n' + TAKES))
    assert entries(found, "regulars") == {"note": ("beside", ""), "shelf": ("all", "")}


def test_who_is_always_behind_somebody_else_is_never_seen() -> None:
    found = seen(book(first='for = "regulars"\n' + TAKES, second='for = "hikers"\n' + TAKES))
    assert entries(found, "hikers")["second"] == ("never", "always shadowed by first, which comes first")
    assert [(one.experience, one.where) for one in found.unreached] == [("second", "rules/experiences/second.toml:1")]


def test_two_narrower_ones_together_shadow_a_wider_one() -> None:
    rules = book(
        hikers='for = "hikers"\n' + TAKES,
        rest='for = "regulars"\n' + TAKES,
        everybody='for = ["regulars", "newcomers"]\n' + TAKES,
    )
    found = seen(rules)
    assert entries(found, "regulars")["rest"] == ("some", "behind hikers")
    assert entries(found, "regulars")["everybody"] == ("never", "always shadowed by hikers and rest, which come first")
    assert entries(found, "newcomers")["everybody"] == ("all", "")
    assert found.unreached == ()


@pytest.mark.parametrize(
    "first", ['share = "50%"', 'when = { device = "mobile" }', "until = 2026-07-01", "from = 2026-07-01"]
)
def test_who_is_not_always_there_shadows_nobody_for_ever(first: str) -> None:
    rules = book(first=f'for = "regulars"\n{first}\n{TAKES}', second='for = "regulars"\n' + TAKES)
    assert entries(seen(rules), "regulars")["second"][0] == "some"


def test_what_only_memory_can_tell_is_claimed_of_nobody() -> None:
    rules = book(first='for = "back-again"\n' + TAKES, second='for = "regulars"\n' + TAKES)
    found = seen(rules)
    assert entries(found, "regulars")["first"] == ("some", "for those who are also back-again")
    assert entries(found, "regulars")["second"] == ("some", "behind first")
    assert entries(found, "back-again")["second"] == ("some", "behind first")
    either = book(first='for = ["back-again", "hikers"]\n' + TAKES, second='for = "regulars"\n' + TAKES)
    assert entries(seen(either), "regulars")["second"] == ("some", "behind first")


@pytest.mark.parametrize("more", ['purpose = "sell"', 'cap = "2 a week"'])
def test_what_a_visitor_may_decline_or_see_often_enough_shadows_nobody_for_ever(more: str) -> None:
    rules = book(first=f'for = "regulars"\n{more}\n{TAKES}', second='for = "regulars"\n' + TAKES)
    assert entries(seen(rules), "regulars")["second"][0] == "some"


def test_a_schedule_inside_anothers_is_shadowed() -> None:
    rules = book(
        first='for = "regulars"\nfrom = 2026-01-01\nuntil = 2027-01-01\n' + TAKES,
        second='for = "regulars"\nfrom = 2026-11-01\nuntil = 2026-12-01\n' + TAKES,
    )
    assert entries(seen(rules), "regulars")["second"][0] == "never"


def test_an_audience_that_nobody_can_be_of() -> None:
    found = seen(book(one='for = "nobody"\n' + TAKES))
    row = next(row for row in found.rows if row.name == "nobody")
    assert row.impossible == "no combination of stage and segments can be of it"
    assert [one.experience for one in found.unreached] == ["one"]
    assert [row.name for row in found.rows if row.impossible] == ["nobody"]


def test_the_unknown_are_nobody_where_strangers_are_left_untouched() -> None:
    shop = SHOP.replace('without_cookie = "new"', 'without_cookie = "untouched"')
    found = seen(book(one='for = "unknown"\n' + TAKES, shop=shop))
    assert next(row for row in found.rows if row.name == "unknown").impossible.startswith("without_cookie")
    assert (
        next(row for row in seen(book(one='for = "unknown"\n' + TAKES)).rows if row.name == "unknown").impossible == ""
    )


def test_visitors_for_whom_there_is_nothing_are_named() -> None:
    found = seen(book(one='for = ["newcomers", "regulars"]\n' + TAKES))
    assert found.left_out == ('stage "gone"', "no stage")
    assert seen(book(one='for = "everyone"\n' + TAKES)).left_out == ()


def test_a_slot_that_is_off_and_pages_that_nobody_edits() -> None:
    off = seen(book(one='for = "everyone"\n' + TAKES, slots=SLOTS.replace("[menu]", "enabled = false\n[menu]")))
    assert entries(off, "everyone")["one"] == ("never", "the slot is off: enabled = false at rules/slots.toml:1")
    shop = SHOP + 'never = "/c/**"\n'
    found = seen(book(one='for = "everyone"\non = "/c/boots"\n[[edit]]\nslot = "menu"\nremove = true\n', shop=shop))
    assert entries(found, "everyone", "menu")["one"] == (
        "never",
        "nobody ever edits /c/boots: never in rules/shop.toml",
    )


def test_the_kill_switch_is_the_reason_for_everything() -> None:
    found = seen(book(one='for = "everyone"\n' + TAKES, shop=SHOP + "enabled = false\n"))
    assert "the whole shop is off" in entries(found, "everyone")["one"][1]


def test_a_style_needs_no_slot() -> None:
    found = seen(book(one='for = "regulars"\n[[edit]]\nstyle = "p { margin: 0 }"\n'))
    assert found.slots[-1] == "style"
    assert entries(found, "regulars", "style") == {"one": ("beside", "")}


def test_where_there_are_too_many_labels_nothing_is_claimed() -> None:
    labels = [f"s{number}" for number in range(20)]
    quoted = ", ".join(f'"{label}"' for label in labels)
    shop = SHOP.replace('segments = ["outdoor", "staff"]', f'segments = ["outdoor", "staff", {quoted}]')
    rules = book_of(
        {
            "shop.toml": shop,
            "slots.toml": SLOTS,
            "audiences.toml": f"[many]\nsegment = [{quoted}]\nnot = {{ all_segments = [{quoted}] }}\n",
            "experiences/one.toml": 'for = "many"\n' + TAKES,
            "experiences/two.toml": 'for = "many"\n' + TAKES,
        }
    )
    found = coverage(rules, NOON)
    assert entries(found, "many") == {"one": ("some", ""), "two": ("some", "")}
    assert found.unreached == ()


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ("", "live"),
        ("enabled = false", "off"),
        ("from = 2026-07-01", "waits"),
        ("until = 2026-06-01", "over"),
        ('share = "0%"', "off"),
    ],
)
def test_where_an_experience_stands_today(more: str, wanted: str) -> None:
    rules = book(one=f'for = "regulars"\n{more}\n{TAKES}')
    assert status(rules.experiences[0], rules, NOON) == wanted


def test_an_entry_says_where_it_is_written() -> None:
    found = seen(book(one='for = "regulars"\n\n' + TAKES))
    row = [one.name for one in found.rows].index("regulars")
    assert found.cells[row][0].entries == (Entry("one", ("inner",), "all", "", "rules/experiences/one.toml:3"),)


# ------------------------------------------------------------------ pages in common


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ("/", "/", True),
        ("/", "/c", False),
        ("/c/**", "/c", True),
        ("/c/**", "/c/", True),
        ("/c/**", "/c/a/b", True),
        ("/c/**", "/d/**", False),
        ("/**", "/c/*", True),
        ("/c/*", "/c/a/b", False),
        ("/c/*/x", "/c/**", True),
        ("/*-boots", "/red-*", True),
        ("/*-boots", "/red-shoes", False),
        ("/a*", "/b*", False),
        ("/c/**/x", "/c/**/y", False),
        ("/c**x", "/d", True),  # cannot tell
        ("!/c/**", "/c/a", True),  # exclusions are not looked into
    ],
)
def test_two_patterns_have_a_page_in_common(a: str, b: str, wanted: bool) -> None:
    one, other = compile_paths([a]), compile_paths([b])
    assert meet(one, other) is meet(other, one) is wanted
    assert meet(one, None)
    assert meet(None, other)


@pytest.mark.parametrize(
    ("inner", "outer", "wanted"),
    [
        (["/"], ["/", "/c/**"], True),
        (["/c/boots"], ["/c/**"], True),
        (["/c/**"], ["/c/**", "/"], True),
        (["/c/outdoor/**"], ["/c/**"], True),
        (["/c/**"], ["/c/outdoor/**"], False),
        (["/", "/d"], ["/"], False),
        (["/c/**"], ["/**", "!/c/x"], False),
        (["/c/a"], ["/**", "!/c/x"], True),
        (["/**", "!/x"], ["/**", "!/x"], True),
    ],
)
def test_one_set_of_patterns_lies_within_another(inner: list[str], outer: list[str], wanted: bool) -> None:
    assert within(compile_paths(inner), compile_paths(outer)) is wanted
    assert within(compile_paths(inner), None)
    assert within(None, compile_paths(outer)) is (outer == ["/**"])


# ------------------------------------------------------------------ what it claims, held against decisions

NAMED = ("newcomers", "regulars", "hikers", "everyone", "unknown")
VISITORS = st.builds(
    Visitor,
    st.sampled_from(["new", "loyal", "gone", None]),
    st.sampled_from([(), ("outdoor",), ("staff",), ("outdoor", "staff")]),
    st.sampled_from([None, "q7Hk2m"]),
    st.just(Source.COOKIE),
) | st.just(NOBODY)

NARROWING = (
    "enabled = false",
    'share = "0%"',
    'share = "50%"',
    "until = 2026-05-01",
    "from = 2026-07-01",
    'on = "/"',
    'on = "/c/**"',
    'when = { device = "mobile" }',
    'purpose = "sell"',
)


@st.composite
def experiences(draw: st.DrawFn) -> str:
    audiences = draw(st.lists(st.sampled_from(NAMED), min_size=1, max_size=2, unique=True))
    lines = [f"for = {audiences}".replace("'", '"')]
    lines += draw(
        st.lists(
            st.sampled_from(NARROWING),
            max_size=1,
        )
    )
    return "\n".join(lines) + "\n" + draw(st.sampled_from([TAKES, BESIDE]))


@given(st.lists(experiences(), min_size=1, max_size=4), VISITORS, st.sampled_from(["?1", "?0"]))
def test_a_claim_holds_for_every_visitor(texts: list[str], visitor: Visitor, mobile: str) -> None:
    """Never reached: no decision comes to it.  All: whoever is surely of that audience gets it."""
    rules = book(**{f"e{place}": text for place, text in enumerate(texts)})
    found = seen(rules)
    headers = ((b"sec-ch-ua-mobile", mobile.encode()),)
    request = PageRequest("GET", "https", "shop.example", "/", "", headers, NOON)
    decision = decide(rules, visitor, request)
    has = taker("hero", decision.fitting)
    facts = Facts(decision.visitor, request, rules.shop)
    for row in found.rows:
        if not named(rules.audiences, row.name).test.holds(facts):
            continue
        assert not row.impossible
        for name, (kind, why) in entries(found, row.name).items():
            assert kind != "never" or has != name, (row.name, name, why)
            assert kind != "all" or has == name, (row.name, name)
    for one in found.unreached:
        assert has != one.experience
