"""A contact sheet as one HTML document that holds everything it shows.

Here: HTML out of a ``Sheet``.  Not here: asking and photographing.  A cell without a picture shows its page in a frame
that runs no script and has no origin; what the frame shows of the shop (styles, pictures) it loads from the shop.
"""

from __future__ import annotations

import base64
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Final

from edgeproxy.console import pages
from edgeproxy.console.telling import size
from edgeproxy.core import schedule
from edgeproxy.core.words import count
from edgeproxy.sheet.framing import framed
from edgeproxy.sheet.model import OWN, Cell, Sheet

__all__ = ["sheet_page"]

_TOKENS: Final = Path(pages.__file__).with_name("static") / "tokens.css"


def sheet_page(sheet: Sheet, *, expires: float | None = None) -> bytes:
    """The document, in UTF-8.  ``expires``: until when the link is good that it was asked for by."""
    zone = schedule.zone(sheet.timezone or "UTC")
    refused = sum(len(cell.refused) for cell in sheet.cells.values())
    text = pages.PAGES.get_template("sheet.html").render(
        sheet=sheet,
        tokens=_TOKENS.read_text("utf-8"),
        rows=[_row(sheet, page, moment) for page, moment in sheet.rows],
        made=datetime.fromtimestamp(sheet.made, zone),
        expires=datetime.fromtimestamp(expires, zone) if expires is not None else None,
        broken=len(sheet.broken),
        refused=refused,
        pictures=any(cell.pictures for cell in sheet.cells.values()),
        framed=lambda cell: framed(cell, sheet.base + cell.place.page),
        data=lambda picture: f"data:{picture.kind};base64,{base64.b64encode(picture.data).decode()}",
        size=size,
        count=count,
        change=_change,
    )
    return text.encode("utf-8", "replace")


def _row(sheet: Sheet, page: str, moment: str) -> dict[str, object]:
    cells = [cell for place, cell in sheet.cells.items() if (place.page, place.moment) == (page, moment)]
    words = {one.name: one for one in sheet.personas}
    first: dict[bytes, str] = {}
    shown = []
    for cell in cells:
        persona = words[cell.place.persona]
        name = "The shop itself" if persona.name == OWN else persona.name
        digest = blake2b(cell.body, digest_size=16).digest()
        same = "" if cell.problem else first.get(digest, "")
        first.setdefault(digest, name)
        shown.append({"cell": cell, "persona": persona, "name": name, "same": same, "own": persona.name == OWN})
    return {"page": page, "moment": moment.replace("T", " "), "cells": shown}


def _change(cell: Cell) -> str:
    """``+1.2 KB`` or ``−4.1 KB`` to the shop's own page; "" where there is nothing to say."""
    if cell.own_size is None or cell.own_size == len(cell.body):
        return ""
    difference = len(cell.body) - cell.own_size
    return f"{'+' if difference > 0 else '−'}{size(abs(difference))}"
