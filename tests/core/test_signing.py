"""Keys: which are taken, how they rotate, and that nobody sees them."""

from __future__ import annotations

import secrets

import pytest

from edgeproxy.core.signing import BadKey, Keys

GOOD = "f81d4fae7dec11d0a76500a0c91e6bf6"
OLD = "9b2c4d6e8f0a1b3c5d7e9f0a2b4c6d81"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no key is given"),
        (" , ", "no key is given"),
        ("f81d4fae7dec11d", "has 15 bytes, and 16 are the least"),
        ("changeme", "has 8 bytes"),
        ("a" * 64, "repeats itself"),
        ("abcd1234abcd1234abcd1234", "repeats itself"),
        ("abababababababab1", "repeats itself"),
        ("changemechangeme", "repeats itself"),
        ("change-me-please-now", "well-known words"),
        ("my-secret-password-123", "well-known words"),
        ("TESTING_secret_key_1234", "well-known words"),
        ("0123456789abcdef", "well-known words"),
        ("bcdefghijklmnopqrstuvwxyzabc", "counts up or down"),
        ("f81d4fae7dec11d0\x00a76500a0", "control characters"),
        (f"{GOOD},{GOOD}", "key 2 of 2 is there twice"),
        (f"{GOOD},", "key 2 of 2 has 0 bytes"),
        (f"{GOOD},short", "key 2 of 2 has 5 bytes"),
    ],
)
def test_keys_that_sign_nothing(text: str, why: str) -> None:
    with pytest.raises(BadKey) as refused:
        Keys.parse(text)
    assert why in str(refused.value)
    assert "edgeproxy key" in str(refused.value), "the sentence says how to make one"
    for part in filter(None, (part.strip() for part in text.split(","))):
        assert part not in str(refused.value), "and never the key"


def test_random_keys_are_taken() -> None:
    for _ in range(300):
        Keys.parse(secrets.token_hex(32))
        Keys.parse(secrets.token_hex(16))
        Keys.parse(secrets.token_urlsafe(24))


def test_spaces_around_keys_are_no_part_of_them() -> None:
    assert Keys.parse(f" {OLD} ,\n{GOOD}\n") == Keys.parse(f"{OLD},{GOOD}")
    assert len(Keys.parse(f"{OLD},{GOOD}")) == 2


def test_nothing_shows_a_key() -> None:
    keys = Keys.parse(f"{OLD},{GOOD}")
    keys.signing(b"any").sign_plain(b"x")
    for told in (repr(keys), str(keys), f"{keys}", repr([keys]), repr(keys.signing(b"any"))):
        assert GOOD not in told
        assert OLD not in told


def test_the_newest_signs_and_all_verify() -> None:
    old, both = Keys.parse(OLD), Keys.parse(f"{OLD},{GOOD}")
    body, _, signature = both.signing(b"s").sign_plain(b"x").partition(b".")
    assert both.signing(b"s").which_key(body, signature) == 1
    assert old.signing(b"s").which_key(body, signature) is None
    body, _, signature = old.signing(b"s").sign_plain(b"x").partition(b".")
    assert both.signing(b"s").which_key(body, signature) == 0


def test_a_salt_keeps_purposes_apart() -> None:
    keys = Keys.parse(GOOD)
    body, _, signature = keys.signing(b"one").sign_plain(b"x").partition(b".")
    assert keys.signing(b"other").which_key(body, signature) is None
