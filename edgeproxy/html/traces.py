"""What in a page belongs to one visitor: CSRF tokens, CSP nonces, session ids (law 4).

Here: finding them in a page's bytes, and saying what was found.  Not here: what follows (``pages``, ``doctor``).  Pure,
and linear in the page whatever it holds.

A page that is kept for many must hold none of these: a token works for its own visitor only, so that everybody else's
forms fail; a nonce that is known allows the script that it was to keep out; a session id is somebody's session.  What
is found here is a reason not to keep a page, so in doubt something is found.

The page is searched for a few words; around each of them, and nowhere else, a small window is read: is it the name of
a field or an attribute with a value, a key in a script, a parameter in an address?
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

__all__ = ["trace"]

MOST_WORDS: Final = 20_000
MOST_IN_TAGS: Final = 256 * 1024
"""Words, and bytes of the tags that hold them: no page has so many; one that does is not looked through."""

_BACK: Final = 2048  # bytes before a word in which its tag begins
_AHEAD: Final = 4096  # and behind it, in which it ends

_WORDS: Final = (
    b"csrf", b"xsrf", b"forgery", b"nonce", b"token", b"form_key", b"form-key", b"formkey", b"sess", b"sid=", b"sid\"",
    b"sid'", b"cfid", b"zenid", b"oscsid", b"xtcsid",
)  # fmt: skip
_NAME_BEFORE: Final = re.compile(rb"[\w$.-]{0,60}\Z")
_NAME_AFTER: Final = re.compile(rb"[\w$.-]{0,60}")
_ATTRIBUTE: Final = re.compile(
    rb"""([a-z][a-z0-9_:.-]{0,60})\s{0,8}=\s{0,8}(?:"([^"]{0,4096})"|'([^']{0,4096})'|([^\s"'>]{1,4096}))""",
    re.IGNORECASE,
)
_TOKEN: Final = re.compile(
    rb"""[\w$.\[\]-]*(?:csrf|xsrf|forgery|verification[_-]?token|authenticity[_-]?token|form[_-]?key|form[_-]?token
    |security[_-]?token|session[_-]?token|static[_-]?token|nonce)[\w$.\[\]-]*""",
    re.IGNORECASE | re.VERBOSE,
)
_BARE: Final = frozenset({b"token", b"_token"})  # in forms only: in scripts it is anybody's key of anything
_SESSION: Final = re.compile(
    rb"(?:php|j|asp)?[._-]?sess(?:ion)?(?:[._-]?(?:id|key))?|aspsessionid[a-z]{8}|s_?id|cfid|cftoken|zenid|oscsid|xtcsid",
    re.IGNORECASE,
)
_ABOUT: Final = re.compile(rb".*(?:param|header|field|cookie)[_-]?(?:name)?", re.IGNORECASE | re.DOTALL)
"""<meta name="csrf-param" content="authenticity_token"> says how a token is called, and holds none."""

_IN_SCRIPT: Final = re.compile(rb"""(?:\\?["'])?\s{0,8}[:=]\s{0,8}\\?["']([^"'\\\s<>]{8,512})\\?["']""")
_IN_ADDRESS: Final = re.compile(rb"=([A-Za-z0-9,_.!%-]{12,})")
_TOKEN_IN_ADDRESS: Final = re.compile(rb"=([A-Za-z0-9_.~%+-]{8,512})")
_KEY_IN_PATH: Final = re.compile(rb"/([A-Za-z0-9]{8,64})(?![A-Za-z0-9])")  # OpenMage: …/form_key/VALUE/
_RANDOM: Final = re.compile(rb"(?=.*[0-9])|(?=.*[a-z])(?=.*[A-Z])|.{20}", re.DOTALL)
_POLICY: Final = re.compile(rb"'nonce-[^']{1,256}'", re.IGNORECASE)
_NONCED: Final = frozenset({b"script", b"style", b"link"})
_FIELDS: Final = frozenset({b"input", b"meta", b"button", b"textarea"})


def trace(body: bytes, lines: Sequence[tuple[bytes, bytes]] = ()) -> str:
    """What was found first, in words ("a CSRF token (the input csrfmiddlewaretoken)"); "" where nothing was.

    ``body`` is the page uncompressed, in any charset in which ASCII is ASCII; ``lines`` those of the shop's answer,
    lower-case: a Content-Security-Policy with a nonce is one, and a page must not repeat what a Set-Cookie holds.
    """
    for name, value in lines:
        if name in (b"content-security-policy", b"content-security-policy-report-only") and _POLICY.search(value):
            return f"a CSP nonce (in {name.decode()})"
    looked = -1  # where the last tag begins that was read whole
    left = MOST_IN_TAGS
    small = body.lower()
    for number, (start, size) in enumerate(_places(small)):
        if number >= MOST_WORDS or left < 0:
            return "more words about tokens than are looked at"
        why, looked, read = _around(body, start, start + size, looked)
        if why:
            return why
        left -= read
    for name, value in lines:
        if name == b"set-cookie":
            cookie, _, rest = value.partition(b"=")
            secret = rest.partition(b";")[0].strip(b' \t"')
            if len(secret) >= 8 and (secret in body or unquote_to_bytes(secret) in body):
                return f"the value of the cookie {_shown(cookie.strip())}"
    return ""


def _places(small: bytes) -> Iterator[tuple[int, int]]:
    """Where the words stand, and how long each is; bytes.find is ten times as fast as one pattern of them all."""
    for word in _WORDS:
        at = small.find(word)
        while at >= 0:
            yield at, len(word.rstrip(b"='\""))
            at = small.find(word, at + len(word))


def _around(body: bytes, start: int, end: int, looked: int) -> tuple[str, int, int]:
    """What a word is part of; where the tag begins that was read for it, ``looked`` when none was; its bytes."""
    before = _NAME_BEFORE.search(body, max(0, start - 60), start)
    after = _NAME_AFTER.match(body, end)
    start = before.start() if before is not None else start
    end = after.end() if after is not None else end
    name = body[start:end]
    if body[start - 1 : start] in (b"?", b"&", b";") and _SESSION.fullmatch(name) and _IN_ADDRESS.match(body, end):
        return f"a session id (in an address: {_shown(name)})", looked, 0
    if _is_in_address(body, start, end, name):
        return f"a token (in an address: {_shown(name)})", looked, 0
    opened = body.rfind(b"<", max(0, start - _BACK), start)
    if opened > body.rfind(b">", max(0, start - _BACK), start):
        if opened == looked:
            return "", looked, 0
        closed = body.find(b">", end, end + _AHEAD)
        tag = body[opened + 1 : closed if closed >= 0 else end + _AHEAD]
        return _in_tag(tag), opened, len(tag)
    said = _IN_SCRIPT.match(body, end)
    if said is not None and _RANDOM.match(said[1]) and not _ABOUT.fullmatch(name):
        if _TOKEN.fullmatch(name):
            return f"a token (in a script: {_shown(name)})", looked, 0
        if _SESSION.fullmatch(name):
            return f"a session id (in a script: {_shown(name)})", looked, 0
    return "", looked, 0


def _is_in_address(body: bytes, start: int, end: int, name: bytes) -> bool:
    """A parameter, or a step of a path, that holds a token: a link that works for one visitor."""
    before = body[start - 1 : start]
    if before in (b"?", b"&", b";"):
        said = _TOKEN_IN_ADDRESS.match(body, end) if _TOKEN.fullmatch(name) else None
    else:
        said = _KEY_IN_PATH.match(body, end) if before == b"/" and name.lower() == b"form_key" else None
    return said is not None and _RANDOM.match(said[1]) is not None


def _in_tag(tag: bytes) -> str:
    """A tag without its brackets: a field or a meta element that holds a token, a script with a nonce."""
    element = tag.split(None, 1)[0].lower() if tag.strip() else b""
    name = value = b""
    for attribute in _ATTRIBUTE.finditer(tag):
        key = attribute[1].lower()
        said = attribute[2] or attribute[3] or attribute[4] or b""
        if key == b"nonce" and said.strip() and element in _NONCED:
            return "a CSP nonce (the attribute nonce)"
        if key in (b"name", b"id", b"property") and not name and _is_field(said):
            name = said
        elif key in (b"value", b"content"):
            value = said
        elif key.startswith(b"data-") and len(said) >= 8 and _RANDOM.match(said) and _TOKEN.fullmatch(key[5:]):
            return f"a token (the attribute {_shown(key)})"
    if element == b"meta" and _POLICY.search(tag):
        return "a CSP nonce (in a meta element)"
    if element not in _FIELDS or not name or len(value) < 6 or _ABOUT.fullmatch(name):
        return ""
    kind = "a session id" if _SESSION.fullmatch(name) else "a CSRF token"
    return f"{kind} (the {element.decode()} {_shown(name)})"


def _is_field(name: bytes) -> bool:
    return bool(_TOKEN.fullmatch(name) or _SESSION.fullmatch(name)) or name.lower() in _BARE


def _shown(name: bytes) -> str:
    return name.decode("ascii", "replace")[:60]
