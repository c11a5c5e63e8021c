"""What the console shows of the shop itself: explanations, and contact sheets behind signed links.

Here: forms, links, and handing the question on to a process that serves.  Not here: how a sheet is made
(``sheet.looking``), the console's other pages (``site``).

A link to a sheet needs no login: who has it sees exactly that sheet until it expires, and nothing else.  A sheet is
made when somebody looks; one at a time, and the last one is kept for a moment, so that a link that many follow costs
little.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import QueryParams

from edgeproxy.core.durations import DAY, HOUR
from edgeproxy.core.model import Source
from edgeproxy.core.schedule import MomentError, parse_moment
from edgeproxy.core.sheetlink import SheetLink, sign_link
from edgeproxy.core.signing import Keys
from edgeproxy.settings import Settings
from edgeproxy.sheet.model import Wish, troubles_of

__all__ = ["EXPLAINED", "LASTS", "SHOWN", "asked_by", "base_of", "explain_query", "flags_asked", "link_of", "wish_of"]

EXPLAINED: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""For an explanation, which brings its style along."""

SHOWN: Final = 30.0  # seconds for which a sheet that was made is shown again
LASTS: Final = {"1h": HOUR, "1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
MOST_CELLS: Final = 60
_NOW: Final = HOUR  # a sheet that is looked at just now


def base_of(settings: Settings, public: str) -> str:
    """The shop as visitors write it: its first name, or the address of its listener, which is ``public``."""
    names = [name for name in settings.hosts if not name.startswith("*.")]
    if not names:
        return public or f"http://{settings.listen}"
    if settings.trust:  # a proxy in front, which speaks TLS and has the usual port
        return f"https://{names[0]}"
    parts = urlsplit(public or f"http://{settings.listen}")
    port = "" if parts.port in {None, 80, 443} else f":{parts.port}"
    return f"{parts.scheme}://{names[0]}{port}"


# --------------------------------------------------------------------------- sheets


def wish_of(form: Mapping[str, list[str]]) -> Wish:
    """What the form asks for; a line, or a word, for each page."""
    pages = tuple(dict.fromkeys(" ".join(form.get("pages", [])).split()))
    moments = tuple(dict.fromkeys(" ".join(form.get("at", [])).split()))
    return Wish(pages, tuple(dict.fromkeys(form.get("persona", []))), moments)


def link_of(wish: Wish, lasts: str, book: Mapping[str, Any], keys: Keys, now: float) -> SheetLink | tuple[str, ...]:
    """The link that a form asks for, or everything that is wrong with it; ``book`` as ``bookview`` tells it."""
    personas = tuple(one["name"] for one in book.get("personas", ()))
    found = list(troubles_of(wish, personas, most=MOST_CELLS))
    for text in wish.moments:
        try:
            parse_moment(text, book.get("timezone", "UTC"))
        except MomentError as error:
            found.append(str(error))
    link = SheetLink(wish.pages, wish.personas, wish.moments, int(now + LASTS.get(lasts, _NOW)))
    if not found:
        try:
            sign_link(link, keys)
        except ValueError as error:
            found.append(str(error))
    return tuple(found) or link


def asked_by(link: SheetLink) -> dict[str, Any]:
    """What ``Overview.look`` is asked for a link."""
    return {
        "pages": list(link.pages),
        "personas": list(link.personas),
        "moments": list(link.moments),
        "expires": link.expires,
    }


# --------------------------------------------------------------------------- explanations


def explain_query(decided: Mapping[str, Any], moment: str) -> list[tuple[str, str]] | None:
    """The parameters that ask why a remembered decision came out so; None where nobody can be it again."""
    source = decided["source"]
    if source == Source.DISBELIEVED.value or not source or decided["method"] not in {"GET", "HEAD"}:
        return None
    found = [("page", decided["path"] or "/"), ("at", moment)]
    if source == Source.NOBODY.value:
        return [*found, ("persona", "stranger")]
    return [*found, ("stage", decided["stage"]), *(("segment", one) for one in decided["segments"])]


def flags_asked(said: QueryParams) -> list[tuple[str, str]]:
    """The preview flags that the query of an explanation means."""
    flags: list[tuple[str, str]] = []
    if said.get("persona"):
        flags.append(("edge_persona", said["persona"]))
    elif "stage" in said or said.getlist("segment"):
        flags.append(("edge_stage", said.get("stage", "")))
        flags += [("edge_segment", one) for one in said.getlist("segment")] or [("edge_segment", "")]
    if said.get("at"):
        flags.append(("edge_at", said["at"]))
    return flags
