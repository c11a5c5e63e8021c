"""The console over a whole proxy without ports: what visitors did is what is shown, and only to who may look."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from edgeproxy.console.access import ATTEMPTS, COOKIE, LASTS, WHILE
from edgeproxy.console.showing import base_of
from edgeproxy.console.site import NAV
from edgeproxy.core.model import Problem, Severity, Where
from edgeproxy.origin import ShopRefused
from edgeproxy.settings import Settings
from tests.world import KEYS, NOON, PAGE, RULES, Shop, Told, World

TOKEN = "a-token-for-the-console-7c1"
HOSTILE = "<script>alert(1)</script>"


@dataclass
class Console:
    """A browser at the console of a proxy."""

    world: World
    cookies: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, target: str, *, method: str = "GET", form: str | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.world.parts.admin)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8081") as client:
            lines = dict(headers or {})
            if self.cookies:
                lines["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            if form is not None:
                lines["content-type"] = "application/x-www-form-urlencoded"
            answer = await client.request(method, target, headers=lines, content=form)
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def get(self, target: str, **more: Any) -> httpx.Response:
        return asyncio.run(self.ask(target, **more))

    def text(self, target: str) -> str:
        """What a page says, without its markup, in single spaces."""
        answer = self.get(target)
        assert answer.status_code == 200, answer.text
        return " ".join(unescape(re.sub("<[^>]+>", " ", answer.text)).split())


def visited(world: World, *visits: tuple[str, str | None]) -> Console:
    """A console after these visits: (path, stage)."""

    async def test() -> None:
        for path, stage in visits:
            await world.ask(path, stage=stage)
            world.now += 1

    asyncio.run(test())
    return Console(world)


PAGES = [path for path, _ in NAV]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_answers_with_and_without_rules_and_visits(path: str) -> None:
    assert Console(World(rules=None)).get(path).status_code == 200
    console = visited(World(), ("/", "new"), ("/", "loyal"), ("/c/boots", None))
    answer = console.get(path)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "style=" not in answer.text  # the policy would drop it
    assert 'aria-current="page"' in answer.text
    for address in re.findall(r'(?:href|src)="([^"]+)"', answer.text):
        assert address.startswith(("/", "#", "?")), address
        if address.startswith("/static/"):
            assert console.get(address).status_code == 200


def test_today_says_who_got_what_and_when() -> None:
    console = visited(World(), ("/", "new"), ("/c/boots", "new"), ("/", "loyal"), ("/checkout/pay", "new"))
    said = console.text("/")
    assert re.search(r"calm live .* For newcomers Schedule always .* 2 this hour .* just now", said)
    assert re.search(r"thanks live .* For regulars .* 1 this hour", said)
    assert "Pages this hour 3 100 % of them made for their visitor" in said


def test_previews_are_shown_and_not_counted() -> None:
    world = World(settings={"preview": "open", "hosts": ()})
    asyncio.run(world.ask("/?edge_stage=new", host="127.0.0.1:8080", client="127.0.0.1"))
    said = Console(world).text("/")
    assert "Pages this hour 0" in said
    assert "preview" in said


def test_a_slot_that_a_theme_change_lost_is_red_and_at_the_top_of_every_page() -> None:
    shop = Shop()
    console = visited(World(shop), *[("/", "new")] * 5)
    assert "mega" not in console.text("/slots")
    assert "100 % of 5 pages" in console.text("/slots")
    shop.answer = Told(chunks=(PAGE.replace(b'id="menu"', b'id="nav"'),))
    console = visited(console.world, *[("/", "new")] * 3)
    for path in PAGES:
        assert "1 slot is not found any more: has the theme changed?" in console.text(path)
    said = console.text("/slots")
    assert re.search(r'menu lost #menu "#menu" matches 0 elements.*; last found just now', said)
    assert 'class="card slot lost"' in console.get("/slots").text
    assert "62.5 % of 8 pages" in said


def test_two_pages_without_a_slot_are_no_theme_change() -> None:
    shop = Shop(lambda asked: Told(chunks=(PAGE if asked.target == b"/" else PAGE.replace(b'id="menu"', b""),)))
    console = visited(World(shop), ("/", "new"), ("/c/a", "new"), ("/c/b", "new"))
    assert "not on every page" in console.text("/slots")
    assert "has the theme changed" not in console.text("/")


def test_mistakes_of_the_rules_on_disk_are_at_the_top_with_their_places() -> None:
    console = Console(World())
    books = console.world.books
    mistake = Problem(Where("rules/audiences.toml", 7, 1), 'unknown key "stages"', "newcomers", 'did you mean "stage"?')
    warning = Problem(Where("rules/slots.toml", 3), "no edit uses this slot", "hero", severity=Severity.WARNING)
    books.problems, books.stale = (mistake, warning), True  # type: ignore[attr-defined]
    said = console.text("/coverage")
    assert "The rules on disk have mistakes; the last good ones are live" in said
    assert 'rules/audiences.toml:7:1: newcomers: unknown key "stages" (did you mean "stage"?)' in said
    assert "1 warning about the rules" in said


def test_coverage_shows_who_has_what_and_what_is_never_reached() -> None:
    rules = {
        **RULES,
        "experiences/thanks.toml": RULES["experiences/calm.toml"],
    }
    console = Console(World(rules=rules))
    said = console.text("/coverage")
    assert "thanks can never be reached: always shadowed by calm, which comes first" in said


def test_the_calendar_tells_collisions_and_gaps_and_moves() -> None:
    rules = {
        **RULES,
        "experiences/calm.toml": RULES["experiences/calm.toml"].replace(
            'for = "newcomers"', 'for = "newcomers"\nuntil = 2026-07-01'
        ),
        "experiences/thanks.toml": RULES["experiences/calm.toml"].replace(
            'for = "newcomers"', 'for = "newcomers"\nfrom = 2026-06-20\nuntil = 2026-07-10'
        ),
        "experiences/later.toml": RULES["experiences/calm.toml"].replace(
            'for = "newcomers"', 'for = "newcomers"\nfrom = 2026-08-01'
        ),
    }
    console = Console(World(rules=rules))
    said = console.text("/calendar")
    assert "June 2026 July August" in said
    assert "menu from 20 June until 1 July calm has it, thanks is shadowed" in said
    assert "menu for newcomers from 10 July until 1 August after thanks, before later" in said
    assert "September 2026 October November" in console.text("/calendar?months=3")
    assert "June 2026" in console.text("/calendar?months=lots")
    assert "May 2024" not in console.text("/calendar?months=-9999999999")


def test_the_newest_decision_stands_first_and_no_query_or_cookie_is_told() -> None:
    console = visited(World(), ("/c/boots?mail=anna@shop.example", "loyal"), ("/", None))
    text = console.get("/live").text
    assert text.index(">/</b>") < text.index(">/c/boots</b>")
    assert "anna@" not in text
    assert "edge_visitor" not in text


def test_rows_after_a_moment_are_those_that_the_script_adds() -> None:
    console = visited(World(), ("/", "new"), ("/c/later", "new"))
    rows = console.get(f"/live/rows?after={NOON + 0.5}").text
    assert rows.count("<li") == 1
    assert "/c/later" in rows
    assert console.get("/live/rows?after=soon").text.count("<li") == 2


def test_figures_tell_lanes_and_times() -> None:
    console = visited(World(), ("/", "new"), ("/nothing", "new"))
    said = console.text("/speed")
    assert re.search(r"private made for one visitor 1 [\d.]+ [KM]?B", said)
    assert re.search(r"pass untouched 1 ", said)


def test_whatever_comes_from_outside_is_text() -> None:
    rules = {
        **RULES,
        "experiences/calm.toml": f"says = '{HOSTILE}'\nowner = '{HOSTILE}'\nbecause = '{HOSTILE}'\n"
        + RULES["experiences/calm.toml"],
        "slots.toml": RULES["slots.toml"] + f"says = '{HOSTILE}'\n",
    }
    console = visited(World(rules=rules), (f"/c/{HOSTILE}", "new"), ("/c/%3Cscript%3E", "new"))
    for path in [*PAGES, f"/login?back={HOSTILE}", f"/calendar?months={HOSTILE}", f"/slots?over={HOSTILE}"]:
        assert "<script>alert" not in console.get(path).text, path


@pytest.mark.parametrize("name", ["", "..%2fsite.py", "../site.py", "console.css/x", "site.py"])
def test_only_its_own_files_are_served(name: str) -> None:
    assert Console(World()).get(f"/static/{name}").status_code == 404


# ------------------------------------------------------------------ why, and contact sheets

PEOPLE = '[anna]\nsays = "A stranger"\ncookie = false\n[eva]\nstage = "loyal"\nsegments = ["outdoor"]\n'


def peopled(**settings: Any) -> Console:
    return Console(World(rules={**RULES, "personas.toml": PEOPLE}, settings=settings))


def test_a_decision_leads_to_its_explanation() -> None:
    console = visited(World(), ("/", "loyal"), ("/c/boots", None))
    stranger, loyal = re.findall(r'href="(/explain[^"]+)"', console.get("/live").text)
    said = console.text(unescape(loyal))
    assert "Why this page looks as it does" in said
    assert 'stage "loyal"' in said
    assert re.search(r"thanks .*applied", said)
    assert "2026-06-01 12:00" in said
    assert re.search(r"calm .*applied", console.text(unescape(stranger)))
    policy = console.get(unescape(loyal)).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("page=c/boots", "is no path"),
        ("page=//evil.example/", "is no path"),
        ("page=/&persona=olga", "unknown persona"),
        ("page=/&at=tomorrow", "edge_at is"),
        ("page=/&stage=olga", "unknown stage"),
        (f"page=/{HOSTILE}", "Why this page looks as it does"),
        ("page=/%0d%0ax:+y", "is no path"),
    ],
)
def test_whatever_is_asked_of_an_explanation_is_answered_in_words(query: str, words: str) -> None:
    console = peopled()
    assert words in console.text(f"/explain?{query}")
    assert "<script" not in console.get(f"/explain?{query}").text


def test_a_page_of_another_site_cannot_make_a_browser_ask_the_shop() -> None:
    console = peopled()
    for dest in ("image", "iframe", "empty"):
        headers = {"sec-fetch-site": "cross-site", "sec-fetch-dest": dest}
        assert console.get("/explain?page=/", headers=headers).status_code == 403
    assert console.world.shop.asked == []
    link = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}
    assert console.get("/explain?page=/", headers=link).status_code == 200


def test_a_shop_that_does_not_answer_is_told() -> None:
    console = peopled()
    console.world.shop.answer = ShopRefused("refused", "no connection")
    assert "there is no page: the proxy answered 502" in console.text("/explain?page=/")


def ask_sheet(console: Console, form: str, **more: Any) -> httpx.Response:
    return console.get("/sheet", method="POST", form=form, **more)


def test_the_form_shows_a_sheet_of_what_visitors_get() -> None:
    console = peopled()
    answer = ask_sheet(console, "pages=/%0A/other&persona=eva&do=show")
    assert answer.status_code == 303
    shown = console.get(answer.headers["location"])
    assert shown.status_code == 200
    assert shown.text.count("<iframe") == 4
    assert "Good to see you" in shown.text
    assert "base href=&#34;http://shop.example:8080/" in shown.text
    policy = shown.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert {asked.method for asked in console.world.shop.asked} == {"GET"}


def test_a_link_shows_that_sheet_to_who_has_no_token_until_it_ends() -> None:
    console = peopled(admin_token=TOKEN)
    assert ask_sheet(console, "pages=/&do=link").headers["location"].startswith("/login")
    console.get("/login", method="POST", form=f"token={TOKEN}")
    answer = ask_sheet(console, "pages=/&lasts=1d&do=link")
    link = unescape(re.findall(r'value="(http://127[^"]+)"', answer.text)[0])
    assert "Good until 2 June" in " ".join(answer.text.split())
    other = Console(console.world)
    path = link.removeprefix("http://127.0.0.1:8081")
    assert other.get(path).status_code == 200
    assert "Good to see you" in other.get(path).text
    asked = len(console.world.shop.asked)
    other.get(path)
    assert len(console.world.shop.asked) == asked, "shown again, not made again"
    assert other.get(path[:-1]).status_code == 403
    assert other.get("/slots").status_code == 303
    console.world.now += 86_401
    late = other.get(path)
    assert late.status_code == 403
    assert "it expired" in late.text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("pages=", "no page is named"),
        ("pages=boots", "is no path"),
        ("pages=/&persona=olga", "there is no persona"),
        ("pages=/&at=never", "is not a date"),
        ("pages=" + "+".join(f"/{n}" for n in range(40)), "that would be 120 pictures, and 60 are the most"),
        ("pages=/" + "x" * 40_000, "no page is named"),
        ("&".join("pages=/" for _ in range(600)), "no page is named"),
        (f"pages=/{HOSTILE.replace('/', '')}&at={HOSTILE}", "is not a date"),
    ],
)
def test_a_form_that_cannot_be_followed_is_shown_again_with_the_reason(form: str, words: str) -> None:
    answer = ask_sheet(peopled(), form)
    assert answer.status_code == 422
    assert words in unescape(answer.text)
    assert "<script>alert" not in answer.text


def test_a_page_of_another_origin_makes_no_link() -> None:
    answer = ask_sheet(peopled(), "pages=/&do=link", headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
    assert "/sheet/e" not in answer.text


def test_without_rules_there_is_no_sheet_and_a_word_says_so() -> None:
    console = peopled()
    path = ask_sheet(console, "pages=/").headers["location"]
    console.world.books.book = None
    answer = console.get(path)
    assert answer.status_code == 503
    assert "no rules are live" in answer.text


@pytest.mark.parametrize(
    ("settings", "base"),
    [
        ({"hosts": ()}, "http://127.0.0.1:8080"),
        ({"hosts": ("*.shop.example",)}, "http://127.0.0.1:8080"),
        ({"hosts": ("*.shop.example", "www.shop.example")}, "http://www.shop.example:8080"),
        ({"hosts": ("shop.example",), "trust": ("10.0.0.0/8",)}, "https://shop.example"),
    ],
)
def test_frames_load_from_where_visitors_come(settings: dict[str, Any], base: str) -> None:
    made = Settings("http://shop.internal", Path(), KEYS, **settings)
    assert base_of(made, "") == base


# ------------------------------------------------------------------ who may look


def guarded() -> Console:
    return Console(World(settings={"admin_token": TOKEN}))


@pytest.mark.parametrize("path", [*PAGES, "/live/rows"])
def test_where_there_is_a_token_nobody_looks_without_it(path: str) -> None:
    console = guarded()
    answer = console.get(path)
    assert answer.status_code in {303, 401}
    assert answer.status_code == 401 or answer.headers["location"].startswith("/login")
    console.cookies[COOKIE] = "MTc4MDMxNTIwMA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    assert console.get(path).status_code in {303, 401}
    assert console.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_right_token_gives_a_cookie_that_ends() -> None:
    console = guarded()
    answer = console.get("/login?back=/slots", method="POST", form=f"token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/slots")
    line = answer.headers["set-cookie"]
    assert all(word in line for word in ("HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={int(LASTS)}"))
    assert "Secure" not in line
    assert TOKEN not in line
    assert console.get("/").status_code == 200
    assert console.get("/metrics").status_code == 401  # for machines, which can send the token itself
    console.world.now += LASTS + 1
    assert console.get("/").status_code == 303
    other = Console(World(settings={"admin_token": TOKEN + "x"}), dict(console.cookies))
    assert other.get("/").status_code == 303


def test_behind_https_the_cookie_is_secure() -> None:
    answer = guarded().get("/login", method="POST", form=f"token={TOKEN}", headers={"x-forwarded-proto": "https"})
    assert "; Secure" in answer.headers["set-cookie"]


def test_logging_out_takes_the_cookie_away_by_post_alone() -> None:
    console = guarded()
    console.get("/login", method="POST", form=f"token={TOKEN}")
    assert console.get("/logout").status_code == 405
    assert console.get("/logout", method="POST", headers={"origin": "http://evil.example"}).status_code == 403
    assert console.get("/").status_code == 200
    console.get("/logout", method="POST")
    assert console.get("/").status_code == 303


@pytest.mark.parametrize(
    ("form", "headers", "status"),
    [
        ("token=wrong", {}, 401),
        ("", {}, 401),
        ("token=%FF%00", {}, 401),
        ("token=" + "x" * 100_000, {}, 401),
        (f"token={TOKEN}", {"origin": "http://evil.example"}, 403),
        (f"token={TOKEN}", {"sec-fetch-site": "cross-site"}, 403),
        (f"token={TOKEN}", {"origin": "http://127.0.0.1:8081"}, 303),
        (f"token={TOKEN}", {"origin": "https://127.0.0.1:8081"}, 303),  # a proxy in front speaks TLS
        (f"token={TOKEN}", {"origin": "http://[::"}, 403),
    ],
)
def test_a_login_that_is_wrong_or_of_another_origin_gives_nothing(
    form: str, headers: Mapping[str, str], status: int
) -> None:
    console = guarded()
    answer = console.get("/login", method="POST", form=form, headers=headers)
    assert answer.status_code == status
    assert (COOKIE in console.cookies) is (status == 303)


def test_a_token_cannot_be_guessed_quickly() -> None:
    console = guarded()
    for _ in range(ATTEMPTS):
        assert console.get("/login", method="POST", form="token=guess").status_code == 401
    assert console.get("/login", method="POST", form=f"token={TOKEN}").status_code == 429
    console.world.now += WHILE + 1
    assert console.get("/login", method="POST", form=f"token={TOKEN}").status_code == 303


@pytest.mark.parametrize(
    "back", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:1", "/\r\nx: y"]
)
def test_a_login_leads_nowhere_else(back: str) -> None:
    answer = asyncio.run(
        guarded().ask(str(httpx.URL("/login", params={"back": back})), method="POST", form=f"token={TOKEN}")
    )
    assert answer.headers["location"] == "/"


def test_without_a_token_there_is_nothing_to_log_in_to() -> None:
    assert Console(World()).get("/login").headers["location"] == "/"


def test_a_site_that_points_its_name_here_sees_nothing() -> None:
    for path in PAGES:
        assert Console(World()).get(path, headers={"host": "evil.example"}).status_code == 421
