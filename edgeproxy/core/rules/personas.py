"""personas.toml, and the visitor tables of rule tests: sample visitors, for preview and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgeproxy.core import durations
from edgeproxy.core.conditions import Labels, shapes
from edgeproxy.core.memory import CODE, MOST, MOST_TIMES, ORDER, Memory, Preference
from edgeproxy.core.model import NOBODY, Persona, Source, Visitor
from edgeproxy.core.rules.fields import Field, Row, ago, flag, number, rows, strings, text, word
from edgeproxy.core.rules.sheet import Sheet, Spot
from edgeproxy.core.words import meant

FILE = "personas.toml"

SAYS = text("says", "who it is, for people")
STAGE = text("stage", "the stage in the cookie", filled=True)
SEGMENTS = strings("segments", "the segments in the cookie")
SEGMENT = strings("segment", "the same as segments, for one")
ID = text("id", "the cookie's id: an experience with a share needs one", filled=True)
COOKIE = flag("cookie", "false: somebody without any cookie")

VISITS = number("visits", "what is remembered: how many visits, this one included", 1, MOST)
PAGE_VIEWS = number("page_views", "what is remembered: how many pages were looked at before", 0, MOST)
FIRST_VISIT = ago("first_visit", 'what is remembered: how long ago the first visit was, "60 days"')
LAST_VISIT = ago("last_visit", "what is remembered: how long ago the visit before this one was")
ORDERS = number("orders", "what is remembered: how many orders", 0, MOST)
LAST_ORDER = ago("last_order", "what is remembered: how long ago the last order was; left out: just now")
BOUGHT: Field[tuple[str, ...]] = Field(
    "bought",
    "what is remembered: categories of the last order",
    shapes.ONE_OR_MORE,
    lambda value, spot: shapes.codes(value, spot, None, "category"),
)
SIGNED_IN = flag("signed_in", "what is remembered: whether they are signed in")
PREFERS = word("prefers", "what they chose on their own page", [one.value for one in Preference])
CSAT = number("csat", "what is remembered: their last satisfaction score", 1, 5)
NPS = number("nps", "what is remembered: their last recommendation score", 0, 10)

_AGO_SCHEMA: Mapping[str, object] = LAST_ORDER.schema


def _happened(value: object, spot: Spot) -> tuple[tuple[str, float], ...] | None:
    if not isinstance(value, Mapping):
        spot.tell("happened wants a table of events", '{ basket = "3 hours" }')
        return None
    found: list[tuple[str, float]] = []
    for name, one in value.items():
        seconds = _seconds(one, spot.at(name))
        if not CODE.fullmatch(name) or name == ORDER:
            what = "that is last_order" if name == ORDER else "small letters, digits, - and _, at most 24"
            spot.at(name).tell_key(f'"{name}" cannot be an event here', what)
        elif seconds is not None:
            found.append((name, seconds))
    return tuple(found) if len(found) == len(value) else None


def _shown(value: object, spot: Spot) -> tuple[tuple[str, tuple[float, ...]], ...] | None:
    if not isinstance(value, Mapping):
        spot.tell("shown wants a table of experiences or groups", '{ reminders = ["2 hours", "3 days"] }')
        return None
    found: list[tuple[str, tuple[float, ...]]] = []
    for name, one in value.items():
        times = one if isinstance(one, list) else [one]
        if not 1 <= len(times) <= MOST_TIMES:
            spot.at(name).tell(f"{name} wants one to {MOST_TIMES} times")
            continue
        read = [
            _seconds(each, spot.at(name).at(index) if isinstance(one, list) else spot.at(name))
            for index, each in enumerate(times)
        ]
        if None not in read:
            found.append((name, tuple(each for each in read if each is not None)))
    return tuple(found) if len(found) == len(value) else None


def _seconds(value: object, spot: Spot) -> float | None:
    return ago(spot.name, "").read(value, spot)


HAPPENED: Field[tuple[tuple[str, float], ...]] = Field(
    "happened",
    "what is remembered: events, and how long ago they happened",
    {
        "type": "object",
        "propertyNames": {"type": "string", "pattern": f"^{CODE.pattern}$", "not": {"const": ORDER}},
        "additionalProperties": _AGO_SCHEMA,
    },
    _happened,
)
SHOWN: Field[tuple[tuple[str, tuple[float, ...]], ...]] = Field(
    "shown",
    "what is remembered: experiences or groups, and how long ago each was shown, once or several times",
    {
        "type": "object",
        "additionalProperties": {
            "anyOf": [_AGO_SCHEMA, {"type": "array", "items": _AGO_SCHEMA, "minItems": 1, "maxItems": MOST_TIMES}]
        },
    },
    _shown,
)

MEMORY_FIELDS: tuple[Field[object], ...] = (
    VISITS,
    PAGE_VIEWS,
    FIRST_VISIT,
    LAST_VISIT,
    ORDERS,
    LAST_ORDER,
    BOUGHT,
    SIGNED_IN,
    HAPPENED,
    SHOWN,
    PREFERS,
    CSAT,
    NPS,
)
VISITOR_FIELDS: tuple[Field[object], ...] = (STAGE, SEGMENTS, SEGMENT, ID, COOKIE, *MEMORY_FIELDS)
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
    memory = _memory(row, labels)
    if row.get(COOKIE) is False:
        held = next((field for field in _IN_COOKIE if field.name in row.table), None)
        if held is not None:
            row.at(held).tell_key(f"{held.name} stands in a cookie, and cookie is false", "leave one of them out")
            row.wrong()
        return (NOBODY if memory is None else replace(NOBODY, memory=memory)) if row.good else None
    if not row.good:
        return None
    segments = row.get(SEGMENTS) or row.get(SEGMENT) or ()
    return Visitor(stage, segments, row.get(ID), Source.PREVIEW, memory=memory)


_IN_COOKIE: tuple[Field[object], ...] = (STAGE, SEGMENTS, SEGMENT, ID)


def _memory(row: Row, labels: Labels) -> Memory | None:
    """What is remembered of a sample, told from now on (``memory.moored``); None where the table says nothing of it."""
    if not any(field.name in row.table for field in MEMORY_FIELDS):
        return None
    bought = row.get(BOUGHT) or ()
    if bought and shapes.codes(row.table[BOUGHT.name], row.at(BOUGHT), labels.categories, "category") is None:
        row.wrong()
    ordered = row.get(LAST_ORDER)
    orders = row.get(ORDERS)
    if orders == 0 and (ordered is not None or bought):
        row.at(ORDERS).tell("orders = 0 beside an order", "leave orders out, or say how many")
        row.wrong()
    if orders is None:
        orders = int(ordered is not None or bool(bought))
    away, first = row.get(LAST_VISIT), row.get(FIRST_VISIT)
    visits = row.get(VISITS) or (1 if away is None and first is None else 2)
    if visits == 1 and away is not None:
        row.at(LAST_VISIT).tell("a first visit has none before it", "visits = 2, or more")
        row.wrong()
    shown = row.get(SHOWN) or ()
    for name, _ in shown:
        if labels.showings is not None and name not in labels.showings:
            what = f'nothing that is called "{name}" has a cap or a gap'
            row.at(SHOWN).at(name).tell_key(what, meant(name, labels.showings))
            row.wrong()
    events = [(ORDER, ordered or 0.0)] if orders else []
    events += row.get(HAPPENED) or ()
    days = [int(one // durations.DAY) for one in (first or 0.0, away or 0.0, ordered or 0.0)]
    prefers = row.get(PREFERS)
    return Memory(
        first_day=-max(days),
        visits=visits,
        away=None if visits == 1 else days[1] if away is not None else 1,
        page_views=row.get(PAGE_VIEWS) or 0,
        orders=orders,
        signed_in=bool(row.get(SIGNED_IN)),
        events=tuple((name, -_minutes(one)) for name, one in sorted(events, key=lambda one: one[1])),
        bought=tuple((code, -days[2]) for code in bought),
        shown=tuple(
            ((labels.showings or {}).get(name, name), tuple(sorted((-_minutes(one) for one in times), reverse=True)))
            for name, times in shown
        ),
        prefers=None if prefers is None else Preference(prefers),
        csat=row.get(CSAT),
        nps=row.get(NPS),
    )


def _minutes(seconds: float) -> int:
    return int(seconds // durations.MINUTE)
