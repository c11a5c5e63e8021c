"""A page that comes again for the same edits leaves as it left; whatever differs makes it anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgeproxy.rewrite
from tests.world import CALM, PAGE, RULES, THANKS, Shop, Told, World, book_of

pytestmark = pytest.mark.anyio

GZIP = ("accept-encoding", "gzip")


def told(page: bytes = PAGE, *more: tuple[str, str]) -> Told:
    own = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "private"), ("ETag", '"1"')]
    return Told(headers=[*own, *more], chunks=[page])


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every time that a page is made, or coded."""
    called: list[str] = []
    for name in ("personalise", "encode"):
        real = getattr(edgeproxy.rewrite, name)

        def counts(*args: Any, real: Any = real, name: str = name, **more: Any) -> Any:
            called.append(name)
            return real(*args, **more)

        monkeypatch.setattr(edgeproxy.rewrite, name, counts)
    return called


async def test_the_third_time_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, called = World(Shop(told())), counting(monkeypatch)
    answers = [await asked.ask("/", stage="new", headers=[GZIP]) for _ in range(4)]
    assert called == ["personalise", "encode"] * 2
    assert {answer.raw for answer in answers} == {answers[0].raw}
    assert {answer.one("etag") for answer in answers} == {answers[0].one("etag")}
    assert answers[3].body == CALM
    assert len(asked.shop.asked) == 4, "nothing is an answer before the shop has given its own"
    assert (await asked.ask("/", stage="new")).raw == CALM, "another coding"
    assert (await asked.ask("/", stage="loyal", headers=[GZIP])).body == THANKS, "another visitor"


@pytest.mark.parametrize(
    "other",
    [
        told(PAGE.replace(b"Old", b"New")),
        told(PAGE + b" "),
        told(PAGE, ("Content-Security-Policy", "style-src 'none'")),
    ],
)
async def test_another_page_is_made_anew(other: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = World(Shop(told()))
    for _ in range(3):
        await asked.ask("/", stage="new")
    called = counting(monkeypatch)
    asked.shop.answer = other
    got = await asked.ask("/", stage="new")
    assert called[:1] == ["personalise"]
    (page,) = other.chunks
    assert isinstance(page, bytes)
    assert got.body == page.replace(b'<nav id="menu"><a href="/a">A</a></nav>', b"")


async def test_other_rules_make_it_anew() -> None:
    asked = World(Shop(told()))
    for _ in range(3):
        await asked.ask("/", stage="new")
    asked.books.book = book_of(
        {**RULES, "experiences/calm.toml": RULES["experiences/calm.toml"].replace("menu", "hero")}
    )
    assert (await asked.ask("/", stage="new")).body == PAGE.replace(b'<section class="hero">Old</section>', b"")
    asked.books.book = replace(asked.books.book, version="another")
    assert (await asked.ask("/", stage="new")).body != CALM


@given(st.lists(st.tuples(st.sampled_from(("new", "loyal", None)), st.integers(0, 2), st.booleans()), max_size=14))
async def test_in_any_order_everybody_gets_their_own(asks: list[tuple[str | None, int, bool]]) -> None:
    asked = World(Shop(told()))
    for stage, number, coded in asks:
        page = PAGE.replace(b"Old", b"Old %d" % number)
        asked.shop.answer = told(page)
        got = await asked.ask("/", stage=stage, headers=[GZIP] if coded else [])
        fresh = await World(Shop(told(page))).ask("/", stage=stage, headers=[GZIP] if coded else [])
        assert (got.raw, got.get("etag"), got.get("content-encoding")) == (
            fresh.raw,
            fresh.get("etag"),
            fresh.get("content-encoding"),
        )


async def test_nothing_is_remembered_where_nothing_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeproxy.settings import Limits

    asked, called = World(Shop(told()), settings={"limits": Limits(plans_bytes=0)}), counting(monkeypatch)
    for _ in range(4):
        await asked.ask("/", stage="new")
    assert called == ["personalise", "encode"] * 4
