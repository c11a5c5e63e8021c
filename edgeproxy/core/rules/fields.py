"""Fields: the keys that a table in a rule file may hold, each with its shape, its help and its reader.

One table of fields per kind of table is all that the parser and the JSON Schema know of it, so they cannot disagree.
Here: the fields' own type, readers of the common shapes, and reading a whole table by its fields.  Not here: which
fields there are (``shop``, ``slots``, ``experiences``… beside this module).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from re import compile as pattern
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from edgeproxy.core import durations
from edgeproxy.core.conditions import shapes
from edgeproxy.core.paths import PathSet, PatternError, compile_paths
from edgeproxy.core.rules.sheet import Spot
from edgeproxy.core.schedule import MomentError, moment
from edgeproxy.core.words import either, meant, nearest, quoted

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

NAME = pattern("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What slots, audiences, experiences and personas are called."""

LABEL = pattern(r"\w[\w.:+-]{0,63}")
"""What stages and segments are called: what a visitor cookie takes as a label."""

NAME_SCHEMA: Mapping[str, object] = {"type": "string", "pattern": f"^{NAME.pattern}$"}


@dataclass(frozen=True, slots=True)
class Field(Generic[T_co]):
    """One key: ``read`` gives its value, or None after every mistake in it was told."""

    name: str
    help: str
    schema: Mapping[str, object]
    read: Callable[[object, Spot], T_co | None]
    required: bool = False


class Row:
    """A table read by its fields.  ``good`` is False as soon as one mistake was told."""

    def __init__(
        self,
        table: Mapping[str, object],
        spot: Spot,
        fields: Sequence[Field[Any]],
        beside: Collection[str] = (),
        elsewhere: Mapping[str, str] | None = None,
    ) -> None:
        """``beside`` are keys that the caller reads; ``elsewhere`` says of other keys where they belong."""
        self.table = table
        self.spot = spot
        self.good = True
        self._read: dict[str, object] = {}
        known = {field.name: field for field in fields}
        misspelt: set[str | None] = set()
        for key, value in table.items():
            if key in known:
                read = known[key].read(value, spot.at(key))
                self.good &= read is not None
                self._read[key] = read
            elif key not in beside:
                self.good = False
                hint = (elsewhere or {}).get(key) or meant(key, [*known, *beside])
                spot.at(key).tell_key(f'unknown key "{key}"', hint)
                misspelt.add(nearest(key, [*known, *beside]))
        for field in fields:
            if field.required and field.name not in table:
                self.good = False
                if field.name in misspelt:
                    continue  # told already
                spot.tell_key(f'the key "{field.name}" is missing', field.help)

    def get(self, field: Field[T]) -> T | None:
        """A field's value; None where it is not written, or wrong."""
        return self._read.get(field.name)  # type: ignore[return-value]  # put there by that field's own reader

    def at(self, field: Field[Any]) -> Spot:
        return self.spot.at(field.name)

    def wrong(self) -> None:
        """A mistake was told about this table by somebody else."""
        self.good = False


def rows(table: Mapping[str, object], spot: Spot, noun: str) -> Iterable[tuple[str, Mapping[str, object], Spot]]:
    """The named tables of a file ([home-hero], …), less those that are none or have a bad name: told.

    Yields (name, table, spot).
    """
    for name, value in table.items():
        place = spot.at(name).about(name)
        if not isinstance(value, Mapping):
            place.about("").tell_key(f"{name} stands in no table", f"begin with the {noun}'s name: [name]")
        elif name_is_good(name, place, noun):
            yield name, value, place


def name_is_good(name: str, spot: Spot, noun: str) -> bool:
    if NAME.fullmatch(name):
        return True
    spot.tell_key(
        f'"{name}" cannot be the name of {_a(noun)}', "a name has letters a to z, digits, - and _, at most 64"
    )
    return False


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


# --------------------------------------------------------------------------- shapes


def text(name: str, help: str, *, required: bool = False, filled: bool = False) -> Field[str]:  # noqa: A002 - its word
    """A string; ``filled``, or required: not an empty one."""
    filled = filled or required

    def read(value: object, spot: Spot) -> str | None:
        if isinstance(value, str) and (value.strip() or not filled):
            return value
        spot.tell(f"{name} wants a string" + (" that is not empty" if isinstance(value, str) else ""))
        return None

    schema = {"type": "string", "pattern": r"\S"} if filled else {"type": "string"}
    return Field(name, help, schema, read, required)


def flag(name: str, help: str) -> Field[bool]:  # noqa: A002
    """true or false."""

    def read(value: object, spot: Spot) -> bool | None:
        if isinstance(value, bool):
            return value
        spot.tell(f"{name} wants true or false", "without quotes" if isinstance(value, str) else "")
        return None

    return Field(name, help, {"type": "boolean"}, read)


def word(name: str, help: str, words: Sequence[str]) -> Field[str]:  # noqa: A002
    """One of a few words."""

    def read(value: object, spot: Spot) -> str | None:
        if isinstance(value, str) and value in words:
            return value
        hint = meant(value, words) if isinstance(value, str) else ""
        has = f', not "{value}"' if isinstance(value, str) else ""
        spot.tell(f"{name} wants {either(quoted(words))}{has}", hint)
        return None

    return Field(name, help, {"enum": list(words)}, read)


def number(name: str, help: str, least: int, most: int) -> Field[int]:  # noqa: A002
    """A whole number."""

    def read(value: object, spot: Spot) -> int | None:
        if type(value) is int and least <= value <= most:  # True is no number
            return value
        spot.tell(f"{name} wants a whole number from {least} to {most}")
        return None

    return Field(name, help, {"type": "integer", "minimum": least, "maximum": most}, read)


def ago(name: str, help: str) -> Field[float]:  # noqa: A002
    """How long ago, in words ("10 days"): seconds."""

    def read(value: object, spot: Spot) -> float | None:
        try:
            return durations.parse(value if isinstance(value, str) else "")
        except durations.NotADuration:
            spot.tell(f"{name} wants how long ago it was", '"10 days", "2 hours"')
            return None

    return Field(name, help, {"type": "string", "pattern": r"^\s*\d{1,6} ?[A-Za-z]+\s*$"}, read)


def strings(name: str, help: str, *, required: bool = False) -> Field[tuple[str, ...]]:  # noqa: A002
    """A string, or a list of at least one."""
    return Field(name, help, shapes.ONE_OR_MORE, shapes.strings, required)


def names(name: str, help: str, label: str = "") -> Field[tuple[str, ...]]:  # noqa: A002
    """A list of different names, perhaps none; with ``label`` ("stage") they are labels of visitors."""

    def read(value: object, spot: Spot) -> tuple[str, ...] | None:
        if not isinstance(value, list):
            spot.tell(f"{name} wants a list of strings", f'["{value}"]' if isinstance(value, str) else "")
            return None
        for index, one in enumerate(value):
            if not isinstance(one, str):
                spot.at(index).tell(f"{name} wants a list of strings")
            elif label and not LABEL.fullmatch(one):
                hint = "a label has letters, digits and . : + - _, at most 64, no spaces"
                spot.at(index).tell(f'"{one}" cannot be the name of a {label}', hint)
            elif one in value[:index]:
                spot.at(index).tell(f'"{one}" is there twice')
        # What was told keeps the folder from going live; the rest of it is still checked against these names.
        return tuple(dict.fromkeys(one for one in value if isinstance(one, str)))

    # \w is no more than ASCII where JSON Schema is read as ECMA-262 says; the schema is content with less.
    item: Mapping[str, object] = {"type": "string", "pattern": r"^[^\s/{}]{1,64}$"} if label else {"type": "string"}
    return Field(name, help, {"type": "array", "items": item, "uniqueItems": True}, read)


def paths(name: str, help: str, *, may_be_none: bool = False, required: bool = False) -> Field[PathSet]:  # noqa: A002
    """Path patterns: a list, or one alone.  ``may_be_none``: an empty list is none, and exclusions alone a mistake."""

    def read(value: object, spot: Spot) -> PathSet | None:
        if value == [] and may_be_none:
            return compile_paths(())
        texts = shapes.strings(value, spot)
        if texts is None:
            return None
        good = True
        for index, one in enumerate(texts):
            try:
                compile_paths((one,))
            except PatternError as error:
                place = spot.at(index) if isinstance(value, list) else spot
                place.tell(f'path pattern "{error.pattern}": {error.what}', error.hint)
                good = False
        if good and may_be_none and all(one.startswith("!") for one in texts):
            spot.tell(f"{name} only excludes", "name the pages that are meant, too")
            return None
        return compile_paths(texts) if good else None

    schema: Mapping[str, object] = shapes.ONE_OR_MORE
    if may_be_none:
        schema = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}}]}
    return Field(name, help, schema, read, required)


MOMENT_SCHEMA: Mapping[str, object] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d"}
"""Dates and date-times are types of TOML's own; what checks TOML by JSON Schema sees their text."""


def day(name: str, help: str) -> Field[date]:  # noqa: A002
    """A date or date-time; what moment it is depends on shop.toml's timezone."""

    def read(value: object, spot: Spot) -> date | None:
        try:
            moment(value, ZoneInfo("UTC"))
        except MomentError as error:
            spot.tell(f"{name}: {error.what}", error.hint)
            return None
        return value if isinstance(value, date) else None

    return Field(name, help, MOMENT_SCHEMA, read)
