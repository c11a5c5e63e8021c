"""experiences/NAME.toml: what an audience gets.  The file's name is the experience's name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import isfinite
from zoneinfo import ZoneInfo

from edgeproxy.core.audiences import BUILT_IN
from edgeproxy.core.conditions import Every, Labels, shapes, table
from edgeproxy.core.model import Audience, Edit, Experience, Where
from edgeproxy.core.rules import courtesy, edits
from edgeproxy.core.rules.fields import Field, Row, day, flag, paths, text, word
from edgeproxy.core.rules.sheet import Sheet, Spot
from edgeproxy.core.schedule import as_text, moment
from edgeproxy.core.words import both, either, meant, quoted

FOLDER = "experiences/"

_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%")


def _share(value: object, spot: Spot) -> float | None:
    if isinstance(value, str) and (found := _PERCENT.fullmatch(value.strip())):
        share = float(found[1]) / 100
    elif isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        share = float(value)
    else:
        spot.tell("share wants a part of the visitors", '"50%" or 0.5')
        return None
    if 0 <= share <= 1:
        return share
    hint = f'did you mean "{value}%"?' if isinstance(value, int | float) and 1 < value <= 100 else ""
    spot.tell("share is not between 0% and 100%", hint)
    return None


def _when(value: object, spot: Spot) -> Every | None:
    return table(value, spot, Labels(None, None), "request")


def _edits(value: object, spot: Spot) -> Sequence[object] | None:
    if isinstance(value, list) and value:
        return value
    spot.tell("edit wants at least one table", "begin with [[edit]]")
    return None


SAYS = text("says", "what it is, for people")
FOR = Field("for", "an audience, or a list of them", shapes.ONE_OR_MORE, shapes.strings, required=True)
BECAUSE = text("because", "why it is there")
PURPOSE = word("purpose", "whom it serves", ("help", "inform", "sell"))
OWNER = text("owner", "whom to ask about it")
ON = paths("on", "path patterns that narrow the slots' own: both must hold")
WHEN = Field("when", "conditions on the request", {"$ref": "#/$defs/conditions-request"}, _when)
FROM = day("from", "when it begins")
UNTIL = day("until", "when it has ended: this moment is no longer in it")
SHARE = Field(
    "share",
    'a stable part of visitors: "50%" or 0.5; raising it only adds people',
    {
        "anyOf": [
            {"type": "string", "pattern": r"^\s*\d{1,3}(\.\d+)?\s*%\s*$"},
            {"type": "number", "minimum": 0, "maximum": 1},
        ]
    },
    _share,
)
WHOLE = flag("whole", "true: all of its edits or none")
ENABLED = flag("enabled", "false: nobody gets it")
EDIT: Field[Sequence[object]] = Field(
    "edit",
    "what changes",
    {"type": "array", "items": {"$ref": "#/$defs/edit"}, "minItems": 1},
    _edits,
    required=True,
)

FIELDS: tuple[Field[object], ...] = (
    SAYS,
    FOR,
    BECAUSE,
    PURPOSE,
    OWNER,
    ON,
    WHEN,
    FROM,
    UNTIL,
    SHARE,
    *courtesy.FIELDS,
    WHOLE,
    ENABLED,
    EDIT,
)
WANTED = (SAYS, BECAUSE, PURPOSE, OWNER)
"""What is not required but missed."""

SIMPLER = frozenset({"remove", "hide", "keep_first"})
"""Verbs that leave less on the page."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """What experiences are read against; ``audiences`` is None when audiences.toml could not be read."""

    audiences: Mapping[str, Audience | None] | None
    used: set[str]  # audiences that some experience names
    zone: ZoneInfo
    now: float | None  # seconds: tells schedules that are over
    desk: edits.Desk


def read(name: str, sheet: Sheet, shelf: Shelf) -> Experience | None:
    """One experience; None after every mistake was told."""
    spot = sheet.top.about(name)
    row = Row(sheet.values, spot, FIELDS)
    audiences = row.get(FOR) or ()
    for index, audience in enumerate(audiences):
        place = row.at(FOR).at(index) if isinstance(sheet.values.get(FOR.name), list) else row.at(FOR)
        if not _audience_is_known(audience, place, shelf):
            row.wrong()
    made = _edits_of(row, shelf.desk)
    begins, ends = (_moment(row.get(field), shelf.zone) for field in (FROM, UNTIL))
    if begins is not None and ends is not None and ends <= begins:
        row.at(UNTIL).tell("ends before it begins: these dates never come", f"from is {row.get(FROM)}")
        row.wrong()
    elif ends is not None and shelf.now is not None and ends <= shelf.now:
        row.at(UNTIL).warn(f"is over since {as_text(ends, shelf.zone)}", "delete it, or give it new dates")
    purpose = row.get(PURPOSE) or ""
    polite = courtesy.read(row, name, purpose, shelf.desk.labels)
    for field in WANTED:
        if not sheet.values.get(field.name):
            spot.warn(f"{field.name} is missing", field.help)
    if not row.good or made is None:
        return None
    share, enabled = row.get(SHARE), row.get(ENABLED)
    return Experience(
        name=name,
        audiences=audiences,
        edits=made,
        on=row.get(ON),
        when=row.get(WHEN),
        begins=begins,
        ends=ends,
        share=1.0 if share is None else share,
        whole=bool(row.get(WHOLE)),
        enabled=True if enabled is None else enabled,
        purpose=purpose,
        says=row.get(SAYS) or "",
        because=row.get(BECAUSE) or "",
        owner=row.get(OWNER) or "",
        where=Where(sheet.name, 1),
        category=row.get(courtesy.CATEGORY) or (),
        courtesy=polite,
        simplifies=purpose == "help" and any(edit.action.verb in SIMPLER for edit in made),
    )


def _moment(written: date | None, zone: ZoneInfo) -> float | None:
    return None if written is None else moment(written, zone)


def _audience_is_known(audience: str, spot: Spot, shelf: Shelf) -> bool:
    if audience in BUILT_IN or shelf.audiences is None or audience in shelf.audiences:
        shelf.used.add(audience)
        return True
    hint = meant(audience, [*shelf.audiences, *BUILT_IN])
    built_in = f"audiences.toml names none; built in are {either(quoted(BUILT_IN))}"
    some = [*shelf.audiences][:8]
    there = f"audiences.toml names {both(some)}{' and more' if len(shelf.audiences) > len(some) else ''}"
    spot.tell(f'unknown audience "{audience}"', hint or (there if shelf.audiences else built_in))
    return False


def _edits_of(row: Row, desk: edits.Desk) -> tuple[Edit, ...] | None:
    """All edits, in file order; None after a mistake in one of them."""
    made: list[Edit | None] = []
    gone: dict[str, tuple[str, Where]] = {}  # slot → verb that took it, and where
    for index, value in enumerate(row.get(EDIT) or ()):
        spot = row.at(EDIT).at(index)
        edit = edits.read(value, spot, desk)
        made.append(edit)
        if edit is None or edit.slot is None:
            continue
        if edit.slot in gone:
            verb, where = gone[edit.slot]
            spot.tell_key(f'edits "{edit.slot}" after {verb} took it', f"{verb} stands in line {where.line}")
            made.append(None)
        elif desk.markup.verbs[edit.action.verb].ends_slot:
            gone[edit.slot] = edit.action.verb, edit.where
    whole = tuple(edit for edit in made if edit is not None)
    return whole if len(whole) == len(made) else None
