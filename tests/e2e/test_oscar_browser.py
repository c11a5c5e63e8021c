"""The main job in a real browser: people browse, search, log in and buy, and the browser has nothing to complain of.

What Chromium says on its console, or fails to load, is compared with what it says of the shop with nothing in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, expect

from tests.e2e.bar import Bar
from tests.e2e.oscar import PAGES, PASSWORD, USER, Storefront, assert_same_bytes, cookie_of, expected
from tests.e2e.running import edgeproxy

pytestmark = [pytest.mark.shared, pytest.mark.browser, pytest.mark.timeout(600)]


@dataclass
class Visit:
    """One visitor's window, and everything that the browser had to say about what it was given."""

    base: str
    page: Page
    complaints: list[str] = field(default_factory=list)
    documents: dict[str, Response] = field(default_factory=dict)  # target → the answer it was shown from

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text.replace(self.base, '')}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # a navigation that the next click took over
            self.complaints.append(f"failed: {request.url.removeprefix(self.base)} {request.failure}")

    def _response(self, response: Response) -> None:
        target = response.url.removeprefix(self.base)
        if response.status >= 400:
            self.complaints.append(f"{response.status}: {target}")
        if response.request.is_navigation_request() and response.status == 200:
            self.documents[target] = response

    def go(self, target: str) -> None:
        self.page.goto(self.base + target, wait_until="load")


@contextmanager
def visiting(browser: Browser, base: str, visitor: str) -> Iterator[Visit]:
    """A fresh browser profile with this visitor's cookie in it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(30_000)
    try:
        if value := cookie_of(visitor):
            context.add_cookies([{"name": "edge_visitor", "value": value, "url": base}])
        yield Visit(base, context.new_page())
    finally:
        context.close()


def shop_like_people_do(visit: Visit) -> None:
    """List → category → product → basket → search → log in → the basket is still there."""
    page = visit.page
    visit.go(PAGES["list"])
    page.get_by_role("button", name="Browse store").or_(page.get_by_text("Browse store")).first.click()
    page.locator(".dropdown-menu").get_by_role("link", name="Kitchen").click()
    page.wait_for_url("**" + PAGES["category"])
    page.locator("article.product_pod", has=page.locator("form")).first.locator("h3 a").click()
    page.wait_for_url(re.compile(r"/catalogue/[^/]+_\d+/$"))
    name = page.locator(".product_main h1").inner_text()
    page.locator("#add_to_basket_form button[type=submit]").click()
    expect(page.locator("#messages")).to_contain_text(f"{name} has been added to your basket.")
    page.locator("#messages").get_by_role("link", name="View basket").click()
    page.wait_for_url("**" + PAGES["basket"])
    expect(page.locator("#basket_formset")).to_contain_text(name)
    page.locator("#id_q").fill("knife")
    page.locator("#id_q").press("Enter")
    page.wait_for_url("**" + PAGES["search"])
    expect(page.locator("article.product_pod").first).to_be_visible()
    page.locator("#login_link").click()
    page.wait_for_url("**/accounts/login/")
    page.locator("#id_login-username").fill(USER)
    page.locator("#id_login-password").fill(PASSWORD)
    page.locator("button[name=login_submit]").click()
    expect(page.locator("#top_page")).to_contain_text("Logout")
    visit.go(PAGES["basket"])
    expect(page.locator("#basket_formset")).to_contain_text(name)


@pytest.fixture(scope="module")
def complaints_of_the_shop_alone(browser: Browser, shop_alone: str) -> frozenset[str]:
    """What the browser says of a whole visit with nothing in front of the shop."""
    with visiting(browser, shop_alone, "anonymous") as visit:
        shop_like_people_do(visit)
    return frozenset(visit.complaints)


@pytest.mark.parametrize("visitor", ["anonymous", "newcomer", "loyal"])
def test_people_shop_through_the_proxy_and_nothing_complains(
    browser: Browser, storefront: Storefront, complaints_of_the_shop_alone: frozenset[str], visitor: str
) -> None:
    with visiting(browser, storefront.proxy.base, visitor) as visit:
        shop_like_people_do(visit)
    assert sorted(set(visit.complaints) - complaints_of_the_shop_alone) == []


@pytest.mark.parametrize("visitor", ["anonymous", "newcomer", "loyal"])
@pytest.mark.parametrize("page", ["list", "search", "product", "basket"])
def test_the_browser_gets_the_shops_bytes_and_the_edits(
    browser: Browser, storefront: Storefront, visitor: str, page: str
) -> None:
    """Chromium asks for compressed pages, with fetch metadata and its own headers: what it decodes is the same."""
    with visiting(browser, storefront.proxy.base, visitor) as visit:
        visit.go(PAGES[page])
        got = visit.documents[PAGES[page]].body()
    assert_same_bytes(got, expected(visitor, page, storefront.relay.last(PAGES[page]).body), f"{page} for {visitor}")


def test_a_newcomer_sees_a_calmer_list(browser: Browser, storefront: Storefront) -> None:
    with visiting(browser, storefront.proxy.base, "newcomer") as visit:
        visit.go(PAGES["list"])
        expect(visit.page.get_by_role("heading", level=1)).to_have_text("Start here & take your time")
        expect(visit.page.locator("article.product_pod")).to_have_count(8)
        expect(visit.page.locator("aside.sidebar")).to_have_count(0)
        expect(visit.page.locator("#language_selector")).to_have_count(0)
        visit.page.locator("article.product_pod", has=visit.page.locator("form")).first.locator("h3 a").click()
        expect(visit.page.locator("#add_to_basket_form + p.next-step")).to_be_visible()
        expect(visit.page.locator("#reviews")).to_have_count(0)


def test_a_regular_sees_a_shelf_of_their_own(browser: Browser, storefront: Storefront) -> None:
    with visiting(browser, storefront.proxy.base, "loyal") as visit:
        visit.go(PAGES["list"])
        shelf = visit.page.locator("#messages + section.shelf-of-yours")
        expect(shelf).to_be_visible()
        expect(shelf).to_have_attribute("data-for", "outdoor")
        expect(shelf).to_have_css("border-top-width", "1px")
        expect(visit.page.locator("body")).to_have_class("default regular")
        expect(visit.page.locator("article.product_pod")).to_have_count(20)
        shelf.get_by_role("link").click()
        visit.page.wait_for_url("**/catalogue/category/outdoor_1/")


def test_going_back_and_forth_shows_the_same_experience(browser: Browser, storefront: Storefront) -> None:
    with visiting(browser, storefront.proxy.base, "newcomer") as visit:
        visit.go(PAGES["list"])
        visit.go(PAGES["offers"])
        visit.page.go_back()
        expect(visit.page.locator("article.product_pod")).to_have_count(8)
        visit.page.reload()
        expect(visit.page.locator("article.product_pod")).to_have_count(8)


def test_another_visitor_in_the_same_browser_gets_their_own_page(browser: Browser, storefront: Storefront) -> None:
    """Stage by stage in one profile, its cache kept: a page of an earlier stage must not be confirmed by a 304."""
    with visiting(browser, storefront.proxy.base, "newcomer") as visit:
        visit.go(PAGES["list"])
        expect(visit.page.locator("article.product_pod")).to_have_count(8)
        loyal = cookie_of("loyal")
        assert loyal
        visit.page.context.add_cookies([{"name": "edge_visitor", "value": loyal, "url": storefront.proxy.base}])
        visit.go(PAGES["list"])
        expect(visit.page.locator("article.product_pod")).to_have_count(20)
        expect(visit.page.locator("section.shelf-of-yours")).to_be_visible()
        visit.page.context.clear_cookies(name="edge_visitor")
        visit.go(PAGES["list"])
        expect(visit.page.locator("section.shelf-of-yours")).to_have_count(0)


def test_a_preview_link_shows_the_page_and_survives_the_next_click(browser: Browser, storefront: Storefront) -> None:
    """A marketer without any cookie opens a link: a newcomer's page, at a clean address, and on from there."""
    link = edgeproxy("preview", storefront.proxy.base + PAGES["list"], "--stage", "new", "--expires", "1h")
    storefront.relay.forget()
    with visiting(browser, storefront.proxy.base, "anonymous") as visit:
        answer = visit.page.goto(link.stdout.strip())
        assert answer
        assert visit.page.url == storefront.proxy.base + PAGES["list"]
        assert "no-store" in answer.headers["cache-control"]
        assert answer.headers["x-robots-tag"] == "noindex"
        assert answer.headers["referrer-policy"] == "same-origin"
        expect(visit.page.locator("article.product_pod")).to_have_count(8)
        visit.page.get_by_text("Browse store").first.click()
        visit.page.locator(".dropdown-menu").get_by_role("link", name="Kitchen").click()
        visit.page.wait_for_url("**" + PAGES["category"])
        expect(visit.page.locator("aside.sidebar")).to_have_count(0)
        Bar(visit.page).leave()
        expect(visit.page.locator("aside.sidebar")).to_be_visible()
        assert visit.page.url.startswith(storefront.proxy.base + "/")
        assert visit.complaints == []
    for exchange in storefront.relay.exchanges:
        assert b"edge_" not in exchange.request_head
        assert b"/-/edge" not in exchange.request_head


def test_a_preview_without_leave_is_nothing(browser: Browser, storefront: Storefront) -> None:
    """Flags without a token are cut out of the query and ignored."""
    storefront.relay.forget()
    with visiting(browser, storefront.proxy.base, "anonymous") as visit:
        visit.go(PAGES["page 2"] + "&edge_stage=new&edge_token=forged.token.here")
        expect(visit.page.locator("article.product_pod")).to_have_count(20)
        expect(visit.page.locator("aside.sidebar")).to_be_visible()
    assert storefront.relay.last(PAGES["page 2"])
