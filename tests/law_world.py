"""What the laws are shown on: a small shop's rules, visitors as tests draw them, and what each of them must get.

Expectations are worked out here by joining strings, never by the code under test.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from edgeproxy.core.flags import PreviewFlags
from edgeproxy.core.signing import Keys
from edgeproxy.core.tokens import Leave, Session, sign_session
from edgeproxy.core.visitor import sign
from tests.world import KEYS, NOON, Got, World

RULES: Mapping[str, str] = {
    "shop.toml": """
        format = 1
        timezone = "UTC"
        stages = ["new", "exploring", "loyal"]
        segments = ["outdoor", "city"]
        without_cookie = "new"
        order = ["calm", "trail", "thanks", "phones", "later"]
        never = ["/checkout/**"]
    """,
    "slots.toml": """
        [menu]
        find = "#menu"
        on = ["/", "/c/**"]
        [hero]
        find = ".hero"
        on = ["/", "/c/**"]
    """,
    "audiences.toml": """
        [newcomers]
        stage = ["new", "exploring"]
        [walkers]
        segment = "outdoor"
        [regulars]
        stage = "loyal"
    """,
    "experiences/calm.toml": """
        for = "newcomers"
        [[edit]]
        slot = "menu"
        remove = true
    """,
    "experiences/trail.toml": """
        for = "walkers"
        [[edit]]
        slot = "hero"
        before = { html = "<aside>{{ segment }}</aside>" }
    """,
    "experiences/thanks.toml": """
        for = "regulars"
        [[edit]]
        slot = "hero"
        inner = "thanks.html"
    """,
    "experiences/phones.toml": """
        for = "everyone"
        when = { device = "mobile" }
        [[edit]]
        slot = "hero"
        attributes = { data-phone = "yes" }
    """,
    "experiences/later.toml": """
        for = "everyone"
        from = 2026-07-01
        [[edit]]
        slot = "menu"
        hide = true
    """,
    "fragments/thanks.html": "<p>Good to see you, {{ stage }}</p>",
}
MENU = b'<nav id="menu"><a href="/a">A</a></nav>'
HERO = b'<section class="hero">Old</section>'
HTML = ("Content-Type", "text/html; charset=utf-8")
PHONE = ("Sec-CH-UA-Mobile", "?1")
HEAD = b"<!DOCTYPE html>\n<html><head><title>Shop</title></head><body>\n"
MIDDLE = b"<p>" + b"between " * 40 + b"</p>"
PAGE = HEAD + MENU + b"\n<p>between</p>\n" + HERO + b"<p>" + b"x" * 300 + b"</p></body></html>"
FORGERS = Keys.parse("1c0ffee4aabbccdd5e6f7081923a4b5d")


@cache
def world() -> World:
    """One proxy for all examples of all laws: what one of them leaves behind must not matter to the next."""
    return World(rules=RULES)


def ask(asked: World, target: str | bytes = "/", **how: Any) -> Got:
    """Ask a proxy that has kept nothing so far."""
    assert asked.parts.cache is not None
    asked.parts.cache.clear()
    asked.parts.proxy.forget()
    return asyncio.run(asked.ask(target, **how))


@dataclass(frozen=True)
class Who:
    """A visitor as a test draws one."""

    stage: str | None = None  # None: without a cookie of the shop's
    segments: tuple[str, ...] = ()
    phone: bool = False
    id: str | None = None
    others: tuple[str, ...] = ()  # cookies that no rule looks at
    coding: str = ""

    def headers(self, at: float = NOON) -> list[tuple[str, str]]:
        cookies = list(self.others)
        if self.stage is not None:
            value = sign(KEYS, at, stage=self.stage, segments=self.segments, id=self.id)
            cookies.insert(len(cookies) // 2, f"edge_visitor={value}")
        lines = [("Cookie", "; ".join(cookies))] if cookies else []
        lines += [PHONE] if self.phone else []
        return [*lines, ("Accept-Encoding", self.coding)] if self.coding else lines

    def menu(self) -> bytes:
        """What the rules above make of ``MENU`` for this visitor."""
        return b"" if self.stage in {None, "new", "exploring"} else MENU

    def hero(self) -> bytes:
        """What they make of ``HERO``."""
        attribute = b' data-phone="yes"' if self.phone else b""
        inner = b"<p>Good to see you, loyal</p>" if self.stage == "loyal" else b"Old"
        aside = b"<aside>outdoor</aside>" if self.stage is not None and "outdoor" in self.segments else b""
        return aside + b'<section class="hero"' + attribute + b">" + inner + b"</section>"

    def page(self, before: bytes, between: bytes, after: bytes) -> bytes:
        return before + self.menu() + between + self.hero() + after


STAGES = st.sampled_from([None, "new", "exploring", "loyal", "unheard-of"])
OTHERS = st.lists(
    st.from_regex(r"\A[a-z]{1,8}=[A-Za-z0-9_.%-]{0,12}\Z").filter(lambda one: not one.startswith("edge_")), max_size=3
)
CODINGS = st.sampled_from(["", "gzip", "identity", "gzip;q=0"])
VISITORS = st.builds(
    Who,
    STAGES,
    st.lists(st.sampled_from(["outdoor", "city", "ski"]), unique=True, max_size=2).map(tuple),
    st.booleans(),
    st.none() | st.from_regex(r"\A[A-Za-z0-9_-]{1,12}\Z"),
    OTHERS.map(tuple),
    CODINGS,
)


def plain(got: Got) -> dict[str, list[str]]:
    """The lines of an answer without what differs from one request to the next by nature."""
    return {name: got.get(name) for name, _ in got.headers if name != "server-timing"}


def in_pieces(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in pairwise(places)]


def session(**flags: object) -> str:
    """A preview cookie with leave to look at anything."""
    value = sign_session(Session(Leave.ANY, PreviewFlags(**flags), int(NOON + 600)), KEYS)  # type: ignore[arg-type]
    return f"edge_preview={value}"


def clear(lines: Iterable[tuple[str, str]], raw: bytes) -> bytes:
    """A body as its head says that it is to be read."""
    return (
        gzip.decompress(raw) if ("content-encoding", "gzip") in {(key.lower(), value) for key, value in lines} else raw
    )


def faults(asked: World) -> float:
    """How many failures of our own have been counted."""
    return asked.parts.journal.faults.get()
