"""Heads of one gist are judged alike, whatever was left out; and what has a gist, every reader reads in one way."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Hashable, Mapping
from ipaddress import ip_network
from typing import Any

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproxy.core import state
from edgeproxy.core.memory import Memory, Preference
from edgeproxy.core.model import RuleBook
from edgeproxy.server.asked import Asked
from edgeproxy.server.gist import Gist, Looks, Reader
from tests.server.test_fastlane import Front, body_of, cookie, told
from tests.server.wire import run
from tests.test_remember import LIFE, life
from tests.world import CALM, KEYS, NOON, RULES, THANKS, Shop, Told, World, book_of
from tests.world import Asked as ShopAsked

CACHE = """
[[cache]]
on = ["/**"]
for = "1 minute"
ignore_cookies = ["theme"]
bypass_cookies = ["basket", "_fbp"]
[[cache]]
on = ["/c/**"]
for = "1 minute"
ignore_cookies = ["sess*"]
"""
WHEN = """
[[edit]]
slot = "hero"
add_class = "x"
"""
BOOKS: Mapping[str, Mapping[str, str]] = {
    "plain": RULES,
    "cached by rule": {**RULES, "shop.toml": RULES["shop.toml"] + CACHE},
    "looks at browsers": {
        **RULES,
        "experiences/a.toml": 'for = "everyone"\nwhen = { device = "mobile" }\n' + WHEN,
        "experiences/b.toml": 'for = "everyone"\nwhen = { language = "sv" }\n' + WHEN,
        "experiences/c.toml": 'for = "everyone"\nwhen = { came_from = "news.example" }\n' + WHEN,
        "experiences/d.toml": 'for = "everyone"\nwhen = { country = "SE" }\nshare = "50%"\n' + WHEN,
    },
    "remembers": LIFE,
    "remembers who agrees": life(shop=("consent = { needed = false }", 'consent = { cookie = "yes", yes = "1" }')),
}
VARYING = [frozenset[bytes](), frozenset({b"accept-language", b"user-agent"}), frozenset({b"sec-gpc", b"save-data"})]


def state_cookie(memory: Memory) -> str:
    return f"edge_state={state.sign(memory, KEYS, NOON).value}"


MINUTE = int(NOON // 60)
COOKIES = [
    cookie("loyal").removeprefix("Cookie: "), cookie("new", id="v1").removeprefix("Cookie: "),
    cookie("loyal", id="v3", segments=["outdoor"]).removeprefix("Cookie: "),
    cookie("loyal", at=NOON + 30).removeprefix("Cookie: "), "edge_visitor=a.b.c", "edge_preview=1",
    state_cookie(Memory("a1", MINUTE // 1440, MINUTE, 1)), state_cookie(Memory("a2", MINUTE // 1440, MINUTE - 3, 2)),
    state_cookie(Memory(prefers=Preference.SIMPLE)), "edge_state=x", "yes=1", "yes=0",
    "_ga=1", "_ga=2", "_fbp=1", "theme=dark", "theme=", "basket=1", "session=1", "session=2", "x", "=y", "", " ",
]  # fmt: skip
LINES = [
    "Accept: text/html:", "Accept: */*, text/html", "Accept: text/html;q=0, */*", "Accept: text/html, text/html;q=0",
    "Accept: application/json, text/html", "Accept: text/html,*/*",
    "Accept: text/html", "Accept: */*", "Accept: image/avif", "Accept-Encoding: gzip",
    "Accept-Encoding: gzip, deflate, br, zstd", "Accept-Encoding: br;q=0", "Accept-Language: sv", "Accept-Language: de",
    "Accept-Language: sv-SE, sv;q=0.9", "User-Agent: Mobi 1", "User-Agent: Mobi 2", "User-Agent: X11", "user-agent: Y",
    "Sec-CH-UA-Mobile: ?1", "Sec-CH-UA-Mobile: ?0", "Sec-CH-UA-Mobile: x", "Referer: https://news.example/1",
    "Referer: https://news.example/2", "Referer: http://shop.example/a", "Referer: /", "Sec-Fetch-Dest: document",
    "Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: navigate", "Sec-GPC: 1", "Sec-GPC: 0", "Sec-Purpose: prefetch",
    "Purpose: x", "X-Moz: prefetch", "DNT: 1", "Save-Data: on", "Connection: keep-alive", "Connection: close",
    "Connection: cookie", "Cache-Control: no-cache", "Pragma: no-cache", "If-None-Match: \"a\"", "If-None-Match: *",
    "If-Modified-Since: Mon, 01 Jun 2026 12:00:00 GMT", "X-Mode: a", "X-Mode: b", "X_Mode: a", "Edge-Event: order",
    "X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 198.51.100.2, 10.0.0.9", "X-Forwarded-For: x",
    "X-Forwarded-For: 10.0.0.8",
    "X-Forwarded-Proto: https", "X-Forwarded-Proto: http", "X-Forwarded-Host: shop.example", "X-Forwarded-Ssl: on",
    "X-Real-IP: 198.51.100.1", "Forwarded: for=198.51.100.3", "X-Request-ID: r1", "X-Request-ID: r2",
    "X-Request-ID: \xe9", "CF-IPCountry: SE", "CF-IPCountry: NO", "CF-Ray: 1", "CF-Ray: 2", "CDN-Loop: other",
    "CDN-Loop: edgeproxy", "Via: 1.1 x",
    "Range: bytes=0-1", "Authorization: x", "Upgrade: h2c", "TE: trailers", "Host: other.example", "Content-Type: a/b",
]  # fmt: skip

jars = st.lists(st.sampled_from(COOKIES), min_size=1, max_size=4).map(lambda pairs: "Cookie: " + "; ".join(pairs))
header = st.sampled_from(LINES) | jars


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """A head's lines, and the same with a few changed, added or taken away."""
    first = draw(st.lists(header, max_size=6))
    second = list(first)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(second)))
        match draw(st.sampled_from(["put", "other", "out"])):
            case "put":
                second.insert(place, draw(header))
            case "other" if place < len(second):
                name = second[place].partition(":")[0].lower()
                alike = [line for line in LINES if line.partition(":")[0].lower() == name]
                second[place] = draw(jars if name == "cookie" else st.sampled_from(alike))
            case "out" if place < len(second):
                del second[place]
    return first, second


class Bench:
    """One listener's judge; nothing here serves."""

    def __init__(self) -> None:
        self.books: dict[str, RuleBook] = {name: book_of(files) for name, files in BOOKS.items()}
        with asyncio.Runner() as runner:
            runner.run(self.open())

    async def open(self) -> None:
        found = {"trust": (ip_network("10.0.0.0/8"),), "country_header": "cf-ipcountry"}
        self.judge = Front(World(shop=Shop(told()), settings=found)).lane._judge

    @functools.cache  # noqa: B019 - there is one
    def judged(self, lines: tuple[str, ...], name: str, varying: frozenset[bytes], *, trusted: bool, path: str) -> Any:
        """All that a hit is looked up by, and what is told of it; None: the app's."""
        book = self.books[name]
        headers = [(b"host", b"shop.example")]
        for line in lines:
            field, _, value = line.encode("latin-1").partition(b": ")
            headers.append((field.lower(), value.strip(b" \t")))
        peer = "10.0.0.1" if trusted else "203.0.113.9"
        asked = self.judge.asked("GET", path.encode(), headers, peer, "http", book=book, now=NOON)
        if asked is None:
            return None
        places = [self.judge.shared(asked, book, identity=identity) for identity in (False, True)]
        if None in places:
            return None
        return [*_what_counts(asked), _keeps_alive(headers)], [
            (one.key, bool(one.cookies), [one.left_out.get(each) for each in sorted(varying)]) for one in places if one
        ]


def _what_counts(asked: Asked) -> list[Hashable]:
    conditions = tuple(line for line in asked.request.headers if line[0].startswith(b"if-"))
    return [asked.key, asked.who.labels, asked.who.since, asked.who.until, asked.who.recollection, asked.client,
            asked.request_id if asked.request_id in ("r1", "r2") else bool(asked.request_id), conditions]  # fmt: skip


def _keeps_alive(headers: list[tuple[bytes, bytes]]) -> bool:
    """By the parser's own word."""

    class Parsed:
        keeps = False

        def on_headers_complete(self) -> None:
            self.keeps = parser.should_keep_alive()

    parsed = Parsed()
    parser = httptools.HttpRequestParser(parsed)
    parser.feed_data(b"GET / HTTP/1.1\r\n" + b"".join(b"%b: %b\r\n" % line for line in headers) + b"\r\n")
    return parsed.keeps


@functools.cache
def bench() -> Bench:
    return Bench()


def gist_of(lines: list[str], reader: Reader, looks: Looks) -> Gist | None:
    return reader.read([b"Host: shop.example", *(line.encode("latin-1") for line in lines)], looks, NOON)


@functools.cache
def reader_of(name: str, varying: frozenset[bytes], trusted: bool) -> tuple[Reader, Looks]:
    """One that goes on remembering, as one does."""
    return Reader(bench().judge, trusted=trusted, most=1 << 16), Looks(bench().books[name], varying)


def doubled(lines: list[str]) -> bool:
    names = [line.partition(":")[0].lower() for line in lines]
    return "host" in names or len(set(names)) < len(names)


def agree(
    first: list[str], second: list[str], name: str, varying: frozenset[bytes], *, trusted: bool, path: str
) -> bool:
    """What holds of any two heads; True where it says something: they have one gist, and it may be remembered."""
    reader, looks = reader_of(name, varying, trusted)
    one, other = gist_of(first, reader, looks), gist_of(second, reader, looks)
    if doubled(first) or one is None or other is None or one[0] != other[0]:
        return False
    wanted = bench().judged(tuple(first), name, varying, trusted=trusted, path=path)
    if wanted is None:
        return False
    got = bench().judged(tuple(second), name, varying, trusted=trusted, path=path)
    assert got is not None, f"{second} is the app's"
    (same, places), (said, others) = wanted, got
    assert [said[0], said[1], said[7:], others] == [same[0], same[1], same[7:], places], (first, second)
    _, who, client, request_id = other
    assert [who.labels, who.since, who.until, who.recollection] == said[1:5], second
    assert (client or ("10.0.0.1" if trusted else "")) == said[5], second
    assert request_id == said[6] or said[6] is False, second
    return True


@pytest.mark.parametrize("name", BOOKS)
@settings(max_examples=200)
@given(pairs(), st.sampled_from(VARYING), st.booleans(), st.sampled_from(["/", "/c/boots"]))
def test_heads_of_one_gist_are_judged_alike(
    name: str, both: tuple[list[str], list[str]], varying: frozenset[bytes], trusted: bool, path: str
) -> None:
    agree(*both, name, varying, trusted=trusted, path=path)


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("name", BOOKS)
def test_each_line_is_left_out_only_where_it_changes_nothing(name: str, trusted: bool) -> None:
    lines = [*LINES, *(f"Cookie: {one}" for one in COOKIES)]
    usual = ["Accept: text/html", "User-Agent: X11", f"Cookie: {COOKIES[0]}"]
    same = 0
    for varying in VARYING:
        for others in ([], usual, ["X-Forwarded-For: 198.51.100.1", *usual]):
            for line in lines:
                named = line.partition(":")[0].lower()
                rest = [one for one in others if one.partition(":")[0].lower() != named]
                values = [one for one in lines if one.partition(":")[0].lower() == named]
                for second in ([*rest, line, one] for one in values):  # a second line of that name
                    same += agree([*rest, line], second, name, varying, trusted=trusted, path="/")
                for second in (rest, *([*rest, one] for one in values)):
                    same += agree([*rest, line], second, name, varying, trusted=trusted, path="/")
                    same += agree(second, [*rest, line], name, varying, trusted=trusted, path="/")
    assert same > 500


ODD = [b"\0", b"\t", b" ", b"\n", b"\r", b"\x7f", b"\x80", b"\xff", b":", b"_", b"(", b"\x0b", b"", b"  ", b"\x1f"]


@given(
    st.binary(max_size=40)
    | st.tuples(
        st.sampled_from([b"Referer", b"A", b"Host", b"X-Y", b"X-Forwarded-A"]), st.sampled_from(ODD),
        st.sampled_from([b": ", b":", b" : "]),
        st.sampled_from(ODD), st.sampled_from([b"", b"a", b"a: b"]), st.sampled_from(ODD),
    ).map(b"".join)
)  # fmt: skip
@settings(max_examples=500)
def test_what_has_a_gist_is_read_in_one_way_by_every_reader(line: bytes) -> None:
    looks = Looks(bench().books["plain"], frozenset())
    reader = Reader(bench().judge, trusted=False, most=1 << 20)
    if reader.read([line], looks, NOON) is None:
        return
    seen: list[tuple[bytes, bytes]] = []

    class Parsed:
        def on_header(self, name: bytes, value: bytes) -> None:
            seen.append((name, value))

    httptools.HttpRequestParser(Parsed()).feed_data(b"GET / HTTP/1.1\r\nA: b\r\n" + line + b"\r\nC: d\r\n\r\n")
    name, _, value = line.partition(b": ")
    assert seen == [(b"A", b"b"), (name, value), (b"C", b"d")]
    assert re.fullmatch(rb"[A-Za-z0-9-]+", name), "shops behind CGI read other letters as hyphens"
    assert value.strip() == value
    assert not set(value) & {*range(32), 127}


# ------------------------------------------------------------------ by hand, on the wire


def test_what_is_new_about_nearly_every_head_costs_no_judgement(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        front = Front()
        for stage in ("loyal", "new"):
            await front.warm(cookie(stage), "Accept-Encoding: identity")
        for stage in ("loyal", "new"):
            await front.ask(cookie(stage), "Referer: http://shop.example/", "User-Agent: A")

        def judged(*_: Any, **__: Any) -> None:
            raise AssertionError("a head was judged")

        monkeypatch.setattr(type(front.lane), "find", judged)
        for number in range(20):
            for stage, page in (("loyal", THANKS), ("new", CALM)):
                value = f"{cookie(stage, id=f'v{number}')}; _ga=GA1.1.{number}"
                out = await front.ask(value, f"Referer: http://shop.example/{number}", f"User-Agent: A{number}")
                assert page.partition(b"</main>")[0] in body_of(out)
        assert front.noted.faults == []
        assert b"edgeproxy_faults_total 0.0" in front.world.parts.journal.metrics()

    run(story())


def test_a_page_that_varies_by_who_asks_from_where_is_nobody_elses() -> None:
    """Vary may name what a head does not tell: the address that we write into X-Forwarded-For."""

    async def story() -> None:
        def shop(asked: ShopAsked) -> Told:
            seen = ",".join(asked.get("x-forwarded-for")).encode()
            headers = (("Content-Type", "text/html"), ("Cache-Control", "public, max-age=60"))
            return told(b"<main>for %b</main>" % seen, (*headers, ("Vary", "X-Forwarded-For")))

        front = Front(World(shop=Shop(shop)))
        for _ in range(6):
            for peer in ("203.0.113.1", "203.0.113.2"):
                page = body_of(await front.ask(connection=front.connect(peer=peer)))
                assert page == b"<main>for %b</main>" % peer.encode()

    run(story())


def test_a_proxy_in_front_tells_each_visitors_address_and_request() -> None:
    async def story() -> None:
        world = World(shop=Shop(told()), settings={"trust": (ip_network("10.0.0.0/8"),), "log_addresses": "full"})
        front = Front(world, trusted=("10.0.0.1",))
        usual = ("X-Forwarded-Proto: https", "Accept: text/html")

        async def ask(number: int) -> bool:
            apps = front.apps
            lines = (*usual, f"X-Forwarded-For: 198.51.100.{number}", f"X-Request-ID: id-{number}")
            await front.ask(*lines, connection=front.connect(peer="10.0.0.1"))
            return front.apps == apps

        while not await ask(1):
            pass
        for number in range(2, 12):
            assert await ask(number)
        world.parts.journal.log.flush()
        written = world.log.getvalue().splitlines()[-10:]
        for number, line in enumerate(written, 2):
            assert f" 198.51.100.{number} " in line
            assert f" id=id-{number}" in line

    run(story())


def test_memory_is_each_visitors_own_however_alike_their_heads() -> None:
    async def story() -> None:
        front = Front(World(shop=Shop(told()), rules=LIFE))
        minute = int(NOON // 60)

        def head_of(visits: int, ident: str, minutes: int = 0) -> str:
            return f"Cookie: {state_cookie(Memory(ident, minute // 1440, minute - minutes, visits))}; _ga={ident}"

        await front.warm(head_of(1, "a"))
        await front.warm(head_of(2, "b"))
        for number in range(8):
            for visits, page in ((1, CALM), (2, THANKS)):
                apps = front.apps
                out = await front.ask(head_of(visits, f"c{number}-{visits}"), f"Referer: http://shop.example/{number}")
                assert (front.apps, b"set-cookie" in out) == (apps, False)
                assert page.partition(b"</main>")[0] in body_of(out)
        assert not await front.is_fast(head_of(1, "d", minutes=20)), "its last activity has to be written anew"
        assert not await front.is_fast(head_of(1, "e"), "Sec-GPC: 1"), "a no takes the cookie away"
        assert not await front.is_fast("Cookie: _ga=1"), "somebody new"

    run(story())
