"""The printed JSON Schema: it takes what the parser takes, and refuses the keys that the parser refuses."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date, time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edgeproxy.core.rulefile import parse
from edgeproxy.core.schema import KINDS, schema
from edgeproxy.html.checks import HtmlMarkup
from tests.core.rule_cases import HERE, base, read_cases
from tests.core.test_rulefile import FULL

MARKUP = HtmlMarkup()
CHECKS = {kind: Draft202012Validator(schema(MARKUP, kind)) for kind in KINDS}
ANY = Draft202012Validator(schema(MARKUP))


def kind_of(name: str) -> str | None:
    kind = {"experiences": "experience", "tests": "tests"}.get(name.split("/")[0], name.removesuffix(".toml"))
    return kind if kind in KINDS and name.endswith(".toml") and not name.startswith("tests/pages/") else None


def plain(value: Any) -> Any:
    """TOML's values as those see them who check TOML by JSON Schema: dates are text."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.isoformat() if isinstance(value, date | time) else value


def faults(kind: str, text: str | bytes) -> list[str]:
    document = plain(tomllib.loads(text if isinstance(text, str) else text.decode()))
    found = [error.message for error in CHECKS[kind].iter_errors(document)]
    if not found:
        assert ANY.is_valid(document), "the schema of all files takes what that of one takes"
    return found


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_schemas_are_schemas(kind: str | None) -> None:
    made = schema(MARKUP, kind)
    Draft202012Validator.check_schema(made)
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    names = set(re.findall(r"#/\$defs/([\w-]+)", str(made)))
    assert names <= set(made["$defs"])  # type: ignore[call-overload]  # a mapping, as every schema's $defs


def test_a_schema_holds_only_what_its_kind_needs() -> None:
    assert schema(MARKUP, "slots")["$defs"] == {}
    assert set(schema(MARKUP, "shop")["$defs"]) == {"consent", "courtesy", "cache"}  # type: ignore[call-overload]  # a mapping
    assert list(schema(MARKUP, "tests")["$defs"]) == ["visitor", "test"]  # type: ignore[call-overload]  # a mapping


def test_a_kind_that_is_none() -> None:
    with pytest.raises(KeyError):
        schema(MARKUP, "shops")


@pytest.mark.parametrize("name", [name for name in [*FULL, *base()] if kind_of(name)])
def test_good_files(name: str) -> None:
    text = FULL[name] if name in FULL else base()[name]
    kind = kind_of(name)
    assert kind is not None
    assert faults(kind, text) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_has_help(kind: str) -> None:
    made: Any = schema(MARKUP, kind)
    inner = made.get("additionalProperties") or {}
    for part in (made, inner, *made["$defs"].values()):
        for key, one in part.get("properties", {}).items():
            assert one.get("description"), key


UNKNOWN = [
    pytest.param(case, name, id=f"{file.stem}: {case.title}: {name}")
    for file in sorted(HERE.glob("*.txt"))
    for case in read_cases(file)
    for name in sorted(case.files)
    if kind_of(name) and any("unknown key" in one and f"rules/{name}:" in one for one in case.problems)
]


@pytest.mark.parametrize(("case", "name"), UNKNOWN)
def test_keys_that_the_parser_does_not_know(case: Any, name: str) -> None:
    assert faults(kind_of(name) or "", case.files[name])


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("shop", "format = 2"),
        ("shop", 'stages = ["a", "a"]'),
        ("shop", 'language = "fr"'),
        ("slots", "[a]"),
        ("slots", '[a]\nfind = "b"\nexpect = "two"'),
        ("slots", '["a b"]\nfind = "b"'),
        ("slots", 'find = "b"'),
        ("audiences", "[a]"),
        ("audiences", '[a]\nsays = "x"'),
        ("audiences", '[a]\nstage = "new"\ndevice = "mobile"'),
        ("audiences", '[a]\nnot = { zzz = "new" }'),
        ("experience", 'for = "x"'),
        ("experience", 'for = "x"\nedit = []'),
        ("experience", '[[edit]]\nslot = "a"\nremove = true'),
        ("experience", 'for = "x"\n[[edit]]\nslot = "a"\nremove = true\nbefore = "x.html"'),
        ("experience", 'for = "x"\n[[edit]]\nslot = "a"'),
        ("experience", 'for = "x"\n[[edit]]\nremove = true'),
        ("experience", 'for = "x"\n[[edit]]\nslot = "a"\nstyle = "p {}"'),
        ("experience", 'for = "x"\nshare = 2\n[[edit]]\nslot = "a"\nremove = true'),
        ("experience", 'for = "x"\nwhen = { stage = "x" }\n[[edit]]\nslot = "a"\nremove = true'),
        ("experience", 'for = "x"\ncap = "often"\n[[edit]]\nslot = "a"\nremove = true'),
        ("experience", 'for = "x"\nnot_before = "2 hours"\n[[edit]]\nslot = "a"\nremove = true'),
        ("experience", 'for = "x"\nsuppress = true\n[[edit]]\nslot = "a"\nremove = true'),
        ("shop", "[courtesy]\nslots_a_page = 0"),
        ("manners", 'off = "urgence"'),
        ("personas", '[a]\nstage = ""'),
        ("tests", '[[test]]\nit = "x"'),
        ("tests", '[[test]]\npage = "/"'),
        ("tests", '[[test]]\nit = "x"\npage = "x"'),
    ],
)
def test_what_editors_mark(kind: str, text: str) -> None:
    assert faults(kind, text)


# --------------------------------------------------------------------------- what the parser takes, the schema takes

word = st.sampled_from(["new", "loyal", "outdoor", "city", "zzz", "", "a b"])
some = st.one_of(word, st.lists(word, max_size=2))
condition = st.fixed_dictionaries(
    {}, optional={"stage": some, "segment": some, "all_segments": some, "zzz": some, "device": word}
)
audience = st.fixed_dictionaries({}, optional={"says": word, "stage": some, "segment": some, "not": condition})
path = st.sampled_from(["/", "/c/**", "!/x", "c", ""])
paths = st.one_of(path, st.lists(path, max_size=2))
flag = st.sampled_from([True, False, 1, "true"])
slot = st.fixed_dictionaries(
    {"find": st.sampled_from(["#a", "", " ", "a >", 1])},
    optional={"on": paths, "expect": st.sampled_from(["one", "any", "two"]), "enabled": flag, "zzz": flag},
)
content = st.sampled_from(["steps.html", "zzz", {"text": "x"}, {"html": "<p></p>"}, {"txt": "x"}, 1])
edit = st.fixed_dictionaries(
    {},
    optional={
        "slot": st.sampled_from(["home-hero", "mega-menu", "zzz"]),
        "before": content,
        "or_else": content,
        "remove": st.just(True),
        "add_class": st.sampled_from(["x", ""]),
        "style": st.just("p {}"),
        "zzz": st.just(1),
    },
)
when = st.fixed_dictionaries(
    {},
    optional={
        "device": st.sampled_from(["mobile", "tablet"]),
        "query": st.dictionaries(word, st.one_of(some, flag), max_size=2),
        "came_from": some,
        "language": st.sampled_from(["sv", "pt-BR", "?", ["sv", "en"], []]),
        "country": st.sampled_from(["SE", "swe", ["SE", "no"], [""]]),
        "not": st.fixed_dictionaries({}, optional={"device": st.just("mobile")}),
    },
)
moment = st.sampled_from([date(2026, 11, 1), date(2027, 2, 1), "2026-11-01", time(7), 1])
experience = st.fixed_dictionaries(
    {
        "for": st.sampled_from(["newcomers", "everyone", ["newcomers", "unknown"], [], 1]),
        "edit": st.lists(edit, max_size=3),
    },
    optional={
        "says": st.sampled_from(["", "x", 1]),
        "purpose": st.sampled_from(["help", "sell", "x"]),
        "on": paths,
        "when": when,
        "from": moment,
        "until": moment,
        "share": st.sampled_from(["50%", " 7.5 % ", "150%", "1000%", 0, 1, 0.5, 2, -1, True, "x"]),
        "whole": flag,
        "cap": st.sampled_from(["3 a week", "Once a day", "2 times per 14 days", "13 a week", "3/week", "0 a day", 3]),
        "gap": st.sampled_from(["24 hours", "90 seconds", "30 seconds", "500 days", "x", 1]),
        "not_before": st.sampled_from(
            ["2 hours after basket", "2 hours", {"after": "basket", "wait": "2 hours"}, {"after": "basket"}, 2]
        ),
        "stop_after": st.sampled_from(["order", ["order", "basket"], [], "Order", 1]),
        "suppress": st.sampled_from(
            [
                False,
                True,
                {"bought": "same category"},
                {"bought": "boots", "for": "30 days"},
                {"bought": ["boots", "Tents"]},
                {"for": "30 days"},
                {"bought": "boots", "for": "5 hours", "zzz": 1},
            ]
        ),
        "group": st.sampled_from(["reminders", "my reminders", 1]),
        "category": st.sampled_from(["boots", ["boots", "tents"], "Boots", []]),
        "zzz": flag,
    },
)
courtesy = st.fixed_dictionaries(
    {},
    optional={
        "slots_a_page": st.sampled_from([1, 999, 0, True, "3"]),
        "sells_a_day": st.sampled_from([1, 12, 13]),
        "sell_share": st.sampled_from(["30%", " 7 % ", "30", "101%", 0.3]),
        "zzz": flag,
    },
)
manners = st.fixed_dictionaries(
    {},
    optional={
        "languages": st.sampled_from(["en", ["en", "tlh"], [], 1]),
        "early": st.sampled_from(["new", ["new"], [], ["zzz"]]),
        "allow": st.sampled_from(["Hello Kitty", [], "…", ["a", "b"]]),
        "off": st.sampled_from(["price", ["price", "urgency"], "zzz"]),
        "words": st.dictionaries(
            st.sampled_from(["fi", "en"]),
            st.fixed_dictionaries({}, optional={"urgency": some, "currencies": some, "zzz": some}),
            max_size=2,
        ),
        "zzz": flag,
    },
)
shop = st.fixed_dictionaries(
    {"stages": st.just(["new", "exploring", "loyal"]), "segments": st.just(["outdoor", "city"])},
    optional={
        "format": st.sampled_from([1, 2, "1", True, 1.0]),
        "timezone": st.sampled_from(["UTC", "Europe/Stockholm", "x", 1]),
        "without_cookie": st.sampled_from(["new", "untouched", "x"]),
        "order": st.lists(st.sampled_from(["calm-start", "zzz"]), max_size=2),
        "never": st.one_of(paths, st.just([])),
        "enabled": flag,
        "language": st.sampled_from(["sv", "fr"]),
        "courtesy": courtesy,
        "zzz": flag,
    },
)
ago = st.sampled_from(["3 days", "2 hours", "soon", "0 days", 3])
persona = st.fixed_dictionaries(
    {},
    optional={
        "says": word,
        "stage": word,
        "segments": some,
        "segment": some,
        "id": word,
        "cookie": flag,
        "visits": st.sampled_from([1, 3, 0, 1000, True]),
        "last_order": ago,
        "happened": st.dictionaries(st.sampled_from(["order", "Basket", "basket"]), ago, max_size=2),
        "shown": st.dictionaries(st.sampled_from(["calm-start", "a b"]), st.one_of(ago, st.lists(ago, max_size=2))),
        "prefers": st.sampled_from(["simple", "Off"]),
        "csat": st.sampled_from([1, 6]),
        "zzz": flag,
    },
)
test = st.fixed_dictionaries(
    {"it": word, "page": st.sampled_from(["/", "x", "/a b", "/c?d=1"]), "has": some},
    optional={
        "visitor": persona,
        "at": moment,
        "shows": st.dictionaries(
            st.sampled_from(["home-hero", "zzz"]), st.sampled_from(["calm-start", "the shop's own"])
        ),
        "headers": st.dictionaries(st.sampled_from(["a", "a b"]), word, max_size=1),
        "device": st.sampled_from(["mobile", "x"]),
        "country": st.sampled_from(["SE", "x"]),
        "zzz": flag,
    },
)
ANY_FILE = st.one_of(
    st.tuples(st.just("shop.toml"), shop),
    st.tuples(st.just("slots.toml"), slot.map(lambda one: {"home-hero": one, "mega-menu": {"find": "#m"}})),
    st.tuples(st.just("audiences.toml"), audience.map(lambda one: {"newcomers": one})),
    st.tuples(st.just("experiences/calm-start.toml"), experience),
    st.tuples(st.just("personas.toml"), st.dictionaries(st.sampled_from(["anna", "b c"]), persona, max_size=2)),
    st.tuples(st.just("manners.toml"), manners),
    st.tuples(st.just("tests/home.toml"), st.lists(test, max_size=2).map(lambda tests: {"test": tests})),
)


@settings(max_examples=400)
@given(ANY_FILE)
def test_what_the_parser_takes_the_schema_takes(written: tuple[str, dict[str, object]]) -> None:
    name, document = written
    text = _toml(document)
    told = [
        one
        for one in parse({**base(), name: text.encode()}, markup=MARKUP).mistakes
        if one.where.file == f"rules/{name}"
    ]
    found = faults(kind_of(name) or "", text)
    if not told:
        assert found == []
    if any(one.what.startswith("unknown key") for one in told):
        assert found


def _toml(document: Mapping[str, object]) -> str:
    return "".join(f'"{key}" = {_value(one)}\n' for key, one in document.items())


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f'"{key}" = {_value(one)}' for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
