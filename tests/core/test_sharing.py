"""Requests that may be answered for many: what the shop is asked with is fixed, or part of the key."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.cacherules import names_of, without_names
from edgeproxy.core.model import CacheRule, PageRequest, RuleBook, Where
from edgeproxy.core.paths import compile_paths
from edgeproxy.core.sharing import NotShared, SharedRequest, accepted_codings, shared
from tests.core.books import NOW, plain

Lines = list[tuple[bytes, bytes]]

RULE = CacheRule(
    on=compile_paths(["/c/**"]),
    fresh=300.0,
    stale=0.0,
    stale_if_error=0.0,
    ignore_query=names_of(["utm_*", "gclid", "!utm_keep"]),
    ignore_cookies=names_of(["theme", "seen_*"]),
    bypass_cookies=names_of(["sid"]),
    strip_set_cookie=names_of([]),
    where=Where("rules/shop.toml", 9),
)
RULED = replace(plain(), cache=(RULE,))
HOST = (b"host", b"shop.example")


def judge(
    lines: Lines,
    target: bytes = b"/c/boots",
    *,
    method: str = "GET",
    scheme: str = "https",
    book: RuleBook | None = RULED,
    identity: bool = False,
) -> SharedRequest | NotShared:
    path = target.partition(b"?")[0].decode("latin-1")
    request = PageRequest(method, scheme, "shop.example", path, "", (), NOW)
    return shared(book, request, [HOST, *lines], target=target, identity=identity, country_header=b"x-country")


def made(lines: Lines, target: bytes = b"/c/boots", **how: object) -> SharedRequest:
    told = judge(lines, target, **how)  # type: ignore[arg-type]  # as judge takes them
    assert isinstance(told, SharedRequest), told
    return told


def why(lines: Lines, target: bytes = b"/c/boots", **how: object) -> str:
    told = judge(lines, target, **how)  # type: ignore[arg-type]  # as judge takes them
    assert isinstance(told, NotShared)
    return told.why


# --------------------------------------------------------------------------- the one rule

NAMES = st.sampled_from(
    """accept accept-encoding accept-language user-agent referer cookie origin range if-none-match x-forwarded-host
    x-forwarded-for x-forwarded-proto x-original-url x-http-method-override x-evil x-requested-with forwarded via
    sec-ch-ua cf-ipcountry x-country authorization cache-control pragma save-data traceparent x-amzn-trace-id
    cdn-loop x-host x-forwarded-scheme x-forwarded-port x-forwarded-prefix content-type""".split()  # noqa: SIM905
).map(str.encode)
VALUES = st.sampled_from(
    [
        b"a",
        b"b",
        b"gzip",
        b"text/html",
        b"sid=1",
        b"_ga=1",
        b"theme=dark",
        b"edge_visitor=x.y.z",
        b"br;q=0",
        b"no-store",
    ]
)
REQUESTS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
TARGETS = st.sampled_from(
    [b"/c/boots", b"/c/boots?utm_source=x", b"/c/boots?a=1", b"/other", b"/c/%62oots", b"/c//boots"]
)


@given(REQUESTS, TARGETS, REQUESTS, TARGETS, st.booleans())
def test_who_shares_a_key_asks_the_shop_the_same(a: Lines, to: bytes, b: Lines, at: bytes, identity: bool) -> None:
    one, other = judge(a, to, identity=identity), judge(b, at, identity=identity)
    if isinstance(one, SharedRequest) and isinstance(other, SharedRequest) and one.key == other.key:
        assert (one.target, one.lines) == (other.target, other.lines)


@given(REQUESTS, TARGETS)
def test_the_shop_never_sees_a_cookie_nor_who_asks(lines: Lines, target: bytes) -> None:
    told = judge(lines, target)
    if isinstance(told, SharedRequest):
        names = {name for name, _ in told.lines}
        assert not names & {b"cookie", b"authorization", b"x-forwarded-for", b"referer", b"accept-language", b"range"}


@given(REQUESTS, TARGETS)
def test_no_authorization_is_shared(lines: Lines, target: bytes) -> None:
    assert isinstance(judge([*lines, (b"authorization", b"Basic x")], target), NotShared)


@pytest.mark.parametrize(
    "name", [b"x-forwarded-host", b"x-forwarded-proto", b"x-original-url", b"x-never-heard-of", b"origin", b"x-host"]
)
def test_an_unkeyed_header_does_not_exist(name: bytes) -> None:
    """What could poison the page for others makes an entry of its own."""
    assert made([(name, b"evil.example")]).key != made([]).key


# --------------------------------------------------------------------------- the key


def test_host_scheme_path_and_query_tell_pages_apart() -> None:
    keys = [
        made([], b"/c/boots").key,
        made([], b"/c/boots/").key,
        made([], b"/c/%62oots").key,
        made([], b"/c//boots").key,
        made([], b"/c/boots?").key,
        made([], b"/c/boots?a=1").key,
        made([], b"/c/boots?a=1&b=2").key,
        made([], b"/c/boots?b=2&a=1").key,
        made([], b"/C/boots").key,
        made([], scheme="http").key,
    ]
    same = [index for index, key in enumerate(keys) if key in keys[:index]]
    assert same == [4]  # where a rule says which keys count, "?" alone is no query


def test_browsers_share_what_they_ask_for_in_other_words() -> None:
    chrome = [(b"accept", b"text/html,image/avif"), (b"accept-encoding", b"gzip, deflate, br, zstd")]
    chrome += [(b"user-agent", b"Chrome"), (b"accept-language", b"sv"), (b"sec-fetch-site", b"none")]
    firefox = [(b"accept", b"text/html,*/*;q=0.8"), (b"accept-encoding", b"br, zstd,gzip"), (b"dnt", b"1")]
    assert made(chrome).key == made(firefox).key


@pytest.mark.parametrize(
    "name", [b"cf-ray", b"cdn-requestid", b"x-amzn-trace-id", b"x-sucuri-clientip", b"do-connecting-ip", b"traceparent"]
)
def test_what_networks_say_of_one_request_tells_no_pages_apart(name: bytes) -> None:
    assert made([(name, b"0af7651916cd43dd")]).key == made([]).key
    assert name not in dict(made([(name, b"0af7651916cd43dd")]).lines)


def test_pages_that_are_edited_are_asked_for_uncompressed() -> None:
    asked = made([(b"accept-encoding", b"gzip, br")], identity=True)
    assert dict(asked.lines)[b"accept-encoding"] == b"identity"


@pytest.mark.parametrize(
    ("said", "means"),
    [
        (b"gzip, deflate, br, zstd", b"br, gzip, zstd"),
        (b"gzip, deflate, br", b"br, gzip"),
        (b"gzip;q=1.0, br;q=0.0", b"gzip"),
        (b"GZIP ; q=0.5", b"gzip"),
        (b"gzip;q=0", b"identity"),
        (b"*", b"identity"),
        (b"", b"identity"),
        (b"gzip;q=x, br", b"br"),
        (b"gzip br", b"identity"),
        (b"\xff", b"identity"),
    ],
)
def test_codings_have_one_spelling(said: bytes, means: bytes) -> None:
    assert accepted_codings(said) == means


@pytest.mark.parametrize(
    ("query", "left"),
    [
        (b"utm_source=x&a=1&gclid=y", b"a=1"),
        (b"utm%5Fsource=x&a=1", b"a=1"),
        (b"utm_keep=x", b"utm_keep=x"),
        (b"a=utm_source", b"a=utm_source"),
        (b"a=%41&&b", b"a=%41&&b"),
        (b"utm_source", b""),
        (b"xutm_source=1", b"xutm_source=1"),
        (b"UTM_source=1", b"UTM_source=1"),
        (b"", b""),
    ],
)
def test_query_keys_that_change_nothing(query: bytes, left: bytes) -> None:
    assert without_names(query, RULE.ignore_query) == left
    assert made([], b"/c/boots?" + query).target == (b"/c/boots?" + left if left else b"/c/boots")


def test_without_a_rule_every_query_key_counts() -> None:
    assert made([], b"/other?utm_source=x").target == b"/other?utm_source=x"
    assert made([], b"/other?utm_source=x").key != made([], b"/other").key


# --------------------------------------------------------------------------- cookies


def test_ours_and_those_of_analytics_count_for_nothing() -> None:
    asked = made([(b"cookie", b"edge_visitor=x.y.z; _ga=1; _gid=2; OptanonConsent=3")])
    assert asked.cookies == ()
    assert asked.key.rule == RULE


def test_a_cookie_that_bypasses_has_pages_of_its_own() -> None:
    assert why([(b"cookie", b"theme=dark"), (b"cookie", b" sid=1")]) == (
        'the cookie "sid" has pages of its own: rules/shop.toml:9'
    )


def test_cookies_that_the_rule_ignores() -> None:
    assert made([(b"cookie", b"theme=dark; seen_banner=1")]).cookies == ()


def test_a_cookie_that_the_rule_does_not_know_leaves_the_shops_own_word() -> None:
    asked = made([(b"cookie", b"theme=dark; other=1")])
    assert asked.cookies == ("other",)
    assert asked.key.rule is None
    assert asked.key != made([]).key


@pytest.mark.parametrize("cookie", [b"novalue", b"=x", b"a b=c", b"\xff=1", b"Theme=1", b"theme2=1"])
def test_an_odd_cookie_counts(cookie: bytes) -> None:
    assert made([(b"cookie", cookie)]).cookies != ()


@pytest.mark.parametrize("cookie", [b"", b";", b" ; ;"])
def test_no_cookie_at_all(cookie: bytes) -> None:
    assert made([(b"cookie", cookie)]).cookies == ()


# --------------------------------------------------------------------------- who is not shared


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ((b"content-length", b"5"), "it has a body"),
        ((b"x-http-method-override", b"DELETE"), "x-http-method-override asks for something of its own"),
        ((b"if-match", b'"1"'), "if-match asks for something of its own"),
        ((b"x-csrf-token", b"1"), "x-csrf-token asks for something of its own"),
    ],
)
def test_what_goes_to_the_shop_as_it_came(line: tuple[bytes, bytes], told: str) -> None:
    assert why([line]) == told


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS", "PATCH", "DELETE"])
def test_only_what_only_looks(method: str) -> None:
    assert why([], method=method) == f"method is {method}"


def test_a_visitor_may_ask_that_nothing_is_stored() -> None:
    assert made([(b"cache-control", b"no-store")]).keep is False
    assert made([(b"cache-control", b"no-cache")]).keep is True


def test_a_rule_needs_a_path_that_means_the_page_both_ways() -> None:
    assert made([], b"/c/../account").key.rule is None
    assert made([], b"/c/%2e%2e/account").key.rule is None
    assert made([], b"/account/c/x").key.rule is None
