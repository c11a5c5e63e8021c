"""``/-/edge/why``: the visitor's own page, and what a click on it does.

Here: the two methods of the address, who may click, the form's token, HTML and headers.  Not here: what is said
(``account``), what is remembered (``core``), the cookie (``remember``).  Wired by ``app`` into the addresses of ours.

A click is a POST that must come from this page: the browser says so itself (Sec-Fetch-Site, or Origin, or a Referer),
and the form holds a token that we signed for this host a while ago.  It answers with a redirect to the page, so that
loading it again repeats nothing.  What is chosen is written into the visitor's own cookie, with and without consent:
they asked for it by that click.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from edgeproxy.console.bar import readable
from edgeproxy.console.pages import PAGES
from edgeproxy.core import asking, query
from edgeproxy.core import visitor as visitors
from edgeproxy.core.memory import Memory, Preference
from edgeproxy.core.model import PageRequest, RuleBook
from edgeproxy.core.recollect import FORGOTTEN, NOTHING, Recollection, recalled
from edgeproxy.core.signing import Keys
from edgeproxy.core.visitor import CookieSettings
from edgeproxy.own import OWN_PATHS, Asked, Told
from edgeproxy.remember import Remembering
from edgeproxy.why.account import account
from edgeproxy.why.words import spoken

__all__ = ["WHY_PATH", "WhyPage"]

WHY_PATH: Final = "/-/edge/why"
SALT: Final = b"edgeproxy.why"
TOKEN_LASTS: Final = 12 * 3600  # seconds: a tab that was left open over the day still works
LONGEST_PAGE: Final = 2048  # characters of the address of the page that is asked about

CHOICES: Final = ("simple", "full", "off", "forget")
_DONE: Final = frozenset({*CHOICES, "again"})
_TOKEN: Final = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{43})")

_HEADERS: Final = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"cdn-cache-control", b"no-store"),
    (b"x-robots-tag", b"noindex, nofollow"),
    # Not no-referrer: a form of such a page is sent with "Origin: null".
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
)


class Books(Protocol):
    """Where the live rule book is."""

    @property
    def book(self) -> RuleBook | None: ...


@dataclass(frozen=True, slots=True)
class WhyPage:
    """The address by the settings of one listener; holds no request."""

    books: Books
    remembering: Remembering
    cookie: CookieSettings
    count: Callable[[str], object]  # told of each choice: "simple", "full", "off", "forget", "refused"

    def show(self, asked: Asked) -> Told:
        """GET: the page."""
        request = asked.request
        book = self.books.book
        known = self._known(asked, book)
        words = spoken(request.header(b"accept-language"), book.shop.language if book is not None else "en")
        said = dict(parse_qsl(request.query, encoding="latin-1"))
        address = _page(said.get("page"), request.header(b"referer"), request.host)
        lines = [value for name, value in request.headers if name == b"cookie"]
        visitor = visitors.read(lines, asked.keys, request.at, self.cookie)
        if book is not None:
            visitor = recalled(book, visitor, known)
        told = account(book, visitor, known, _asked_about(request, address), words, request.at)
        done = said.get("done", "")
        html = PAGES.get_template("why.html").render(
            words=words,
            told=told,
            done=words.of("done")[done] if done in _DONE else "",
            failed=done == "again",
            chosen=told.prefers.value if told.prefers is not None else "",
            choices=CHOICES,
            here=f"//{request.host}{WHY_PATH}",
            token=_token(asked.keys, request.host, request.at),
            page=address,
            shown_page=readable(address) if address else "",
            back=_on_host(request, address or "/"),
        )
        return Told(200, (*_HEADERS, (b"content-language", words.code.encode())), html.encode("utf-8", "replace"))

    def choose(self, asked: Asked) -> Told:
        """POST: what was chosen holds from the next request on."""
        request = asked.request
        said = dict(parse_qsl(asked.form.decode("latin-1"), encoding="latin-1"))
        choice, page = said.get("choice", ""), _page(said.get("page"), None, request.host)
        if not (
            choice in CHOICES
            and _from_here(request)
            and _is_ours(said.get("token", ""), asked.keys, request.host, request.at)
        ):
            self.count("refused")
            return Told(303, self._to(request, "again", page))
        self.count(choice)
        book = self.books.book
        known = self._known(asked, book)
        memory = chosen(choice, known)
        cookies = [(b"set-cookie", self.remembering.set_cookie(memory, request, asked.keys, request.at))]
        if choice == "forget":
            left = asking.leave(request, b"", asked.domain)
            cookies += [(b"set-cookie", line) for line in (left.set_cookie,) if line is not None]
        return Told(303, (*self._to(request, choice, page), *cookies))

    def _known(self, asked: Asked, book: RuleBook | None) -> Recollection:
        return NOTHING if book is None else self.remembering.of(asked.request, book, asked.keys, asked.request.at)

    def _to(self, request: PageRequest, done: str, page: str | None) -> tuple[tuple[bytes, bytes], ...]:
        said = {"done": done} | ({"page": page} if page else {})
        location = query.on_host(request.host, WHY_PATH, urlencode(said, encoding="latin-1").encode())
        return ((b"location", location), *(line for line in _HEADERS if line[0] != b"content-type"))


def chosen(choice: str, known: Recollection) -> Memory:
    """The memory after a click; FORGOTTEN: the cookie is taken away.

    Without leave to remember, the choice is all that is kept; to switch off is to ask not to be remembered, too.
    """
    if choice == "forget":
        return FORGOTTEN
    if choice == "off":
        return Memory(prefers=Preference.OFF, opted_out=True)
    held = known.state.memory
    kept = held if held is not None and known.writes else Memory()
    return replace(kept, prefers=Preference(choice), opted_out=False)


# --------------------------------------------------------------------------- who may click


def _token(keys: Keys, host: str, now: float) -> str:
    """Good for this host until a moment; signed, so that only a page of ours holds one."""
    signed = keys.signing(SALT).sign_plain(f"{int(now) + TOKEN_LASTS}|{host}".encode("latin-1", "replace"))
    return f"{int(now) + TOKEN_LASTS}.{signed.rpartition(b'.')[2].decode('ascii')}"


def _is_ours(token: str, keys: Keys, host: str, now: float) -> bool:
    found = _TOKEN.fullmatch(token)
    if found is None or not now <= int(found[1]) <= now + TOKEN_LASTS + 60:
        return False
    body = f"{found[1]}|{host}".encode("latin-1", "replace")
    return keys.signing(SALT).which_key(body, found[2].encode()) is not None


def _from_here(request: PageRequest) -> bool:
    """The browser says that a page of this host sent it: the first of what it says that it says at all."""
    site = request.header(b"sec-fetch-site")
    if site is not None:
        return site.strip().lower() == "same-origin"
    for name in (b"origin", b"referer"):
        value = request.header(name)
        if value is not None:
            # By host alone: where TLS ends before us, nobody may have told us the scheme.
            return _host_of(value) == request.host
    return False


def _host_of(address: str) -> str | None:
    try:
        return urlsplit(address).netloc.lower() or None
    except ValueError:
        return None


# --------------------------------------------------------------------------- the page that is asked about


def _page(said: str | None, referer: str | None, host: str) -> str | None:
    """Path and query of a page of this host, as an address has them, without our flags; None where none is known."""
    page = said
    if page is None and referer is not None:
        try:
            parts = urlsplit(referer)
            if parts.netloc.lower() != host or parts.scheme not in {"http", "https"}:
                return None
        except ValueError:
            return None
        page = parts.path + (f"?{parts.query}" if parts.query else "")
    if page is None or not page.startswith("/") or len(page) > LONGEST_PAGE or not page.isprintable() or " " in page:
        return None
    path, _, rest = page.partition("?")
    if path.startswith(OWN_PATHS):
        return None
    return query.target(path, query.cut(rest.encode("latin-1", "replace")).query).decode("ascii")


def _asked_about(request: PageRequest, address: str | None) -> PageRequest | None:
    """The same visitor's request for that page, as far as we know it: from where they came to it we do not."""
    if address is None:
        return None
    path, _, rest = address.partition("?")
    headers = tuple(line for line in request.headers if line[0] not in {b"referer", b"origin"})
    return replace(request, method="GET", path=path, query=rest, headers=headers)


def _on_host(request: PageRequest, address: str) -> str:
    path, _, rest = address.partition("?")
    return query.on_host(request.host, path, rest.encode("latin-1", "replace")).decode("ascii")
