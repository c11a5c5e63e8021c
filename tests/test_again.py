"""A page that comes again for the same edits leaves as it left; one with other values in it gets them moved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgeproxy.rewrite
from edgeproxy.again import SETTLED
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
    assert called == ["personalise", "encode", "encode"]
    assert {answer.raw for answer in answers} == {answers[0].raw}
    assert {answer.one("etag") for answer in answers} == {answers[0].one("etag")}
    assert answers[3].body == CALM
    assert len(asked.shop.asked) == 4, "nothing is an answer before the shop has given its own"
    assert (await asked.ask("/", stage="new")).raw == CALM, "another coding"
    assert (await asked.ask("/", stage="loyal", headers=[GZIP])).body == THANKS, "another visitor"


@pytest.mark.parametrize(
    "other",
    [
        told(PAGE.replace(b"Old", b"Old and new")),
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


TOKEN = PAGE.replace(b"<main>", b'<main><form action="/x"><input name=csrf value="TOKEN"></form><b>COUNT</b>')


def tokened(token: bytes, count: bytes = b"3") -> bytes:
    return TOKEN.replace(b"TOKEN", token).replace(b"COUNT", count)


async def test_a_page_with_another_token_is_neither_parsed_nor_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, called = World(Shop(told())), counting(monkeypatch)
    for number in range(6):
        page = tokened(b"a" * (number + 1), b"%d" % number**9)
        asked.shop.answer = told(page)
        for stage in ("new", "loyal"):
            got = await asked.ask("/", stage=stage, headers=[GZIP])
            fresh = await World(Shop(told(page))).ask("/", stage=stage, headers=[GZIP])
            called[-2:] = []
            assert (got.raw, got.one("etag")) == (fresh.raw, fresh.one("etag"))
    assert called == ["personalise", "encode"] * 2 + ["encode"] * 10, "once for each visitor"


async def test_a_page_whose_values_have_settled_is_the_one_to_remember(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, called = World(Shop(told(tokened(b"one")))), counting(monkeypatch)
    await asked.ask("/", stage="new", headers=[GZIP])
    asked.shop.answer = told(tokened(b"another"))
    answers = [await asked.ask("/", stage="new", headers=[GZIP]) for _ in range(SETTLED + 6)]
    assert called.count("encode") == 1 + SETTLED + 1
    assert len({answer.raw for answer in answers}) == 1


async def test_an_edit_that_says_what_the_page_says_is_made_once_the_page_says_something_else() -> None:
    rules = {
        **RULES,
        "experiences/thanks.toml": RULES["experiences/thanks.toml"].replace('"thanks.html"', '{ text = "3" }'),
    }
    del rules["fragments/thanks.html"]
    asked = World(Shop(told(PAGE.replace(b"Old", b"3"))), rules=rules)
    for value in (b"3", b"4", b"5", b"3"):
        asked.shop.answer = told(PAGE.replace(b"Old", value))
        assert (await asked.ask("/", stage="loyal")).body == PAGE.replace(b"Old", b"3")


async def test_children_that_change_places_take_their_own_values_with_them() -> None:
    verb = 'slot = "list"\nreorder = ["#b"]'
    rules = {**RULES, "experiences/calm.toml": 'for = "newcomers"\n[[edit]]\n' + verb}
    rules["slots.toml"] += '[list]\nfind = "ul"\n'
    asked = World(Shop(told()), rules=rules)
    for value in (b"3", b"44", b"5"):
        one, other = b'<li id=a><i data-n="%b">a</i></li>' % value, b"<li id=b>%b</li>" % value
        page = PAGE.replace(b"<main>", b"<main><ul>%b%b</ul>" % (one, other))
        asked.shop.answer = told(page)
        assert (await asked.ask("/", stage="new")).body == page.replace(one + other, other + one)


async def test_an_attribute_that_is_changed_may_be_the_one_that_differs() -> None:
    rules = {
        **RULES,
        "experiences/calm.toml": 'for = "newcomers"\n[[edit]]\nslot = "hero"\nattributes = { data-n = "ours" }',
    }
    asked = World(Shop(told()), rules=rules)
    for value in (b"ours", b"44444", b"5"):
        page = PAGE.replace(b'class="hero"', b'class="hero" data-n="%b"' % value)
        asked.shop.answer = told(page)
        assert (await asked.ask("/", stage="new")).body == page.replace(value, b"ours")


NONCED = PAGE.replace(b"</main>", b'</main><script nonce="NONCE">go()</script>')


def nonced(nonce: str) -> Told:
    policy = f"script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'nonce-{nonce}'"
    return told(NONCED.replace(b"NONCE", nonce.encode()), ("Content-Security-Policy", policy))


async def test_a_page_with_another_nonce_is_neither_parsed_nor_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, called = World(Shop(told())), counting(monkeypatch)
    for number in range(5):
        asked.shop.answer = nonced(f"r4nd0m+{number**9}==")
        got = await asked.ask("/", stage="new")
        (page,) = asked.shop.answer.chunks
        assert isinstance(page, bytes)
        assert got.body == page.replace(b'<nav id="menu"><a href="/a">A</a></nav>', b"")
    assert called == ["personalise", "encode", *["encode"] * 4]


@pytest.mark.parametrize("in_body", [True, False])
async def test_an_edit_with_a_nonce_has_that_of_its_own_page(in_body: bool) -> None:
    rules = {**RULES, "fragments/thanks.html": '<script nonce="{{ nonce }}">thanks()</script>'}
    asked = World(Shop(told()), rules=rules)
    for nonce in ("r4nd0m+1==", "r4nd0m+22==", "r4nd0m+22==", "short", "other"):
        asked.shop.answer = nonced(nonce)
        if not in_body:
            asked.shop.answer.chunks = [PAGE]
        got = await asked.ask("/", stage="loyal")
        assert b'<script nonce="%b">thanks()' % nonce.encode() in got.body
    asked = World(Shop(told()), rules={**RULES, "experiences/thanks.toml": 'for = "regulars"\n[[edit]]\nstyle = "p{}"'})
    for nonce in ("r4nd0m+1==", "r4nd0m+22==", "r4nd0m+22=="):
        asked.shop.answer = nonced(nonce)
        assert b'<style nonce="%b">p{}</style></head>' % nonce.encode() in (await asked.ask("/", stage="loyal")).body


async def test_two_nonces_are_not_one() -> None:
    """A style is let through where all lists name one nonce."""
    asked = World(Shop(told()), rules={**RULES, "experiences/calm.toml": 'for = "newcomers"\n[[edit]]\nstyle = "p{}"'})
    for one, other in (("aaaaaaaa1", "aaaaaaaa2"), ("bbbbbbbb1", "bbbbbbbb1")):
        policy = f"style-src 'nonce-{one}', style-src 'nonce-{other}'"
        asked.shop.answer = told(PAGE, ("Content-Security-Policy", policy))
        assert (b"<style" in (await asked.ask("/", stage="new")).body) is (one == other)


async def test_a_slot_may_be_found_by_the_value_that_differs() -> None:
    rules = {**RULES, "slots.toml": RULES["slots.toml"].replace("#menu", "[data-n='3'] #menu")}
    asked = World(Shop(told()), rules=rules)
    for value, found in ((b"3", True), (b"4", False), (b"3", True)):
        page = PAGE.replace(b'<nav id="menu"', b'<div data-n="%b"><nav id="menu"' % value)
        asked.shop.answer = told(page)
        assert (b"<nav" not in (await asked.ask("/", stage="new")).body) is found


async def test_what_is_said_of_a_visitor_is_said_of_this_one() -> None:
    rules = {
        **RULES,
        "audiences.toml": '[all]\nstage = ["new", "loyal"]',
        "fragments/thanks.html": "<p>{{ stage }}</p>",
    }
    rules["experiences/thanks.toml"] = rules["experiences/thanks.toml"].replace("regulars", "all")
    del rules["experiences/calm.toml"]
    rules["shop.toml"] = rules["shop.toml"].replace('["calm", "thanks"]', '["thanks"]')
    asked = World(Shop(told()), rules=rules)
    for stage in ("new", "loyal", "new"):
        for token in (b"a", b"bb"):
            asked.shop.answer = told(tokened(token))
            assert b"<p>%b</p>" % stage.encode() in (await asked.ask("/", stage=stage)).body


async def test_a_charset_that_growing_values_push_out_of_sight_is_looked_for_again() -> None:
    """Browsers read 1,024 bytes for it; ours has to be theirs."""
    rules = {**RULES, "fragments/thanks.html": "<p>Välkommen</p>"}
    asked = World(Shop(), rules=rules)
    for size in (10, 400, 11):
        head = b'<meta name=x content="%b"><meta charset=iso-8859-2>' % (b"x" * size)
        page = PAGE.replace(b"<head>", b"<head>" + b"<!--" + b"z" * 600 + b"-->" + head).replace(b"caf\xc3\xa9", b"")
        asked.shop.answer = Told(headers=[("Content-Type", "text/html")], chunks=[page])
        got = await asked.ask("/", stage="loyal")
        fresh = World(Shop(asked.shop.answer), rules=rules)
        assert got.body == (await fresh.ask("/", stage="loyal")).body
        assert (b"&#" in got.body) is (size == 400), "ä is there in latin-2, and nothing is in a charset unknown"


@given(
    st.lists(
        st.tuples(st.sampled_from(("new", "loyal", None)), st.integers(0, 2), st.booleans(), st.booleans()), max_size=14
    )
)
async def test_in_any_order_everybody_gets_their_own(asks: list[tuple[str | None, int, bool, bool]]) -> None:
    asked = World(Shop(told()))
    for stage, number, alike, coded in asks:
        page = tokened(b"x" * (number + 1), b"%d" % number) if alike else PAGE.replace(b"Old", b"Old %d" % number)
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
