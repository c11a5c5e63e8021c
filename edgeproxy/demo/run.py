"""What `edgeproxy demo` needs beside the proxy: the shop, a rules folder that one can edit, and what to say.

Here: small functions, no sockets and no printing.  Not here: starting the proxy (``commands``).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from starlette.types import ASGIApp

from edgeproxy.core.model import Persona, RuleBook

from .shop import build_shop

COPY = "demo-rules"
"""Where a copy of the rules is put when there is no rules folder: beside, not into, what somebody has."""

SHIPPED = Path(__file__).with_name("rules")  # in the wheel
CHECKOUT = Path(__file__).parents[2] / "rules"  # in a clone, from where the wheel takes them

_PERSONAS = (  # of the shipped rules, in the order of a visitor's life
    ("anna", "a stranger"),
    ("bo", "a newcomer"),
    ("dag", "a returning customer"),
    ("eva", "a loyal outdoor customer"),
    ("greta", "long gone"),
)


class ShopInProcess(httpx.AsyncBaseTransport):
    """The demo shop, reached without a socket; whole answers, which is fine for a shop of small pages.

    ``extensions["target"]`` is the raw path and query to ask for, as for every transport to a shop.
    """

    def __init__(self, app: ASGIApp | None = None) -> None:
        self._inner = httpx.ASGITransport(app or build_shop())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        target = request.extensions.get("target")
        if target is not None:
            try:
                url = request.url.copy_with(raw_path=target)
            except (httpx.InvalidURL, UnicodeDecodeError):
                return httpx.Response(400)
            request = httpx.Request(request.method, url, headers=request.headers, stream=request.stream)
        return await self._inner.handle_async_request(request)


@dataclass(frozen=True, slots=True)
class RulesFolder:
    path: Path
    says: str  # where it comes from, for people


def rules_folder(given: Path | None, here: Path) -> RulesFolder:
    """The folder to run: the given one, else ``here/rules`` if it is one, else a copy of the shipped rules.

    The copy is made once, in ``here/demo-rules``, and kept: what somebody changed there stays.  Raises OSError.
    """
    if given is not None:
        return RulesFolder(given, "your own")
    if (here / "rules" / "shop.toml").is_file():
        return RulesFolder(here / "rules", "found here")
    copy = here / COPY
    if (copy / "shop.toml").is_file():
        return RulesFolder(copy, "the copy that was made before")
    shutil.copytree(SHIPPED if SHIPPED.is_dir() else CHECKOUT, copy, dirs_exist_ok=True)
    return RulesFolder(copy, "a copy, made just now")


@dataclass(frozen=True, slots=True)
class Link:
    says: str
    url: str


def links(address: str, personas: Mapping[str, Persona]) -> tuple[Link, ...]:
    """One link for each kind of visitor, then the shop itself and the reasons; ``address`` has no slash at its end."""
    known = [(name, says) for name, says in _PERSONAS if name in personas]
    if not known:
        known = [("stranger", "a stranger"), *((name, p.says or name) for name, p in personas.items())][:8]
    rows = [Link(says, f"{address}/?edge_persona={name}") for name, says in known]
    last = "eva" if "eva" in personas else known[-1][0]
    rows.append(Link("the shop itself", f"{address}/?edge_off=1"))
    rows.append(Link("why, for each rule", f"{address}/?edge_persona={last}&edge_explain=1"))
    if "greta" in personas:
        rows.append(Link("on a December evening", f"{address}/?edge_persona=greta&edge_at=2026-12-12T18:00"))
    return tuple(rows)


def welcome(address: str, folder: RulesFolder, book: RuleBook | None, console: str = "") -> str:
    """What the demo prints once it listens; ``console`` is the admin listener's address."""
    rows = links(address, {} if book is None else book.personas)
    width = max(len(row.says) for row in rows)
    lines = [f"  {row.says:<{width}}   {row.url}" for row in rows]
    return "\n".join(
        (
            "",
            "A small shop, and edgeproxy before it. The same address, seen by:",
            "",
            *lines,
            "",
            *([f"What the rules do, for whom, and how often: {console}/ (the console)"] if console else []),
            f"The rules are in {folder.path}/ ({folder.says}).",
            "Change a file there, save it, and load the page again.",
            "What you look at stays what it is from click to click; the bar at the foot of the page ends it.",
            "Ctrl-C stops.",
            "",
        )
    )
