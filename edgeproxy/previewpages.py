"""Addresses of ours for whoever previews: the bar's forms and its style.

Here: request → answer, for the table of addresses (``own``).  Not here: what a form comes to (``core.asking``), HTML
(``console``).  Called by ``proxy`` through ``PREVIEW_PAGES``.
"""

from __future__ import annotations

from typing import Final

from edgeproxy import respond
from edgeproxy.console.bar import STYLE, STYLE_PATH
from edgeproxy.console.link_page import CONTENT_SECURITY_POLICY, CONTENT_TYPE, link_page
from edgeproxy.core import asking
from edgeproxy.core.asking import LEAVE_PATH, LINK_PATH, SHOW_PATH, Goes
from edgeproxy.own import Asked, Pages, Told, from_elsewhere

_ELSEWHERE: Final = Told(
    403,
    ((b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")),
    b"a page of another site may not ask for this\n",
)


def leave(asked: Asked) -> Told:
    """The preview ends."""
    return _ELSEWHERE if from_elsewhere(asked.request) else _goes(asking.leave(asked.request, asked.form, asked.domain))


def show(asked: Asked) -> Told:
    """Other flags from here on."""
    if from_elsewhere(asked.request):
        return _ELSEWHERE
    return _goes(
        asking.show(asked.request, asked.form, asked.keys, open_previews=asked.open_previews, domain=asked.domain)
    )


def link(asked: Asked) -> Told:
    """A link to share, on a page of ours: the shop's scripts never see it."""
    if from_elsewhere(asked.request):
        return _ELSEWHERE
    made = asking.share(asked.request, asked.form, asked.keys, open_previews=asked.open_previews)
    if isinstance(made, Goes):
        return _goes(made)
    lines = (
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
        (b"cache-control", b"no-store"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-robots-tag", b"noindex"),
    )
    return Told(200, lines, link_page(made, asked.request.at))


def style(asked: Asked) -> Told:
    """The bar's style as a file, for pages whose policy lets nothing else in."""
    lines = ((b"content-type", b"text/css; charset=utf-8"), (b"cache-control", b"max-age=60"))
    return Told(200, (*lines, (b"x-content-type-options", b"nosniff")), STYLE.encode("ascii"))


def _goes(goes: Goes) -> Told:
    return Told(303, tuple(respond.elsewhere(goes.location, goes.set_cookie)))


PREVIEW_PAGES: Final[Pages] = {
    LEAVE_PATH: {"POST": leave},
    SHOW_PATH: {"POST": show},
    LINK_PATH: {"POST": link},
    STYLE_PATH: {"GET": style},
}
