"""What a browser is given to remember, through the whole proxy: when it is written, and when it must not be."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from edgeproxy.core import state
from edgeproxy.core.memory import Memory, Preference
from edgeproxy.core.signing import Keys
from edgeproxy.core.timestamped import closed
from edgeproxy.core.visitor import sign as sign_visitor
from tests.world import KEYS, NOON, PAGE, RULES, Asked, Got, Told, World

pytestmark = pytest.mark.anyio

DAY, HOUR, MINUTE = 86_400.0, 3_600.0, 60.0
OLD_AND_NEW = Keys.parse("4d1f0c7be2a84b5d9c3e6f7081a2b3c4,f81d4fae7dec11d0a76500a0c91e6bf6")

OPEN: Mapping[str, object] = {"preview": "open", "hosts": ("127.0.0.1",)}

LIFE: Mapping[str, str] = {
    **RULES,
    "shop.toml": """
        format = 1
        timezone = "UTC"
        stages = ["stranger", "new", "again", "customer", "lapsed"]
        segments = ["outdoor"]
        without_cookie = "stranger"
        order = ["calm", "thanks", "missed"]
        never = ["/checkout/**", "/account/**"]
        consent = { needed = false }
    """,
    "lifecycle.toml": """
        categories = ["phones", "cases"]
        [events]
        order = "/checkout/thanks"
        [[stage]]
        name = "new"
        [[stage]]
        name = "again"
        visits = { at_least = 2 }
        [[stage]]
        name = "customer"
        orders = { at_least = 1 }
        [[stage]]
        name = "lapsed"
        last_order = { before = "90 days" }
    """,
    "audiences.toml": """
        [newcomers]
        stage = ["stranger", "new"]
        [regulars]
        stage = ["again", "customer"]
        [gone]
        stage = "lapsed"
    """,
    "experiences/missed.toml": """
        for = "gone"
        [[edit]]
        slot = "hero"
        inner = { text = "Long time" }
    """,
}


def life(**changed: tuple[str, str]) -> dict[str, str]:
    """The rules with "b" in place of "a" in a file: ``life(shop=("a", "b"))``."""
    rules = dict(LIFE)
    for name, (old, new) in changed.items():
        assert old in rules[f"{name}.toml"]
        rules[f"{name}.toml"] = rules[f"{name}.toml"].replace(old, new)
    return rules


@dataclass
class Browser:
    """A visitor whose browser keeps our cookie, as browsers do."""

    world: World
    state: str | None = None
    others: Sequence[str] = ()
    got: list[Got] = field(default_factory=list)

    async def go(self, path: str = "/", *, headers: Sequence[tuple[str, str]] = (), method: str = "GET") -> Got:
        lines = [("cookie", one) for one in self.others]
        lines += [("cookie", f"edge_state={self.state}")] if self.state is not None else []
        got = await self.world.ask(path, method=method, headers=[*lines, *headers])
        for line in got.get("set-cookie"):
            name, _, rest = line.partition("=")
            if name == "edge_state":
                self.state = rest.partition(";")[0] or None
        self.got.append(got)
        return got

    @property
    def memory(self) -> Memory:
        assert self.state is not None
        kept = state.verify(self.state.encode(), OLD_AND_NEW)  # whichever signed it
        assert isinstance(kept, state.Kept)
        return kept.memory


def written(got: Got) -> bool:
    return any(line.startswith("edge_state=") for line in got.get("set-cookie"))


def told(*events: str, status: int = 200, more: Sequence[tuple[str, str]] = (), page: bytes = PAGE) -> Told:
    headers = [("Content-Type", "text/html; charset=utf-8"), *(("Edge-Event", event) for event in events), *more]
    return Told(status, headers, (page,))


# --------------------------------------------------------------------------- from stranger to lapsed


async def test_a_visitor_goes_from_stranger_to_lapsed() -> None:
    world = World(rules=LIFE)
    eva = Browser(world)
    assert b"menu" not in (await eva.go()).body  # a stranger
    assert b"menu" not in (await eva.go()).body  # new
    world.now += DAY
    assert b"Good to see you" in (await eva.go()).body  # the first page of the second visit is one of that visit
    await eva.go("/checkout/thanks")
    assert b"Good to see you" in (await eva.go()).body
    world.now += 89 * DAY
    assert b"Good to see you" in (await eva.go()).body
    world.now += 2 * DAY
    assert b"Long time" in (await eva.go()).body
    assert (eva.memory.visits, eva.memory.orders, eva.memory.away) == (4, 1, 2)


async def test_the_shops_own_word_wins() -> None:
    world = World(rules=LIFE)
    eva = Browser(world, others=["edge_visitor=" + sign_visitor(KEYS, NOON, stage="customer", id="shops-own")])
    assert b"Good to see you" in (await eva.go()).body
    assert eva.memory.visits == 1  # counted all the same


async def test_where_the_shop_names_no_stage_memory_does() -> None:
    world = World(rules=LIFE)
    eva = Browser(world, others=["edge_visitor=" + sign_visitor(KEYS, NOON, segments=["outdoor"])])
    await eva.go()
    world.now += DAY
    assert b"Good to see you" in (await eva.go()).body


async def test_rules_that_look_at_no_memory_set_no_cookie() -> None:
    world = World()
    eva = Browser(world)
    await eva.go()
    assert eva.state is None


# --------------------------------------------------------------------------- the cookie


async def test_the_first_page_sets_it_and_leaves_private() -> None:
    world = World(rules=LIFE)
    got = await Browser(world).go("/about")  # a page that no rule edits
    (line,) = got.get("set-cookie")
    assert line.endswith("; Path=/; HttpOnly; SameSite=Lax; Max-Age=34560000")
    assert got.one("cache-control") == "private, no-cache"
    assert got.one("cdn-cache-control") == "no-store"
    assert got.body == PAGE


async def test_over_https_it_is_secure_and_a_domain_is_named() -> None:
    world = World(rules=LIFE, settings={"cookie_domain": "shop.example"})
    got = await world.ask("/", scheme="https")
    assert got.one("set-cookie").endswith("; Max-Age=34560000; Domain=shop.example; Secure")


@pytest.mark.parametrize(
    ("shops", "leaves"),
    [
        ("public, max-age=600, s-maxage=900", "private, no-cache"),
        ("max-age=600, no-transform", "private, no-cache, no-transform"),
        ("no-store", "no-store"),
        ("private, max-age=60", "private, max-age=60"),
        ('private="x-a", max-age=60', "private, no-cache"),
    ],
)
async def test_an_answer_that_sets_it_is_for_nobody_else(shops: str, leaves: str) -> None:
    world = World(rules=LIFE)
    world.shop.answer = told(more=[("Cache-Control", shops), ("Surrogate-Control", "max-age=5"), ("ETag", '"a"')])
    eva = Browser(world)
    first, second = await eva.go("/about"), await eva.go("/about")
    assert first.get("cache-control") == [leaves]
    assert (first.get("surrogate-control"), first.get("etag")) == ([], ['"a"'])
    assert (second.get("cache-control"), second.get("set-cookie")) == ([shops], [])  # as the shop sent it


async def test_it_is_protected_from_siblings_where_the_visitor_cookie_is() -> None:
    world = World(rules=LIFE, settings={"cookie_name": "__Host-edge_visitor"})
    (line,) = (await world.ask("/", scheme="https")).get("set-cookie")
    value, _, attributes = line.removeprefix("__Host-edge_state=").partition(";")
    assert attributes == " Path=/; HttpOnly; SameSite=Lax; Max-Age=34560000; Secure"
    got = await world.ask("/", headers=[("cookie", f"a=1; __Host-edge_state={value}")], scheme="https")
    assert got.get("set-cookie") == []
    assert world.shop.asked[-1].get("cookie") == ["a=1"]


async def test_most_pages_set_nothing() -> None:
    world = World(rules=LIFE)
    eva = Browser(world)
    set_at = []
    for minute in range(0, 60, 3):
        world.now = NOON + minute * MINUTE
        if written(await eva.go("/c/shoes")):
            set_at.append(minute)
    assert set_at == [0, 15, 30, 45]
    assert eva.memory.visits == 1


@pytest.mark.parametrize(("silence", "visits"), [(29, 1), (44, 1), (46, 2), (600, 2)])
async def test_a_visit_ends_with_silence(silence: int, visits: int) -> None:
    world = World(rules=LIFE)
    eva = Browser(world)
    await eva.go()
    world.now += silence * MINUTE
    await eva.go()
    assert eva.memory.visits == visits


async def test_page_views_are_counted_as_far_as_a_rule_asks() -> None:
    world = World(rules=life(lifecycle=("visits = { at_least = 2 }", "page_views = { at_least = 3 }")))
    eva = Browser(world)
    seen = [(written(await eva.go()), eva.memory.page_views) for _ in range(5)]
    assert seen == [(True, 1), (True, 2), (True, 3), (False, 3), (False, 3)]
    assert b"Good to see you" in eva.got[3].body
    assert b"Good to see you" not in eva.got[2].body  # three pages before this one


async def test_the_same_id_stays() -> None:
    world = World(rules=LIFE)
    eva, bo = Browser(world), Browser(world)
    await eva.go()
    await bo.go()
    first = eva.memory.id
    world.now += DAY
    await eva.go()
    assert first == eva.memory.id != bo.memory.id
    assert len(first) == 12


async def test_the_shop_never_sees_it() -> None:
    world = World(rules=LIFE)
    eva = Browser(world, others=["a=b"])
    await eva.go()
    await eva.go()
    assert world.shop.asked[1].get("cookie") == ["a=b"]


# --------------------------------------------------------------------------- not written


@pytest.mark.parametrize(
    "headers",
    [
        [("sec-fetch-dest", "empty")],
        [("sec-fetch-dest", "image")],
        [("sec-purpose", "prefetch")],
        [("sec-purpose", "prefetch;prerender")],
        [("purpose", "prefetch")],
        [("x-moz", "prefetch")],
        [("sec-gpc", "1")],
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/", "/about", "/checkout/thanks"])
async def test_nobody_is_remembered_by_what_they_did_not_go_to(headers: list[tuple[str, str]], path: str) -> None:
    world = World(rules=LIFE)
    got = await Browser(world).go(path, headers=headers)
    assert got.get("set-cookie") == []


@pytest.mark.parametrize(
    "answer",
    [
        Told(404, (("Content-Type", "text/html"),), (PAGE,)),
        Told(500, (("Content-Type", "text/html"),), (PAGE,)),
        Told(302, (("Location", "/"),), ()),
        Told(304, (("ETag", '"a"'),), ()),
        Told(200, (("Content-Type", "application/json"),), (b"{}",)),
        Told(200, (("Content-Type", "image/png"),), (b"\x89PNG",)),
        Told(200, (), (b"",)),
    ],
    ids=lambda answer: f"{answer.status} {answer.headers}",
)
async def test_only_pages_are_counted(answer: Told) -> None:
    world = World(rules=LIFE)
    world.shop.answer = answer
    assert not written(await Browser(world).go("/about"))


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_only_what_is_looked_at_is_counted(method: str) -> None:
    world = World(rules=LIFE)
    assert not written(await Browser(world).go("/about", method=method))


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_a_question_about_an_event_is_none(method: str) -> None:
    world = World(rules=LIFE)
    world.shop.answer = told("order")
    assert not written(await Browser(world).go("/checkout/thanks", method=method))


async def test_pages_that_nobody_edits_set_nothing() -> None:
    world = World(rules=LIFE)
    got = await Browser(world).go("/account/orders")
    assert got.get("set-cookie") == []
    assert got.get("cache-control") == []


async def test_what_is_switched_off_sets_nothing_and_lets_no_event_out() -> None:
    world = World(rules=life(shop=("format = 1", "format = 1\nenabled = false")))
    world.shop.answer = told("order")
    for path in ("/", "/about", "/checkout/thanks"):
        got = await Browser(world).go(path)
        assert (got.body, got.get("set-cookie"), got.get("edge-event")) == (PAGE, [], [])
        assert got.get("cache-control") == []


async def test_a_preview_remembers_nothing_and_nobody() -> None:
    world = World(rules=LIFE, settings=OPEN)
    got = await world.ask("/?edge_stage=customer", host="127.0.0.1:8080", client="127.0.0.1")
    assert b"Good to see you" in got.body
    assert not written(got)


async def test_a_shop_that_is_down_changes_nothing() -> None:
    world = World(rules=LIFE)
    world.shop.answer = OSError("down")
    got = await Browser(world).go()
    assert (got.status, got.get("set-cookie")) == (502, [])


# --------------------------------------------------------------------------- events


async def test_an_order_is_told_by_a_page_or_by_a_header() -> None:
    for path, event in (("/checkout/thanks", ()), ("/done", ("order; categories=phones,lamps, cases",))):
        world = World(rules=LIFE)
        world.shop.answer = told(*event)
        eva = Browser(world)
        got = await eva.go(path)
        assert got.get("edge-event") == []
        assert (eva.memory.orders, eva.memory.last_order) == (1, NOON / 60)
        assert [code for code, _ in eva.memory.bought] == (["phones", "cases"] if event else [])  # lamps: not listed


async def test_an_order_that_is_told_again_is_one_order() -> None:
    """By the redirect behind the form, by the page it leads to, by loading that again, and by the next tab."""
    world = World(rules=LIFE)
    eva = Browser(world)
    world.shop.answer = told("order; categories=phones", status=303, more=[("Location", "/checkout/thanks")], page=b"")
    assert written(await eva.go("/checkout/pay", method="POST"))
    world.shop.answer = told("order; categories=phones")
    assert not written(await eva.go("/checkout/thanks"))
    world.now += 10 * MINUTE
    await eva.go("/checkout/thanks")
    assert eva.memory.orders == 1
    world.now += 31 * MINUTE
    await eva.go("/checkout/thanks")
    assert eva.memory.orders == 2


async def test_the_redirect_that_tells_an_order_is_private() -> None:
    world = World(rules=LIFE)
    world.shop.answer = told("order", status=303, more=[("Location", "/"), ("Cache-Control", "max-age=60")], page=b"")
    got = await Browser(world).go("/pay", method="POST")
    assert (got.status, got.one("location")) == (303, "/")
    assert got.one("cache-control") == "private, no-cache"


async def test_signing_in_and_out_and_scores() -> None:
    world = World(rules=LIFE)
    eva = Browser(world)
    world.shop.answer = told("signed-in", "csat=4", "nps=0")
    await eva.go()
    assert (eva.memory.signed_in, eva.memory.csat, eva.memory.nps) == (True, 4, 0)
    assert not written(await eva.go())  # told again with every page: nothing changes
    world.shop.answer = told("signed-out")
    await eva.go()
    assert eva.memory.signed_in is False


@pytest.mark.parametrize("status", [404, 422, 500])
async def test_what_failed_is_no_order(status: int) -> None:
    world = World(rules=LIFE)
    world.shop.answer = told("order", status=status)
    got = await Browser(world).go("/checkout/thanks")
    assert (got.status, got.get("edge-event"), got.get("set-cookie")) == (status, [], [])


HOSTILE = [
    "",
    "order;",
    "order; categories=" + ",".join(f"c{n}" for n in range(100)),
    "order; categories=Phones",
    "order; price=5",
    "order, signed-in",
    "order; categories=phones; categories=cases",
    "ORDER",
    "csat=6",
    "csat",
    "nps=-1",
    "nps=11",
    "csat=4; categories=phones",
    "signed-in; categories=phones",
    "unheard-of",
    "order\x01",
    "ord\xe9r",
    "x" * 9000,
    'order; categories="phones"',
]


@pytest.mark.parametrize("event", HOSTILE, ids=lambda event: ascii(event)[:40])
@pytest.mark.parametrize("path", ["/", "/about", "/checkout/pay"])
async def test_whatever_it_holds_no_event_reaches_the_browser(event: str, path: str) -> None:
    world = World(rules=LIFE)
    world.shop.answer = told(event, "signed-in", *[event] * 20)
    got = await Browser(world).go(path)
    assert got.status == 200
    assert got.get("edge-event") == []
    assert "edge-event" not in str(got.headers).lower()
    assert len(got.get("set-cookie")) == 1
    assert len(got.get("set-cookie")[0]) < 1400


async def test_no_event_reaches_the_browser_without_rules_or_when_ours_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    for world in (World(rules=None), World()):
        world.shop.answer = told("order", more=[("EDGE-EVENT", "signed-in")])
        assert (await world.ask()).get("edge-event") == []
    monkeypatch.setattr("edgeproxy.respond.passed", lambda *_: 1 / 0)
    assert (await world.ask()).get("edge-event") == []


async def test_a_visitor_cannot_tell_events() -> None:
    world = World(rules=LIFE)
    world.shop.answer = lambda asked: told(*asked.get("edge-event"))  # a shop that echoes what it is sent
    eva = Browser(world)
    await eva.go(
        headers=[("Edge-Event", "order; categories=phones"), ("edge-event", "csat=5"), ("Edge_Event", "order")]
    )
    assert world.shop.asked[0].get("edge-event") == []
    assert (eva.memory.orders, eva.memory.csat) == (0, None)


async def test_a_mistaken_event_is_told_once_to_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "edgeproxy.remember")
    world = World(rules=LIFE)
    world.shop.answer = told("order; price=5")
    for _ in range(3):
        await world.ask("/done")
    (record,) = caplog.records
    said = "is no event: order; categories=phones,cases or signed-in or csat=4"
    assert record.getMessage() == f"Edge-Event of the shop at /done: 'order; price=5' {said}"
    assert "edgeproxy_events_refused_total 3" in world.parts.journal.metrics().decode()


async def test_an_event_for_a_script_is_told_to_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "edgeproxy.remember")
    world = World(rules=LIFE)
    world.shop.answer = told("order")
    got = await Browser(world).go("/api/pay", method="POST", headers=[("sec-fetch-dest", "empty")])
    assert got.get("set-cookie") == got.get("edge-event") == []
    assert "send it with the page" in caplog.text


async def test_a_hundred_categories_leave_eight() -> None:
    world = World(rules=life(lifecycle=('categories = ["phones", "cases"]', "")))
    eva = Browser(world)
    for n in range(100):
        world.now += HOUR
        world.shop.answer = told(f"order; categories=c{n},d{n}")
        await eva.go()
    assert [code for code, _ in eva.memory.bought][:2] in (["c99", "d99"], ["d99", "c99"])
    assert len(eva.memory.bought) == 8
    assert eva.memory.orders == 100


# --------------------------------------------------------------------------- consent

ASKS = life(shop=("consent = { needed = false }", 'consent = { cookie = "banner", yes = "yes" }'))
COUNTS = {
    **ASKS,
    "audiences.toml": """
        [newcomers]
        visits = { at_most = 9 }
        [regulars]
        stage = "again"
        [gone]
        stage = "lapsed"
    """,
}


async def test_without_consent_nothing_is_written_and_what_needs_memory_does_not_fit() -> None:
    world = World(rules=COUNTS)
    eva = Browser(world)
    world.shop.answer = told("order; categories=phones")
    for path in ("/", "/about", "/checkout/thanks", "/"):
        got = await eva.go(path)
        assert got.get("set-cookie") == []
        assert got.body == PAGE
    eva.others = ["banner=yes"]
    assert b"menu" not in (await eva.go()).body
    assert eva.memory.orders == 1


async def test_the_reason_is_told() -> None:
    world = World(rules=COUNTS, settings=OPEN)
    got = await world.ask("/?edge_explain=1", host="127.0.0.1:8080", client="127.0.0.1")
    assert b"visits are unknown: there is no consent cookie (banner)" in got.body


async def test_consent_that_is_withdrawn_takes_the_cookie_away() -> None:
    world = World(rules=ASKS)
    eva = Browser(world, others=["banner=yes"])
    await eva.go()
    world.now += DAY
    await eva.go()
    assert b"Good to see you" in (await eva.go()).body
    eva.others = ["banner=no"]
    got = await eva.go()
    assert b"Good to see you" not in got.body
    assert got.one("set-cookie") == "edge_state=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    assert (await eva.go()).get("set-cookie") == []


async def test_what_they_chose_themselves_stays_without_consent() -> None:
    world = World(rules=ASKS)
    memory = Memory(id="x", visits=3, active=int(NOON / 60), orders=2, prefers=Preference.SIMPLE)
    eva = Browser(world, state=state.sign(memory, KEYS, NOON).value)
    await eva.go()
    assert eva.memory == Memory(prefers=Preference.SIMPLE)
    assert not written(await eva.go())
    eva.others = ["banner=yes"]
    await eva.go()
    assert (eva.memory.visits, eva.memory.prefers) == (1, Preference.SIMPLE)


async def test_who_has_opted_out_stays_forgotten() -> None:
    world = World(rules=LIFE)
    eva = Browser(world, state=state.sign(Memory(opted_out=True), KEYS, NOON).value)
    world.shop.answer = told("order")
    for path in ("/", "/checkout/thanks"):
        assert not written(await eva.go(path))
    world.now += 100 * DAY
    assert not written(await eva.go())


# --------------------------------------------------------------------------- cookies that prove nothing, keys, versions


@pytest.mark.parametrize(
    "value",
    [
        "rubbish",
        "a" * 1300,
        state.sign(Memory(visits=9), OLD_AND_NEW, NOON).value,
        state.sign(Memory(visits=9), KEYS, NOON - 401 * DAY).value,
        sign_visitor(KEYS, NOON, stage="customer"),
        closed({"v": 1, "n": "many"}, KEYS, state.STATE_SALT, NOON),
    ],
    ids=["rubbish", "oversized", "another key's", "expired", "another cookie's", "no numbers"],
)
async def test_a_state_that_proves_nothing_is_the_shops_own_page_and_a_new_beginning(value: str) -> None:
    world = World(rules=LIFE)
    eva = Browser(world, state=value)
    got = await eva.go()
    assert got.body == PAGE
    assert eva.memory.visits == 1
    assert b"menu" not in (await eva.go()).body


async def test_what_a_later_edgeproxy_wrote_is_left_alone() -> None:
    world = World(rules=LIFE)
    later = closed({"v": 2, "n": 9}, KEYS, state.STATE_SALT, NOON)
    eva = Browser(world, state=later)
    for path in ("/", "/checkout/thanks", "/"):
        assert (await eva.go(path)).get("set-cookie") == []
    assert eva.state == later


async def test_a_doubled_state_is_believed_in_neither_copy_and_both_are_taken_away() -> None:
    """A sibling host tossed one in, or --cookie-domain was changed: which is ours nobody can tell."""
    world = World(rules=LIFE, settings={"hosts": ("www.shop.example",)})
    value = state.sign(Memory(visits=9, active=int(NOON / 60)), KEYS, NOON).value
    lines = [("cookie", f"edge_state={value}"), ("cookie", "edge_state=tossed")]
    got = await world.ask("/", headers=lines, host="www.shop.example:8443", scheme="https")
    assert got.body == PAGE
    gone = "edge_state=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    assert got.get("set-cookie") == [
        f"{gone}; Secure",
        f"{gone}; Domain=www.shop.example; Secure",
        f"{gone}; Domain=shop.example; Secure",
    ]
    assert got.one("cache-control") == "private, no-cache"


async def test_a_change_of_keys_writes_it_anew_and_forgets_nobody() -> None:
    world = World(rules=LIFE)
    eva = Browser(world)
    await eva.go()
    before = eva.memory
    world.parts.proxy.use_keys(OLD_AND_NEW)
    assert written(await eva.go())
    assert eva.memory == before
    assert not written(await eva.go())
    newest = Keys(OLD_AND_NEW.secrets[1:])
    world.parts.proxy.use_keys(newest)
    assert not written(await eva.go())


@pytest.mark.parametrize(
    ("jump", "orders"),
    [
        (-HOUR, 1),  # what was signed in the future is waited for
        (DAY, 1),
        (-45 * DAY, 0),  # unless it would be long
        (300 * DAY, 0),
    ],
)
async def test_a_clock_that_jumps_and_comes_back(jump: float, orders: int) -> None:
    world = World(rules=LIFE)
    eva = Browser(world)
    await eva.go("/checkout/thanks")
    for now in (NOON + jump, NOON):
        world.now = now
        assert (await eva.go()).status == 200
    assert eva.memory.orders == orders


async def test_a_shop_that_names_everybody_a_customer_is_asked_as_before() -> None:
    asked: list[Asked] = []
    world = World(rules=LIFE)
    world.shop.answer = lambda one: asked.append(one) or told()  # type: ignore[func-returns-value]
    await Browser(world).go()
    assert [name for name, _ in asked[0].headers if b"edge" in name] == []


# --------------------------------------------------------------------------- pages that many get


def shared_page(*events: str) -> Told:
    return told(*events, more=[("Cache-Control", "public, max-age=600"), ("ETag", '"a"')])


@pytest.mark.parametrize("path", ["/", "/about"])
async def test_a_shared_page_sets_each_visitors_own_cookie(path: str) -> None:
    world = World(rules=LIFE)
    world.shop.answer = shared_page()
    for _ in range(2):
        await world.ask(path)
    asked = len(world.shop.asked)
    eva, bo = Browser(world), Browser(world)
    for got in (await eva.go(path), await bo.go(path)):
        assert len(got.get("set-cookie")) == 1
        assert got.one("cache-control") == "private, no-cache"
    assert eva.memory.id != bo.memory.id
    assert (await eva.go(path)).get("set-cookie") == []
    assert len(world.shop.asked) == asked  # all of it from what is kept


async def test_a_shared_page_may_be_an_event() -> None:
    world = World(rules=LIFE)
    world.shop.answer = shared_page()
    eva = Browser(world)
    await eva.go("/checkout/thanks")
    await Browser(world).go("/checkout/thanks")
    assert eva.memory.orders == 1


async def test_an_answer_that_tells_of_a_visitor_is_never_shared() -> None:
    world = World(rules=LIFE)
    orders = iter(["order"])  # the first answer to somebody's own question tells of them
    world.shop.answer = lambda asked: shared_page(*(orders if asked.get("cookie") else ["order"]))
    eva, bo = Browser(world, others=["sessionid=eva"]), Browser(world, others=["sessionid=bo"])
    await eva.go("/about")
    await bo.go("/about")
    assert (eva.memory.orders, bo.memory.orders) == (1, 0)
    assert b"order" not in str(eva.got[0].headers).encode()


async def test_a_page_that_the_browser_still_holds_is_a_page_too() -> None:
    world = World(rules=LIFE)
    world.shop.answer = shared_page()
    eva = Browser(world)
    first = await eva.go()
    world.now += DAY
    got = await eva.go(headers=[("if-none-match", first.one("etag"))])
    assert got.status in {200, 304}
    assert eva.memory.visits == 2


# --------------------------------------------------------------------------- what was shown is counted

CAPPED = {
    **RULES,
    "shop.toml": RULES["shop.toml"] + "\nconsent = { needed = false }\n",
    "experiences/calm.toml": 'cap = "2 a week"\n' + RULES["experiences/calm.toml"],
}
HELD = PAGE
SHOWN = PAGE.replace(b'<nav id="menu"><a href="/a">A</a></nav>', b"")


async def test_a_page_that_went_out_is_counted_and_what_did_not_is_not() -> None:
    world = World(rules=CAPPED)
    eva = Browser(world)
    world.shop.answer = told(page=PAGE.replace(b'id="menu"', b""))  # decided, and not placed
    await eva.go()
    world.shop.answer = told()
    await eva.go(method="HEAD")
    assert (await eva.go(headers=[("sec-purpose", "prefetch")])).body == HELD  # it could not be counted
    assert eva.memory.shown == ()
    assert [(await eva.go()).body for _ in range(4)] == [SHOWN, SHOWN, HELD, HELD]
    world.now += 7 * DAY
    assert [(await eva.go()).body for _ in range(3)] == [SHOWN, SHOWN, HELD]


async def test_what_is_counted_waits_for_its_page() -> None:
    """A slow page's beginning leaves early, but not before it is known what the page shows."""
    world = World(rules=CAPPED)
    eva = Browser(world)
    got = await eva.go()
    assert len(got.get("set-cookie")) == 1
    assert len(eva.memory.shown) == 1


async def test_without_consent_nothing_that_is_counted_is_shown() -> None:
    world = World(rules=CAPPED)
    eva = Browser(world)
    got = await eva.go(headers=[("sec-gpc", "1")])
    assert (got.body, got.get("set-cookie")) == (HELD, [])


async def test_a_shared_page_counts_for_each_visitor() -> None:
    world = World(rules=CAPPED)
    world.shop.answer = shared_page()
    for _ in range(2):
        await world.ask("/", headers=[("sec-gpc", "1")])
    asked = len(world.shop.asked)
    eva, bo = Browser(world), Browser(world)
    assert [(await eva.go()).body for _ in range(3)] == [SHOWN, SHOWN, HELD]
    assert [(await bo.go()).body for _ in range(3)] == [SHOWN, SHOWN, HELD]
    assert len(world.shop.asked) == asked
