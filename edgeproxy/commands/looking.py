"""What `explain` and `render` share: the visitor, the request and the page that their arguments name.

Raises ``Usage`` (a sentence for the person at the terminal) for whatever cannot be done as asked.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from edgeproxy.core import state
from edgeproxy.core.lifecycle import arriving
from edgeproxy.core.model import NOBODY, PageRequest, Persona, Problem, RawHeaders, RuleBook, Source, Visitor
from edgeproxy.core.schedule import parse_moment
from edgeproxy.core.signing import BadKey, Keys
from edgeproxy.core.visitor import read_value
from edgeproxy.core.words import both, meant
from edgeproxy.paths import no_folder
from edgeproxy.rulebook import load
from edgeproxy.settings import keys_text

FETCH_SECONDS: Final = 30.0
USER_AGENT: Final = "Mozilla/5.0 (compatible; edgeproxy)"


class Usage(Exception):
    """The command cannot be done as asked; the sentence says why and what to do."""


class Mistakes(Exception):
    """The rules folder has mistakes: they are the answer."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("the rules have mistakes")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Page:
    """A page to look at: the shop's own bytes, decoded of any content coding."""

    body: bytes
    content_type: str | None
    csp: str | None
    status: int
    source: str  # the file or URL it came from
    lines: RawHeaders = ()  # of the answer, lower-case, where there was one

    @property
    def through_us(self) -> bool:
        """It came through edgeproxy, with what a stranger gets already in it."""
        return any(name == b"via" and b"edgeproxy" in value for name, value in self.lines)


def sound_addresses(arguments: argparse.Namespace) -> None:
    """Usage when what looks like an address among the arguments can be none: said once, for every verb."""
    given = (one for value in vars(arguments).values() for one in (value if isinstance(value, list) else [value]))
    for text in given:
        if isinstance(text, str) and text.startswith(("http://", "https://")):
            try:
                parts = urlsplit(text)
                parts.port  # noqa: B018 - it is read when it is asked for
                (parts.hostname or "").encode("idna")
            except ValueError as error:
                raise Usage(f"{text[:200]} is no address: {error}") from None


def book_of(folder: Path) -> RuleBook:
    """The rules folder as a book; Mistakes when it has any, Usage when it is not there."""
    if why := no_folder(folder):
        raise Usage(f"{folder} {why}; name the rules folder with --rules, or make one: edgeproxy init")
    parsed = load(folder)
    if parsed.book is None:
        raise Mistakes(parsed.problems)
    return parsed.book


def visitor_of(arguments: argparse.Namespace, book: RuleBook, environ: Mapping[str, str], now: float) -> Visitor:
    """The visitor that --stage, --segment, --persona, --id or --cookie describe; nobody when none was given."""
    labels = bool(arguments.stage or arguments.segment or arguments.id)
    if sum((labels, bool(arguments.persona), bool(arguments.cookie))) > 1:
        raise Usage("say who it is once: --stage/--segment/--id, or --persona, or --cookie")
    if arguments.cookie:
        try:
            keys = Keys.parse(keys_text(environ))
        except BadKey as error:
            raise Usage(f"--cookie is verified with EDGEPROXY_KEYS: {error}") from None
        if arguments.cookie.startswith("edge_state="):
            memory = state.read([arguments.cookie.encode("utf-8", "replace")], keys, now)
            if memory.memory is None:
                raise Usage(f"this edge_state is not believed: {memory.words}")
            return replace(NOBODY, memory=arriving(memory.memory, now))
        return read_value(arguments.cookie.removeprefix("edge_visitor=").encode("utf-8", "replace"), keys, now)
    if arguments.persona:
        return _persona(arguments.persona, book).visitor
    if not labels:
        return NOBODY
    if arguments.stage and arguments.stage not in book.shop.stages:
        raise Usage(f'unknown stage "{arguments.stage}"; shop.toml names {", ".join(book.shop.stages)}')
    for segment in arguments.segment:
        if segment not in book.shop.segments:
            named = ", ".join(book.shop.segments) or "none"
            raise Usage(f'unknown segment "{segment}"; shop.toml names {named}')
    return Visitor(arguments.stage, tuple(arguments.segment), arguments.id, Source.PREVIEW)


def forced_of(arguments: argparse.Namespace, book: RuleBook) -> tuple[str | None, tuple[str, ...]]:
    """The experience that --experience forces, and those that --without switches off."""
    names = [experience.name for experience in book.experiences]
    for name in (arguments.experience, *arguments.without):
        if name is not None and name not in names:
            hint = meant(name, names) or f"there is {both(names) or 'none'}"
            raise Usage(f'unknown experience "{name}" ({hint})')
    return arguments.experience, tuple(arguments.without)


def _persona(name: str, book: RuleBook) -> Persona:
    persona = book.personas.get(name)
    if persona is None:
        raise Usage(f'unknown persona "{name}"; personas.toml has {", ".join(book.personas) or "none"}')
    return persona


def request_of(
    url: str, arguments: argparse.Namespace, book: RuleBook, now: float, *, path: str | None = None
) -> PageRequest:
    """The GET that a browser would make of this page, at --at, with --header and --country."""
    parts = urlsplit(url)
    at = now
    if arguments.at:
        try:
            at = parse_moment(arguments.at, book.shop.timezone)
        except ValueError as error:
            raise Usage(f"--at: {error}") from None
    return PageRequest(
        method="GET",
        scheme=parts.scheme or "https",
        host=parts.netloc.lower() or "shop.example",
        path=path if path is not None else (parts.path or "/"),
        query=parts.query,
        headers=headers_of(arguments.header),
        at=at,
        country=_country(arguments.country),
    )


def _country(text: str | None) -> str | None:
    if text and not (len(text) == 2 and text.isascii() and text.isalpha()):
        raise Usage(f'--country: "{text}" is not a country; write its two letters: SE')
    return text.upper() if text else None


def headers_of(lines: list[str]) -> RawHeaders:
    """``Name: value`` lines as raw headers; Usage when one has no colon."""
    pairs = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise Usage(f'--header wants "Name: value", got "{line}"')
        pairs.append((name.strip().lower().encode("latin-1", "replace"), value.strip().encode("utf-8")))
    return tuple(pairs)


def fetch(url: str, *, transport: httpx.BaseTransport | None = None) -> Page:
    """One GET of a page, following redirects as a browser does; Usage when it cannot be had."""
    try:
        with httpx.Client(
            transport=transport,
            timeout=FETCH_SECONDS,
            follow_redirects=True,
            headers={"User-Agent": USER_AGENT, "Accept": "text/html,*/*;q=0.8"},
        ) as client:
            answer = client.get(url)
    except httpx.InvalidURL as error:
        raise Usage(f"{url}: {error}") from None
    except httpx.HTTPError as error:
        raise Usage(f"{url} could not be fetched: {error or type(error).__name__}") from None
    return Page(
        body=answer.content,
        content_type=answer.headers.get("content-type"),
        csp=answer.headers.get("content-security-policy"),
        status=answer.status_code,
        source=str(answer.url),
        lines=tuple((name.lower(), value) for name, value in answer.headers.raw),
    )


def page_of(file_or_url: str, *, charset: str | None = None) -> Page:
    """A page from a file or a URL."""
    if file_or_url.startswith(("http://", "https://")):
        return fetch(file_or_url)
    path = Path(file_or_url)
    try:
        body = path.read_bytes()
    except OSError as error:
        raise Usage(f"{file_or_url}: {error.strerror or error}") from None
    return Page(body, f"text/html; charset={charset}" if charset else "text/html", None, 200, file_or_url)


def clock() -> float:
    """The moment of the command; the only place where looking reads a clock."""
    return time.time()
