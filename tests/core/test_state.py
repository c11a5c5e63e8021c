"""The state cookie: what is remembered comes back, what is not ours proves nothing, it never outgrows its limit."""

from __future__ import annotations

import base64
import json
import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core import state
from edgeproxy.core.memory import MOST_CATEGORIES, MOST_EVENTS, MOST_SHOWN, MOST_TIMES, Memory, Preference
from edgeproxy.core.signing import Keys
from edgeproxy.core.state import NO_STATE, STATE_SALT, StateSettings, VerifiedStates, read
from edgeproxy.core.timestamped import LONGEST_VALUE, Disbelief, closed
from edgeproxy.core.visitor import read as read_visitor
from edgeproxy.core.visitor import sign as sign_visitor

OLD = Keys.parse("9b2c4d6e8f0a1b3c5d7e9f0a2b4c6d81")
NEW = Keys.parse("f81d4fae7dec11d0a76500a0c91e6bf6")
BOTH = Keys.parse("9b2c4d6e8f0a1b3c5d7e9f0a2b4c6d81,f81d4fae7dec11d0a76500a0c91e6bf6")
NOW = 1_780_315_200.0
DAY = 86_400.0
MINUTE = int(NOW // 60)

EVA = Memory(
    id="q7Hk2mPx01aB",
    first_day=20_000,
    active=MINUTE,
    visits=7,
    away=12,
    page_views=5,
    orders=2,
    signed_in=True,
    events=(("order", MINUTE - 40), ("basket", MINUTE - 4_000)),
    bought=(("phones", 20_605), ("cases", 20_100)),
    shown=(("Ab3d", (MINUTE, MINUTE - 60)), ("Zz90", (MINUTE - 10_000,))),
    prefers=Preference.SIMPLE,
    csat=4,
    nps=0,
)


def value(memory: Memory, keys: Keys = NEW, now: float = NOW) -> bytes:
    return state.sign(memory, keys, now).value.encode()


def seen(sent: bytes, keys: Keys = NEW, now: float = NOW) -> state.State:
    return read([b"a=1; edge_state=" + sent + b"; b=2"], keys, now)


def resigned(content: object, keys: Keys = NEW) -> bytes:
    return closed(content, keys, STATE_SALT, NOW).encode()


# --------------------------------------------------------------------------- what is remembered comes back

codes = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=24)
minutes = st.integers(0, 10**8)
memories = st.builds(
    Memory,
    id=st.text(string.ascii_letters + string.digits + "-_", max_size=16),
    first_day=st.integers(0, 10**5),
    active=minutes,
    visits=st.integers(0, 999),
    away=st.none() | st.integers(0, 10**5),
    page_views=st.integers(0, 999),
    orders=st.integers(0, 999),
    signed_in=st.booleans(),
    events=st.dictionaries(codes, minutes, max_size=MOST_EVENTS).map(lambda one: tuple(one.items())),
    bought=st.dictionaries(codes, st.integers(0, 69_000), max_size=MOST_CATEGORIES).map(lambda one: tuple(one.items())),
    shown=st.dictionaries(
        st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=8),
        st.lists(minutes, min_size=1, max_size=MOST_TIMES).map(tuple),
        max_size=MOST_SHOWN,
    ).map(lambda one: tuple(one.items())),
    prefers=st.none() | st.sampled_from(Preference),
    csat=st.none() | st.integers(1, 5),
    nps=st.none() | st.integers(0, 10),
    opted_out=st.booleans(),
)


@given(memories)
def test_what_is_written_is_read_and_never_longer_than_its_limit(memory: Memory) -> None:
    written = state.sign(memory, NEW, NOW)
    assert len(written.value) <= LONGEST_VALUE
    back = seen(written.value.encode())
    assert back.memory == written.memory
    assert back.fresh
    if not written.dropped:
        assert written.memory == memory
    # never what keeps a promise to the visitor, or what is not dated
    assert replace(memory, events=(), bought=(), shown=(), csat=None, nps=None) == replace(
        written.memory, events=(), bought=(), shown=(), csat=None, nps=None
    )
    assert written.memory.last_order == memory.last_order


def test_the_least_valuable_is_dropped_first_and_counted() -> None:
    shown = tuple((f"{n:04d}", tuple(MINUTE - n * 7 - k for k in range(MOST_TIMES))) for n in range(MOST_SHOWN))
    full = replace(EVA, shown=shown, csat=4, nps=9)
    written = state.sign(full, NEW, NOW)
    assert written.dropped[:2] == ("csat", "nps")
    assert set(written.dropped[2:]) == {"category", "event", "exposure"}
    kept = written.memory
    assert kept.last_order == EVA.last_order
    assert kept.shown == shown[: len(kept.shown)]  # the oldest went
    assert (kept.prefers, kept.visits, kept.id) == (EVA.prefers, EVA.visits, EVA.id)


def test_a_value_of_the_contract_never_changes() -> None:
    """A later version must still read it: change this only together with a row in MIGRATIONS."""
    sent = value(EVA)
    assert json.loads(base64.urlsafe_b64decode(sent.split(b".")[0] + b"==")) == {
        "v": 1,
        "i": "q7Hk2mPx01aB",
        "f": 20000,
        "a": MINUTE,
        "n": 7,
        "w": 12,
        "p": 5,
        "o": 2,
        "s": 1,
        "e": {"order": 40, "basket": 4000},
        "b": {"phones": 0, "cases": 505},
        "c": {"Ab3d": [0, 60], "Zz90": [10000]},
        "r": "simple",
        "q": 4,
        "m": 0,
    }
    assert seen(sent).memory == EVA


def test_both_cookies_together_stay_small() -> None:
    longest_visitor = LONGEST_VALUE + len("edge_visitor=")
    assert longest_visitor + len("; edge_state=") + LONGEST_VALUE <= 2.5 * 1024


# --------------------------------------------------------------------------- what proves nothing


def test_no_cookie_is_no_state() -> None:
    assert read([], NEW, NOW) is NO_STATE
    assert read([b"edge_states=x; state=edge_state"], NEW, NOW) is NO_STATE


def test_each_signed_thing_has_a_salt_of_its_own() -> None:
    assert seen(sign_visitor(NEW, NOW, stage="new").encode()).disbelief is Disbelief.FORGED
    assert read_visitor([b"edge_visitor=" + value(EVA)], NEW, NOW).problems[0].startswith("forged")


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([b"edge_state=" + value(EVA) + b"; edge_state=" + value(EVA)], Disbelief.DOUBLED),
        ([b"edge_state=" + value(EVA), b"edge_state"], Disbelief.DOUBLED),
        ([b"edge_state="], Disbelief.MALFORMED),
        ([b'edge_state="' + value(EVA) + b'"'], Disbelief.MALFORMED),
        ([b"edge_state=" + value(EVA) + b"!!!"], Disbelief.MALFORMED),
        ([b"edge_state=" + value(EVA)[:-1]], Disbelief.FORGED),
        ([b"edge_state=" + value(EVA, OLD)], Disbelief.FORGED),
        ([b"edge_state=" + b"a" * 1201], Disbelief.OVERSIZED),
        ([b"edge_state=" + value(EVA, now=NOW - 401 * DAY)], Disbelief.EXPIRED),
        ([b"edge_state=" + value(EVA, now=NOW + 61)], Disbelief.FUTURE),
        ([b"edge_state=" + resigned({"v": 2})], Disbelief.VERSION),
        ([b"edge_state=" + resigned({"v": True})], Disbelief.VERSION),
        ([b"edge_state=" + resigned({})], Disbelief.VERSION),
        ([b"edge_state=" + resigned([1])], Disbelief.CONTENT),
        ([b"edge_state=" + resigned(None)], Disbelief.CONTENT),
    ],
    ids=str,
)
def test_what_is_not_whole_is_no_state(lines: list[bytes], why: Disbelief) -> None:
    found = read(lines, NEW, NOW)
    assert (found.memory, found.sent, found.disbelief) == (None, True, why)
    assert found.words


@pytest.mark.parametrize(
    "said",
    [
        {"n": -1},
        {"n": 1000},
        {"n": "7"},
        {"n": 7.0},
        {"n": True},
        {"n": 10**400},
        {"a": -5},
        {"i": 7},
        {"i": "eva@shop.example"},
        {"i": "x" * 33},
        {"e": []},
        {"e": {"order": "soon"}},
        {"e": {"order": 10**12}},
        {"e": {"UPPER": 1}},
        {"e": {f"event{n}": n for n in range(9)}},
        {"b": {"phones": None}},
        {"b": {f"c{n}": n for n in range(40)}},
        {"c": {"Ab3d": []}},
        {"c": {"Ab3d": 5}},
        {"c": {"Ab3d": [1] * 13}},
        {"c": {"<b>": [1]}},
        {"r": "loud"},
        {"r": 5},
        {"r": ["simple"]},
        {"q": 6},
        {"m": 11},
        {"m": False},
    ],
    ids=str,
)
def test_content_that_we_never_write_is_no_state(said: dict[str, Any]) -> None:
    found = seen(resigned({"v": 1, "a": MINUTE, **said}))
    assert (found.memory, found.disbelief) == (None, Disbelief.CONTENT)


@given(st.binary(max_size=1300))
def test_bytes_of_any_kind_never_raise(sent: bytes) -> None:
    assert seen(sent).memory is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_signed_json_of_any_kind_never_raises(one: object) -> None:
    for name in "viafnwpoebcrqmsx":
        seen(resigned({"v": 1, name: one}))


# --------------------------------------------------------------------------- nobody is lost


def test_a_change_of_keys_loses_nobody() -> None:
    old = seen(value(EVA, OLD), BOTH)
    assert old.memory == EVA
    assert not old.fresh  # to be written anew by the newest
    assert seen(value(EVA, BOTH), BOTH).fresh


def test_an_older_version_is_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the next version will do it: a row in MIGRATIONS, and nobody is a stranger again."""
    monkeypatch.setattr(state, "VERSION", 2)
    monkeypatch.setattr(state, "MIGRATIONS", {1: lambda old: {**old, "n": old["n"] + 1}})
    found = seen(resigned({"v": 1, "a": MINUTE, "n": 3}))
    assert found.memory is not None
    assert found.memory.visits == 4
    assert not found.fresh
    assert seen(resigned({"v": 2, "a": MINUTE, "n": 3})).fresh
    assert seen(resigned({"v": 3})).disbelief is Disbelief.VERSION


def test_every_version_can_be_reached() -> None:
    assert set(state.MIGRATIONS) == set(range(1, state.VERSION))


@pytest.mark.parametrize(
    ("sent", "replaceable"),
    [
        (b"rubbish", True),
        (value(EVA, OLD), True),
        (value(EVA, now=NOW - 401 * DAY), True),
        (resigned({"v": 1, "n": "many"}), True),
        (resigned({"v": 2}), False),  # a later edgeproxy's, in the middle of an upgrade or after a way back
        (value(EVA) + b"; edge_state=x", False),  # a second one that somebody tossed in would stay
        (value(EVA, now=NOW + 3600), False),  # our clock was set back: it holds again in an hour
        (value(EVA, now=NOW + 3 * DAY), True),  # it was set by a clock that was wrong
    ],
    ids=str,
)
def test_what_may_be_written_over(sent: bytes, *, replaceable: bool) -> None:
    assert seen(sent).replaceable is replaceable


# --------------------------------------------------------------------------- the memo


def test_the_memo_knows_no_time_and_no_other_keys() -> None:
    memo = VerifiedStates(10)
    line = [b"edge_state=" + value(EVA)]
    settings = StateSettings()
    assert read(line, NEW, NOW, settings, memo).memory == EVA
    assert read(line, NEW, NOW, settings, memo).memory == EVA
    assert (memo.hits, memo.misses) == (1, 1)
    assert read(line, NEW, NOW + 401 * DAY, settings, memo).disbelief is Disbelief.EXPIRED
    assert read(line, OLD, NOW, settings, memo).disbelief is Disbelief.FORGED
    for n in range(100):
        read([b"edge_state=forged.%d.x" % n], NEW, NOW, settings, memo)
    assert len(memo) == 0


# --------------------------------------------------------------------------- growing


def test_what_is_newest_stays() -> None:
    memory = EVA
    for day in range(20_605, 20_705):
        memory = memory.with_categories((f"c{day}", "phones"), day)
        memory = memory.with_event(f"e{day}", day)
        memory = memory.with_exposure(f"x{day}", day)
    assert len(memory.bought) == MOST_CATEGORIES
    assert memory.bought[:2] == (("c20704", 20_704), ("phones", 20_704))
    assert len(memory.events) == MOST_EVENTS
    assert len(memory.shown) == MOST_SHOWN


def test_exposures_of_one_thing_are_kept_as_many_as_its_cap_asks_for() -> None:
    memory = Memory()
    for minute in (5, 9, 7, 30):
        memory = memory.with_exposure("Ab3d", minute, keep=3)
    assert memory.times("Ab3d") == (30, 9, 7)
    assert memory.times("none") == ()


def test_choices_are_all_that_may_stay_without_consent() -> None:
    assert EVA.choices == Memory(prefers=Preference.SIMPLE)
    assert Memory(opted_out=True, id="x", visits=3).choices == Memory(opted_out=True)
    assert Memory(visits=3).choices is None
