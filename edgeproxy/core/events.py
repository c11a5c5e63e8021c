"""Events: what the shop says has happened, by a header of its own or by a page that a visitor got.

Here: reading ``Edge-Event``, and which pages are events.  Not here: what follows from one (``lifecycle``), taking the
header away before the browser (``respond``), believing nobody but the shop (``sanitise`` drops it from requests).
Called by ``remember`` for every answer of the shop to a navigation.

    Edge-Event: order; categories=phones,cases        Edge-Event: csat=4
    Edge-Event: signed-in                             Edge-Event: basket

One event a line, in the letters of ``CODE``.  What is not exactly that is not taken, with a sentence why for the log.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edgeproxy.core.memory import CODE, ORDER, SIGNED_IN, SIGNED_OUT
from edgeproxy.core.model import RuleBook

MOST_LINES: Final = 8
LONGEST_LINE: Final = 512  # bytes
MOST_SCORE: Final = {"csat": (1, 5), "nps": (0, 10)}

_LINE: Final = re.compile(rb"([a-z0-9_-]+)(?:=([0-9]{1,2})|[ \t]*;[ \t]*categories=([a-z0-9,_ \t-]*))?")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; ``categories`` of an order, ``score`` of csat and nps."""

    name: str
    categories: tuple[str, ...] = ()
    score: int | None = None


def read(lines: Sequence[bytes], book: RuleBook) -> tuple[tuple[Event, ...], tuple[str, ...]]:
    """The values of an answer's ``Edge-Event`` lines → events in order, and why others are not taken.  Never raises.

    Known are order, signed-in, signed-out, csat, nps, and what lifecycle.toml or a rule names; of the categories those
    that lifecycle.toml lists, where it lists any.
    """
    found: list[Event] = []
    problems: list[str] = []
    for line in lines[:MOST_LINES]:
        event = _event(line.strip(b" \t"), book)
        if isinstance(event, Event):
            found.append(event)
        else:
            problems.append(event)
    if len(lines) > MOST_LINES:
        problems.append(f"{len(lines)} lines, and {MOST_LINES} are the most")
    return tuple(found), tuple(problems)


def _event(line: bytes, book: RuleBook) -> Event | str:
    match = _LINE.fullmatch(line) if len(line) <= LONGEST_LINE else None
    shown = ascii(line[:60].decode("latin-1"))
    if match is None or not CODE.fullmatch(name := match[1].decode()):
        return f"{shown} is no event: order; categories=phones,cases or signed-in or csat=4"
    if name in MOST_SCORE:
        least, most = MOST_SCORE[name]
        if match[2] is None or not least <= int(match[2]) <= most:
            return f"{shown}: {name} is a number from {least} to {most}"
        return Event(name, score=int(match[2]))
    if match[2] is not None:
        return f"{shown}: only csat and nps have a number"
    if match[3] is not None and name != ORDER:
        return f"{shown}: only an order has categories"
    if name not in known(book):
        return f"{shown}: no rule and no lifecycle.toml knows this event"
    listed = None if book.lifecycle is None else book.lifecycle.categories
    codes = [code.strip(" \t") for code in match[3].decode().split(",")] if match[3] else []
    kept = [code for code in dict.fromkeys(codes) if CODE.fullmatch(code) and (listed is None or code in listed)]
    return Event(name, tuple(kept))


def known(book: RuleBook) -> frozenset[str]:
    """The events that this book knows."""
    own = book.lifecycle.events if book.lifecycle is not None else {}
    asked = book.recall.events if book.recall is not None else frozenset()
    return frozenset({ORDER, SIGNED_IN, SIGNED_OUT, *own}) | asked


def of_page(book: RuleBook, path: str) -> tuple[Event, ...]:
    """The events that a 2xx for this raw path says."""
    if book.lifecycle is None:
        return ()
    return tuple(Event(name) for name, pages in book.lifecycle.events.items() if pages.match(path))
