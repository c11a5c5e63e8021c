"""The visitor's own page in a real browser, over the demo shop: reached by a link, no script, four buttons."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.accessible import complaints
from tests.e2e.running import Running, environment
from tests.e2e.test_demo import Demo, demo

__all__ = ["demo"]  # the fixture, here too

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@contextmanager
def window(browser: Browser, width: int = 1280, scheme: str = "light", locale: str = "en-GB") -> Iterator[Page]:
    with browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        locale=locale,
    ) as context:
        yield context.new_page()


def asked(page: Page, base: str, path: str = "/c/outdoor") -> None:
    page.goto(base + path)
    page.get_by_role("link", name="Why do I see this?").click()
    page.wait_for_url("**/why*")  # and for its end: a key that is pressed before goes nowhere


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_used_by_everybody(demo: Demo, browser: Browser, width: int, scheme: str) -> None:
    with window(browser, width, scheme) as page:
        asked(page, demo.base)
        assert complaints(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("button", name="Simpler").click()
        expect(page.get_by_role("status")).to_have_text("Done. From now on you get a simpler shop.")
        assert complaints(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_click_holds_at_once_and_can_be_taken_back(demo: Demo, browser: Browser) -> None:
    with window(browser) as page:
        page.goto(demo.base + "/")
        expect(page.locator("body.calm")).to_be_visible()  # a stranger's calm page
        asked(page, demo.base, "/")
        page.get_by_role("button", name="Off").click()
        page.get_by_role("link", name="Back to the page").click()
        expect(page).to_have_url(demo.base + "/")
        expect(page.locator("body.calm")).to_have_count(0)
        page.reload()
        expect(page.locator("body.calm")).to_have_count(0)
        page.get_by_role("link", name="Why do I see this?").click()
        expect(page.get_by_role("button", name="Off (chosen)")).to_have_attribute("aria-pressed", "true")
        page.get_by_role("button", name="Forget everything").click()
        expect(page.get_by_role("status")).to_have_text("Done. Everything is forgotten.")
        assert [one for one in page.context.cookies() if str(one.get("name")).startswith("edge_")] == []
        page.get_by_role("link", name="Back to the page").click()
        expect(page.locator("body.calm")).to_be_visible()


def test_it_needs_no_pointer(demo: Demo, browser: Browser) -> None:
    with window(browser) as page:
        asked(page, demo.base)
        reached = []
        for _ in range(5):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.innerText"))
        assert reached == ["Back to the page", "Simpler", "Full", "Off", "Forget everything"]
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("nothing is remembered of you")


@pytest.mark.parametrize(("locale", "heading"), [("sv-SE", "Vad du vill"), ("de-DE", "Was Sie möchten")])
def test_it_speaks_the_browsers_language(demo: Demo, browser: Browser, locale: str, heading: str) -> None:
    with window(browser, 360, locale=locale) as page:
        page.goto(f"{demo.base}/-/edge/why?page=/")
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        assert page.locator("html").get_attribute("lang") == locale[:2]
        assert complaints(page) == []


def test_another_site_cannot_click_for_the_visitor(demo: Demo, browser: Browser, tmp_path: Path) -> None:
    """A page elsewhere that holds a real token, copied from the shop's, sends the form: nothing is chosen."""
    with window(browser) as page:
        page.goto(f"{demo.base}/-/edge/why")
        token = page.locator("input[name=token]").get_attribute("value")
        form = f'<form method="post" action="{demo.base}/-/edge/why"><input name="token" value="{token}">'
        (tmp_path / "index.html").write_text(
            f'<!doctype html>{form}<button name="choice" value="off">Win</button></form>'
        )
        serve = [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1"]
        elsewhere = Running("elsewhere", serve, env=environment(PYTHONUNBUFFERED="1"), cwd=tmp_path)
        try:
            port = elsewhere.wait_for(r"port (\d+)")[1]
            page.goto(f"http://localhost:{port}/")
            page.get_by_role("button", name="Win").click()
            expect(page.get_by_role("status")).to_contain_text("Please choose again.")
            assert [one for one in page.context.cookies() if one.get("name") == "edge_state"] == []
        finally:
            elsewhere.stop()
