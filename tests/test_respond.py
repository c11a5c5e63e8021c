"""The headers that leave: tables of examples, and what holds for every answer whatever the shop writes."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeproxy import respond
from edgeproxy.clamp import targeted

TABLES = Path(__file__).parent / "cases" / "responses"
HEADERS: list[dict[str, Any]] = tomllib.loads((TABLES / "headers.toml").read_text("utf-8"))["case"]
ADDRESSES: dict[str, list[dict[str, Any]]] = tomllib.loads((TABLES / "addresses.toml").read_text("utf-8"))
NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
ORIGIN = respond.Origin.of("http://shop.internal:8000")

Lines = list[tuple[bytes, bytes]]


def lines(text: str) -> Lines:
    pairs = (line.partition(":") for line in text.strip("\n").split("\n") if line)
    return [(name.encode("latin-1"), value.strip().encode("latin-1")) for name, _, value in pairs]


def done(name: str, shop: Lines, arguments: dict[str, Any]) -> Lines:
    match name:
        case "passed":
            return respond.passed(shop, ORIGIN, b"https", b"shop.example")
        case "personal":
            return respond.personal(shop, **arguments)
        case "preview":
            return respond.preview(shop)
        case "clamped":
            return respond.clamped(shop, now=NOW, **arguments)
        case "not_modified":
            return respond.not_modified(shop)
        case "strip_conditionals":
            return respond.strip_conditionals(shop)
        case "signed_off":
            return respond.signed_off(shop, **({"shop": None} | arguments))
        case "framed":
            validator = arguments.get("validator")
            return respond.framed(
                shop,
                length=arguments.get("length"),
                coding=arguments.get("coding"),
                validator=None if validator is None else validator.encode("ascii"),
            )
    raise AssertionError(name)


@pytest.mark.parametrize("case", HEADERS, ids=[f"{case['do']}: {case['it']}" for case in HEADERS])
def test_headers(case: dict[str, Any]) -> None:
    assert done(case["do"], lines(case["shop"]), case.get("with", {})) == lines(case["leaves"])


@pytest.mark.parametrize("case", ADDRESSES["location"], ids=[case["it"] for case in ADDRESSES["location"]])
def test_location(case: dict[str, Any]) -> None:
    origin = respond.Origin.of(case["origin"])
    visitor = case.get("visitor", "shop.example:8443").encode("ascii")
    assert origin.location(case["from"].encode("latin-1"), b"https", visitor) == case["to"].encode("latin-1")


@pytest.mark.parametrize("case", ADDRESSES["cookie"], ids=[case["it"] for case in ADDRESSES["cookie"]])
def test_cookie(case: dict[str, Any]) -> None:
    visitor = case.get("visitor", "shop.example:8443").encode("ascii")
    assert ORIGIN.cookie(case["from"].encode("latin-1"), visitor) == case["to"].encode("latin-1")


@pytest.mark.parametrize("case", ADDRESSES["tag"], ids=[case["it"] for case in ADDRESSES["tag"]])
def test_if_none_match(case: dict[str, Any]) -> None:
    ours = respond.etag("1", "gzip")
    assert respond.matches([line.encode("latin-1") for line in case["sent"]], ours) is case["match"]


def test_an_etag_is_ours_and_says_its_coding() -> None:
    assert respond.etag("0123", "gzip") == b'"edge-0123-gzip"'
    assert respond.etag("0123", "") == respond.etag("0123", "identity") == b'"edge-0123-identity"'


@pytest.mark.parametrize(
    ("shop", "has"),
    [
        ('etag: "a"', True),
        ("last-modified: Thu, 01 Jan 2026 00:00:00 GMT", True),
        ("etag:", False),
        ("content-type: text/html", False),
    ],
)
def test_only_a_shop_with_validators_gets_one_of_ours(shop: str, has: bool) -> None:
    assert respond.had_validator(lines(shop)) is has


@pytest.mark.parametrize("address", ["", "shop", "ftp://shop", "http://", "http://shop:port"])
def test_an_origin_that_is_no_address_is_told(address: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - urllib's own words are as good as ours
        respond.Origin.of(address)


# ------------------------------------------------------------------ for every answer

NAMES = st.sampled_from(
    sorted(
        {line[0].lower() for case in HEADERS for line in lines(case["shop"])}
        | {b"x-cdn-cache-control", b"vary", b"expires", b"age"}
    )
)
WORDS = (
    b'max-age s-maxage = , ; " \\ 600 -1 no-store public stale-if-error * Cookie http:// shop.internal:8000 Domain / @'
)
PIECES = st.sampled_from([*WORDS.split(b" "), b" ", b"Thu, 01 Jan 2027 00:00:00 GMT"])
VALUES = st.lists(PIECES, max_size=8).map(b"".join) | st.binary(max_size=20)
ANSWERS = st.lists(st.tuples(NAMES, VALUES), max_size=10)


def values(leaving: Lines, name: bytes) -> list[bytes]:
    return [value for key, value in leaving if key == name]


@given(ANSWERS, st.booleans())
def test_a_personal_page_is_never_anybody_elses(shop: Lines, changed: bool) -> None:
    leaving = respond.personal(respond.passed(shop, ORIGIN, b"https", b"shop.example"), changed=changed)
    (control,) = values(leaving, b"cache-control")
    assert control.startswith(b"private, no-cache")
    assert b"no-store" not in control or any(b"no-store" in value.lower() for _, value in shop)
    assert values(leaving, b"cdn-cache-control") == [b"no-store"]
    assert not any(targeted(name) for name, _ in leaving[:-3])
    (vary,) = values(leaving, b"vary")
    assert {b"cookie", b"*"} & {token.strip().lower() for token in vary.split(b",")}
    for gone in (b"etag", b"last-modified", b"expires", b"age", b"pragma", b"surrogate-control"):
        assert not values(leaving, gone)
    assert values(leaving, b"set-cookie") == [
        ORIGIN.cookie(value, b"shop.example") for name, value in shop if name == b"set-cookie"
    ]


@given(ANSWERS)
def test_a_preview_is_never_kept(shop: Lines) -> None:
    leaving = respond.preview(respond.passed(shop, ORIGIN, b"https", b"shop.example"))
    assert values(leaving, b"cache-control") == values(leaving, b"cdn-cache-control") == [b"no-store"]
    assert not respond.had_validator(leaving)
    assert b"noindex" in values(leaving, b"x-robots-tag")
    assert values(leaving, b"referrer-policy") == [b"same-origin"]


@given(ANSWERS, st.integers(-10, 10_000))
@example([(b"cache-control", b'"max-age=\\",max-age=600')], 5)
def test_freshness_only_ever_shrinks(shop: Lines, seconds: int) -> None:
    leaving = respond.clamped(shop, seconds, NOW)
    ages = [int(value) for value in values(shop, b"age") if value.isdigit()]
    limit = max(seconds, 0) + max(ages, default=0)
    for name, value in leaving:
        if name == b"cache-control" or name.endswith(b"cdn-cache-control"):
            for directive in value.split(b","):
                word, _, argument = directive.strip().lower().partition(b"=")
                assert word.strip() not in (b"stale-if-error", b"stale-while-revalidate")
                if word.strip() in (b"max-age", b"s-maxage"):
                    assert int(argument.strip(b' "')) <= limit
    assert [line for line in leaving if line[0] == b"set-cookie"] == [line for line in shop if line[0] == b"set-cookie"]
    assert respond.clamped(leaving, seconds, NOW) == leaving


@given(st.lists(VALUES | st.binary(max_size=30), max_size=3))
def test_only_our_own_tag_matches(sent: list[bytes]) -> None:
    ours = respond.etag("5f", "br")
    if respond.matches(sent, ours):
        assert any(ours in line for line in sent)


@given(VALUES | st.binary(max_size=60))
def test_a_location_is_re_addressed_or_left(value: bytes) -> None:
    new = ORIGIN.location(value, b"https", b"shop.example")
    assert new == value or new.partition(b"//")[2].startswith(b"shop.example")
    if new != value:
        assert value.partition(b"//")[2][18:] == new.partition(b"//")[2][12:]
