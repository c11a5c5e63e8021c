"""The console's answers: pages with their policy, files of ours, forms that are read.

Here: bytes and headers.  Not here: what a page says (``glance``), who may see it (``access``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edgeproxy import __version__
from edgeproxy.console.telling import milliseconds, number, size

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
STATIC: Final = Path(__file__).with_name("static")
FILES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "console.css": ("text/css; charset=utf-8", ("tokens.css", "console.css")),
    "icon.svg": ("image/svg+xml", ("icon.svg",)),
    "live.js": ("text/javascript; charset=utf-8", ("live.js",)),
}
"""Name → type, and the files that it is made of."""

MOST_FIELDS: Final = 500


def page(template: str, shown: Mapping[str, Any], status: int = 200) -> Response:
    """A page of the console's own."""
    # Here and not above: a supervisor that nobody looks at needs no templates.
    from edgeproxy.console.pages import PAGES

    helpers = {"static": address, "number": number, "ms": milliseconds, "size": size, "version": __version__}
    return document(PAGES.get_template(template).render(**helpers, **shown), POLICY, status)


def document(text: str, policy: str, status: int = 200) -> Response:
    """An HTML document under a policy; kept by nobody, indexed by nobody."""
    headers = {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "referrer-policy": "same-origin" if policy is POLICY else "no-referrer",
        "x-content-type-options": "nosniff",
        "x-robots-tag": "noindex",
        "cross-origin-opener-policy": "same-origin",
    }
    return Response(text.encode("utf-8", "replace"), status, headers, media_type="text/html")


def refused(sentence: str, status: int) -> Response:
    """There is no sheet for this link, and why."""
    return page("console/refused.html", {"title": "Contact sheet", "sentence": sentence}, status)


def to_login(request: Request) -> Response:
    """Log in first, then come back."""
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse("/login" + ("" if back == "/" else "?" + urlencode({"back": back})), 303)


def login(back: str, problem: str = "", status: int = 200) -> Response:
    """The form that asks for the token."""
    return page("console/login.html", {"title": "Log in", "back": back, "problem": problem}, status)


def local(text: str) -> str:
    """A path of this listener; anything else is the first page (an open redirect otherwise)."""
    good = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() and text.isascii()
    return text if good else "/"


async def form(request: Request, most: int) -> dict[str, list[str]]:
    """A small urlencoded form; what is longer than ``most`` bytes, or has very many fields, is no form of ours."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return {}
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=MOST_FIELDS)
    except ValueError:
        return {}


async def static(request: Request) -> Response:
    """A file of ours."""
    name = request.path_params["name"]
    if name not in FILES:
        return Response("not here\n", 404)
    kept = "public, max-age=31536000, immutable" if request.url.query else "no-cache"
    headers = {"content-type": FILES[name][0], "cache-control": kept, "x-content-type-options": "nosniff"}
    return Response(_file(name), headers=headers)


@cache
def _file(name: str) -> bytes:
    return b"".join((STATIC / part).read_bytes() for part in FILES[name][1])


@cache
def address(name: str) -> str:
    """A file's address with its digest, so that it may be kept for ever."""
    return f"/static/{name}?{blake2b(_file(name), digest_size=6).hexdigest()}"
