"""The visitor's own page: what it says, to whom, and what a click on it does."""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core import state
from edgeproxy.core.courtesy import SELLS
from edgeproxy.core.memory import Memory, Preference, begun
from edgeproxy.core.model import Outcome
from edgeproxy.core.signing import Keys
from edgeproxy.core.visitor import sign as sign_visitor
from edgeproxy.why import words
from edgeproxy.why.account import HELD
from edgeproxy.why.page import WHY_PATH
from tests.test_courtesy import HELLO, POLITE
from tests.test_remember import OLD_AND_NEW, Browser
from tests.world import HOST, KEYS, NOON, PAGE, Got, World

pytestmark = pytest.mark.anyio

DAY, HOUR = 86_400.0, 3_600.0
HERE = (("sec-fetch-site", "same-origin"), ("origin", f"http://{HOST}"))

RULES: Mapping[str, str] = {
    **POLITE,
    "audiences.toml": """
        [newcomers]
        says = "Been here once or twice"
        stage = "new"
        [regulars]
        says = "Know the shop <well>"
        stage = "loyal"
    """,
    "experiences/reminder.toml": 'says = "A basket that waits"\n' + POLITE["experiences/reminder.toml"],
    "experiences/calm.toml": """
        says = "A calmer page"
        purpose = "help"
        for = "newcomers"
        [[edit]]
        slot = "menu"
        remove = true
    """,
    "experiences/thanks.toml": """
        says = "What is new"
        purpose = "sell"
        suppress = false
        for = "regulars"
        [[edit]]
        slot = "hero"
        inner = "thanks.html"
    """,
}


def text(got: Got) -> str:
    """What is read on a page."""
    body = re.sub(r"<style>.*?</style>", "", got.body.decode(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


def fields(got: Got) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', got.body.decode())
    return {name: unescape(value) for name, value in found}


async def click(eva: Browser, choice: str, headers: Sequence[tuple[str, str]] = HERE, **changed: str) -> Got:
    """Look at the page, then press a button as a browser would."""
    page = await eva.go(f"{WHY_PATH}?page=/c/boots")
    form = urlencode({**fields(page), "choice": choice, **changed}).encode()
    lines = [("cookie", f"edge_state={eva.state}")] if eva.state else []
    lines += [("cookie", one) for one in eva.others]
    got = await eva.world.ask(WHY_PATH, method="POST", headers=[*lines, *headers], body=[form])
    for line in got.get("set-cookie"):
        if line.startswith("edge_state="):
            eva.state = line.partition("=")[2].partition(";")[0] or None
    return got


def known(memory: Memory, world: World) -> Browser:
    return Browser(world, state.sign(memory, KEYS, world.now).value)


# --------------------------------------------------------------------------- what it says


async def test_to_a_stranger() -> None:
    got = await World(rules=RULES).ask(WHY_PATH)
    said = text(got)
    assert got.status == 200
    assert "What is remembered of you Nothing. " in said
    assert "Which page that was is not known." in said


async def test_to_who_is_remembered() -> None:
    world = World(rules=RULES)
    minute = int(NOON // 60)
    codes = {one.name: one.courtesy.code for one in world.books.book.experiences} if world.books.book else {}
    memory = Memory(
        id="q7Hk2m",
        first_day=int(NOON // 86400) - 40,
        active=minute,
        visits=7,
        away=12,
        page_views=9,
        orders=2,
        signed_in=True,
        events=(("order", minute - 1440 * 3), ("basket", minute - 5)),
        bought=(("boots", int(NOON // 86400) - 3),),
        shown=((codes["reminder"], (minute - 1440 * 2,)), (SELLS, (minute,)), ("gone", (minute,))),
        csat=4,
        nps=9,
        prefers=Preference.SIMPLE,
    )
    said = text(await known(memory, world).go(WHY_PATH))
    for sentence in (
        "You have been here 7 times, the first time on 22 April 2026.",
        "Before this visit you were away for 12 days.",
        "You have looked at 9 pages or more.",
        "You have ordered 2 times. The last order was on 29 May 2026. You have bought: boots.",
        "“basket” happened today.",
        "You have signed in.",
        "You were shown “A basket that waits”, last on 30 May 2026.",
        "You were shown something on offer, last today.",
        "You said how content you are: 4 of 5.",
        "You said how likely you are to recommend us: 9 of 10.",
        "A mark made by chance, q7Hk2m, keeps",
        "You asked for a simpler shop.",
        "All of it is in one small cookie in your own browser",
        "Simpler (chosen)",
    ):
        assert sentence in said, sentence


async def test_what_the_shop_itself_says_of_them() -> None:
    visitor = "edge_visitor=" + sign_visitor(KEYS, NOON, stage="loyal", segments=["outdoor"])
    said = text(await Browser(World(rules=RULES), others=[visitor]).go(WHY_PATH))
    assert "To this shop you are: loyal. It thinks that this fits you: outdoor. This comes from the shop itself" in said


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ([], "You have not agreed to be remembered"),
        ([("cookie", "ok=no")], "You have not agreed to be remembered"),
        ([("cookie", "ok=yes"), ("sec-gpc", "1")], "Global Privacy Control"),
        ([("cookie", "ok=yes"), ("cookie", "edge_state=forged")], "cannot be read or is too old"),
        ([("cookie", "ok=yes")], "What is remembered of you Nothing."),
    ],
)
async def test_why_nothing_is_remembered(headers: list[tuple[str, str]], sentence: str) -> None:
    rules = {**RULES, "shop.toml": RULES["shop.toml"].replace("needed = false", 'cookie = "ok"\nyes = "yes"')}
    assert sentence in text(await World(rules=rules).ask(WHY_PATH, headers=headers))


# --------------------------------------------------------------------------- why the last page looked so


async def test_the_page_that_they_came_from_is_decided_anew_for_them() -> None:
    world = World(rules=RULES)
    eva = Browser(world, others=["edge_visitor=" + sign_visitor(KEYS, NOON, stage="loyal")])
    said = text(await eva.go(WHY_PATH, headers=[("referer", f"http://{HOST}/c/st%C3%B6vlar?q=1&edge_stage=new")]))
    assert "The page: /c/stövlar?q=1 " in said
    assert "What is new It is for: Know the shop <well>." in said
    assert (
        "These things are not shown to you there, out of courtesy: A basket that waits because it is too soon" in said
    )
    assert "for other people, other pages or other times" in said
    assert "A calmer page" not in said


async def test_what_the_page_says_is_what_the_visitor_gets() -> None:
    world = World(rules=RULES)
    eva = Browser(world)
    await eva.go("/basket")
    world.now += 3 * HOUR
    assert "A basket that waits It is for: everybody." in text(await eva.go(f"{WHY_PATH}?page=/"))
    assert HELLO in (await eva.go("/")).body
    said = text(await eva.go(f"{WHY_PATH}?page=/"))
    assert "A basket that waits because it is too soon" in said
    regular = Browser(world, others=["edge_visitor=" + sign_visitor(KEYS, NOON, stage="loyal")])
    await click(regular, "off")
    assert "What is new because of what you asked for" in text(await regular.go(f"{WHY_PATH}?page=/"))


async def test_a_page_that_nobody_edits_is_the_shops_own() -> None:
    assert "It is the shop's own page" in text(await World(rules=RULES).ask(f"{WHY_PATH}?page=/about"))


@pytest.mark.parametrize(
    ("query", "referer"),
    [
        ("", None),
        ("", "http://elsewhere.example/c/boots"),
        ("", f"http://{HOST}.evil.example/c/boots"),
        ("", f"http://user@{HOST}/c/boots"),
        ("", "http://[/c/boots"),
        ("", f"http://{HOST}{WHY_PATH}?page=/x"),
        ("", "about:blank"),
        ("?page=https://elsewhere.example/", None),
        ("?page=" + "/a" * 2000, None),
        ("?page=/%0Aset-cookie:x", None),
        ("?page=/-/edge/leave", None),
    ],
)
async def test_only_pages_of_this_host_are_asked_about(query: str, referer: str | None) -> None:
    headers = [("referer", referer)] if referer else []
    got = await World(rules=RULES).ask(WHY_PATH + query, headers=headers)
    assert "Which page that was is not known." in text(got)
    assert b"elsewhere" not in got.body


async def test_a_path_that_looks_like_a_host_stays_a_path() -> None:
    got = await World(rules=RULES).ask(f"{WHY_PATH}?page=//evil.example/x")
    assert f'href="//{HOST}//evil.example/x"'.encode() in got.body


@cache
def standing() -> World:
    return World(rules=RULES)


HEADER = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=60)


@given(st.binary(max_size=60), HEADER, HEADER)
def test_whatever_is_asked_it_answers(raw: bytes, referer: str, language: str) -> None:
    query = raw.replace(b" ", b"").replace(b"#", b"")
    headers = [("referer", referer), ("accept-language", language)]
    got = asyncio.run(standing().ask(WHY_PATH.encode() + b"?page=/" + query, headers=headers))
    assert got.status in {200, 400}


# --------------------------------------------------------------------------- what a click does


async def test_off_holds_at_once_and_for_good_and_nothing_else_is_kept() -> None:
    world = World(rules=RULES)
    eva = Browser(world)
    await eva.go("/basket")
    world.now += 3 * HOUR
    got = await click(eva, "off")
    assert got.status == 303
    assert got.one("location") == f"//{HOST}{WHY_PATH}?done=off&page=%2Fc%2Fboots"
    (line,) = got.get("set-cookie")
    assert line.endswith("; Path=/; HttpOnly; SameSite=Lax; Max-Age=34560000")
    assert eva.memory == Memory(prefers=Preference.OFF, opted_out=True)
    assert (await eva.go("/")).body == PAGE
    world.now += 100 * DAY
    await eva.go("/basket")
    world.now += 3 * HOUR
    assert (await eva.go("/")).body == PAGE
    assert eva.memory == Memory(prefers=Preference.OFF, opted_out=True)
    assert "Off (chosen)" in text(await eva.go(WHY_PATH))


async def test_a_wish_outlives_the_cookies_age_and_a_change_of_keys() -> None:
    world = World(rules=RULES)
    eva = Browser(world)
    await eva.go("/")
    await click(eva, "off")
    wish = Memory(prefers=Preference.OFF, opted_out=True)
    for _ in range(4):
        world.now += 210 * DAY
        first, again = await eva.go("/"), await eva.go("/")
        assert [line.partition("=")[0] for line in first.get("set-cookie")] == ["edge_state"]
        assert again.get("set-cookie") == []
        assert eva.memory == wish
    world.parts.proxy.use_keys(OLD_AND_NEW)
    await eva.go("/")
    world.parts.proxy.use_keys(Keys(OLD_AND_NEW.secrets[1:]))
    assert (await eva.go("/")).body == PAGE
    assert eva.memory == wish


async def test_simpler_and_full_keep_what_is_known() -> None:
    world = World(rules=RULES)
    eva = Browser(world, others=["edge_visitor=" + sign_visitor(KEYS, NOON, stage="loyal")])
    await eva.go("/")
    before = eva.memory
    assert b"Good to see you" in eva.got[-1].body
    await click(eva, "simple")
    assert (eva.memory.prefers, eva.memory.id) == (Preference.SIMPLE, before.id)
    assert (await eva.go("/")).body == PAGE
    await click(eva, "full")
    assert eva.memory.prefers is Preference.FULL
    assert b"Good to see you" in (await eva.go("/")).body
    new = Browser(world, eva.state)
    assert (await new.go("/")).body == PAGE  # a calmer page takes something away: not for who wants it full


async def test_off_can_be_taken_back() -> None:
    world = World(rules=RULES)
    eva = Browser(world)
    await eva.go("/")
    await click(eva, "off")
    await click(eva, "full")
    await eva.go("/")
    assert (eva.memory.opted_out, eva.memory.prefers, eva.memory.visits) == (False, Preference.FULL, 1)


async def test_forget_takes_our_cookies_away() -> None:
    world = World(rules=RULES)
    eva = Browser(world, others=["edge_preview=x"])
    await eva.go("/")
    got = await click(eva, "forget")
    assert [line.partition(";")[0] for line in got.get("set-cookie")] == ["edge_state=", "edge_preview="]
    assert all("; Max-Age=0" in line for line in got.get("set-cookie"))
    assert eva.state is None
    assert "Done. Everything is forgotten." in text(await eva.go(f"{WHY_PATH}?done=forget"))


async def test_a_choice_is_kept_without_consent_and_nothing_else() -> None:
    rules = {**RULES, "shop.toml": RULES["shop.toml"].replace("needed = false", 'cookie = "ok"\nyes = "yes"')}
    world = World(rules=rules)
    eva = Browser(world, others=["edge_visitor=" + sign_visitor(KEYS, NOON, stage="loyal")])
    assert b"Good to see you" in (await eva.go("/")).body
    assert eva.state is None
    await click(eva, "simple")
    assert eva.memory == Memory(prefers=Preference.SIMPLE)
    assert (await eva.go("/")).body == PAGE
    assert eva.memory == Memory(prefers=Preference.SIMPLE)


async def test_a_state_that_cannot_be_believed_is_written_over_by_a_click() -> None:
    eva = Browser(World(rules=RULES), "forged.by.somebody")
    await click(eva, "full")
    assert eva.memory == Memory(prefers=Preference.FULL)


# --------------------------------------------------------------------------- who may click


@pytest.mark.parametrize(
    ("headers", "goes"),
    [
        (HERE, True),
        ([("sec-fetch-site", "same-origin")], True),
        ([("origin", f"https://{HOST}")], True),  # TLS ended before us, and nobody told
        ([("referer", f"http://{HOST}{WHY_PATH}")], True),
        ([], False),
        ([("sec-fetch-site", "cross-site"), ("origin", f"http://{HOST}")], False),
        ([("sec-fetch-site", "same-site")], False),
        ([("sec-fetch-site", "none")], False),
        ([("origin", "null")], False),
        ([("origin", "http://elsewhere.example"), ("referer", f"http://{HOST}/")], False),
        ([("origin", f"http://{HOST}.elsewhere.example")], False),
        ([("referer", "http://[")], False),
    ],
)
async def test_a_click_comes_from_the_page(headers: Sequence[tuple[str, str]], goes: bool) -> None:
    eva = Browser(World(rules=RULES))
    got = await click(eva, "off", headers)
    assert got.status == 303
    assert (eva.state is not None) is goes
    assert ("done=again" not in got.one("location")) is goes


@pytest.mark.parametrize("token", ["", "x", "1.2", "99999999999." + "A" * 43, "é"])
async def test_a_token_that_is_none(token: str) -> None:
    eva = Browser(World(rules=RULES))
    assert "done=again" in (await click(eva, "off", token=token)).one("location")
    assert eva.state is None


async def test_a_token_is_good_for_a_while_and_for_its_host() -> None:
    world = World(rules=RULES, settings={"hosts": (HOST, "other.example")})
    page = await world.ask(WHY_PATH)
    form = urlencode({**fields(page), "choice": "off"}).encode()

    async def again(host: str = HOST) -> bool:
        headers = [("sec-fetch-site", "same-origin")]
        got = await world.ask(WHY_PATH, method="POST", headers=headers, body=[form], host=host)
        return "done=again" in got.one("location")

    assert not await again()
    assert await again("other.example")
    world.now += 11.9 * HOUR
    assert not await again()
    world.now += 0.2 * HOUR
    assert await again()
    assert "Please choose again." in text(await world.ask(f"{WHY_PATH}?done=again"))


async def test_what_is_chosen_is_counted() -> None:
    eva = Browser(World(rules=RULES))
    for choice in ("off", "full", "off", "again"):
        await click(eva, choice)
    metrics = eva.world.parts.journal.metrics().decode()
    found = re.findall(r'^edgeproxy_choices_total\{choice="(\w+)"\} ([\d.]+)$', metrics, re.MULTILINE)
    assert dict(found) == {"off": "2.0", "full": "1.0", "refused": "1.0"}


@pytest.mark.parametrize("choice", ["", "simpler", "OFF", "again"])
async def test_only_what_is_on_the_page_can_be_chosen(choice: str) -> None:
    eva = Browser(World(rules=RULES))
    assert "done=again" in (await click(eva, choice)).one("location")
    assert eva.state is None


@pytest.mark.parametrize("body", [b"", b"\xff\x00=&&=", b"choice=off&choice=forget", b"a" * 9000])
async def test_forms_of_every_broken_shape(body: bytes) -> None:
    got = await World(rules=RULES).ask(WHY_PATH, method="POST", headers=HERE, body=[body])
    assert got.status in {303, 413}
    assert not got.get("set-cookie")


# --------------------------------------------------------------------------- an address of ours


async def test_it_is_never_kept_never_indexed_and_runs_nothing() -> None:
    world = World(rules=RULES)
    eva = known(begun(NOON), world)
    for got in (await eva.go(WHY_PATH), await click(eva, "simple")):
        assert got.one("cache-control") == "no-store"
        assert got.one("x-robots-tag") == "noindex, nofollow"
        assert got.one("referrer-policy") == "same-origin"
        assert "default-src 'none'" in got.one("content-security-policy")
        assert "form-action 'self'" in got.one("content-security-policy")
        assert b"<script" not in got.body
    assert world.shop.asked == []


async def test_looking_at_it_changes_nothing() -> None:
    world = World(rules=RULES)
    eva = Browser(world)
    await eva.go("/")
    before = eva.state
    for method in ("GET", "HEAD"):
        got = await eva.go(f"{WHY_PATH}?done=off&page=/", method=method)
        assert (got.status, got.get("set-cookie"), eva.state) == (200, [], before)
    assert (await eva.go(WHY_PATH, method="PUT")).status == 405


async def test_it_answers_where_no_rules_are_live() -> None:
    assert "This shop remembers nothing of its visitors here." in text(await World(rules=None).ask(WHY_PATH))


# --------------------------------------------------------------------------- languages

FILES = sorted(Path(words.__file__).parent.glob("*.toml"))


@pytest.mark.parametrize(
    ("accept", "shop", "language"),
    [
        (None, "sv", "sv"),
        ("de-AT,en;q=0.5", "sv", "de"),
        ("fr, sv;q=0.3, en;q=0.7", "de", "en"),
        ("fr", "de", "de"),
        ("sv;q=0, en", "de", "en"),
        ("*", "sv", "sv"),
        (";;;q=,", "en", "en"),
        ("x" * 5000, "en", "en"),
    ],
)
async def test_the_language_is_the_browsers_else_the_shops(accept: str | None, shop: str, language: str) -> None:
    rules = {**RULES, "shop.toml": 'language = "' + shop + '"\n' + RULES["shop.toml"]}
    headers = [("accept-language", accept)] if accept else []
    got = await World(rules=rules).ask(WHY_PATH, headers=headers)
    assert got.one("content-language") == language
    assert f'<html lang="{language}">' in got.body.decode()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_language_says_everything(file: Path) -> None:
    def keys(table: Mapping[str, object], inside: str = "") -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, value in table.items():
            if isinstance(value, Mapping):
                found |= keys(value, f"{inside}{key}.")
            else:
                found[inside + key] = sorted(re.findall(r"\{\w*\}", str(value)))
        return found

    said, english = (tomllib.loads(one.read_text("utf-8")) for one in (file, file.with_name("en.toml")))
    assert keys(said) == keys(english)
    assert len(said["months"]) == 12
    assert set(said["held"]) == {outcome.value for outcome in HELD}
    assert set(HELD) < set(Outcome)


@pytest.mark.parametrize("language", ["en", "sv", "de"])
async def test_a_full_page_in_every_language(language: str) -> None:
    world = World(rules=RULES)
    minute = int(NOON // 60)
    memory = Memory("x", 20000, minute, 1, None, 5, 1, True, (("order", minute), ("basket", 1)), (("boots", 20000),))
    eva = known(memory, world)
    got = await eva.go(f"{WHY_PATH}?page=/&done=full", headers=[("accept-language", language)])
    assert got.one("content-language") == language
    assert "{" not in text(got)
