"""Places of TOML keys and values: exact examples, and every key that tomllib finds."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.toml import Path, places

EXAMPLES: list[tuple[str, str, dict[Path, tuple[int, int]], dict[Path, tuple[int, int]]]] = [
    ("nothing", "", {}, {}),
    ("comments only", "# a = 1\n  # [b]\n", {}, {}),
    ("a pair", "a = 1", {("a",): (1, 1)}, {("a",): (1, 5)}),
    ("spaces around", "\n  a\t=  1  # c\n", {("a",): (2, 3)}, {("a",): (2, 8)}),
    (
        "dotted",
        "a . b.'c d' = 1",
        {("a",): (1, 1), ("a", "b"): (1, 5), ("a", "b", "c d"): (1, 7)},
        {("a", "b", "c d"): (1, 15)},
    ),
    ("quoted with escapes", r'"a\"\u00e5]" = 1', {('a"å]',): (1, 1)}, {('a"å]',): (1, 16)}),
    ("a table", "[ a.b ]\nc = 1", {("a",): (1, 3), ("a", "b"): (1, 5), ("a", "b", "c"): (2, 1)}, {}),
    ("a table after its child", "[a.b]\n[a]\nc = 1", {("a",): (2, 2), ("a", "b"): (1, 4), ("a", "c"): (3, 1)}, {}),
    (
        "lists of tables",
        "[[e]]\na = 1\n[[e]]\n[e.s]\nb = 1\n[[e.t]]\n[[e.t]]\nc = 1",
        {
            ("e",): (1, 3),
            ("e", 0): (1, 3),
            ("e", 0, "a"): (2, 1),
            ("e", 1): (3, 3),
            ("e", 1, "s"): (4, 4),
            ("e", 1, "s", "b"): (5, 1),
            ("e", 1, "t", 1): (7, 5),
            ("e", 1, "t", 1, "c"): (8, 1),
        },
        {},
    ),
    (
        "lists over lines",
        'a = [ # [x]\n  "b", # "y",\n  [1, 2],\n  { c = "]" },\n]\nd = 1',
        {("d",): (6, 1), ("a", 2, "c"): (4, 5)},
        {("a", 0): (2, 3), ("a", 1): (3, 3), ("a", 1, 1): (3, 7), ("a", 2): (4, 3), ("a", 2, "c"): (4, 9)},
    ),
    (
        "inline tables",
        'a = { b.c = 1, "d" = { e = [] }, f = {} }\ng = 1',
        {("a", "b"): (1, 7), ("a", "b", "c"): (1, 9), ("a", "d", "e"): (1, 24), ("a", "f"): (1, 34), ("g",): (2, 1)},
        {("a", "d"): (1, 22)},
    ),
    ("long strings", 'a = """\n]\n"" \\""" = 1"""""\nb = 1', {("b",): (4, 1)}, {("a",): (1, 5)}),
    ("keys inside long strings", 'a = """\n"" x\nb = 2\n\\""" c = 3\n"""\nb = 1', {("b",): (6, 1)}, {("b",): (6, 5)}),
    ("keys inside long literal strings", "a = '''\n'' x\nb = 2\n'''\nb = 1", {("b",): (5, 1)}, {}),
    ("long literal strings", "a = '''\nb = 2\n'' \\'''''\nc = 1", {("c",): (4, 1)}, {}),
    ("strings with marks", 'a = \'#"[{\'\nb = "\'\\"#"\nc = 1', {("b",): (2, 1), ("c",): (3, 1)}, {}),
    (
        "dates with a space",
        "a = [1979-05-27 07:32:00, 1979-05-27, 07:32:00]\nb = 1",
        {("b",): (2, 1)},
        {("a", 1): (1, 27), ("a", 2): (1, 39)},
    ),
    ("Windows line ends", 'a = 1\r\n[t]\r\nb = """\r\nx"""\r\nc = 1', {("t", "b"): (3, 1), ("t", "c"): (5, 1)}, {}),
    ("characters, not bytes", 'a = ["åäö", 1]\n"😀".b = 1', {("😀", "b"): (2, 5)}, {("a", 1): (1, 13)}),
]


@pytest.mark.parametrize(("text", "keys", "values"), [one[1:] for one in EXAMPLES], ids=[one[0] for one in EXAMPLES])
def test_places(text: str, keys: dict[Path, tuple[int, int]], values: dict[Path, tuple[int, int]]) -> None:
    tomllib.loads(text)
    found = places(text)
    assert {path: found.keys.get(path) for path in keys} == keys
    assert {path: found.values.get(path) for path in values} == values


def test_what_has_no_place_of_its_own_stands_where_its_parent_does() -> None:
    found = places("[a]\nb = [1]")
    assert found.key(()) == (0, 0)
    assert found.key(("a", "zzz")) == (1, 2)
    assert found.value(("a",)) == (1, 2)
    assert found.key(("a", "b", 0)) == (2, 6)


def test_a_scan_ends_on_any_text() -> None:
    for text in ("[", "a", "= =", "a = ", 'a = "', "]]", "a.=", "[[a", "{}", "a = {b", "a = [", "\x00"):
        places(text)


# --------------------------------------------------------------------------- documents, written with their places

bare = st.text("ab-_1", min_size=1, max_size=3)
quoted = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=4).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
key = st.one_of(bare, quoted)
scalar = st.one_of(
    st.sampled_from(["1", "true", "1.5e3", "2026-11-01", "2026-11-01 10:00:00", "07:32:00", "'#]}'", "nan", "+1_0"]),
    st.sampled_from(['"a"', '"\\"]"', '"""\n]\n""\nab = 1\n"""', "'''\n[a]\nb = 1'''", '""', "''"]),
    quoted,
)
gap = st.sampled_from(["", " ", "\n", "  # ]}\n  "])
value = st.recursive(
    scalar,
    lambda inner: st.one_of(
        st.lists(st.tuples(gap, inner, gap), max_size=3).map(lambda parts: "[" + ",".join(map("".join, parts)) + "]"),
        st.lists(st.tuples(key, inner), max_size=3).map(
            lambda pairs: "{ " + ", ".join(f"{name} = {one}" for name, one in pairs) + " }"
        ),
    ),
    max_leaves=6,
)
dotted = st.lists(key, min_size=1, max_size=3).map(" . ".join)
statement = st.one_of(
    st.tuples(dotted, value).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    dotted.map(lambda name: f"[{name}]"),
    dotted.map(lambda name: f"  [[ {name} ]] # x"),
    st.just("# a = 1"),
    st.just(""),
)


@given(st.lists(statement, max_size=8).map("\n".join))
def test_every_key_that_tomllib_finds_stands_where_it_says(text: str) -> None:
    try:
        document = tomllib.loads(text)
    except ValueError:
        return  # a key given twice, mostly
    found = places(text)
    lines = text.split("\n")
    for path in _paths(document):
        line, column = found.key(path)
        rest = lines[line - 1][column - 1 :]
        name = path[-1]
        if isinstance(name, str):
            assert path in found.keys
            assert rest.startswith((name, '"', "'")), (path, rest)
            assert _name(rest) == name
        else:
            assert path in found.keys or path in found.values
    for path, one in _leaves(document):
        line, column = found.value(path)
        if path in found.values:  # what was not written by headers and dotted keys alone
            rest = "\n".join([lines[line - 1][column - 1 :], *lines[line:]])
            assert _reads_as(rest, one), (path, rest)


def _paths(value: object, path: Path = ()) -> Iterator[Path]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in steps:
        yield (*path, step)
        yield from _paths(one, (*path, step))


def _leaves(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    for one in _paths(value):
        here: object = value
        for step in one:
            here = here[step]  # type: ignore[index]  # the path was found by walking it
        yield one, here


def _name(rest: str) -> str:
    """The key that stands at the head of a line, as tomllib reads it."""
    for end in range(1, len(rest) + 1):
        try:
            read = tomllib.loads(rest[:end] + " = 1")
        except ValueError:
            continue
        if end == len(rest) or rest[end] in " .=]\t":
            return next(iter(read))
    raise AssertionError(rest)


def _reads_as(rest: str, value: object) -> bool:
    """Whether some beginning of the text is that very value."""
    for end in range(1, len(rest) + 1):
        try:
            read = tomllib.loads(f"k = {rest[:end]}")
        except ValueError:
            continue
        if repr(read["k"]) == repr(value):
            return True
    return False
