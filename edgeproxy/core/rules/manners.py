"""manners.toml, and the word lists that come with edgeproxy: what ``check`` listens for in fragments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgeproxy.core.conditions import Labels, shapes
from edgeproxy.core.manners import KINDS, PRICE, Manners
from edgeproxy.core.model import Problem
from edgeproxy.core.phrases import NoPhrase, check, known
from edgeproxy.core.rules.fields import Field, Row
from edgeproxy.core.rules.sheet import Sheet, Spot, sheet
from edgeproxy.core.words import both, meant

FILE = "manners.toml"

Words = Mapping[str, tuple[str, ...]]
"""Kind (or "currencies") → phrases, of one language."""


def _phrases(value: object, spot: Spot) -> tuple[str, ...] | None:
    found = shapes.strings(value, spot)
    good = found is not None
    for index, one in enumerate(found or ()):
        try:
            check(one)
        except NoPhrase as problem:
            (spot.at(index) if isinstance(value, list) else spot).tell(f'"{one}" is no phrase: {problem}')
            good = False
    return found if good else None


def _off(value: object, spot: Spot) -> tuple[str, ...] | None:
    found = shapes.strings(value, spot)
    good = found is not None
    for index, one in enumerate(found or ()):
        if one not in KINDS:
            place = spot.at(index) if isinstance(value, list) else spot
            place.tell(f'unknown word "{one}"', meant(one, KINDS) or f"there are {both(KINDS)}")
            good = False
    return found if good else None


CURRENCIES = Field("currencies", 'signs and names of money: "€", "kr"', shapes.ONE_OR_MORE, shapes.strings)
KIND_FIELDS: tuple[Field[tuple[str, ...]], ...] = tuple(
    Field(kind, what, shapes.ONE_OR_MORE, _phrases) for kind, (what, _) in KINDS.items() if kind != PRICE
)
WORD_FIELDS: tuple[Field[tuple[str, ...]], ...] = (*KIND_FIELDS, CURRENCIES)


def _words(value: object, spot: Spot) -> Mapping[str, Words] | None:
    if not isinstance(value, Mapping):
        spot.tell("words wants a table for each language", "begin with [words.en]")
        return None
    found: dict[str, Words] = {}
    good = True
    for language, one in value.items():
        place = spot.at(language).about(language)
        if not isinstance(one, Mapping):
            place.tell_key(f"{language} stands in no language", "begin with [words.en]")
            good = False
            continue
        row = Row(one, place, WORD_FIELDS)
        good &= row.good
        found[language] = _of(row)
    return found if good else None


def _of(row: Row) -> Words:
    return {field.name: found for field in WORD_FIELDS if (found := row.get(field)) is not None}


def _perhaps_none(value: object, spot: Spot) -> tuple[str, ...] | None:
    return () if value == [] else shapes.strings(value, spot)


_PERHAPS_NONE: Mapping[str, object] = {"anyOf": [*shapes.STRING_OR_STRINGS, {"type": "array", "maxItems": 0}]}

LANGUAGES = Field(
    "languages",
    "of the word lists that come with edgeproxy, those that are used (left out: all)",
    _PERHAPS_NONE,
    _perhaps_none,
)
EARLY = Field(
    "early",
    "stages that nobody greets as old friends (left out: the first half of shop.toml's)",
    _PERHAPS_NONE,
    _perhaps_none,
)
ALLOW = Field("allow", "phrases that may stand, whatever they sound like", shapes.ONE_OR_MORE, _phrases)
_KIND = {"enum": list(KINDS)}
OFF = Field("off", "what is not listened for", {"anyOf": [_KIND, {"type": "array", "items": _KIND}]}, _off)
WORDS = Field(
    "words",
    "phrases of the shop's own, by language",
    {"type": "object", "additionalProperties": {"$ref": "#/$defs/manners-words"}},
    _words,
)
FIELDS: tuple[Field[object], ...] = (LANGUAGES, EARLY, ALLOW, OFF, WORDS)


def shipped(files: Mapping[str, bytes], problems: list[Problem]) -> Mapping[str, Words]:
    """The word lists that come with edgeproxy (language → bytes of its file); a mistake in one is told."""
    found: dict[str, Words] = {}
    for language, data in sorted(files.items()):
        read_sheet = sheet(f"manners/{language}.toml", data, problems)
        if read_sheet is not None:
            found[language] = _of(Row(read_sheet.values, read_sheet.top, WORD_FIELDS))
    return found


def read(sheet: Sheet | None, lists: Mapping[str, Words], labels: Labels) -> Manners | None:
    """What is listened for: the lists that ship and manners.toml (None: there is none); None after a mistake."""
    if sheet is None:
        return _together(lists.values(), (), (), None)
    row = Row(sheet.values, sheet.top, FIELDS)
    own = row.get(WORDS) or {}
    wanted = row.get(LANGUAGES)
    for index, one in enumerate(wanted or ()):
        if lists and one not in lists:
            place = row.at(LANGUAGES)
            place = place.at(index) if isinstance(sheet.values.get(LANGUAGES.name), list) else place
            place.tell(f'no word list for "{one}" comes along', meant(one, lists) or f"there are {both(lists)}")
            row.wrong()
    early = row.get(EARLY)
    if early:
        early = shapes.labels(sheet.values[EARLY.name], row.at(EARLY), labels.stages, "stage")
        if early is None:
            row.wrong()
    if not row.good:
        return None
    used = lists if wanted is None else {one: lists[one] for one in wanted if one in lists}
    return _together([*used.values(), *own.values()], row.get(ALLOW) or (), row.get(OFF) or (), early)


def _together(
    words: Iterable[Words], allow: tuple[str, ...], off: tuple[str, ...], early: tuple[str, ...] | None
) -> Manners:
    words = list(words)
    phrases = {
        field.name: known(one for each in words for one in each.get(field.name, ()))
        for field in KIND_FIELDS
        if field.name not in off
    }
    money = () if PRICE in off else known(one for each in words for one in each.get(CURRENCIES.name, ()))
    return Manners(phrases, money, allow, early)
