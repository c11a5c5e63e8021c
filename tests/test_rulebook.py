"""The rules folder on disk: what is read of it, what stands in the way, and the live book."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
import watchfiles

from edgeproxy import rulebook
from edgeproxy.core.model import Problem, RuleBook
from edgeproxy.html.checks import HtmlMarkup
from edgeproxy.rulebook import RuleBookSource, load, news
from tests.core.rule_cases import HERE

MARKUP = HtmlMarkup()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HERE / "base", tmp_path / "rules"))


def told(folder: Path) -> list[str]:
    return [str(one) for one in load(folder, markup=MARKUP, now=0.0).problems]


def source(folder: Path) -> RuleBookSource:
    return RuleBookSource(folder, markup=MARKUP, clock=lambda: 0.0)


# --------------------------------------------------------------------------- what is read


def test_a_good_folder(folder: Path) -> None:
    parsed = load(folder, markup=MARKUP, now=0.0)
    assert parsed.problems == ()
    assert parsed.book is not None
    assert [one.name for one in parsed.book.experiences] == ["calm-start"]


def test_only_toml_and_html_whose_names_do_not_begin_with_a_dot_are_read(folder: Path) -> None:
    before = load(folder, markup=MARKUP, now=0.0).book
    for name in (".shop.toml.swp", ".hidden.toml", "notes.md", "shop.toml~", "#slots.toml#", "experiences/.x.toml"):
        (folder / name).write_text("not = read")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.toml").write_text("nor this")
    (folder / "tests/pages/c").mkdir(parents=True)
    (folder / "tests/pages/pages.toml").write_text("nor recorded pages")
    (folder / "tests/pages/c/boots.html").write_bytes(b"\xff" * (2 << 20))
    after = load(folder, markup=MARKUP, now=0.0)
    assert after.problems == ()
    assert after.book == before


def test_places_are_told_by_the_folders_own_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = folder.rename(folder.parent / "mine")
    (mine / "slots.toml").write_text("x")
    assert told(mine)[0].startswith("mine/slots.toml:1:2: ")
    monkeypatch.chdir(mine)
    assert told(Path())[0].startswith("mine/slots.toml:1:2: ")
    link = mine.parent / "current"
    link.symlink_to(mine)
    assert told(link)[0].startswith("current/slots.toml:1:2: ")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert told(tmp_path / "rules") == ["rules: is not there (a rules folder is made by `edgeproxy init`)"]
    (tmp_path / "rules").write_text("")
    assert told(tmp_path / "rules") == ["rules: is a file, not a folder (a rules folder is made by `edgeproxy init`)"]


def test_folders_in_the_way_of_files(folder: Path) -> None:
    (folder / "slots.toml").unlink()
    (folder / "slots.toml").mkdir()
    (folder / "fragments/x.html").mkdir()
    assert told(folder) == [
        "rules/fragments/x.html: is a folder, not a file",
        "rules/slots.toml: is a folder, not a file",
    ]


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "personas.toml")
    assert told(folder) == ["rules/personas.toml: is not a file"]


def test_links(folder: Path) -> None:
    outside = folder.parent / "secret.html"
    outside.write_text("<p>secret</p>")
    (folder / "fragments/out.html").symlink_to(outside)
    (folder / "fragments/nowhere.html").symlink_to("missing")
    (folder / "fragments/round.html").symlink_to("round.html")
    (folder / "fragments/all").symlink_to(folder.parent)
    (folder / "experiences/loop").symlink_to(folder)
    problems = told(folder)
    assert problems[:3] == [
        "rules/fragments/nowhere.html: is a link that leads nowhere",
        "rules/fragments/out.html: is a link that leads outside the rules folder",
        "rules/fragments/round.html: is a link that leads nowhere",
    ]
    assert not any("secret" in one for one in problems)


def test_links_that_stay_inside_are_read_as_configuration_mounts_make_them(folder: Path) -> None:
    (folder / "..2026").mkdir()
    (folder / "slots.toml").rename(folder / "..2026/slots.toml")
    (folder / "..data").symlink_to("..2026")
    (folder / "slots.toml").symlink_to("..data/slots.toml")
    assert told(folder) == []


def test_a_big_file_is_told_and_not_read_whole(folder: Path) -> None:
    with (folder / "fragments/big.html").open("wb") as file:
        file.truncate(1 << 34)  # sparse: 16 GiB
    assert told(folder) == ["rules/fragments/big.html: is bigger than 1 MiB (rule files are small)"]


def test_a_folder_that_is_no_rules_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rulebook, "MOST_FILES", 4)
    assert told(folder) == ["rules: holds more than 4 files (is it the right folder?)"]
    monkeypatch.undo()
    monkeypatch.setattr(rulebook, "MOST_BYTES", 100)
    assert told(folder) == ["rules: holds more than 0 MiB of rule files (is it the right folder?)"]


def test_names_that_cannot_be_printed(folder: Path) -> None:
    (folder / "fragments" / os.fsdecode(b"\xe5.html")).write_text("<p></p>")
    (folder / "fragments" / "a\nb.html").write_text("<p></p>")
    assert told(folder) == [
        r"rules/fragments/\udce5.html: has a name that is not UTF-8 or not printable",
        r"rules/fragments/a\nb.html: has a name that is not UTF-8 or not printable",
    ]


def test_a_file_that_goes_while_it_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Path.open

    def gone(self: Path, mode: str = "r") -> object:
        if self.name == "slots.toml":
            raise PermissionError(13, "Permission denied")
        return kept(self, mode)

    monkeypatch.setattr(Path, "open", gone)
    assert told(folder) == ["rules/slots.toml: cannot be read: Permission denied"]


@pytest.mark.parametrize(
    ("closed", "first"),
    [
        ("", "rules: cannot be read: Permission denied (the user that edgeproxy runs as has to be able to go there"),
        ("fragments", "rules/fragments: cannot be read: Permission denied"),
        ("lost+found", ""),
    ],
)
def test_a_folder_that_may_not_be_looked_into(
    folder: Path, monkeypatch: pytest.MonkeyPatch, closed: str, first: str
) -> None:
    (folder / "lost+found").mkdir()
    kept = os.scandir

    def shut(path: Path) -> object:
        if Path(path) == folder / closed:
            raise PermissionError(13, "Permission denied")
        return kept(path)

    monkeypatch.setattr(os, "scandir", shut)
    heard = told(folder)
    assert bool(heard) == bool(first)
    assert first in "\n".join(heard)


def test_a_folder_below_one_that_may_not_be_gone_into(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = RuleBookSource(folder)
    kept = Path.stat

    def shut(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if self == folder:
            raise PermissionError(13, "Permission denied")
        return kept(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", shut)
    assert source.reload()
    assert source.stale
    assert source.book is not None
    assert [problem.what for problem in source.problems] == ["cannot be reached: Permission denied"]


# --------------------------------------------------------------------------- the live book

Heard = list[tuple[str | None, int]]
"""What the callback was told: the book's version or None, and how many problems."""


async def live(book: RuleBookSource, steps: list[tuple[Callable[[], object], bool]]) -> Heard:
    """Watch while each step is done; its flag says whether the change is told as a save, or only looked for."""
    heard: Heard = []

    async def changes() -> AsyncIterator[object]:
        for do, saved in steps:
            do()
            yield {"something"} if saved else ()

    def callback(new: RuleBook | None, problems: tuple[Problem, ...]) -> None:
        heard.append((None if new is None else new.version, len(problems)))

    await book.watch(callback, changes())
    return heard


def nothing() -> None:
    pass


@pytest.mark.parametrize("saved", [True, False], ids=["told", "looked for"])
def test_a_good_book_replaces_the_old_one_whole(folder: Path, saved: bool) -> None:
    book = source(folder)
    old = book.book
    assert old is not None
    change = lambda: (folder / "slots.toml").write_text('[home-hero]\nfind = "#a"\n[mega-menu]\nfind = "#b"\n')  # noqa: E731
    heard = asyncio.run(live(book, [(change, saved)]))
    assert book.book is not None
    assert heard == [(book.book.version, 0)]
    assert book.book.version != old.version
    assert book.book.slots["home-hero"].find == "#a"
    assert old.slots["home-hero"].find == "main > section.hero"


@pytest.mark.parametrize("saved", [True, False], ids=["told", "looked for"])
def test_a_bad_book_never_goes_live(folder: Path, saved: bool) -> None:
    book = source(folder)
    old = book.book
    good = (folder / "slots.toml").read_text()
    bad = lambda: (folder / "slots.toml").write_text("[home-hero]\nfnd = 1\n")  # noqa: E731
    assert asyncio.run(live(book, [(bad, saved)])) == [(None, 2)]
    assert book.book is old
    assert book.stale
    assert str(book.problems[1]).startswith("rules/slots.toml:2:1: home-hero: unknown key")
    assert old is not None
    mend = lambda: (folder / "slots.toml").write_text(good)  # noqa: E731
    assert asyncio.run(live(book, [(mend, saved)])) == [(old.version, 0)]
    assert (book.book, book.stale, book.problems) == (old, False, ())


def test_what_changes_nothing_is_not_told(folder: Path) -> None:
    book = source(folder)
    touch = (folder / "slots.toml").touch
    other = lambda: (folder / "notes.md").write_text("x")  # noqa: E731
    assert asyncio.run(live(book, [(nothing, True), (touch, True), (other, True), (nothing, False)])) == []


def test_a_folder_that_vanishes_and_comes_back(folder: Path) -> None:
    book = source(folder)
    old = book.book
    away = folder.parent / "away"
    go = lambda: folder.rename(away)  # noqa: E731
    back = lambda: away.rename(folder)  # noqa: E731
    assert old is not None
    assert asyncio.run(live(book, [(go, False), (nothing, False)])) == [(None, 1)]
    assert book.book is old
    assert asyncio.run(live(book, [(back, False)])) == [(old.version, 0)]


def test_a_save_by_renaming(folder: Path) -> None:
    book = source(folder)

    def save() -> None:
        (folder / "slots.toml.tmp").write_text('[home-hero]\nfind = "#c"\n[mega-menu]\nfind = "#d"\n')
        (folder / "slots.toml.tmp").replace(folder / "slots.toml")

    heard = asyncio.run(live(book, [(save, False)]))
    assert len(heard) == 1
    assert book.book is not None
    assert book.book.slots["home-hero"].find == "#c"


def test_a_folder_that_is_bad_from_the_start(folder: Path) -> None:
    good = (folder / "shop.toml").read_text()
    (folder / "shop.toml").write_text("x")
    book = source(folder)
    assert (book.book, book.stale, len(book.problems)) == (None, True, 1)
    mend = lambda: (folder / "shop.toml").write_text(good)  # noqa: E731
    heard = asyncio.run(live(book, [(mend, True)]))
    assert book.book is not None
    assert heard == [(book.book.version, 0)]


def test_reloading_by_hand(folder: Path) -> None:
    book = source(folder)
    assert not book.reload()
    (folder / "slots.toml").write_text("x")
    assert book.reload()
    assert book.stale


def test_a_fault_of_ours_does_not_end_the_watch(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    book = source(folder)
    old = book.book

    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError

    fault = lambda: monkeypatch.setattr("edgeproxy.rulebook.parse", broken)  # noqa: E731

    def mend() -> None:
        monkeypatch.undo()
        (folder / "slots.toml").write_text('[home-hero]\nfind = "#c"\n[mega-menu]\nfind = "#d"\n')

    heard = asyncio.run(live(book, [(fault, True), (mend, True)]))
    assert book.book is not old
    assert len(heard) == 1
    assert "rules could not be read again" in caplog.text


def test_a_callback_may_wait(folder: Path) -> None:
    book = source(folder)
    heard: list[RuleBook | None] = []

    async def callback(new: RuleBook | None, problems: tuple[Problem, ...]) -> None:
        await asyncio.sleep(0)
        heard.append(new)

    async def changes() -> AsyncIterator[object]:
        (folder / "slots.toml").write_text("x")
        yield {"saved"}

    asyncio.run(book.watch(callback, changes()))
    assert heard == [None]


# --------------------------------------------------------------------------- news from the disk itself


def test_news_of_a_save_of_a_vanished_folder_and_of_one_that_came_back(folder: Path) -> None:
    async def follow() -> None:
        async with aclosing(news(folder, look=0.05)) as stream, asyncio.timeout(60):
            while not any([saved async for saved in _until(stream, (folder / "slots.toml").touch)]):
                pass
            shutil.rmtree(folder)
            for _ in range(3):
                await anext(stream)
            shutil.copytree(HERE / "base", folder)
            while not any([saved async for saved in _until(stream, (folder / "slots.toml").touch)]):
                pass

    asyncio.run(follow())


async def _until(stream: AsyncIterator[object], do: Callable[[], object]) -> AsyncIterator[object]:
    """One change, and the first thing that is heard after it."""
    do()
    yield await anext(stream)


def test_without_inotify_it_is_time_to_look_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_left(*_: object, **__: object) -> Iterator[object]:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(watchfiles, "awatch", none_left)

    async def follow() -> list[object]:
        async with aclosing(news(folder, look=0.01)) as stream, asyncio.timeout(60):
            return [await anext(stream) for _ in range(3)]

    assert asyncio.run(follow()) == [(), (), ()]
    assert caplog.text.count("OS file watch limit reached") == 1


def test_a_save_is_live(folder: Path) -> None:
    """The whole way: a real save, real news, a new book."""
    book = source(folder)

    async def follow() -> RuleBook | None:
        heard: asyncio.Future[RuleBook | None] = asyncio.get_running_loop().create_future()

        def callback(new: RuleBook | None, problems: tuple[Problem, ...]) -> None:
            if not heard.done():
                heard.set_result(new)

        watch = asyncio.create_task(book.watch(callback))
        await asyncio.sleep(0)
        (folder / "slots.toml").write_text('[home-hero]\nfind = "#e"\n[mega-menu]\nfind = "#f"\n')
        async with asyncio.timeout(60):
            new = await heard
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        return new

    new = asyncio.run(follow())
    assert new is not None
    assert new.slots["home-hero"].find == "#e"
