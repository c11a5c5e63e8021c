"""The lint of manners: what it hears in fragments, what it lets pass, and who can be greeted as an old friend."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.manners import KINDS
from edgeproxy.core.phrases import NoPhrase, check, finder
from edgeproxy.core.prose import prose
from edgeproxy.core.rulefile import Parsed, parse
from edgeproxy.core.rules.manners import WORD_FIELDS, shipped
from edgeproxy.html.checks import HtmlMarkup
from tests.core.rule_cases import base

WORDS = {path.stem: path.read_bytes() for path in (Path(__file__).parents[2] / "edgeproxy/manners").glob("*.toml")}
CASES = tomllib.loads((Path(__file__).parents[1] / "cases/manners.toml").read_text("utf-8"))["fragment"]
SAID = 'says = "x"\nbecause = "x"\npurpose = "help"\nowner = "x"\n'
EDITS = '[[edit]]\nslot = "mega-menu"\nhide = true\n[[edit]]\nslot = "home-hero"\n'


def parsed(**files: str) -> Parsed:
    """The base folder with these files ("/" of a name as "__", "-" as "_"), with every word list."""
    texts: dict[str, bytes] = {}
    for name, text in files.items():
        path = name.replace("__", "/").replace("_", "-")
        texts[f"{path}.html" if path.startswith("fragments/") else f"{path}.toml"] = text.encode()
    return parse({**base(), **texts}, markup=HtmlMarkup(), words=WORDS)


def told(**files: str) -> list[str]:
    """The warnings; no mistakes."""
    made = parsed(**files)
    assert made.mistakes == ()
    return [str(one) for one in made.problems]


def experience(html: str, head: str = 'for = "newcomers"', verb: str = "before") -> str:
    steps = '[[edit]]\nslot = "home-hero"\nafter = "steps.html"\n'
    return f"{SAID}{head}\n{EDITS}{verb} = {{ html = '''{html}''' }}\n{steps}"


# ---------------------------------------------------------------------- what is said


def heard(html: str) -> list[str]:
    """ "kind: what was said" of a fragment that newcomers get."""
    by_words = {what: kind for kind, (what, _) in KINDS.items()}
    found = []
    for problem in parsed(experiences__calm_start=experience(html)).problems:
        what, _, quoted = problem.what.partition(': "')
        found.append(by_words[what] + ": " + quoted.rpartition('"')[0])
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["html"][:60])
def test_fragments(case: dict[str, Any]) -> None:
    assert sorted(heard(case["html"])) == sorted(case.get("says", []))


def test_a_fragment_of_its_own_is_told_with_the_line_in_which_it_is_said() -> None:
    html = '<h1>\n  Find <b>your</b> size</h1>\n<p class="x"\n   title="y">Soles.\n   Only 2\n   left.</p>\n'
    (one,) = told(fragments__steps=html)
    assert one.startswith('rules/fragments/steps.html:5: warning: hurries people: "Only 2 left" (')


def test_an_inline_one_is_told_at_its_key() -> None:
    (one,) = told(experiences__calm_start=experience("<h1>x</h1>\n<p>Only 2 left</p>"))
    assert one.startswith(
        'rules/experiences/calm-start.toml:11:12: warning: hurries people: "Only 2 left" (its line 2)'
    )


def test_plain_text_is_listened_to_as_well() -> None:
    rule = f'{SAID}for = "newcomers"\n{EDITS}before = {{ text = "Hi Anna & you" }}\n'
    assert not any("calls people" in one for one in told(experiences__calm_start=rule))
    assert any(
        'calls people by a name or a title: "Hi Anna"' in one
        for one in told(experiences__calm_start=rule.replace("Anna & you", "Anna, <you>"))
    )


def test_attributes_that_are_read_are_listened_to() -> None:
    said = 'title = "Only 2 left", placeholder = "Hi Anna, <search>", class = "hurry", href = "/only 2 left"'
    edit = f"attributes = {{ {said} }}"
    rule = f'{SAID}for = "newcomers"\n{EDITS}{edit}\n[[edit]]\nslot = "home-hero"\nafter = "steps.html"\n'
    found = told(experiences__calm_start=rule)
    assert len(found) == 2
    assert all(one.startswith("rules/experiences/calm-start.toml:9:3: warning: ") for one in found)
    assert any('"Hi Anna"' in one for one in found)


def test_what_two_experiences_use_is_told_once() -> None:
    rule = f'{SAID}for = "newcomers"\n{EDITS}before = "steps.html"\n'
    found = told(
        fragments__steps="<p>Only 2 left</p>",
        experiences__calm_start=rule,
        experiences__calm_too=rule,
    )
    assert len([one for one in found if "hurries" in one]) == 1


@given(st.text(alphabet="<>/ab \n&;!-\"'=\ue000\x00é", max_size=60))
def test_reading_never_fails(text: str) -> None:
    for run in prose((text,)).runs:
        assert all(1 <= run.line(offset) <= text.count("\n") + 1 for offset in range(len(run.text)))


# ---------------------------------------------------------------------- to whom

BACK = "<h1>Welcome back</h1>"
STAGES = """format = 1
stages = ["stranger", "new", "customer", "loyal"]
segments = ["city", "staff"]
order = ["calm-start"]
"""


@pytest.mark.parametrize(
    ("without_cookie", "audience", "head", "who"),
    [
        ("stranger", 'stage = "loyal"', 'for = "newcomers"', None),
        ("stranger", 'stage = ["customer", "loyal"]', 'for = "newcomers"', None),
        ("stranger", 'stage = "new"', 'for = "newcomers"', 'stage "new" can get it'),
        ("stranger", 'stage = ["new", "stranger"]', 'for = "newcomers"',
         'a visitor without a cookie, stage "stranger" or stage "new" can get it'),
        ("stranger", 'stage = "loyal"', 'for = ["newcomers", "unknown"]', "a visitor without a cookie can get it"),
        ("untouched", 'stage = "loyal"', 'for = ["newcomers", "unknown"]', None),
        ("loyal", 'stage = "loyal"', 'for = "newcomers"', "a visitor without a cookie can get it"),
        ("untouched", 'segment = "city"', 'for = "newcomers"', 'stage "stranger" or stage "new" can get it'),
        ("untouched", 'segment = "city"\nnot = { stage = ["new", "stranger"] }', 'for = "newcomers"', None),
        ("untouched", 'all_segments = ["city", "staff"]\nnot = { segment = "staff" }', 'for = "newcomers"', None),
        ("untouched", "visits = { at_least = 3 }", 'for = "newcomers"', None),
        ("untouched", 'came_back_after = "30 days"', 'for = "newcomers"', None),
        ("untouched", "visits = { at_most = 3 }", 'for = "newcomers"', 'stage "stranger" or stage "new" can get it'),
        ("untouched", 'stage = "new"', 'for = "newcomers"\nenabled = false', None),
        ("untouched", 'stage = "new"', 'for = "newcomers"\nshare = 0', None),
        ("untouched", 'stage = "new"', 'for = "newcomers"\nwhen = { device = "mobile" }', 'stage "new" can get it'),
    ],
)  # fmt: skip
def test_newcomers_are_not_greeted_as_old_friends(
    without_cookie: str, audience: str, head: str, who: str | None
) -> None:
    found = told(
        shop=f'{STAGES}without_cookie = "{without_cookie}"\n',
        audiences=f"[newcomers]\n{audience}\n",
        experiences__calm_start=experience(BACK, head),
    )
    greeted = [one for one in found if "old friend" in one]
    if who is None:
        assert greeted == []
    else:
        (one,) = greeted
        assert f'calm-start: greets as an old friend: "Welcome back" ({who}: ' in one


def test_a_fragment_of_one_stage_reaches_that_stage_alone() -> None:
    hello = '[[edit]]\nslot = "home-hero"\nafter = "hello-{stage}.html"\n'
    rule = f'{SAID}for = "newcomers"\n{EDITS}before = "steps.html"\n{hello}'
    for stage, greeted in (("new", True), ("loyal", False)):
        found = told(
            shop=f'{STAGES}without_cookie = "untouched"\n',
            audiences='[newcomers]\nstage = ["new", "loyal"]\n',
            experiences__calm_start=rule,
            **{f"fragments__hello_{stage}": BACK},
        )
        assert any("old friend" in one for one in found) is greeted


# ---------------------------------------------------------------------- the shop's own words


def with_manners(manners: str, html: str) -> list[str]:
    return told(manners=manners, experiences__calm_start=experience(html))


def test_a_shop_adds_words_in_a_language_of_its_own() -> None:
    own = '[words.fi]\nurgency = ["vain NUMBER jäljellä"]\nold_friend = "tervetuloa takaisin"\ncurrencies = "mk"\n'
    found = with_manners(own, "<p>Vain 2 jäljellä, 5 mk. Tervetuloa takaisin! Only 2 left.</p>")
    for said in ("Vain 2 jäljellä", "5 mk", "Tervetuloa takaisin", "Only 2 left"):
        assert any(f'"{said}"' in one for one in found)


def test_a_shop_leaves_languages_kinds_and_phrases_out() -> None:
    html = "<p>Only 2 left. Bara 2 kvar. 5 kr. Hello Kitty! Hi Anna!</p>"
    assert len(with_manners("", html)) == 5
    assert len(with_manners('languages = ["sv"]', html)) == 2
    assert len(with_manners("languages = []", html)) == 0
    assert len(with_manners('off = ["urgency", "price"]', html)) == 2
    assert len(with_manners('allow = ["hello kitty"]', html)) == 4


def test_a_language_that_does_not_come_along_is_told() -> None:
    (one,) = parsed(manners='languages = ["en", "svv"]').mistakes
    assert str(one) == 'rules/manners.toml:1:20: no word list for "svv" comes along (did you mean "sv"?)'


def test_a_shop_says_which_stages_are_early() -> None:
    def greeted(manners: str) -> bool:
        return any("old friend" in one for one in with_manners(manners, BACK))

    assert greeted("")
    assert not greeted("early = []\n")
    assert greeted('early = "new"\n')
    assert not greeted('early = ["loyal"]\n')


def test_without_word_lists_nothing_is_heard() -> None:
    files = base() | {"experiences/calm-start.toml": experience("<p>Only 2 left, 5 kr</p>").encode()}
    assert parse(files, markup=HtmlMarkup()).problems == ()


# ---------------------------------------------------------------------- the lists that ship


def test_the_lists_that_ship_are_without_a_mistake_and_complete() -> None:
    problems: list[Any] = []
    lists = shipped(WORDS, problems)
    assert problems == []
    assert set(lists) == {"de", "en", "sv"}
    for language, words in lists.items():
        assert set(words) == {field.name for field in WORD_FIELDS}, language
        for kind, phrases in words.items():
            assert list(dict.fromkeys(phrases)) == list(phrases), f"{language}: {kind} says something twice"


def test_every_phrase_that_ships_finds_itself() -> None:
    for words in shipped(WORDS, []).values():
        for field in WORD_FIELDS[:-1]:
            for phrase in words[field.name]:
                text = phrase.removeprefix("^").replace("NAME", "Anna").replace("NUMBER", "3").replace("…", "a b c")
                assert finder((phrase,)).search(text), phrase
                assert finder((phrase,)).search(f"Boots. {text.upper() if 'Anna' not in text else text}! Soles."), (
                    phrase
                )


@pytest.mark.parametrize("phrase", ["", "^", ",", "…", "NAME", "^NAME,", "… boots", "boots …", "a" * 201])
def test_what_is_no_phrase(phrase: str) -> None:
    with pytest.raises(NoPhrase):
        check(phrase)


@given(st.text(max_size=30), st.text(max_size=60))
def test_no_phrase_steers_the_search(phrase: str, text: str) -> None:
    """What is no element is taken as it is, whatever it means to a regular expression."""
    try:
        check(phrase)
    except NoPhrase:
        return
    finder((phrase,)).search(text)
