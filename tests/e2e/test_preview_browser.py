"""A marketer previews the real shop in a real browser: it lasts, it can be shared, and the shop never knows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.accessible import complaints
from tests.e2e.bar import Bar
from tests.e2e.oscar import PAGES, PASSWORD, USER, Storefront, shopping
from tests.e2e.running import edgeproxy

pytestmark = [pytest.mark.shared, pytest.mark.browser, pytest.mark.timeout(300)]

OURS = re.compile(rb"edge_(?!visitor)|/-/edge", re.IGNORECASE)


@contextmanager
def window(browser: Browser, *, width: int = 1280) -> Iterator[Page]:
    """A fresh browser profile."""
    context = browser.new_context(viewport={"width": width, "height": 900}, locale="en-GB")
    context.set_default_timeout(30_000)
    try:
        yield context.new_page()
    finally:
        context.close()


def link(storefront: Storefront, *flags: str, page: str = PAGES["list"]) -> str:
    return edgeproxy("preview", storefront.proxy.base + page, *flags, "--expires", "1h").stdout.strip()


def counted(storefront: Storefront) -> dict[str, float]:
    """The counters of what was shown to whom."""
    with urlopen(storefront.proxy.admin + "/metrics") as answer:
        text = answer.read().decode()
    found = re.findall(r"(?m)^(edgeproxy_(?:edits|experiences|visitors|slots|placed|shown)\S*) (\S+)$", text)
    return {name: float(value) for name, value in found}


def test_a_preview_lasts_over_ten_clicks_a_form_a_login_and_a_redirect(
    browser: Browser, storefront: Storefront
) -> None:
    with shopping(storefront.proxy.base, "newcomer") as shopper:
        shopper.get(PAGES["list"])
    storefront.relay.forget()
    before = counted(storefront)
    assert any("calm-start" in name for name in before)
    with window(browser) as page:
        page.goto(link(storefront, "--any", "--stage", "new"))
        bar = Bar(page)
        assert page.url == storefront.proxy.base + PAGES["list"]

        def is_new(where: str = "") -> None:
            assert bar.said == 'stage "new"', page.url
            assert page.locator("#language_selector").count() == 0, f"{where or page.url}: not a newcomer's page"

        is_new()
        for _ in range(2):  # ten clicks: a category, a product, the crumbs above it, a page of the list, the offers
            page.get_by_text("Browse store").first.click()
            for link_to in (
                page.locator(".dropdown-menu").get_by_role("link", name="Kitchen"),
                page.locator("article.product_pod h3 a").first,
                page.locator(".breadcrumb a").nth(1),
                page.locator("article.product_pod h3 a").nth(2),
                page.locator(".breadcrumb a").first,
            ):
                with page.expect_navigation():
                    link_to.click()
                is_new()
        page.goto(storefront.proxy.base + "/")  # which the shop redirects to its list
        assert page.url == storefront.proxy.base + PAGES["list"]
        is_new()
        page.locator("article.product_pod", has=page.locator("form")).first.locator("h3 a").click()
        with page.expect_navigation():  # a form, answered by a redirect
            page.locator("#add_to_basket_form button[type=submit]").click()
        is_new("after the basket")
        expect(page.locator("#messages")).to_contain_text("has been added to your basket")
        page.goto(storefront.proxy.base + "/accounts/login/")  # a page that is never edited
        assert bar.said == 'stage "new"'
        page.locator("#id_login-username").fill(USER)
        page.locator("#id_login-password").fill("wrong")
        with page.expect_navigation():  # a form, answered by a page
            page.locator("button[name=login_submit]").click()
        assert bar.said == 'stage "new"'
        page.locator("#id_login-username").fill(USER)
        page.locator("#id_login-password").fill(PASSWORD)
        with page.expect_navigation():
            page.locator("button[name=login_submit]").click()
        assert bar.said == 'stage "new"'
        expect(page.locator("#top_page")).to_contain_text("Logout")
        answer = page.goto(storefront.proxy.base + "/no-such-page/")
        assert answer
        assert answer.status == 404
        assert bar.said == 'stage "new"'
        page.goto(storefront.proxy.base + PAGES["list"])
        bar.change(edge_stage="loyal")
        assert bar.said == 'stage "loyal"'
        assert page.url == storefront.proxy.base + PAGES["list"]
        expect(page.locator("body")).to_have_class("default regular")
        bar.leave()
        assert not bar.there
        assert page.url == storefront.proxy.base + PAGES["list"]
    for exchange in storefront.relay.exchanges:
        assert not OURS.search(exchange.request_head), "the shop sees nothing of ours"
        assert not OURS.search(exchange.request_body)
    assert counted(storefront) == before, "and nothing is counted"


def test_a_link_made_in_one_browser_opens_in_another_and_shows_exactly_that(
    browser: Browser, storefront: Storefront
) -> None:
    with window(browser) as page:
        page.goto(link(storefront, "--any"))
        bar = Bar(page)
        bar.click("button", text="Change")
        bar.choose("edge_stage", "new")
        bar.choose("expires", "1h")
        with page.expect_navigation():
            bar.click("button", text="Copy link")
        made = page.get_by_label("Link").input_value()
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_text("Copied.")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == made
        assert complaints(page) == []
        with page.expect_navigation():
            page.get_by_role("link", name="Back to the page").click()
        assert bar.said == "as yourself", "the link changed nothing here"
    with window(browser) as other:
        other.goto(made)
        assert other.url == storefront.proxy.base + PAGES["list"]
        bar = Bar(other)
        assert bar.said == 'stage "new"'
        expect(other.locator("article.product_pod")).to_have_count(8)
        other.goto(storefront.proxy.base + PAGES["list"] + "?edge_stage=loyal")
        assert bar.said == 'stage "new"', "and nothing else"


@pytest.mark.parametrize("how", ["expired", "foreign", "altered"])
def test_a_token_that_is_not_good_shows_the_plain_shop(browser: Browser, storefront: Storefront, how: str) -> None:
    from edgeproxy.core.flags import PreviewFlags
    from edgeproxy.core.signing import Keys
    from edgeproxy.core.tokens import Token
    from edgeproxy.core.tokens import link as sign
    from tests.e2e.running import KEYS

    keys = Keys.parse("somebody-elses-key-5f1a" if how == "foreign" else KEYS)
    made = sign(
        storefront.proxy.base + PAGES["list"],
        Token(PreviewFlags(stage="new"), True, 1 if how == "expired" else 2**33),
        keys,
    )
    storefront.relay.forget()
    with window(browser) as page:
        page.goto(made[:-2] + "xx" if how == "altered" else made)
        assert page.url == storefront.proxy.base + PAGES["list"]
        assert not Bar(page).there
        expect(page.locator("article.product_pod")).to_have_count(20)
        assert [one["name"] for one in page.context.cookies() if one["name"] == "edge_preview"] == []
    assert all(not OURS.search(exchange.request_head) for exchange in storefront.relay.exchanges)


@pytest.mark.parametrize("width", [360, 1440])
def test_people_who_use_a_keyboard_or_a_screen_reader_can_use_it(
    browser: Browser, storefront: Storefront, width: int
) -> None:
    with window(browser, width=width) as page:
        page.goto(link(storefront, "--any", "--stage", "new"))
        bar = Bar(page)
        bar.ask("this.querySelector('.name input').focus()")
        order = []
        for _ in range(4):
            order.append(bar.focused)
            page.keyboard.press("Tab")
        assert order == ["Minimise the preview bar", "Change", "Why?", "Leave"]
        bar.ask("this.querySelector('button[popovertarget]').focus()")
        page.keyboard.press("Enter")
        assert bar.ask("return this.querySelector('[popover]').matches(':popover-open')")
        box = bar.ask("const b = this.querySelector('[popover]').getBoundingClientRect(); return [b.left, b.right]")
        assert 0 <= box[0] < box[1] <= width
        page.keyboard.press("Escape")
        assert not bar.ask("return this.querySelector('[popover]').matches(':popover-open')")
        assert bar.focused == "Change", "the focus comes back"
        bar.ask("this.querySelector('.name input').focus()")
        page.keyboard.press("Space")
        assert not bar.ask("return this.querySelector('.said').checkVisibility()"), "minimised"
        html = bar.html()
        page.set_content("<!doctype html><html lang=en><title>Shop</title><main><h1>Shop</h1><p>A page.</p></main>")
        page.evaluate(
            """html => {
                 const root = document.body.appendChild(document.createElement("edge-preview"))
                   .attachShadow({mode: "open"});
                 root.innerHTML = html;
                 root.querySelector("[popover]").showPopover();
               }""",
            html,
        )
        assert page.get_by_role("button", name="Leave").is_visible(), "axe is shown it in an open root"
        assert complaints(page, "edge-preview") == []


def test_why_is_the_same_as_page_as_json_and_on_the_command_line(browser: Browser, storefront: Storefront) -> None:
    with window(browser) as page:
        page.goto(link(storefront, "--any", "--stage", "new"))
        bar = Bar(page)
        with page.expect_navigation():
            bar.click("a", text="Why?")
        assert complaints(page) == []
        words = page.locator("main").inner_text()
        page.goto(storefront.proxy.base + PAGES["list"] + "?edge_explain=json")
        told = json.loads(page.locator("body").inner_text())
    for one in told["experiences"]:
        for part in (one["name"], one["outcome"], one["why"], one["where"]):
            assert part in words
    command = edgeproxy(
        "explain", storefront.shop + PAGES["list"], "--rules", str(storefront.rules), "--stage", "new", "--json"
    )
    said = json.loads(command.stdout)
    for part in ("visitor", "lane", "lane_why", "personal", "experiences", "slots", "styles", "book_version"):
        assert said[part] == told[part]
