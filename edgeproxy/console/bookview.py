"""What the live rules come to, in plain types: what a worker tells of its book, and the console shows.

Here: ``view``.  Not here: what happened (``history``), judging rules (``core.coverage``, ``core.calendar``), HTML
(``pages``).  Called by whoever holds the book: a worker, or the one process of `demo`.  The supervisor, which has no
book, only shows what it is told.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from edgeproxy.core.calendar import collisions, gaps
from edgeproxy.core.coverage import by_slot, coverage, status
from edgeproxy.core.model import Experience, Persona, RuleBook, Source

__all__ = ["persona_words", "view"]


def view(book: RuleBook, now: float) -> dict[str, Any]:
    """Everything about the rules that is shown, at ``now`` (seconds since the epoch), in JSON's own types."""
    users = by_slot(book)
    return {
        "version": book.version,
        "timezone": book.shop.timezone,
        "enabled": book.shop.enabled,
        "stages": list(book.shop.stages),
        "segments": list(book.shop.segments),
        "experiences": [_experience(one, book, now) for one in book.experiences],
        "slots": [
            {
                "name": slot.name,
                "says": slot.says,
                "find": slot.find,
                "on": list(slot.on.texts) if slot.on is not None else [],
                "expect": slot.expect.value,
                "enabled": slot.enabled,
                "where": slot.where.short,
                "experiences": list(users[slot.name]),
            }
            for slot in book.slots.values()
        ],
        "personas": [
            {"name": one.name, "says": one.says, "words": persona_words(one)} for one in book.personas.values()
        ],
        "coverage": asdict(coverage(book, now)),
        "collisions": [asdict(one) for one in collisions(book, now)],
        "gaps": [asdict(one) for one in gaps(book, now)],
    }


def _experience(one: Experience, book: RuleBook, now: float) -> dict[str, Any]:
    return {
        "name": one.name,
        "says": one.says,
        "because": one.because,
        "purpose": one.purpose,
        "owner": one.owner,
        "audiences": list(one.audiences),
        "begins": one.begins,
        "ends": one.ends,
        "share": one.share,
        "on": list(one.on.texts) if one.on is not None else [],
        "when": sorted(one.when.facts()) if one.when is not None else [],
        "status": status(one, book, now),
        "slots": list(dict.fromkeys(edit.slot for edit in one.edits if edit.slot is not None)),
        "takes": list(
            dict.fromkeys(edit.slot for edit in one.edits if edit.slot is not None and edit.action.takes_slot)
        ),
        "edits": len(one.edits),
        "where": one.where.short,
    }


def persona_words(one: Persona) -> str:
    """``loyal · outdoor``."""
    visitor = one.visitor
    if visitor.source is Source.NOBODY:
        return "no cookie"
    return " · ".join([visitor.stage or "no stage", *visitor.segments])
