"""personas.toml, and the visitor tables of rule tests: sample visitors, for preview and tests."""

from __future__ import annotations

from collections.abc import Mapping

from edgeproxy.core.conditions import Labels, shapes
from edgeproxy.core.model import NOBODY, Persona, Source, Visitor
from edgeproxy.core.rules.fields import Field, Row, flag, rows, strings, text
from edgeproxy.core.rules.sheet import Sheet, Spot

FILE = "personas.toml"

SAYS = text("says", "who it is, for people")
STAGE = text("stage", "the stage in the cookie", filled=True)
SEGMENTS = strings("segments", "the segments in the cookie")
SEGMENT = strings("segment", "the same as segments, for one")
ID = text("id", "the cookie's id: an experience with a share needs one", filled=True)
COOKIE = flag("cookie", "false: somebody without any cookie")

VISITOR_FIELDS: tuple[Field[object], ...] = (STAGE, SEGMENTS, SEGMENT, ID, COOKIE)
FIELDS: tuple[Field[object], ...] = (SAYS, *VISITOR_FIELDS)


def read(sheet: Sheet, labels: Labels) -> Mapping[str, Persona | None]:
    """Every persona by its name; None for one with a mistake, which was told."""
    found: dict[str, Persona | None] = dict.fromkeys(sheet.values)
    for name, value, spot in rows(sheet.values, sheet.top, "persona"):
        row = Row(value, spot, FIELDS)
        visitor = _visitor(row, labels)
        found[name] = None if visitor is None else Persona(name, visitor, row.get(SAYS) or "", spot.key)
    return found


def visitor(value: object, spot: Spot, labels: Labels) -> Visitor | None:
    """``visitor = { stage = "new", segments = ["outdoor"] }``; None after every mistake was told."""
    if not isinstance(value, Mapping):
        spot.tell("visitor wants a table", 'visitor = { stage = "new" }, or persona = "…"')
        return None
    return _visitor(Row(value, spot, VISITOR_FIELDS), labels)


def _visitor(row: Row, labels: Labels) -> Visitor | None:
    stage = row.get(STAGE)
    if stage is not None and shapes.labels(stage, row.at(STAGE), labels.stages, "stage") is None:
        row.wrong()
    for field in (SEGMENTS, SEGMENT):
        written = row.table.get(field.name)
        if row.get(field) and shapes.labels(written, row.at(field), labels.segments, "segment") is None:
            row.wrong()
    if SEGMENT.name in row.table and SEGMENTS.name in row.table:
        row.at(SEGMENT).tell_key("segment and segments say the same", "keep segments")
        row.wrong()
    if row.get(COOKIE) is False:
        held = next((field for field in VISITOR_FIELDS if field is not COOKIE and field.name in row.table), None)
        if held is not None:
            row.at(held).tell_key(f"{held.name} stands in a cookie, and cookie is false", "leave one of them out")
            row.wrong()
        return NOBODY if row.good else None
    if not row.good:
        return None
    return Visitor(stage, row.get(SEGMENTS) or row.get(SEGMENT) or (), row.get(ID), Source.PREVIEW)
