"""A first rules folder from a shop's own pages: slots that are really there, one small experience, one test.

Here: ``propose`` (pages → slots) and ``files`` (slots → the folder's files), pure.  Not here: fetching and writing
(``commands.init``).  Every proposed slot was found once, and can be edited, on each page that it names; what is
uncertain is left out: a short folder that works beats a long one that does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

import turbohtml

from edgeproxy.core.model import Expect, Slot, Where
from edgeproxy.html import charset, plan
from edgeproxy.html.model import Unplannable

MOST_PAGES: Final = 5
FEWEST_ITEMS: Final = 4  # of a list of products

_HASHED: Final = re.compile(r"\d{3,}|[0-9a-f]{8,}|--?[A-Za-z0-9]{5,}$|__")  # names that a build makes anew
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_HERO: Final = re.compile(r"hero|banner|jumbotron|carousel|slider|slideshow|masthead|stage|teaser", re.IGNORECASE)
_MENU: Final = re.compile(r"mega|menu|nav", re.IGNORECASE)
_MONEY: Final = re.compile(
    r"/(checkout|kassa|kasse|basket|cart|warenkorb|varukorg|account|accounts|konto|login|signin|my-account|customer)"
    r"(?=/|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One page of the shop, as it came: ``path`` is raw, without a query."""

    path: str
    body: bytes
    content_type: str | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A slot that is on ``paths`` (of the samples) exactly once, and can be edited there."""

    name: str
    find: str
    says: str
    paths: tuple[str, ...]
    everywhere: bool


# --------------------------------------------------------------------------- which pages to look at


def further_pages(sample: Sample, base: str) -> tuple[str, ...]:
    """Paths of the same host that the page links to, most telling first: products in lists, then menus; no money.

    ``base`` is the page's address.  At most ``MOST_PAGES``, one of each shape (``/p/…``) first.
    """
    document = _parsed(sample)
    host = urlsplit(base).netloc
    seen: dict[str, None] = {}
    for selector in ("main a[href]", "nav a[href]", "a[href]"):
        for link in document.select(selector):
            address = _address(base, str(link.attrs.get("href") or ""))
            if address.netloc != host or address.scheme not in {"http", "https"} or address.query:
                continue
            if address.path in {"", "/", sample.path} or _MONEY.search(address.path) or "." in address.path[-5:]:
                continue
            seen.setdefault(address.path)
    first: dict[tuple[str, int], str] = {}
    for path in seen:
        parts = path.strip("/").split("/")
        first.setdefault((parts[0], len(parts)), path)
    chosen = [*first.values(), *(path for path in seen if path not in first.values())]
    return tuple(chosen[:MOST_PAGES])


def money_paths(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Patterns of pages that nobody should ever edit: what links of the pages call checkout, basket, account, login."""
    found: dict[str, None] = {"/checkout/**": None, "/account/**": None}
    for sample in samples:
        for link in _parsed(sample).select("a[href], form[action]"):
            path = _address("", str(link.attrs.get("href") or link.attrs.get("action") or "")).path
            match = _MONEY.search(path)
            if match is not None and path.startswith("/"):
                found.setdefault(path[: match.end()] + "/**")
    return tuple(found)[:12]


def _address(base: str, reference: str) -> SplitResult:
    """Where a link leads; nowhere when what the shop wrote is no address."""
    try:
        return urlsplit(urljoin(base, reference))
    except ValueError:
        return urlsplit("")


# --------------------------------------------------------------------------- which slots are there


def propose(samples: Sequence[Sample]) -> tuple[Proposal, ...]:
    """Slots worth having on these pages, the most useful first; () when nothing can be named safely."""
    candidates: dict[str, tuple[str, str]] = {}  # selector → (name, says)
    for sample in samples:
        document = _parsed(sample)
        for name, says, element in _candidates(document):
            selector = _selector(document, element)
            if selector is not None:
                candidates.setdefault(selector, (name, says))
    proposals: list[Proposal] = []
    names: set[str] = set()
    for selector, (name, says) in candidates.items():
        paths = tuple(sample.path for sample in samples if _editable(sample, selector))
        if not paths:
            continue
        unique = name if name not in names else f"{name}-{sum(other.startswith(name) for other in names) + 1}"
        names.add(unique)
        proposals.append(Proposal(unique, selector, says, paths, len(paths) == len(samples)))
    return tuple(proposals)


def _parsed(sample: Sample) -> turbohtml.Document:
    return turbohtml.parse(sample.body.decode("latin-1"), scripting=True)


def _candidates(document: turbohtml.Document) -> Iterator[tuple[str, str, turbohtml.Element]]:
    """(name, says, element) for what people usually want to change."""
    for element in document.select("main > *, body > section, main section, main div"):
        if _HERO.search(_words(element)) and len(element.text) < 3000:
            yield "hero", "The big picture or message at the top of the page", element
            break
    for element in document.select("nav, header ul, header div"):
        if _MENU.search(element.tag + " " + _words(element)) and len(element.select("a")) >= 3:
            yield "menu", "The shop's menu", element
            break
    grid = _grid(document)
    if grid is not None:
        yield "product-grid", "A list of products", grid
    for selector, name, says in (
        ("main h1", "headline", "The headline of the page"),
        ("h1", "headline", "The headline of the page"),
        ("main", "main", "All that is the page's own"),
        ("header", "header", "The head of every page"),
        ("footer", "footer", "The foot of every page"),
    ):
        found = document.select_one(selector)
        if found is not None:
            yield name, says, found


def _grid(document: turbohtml.Document) -> turbohtml.Element | None:
    """The element with most children of one kind that have both a link and a picture."""
    best: turbohtml.Element | None = None
    most = FEWEST_ITEMS - 1
    for element in document.select("ul, ol, div, section"):
        children = [child for child in element.children if isinstance(child, turbohtml.Element)]
        if len(children) <= most or len({child.tag for child in children}) > 2:
            continue
        items = sum(bool(child.select_one("a[href]")) and bool(child.select_one("img, svg")) for child in children)
        if items > most:
            best, most = element, items
    return best


def _words(element: turbohtml.Element) -> str:
    return f"{element.attrs.get('id') or ''} {' '.join(_classes(element))}"


def _classes(element: turbohtml.Element) -> list[str]:
    value = element.attrs.get("class") or ""
    return value.split() if isinstance(value, str) else [str(one) for one in value]


def _selector(document: turbohtml.Document, element: turbohtml.Element) -> str | None:
    """A short selector that matches this element alone, by names that a person gave; None when there is none."""
    ident = str(element.attrs.get("id") or "")
    tries = [f"#{ident}"] if _PLAIN.fullmatch(ident) and not _HASHED.search(ident) else []
    named = [name for name in _classes(element) if _PLAIN.fullmatch(name) and not _HASHED.search(name)]
    tries += [f"{element.tag}.{name}" for name in named]
    tries += [f"{element.tag}.{one}.{two}" for one in named for two in named if one < two]
    tries.append(element.tag)
    parent = element.parent
    if isinstance(parent, turbohtml.Element):
        above = _selector(document, parent) if parent.tag not in {"html", "body"} else parent.tag
        if above is not None:
            tries += [f"{above} > {element.tag}.{name}" for name in named] + [f"{above} > {element.tag}"]
    for one in tries:
        found = document.select(one)
        if len(found) == 1 and found[0] == element:
            return one
    return None


def _editable(sample: Sample, selector: str) -> bool:
    """Found exactly once on the page, in a place that can be changed there."""
    slot = Slot("probe", selector, None, Expect.ONE, True, False, "", Where(""))
    try:
        found = charset.detect(sample.content_type, sample.body)
        place = plan.plan(sample.body, found, [slot]).slots["probe"]
    except Unplannable:
        return False
    return bool(place.elements) and not any(element.trouble or element.hydrated for element in place.elements)


# --------------------------------------------------------------------------- the folder


@dataclass(frozen=True, slots=True)
class Ground:
    """What the folder is written for."""

    host: str
    timezone: str
    never: tuple[str, ...]
    language: str


def files(ground: Ground, proposals: Sequence[Proposal], page: str) -> Mapping[str, str]:
    """The folder's files by name; ``page`` is the recorded page on which its test looks at the first experience.

    Raises ValueError when there is no slot on ``page`` to put anything at.
    """
    here = [proposal for proposal in proposals if page in proposal.paths]
    if not here:
        raise ValueError(f"nothing on {page} can be edited")
    first = next((one for one in here if one.name in {"hero", "headline", "product-grid", "main"}), here[0])
    verb = "prepend" if first.name in {"main", "header", "footer"} else "before"
    return {
        "shop.toml": _SHOP.format(
            host=ground.host,
            timezone=json.dumps(ground.timezone),
            language=json.dumps(ground.language),
            never=json.dumps(list(ground.never)),
        ),
        "slots.toml": _SLOTS + "".join(_slot(one, used=one is first) for one in proposals),
        "audiences.toml": _AUDIENCES,
        "personas.toml": _PERSONAS,
        "experiences/first-steps.toml": _EXPERIENCE.format(
            page=json.dumps(page), slot=json.dumps(first.name), verb=verb
        ),
        "fragments/first-steps.html": _FRAGMENT,
        "tests/first.toml": _TEST.format(page=json.dumps(page)),
    }


def _slot(proposal: Proposal, *, used: bool) -> str:
    """A table of slots.toml; those that nothing uses yet are comments, so that `check` has nothing to warn of."""
    lines = [
        f"[{proposal.name}]",
        f"says = {json.dumps(proposal.says)}",
        f"find = {json.dumps(proposal.find)}",
    ]
    if not proposal.everywhere:
        lines.append(f"on   = {json.dumps(list(proposal.paths))}")
    return "\n" + "".join(f"{line}\n" if used else f"# {line}\n" for line in lines)


_SHOP: Final = """\
# What holds for the whole shop at {host}.
format         = 1
timezone       = {timezone}
language       = {language}   # of edgeproxy's own few pages: "en", "sv" or "de"
stages         = ["new", "returning", "loyal"]   # in order, from first meeting on
segments       = []                               # labels that rules may name, such as "outdoor"
without_cookie = "new"                            # who we have never seen; or "untouched": the shop's own page
order          = ["first-steps"]                  # for one slot, the first that fits wins
never          = {never}   # pages that nobody ever edits
enabled        = true                             # false: everything is the shop's own page, at once
"""
_SLOTS: Final = """\
# Where things are in the theme: the only file that a theme change touches.
# Each was found, once, on the pages that were looked at. Take the "# " away to use one.
"""
_AUDIENCES: Final = """\
# Who is who: every line of a table must hold.
[newcomers]
says  = "First visits"
stage = "new"
"""
_PERSONAS: Final = """\
# Sample visitors, for preview and tests.
[ada]
says  = "Here for the first time"
stage = "new"

[bo]
says  = "Knows the shop well"
stage = "loyal"
"""
_EXPERIENCE: Final = """\
says    = "A short hint for who is new here"
for     = "newcomers"
because = "The first rule: change it, save, reload"
purpose = "help"
owner   = "you"
on      = [{page}]

[[edit]]
slot = {slot}
{verb} = "first-steps.html"
"""
_FRAGMENT: Final = """\
<div style="margin:1rem auto;padding:1rem 1.25rem;max-width:60rem;border:1px solid #c9d6cf;border-radius:.5rem;\
background:#f3f8f5;color:#16352a">
  <strong>New here?</strong> Take your time: this note is your first rule, in fragments/first-steps.html.
</div>
"""
_TEST: Final = """\
[[test]]
it      = "greets a newcomer with a hint"
persona = "ada"
page    = {page}
has     = ["New here?"]

[[test]]
it      = "leaves who knows the shop alone"
persona = "bo"
page    = {page}
without = ["New here?"]
"""
