"""Addresses of ours on the shop's listener, below ``/-/edge/``: which there are, and how a form of ours is read.

Here: path and method → page.  Not here: what a page says (whoever is in ``pages``), the shop's own addresses.
Called by ``proxy`` for every request below that prefix; nothing below it ever reaches the shop.

A new address is one entry in ``pages``: path → method → a function from ``Asked`` to ``Told``.  ``GET`` answers
``HEAD`` too, and changes nothing; what changes something is a ``POST``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from edgeproxy.answer import Receive, RequestBody, TooLong
from edgeproxy.core.model import PageRequest, RawHeaders
from edgeproxy.core.signing import Keys
from edgeproxy.sanitise import Forwardable

__all__ = ["OWN_PATHS", "Asked", "OwnPage", "Pages", "Told", "from_elsewhere", "own"]

OWN_PATHS: Final = "/-/edge/"
BIGGEST_FORM: Final = 8192  # bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page of ours."""

    request: PageRequest  # with our flags: whether they count is for the page to say
    head: Forwardable
    keys: Keys
    open_previews: bool  # no token is needed: only this machine asks
    domain: str | None  # of cookies that we set
    form: bytes = b""  # the body of a POST, at most ``BIGGEST_FORM`` bytes; b"" for other methods


@dataclass(frozen=True, slots=True)
class Told:
    """A page of ours; Content-Length is added."""

    status: int
    lines: RawHeaders
    body: bytes = b""
    allow: tuple[str, ...] = ()  # with 405: the methods that would have been answered


OwnPage = Callable[[Asked], Told]
Pages = Mapping[str, Mapping[str, OwnPage]]


async def own(pages: Pages, asked: Asked, receive: Receive) -> Told:
    """The page of ours that is asked for; 404, 405 and 413 without lines or body: the proxy has its own pages for them.

    Raises VisitorLeft.
    """
    request = asked.request
    page = pages.get(request.path)
    if page is None:
        return Told(404, ())
    handle = page.get("GET" if request.method == "HEAD" else request.method)
    if handle is None:
        return Told(405, (), allow=tuple(page))
    form = b""
    if request.method == "POST":
        try:
            async for chunk in RequestBody(receive, BIGGEST_FORM):
                form += chunk
        except TooLong:
            return Told(413, ())
    return handle(replace(asked, form=form))


def from_elsewhere(request: PageRequest) -> bool:
    """A browser sent this form for a page of another site: it says so itself (Fetch, 3.2; Fetch Metadata, 2.3)."""
    site = request.header(b"sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.header(b"origin")  # "null": a page of ours or the shop's whose policy is to tell nobody
    if origin is None or origin == "null":
        return False
    return origin.partition("://")[2].lower() != request.host  # nobody may have told us the scheme
