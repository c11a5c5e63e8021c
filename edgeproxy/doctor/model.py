"""The nouns of a check before going live: what was asked and seen, and what that comes to.

Here: frozen data and small readings of it, pure.  Not here: fetching (``commands.doctor``), judging (the other modules
of this package).  Times are seconds; paths are raw, with "?query" where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Final
from urllib.parse import urljoin, urlsplit

import turbohtml

from edgeproxy.core.model import RawHeaders
from edgeproxy.core.rulefile import Parsed
from edgeproxy.core.signing import Keys
from edgeproxy.respond import Origin
from edgeproxy.values import is_loopback

_TITLE: Final = re.compile(rb"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


class Severity(Enum):
    """How bad a finding is, the worst first."""

    FIX = "fix"  # visitors would notice, or edits would not be made
    LOOK = "look"  # somebody should decide
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found: what, what was seen of it, and what to do ("" where it is fine)."""

    severity: Severity
    about: str  # what it is about, one word: "tls", "cookies"…; stable, for machines
    title: str
    seen: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is about to go live."""

    origin: str  # "http://10.0.0.5:8000", no slash at its end
    host: str | None = None  # the name that visitors use, with a port if they need one; None: nobody has said
    origin_host: str | None = None  # what the shop is sent as Host in its place
    rules: str = "rules"
    deadline: float = 30.0
    at: float = 0.0
    origin_ca: str | None = None  # certificates that may vouch for the shop

    @property
    def authority(self) -> str:
        """Host and port of the origin, as in its address."""
        return urlsplit(self.origin).netloc.lower()

    @property
    def visitors(self) -> str:
        """Host and port that visitors see: ``host``, or the origin's own while none is known."""
        return (self.host or self.authority).lower()

    @property
    def scheme(self) -> str:
        """Of visitors' connections: https, but for a name of this machine."""
        if self.host is None:
            return urlsplit(self.origin).scheme
        return "http" if is_loopback(hostname(self.host)) else "https"

    @property
    def public(self) -> str:
        """The address that visitors see."""
        return f"{self.scheme}://{self.visitors}"

    @property
    def named(self) -> str:
        """The public address in advice: a name to fill in while none is known."""
        return self.public if self.host else "https://YOUR-NAME"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the shop showed for its TLS."""

    ends: float
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """How a connection to the shop came about, or at which step it did not."""

    addresses: tuple[str, ...] = ()
    connect: float = 0.0
    certificate: Certificate | None = None
    trouble: str = ""  # "dns", "refused", "timeout", "tls", "late", "http"; "": none
    what: str = ""  # the trouble in words


@dataclass(frozen=True, slots=True)
class Answer:
    """One GET and what came of it."""

    path: str
    status: int
    headers: RawHeaders = ()
    body: bytes = b""  # less its content codings, where they could be undone
    proto: str | None = None  # X-Forwarded-Proto that was sent; None: asked as if no proxy were there
    first_byte: float = 0.0
    seconds: float = 0.0
    length: int = 0  # bytes as they came
    trouble: str = ""  # why there is no answer, or no body in the clear

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a header (lower-case name)."""
        wanted = name.encode()
        return tuple(value.decode("latin-1").strip() for key, value in self.headers if key == wanted)

    def header(self, name: str) -> str:
        """All its lines joined as one list (RFC 9110, 5.3); "" when there is none."""
        return ", ".join(self.all(name))

    @property
    def redirect(self) -> str:
        """Where it redirects to, as the shop wrote it; "" when it does not."""
        return next(iter(self.all("location")), "") if self.status in (301, 302, 303, 307, 308) else ""

    @property
    def html(self) -> bool:
        """A page that edgeproxy would rewrite, as far as its head can tell."""
        return (
            self.status == 200
            and not self.trouble
            and self.header("content-type").partition(";")[0].strip().lower() == "text/html"
        )


@dataclass(frozen=True)
class Page:
    """One page that was looked at: its answer, and the redirects of the shop's own that led there."""

    asked: str
    hops: tuple[Answer, ...]

    @property
    def last(self) -> Answer:
        return self.hops[-1]

    @property
    def path(self) -> str:
        """Without the query: what rules ask for."""
        return self.last.path.partition("?")[0]

    @property
    def html(self) -> bool:
        return self.last.html

    @cached_property
    def document(self) -> turbohtml.Document:
        """Its tree, its characters as bytes."""
        return turbohtml.parse(self.last.body.decode("latin-1"), scripting=True)


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that was seen of a set-up."""

    setup: Setup
    reach: Reach
    rules: Parsed
    pages: tuple[Page, ...] = ()
    direct: Answer | None = None  # where the first page led, under the origin's own name, as if no proxy were there
    plain: Answer | None = None  # the same for a visitor by http who comes by a CDN; both ready to take gzip
    left_out: tuple[str, ...] = ()  # pages that there was no GET left for
    keys: Keys | None = field(default=None, repr=False)
    keys_trouble: str = ""  # why there are none

    @property
    def answers(self) -> Iterator[Answer]:
        """Every answer that a visitor could get, in the order in which they were asked for."""
        for page in self.pages:
            yield from page.hops

    @property
    def documents(self) -> tuple[Page, ...]:
        """The pages that are HTML documents, each path once."""
        return tuple({page.path: page for page in reversed(self.pages) if page.html}.values())[::-1]


def target(setup: Setup, answer: Answer) -> str:
    """Where an answer sends visitors, as they would see it: edgeproxy writes their address for the origin's own."""
    here = setup.public + answer.path
    origin = Origin.of(setup.origin)
    sent = origin.location(answer.redirect.encode("latin-1", "replace"), setup.scheme.encode(), setup.visitors.encode())
    try:
        return urljoin(here, sent.decode("latin-1"))
    except ValueError:
        return sent.decode("latin-1")


def page_title(answer: Answer) -> str:
    """A page's title in quotes, to tell pages apart by; "" when it has none."""
    found = _TITLE.search(answer.body)
    return f'"{shown(found[1].decode("utf-8", "replace"), 60)}"' if found else ""


def hostname(authority: str) -> str:
    """``shop.example:8443`` → ``shop.example``; lower-case."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


def shown(text: str, most: int = 100) -> str:
    """Text of the shop's as it may be printed: on one line, not too long, and nothing of it steers the terminal."""
    clean = "".join(one if one.isprintable() else " " for one in text)
    clean = " ".join(clean.split())
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def some(things: list[str] | tuple[str, ...], most: int = 3) -> str:
    """The first of many, each once: "/, /c/tea and 4 more"."""
    things = tuple(dict.fromkeys(things))
    if len(things) > most:
        return f"{', '.join(things[:most])} and {len(things) - most} more"
    return " and ".join(filter(None, (", ".join(things[:-1]), things[-1]))) if things else ""
