"""A page made ready to stand in a frame or before a camera: its own address kept, what was edited outlined.

Here: text in, text out.  Not here: what was edited (``model.Cell``).  The copy is for looking at alone; what is
counted, compared and measured is the answer itself.
"""

from __future__ import annotations

import re
from html import escape, unescape
from typing import Final
from urllib.parse import urljoin

from edgeproxy.sheet.model import Cell

__all__ = ["framed", "outline_style"]

_HEAD: Final = re.compile(r"<head(?:\s[^>]*)?>", re.IGNORECASE)
_DOCTYPE: Final = re.compile(r"\s*<!doctype[^>]*>", re.IGNORECASE)
_BASE: Final = re.compile(r"<base\s[^>]*?\bhref\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE)
_TAG_END: Final = re.compile(r"</?\s*style", re.IGNORECASE)

COLOUR: Final = "#d6006c"
_WHOLE: Final = frozenset({"body", "html", ":root", ":root > body:nth-child(2)"})
"""A line around everything says nothing; the list of edits tells of a class on the body."""


def framed(cell: Cell, address: str) -> str:
    """The page as a document of its own: relative addresses lead where they led, edited elements are outlined.

    ``address`` is the page's own, absolute.  Its scripts are the frame's business: a sandbox runs none.
    """
    text = cell.body.decode(cell.charset, "replace").removeprefix("\ufeff")
    own = _BASE.search(text)
    base = urljoin(address, unescape(own[1].strip("\"'"))) if own else address
    if not base.startswith(("http://", "https://")):
        base = address
    head = f'<base href="{escape(base)}" target="_blank"><style>{outline_style(cell)}</style>'
    place = _HEAD.search(text, 0, 4096) or _DOCTYPE.match(text)
    at = place.end() if place else 0
    return text[:at] + head + text[at:]


def outline_style(cell: Cell) -> str:
    """A style that draws a line around each edited element, from outside: nothing of the page is changed."""
    rules = []
    for selector, _ in cell.outlines:
        if selector in _WHOLE:
            continue
        plain = _TAG_END.sub("", selector)
        if plain == selector and "{" not in plain and "}" not in plain:
            rules.append(f"{plain} {{ outline: 3px solid {COLOUR} !important; outline-offset: -3px !important; }}")
    return "\n".join(rules)
