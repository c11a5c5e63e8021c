"""The sanitiser as a function: what it tells beside the header lines, and laws that hold for every request.

What happens to each kind of header line stands in tests/cases/requests; here is what lines cannot show.
"""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.visitor import Keys
from edgeproxy.hosts import host_name
from edgeproxy.sanitise import OWN_COOKIES, Forwardable, Refusal, Sanitiser, new_request_id
from edgeproxy.settings import Settings

HOST = (b"host", b"Shop.Test:8080")
TRUST = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def forwarded(
    *lines: tuple[bytes, bytes],
    method: str = "GET",
    target: bytes = b"/c?d",
    version: str = "1.1",
    peer: str = "203.0.113.9",
    scheme: str = "http",
    **policy: Any,
) -> Forwardable:
    found = Sanitiser(**policy).head(method, target, version, [HOST, *lines], peer, scheme)
    assert isinstance(found, Forwardable), found
    return found


def refused(*lines: tuple[bytes, bytes], method: str = "GET", target: bytes = b"/c", version: str = "1.1") -> Refusal:
    found = Sanitiser().head(method, target, version, lines, "203.0.113.9", "http")
    assert isinstance(found, Refusal), found
    return found


def test_what_is_known_of_a_request() -> None:
    head = forwarded((b"content-length", b"012"), method="POST")
    assert (head.method, head.target, head.host, head.scheme) == ("POST", b"/c?d", "shop.test:8080", "http")
    assert (head.client, head.length, head.chunked) == ("203.0.113.9", 12, False)
    assert (head.trusted, head.forwarded, head.country) == (False, False, None)
    assert forwarded((b"transfer-encoding", b"chunked")).chunked
    assert forwarded().length is None


def test_it_cannot_be_changed() -> None:
    head: Any = forwarded()
    with pytest.raises(AttributeError):
        head.host = "other"


def test_every_request_has_an_id_of_its_own_unless_a_trusted_proxy_has_given_one() -> None:
    assert forwarded().request_id != forwarded().request_id
    given_id = (b"x-request-id", b"from-the-front")
    assert forwarded(given_id).request_id != "from-the-front"
    assert forwarded(given_id, peer="10.0.0.1", trust=TRUST).request_id == "from-the-front"
    assert len({new_request_id() for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        (b"", "10.0.0.1"),
        (b"198.51.100.7", "198.51.100.7"),
        (b"1.1.1.1, 198.51.100.7", "198.51.100.7"),
        (b"198.51.100.7, 10.0.0.2, fd00::1", "198.51.100.7"),
        (b"10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (b"nonsense, 10.0.0.2", "10.0.0.2"),
        (b"," * 1000, "10.0.0.1"),
        (b", ".join([b"10.0.0.2"] * 1000), "10.0.0.2"),
    ],
)
def test_the_visitor_is_the_first_from_the_right_that_is_no_trusted_proxy(chain: bytes, client: str) -> None:
    assert forwarded((b"x-forwarded-for", chain), peer="10.0.0.1", trust=TRUST).client == client
    assert forwarded((b"x-forwarded-for", chain), peer="203.0.113.9", trust=TRUST).client == "203.0.113.9"


def test_a_long_chain_is_cut_before_it_goes_on() -> None:
    head = forwarded((b"x-forwarded-for", b", ".join([b"10.0.0.2"] * 1000)), peer="10.0.0.1", trust=TRUST)
    assert len(dict(head.headers)[b"x-forwarded-for"].split(b",")) == 21


def test_an_ipv4_peer_on_an_ipv6_socket_is_the_same_peer() -> None:
    head = forwarded((b"x-forwarded-for", b"198.51.100.7"), peer="::ffff:10.0.0.1", trust=TRUST)
    assert (head.trusted, head.client) == (True, "198.51.100.7")
    assert forwarded(peer="::ffff:203.0.113.9").client == "203.0.113.9"


def test_a_socket_without_addresses_has_no_client() -> None:
    head = forwarded(peer="")
    assert head.client == ""
    assert (b"x-forwarded-for", b"unknown") in head.headers


def test_the_scheme_is_the_visitor_s_own() -> None:
    told = (b"x-forwarded-proto", b"https")
    assert forwarded(told).scheme == "http"
    assert forwarded(told, peer="10.0.0.1", trust=TRUST).scheme == "https"
    assert forwarded(scheme="https").scheme == "https"


@pytest.mark.parametrize(
    "line",
    [
        (b"x-forwarded-for", b"127.0.0.1"),
        (b"x-forwarded-anything", b"1"),
        (b"forwarded", b"for=1.1.1.1"),
        (b"via", b"1.1 p"),
        (b"cdn-loop", b"p"),
        (b"x-real-ip", b"127.0.0.1"),
    ],
)
def test_it_is_seen_when_somebody_in_front_has_touched_a_request_believed_or_not(line: tuple[bytes, bytes]) -> None:
    assert forwarded(line).forwarded
    assert forwarded(line, peer="10.0.0.1", trust=TRUST).forwarded
    assert not forwarded((b"x-request-id", b"1"), (b"x-other", b"1")).forwarded


@pytest.mark.parametrize(
    ("value", "country"), [(b"SE", "SE"), (b"de", "DE"), (b"XXX", None), (b"S1", None), (b"\xc5\xc4", None)]
)
def test_the_country_comes_from_a_trusted_proxy(value: bytes, country: str | None) -> None:
    policy: dict[str, Any] = {"trust": TRUST, "country_header": "x-country"}
    assert forwarded((b"x-country", value), peer="10.0.0.1", **policy).country == country
    assert forwarded((b"x-country", value), **policy).country is None


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([HOST, HOST], 400),
        ([], 400),
        ([HOST, (b"content-length", b"1"), (b"content-length", b"1")], 400),
        ([HOST, (b"content-length", b"1"), (b"transfer-encoding", b"chunked")], 400),
        ([HOST, (b"content-length", b"-1")], 400),
        ([HOST, (b"content-length", b"9" * 19)], 400),
        ([HOST, (b"transfer-encoding", b"gzip, chunked")], 400),
        ([HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")], 400),
    ],
)
def test_what_the_guard_refuses_is_refused_without_it_too(lines: list[tuple[bytes, bytes]], status: int) -> None:
    assert refused(*lines).status == status


def test_transfer_encoding_in_http_1_0_is_refused() -> None:
    assert refused(HOST, (b"transfer-encoding", b"chunked"), version="1.0").status == 400


@pytest.mark.parametrize("target", [b"", b"c", b"*", b"http://a/", b"/a b", b"/a\r\nX: y", b"/a\0", b"/a#b", b"//a\n"])
def test_a_target_that_is_no_path_is_refused(target: bytes) -> None:
    assert refused(HOST, target=target).status == 400


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "BREW", "get", ""])
def test_a_method_that_is_not_served_is_refused(method: str) -> None:
    assert refused(HOST, method=method).status == 405


def test_connect_and_trace_cannot_be_switched_on() -> None:
    assert Sanitiser(methods={"CONNECT", "TRACE", "GET"}).methods == {"GET"}


def test_a_scope_is_judged_like_a_head() -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/c d",
        "raw_path": b"/c%20d",
        "query_string": b"e=f",
        "http_version": "1.1",
        "headers": [HOST],
        "client": ("203.0.113.9", 1),
        "scheme": "https",
    }
    found = Sanitiser().scope(scope)
    assert isinstance(found, Forwardable)
    assert (found.target, found.client, found.scheme) == (b"/c%20d?e=f", "203.0.113.9", "https")
    exact = Sanitiser().scope({**scope, "extensions": {"edgeproxy.target": {"target": b"/c%20d?"}}, "client": None})
    assert isinstance(exact, Forwardable)
    assert (exact.target, exact.client) == (b"/c%20d?", "")


def test_the_settings_are_all_obeyed() -> None:
    settings = Settings(
        "http://shop.invalid",
        Path(),
        Keys.parse("tests-sign-with-this-9f31c2"),
        hosts=("shop.test",),
        trust=TRUST,
        methods=frozenset({"GET", "PROPFIND"}),
        origin_host="inner.test",
        country_header="x-country",
        via="front",
    )
    sanitiser = Sanitiser.of(settings)
    found = sanitiser.head("PROPFIND", b"/", "1.1", [HOST, (b"x-country", b"se")], "10.0.0.1", "http")
    assert isinstance(found, Forwardable)
    assert found.headers[0] == (b"host", b"inner.test")
    assert (b"cdn-loop", b"front") in found.headers
    assert (found.country, found.trusted) == ("SE", True)
    other = sanitiser.head("GET", b"/", "1.1", [(b"host", b"other.test")], "10.0.0.1", "http")
    assert isinstance(other, Refusal)
    assert other.status == 421
    assert sanitiser.trusts("10.0.0.1")
    assert not sanitiser.trusts("203.0.113.9")


@pytest.mark.parametrize(
    ("value", "name"), [(b"A.b", "a.b"), (b"a:1", "a"), (b"[::1]:2", "[::1]"), (b"a_b.c", "a_b.c")]
)
def test_the_name_in_a_host(value: bytes, name: str) -> None:
    assert host_name(value) == name


# ------------------------------------------------------------------ laws

NAMES = st.from_regex(rb"[a-z!#$%&'*+.^_`|~0-9-]{1,12}", fullmatch=True) | st.sampled_from(
    [
        b"cookie",
        b"connection",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
        b"forwarded",
        b"via",
        b"cdn-loop",
        b"te",
        b"upgrade",
        b"expect",
        b"edge-event",
        b"x-real-ip",
        b"x-request-id",
        b"x-original-url",
        b"accept",
    ]
)
VALUES = st.from_regex(rb"[\t\x20-\x7e\x80-\xff]{0,20}", fullmatch=True) | st.sampled_from(
    [
        b"edge_state=1",
        b"a=1; edge_preview=2; b",
        b"x-a, host",
        b"1.2.3.4, 10.0.0.1",
        b"https",
        b"for=1.1.1.1;proto=https",
    ]
)
LINES = st.lists(st.tuples(NAMES, VALUES), max_size=8)
OURS = {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id", b"cdn-loop"}
GONE = {
    b"connection",
    b"te",
    b"upgrade",
    b"expect",
    b"keep-alive",
    b"trailer",
    b"transfer-encoding",
    b"proxy-connection",
}


@given(LINES, st.sampled_from(["203.0.113.9", "10.0.0.1", "::1", ""]), st.sampled_from(["GET", "POST"]))
def test_whatever_comes_in_what_goes_out_is_clean(lines: list[tuple[bytes, bytes]], peer: str, method: str) -> None:
    found = Sanitiser(trust=TRUST).head(method, b"/c", "1.1", [HOST, *lines], peer, "http")
    if isinstance(found, Refusal):
        assert found.status == 508
        return
    names = [name for name, _ in found.headers]
    assert names[0] == b"host"
    assert names.count(b"host") == 1
    for name in OURS:
        assert names.count(name) == 1
    assert not GONE & set(names)
    assert not [name for name in names if name.startswith(b"edge-") or b"_" in name]
    for name, value in found.headers:
        assert b"\r" not in value
        assert b"\n" not in value
        if name == b"cookie":
            assert value or (name, value) in lines
            pairs = [pair.partition(b"=")[0].strip() for pair in value.split(b";")]
            assert not set(OWN_COOKIES) & set(pairs)
    if peer != "10.0.0.1":
        assert (b"x-forwarded-for", (peer or "unknown").encode()) in found.headers
        assert (b"x-forwarded-proto", b"http") in found.headers
        assert not {b"forwarded", b"x-real-ip", b"x-original-url"} & set(names)
        assert found.scheme == "http"


@given(LINES, st.sampled_from(["203.0.113.9", "10.0.0.1"]))
def test_what_is_passed_is_passed_in_order_and_as_it_was(lines: list[tuple[bytes, bytes]], peer: str) -> None:
    found = Sanitiser(trust=TRUST).head("GET", b"/c", "1.1", [HOST, *lines], peer, "http")
    if isinstance(found, Refusal):
        return
    passed = [line for line in found.headers[1:] if line[0] not in OURS | {b"cookie", b"forwarded"}]
    rest = iter(lines)
    assert all(any(line == other for other in rest) for line in passed)


@given(LINES)
def test_a_second_pass_changes_nothing_more(lines: list[tuple[bytes, bytes]]) -> None:
    """Two of us in a row, the second trusting the first: visitor, scheme and host are the same."""
    first = Sanitiser().head("GET", b"/c", "1.1", [HOST, *lines], "203.0.113.9", "http")
    if isinstance(first, Refusal):
        return
    second = Sanitiser(trust=TRUST).head("GET", b"/c", "1.1", first.headers, "10.0.0.1", "http")
    if isinstance(second, Refusal):
        assert second.status == 508
        return
    assert (second.client, second.scheme, second.host) == (first.client, first.scheme, first.host)
    assert second.request_id == first.request_id
