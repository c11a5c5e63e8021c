"""The fast lane on the wire: the same bytes as the app gives, for exactly those who would get them, until they end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from edgeproxy.core import state
from edgeproxy.core.memory import Memory
from edgeproxy.core.visitor import sign
from edgeproxy.server import quick
from edgeproxy.server.guard import Guard
from edgeproxy.settings import Limits
from tests.server.wire import Noted, Pipe, pipe, run, serving
from tests.test_remember import LIFE
from tests.world import CALM, KEYS, NOON, PAGE, RULES, THANKS, Asked, Shop, Told, World, book_of

LONG = b"<p>lorem ipsum dolor sit amet</p>\n" * 20
BODY = PAGE.replace(b"</main>", LONG + b"</main>")
HEADERS = (("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "public, max-age=60"), ("ETag", '"shop"'))
SHORT = (*HEADERS[:1], ("Cache-Control", "public, max-age=30"), *HEADERS[2:])


def told(body: bytes = BODY, headers: Any = HEADERS) -> Told:
    return Told(headers=headers, chunks=[body])


@dataclass
class Front:
    """A proxy with its fast lane, and connections to it."""

    world: World = field(default_factory=lambda: World(shop=Shop(told())))
    limits: Limits = Limits()  # noqa: RUF009 - frozen
    trusted: tuple[str, ...] = ()
    noted: Noted = field(default_factory=Noted)
    apps: int = 0  # requests that the app was called for

    def __post_init__(self) -> None:
        self.guard = self.noted.guard(self.limits, self.trusted)
        self.guard.lane = self.world.parts.proxy.lane
        assert self.guard.lane is not None
        self.lane = self.guard.lane
        self.plain = self.noted.guard(self.limits, self.trusted)  # of listeners without a fast lane

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The app, counted."""
        self.apps += 1
        await self.world.parts.proxy(scope, receive, send)

    def connect(self, guard: Guard | None = None, peer: str = "203.0.113.9") -> Pipe:
        return pipe(self, guard or self.guard, peer=peer)

    async def ask(self, *lines: str, target: str = "/", method: str = "GET", connection: Pipe | None = None) -> bytes:
        """What one request gets."""
        connection = connection or self.connect()
        before = len(connection.out)
        return (await spoken(connection, head(*lines, target=target, method=method)))[before:]

    async def warm(self, *lines: str, target: str = "/") -> bytes:
        """Ask until the fast lane answers; what it answers."""
        for _ in range(2000):
            apps = self.apps
            out = await self.ask(*lines, target=target)
            if self.apps == apps:
                return out
        raise AssertionError("the fast lane never answered")

    async def is_fast(self, *lines: str, **more: Any) -> bool:
        apps = self.apps
        await self.ask(*lines, **more)
        return self.apps == apps


async def spoken(connection: Pipe, *pieces: bytes) -> bytes:
    """Everything that has left a connection once what was said last is answered, whatever threads it takes."""
    await connection.say(*pieces)
    while tasks := tuple(connection.protocol.tasks):
        await asyncio.wait(tasks)
        await connection.settle()
    return bytes(connection.out)


def head(*lines: str, target: str = "/", method: str = "GET", host: str = "shop.example") -> bytes:
    text = [f"{method} {target} HTTP/1.1", *([f"Host: {host}"] if host else []), *lines, "", ""]
    return "\r\n".join(text).encode("latin-1")


def cookie(stage: str, *, at: float = NOON, **more: Any) -> str:
    return f"Cookie: edge_visitor={sign(KEYS, at, stage=stage, **more)}"


def timeless(data: bytes) -> bytes:
    """Without what time alone changes."""
    data = re.sub(rb"dur=[0-9.]+", b"~", data)
    return re.sub(rb"[0-9a-f]{16}(?=\W)", b"~", data) if b"HTTP/1.1 4" in data else data


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


# ------------------------------------------------------------------ the same as the app

TAG = re.compile(rb'etag: ("[^"]+")')

CORPUS: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "a plain request": ("GET", (), "/"),
    "HEAD": ("HEAD", (), "/"),
    "kept alive by name": ("GET", ("Connection: keep-alive",), "/"),
    "the last of its connection": ("GET", ("Connection: close",), "/"),
    "HEAD, and the last": ("HEAD", ("Connection: close",), "/"),
    "the last, and unchanged": ("GET", ("Connection: close", "If-None-Match: {tag}"), "/"),
    "br": ("GET", ("Accept-Encoding: gzip, deflate, br, zstd",), "/"),
    "zstd": ("GET", ("Accept-Encoding: zstd",), "/"),
    "gzip alone": ("GET", ("Accept-Encoding: gzip;q=0.5, br;q=0",), "/"),
    "identity refused": ("GET", ("Accept-Encoding: identity;q=0",), "/"),
    "HEAD in br": ("HEAD", ("Accept-Encoding: br",), "/"),
    "what it has": ("GET", ("If-None-Match: {tag}",), "/"),
    "what it has, HEAD": ("HEAD", ("If-None-Match: {tag}",), "/"),
    "what it has, among others": ("GET", ('If-None-Match: "a", W/{tag}, "b"',), "/"),
    "what it has, in two lines": ("GET", ('If-None-Match: "a"', "If-None-Match: {tag}"), "/"),
    "what another has": ("GET", ('If-None-Match: "edge-000000000000000000000000-identity"',), "/"),
    "the same page in another coding": ("GET", ("If-None-Match: {tag}", "Accept-Encoding: br"), "/"),
    "anything": ("GET", ("If-None-Match: *",), "/"),
    "a list that is none": ("GET", ("If-None-Match: {tag} x",), "/"),
    "a date": ("GET", ("If-Modified-Since: Mon, 01 Jun 2026 12:00:00 GMT",), "/"),
    "a range": ("GET", ("Range: bytes=0-9",), "/"),
    "if-range": ("GET", ("If-Range: {tag}", "Range: bytes=0-9"), "/"),
    "authorization": ("GET", ("Authorization: Basic YTpi",), "/"),
    "no-cache": ("GET", ("Cache-Control: no-cache",), "/"),
    "a reload": ("GET", ("Pragma: no-cache", "Cache-Control: max-age=0"), "/"),
    "not to be stored": ("GET", ("Cache-Control: no-store",), "/"),
    "loyal": ("GET", ("{loyal}",), "/"),
    "new": ("GET", ("{new}",), "/"),
    "forged": ("GET", ("Cookie: edge_visitor=aa.bb.cc",), "/"),
    "doubled": ("GET", ("{loyal}", "{new}"), "/"),
    "expired": ("GET", ("{old}",), "/"),
    "a session": ("GET", ("Cookie: session=1",), "/"),
    "a session and a visitor": ("GET", ("{loyal}; session=1",), "/"),
    "analytics": ("GET", ("Cookie: _ga=1",), "/"),
    "a preview cookie": ("GET", ("Cookie: edge_preview=1",), "/"),
    "a flag": ("GET", (), "/?edge_stage=loyal"),
    "a query": ("GET", (), "/?a=1"),
    "another path": ("GET", (), "/c/boots"),
    "never": ("GET", (), "/checkout/pay"),
    "nothing there": ("GET", (), "/p/1"),
    "another method": ("POST", ("Content-Length: 0",), "/"),
    "a method that is none": ("BREW", (), "/"),
    "an empty body": ("GET", ("Content-Length: 0",), "/"),
    "a script": ("GET", ("Sec-Fetch-Dest: empty",), "/"),
    "a navigation": ("GET", ("Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate"), "/"),
    "an upgrade": ("GET", ("Upgrade: websocket", "Connection: upgrade"), "/"),
    "an expectation": ("GET", ("Expect: 100-continue",), "/"),
    "a header of its own": ("GET", ("X-Shop-Mode: wholesale",), "/"),
    "words of a proxy": ("GET", ("X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https"), "/"),
    "a phone": ("GET", ("Sec-CH-UA-Mobile: ?1", "User-Agent: Mobi"), "/"),
    "another host": ("GET", ("Host: evil.example",), "/"),
    "an absolute target": ("GET", (), "http://shop.example/"),
    "a header that is none": ("GET", ("a b: c",), "/"),
    "a path that only looks the same": ("GET", (), "/%2e/"),
    "two slashes": ("GET", (), "//"),
}
SLOW = {  # whatever is ready, these are the app's
    "a range", "if-range", "authorization", "forged", "doubled", "expired",
    "a preview cookie", "a flag", "another method",
    "a method that is none", "an empty body", "an upgrade", "an expectation", "an absolute target",
}  # fmt: skip
FAST = {  # and these are not, if nothing that counts is new about them
    "a plain request", "HEAD", "kept alive by name", "the last of its connection", "HEAD, and the last",
    "the last, and unchanged", "br", "zstd", "gzip alone", "HEAD in br", "what it has",
    "what it has, HEAD", "what it has, among others", "what another has", "the same page in another coding", "a date",
    "no-cache", "a reload", "loyal", "new", "analytics", "a navigation", "a phone", "words of a proxy",
}  # fmt: skip


def filled(lines: tuple[str, ...], tag: str) -> tuple[str, ...]:
    named = {"tag": tag, "loyal": cookie("loyal"), "new": cookie("new"), "old": cookie("loyal", at=NOON - 5e7)}
    return tuple(line.format(**named) for line in lines)


@pytest.mark.parametrize("name", CORPUS)
def test_a_request_gets_the_bytes_that_the_app_gives_it(name: str) -> None:
    method, lines, target = CORPUS[name]

    async def story() -> None:
        front = Front()
        tag = TAG.search(await front.warm())
        assert tag is not None
        lines_now = filled(lines, tag[1].decode())
        for _ in range(3):
            await front.ask(*lines_now, target=target, method=method, connection=front.connect(front.plain))
        for _ in range(12):  # whatever the lane has learnt of it by then
            slow = await front.ask(*lines_now, target=target, method=method, connection=front.connect(front.plain))
            fast = await front.ask(*lines_now, target=target, method=method)
            if (b"-best" in slow) is not (b"-best" in fast):
                continue  # the best coding was made in between
            assert timeless(fast) == timeless(slow)
        assert front.noted.faults == []
        if name in SLOW:
            assert not await front.is_fast(*lines_now, target=target, method=method)
        if name in FAST:
            assert await front.is_fast(*lines_now, "Referer: http://shop.example/another", target=target, method=method)

    run(story())


@pytest.mark.parametrize(
    ("method", "lines", "status"),
    [
        ("GET", (), 200),
        ("HEAD", (), 200),
        ("GET", ("If-None-Match: {tag}",), 304),
        ("GET", ('If-None-Match: "a"',), 200),
    ],
)
def test_what_is_usual_is_answered_without_the_app(method: str, lines: tuple[str, ...], status: int) -> None:
    async def story() -> None:
        front = Front()
        tag = TAG.search(await front.warm())
        assert tag is not None
        apps = front.apps
        connection = front.connect()
        for _ in range(3):
            out = await front.ask(*filled(lines, tag[1].decode()), method=method, connection=connection)
            assert out.startswith(b"HTTP/1.1 %d " % status)
        assert (front.apps, len(front.world.shop.asked), connection.state) == (apps, 2, "open")

    run(story())


# ------------------------------------------------------------------ who gets what


def test_a_long_head_teaches_nothing_that_would_be_held_with_the_answer() -> None:
    async def story() -> None:
        front = Front()
        for _ in range(50):
            assert b"200 OK" in await front.ask("Referer: http://x.example/" + "y" * 9000)
        assert len(front.lane) == 0
        await front.warm()
        assert len(front.lane) == 1

    run(story())


def test_each_visitor_gets_their_own_page_and_no_other() -> None:
    async def story() -> None:
        front = Front()
        assert body_of(await front.warm(cookie("loyal"))) == THANKS.replace(b"</main>", LONG + b"</main>")
        assert body_of(await front.warm(cookie("new"))) == CALM.replace(b"</main>", LONG + b"</main>")
        apps = front.apps
        assert body_of(await front.ask(cookie("loyal", id="somebody"))) == THANKS.replace(b"</main>", LONG + b"</main>")
        assert front.apps == apps, "who is decided alike gets the same"
        assert not await front.is_fast(cookie("loyal"), target="/c/boots")

    run(story())


def test_a_rollout_is_decided_by_each_visitors_id() -> None:
    async def story() -> None:
        half = {**RULES, "experiences/thanks.toml": 'share = "50%"\n' + RULES["experiences/thanks.toml"]}
        front = Front(World(shop=Shop(told()), rules=half))
        seen = set()
        for number in range(8):
            page = body_of(await front.warm(cookie("loyal", id=f"v{number}")))
            alone = await front.ask(cookie("loyal", id=f"v{number}"), connection=front.connect(front.plain))
            assert page == body_of(alone)
            seen.add(page)
        assert len(seen) == 2

    run(story())


def test_what_the_page_cache_tells_apart_is_told_apart() -> None:
    async def story() -> None:
        def shop(asked: Asked) -> Told:
            language = ",".join(asked.get("accept-language")) or "none"
            return told(BODY + f"<!-- {language} -->".encode(), (*HEADERS, ("Vary", "Accept-Language")))

        front = Front(World(shop=Shop(shop)))
        for language in ("sv", "de"):
            for _ in range(3):
                assert body_of(await front.warm(f"Accept-Language: {language}")).endswith(
                    f"<!-- {language} -->".encode()
                )
        assert not await front.is_fast("Accept-Language: fr")

    run(story())


def test_cache_rules_hold_before_the_app_too() -> None:
    rules = {
        **RULES,
        "shop.toml": RULES["shop.toml"]
        + """
        [[cache]]
        on = ["/**"]
        for = "1 minute"
        ignore_cookies = ["theme"]
        bypass_cookies = ["basket"]
        ignore_query = ["utm_*"]
        """,
    }

    async def story() -> None:
        front = Front(World(shop=Shop(told(headers=HEADERS[:1])), rules=rules))
        await front.warm()
        assert await front.is_fast("Cookie: theme=dark")
        assert await front.is_fast("Cookie: _ga=GA1.2.3; theme=dark")
        assert not await front.is_fast("Cookie: basket=1")
        assert not await front.is_fast("Cookie: theme=dark; basket=1")
        assert not await front.is_fast("Cookie: session=1")
        asked = len(front.world.shop.asked)
        await front.warm(target="/?utm_source=mail")
        assert len(front.world.shop.asked) == asked, "the same page"

    run(story())


def test_an_unusual_request_for_what_is_ready_spoils_nothing() -> None:
    async def story() -> None:
        front = Front()
        tag = TAG.search(await front.warm())
        assert tag is not None
        connection = front.connect()
        assert await front.is_fast(connection=connection)
        heads = dict(connection.protocol._heads)
        await front.ask(f"If-None-Match: W/{tag[1].decode()}")
        assert await front.is_fast(connection=connection)
        assert heads.items() <= connection.protocol._heads.items()
        assert all(found.hit.ready.until > NOON for found in heads.values())

    run(story())


def test_a_cookie_ends_with_its_age_and_its_key() -> None:
    async def story() -> None:
        front = Front()
        value = cookie("loyal", at=NOON - front.world.parts.proxy._settings.cookie.max_age + 10)
        await front.warm(value)
        front.world.now += 11
        assert not await front.is_fast(value)
        assert await front.is_fast(cookie("loyal"))
        front.world.now -= 3600
        assert not await front.is_fast(cookie("loyal")), "signed in the future, by a clock that was set back"
        front.world.now = NOON + 11
        front.world.parts.proxy.use_keys(KEYS)
        assert not await front.is_fast(cookie("loyal"))

    run(story())


def test_what_a_trusted_proxy_says_is_of_its_own_connections() -> None:
    async def story() -> None:
        world = World(shop=Shop(told()), settings={"trust": (_network("10.0.0.0/8"),)})
        front = Front(world, trusted=("10.0.0.1",))
        lines = ("X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https")
        for _ in range(2000):
            apps = front.apps
            await front.ask(*lines, connection=front.connect(peer="10.0.0.1"))
            if front.apps == apps:
                break
        assert not await front.is_fast(*lines), "http, from somebody who is not believed"
        assert await front.is_fast(*lines, connection=front.connect(peer="10.0.0.1"))
        world.parts.journal.close()
        assert " 198.51.100.0 " in world.log.getvalue().splitlines()[-1]

    run(story())


def _network(text: str) -> Any:
    from ipaddress import ip_network

    return ip_network(text)


def test_what_no_experience_can_change_is_answered_with_its_age() -> None:
    async def story() -> None:
        front = Front(World(shop=Shop(told(b"p { color: red }", (("Content-Type", "text/css"), *HEADERS[1:])))))
        first = await front.warm(target="/style.css")
        assert b"cache-control: public, max-age=60\r\n" in first
        assert b"\r\nage: 0\r\n" in first
        front.world.now += 7
        apps = front.apps
        fast = await front.ask(target="/style.css")
        assert front.apps == apps
        assert b"\r\nage: 7\r\n" in fast
        slow = await front.ask(target="/style.css", connection=front.connect(front.plain))
        assert timeless(fast) == timeless(slow)
        for line, status in (('If-None-Match: "shop"', 304), ('If-None-Match: "other"', 200)):
            apps = front.apps
            fast = await front.ask(line, "Referer: http://shop.example/", target="/style.css")
            slow = await front.ask(line, target="/style.css", connection=front.connect(front.plain))
            assert (front.apps, timeless(fast)) == (apps + 1, timeless(slow))
            assert fast.startswith(b"HTTP/1.1 %d " % status)
        assert not await front.is_fast("Range: bytes=0-3", target="/style.css")

    run(story())


def test_a_page_whose_lines_count_down_is_the_apps() -> None:
    rules = {**RULES, "experiences/calm.toml": "from = 2026-06-01T12:00:30\n" + RULES["experiences/calm.toml"]}
    rules["experiences/thanks.toml"] = "until = 2026-06-01T11:00:00\n" + RULES["experiences/thanks.toml"]

    async def story() -> None:
        front = Front(World(shop=Shop(told()), rules=rules))
        for _ in range(10):
            assert not await front.is_fast()
        front.world.now += 30
        assert body_of(await front.warm()) == CALM.replace(b"</main>", LONG + b"</main>")

    run(story())


def test_a_page_that_changes_what_is_remembered_is_the_apps_and_one_that_does_not_is_not() -> None:
    async def story() -> None:
        front = Front(World(shop=Shop(told()), rules=LIFE))

        def state_of(visits: int, *, minutes: int = 0, at: float = NOON) -> str:
            memory = Memory("a1", int(at // 86400), int(at // 60) - minutes, visits)
            return f"Cookie: edge_state={state.sign(memory, KEYS, at).value}"

        known, regular = state_of(1), state_of(2)
        assert b"set-cookie: edge_state=" in await front.ask()
        page = await front.warm(known)
        assert b"set-cookie" not in page
        assert body_of(page) == CALM.replace(b"</main>", LONG + b"</main>")
        assert body_of(await front.warm(regular)) == THANKS.replace(b"</main>", LONG + b"</main>")
        assert await front.is_fast(state_of(1, minutes=3)), "decided alike, and nothing to write"
        assert not await front.is_fast(), "somebody new is given something to remember"
        assert not await front.is_fast(state_of(1, minutes=60)), "a new visit"
        connection = front.connect()
        assert await front.is_fast(known, connection=connection)
        front.world.now += 16 * 60
        front.world.shop.answer = told(headers=(HEADERS[0], ("Cache-Control", "public, max-age=6000")))
        fresh = state_of(1, at=front.world.now)
        await front.warm(fresh)
        assert not await front.is_fast(known, connection=connection), "the same head, a quarter of an hour later"
        assert not await front.is_fast("Cookie: edge_state=forged")

    run(story())


def test_what_is_remembered_is_looked_at_again_each_minute() -> None:
    """The same head, byte for byte: a stage that decays at a whole minute decays on the fast lane too."""

    async def story() -> None:
        shop = Shop(told(headers=(HEADERS[0], ("Cache-Control", "public, max-age=6000"))))
        front = Front(World(shop=shop, rules=LIFE))
        minute = int(NOON // 60)
        ordered = minute + 1 - 90 * 24 * 60  # 90 days ago in a minute, more than that in two
        memory = Memory("a1", ordered // 1440, minute, 3, orders=1, events=(("order", ordered),))
        connection = front.connect()
        line = f"Cookie: edge_state={state.sign(memory, KEYS, NOON).value}"
        assert b"Good to see you" in await front.warm(line)
        for seconds in (1, 59, 60, 61, 119):
            front.world.now = NOON + seconds
            assert b"Good to see you" in await front.ask(line, connection=connection)
            assert await front.is_fast(line, connection=connection), f"{seconds} s later nothing has changed"
        front.world.now = NOON + 120
        assert b"Long time" in await front.ask(line, connection=connection)
        front.world.now = NOON  # a clock that is set back
        assert b"Good to see you" in await front.ask(line, connection=connection)

    run(story())


def test_a_memory_that_is_read_in_vain_changes_nothing() -> None:
    """A book that looks at no memory: the state cookie is let through, and what the visitor chose is kept apart."""

    async def story() -> None:
        front = Front()
        memory = Memory("a1", int(NOON // 86400), int(NOON // 60), 3)
        await front.warm()
        value = f"Cookie: edge_state={state.sign(memory, KEYS, NOON).value}"
        fast = await front.warm(value)
        slow = await front.ask(value, connection=front.connect(front.plain))
        assert timeless(fast) == timeless(slow)

    run(story())


# ------------------------------------------------------------------ until when


def test_it_ends_when_the_page_is_not_fresh_any_more() -> None:
    async def story() -> None:
        front = Front()
        await front.warm()
        front.world.now += 59
        assert await front.is_fast()
        front.world.now += 1
        assert not await front.is_fast()

    run(story())


@pytest.mark.parametrize("back", [0.0, 2.0])
def test_it_ends_when_the_book_next_changes_and_never_comes_back(back: float) -> None:
    rules = {**RULES, "experiences/calm.toml": "until = 2026-06-01T12:00:10\n" + RULES["experiences/calm.toml"]}

    async def story() -> None:
        front = Front(World(shop=Shop(told()), rules=rules))
        assert body_of(await front.warm()) == CALM.replace(b"</main>", LONG + b"</main>")
        front.world.now += 10
        assert body_of(await front.ask()) == BODY
        assert body_of(await front.warm()) == BODY
        front.world.now -= back
        alone = await front.ask(connection=front.connect(front.plain))
        assert body_of(await front.ask()) == body_of(alone)

    run(story())


def test_another_book_is_obeyed_at_once() -> None:
    async def story() -> None:
        front = Front()
        await front.warm()
        front.world.books.book = book_of({**RULES, "shop.toml": "enabled = false\n" + RULES["shop.toml"]})
        assert body_of(await front.ask()) == BODY
        front.world.books.book = None
        assert body_of(await front.ask()) == BODY

    run(story())


def test_a_purge_is_obeyed_at_once() -> None:
    async def story() -> None:
        front = Front()
        await front.warm()
        cache = front.world.parts.cache
        assert cache is not None
        cache.store.drop([page.key for page in cache.store])
        front.world.shop.answer = told(BODY.replace(b"lorem", b"LOREM"))
        assert b"LOREM" in body_of(await front.ask())

    run(story())


def test_an_unsafe_request_makes_the_page_old() -> None:
    async def story() -> None:
        front = Front()
        await front.warm()
        await front.ask("Content-Length: 0", method="POST")
        assert not await front.is_fast()

    run(story())


def test_a_slot_that_is_not_trusted_any_more_is_the_shops_own() -> None:
    async def story() -> None:
        front = Front()
        await front.warm()
        front.lane.forget()
        assert not await front.is_fast()
        await front.warm()

    run(story())


def test_what_the_shop_forbids_to_keep_is_never_ready() -> None:
    async def story() -> None:
        headers = (HEADERS[0], ("Cache-Control", "private"))
        front = Front(World(shop=Shop(told(headers=headers))))
        for _ in range(20):
            assert not await front.is_fast()
        assert len(front.lane) == 0

    run(story())


# ------------------------------------------------------------------ on the wire


def test_a_head_in_two_pieces_is_the_same_head() -> None:
    async def story() -> None:
        front = Front()
        await front.warm("Accept: text/html")
        raw = head("Accept: text/html")
        expected = timeless(await front.ask("Accept: text/html"))
        for at in range(1, len(raw)):
            connection = front.connect()
            apps = front.apps
            assert timeless(await connection.say(raw[:at], raw[at:])) == expected
            assert front.apps == apps

    run(story())


def test_requests_in_a_row_are_answered_in_order_by_whoever_can() -> None:
    async def story() -> None:
        front = Front()
        one = await front.warm()
        requests = [head(), head("Cache-Control: no-cache"), head(), head(method="HEAD"), head(target="/p/1"), head()]
        for raw in requests * 3:
            await spoken(front.connect(front.plain), raw)
        alone = [timeless(await spoken(front.connect(front.plain), raw)) for raw in requests]
        raw = b"".join(requests)
        for size in (len(raw), 7, len(head()), len(head()) + 1):
            connection = front.connect()
            pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
            assert timeless(await spoken(connection, *pieces)) == b"".join(alone)
        assert timeless(one) == alone[0]

    run(story())


def test_empty_lines_between_requests_are_skipped_as_ever() -> None:
    async def story() -> None:
        front = Front()
        one = timeless(await front.warm())
        connection = front.connect()
        assert timeless(await connection.say(head() + b"\r\n" + head(), b"\r\n", head())) == one * 3

    run(story())


def test_a_client_that_takes_nothing_is_given_no_more_than_it_is_owed() -> None:
    async def story() -> None:
        front = Front()
        await front.warm()
        connection = front.connect()
        connection.protocol.pause_writing()
        apps = front.apps
        await connection.say(head() * 50)
        assert front.apps == apps + 1, "the app waits until something was taken"
        connection.protocol.resume_writing()
        await connection.settle()
        assert connection.out.count(b"HTTP/1.1 200") == 50

    run(story())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_burst_of_requests_on_one_connection_makes_no_other_wait(method: str) -> None:
    """As nginx has it: one request of a connection, then the others' turn (ngx_http_set_keepalive posts an event)."""

    async def story() -> None:
        front = Front()
        await front.warm()
        await front.ask(method="HEAD")
        greedy, other = front.connect(), front.connect()
        greedy.feed(head(method=method) * 1000)
        for turn in range(1, 6):
            asked = other.out.count(b"HTTP/1.1 200")
            other.feed(head())
            assert other.out.count(b"HTTP/1.1 200") == asked + 1
            await asyncio.sleep(0)
            assert greedy.out.count(b"HTTP/1.1 200") <= turn + 1, "a request a turn"
        await greedy.settle()
        assert greedy.out.count(b"HTTP/1.1 200") == 1000

    run(story())


def test_a_burst_longer_than_what_is_held_is_answered_whole_and_in_order() -> None:
    async def story() -> None:
        front = Front()
        await front.warm()
        connection = front.connect()
        post = head("Content-Length: 50000", target="/p/1", method="POST") + b"x" * 50_000
        piece = head() * 500 + b"\r\n" + head("Cache-Control: no-cache") + post + head(method="HEAD") * 500 + head()
        for part in (piece[:70_001], piece[70_001:], piece):
            connection.feed(part)
        out = bytes(connection.out)
        for _ in range(20):
            out = await spoken(connection)
        assert out.count(b"HTTP/1.1 ") == 2 * (500 + 1 + 1 + 500 + 1)
        assert connection.state == "open"
        assert front.noted.refusals == []

    run(story())


def test_what_comes_while_a_burst_waits_for_its_turn_is_behind_it() -> None:
    async def story() -> None:
        front = Front()
        one = timeless(await front.warm())
        await front.ask(method="HEAD")
        bare = timeless(await front.ask(method="HEAD"))
        connection = front.connect()
        later = head() + head(method="HEAD")
        for piece in (head() * 3, head(method="HEAD"), later[:20], later[20:]):
            connection.feed(piece)
        await connection.settle()
        assert timeless(bytes(connection.out)) == one * 3 + bare + one + bare

    run(story())


def test_a_long_body_behind_a_burst_is_read_to_its_end() -> None:
    async def story() -> None:
        front = Front()
        await front.warm()
        connection = front.connect()
        size = 200_000
        connection.feed(head() * 2 + head(f"Content-Length: {size}", target="/p/1", method="POST") + b"x" * 40_000)
        assert connection.paused
        connection.feed(b"x" * (size - 40_000))
        out = await spoken(connection)
        assert out.count(b"HTTP/1.1 200") == 3
        assert len(front.world.shop.asked[-1].body) == size

    run(story())


def test_a_connection_that_closes_begins_nothing_more() -> None:
    async def story() -> None:
        front = Front()
        await front.warm()
        connection = front.connect()
        apps = front.apps
        connection.feed(head() + head("Cache-Control: no-cache"))
        connection.close()
        await connection.settle()
        assert front.apps == apps

    run(story())


@pytest.mark.parametrize(("more", "ready"), [((), 3), (("Range: bytes=0-1",), 2)])
def test_who_says_goodbye_behind_a_burst_gets_what_is_ready_of_it(more: tuple[str, ...], ready: int) -> None:
    async def story() -> None:
        front = Front()
        one = timeless(await front.warm())
        connection = front.connect()
        connection.feed(head() * 2 + head(*more))
        apps = front.apps
        assert connection.protocol.eof_received(), "our direction stays open"
        await connection.settle()
        assert timeless(bytes(connection.out)) == one * ready
        assert (connection.state, front.apps) == ("closed", apps)

    run(story())


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        (("Connection: close",), "1.1"),
        ((), "1.0"),
        (("Connection: keep-alive",), "1.0"),
        (("Connection: close",), "1.0"),
    ],
)
def test_proxies_that_ask_once_a_connection_are_answered_at_once(lines: tuple[str, ...], version: str) -> None:
    async def story() -> None:
        front = Front()
        await front.warm()
        raw = head(*lines).replace(b"HTTP/1.1", f"HTTP/{version}".encode())
        slow = [await spoken(front.connect(front.plain), raw) for _ in range(2)][1]
        for more in (b"", b"GET / HTTP/1.1\r\n", raw):
            for again in range(3):
                connection = front.connect()
                apps = front.apps
                fast = await spoken(connection, raw + more)
                assert timeless(fast) == timeless(slow)
                assert b"connection: close\r\n\r\n" in fast
                assert connection.state == "closed"
                assert front.apps == apps, again
                connection.leave()
        assert front.noted.faults == []

    run(story())


def test_a_shop_whose_proxies_speak_http_1_0_has_a_fast_lane_too() -> None:
    async def story() -> None:
        front = Front()
        raw = head(cookie("loyal")).replace(b"HTTP/1.1", b"HTTP/1.0")
        for _ in range(2000):
            apps = front.apps
            await spoken(front.connect(), raw)
            if front.apps == apps:
                break
        assert front.apps == apps
        hostless = raw.replace(b"Host: shop.example\r\n", b"")
        await spoken(front.connect(), hostless)
        assert front.apps == apps + 1, "whose name is only guessed"

    run(story())


def test_while_a_stop_goes_on_the_answer_ends_its_connection() -> None:
    async def story() -> None:
        front = Front()
        await front.warm()
        connection = front.connect()
        front.guard.drain()
        assert b"connection: close" in await front.ask(connection=connection)

    run(story())


def test_a_connection_that_was_answered_waits_for_its_next_request_like_any_other() -> None:
    async def story() -> None:
        front = Front()
        await front.warm()
        connection = front.connect()
        front.guard.tick(0.0)
        await front.ask(connection=connection)
        front.guard.tick(100.0)
        assert connection.state == "open"
        front.guard.tick(100.0 + front.limits.idle_seconds)
        assert connection.state == "closed"

    run(story())


@pytest.mark.parametrize("where", ["answer", "seek", "find", "remember"])
def test_a_fault_of_the_lane_is_told_and_costs_nobody_a_page(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        front = Front()
        expected = timeless(await front.warm())

        def broken(*_: Any, **__: Any) -> None:
            raise RuntimeError("a fault of ours")

        with monkeypatch.context() as patched:
            patched.setattr(type(front.lane), where, broken)
            assert timeless(await front.ask(*([] if where == "answer" else ["Accept: text/html"]))) == expected
        assert b"edgeproxy_faults_total 1.0" in front.world.parts.journal.metrics()
        await front.warm()

    run(story())


def test_a_fault_beside_the_lane_does_not_stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        def broken(*_: Any) -> None:
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr("edgeproxy.rewrite.Rewriter.tick", broken)
        front = Front()
        connection = front.connect()
        for now in (0.0, 1.0 + front.limits.header_seconds):
            front.guard.tick(now)
        assert connection.state == "closed"
        assert b"edgeproxy_faults_total 2.0" in front.world.parts.journal.metrics()

    run(story())


def test_over_a_real_socket() -> None:
    async def story() -> None:
        front = Front()
        expected = timeless(await front.warm())
        async with serving(front) as served:
            served.guard.lane = front.lane
            got = await served.ask(head() * 3 + head("Connection: close"))
            assert timeless(got).count(expected.partition(b"date:")[0]) == 4

    run(story())


# ------------------------------------------------------------------ bounded, and told


def test_no_more_is_ready_than_is_allowed_and_the_rest_is_the_apps() -> None:
    async def story() -> None:
        front = Front()
        front.lane._shelves.most = 3
        for number in range(5):
            await front.warm(target=f"/c/{number}")
        assert len(front.lane) == 3
        assert [await front.is_fast(target=f"/c/{number}") for number in (4, 3, 2, 1)] == [True, True, True, False]

    run(story())


@pytest.mark.parametrize("most", [0, 40_000])
def test_what_came_before_is_bounded(most: int) -> None:
    async def story() -> None:
        front = Front(World(shop=Shop(told()), settings={"limits": Limits(heads_bytes=most)}))
        await front.warm()
        connection = front.connect()
        familiar = front.lane.familiar("http", False)
        for number in range(300):
            for _ in range(2):
                lines = (f"User-Agent: {number}", f"Cookie: _ga={number}", f"X-Mode: {number % 50}")
                await front.ask(*lines, connection=connection)
            held = sum(map(len, familiar.heads)) + 800 * sum(map(len, familiar.gists.values()))
            if number % 7 == 0:
                front.lane.tick()
            assert held + familiar.reader.size <= max(most, 2000)
        assert await front.is_fast("User-Agent: 1") or not most

    run(story())


def test_what_is_over_is_forgotten_and_the_rest_is_not() -> None:
    """Whoever came an hour ago holds nothing of what they were answered with."""

    async def story() -> None:
        headers = {b"/": HEADERS, b"/old/1": SHORT, b"/old/2": SHORT}
        front = Front(World(shop=Shop(lambda asked: told(headers=headers[asked.target]))))
        room, familiar = front.lane._room, front.lane.familiar("http", False)
        for target in ("/", "/old/1", "/old/2"):
            await front.warm(target=target)
            for line in ("User-Agent: a", "User-Agent: b"):
                for _ in range(3):
                    assert await front.is_fast(line, target=target)
        assert (len(front.lane), len(familiar.heads)) == (3, 6)
        front.lane.tick()
        assert (len(front.lane), len(familiar.heads)) == (3, 6), "all of it is still fresh"
        front.world.now += 45
        for _ in range(3):  # the end of a round, and a whole one
            front.lane.tick()
        assert len(front.lane) == 1
        assert not [head for head in familiar.heads if b"/old" in head]
        assert set(familiar.gists) == {b"GET / HTTP/1.1"}
        taken = sum(len(head) + 400 for head in familiar.heads)
        assert room.taken == taken + sum((len(line) + 800) * len(gists) for line, gists in familiar.gists.items())
        assert await front.is_fast("User-Agent: a")
        assert not await front.is_fast("User-Agent: a", target="/old/1")

    run(story())


def test_a_head_that_comes_once_is_not_kept_whole() -> None:
    async def story() -> None:
        front = Front()
        await front.warm()
        connection = front.connect()
        for number in range(20):
            assert await front.is_fast(f"Referer: http://shop.example/{number}", connection=connection)
        heads = front.lane.familiar("http", False).heads
        assert not [raw for raw in heads if b"Referer" in raw]
        for _ in range(2):
            assert await front.is_fast("Referer: http://shop.example/7", connection=connection)
        assert len([raw for raw in heads if b"Referer" in raw]) == 1

    run(story())


@pytest.mark.parametrize("pauses", [True, False])
def test_a_ready_answer_waits_for_who_is_slow(pauses: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where asyncio's ``writelines`` would never pause us (CVE-2024-12254) it is not called; the bytes are the same."""

    async def story() -> None:
        front = Front()
        expected = await front.warm()
        connection = front.connect()
        monkeypatch.setattr(quick, "LINES_PAUSE", pauses)
        assert timeless(await front.ask(connection=connection)) == timeless(expected)
        assert bool(connection.gathered) == pauses

    run(story())


def test_each_answer_is_logged_and_counted() -> None:
    async def story() -> None:
        front = Front()
        await front.warm(cookie("loyal"))
        journal = front.world.parts.journal
        before = _counted(journal.metrics())
        lines = len(_logged(front.world))
        for _ in range(5):
            assert await front.is_fast(cookie("loyal"))
        tag = TAG.search(await front.ask(cookie("loyal")))
        assert tag is not None
        assert await front.is_fast(cookie("loyal"), f"If-None-Match: {tag[1].decode()}")
        assert await front.is_fast(cookie("loyal"), method="HEAD")
        after = _counted(journal.metrics())
        grown = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
        size = len(THANKS.replace(b"</main>", LONG + b"</main>"))
        assert grown['edgeproxy_requests_total{lane="shared",status="2xx"}'] == 7
        assert grown['edgeproxy_requests_total{lane="shared",status="3xx"}'] == 1
        assert grown['edgeproxy_response_bytes_total{lane="shared"}'] == 6 * size
        assert grown['edgeproxy_experiences_applied_total{experience="thanks"}'] == 8
        assert grown['edgeproxy_visitors_total{source="cookie"}'] == 8
        assert grown['edgeproxy_request_seconds_count{lane="shared"}'] == 8
        written = _logged(front.world)[lines:]
        assert len(written) == 8
        assert all(" shared " in line and " cache=hit " in line and "applied=thanks" in line for line in written)
        assert [re.search(r'" (\d+) (\d+)B', line)[0] for line in written[-2:]] == ['" 304 0B', '" 200 0B']  # type: ignore[index]  # it is there
        assert len({line.split(" id=")[1][:16] for line in written}) == 8

    run(story())


def _counted(metrics: bytes) -> dict[str, float]:
    rows = (line.rpartition(" ") for line in metrics.decode().splitlines() if line.startswith("edgeproxy_"))
    return {name: float(value) for name, _, value in rows}


def _logged(world: World) -> list[str]:
    world.parts.journal.log.flush()
    return world.log.getvalue().splitlines()
