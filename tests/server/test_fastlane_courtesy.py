"""Courtesy in the fast lane: what is counted is the app's, and a wish is kept there as everywhere."""

from __future__ import annotations

from dataclasses import replace

from edgeproxy.core import state
from edgeproxy.core.memory import Memory, Preference, begun
from tests.server.test_fastlane import BODY, Front, body_of, told
from tests.server.wire import run
from tests.test_courtesy import POLITE
from tests.world import KEYS, NOON, Shop, World

HOUR = 3600
QUIET = {**POLITE, "experiences/reminder.toml": POLITE["experiences/reminder.toml"].replace("2 hours", "1 hours")}


def cookie(memory: Memory) -> str:
    return f"Cookie: edge_state={state.sign(memory, KEYS, NOON).value}"


def waiting(**said: object) -> Memory:
    return replace(begun(NOON, "a1"), **said)  # type: ignore[arg-type]  # names are checked by replace


def test_a_page_whose_showing_counts_is_the_apps_and_the_same_page_without_it_is_not() -> None:
    async def story() -> None:
        front = Front(World(shop=Shop(told()), rules=QUIET))
        minute = int(NOON // 60)
        none = cookie(waiting())
        assert body_of(await front.warm(none)) == BODY
        due = cookie(waiting(events=(("basket", minute - 300),)))
        for _ in range(5):
            assert not await front.is_fast(due), "it is shown, and has to be remembered"
        assert b"A basket waits" in await front.ask(due)
        code = next(iter(front.world.books.book.showings)) if front.world.books.book else ""
        seen = cookie(waiting(events=(("basket", minute - 300),), shown=((code, (minute,)),)))
        assert body_of(await front.warm(seen)) == BODY, "shown a moment ago: too soon"

    run(story())


def test_who_switched_it_off_gets_the_shops_page_there_too() -> None:
    async def story() -> None:
        front = Front()  # rules that look at no memory: a newcomer's menu is taken away
        changed = body_of(await front.warm())
        assert changed != BODY
        for wish in (Memory(prefers=Preference.OFF, opted_out=True), waiting(prefers=Preference.OFF, opted_out=True)):
            for _ in range(5):
                assert body_of(await front.ask(cookie(wish))) == BODY
        assert body_of(await front.ask()) == changed

    run(story())
