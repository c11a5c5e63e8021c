"""Consent: what is plainly a yes is one, and everything else is a no; nothing a browser sends raises."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.consent import refusal
from edgeproxy.core.model import Consent, ConsentForm

BANNER = Consent(True, "banner", ConsentForm.VALUE, ("yes", '*"preferences":true*'))
TCF = Consent(True, "euconsent-v2", ConsentForm.TCF, ("1", "5", "6"))
COOKIEBOT = Consent(True, "CookieConsent", ConsentForm.COOKIEBOT, ("preferences", "statistics"))
ONETRUST = Consent(True, "OptanonConsent", ConsentForm.ONETRUST, ("C0003",))

BOT = (
    "{stamp:%27Nq9tk1kxKl==%27%2Cnecessary:true%2Cpreferences:true%2Cstatistics:true%2Cmarketing:false"
    "%2Cmethod:%27explicit%27%2Cver:1%2Cutc:1717243200000%2Cregion:%27dk%27}"
)
NO_BOT = BOT.replace("preferences:true", "preferences:false")
TRUST = (
    "isGpcEnabled=0&datestamp=Mon+Jun+01+2026+12%3A00%3A00+GMT%2B0200&version=202401.2.0&hosts=&consentId=9e1c"
    "&interactionCount=1&landingPath=NotLandingPage&groups=C0001%3A1%2CC0002%3A0%2CC0003%3A1%2CC0004%3A0"
    "&AwaitingReconsent=false"
)
# Made by the consent framework's own library (npm: @iabtcf/core 1.5), for TCF policy 4.
TC_PERSONAL = "CQlH_MAQlH_MAEsACASVAwEgAIwAAAAAAAAAF5wAwABAAKAXmAAAAAAA"  # purposes 1, 5, 6
TC_OTHERS = "CQlH_MAQlH_MAEsACASVAwEgAPPAAAAAAAAAF5wAwABAAKAXmAAAAAAA"  # purposes 1 to 4 and 7 to 10


def tc(purposes: set[int], version: int = 2, tail: bytes = b"\0\0\0\0\0\0") -> str:
    """A core string with these purposes: bits as the specification lays them out."""
    bits = format(version, "06b") + "0" * 146
    bits += "".join("1" if purpose in purposes else "0" for purpose in range(1, 25))
    whole = int(bits, 2).to_bytes(len(bits) // 8, "big") + tail
    return base64.urlsafe_b64encode(whole).rstrip(b"=").decode()


def sent(*cookies: str, **headers: str) -> tuple[tuple[bytes, bytes], ...]:
    lines = [(b"cookie", cookie.encode("latin-1")) for cookie in cookies]
    return (*lines, *((name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()))


def test_no_table_is_no_need() -> None:
    assert refusal(None, sent()) == ""
    assert refusal(Consent(False), sent()) == ""


@pytest.mark.parametrize("consent", [None, Consent(False), BANNER])
def test_global_privacy_control_is_a_no_whatever_else_is_said(consent: Consent | None) -> None:
    assert refusal(consent, sent("banner=yes", sec_gpc="1")) == "the browser sends Sec-GPC: 1"
    assert refusal(consent, sent("banner=yes", sec_gpc="0")) == ""


@pytest.mark.parametrize(
    ("consent", "cookie"),
    [
        (BANNER, "banner=yes"),
        (BANNER, 'banner="yes"'),
        (BANNER, "banner=y%65s"),
        (BANNER, "a=b; banner=yes; banner=yes"),  # one for the host, one for the domain: they agree
        (BANNER, 'banner={"necessary":true,"preferences":true,"marketing":false}'),
        (BANNER, "banner=%7B%22preferences%22%3Atrue%7D"),
        (TCF, "euconsent-v2=" + TC_PERSONAL),
        (TCF, "euconsent-v2=" + tc({1, 5, 6})),
        (TCF, "euconsent-v2=" + tc(set(range(1, 25))) + ".YAAAAAAAAAAA.ILNtV_"),
        (COOKIEBOT, "CookieConsent=" + BOT),
        (COOKIEBOT, "CookieConsent=-1"),
        (ONETRUST, "OptanonConsent=" + TRUST),
    ],
    ids=str,
)
def test_what_is_a_yes(consent: Consent, cookie: str) -> None:
    assert refusal(consent, sent(cookie)) == ""


@pytest.mark.parametrize(
    ("consent", "cookie", "why"),
    [
        (BANNER, "other=yes", "there is no consent cookie (banner)"),
        (BANNER, "banner", "the consent cookie says no"),
        (BANNER, "banner=", "the consent cookie says no"),
        (BANNER, "banner=YES", "the consent cookie says no"),
        (BANNER, "banner=yes!", "the consent cookie says no"),
        (BANNER, "banner=%79e%73%FF", "the consent cookie says no"),
        (BANNER, "banner=%2579es", "the consent cookie says no"),
        (BANNER, "banner=yes; banner=no", "cookie banner came 2 times, with different values"),
        (BANNER, "banner=" + '"preferences":true' * 500, "its consent is too long"),
        (TCF, "euconsent-v2=" + TC_OTHERS, "no consent to purpose 5 and 6"),
        (TCF, "euconsent-v2=" + tc({1, 5}), "no consent to purpose 6"),
        (TCF, "euconsent-v2=" + tc(set()), "no consent to purpose 1, 5 and 6"),
        (TCF, "euconsent-v2=" + tc({1, 5, 6}, version=1), "the TC string is of version 1, and only 2 is known"),
        (TCF, "euconsent-v2=" + tc({1, 5, 6})[:20], "the TC string is cut short"),
        (TCF, "euconsent-v2=" + tc({1, 5, 6}) + "=", "the consent cookie is no TC string"),
        (TCF, "euconsent-v2=." + tc({1, 5, 6}), "the consent cookie is no TC string"),
        (TCF, "euconsent-v2=C", "the consent cookie is no TC string"),
        (TCF, "euconsent-v2=", "the consent cookie is no TC string"),
        (COOKIEBOT, "CookieConsent=0", "the consent cookie says no"),
        (
            COOKIEBOT,
            "CookieConsent=" + BOT.replace("preferences:true", "preferences:false"),
            "no consent to preferences",
        ),
        (COOKIEBOT, "CookieConsent=" + BOT[:-1], "the consent cookie says no"),
        (COOKIEBOT, "CookieConsent=" + BOT[:60] + "}", "no consent to preferences and statistics"),
        (
            COOKIEBOT,
            "CookieConsent={preferences:true%2Cpreferences:false%2Cstatistics:true}",
            "no consent to preferences",
        ),
        (COOKIEBOT, "CookieConsent={xpreferences:true%2Cstatistics:true}", "no consent to preferences"),
        (ONETRUST, "OptanonConsent=" + TRUST.replace("C0003%3A1", "C0003%3A0"), "no consent to C0003"),
        (ONETRUST, "OptanonConsent=" + TRUST.replace("C0003%3A1", "C00031%3A1"), "no consent to C0003"),
        (ONETRUST, "OptanonConsent=" + TRUST.replace("C0003%3A1", "C0003"), "the consent cookie cannot be read"),
        (ONETRUST, "OptanonConsent=" + TRUST + "&groups=C0003%3A1", "the consent cookie cannot be read"),
        (ONETRUST, "OptanonConsent=groups=", "the consent cookie cannot be read"),
        (
            ONETRUST,
            "OptanonConsent=" + TRUST.replace("Reconsent=false", "Reconsent=true"),
            "the consent tool waits for another consent",
        ),
    ],
    ids=str,
)
def test_what_is_a_no(consent: Consent, cookie: str, why: str) -> None:
    assert refusal(consent, sent(cookie)) == why


@given(st.sampled_from([BANNER, TCF, COOKIEBOT, ONETRUST]), st.binary(max_size=300))
def test_no_bytes_raise(consent: Consent, value: bytes) -> None:
    refusal(consent, ((b"cookie", consent.cookie.encode() + b"=" + value),))


@given(
    st.sampled_from([TC_PERSONAL, BOT, TRUST]),
    st.integers(0, 300),
    st.sampled_from(string.printable),
    st.sampled_from("idr"),
)
def test_broken_cookies_of_real_tools_never_raise(cookie: str, at: int, char: str, how: str) -> None:
    at %= len(cookie)
    broken = cookie[:at] + {"i": char + cookie[at:], "d": cookie[at + 1 :], "r": char + cookie[at + 1 :]}[how]
    for consent in (TCF, COOKIEBOT, ONETRUST):
        refusal(consent, ((b"cookie", f"{consent.cookie}={broken}".encode("latin-1")),))


@given(st.text("ab*", max_size=8), st.text("ab", max_size=30))
def test_patterns_are_what_they_look_like(pattern: str, text: str) -> None:
    import re

    wanted = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None
    consent = Consent(True, "banner", ConsentForm.VALUE, (pattern,))
    assert (refusal(consent, sent(f"banner={text}")) == "") is wanted
