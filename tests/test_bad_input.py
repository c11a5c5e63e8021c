"""Bad input of every kind, through the whole proxy: a clear result each time, and nothing lost.

Cookies that were tampered with, rules with mistakes or gone, selectors that do not fit the page, shops in trouble,
pages that are too big or in other charsets.  Examples are files below ``data/bad-input``.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
import socket
import struct
import tomllib
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy import rulebook
from edgeproxy.app import build_app
from edgeproxy.core.visitor import sign
from edgeproxy.settings import Limits, Settings
from tests.world import CALM, HOST, KEYS, NOON, PAGE, RULES, THANKS, Asked, Got, Shop, Told, World, book_of

pytestmark = pytest.mark.anyio

DATA = Path(__file__).parent / "data" / "bad-input"
HTML = ("Content-Type", "text/html; charset=utf-8")


class Making(Shop):
    """A shop whose bodies may be made while they are read."""

    body: Callable[[], AsyncIterator[bytes]] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if self.body is None:
            return response
        return httpx.Response(response.status_code, headers=response.headers.raw, stream=_Made(self.body()))


class _Made(httpx.AsyncByteStream):
    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces


def examples(name: str) -> list[Any]:
    """The examples of a file, by their sentence."""
    (rows,) = tomllib.loads((DATA / name).read_text("utf-8")).values()
    return [pytest.param(row, id=row["it"]) for row in rows]


def counted(world: World, name: str) -> dict[str, float]:
    """The series of one metric: labels → value."""
    found = re.findall(rf"(?m)^{name}(?:\{{(.*)\}})? (\S+)$", world.parts.journal.metrics().decode())
    return {labels: float(value) for labels, value in found}


# --------------------------------------------------------------------------- cookies, and whatever else one can send


async def test_a_thousand_mutated_cookies_prove_nothing_and_break_nothing(caplog: pytest.LogCaptureFixture) -> None:
    dice, world = Random(7), World()
    good = sign(KEYS, NOON, stage="loyal", segments=["outdoor"], id="q7Hk2m")
    asked = 0
    while asked < 1000:
        value = bytearray(good, "latin-1")
        for _ in range(dice.choice([1, 1, 1, 2, 5])):
            place = dice.randrange(len(value) + 1)
            cut = dice.choice([0, 1, 1, 4])
            value[place : place + cut] = bytes(dice.choice(range(33, 256)) for _ in range(dice.choice([0, 1, 1, 3])))
        sent = value.decode("latin-1")
        if sent.partition(";")[0] == good:
            continue
        asked += 1
        got = await world.ask("/", headers=[("cookie", f"edge_visitor={sent}")])
        assert (got.status, got.raw) == (200, PAGE), sent
        assert got.one("cache-control") == "private, no-cache"
    assert counted(world, "edgeproxy_visitors_total") == {'source="disbelieved"': 1000}
    assert counted(world, "edgeproxy_faults_total") == {"": 0}
    assert caplog.records == []
    world.parts.journal.log.flush()
    assert good[:20] not in world.log.getvalue()
    assert (await world.ask("/", headers=[("cookie", f"edge_visitor={good}")])).body == THANKS


TEXT = st.text(st.characters(max_codepoint=255), max_size=40)
NAMES = [
    "cookie",
    "referer",
    "accept-encoding",
    "if-none-match",
    "accept-language",
    "range",
    "sec-fetch-dest",
    "forwarded",
]
NAMES += [
    "user-agent",
    "sec-ch-ua-mobile",
    "x-forwarded-for",
    "via",
    "connection",
    "content-length",
    "transfer-encoding",
]
VALUES = TEXT | st.sampled_from(
    ["edge_preview=x", "edge_visitor=a.b.c", "?1", "gzip;q=x", '"edge-', "*", "bytes=0-", "\xff"]
)


@given(
    st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "TRACE", "get", ""]),
    st.binary(max_size=30).map(lambda path: b"/" + path)
    | st.sampled_from([b"/-/edge/leave", b"/?edge_at=%FF&edge_token=.", b"*", b"", b"/%", b"//", b"/\xff?\xff"]),
    st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6),
    st.lists(st.binary(max_size=9000), max_size=3),
    st.sampled_from([HOST, "", "[::1]:x", "shop.example:99999", "\xff", "127.0.0.1"]),
)
def test_nothing_that_a_visitor_sends_is_a_fault_of_ours(
    method: str, target: bytes, headers: list[tuple[str, str]], body: list[bytes], host: str
) -> None:
    world = _open_world()
    before = counted(world, "edgeproxy_faults_total")
    got = asyncio.run(world.ask(target, method=method, headers=headers, body=body, host=host, client="127.0.0.1"))
    assert got.status in {200, 303, 400, 404, 405, 413, 421, 508}
    assert counted(world, "edgeproxy_faults_total") == before


@cache
def _open_world() -> World:
    return World(settings={"preview": "open"})


async def test_a_form_of_ours_that_is_too_long_or_breaks_off_is_the_visitors_doing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    got = await world.ask("/-/edge/leave", method="POST", body=[b"back=" + b"x" * 5000, b"x" * 5000])
    assert got.status == 413
    proxy: Any = world.parts.proxy

    async def leaving(scope: Any, receive: Any, send: Any) -> None:
        async def gone() -> dict[str, str]:
            return {"type": "http.disconnect"}

        await proxy(scope, gone, send)

    world.parts = replace(world.parts, proxy=leaving)  # type: ignore[arg-type]
    left = await world.ask("/-/edge/leave", method="POST", body=[b"back=/"])
    assert (left.status, left.cut) == (0, True)
    assert caplog.records == []
    assert counted(world, "edgeproxy_faults_total") == {"": 0}


# --------------------------------------------------------------------------- rules with mistakes, rules that go away


class News:
    """What ``rulebook.news`` would say of the disk, said by a test: ``tell`` returns when it has been dealt with."""

    def __init__(self) -> None:
        self._said: asyncio.Queue[object] = asyncio.Queue()

    async def __call__(self, folder: Path) -> AsyncIterator[object]:
        while True:
            yield await self._said.get()
            self._said.task_done()

    async def tell(self, *, saved: bool = True) -> None:
        await self._said.put(saved)
        await self._said.join()


@dataclass
class Serving:
    """A proxy whose rules are a folder on disk, as ``serve`` has them."""

    world: World
    folder: Path
    news: News

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text, "utf-8")

    async def admin(self, path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.world.parts.admin)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)


@pytest.fixture
async def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serving]:
    world, news = World(), News()
    made = Serving(world, tmp_path / "rules", news)
    for name, text in RULES.items():
        made.write(name, text)
    monkeypatch.setattr(rulebook, "news", news)
    settings = Settings(origin="http://shop.internal:8000", rules=made.folder, keys=KEYS, hosts=(HOST,))
    world.parts = build_app(settings, transport=world.shop, clock=lambda: NOON, log_to=world.log)
    async with world.parts.running():
        yield made


async def test_a_rules_folder_that_vanishes_while_serving_and_comes_back(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    world, away = serving.world, serving.folder.with_name("away")
    assert (await world.ask("/", stage="new")).body == CALM
    serving.folder.rename(away)
    await serving.news.tell(saved=False)
    assert "rules: is not there" in caplog.text
    assert (await world.ask("/", stage="new")).body == CALM
    assert (await world.ask("/", stage="loyal")).body == THANKS
    ready = await serving.admin("/readyz")
    assert (ready.status_code, "last good ones" in ready.text) == (200, True)
    assert counted(world, "edgeproxy_rules_good") == {"": 0}
    away.rename(serving.folder)
    serving.write("fragments/thanks.html", "<p>Back again</p>")
    await serving.news.tell(saved=False)
    assert (await world.ask("/", stage="loyal")).body == PAGE.replace(b"Old", b"<p>Back again</p>")
    assert counted(world, "edgeproxy_rules_good") == {"": 1}
    assert "last good ones" not in (await serving.admin("/readyz")).text


@pytest.mark.parametrize(
    ("fragment", "told"),
    [
        ("<p>Good<b> to</p> see you", "rules/fragments/thanks.html:1:"),
        ("<div>\n<p>one</p>\n</section>", "rules/fragments/thanks.html:3:1"),
        ("<p>{{ name }}</p>", "rules/fragments/thanks.html:1:"),
        ('<a href="{{ stage }}">x</a>', "rules/fragments/thanks.html:1:"),
        ("<!-- never closed", "rules/fragments/thanks.html:1:1"),
        ("<script>if (a", "rules/fragments/thanks.html:1:"),
        ("\udcff", "rules/fragments/thanks.html"),
    ],
)
async def test_a_fragment_with_broken_html_never_goes_live(
    serving: Serving, caplog: pytest.LogCaptureFixture, fragment: str, told: str
) -> None:
    (serving.folder / "fragments/thanks.html").write_bytes(fragment.encode("utf-8", "surrogateescape"))
    await serving.news.tell()
    assert told in caplog.text
    assert "the last good ones stay live" in caplog.text
    assert (await serving.world.ask("/", stage="loyal")).body == THANKS
    serving.write("fragments/thanks.html", "<p>Mended</p>")
    await serving.news.tell()
    assert (await serving.world.ask("/", stage="loyal")).body == PAGE.replace(b"Old", b"<p>Mended</p>")


async def test_a_folder_that_has_a_mistake_from_the_start_is_a_plain_proxy(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text("format = 2")
    world = World()
    settings = Settings(origin="http://shop.internal:8000", rules=tmp_path, keys=KEYS, hosts=(HOST,))
    world.parts = build_app(settings, transport=world.shop, clock=lambda: NOON, log_to=world.log)
    headers = [HTML, ("ETag", '"1"'), ("Cache-Control", "max-age=60")]
    world.shop.answer = Told(headers=headers)
    got = await world.ask("/?edge_stage=loyal", stage="new")
    assert (got.status, got.body) == (200, PAGE)
    assert got.get("cache-control") == ["max-age=60"]
    assert world.shop.asked[0].target == b"/"


# --------------------------------------------------------------------------- one book for the whole request

OTHER = {
    **RULES,
    "slots.toml": '[hero]\nfind = "main > p"\n[menu]\nfind = "#menu > a"\n',
    "fragments/thanks.html": "<b>New rules</b>",
}
OFF = {**RULES, "shop.toml": RULES["shop.toml"] + "\nenabled = false"}


@pytest.mark.parametrize("rules", [OTHER, OFF], ids=["other rules", "the kill switch"])
@pytest.mark.parametrize("when", ["asked", "head", "body"])
@pytest.mark.parametrize(("stage", "page"), [("new", CALM), ("loyal", THANKS), ("unheard-of", PAGE)])
async def test_rules_that_change_in_the_middle_of_a_request_are_for_the_next(
    rules: Mapping[str, str], when: str, stage: str, page: bytes
) -> None:
    """The decision, the page and its headers are of one book, whenever another one goes live."""
    shop = Making()
    world = World(shop, settings={"limits": Limits(cache_bytes=0)})  # the next request asks the shop too
    old, new = world.books.book, book_of(rules)
    told = Told(headers=[HTML, ("ETag", '"1"'), ("Cache-Control", "max-age=60")])

    def swap(now: str) -> None:
        if now == when:
            world.books.book = new

    def answer(asked: Asked) -> Told:
        swap("asked")
        return told

    async def body() -> AsyncIterator[bytes]:
        swap("head")
        yield PAGE[:99]
        swap("body")
        yield PAGE[99:]

    right = await World(Shop(told)).ask("/", stage=stage)
    shop.answer, shop.body = answer, body
    got = await world.ask("/", stage=stage)
    assert world.books.book is new
    assert new is not old
    assert got.body == page
    assert lines(got) == lines(right)
    shop.body = None
    after, fresh = await world.ask("/", stage=stage), await World(Shop(told), rules).ask("/", stage=stage)
    assert (after.body, lines(after)) == (fresh.body, lines(fresh))


def lines(got: Got) -> list[tuple[str, str]]:
    return [line for line in got.headers if line[0] != "server-timing"]


# --------------------------------------------------------------------------- pages that are not as the rules have them


def logged(world: World) -> str:
    world.parts.journal.log.flush()
    return world.log.getvalue()


async def test_a_selector_that_matches_twice_leaves_that_slot_alone_and_says_so() -> None:
    page = PAGE.replace(b"</main>", b'<div class="hero">2</div></main>')
    both = {
        **RULES,
        "experiences/calm.toml": RULES["experiences/calm.toml"] + '[[edit]]\nslot = "hero"\nremove = true\n',
    }
    world = World(Shop(Told(chunks=[page])), both)
    got = await world.ask("/", stage="new")
    assert got.body == page.replace(b'<nav id="menu"><a href="/a">A</a></nav>', b"")
    assert (await world.ask("/", stage="loyal")).body == page
    ((labels, times),) = counted(world, "edgeproxy_slots_failed_total").items()
    assert 'slot="hero"' in labels
    assert "matches N elements, expected one" in labels
    assert times == 2
    assert logged(world).count("left=hero") == 2


async def test_two_slots_on_one_element_are_one_slot() -> None:
    """The first experience that fits has it; the other one's edit of the other name is shadowed."""
    rules = {
        **RULES,
        "slots.toml": RULES["slots.toml"] + '[picture]\nfind = "main > section:first-child"\n',
        "audiences.toml": "[newcomers]\nsegment = 'outdoor'\n[regulars]\nstage = 'loyal'\n",
        "experiences/calm.toml": 'for = "newcomers"\n[[edit]]\nslot = "picture"\ninner = { text = "calm" }\n',
    }
    world = World(rules=rules)
    got = await world.ask("/", stage="loyal", segments=["outdoor"])
    assert got.body == PAGE.replace(b"Old", b"calm")
    assert counted(world, "edgeproxy_edits_total") == {'outcome="placed"': 1, 'outcome="shadowed"': 1}
    assert (await world.ask("/", stage="loyal")).body == THANKS
    turned = {**rules, "shop.toml": RULES["shop.toml"].replace('["calm", "thanks"]', '["thanks", "calm"]')}
    assert (await World(rules=turned).ask("/", stage="loyal", segments=["outdoor"])).body == THANKS


# --------------------------------------------------------------------------- a shop in trouble, on the wire


def on_the_wire(text: str) -> bytes:
    """An answer of the data file as bytes."""
    coded = gzip.compress(PAGE, mtime=0)
    parts = {"page": PAGE, "length": b"%d" % len(PAGE), "gzip": coded, "half": coded[:60]}
    return b"".join(
        parts[part] if number % 2 else part.encode("latin-1")
        for number, part in enumerate(re.split(r"\{(\w+)\}", text))
    )


@asynccontextmanager
async def shop_on_the_wire(raw: bytes, then: str) -> AsyncIterator[str]:
    """A shop that answers every request so; gives its address."""
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with writer_closed(writer):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(raw)
                await writer.drain()
                if then == "reset":
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                if then != "keep":
                    if then == "hold":
                        await over.wait()
                    return

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        over.set()
        server.close()
        await server.wait_closed()


@contextmanager
def writer_closed(writer: asyncio.StreamWriter) -> Iterator[None]:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        yield
    writer.close()


def before(origin: str, **settings: Any) -> World:
    """A proxy that reaches its shop over the network."""
    world = World()
    given = {"origin": origin, "rules": Path("rules"), "keys": KEYS, "hosts": (HOST,), **settings}
    world.parts = build_app(Settings(**given), books=world.books, clock=lambda: NOON, log_to=world.log)
    return world


@pytest.mark.parametrize("case", examples("answers.toml"))
async def test_what_a_shop_in_trouble_sends(case: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    raw, gets = on_the_wire(case["raw"]), case["gets"]
    sent = on_the_wire(case.get("sent", "{page}"))
    async with shop_on_the_wire(raw, case["then"]) as origin:
        world = before(origin, deadline=0.5 if case["then"] == "hold" else 60.0)
        async with world.parts.running():
            for _ in range(2):  # what one answer leaves behind must not become the next one's
                got = await world.ask("/", stage="new", headers=[("Accept-Encoding", "identity")])
                if gets == "edited":
                    assert (got.status, got.raw, got.cut) == (200, CALM, False)
                elif gets == "as sent":
                    assert (got.status, got.raw, got.cut) == (200, sent, False)
                elif gets == "cut" and got.status == 200:
                    assert got.cut
                    assert sent.startswith(got.raw)
                else:
                    assert got.status == gets or (gets == "cut" and got.status in {502, 504})
                    assert (got.cut, got.one("cache-control")) == (False, "no-store")
                    assert b"<!DOCTYPE html>" in got.body
                if got.status == 200:
                    assert got.one("cache-control") == "private, no-cache"
    assert counted(world, "edgeproxy_faults_total") == {"": 0}
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


async def test_a_shop_that_is_down_and_comes_back() -> None:
    async with shop_on_the_wire(b"", "close") as origin:
        pass
    world = before(origin)
    async with world.parts.running():
        got = await world.ask("/", stage="new")
    assert (got.status, got.cut) == (502, False)
    assert 'problem="shop: no connection to the shop' in logged(world)


# --------------------------------------------------------------------------- 100 MB


BIG = 100 * 1024 * 1024


@cache
def bomb() -> bytes:
    """100 MB of page in 100 KB."""
    packed = gzip.compress(b"<p>" * (1 << 20), 9, mtime=0)  # members in a row are one body
    return packed * (BIG // (3 << 20) + 1)


class Gone:
    """A proxy whose bodies go nowhere: their length and digest are kept."""

    def __init__(self, proxy: Any) -> None:
        self._proxy = proxy
        self.length = 0
        self.digest = hashlib.blake2b()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def counting(message: MutableMapping[str, Any]) -> None:
            data = message.get("body", b"")
            self.length += len(data)
            self.digest.update(data)
            await send({**message, "body": b""} if "body" in message else message)

        await self._proxy(scope, receive, counting)


@pytest.mark.parametrize("stage", ["new", "unheard-of"])
@pytest.mark.parametrize(
    "headers",
    [[HTML], [HTML, ("Content-Length", str(BIG))], [("Content-Type", "application/zip")]],
    ids=["a page", "a page that says how long it is", "a download"],
)
async def test_a_page_of_100_mb_passes_whole_in_constant_memory(stage: str, headers: list[tuple[str, str]]) -> None:
    shop, wanted = Making(Told(headers=headers)), hashlib.blake2b()
    world = World(shop)

    async def body() -> AsyncIterator[bytes]:
        for number in range(BIG >> 16):
            piece = (b"%015d\n" % number) * 4096
            wanted.update(piece)
            yield piece

    shop.body = body
    gone = Gone(world.parts.proxy)
    world.parts = replace(world.parts, proxy=gone)  # type: ignore[arg-type]
    tracemalloc.start()
    try:
        got = await world.ask("/", stage=stage)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (got.status, got.cut) == (200, False)
    assert (gone.length, gone.digest.digest()) == (BIG, wanted.digest())
    assert most < 16 << 20


async def test_100_mb_in_100_kb_pass_as_they_came_in_constant_memory() -> None:
    world = World(Shop(Told(headers=[HTML, ("Content-Encoding", "gzip")], chunks=[bomb()])))
    gone = Gone(world.parts.proxy)
    world.parts = replace(world.parts, proxy=gone)  # type: ignore[arg-type]
    tracemalloc.start()
    try:
        got = await world.ask("/", stage="new")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (got.status, got.get("content-encoding")) == (200, ["gzip"])
    assert (gone.length, gone.digest.digest()) == (len(bomb()), hashlib.blake2b(bomb()).digest())
    assert most < 16 << 20


# --------------------------------------------------------------------------- charsets

IN_OTHER_WORDS = {
    **RULES,
    "slots.toml": '[hero]\nfind = "#hero"\n',
    "fragments/thanks.html": "<p>Välkommen – 日本 €</p>",
    "experiences/calm.toml": 'for = "newcomers"\n[[edit]]\nslot = "hero"\nremove = true\n',
}


@cache
def in_other_words() -> World:
    return World(rules=IN_OTHER_WORDS)


@pytest.mark.parametrize("case", examples("charsets.toml"))
async def test_a_page_in_another_charset(case: dict[str, Any]) -> None:
    """Edited in its own charset, or the shop's very bytes; what is around an edit is never re-coded."""
    codec, mark = case["codec"], bytes.fromhex(case.get("mark", ""))
    head = f"<!DOCTYPE html><html><head>{case.get('head', '')}</head><body>{case['text']}"

    def page(slot: str) -> bytes:
        return mark + f"{head}{slot}{case['text']}</body></html>\r\n".encode(codec)

    shops, world = page('<div id="hero">Old</div>'), in_other_words()
    world.shop.answer = Told(headers=[("Content-Type", case["content_type"])], chunks=[shops])
    path = "/" + hashlib.sha256(case["it"].encode()).hexdigest()
    shown = case.get("shows")
    got = await world.ask(path, stage="loyal")
    assert got.body == (shops if shown is None else page(f'<div id="hero"><p>{shown}</p></div>'))
    assert got.one("content-type") == case["content_type"]
    assert got.one("cache-control") == "private, no-cache"
    got = await world.ask(path, stage="new")
    assert got.body == (shops if shown is None else page(""))


@pytest.mark.parametrize(("limit", "edited"), [(3 << 20, True), (2 << 20, False)])
@pytest.mark.parametrize("told", [True, False], ids=["length told", "no length"])
async def test_how_big_a_page_may_be_is_a_setting(limit: int, edited: bool, told: bool) -> None:
    big = PAGE.replace(b"</main>", b"<p>more and more</p>" * 110_000 + b"</main>")
    headers = [HTML, ("Content-Length", str(len(big)))] if told else [HTML]
    world = World(Shop(Told(headers=headers, chunks=[big])), settings={"limits": Limits(page_bytes=limit)})
    got = await world.ask("/", stage="new")
    assert got.body == (big.replace(b'<nav id="menu"><a href="/a">A</a></nav>', b"") if edited else big)
    hit = counted(world, "edgeproxy_limits_total")
    assert hit.get('limit="page_bytes"', 0) == (0 if edited else 1)  # a page so big may be too big for memories
