"""A preview is the live page: for a thousand visitors, pages and moments, byte for byte, but for the bar."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgeproxy import recordings
from edgeproxy.core import state
from edgeproxy.core.flags import PreviewFlags
from edgeproxy.core.memory import moored
from edgeproxy.core.tokens import Leave, Session, sign_session
from edgeproxy.core.visitor import sign
from edgeproxy.rulebook import load
from tests.world import KEYS, NOON, Asked, Shop, Told, World

pytestmark = pytest.mark.anyio

RULES = Path(__file__).parents[1] / "rules"
PAGES = recordings.read(RULES)
SEED = 20261128
TIMES = 1000
YEAR = 365 * 86400
HTML = "text/html; charset=utf-8"


def answer(asked: Asked) -> Told:
    """The demo's own pages as they were recorded, whoever asks."""
    return Told(headers=[("Content-Type", HTML)], chunks=[PAGES[asked.target.decode().partition("?")[0]].body])


def without_the_bar(shown: bytes, live: bytes) -> bytes:
    """What is left when the one thing that a preview inserts is taken out."""
    start = shown.index(b"<edge-preview>")
    end = shown.rindex(b"</edge-preview>") + len(b"</edge-preview>")
    closing = start
    while not live.startswith(shown[:closing]):  # what was left open is closed before the bar
        closing = shown.rindex(b"</", 0, closing)
    return shown[:closing] + shown[end:]


async def test_a_thousand_previews_are_what_visitors_get() -> None:
    book = load(RULES, now=NOON).book
    assert book is not None
    dice = random.Random(SEED)
    live, preview = World(Shop(answer)), World(Shop(answer))
    live.books.book = preview.books.book = book
    changed = 0
    assert any(one.visitor.memory is not None for one in book.personas.values()), "some are known by what is remembered"
    for number in range(TIMES):
        page = dice.choice([*PAGES, *(f"{path}?color=red" for path in PAGES)])
        at = NOON + dice.randrange(-YEAR, YEAR) // 60 * 60
        headers = [
            ("user-agent", dice.choice(["Desktop", "Phone Mobile"])),
            ("accept-language", dice.choice(["sv", "en", "de"])),
        ]
        persona = dice.choice([None, *book.personas])
        if persona is None:
            stage = dice.choice(book.shop.stages)
            segments = tuple(one for one in book.shop.segments if dice.random() < 0.4)
            flags = PreviewFlags(stage=stage, segments=segments)
            own = [f"edge_visitor={sign(KEYS, at, stage=stage, segments=segments)}"]
        else:
            visitor = book.personas[persona].visitor
            flags = PreviewFlags(persona=persona)
            own = []
            if visitor.stage is not None or visitor.segments or visitor.id is not None:
                told = sign(KEYS, at, stage=visitor.stage, segments=visitor.segments, id=visitor.id)
                own.append(f"edge_visitor={told}")
            if visitor.memory is not None:
                own.append(f"edge_state={state.sign(moored(visitor.memory, at), KEYS, at).value}")
        live.now = at
        cookies = [("cookie", "; ".join(own))] if own else []
        right = await live.ask(page, headers=[*headers, *cookies, ("accept", "*/*")])
        moment = datetime.fromtimestamp(at, UTC).isoformat()
        flags = PreviewFlags(flags.stage, flags.segments, flags.persona, at=moment)
        session = sign_session(Session(Leave.ANY, flags, int(NOON + 600)), KEYS)
        barred = number % 10 == 0
        accept = ("accept", "text/html" if barred else "*/*")
        seen = await preview.ask(page, headers=[*headers, accept, ("cookie", f"edge_preview={session}")])
        body = without_the_bar(seen.body, right.body) if barred else seen.body
        assert body == right.body, (page, persona, flags, moment)
        changed += right.body != PAGES[page.partition("?")[0]].body
    assert TIMES * 0.3 < changed < TIMES, "some pages are edited, and some are not"
