"""Asking the proxy for a sheet's cells: each is a preview, and so the live path with one visitor swapped in.

Here: requests and what their answers come to.  Not here: what a sheet is (``model``), the proxy itself: it is asked as
a browser asks for a page in a frame, which has no preview bar in it, over the network or in the same process.

A cell is asked for twice: the page, byte for byte as that visitor gets it, and its explanation.  The shop is asked
with GET alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from edgeproxy.core.explanation import TO_OTHERS
from edgeproxy.core.flags import PreviewFlags
from edgeproxy.core.signing import Keys
from edgeproxy.core.tokens import Leave, Session, sign_session
from edgeproxy.html import charset
from edgeproxy.html.model import Unplannable
from edgeproxy.sheet.differences import compared, words_of
from edgeproxy.sheet.model import OWN, Cell, Persona, Place, Sheet, Wish, cells_of, edits_of

__all__ = ["Front", "NoLeave", "Told", "ask_sheet", "explain", "front"]

SECONDS: Final = 45.0  # for one answer: longer than the proxy itself waits for the shop
AT_ONCE: Final = 4
LASTS: Final = 3600.0  # the leave to preview: as long as a big sheet may take
BIGGEST: Final = 8 << 20  # bytes of a page that is shown
UNEXPLAINED: Final = "the proxy does not explain this page: its log says why"
AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"

_FRAME: Final = {"accept": "text/html,*/*;q=0.8", "accept-encoding": "identity", "sec-fetch-dest": "iframe"}
"""As a browser asks for a page in a frame: there the preview has no bar."""

Told = Callable[[int, int, Place], None]
"""Hears of progress: how many cells are done, of how many, and which was the last."""


class NoLeave(Exception):
    """The proxy gives no preview for our leave; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class Front:
    """A proxy that can be asked."""

    base: str  # scheme://host as visitors write it
    transport: httpx.AsyncBaseTransport = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)  # with every request
    leave: str = field(default="", repr=False)  # the preview cookie; "": previews are open
    connect: str = ""  # scheme://host:port that is really asked; "": base

    async def get(self, target: str, headers: Mapping[str, str]) -> httpx.Response:
        """One GET of a path with its query, redirects not followed; raises httpx.HTTPError."""
        url = httpx.URL((self.connect or self.base) + target)
        lines = {"host": httpx.URL(self.base).netloc.decode("ascii"), **self.headers, **headers}
        if self.leave:
            lines["cookie"] = f"edge_preview={self.leave}"
        async with httpx.AsyncClient(transport=_Borrowed(self.transport), timeout=SECONDS, trust_env=False) as client:
            client.headers.clear()
            return await client.get(url, headers=lines, follow_redirects=False)


class _Borrowed(httpx.AsyncBaseTransport):
    """A transport that somebody else closes."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._transport.handle_async_request(request)


def front(base: str, transport: httpx.AsyncBaseTransport, keys: Keys | None, now: float, *, connect: str = "") -> Front:
    """A proxy to ask; ``keys`` are its own (None: its previews are open to this machine)."""
    session = None if keys is None else sign_session(Session(Leave.ANY, PreviewFlags(), int(now + LASTS)), keys)
    return Front(base, transport, {"user-agent": AGENT, "accept-language": "en"}, session or "", connect)


# --------------------------------------------------------------------------- a sheet


async def ask_sheet(
    proxy: Front, wish: Wish, personas: Sequence[Persona], *, now: float, told: Told = lambda done, of, place: None
) -> Sheet:
    """Every cell of a sheet; those that cannot be had are broken cells.  Raises NoLeave."""
    columns = (Persona(OWN, "The shop itself"), *personas)
    places = list(cells_of(wish, columns))
    turn = asyncio.Semaphore(AT_ONCE)
    done = 0
    version = timezone = ""

    async def own(page: str) -> Cell:
        async with turn:
            return (await _cell(proxy, Place(page, "", OWN), None))[0]

    owns = dict(zip(wish.pages, await asyncio.gather(*(own(page) for page in wish.pages)), strict=True))

    async def cell(place: Place) -> Cell:
        nonlocal done, version, timezone
        if place.persona == OWN:
            found = replace(owns[place.page], place=place)
        else:
            async with turn:
                found, explanation = await _cell(proxy, place, owns[place.page])
            version = version or str(explanation.get("book_version", ""))
            timezone = timezone or str(explanation.get("moment", "")).rpartition(" ")[2]
        done += 1
        told(done, len(places), place)
        return found

    found = await asyncio.gather(*(cell(place) for place in places))
    asked = [each for each in (*found, *owns.values()) if each.status]
    if asked and all(each.problem == UNEXPLAINED for each in asked):
        raise NoLeave(
            "the proxy gives no preview: EDGEPROXY_KEYS must hold the key that it signs with,"
            " and the address must be the proxy's, not the shop's"
        )
    rows = tuple(dict.fromkeys((place.page, place.moment) for place in places))
    return Sheet(proxy.base, now, version, timezone, columns, rows, dict(zip(places, found, strict=True)))


async def _cell(proxy: Front, place: Place, own: Cell | None) -> tuple[Cell, Mapping[str, Any]]:
    flags = PreviewFlags(persona=place.persona or None, at=place.moment or None, off=place.persona == OWN)
    target = _with(place.page, flags)
    try:
        page = await proxy.get(target, _FRAME)
        why = await proxy.get(_and(target, "edge_explain=json"), _FRAME)
    except httpx.HTTPError as error:
        return Cell(place, problem=f"no answer: {error or type(error).__name__}"), {}
    explanation = _explanation(why)
    if explanation is None:
        return Cell(place, status=page.status_code, problem=_unexplained(page)), {}
    body, kind = page.content, page.headers.get("content-type", "")
    cell = Cell(
        place,
        status=page.status_code,
        body=body,
        content_type=kind,
        charset=_codec(kind, body),
        location=page.headers.get("location", ""),
        experiences=tuple(
            one["name"] for one in explanation["experiences"] if one["outcome"] in {"applied", "forced by preview"}
        ),
        edits=edits_of(explanation),
        outlines=tuple((one["selector"], one["label"]) for one in explanation.get("outlines", ())),
        lane=f"{explanation['lane']}: {explanation['lane_why']}",
        notes=tuple(note for note in explanation["notes"] if not str(note).startswith(TO_OTHERS)),
    )
    problem = _problem(cell)
    # what is told of a page that was edited is how it leaves; of one that was not, why
    cell = replace(cell, problem=problem, notes=() if problem or own is None or cell.placed else cell.notes)
    if own is not None and not cell.problem and not own.problem:
        taken, added = await asyncio.to_thread(_compared, own, cell)
        cell = replace(cell, taken="\n".join(taken), added="\n".join(added), own_size=len(own.body))
    return cell, explanation


async def explain(proxy: Front, page: str, flags: Sequence[tuple[str, str]]) -> Mapping[str, Any] | str:
    """The explanation of a page, as its JSON, for whom the flags name; or why there is none, in words.

    Raises httpx.HTTPError.
    """
    answer = await proxy.get(_and(page, urlencode([*flags, ("edge_explain", "json")])), _FRAME)
    told = _explanation(answer)
    return _unexplained(answer) if told is None else told


def _unexplained(answer: httpx.Response) -> str:
    failed = answer.status_code >= 400
    return f"there is no page: the proxy answered {answer.status_code}" if failed else UNEXPLAINED


def _explanation(answer: httpx.Response) -> Mapping[str, Any] | None:
    """The explanation as it was told; None where the answer is none."""
    try:
        told = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else None
    except (json.JSONDecodeError, UnicodeDecodeError):
        told = None
    known = isinstance(told, dict) and {"experiences", "slots", "styles", "notes", "lane"} <= told.keys()
    return told if known else None


def _problem(cell: Cell) -> str:
    """Why a cell shows no page, or not the page that was meant."""
    if 300 <= cell.status < 400:
        return f"the shop leads on to {cell.location[:200] or 'nowhere'} ({cell.status}): name that page instead"
    if cell.status != 200:
        return f"the shop answered {cell.status}"
    if not cell.content_type.lower().startswith("text/html"):
        return f"no HTML page: {cell.content_type[:80] or 'no Content-Type'}"
    if len(cell.body) > BIGGEST:
        return f"{len(cell.body):,} bytes, and {BIGGEST:,} are the most that is shown"
    strange = [note for note in cell.notes if note.startswith(("unknown ", "edge_"))]
    return "; ".join(strange)


def _compared(own: Cell, cell: Cell) -> tuple[list[str], list[str]]:
    return compared(words_of(_text(own)), words_of(_text(cell)))


def _text(cell: Cell) -> str:
    return cell.body.decode(cell.charset, "replace")


def _codec(kind: str, body: bytes) -> str:
    try:
        return charset.detect(kind, body).codec
    except Unplannable:
        return "utf-8"


def _with(page: str, flags: PreviewFlags) -> str:
    return _and(page, urlencode(flags.pairs()))


def _and(target: str, query: str) -> str:
    return f"{target}{'&' if '?' in target else '?'}{query}"
