"""The bar's forms: other flags and links for who may, nothing for who may not, and always back to this host."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.asking import Goes, Linked, leave, share, show
from edgeproxy.core.flags import PreviewFlags
from edgeproxy.core.model import NOBODY, PageRequest
from edgeproxy.core.preview import Active, Exchange, apply
from edgeproxy.core.tokens import Leave, read_session
from tests.core.books import NOW, ask, plain
from tests.core.test_preview import KEYS, LATER, OTHER, session

FORM = {"back": "/c/boots?q=1", "edge_stage": "new", "was_stage": "loyal", "was_segments": "", "edge_at": "2026-12-24"}


def sent(cookie: bytes = b"", path: str = "/-/edge/show", method: str = "POST") -> PageRequest:
    return ask(path, *([(b"cookie", cookie)] if cookie else []), method=method)


def linked(cookie: bytes, *, open_previews: bool = False, **form: str) -> Linked:
    made = share(sent(cookie), urlencode({**FORM, **form}).encode(), KEYS, open_previews=open_previews)
    assert isinstance(made, Linked)
    return made


def test_a_link_to_share_is_in_the_scheme_that_the_browser_speaks() -> None:
    """TLS may end before us, and whoever ends it may be nobody whom we trust."""
    cookie, form = session(Leave.ANY), urlencode(FORM).encode()
    for origin, scheme in ((b"https://shop.example", "https"), (b"https://evil.example", "http"), (b"null", "http")):
        headers = ((b"cookie", cookie), (b"origin", origin))
        asked = replace(ask("/-/edge/link", *headers, method="POST"), scheme="http")
        made = share(asked, form, KEYS, open_previews=False)
        assert isinstance(made, Linked)
        assert made.url.startswith(f"{scheme}://shop.example/")
        assert made.back.startswith(f"{scheme}://shop.example/")


@pytest.mark.parametrize(
    "cookie", [b"", session(), session(keys=OTHER), session(Leave.ANY, expires=int(NOW)), b"edge_preview=x"]
)
def test_who_may_not_change_it_is_led_back_and_nothing_changes(cookie: bytes) -> None:
    went = show(sent(cookie), urlencode(FORM).encode(), KEYS, open_previews=False)
    assert went == Goes(b"//shop.example/c/boots?q=1", None)


def test_who_may_change_it_goes_on_with_what_the_form_says() -> None:
    went = show(sent(session(Leave.ANY, persona="anna")), urlencode(FORM).encode(), KEYS, open_previews=False)
    assert went.location == b"//shop.example/c/boots?q=1"
    assert went.set_cookie is not None
    kept = read_session(went.set_cookie.partition(b";")[0].partition(b"=")[2], KEYS, NOW)
    assert not isinstance(kept, str)
    assert kept.flags == PreviewFlags(stage="new", at="2026-12-24")
    assert kept.expires == LATER, "a form does not make it last longer"


def test_a_link_shows_exactly_what_the_form_says_in_another_browser() -> None:
    made = linked(session(Leave.ANY), expires="1h")
    parts = urlsplit(made.url)
    assert (parts.netloc, parts.path) == ("shop.example", "/c/boots")
    opened = apply(ask(parts.path, query=parts.query), NOBODY, plain(), KEYS)
    assert isinstance(opened, Exchange)
    assert opened.set_cookie is not None
    seen = apply(ask("/", (b"cookie", opened.set_cookie.partition(b";")[0])), NOBODY, plain(), KEYS)
    assert isinstance(seen, Active)
    assert (seen.flags, seen.leave) == (PreviewFlags(stage="new", at="2026-12-24"), Leave.BOUND)
    assert not seen.may_change


def test_no_link_outlives_the_leave_of_who_makes_it() -> None:
    short = linked(session(Leave.ANY), expires="30d")
    assert (short.expires, short.shortened) == (LATER, True)
    bound = linked(session(stage="loyal"), expires="1h")
    assert (bound.flags, bound.expires) == (PreviewFlags(stage="loyal"), LATER)
    free = linked(b"", open_previews=True, expires="30d")
    assert (free.expires, free.shortened) == (int(NOW) + 30 * 86400, False)


@pytest.mark.parametrize("cookie", [b"", session(keys=OTHER), session(Leave.OPEN)])
def test_who_may_not_look_gets_no_link(cookie: bytes) -> None:
    made = share(sent(cookie), urlencode(FORM).encode(), KEYS, open_previews=False)
    assert made == Goes(b"//shop.example/c/boots?q=1", None)


@given(
    st.dictionaries(
        st.sampled_from(
            [*FORM, "edge_segment", "edge_persona", "edge_experience", "edge_off", "edge_rules", "expires"]
        ),
        st.text(max_size=200)
        | st.sampled_from(["*", "!x", "1", "//evil.example", "\r\nX: y", "https://evil.example/"]),
    )
)
def test_whatever_a_form_holds_it_leads_to_this_host(form: dict[str, str]) -> None:
    data = urlencode(form).encode()
    cookie = session(Leave.ANY)
    for went in (
        leave(sent(), data),
        show(sent(cookie), data, KEYS, open_previews=False),
        share(sent(cookie), data, KEYS, open_previews=False),
    ):
        url = went.location.decode("ascii") if isinstance(went, Goes) else went.url
        assert url.isprintable()
        assert urlsplit(url)[:2] == ("https" if isinstance(went, Linked) else "", "shop.example")
        if isinstance(went, Linked):
            assert urlsplit(went.back)[:2] == ("https", "shop.example")
            assert went.flags.rules is None, "no form names a draft"


def test_the_cookie_belongs_to_the_domain_that_the_operator_named() -> None:
    went = show(sent(session(Leave.ANY)), urlencode(FORM).encode(), KEYS, open_previews=False, domain="shop.example")
    left = leave(sent(), b"", "shop.example")
    for cookie in (went.set_cookie, left.set_cookie):
        assert cookie is not None
        assert b"; Domain=shop.example" in cookie
    assert b"Max-Age=0" in (left.set_cookie or b"")
