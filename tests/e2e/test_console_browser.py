"""Console and contact sheet in a real browser: nothing is missing, nothing is refused by their policy, and people who
use a keyboard or a screen reader can use them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from edgeproxy.console.site import NAV
from edgeproxy.sheet.chromium import find_chromium
from tests.conftest import missing
from tests.e2e.accessible import complaints
from tests.e2e.running import Running, edgeproxy, environment
from tests.e2e.standin import page as page_of
from tests.e2e.standin import standing_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class Demo:
    shop: str
    console: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo after some visits without a preview."""
    argv = [sys.executable, "-m", "edgeproxy", "demo", "--listen", "127.0.0.1:0"]
    running = Running("edgeproxy demo", argv, env=environment(), cwd=tmp_path_factory.mktemp("demo"))
    try:
        running.wait_for(r"Ctrl-C")
        shop = running.wait_for(r"listens on (http://127\.0\.0\.1:\d+)")[1]
        console = running.wait_for(r"(http://127\.0\.0\.1:\d+)/ \(the console\)")[1]
        with httpx.Client(trust_env=False, base_url=shop) as client:
            for path in ("/", "/c/outdoor", "/"):
                client.get(path)
        yield Demo(shop, console)
    finally:
        running.stop()
    assert "Traceback" not in running.output(), running.output()


@dataclass
class Window:
    page: Page
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.said.append(message.text)

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        wide: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return wide


@contextmanager
def window(browser: Browser, width: int, *, dark: bool = False, script: bool = True) -> Iterator[Window]:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
    )
    context.set_default_timeout(30_000)
    try:
        yield Window(context.new_page())
    finally:
        context.close()


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (360, True)])
def test_every_page_of_the_console_fits_and_is_accessible(browser: Browser, demo: Demo, width: int, dark: bool) -> None:
    with window(browser, width, dark=dark) as one:
        for path, title in NAV:
            one.page.goto(demo.console + path)
            expect(one.page.locator("h1")).to_have_count(1)
            expect(one.page.get_by_role("link", name=title, exact=True)).to_have_attribute("aria-current", "page")
            assert one.overflow() <= 0, path
            assert complaints(one.page) == [], path
        assert one.said == []


def test_live_decisions_come_by_themselves_and_lead_to_their_reasons(browser: Browser, demo: Demo) -> None:
    with window(browser, 1280) as one:
        one.page.goto(demo.console + "/live")
        expect(one.page.get_by_text("/p/hede-hiking-boot", exact=True)).to_have_count(0)
        httpx.get(demo.shop + "/p/hede-hiking-boot", trust_env=False)
        row = one.page.locator("li.decision", has_text="/p/hede-hiking-boot").first
        expect(row).to_be_visible()
        row.get_by_role("link", name=re.compile("^Why")).click()
        expect(one.page.get_by_role("heading", name="Why this page looks as it does")).to_be_visible()
        assert one.said == []


def test_without_script_everything_is_there(browser: Browser, demo: Demo) -> None:
    with window(browser, 800, script=False) as one:
        one.page.goto(demo.console + "/live")
        expect(one.page.locator("li.decision").first).to_be_visible()
        one.page.get_by_role("link", name="Sheet").click()
        one.page.get_by_role("checkbox", name="anna no cookie").check()
        one.page.get_by_role("button", name="Make a link").click()
        expect(one.page.get_by_label(re.compile("^Good until"))).to_have_value(re.compile("/sheet/ey"))


def test_a_served_sheet_shows_the_shop_in_its_frames(browser: Browser, demo: Demo) -> None:
    with window(browser, 1440) as one:
        one.page.goto(demo.console + "/sheet")
        one.page.get_by_role("checkbox", name="bo new").check()
        one.page.get_by_role("button", name="Show it").click()
        expect(one.page.get_by_role("heading", name="Contact sheet")).to_be_visible()
        frames = one.page.locator("iframe")
        expect(frames).to_have_count(2)
        hero = frames.nth(1).content_frame.locator("main > section.hero")
        expect(hero).to_contain_text("New here?")
        expect(hero).to_have_css("outline-style", "solid")
        picture = frames.nth(0).content_frame.locator("main > section.hero img").first
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("image => image.naturalWidth") > 0, "the shop's pictures are not kept out by our policy"
        assert complaints(one.page, but=("frame-tested",)) == []
        assert one.said == []


def test_a_sheet_with_pictures_is_one_file_that_needs_nobody(browser: Browser, tmp_path: Path) -> None:
    photographs()
    file = tmp_path / "sheet.html"
    argv = ["sheet", "--demo", "--pages", "/", "--personas", "bo", "--width", "800", "--out", str(file)]
    done = edgeproxy(*argv, cwd=tmp_path)
    assert "1 page for 1 persona" in done.stdout
    with window(browser, 360) as one:
        asked: list[str] = []
        one.page.on("request", lambda request: asked.append(request.url))
        one.page.goto(file.as_uri())
        pictures = one.page.locator("article img")
        expect(pictures).to_have_count(2)
        sizes = pictures.evaluate_all("images => images.map((image) => image.naturalWidth)")
        assert sizes == [720, 720]
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert one.overflow() <= 0
        assert complaints(one.page) == []
        assert one.said == []


def photographs() -> None:
    """Only where the command itself finds a browser."""
    if find_chromium({"PATH": os.environ["PATH"]}) is None:
        missing("no Chromium in PATH: install the system's package")


HOSTILE = b"""<!doctype html><html><head><base href="/deep/"><meta http-equiv="refresh" content="0; url=/elsewhere">
<title>Hostile</title></head><body><h1 id="hero">Hero</h1><iframe src="/frame"></iframe>
<script>
  fetch("/act", {method: "POST", body: "x"}).catch(() => 0);
  navigator.sendBeacon("/beacon", "x");
  setTimeout(() => { location.href = "/gone"; }, 50);
  alert("hello");
  document.write("<p>written</p>");
  document.body.attachShadow({mode: "closed"}).innerHTML = "<slot></slot>";
</script></body></html>"""


def test_a_hostile_page_is_photographed_where_it_is_and_changes_nothing_in_the_shop(tmp_path: Path) -> None:
    photographs()
    rules = tmp_path / "rules"
    for name, text in {
        "shop.toml": 'format = 1\nstages = ["new"]\nwithout_cookie = "new"\n',
        "slots.toml": '[hero]\nfind = "#hero"\n',
        "audiences.toml": '[newcomers]\nstage = "new"\n',
        "personas.toml": '[bo]\nstage = "new"\n',
        "experiences/calm.toml": 'for = "newcomers"\n[[edit]]\nslot = "hero"\ninner = { text = "Calm" }\n',
    }.items():
        (rules / name).parent.mkdir(parents=True, exist_ok=True)
        (rules / name).write_text(text, "utf-8")
    with standing_in({"/": page_of(HOSTILE)}) as shop:
        argv = ["sheet", "--origin", shop.base, "--rules", str(rules), "--pages", "/", "--width", "400"]
        done = edgeproxy(*argv, "--out", str(tmp_path / "sheet.html"), cwd=tmp_path)
        asked = {(one.method, one.target) for one in shop.asked}
    assert "1 page for 1 persona" in done.stdout
    assert (tmp_path / "sheet.html").read_text("utf-8").count("<img") == 2
    assert {method for method, _ in asked} == {"GET"}
    assert {target for _, target in asked} <= {"/", "/frame", "/deep/", "/favicon.ico"}


def test_the_consoles_reasons_are_those_of_the_preview(browser: Browser, demo: Demo) -> None:
    with httpx.Client(trust_env=False, base_url=demo.shop, headers={"accept": "text/html"}) as client:
        told = client.get("/?edge_persona=eva&edge_explain=json", follow_redirects=True).json()
    with window(browser, 1280) as one:
        one.page.goto(demo.console + "/explain")
        one.page.get_by_label("Page").fill("/")
        one.page.get_by_label("Persona").select_option("eva")
        one.page.get_by_role("button", name="Explain").click()
        words = one.page.locator("main").inner_text()
    assert told["lane_why"] in words
    assert told["experiences"]
    assert told["slots"]
    for row in (*told["experiences"], *told["slots"]):
        for part in ("name", "outcome", "why", "where", "find"):
            assert row.get(part, "") in words, (row["name"], part)
