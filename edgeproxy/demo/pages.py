"""From a template to a response: rendering, validators, cache headers.

A page that shows nothing of its visitor may be kept for a minute by anybody (``Vary: Cookie`` says on what it
depends); every other page is private.  The same page has the same bytes and the same ETag every time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from functools import cache
from importlib.resources import files
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from .catalogue import ORDERS, Catalogue, Order, catalogue
from .visit import CSRF, FLASH, Visit, keep

CHANGED = 1_789_977_600.0  # when the catalogue was last worked on: 2026-09-21 08:00 UTC


def money(kronor: int) -> str:
    """1295 → "1 295 kr", with spaces that do not break."""
    return f"{kronor:,}".replace(",", "\N{NO-BREAK SPACE}") + "\N{NO-BREAK SPACE}kr"


@cache
def stylesheet() -> tuple[str, bytes]:
    """The path of the style sheet, which names its content, and its bytes."""
    text = (files("edgeproxy.demo") / "static" / "shop.css").read_bytes()
    return f"/static/shop-{hashlib.sha256(text).hexdigest()[:10]}.css", text


@cache
def environment() -> Environment:
    env = Environment(
        loader=PackageLoader("edgeproxy.demo"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters["money"] = money
    env.globals["stylesheet"] = stylesheet()[0]
    env.globals["shop"] = catalogue()
    return env


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a list's sorting form and page links need to know."""

    path: str
    words: str | None  # None: not a search
    order: str
    colour: str
    orders: tuple[Order, ...] = ORDERS

    def link(self, *, page: int) -> str:
        pairs = [
            ("q", self.words or ""),
            ("sort", self.order),
            ("colour", self.colour),
            ("page", str(page) if page > 1 else ""),
        ]
        query = urlencode([(name, value) for name, value in pairs if value])
        return f"{self.path}?{query}" if query else self.path


def page(
    request: Request, visit: Visit, template: str, *, status: int = 200, private: bool = False, **context: object
) -> Response:
    """Render a template for a visit, with honest headers."""
    text = environment().get_template(template).render(visit=visit, path=request.url.path, status=status, **context)
    headers = {"last-modified": formatdate(CHANGED, usegmt=True)} if status == 200 else {}
    if private or visit.personal:
        headers["cache-control"] = "private, no-cache"
    else:
        headers["cache-control"] = "public, max-age=60" if status == 200 else "no-cache"
    headers["vary"] = "Cookie"
    response = answer(request, text.encode(), "text/html; charset=utf-8", headers, status=status, weak=True)
    if visit.new_token:
        keep(response, request, CSRF, visit.new_token, age=None)
    if visit.flash is not None:
        keep(response, request, FLASH, "")
    return response


def answer(
    request: Request, body: bytes, kind: str, headers: dict[str, str], *, status: int = 200, weak: bool = False
) -> Response:
    """A response with an ETag; 304 when the client has it already, no body for HEAD."""
    headers = {"x-content-type-options": "nosniff", **headers}
    if status == 200:
        headers["etag"] = ("W/" if weak else "") + f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        if _fresh(request, headers):
            return Response(status_code=304, headers=headers)
    headers["content-length"] = str(len(body))
    headers["content-type"] = kind
    return Response(b"" if request.method == "HEAD" else body, status_code=status, headers=headers)


def _fresh(request: Request, headers: dict[str, str]) -> bool:
    """RFC 9110, 13.2.2: If-None-Match first, If-Modified-Since only without it."""
    known = request.headers.get("if-none-match")
    if known is not None:
        tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        return "*" in tags or headers["etag"].removeprefix("W/") in tags
    since = request.headers.get("if-modified-since")
    if since is None or "last-modified" not in headers:
        return False
    try:
        return parsedate_to_datetime(since).timestamp() >= CHANGED
    except ValueError:
        return False


@cache
def sitemap_paths() -> tuple[str, ...]:
    shop: Catalogue = catalogue()
    lists = [d.path for d in shop.departments] + [s.path for d in shop.departments for s in d.shelves]
    return (
        "/",
        *lists,
        "/c/new",
        "/c/favourites",
        *(p.path for p in shop.products),
        "/about",
        "/help",
        "/repairs",
        "/size-guide",
        "/journal",
    )
