"""The nouns of a contact sheet: what was asked for, and what each of its cells came to.

Here: frozen data, and the list of cells that a wish means.  Not here: asking (``asking``), pictures, HTML (``page``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from edgeproxy.core.words import count

__all__ = [
    "MOST_CELLS",
    "SHEET_POLICY",
    "Cell",
    "Edited",
    "Persona",
    "Picture",
    "Place",
    "Sheet",
    "Wish",
    "cells_of",
    "troubles_of",
]

MOST_CELLS: Final = 200
OWN: Final = ""
"""In place of a persona's name: the shop's own page."""

SHEET_POLICY: Final = (
    "default-src 'none'; style-src * 'unsafe-inline'; img-src * data:; font-src * data:; media-src *; frame-src *;"
    " form-action 'none'; frame-ancestors 'none'"
)
"""For a sheet that is served: its frames inherit it, and load the shop's styles and pictures; nothing runs."""

_LONGEST_PATH: Final = 2048
_SAFE: Final = re.compile(r"/[!-~]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to see; ``moments`` () is now."""

    pages: tuple[str, ...]  # path, with its query if there is one
    personas: tuple[str, ...]  # names; (): all that there are
    moments: tuple[str, ...] = ()  # "2026-12-24", "2026-12-24T10:00"


@dataclass(frozen=True, slots=True)
class Persona:
    """A sample visitor; ``name`` is ``OWN`` for the shop's own page."""

    name: str
    says: str = ""
    words: str = ""  # "loyal · outdoor"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cell is in the grid."""

    page: str
    moment: str  # "": now
    persona: str


@dataclass(frozen=True, slots=True)
class Edited:
    """What became of a slot's edit (or of a style), in words."""

    slot: str  # "style" for a style
    experience: str
    verb: str
    outcome: str  # "placed", "shadowed", "refused"
    why: str
    where: str  # file:line


@dataclass(frozen=True, slots=True)
class Picture:
    """A screenshot: ``width`` is the window's, in CSS pixels."""

    width: int
    kind: str  # "image/webp"
    data: bytes = field(repr=False)
    pixels: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Cell:
    """One page for one visitor at one moment, as the proxy answered it."""

    place: Place
    status: int = 0  # 0: there was no answer
    body: bytes = field(default=b"", repr=False)  # without content codings
    content_type: str = ""
    charset: str = "utf-8"  # Python's name
    location: str = ""  # of a redirect
    experiences: tuple[str, ...] = ()  # that changed the page
    edits: tuple[Edited, ...] = ()
    outlines: tuple[tuple[str, str], ...] = ()  # selector, and what is to be written beside it
    lane: str = ""
    notes: tuple[str, ...] = ()
    problem: str = ""  # why it is broken, "" when it is not
    taken: str = ""  # words that stand on the shop's own page and not here, a line each
    added: str = ""  # the other way round
    own_size: int | None = None  # bytes of the shop's own page
    pictures: tuple[Picture, ...] = ()

    @property
    def placed(self) -> tuple[Edited, ...]:
        return tuple(one for one in self.edits if one.outcome == "placed")

    @property
    def refused(self) -> tuple[Edited, ...]:
        return tuple(one for one in self.edits if one.outcome == "refused")

    @property
    def slots(self) -> tuple[str, ...]:
        """Slots that an edit was placed in, in order."""
        return tuple(dict.fromkeys(one.slot for one in self.placed))


@dataclass(frozen=True, slots=True)
class Sheet:
    """The whole: ``cells`` has one for each place."""

    base: str  # where the proxy is reached: scheme://host
    made: float  # seconds since the epoch
    version: str  # of the rules
    timezone: str
    personas: tuple[Persona, ...]
    rows: tuple[tuple[str, str], ...]  # page and moment
    cells: Mapping[Place, Cell]

    @property
    def words(self) -> str:
        """``2 pages at 3 moments for 4 personas``."""
        pages, moments = ({row[place] for row in self.rows} for place in (0, 1))
        at = f" at {count(len(moments), 'moment')}" if len(moments) > 1 else ""
        return f"{count(len(pages), 'page')}{at} for {count(len(self.personas) - 1, 'persona')}"

    @property
    def broken(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells.values() if cell.problem)


def cells_of(wish: Wish, personas: tuple[Persona, ...]) -> Iterator[Place]:
    """Every place of the grid, row by row; the shop's own page begins each row."""
    for page in wish.pages:
        for moment in wish.moments or ("",):
            for persona in personas:
                yield Place(page, moment, persona.name)


def troubles_of(wish: Wish, known: tuple[str, ...], *, most: int = MOST_CELLS) -> tuple[str, ...]:
    """What is wrong with a wish, in words; () when it can be done.  ``known`` are the personas that there are."""
    found = []
    if not wish.pages:
        found.append("no page is named: write paths of the shop, such as /")
    found += [
        f"{_shown(page)} is no path: write it as it stands in the browser behind the shop's name, such as /c/boots"
        for page in wish.pages
        if not _SAFE.fullmatch(page) or page.startswith("//") or "#" in page or len(page) > _LONGEST_PATH
    ]
    listed = ", ".join(known) or "none"
    found += [
        f"there is no persona {_shown(name)}; personas.toml has {listed}" for name in wish.personas if name not in known
    ]
    count = len(wish.pages) * max(1, len(wish.moments)) * ((len(wish.personas) or len(known)) + 1)
    if count > most:
        found.append(f"that would be {count} pictures, and {most} are the most: name fewer pages or personas")
    return tuple(found)


def _shown(text: str) -> str:
    return (
        '"' + "".join(one if one.isprintable() else "\ufffd" for one in text[:60]) + ('…"' if len(text) > 60 else '"')
    )


def edits_of(explanation: Mapping[str, Any]) -> tuple[Edited, ...]:
    """Every edit that an explanation (its JSON) tells of, slots in order, then styles."""
    found = [(slot["name"], edit) for slot in explanation["slots"] for edit in slot["edits"]]
    found += [("style", edit) for edit in explanation["styles"]]
    return tuple(
        Edited(slot, edit["experience"], edit["verb"], edit["outcome"], edit["why"], edit["where"])
        for slot, edit in found
    )
