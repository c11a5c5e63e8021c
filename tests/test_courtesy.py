"""Courtesy through the whole proxy: a showing counts when the page with the edit went out, and then alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.test_early import before, turns
from tests.test_remember import Browser
from tests.world import PAGE, RULES, Told, World

pytestmark = pytest.mark.anyio

DAY, HOUR, MINUTE = 86_400.0, 3_600.0, 60.0
HELLO = b"A basket waits"

POLITE: Mapping[str, str] = {
    **RULES,
    "shop.toml": """
        format = 1
        timezone = "Europe/Stockholm"
        stages = ["new", "loyal"]
        order = ["reminder", "calm", "thanks"]
        segments = ["outdoor"]
        without_cookie = "untouched"
        [consent]
        needed = false
    """,
    "lifecycle.toml": """
        [events]
        basket = "/basket"
        order = "/checkout/thanks"
        [[stage]]
        name = "new"
    """,
    "experiences/reminder.toml": """
        for = "everyone"
        not_before = "2 hours after basket"
        gap = "24 hours"
        cap = "2 a week"
        stop_after = "order"
        [[edit]]
        slot = "hero"
        inner = { text = "A basket waits" }
    """,
    "experiences/calm.toml": """
        for = "newcomers"
        enabled = false
        [[edit]]
        slot = "menu"
        remove = true
    """,
}


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Stockholm")).timestamp()


async def ready(rules: Mapping[str, str] = POLITE) -> tuple[World, Browser]:
    """Somebody who left a basket more than two hours ago."""
    world = World(rules=rules)
    eva = Browser(world)
    await eva.go("/basket")
    world.now += 3 * HOUR
    return world, eva


def shown(eva: Browser) -> int:
    return sum(len(times) for _, times in eva.memory.shown)


async def test_the_nagging_diary() -> None:
    """Reminders wanted at 15:05, 16:05, 20:05 and 08:05 the next day: one is shown, and at most two could be."""
    world = World(rules=POLITE)
    eva = Browser(world)
    seen = []
    world.now = at("2026-06-01T15:00")
    await eva.go("/basket")
    for when in ("01T15:05", "01T16:05", "01T20:05", "02T08:05"):
        world.now = at(f"2026-06-{when}")
        if HELLO in (await eva.go()).body:
            seen.append(when)
    assert seen == ["01T20:05"]
    for when in ("02T20:06", "02T20:07", "04T08:05", "06T08:05"):
        world.now = at(f"2026-06-{when}")
        if HELLO in (await eva.go()).body:
            seen.append(when)
    assert seen == ["01T20:05", "02T20:06"]
    world.now = at("2026-06-09T20:06")  # a week later the cap has room again; an order ends it
    await eva.go("/checkout/thanks")
    assert HELLO not in (await eva.go()).body


async def test_a_page_that_went_out_with_the_edit_counts() -> None:
    _, eva = await ready()
    got = await eva.go()
    assert HELLO in got.body
    assert shown(eva) == 1
    assert got.one("cache-control") == "private, no-cache"
    assert HELLO not in (await eva.go()).body


async def test_what_was_decided_and_not_made_does_not_count() -> None:
    world, eva = await ready()
    world.shop.answer = Told(chunks=(PAGE.replace(b'class="hero"', b'class="other"'),))
    await eva.go()
    await eva.go("/elsewhere")
    world.shop.answer = Told(status=404)
    await eva.go()
    assert shown(eva) == 0
    world.shop.answer = Told()
    assert HELLO in (await eva.go()).body


@pytest.mark.parametrize(
    "headers",
    [
        [("sec-purpose", "prefetch")],
        [("sec-purpose", "prefetch;prerender")],
        [("purpose", "prefetch")],
        [("sec-fetch-dest", "empty")],
    ],
)
async def test_what_is_fetched_and_not_gone_to_does_not_count(headers: list[tuple[str, str]]) -> None:
    _, eva = await ready()
    await eva.go(headers=headers)
    assert shown(eva) == 0


async def test_head_does_not_count() -> None:
    _, eva = await ready()
    await eva.go(method="HEAD")
    assert shown(eva) == 0
    assert HELLO in (await eva.go()).body


async def test_a_preview_does_not_count() -> None:
    world = World(rules=POLITE, settings={"preview": "open", "hosts": ("127.0.0.1",)})
    eva = Browser(world)
    got = await world.ask("/?edge_experience=reminder", host="127.0.0.1", client="127.0.0.1")
    assert HELLO in got.body
    assert not any(line.startswith("edge_state=") for line in got.get("set-cookie"))
    assert eva.state is None


async def test_without_consent_it_is_not_shown_and_explain_says_why() -> None:
    rules = {**POLITE, "shop.toml": POLITE["shop.toml"].replace("needed = false", 'cookie = "ok"\nyes = "yes"')}
    world = World(rules=rules)
    eva = Browser(world)
    await eva.go("/basket")
    world.now += 3 * HOUR
    assert HELLO not in (await eva.go()).body
    assert eva.state is None
    agreed = Browser(world, others=["ok=yes"])
    await agreed.go("/basket")
    world.now += 3 * HOUR
    assert HELLO in (await agreed.go()).body


async def test_a_state_cookie_that_proves_nothing_shows_nothing() -> None:
    _, eva = await ready()
    assert eva.state is not None
    eva.state = eva.state[:-2] + ("AA" if not eva.state.endswith("AA") else "BB")
    assert HELLO not in (await eva.go()).body


@pytest.mark.parametrize("polite", [True, False])
async def test_the_head_of_a_page_that_leaves_early_remembers_the_visit_and_waits_where_something_is_counted(
    polite: bool,
) -> None:
    """It is known only at a page's end what it shows: one that may show what is counted waits for it."""
    quiet = POLITE["experiences/reminder.toml"].replace("not_before", "#").replace("gap", "#").replace("cap", "#")
    rules = {**POLITE, "slots.toml": POLITE["slots.toml"].replace("[hero]", '[hero]\nexpect = "any"')}
    if not polite:
        rules["experiences/reminder.toml"] = quiet.replace("stop_after", "#")
    early = World(rules=rules, settings={"early_flush": 1e-6})
    eva = Browser(early)
    await eva.go("/basket")
    early.now += 3 * HOUR
    early.shop.answer = before(PAGE[:-20] + b"<p>more</p>" * 400, turns, PAGE[-20:])
    got = await eva.go()
    assert HELLO in got.body
    assert shown(eva) == int(polite)
    assert eva.memory.visits == 2
    assert bool(got.get("content-length")) is polite


async def test_a_cached_page_counts_for_each_who_sees_it() -> None:
    rules = {**POLITE, "shop.toml": POLITE["shop.toml"] + '\n[[cache]]\non = "/"\nfor = "10 minutes"\n'}
    world, eva = await ready(rules)
    bo = Browser(world)
    await bo.go("/basket")
    world.now += 3 * HOUR
    world.shop.asked.clear()
    for one in (eva, bo):
        assert HELLO in (await one.go()).body
        assert shown(one) == 1
        assert HELLO not in (await one.go()).body
    assert len(world.shop.asked) == 1
