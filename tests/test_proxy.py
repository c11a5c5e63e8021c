"""The path of a request, end to end without ports: what a visitor gets, and what the shop was asked."""

from __future__ import annotations

import gzip

import pytest

from edgeproxy.core.flags import PreviewFlags
from edgeproxy.core.tokens import Leave, Session, Token, link, sign_session
from edgeproxy.origin import ShopBroken, ShopRefused, ShopTimeout
from tests.world import CALM, HOST, KEYS, NOON, PAGE, RULES, THANKS, Asked, Shop, Told, World

pytestmark = pytest.mark.anyio

HTML = ("Content-Type", "text/html; charset=utf-8")


# --------------------------------------------------------------------------- who gets what


@pytest.mark.parametrize(
    ("stage", "page"),
    [(None, CALM), ("new", CALM), ("loyal", THANKS), ("unheard-of", PAGE)],
)
async def test_each_stage_gets_its_page(stage: str | None, page: bytes) -> None:
    got = await World().ask("/", stage=stage)
    assert (got.status, got.body) == (200, page)


@pytest.mark.parametrize(
    "cookie", ["edge_visitor=nonsense", "edge_visitor=a.b.c", "edge_visitor=x; edge_visitor=y", "edge_visitor="]
)
async def test_a_cookie_that_proves_nothing_gets_the_shops_own_page(cookie: str) -> None:
    got = await World().ask("/", headers=[("cookie", cookie)])
    assert got.body == PAGE


async def test_nothing_fits_and_the_bytes_are_the_shops_in_the_shops_coding() -> None:
    coded = gzip.compress(PAGE, mtime=0)
    shop = Shop(Told(headers=[HTML, ("Content-Encoding", "gzip")], chunks=[coded[:20], coded[20:]]))
    got = await World(shop).ask("/", stage="unheard-of", headers=[("accept-encoding", "gzip")])
    assert got.raw == coded
    assert shop.asked[0].get("accept-encoding") == ["gzip"]


async def test_the_shop_is_asked_for_identity_where_its_page_is_rewritten() -> None:
    world = World()
    got = await world.ask("/", stage="new", headers=[("accept-encoding", "gzip, br")])
    assert world.shop.asked[0].get("accept-encoding") == ["identity"]
    assert got.body == CALM


async def test_a_shop_that_compresses_all_the_same_is_decoded() -> None:
    shop = Shop(Told(headers=[HTML, ("Content-Encoding", "gzip")], chunks=[gzip.compress(PAGE)]))
    got = await World(shop).ask("/", stage="new")
    assert got.body == CALM
    assert got.get("content-encoding") == []


@pytest.mark.parametrize("coded", [b"\x1f\x8bnonsense", gzip.compress(PAGE)[:-9], PAGE])
async def test_what_cannot_be_decoded_passes_as_it_came(coded: bytes) -> None:
    shop = Shop(Told(headers=[HTML, ("Content-Encoding", "gzip")], chunks=[coded]))
    got = await World(shop).ask("/", stage="new", headers=[("accept-encoding", "br")])
    assert got.raw == coded
    assert got.get("content-encoding") == ["gzip"]


@pytest.mark.parametrize(
    ("target", "why"), [("/checkout/pay", "never"), ("/other", "no slot there"), ("/checkout%2Fpay", "never, resolved")]
)
async def test_a_page_without_slots_keeps_the_shops_headers(target: str, why: str) -> None:
    headers = [HTML, ("ETag", '"1"'), ("Cache-Control", "public, max-age=60")]
    got = await World(Shop(Told(headers=headers))).ask(target, stage="new")
    assert got.body == PAGE, why
    assert got.get("etag") == ['"1"']
    assert got.get("cache-control") == ["public, max-age=60"]
    assert got.get("vary") == []


@pytest.mark.parametrize(
    "told",
    [
        Told(headers=[("Content-Type", "application/json")]),
        Told(headers=[("Content-Type", "application/xhtml+xml")]),
        Told(headers=[]),
        Told(status=404),
        Told(status=500),
        Told(headers=[("Content-Type", "text/html; charset=utf-16")]),
    ],
)
async def test_only_html_documents_that_can_be_read_are_rewritten(told: Told) -> None:
    got = await World(Shop(told)).ask("/", stage="new")
    assert (got.status, got.body) == (told.status, PAGE)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_pass_with_their_bodies(method: str) -> None:
    world = World()
    got = await world.ask("/", method=method, stage="new", body=[b"a=1", b"&b=2"])
    assert got.body == PAGE
    assert world.shop.asked[0].body == b"a=1&b=2"
    assert world.shop.asked[0].deadline is None


async def test_a_page_has_the_deadline_that_was_set_also_a_short_one_and_for_two_questions_together() -> None:
    private = Told(headers=[("Content-Type", "text/html"), ("Cache-Control", "max-age=60"), ("Set-Cookie", "a=1")])
    rules = {**RULES, "shop.toml": RULES["shop.toml"] + '\n[[cache]]\non = ["/**"]\nfor = "1 m"\n'}
    world = World(Shop(private), rules, {"deadline": 0.25})
    await world.ask("/")
    shared, own = (asked.deadline for asked in world.shop.asked)
    assert shared == 0.25
    assert own is not None
    assert 0 <= own < 0.25


async def test_head_is_asked_as_head_and_promises_nothing_of_the_body() -> None:
    shop = Shop(Told(headers=[HTML, ("Content-Length", "999"), ("ETag", '"1"')], chunks=[]))
    got = await World(shop).ask("/", method="HEAD", stage="new")
    assert shop.asked[0].method == "HEAD"
    assert (got.status, got.body) == (200, b"")
    assert got.get("content-length") == got.get("etag") == []
    assert got.one("vary") == "Cookie"


async def test_a_script_that_fetches_the_page_gets_it_untouched_but_never_kept() -> None:
    shop = Shop(Told(headers=[HTML, ("Cache-Control", "public, max-age=600"), ("ETag", '"1"')]))
    got = await World(shop).ask("/", stage="new", headers=[("sec-fetch-dest", "empty")])
    assert got.body == PAGE
    assert got.one("cache-control") == "private, no-cache"
    assert got.get("etag") == []


async def test_without_rules_the_proxy_is_a_plain_one() -> None:
    headers = [HTML, ("ETag", '"1"'), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    got = await World(Shop(Told(headers=headers)), rules=None).ask("/", stage="new")
    assert got.body == PAGE
    assert got.get("etag") == ['"1"']
    assert got.get("set-cookie") == ["a=1", "b=2"]


# --------------------------------------------------------------------------- what caches may keep


@pytest.mark.parametrize("stage", ["new", "loyal", "unheard-of"])
async def test_a_page_with_slots_leaves_as_private_for_everybody(stage: str) -> None:
    shop = Shop(Told(headers=[HTML, ("Cache-Control", "public, max-age=600"), ("ETag", '"1"')]))
    got = await World(shop).ask("/", stage=stage)
    assert got.one("cache-control") == "private, no-cache"
    assert got.one("cdn-cache-control") == "no-store"
    assert "Cookie" in got.one("vary")
    assert got.get("etag") != ['"1"']


async def test_a_304_never_confirms_another_visitors_page() -> None:
    """Fetch as newcomer, revalidate as regular: the whole page, by the shop's validators and by ours."""

    def answer(asked: Asked) -> Told:
        if asked.get("if-none-match") or asked.get("if-modified-since"):
            return Told(status=304, headers=[("ETag", '"1"')], chunks=[])
        return Told(headers=[HTML, ("ETag", '"1"'), ("Last-Modified", "Mon, 01 Jun 2026 00:00:00 GMT")])

    world = World(Shop(answer))
    tag = (await world.ask("/", stage="new")).one("etag")
    for sent in (
        {"if-none-match": tag},
        {"if-none-match": '"1"'},
        {"if-modified-since": "Mon, 01 Jun 2026 00:00:00 GMT"},
    ):
        got = await world.ask("/", stage="loyal", headers=list(sent.items()))
        assert (got.status, got.body) == (200, THANKS), sent
    same = await world.ask("/", stage="new", headers=[("if-none-match", tag)])
    assert (same.status, same.body) == (304, b"")
    assert same.one("etag") == tag
    assert same.one("cache-control") == "private, no-cache"


async def test_assets_keep_their_conditions() -> None:
    shop = Shop(Told(status=304, headers=[("ETag", '"1"')], chunks=[]))
    got = await World(shop).ask("/app.css", headers=[("if-none-match", '"1"'), ("sec-fetch-dest", "style")])
    assert got.status == 304
    assert shop.asked[-1].get("if-none-match") == ['"1"']


async def test_what_may_be_kept_ends_where_a_schedule_begins() -> None:
    rules = {**RULES, "experiences/calm.toml": "from = 2026-06-01T12:01:00\n" + RULES["experiences/calm.toml"].lstrip()}
    rules["experiences/thanks.toml"] = "enabled = false\n" + RULES["experiences/thanks.toml"].lstrip()
    shop = Shop(Told(headers=[HTML, ("Cache-Control", "public, max-age=600")]))
    world = World(shop, rules)
    assert (await world.ask("/", stage="new")).get("cache-control") == ["public, max-age=60"]
    world.now += 60
    assert (await world.ask("/", stage="new")).body == CALM


# --------------------------------------------------------------------------- what the shop is asked


async def test_the_target_reaches_the_shop_byte_for_byte() -> None:
    world = World()
    for target in (b"/%2e%2e/x?a=%zz", b"//a//b", b"/c/\xc3\xa4?q=\xe4&edge_other=1", b"/?"):
        await world.ask(target)
    assert [asked.target for asked in world.shop.asked] == [
        b"/%2e%2e/x?a=%zz",
        b"//a//b",
        b"/c/\xc3\xa4?q=\xe4&edge_other=1",
        b"/?",
    ]


async def test_what_is_ours_never_reaches_the_shop() -> None:
    world = World()
    await world.ask(
        "/c/x?a=1&edge_stage=loyal&b=2&edge_token=t",
        headers=[
            ("cookie", "sid=1; edge_preview=x; edge_visitor=v; edge_state=y"),
            ("referer", f"https://{HOST}/?edge_stage=new&q=1"),
            ("edge-event", "order"),
        ],
    )
    (asked,) = world.shop.asked
    assert asked.target == b"/c/x?a=1&b=2"
    assert asked.get("cookie") == ["sid=1; edge_visitor=v"]
    assert asked.get("referer") == [f"https://{HOST}/?q=1"]
    assert asked.get("edge-event") == []


async def test_the_shops_own_address_becomes_the_visitors() -> None:
    shop = Shop(
        Told(
            status=302,
            headers=[
                ("Location", "http://shop.internal:8000/c/x?a=1"),
                ("Set-Cookie", "sid=1; Domain=shop.internal; Path=/"),
                ("Set-Cookie", "b=2; Domain=.shop.example"),
            ],
            chunks=[],
        )
    )
    got = await World(shop).ask("/login", method="POST", scheme="https", body=[b"x=1"])
    assert got.one("location") == f"https://{HOST}/c/x?a=1"
    assert got.get("set-cookie") == ["sid=1; Path=/", "b=2; Domain=.shop.example"]


@pytest.mark.parametrize(
    ("kwargs", "status"),
    [({"host": "evil.example"}, 421), ({"method": "TRACE"}, 405), ({"headers": [("content-length", "x")]}, 400)],
)
async def test_what_the_guard_refuses_never_reaches_the_shop(kwargs: dict[str, object], status: int) -> None:
    world = World()
    got = await world.ask("/", **kwargs)  # type: ignore[arg-type]
    assert got.status == status
    assert world.shop.asked == []


async def test_the_log_says_who_asked_which_host_for_what_where_the_guard_refuses() -> None:
    world = World()
    await world.ask("/c/boots?card=4711", host="forgotten\x1b.shop.example")
    world.parts.journal.log.flush()
    line = world.log.getvalue()
    assert line.split()[1] == "203.0.113.0"
    assert "/c/boots" in line
    assert "forgotten%1B.shop.example" in line
    assert "4711" not in line


# --------------------------------------------------------------------------- what goes wrong behind us


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (ShopRefused("refused", "no connection"), 502),
        (ShopBroken("head", "not HTTP"), 502),
        (ShopTimeout("answer", "no answer"), 504),
    ],
)
@pytest.mark.parametrize("stage", ["new", "unheard-of"])
async def test_a_shop_without_an_answer_is_a_clean_error(fault: Exception, status: int, stage: str) -> None:
    got = await World(Shop(fault)).ask("/", stage=stage)
    assert got.status == status
    assert not got.cut
    assert b"<!DOCTYPE html>" in got.body
    assert got.one("cache-control") == "no-store"


@pytest.mark.parametrize("stage", ["new", "unheard-of"])
async def test_a_page_that_breaks_off_is_visibly_broken_off(stage: str) -> None:
    shop = Shop(Told(chunks=[PAGE[:90], ShopBroken("cut", "it ended early")]))
    got = await World(shop).ask("/", stage=stage)
    assert got.cut
    assert got.raw == PAGE[:90]
    assert shop.closed == [True]


@pytest.mark.parametrize("status", [600, 999, 199])
async def test_a_status_that_is_none_is_a_bad_gateway(status: int) -> None:
    assert (await World(Shop(Told(status=status))).ask("/", stage="new")).status == 502


async def test_a_page_over_the_limit_passes_untouched_and_whole() -> None:
    big = PAGE + b"<p>x</p>" * 400_000
    chunks = [big[i : i + 65536] for i in range(0, len(big), 65536)]
    got = await World(Shop(Told(chunks=chunks))).ask("/", stage="new")
    assert got.raw == big
    assert got.one("cache-control") == "private, no-cache"


# --------------------------------------------------------------------------- faults of ours


async def test_a_fault_of_ours_before_the_shop_is_asked_is_the_shops_page(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgeproxy.intend.decide", _broken)
    got = await World().ask("/", stage="new")
    assert (got.status, got.body) == (200, PAGE)
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_a_fault_of_ours_after_it_answered_is_its_page(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgeproxy.rewrite.personalise", _broken)
    got = await World().ask("/", stage="new")
    assert (got.status, got.body) == (200, PAGE)
    assert got.one("cache-control") == "private, no-cache"
    assert [record.exc_info is not None for record in caplog.records] == [True]


def _broken(*_: object, **__: object) -> None:
    raise RuntimeError("a fault of ours")


# --------------------------------------------------------------------------- previews


def _token(**flags: object) -> str:
    return link("http://x/", Token(PreviewFlags(**flags), False, int(NOON + 600)), KEYS).partition("?")[2]  # type: ignore[arg-type]


async def test_a_token_becomes_a_cookie_and_a_clean_address() -> None:
    world = World()
    got = await world.ask(f"/c/x?a=1&{_token(stage='loyal')}", scheme="https")
    assert got.status == 303
    assert got.one("location") == f"//{HOST}/c/x?a=1"
    assert got.one("cache-control") == "no-store"
    assert world.shop.asked == []
    cookie = got.one("set-cookie").partition(";")[0]
    seen = await world.ask("/c/x?a=1", headers=[("cookie", cookie)])
    assert b"Good to see you" in seen.body
    assert b"/-/edge/leave" in seen.body
    assert seen.one("cache-control") == "no-store"
    assert seen.one("x-robots-tag") == "noindex"
    assert world.shop.asked[0].get("cookie") == []


@pytest.mark.parametrize("token", ["edge_token=x", "edge_token=", "edge_stage=loyal", "edge_off=1&edge_explain=1"])
async def test_flags_without_a_leave_are_nothing(token: str) -> None:
    world = World()
    got = await world.ask(f"/?{token}")
    assert (got.status, got.body) == (200, CALM)
    assert got.one("cache-control") == "private, no-cache"
    assert world.shop.asked[0].target == b"/"


async def test_a_preview_without_its_bar_is_the_live_page() -> None:
    world = World()
    session = sign_session(Session(Leave.BOUND, PreviewFlags(stage="loyal"), int(NOON + 600)), KEYS)
    seen = await world.ask("/", headers=[("cookie", f"edge_preview={session}")])
    live = await world.ask("/", stage="loyal")
    start = seen.body.index(b"<edge-preview>")
    end = seen.body.index(b"</body>")
    assert seen.body[:start] + seen.body[end:] == live.body


async def test_leaving_a_preview_takes_its_cookie_away() -> None:
    world = World()
    got = await world.ask("/-/edge/leave", method="POST", body=[b"back=%2Fc%2Fx"])
    assert got.status == 303
    assert got.one("location") == f"//{HOST}/c/x"
    assert "Max-Age=0" in got.one("set-cookie")
    assert (await world.ask("/-/edge/leave")).status == 405
    assert (await world.ask("/-/edge/other")).status == 404
    assert world.shop.asked == []


@pytest.mark.parametrize(
    ("kwargs", "open_"),
    [
        ({"host": "127.0.0.1:8080", "client": "127.0.0.1"}, True),
        ({"host": "localhost", "client": "::1"}, True),
        ({"host": "evil.example", "client": "127.0.0.1"}, False),
        ({"host": "127.0.0.1:8080", "client": "10.0.0.1"}, False),
        ({"host": "127.0.0.1:8080", "client": "127.0.0.1", "headers": [("x-forwarded-for", "1.2.3.4")]}, False),
    ],
)
async def test_open_previews_are_for_this_machine_alone(kwargs: dict[str, object], open_: bool) -> None:
    world = World(settings={"preview": "open", "hosts": ()})
    got = await world.ask("/?edge_stage=loyal", **kwargs)  # type: ignore[arg-type]
    assert (b"Good to see you" in got.body) is open_
    assert bool(got.get("set-cookie")) is open_


async def test_a_link_may_ask_for_the_explanation() -> None:
    session = sign_session(Session(Leave.ANY, PreviewFlags(), int(NOON + 600)), KEYS)
    got = await World().ask("/?edge_explain=1", headers=[("cookie", f"edge_preview={session}")])
    assert got.status == 200
    assert b"calm" in got.body
    assert b"shop.example" in got.body
    assert got.one("content-security-policy").startswith("default-src 'none'")


async def test_a_page_that_is_never_edited_says_so_when_asked() -> None:
    session = sign_session(Session(Leave.ANY, PreviewFlags(), int(NOON + 600)), KEYS)
    got = await World().ask("/checkout/?edge_explain=1", headers=[("cookie", f"edge_preview={session}")])
    assert b"never in shop.toml" in got.body
