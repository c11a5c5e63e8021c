"""Lanes: which responses may be touched, which are personal, and until when."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeproxy.core.decide import decide
from edgeproxy.core.model import NOBODY, Lane, LaneKind, PageRequest, RuleBook, Visitor
from edgeproxy.core.policy import in_force, is_document, lane, next_change, response_lane
from edgeproxy.core.schedule import from_text, zone
from tests.core.books import DISBELIEVED, NOW, ask, book, plain, shop_of, who

STOCKHOLM = zone("Europe/Stockholm")
PASS, PRIVATE = LaneKind.PASS, LaneKind.PRIVATE


def taken(request: PageRequest, visitor: Visitor = NOBODY, made: RuleBook | None = None, preview: bool = False) -> Lane:
    made = made or plain()
    return lane(made, request, decide(made, visitor, request), preview=preview)


def without_style() -> RuleBook:
    """A shop where most pages have nothing in force."""
    return book(for_all=('style = "main { color: teal }"', 'slot  = "home-hero"\nadd_class = "teal"'))


@pytest.mark.parametrize(
    ("request_", "visitor", "expected"),
    [
        (ask("/"), who("new"), Lane(PRIVATE, "for this visitor: calm-start, for-all", True)),
        (ask("/", method="HEAD"), who("new"), Lane(PRIVATE, "for this visitor: calm-start, for-all", True)),
        (ask("/", method="POST"), who("new"), Lane(PASS, "method is POST", False)),
        (ask("/", method="OPTIONS"), who("new"), Lane(PASS, "method is OPTIONS", False)),
        (ask("/checkout/"), who("new"), Lane(PASS, "nobody ever edits this page: never in shop.toml", False)),
        (ask("/x/..//checkout/"), who("new"), Lane(PASS, "nobody ever edits this page: never in shop.toml", False)),
        (ask("/"), who("lapsed"), Lane(PASS, "no experience fits this visitor here", True)),
        (ask("/"), DISBELIEVED, Lane(PASS, "no experience fits this visitor here", True)),
        (ask("/", (b"range", b"bytes=0-9")), who("new"), Lane(PASS, "a part of the page was asked for (Range)", True)),
        (
            ask("/", (b"sec-fetch-dest", b"empty")),
            who("new"),
            Lane(PASS, "not fetched as a document (Sec-Fetch-Dest)", True),
        ),
        (
            ask("/", (b"sec-fetch-dest", b"")),
            who("new"),
            Lane(PASS, "not fetched as a document (Sec-Fetch-Dest)", True),
        ),
        (
            ask("/", (b"sec-fetch-dest", b"document")),
            who("new"),
            Lane(PRIVATE, "for this visitor: calm-start, for-all", True),
        ),
        (
            ask("/", (b"sec-fetch-dest", b"iframe")),
            who("new"),
            Lane(PRIVATE, "for this visitor: calm-start, for-all", True),
        ),
        (
            ask("/", (b"authorization", b"Basic x")),
            who("new"),
            Lane(PRIVATE, "for this visitor: calm-start, for-all", True),
        ),
    ],
)
def test_intended(request_: PageRequest, visitor: Visitor, expected: Lane) -> None:
    assert taken(request_, visitor) == expected


@pytest.mark.parametrize(
    ("accept", "path", "document"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "/", True),
        ("text/html,*/*;q=0.8", "/a.css", True),  # who asks for a page gets one, whatever it is called
        ("*/*", "/", True),  # curl
        (None, "/c/boots", True),
        ("*/*", "/theme/main.CSS", False),
        (None, "/theme/main.js", False),
        ("text/css,*/*;q=0.1", "/style", False),  # Safari without Fetch Metadata
        ("image/webp,image/avif,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5", "/picture", False),
        ("application/json, text/plain, */*", "/api", False),
        ("text/*", "/", True),
        ("image/png, text/html;q=0.1", "/", True),
        ("image/png, text/html;q=0", "/", False),
        ("image/png, text/html; level=1; q=0.000", "/", False),
        ("text/html;q=0, application/xhtml+xml", "/", True),
    ],
)
def test_without_fetch_metadata_accept_tells_a_page_from_what_belongs_to_it(
    accept: str | None, path: str, document: bool
) -> None:
    request = ask(path, *([(b"accept", accept.encode())] if accept is not None else []))
    assert is_document(request) is document
    assert is_document(ask(path, (b"sec-fetch-dest", b"document"), (b"accept", b"image/png")))


def test_a_page_without_slots_is_nobodys_business() -> None:
    narrow = book(
        for_all=('style = "main { color: teal }"', 'slot  = "home-hero"\nadd_class = "teal"'),
        thanks=('slot   = "mega-menu"', 'slot   = "home-hero"'),
        half=('slot  = "footer-note"', 'slot  = "home-hero"'),
        winter=('slot   = "footer-note"', 'slot   = "home-hero"'),
    )
    assert taken(ask("/p/1"), who("new"), narrow) == Lane(PASS, "no experience can change this page now", False)
    assert taken(ask("/p/1"), who("new"), without_style()).personal, "the menu is in force there"


def test_the_kill_switch_leaves_the_shops_own_headers() -> None:
    made = shop_of(plain(), enabled=False)
    why = "the whole shop is off: enabled = false in rules/shop.toml"
    assert taken(ask("/"), who("new"), made) == Lane(PASS, why, False)
    assert not in_force(made, "/", NOW)
    assert next_change(made, "/", NOW) is None


def test_a_preview_is_fetched_whole_for_its_bar() -> None:
    assert taken(ask("/"), who("lapsed"), preview=True) == Lane(PRIVATE, "a preview", True)
    off = shop_of(plain(), enabled=False)
    assert taken(ask("/"), who("lapsed"), off, preview=True) == Lane(PRIVATE, "a preview", False)
    assert taken(ask("/checkout/"), who("new"), preview=True).kind is PASS, "never means never"
    assert taken(ask("/", method="POST"), who("new"), preview=True).kind is PASS
    assert taken(ask("/", (b"sec-fetch-dest", b"image")), who("new"), preview=True).kind is PASS


# --------------------------------------------------------------------------- the shop's response

CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "response_lanes.toml").read_text())["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["it"]))
def test_confirmed_or_passed(case: dict[str, Any]) -> None:
    intended = Lane(LaneKind(case.get("intended", "private")), "as intended", True)
    result = response_lane(
        intended,
        status=case.get("status", 200),
        content_type=case.get("content_type", "text/html") or None,
        content_encoding=case.get("content_encoding"),
        content_length=case.get("content_length"),
        decodable=frozenset(case.get("decodable", ())),
        unusable=case.get("unusable", ""),
    )
    assert (result.kind.value, result.personal) == (case["lane"], case["personal"])
    assert result.why == case.get("why", result.why)
    assert (result is intended) is (result.why == "as intended")


# --------------------------------------------------------------------------- in force, and until when


def names(path: str, at: float = NOW, made: RuleBook | None = None) -> list[str]:
    return [slot.name for slot in in_force(made or plain(), path, at).slots]


def test_slots_in_force_are_those_that_somebody_could_get() -> None:
    assert names("/") == ["home-hero", "mega-menu", "product-grid", "footer-note"]
    assert names("/c/boots") == ["mega-menu", "product-grid", "footer-note"]
    assert names("/p/1") == ["mega-menu", "footer-note"]
    assert names("/account/") == []


def test_a_style_is_in_force_without_a_slot() -> None:
    assert in_force(plain(), "/p/1", NOW).style
    assert not in_force(without_style(), "/p/1", NOW).style
    assert not in_force(plain(), "/account/", NOW)


def test_nothing_is_in_force_of_what_is_off_or_shared_by_nobody() -> None:
    quiet = book(half=('share   = "50%"', "enabled = false"), winter=("until   = 2027-02-01", "enabled = false"))
    assert "footer-note" not in names("/p/1", made=quiet)
    nobody = book(half=('"50%"', '"0%"'), winter=("until   = 2027-02-01", "enabled = false"))
    assert "footer-note" not in names("/p/1", made=nobody)


def test_a_slot_that_is_off_is_not_in_force() -> None:
    made = plain()
    off = replace(made, slots={name: replace(one, enabled=name != "mega-menu") for name, one in made.slots.items()})
    assert names("/c/boots", made=off) == ["product-grid", "footer-note"]


def test_schedules_begin_and_end_what_is_in_force() -> None:
    made = book(half=('share   = "50%"', "enabled = false"))
    begins, ends = (from_text(day, STOCKHOLM) for day in ("2026-11-01", "2027-02-01"))
    assert [("footer-note" in names("/p/1", at, made)) for at in (begins - 1, begins, ends - 1, ends)] == [
        False,
        True,
        True,
        False,
    ]
    assert next_change(made, "/p/1", NOW) == begins
    assert next_change(made, "/p/1", begins) == ends
    assert next_change(made, "/p/1", ends) is None


def test_only_schedules_of_this_path_count() -> None:
    assert next_change(plain(), "/checkout/", NOW) is None
    moved = book(winter=('slot   = "footer-note"', 'slot   = "home-hero"'))
    assert next_change(moved, "/p/1", NOW) is None
    assert next_change(moved, "/", NOW) is not None
