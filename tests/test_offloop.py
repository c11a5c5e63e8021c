"""Short work is done on the loop, long work in the thread; how long it takes is told before it is begun."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import edgeproxy.rewrite
from edgeproxy.offloop import LONG, Work, is_long, run
from tests.world import PAGE, Asked, Shop, Told, World

pytestmark = pytest.mark.anyio

BIG = PAGE.replace(b"<main>", b"<main>" + b"<p>one of many paragraphs</p>\n" * 8000)


def limit(work: Work) -> int:
    """The first size in bytes that is long."""
    return -(-LONG * 1024 // work.value)


@pytest.mark.parametrize("work", Work)
async def test_long_work_is_done_in_one_thread(work: Work) -> None:
    size = limit(work)
    assert (is_long(work, size - 1), is_long(work, size)) == (False, True)
    assert await run(work, size - 1, threading.get_ident) == threading.get_ident()
    there = {await run(work, size, threading.get_ident) for _ in range(9)}
    assert len(there) == 1
    assert there != {threading.get_ident()}


@pytest.mark.parametrize("size", [0, limit(Work.READ)])
async def test_it_gives_and_raises_what_the_work_does(size: int) -> None:
    assert await run(Work.READ, size, int, "11", base=2) == 3
    with pytest.raises(ValueError, match="invalid literal"):
        await run(Work.READ, size, int, "x")


@pytest.fixture
def made_in(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each page that is made or coded: whether that was on the loop."""
    seen: list[bool] = []
    here = threading.get_ident()
    for name in ("personalise", "encode"):
        real = getattr(edgeproxy.rewrite, name)

        def noted(*args: Any, real: Any = real, **more: Any) -> Any:
            seen.append(threading.get_ident() == here)
            return real(*args, **more)

        monkeypatch.setattr(edgeproxy.rewrite, name, noted)
    return seen


async def test_a_big_page_is_read_in_the_thread_and_one_like_it_on_the_loop(made_in: list[bool]) -> None:
    assert limit(Work.READ) < len(BIG) < limit(Work.CODE)
    asked = World(Shop())
    for value, where in ((b"1", [False, False]), (b"2", [True]), (b"other things", [False, False])):
        page = BIG.replace(b">Old<", b">%b<" % value)
        asked.shop.answer = Told(headers=[("Content-Type", "text/html; charset=utf-8")], chunks=[page])
        made_in.clear()
        got = await asked.ask("/", stage="new")
        assert got.body == page.replace(b'<nav id="menu"><a href="/a">A</a></nav>', b"")
        assert made_in == where


async def test_a_small_page_is_read_on_the_loop(made_in: list[bool]) -> None:
    asked = World(Shop(Told(headers=[("Content-Type", "text/html; charset=utf-8")], chunks=[PAGE])))
    await asked.ask("/", stage="new")
    assert made_in == [True, True]


async def test_asked_at_once_everybody_gets_the_page_with_their_own_token() -> None:
    def answer(asked: Asked) -> Told:
        token = asked.target.partition(b"=")[2]
        page = BIG.replace(b"<main>", b'<main data-n="%b"><i>%b</i>' % (token, token * 2))
        if token.endswith(b"7"):
            page = page.replace(b"</main>", b"<p>of another kind</p></main>")
        return Told(headers=[("Content-Type", "text/html; charset=utf-8")], chunks=[page])

    world = World(Shop(answer))

    async def one(number: int) -> None:
        token, loyal = b"%d" % 3**number, number % 3 == 1
        got = await world.ask(f"/?t={3**number}", stage="loyal" if loyal else "new")
        (page,) = answer(Asked("GET", b"/?t=" + token, [], b"", None)).chunks
        assert isinstance(page, bytes)
        nav = b'<nav id="menu"><a href="/a">A</a></nav>'
        wanted = page.replace(b">Old<", b"><p>Good to see you</p><") if loyal else page.replace(nav, b"")
        assert got.body == wanted

    for _ in range(2):
        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(one(number))
