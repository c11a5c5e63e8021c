"""Previews: nothing without a leave; with one, the live path with one visitor swapped in."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.asking import leave
from edgeproxy.core.decide import decide
from edgeproxy.core.flags import PreviewFlags, read_flags
from edgeproxy.core.model import NOBODY, PageRequest, RuleBook, Source, Visitor
from edgeproxy.core.preview import OPEN_LASTS, Active, Exchange, Inactive, Preview, apply
from edgeproxy.core.query import FLAGS
from edgeproxy.core.schedule import from_text, zone
from edgeproxy.core.signing import Keys
from edgeproxy.core.tokens import Leave, Session, Token, link, read_session, read_token, sign_session, sign_token
from edgeproxy.core.visitor import sign
from tests.core.books import DISBELIEVED, NOW, ask, plain, who

KEYS = Keys.parse("f81d4fae7dec11d0a76500a0c91e6bf6")
OTHER = Keys.parse("1c0ffee4aabbccdd5e6f7081923a4b5d")
LATER = int(NOW) + 3600
STOCKHOLM = zone("Europe/Stockholm")


def token(any: bool = False, expires: int = LATER, keys: Keys = KEYS, path: str | None = None, **flags: object) -> str:  # noqa: A002
    return sign_token(Token(PreviewFlags(**flags), any, expires, path), keys)  # type: ignore[arg-type]


def session(
    how: Leave = Leave.BOUND, expires: int = LATER, keys: Keys = KEYS, on: str | None = None, **flags: object
) -> bytes:
    value = sign_session(Session(how, PreviewFlags(**flags), expires, on), keys)  # type: ignore[arg-type]
    assert value is not None
    return b"edge_preview=" + value.encode()


def look(
    query: str = "",
    cookie: bytes = b"",
    visitor: Visitor = NOBODY,
    path: str = "/c/boots",
    open_previews: bool = False,
    book: RuleBook | None = None,
    **changed: object,
) -> Preview:
    headers = [(b"cookie", cookie)] if cookie else []
    request = replace(ask(path, *headers, query=query), **changed)  # type: ignore[arg-type]
    return apply(request, visitor, book or plain(), KEYS, open_previews=open_previews)


def active(query: str = "", cookie: bytes = b"", visitor: Visitor = NOBODY, **more: object) -> Active:
    result = look(query, cookie, visitor, **more)  # type: ignore[arg-type]
    assert isinstance(result, Active)
    return result


def shown(query: str, visitor: Visitor = NOBODY) -> Active:
    """What flags come to for somebody who may use all of them."""
    return active(query, session(Leave.ANY), visitor)


def carried(set_cookie: bytes | None) -> bytes:
    """The cookie as a browser sends it back."""
    assert set_cookie is not None
    return set_cookie.partition(b";")[0]


# --------------------------------------------------------------------------- nothing without a leave


def test_a_request_without_flags_is_the_very_same_request() -> None:
    request = ask("/c/boots", (b"cookie", b"a=1"), query="q=1&edge_color=red")
    result = apply(request, NOBODY, plain(), KEYS)
    assert isinstance(result, Inactive)
    assert result.request is request


def test_flags_without_a_leave_are_cut_and_nothing_else() -> None:
    result = look("a=1&edge_stage=loyal&edge_off=1&edge_at=2026-12-24&edge_color=red")
    assert result == Inactive(ask("/c/boots", query="a=1&edge_color=red"))


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (token(expires=int(NOW), stage="new"), "it expired 0 seconds ago"),
        (token(expires=int(NOW) - 7200, stage="new"), "it expired 2 hours ago"),
        (token(keys=OTHER, stage="new"), "it was not signed here, or was altered"),
        (token(stage="new")[:-1], "it was not signed here, or was altered"),
        (token(stage="new") + "!!!", "it was not signed here, or was altered"),
        (token(stage="new")[1:], "it was not signed here, or was altered"),
        (token(path="/c/shoes", stage="new"), "it is for another page"),
        (session(stage="new").decode().partition("=")[2], "it was not signed here, or was altered"),
        (sign(KEYS, NOW, stage="new"), "it was not signed here, or was altered"),
        ("", "it was not signed here, or was altered"),
        ("x" * 10_000, "it was not signed here, or was altered"),
        ("\ud7ff.é", "it was not signed here, or was altered"),
    ],
)
def test_a_token_that_is_none_shows_the_plain_shop(made: str, why: str) -> None:
    result = look(f"a=1&edge_stage=loyal&edge_token={quote(made)}")
    assert result == Inactive(ask("/c/boots", query="a=1"), (f"the link's token is not taken: {why}",))


@pytest.mark.parametrize(
    ("cookie", "why"),
    [
        (session(expires=int(NOW), stage="new"), "the preview is over: it expired 0 seconds ago"),
        (session(keys=OTHER), "the preview is over: it was not signed here, or was altered"),
        (b"edge_preview=", "the preview is over: it was not signed here, or was altered"),
        (b"edge_preview", "the preview is over: it was not signed here, or was altered"),
        (b"edge_preview=" + token(any=True).encode(), "the preview is over: it was not signed here, or was altered"),
        (session() + b"; " + session(), "cookie edge_preview came 2 times, so none is believed"),
        (session(Leave.OPEN, stage="new"), "previews are not open here"),
    ],
)
def test_a_preview_cookie_that_is_none_shows_the_plain_shop(cookie: bytes, why: str) -> None:
    result = look("edge_stage=new", cookie)
    assert isinstance(result, Inactive)
    assert result.problems == (why,)
    assert result.request.query == ""


# --------------------------------------------------------------------------- the exchange


def test_a_good_token_is_exchanged_for_a_cookie_and_a_clean_address() -> None:
    result = look(f"a=%C3%a5&edge_stage=new&edge_token={token(stage='new')}&b=")
    assert isinstance(result, Exchange)
    assert result.location == b"//shop.example/c/boots?a=%C3%a5&b="
    assert result.set_cookie is not None
    name, _, attributes = result.set_cookie.partition(b";")
    assert name.startswith(b"edge_preview=")
    assert attributes == b" Path=/; HttpOnly; SameSite=Lax; Secure"
    assert result.request.query == "a=%C3%a5&b="
    after = active("a=%C3%a5&b=", carried(result.set_cookie))
    assert (after.flags, after.leave, after.expires) == (PreviewFlags(stage="new"), Leave.BOUND, LATER)
    assert after.visitor == Visitor("new", (), None, Source.PREVIEW)
    assert after.set_cookie is None
    assert after.request.query == "a=%C3%a5&b="


def test_the_preview_survives_clicks_and_ends_with_its_link() -> None:
    result = look(f"edge_token={token(stage='loyal', segments=('outdoor',))}")
    assert isinstance(result, Exchange)
    cookie = carried(result.set_cookie)
    for path in ("/", "/p/1", "/checkout/"):
        assert active("", cookie, path=path).visitor.stage == "loyal"
    assert isinstance(look("", cookie, at=float(LATER) - 1), Active)
    assert isinstance(look("", cookie, at=float(LATER)), Inactive)


def test_the_cookie_is_secure_where_the_visitors_connection_is() -> None:
    result = look(f"edge_token={token(stage='new')}", scheme="http")
    assert isinstance(result, Exchange)
    assert b"Secure" not in (result.set_cookie or b"Secure")
    assert result.location == b"//shop.example/c/boots"


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "/%0d%0aX: y", "/c\r\nX: y"])
def test_no_path_becomes_another_host_or_another_header(path: str) -> None:
    result = look(f"edge_token={token(stage='new')}", path=path)
    assert isinstance(result, Exchange)
    assert result.location.startswith(b"//shop.example/")
    assert b"\r" not in result.location
    assert urlsplit(result.location.decode()).netloc == "shop.example"


@pytest.mark.parametrize("host", ["evil@shop.example", "shop.example/x", "", "shop.example\r\nX: y", "a b"])
def test_no_redirect_to_a_host_that_is_none(host: str) -> None:
    assert isinstance(look(f"edge_token={token(stage='new')}", host=host), Inactive)


def test_only_documents_are_redirected() -> None:
    for changed in ({"method": "POST"}, {"headers": ((b"sec-fetch-dest", b"image"),)}):
        result = look(f"a=1&edge_token={token(stage='new')}", **changed)
        assert isinstance(result, Inactive)
        assert result.request.query == "a=1"
    assert isinstance(look(f"edge_token={token(stage='new')}", method="HEAD"), Exchange)


def test_a_token_may_be_bound_to_one_page() -> None:
    assert isinstance(look(f"edge_token={token(path='/c/boots', stage='new')}"), Exchange)


# --------------------------------------------------------------------------- who may change what


def test_a_bound_preview_shows_exactly_its_flags() -> None:
    seen = active("edge_stage=loyal&edge_segment=city&edge_explain=1&a=1", session(stage="new"))
    assert seen.flags == PreviewFlags(stage="new")
    assert seen.visitor.stage == "new"
    assert not seen.explain
    assert seen.request.query == "a=1"
    assert seen.set_cookie is None
    assert seen.problems == (
        "ignored: edge_stage, edge_segment and edge_explain; this preview shows exactly what its link says",
    )


def test_flags_beside_a_bound_token_are_ignored() -> None:
    result = look(f"edge_stage=loyal&edge_off=1&edge_token={token(stage='new')}")
    assert isinstance(result, Exchange)
    assert active("", carried(result.set_cookie)).flags == PreviewFlags(stage="new")


def test_any_leaves_the_flags_to_its_holder_and_remembers_them() -> None:
    first = look(f"edge_stage=new&edge_token={token(any=True)}")
    assert isinstance(first, Exchange)
    cookie = carried(first.set_cookie)
    assert active("", cookie).flags == PreviewFlags(stage="new")
    second = active("edge_segment=city&edge_at=2026-12-24", cookie)
    assert second.flags == PreviewFlags(segments=("city",), at="2026-12-24"), "a link says all of what it shows"
    assert second.expires == LATER
    third = active("", carried(second.set_cookie))
    assert third.flags == second.flags
    assert third.leave is Leave.ANY
    assert active("edge_segment=city&edge_at=2026-12-24", carried(second.set_cookie)).set_cookie is None


def test_any_with_flags_of_its_own_shows_them_first() -> None:
    result = look(f"edge_token={token(any=True, stage='new')}")
    assert isinstance(result, Exchange)
    assert active("", carried(result.set_cookie)).visitor.stage == "new"


def test_what_a_script_or_a_form_asks_for_changes_no_preview() -> None:
    for changed in ({"method": "POST"}, {"headers": ((b"cookie", session(Leave.ANY)), (b"sec-fetch-dest", b"empty"))}):
        seen = active("edge_stage=new&edge_explain=1", session(Leave.ANY), **changed)
        assert seen.visitor.stage == "new"
        assert seen.set_cookie is None
        assert not seen.explain


def test_a_bad_link_on_top_of_a_preview_changes_nothing() -> None:
    seen = active(f"edge_stage=loyal&edge_token={token(expires=1)}", session(Leave.ANY, stage="new"))
    assert seen.visitor.stage == "new"
    assert seen.problems[0].startswith("the link's token is not taken: it expired")


# --------------------------------------------------------------------------- open previews


def test_open_previews_need_no_token_and_survive_the_next_click() -> None:
    first = active("edge_stage=loyal&a=1", open_previews=True)
    assert (first.leave, first.visitor.stage, first.request.query) == (Leave.OPEN, "loyal", "a=1")
    assert first.expires == int(NOW + OPEN_LASTS)
    second = active("", carried(first.set_cookie), open_previews=True)
    assert second.visitor.stage == "loyal"
    assert isinstance(look("", carried(first.set_cookie)), Inactive), "and are worth nothing elsewhere"


def test_open_previews_without_flags_are_none() -> None:
    assert look("a=1", open_previews=True) == Inactive(ask("/c/boots", query="a=1"))


@pytest.mark.parametrize("headers", [(), ((b"sec-fetch-dest", b"document"),)], ids=["by curl", "by a browser"])
def test_open_previews_say_why_a_link_shows_nothing(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """Its flags came with a token that somebody altered: they are nothing, and whoever may preview is told so."""
    query = f"edge_stage=loyal&edge_token={token(stage='loyal')[:-1]}&a=1"
    asked = replace(ask("/c/boots", *headers, query=query), method="GET")
    result = apply(asked, NOBODY, plain(), KEYS, open_previews=True)
    if headers:
        assert isinstance(result, Exchange)
        assert result.location == b"//shop.example/c/boots?a=1"
        result = look("a=1", carried(result.set_cookie), open_previews=True)
    assert isinstance(result, Active)
    assert result.visitor == NOBODY
    assert result.said == ()
    assert result.problems == ("the link's token is not taken: it was not signed here, or was altered",)


def test_only_to_explain_needs_no_memory() -> None:
    seen = active("edge_explain=1", open_previews=True)
    assert seen.explain
    assert seen.set_cookie is None


# --------------------------------------------------------------------------- explanations


def test_an_explanation_asked_for_in_a_link_stays_with_its_page() -> None:
    result = look(f"edge_stage=new&edge_explain=1&edge_token={token(stage='new', explain=True)}")
    assert isinstance(result, Exchange)
    assert result.location == b"//shop.example/c/boots"
    cookie = carried(result.set_cookie)
    assert active("", cookie).explain
    assert active("", cookie).explain, "also when it is loaded again"
    assert not active("", cookie, path="/p/1").explain
    assert not active("edge_explain=0", cookie).explain, "the page itself is a click away"
    assert active("edge_explain=1", cookie, path="/p/1").explain


def test_an_explanation_beside_an_any_token() -> None:
    result = look(f"edge_explain=1&edge_token={token(any=True, stage='new')}")
    assert isinstance(result, Exchange)
    seen = active("", carried(result.set_cookie))
    assert seen.explain
    assert seen.flags == PreviewFlags(stage="new")
    assert not active("edge_stage=loyal", carried(result.set_cookie)).explain


# --------------------------------------------------------------------------- what flags come to


@pytest.mark.parametrize(
    ("query", "visitor", "stage", "segments", "source", "said"),
    [
        ("edge_stage=loyal", NOBODY, "loyal", (), Source.PREVIEW, ('stage "loyal"',)),
        ("edge_stage=loyal", who("new", "city", id="q7"), "loyal", ("city",), Source.PREVIEW, ('stage "loyal"',)),
        ("edge_segment=city", NOBODY, "new", ("city",), Source.PREVIEW, ("segment city",)),
        ("edge_segment=city", who("loyal", "outdoor"), "loyal", ("city",), Source.PREVIEW, ("segment city",)),
        (
            "edge_segment=city&edge_segment=outdoor&edge_segment=city",
            NOBODY,
            "new",
            ("outdoor", "city"),
            Source.PREVIEW,
            ("segments outdoor and city",),
        ),
        ("edge_segment=", who("loyal", "city"), "loyal", (), Source.PREVIEW, ("no segments",)),
        ("edge_stage=", who("loyal", "city"), None, ("city",), Source.PREVIEW, ("no stage",)),
        ("edge_persona=anna", NOBODY, "loyal", ("outdoor",), Source.PREVIEW, ('persona "anna"',)),
        (
            "edge_persona=anna&edge_stage=new",
            NOBODY,
            "new",
            ("outdoor",),
            Source.PREVIEW,
            ('persona "anna"', 'stage "new"'),
        ),
        ("edge_persona=stranger", who("loyal"), None, (), Source.NOBODY, ('persona "stranger"',)),
        ("edge_persona=nobody", who("loyal"), None, (), Source.NOBODY, ('persona "nobody"',)),
        ("edge_stage=new", DISBELIEVED, "new", (), Source.PREVIEW, ('stage "new"',)),
        ("edge_off=1", who("loyal"), "loyal", (), Source.COOKIE, ("the shop's own page",)),
        ("edge_experience=half", who("loyal"), "loyal", (), Source.COOKIE, ('experience "half"',)),
        (
            "edge_at=2026-12-24",
            DISBELIEVED,
            None,
            (),
            Source.DISBELIEVED,
            ("2026-12-24 00:00 Europe/Stockholm",),
        ),
    ],
)
def test_the_visitor_swapped_in(
    query: str, visitor: Visitor, stage: str | None, segments: tuple[str, ...], source: Source, said: tuple[str, ...]
) -> None:
    seen = shown(query, visitor)
    assert (seen.visitor.stage, seen.visitor.segments, seen.visitor.source) == (stage, segments, source)
    assert seen.said == said
    assert seen.problems == ()


def test_a_persona_brings_its_id_and_a_stage_keeps_the_visitors() -> None:
    assert shown("edge_persona=anna", who("new", id="q7")).visitor.id == "anna-1"
    assert shown("edge_stage=loyal", who("new", id="q7")).visitor.id == "q7"


def test_a_preview_without_flags_is_oneself() -> None:
    seen = shown("", who("loyal", "city", id="q7"))
    assert seen.visitor == who("loyal", "city", id="q7")
    assert (seen.said, seen.forced, seen.off, seen.request.at) == ((), None, False, NOW)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-24", "2026-12-24T00:00:00+01:00"),
        ("2026-12-24T10:00", "2026-12-24T10:00:00+01:00"),
        ("2026-12-24T10:00:30", "2026-12-24T10:00:30+01:00"),
        ("2026-07-01T10:00", "2026-07-01T10:00:00+02:00"),
        ("2026-12-24T10:00Z", "2026-12-24T10:00:00+00:00"),
        ("2026-12-24T10:00%2B05:30", "2026-12-24T10:00:00+05:30"),
        ("2026-12-24T10:00+05:30", "2026-12-24T10:00:00+05:30"),
        ("2026-12-24T10:00-05:00", "2026-12-24T10:00:00-05:00"),
        ("2026-12-24+10:00", "2026-12-24T10:00:00+01:00"),
        ("2026-03-29T02:30", "2026-03-29T03:30:00+02:00"),
        ("2026-10-25T02:30", "2026-10-25T02:30:00+02:00"),
    ],
)
def test_a_moment(text: str, moment: str) -> None:
    seen = shown(f"edge_at={text}")
    assert seen.problems == ()
    assert seen.request.at == from_text(moment, STOCKHOLM)


def test_a_moment_changes_what_fits() -> None:
    seen = shown("edge_at=2026-12-24", who("lapsed"))
    assert [one.name for one in decide(plain(), seen.visitor, seen.request).fitting] == ["winter"]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("edge_stage=loyl", 'unknown stage "loyl" (did you mean "loyal"?)'),
        ("edge_stage=xyz", 'unknown stage "xyz" (there is new, exploring, customer, loyal and lapsed)'),
        ("edge_segment=ski&edge_segment=city", 'unknown segment "ski" (there is outdoor, city and staff)'),
        ("edge_persona=ana", 'unknown persona "ana" (did you mean "anna"?)'),
        ("edge_experience=calm", 'unknown experience "calm"'),
        ("edge_at=tomorrow", 'edge_at is "tomorrow": write a day or a moment, 2026-12-24 or 2026-12-24T10:00'),
        ("edge_at=2026-02-30", 'edge_at is "2026-02-30": write a day or a moment, 2026-12-24 or 2026-12-24T10:00'),
        ("edge_at=10:00", 'edge_at is "10:00": write a day or a moment, 2026-12-24 or 2026-12-24T10:00'),
        ("edge_off=maybe", 'edge_off is "maybe", wanted 1 or 0'),
        ("edge_explain=maybe", 'edge_explain is "maybe", wanted 1, 0 or json'),
        ("edge_stage=new&edge_stage=loyal", "edge_stage is there more than once: the last one holds"),
        ("edge_stage=" + "x" * 65, "edge_stage is longer than 64 characters: not taken"),
        ("edge_stage=%3Cb%3E%00%0Dx", 'unknown stage "<b>��x" (there is new, exploring, customer, loyal and lapsed)'),
    ],
)
def test_what_cannot_be_followed_is_told_in_words(query: str, problem: str) -> None:
    seen = shown(query)
    assert len(seen.problems) == 1
    assert seen.problems[0].startswith(problem)


def test_what_cannot_be_followed_changes_nothing() -> None:
    seen = shown("edge_stage=xyz&edge_segment=ski&edge_persona=x&edge_experience=x&edge_at=x", who("loyal", "city"))
    assert seen.visitor == who("loyal", "city")
    assert (seen.forced, seen.request.at, seen.said) == (None, NOW, ())
    assert len(seen.problems) == 5


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00%2B23:59"])
def test_moments_at_the_ends_of_the_calendar(text: str) -> None:
    seen = shown(f"edge_at={text}")
    assert len(seen.problems) + len(seen.said) == 1


HOSTILE = st.lists(
    st.tuples(
        st.sampled_from(sorted(name.decode() for name in FLAGS)),
        st.sampled_from(["new", "anna", "1", "", "2026-12-24", "half", token(stage="new"), token(any=True)])
        | st.text(),
    ),
    max_size=8,
)


@given(HOSTILE, st.sampled_from([b"", session(), session(Leave.ANY), session(Leave.OPEN)]) | st.binary(), st.booleans())
def test_no_flags_are_an_error(pairs: list[tuple[str, str]], cookie: bytes, open_previews: bool) -> None:
    raw = "&".join(f"{name}={quote(value, errors='replace')}" for name, value in pairs)
    result = look(f"a=1&{raw}", cookie, open_previews=open_previews)
    assert result.request.query == ("a=1" if pairs else "a=1&")
    if isinstance(result, Active):
        decide(plain(), result.visitor, result.request, forced=result.forced, reasons=True)
        assert all(line.isprintable() for line in (*result.said, *result.problems))


def test_flags_too_long_to_remember_are_shown_once() -> None:
    segments = "&".join("edge_segment=" + quote("å" * 60 + f"{number:02}") for number in range(32))
    seen = active(f"{segments}&edge_stage=loyal", session(Leave.ANY))
    assert seen.visitor.stage == "loyal"
    assert seen.set_cookie is None
    assert seen.problems[0] == "these flags are too long to be remembered for the next click"


# --------------------------------------------------------------------------- clean addresses

GOES = ((b"sec-fetch-dest", b"document"), (b"sec-fetch-mode", b"navigate"))
TAKES = ((b"accept", b"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),)


def gone(query: str, cookie: bytes = b"", *headers: tuple[bytes, bytes], **more: object) -> Preview:
    """What a browser gets that goes to an address."""
    lines = [*headers, *([(b"cookie", cookie)] if cookie else [])]
    return apply(ask("/c/boots", *lines, query=query), NOBODY, plain(), KEYS, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("headers", [GOES, TAKES])
@pytest.mark.parametrize(
    ("query", "cookie", "flags"),
    [
        ("a=1&edge_stage=loyal", session(Leave.ANY), PreviewFlags(stage="loyal")),
        ("a=1&edge_stage=loyal", session(Leave.ANY, stage="loyal"), PreviewFlags(stage="loyal")),
        ("a=1&edge_stage=loyal", session(stage="new"), PreviewFlags(stage="new")),
        (
            "a=1&edge_explain=0",
            session(on="/c/boots", explain=True, stage="new"),
            PreviewFlags(stage="new", explain=True),
        ),
        ("a=1&edge_token=x", session(stage="new"), PreviewFlags(stage="new")),
        ("a=1&edge_stage=loyal&edge_token=x", b"", None),
        ("a=1&edge_stage=loyal", session(keys=OTHER), None),
    ],
)
def test_a_browser_is_sent_on_to_the_address_without_flags(
    headers: tuple[tuple[bytes, bytes], ...], query: str, cookie: bytes, flags: PreviewFlags | None
) -> None:
    """A page's scripts and counters know the address: what is ours must not stand in it."""
    went = gone(query, cookie, *headers)
    assert isinstance(went, Exchange)
    assert went.location == b"//shop.example/c/boots?a=1"
    if flags is None:
        assert went.set_cookie is None
        return
    there = gone("a=1", carried(went.set_cookie), *headers)
    assert isinstance(there, Active)
    assert (there.flags, there.explain) == (flags, False)


def test_what_was_wrong_with_flags_is_told_behind_the_redirect_until_others_come() -> None:
    went = gone("edge_stage=nwe&edge_off=banana", session(Leave.ANY), *GOES)
    assert isinstance(went, Exchange)
    cookie = carried(went.set_cookie)
    for _ in range(2):
        there = gone("", cookie, *GOES)
        assert isinstance(there, Active)
        assert [one.partition(",")[0] for one in there.problems] == [
            'edge_off is "banana"',
            'unknown stage "nwe" (did you mean "new"?)',
        ]
    went = gone("edge_stage=new", cookie, *GOES)
    assert isinstance(went, Exchange)
    there = gone("", carried(went.set_cookie), *GOES)
    assert isinstance(there, Active)
    assert there.problems == ()


@pytest.mark.parametrize(
    "headers",
    [
        ((b"sec-fetch-dest", b"empty"), *TAKES),
        ((b"sec-fetch-dest", b"iframe"), *TAKES),
        ((b"x-requested-with", b"XMLHttpRequest"), *TAKES),
        ((b"accept", b"*/*"),),
        (),
    ],
)
def test_nobody_else_is_sent_anywhere(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    assert isinstance(gone("edge_stage=loyal", session(Leave.ANY), *headers), Active)
    assert isinstance(gone("edge_stage=loyal", b"", *headers), Inactive)


def test_an_explanation_keeps_its_address() -> None:
    there = gone("edge_explain=1&edge_stage=loyal", session(Leave.ANY), *GOES)
    assert isinstance(there, Active)
    assert there.explain
    assert not there.as_json
    told = gone("edge_explain=json", session(Leave.ANY), *GOES)
    assert isinstance(told, Active)
    assert told.as_json


# --------------------------------------------------------------------------- links


def test_a_link_leads_to_what_it_says() -> None:
    flags = PreviewFlags(
        "loyal", ("outdoor", "city"), None, "half", ("calm-start",), "2026-12-24T10:00", True, True, True, "spring"
    )
    url = link("https://shop.example/c/boots?a=1&edge_stage=old#top", Token(flags, False, LATER), KEYS)
    parts = urlsplit(url)
    assert (parts.netloc, parts.path, parts.fragment) == ("shop.example", "/c/boots", "top")
    assert parts.query.startswith(
        "a=1&edge_stage=loyal&edge_segment=outdoor&edge_segment=city&edge_experience=half&edge_experience=%21calm-start"
    )
    result = look(parts.query)
    assert isinstance(result, Exchange)
    assert active("", carried(result.set_cookie)).flags == flags


@pytest.mark.parametrize(
    "flags",
    [
        PreviewFlags(),
        PreviewFlags(stage=""),
        PreviewFlags(segments=()),
        PreviewFlags(persona="anna", at="2026-12-24", explain=True),
        PreviewFlags(stage="återkommande", segments=("a", "b"), off=True),
    ],
)
def test_flags_are_the_same_in_a_query_a_token_and_a_session(flags: PreviewFlags) -> None:
    assert read_flags(flags.pairs()) == (flags, ())
    made = Token(flags, True, LATER)
    assert read_token(sign_token(made, KEYS), KEYS, NOW, "/") == made
    kept = Session(Leave.ANY, flags, LATER, "/x")
    value = sign_session(kept, KEYS)
    assert value is not None
    assert read_session(value.encode(), KEYS, NOW) == kept


def test_a_link_that_would_be_too_long_is_not_made() -> None:
    with pytest.raises(ValueError, match="too long for a link"):
        sign_token(Token(PreviewFlags(stage="x" * 4000), False, LATER), KEYS)


# --------------------------------------------------------------------------- leaving


@pytest.mark.parametrize(
    ("form", "location"),
    [
        (b"back=%2Fc%2Fboots%3Fa%3D1", b"//shop.example/c/boots?a=1"),
        (b"back=%2Fc%3Fedge_stage%3Dnew%26a%3D1", b"//shop.example/c?a=1"),
        (b"back=%2F%2Fevil.example%2F", b"//shop.example//evil.example/"),
        (b"back=https%3A%2F%2Fevil.example%2F", b"//shop.example/"),
        (b"back=javascript%3Aalert(1)", b"//shop.example/"),
        (b"back=%2Fx%0D%0ASet-Cookie%3A+a", b"//shop.example/x%0D%0ASet-Cookie:%20a"),
        (b"", b"//shop.example/"),
        (b"\xff\xfe=%%%", b"//shop.example/"),
        (b"back=%2F" + b"x" * 100_000, b"//shop.example/" + b"x" * (8192 - len("back=%2F"))),
    ],
)
def test_leaving_goes_back_to_a_page_of_this_host(form: bytes, location: bytes) -> None:
    request: PageRequest = ask("/-/edge/leave", method="POST")
    left = leave(request, form)
    assert left.location == location
    assert left.set_cookie == b"edge_preview=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
