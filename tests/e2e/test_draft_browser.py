"""The page in place of a draft with mistakes, in a real browser: it fits, and everybody can read and leave it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from edgeproxy.console.draft_page import draft_page
from edgeproxy.core.model import Problem, Severity, Where
from edgeproxy.drafts import Draft
from tests.e2e.accessible import complaints

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.mark.parametrize(("width", "dark"), [(360, True), (1440, False)])
def test_a_draft_with_mistakes_can_be_read_by_everybody(browser: Browser, width: int, dark: bool) -> None:
    problems = (
        Problem(Where("rules/shop.toml", 3, 1), f'unknown key "{"x" * 200}"', "shop", 'did you mean "order"?'),
        Problem(Where("rules/slots.toml", 7, 2), "no edit uses this slot", "hero", severity=Severity.WARNING),
    )
    html = draft_page(
        Draft("feature", "draft feature/<b>spring", None, problems), leave="/-/edge/leave", back="/c/boots"
    )
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
    try:
        page.set_content(html.decode())
        expect(page.get_by_text("feature/<b>spring").first).to_be_visible()
        expect(page.get_by_role("button", name="Leave")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert complaints(page) == []
    finally:
        page.close()
