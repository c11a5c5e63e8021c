"""What the shop's pages say: addresses that lead around the proxy, forms that prove where they come from, their bytes.

Here: checks of pages' HTML, pure.  Not here: slots and edits (``rules``).  Called by ``examine``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from edgeproxy.core import policy
from edgeproxy.core.words import count
from edgeproxy.doctor.model import Finding, Observed, Page, Severity, hostname, shown, some
from edgeproxy.doctor.names import hears_proto
from edgeproxy.doctor.platforms import UNKNOWN, Platform, field_names, is_token, told
from edgeproxy.html import charset, guards
from edgeproxy.html.model import Unplannable
from edgeproxy.respond import Origin

_FIX, _LOOK, _FINE = Severity.FIX, Severity.LOOK, Severity.FINE

_PLACES: Final = (  # (selector, attribute, what a person calls it); the first that fits an element counts
    ("base[href]", "href", "base"),
    ("link[rel~=canonical][href]", "href", "canonical"),
    ('meta[property="og:url"][content]', "content", "og:url"),
    ("a[href], area[href]", "href", "link"),
    ("form[action]", "action", "form"),
    ("button[formaction], input[formaction]", "formaction", "form"),
    ("script[src], img[src], iframe[src], source[src], video[src]", "src", "file"),
    ("link[rel~=stylesheet][href], link[rel~=preload][href], link[rel~=icon][href]", "href", "file"),
)
_LEADS: Final = frozenset(("base", "canonical", "og:url", "link", "form"))


@dataclass(frozen=True, slots=True)
class Address:
    """One absolute URL of a page."""

    kind: str  # as in ``_PLACES``
    scheme: str  # "" where it takes the page's own
    authority: str
    page: str


def absolute(page: Page) -> Iterator[Address]:
    """Every absolute URL that leads somewhere or loads something."""
    for selector, attribute, kind in _PLACES:
        for element in page.document.select(selector):
            value = (element.attr(attribute) or "").strip()
            if not value.lower().startswith(("http://", "https://", "//")):
                continue
            try:
                parts = urlsplit(value)
            except ValueError:
                continue
            yield Address(kind, parts.scheme.lower(), parts.netloc.lower(), page.path)


def addresses(seen: Observed, platform: Platform) -> Iterator[Finding]:
    """Do pages name visitors' address, or one that leads around the proxy?"""
    setup = seen.setup
    found = [one for page in seen.documents for one in absolute(page)]
    if not seen.documents:
        return
    own = {one.decode("ascii") for one in Origin.of(setup.origin).authorities} | {setup.authority}
    links = told(platform.links, setup)
    around = [one for one in found if one.authority in own and one.authority != setup.visitors]
    if around:
        yield Finding(
            _FIX,
            "addresses",
            "Pages lead visitors around edgeproxy",
            f"{_kinds(around)}, with the origin's own address {setup.authority}",
            f"visitors come to {setup.public}: {links}",
        )
    here = [one for one in found if one.authority == setup.visitors and one.kind in _LEADS]
    wrong = [one for one in here if one.scheme and one.scheme != setup.scheme]
    if wrong and setup.host:
        do = f"let it know that visitors use {setup.scheme}: {told(platform.proto, setup)}"
        title = f"Pages name {wrong[0].scheme}:// addresses, and visitors use {setup.scheme}"
        yield Finding(_FIX, "addresses", title, _kinds(wrong), do)
    if here and setup.host is None:
        do = "do they follow the name that the shop is asked under? Look again with --host"
        title = "Pages name the address that they were asked under"
        yield Finding(_LOOK, "addresses", title, f"{_kinds(here)}, with {setup.authority}", do)
    yield from _elsewhere(seen, [one for one in found if one.authority not in own | {setup.visitors}], links)
    if not around and not wrong and (setup.host or not here):
        said = f"{_kinds(here)}, all with {setup.public}" if here else "all links to itself are relative"
        yield Finding(_FINE, "addresses", "Pages keep visitors on their address", said)


def _elsewhere(seen: Observed, found: list[Address], links: str) -> Iterator[Finding]:
    """A canonical, og:url, base or form with another name: it may be the shop's main one."""
    setup = seen.setup
    telling = [one for one in found if one.kind in ("canonical", "og:url", "base")]
    telling += [one for one in found if one.kind == "form" and _akin(one.authority, setup.visitors)]
    for authority in dict.fromkeys(one.authority for one in telling):
        name = shown(hostname(authority) or authority, 60)
        said = f"{_kinds([one for one in found if one.authority == authority])}, with {name}"
        if setup.host is None:
            do = f"if visitors use {name}, look again with --host {name}"
        else:
            do = f"if it is the shop's main name, let it point at edgeproxy too, and add --host {name} to serve;"
            do += f" else {links}"
        yield Finding(_LOOK, "addresses", f"Pages name {name}", said, do)


def _akin(one: str, other: str) -> bool:
    """www.shop.example and shop.example."""
    ends = [".".join(hostname(name).split(".")[-2:]) for name in (one, other)]
    return ends[0] == ends[1] and "." in ends[0] and not ends[0].replace(".", "").isdigit()


def _kinds(found: list[Address]) -> str:
    """ "3 links, 1 form on / and /c/tea"."""
    totals: dict[str, int] = {}
    for one in found:
        totals[one.kind] = totals.get(one.kind, 0) + 1
    said = ", ".join(
        count(number, kind) if kind in ("link", "form", "file") else kind for kind, number in totals.items()
    )
    return f"{said} on {some([shown(one.page) for one in found])}"


# --------------------------------------------------------------------------- forms


def forms(seen: Observed, platform: Platform) -> Iterator[Finding]:
    """Shops that check where a form comes from must know visitors' address.  Nothing is ever sent to find out."""
    setup = seen.setup
    tokens: dict[str, list[str]] = {}
    for page in seen.documents:
        for name in field_names(page):
            if is_token(name):
                tokens.setdefault(name, []).append(page.path)
    if not tokens and platform is UNKNOWN:
        if seen.documents:
            yield Finding(
                _FINE, "forms", "No form tokens that are known", "the shop's system was not recognised either"
            )
        return
    system = f"a shop on {platform.name}" if platform.name else "a system that was not recognised"
    fields = some([shown(name, 40) for name in tokens])
    said = f"{system}; no form tokens on the pages that were looked at"
    if tokens:
        said = f"{system}; its forms have {fields} on {some([page for pages in tokens.values() for page in pages])}"
    do = told(platform.origins, setup)
    heard = hears_proto(seen)
    if setup.scheme == "https" and not heard:
        what = "it does not believe X-Forwarded-Proto" if heard is False else "its pages do not show whether it knows"
        do += f". It must also know that visitors use https ({what}): {told(platform.proto, setup)}"
    if setup.host is None:
        do += ". Look again with --host"
    do += ". Then put something into the basket through edgeproxy: a form that is refused shows at once"
    yield Finding(_LOOK, "forms", "Forms must be accepted from visitors' address", said, do)


# --------------------------------------------------------------------------- bytes


def pages(seen: Observed) -> Iterator[Finding]:
    """Charset and size: what keeps a page from being edited at all."""
    good: dict[str, float] = {}
    silent: list[str] = []
    book = seen.rules.book
    for page in seen.documents:
        last = page.last
        slotted = book is not None and bool(policy.in_force(book, page.path, seen.setup.at))
        trouble = ""
        try:
            guards.size(last.body)
            found = charset.detect(last.header("content-type") or None, last.body)
            silent += [page.path] if found.source == "default" else []
        except Unplannable as why:
            trouble = str(why)
        kilobytes = len(last.body) / 1024
        size = f"{kilobytes:,.0f} KB"
        if trouble:
            do = "its slots stay the shop's own: make the page smaller, or send it as UTF-8 text/html"
            severity = _FIX if slotted else _LOOK
            yield Finding(severity, "page", f"{shown(page.path)} cannot be edited", f"{trouble} ({size})", do)
        elif len(last.body) > guards.MAX_BYTES // 2:
            do = f"pages above {guards.MAX_BYTES // 1024 // 1024} MB pass as they are: will it grow?"
            yield Finding(_LOOK, "page", f"{shown(page.path)} is big", size, do)
        else:
            good[page.path] = kilobytes
    if silent:
        do = "send Content-Type: text/html; charset=utf-8 (edits are written so that they are right in any charset)"
        yield Finding(_LOOK, "page", "Pages do not say their charset", some(silent), do)
    if good:
        said = f"{some([shown(path) for path in good])}: {max(1, *good.values()):,.0f} KB at most"
        yield Finding(_FINE, "page", "Pages can be edited", said)
