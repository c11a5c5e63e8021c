"""tests/*.toml: what the rules promise.  Read here, run by ``core.ruletest``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from edgeproxy.core.conditions import Kind, Labels, request
from edgeproxy.core.model import NOBODY, Persona, RawHeaders, RuleTest, Visitor
from edgeproxy.core.rules import personas
from edgeproxy.core.rules.fields import Field, Row, day, strings, text
from edgeproxy.core.rules.sheet import Sheet, Spot
from edgeproxy.core.schedule import moment
from edgeproxy.core.words import meant

FOLDER = "tests/"
PAGES = "tests/pages/"
"""Recorded pages of the shop: pages, not rules; read by whoever runs the tests."""

NOBODYS = "the shop's own"

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: token
_VALUE = re.compile(r"[^\x00-\x1f\x7f]*")


def _strings(value: object, spot: Spot) -> Mapping[str, str] | None:
    if isinstance(value, Mapping) and all(isinstance(one, str) for one in value.values()):
        return value
    spot.tell(f"{spot.name} wants a table of strings")
    return None


def _page(value: object, spot: Spot) -> str | None:
    if isinstance(value, str) and value.startswith("/") and _VALUE.fullmatch(value) and " " not in value:
        return value
    spot.tell("page wants a path of the shop, with its query if there is one", '"/" or "/c/boots?color=red"')
    return None


def _headers(value: object, spot: Spot) -> Mapping[str, str] | None:
    read = _strings(value, spot)
    for name, line in (read or {}).items():
        if not _HEADER.fullmatch(name) or not _VALUE.fullmatch(line) or not line.isascii():
            spot.at(name).tell_key(f'"{name}" cannot be sent as a header')
            return None
    return read


def _list(value: object, spot: Spot) -> Sequence[object] | None:
    if isinstance(value, list):
        return value
    spot.tell("test wants tables", "begin with [[test]]")
    return None


def _as_written(value: object, spot: Spot) -> object:
    return value


def _fact(kind: type[Kind], help: str) -> Field[str]:  # noqa: A002 - the field's own word
    """A fact of the request, written as the condition of that name takes one alone."""

    def read(value: object, spot: Spot) -> str | None:
        if not isinstance(value, str):
            spot.tell(f"{kind.key} wants a string")
            return None
        return value if kind.parse(value, spot, Labels(None, None), "request") is not None else None

    return Field(kind.key, help, {"type": "string"}, read)


_STRING_TABLE: Mapping[str, object] = {"type": "object", "additionalProperties": {"type": "string"}}

TEST: Field[Sequence[object]] = Field(
    "test", "what the rules promise", {"type": "array", "items": {"$ref": "#/$defs/test"}}, _list
)
FILE_FIELDS: tuple[Field[object], ...] = (TEST,)

IT = text("it", "what is promised, as a sentence", required=True)
VISITOR: Field[object] = Field("visitor", "who asks", {"$ref": "#/$defs/visitor"}, _as_written)
PERSONA = text("persona", "who asks: one of personas.toml")
PAGE = Field("page", "the path that is asked for", {"type": "string", "pattern": "^/"}, _page, required=True)
AT = day("at", "when; left out: now")
SHOWS: Field[Mapping[str, str]] = Field(
    "shows", f'slot → the experience that has it, or "{NOBODYS}"', _STRING_TABLE, _strings
)
HAS = strings("has", "what the page must hold")
WITHOUT = strings("without", "what the page must not hold")
HEADERS: Field[Mapping[str, str]] = Field("headers", "header lines of the request", _STRING_TABLE, _headers)
DEVICE = _fact(request.Device, "what the browser says that it is on: mobile or desktop")
LANGUAGE = _fact(request.Language, "the language that the browser asks for")
CAME_FROM = _fact(request.CameFrom, "the host of the page that links here")
COUNTRY = _fact(request.Country, "the country that the proxy in front names")

FIELDS: tuple[Field[object], ...] = (
    IT,
    VISITOR,
    PERSONA,
    PAGE,
    AT,
    SHOWS,
    HAS,
    WITHOUT,
    HEADERS,
    DEVICE,
    LANGUAGE,
    CAME_FROM,
    COUNTRY,
)


@dataclass(frozen=True, slots=True)
class Bench:
    """What tests are read against: names that exist (None where their file could not be read)."""

    labels: Labels
    zone: ZoneInfo
    slots: Mapping[str, object] | None
    experiences: Sequence[str]
    personas: Mapping[str, Persona | None] | None


def read(sheet: Sheet, bench: Bench) -> tuple[RuleTest, ...]:
    """Every test of a file that could be read."""
    row = Row(sheet.values, sheet.top, FILE_FIELDS)
    tests = [_test(value, row.at(TEST).at(index), bench) for index, value in enumerate(row.get(TEST) or ())]
    return tuple(test for test in tests if test is not None)


def _test(value: object, spot: Spot, bench: Bench) -> RuleTest | None:
    if not isinstance(value, Mapping):
        spot.tell("a test is a table", "begin with [[test]]")
        return None
    it = value.get(IT.name)
    spot = spot.about(it if isinstance(it, str) else "")
    row = Row(value, spot, FIELDS)
    visitor = _visitor(row, bench)
    shows = _shows(row, bench)
    at, page = row.get(AT), row.get(PAGE)
    if not any(field.name in value for field in (SHOWS, HAS, WITHOUT)):
        spot.tell_key("promises nothing", "say shows, has or without")
        row.wrong()
    if not row.good or visitor is None or shows is None or page is None:
        return None
    return RuleTest(
        it=row.get(IT) or "",
        visitor=visitor,
        page=page,
        at=None if at is None else moment(at, bench.zone),
        shows=shows,
        has=row.get(HAS) or (),
        without=row.get(WITHOUT) or (),
        headers=_raw_headers(row),
        where=spot.key,
        country=row.get(COUNTRY),
    )


def _visitor(row: Row, bench: Bench) -> Visitor | None:
    if VISITOR.name in row.table and PERSONA.name in row.table:
        row.at(PERSONA).tell_key("visitor and persona in one test", "keep one")
        return None
    if VISITOR.name in row.table:
        return personas.visitor(row.table[VISITOR.name], row.at(VISITOR), bench.labels)
    persona = row.get(PERSONA)
    if persona is None:
        return NOBODY
    if bench.personas is not None and persona not in bench.personas:
        hint = meant(persona, bench.personas) or ("" if bench.personas else "personas.toml names none")
        row.at(PERSONA).tell(f'unknown persona "{persona}"', hint)
        return None
    found = (bench.personas or {}).get(persona)
    return None if found is None else found.visitor


def _shows(row: Row, bench: Bench) -> Mapping[str, str | None] | None:
    good = True
    shows = row.get(SHOWS) or {}
    for slot, experience in shows.items():
        place = row.at(SHOWS).at(slot)
        if bench.slots is not None and slot not in bench.slots:
            place.tell_key(f'unknown slot "{slot}"', meant(slot, bench.slots))
            good = False
        if experience != NOBODYS and experience not in bench.experiences:
            place.tell(f'unknown experience "{experience}"', meant(experience, [*bench.experiences, NOBODYS]))
            good = False
    return {slot: None if one == NOBODYS else one for slot, one in shows.items()} if good else None


def _raw_headers(row: Row) -> RawHeaders:
    """Header lines as they would come on the wire; a fact that is named goes before a header that says the same."""
    device, language, host = row.get(DEVICE), row.get(LANGUAGE), row.get(CAME_FROM)
    lines = [
        (b"sec-ch-ua-mobile", {"mobile": "?1", "desktop": "?0"}.get(device or "")),
        (b"accept-language", language),
        (b"referer", None if host is None else f"https://{request.as_sent(host)}/"),
        *((name.lower().encode("ascii"), text) for name, text in (row.get(HEADERS) or {}).items()),
    ]
    return tuple((name, text.encode("ascii", "replace")) for name, text in lines if text is not None)
