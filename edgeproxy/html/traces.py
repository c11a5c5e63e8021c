"""What in a page belongs to one visitor: CSRF tokens, CSP nonces, session ids (law 4).

Here: finding them in a page's bytes, and saying what was found.  Not here: what follows (``pages``, ``doctor``).  Pure,
and linear in the page whatever it holds.

A page that is kept for many must hold none of these: a token works for its own visitor only, so that everybody else's
forms fail; a nonce that is known allows the script that it was to keep out; a session id is somebody's session.  What
is found here is a reason not to keep a page, so in doubt something is found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

__all__ = ["trace"]

_LONGEST_TAG: Final = 4096

# <input name="csrfmiddlewaretoken" value="…">, <meta name="csrf-token" content="…">, in any order, quoted or not
_TAG: Final = re.compile(rb"<(input|meta|button|form|body|html|div)\b([^>]{1,%d})>" % _LONGEST_TAG, re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(rb"""([a-z][a-z0-9_:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_TOKEN_NAME: Final = re.compile(
    rb"""(?:.*(?:csrf|xsrf|requestverificationtoken|authenticity[_-]?token|_wpnonce|form[_-]?key|form[_-]?token
    |security[_-]?token|session[_-]?(?:id|token)|anti[_-]?forgery).*|(?:.*[_-])?nonce|_?token|static_token|sessid|sid)""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_NOT_SECRET: Final = re.compile(rb"(?:.*(?:param|header|field|cookie)[_-]?(?:name)?)", re.IGNORECASE)
"""<meta name="csrf-param" content="authenticity_token"> says how a token is called, and holds none."""

# "csrfToken": "…" in JSON, csrf_token = '…' in scripts; a value of eight characters or more
_IN_SCRIPT: Final = re.compile(
    rb"""["']?\b([a-z_$][\w$-]{0,40}?(?:csrf|xsrf)[\w$-]{0,40}|(?:csrf|xsrf)[\w$-]{0,40}|(?:[a-z]{1,30}_)?nonce
    |form_?key|static_token|authenticity_?token|session_?(?:id|token))["']?\s*[:=]\s*(?:\\?["'])([^"'\\\s<>]{8,512})\\?["']""",
    re.IGNORECASE | re.VERBOSE,
)
_NONCE: Final = re.compile(rb"""<(?:script|style|link)\b[^>]{0,2048}?\snonce\s*=\s*["']?([^\s"'>]+)""", re.IGNORECASE)
_POLICY: Final = re.compile(rb"'nonce-[^']+'", re.IGNORECASE)
_SESSION_IN_ADDRESS: Final = re.compile(
    rb"""[?&;](phpsessid|jsessionid|aspsessionid\w*|sessionid|session_id|sid|cfid|cftoken|zenid|oscsid|xtcsid|s_?id)
    =([a-z0-9,_.!-]{12,})""",
    re.IGNORECASE | re.VERBOSE,
)


def trace(body: bytes, lines: Sequence[tuple[bytes, bytes]] = ()) -> str:
    """What was found first, in words ("a CSRF token (the input csrfmiddlewaretoken)"); "" where nothing was.

    ``body`` is the page uncompressed, in any charset in which ASCII is ASCII; ``lines`` those of the shop's answer,
    lower-case: a Content-Security-Policy with a nonce is one, and a page must not repeat what a Set-Cookie holds.
    """
    for name, value in lines:
        if name in (b"content-security-policy", b"content-security-policy-report-only") and _POLICY.search(value):
            return f"a CSP nonce (in {name.decode()})"
    found = _NONCE.search(body)
    if found is not None:
        return "a CSP nonce (the attribute nonce)"
    for tag in _TAG.finditer(body):
        why = _in_tag(tag[1].lower(), tag[2])
        if why:
            return why
    for told in _IN_SCRIPT.finditer(body):
        if not _NOT_SECRET.fullmatch(told[1]):
            return f"a token (in a script: {_shown(told[1])})"
    address = _SESSION_IN_ADDRESS.search(body)
    if address is not None:
        return f"a session id (in an address: {_shown(address[1])})"
    for name, value in lines:
        if name == b"set-cookie":
            cookie, _, rest = value.partition(b"=")
            secret = rest.partition(b";")[0].strip(b' \t"')
            if len(secret) >= 8 and (secret in body or unquote_to_bytes(secret) in body):
                return f"the value of the cookie {_shown(cookie.strip())}"
    return ""


def _in_tag(element: bytes, inside: bytes) -> str:
    """A field or a meta element whose name says that its value is a token, and that has a value."""
    lower = inside.lower()
    if element == b"meta" and b"content-security-policy" in lower and _POLICY.search(inside):
        return "a CSP nonce (in a meta element)"
    if not any(word in lower for word in _WORDS):
        return ""
    name = value = b""
    for attribute in _ATTRIBUTE.finditer(inside):
        key = attribute[1].lower()
        said = attribute[2] or attribute[3] or attribute[4] or b""
        if key in (b"name", b"id", b"property") and not name and _TOKEN_NAME.fullmatch(said):
            name = said
        elif key in (b"value", b"content"):
            value = said
        elif key.startswith(b"data-") and len(said) >= 8 and _TOKEN_NAME.fullmatch(key[5:]):
            return f"a token (the attribute {_shown(key)})"
    if not name or len(value) < 6 or _NOT_SECRET.fullmatch(name):
        return ""
    kind = "a session id" if b"sess" in name.lower() or name.lower() == b"sid" else "a CSRF token"
    return f"{kind} (the {element.decode()} {_shown(name)})"


_WORDS: Final = (
    b"csrf",
    b"xsrf",
    b"token",
    b"nonce",
    b"form_key",
    b"form-key",
    b"formkey",
    b"sess",
    b"sid",
    b"forgery",
)


def _shown(name: bytes) -> str:
    return name.decode("ascii", "replace")[:60]
