"""The laws that bind decisions, each as a property.

5. A forged, old, oversized or doubled cookie proves nothing.
6. A preview is nothing without a valid token.
8. ``decide`` explains itself.
9. Same input, same decision, on every machine, every time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st

from edgeproxy.core.decide import decide
from edgeproxy.core.explain import as_json, explain
from edgeproxy.core.model import NOBODY, Outcome, PageRequest, Source, Visitor
from edgeproxy.core.policy import lane
from edgeproxy.core.preview import Active, Exchange, Inactive, apply
from edgeproxy.core.signing import Keys
from edgeproxy.core.visitor import CookieSettings, VerifiedCookies, read, sign
from tests.core.books import NOW, PHONE, ask, book, plain, shop_of
from tests.core.test_preview import HOSTILE, session, token

KEYS = Keys.parse("f81d4fae7dec11d0a76500a0c91e6bf6")
OTHER = Keys.parse("1c0ffee4aabbccdd5e6f7081923a4b5d")

LABEL = st.sampled_from(["new", "exploring", "customer", "loyal", "lapsed", "unheard-of"])
SEGMENTS = st.lists(st.sampled_from(["outdoor", "city", "staff", "ski"]), unique=True).map(tuple)
IDENT = st.none() | st.from_regex(r"\A[A-Za-z0-9_-]{1,12}\Z")
VISITORS = st.one_of(
    st.just(NOBODY),
    st.builds(Visitor, st.none() | LABEL, SEGMENTS, IDENT, st.sampled_from([Source.COOKIE, Source.PREVIEW])),
    st.just(Visitor(None, (), None, Source.DISBELIEVED, ("forged: its signature was not made by our key",))),
)
PATHS = st.sampled_from(["/", "/c/boots", "/p/1", "/checkout/pay", "//c/../checkout/", "/sv/", "/%63/x"]) | st.text(
    st.characters(max_codepoint=255), max_size=30
).map(lambda text: "/" + text)
MOMENTS = st.floats(NOW - 4e7, NOW + 4e7) | st.sampled_from([NOW, 1793487600.0, 1801436400.0])
HEADERS = st.lists(st.sampled_from([PHONE, (b"sec-fetch-dest", b"empty"), (b"range", b"bytes=0-")]), max_size=2)
FORCED = st.none() | st.sampled_from(["calm-start", "winter", "sleeping", "no-such"])


@st.composite
def requests(draw: st.DrawFn) -> PageRequest:
    method = draw(st.sampled_from(["GET", "GET", "HEAD", "POST"]))
    return ask(draw(PATHS), *draw(HEADERS), at=draw(MOMENTS), method=method)


# --------------------------------------------------------------------------- 5


@given(st.data(), requests(), st.sampled_from(["forged", "old", "early", "oversized", "doubled", "cut", "spelled"]))
def test_law_5_a_cookie_that_is_not_good_proves_nothing(data: st.DataObject, request: PageRequest, how: str) -> None:
    value = sign(KEYS, NOW, stage="loyal", segments=["outdoor"], id="q7").encode()
    now, line = NOW, b"edge_visitor=" + value
    if how == "forged":
        line = b"edge_visitor=" + sign(OTHER, NOW, stage="loyal", segments=["outdoor"]).encode()
    elif how == "old":
        now = NOW + CookieSettings().max_age + data.draw(st.floats(1, 1e9))
    elif how == "early":
        now = NOW - 61 - data.draw(st.floats(0, 1e9))
    elif how == "oversized":
        line += b"A" * data.draw(st.integers(1200, 9000))
    elif how == "doubled":
        line += b"; edge_visitor=" + data.draw(st.sampled_from([value, b"", b"x", b"\xff"]))
    elif how == "cut":
        line = line[: data.draw(st.integers(len(b"edge_visitor="), len(line) - 1))]
    else:
        line += data.draw(st.binary(min_size=1, max_size=5))
        assume(b";" not in line and line.strip(b" \t") != b"edge_visitor=" + value)
    visitor = read([line], KEYS, now, cache=VerifiedCookies())
    assert visitor.source is Source.DISBELIEVED
    assert (visitor.stage, visitor.segments, visitor.id) == (None, (), None)
    assert visitor.problems
    decision = decide(plain(), visitor, request, reasons=True)
    assert decision.fitting == ()
    for step in decision.steps:
        assert step.outcome in {Outcome.OFF, Outcome.NOT_FOR_AUDIENCE}
        assert step.outcome is Outcome.OFF or step.why.startswith("the cookie is not believed (")
    assert lane(plain(), request, decision).kind.value == "pass", "the shop's own page"


# --------------------------------------------------------------------------- 6

FLAGS_ONLY = HOSTILE.map(lambda pairs: [pair for pair in pairs if pair[0] != "edge_token"])
ALPHABET = b"ABCxyz019-_.!=% "


@given(FLAGS_ONLY, st.sampled_from(["", "a=1", "edge_color=red&q=%C3%A5"]), VISITORS)
def test_law_6_flags_without_a_token_are_nothing(pairs: list[tuple[str, str]], shops: str, visitor: Visitor) -> None:
    ours = "&".join(f"{name}={value.encode().hex()}" for name, value in pairs)
    result = apply(ask(query="&".join(filter(None, (ours, shops)))), visitor, plain(), KEYS)
    assert result == Inactive(ask(query=shops))


@given(st.data(), st.sampled_from([token(stage="loyal"), token(any=True), session(stage="new").decode()[13:]]))
def test_law_6_an_altered_token_or_cookie_is_nothing(data: st.DataObject, good: str) -> None:
    place = data.draw(st.integers(0, len(good) - 1))
    byte = data.draw(st.sampled_from([*ALPHABET.decode(), ""]))
    bad = good[:place] + byte + good[place + data.draw(st.integers(0, 1)) :]
    assume(bad.strip() != good)
    by_link = apply(ask(query=f"edge_stage=loyal&edge_token={bad.replace('%', '%25')}"), NOBODY, plain(), KEYS)
    assert not isinstance(by_link, Active | Exchange)
    assert by_link.request == ask()
    by_cookie = apply(ask("/", (b"cookie", b"edge_preview=" + bad.encode())), NOBODY, plain(), KEYS)
    assert isinstance(by_cookie, Inactive)


@given(st.floats(0, 1e9))
def test_law_6_what_has_expired_is_nothing(later: float) -> None:
    at = NOW + 3600 + later
    assert isinstance(apply(ask(query=f"edge_token={token(any=True)}", at=at), NOBODY, plain(), KEYS), Inactive)
    assert isinstance(apply(ask("/", (b"cookie", session()), at=at), NOBODY, plain(), KEYS), Inactive)


# --------------------------------------------------------------------------- 8


@given(VISITORS, requests(), FORCED)
def test_law_8_decide_explains_itself(visitor: Visitor, request: PageRequest, forced: str | None) -> None:
    made = plain()
    decision = decide(made, visitor, request, forced=forced, reasons=True)
    assert [step.experience for step in decision.steps] == list(made.experiences)
    ends = {Outcome.FITS, Outcome.PREVIEW}
    fits = [step.experience for step in decision.steps if step.outcome in ends]
    assert sorted(one.name for one in decision.fitting) == sorted(one.name for one in fits)
    assert [one for one in decision.fitting if one.name != forced] == [one for one in fits if one.name != forced]
    for step in decision.steps:
        assert step.why.strip()
        assert step.why.isprintable()
        assert (step.outcome is Outcome.PREVIEW) <= (step.experience.name == forced)
        assert step.outcome not in {Outcome.APPLIED, Outcome.SHADOWED, Outcome.NOT_PLACED}, "that needs a page"
    explanation = explain(made, visitor, request, forced=forced)
    assert [(one.outcome, one.why) for one in explanation.experiences] == [
        (step.outcome.value, step.why) for step in decision.steps
    ]
    assert all(slot.why for slot in explanation.slots)


# --------------------------------------------------------------------------- 9


@given(VISITORS, requests(), FORCED)
def test_law_9_same_input_same_decision(visitor: Visitor, request: PageRequest, forced: str | None) -> None:
    made = plain()
    first = decide(made, visitor, request, forced=forced)
    asked = decide(made, visitor, request, forced=forced, reasons=True)
    assert first == decide(made, visitor, request, forced=forced)
    assert replace(asked, steps=()) == first, "asking for reasons changes nothing"
    shop_of(made, enabled=False)
    decide(shop_of(made, enabled=False), visitor, request)  # another book in between
    assert decide(made, visitor, request, forced=forced) == first
    again = book()
    assert decide(again, visitor, request, forced=forced) == first, "nor does reading the same folder again"


def _scenes() -> str:
    """Explanations of many requests, as one text."""
    told = []
    for stage in (None, "new", "loyal", "lapsed"):
        for ident in (None, "q7", "q9"):
            for path in ("/", "/c/boots", "/p/1", "/checkout/"):
                visitor = Visitor(stage, ("city", "outdoor"), ident, Source.COOKIE)
                told.append(as_json(explain(plain(), visitor, ask(path, PHONE, at=1793487600.0), forced="half")))
    return json.dumps(told)


def test_law_9_in_another_process_with_other_hashes() -> None:
    here = _scenes()
    for seed in ("1", "2"):
        environ = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "Pacific/Auckland", "LC_ALL": "C"}
        code = "import sys, tests.core.test_laws as laws; sys.stdout.write(laws._scenes())"
        root = Path(__file__).parents[2]
        there = subprocess.run(
            [sys.executable, "-c", code], env=environ, cwd=root, capture_output=True, text=True, check=True
        )
        assert there.stdout == here
