"""Signed links to contact sheets: what they show, and everything that shows nothing."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.flags import PreviewFlags
from edgeproxy.core.sheetlink import SALT, SheetLink, read_link, sign_link
from edgeproxy.core.signing import Keys
from edgeproxy.core.tokens import Token, read_token, sign_token

OLD, NEW = "9b2c4d6e8f0a1b3c5d7e9f0a2b4c6d81", "f81d4fae7dec11d0a76500a0c91e6bf6"
KEYS = Keys.parse(NEW)
NOW = 1_780_315_200.0
LINK = SheetLink(("/", "/c/boots?a=b"), ("anna", "bo"), ("2026-12-24T10:00",), int(NOW) + 60)


def signed(content: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=")
    return KEYS.signing(SALT).sign_plain(body).decode()


def test_a_link_says_exactly_what_was_signed_until_it_expires() -> None:
    text = sign_link(LINK, KEYS)
    assert read_link(text, KEYS, NOW) == LINK
    assert read_link(text, Keys.parse(f"{NEW},{OLD}"), NOW + 59) == LINK
    assert read_link(text, KEYS, NOW + 60) == "it expired 0 seconds ago"
    assert read_link(text, KEYS, NOW + 7260) == "it expired 2 hours ago"


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t + "A", lambda t: "A" + t, lambda t: t.swapcase()])
def test_an_altered_link_shows_nothing(change: object) -> None:
    assert callable(change)
    assert read_link(change(sign_link(LINK, KEYS)), KEYS, NOW) == "it was not signed here, or was altered"


def test_another_key_and_another_purpose_are_no_link() -> None:
    assert isinstance(read_link(sign_link(LINK, Keys.parse(OLD)), KEYS, NOW), str)
    token = sign_token(Token(PreviewFlags(), True, int(NOW) + 60), KEYS)
    assert isinstance(read_link(token, KEYS, NOW), str)
    assert isinstance(read_token(sign_link(LINK, KEYS), KEYS, NOW, "/"), str)


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        "x",
        None,
        {"v": 2, "exp": int(NOW) + 60, "pages": ["/"], "personas": [], "at": []},
        {"v": 1, "exp": "never", "pages": ["/"], "personas": [], "at": []},
        {"v": 1, "exp": int(NOW) + 60, "pages": 7, "personas": [], "at": []},
        {"v": 1, "exp": int(NOW) + 60, "pages": ["/"]},
    ],
)
def test_what_says_something_else_shows_nothing(content: object) -> None:
    assert read_link(signed(content), KEYS, NOW) == "it says nothing that is known"


def test_a_link_is_no_longer_than_programs_take() -> None:
    with pytest.raises(ValueError, match="too many"):
        sign_link(SheetLink(("/" + "x" * 4000,), (), (), 1), KEYS)


@given(st.text(max_size=300))
def test_whatever_comes_is_told_in_words(text: str) -> None:
    assert isinstance(read_link(text, KEYS, NOW), str)
