"""`edgeproxy sheet`: one file that holds everything, and sentences for whatever cannot be done."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from edgeproxy.cli import build_parser
from edgeproxy.commands.looking import Usage
from edgeproxy.commands.sheet import Progress, run_sheet
from edgeproxy.core.sheetlink import read_link
from edgeproxy.core.signing import Keys
from edgeproxy.sheet.model import Place

KEY = "9b2c4d6e8f0a1b3c5d7e9f0a2b4c6d81"


def run(folder: Path, *argv: str, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    arguments = build_parser().parse_args(["sheet", "--out", str(folder / "sheet.html"), *argv])
    return run_sheet(arguments, environ or {}, out, err), out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_demo_on_one_sheet(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "--demo", "--pages", "/", "/basket", "--personas", "anna", "eva", "--no-pictures")
    assert (code, err) == (0, "")
    assert re.fullmatch(r".*sheet\.html: 2 pages for 2 personas, 0\.\d MB\n", out)
    text = (tmp_path / "sheet.html").read_text("utf-8")
    assert text.count("<iframe") == 6
    assert "trail-first" in text
    assert "<script" not in text
    assert not re.search(r'(?:src|href)="(?!data:|#)', text), "what is not in the file is in its frames alone"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sheet.html"]


def test_a_broken_page_is_told_and_ends_with_1(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "--demo", "--pages", "/nowhere", "--personas", "anna", "--no-pictures")
    assert code == 1
    assert "broken: /nowhere for anna: the shop answered 404" in out


def test_without_chromium_the_pages_stand_in_frames_and_a_word_says_so(tmp_path: Path) -> None:
    nowhere = {"CHROMIUM": str(tmp_path / "no-browser")}
    code, _, err = run(tmp_path, "--demo", "--pages", "/", "--personas", "anna", environ=nowhere)
    assert code == 0
    assert "no Chromium is here" in err
    (tmp_path / "not-chromium").write_text("#!/bin/sh\necho no sandbox is to be had >&2\nexit 3\n")
    (tmp_path / "not-chromium").chmod(0o755)
    code, _, err = run(
        tmp_path,
        "--demo",
        "--pages",
        "/",
        "--personas",
        "anna",
        environ={"CHROMIUM": str(tmp_path / "not-chromium")},
    )
    assert code == 0
    assert "could not be photographed: no picture: the browser has ended: no sandbox is to be had" in err
    assert "<iframe" in (tmp_path / "sheet.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--pages", "boots", "--demo"], '"boots" is no path'),
        (["--pages", "/", "--demo", "--personas", "olga"], "unknown persona olga; personas.toml has anna"),
        (["--pages", "/", "--demo", "--at", "2026-02-31"], "--at: "),
        (["--pages", "/", "--demo", "--width", "3"], "--width 3: a window is 200 to 4000 pixels wide"),
        (["--pages", "/", "--personas", "a"], "say which pages: --origin URL"),
        (["--pages", "/", "--origin", "http://127.0.0.1:1"], "is not a folder"),
        (["--pages", "/", "--personas", "a", "--proxy", "127.0.0.1:80"], "--proxy wants an address"),
        (["--pages", "/", "--proxy", "http://127.0.0.1:80"], "name the personas, or the rules folder"),
        (["--pages", "/", "--personas", "a", "--link", "localhost"], "--link wants the console's address"),
        (["--pages", "/", "--personas", "a", "--link", "http://x", "--expires", "soon"], "--expires: "),
        (["--pages", "/", "--personas", "a", "--link", "http://x"], "EDGEPROXY_KEYS"),
        (["--pages", *["/x"] * 100, "--demo"], "pictures, and 200 are the most"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(tmp_path: Path, argv: list[str], words: str) -> None:
    with pytest.raises(Usage) as said:
        run(tmp_path, *argv)
    assert words in str(said.value)
    assert not (tmp_path / "sheet.html").exists()


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="cannot be written"):
        run(tmp_path, "--demo", "--pages", "/", "--personas", "anna", "--no-pictures", "--out", str(tmp_path))


def test_a_link_shows_exactly_that_sheet(tmp_path: Path) -> None:
    argv = ["--pages", "/", "/c", "--personas", "anna", "--at", "2026-12-24", "--link", "http://edge.internal:8081/x"]
    code, out, _ = run(tmp_path, *argv, "--expires", "2h", environ={"EDGEPROXY_KEYS": KEY})
    assert code == 0
    base, _, text = out.strip().rpartition("/")
    assert base == "http://edge.internal:8081/sheet"
    link = read_link(text, Keys.parse(KEY), 0)
    assert not isinstance(link, str)
    assert (link.pages, link.personas, link.moments) == (("/", "/c"), ("anna",), ("2026-12-24",))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_bar_goes_over_itself_and_leaves_nothing() -> None:
    err = Terminal()
    told = Progress(err, "asking")
    for done in range(1, 9):
        told(done, 8, Place("/c/boots", "", "anna"))
    first, *_, last = [part for part in err.getvalue().split("\r") if part.strip()] + [err.getvalue().split("\r")[-1]]
    assert first.startswith("asking [###")
    assert "1/8 anna on /c/boots" in first
    assert last == ""
    assert "\n" not in err.getvalue()
