"""Drafts: other rules for previews by links that name them; read from folders and commits, never live, never loose."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest

from edgeproxy.core.flags import PreviewFlags
from edgeproxy.core.tokens import Leave, Token, sign_token
from edgeproxy.drafts import Drafts
from tests.repository import BROKEN, LATER, WARM, git, leave, marks, world, write
from tests.test_previews import kept, without_bar
from tests.world import CALM, HOST, KEYS, NOON, RULES, THANKS, Got, World

pytestmark = pytest.mark.anyio

WARM_PAGE = THANKS.replace(b"Good to see you", b"Welcome home")


def drafts(top: Path, folder: Path | None = None) -> Drafts:
    return Drafts(folder or top, top / "rules")


async def words(made: Drafts, name: str) -> str:
    """The problems of a draft that has no book."""
    draft = await made.get(name)
    assert draft.book is None
    return "\n".join(map(str, draft.problems))


# --------------------------------------------------------------------------- reading


@pytest.mark.parametrize("below", ["", "rules"])
async def test_a_branch_a_tag_and_a_commit_are_read_without_touching_what_is_live(repository: Path, below: str) -> None:
    made = drafts(repository, repository / below)
    commit = git(repository, "rev-parse", "feature/warm")
    git(repository, "tag", "v2", "feature/warm")
    before = marks(repository / "rules")
    for name in ("feature/warm", "v2", commit, commit[:10]):
        draft = await made.get(name)
        assert draft.book is not None, draft.problems
        assert draft.says.startswith(f"draft {name} ({commit[:7]}")
        assert draft.says.endswith("Ann)")
    assert marks(repository / "rules") == before
    assert git(repository, "status", "--porcelain") == ""


async def test_a_bare_repository_knows_the_rules_by_their_folders_name(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(tmp_path / "mirror.git"))
    live = tmp_path / "live" / "rules"
    write(live, RULES)
    draft = await Drafts(tmp_path / "mirror.git", live).get("feature/warm")
    assert draft.book is not None, draft.problems


async def test_a_branch_that_moves_is_seen_and_one_that_does_not_is_read_once(repository: Path) -> None:
    now = [0.0]
    made = Drafts(repository, repository / "rules", clock=lambda: now[0])
    first = await made.get("feature/warm")
    assert await made.get("feature/warm") is first
    now[0] += 5
    assert (await made.get("feature/warm")).book is first.book
    git(repository, "branch", "-f", "feature/warm", "main")
    now[0] += 5
    moved = await made.get("feature/warm")
    assert moved.book is not None
    assert first.book is not None
    assert moved.book.version != first.book.version


async def test_several_who_ask_at_once_make_one_reading(repository: Path) -> None:
    made = drafts(repository)
    one, other = await asyncio.gather(made.get("feature/warm"), made.get("feature/warm"))
    assert one is other


async def test_a_folder_is_read_as_it_is_on_disk(tmp_path: Path) -> None:
    now = [0.0]
    write(tmp_path / "drafts" / "spring", WARM)
    made = Drafts(tmp_path / "drafts", tmp_path, clock=lambda: now[0])
    first = await made.get("spring")
    assert first.book is not None
    write(tmp_path / "drafts" / "spring", BROKEN)
    now[0] += 5
    assert 'unknown key "stages"' in await words(made, "spring")


async def test_mistakes_of_a_draft_are_told_with_their_place(repository: Path) -> None:
    assert 'rules/audiences.toml:2:1: newcomers: unknown key "stages"' in await words(drafts(repository), "broken")


NAMES = ["", ".", "..", "../rules", "/etc", "a/../../b", "-rf", "--all", "HEAD^", "main:rules", "main@{1}", "a b",
         "x\n", "refs//heads", ".git", "a/.git", "$(id)", "main~1", "a" * 121, "*", "\x00"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_leads_nowhere_else(repository: Path, name: str) -> None:
    draft = await drafts(repository).get(name)
    assert draft.book is None
    assert len(draft.problems) == 1


async def test_what_is_not_there_is_said(repository: Path, tmp_path: Path) -> None:
    made = drafts(repository)
    assert "no branch, tag or commit" in await words(made, "autumn")
    git(repository, "checkout", "-q", "--orphan", "empty")
    git(repository, "rm", "-rqf", ".")
    git(repository, "commit", "-q", "--allow-empty", "-m", "nothing")
    assert "holds no rules: there is no shop.toml" in await words(made, "empty")
    (tmp_path / "plain").mkdir()
    assert "they are in no git repository" in await words(Drafts(tmp_path / "plain", tmp_path), "main")


async def test_a_link_in_a_commit_is_not_followed(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "linked")
    (repository / "rules" / "personas.toml").symlink_to("/etc/hosts")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "linked")
    assert "is a link, which a draft does not follow" in await words(drafts(repository), "linked")


async def test_without_git_it_is_said(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "could not be read: git is not installed" in await words(drafts(repository), "main")


async def test_a_repository_that_git_does_not_trust_is_told_as_git_tells_it(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mounted into a container, it belongs to somebody else: git says what to do about that."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    from edgeproxy import git as asked

    monkeypatch.setattr(asked, "_KEPT", (*asked._KEPT, "GIT_TEST_ASSUME_DIFFERENT_OWNER"))
    assert "dubious ownership" in await words(drafts(repository), "main")


# --------------------------------------------------------------------------- seeing


async def test_who_has_a_link_that_names_it_sees_it_and_nobody_else(repository: Path) -> None:
    here = world(repository)
    token = sign_token(Token(PreviewFlags(stage="loyal", rules="feature/warm"), False, LATER), KEYS)
    begun = await here.ask(f"/?edge_rules=feature%2Fwarm&edge_token={token}")
    assert begun.status == 303
    seen = await here.ask("/c/boots", headers=[kept(begun)])
    assert without_bar(seen) == WARM_PAGE
    assert b"draft feature/warm (" in seen.body
    assert (await here.ask("/c/boots", stage="loyal")).body == THANKS
    assert (await here.ask("/c/boots?edge_rules=feature%2Fwarm", stage="loyal")).body == THANKS


@pytest.mark.parametrize(
    ("how", "open_", "draft"), [(Leave.ANY, "token", None), (Leave.OPEN, "open", None), (Leave.ANY, "token", "main")]
)
async def test_leave_for_everything_else_is_no_leave_for_a_draft(
    repository: Path, how: Leave, open_: str, draft: str | None
) -> None:
    here = world(repository, preview=open_, hosts=("localhost",))
    got = await here.ask(
        "/?edge_rules=feature%2Fwarm&edge_stage=loyal",
        host="localhost",
        client="127.0.0.1",
        headers=[leave(how, draft)],
    )
    assert without_bar(got) == THANKS
    assert b"a draft needs a link that names it" in got.body


async def test_the_team_may_go_back_and_forth_between_the_draft_of_their_link_and_what_is_live(
    repository: Path,
) -> None:
    here = world(repository)
    cookie = leave(Leave.ANY, stage="loyal")
    assert without_bar(await here.ask("/", headers=[cookie])) == WARM_PAGE
    live = await here.ask("/?edge_rules=&edge_stage=loyal", headers=[cookie])
    assert without_bar(live) == THANKS
    again = await here.ask("/?edge_rules=feature%2Fwarm&edge_stage=loyal", headers=[kept(live)])
    assert without_bar(again) == WARM_PAGE
    assert without_bar(await here.ask("/?edge_stage=new", headers=[kept(again)])) == CALM, "the draft stays"


async def test_a_bad_draft_is_a_page_with_its_mistakes_and_the_shop_is_not_asked(repository: Path) -> None:
    here = world(repository)
    got = await here.ask("/", headers=[leave(Leave.ANY, "broken")])
    assert got.status == 422
    assert b"rules/audiences.toml:2" in got.body
    assert b"unknown key &#34;stages&#34;" in got.body
    assert got.one("cache-control") == "no-store"
    assert here.shop.asked == []
    assert b"rules/audiences.toml:2" in (await here.ask("/", headers=[leave(Leave.BOUND, "broken")])).body
    paid = await here.ask("/pay", method="POST", body=[b"a=1"], headers=[leave(Leave.ANY, "broken")])
    assert paid.status == 200, "a form goes its way"
    assert (await here.ask("/", stage="loyal")).body == THANKS


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "autumn", "\r\nX: y"])
async def test_a_draft_that_is_none_is_told_as_text(repository: Path, name: str) -> None:
    got = await world(repository).ask("/", headers=[leave(Leave.ANY, name)])
    assert got.status == 422
    assert b"<script>alert" not in got.body
    nowhere = await World().ask("/", headers=[leave(Leave.ANY, name)])
    assert b"no drafts are shown here" in nowhere.body
    assert b"The draft cannot be shown" in nowhere.body


async def test_drafts_leave_no_trace_in_what_is_live(repository: Path) -> None:
    """Live pages are the same before and after, and what is known of their slots' verification stays."""
    here = world(repository)

    async def live() -> list[Got]:
        return [await here.ask("/", stage=stage) for stage in (None, "new", "loyal")]

    before = [(got.status, got.body, got.get("etag")) for got in await live()]
    metrics = here.parts.journal.metrics()
    await here.ask("/", headers=[leave(stage="loyal")])
    after = here.parts.journal.metrics()
    assert b"applied_total{" in metrics
    assert [one for one in metrics.splitlines() if b"applied_total" in one] == [
        one for one in after.splitlines() if b"applied_total" in one
    ]
    assert [(got.status, got.body, got.get("etag")) for got in await live()] == before


def test_a_link_that_names_a_draft_is_made_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    from edgeproxy.commands.keys import run_preview_link

    code = run_preview_link(
        f"https://{HOST}/",
        rules="feature/warm",
        keys="4d1f0c7be2a84b5d9c3e6f7081a2b3c4",
        now=NOON,
        out=sys.stdout,
        err=sys.stderr,
    )
    assert code == 0
    assert f"edge_rules={quote('feature/warm', safe='')}" in capsys.readouterr().out
