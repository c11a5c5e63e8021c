"""`edgeproxy journey`: the way from stranger to lapsed, stage by stage and page by page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeproxy import recordings
from edgeproxy.cli import main
from edgeproxy.core.decide import decide
from edgeproxy.core.journey import milestones
from edgeproxy.recordings import Recording
from tests.core.books import NOW, ask
from tests.test_remember import LIFE, life
from tests.world import PAGE, RULES, book_of


def folder_of(tmp_path: Path, rules: dict[str, str]) -> str:
    folder = tmp_path / "rules"
    for name, text in rules.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    recordings.write(folder, Recording("/", PAGE, "text/html; charset=utf-8"))
    return str(folder)


def test_the_whole_way_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["journey", "--rules", folder_of(tmp_path, dict(LIFE)), "--at", "2026-06-01T12:00"]) == 0
    head, _, text = capsys.readouterr().out.partition("\n\n")
    assert head.endswith("rules, 2026-06-01 12:00 UTC")
    assert (
        text
        == """\
0  stranger
   because  no cookie: stage "stranger"
   such as  here for the very first time
   /    calm            remove menu

1  new
   because  everybody else
   such as  1 visit, first here today
   sees     the same as stranger

2  again
   because  visits at least 2
   such as  2 visits, first here today, back after 1 day
   /    thanks          inner hero

3  customer
   because  orders at least 1
   such as  1 visit, first here today, 1 order, last order just now
   sees     the same as again

4  lapsed
   because  last order more than 90 days ago
   such as  1 visit, first here 91 days ago, 1 order, last order 91 days ago
   /    missed          inner hero
"""
    )


def test_pages_that_are_named_are_decided_where_they_are_not_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = folder_of(tmp_path, dict(LIFE))
    assert main(["journey", "--rules", rules, "--json", "/c/boots?color=red", "/checkout/pay"]) == 0
    way = json.loads(capsys.readouterr().out)
    assert [step["stage"] for step in way] == ["stranger", "new", "again", "customer", "lapsed"]
    shelf, checkout = way[2]["pages"]
    assert shelf == {
        "page": "/c/boots?color=red",
        "placed": False,
        "experiences": {"thanks": ["inner hero"]},
        "why": None,
    }
    assert checkout["experiences"] == {}
    assert "never in shop.toml" in checkout["why"]


def test_a_stage_that_nobody_reaches_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = life(
        lifecycle=("orders = { at_least = 1 }", "orders = { at_least = 1 }\nlast_order = { before = '91 days' }")
    )
    assert main(["journey", "--rules", folder_of(tmp_path, rules)]) == 1
    assert "no life leads here: a later stage holds whenever this one does" in capsys.readouterr().out


def test_without_a_lifecycle_the_shops_own_stages_are_walked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["journey", "--rules", folder_of(tmp_path, dict(RULES))]) == 0
    out = capsys.readouterr().out
    assert "0  new\n" in out
    assert "1  loyal\n" in out
    assert "There is no lifecycle.toml" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--segment", "outdor"], 'unknown segment "outdor"; shop.toml names outdoor'),
        (["c/boots"], '"c/boots" is no path of the shop'),
        (["--at", "soon"], "--at: "),
    ],
)
def test_what_cannot_be_done_is_told(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["journey", "--rules", folder_of(tmp_path, dict(LIFE)), *arguments]) == 2
    assert words in capsys.readouterr().err


RICH = """
    categories = ["phones", "cases"]
    [[stage]]
    name = "new"
    [[stage]]
    name = "again"
    page_views = { at_least = 5 }
    last_visit = { within = "7 days" }
    signed_in = true
    [[stage]]
    name = "customer"
    bought = "cases"
    csat = { at_least = 4 }
    first_visit = { before = "30 days" }
    not = { prefers = "simple" }
    [[stage]]
    name = "lapsed"
    came_back_after = "60 days"
    orders = { at_least = 4, at_most = 6 }
    nps = { at_most = 3 }
"""


def test_somebody_is_found_for_conditions_of_every_kind() -> None:
    book = book_of({**LIFE, "lifecycle.toml": RICH})
    way = milestones(book, NOW, ["outdoor"])
    assert len(way) == 5
    for milestone in way[1:]:
        assert milestone.visitor is not None
        seen = decide(book, milestone.visitor, ask(at=NOW)).visitor
        assert (seen.stage, seen.segments) == (milestone.stage, ("outdoor",))
    assert way[4].leads == "came back after 60 days, orders at least 4 and at most 6 and nps at most 3"
