"""Who wrote the rules: told with every place of an explanation, where git knows; never late, never a failure."""

from __future__ import annotations

import json
import re
from pathlib import Path
from threading import Event

import pytest

from edgeproxy.blame import Blame
from edgeproxy.core.explanation import Written
from edgeproxy.core.model import RuleBook
from edgeproxy.core.tokens import Leave
from edgeproxy.rulebook import load
from tests.repository import git, leave, world, write
from tests.world import RULES

pytestmark = pytest.mark.anyio


def book(folder: Path) -> RuleBook:
    parsed = load(folder)
    assert parsed.book is not None
    return parsed.book


def test_every_place_of_the_rules_has_its_commit_date_and_author(repository: Path) -> None:
    rules = repository / "rules"
    commit = git(repository, "rev-parse", "--short=7", "main")
    day = git(repository, "log", "-1", "--format=%ad", "--date=short", "main")
    found = Blame().written(rules, book(rules))
    assert found["rules/slots.toml:2"] == Written(commit, day, "Ann")
    assert set(found) >= {"rules/experiences/calm.toml:1", "rules/experiences/calm.toml:3", "rules/slots.toml:5"}
    assert found["rules/slots.toml:2"].words == f"{commit}, {day}, Ann"


def test_a_line_that_nobody_committed_says_so(repository: Path) -> None:
    rules = repository / "rules"
    calm = RULES["experiences/calm.toml"]
    write(rules, {"experiences/calm.toml": "\n" + calm, "experiences/more.toml": calm})
    found = Blame().written(rules, book(rules))
    assert found["rules/experiences/more.toml:1"].words == "not committed yet", "git does not know the file"
    assert found["rules/experiences/calm.toml:4"].commit, "it has moved, and is who wrote it all the same"
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "more")
    assert Blame().written(rules, book(rules))["rules/experiences/more.toml:1"].author == "Ann"


def test_what_git_said_is_asked_once_until_something_changes(
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    from edgeproxy import blame

    def blamed(folder: Path, file: str, commit: str | None, prefix: str) -> dict[int, Written]:
        asked.append(file)
        return {}

    monkeypatch.setattr(blame, "_blamed", blamed)
    rules, made = repository / "rules", Blame()
    made.written(rules, book(rules))
    assert sorted(asked) == ["experiences/calm.toml", "experiences/thanks.toml", "slots.toml"]
    made.written(rules, book(rules))
    assert len(asked) == 3
    write(rules, {"slots.toml": RULES["slots.toml"] + "\n"})
    made.written(rules, book(rules))
    assert asked[3:] == ["slots.toml"]


async def test_an_explanation_does_not_wait_for_a_slow_git(
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edgeproxy import blame

    go = Event()

    def slow(*_: object) -> dict[int, Written]:
        go.wait(20)
        return {2: Written("1234567", "2026-06-01", "Bo")}

    monkeypatch.setattr(blame, "_blamed", slow)
    monkeypatch.setattr(blame, "WAITS", 0.01)
    rules, made = repository / "rules", Blame()
    assert await made.of(rules, book(rules)) == {}
    go.set()
    monkeypatch.setattr(blame, "WAITS", 20)
    assert (await made.of(rules, book(rules)))["rules/slots.toml:2"].author == "Bo"


def test_outside_a_repository_or_without_git_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "rules", RULES)
    assert Blame().written(tmp_path / "rules", book(tmp_path / "rules")) == {}
    monkeypatch.setenv("PATH", "")
    assert Blame().written(tmp_path / "rules", book(tmp_path / "rules")) == {}


@pytest.mark.parametrize("draft", [None, "feature/warm"])
async def test_a_preview_tells_it_as_page_and_as_json(repository: Path, draft: str | None) -> None:
    here = world(repository)
    here.books.book = book(repository / "rules")
    commit = git(repository, "rev-parse", "--short=7", "main")  # the line is as old as that in the draft, too
    cookie = leave(Leave.ANY, draft, stage="loyal")
    told = json.loads((await here.ask("/?edge_explain=json", headers=[cookie])).body)
    (thanks,) = [one for one in told["experiences"] if one["name"] == "thanks"]
    assert thanks["written"]["commit"] == commit
    (hero,) = [one for one in told["slots"] if one["name"] == "hero"]
    assert hero["written"]["author"] == "Ann"
    assert hero["edits"][0]["content"] == "thanks.html"
    (start, end), *_ = hero["ranges"]
    assert (end - start) == len(b'<section class="hero">Old</section>')
    page = (await here.ask("/?edge_explain=1", headers=[cookie])).body.decode()
    words = re.sub(r"<[^>]+>", "", page)
    for part in (f"{commit}, ", ", Ann", f"bytes {start}–{end}", "thanks: inner thanks.html, placed"):
        assert part in words
