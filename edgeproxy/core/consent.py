"""Consent: whether a visitor said that they may be remembered, by what their browser sends.

Here: the consent cookie of the shop, in the shapes that consent tools write, and ``Sec-GPC``.  Not here: reading
[consent] (``rules.consent``), the visitor's own opt-out (it stands in their memory), what follows from a no
(``remember``).  Called once per request where a rule looks at memory.

Everything that is not plainly a yes is a no: no cookie, two of them that differ, a value that is cut, quoted, of a
version that is not known.  We show no banner and write no consent.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from edgeproxy.core import cookies
from edgeproxy.core.model import Consent, ConsentForm, RawHeaders
from edgeproxy.core.words import both

LONGEST: Final = 8192  # bytes of a consent cookie that are looked at; longer ones are a no

_GPC: Final = "the browser sends Sec-GPC: 1"


def refusal(consent: Consent | None, headers: RawHeaders) -> str:
    """Why this visitor may not be remembered, in words; "" when they may.  Never raises.

    ``Sec-GPC: 1`` is a no even where the shop declares that no consent is needed (Global Privacy Control, 3.2).
    """
    lines: list[bytes] = []
    for name, value in headers:
        if name == b"cookie":
            lines.append(value)
        elif name == b"sec-gpc" and value.strip() == b"1":
            return _GPC
    if consent is None or not consent.needed:
        return ""
    found = cookies.values(lines, consent.cookie.encode())
    if not found:
        return f"there is no consent cookie ({consent.cookie})"
    if len(set(found)) > 1:
        return f"cookie {consent.cookie} came {len(found)} times, with different values"
    return _READERS[consent.form](found[0], consent.wanted) if len(found[0]) <= LONGEST else "its consent is too long"


# --------------------------------------------------------------------------- shapes


def _text(value: bytes) -> str | None:
    """The value percent-decoded once, as scripts write it (encodeURIComponent); None when that is not UTF-8."""
    try:
        return unquote_to_bytes(value.strip(b'"')).decode()
    except UnicodeDecodeError:
        return None


def _value(value: bytes, wanted: Sequence[str]) -> str:
    text = _text(value)
    if text is not None and any(_like(text, pattern) for pattern in wanted):
        return ""
    return "the consent cookie says no"


def _like(text: str, pattern: str) -> bool:
    """The whole text matches: ``*`` is anything, all else itself.  Linear: each part at the first place it can have."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    if not text.startswith(first):
        return False
    at = len(first)
    for part in rest[:-1]:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return len(text) - at >= len(rest[-1]) and text.endswith(rest[-1])


_TCF_VERSION: Final = 2
_PURPOSES_AT: Final = 152  # bits before PurposesConsent (IAB TCF, Consent string and vendor list formats v2, core)
_PURPOSES: Final = 24
_TC_STRING: Final = re.compile(rb"([A-Za-z0-9_-]+)(?:\.[A-Za-z0-9_-]+)*")


def _tcf(value: bytes, wanted: Sequence[str]) -> str:
    """A TC string: base64url of bits, segments between dots, the core first."""
    string = _TC_STRING.fullmatch(value)
    if string is None:
        return "the consent cookie is no TC string"
    core = string[1]
    try:
        bits = base64.b64decode(core + b"=" * (-len(core) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return "the consent cookie is no TC string"
    if len(bits) * 8 < _PURPOSES_AT + _PURPOSES:
        return "the TC string is cut short"
    if bits[0] >> 2 != _TCF_VERSION:
        return f"the TC string is of version {bits[0] >> 2}, and only {_TCF_VERSION} is known"
    number = int.from_bytes(bits, "big") >> (len(bits) * 8 - _PURPOSES_AT - _PURPOSES)
    missing = [purpose for purpose in wanted if not number >> (_PURPOSES - int(purpose)) & 1]
    return f"no consent to purpose {both(missing)}" if missing else ""


_COOKIEBOT_PAIR: Final = re.compile(r"(?:^\{|,)\s*([a-z]+)\s*:\s*(true|false)\s*(?=[,}])")


def _cookiebot(value: bytes, wanted: Sequence[str]) -> str:
    """``{stamp:'…',necessary:true,preferences:true,…}``; "-1": no consent is asked for where the visitor is."""
    if value == b"-1":
        return ""
    text = _text(value)
    if text is None or not (text.startswith("{") and text.endswith("}")):
        return "the consent cookie says no"
    found: dict[str, set[str]] = {}
    for name, said in _COOKIEBOT_PAIR.findall(text):
        found.setdefault(name, set()).add(said)
    missing = [name for name in wanted if found.get(name) != {"true"}]
    return f"no consent to {both(missing)}" if missing else ""


_ONETRUST_GROUP: Final = re.compile(r"([A-Za-z0-9_-]+):([01])")


def _onetrust(value: bytes, wanted: Sequence[str]) -> str:
    """``…&groups=C0001:1,C0002:0,…&…``, percent-encoded, as a query."""
    found: dict[str, set[str]] = {}
    lists = 0
    for part in value.split(b"&"):
        name, _, said = part.partition(b"=")
        text = _text(said)
        if name == b"AwaitingReconsent" and text == "true":
            return "the consent tool waits for another consent"
        if name != b"groups":
            continue
        lists += 1
        for one in (text or "").split(","):
            group = _ONETRUST_GROUP.fullmatch(one)
            if group is None:
                return "the consent cookie cannot be read"
            found.setdefault(group[1], set()).add(group[2])
    if lists != 1:
        return "the consent cookie cannot be read"
    missing = [name for name in wanted if found.get(name) != {"1"}]
    return f"no consent to {both(missing)}" if missing else ""


_READERS: Final[Mapping[ConsentForm, Callable[[bytes, Sequence[str]], str]]] = {
    ConsentForm.VALUE: _value,
    ConsentForm.TCF: _tcf,
    ConsentForm.COOKIEBOT: _cookiebot,
    ConsentForm.ONETRUST: _onetrust,
}
