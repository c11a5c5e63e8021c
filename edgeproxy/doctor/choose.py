"""Which pages of a shop are worth a look before going live: as few as show every slot that is edited.

Here: ``wanted``, ``links``, and which experiences and slots count at all, pure.  Called by ``commands.doctor``, which
fetches the pages, and by the checks of rules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urljoin, urlsplit

from edgeproxy.core.model import Experience, RuleBook, Slot
from edgeproxy.doctor.model import Page, Setup

MOST_PAGES: Final = 6
_ACTS: Final = re.compile(  # steps of a path that may do something when they are fetched
    r"(?:^|[/_-])(?:log-?out|sign-?out|add|remove|delete|unsubscribe|set-?lang|toggle|admin)(?=$|[/_-])", re.IGNORECASE
)
PLAIN: Final = re.compile(r"/[!-~]*")  # what can be asked for as it stands
_GLOB: Final = re.compile(r"[*!]")


def wanted(
    book: RuleBook | None, asked: Sequence[str], recorded: Sequence[str], first: Page, setup: Setup
) -> list[str]:
    """Pages worth a look beside the first: those asked for, then as few as have every slot; where nobody asked for
    any, others of the shop too.

    Never one that acts when it is fetched (log out, add to basket), nor, but where asked for, one under `never`.
    """
    linked = links(first, setup) if first.html else []
    named: list[str] = []
    slots: list[Slot] = []
    if book is not None:
        experiences = active(book, setup.at)
        slots = used(book, setup.at)
        sets = (*(slot.on for slot in slots), *(experience.on for experience in experiences))
        named = [text for on in sets if on is not None for text in on.texts if not _GLOB.search(text)]
    candidates = list(dict.fromkeys((*named, *(page.partition("?")[0] for page in recorded), *linked)))
    never = book.shop.never if book is not None else None
    candidates = [path for path in candidates if PLAIN.fullmatch(path) and not (never and never.touches(path))]
    chosen = list(asked)
    have = [first.path, *(page.partition("?")[0] for page in asked)]
    for slot in slots:
        if slot.on is None or any(slot.on.match(path) for path in have):
            continue
        for path in candidates:
            if slot.on.match(path):
                chosen.append(path)
                have.append(path)
                break
    kinds = {path.split("/")[1] for path in have if "/" in path}
    for path in candidates:
        if asked or len(chosen) >= MOST_PAGES - 1:
            break
        if path not in have and path.split("/")[1] not in kinds:
            kinds.add(path.split("/")[1])
            chosen.append(path)
    return [path for path in dict.fromkeys(chosen) if path not in (first.asked, first.path)]


def links(page: Page, setup: Setup) -> list[str]:
    """Paths of the shop that a page links to, in its order: no files, nothing that acts."""
    found: dict[str, None] = {}
    for link in page.document.select("a[href]"):
        try:
            parts = urlsplit(urljoin(setup.public + page.last.path, link.attr("href") or ""))
        except ValueError:
            continue
        own = parts.netloc.lower() in (setup.visitors, setup.authority) and parts.scheme in ("http", "https")
        path = parts.path
        if own and not parts.query and not _ACTS.search(path) and "." not in path[-5:]:
            found.setdefault(path or "/")
    return list(found)


def active(book: RuleBook, at: float) -> list[Experience]:
    """Experiences that somebody gets, now or later."""
    return [one for one in book.experiences if one.enabled and one.share > 0 and (one.ends is None or one.ends > at)]


def used(book: RuleBook, at: float) -> list[Slot]:
    """Slots that some of those edit."""
    names = {edit.slot for experience in active(book, at) for edit in experience.edits}
    return [slot for slot in book.slots.values() if slot.enabled and slot.name in names]
