"""May this request be answered from what is kept for many; and how the shop is asked on behalf of all of them.

Here: the judgement of a request, its key, and the head that fills a shared entry.  Not here: answers (``storing``),
the store (``pages``).  Pure; called for every request before the shop is asked.

The one rule of this module: **what the shop is asked with is fixed, or part of the key.**  Three things can happen to
a header line of a visitor:

    left out    what browsers and networks add and pages must not depend on without saying so (Vary): the language,
                the browser's name, conditions, where the request came from, and **every cookie**
    made one    Accept and Accept-Encoding, of which there are hundreds of spellings that mean a handful of things
    in the key  everything else, by name and value: a header that nobody here has heard of cannot change a page for
                others, since nobody else's request has it

Where the shop's answer names a left-out field in Vary, it is asked again with that field, and the field joins the key
of that address (``SharedRequest.left_out``).  ``Cookie`` never does: who has cookies that count gets their own answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from edgeproxy.core.cacherules import TRACKING_COOKIES, names_of, rule_for, without_names
from edgeproxy.core.model import CacheRule, PageRequest, RawHeaders, RuleBook

__all__ = [
    "USER_AGENT",
    "NotShared",
    "PageKey",
    "SharedRequest",
    "accepted_codings",
    "accepted_media",
    "bearing",
    "cookie_names",
    "is_left_out",
    "shared",
    "uncoded",
]

USER_AGENT: Final = (
    b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
"""One browser for all, since shops show unknown programs and none at all something else than their pages."""

_PAGE: Final = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
_WANTS_PAGE: Final = re.compile(rb"[ \t]*text/html[ \t]*(?:,|\Z)", re.IGNORECASE).match
"""HTML before anything else, as browsers ask for pages; scripts name it behind what they would rather have."""


@dataclass(frozen=True, slots=True)
class PageKey:
    """What tells one shared answer from another, before Vary (RFC 9111, 2 and 4.1)."""

    scheme: str
    host: bytes  # as the shop is asked for it
    path: bytes  # raw
    query: bytes  # raw, with its "?", without our flags and the keys that the rule ignores
    head: RawHeaders  # the lines that the shop is asked with and that are not the same for everybody
    rule: CacheRule | None


@dataclass(frozen=True, slots=True)
class SharedRequest:
    """A request that may be answered for many at once."""

    key: PageKey
    target: bytes  # what the shop is asked for
    lines: RawHeaders  # and with
    host: bytes  # the visitor's own, as answers name it
    left_out: Mapping[bytes, bytes] = field(compare=False)  # of this visitor, by name: where Vary names one
    cookies: tuple[str, ...] = ()  # of this visitor that count: names that nobody allowed us to ignore
    keep: bool = True  # False: the visitor asks that nothing of this is stored (RFC 9111, 5.2.1.5)


@dataclass(frozen=True, slots=True)
class NotShared:
    """A request that goes to the shop as it came, and why, in words."""

    why: str


def shared(
    book: RuleBook | None,
    request: PageRequest,
    lines: RawHeaders | list[tuple[bytes, bytes]],
    *,
    target: bytes,
    cookie: str = "edge_visitor",
    country_header: bytes = b"",
    identity: bool = False,
    loop: bytes = b"",
) -> SharedRequest | NotShared:
    """The shared form of a request, or why it has none.

    ``lines`` and ``target`` are what the shop would be asked with for this visitor alone; ``cookie`` is the visitor
    cookie's name, which no key holds; ``country_header`` is left out like other words of the network's; ``identity``:
    the page is edited here, so it is wanted uncompressed; ``loop``: our name in CDN-Loop (RFC 8586).
    """
    if request.method not in {"GET", "HEAD"}:
        return NotShared(f"method is {request.method}")
    rule = rule_for(book, request.path) if book is not None and book.cache else None
    if rule is not None and rule.fresh <= 0:
        return NotShared(f"never, says {rule.where.short}")
    left_out: dict[bytes, bytes] = {}
    asked: list[tuple[bytes, bytes]] = []  # fixed for everybody
    head: list[tuple[bytes, bytes]] = []  # in the key
    host = b""
    accept = codings = b""
    cookies: list[bytes] = []
    keep = True
    for line in lines:
        name, value = line
        treat = _TREATED.get(name)
        if treat is None:
            treat = _LEAVE if name.startswith(_OF_NETWORKS) or name == country_header else _KEY
        if treat == _KEY:
            head.append(line)
        elif treat == _LEAVE:
            left_out[name] = left_out[name] + b", " + value if name in left_out else value
        elif treat == _HOST:
            host = value
            asked.append(line)
        elif treat == _ACCEPT:
            accept = accept + b", " + value if accept else value
        elif treat == _CODINGS:
            codings = codings + b", " + value if codings else value
        elif treat == _COOKIE:
            cookies.append(value)
        elif treat == _LOOP:
            continue  # ours is added below; who asks in a circle waits for themselves, up to the deadline
        elif treat == _CONTROL:
            keep = keep and b"no-store" not in value.lower()
        else:
            return NotShared(_REFUSED.get(name) or f"{name.decode('latin-1')} asks for something of its own")
    names = cookie_names(cookies, cookie) if cookies else ()
    counting = names
    if rule is not None and names:
        for one in names:
            if one in rule.bypass_cookies:
                return NotShared(f'the cookie "{one[:60]}" has pages of its own: {rule.where.short}')
        counting = tuple(one for one in names if one not in rule.ignore_cookies and one not in _TRACKING)
        if counting:
            rule = (
                None  # the rule does not know this cookie: only what the shop itself calls shared is for this visitor
            )
    elif names:
        counting = tuple(one for one in names if one not in _TRACKING)
    head.append((b"accept", accepted_media(accept)))
    head.append((b"accept-encoding", b"identity" if identity else accepted_codings(codings)))
    path, mark, query = target.partition(b"?")
    if rule is not None and mark:
        query = without_names(query, rule.ignore_query)
        mark = b"?" if query else b""
    key = PageKey(request.scheme, host, path, mark + query, tuple(head), rule)
    return SharedRequest(
        key,
        path + mark + query,
        (*asked, *([(b"cdn-loop", loop)] if loop else []), (b"user-agent", USER_AGENT), *head),
        request.host.encode("latin-1"),
        left_out,
        tuple(counting),
        keep,
    )


def uncoded(key: PageKey) -> Iterator[PageKey]:
    """Of a request that takes no coding: the keys of the same by browsers, which take several."""
    if key.head[-1] == (b"accept-encoding", b"identity"):
        for codings in _USUAL_CODINGS:
            yield replace(key, head=(*key.head[:-1], (b"accept-encoding", codings)))


def is_left_out(name: bytes, country_header: bytes = b"") -> bool:
    """Is this a field that the shop is not asked with, so that it must join the key where Vary names it?"""
    treat = _TREATED.get(name)
    return treat == _LEAVE or (treat is None and (name.startswith(_OF_NETWORKS) or name == country_header))


# --------------------------------------------------------------------------- what becomes of a header line

_KEY: Final = 0
_LEAVE: Final = 1
_HOST: Final = 2
_ACCEPT: Final = 3
_CODINGS: Final = 4
_COOKIE: Final = 5
_LOOP: Final = 6
_CONTROL: Final = 7
_REFUSE: Final = 8

_REFUSED: Final[Mapping[bytes, str]] = {
    b"authorization": "it has an Authorization",  # RFC 9111, 3.5
    b"content-length": "it has a body",
    b"transfer-encoding": "it has a body",
    b"upgrade": "another protocol is asked for (Upgrade)",
}


def _table(rows: Mapping[int, str]) -> dict[bytes, int]:
    return {name.encode(): treat for treat, names in rows.items() for name in names.split()}


_TREATED: Final = _table(
    {
        _LEAVE: """accept-language user-agent referer from dnt save-data sec-gpc priority purpose sec-purpose
            sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-fetch-storage-access
            upgrade-insecure-requests device-memory dpr width viewport-width downlink ect rtt
            if-modified-since if-none-match if-range range
            via forwarded x-forwarded-for x-real-ip true-client-ip x-client-ip x-cluster-client-ip fastly-client-ip
            x-originating-ip x-remote-addr x-remote-ip client-ip do-connecting-ip x-request-id
            x-correlation-id x-request-start traceparent tracestate b3 baggage sentry-trace uber-trace-id newrelic
            elastic-apm-traceparent x-client-data x-wap-profile x-varnish x-newrelic-id x-newrelic-transaction""",
        _HOST: "host",
        _ACCEPT: "accept",
        _CODINGS: "accept-encoding",
        _COOKIE: "cookie",
        _LOOP: "cdn-loop",
        _CONTROL: "cache-control pragma",
        _REFUSE: """if-match if-unmodified-since authorization content-length transfer-encoding upgrade content-type
            x-http-method x-http-method-override x-method-override x-csrf-token x-csrftoken x-xsrf-token x-wp-nonce
            x-api-key x-auth-token x-access-token""",
    }
)
_OF_NETWORKS: Final = (
    b"sec-ch-", b"cf-", b"x-b3-", b"x-amzn-", b"x-amz-cf-", b"x-cloud-trace", b"x-datadog-", b"x-azure-",
    b"fastly-", b"x-vercel-", b"fly-", b"x-envoy-", b"akamai-", b"x-akamai-", b"cloudfront-", b"x-appengine-",
    b"x-goog-", b"x-ms-", b"x-arr-", b"x-waws-", b"cdn-", b"x-fastly-", b"x-bunny-", b"x-sucuri-", b"incap-", b"x-nf-",
)  # fmt: skip
_TRACKING: Final = names_of(TRACKING_COOKIES)


def cookie_names(lines: list[bytes], visitor: str) -> tuple[str, ...]:
    """The names of a visitor's cookies, in order; without the visitor cookie, which no page of the shop's is keyed by.

    What is no pair counts as a cookie of that name (RFC 6265bis, 5.6.3: a nameless one).
    """
    names: dict[str, None] = {}
    for line in lines:
        for pair in line.split(b";"):
            name = pair.partition(b"=")[0].strip().decode("latin-1")
            if name and name != visitor:
                names[name] = None
            elif not name and pair.strip():
                names["="] = None
    return tuple(names)


def bearing(book: RuleBook | None, name: str) -> tuple[str, ...] | None:
    """How a cookie of this name bears on ``shared``, wherever: names of one bearing can stand for each other.

    None: not at all, as of those that only scripts read.
    """
    tracks = name in _TRACKING
    said = ["" if tracks else "counts"]
    for rule in book.cache if book is not None else ():
        passes = tracks or name in rule.ignore_cookies
        said.append("bypass" if name in rule.bypass_cookies else "" if passes else "counts")
    return tuple(said) if any(said) else None


_USUAL_CODINGS: Final = (b"br, gzip, zstd", b"br, gzip", b"gzip")
_CODING: Final = re.compile(r"\s*([a-z*-]+)\s*(?:;\s*q\s*=\s*([0-9.]+)\s*)?", re.IGNORECASE)


def accepted_media(value: bytes) -> bytes:
    """Accept as the shop is asked with it: one spelling for all who ask for a page first, as browsers do."""
    return _PAGE if not value or _WANTS_PAGE(value) else value


def accepted_codings(value: bytes) -> bytes:
    """Accept-Encoding as one of a few spellings: which of br, gzip and zstd are taken, in that order; else identity.

    RFC 9111, 4.1 lets fields be made one where their values mean the same.  What cannot be read takes nothing.
    """
    if value == b"gzip, deflate, br, zstd":  # every browser of today
        return b"br, gzip, zstd"
    taken = set()
    for part in value.decode("latin-1").lower().split(","):
        found = _CODING.fullmatch(part)
        if found is not None and found[1] in {"br", "gzip", "zstd"} and (found[2] or "1").strip("0."):
            taken.add(found[1])
    return ", ".join(sorted(taken)).encode() or b"identity"
