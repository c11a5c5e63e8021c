"""lifecycle.toml: what moves a visitor from stage to stage, and what the shop's pages say has happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgeproxy.core.conditions import Every, Labels, shapes, table
from edgeproxy.core.memory import CODE
from edgeproxy.core.model import Lifecycle, LifeStage, Paths, Where
from edgeproxy.core.rules.fields import Field, Row, paths, text
from edgeproxy.core.rules.sheet import Sheet, Spot

FILE = "lifecycle.toml"

SCORES = ("csat", "nps")
"""Events that carry a number: only the shop's own header can tell them."""

_CODE_SCHEMA: Mapping[str, object] = {"type": "string", "pattern": f"^{CODE.pattern}$"}
_PATHS = paths("pages", "path patterns")


def _categories(value: object, spot: Spot) -> tuple[str, ...] | None:
    return () if value == [] else shapes.codes(value, spot, None, "category")


def _events(value: object, spot: Spot) -> Mapping[str, Paths] | None:
    if not isinstance(value, Mapping):
        spot.tell("events wants a table", 'such as order = "/checkout/thank-you"')
        return None
    found: dict[str, Paths] = {}
    for name, pages in value.items():
        place = spot.at(name)
        if name in SCORES:
            place.tell_key(f"no page can say {name}: it has a number", f"let the shop send `Edge-Event: {name}=…`")
        elif not CODE.fullmatch(name):
            place.tell_key(f'"{name}" cannot be the name of an event', "small letters, digits, - and _, at most 24")
        elif (read := _PATHS.read(pages, place)) is not None:
            found[name] = read
    return found if len(found) == len(value) else None


def _stages(value: object, spot: Spot) -> Sequence[object] | None:
    if isinstance(value, list) and value:
        return value
    spot.tell("stage wants tables", "begin each with [[stage]]")
    return None


CATEGORIES = Field(
    "categories",
    "the codes that orders may name in Edge-Event; left out: any",
    {"anyOf": [_CODE_SCHEMA, {"type": "array", "items": _CODE_SCHEMA}]},
    _categories,
)
EVENTS: Field[Mapping[str, Paths]] = Field(
    "events",
    "event → pages that say, by a 2xx, that it happened: order, signed-in, signed-out, or one of your own",
    {"type": "object", "propertyNames": _CODE_SCHEMA, "additionalProperties": _PATHS.schema},
    _events,
)
STAGE: Field[Sequence[object]] = Field(
    "stage",
    "the stages in order; a visitor is in the last one whose lines hold",
    {"type": "array", "items": {"$ref": "#/$defs/lifestage"}, "minItems": 1},
    _stages,
)
FIELDS: tuple[Field[object], ...] = (CATEGORIES, EVENTS, STAGE)

NAME = text("name", "a stage of shop.toml", required=True)
SAYS = text("says", "who they are, for people")
STAGE_FIELDS: tuple[Field[object], ...] = (NAME, SAYS)


def categories(sheet: Sheet) -> tuple[str, ...] | None:
    """The categories that rules may name, so far as the file can tell; mistakes are told by ``read``."""
    listed = sheet.values.get(CATEGORIES.name)
    named = [listed] if isinstance(listed, str) else listed
    return tuple(one for one in named if isinstance(one, str)) if isinstance(named, list) else None


def read(sheet: Sheet, labels: Labels) -> Lifecycle | None:
    """The lifecycle; None after every mistake was told."""
    row = Row(sheet.values, sheet.top, FIELDS)
    listed = row.get(CATEGORIES)
    known = replace(labels, categories=categories(sheet))
    stages: list[LifeStage | None] = []
    for index, value in enumerate(row.get(STAGE) or ()):
        stages.append(_stage(value, row.at(STAGE).at(index), known, first=index == 0))
    good = tuple(stage for stage in stages if stage is not None)
    _in_order(good, row, labels)
    if not row.good or len(good) < len(stages):
        return None
    return Lifecycle(good, row.get(EVENTS) or {}, listed, Where(sheet.name))


def _stage(value: object, spot: Spot, labels: Labels, *, first: bool) -> LifeStage | None:
    if not isinstance(value, Mapping):
        spot.tell("a stage is a table", "begin with [[stage]]")
        return None
    name = value.get(NAME.name)
    spot = spot.about(name if isinstance(name, str) else "")
    row = Row(value, spot, STAGE_FIELDS, [key for key in value if key not in {NAME.name, SAYS.name}])
    stage = row.get(NAME)
    if stage is not None and shapes.labels(stage, row.at(NAME), labels.stages, "stage") is None:
        row.wrong()
    lines: Every | None = None
    if any(key not in {NAME.name, SAYS.name} for key in value):
        lines = table(value, spot, labels, "memory", beside=(NAME.name, SAYS.name))
        if lines is None:
            row.wrong()
    elif not first:
        spot.tell_key("has no condition: everybody would be in it", "only the first stage needs none")
        row.wrong()
    return LifeStage(stage, lines, row.get(SAYS) or "", spot.key) if row.good and stage is not None else None


def _in_order(stages: Sequence[LifeStage], row: Row, labels: Labels) -> None:
    """Warn where the file's order is another than that of shop.toml: one of them is not what was meant."""
    if labels.stages is None:
        return
    places = {name: place for place, name in enumerate(labels.stages)}
    highest = -1
    for index, stage in enumerate(stages):
        place = places.get(stage.name, highest)
        if place < highest:
            what = f'stands below "{labels.stages[highest]}", and before it in shop.toml'
            row.at(STAGE).at(index).about(stage.name).warn(
                what, "of two stages that hold, the lower one of this file wins"
            )
        highest = max(highest, place)
