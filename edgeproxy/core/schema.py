"""JSON Schema (2020-12) of every kind of rule file, so that editors complete and check as one types.

Made from the tables of fields, the registry of conditions and the registry of verbs that the parser reads: what the
parser takes the schema takes, and neither takes a key that the other does not know.  The parser is stricter: it also
knows names that other files define.  Called by ``edgeproxy schema``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgeproxy.core.conditions import kinds
from edgeproxy.core.conditions.registry import About
from edgeproxy.core.markup import Markup
from edgeproxy.core.rules import (
    audiences,
    caching,
    consent,
    courtesy,
    edits,
    experiences,
    lifecycle,
    manners,
    personas,
    shop,
    slots,
    tests,
)
from edgeproxy.core.rules.fields import NAME_SCHEMA, Field

Schema = dict[str, object]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

KINDS: tuple[str, ...] = ("shop", "slots", "audiences", "lifecycle", "experience", "personas", "tests", "manners")
"""What ``edgeproxy schema KIND`` takes."""


def schema(markup: Markup, kind: str | None = None) -> Schema:
    """The schema of one kind of file, or of all: a file is then one of them.  KeyError for a kind that is none."""
    parts = _parts(markup)
    files = {name: _FILES[name]() for name in KINDS}
    if kind is not None:
        top = files[kind]
        return {"$schema": DIALECT, "title": f"edgeproxy: {kind}", **top, "$defs": _needed(top, parts)}
    return {
        "$schema": DIALECT,
        "title": "edgeproxy: rule files",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in KINDS],
        "$defs": {**files, **parts},
    }


def table(fields: Sequence[Field[object]], more: Mapping[str, object] | None = None) -> Schema:
    """A table by its fields; ``more`` are properties that are no fields (conditions, verbs)."""
    properties = {field.name: {"description": field.help, **field.schema} for field in fields}
    required = [field.name for field in fields if field.required]
    found: Schema = {"type": "object", "properties": {**properties, **(more or {})}, "additionalProperties": False}
    return {**found, "required": required} if required else found


def _named(inner: Schema) -> Schema:
    return {"type": "object", "propertyNames": NAME_SCHEMA, "additionalProperties": inner}


def _conditions(about: About) -> dict[str, object]:
    return {key: {"description": kind.help, **kind.schema(about)} for key, kind in kinds(about).items()}


def _audience() -> Schema:
    # One property is a condition; with two, at least one is.
    says = audiences.SAYS.name
    return {
        **table((audiences.SAYS,), _conditions("visitor")),
        "minProperties": 1,
        "not": {"required": [says], "maxProperties": 1},
    }


_FILES: Mapping[str, Callable[[], Schema]] = {
    "shop": lambda: table(shop.FIELDS),
    "slots": lambda: _named(table(slots.FIELDS)),
    "audiences": lambda: _named(_audience()),
    "lifecycle": lambda: table(lifecycle.FIELDS),
    "experience": lambda: table(experiences.FIELDS),
    "personas": lambda: _named(table(personas.FIELDS)),
    "tests": lambda: table(tests.FILE_FIELDS),
    "manners": lambda: table(manners.FIELDS),
}


def _parts(markup: Markup) -> dict[str, object]:
    """What several tables share, and what is nested in them."""
    return {
        "conditions-visitor": {**table((), _conditions("visitor")), "minProperties": 1},
        "conditions-memory": {**table((), _conditions("memory")), "minProperties": 1},
        "conditions-request": {**table((), _conditions("request")), "minProperties": 1},
        "consent": table(consent.FIELDS),
        "cache": table(caching.FIELDS),
        "lifestage": table(lifecycle.STAGE_FIELDS, _conditions("memory")),
        "edit": _edit(markup),
        "visitor": table(personas.VISITOR_FIELDS),
        "test": table(tests.FIELDS),
        "manners-words": table(manners.WORD_FIELDS),
        "courtesy": table(courtesy.SHOP_FIELDS),
        "not-before": table((courtesy.AFTER, courtesy.WAIT)),
        "suppress": table((courtesy.BOUGHT, courtesy.FOR)),
    }


def _edit(markup: Markup) -> Schema:
    """A slot and exactly one verb; or_else beside those that take content; no slot beside one that needs none."""
    verbs: dict[str, object] = {verb.name: {"description": verb.help, **verb.schema} for verb in markup.verbs.values()}
    content = next((verb.schema for verb in markup.verbs.values() if verb.takes_content), {})
    slot = edits.SLOT
    ways: list[Schema] = []
    for verb in markup.verbs.values():
        if verb.needs_slot:
            ways.append({"required": [slot.name, verb.name]})
        else:
            ways.append({"required": [verb.name], "not": {"required": [slot.name]}})
    return {
        "type": "object",
        "properties": {
            slot.name: {"description": slot.help, **slot.schema},
            **verbs,
            edits.OR_ELSE: {"description": edits.OR_ELSE_HELP, **content},
        },
        "additionalProperties": False,
        "oneOf": ways,
    }


def _needed(inner: object, parts: Mapping[str, object]) -> dict[str, object]:
    """The shared parts that a schema names, and those that these name."""
    found: dict[str, object] = {}
    waiting = [inner]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            name = str(one.get("$ref", "")).removeprefix("#/$defs/")
            if name in parts and name not in found:
                found[name] = parts[name]
                waiting.append(parts[name])
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return {name: parts[name] for name in parts if name in found}
