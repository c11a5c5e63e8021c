"""A sheet's cells are what visitors get: asked of a whole proxy without ports."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest

from edgeproxy.core.signing import Keys
from edgeproxy.core.visitor import sign
from edgeproxy.origin import ShopRefused
from edgeproxy.sheet.asking import Front, NoLeave, ask_sheet, front
from edgeproxy.sheet.inside import Inside
from edgeproxy.sheet.model import OWN, Cell, Persona, Place, Sheet, Wish
from edgeproxy.sheet.page import sheet_page
from tests.world import CALM, HOST, KEYS, NOON, PAGE, RULES, THANKS, Asked, Shop, Told, World

PEOPLE = """
[anna]
cookie = false
[bo]
stage = "new"
[eva]
stage = "loyal"
segments = ["outdoor"]
id = "eva-1"
"""
COLUMNS = tuple(Persona(name) for name in ("anna", "bo", "eva"))


def world(shop: Shop | None = None, rules: Mapping[str, str] | None = None, **settings: Any) -> World:
    return World(shop or Shop(), rules={**RULES, "personas.toml": PEOPLE, **(rules or {})}, settings=settings)


def proxy_of(made: World, keys: Keys | None = KEYS) -> Front:
    return front(f"http://{HOST}", Inside(made.parts.proxy), keys, made.now)


def sheet(made: World, *pages: str, moments: Sequence[str] = (), keys: Keys | None = KEYS) -> Sheet:
    wish = Wish(pages, (), tuple(moments))
    return asyncio.run(ask_sheet(proxy_of(made, keys), wish, COLUMNS, now=made.now))


def cell(found: Sheet, page: str, persona: str, moment: str = "") -> Cell:
    return found.cells[Place(page, moment, persona)]


def test_each_cell_is_the_page_that_this_visitor_gets() -> None:
    found = sheet(world(), "/", "/nothing")
    assert [cell(found, "/", one).body for one in (OWN, "anna", "bo", "eva")] == [PAGE, CALM, CALM, THANKS]
    assert [cell(found, "/", one).experiences for one in (OWN, "anna", "eva")] == [(), ("calm",), ("thanks",)]
    assert cell(found, "/", "eva").slots == ("hero",)
    assert cell(found, "/", "eva").outlines == ((".hero", "thanks · rules/experiences/thanks.toml:3"),)
    assert cell(found, "/nothing", "eva").body == PAGE
    assert found.version == world().books.book.version  # type: ignore[union-attr]
    assert found.timezone == "UTC"
    assert found.broken == ()


def test_what_caches_make_of_a_page_is_no_matter_of_a_sheet() -> None:
    rules = {
        "experiences/calm.toml": RULES["experiences/calm.toml"].replace(
            'for = "newcomers"', 'for = "newcomers"\nfrom = 2036-01-01'
        )
    }
    found = cell(sheet(world(rules=rules), "/"), "/", "bo")
    assert found.body == PAGE
    assert not any("previewers" in note for note in found.notes)


def test_what_reads_differently_is_told() -> None:
    found = cell(sheet(world(), "/"), "/", "eva")
    assert (found.taken, found.added) == ("Old", "Good to see you")
    assert found.own_size == len(PAGE)


def test_a_hundred_random_cells_equal_live_answers_byte_for_byte() -> None:
    """Pages, people and moments at random, on a shop that answers deterministically."""
    rules = {
        "experiences/calm.toml": RULES["experiences/calm.toml"].replace(
            'for = "newcomers"', 'for = "newcomers"\nfrom = 2026-06-10\nshare = "50%"'
        ),
        "experiences/thanks.toml": RULES["experiences/thanks.toml"].replace(
            'for = "regulars"', 'for = "regulars"\nuntil = 2026-06-20'
        ),
    }
    shop = Shop(lambda asked: Told(chunks=(PAGE.replace(b"Old", asked.target.replace(b"&", b"&amp;")),)))
    dice = random.Random(7)
    made = world(shop, rules)
    personas = made.books.book.personas  # type: ignore[union-attr]

    async def test() -> None:
        proxy = proxy_of(made)
        for _ in range(100):
            page = dice.choice(["/", "/c/boots", "/c/a?b=c&d", "/other", "/checkout/pay"])
            name, day = dice.choice(list(personas)), f"2026-06-{dice.randrange(5, 25):02}"
            asked = await ask_sheet(proxy, Wish((page,), (), (day,)), (Persona(name),), now=NOON)
            made.now = NOON + (int(day[-2:]) - 1) * 86400 - 43200  # midnight of that day
            visitor = personas[name].visitor
            headers = []
            if visitor.stage is not None:
                value = sign(KEYS, made.now, stage=visitor.stage, segments=visitor.segments, id=visitor.id)
                headers = [("cookie", f"edge_visitor={value}")]
            live = await made.ask(page, headers=headers)
            made.now = NOON
            assert cell(asked, page, name, day).body == live.body, (page, name, day)

    asyncio.run(test())


def test_a_sheet_says_what_it_is_of() -> None:
    assert sheet(world(), "/").words == "1 page for 3 personas"
    assert (
        sheet(world(), "/", "/c", moments=("2026-06-02", "2026-06-03")).words == "2 pages at 2 moments for 3 personas"
    )


def test_a_moment_shows_what_will_be_then() -> None:
    rules = {
        "experiences/calm.toml": RULES["experiences/calm.toml"].replace(
            'for = "newcomers"', 'for = "newcomers"\nfrom = 2026-12-01'
        )
    }
    found = sheet(world(rules=rules), "/", moments=("2026-11-30", "2026-12-01T00:00"))
    assert cell(found, "/", "bo", "2026-11-30").body == PAGE
    assert cell(found, "/", "bo", "2026-12-01T00:00").body == CALM


def test_the_shop_sees_get_alone_and_nothing_of_ours_and_nobody_is_counted() -> None:
    made = world()
    sheet(made, "/", "/c/boots?q=1")
    assert {asked.method for asked in made.shop.asked} == {"GET"}
    assert not [asked for asked in made.shop.asked if b"edge_" in asked.target or asked.get("cookie")]
    assert {asked.target for asked in made.shop.asked} == {b"/", b"/c/boots?q=1"}
    numbers = made.parts.journal
    assert numbers.applied.values == {}
    assert sum(numbers.requests.values.values()) == 0


# ------------------------------------------------------------------ what is broken is loud


def redirects(asked: Asked) -> Told:
    return Told(302, (("Location", "https://elsewhere.example/"),), ())


@pytest.mark.parametrize(
    ("shop", "problem"),
    [
        (Shop(Told(404)), "the shop answered 404"),
        (Shop(Told(500)), "the shop answered 500"),
        (Shop(redirects), "the shop leads on to https://elsewhere.example/ (302): name that page instead"),
        (Shop(Told(headers=(("Content-Type", "image/png"),), chunks=(b"x",))), "no HTML page: image/png"),
    ],
)
def test_a_page_that_is_none_is_a_broken_cell(shop: Shop, problem: str) -> None:
    found = sheet(world(shop), "/")
    assert {one.problem for one in found.cells.values()} == {problem}
    assert problem.encode() in sheet_page(found)


def test_a_shop_that_does_not_answer_is_a_broken_cell() -> None:
    found = sheet(world(Shop(ShopRefused("refused", "no connection"))), "/")
    assert all(one.problem for one in found.cells.values())


def test_an_edit_that_was_not_made_is_told_with_its_reason() -> None:
    shop = Shop(Told(chunks=(PAGE.replace(b'id="menu"', b'id="nav"'),)))
    found = sheet(world(shop), "/")
    assert [(one.slot, one.outcome) for one in cell(found, "/", "bo").refused] == [("menu", "refused")]
    text = sheet_page(found).decode()
    assert "<b>menu</b>: remove of calm was not made: &#34;#menu&#34; matches 0 elements" in text
    assert "2 edits not made" in text  # a stranger is new, too


def test_a_persona_or_moment_that_the_rules_do_not_know_is_a_broken_cell() -> None:
    made = world()
    wish = Wish(("/",), (), ("2026-02-31",))
    found = asyncio.run(ask_sheet(proxy_of(made), wish, (Persona("olga"),), now=made.now))
    said = cell(found, "/", "olga", "2026-02-31").problem
    assert 'unknown persona "olga"' in said
    assert "edge_at" in said


@pytest.mark.parametrize("keys", [None, Keys.parse("another-proxys-key-1f0c7be2a84b")])
def test_without_leave_there_is_no_sheet(keys: Keys | None) -> None:
    with pytest.raises(NoLeave, match="EDGEPROXY_KEYS must hold the key"):
        sheet(world(), "/", keys=keys)


def test_where_nobody_listens_every_cell_says_so() -> None:
    class Nobody(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("nobody is there")

    proxy = front("http://127.0.0.1:1", Nobody(), KEYS, NOON)
    found = asyncio.run(ask_sheet(proxy, Wish(("/",), ()), COLUMNS, now=NOON))
    assert {one.problem for one in found.cells.values()} == {"no answer: nobody is there"}


def test_an_answer_that_never_ends_is_not_waited_for() -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async def test() -> None:
        for app, words in ((endless, "more than"), (silent, "too long")):
            async with httpx.AsyncClient(transport=Inside(app, biggest=1 << 20), timeout=0.2) as client:
                with pytest.raises(httpx.HTTPError, match=words):
                    await client.get("http://shop.example/")

    asyncio.run(test())


def test_whatever_the_shop_says_is_text_in_the_sheet() -> None:
    hostile = "<script>alert(1)</script>"
    body = PAGE.replace(b"Old", b"</p>" + hostile.encode() + b"<p>&lt;script>alert(2)&lt;/script>")
    made = world(Shop(Told(chunks=(body,))))
    found = sheet(made, "/")
    named = replace(found, personas=tuple(replace(one, says=hostile) for one in found.personas))
    text = sheet_page(named).decode()
    assert "<script" not in text
    assert text.count('sandbox=""') == 4
