"""``edgeproxy demo`` as somebody sees it who has just installed it: every printed link, in a real browser."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, expect

from tests.e2e.bar import Bar
from tests.e2e.running import Running, environment

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class Demo:
    base: str
    links: dict[str, str]  # what the terminal says a link shows → the link
    rules: Path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Started in an empty folder, so that it makes a copy of its rules there."""
    folder = tmp_path_factory.mktemp("demo")
    argv = [sys.executable, "-m", "edgeproxy", "demo", "--listen", "127.0.0.1:0"]
    running = Running("edgeproxy demo", argv, env=environment(), cwd=folder)
    try:
        running.wait_for(r"Ctrl-C")
        links = dict(re.findall(r"(?m)^ +(\S.*?)  +(http://127\.0\.0\.1:\d+/\S*)$", running.output()))
        rules = running.wait_for(r"The rules are in (.+?)/? ")
        base = next(iter(links.values())).partition("/?")[0]
        yield Demo(base, links, Path(rules[1]))
    finally:
        running.stop()
    assert "Traceback" not in running.output(), running.output()


@dataclass
class Window:
    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        self.page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status}: {response.url}")

    def words(self) -> int:
        """How many words the page shows; the preview's bar, in its closed root, is none of them."""
        return len(self.page.locator("body").inner_text().split())


@contextmanager
def window(browser: Browser) -> Iterator[Window]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    try:
        yield Window(context.new_page())
    finally:
        context.close()


def test_every_printed_link_opens_without_a_complaint(browser: Browser, demo: Demo) -> None:
    assert {"a stranger", "a newcomer", "a returning customer", "a loyal outdoor customer", "the shop itself"} <= set(
        demo.links
    )
    for link in demo.links.values():
        with window(browser) as one:
            answer = one.page.goto(link)
            assert answer
            assert answer.status == 200
            assert answer.headers["x-robots-tag"] == "noindex"
            if "edge_explain" in link:
                expect(one.page.get_by_role("button", name="Leave")).to_be_visible()
            else:
                assert "Leave" in Bar(one.page).text()
                assert one.page.url == demo.base + "/", "a clean address"
            assert one.complaints == []


def test_a_newcomer_sees_less_and_a_regular_something_else(browser: Browser, demo: Demo) -> None:
    seen: dict[str, tuple[int, int, str]] = {}
    for who in ("the shop itself", "a newcomer", "a returning customer", "a loyal outdoor customer"):
        with window(browser) as one:
            one.page.goto(demo.links[who])
            seen[who] = (one.words(), one.page.locator("a").count(), one.page.locator("body").inner_text())
    own, newcomer = seen["the shop itself"], seen["a newcomer"]
    assert newcomer[0] < own[0] * 0.8
    assert newcomer[1] < own[1]
    assert len({text for _, _, text in seen.values()}) == len(seen)


def test_the_preview_lasts_from_click_to_click_until_it_is_left(browser: Browser, demo: Demo) -> None:
    with window(browser) as one:
        one.page.goto(demo.links["a newcomer"])
        bar = Bar(one.page)
        said = bar.said
        with one.page.expect_navigation():
            one.page.locator("main a:visible").first.click()
        assert bar.said == said
        assert "edge_persona" not in one.page.locator("main").inner_html()
        bar.leave()
        assert not bar.there
        assert one.page.url.startswith(demo.base + "/")
        assert one.complaints == []


def test_a_saved_rule_is_seen_on_the_next_load(browser: Browser, demo: Demo) -> None:
    """Switch everything off in the copied rules: the newcomer's page is the shop's own again, and back."""
    shop = demo.rules / "shop.toml"
    good = shop.read_text("utf-8")
    with window(browser) as one:
        one.page.goto(demo.links["the shop itself"])
        own = one.words()
        one.page.goto(demo.links["a newcomer"])
        calm = one.words()
        assert calm != own
        try:
            shop.write_text("enabled = false\n" + re.sub(r"(?m)^enabled\b.*\n", "", good), "utf-8")
            expect_words(one, own)
        finally:
            shop.write_text(good, "utf-8")
        expect_words(one, calm)


def expect_words(one: Window, count: int) -> None:
    """Reload until the page shows so many words; rules are live within a second of saving, this waits longer."""
    for _ in range(40):
        one.page.reload()
        if one.words() == count:
            return
        one.page.wait_for_timeout(250)
    raise AssertionError(f"the page shows {one.words()} words, wanted {count}")
