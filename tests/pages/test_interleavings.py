"""Nobody ever gets another's page: visitors, answers that are late, reloads, purges and clocks in any order.

The shop here is the worst there is: it writes who asked into every page, also into those that it calls public, and a
new token into some.  Whatever happens in whatever order, a visitor sees their own edits, their own name or nobody's,
their own language or none, a token that nobody else has; and a 304 confirms only what they would get.  Who asks after
a purge, or after somebody has changed something there, sees nothing that the shop made before.

``EDGEPROXY_INTERLEAVINGS=10000 pytest tests/pages/test_interleavings.py`` runs so many.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeproxy.core.model import RuleBook
from edgeproxy.core.paths import compile_paths
from edgeproxy.origin import ShopRefused
from edgeproxy.settings import Limits
from tests.world import CALM, PAGE, RULES, THANKS, Asked, Got, Shop, Told, World, book_of

EXAMPLES = int(os.environ.get("EDGEPROXY_INTERLEAVINGS", "80"))

CACHE = """
        [[cache]]
        on = ["/", "/c/ruled", "/c/token"]
        for = "{seconds} seconds"
        stale_for = "60 seconds"
        stale_if_error = "300 seconds"
        bypass_cookies = "sid"
        ignore_cookies = "theme"
"""


def rules(seconds: int, thanks: str) -> dict[str, str]:
    made: Mapping[str, str] = RULES
    return {
        **made,
        "shop.toml": made["shop.toml"] + CACHE.format(seconds=seconds),
        "fragments/thanks.html": f"<p>{thanks}</p>",
    }


WORDS = ("Good to see you", "Another word", "Good to see you")
BOOKS: tuple[RuleBook, ...] = tuple(
    book_of(rules(seconds, word)) for seconds, word in zip((60, 60, 30), WORDS, strict=True)
)
PATHS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "/": (("Cache-Control", "private, no-store"),),
    "/c/ruled": (("ETag", '"shop"'),),
    "/c/token": (),
    "/c/public": (("Cache-Control", "public, max-age=60, stale-while-revalidate=60"), ("ETag", '"shop"')),
    "/c/varied": (("Cache-Control", "public, max-age=60"), ("Vary", "Accept-Language")),
    "/c/by-cookie": (("Cache-Control", "public, max-age=60"), ("Vary", "Cookie")),
    "/c/lie": (("Cache-Control", "max-age=60"),),
    "/c/mine": (("Cache-Control", "private, no-cache"), ("ETag", '"shop"')),
    "/c/new": (("Cache-Control", "public, max-age=60"), ("Set-Cookie", "x=1")),
}
FOR_ALL = frozenset({"/c/public", "/c/varied"})
"""Where the shop itself says that even who has a session gets everybody's page."""

MARK = re.compile(rb"<!-- who=(\w*) language=(\w*) token=(\w*) version=(\d+) -->")


@dataclass(frozen=True)
class Visitor:
    stage: str | None
    session: str  # "": none
    theme: bool
    language: str

    def headers(self) -> list[tuple[str, str]]:
        cookies = [f"sid={self.session}"] if self.session else []
        cookies += ["theme=dark"] if self.theme else []
        lines = [("cookie", "; ".join(cookies))] if cookies else []
        return [*lines, ("accept-language", self.language)] if self.language else lines

    def page(self, word: str) -> bytes:
        if self.stage == "loyal":
            return THANKS.replace(b"Good to see you", word.encode())
        return CALM if self.stage in {None, "new"} else PAGE


VISITORS = st.builds(
    Visitor,
    st.sampled_from([None, "new", "loyal", "unheard-of"]),
    st.sampled_from(["", "", "jane", "joe"]),
    st.booleans(),
    st.sampled_from(["", "sv", "de"]),
)
TAGS = st.sampled_from(["", "", "mine", "another's", '"shop"', "*"])
ASK = st.tuples(st.just("ask"), VISITORS, st.sampled_from(sorted(PATHS)), TAGS)
OPS = st.one_of(
    ASK,
    ASK,
    ASK,
    st.tuples(st.just("answer"), st.integers(0, 5)),
    st.tuples(st.just("clock"), st.sampled_from([1, 29, 31, 59, 61, 130, 400, -500])),
    st.tuples(st.just("book"), st.integers(0, len(BOOKS) - 1)),
    st.tuples(st.just("purge"), st.sampled_from(["/**", "/c/**", "/", "/c/public"])),
    st.tuples(st.just("post"), st.sampled_from(sorted(PATHS))),
    st.tuples(st.just("change")),
    st.tuples(st.just("fail"), st.sampled_from(["", "", "refused", "503"])),
)


@dataclass
class Late:
    """A shop that answers a question when it is told to, with pages as they were when it was asked."""

    world: World | None = None
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    failing: str = ""
    count: int = 0
    version: int = 0  # of its pages

    def answer(self, asked: Asked) -> Told | Exception:
        path = asked.target.partition(b"?")[0].decode()
        if asked.method == "POST":
            self.version += 1
        if self.failing == "refused":
            return ShopRefused("refused", "no connection")
        if self.failing == "503":
            return Told(503, [("Content-Type", "text/html")], [b"<p>busy"])
        lines = [("Content-Type", "text/html; charset=utf-8"), *PATHS.get(path, ())]
        found = re.search(r"sid=(\w+)", "; ".join(asked.get("cookie")))
        if asked.get("if-none-match") == ['"shop"'] and ("ETag", '"shop"') in lines and found is None:
            return Told(304, lines[1:], [])
        self.count += 1
        token = f"t{self.count}" if path == "/c/token" else ""
        field_ = f'<input type=hidden name=csrf_token value="secret{self.count}">' if token else ""
        who = found[1] if found else ""
        language = "".join(asked.get("accept-language"))
        mark = f"<!-- who={who} language={language} token={token} version={asked.get('as-of')[0]} -->{field_}"
        return Told(200, lines, [PAGE + mark.encode()])

    async def handle(self, inner: Any, request: httpx.Request) -> httpx.Response:
        request.headers["as-of"] = str(self.version)
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            await turn
        finally:
            if turn in self.waiting:
                self.waiting.remove(turn)
        response: httpx.Response = await inner(request)
        return response

    def release(self, which: int) -> None:
        if self.waiting:
            turn = self.waiting.pop(which % len(self.waiting))
            if not turn.done():
                turn.set_result(None)


@dataclass
class Seen:
    """What was told so far, by whom."""

    bodies: dict[tuple[str, str], tuple[bytes, Visitor]] = field(default_factory=dict)  # by path and our ETag
    tokens: dict[bytes, Visitor] = field(default_factory=dict)

    def check(self, visitor: Visitor, path: str, got: Got, words: set[str], asked_tag: str, oldest: int) -> None:
        if got.status in {502, 503}:
            return
        if got.status == 304:
            assert asked_tag.startswith('"edge-'), "the shop's own tag, or *, confirmed an edited page"
            body, _ = self.bodies[path, asked_tag]
        else:
            assert got.status == 200
            body = got.body
        mark = MARK.search(body)
        assert mark is not None
        assert body[: mark.start()] in {visitor.page(word) for word in words}, "another's variant"
        who, language, token = mark[1].decode(), mark[2].decode(), mark[3]
        assert who == visitor.session or (who == "" and path in FOR_ALL), "another's name, or nobody's"
        assert language == visitor.language or (language == "" and path != "/c/varied"), "another's language"
        assert got.status == 304 or int(mark[4]) >= oldest, "from before a purge or a change"
        if token:
            assert self.tokens.setdefault(token, visitor) is visitor, "another's token"
        if got.status == 200:
            for tag in got.get("etag"):
                assert self.bodies.setdefault((path, tag), (body, visitor))[0] == body, "one tag for two bodies"
        assert got.get("cache-control")[0].startswith("private")
        assert got.get("set-cookie") in ([], ["x=1"])


async def played(ops: list[tuple[Any, ...]]) -> None:
    late = Late()
    shop = Shop(late.answer)
    inner = shop.handle_async_request
    shop.handle_async_request = lambda request: late.handle(inner, request)  # type: ignore[method-assign]  # as above
    world = World(shop, rules(60, WORDS[0]), settings={"limits": Limits(cache_bytes=24 * 1024)})
    world.ticks = 0.0
    world.books.book = BOOKS[0]
    cache = world.parts.cache
    assert cache is not None
    for path in PATHS:  # the neighbourhood has been seen to share
        cache.known.prospects.shared(b"shop.example", path.encode())
    seen = Seen()
    live = {0}  # books since the last request that is still on its way
    oldest = dict.fromkeys(PATHS, 0)  # version that who asks now may see
    running: dict[asyncio.Task[Got], tuple[Visitor, str, set[int], str, int]] = {}

    def settle(task: asyncio.Task[Got]) -> None:
        visitor, path, books, tag, version = running.pop(task)
        seen.check(visitor, path, task.result(), {WORDS[one] for one in books}, tag, version)

    async def breathe() -> None:
        for _ in range(12):
            await asyncio.sleep(0)
        for task in [one for one in running if one.done()]:
            settle(task)

    for op in ops:
        match op:
            case ("ask", visitor, path, tag):
                said = tag
                if tag in {"mine", "another's"}:
                    tags = [
                        key[1]
                        for key, (_, by) in seen.bodies.items()
                        if key[0] == path and (by == visitor) == (tag == "mine")
                    ]
                    said = tags[-1] if tags else ""
                headers = [*visitor.headers(), *([("if-none-match", said)] if said else [])]
                task = asyncio.create_task(world.ask(path, stage=visitor.stage, headers=headers))
                books = {BOOKS.index(world.books.book)} if world.books.book is not None else set()
                running[task] = (visitor, path, books, said, oldest[path])
            case ("answer", which):
                late.release(which)
            case ("clock", seconds):
                world.now += seconds
                world.ticks += max(seconds, 1)
            case ("book", which):
                world.books.book = BOOKS[which]
                live.add(which)
            case ("purge", pattern):
                paths = compile_paths([pattern])
                cache.purge(paths)
                oldest |= {path: late.version for path in PATHS if paths.match(path)}
            case ("post", path):
                asking = asyncio.create_task(world.ask(path, method="POST", body=[b"a=1"]))
                await breathe()
                late.release(-1)
                await breathe()
                while not asking.done():
                    late.release(0)
                    await breathe()
                if asking.result().status == 200:
                    oldest[path] = late.version
            case ("change",):
                late.version += 1
            case ("fail", how):
                late.failing = how
        await breathe()
    late.failing = ""
    while running:
        late.release(0)
        await breathe()
    while late.waiting:
        late.release(0)
        await breathe()
    await cache.close()
    world.parts.journal.close()  # its thread, of so many worlds
    assert cache.store.size <= 24 * 1024
    assert world.parts.journal.faults.get() == 0


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OPS, min_size=5, max_size=40))
def test_nobody_gets_anothers_page(ops: list[tuple[Any, ...]]) -> None:
    asyncio.run(played(ops))
