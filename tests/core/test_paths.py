"""Path patterns, by a table of examples and against a plain reading of the same words."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.paths import PatternError, compile_paths, resolved

CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "paths.toml").read_text())


@pytest.mark.parametrize("case", CASES["pattern"], ids=lambda case: case["it"])
def test_patterns(case: dict[str, list[str]]) -> None:
    paths = compile_paths(case["on"])
    assert [path for path in case.get("match", []) if not paths.match(path)] == []
    assert [path for path in case.get("differ", []) if paths.match(path)] == []
    assert [path for path in case.get("touch", []) if not paths.touches(path)] == []
    assert [path for path in case.get("spare", []) if paths.touches(path)] == []


@pytest.mark.parametrize(("raw", "plain"), CASES["resolved"].items())
def test_a_path_as_a_careless_shop_reads_it(raw: str, plain: str) -> None:
    assert resolved(raw) == plain


@pytest.mark.parametrize(("pattern", "what"), CASES["mistake"].items())
def test_patterns_that_mean_nothing_are_refused(pattern: str, what: str) -> None:
    with pytest.raises(PatternError, match=re.escape(what)) as told:
        compile_paths(["/fine", pattern])
    assert told.value.pattern == pattern


def test_no_patterns_match_nothing() -> None:
    assert not compile_paths([]).match("/")
    assert not compile_paths([]).touches("/")


def test_sets_are_equal_by_what_was_written() -> None:
    assert compile_paths(["/a", "!/b"]) == compile_paths(["/a", "!/b"])
    assert compile_paths(["/a", "!/b"]).texts == ("/a", "!/b")
    assert compile_paths(["/a"]) != compile_paths(["/b"])


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/**/a/**/a/**/b", "/a" * 15_000),
        ("/*a*a*a*a*a*b", "/" + "a" * 30_000),
        ("/x**a**a**b", "/x" + "/a" * 15_000),
        ("/**/*a*b*/**/c", "/ab" * 10_000),
    ],
)
def test_a_hostile_path_costs_no_more_than_its_length(pattern: str, path: str) -> None:
    # No clock: were places tried in turn, these would not end before the suite's own deadline.
    assert not compile_paths([pattern]).match(path)


segment = st.text("ab", max_size=3)
star = st.lists(st.sampled_from(["a", "b", "*", "ab"]), max_size=4).map("".join).filter(lambda text: "**" not in text)
deep = st.lists(st.sampled_from(["a", "b", "*", "**"]), max_size=5).map("".join).filter(lambda text: "***" not in text)


def plainly(pattern: str) -> re.Pattern[str]:
    """The same pattern as one expression with nothing clever in it: for any segment, any depth and zero depth."""
    text = re.escape(pattern).replace(r"\*\*", "\0").replace(r"\*", "[^/]*")
    text = text.replace("/\0/", "/(?:.*/)?")
    text = re.sub("/\0$", "(?:/.*)?", text)
    return re.compile(text.replace("\0", ".*"), re.DOTALL)


@given(
    st.lists(st.one_of(star, deep, st.just("**")), min_size=1, max_size=4), st.lists(segment, min_size=1, max_size=6)
)
def test_matching_is_what_the_words_say(parts: list[str], names: list[str]) -> None:
    pattern, path = "/" + "/".join(parts), "/" + "/".join(names)
    if "//" in path or "//" in pattern or "/**/**" in pattern:
        return  # empty segments resolve away; two ** in a row are one, which the plain reading does not know
    try:
        paths = compile_paths([pattern])
    except PatternError:
        return
    assert paths.match(path) is bool(plainly(pattern).fullmatch(path))


@given(st.text(st.characters(max_codepoint=255), max_size=30))
def test_every_path_resolves_to_one_that_stays(path: str) -> None:
    once = resolved("/" + path)
    assert once.startswith("/")
    assert "//" not in once
    assert not {".", ".."} & set(once.split("/"))


@given(
    st.text(st.sampled_from("/.%2eEfF5cab*!"), max_size=20), st.lists(st.sampled_from(["/a/**", "/**", "/b", "/*/b"]))
)
def test_what_matches_is_touched(path: str, patterns: list[str]) -> None:
    paths = compile_paths(patterns)
    assert paths.touches("/" + path) or not paths.match("/" + path)
