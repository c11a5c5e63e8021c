"""What the README says is so: tables are complete, commands parse, examples are taken, what it signs we believe."""

from __future__ import annotations

import re
import shlex
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from edgeproxy.cli import build_parser
from edgeproxy.core.conditions import CONDITIONS
from edgeproxy.core.manners import KINDS
from edgeproxy.core.model import Outcome, Source
from edgeproxy.core.query import FLAGS
from edgeproxy.core.rulefile import parse
from edgeproxy.core.rules import courtesy
from edgeproxy.core.signing import Keys
from edgeproxy.core.visitor import CookieSettings, read_value
from edgeproxy.html.checks import HtmlMarkup
from edgeproxy.html.edits import VERBS
from edgeproxy.settings import markdown_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
KEY = "9f2b7c41d08e6a35f1c49b7e02d86a53"


def blocks(language: str) -> list[str]:
    """Code blocks of a language, less the indentation of lists."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", README, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def rows(header: str) -> dict[str, list[str]]:
    """A table's rows by the words in code of their first cell."""
    table = README[README.index(header) :].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table]
    return {row[0].strip("`"): row[1:] for row in cells}


# ---------------------------------------------------------------------- tables


def test_every_setting_is_told_as_it_is() -> None:
    told = README.partition("<!-- settings")[2].partition("-->")[2].partition("<!-- /settings -->")[0]
    assert told.strip() == markdown_table().strip(), "put the output of edgeproxy.settings.markdown_table() there"


def test_every_verb_of_the_rules_is_told() -> None:
    told = {name: cells[-1] for name, cells in rows("| verb | what it does | takes the slot |").items()}
    assert told == {name: "yes" if verb.takes_slot else "no" for name, verb in VERBS.items()}


def test_every_condition_is_told_where_it_may_stand() -> None:
    places = {"visitor": "audience", "memory": "audience, lifecycle", "request": "`when`", "either": "both"}
    told = {name: cells[0] for name, cells in rows("| condition | where | holds when |").items()}
    assert told == {name: places[kind.about] for name, kind in CONDITIONS.items()}


def test_every_key_of_courtesy_is_told() -> None:
    assert set(rows("| key | such as | it is not shown |")) == {field.name for field in courtesy.FIELDS}


def test_every_outcome_is_told_in_the_order_in_which_they_are_judged() -> None:
    said = README[README.index("Each experience ends in one word:") :].partition(".\n")[0]
    words = [re.sub(r"\s+", " ", word) for word in re.findall(r"\*([^*]+)\*", said)]
    assert set(words) == {outcome.value for outcome in Outcome} - {Outcome.FITS.value}
    judged = [Outcome.DECLINED, Outcome.NO_MEMORY, Outcome.STOPPED, Outcome.SUPPRESSED]
    judged += [Outcome.TOO_SOON, Outcome.CAPPED, Outcome.GROUPED, Outcome.CROWDED]
    assert [word for word in words if word in {outcome.value for outcome in judged}] == [one.value for one in judged]


def test_every_kind_of_manners_is_told() -> None:
    assert list(rows("| kind | such as |")) == list(KINDS)


def test_every_preview_flag_is_told() -> None:
    told = {name.partition("=")[0].encode() for name in rows("| flag | shows the page |")}
    assert told == set(FLAGS) - {b"edge_token"}


def test_every_verb_of_the_command_line_is_told() -> None:
    parser = build_parser()
    (verbs,) = [action.choices for action in parser._actions if action.dest == "verb"]
    assert verbs is not None
    assert set(rows("| verb | what it does |\n")) == set(verbs)


def test_every_link_leads_somewhere() -> None:
    headings = re.findall("^#+ (.+)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w\s-]", "", heading).lower().replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in anchors
        elif not target.startswith("https://"):
            assert (ROOT / target).exists(), target


# ---------------------------------------------------------------------- examples


def commands() -> list[str]:
    text = "\n".join(blocks("sh")).replace("\\\n", " ")
    inside = re.findall(r"\$\((edgeproxy [^)]*)\)", README)
    lines = [line.split("#")[0].strip() for line in text.splitlines() if line.startswith("edgeproxy ")]
    return [*lines, *inside]


@pytest.mark.parametrize("command", commands())
def test_a_command_is_one(command: str) -> None:
    build_parser().parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("text", blocks("toml"))
def test_an_example_of_a_rule_file_is_toml(text: str) -> None:
    assert tomllib.loads(text)


def test_the_examples_together_are_a_rules_folder() -> None:
    """Each chapter's example, as the file that its heading names: no mistake but what other files would define."""
    found = dict(re.findall(r"^### (\S+)\n+```toml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))
    files = {name.replace("NAME", "calm-start"): text.encode() for name, text in found.items()}
    assert set(files) == {
        "shop.toml",
        "slots.toml",
        "audiences.toml",
        "lifecycle.toml",
        "personas.toml",
        "manners.toml",
        "experiences/calm-start.toml",
        "tests/calm-start.toml",
    }
    files["fragments/first-steps.html"] = b"<h1>Find your size</h1>"
    files["slots.toml"] += b'[mega-menu]\nfind = "#mega-menu"\n'
    for name in ("trail-first", "curated-shelf"):
        files[f"experiences/{name}.toml"] = b'for = "everyone"\nedit = [{ slot = "home-hero", hide = true }]\n'
    files["shop.toml"] = files["shop.toml"].replace(b'without_cookie = "new"', b'without_cookie = "untouched"')
    assert [str(problem) for problem in parse(files, markup=HtmlMarkup()).mistakes] == []


def test_the_mistake_that_is_shown_reads_so() -> None:
    audiences = b"# who\n\n\n\n\n[newcomers]\nstages = ['new']\n"
    shop = b'format = 1\nstages = ["new"]\n'
    problems = parse({"shop.toml": shop, "slots.toml": b"", "audiences.toml": audiences}, markup=HtmlMarkup()).problems
    (shown,) = [str(problem) for problem in problems if "stages" in str(problem)]
    assert f"    {shown}\n" in README


# ---------------------------------------------------------------------- the visitor cookie


@pytest.mark.parametrize(("segments", "id"), [(["outdoor", "home"], "q7Hk2m"), ([], None)])
def test_the_lines_that_are_shown_sign_what_we_believe(segments: list[str], id: str | None) -> None:  # noqa: A002
    (code,) = blocks("python")
    shown: dict[str, Any] = {}
    exec(code, shown)
    value = shown["edge_visitor"]("loyal", segments, id, KEY)
    visitor = read_value(value.encode(), Keys.parse(KEY), time.time(), CookieSettings())
    assert (visitor.source, visitor.problems) == (Source.COOKIE, ())
    assert (visitor.stage, visitor.segments, visitor.id) == ("loyal", tuple(segments), id)
