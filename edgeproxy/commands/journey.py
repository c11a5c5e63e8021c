"""`edgeproxy journey`: what visitors see on the way from stranger to loyal and lapsed, from the rules alone."""

from __future__ import annotations

import json as jsons
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TextIO

from edgeproxy import recordings
from edgeproxy.commands.looking import Usage, book_of
from edgeproxy.core import schedule
from edgeproxy.core.explanation import NOBODYS
from edgeproxy.core.journey import Milestone, Seen, milestones, pages_of, walk
from edgeproxy.personalise import personalise
from edgeproxy.rulebook import shown

WIDEST = 120

Step = tuple[Milestone, tuple[Seen, ...]]


def run_journey(
    folder: Path, *, pages: Sequence[str], segments: Sequence[str], at: str | None, json: bool, now: float, out: TextIO
) -> int:
    """Print the journey; exit code 0, or 1 where no life leads to some stage.  Raises Usage and Mistakes."""
    book = book_of(folder)
    for segment in segments:
        if segment not in book.shop.segments:
            raise Usage(f'unknown segment "{segment}"; shop.toml names {", ".join(book.shop.segments) or "none"}')
    for page in pages:
        if not page.startswith("/"):
            raise Usage(f'"{page}" is no path of the shop: it begins with /')
    moment = now
    if at is not None:
        try:
            moment = schedule.parse_moment(at, book.shop.timezone)
        except ValueError as error:
            raise Usage(f"--at: {error}") from None
    try:
        recorded = recordings.read(folder)
    except (OSError, ValueError) as error:
        raise Usage(f"the recorded pages cannot be read: {error}") from None
    wanted = tuple(pages) or pages_of(book, tuple(recorded))
    way: list[Step] = []
    for milestone in milestones(book, moment, segments):
        visitor = milestone.visitor
        seen = () if visitor is None else walk(book, visitor, wanted, recorded, personalise, moment)
        way.append((milestone, seen))
    if json:
        jsons.dump(_as_json(way), out, indent=2, ensure_ascii=False)
        out.write("\n")
    else:
        head = f"{shown(folder)}, {schedule.as_text(moment, schedule.zone(book.shop.timezone))}"
        if segments:
            head += f", segments {', '.join(segments)}"
        lines = [head, *_as_text(way)]
        if book.lifecycle is None:
            lines += ["", "There is no lifecycle.toml: stages come from the shop's own cookie."]
        if any(not one.placed for _, seen in way for one in seen):
            lines += ["", "~ decided only: `edgeproxy record` the page, and its edits are made on it"]
        out.write("\n".join(map(_plain, lines)) + "\n")
    return int(any(milestone.visitor is None for milestone, _ in way))


def _as_text(way: Sequence[Step]) -> list[str]:
    """One block a stage: who is there, then a line for each page and experience."""
    width = min(max((len(one.page) + 2 for _, seen in way for one in seen), default=1), 34)
    names = [len(name) for _, seen in way for one in seen for name, _ in one.experiences]
    name_width = min(max([*names, len(NOBODYS)]), 32)
    lines: list[str] = []
    before: tuple[str, tuple[Seen, ...]] | None = None
    for number, (milestone, seen) in enumerate(way):
        lines += ["", f"{number}  {milestone.stage or NOBODYS}  {milestone.says}".rstrip()]
        lines += _wrapped("   because  ", milestone.leads)
        if milestone.visitor is None:
            lines += _wrapped("   nobody   ", "no life leads here: a later stage holds whenever this one does")
            continue
        lines += _wrapped("   such as  ", milestone.who)
        if before is not None and before[1] == seen:
            lines.append(f"   sees     the same as {before[0]}")
            continue
        before = milestone.stage or NOBODYS, seen
        for one in seen:
            page = f"   {one.page + ('' if one.placed else ' ~'):<{width}}  "
            if not one.experiences:
                lines += _wrapped(f"{page}{NOBODYS:<{name_width}}  ", one.why)
            for name, edits in one.experiences:
                lines += _wrapped(f"{page}{name:<{name_width}}  ", ", ".join(edits))
                page = " " * len(page)
    return lines


def _wrapped(head: str, text: str) -> list[str]:
    """``text`` behind ``head``, going on below itself."""
    room = max(WIDEST - len(head), 40)
    rows = wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    return [(head + rows[0]).rstrip(), *(" " * len(head) + row for row in rows[1:])]


def _as_json(way: Sequence[Step]) -> list[dict[str, object]]:
    return [
        {
            "stage": milestone.stage,
            "says": milestone.says,
            "because": milestone.leads,
            "such_as": milestone.who or None,
            "reached": milestone.visitor is not None,
            "pages": [
                {
                    "page": one.page,
                    "placed": one.placed,
                    "experiences": {name: list(edits) for name, edits in one.experiences},
                    "why": one.why or None,
                }
                for one in seen
            ],
        }
        for milestone, seen in way
    ]


def _plain(text: str) -> str:
    """Nothing of the rule files may steer the terminal."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text)
