"""The console over a whole proxy without ports: what visitors did is what is shown, and only to who may look."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import httpx
import pytest

from edgeproxy.console.access import ATTEMPTS, COOKIE, LASTS, WHILE
from edgeproxy.console.site import NAV
from edgeproxy.core.model import Problem, Severity, Where
from tests.world import NOON, PAGE, RULES, Shop, Told, World

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
    console = visited(World(shop), ("/", "new"), ("/c/a", "new"), ("/c/b", "new"), ("/", "new"))
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
