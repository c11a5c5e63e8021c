"""The page cache end to end, without ports: what visitors get, and what the shop was asked for it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping, Sequence
from email.utils import formatdate

import httpx
import pytest

from edgeproxy.origin import ShopBroken, ShopRefused, ShopTimeout
from edgeproxy.settings import Limits
from tests.world import CALM, HOST, PAGE, RULES, THANKS, Asked, Shop, Told, World, book_of

pytestmark = pytest.mark.anyio

HTML = ("Content-Type", "text/html; charset=utf-8")
CSS = ("Content-Type", "text/css")
PUBLIC = ("Cache-Control", "public, max-age=60")
TAG = ("ETag", '"1"')


def ruled(cache: str, base: Mapping[str, str] = RULES) -> dict[str, str]:
    """The rules of the world with ``[[cache]]`` tables."""
    return {**base, "shop.toml": base["shop.toml"] + "\n" + cache}


EVERYTHING = ruled("""
    [[cache]]
    on = ["/", "/c/**", "/other"]
    for = "5 minutes"
    stale_for = "1 minute"
    stale_if_error = "10 minutes"
    bypass_cookies = "sid"
    ignore_cookies = "theme"
    ignore_query = "ref"
    strip_set_cookie = "csrf"
""")
FORBIDDEN = Told(headers=[HTML, ("Cache-Control", "private, no-store")])


def told(*lines: tuple[str, str], body: bytes = PAGE, status: int = 200) -> Told:
    return Told(status, [HTML, *lines], [body])


async def warm(world: World, *targets: str) -> None:
    """Let the shop show that answers around there are shareable."""
    for target in targets or ("/", "/other", "/c/boots"):
        await world.ask(target)
    await settled()
    assert world.parts.cache is not None
    world.parts.cache.store.clear()
    world.shop.asked.clear()


def date_of(at: float) -> str:
    return formatdate(at, usegmt=True)


async def settled() -> None:
    """Let what runs behind the answers run."""
    for _ in range(20):
        await asyncio.sleep(0)


# --------------------------------------------------------------------------- what the shop calls public


async def test_one_question_for_every_stage() -> None:
    world = World(Shop(told(PUBLIC)))
    await warm(world)
    pages = {stage: (await world.ask("/", stage=stage)).body for stage in (None, "new", "loyal", "unheard-of")}
    assert pages == {None: CALM, "new": CALM, "loyal": THANKS, "unheard-of": PAGE}
    assert len(world.shop.asked) == 1


async def test_what_leaves_is_private_however_public_the_kept_page_is() -> None:
    world = World(Shop(told(PUBLIC, TAG, ("Age", "5"))))
    await warm(world)
    for _ in range(2):
        got = await world.ask("/", stage="new")
        assert got.one("cache-control") == "private, no-cache"
        assert got.one("cdn-cache-control") == "no-store"
        assert got.get("age") == []
        assert got.one("etag").startswith('"edge-')


async def test_a_page_without_slots_leaves_with_the_shops_headers_and_its_age() -> None:
    world = World(Shop(told(PUBLIC, TAG)))
    await warm(world)
    await world.ask("/other")
    world.now += 20
    got = await world.ask("/other")
    assert (got.body, got.one("age"), got.one("cache-control"), got.one("etag")) == (
        PAGE,
        "20",
        "public, max-age=60",
        '"1"',
    )
    assert len(world.shop.asked) == 1


async def test_it_ends_when_the_shop_said() -> None:
    world = World(Shop(told(PUBLIC)))
    await warm(world)
    await world.ask("/")
    world.now += 59
    await world.ask("/")
    assert len(world.shop.asked) == 1
    world.now += 1
    await world.ask("/")
    assert len(world.shop.asked) == 2


@pytest.mark.parametrize("clock", [-3600.0, -30.0, 30.0])
async def test_a_clock_that_is_set_keeps_nothing_too_long(clock: float) -> None:
    world = World(Shop(told(PUBLIC)))
    world.ticks = 0.0
    await warm(world)
    await world.ask("/")
    world.ticks, world.now = 61.0, world.now + clock
    await world.ask("/")
    assert len(world.shop.asked) == 2


async def test_the_shop_is_asked_for_everybody_with_a_head_of_nobody() -> None:
    world = World(Shop(told(PUBLIC)))
    await warm(world)
    headers = [("cookie", "_ga=1"), ("accept-language", "sv"), ("user-agent", "Mine"), ("referer", "http://x.example/")]
    await world.ask("/?a=1", stage="loyal", headers=[*headers, ("if-none-match", '"1"')])
    (asked,) = world.shop.asked
    names = {name.decode() for name, _ in asked.headers}
    assert not names & {"cookie", "accept-language", "referer", "if-none-match", "x-forwarded-for", "x-request-id"}
    assert asked.get("user-agent") != ["Mine"]
    assert asked.target == b"/?a=1"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [("Cache-Control", "no-store")],
        [("Cache-Control", "private, max-age=60")],
        [PUBLIC, ("Set-Cookie", "sid=1")],
        [PUBLIC, ("Vary", "*")],
        [("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"), TAG],
    ],
)
async def test_what_may_not_be_kept_is_asked_for_by_each(lines: Sequence[tuple[str, str]]) -> None:
    world = World(Shop(told(*lines)))
    for _ in range(3):
        assert (await world.ask("/", stage="new")).body == CALM
    assert len(world.shop.asked) == 3
    assert all(asked.get("cookie") for asked in world.shop.asked)


async def test_nobody_is_asked_twice_for_where_nothing_was_ever_shareable() -> None:
    """A link that works once is not used up by asking for everybody first."""
    world = World(Shop(lambda asked: told(PUBLIC) if asked.target == b"/" else told()))
    await warm(world, "/")
    await world.ask("/confirm/Zx81Kq9vT0")
    assert [asked.target for asked in world.shop.asked] == [b"/confirm/Zx81Kq9vT0"]


# --------------------------------------------------------------------------- whose cookies


async def test_a_visitor_with_a_session_gets_what_the_shop_calls_public() -> None:
    world = World(Shop(told(PUBLIC)))
    await warm(world)
    await world.ask("/")
    assert (await world.ask("/", headers=[("cookie", "sid=1")])).body == CALM
    assert len(world.shop.asked) == 1


async def test_a_visitor_with_a_session_gets_their_own_where_the_shop_only_says_how_long() -> None:
    world = World(Shop(told(("Cache-Control", "max-age=60"))))
    await warm(world)
    await world.ask("/")
    await world.ask("/", headers=[("cookie", "sid=1")])
    assert [asked.get("cookie") for asked in world.shop.asked] == [[], ["sid=1"]]


async def test_a_page_that_varies_by_cookie_is_for_those_without() -> None:
    world = World(Shop(told(PUBLIC, ("Vary", "Cookie"))))
    await warm(world)
    await world.ask("/", stage="new")
    await world.ask("/", stage="loyal", headers=[("cookie", "_ga=1")])
    assert len(world.shop.asked) == 1
    await world.ask("/", headers=[("cookie", "sid=1")])
    assert world.shop.asked[-1].get("cookie") == ["sid=1"]


async def test_an_authorization_is_neither_kept_nor_answered_from_what_is() -> None:
    world = World(Shop(told(PUBLIC)))
    await warm(world)
    await world.ask("/")
    await world.ask("/", headers=[("authorization", "Basic x")])
    assert [asked.get("authorization") for asked in world.shop.asked] == [[], ["Basic x"]]


# --------------------------------------------------------------------------- Vary


async def test_what_vary_names_joins_the_key() -> None:
    def answer(asked: Asked) -> Told:
        language = "".join(asked.get("accept-language")) or "none"
        return told(PUBLIC, ("Vary", "Accept-Language"), body=PAGE + f"<!-- {language} -->".encode())

    world = World(Shop(answer))
    await warm(world)
    wanted = {"sv": b"<!-- sv -->", "de": b"<!-- de -->", "": b"<!-- none -->"}
    for _ in range(3):
        for language, mark in wanted.items():
            headers = [("accept-language", language)] if language else []
            assert (await world.ask("/other", headers=headers)).body.endswith(mark)
    assert len(world.shop.asked) <= 4  # one more to learn it


EVERYWHERE = {**RULES, "slots.toml": '[hero]\nfind = ".hero"\n[menu]\nfind = "#menu"\n'}
"""Slots that could be on every page: a file is none all the same."""


@pytest.mark.parametrize("rules", [RULES, EVERYWHERE])
async def test_a_coding_that_a_visitor_does_not_take_is_not_theirs(rules: Mapping[str, str]) -> None:
    def answer(asked: Asked) -> Told:
        if asked.get("accept-encoding") == ["br, gzip"]:
            return Told(headers=[CSS, PUBLIC, ("Content-Encoding", "gzip")], chunks=[gzip.compress(b"a{}")])
        return Told(headers=[CSS, PUBLIC], chunks=[b"a{}"])

    world = World(Shop(answer), rules)
    for _ in range(2):
        got = await world.ask("/a.css", headers=[("accept-encoding", "gzip, br")])
        assert (got.get("content-encoding"), got.body) == (["gzip"], b"a{}")
        got = await world.ask("/a.css", headers=[("accept-encoding", "identity")])
        assert (got.get("content-encoding"), got.raw) == ([], b"a{}")
    assert len(world.shop.asked) == 2


@pytest.mark.parametrize(
    "name", ["x-forwarded-host", "x-original-url", "x-host", "x-never-heard-of", "x-forwarded-scheme"]
)
async def test_a_header_that_could_poison_a_page_poisons_nobody_elses(name: str) -> None:
    def answer(asked: Asked) -> Told:
        heard = [value.decode() for key, value in asked.headers if b"evil" in value]
        return told(PUBLIC, body=PAGE + "".join(heard).encode())

    world = World(Shop(answer))
    await warm(world)
    await world.ask("/other", headers=[(name, "evil.example")])
    assert (await world.ask("/other")).body == PAGE
    assert (await world.ask("/", headers=[(name, "evil.example")])).body != b""
    assert (await world.ask("/", stage="unheard-of")).body == PAGE


async def test_another_host_is_another_page() -> None:
    world = World(
        Shop(lambda asked: told(PUBLIC, body=PAGE + asked.get("host")[0].encode())),
        settings={"hosts": ("a.example", "b.example")},
    )
    for _ in range(3):
        for host in ("a.example", "b.example", "a.example:81"):
            assert (await world.ask("/other", host=host)).body.endswith(host.encode())


# --------------------------------------------------------------------------- what the operator says


async def test_a_rule_keeps_what_the_shop_marks_uncacheable() -> None:
    world = World(Shop(FORBIDDEN), EVERYTHING)
    for stage, page in (("new", CALM), ("loyal", THANKS), ("new", CALM)):
        got = await world.ask("/", stage=stage)
        assert got.body == page
        assert got.one("cache-control") == "private, no-cache, no-store"
    assert len(world.shop.asked) == 1


async def test_a_rule_holds_for_the_pages_that_it_names_and_no_others() -> None:
    world = World(Shop(FORBIDDEN), EVERYTHING)
    for target in ("/d", "/c/../account", "/c/%2e%2e/account", "/account;/c/x", "/C/x", "/d/c/"):
        await world.ask(target)
        await world.ask(target)
    assert len(world.shop.asked) == 12


async def test_who_has_a_session_gets_their_own() -> None:
    world = World(Shop(lambda asked: told(body=PAGE + "".join(asked.get("cookie")).encode())), EVERYTHING)
    await world.ask("/other")
    own = await world.ask("/other", headers=[("cookie", "theme=dark; sid=jane")])
    assert own.body.endswith(b"theme=dark; sid=jane")
    assert (await world.ask("/other", headers=[("cookie", "theme=dark")])).body == PAGE
    assert len(world.shop.asked) == 2


async def test_a_cookie_that_the_rule_does_not_know_gets_their_own() -> None:
    world = World(Shop(lambda asked: told(body=PAGE + "".join(asked.get("cookie")).encode())), EVERYTHING)
    await world.ask("/other")
    assert (await world.ask("/other", headers=[("cookie", "new_thing=1")])).body.endswith(b"new_thing=1")
    assert (await world.ask("/other")).body == PAGE


async def test_query_keys_that_change_nothing_share_a_page_and_never_reach_it() -> None:
    world = World(Shop(lambda asked: told(body=PAGE + asked.target)), EVERYTHING)
    assert (await world.ask("/other?utm_source=evil&ref=x&a=1")).body.endswith(b"/other?a=1")
    assert (await world.ask("/other?a=1&gclid=y")).body.endswith(b"/other?a=1")
    assert (await world.ask("/other?a=2")).body.endswith(b"/other?a=2")
    assert len(world.shop.asked) == 2


async def test_a_cookie_that_is_stripped_reaches_nobody() -> None:
    world = World(Shop(told(("Set-Cookie", "csrf=abcdefgh; Path=/"))), EVERYTHING)
    for _ in range(2):
        assert (await world.ask("/")).get("set-cookie") == []
    assert len(world.shop.asked) == 1


async def test_a_cookie_that_is_not_stripped_is_this_visitors_own() -> None:
    def answer(asked: Asked) -> Told:
        return told() if asked.get("cookie") else told(("Set-Cookie", "session=new"))

    world = World(Shop(answer), EVERYTHING)
    got = await world.ask("/", headers=[("cookie", "theme=dark")])
    assert got.get("set-cookie") == []  # the answer to the question for everybody was thrown away
    assert [asked.get("cookie") for asked in world.shop.asked] == [[], ["theme=dark"]]
    got = await world.ask("/")
    assert got.get("set-cookie") == ["session=new"]
    assert len(world.shop.asked) == 3  # nobody asks for everybody for a while


async def test_a_redirect_to_log_in_is_asked_for_by_each() -> None:
    def answer(asked: Asked) -> Told:
        return told(body=b"<p>Jane's") if asked.get("cookie") else told(("Location", "/login"), status=302)

    world = World(Shop(answer), EVERYTHING)
    assert (await world.ask("/other", headers=[("cookie", "theme=1")])).body == b"<p>Jane's"
    assert (await world.ask("/other")).status == 302
    assert (await world.ask("/other", headers=[("cookie", "theme=2")])).body == b"<p>Jane's"


@pytest.mark.parametrize(
    "body",
    [
        b'<form><input type=hidden name="csrfmiddlewaretoken" value="kJ8sXq2Lr9"></form>',
        b'<script nonce="r4nd0m">1</script>',
        b'<a href="/?PHPSESSID=0a1b2c3d4e5f6a7b8c9d">x</a>',
    ],
)
async def test_a_token_in_the_page_keeps_it_from_being_kept(body: bytes) -> None:
    for coding in ("", "gzip"):
        lines = [("Content-Encoding", "gzip")] if coding else []
        page = Told(headers=[HTML, *lines], chunks=[gzip.compress(PAGE + body) if coding else PAGE + body])
        world = World(Shop(page), EVERYTHING)
        for _ in range(3):
            await world.ask("/other", headers=[("accept-encoding", "gzip")])
        assert len(world.shop.asked) == 4  # once for everybody, then by each


async def test_what_cannot_be_looked_through_is_not_kept() -> None:
    for headers, chunks in (
        ([HTML, ("Content-Encoding", "gzip")], [b"nonsense"]),
        ([("Content-Type", "text/html; charset=utf-16")], [PAGE.decode().encode("utf-16")]),
        ([HTML, ("Content-Encoding", "snappy")], [PAGE]),
    ):
        world = World(Shop(Told(headers=headers, chunks=chunks)), EVERYTHING)
        for _ in range(2):
            await world.ask("/other")
        assert len(world.shop.asked) == 3


async def test_a_secret_in_json_keeps_it_from_being_kept_under_a_rule() -> None:
    page = Told(headers=[("Content-Type", "application/json")], chunks=[b'{"csrf_token": "kJ8sXq2Lr9"}'])
    world = World(Shop(page), EVERYTHING)
    for _ in range(2):
        await world.ask("/c/data")
    assert len(world.shop.asked) == 3


async def test_an_answer_that_tells_of_its_visitor_is_theirs() -> None:
    world = World(Shop(told(PUBLIC, ("Edge-Event", "order"))), EVERYTHING)
    for _ in range(2):
        await world.ask("/other")
    assert len(world.shop.asked) == 3


async def test_never_means_not_even_where_the_shop_allows_it() -> None:
    rules = ruled('[[cache]]\non = "/**"\nfor = "never"')
    world = World(Shop(told(PUBLIC)), rules)
    for _ in range(3):
        await world.ask("/")
    assert all(asked.get("user-agent") == [] for asked in world.shop.asked)
    assert len(world.shop.asked) == 3


# --------------------------------------------------------------------------- many at once


def held(shop: Shop, gate: asyncio.Event) -> Shop:
    """The same shop, whose answers wait for the gate."""
    handle = shop.handle_async_request

    async def later(request: httpx.Request) -> httpx.Response:
        response = await handle(request)
        await gate.wait()
        return response

    shop.handle_async_request = later  # type: ignore[method-assign]  # the way in for every question
    return shop


async def test_a_thousand_who_come_at_once_are_one_question() -> None:
    gate = asyncio.Event()
    world = World(held(Shop(FORBIDDEN), gate), EVERYTHING)
    asking = [asyncio.create_task(world.ask("/", stage="new" if n % 2 else "loyal")) for n in range(1000)]
    await settled()
    gate.set()
    pages = [got.body for got in await asyncio.gather(*asking)]
    assert pages == [CALM if n % 2 else THANKS for n in range(1000)]
    assert len(world.shop.asked) == 1


async def test_a_thousand_at_once_where_nothing_is_known_are_two_questions() -> None:
    """The first goes for themselves, since nobody knows whether one may ask for all; the second asks for all others."""
    gate = asyncio.Event()
    world = World(held(Shop(told(PUBLIC)), gate))
    asking = [asyncio.create_task(world.ask("/", stage="new" if n % 2 else "loyal")) for n in range(1000)]
    await settled()
    gate.set()
    pages = [got.body for got in await asyncio.gather(*asking)]
    assert pages == [CALM if n % 2 else THANKS for n in range(1000)]
    assert len(world.shop.asked) == 2


async def test_where_nothing_is_known_and_nothing_shareable_nobody_waits_a_second_time() -> None:
    gate = asyncio.Event()
    world = World(held(Shop(told()), gate))
    asking = [asyncio.create_task(world.ask("/c/a")) for _ in range(10)]
    await settled()
    assert len(world.shop.asked) == 2
    gate.set()
    await asyncio.gather(*asking)
    assert len(world.shop.asked) == 11
    gate.clear()
    asking = [asyncio.create_task(world.ask("/c/b")) for _ in range(10)]
    await settled()
    assert len(world.shop.asked) == 21
    gate.set()
    await asyncio.gather(*asking)


async def test_who_leaves_ends_nothing_for_the_others() -> None:
    gate = asyncio.Event()
    world = World(held(Shop(FORBIDDEN), gate), EVERYTHING)
    first = asyncio.create_task(world.ask("/"))
    await settled()
    second = asyncio.create_task(world.ask("/", stage="loyal"))
    await settled()
    first.cancel()
    await settled()
    gate.set()
    assert (await second).body == THANKS
    assert len(world.shop.asked) == 1


async def test_nobody_queues_behind_what_turns_out_uncacheable() -> None:
    gate = asyncio.Event()
    world = World(held(Shop(told(("Set-Cookie", "a=1"))), gate), EVERYTHING)
    asking = [asyncio.create_task(world.ask("/")) for _ in range(10)]
    await settled()
    assert len(world.shop.asked) == 1
    gate.set()
    await asyncio.gather(*asking)
    assert len(world.shop.asked) == 11  # once for everybody, then each for themselves
    await world.ask("/")
    assert len(world.shop.asked) == 12
    world.now += 121
    await world.ask("/")
    assert len(world.shop.asked) == 14  # it is tried again


async def test_a_shop_that_fails_fails_for_all_who_waited() -> None:
    for problem, status in ((ShopRefused("refused", "no connection"), 502), (ShopTimeout("page", "too late"), 504)):
        world = World(Shop(problem), EVERYTHING)
        got = await asyncio.gather(*(world.ask("/") for _ in range(5)))
        assert [one.status for one in got] == [status] * 5
        assert len(world.shop.asked) == 1


async def test_a_page_that_breaks_off_is_never_kept_and_never_whole() -> None:
    world = World(Shop(Told(headers=[HTML, PUBLIC], chunks=[PAGE[:50], ShopBroken("body", "gone")])), EVERYTHING)
    for _ in range(2):
        assert (await world.ask("/other")).cut
    world.shop.answer = told(PUBLIC)
    assert (await world.ask("/other")).body == PAGE


# --------------------------------------------------------------------------- stale


async def test_stale_while_it_is_asked_for_anew() -> None:
    versions = iter([PAGE, PAGE + b"2", PAGE + b"3"])
    world = World(
        Shop(
            lambda asked: told(("Cache-Control", "public, max-age=60, stale-while-revalidate=60"), body=next(versions))
        )
    )
    await world.ask("/other", headers=[("cookie", "a=1")])  # the shop's word for the neighbourhood
    await world.ask("/other")
    world.now += 70
    assert (await world.ask("/other")).body == PAGE + b"2"
    await settled()
    assert len(world.shop.asked) == 3
    assert (await world.ask("/other")).body == PAGE + b"3"
    assert len(world.shop.asked) == 3


async def test_it_is_asked_for_anew_once_however_many_come() -> None:
    gate = asyncio.Event()
    gate.set()
    world = World(held(Shop(FORBIDDEN), gate), EVERYTHING)
    await world.ask("/")
    world.now += 301
    gate.clear()
    for _ in range(20):
        assert (await world.ask("/", stage="new")).body == CALM  # nobody waits
    await settled()
    assert len(world.shop.asked) == 2
    gate.set()
    await settled()


async def test_too_stale_is_waited_for() -> None:
    world = World(Shop(FORBIDDEN), EVERYTHING)
    await world.ask("/other")
    world.now += 361
    world.shop.answer = told(body=b"<p>new")
    assert (await world.ask("/other")).body == b"<p>new"


@pytest.mark.parametrize("problem", [ShopRefused("refused", "no connection"), Told(503, [HTML], [b"sorry"])])
async def test_a_stale_page_where_the_shop_fails(problem: Told | Exception) -> None:
    world = World(Shop(FORBIDDEN), EVERYTHING)
    await world.ask("/", stage="new")
    world.now += 400
    world.shop.answer = problem
    assert (await world.ask("/", stage="loyal")).body == THANKS
    world.now += 600
    assert (await world.ask("/", stage="loyal")).status in {502, 503}
    world.shop.answer = FORBIDDEN
    world.now += 5
    world.shop.asked.clear()
    for _ in range(2):  # it is kept again as soon as the shop is well
        assert (await world.ask("/", stage="loyal")).body == THANKS
    assert len(world.shop.asked) == 1


@pytest.mark.parametrize("problem", [ShopTimeout("connect", "too late"), Told(503, [HTML], [b"sorry"])])
@pytest.mark.parametrize(
    "seconds", [310, 400]
)  # while it is asked for anew behind it, and where it would be waited for
async def test_a_shop_that_has_just_failed_is_not_asked_about_a_stale_page_by_each(
    problem: Told | Exception, seconds: int
) -> None:
    world = World(Shop(FORBIDDEN), EVERYTHING)
    await world.ask("/other")
    world.now += seconds
    world.shop.answer = problem
    world.shop.asked.clear()
    for _ in range(5):
        assert (await world.ask("/other")).body == PAGE
        await settled()
    assert len(world.shop.asked) == 1
    world.now += 2
    await world.ask("/other")
    await settled()
    assert len(world.shop.asked) == 2
    world.shop.answer = told(body=b"<p>new")
    world.now += 2
    for _ in range(2):
        got = await world.ask("/other")
        await settled()
    assert got.body == b"<p>new"


async def test_where_an_answer_looked_shareable_the_next_asks_for_everybody_whatever_is_around() -> None:
    world = World(Shop(lambda asked: told(PUBLIC) if asked.target == b"/good" else told()))
    assert world.parts.cache is not None
    prospects = world.parts.cache.known.prospects
    for _ in range(5):
        prospects.refused(HOST.encode(), b"/good")
    for _ in range(3):
        await world.ask("/good")
    await world.ask("/bad")
    assert [asked.target for asked in world.shop.asked] == [b"/good", b"/good", b"/bad"]


async def test_who_would_rather_have_something_else_than_html_is_not_given_a_page() -> None:
    def answer(asked: Asked) -> Told:
        kind = "text/vnd.turbo-stream.html" if asked.get("accept")[0].startswith("text/vnd") else HTML[1]
        return Told(200, [("Content-Type", kind), PUBLIC, ("Vary", "Accept")], [kind.encode()])

    world = World(Shop(answer))
    for _ in range(3):
        for accept, kind in (
            ("text/vnd.turbo-stream.html, text/html", "text/vnd.turbo-stream.html"),
            ("text/html, application/xhtml+xml", HTML[1]),
        ):
            assert (await world.ask("/other", headers=[("accept", accept)])).one("content-type") == kind


async def test_must_revalidate_is_never_used_stale() -> None:
    world = World(Shop(told(("Cache-Control", "public, max-age=60, must-revalidate, stale-if-error=600"))))
    await warm(world)
    await world.ask("/other")
    world.now += 61
    world.shop.answer = ShopRefused("refused", "no connection")
    assert (await world.ask("/other")).status == 502


async def test_an_hour_where_the_shop_is_gone_and_nobody_said() -> None:
    world = World(Shop(told(PUBLIC)))
    await warm(world)
    await world.ask("/other")
    world.shop.answer = ShopRefused("refused", "no connection")
    world.now += 3600
    assert (await world.ask("/other")).body == PAGE
    world.now += 61
    assert (await world.ask("/other")).status == 502


# --------------------------------------------------------------------------- asking whether it still holds


def confirming(asked: Asked) -> Told:
    if asked.get("if-none-match") == ['"1"']:
        return Told(304, [TAG, ("Cache-Control", "public, max-age=600"), ("X-New", "yes")], [])
    return told(PUBLIC, TAG, ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"), ("X-Old", "yes"))


async def test_a_304_of_the_shops_confirms_what_is_kept() -> None:
    world = World(Shop(confirming))
    await warm(world)
    await world.ask("/other")
    world.now += 61
    got = await world.ask("/other")
    assert world.shop.asked[-1].get("if-none-match") == ['"1"']
    assert world.shop.asked[-1].get("if-modified-since") == ["Mon, 01 Jan 2024 00:00:00 GMT"]
    assert (got.status, got.body, got.get("x-old"), got.get("x-new")) == (200, PAGE, ["yes"], ["yes"])
    assert got.one("content-type") == HTML[1]
    world.now += 599
    await world.ask("/other")
    assert len(world.shop.asked) == 2


async def test_a_304_that_nobody_asked_for_confirms_nothing() -> None:
    world = World(Shop(Told(304, [TAG], [])), EVERYTHING)
    got = await world.ask("/other", headers=[("if-none-match", '"1"')])
    assert got.status == 304  # the visitor's own question, and its answer
    assert world.shop.asked[-1].get("if-none-match") == ['"1"']


async def test_a_shop_that_says_no_store_when_it_confirms_is_heard() -> None:
    def answer(asked: Asked) -> Told:
        if asked.get("if-none-match"):
            return Told(304, [TAG, ("Cache-Control", "no-store")], [])
        return told(PUBLIC, TAG)

    world = World(Shop(answer))
    await warm(world)
    await world.ask("/other")
    world.now += 61
    assert (await world.ask("/other")).body == PAGE
    assert world.parts.cache is not None
    assert len(world.parts.cache.store) == 0


@pytest.mark.parametrize(
    "lines",
    [
        [("ETag", '"2"'), PUBLIC],
        [TAG, PUBLIC, ("Content-Security-Policy", "script-src 'nonce-r4nd0m'")],
        [TAG, PUBLIC, ("Vary", "Accept-Language")],
        [TAG, PUBLIC, ("Vary", "*")],
    ],
)
async def test_a_304_that_says_something_else_forgets_what_was_kept(lines: list[tuple[str, str]]) -> None:
    def answer(asked: Asked) -> Told:
        return Told(304, lines, []) if asked.get("if-none-match") else told(PUBLIC, TAG)

    world = World(Shop(answer))
    await warm(world)
    await world.ask("/other")
    world.now += 61
    assert (await world.ask("/other")).body == PAGE  # the visitor's own question
    assert world.parts.cache is not None
    assert len(world.parts.cache.store) == 0


async def test_a_304_that_sets_a_cookie_gives_it_to_nobody() -> None:
    def answer(asked: Asked) -> Told:
        if asked.get("if-none-match"):
            return Told(304, [TAG, PUBLIC, ("Set-Cookie", "sid=jane")], [])
        return told(PUBLIC, TAG)

    world = World(Shop(answer))
    await warm(world)
    await world.ask("/other")
    world.now += 61
    for _ in range(3):
        assert (await world.ask("/other")).get("set-cookie") == []


async def test_a_304_without_an_expires_of_its_own_holds_for_now() -> None:
    """The old one is past: what was confirmed is served, and asked about each time."""

    def answer(asked: Asked) -> Told:
        if asked.get("if-none-match"):
            return Told(304, [("Date", date_of(world.now)), TAG], [])
        return told(("Date", date_of(world.now)), ("Expires", date_of(world.now + 60)), TAG)

    world = World(Shop(answer))
    await warm(world)
    await world.ask("/other")
    for _ in range(2):
        world.now += 61
        assert (await world.ask("/other")).body == PAGE
    assert [asked.get("if-none-match") for asked in world.shop.asked] == [[], ['"1"'], ['"1"']]


@pytest.mark.parametrize("line", [("Cache-Control", "max-age=60"), ("Vary", "Cookie")])
async def test_a_304_may_say_that_a_page_is_not_for_everybody_any_more(line: tuple[str, str]) -> None:
    world = World(Shop(lambda asked: Told(304, [TAG, line], []) if asked.get("if-none-match") else told(PUBLIC, TAG)))
    await warm(world)
    await world.ask("/other")
    world.now += 61
    await world.ask("/other")
    await world.ask("/other", headers=[("cookie", "sid=jane")])
    assert world.shop.asked[-1].get("cookie") == ["sid=jane"]


async def test_a_304_may_give_a_page_other_tags() -> None:
    def answer(asked: Asked) -> Told:
        name = "new" if asked.get("if-none-match") else "old"
        return Told(304 if name == "new" else 200, [HTML, PUBLIC, TAG, ("Cache-Tag", name)], [PAGE])

    world = World(Shop(answer))
    await warm(world)
    await world.ask("/other")
    world.now += 61
    await world.ask("/other")
    assert world.parts.cache is not None
    assert [world.parts.cache.purge(None, [tag]) for tag in ("old", "new")] == [0, 1]


async def test_a_page_that_is_public_and_stale_at_once_is_asked_about_each_time() -> None:
    def answer(asked: Asked) -> Told:
        lines = [("Cache-Control", "public, no-cache"), TAG]
        return Told(304, lines, []) if asked.get("if-none-match") == ['"1"'] else told(*lines)

    world = World(Shop(answer))
    await warm(world)
    for _ in range(3):
        assert (await world.ask("/", stage="new")).body == CALM
    assert [asked.get("if-none-match") for asked in world.shop.asked] == [[], ['"1"'], ['"1"']]


# --------------------------------------------------------------------------- conditions, ranges, HEAD


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("if-none-match", '"1"')], 304),
        ([("if-none-match", 'W/"1", "2"')], 304),
        ([("if-none-match", "*")], 304),
        ([("if-none-match", '"2"')], 200),
        ([("if-none-match", '"2"'), ("if-modified-since", "Mon, 01 Jan 2026 00:00:00 GMT")], 200),
        ([("if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT")], 304),
        ([("if-modified-since", "Sun, 31 Dec 2023 00:00:00 GMT")], 200),
        ([("if-modified-since", "yesterday")], 200),
        ([("if-none-match", "1")], 200),
    ],
)
async def test_conditions_are_answered_from_what_is_kept(headers: list[tuple[str, str]], status: int) -> None:
    world = World(Shop(told(PUBLIC, TAG, ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"))))
    await warm(world)
    await world.ask("/other")
    got = await world.ask("/other", headers=headers)
    assert got.status == status
    assert got.body == (PAGE if status == 200 else b"")
    assert got.get("etag") == ['"1"']
    assert len(world.shop.asked) == 1


async def test_where_the_shop_tells_no_last_modified_its_date_is_what_a_condition_is_about() -> None:
    made = "Mon, 01 Jun 2026 12:00:00 GMT"
    world = World(Shop(told(PUBLIC, ("Date", made))))
    await warm(world)
    await world.ask("/other")
    assert (await world.ask("/other", headers=[("if-modified-since", made)])).status == 304
    before = "Mon, 01 Jun 2026 11:59:59 GMT"
    assert (await world.ask("/other", headers=[("if-modified-since", before)])).status == 200


FROM_A_PLAYER = [("range", "bytes=0-1"), ("accept-encoding", "identity;q=1, *;q=0")]


@pytest.mark.parametrize(
    ("lines", "asked"),
    [([], 1), ([("Content-Encoding", "gzip")], 2), ([("Vary", "Accept-Encoding")], 2)],
)
async def test_who_takes_no_coding_gets_a_part_of_what_has_none(lines: list[tuple[str, str]], asked: int) -> None:
    world = World(Shop(Told(200, [("Content-Type", "video/mp4"), PUBLIC, *lines], [b"0123456789"])))
    await warm(world, "/a.mp4")
    await world.ask("/a.mp4", headers=[("accept-encoding", "gzip, deflate, br, zstd")])
    await settled()
    got = await world.ask("/a.mp4", headers=FROM_A_PLAYER)
    assert len(world.shop.asked) == asked
    if asked == 1:
        assert (got.status, got.body, got.one("content-range")) == (206, b"01", "bytes 0-1/10")


async def test_a_file_that_was_under_way_for_a_while_says_so_to_who_asked_first() -> None:
    world = World(Shop(Told(200, [("Content-Type", "text/css"), PUBLIC, ("Age", "40")], [b"a {}"])))
    for _ in range(2):
        assert (await world.ask("/a.css")).get("age") == ["40"]
        await settled()
    assert len(world.shop.asked) == 1


async def test_no_condition_of_the_shops_confirms_an_edited_page() -> None:
    world = World(Shop(told(PUBLIC, TAG)))
    await warm(world)
    novice = await world.ask("/", stage="new")
    for tag in ('"1"', "*", novice.one("etag")):
        got = await world.ask("/", stage="loyal", headers=[("if-none-match", tag)])
        assert (got.status, got.body) == (200, THANKS)
    got = await world.ask("/", stage="new", headers=[("if-none-match", novice.one("etag"))])
    assert got.status == 304


@pytest.mark.parametrize(
    ("headers", "status", "part", "told_range"),
    [
        ([("range", "bytes=2-4")], 206, b"234", "bytes 2-4/10"),
        ([("range", "bytes=7-")], 206, b"789", "bytes 7-9/10"),
        ([("range", "bytes=7-99")], 206, b"789", "bytes 7-9/10"),
        ([("range", "bytes=-3")], 206, b"789", "bytes 7-9/10"),
        ([("range", "bytes=-99")], 206, b"0123456789", "bytes 0-9/10"),
        ([("range", "bytes=10-")], 416, b"", "bytes */10"),
        ([("range", "bytes=-0")], 416, b"", "bytes */10"),
        ([("range", "bytes=4-2")], 200, b"0123456789", None),
        ([("range", "bytes=0-1,3-4")], 200, b"0123456789", None),
        ([("range", "lines=0-1")], 200, b"0123456789", None),
        ([("range", "bytes=a-b")], 200, b"0123456789", None),
        ([("range", "bytes=-")], 200, b"0123456789", None),
        ([("range", "bytes=2-4"), ("if-range", '"1"')], 206, b"234", "bytes 2-4/10"),
        ([("range", "bytes=2-4"), ("if-range", '"2"')], 200, b"0123456789", None),
        ([("range", "bytes=2-4"), ("if-range", 'W/"1"')], 200, b"0123456789", None),
    ],
)
async def test_ranges_of_what_is_kept_whole(
    headers: list[tuple[str, str]], status: int, part: bytes, told_range: str | None
) -> None:
    world = World(Shop(Told(headers=[CSS, PUBLIC, TAG], chunks=[b"01234", b"56789"])))
    await world.ask("/a.css")
    await settled()
    got = await world.ask("/a.css", headers=headers)
    assert (got.status, got.body, got.get("content-range")) == (status, part, [told_range] if told_range else [])
    assert len(world.shop.asked) == 1


async def test_a_range_of_what_is_not_kept_goes_to_the_shop() -> None:
    world = World(Shop(Told(206, [CSS, PUBLIC, ("Content-Range", "bytes 0-1/10")], [b"01"])))
    for _ in range(2):
        got = await world.ask("/a.css", headers=[("range", "bytes=0-1")])
        assert (got.status, got.body) == (206, b"01")
    assert [asked.get("range") for asked in world.shop.asked] == [["bytes=0-1"]] * 2


async def test_a_head_is_answered_from_what_is_kept_and_asks_for_nothing_whole() -> None:
    world = World(Shop(told(PUBLIC, TAG)))
    await warm(world)
    await world.ask("/other", method="HEAD")
    assert world.shop.asked[-1].method == "HEAD"
    await world.ask("/other")
    got = await world.ask("/other", method="HEAD")
    assert (got.status, got.body, got.one("content-length")) == (200, b"", str(len(PAGE)))
    assert [asked.method for asked in world.shop.asked] == ["HEAD", "GET"]


@pytest.mark.parametrize("headers", [[("sec-fetch-dest", "empty")], [("range", "bytes=0-9")]])
async def test_a_kept_page_that_is_not_for_a_document_is_the_shops(headers: list[tuple[str, str]]) -> None:
    world = World(Shop(FORBIDDEN), EVERYTHING)
    for _ in range(2):
        assert (await world.ask("/", stage="new")).body == CALM
        got = await world.ask("/", stage="new", headers=headers)
        assert (got.status, got.body) == (200, PAGE)
        assert got.one("cache-control") == "private, no-cache, no-store"
    assert len(world.shop.asked) == 1


# --------------------------------------------------------------------------- files


async def test_a_file_is_kept_while_it_streams_and_read_by_all() -> None:
    world = World(Shop(Told(headers=[CSS, PUBLIC, ("Content-Length", "10")], chunks=[b"01234", b"56789"])))
    got = await asyncio.gather(*(world.ask("/a.css") for _ in range(10)))
    assert {one.body for one in got} == {b"0123456789"}
    assert {one.one("content-length") for one in got} == {"10"}
    await settled()
    assert (await world.ask("/a.css")).one("age") == "0"
    assert len(world.shop.asked) == 1


async def test_a_file_that_the_visitor_holds_is_confirmed_while_it_is_fetched_for_all() -> None:
    world = World(Shop(Told(headers=[CSS, PUBLIC, TAG], chunks=[b"01234", b"56789"])))
    got = await world.ask("/a.css", headers=[("if-none-match", '"1"')])
    assert (got.status, got.body) == (304, b"")
    await settled()
    assert (await world.ask("/a.css")).body == b"0123456789"
    assert len(world.shop.asked) == 1


async def test_a_file_that_breaks_off_breaks_off_for_all_and_is_not_kept() -> None:
    shop = Shop(Told(headers=[CSS, PUBLIC], chunks=[b"01234", ShopBroken("body", "gone")]))
    world = World(shop)
    got = await asyncio.gather(*(world.ask("/a.css") for _ in range(3)))
    assert [(one.body, one.cut) for one in got] == [(b"01234", True)] * 3
    shop.answer = Told(headers=[CSS, PUBLIC], chunks=[b"ok"])
    assert (await world.ask("/a.css")).body == b"ok"


async def test_a_file_that_is_too_big_passes() -> None:
    big = [b"x" * 60_000] * 40
    for lines in ([], [("Content-Length", str(60_000 * 40))]):
        world = World(Shop(Told(headers=[CSS, PUBLIC, *lines], chunks=big)))
        for _ in range(2):
            assert (await world.ask("/a.css")).body == b"".join(big)
            await settled()
        assert world.parts.cache is not None
        assert len(world.parts.cache.store) == 0


# --------------------------------------------------------------------------- numbers


async def test_what_each_request_came_to_is_counted_and_logged() -> None:
    world = World(Shop(FORBIDDEN), EVERYTHING)
    for target, headers in (("/", []), ("/", []), ("/", [("cookie", "sid=1")]), ("/d", [])):
        await world.ask(target, headers=headers)
    world.now += 310
    await world.ask("/")
    await settled()
    journal = world.parts.journal
    counted = {how: journal.cache.get(how) for how in ("miss", "hit", "bypass", "pass", "stale")}
    assert counted == {"miss": 1, "hit": 1, "bypass": 1, "pass": 1, "stale": 1}
    journal.log.flush()
    lines = world.log.getvalue().splitlines()
    assert [("cache=miss" in line, "cache=hit" in line) for line in lines[:2]] == [(True, False), (False, True)]
    text = journal.metrics().decode()
    assert "edgeproxy_cache_pages 1.0" in text
    assert "edgeproxy_cache_kept_total 2.0" in text


async def test_why_answers_were_not_kept_is_counted_without_what_differs() -> None:
    world = World(Shop(lambda asked: told(("Set-Cookie", f"{asked.target.decode()[3:]}=1"))), EVERYTHING)
    for name in ("one", "two"):
        await world.ask(f"/c/{name}")
    assert 'edgeproxy_cache_refused_total{why="it sets the cookie …"} 2.0' in world.parts.journal.metrics().decode()


# --------------------------------------------------------------------------- room


def small(kilobytes: int) -> dict[str, object]:
    return {"limits": Limits(cache_bytes=kilobytes * 1024)}


async def test_a_page_bigger_than_the_cache_passes() -> None:
    world = World(Shop(told(PUBLIC, body=PAGE + b"x" * 50_000)), settings=small(20))
    await warm(world)
    for _ in range(2):
        assert (await world.ask("/other")).status == 200
    assert world.parts.cache is not None
    assert len(world.parts.cache.store) == 0


async def test_a_full_cache_lets_the_least_used_go() -> None:
    world = World(Shop(told(PUBLIC, body=b"x" * 2000)), settings=small(20))
    await warm(world, "/c/a")
    for n in range(50):
        await world.ask(f"/c/{n}")
        await world.ask("/c/0")
    assert world.parts.cache is not None
    store = world.parts.cache.store
    assert store.size <= 20 * 1024
    assert 2 <= len(store) < 50
    world.shop.asked.clear()
    await world.ask("/c/0")
    assert world.shop.asked == []


async def test_without_room_nothing_is_kept() -> None:
    world = World(Shop(told(PUBLIC)), EVERYTHING, settings=small(0))
    for _ in range(3):
        assert (await world.ask("/", stage="new")).body == CALM
    assert len(world.shop.asked) == 3
    assert world.parts.cache is None


# --------------------------------------------------------------------------- forgetting


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_an_unsafe_method_makes_what_is_kept_old(method: str) -> None:
    world = World(Shop(told(PUBLIC)))
    await warm(world)
    for target in ("/other", "/other?page=2", "/c/boots", "/c/hats"):
        await world.ask(target)
    world.shop.answer = told(("Location", "http://shop.example/c/boots"), status=303)
    await world.ask("/other", method=method)
    world.shop.answer = told(PUBLIC)
    world.shop.asked.clear()
    for target in ("/other", "/other?page=2", "/c/boots", "/c/hats"):
        await world.ask(target)
    assert [asked.target for asked in world.shop.asked] == [b"/other", b"/other?page=2", b"/c/boots"]


async def test_an_unsafe_method_that_fails_changes_nothing() -> None:
    world = World(Shop(told(PUBLIC)))
    await warm(world)
    await world.ask("/other")
    world.shop.answer = told(status=403)
    await world.ask("/other", method="POST")
    await world.ask("/other")
    assert len(world.shop.asked) == 2


async def test_another_hosts_pages_are_not_forgotten_by_a_location() -> None:
    world = World(Shop(told(PUBLIC)), settings={"hosts": ("a.example", "b.example")})
    for _ in range(2):
        await world.ask("/other", host="b.example")
    world.shop.answer = told(("Location", "http://b.example/other"), status=303)
    await world.ask("/other", host="a.example", method="POST")
    world.shop.asked.clear()
    await world.ask("/other", host="b.example")
    assert world.shop.asked == []


async def test_a_location_elsewhere_forgets_nothing_here() -> None:
    world = World(Shop(told(PUBLIC)))
    await warm(world)
    await world.ask("/c/boots")
    world.shop.answer = told(("Location", "http://elsewhere.example/c/boots"), status=303)
    await world.ask("/other", method="POST")
    world.shop.asked.clear()
    await world.ask("/c/boots")
    assert world.shop.asked == []


async def test_purging_by_path_and_by_tag() -> None:
    from edgeproxy.core.paths import compile_paths

    def answer(asked: Asked) -> Told:
        tag = asked.target.rpartition(b"/")[2].decode()
        return told(PUBLIC, ("Surrogate-Key", f"{tag} all"), ("Cache-Tag", "x, y"))

    world = World(Shop(answer))
    cache = world.parts.cache
    assert cache is not None
    await warm(world)

    async def fill() -> None:
        for target in ("/c/a", "/c/b", "/other"):
            await world.ask(target)

    await fill()
    assert cache.purge(compile_paths(["/c/**"])) == 2
    await fill()
    assert cache.purge(None, ["a"]) == 1
    await fill()
    assert cache.purge(None, ["y", "nobody"]) == 3
    assert cache.purge(compile_paths(["/**"])) == 0


async def test_what_is_on_its_way_while_somebody_purges_is_not_kept() -> None:
    from edgeproxy.core.paths import compile_paths

    gate = asyncio.Event()
    world = World(held(Shop(FORBIDDEN), gate), EVERYTHING)
    first = asyncio.create_task(world.ask("/"))
    await settled()
    assert world.parts.cache is not None
    world.parts.cache.purge(compile_paths(["/**"]))
    second = asyncio.create_task(world.ask("/"))  # nobody new gets what may be old
    await settled()
    assert len(world.shop.asked) == 2
    gate.set()
    await asyncio.gather(first, second)
    await world.ask("/")
    assert len(world.shop.asked) == 2


async def test_what_was_asked_before_a_purge_and_comes_after_it_is_not_kept() -> None:
    from edgeproxy.core.paths import compile_paths

    gate = asyncio.Event()
    world = World(held(Shop(FORBIDDEN), gate), EVERYTHING)
    first = asyncio.create_task(world.ask("/other"))
    await settled()
    assert world.parts.cache is not None
    world.parts.cache.purge(compile_paths(["/**"]))
    gate.set()
    await first
    assert len(world.parts.cache.store) == 0
    world.shop.answer = told(body=b"<p>new")
    assert (await world.ask("/other")).body == b"<p>new"


async def test_rules_that_change_keep_what_is_still_right() -> None:
    world = World(Shop(FORBIDDEN), EVERYTHING)
    await world.ask("/")
    edits = {**EVERYTHING, "fragments/thanks.html": "<p>Another word</p>"}
    world.books.book = book_of(edits)
    assert (await world.ask("/", stage="loyal")).body == THANKS.replace(b"Good to see you", b"Another word")
    assert len(world.shop.asked) == 1
    longer = {**EVERYTHING, "shop.toml": EVERYTHING["shop.toml"].replace("5 minutes", "6 minutes")}
    world.books.book = book_of(longer)
    await world.ask("/")
    assert len(world.shop.asked) == 2
    assert world.parts.cache is not None
    assert len(world.parts.cache.store) == 1  # what the other rule had kept is gone
    world.books.book = book_of(RULES)
    await world.ask("/")
    assert len(world.shop.asked) == 3
    assert len(world.parts.cache.store) == 0


async def test_a_preview_is_neither_answered_from_what_is_kept_nor_kept() -> None:
    world = World(Shop(FORBIDDEN), EVERYTHING, settings={"preview": "open", "hosts": ("127.0.0.1",)})
    for _ in range(2):
        await world.ask("/?edge_stage=loyal", host="127.0.0.1", client="127.0.0.1")
    assert len(world.shop.asked) == 2
    assert world.parts.cache is not None
    assert len(world.parts.cache.store) == 0
