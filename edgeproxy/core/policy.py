"""Which responses may be touched, and which are personal: the lane of a request.

Here: ``lane`` (the intention, before the shop is asked), ``response_lane`` (confirmed or turned to PASS by the head
of the shop's response), ``in_force`` and ``next_change`` (what the book can do to a path, and until when).  Not here:
the headers that follow from it (``respond``).  Called by the proxy for every request.

Read ``lane`` and ``response_lane`` from top to bottom: the first line that holds decides.  ``Lane.personal`` says
that the page's answer varies by visitor, also for those who got nothing: it must leave as private.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from edgeproxy.core.model import Decision, Lane, LaneKind, PageRequest, RuleBook
from edgeproxy.core.onpath import InForce, in_force, on_path

__all__ = [
    "BIGGEST_PAGE",
    "TOO_BIG",
    "InForce",
    "in_force",
    "is_document",
    "is_navigation",
    "lane",
    "next_change",
    "passes",
    "response_lane",
    "takes_html",
]

BIGGEST_PAGE: Final = (
    2 * 1024 * 1024
)  # bytes of decoded body, unless a setting says otherwise; bigger is the shop's own

TOO_BIG: Final = "bigger than"
"""What the reason of a page that passes for its size begins with."""

_DOCUMENTS: Final = frozenset({b"document", b"iframe"})
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
_REFUSED: Final = re.compile(r"\s*q\s*=\s*0(?:\.0{0,3})?\s*").fullmatch
_THEME: Final = (".css", ".js", ".mjs", ".map", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".svg", ".ico")
_MEDIA: Final = (".woff", ".woff2", ".ttf", ".otf", ".eot", ".mp4", ".webm", ".mp3", ".pdf", ".zip", ".gz", ".wasm")


# --------------------------------------------------------------------------- before the shop is asked


def lane(book: RuleBook, request: PageRequest, decision: Decision, *, preview: bool = False) -> Lane:
    """PASS or PRIVATE for a request whose decision is known, with the reason in words.

    ``preview`` says that somebody with a valid token looks: the page is fetched whole even where nothing fits, since
    the preview bar goes to its end.  An Authorization header changes nothing here: a private page is never shared.
    """
    if request.method not in {"GET", "HEAD"}:
        return Lane(LaneKind.PASS, f"method is {request.method}")
    if on_path(book, request.path).never:
        return Lane(LaneKind.PASS, "nobody ever edits this page: never in shop.toml")
    personal = bool(in_force(book, request.path, request.at))
    if not personal and not preview:
        return Lane(LaneKind.PASS, _nothing(book))
    if request.header(b"range") is not None:
        # a piece of the shop's page would be joined to a variant that has other bytes (RFC 9110, 14.2)
        return Lane(LaneKind.PASS, "a part of the page was asked for (Range)", personal)
    if not is_document(request):
        told = "Sec-Fetch-Dest" if request.header(b"sec-fetch-dest") is not None else "Accept"
        return Lane(LaneKind.PASS, f"not fetched as a document ({told})", personal)
    if preview:
        return Lane(LaneKind.PRIVATE, "a preview", personal)
    if not decision.fitting:
        return Lane(LaneKind.PASS, "no experience fits this visitor here", personal)
    return Lane(LaneKind.PRIVATE, f"for this visitor: {', '.join(one.name for one in decision.fitting)}", personal)


def passes(book: RuleBook, path: str, headers: Iterable[tuple[bytes, bytes]], at: float) -> bool:
    """True when ``lane`` is PASS for a GET or HEAD with this head and no preview, whoever the visitor is.

    ``path`` is raw, before ``?``; ``headers`` have lower-case names.
    """
    if not in_force(book, path, at) or on_path(book, path).never:
        return True
    return not _is_document(headers, path) or any(name == b"range" for name, _ in headers)


def is_document(request: PageRequest) -> bool:
    """False only when the request says that it is for something else than a page.

    By Sec-Fetch-Dest (Fetch Metadata); where there is none (older Safari, plain http, programs), by an Accept that
    begins with another kind of thing and has no HTML in it, as for pictures and styles.  ``*/*`` alone and no Accept
    say nothing: they count as a document, unless the path ends like a file of the theme.
    """
    return _is_document(request.headers, request.path)


def _is_document(headers: Iterable[tuple[bytes, bytes]], path: str) -> bool:
    accept: bytes | None = None
    for name, value in headers:
        if name == b"sec-fetch-dest":
            return value.strip().lower() in _DOCUMENTS
        if name == b"accept" and accept is None:
            accept = value.strip().lower()
    if accept and b"html" in accept:
        return takes_html(accept.decode("latin-1"))
    if accept and not accept.startswith((b"*/*", b"text/*")):
        return False
    return not path.lower().endswith(_THEME + _MEDIA)


def is_navigation(request: PageRequest) -> bool:
    """True when a browser says that somebody goes to this page with it: no frame, no script, no program."""
    destination = request.header(b"sec-fetch-dest")
    if destination is not None:
        return destination.strip().lower() == "document"
    # browsers say what for on https and loopback alone (Fetch Metadata, 3): elsewhere they are known by what they take
    accept = request.header(b"accept")
    return accept is not None and takes_html(accept) and request.header(b"x-requested-with") is None


@lru_cache(maxsize=256)
def takes_html(accept: str) -> bool:
    """An Accept names HTML, and not as what is refused: ``q=0`` (RFC 9110, 12.4.2 and 12.5.1)."""
    return any(
        media.strip() in _HTML and not any(map(_REFUSED, parameters))
        for media, *parameters in (part.split(";") for part in accept.lower().split(","))
    )


def _nothing(book: RuleBook) -> str:
    if not book.shop.enabled:
        return f"the whole shop is off: enabled = false in {book.shop.where.file}"
    return "no experience can change this page now"


# --------------------------------------------------------------------------- once the shop's head is here

_KEEPS_PERSONAL: Final = frozenset({200, 206, 304})


def response_lane(
    intended: Lane,
    *,
    status: int,
    content_type: str | None,
    content_encoding: str | None = None,
    content_length: int | None = None,
    decodable: frozenset[str] = frozenset({"identity"}),
    unusable: str = "",
    biggest: int = BIGGEST_PAGE,
) -> Lane:
    """The lane that the head of the shop's response leaves: the intended one, or PASS with the reason.

    ``content_type`` and ``content_encoding`` are the fields' values (several lines joined by ", "), ``decodable`` the
    codings that the caller can undo, ``content_length`` bytes when the head says so, ``unusable`` why the page's
    charset cannot be edited ("charset is utf-16"), "" when it can or is not known yet,
    ``biggest`` how many bytes a page may have.
    """
    if status not in _KEEPS_PERSONAL:
        return Lane(LaneKind.PASS, f"status is {status}")
    if status == 304:  # no body; its header fields go into the stored page's (RFC 9111, 3.2), so they stay marked
        return Lane(LaneKind.PASS, "status is 304", intended.personal)
    media = (content_type or "").partition(";")[0].strip().lower()
    if media != "text/html":
        return Lane(LaneKind.PASS, f"not an HTML document: {media[:80] or 'no Content-Type'}")
    if status == 206:
        return Lane(LaneKind.PASS, "status is 206", intended.personal)
    if unusable:
        return Lane(LaneKind.PASS, unusable)
    if intended.kind is LaneKind.PASS:
        return intended
    codings = [coding.strip().lower() for coding in (content_encoding or "").split(",") if coding.strip()]
    for coding in codings:
        if coding != "identity" and coding not in decodable:
            return Lane(LaneKind.PASS, f"content-encoding is {coding[:40]}, which is not undone", intended.personal)
    if content_length is not None and content_length > biggest:
        return Lane(LaneKind.PASS, f"{TOO_BIG} {biggest:,} bytes", intended.personal)
    return intended


# --------------------------------------------------------------------------- what the book can do to a path


def next_change(book: RuleBook, path: str, at: float) -> float | None:
    """When the book next changes what this path can show: a schedule begins or ends there; None when none will."""
    moments = on_path(book, path).moments
    place = bisect_right(moments, at)
    return moments[place] if place < len(moments) else None
