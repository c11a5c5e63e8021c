"""`edgeproxy check` and `edgeproxy schema`: what they print, and their exit codes."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgeproxy.cli import main
from edgeproxy.commands.rules import run_check, run_schema, run_watch
from edgeproxy.core.schema import KINDS
from edgeproxy.core.words import either
from edgeproxy.html.checks import HtmlMarkup
from edgeproxy.rulebook import Contents, read
from tests.core.rule_cases import HERE

MARKUP = HtmlMarkup()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HERE / "base", tmp_path / "rules"))


def check(folder: Path, *, strict: bool = False, as_json: bool = False) -> tuple[int, str]:
    out = io.StringIO()
    return run_check(folder, strict, as_json, out, markup=MARKUP, now=0.0), out.getvalue()


def test_a_fine_folder_is_counted(folder: Path) -> None:
    assert check(folder) == (0, "rules: fine (2 slots, 1 audience, 1 experience)\n")
    assert check(folder, strict=True)[0] == 0


def test_mistakes_and_warnings_are_told_in_order_of_place(folder: Path) -> None:
    (folder / "slots.toml").write_text('[home-hero]\nfind = "a"\nexpect = "two"\n[mega-menu]\nfnd = "#menu"\n')
    (folder / "experiences/z.toml").write_text(
        'for = "newcomers"\n[[edit]]\nslot = "home-hero"\nbefore = "steps.html"\n'
    )
    code, text = check(folder)
    assert code == 1
    assert text.splitlines() == [
        "rules/experiences/z.toml: warning: z: because is missing (why it is there)",
        "rules/experiences/z.toml: warning: z: is not in the order of shop.toml (it is tried after those that are)",
        "rules/experiences/z.toml: warning: z: owner is missing (whom to ask about it)",
        "rules/experiences/z.toml: warning: z: purpose is missing (whom it serves)",
        "rules/experiences/z.toml: warning: z: says is missing (what it is, for people)",
        'rules/slots.toml:3:10: home-hero: expect wants "one" or "any", not "two"',
        'rules/slots.toml:5:1: mega-menu: unknown key "fnd" (did you mean "find"?)',
        "rules: 2 mistakes, 5 warnings",
    ]
    assert check(folder, strict=True)[0] == 1


def test_warnings_alone_count_only_where_strict(folder: Path) -> None:
    with (folder / "slots.toml").open("a") as file:
        file.write('[footer]\nfind = "footer"\n')
    text = (
        "rules/slots.toml:6:2: warning: footer: no edit uses this slot\n"
        "rules: 1 warning (3 slots, 1 audience, 1 experience)\n"
    )
    assert check(folder) == (0, text)
    assert check(folder, strict=True) == (3, text)


def test_a_folder_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    assert check(tmp_path / "rules") == (
        2,
        "rules: is not there (a rules folder is made by `edgeproxy init`)\nrules: 1 mistake\n",
    )


def test_for_machines(folder: Path) -> None:
    code, text = check(folder, as_json=True)
    told = json.loads(text)
    assert (code, told["fine"], told["problems"]) == (0, True, [])
    assert told["counts"] == {"slots": 2, "audiences": 1, "experiences": 1}
    (folder / "slots.toml").write_text('[home-hero]\nfnd = "å"\n')
    code, text = check(folder, as_json=True)
    told = json.loads(text)
    assert (code, told["fine"], told["version"], told["mistakes"], told["warnings"]) == (1, False, None, 2, 0)
    assert told["problems"][1] == {
        "severity": "mistake",
        "file": "rules/slots.toml",
        "line": 2,
        "column": 1,
        "subject": "home-hero",
        "what": 'unknown key "fnd"',
        "hint": 'did you mean "find"?',
        "text": 'rules/slots.toml:2:1: home-hero: unknown key "fnd" (did you mean "find"?)',
    }


def test_nothing_in_a_file_steers_the_terminal(folder: Path) -> None:
    (folder / "audiences.toml").write_text('[newcomers]\nstage = "\\u001b[31m\\nx"\n')
    _, text = check(folder)
    assert text.splitlines()[0] == (
        r'rules/audiences.toml:2:9: newcomers: unknown stage "\x1b[31m\nx" (shop.toml names new, exploring and loyal)'
    )


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_schemas_are_printed(kind: str | None) -> None:
    out, err = io.StringIO(), io.StringIO()
    assert run_schema(kind, out, err, markup=MARKUP) == 0
    assert json.loads(out.getvalue())["$schema"].endswith("2020-12/schema")
    assert err.getvalue() == ""


def test_help_names_every_kind_of_schema(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["schema", "--help"])
    assert f"{either(KINDS)};" in " ".join(capsys.readouterr().out.split())


def test_a_schema_of_no_kind() -> None:
    out, err = io.StringIO(), io.StringIO()
    assert run_schema("slot", out, err, markup=MARKUP) == 2
    assert err.getvalue().startswith('edgeproxy schema: unknown kind "slot" (did you mean "slots"?): one of shop, ')
    assert out.getvalue() == ""


# --------------------------------------------------------------------------- as one types


def watch(folder: Path, *texts: str, strict: bool = False, as_json: bool = False) -> tuple[int, str]:
    """Check, then once more for each text that slots.toml is saved with; then Ctrl-C."""

    async def saved() -> AsyncIterator[Contents]:
        for text in texts:
            (folder / "slots.toml").write_text(text)
            yield read(folder)
        raise KeyboardInterrupt

    out = io.StringIO()
    return run_watch(folder, strict, as_json, out, markup=MARKUP, clock=lambda: 0.0, saved=saved()), out.getvalue()


def test_each_save_is_checked_anew(folder: Path) -> None:
    good = (folder / "slots.toml").read_text()
    code, text = watch(folder, good.replace("find", "fnd", 1), good)
    assert code == 0
    assert re.sub(r"\d\d:\d\d:\d\d", "TIME", text).splitlines() == [
        "--- TIME",
        "rules: fine (2 slots, 1 audience, 1 experience)",
        "--- TIME",
        *check_lines(folder, good.replace("find", "fnd", 1)),
        "--- TIME",
        "rules: fine (2 slots, 1 audience, 1 experience)",
    ]
    assert watch(folder, good.replace("find", "fnd", 1))[0] == 1, "the exit code is that of the last check"


def check_lines(folder: Path, text: str) -> list[str]:
    before = (folder / "slots.toml").read_text()
    (folder / "slots.toml").write_text(text)
    said = check(folder)[1].splitlines()
    (folder / "slots.toml").write_text(before)
    assert "mistake" in said[-1]
    return said


def test_machines_get_an_object_on_each_line(folder: Path) -> None:
    _, text = watch(folder, "", as_json=True)
    assert [json.loads(each)["fine"] for each in text.splitlines()] == [True, False]


def test_what_is_no_folder_is_not_watched(tmp_path: Path) -> None:
    out = io.StringIO()
    assert run_watch(tmp_path / "nowhere", False, False, out, markup=MARKUP) == 2
    assert "is not there" in out.getvalue()
