"""What the shop's headers mean for pages that are about to vary by visitor.

Here: checks of cookies, HSTS, caches and content codings, pure.  Called by ``examine``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edgeproxy.content_coding import codings_of
from edgeproxy.core import policy
from edgeproxy.core.model import Source
from edgeproxy.core.visitor import read_value
from edgeproxy.doctor.model import Answer, Finding, Observed, Page, Setup, Severity, hostname, shown, some
from edgeproxy.doctor.platforms import Platform, told

_FIX, _LOOK, _FINE = Severity.FIX, Severity.LOOK, Severity.FINE

VISITOR_COOKIE: Final = "edge_visitor"
_CACHES: Final = {  # headers that a cache or CDN leaves on what passes through it
    "cf-ray": "Cloudflare",
    "x-amz-cf-id": "CloudFront",
    "x-served-by": "Fastly",
    "x-varnish": "Varnish",
    "x-cache": "a cache",
    "x-cache-status": "a cache",
    "x-proxy-cache": "a cache",
    "x-akamai-request-id": "Akamai",
    "x-vercel-cache": "Vercel",
    "x-nf-request-id": "Netlify",
}
_TTL: Final = re.compile(r"(?:s-maxage|max-age)\s*=\s*\"?(\d+)", re.IGNORECASE)
_SHARED_LINES: Final = ("cdn-cache-control", "surrogate-control", "cloudflare-cdn-cache-control", "x-accel-expires")


# --------------------------------------------------------------------------- cookies


@dataclass(frozen=True, slots=True)
class Cookie:
    """One Set-Cookie line as browsers read it (RFC 6265, 5.2); attribute names lower-case."""

    name: str
    value: str
    attributes: dict[str, str]

    @property
    def domain(self) -> str:
        return self.attributes.get("domain", "").lower().removeprefix(".")

    @property
    def secure(self) -> bool:
        return "secure" in self.attributes


def read_cookie(line: str) -> Cookie:
    first, *rest = line.split(";")
    name, equals, value = first.partition("=")
    parts = [part.partition("=") for part in rest]
    attributes = {key.strip().lower(): value.strip() for key, _, value in parts}
    return Cookie(name.strip() if equals else "", (value if equals else first).strip(), attributes)


def cookies(seen: Observed, platform: Platform) -> Iterator[Finding]:
    """Would browsers keep the shop's cookies under visitors' address, and send them back safely?"""
    setup = seen.setup
    found = {
        (cookie.name, cookie.domain): cookie
        for answer in seen.answers
        for cookie in map(read_cookie, answer.all("set-cookie"))
    }
    visitors, origin = hostname(setup.visitors), hostname(setup.authority)
    named = [cookie for cookie in found.values() if cookie.name != VISITOR_COOKIE]
    foreign = [one for one in named if one.domain and one.domain != origin and not _covers(one.domain, visitors)]
    if foreign and setup.host is None:
        name = foreign[0].domain
        do = f"if visitors use {shown(name)}, look again with --host {shown(name)}"
        yield Finding(_LOOK, "cookies", "Cookies name a domain that was not asked for", _domains(foreign), do)
    elif foreign:
        do = f"visitors come to {visitors}, so browsers throw these away: {told(platform.domain, setup)}"
        yield Finding(_FIX, "cookies", "Browsers would refuse cookies of the shop", _domains(foreign), do)
    rewritten = [one for one in named if one.domain == origin != visitors]
    if rewritten:
        yield Finding(
            _FINE,
            "cookies",
            "Cookies for the origin's own name become visitors'",
            f"{_domains(rewritten)}: edgeproxy takes the Domain away",
        )
    broken = [one for one in named if _unkept(one, setup)]
    if broken:
        said = some([f"{shown(one.name, 40)}: {_unkept(one, setup)}" for one in broken])
        yield Finding(
            _FIX, "cookies", "Browsers would not keep some cookies", said, "mend their attributes in the shop"
        )
    bare = [one for one in named if not one.secure and one not in broken]
    if bare and setup.scheme == "https" and setup.host:
        do = "a visit by http would show them to whoever listens"
        do += f": {told(platform.secure, setup)}" if platform.name else ": mark them Secure in the shop"
        names = some([shown(one.name, 40) for one in bare])
        yield Finding(_LOOK, "cookies", "Cookies without Secure", f"{names}, for visitors by https", do)
    if named and not (foreign or broken):
        names = some([shown(one.name, 40) for one in named])
        yield Finding(_FINE, "cookies", "Cookies belong to visitors' address", f"{names}: kept by browsers as they are")
    yield from _visitor_cookie(seen, [one for one in found.values() if one.name == VISITOR_COOKIE])


def _visitor_cookie(seen: Observed, ours: list[Cookie]) -> Iterator[Finding]:
    if not ours or seen.keys is None:
        return
    visitor = read_value(ours[-1].value.encode("latin-1", "replace"), seen.keys, seen.setup.at)
    if visitor.source is Source.COOKIE:
        said = f"{VISITOR_COOKIE} says stage {shown(str(visitor.stage))}"
        yield Finding(_FINE, "visitor", "The shop signs a visitor cookie that is believed", said)
        return
    do = "the shop must sign with the newest (last) of EDGEPROXY_KEYS; see what is wrong: edgeproxy cookie --read VALUE"
    said = shown("; ".join(visitor.problems), 200)
    yield Finding(_FIX, "visitor", "The shop's visitor cookie is not believed", said, do)


def _unkept(cookie: Cookie, setup: Setup) -> str:
    """Why browsers would not keep it whatever its domain; "" when they would (RFC 6265bis, 4.1.3 and 5.7)."""
    if cookie.name.startswith("__Host-") and (cookie.attributes.get("domain") or not cookie.secure):
        return "a __Host- cookie must be Secure and have no Domain"
    if cookie.name.startswith("__Secure-") and not cookie.secure:
        return "a __Secure- cookie must be Secure"
    if cookie.attributes.get("samesite", "").lower() == "none" and not cookie.secure:
        return "SameSite=None needs Secure"
    return ""


def _covers(domain: str, name: str) -> bool:
    return name == domain or name.endswith("." + domain)


def _domains(cookies: list[Cookie]) -> str:
    return some([f"{shown(one.name, 40)} (Domain={shown(one.domain, 60)})" for one in cookies])


# --------------------------------------------------------------------------- HSTS


def hsts(seen: Observed) -> Iterator[Finding]:
    """Strict-Transport-Security binds the name that visitors see."""
    if seen.setup.scheme != "https" or not seen.pages or seen.setup.host is None:
        return
    value = next((value for answer in seen.answers for value in answer.all("strict-transport-security")), "")
    said = f"Strict-Transport-Security: {shown(value)}"
    if not value:
        do = "once https works for good, let the shop send it, or what ends TLS before edgeproxy; a short max-age first"
        yield Finding(_LOOK, "hsts", "Nothing keeps visitors on https", "no Strict-Transport-Security", do)
    elif "includesubdomains" in value.lower() and "preload" in value.lower():
        name = hostname(seen.setup.visitors)
        do = f"every name below {name} must speak https, staging too; a preload is hard to take back"
        yield Finding(_LOOK, "hsts", "HSTS binds every name below, for good", said, do)
    else:
        yield Finding(_FINE, "hsts", "HSTS passes through", said)


# --------------------------------------------------------------------------- caches


def caches(seen: Observed) -> Iterator[Finding]:
    """What is cached now, before and behind edgeproxy, and what becomes of it."""
    names = {mark: said for answer in seen.answers for mark, said in _CACHES.items() if answer.header(mark)}
    if names:
        values = [f"{mark}: {shown(_first(seen, mark), 40)}" for mark in names]
        yield Finding(
            _LOOK,
            "cache",
            f"--origin goes through {some(list(names.values()))}",
            some(values),
            "a cache behind edgeproxy may hand one visitor's page to another, and one that visitors use too would loop"
            " when its name moves to edgeproxy: let --origin name the shop's own server",
        )
    book = seen.rules.book
    slotted = [page for page in seen.documents if book and policy.in_force(book, page.path, seen.setup.at)]
    shared = [page for page in slotted if _shared(page.last)]
    if shared:
        values = [f"{shown(page.path)} ({shown(_shared(page.last), 60)})" for page in shared]
        do = "these pages vary by visitor from now on: edgeproxy sends them as private, and a CDN before it no longer"
        do += " answers them. edgeproxy keeps them itself instead, and makes each visitor's edits on what it keeps;"
        do += " narrow `on` in slots.toml where the CDN should go on answering"
        yield Finding(_LOOK, "cache", "Pages with slots may be kept by shared caches today", some(values), do)
    both = [page for page in seen.documents if _shared(page.last) and page.last.all("set-cookie")]
    if both:
        said = f"{some([shown(page.path) for page in both])}: Set-Cookie on an answer that shared caches may keep"
        do = "mend it in the shop, whatever comes of edgeproxy: a cache could give one visitor's session to another"
        yield Finding(_FIX, "cache", "A shared cache could hand out cookies", said, do)
    star = [page for page in slotted if page.last.header("vary").strip() == "*"]
    if star:
        said = some([shown(page.path) for page in star])
        yield Finding(_LOOK, "cache", "Vary: * lets nothing be kept, anywhere", said, "is it meant?")
    if slotted and not shared:
        said = some([_cache_words(page) for page in slotted], 2)
        yield Finding(_FINE, "cache", "No shared cache keeps the pages with slots", said)


def _first(seen: Observed, name: str) -> str:
    return next((answer.header(name) for answer in seen.answers if answer.header(name)), "")


def _shared(answer: Answer) -> str:
    """The line that lets a shared cache keep this answer; "" when none does (RFC 9111, 3)."""
    for name in _SHARED_LINES:
        value = answer.header(name)
        if value and "no-store" not in value.lower() and value.strip() != "0":
            return f"{name}: {value}"
    value = answer.header("cache-control").lower()
    if any(word in value for word in ("private", "no-store", "no-cache")):
        return ""
    ages = [int(age) for age in _TTL.findall(value)]
    return f"cache-control: {value}" if any(ages) or "public" in value.replace(" ", "").split(",") else ""


def _cache_words(page: Page) -> str:
    line = page.last.header("cache-control")
    vary = page.last.header("vary")
    said = ", ".join(filter(None, (f"Cache-Control: {line}" if line else "", f"Vary: {vary}" if vary else "")))
    return f"{shown(page.path)} ({shown(said) or 'no Cache-Control'})"


# --------------------------------------------------------------------------- content codings


def codings(seen: Observed) -> Iterator[Finding]:
    """Pages are asked for uncompressed; everything else passes as the shop compresses it."""
    coded = [(page.path, ", ".join(codings_of(page.last.headers))) for page in seen.documents]
    coded = [(path, coding) for path, coding in coded if coding]
    if coded:
        said = some([f"{shown(path)} ({coding})" for path, coding in coded])
        do = "edgeproxy undoes it and compresses again: that works, and costs both sides time; switch it off for"
        do += " requests with Accept-Encoding: identity"
        yield Finding(_LOOK, "compression", "The shop compresses although it is asked not to", said, do)
    direct, plain = seen.direct, seen.plain
    if direct is None or plain is None or not (direct.html and plain.html):
        return
    alone, behind = (", ".join(codings_of(answer.headers)) for answer in (direct, plain))
    if alone and not behind:
        yield Finding(
            _LOOK,
            "compression",
            "The shop compresses nothing for visitors who come by a proxy or CDN",
            f"Content-Encoding {alone} for a request without Via, none with it",
            "scripts and styles would reach them uncompressed: gzip_proxied any; in the shop's nginx, or let what"
            " stands before edgeproxy compress",
        )
    elif behind:
        yield Finding(_FINE, "compression", "The shop compresses what passes untouched", behind)
    else:
        yield Finding(
            _LOOK,
            "compression",
            "The shop compresses nothing",
            "Accept-Encoding: gzip was answered without it",
            "edgeproxy compresses the pages that it rewrites; the rest passes as it is: switch compression on in the"
            " shop's web server, or in what stands before edgeproxy",
        )
