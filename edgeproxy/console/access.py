"""Who may see the console: whoever has the admin token, or a cookie that was given for it.

Here: judging a request, the login form's answer, the cookie.  Not here: which Host may ask at all (``admin``), what is
shown (``site``).  Where no token is set, the listener is on loopback and everybody there may look.

A browser cannot send ``Authorization`` by itself, hence the cookie: signed with the token itself (a changed token ends
every login), short-lived, HttpOnly and SameSite=Strict; given by POST alone, never by a link.
"""

from __future__ import annotations

import hmac
import re
from collections import deque
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from itsdangerous.encoding import base64_decode as decoded
from itsdangerous.encoding import base64_encode, bytes_to_int, int_to_bytes
from itsdangerous.exc import BadData
from starlette.requests import Request

from edgeproxy.core.durations import HOUR
from edgeproxy.core.signing import Signing

__all__ = ["COOKIE", "LASTS", "Access", "from_elsewhere", "is_embedded", "is_secure"]

COOKIE: Final = "edge_console"
LASTS: Final = 12 * HOUR
SALT: Final = b"edgeproxy.console"
ATTEMPTS: Final = 10  # wrong tokens in ``WHILE`` seconds; then nobody is heard for a while
WHILE: Final = 60.0

_VALUE: Final = re.compile(rb"([A-Za-z0-9_-]{1,16})\.([A-Za-z0-9_-]{43})")


class Access:
    """Judges requests by one admin token; None: everybody who reaches the listener may look."""

    def __init__(self, token: str | None, clock: Callable[[], float]) -> None:
        self._token = None if token is None else token.encode()
        self._signing = None if self._token is None else Signing((self._token,), SALT)
        self._clock = clock
        self._wrong: deque[float] = deque(maxlen=ATTEMPTS)

    @property
    def asked(self) -> bool:
        """A token is asked for."""
        return self._token is not None

    def bearer(self, request: Request) -> bool:
        """The request brings the token itself, or none is asked for."""
        if self._token is None:
            return True
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(given.strip())

    def holds(self, request: Request) -> bool:
        """The request may see the console: by the token, or by a cookie that is in force."""
        return self.bearer(request) or self._cookie(request.cookies.get(COOKIE, ""))

    def is_token(self, given: str) -> bool:
        """Compared in constant time."""
        return self._token is not None and hmac.compare_digest(given.encode("utf-8", "replace"), self._token)

    def too_many(self) -> bool:
        """So many wrong tokens came lately that none is listened to now."""
        return len(self._wrong) == ATTEMPTS and self._clock() - self._wrong[0] < WHILE

    def log_in(self, given: str) -> str | None:
        """The cookie's value for the right token; None for a wrong one, which is counted."""
        if self._signing is None or not self.is_token(given):
            self._wrong.append(self._clock())
            return None
        body = base64_encode(int_to_bytes(int(self._clock() + LASTS)))
        return self._signing.sign_plain(body).decode("ascii")

    def _cookie(self, value: str) -> bool:
        parts = _VALUE.fullmatch(value.encode("latin-1", "replace"))
        if parts is None or self._signing is None or self._signing.which_key(parts[1], parts[2]) is None:
            return False
        try:
            return self._clock() < bytes_to_int(decoded(parts[1]))
        except BadData:
            return False


def set_cookie(value: str, *, secure: bool, seconds: float) -> str:
    """The Set-Cookie line; ``seconds`` of 0 takes the cookie away."""
    flag = "; Secure" if secure else ""
    return f"{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={int(seconds)}{flag}"


def is_secure(request: Request) -> bool:
    """The browser's own connection is https, as far as the request tells; who lies harms only themselves."""
    return "https" in {request.url.scheme, request.headers.get("x-forwarded-proto", "").partition(",")[0].strip()}


def from_elsewhere(request: Request) -> bool:
    """A browser sent it for a page that this listener did not serve: it says so itself (Fetch, 3.2 and 9.1).

    Schemes are not compared: a proxy in front may speak TLS where this listener does not.
    """
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return True
    host = request.headers["host"]
    return any(_netloc(origin) != host for origin in request.headers.getlist("origin"))


def is_embedded(request: Request) -> bool:
    """A page of another site asks for it without anybody going there: as a picture, a frame, by script."""
    elsewhere = request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    return elsewhere and request.headers.get("sec-fetch-dest", "document") != "document"


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
