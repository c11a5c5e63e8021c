"""The visitor cookie: what is believed, and every way in which one is not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner

from edgeproxy.core.model import NOBODY, Source, Visitor
from edgeproxy.core.signing import Keys
from edgeproxy.core.visitor import (
    VISITOR_SALT,
    CookieSettings,
    Disbelief,
    NotSignable,
    VerifiedCookies,
    disbelief,
    explain_value,
    read,
    read_value,
    sign,
)

OLD = Keys.parse("9b2c4d6e8f0a1b3c5d7e9f0a2b4c6d81")
NEW = Keys.parse("f81d4fae7dec11d0a76500a0c91e6bf6")
BOTH = Keys.parse("9b2c4d6e8f0a1b3c5d7e9f0a2b4c6d81,f81d4fae7dec11d0a76500a0c91e6bf6")
NOW = 1_780_315_200.0
DAY = 86_400.0
VALUE = sign(NEW, NOW, stage="loyal", segments=["outdoor"], id="q7Hk2m").encode()
LOYAL = Visitor("loyal", ("outdoor",), "q7Hk2m", Source.COOKIE)

CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "visitor_content.toml").read_text())["case"]


def b64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def signed_by_hand(content: bytes, key: bytes, at: int, salt: bytes = b"edgeproxy.visitor") -> bytes:
    """The contract in ten lines, without a library."""
    derived = hmac.new(key, salt, hashlib.sha256).digest()
    body = b64url(content) + b"." + b64url(at.to_bytes(8, "big").lstrip(b"\0"))
    return body + b"." + b64url(hmac.new(derived, body, hashlib.sha256).digest())


def seen(value: bytes, now: float = NOW, keys: Keys = NEW) -> Visitor:
    return read([b"a=1; edge_visitor=" + value], keys, now)


# --------------------------------------------------------------------------- believed


def test_no_cookie_is_nobody() -> None:
    assert read([], NEW, NOW) is NOBODY
    assert read([b"a=1; edge_visitors=x", b"visitor=edge_visitor"], NEW, NOW) is NOBODY


def test_a_signed_cookie_is_believed() -> None:
    assert seen(VALUE) == LOYAL


def test_ten_lines_by_hand_make_the_same_value() -> None:
    content = b'{"v":1,"stage":"loyal","segments":["outdoor"],"id":"q7Hk2m"}'
    assert signed_by_hand(content, NEW.secrets[0], int(NOW)) == VALUE


def test_a_value_of_the_contract_never_changes() -> None:
    value = sign(NEW, 1_700_000_000, stage="new", segments=["city"])
    assert value == (
        "eyJ2IjoxLCJzdGFnZSI6Im5ldyIsInNlZ21lbnRzIjpbImNpdHkiXX0.ZVPxAA.HQe0RjRXHMY1RBvKhUUPCB5DvWUSArJYdpETdjqY8TI"
    )


def test_itsdangerous_reads_and_writes_it() -> None:
    class Then(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(NOW)

    signer = Then(NEW.secrets[0], salt=VISITOR_SALT, key_derivation="hmac", digest_method=hashlib.sha256)
    assert signer.unsign(VALUE) == VALUE.split(b".")[0]
    assert signer.sign(VALUE.split(b".")[0]) == VALUE


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["it"]))
def test_content(case: dict[str, Any]) -> None:
    text = case["json"] or "[" * case["deep"] + "]" * case["deep"]
    visitor = seen(signed_by_hand(text.encode(), NEW.secrets[0], int(NOW)))
    if "disbelief" in case:
        assert disbelief(visitor) is Disbelief(case["disbelief"])
        assert case.get("says", "") in visitor.problems[0]
        assert (visitor.stage, visitor.segments, visitor.id) == (None, (), None)
    else:
        wanted = (case.get("stage"), tuple(case.get("segments", ())), case.get("id"))
        assert (visitor.stage, visitor.segments, visitor.id) == wanted
        assert visitor.source is Source.COOKIE
        assert list(visitor.problems) == case.get("problems", [])


def test_content_that_is_not_utf8() -> None:
    for content in (b'{"v":1,"stage":"\xff"}', '{"v":1}'.encode("utf-16"), b"\xff\xfe"):
        assert disbelief(seen(signed_by_hand(content, NEW.secrets[0], int(NOW)))) is Disbelief.CONTENT


def test_more_segments_than_anybody_has() -> None:
    names = [f"s{number}" for number in range(40)]
    content = json.dumps({"v": 1, "stage": "new", "segments": names}).encode()
    visitor = seen(signed_by_hand(content, NEW.secrets[0], int(NOW)))
    assert visitor.segments == tuple(names[:32])
    assert visitor.stage == "new"
    assert visitor.problems == ("more than 32 segments: the rest is dropped",)


# --------------------------------------------------------------------------- keys


def test_rotation() -> None:
    old = sign(OLD, NOW, stage="new").encode()
    assert seen(old, keys=BOTH).stage == "new"
    assert seen(VALUE, keys=BOTH) == LOYAL
    assert sign(BOTH, NOW, stage="loyal", segments=["outdoor"], id="q7Hk2m").encode() == VALUE, "the newest signs"
    assert disbelief(seen(old, keys=NEW)) is Disbelief.FORGED
    assert seen(old, keys=NEW).problems == ("forged: its signature was not made by our key",)
    assert seen(sign(Keys.parse("1c0ffee4aabbccdd5e6f7081923a4b5d"), NOW).encode(), keys=BOTH).problems == (
        "forged: its signature was made by none of our 2 keys",
    )


def test_a_value_of_another_purpose_is_forged() -> None:
    for salt in (b"edgeproxy.state", b"edgeproxy.preview", b"itsdangerous.Signer"):
        value = sign(NEW, NOW, stage="new", salt=salt).encode()
        assert disbelief(seen(value)) is Disbelief.FORGED


# --------------------------------------------------------------------------- age


@pytest.mark.parametrize(
    ("later", "kind"),
    [
        (0, None),
        (400 * DAY, None),
        (400 * DAY + 1, Disbelief.EXPIRED),
        (4000 * DAY, Disbelief.EXPIRED),
        (-60, None),
        (-61, Disbelief.FUTURE),
        (-400 * DAY, Disbelief.FUTURE),
    ],
)
def test_age_is_judged_by_the_moment_of_the_request(later: float, kind: Disbelief | None) -> None:
    cache = VerifiedCookies()
    for _ in range(2):  # from the cache too
        visitor = read([b"edge_visitor=" + VALUE], NEW, NOW + later, cache=cache)
        assert disbelief(visitor) is kind
        assert (visitor.stage == "loyal") is (kind is None)


def test_age_in_words() -> None:
    assert seen(VALUE, NOW + 401 * DAY).problems == ("expired: signed 401 days ago, believed for 400 days",)
    assert seen(VALUE, NOW - 7200).problems == ("future: signed 2 hours in the future: whose clock is wrong?",)


def test_max_age_is_a_setting() -> None:
    settings = CookieSettings(max_age=DAY)
    assert read([b"edge_visitor=" + VALUE], NEW, NOW + DAY, settings) == LOYAL
    assert disbelief(read([b"edge_visitor=" + VALUE], NEW, NOW + DAY + 1, settings)) is Disbelief.EXPIRED


@pytest.mark.parametrize("size", [1, 4, 8, 9, 100, 400])
def test_a_signed_time_beyond_every_calendar(size: int) -> None:
    body = b64url(b'{"v":1}') + b"." + b64url(b"\xff" * size)
    value = NEW.signing(VISITOR_SALT).sign_plain(body)
    kind = Disbelief.EXPIRED if size == 1 else Disbelief.FUTURE
    assert disbelief(seen(value)) is kind
    assert explain_value(value, NEW, NOW)[0].startswith(f"disbelieved  {kind.value}")


# --------------------------------------------------------------------------- one spelling, once


def second_spellings(value: bytes) -> Iterator[bytes]:
    head, last = value[:-1], value[-1:]
    alphabet = (string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_").encode()
    group = alphabet.index(last) // 4 * 4
    yield from (head + alphabet[place : place + 1] for place in range(group, group + 4) if alphabet[place] != last[0])
    yield value + b"!!!"
    yield value + b"="
    yield value + b"=="
    yield value + b"."
    yield value + b"A"
    yield value.replace(b".", b"..", 1)
    yield b'"' + value + b'"'
    yield value.replace(b"-", b"+").replace(b"_", b"/") + b"="
    yield value + b"\x00"
    yield value + b"\n"
    yield b"\xef\xbb\xbf" + value
    yield value.replace(b".", b"%2E")
    yield value.replace(b"\x2e", b"\xc0\xae")


def test_a_second_spelling_is_not_believed() -> None:
    spellings = list(second_spellings(VALUE))
    assert len(spellings) > 14
    cache = VerifiedCookies()
    for value in spellings:
        assert value != VALUE
        visitor = read([b"edge_visitor=" + value], NEW, NOW, cache=cache)
        assert visitor.source is Source.DISBELIEVED, value
    assert len(cache) == 0


def test_the_four_last_characters_of_one_signature_are_told_apart() -> None:
    value = next(second_spellings(VALUE))
    assert seen(value).problems == ("malformed: its signature is spelled in a second way",)


@pytest.mark.parametrize(
    "lines",
    [
        [b"edge_visitor=%s; edge_visitor=%s"],
        [b"edge_visitor=%s", b"edge_visitor=%s"],
        [b"edge_visitor=%s; edge_visitor=forged"],
        [b"edge_visitor=; a=1; edge_visitor=%s"],
        [b"edge_visitor; edge_visitor=%s"],
        [b"edge_visitor=%s", b"a=1; edge_visitor = \xff\xff"],
    ],
)
def test_a_doubled_cookie_is_disbelieved_also_when_one_copy_is_malformed(lines: list[bytes]) -> None:
    visitor = read([line.replace(b"%s", VALUE) for line in lines], NEW, NOW)
    assert disbelief(visitor) is Disbelief.DOUBLED
    assert visitor.problems == ("doubled: cookie edge_visitor came 2 times, so neither is believed",)
    assert (visitor.stage, visitor.segments, visitor.id) == (None, (), None)


def test_another_name() -> None:
    settings = CookieSettings("__Host-edge_visitor")
    assert read([b"__Host-edge_visitor=" + VALUE + b"; edge_visitor=x"], NEW, NOW, settings) == LOYAL
    assert read([b"edge_visitor=" + VALUE], NEW, NOW, settings) is NOBODY


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"", "malformed: it is empty"),
        (b"x", "malformed: 1 part between dots, wanted 3"),
        (b"a.b", "malformed: 2 parts between dots, wanted 3"),
        (b"a.b.c.d", "malformed: 4 parts between dots, wanted 3"),
        (b"a..c", "malformed: one of its three parts is empty"),
        (b"a.b.c%3D", "malformed: a character other than A-Z a-z 0-9 _ - in one of its parts"),
        (b'"a.b.c"', "malformed: it is in quotes; send the bare value"),
        (b"a" * 1201, "oversized: 1,201 bytes, and 1,200 are the most"),
    ],
)
def test_malformed_values_say_what_is_wrong(value: bytes, problem: str) -> None:
    assert seen(value).problems == (problem,)


def test_1200_bytes_are_believed_and_one_more_is_not() -> None:
    content = b'{"v":1,"stage":"new","x":"%s"}'
    sizes = {}
    far = 2**32  # a timestamp of five bytes makes 1,200 a possible length
    for filler in range(770, 850):
        value = signed_by_hand(content % (b"x" * filler), NEW.secrets[0], far)
        sizes[len(value)] = seen(value, far).source
    assert max(sizes) > 1201
    assert sizes[1200] is Source.COOKIE
    assert {source for size, source in sizes.items() if size <= 1200} == {Source.COOKIE}
    assert {source for size, source in sizes.items() if size > 1200} == {Source.DISBELIEVED}


# --------------------------------------------------------------------------- mutations


def mutations(value: bytes) -> Iterator[bytes]:
    """Every small accident and every small trick: bytes changed, dropped, doubled, swapped, cut, added."""
    for place in range(len(value)):
        for byte in b"AQgwz09-_.=%!\x00\xff":
            yield value[:place] + bytes([byte]) + value[place + 1 :]
            yield value[:place] + bytes([byte]) + value[place:]
        for bit in range(8):
            yield value[:place] + bytes([value[place] ^ 1 << bit]) + value[place + 1 :]
        yield value[:place] + value[place + 1 :]
        yield value[:place] + value[place : place + 1] + value[place:]
        yield value[:place] + value[place + 1 : place + 2] + value[place : place + 1] + value[place + 2 :]
        yield value[:place]
        yield value[place:]
        yield value[:place] + value[place:].swapcase()
        yield value + value[place:]
    head, stamp, signature = value.split(b".")
    other_head, other_stamp, other_signature = sign(NEW, NOW - 5, stage="new").encode().split(b".")
    for one in (head, other_head):
        for two in (stamp, other_stamp):
            for three in (signature, other_signature):
                yield one + b"." + two + b"." + three
    for order in ((0, 2, 1), (1, 0, 2), (2, 1, 0)):
        yield b".".join((head, stamp, signature)[place] for place in order)


def test_ten_thousand_mutated_cookies_prove_nothing() -> None:
    values = [sign(keys, NOW - age, **labels).encode() for keys in (NEW, OLD) for age in (0, 5) for labels in LABELS]
    good = {sign(NEW, NOW - 5, stage="new").encode(), *values}
    cache = VerifiedCookies()
    tried = 0
    for value in values:
        for mutant in mutations(value):
            # A ; ends the value, and spaces around it are not part of it: then it is the same cookie.
            if mutant.partition(b";")[0].strip(b" \t") in good:
                continue
            tried += 1
            visitor = read([b"edge_visitor=" + mutant], BOTH, NOW, cache=cache)
            assert visitor.source is Source.DISBELIEVED, mutant
            assert visitor.problems
    assert tried >= 10_000
    assert len(cache) == 0


LABELS: list[dict[str, Any]] = [{"stage": "loyal", "segments": ["outdoor"], "id": "q7Hk2m"}, {"stage": "new"}]


@given(st.binary(max_size=1300))
@example(b"\xff" * 1300)
@example(VALUE[:-1])
def test_no_bytes_are_an_error(data: bytes) -> None:
    for lines in ([data], [b"edge_visitor=" + data], [b"edge_visitor", data]):
        visitor = read(lines, BOTH, NOW)
        assert visitor.source in {Source.NOBODY, Source.DISBELIEVED}
    assert all(line.isprintable() for line in explain_value(data, BOTH, NOW))


# --------------------------------------------------------------------------- the cache of verified values


def test_the_cache_answers_the_same() -> None:
    cache = VerifiedCookies()
    first = read([b"edge_visitor=" + VALUE], NEW, NOW, cache=cache)
    again = read([b"edge_visitor=" + VALUE], NEW, NOW, cache=cache)
    assert first == again == LOYAL
    assert (cache.misses, cache.hits, len(cache)) == (1, 1, 1)


def test_the_cache_holds_only_so_many() -> None:
    cache = VerifiedCookies(entries=10)
    for number in range(50):
        read_value(sign(NEW, NOW, id=f"v{number}").encode(), NEW, NOW, cache=cache)
    assert len(cache) == 10


def test_other_keys_empty_the_cache() -> None:
    cache = VerifiedCookies()
    assert read_value(VALUE, NEW, NOW, cache=cache) == LOYAL
    assert disbelief(read_value(VALUE, OLD, NOW, cache=cache)) is Disbelief.FORGED
    assert len(cache) == 0
    assert read_value(VALUE, Keys(NEW.secrets), NOW, cache=cache) == LOYAL
    assert read_value(VALUE, Keys(NEW.secrets), NOW, cache=cache) == LOYAL
    assert cache.hits == 1, "equal keys are the same keys"


# --------------------------------------------------------------------------- signing


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"stage": "very new"}, 'stage "very new" is dropped: not a label'),
        ({"segments": ["a b"]}, 'segment "a b" is dropped: not a label'),
        ({"segments": [f"s{number}" for number in range(33)]}, "more than 32 segments"),
        ({"id": "anna@shop.example"}, "it must be opaque"),
        ({"id": "x" * 65}, "it must be opaque"),
        ({"segments": [f"{number:02}" + "x" * 62 for number in range(20)]}, "1,200 are the most"),
    ],
)
def test_what_would_not_be_believed_is_not_signed(labels: dict[str, Any], why: str) -> None:
    with pytest.raises(NotSignable, match=why):
        sign(NEW, NOW, **labels)


LABEL = st.from_regex(r"\A[a-z0-9][a-z0-9.:_-]{0,20}\Z")


@given(
    stage=st.none() | LABEL,
    segments=st.lists(LABEL, max_size=8, unique=True),
    ident=st.none() | st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z"),
    at=st.integers(1, 2**33),
)
def test_what_is_signed_is_read(stage: str | None, segments: list[str], ident: str | None, at: int) -> None:
    value = sign(NEW, at, stage=stage, segments=segments, id=ident).encode()
    assert seen(value, at) == Visitor(stage, tuple(segments), ident, Source.COOKIE)


# --------------------------------------------------------------------------- explained


def test_a_believed_value_explained() -> None:
    assert explain_value(VALUE, BOTH, NOW + 3 * DAY) == (
        "believed",
        "signature    key 2 of 2 (the newest)",
        "signed       2026-06-01 12:00:00 UTC, 3 days ago; believed for 400 days",
        "stage        loyal",
        "segments     outdoor",
        "id           q7Hk2m",
        "size         131 of 1,200 bytes",
    )


def test_a_forged_value_explained() -> None:
    value = sign(OLD, NOW, stage="new").encode()
    assert explain_value(value, NEW, NOW) == (
        "disbelieved  forged: its signature was not made by our key",
        "             what it says, none of it believed:",
        "signed       2026-06-01 12:00:00 UTC, 0 seconds ago; believed for 400 days",
        'payload      {"v":1,"stage":"new","segments":[]}',
    )


def test_a_forger_does_not_write_to_the_terminal() -> None:
    value = signed_by_hand(b"\x1b]0;owned\x07\xff", b"another key that is not ours", int(NOW))
    told = explain_value(value, NEW, NOW)
    assert told[-1] == "payload      \\x1b]0;owned\\x07\\\\xff"
