"""`explain`, `render` and `test` by the command line: what a person types, what they read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeproxy import recordings
from edgeproxy.cli import main
from edgeproxy.commands.looking import Page
from edgeproxy.recordings import Recording
from tests.world import CALM, PAGE, RULES, THANKS

TEST = """
[[test]]
it = "shows a newcomer a calm page"
visitor = { stage = "new" }
page = "/"
shows = { menu = "calm", hero = "the shop's own" }
without = ['id="menu"']
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    for name, text in {**RULES, "tests/first.toml": TEST}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    recordings.write(folder, Recording("/", PAGE, "text/html; charset=utf-8"))
    return folder


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.html"
    file.write_bytes(PAGE)
    return file


@pytest.mark.parametrize(("flags", "body"), [(["--stage", "new"], CALM), (["--stage", "loyal"], THANKS), ([], CALM)])
def test_render_prints_the_page_with_its_edits(
    flags: list[str], body: bytes, rules: Path, page: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["render", str(page), "--path", "/", "--rules", str(rules), *flags]) == 0
    assert capfdbinary.readouterr().out == body


def test_an_experience_is_forced_or_switched_off(
    rules: Path, page: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    here = ["render", str(page), "--path", "/", "--rules", str(rules), "--stage", "new"]
    assert main([*here, "--without", "calm"]) == 0
    assert capfdbinary.readouterr().out == PAGE
    assert main([*here, "--without", "calm", "--experience", "thanks"]) == 0
    assert capfdbinary.readouterr().out == THANKS
    assert main([*here, "--experience", "thank"]) == 2
    assert b'unknown experience "thank" (did you mean "thanks"?)' in capfdbinary.readouterr().err


def test_render_shows_a_difference(rules: Path, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", str(page), "--path", "/", "--rules", str(rules), "--stage", "loyal", "--diff"]) == 0
    out = capsys.readouterr().out
    assert '+<main><section class="hero"><p>Good to see you</p></section>' in out
    assert '-<main><section class="hero">Old</section>' in out


def test_render_finds_a_recorded_page_by_its_path(rules: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["render", "/", "--rules", str(rules), "--stage", "loyal"]) == 0
    assert capfdbinary.readouterr().out == THANKS


def test_render_says_when_nothing_changed(rules: Path, page: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["render", str(page), "--path", "/checkout/", "--rules", str(rules), "--stage", "new"]) == 0
    captured = capfdbinary.readouterr()
    assert captured.out == PAGE
    assert b"untouched: nobody ever edits this page" in captured.err


def test_test_passes_and_says_what_it_looked_at(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--rules", str(rules)]) == 0
    out = capsys.readouterr().out
    assert "ok    shows a newcomer a calm page" in out
    assert "1 test passed" in out


def test_a_failing_test_prints_its_place_and_the_explanation(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rules / "tests/first.toml").write_text(TEST.replace('menu = "calm"', 'menu = "thanks"'), encoding="utf-8")
    assert main(["test", "--rules", str(rules)]) == 1
    out = capsys.readouterr().out
    assert "rules/tests/first.toml:2: menu: wanted thanks, got calm" in out
    assert "Experiences, in the order in which they are tried" in out
    assert main(["test", "--rules", str(rules), "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert told["passed"] is False


def test_mistakes_in_the_rules_are_the_answer(rules: Path, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rules / "audiences.toml").write_text(
        '[newcomers]\nstages = "new"\n[regulars]\nstage = "loyal"\n', encoding="utf-8"
    )
    for verb in (["render", str(page), "--path", "/"], ["test"], ["explain", "http://shop.example/"], ["check"]):
        assert main([*verb, "--rules", str(rules)]) == 1
        captured = capsys.readouterr()
        assert 'rules/audiences.toml:2:1: newcomers: unknown key "stages"' in captured.out + captured.err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["render", "nowhere.html", "--path", "/"], "nowhere.html"),
        (["render", "{page}"], "--path /"),
        (["render", "{page}", "--path", "/", "--stage", "nwe"], 'unknown stage "nwe"'),
        (["render", "{page}", "--path", "/", "--segment", "x"], 'unknown segment "x"'),
        (["render", "{page}", "--path", "/", "--persona", "eve"], 'unknown persona "eve"'),
        (["render", "{page}", "--path", "/", "--stage", "new", "--persona", "x"], "say who it is once"),
        (["render", "{page}", "--path", "/", "--at", "tomorrow"], "--at"),
        (["render", "{page}", "--path", "/", "-H", "nonsense"], "Name: value"),
        (["explain", "/"], "not an address"),
        (["test", "no such sentence"], "no test"),
    ],
)
def test_wrong_usage_is_told_in_words(
    argv: list[str], says: str, rules: Path, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.replace("{page}", str(page)) for word in argv] + ["--rules", str(rules)]) == 2
    assert says in capsys.readouterr().err


def test_a_rules_folder_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in (["test"], ["render", "/"], ["explain", "http://shop.example/"]):
        assert main([*verb, "--rules", str(tmp_path / "gone")]) == 2
        assert "edgeproxy init" in capsys.readouterr().err


@pytest.mark.parametrize(("via", "says"), [("1.1 edgeproxy", True), ("1.1 varnish", False)])
def test_explain_tells_a_page_that_was_edited_already(
    via: str, says: bool, rules: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "http://shop.example/"
    page = Page(PAGE, "text/html", None, 200, url, ((b"content-type", b"text/html"), (b"via", via.encode())))
    monkeypatch.setattr("edgeproxy.commands.look.fetch", lambda _: page)
    assert main(["explain", url, "--rules", str(rules), "--stage", "new"]) == 0
    assert ("came through edgeproxy" in capsys.readouterr().out) is says
    monkeypatch.setattr("edgeproxy.commands.look.page_of", lambda *_, **__: page)
    assert main(["render", url, "--rules", str(rules), "--stage", "new"]) == 0
    assert ("came through edgeproxy" in capsys.readouterr().err) is says


@pytest.mark.parametrize("address", ["http://[bad/", "http://x:99999999/", "http://x:abc/", f"http://{'a' * 300}/"])
@pytest.mark.parametrize(
    "verb",
    [["explain"], ["explain", "/", "--origin"], ["render"], ["record"], ["init", "--rules", "none", "--origin"]]
    + [["sheet", "--pages", "/", way] for way in ("--origin", "--proxy", "--link")]
    + [["preview", "--any"], ["doctor", "--origin"]],
    ids=" ".join,
)
def test_what_can_be_no_address_is_told(verb: list[str], address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*verb, address]) == 2
    assert "is no address" in capsys.readouterr().err


def test_a_country_is_two_letters(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "http://shop.example/", "--rules", str(rules), "--country", "Sweden"]) == 2
    assert "two letters" in capsys.readouterr().err
