"""One visitor of the real shop over two years, in a browser, by a clock that the test moves.

Stranger → second visit → order → what was bought is no longer advertised → lapsed; the texts are those of
``oscar-rules``, and consent comes from the shop's own cookie.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from edgeproxy.values import Address
from tests.e2e.conftest import DATA, oscar
from tests.e2e.inside import Clock, Telling, serving_inside
from tests.e2e.oscar import PAGES, PASSWORD, USER
from tests.e2e.running import free_ports

pytestmark = [pytest.mark.shared, pytest.mark.browser, pytest.mark.timeout(300)]

DAY = 86_400.0
THANKS = b"/checkout/thank-you/"


class Visitor:
    """A window, and the clock that the proxy goes by."""

    def __init__(self, base: str, context: BrowserContext, clock: Clock, shop: Telling) -> None:
        self.base = base
        self.context = context
        self.page: Page = context.new_page()
        self.clock = clock
        self.shop = shop

    def goes(self, target: str) -> Page:
        self.page.goto(self.base + target, wait_until="load")
        return self.page

    def is_away(self, days: float) -> None:
        self.clock.now += days * DAY

    def consents(self, answer: str) -> None:
        self.context.add_cookies([{"name": "cookie_consent", "value": answer, "url": self.base}])

    def state(self) -> str:
        """The cookie's value."""
        (value,) = (one["value"] for one in self.context.cookies() if one["name"] == "edge_state")
        return value

    @property
    def remembered(self) -> bool:
        return any(one["name"] == "edge_state" for one in self.context.cookies())


@pytest.fixture
def visitor(shared: Path, oscar_setup: Path, tmp_path: Path, browser: Browser) -> Iterator[Visitor]:
    rules = tmp_path / "rules"
    shutil.copytree(DATA / "oscar-rules", rules)
    shutil.rmtree(rules / "tests")
    shutil.copytree(DATA / "oscar-life", rules, dirs_exist_ok=True)
    (port,) = free_ports()
    base = f"http://127.0.0.1:{port}"
    clock = Clock(1_780_315_200.0)  # 2026-06-01
    events = {THANKS: "order; categories=kitchen"}
    with (
        oscar(shared, oscar_setup, tmp_path, base) as shop,
        serving_inside(shop, rules, clock, events, listen=Address("127.0.0.1", port), hosts=["127.0.0.1"]) as inside,
    ):
        assert inside[0].books.book is not None
        context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
        context.set_default_timeout(30_000)
        try:
            yield Visitor(base, context, clock, inside[1])
        finally:
            context.close()


def buys_a_kettle(visitor: Visitor) -> None:
    """Log in, put it into the basket, and go all the way through the shop's own checkout."""
    page = visitor.goes("/accounts/login/")
    page.locator("#id_login-username").fill(USER)
    page.locator("#id_login-password").fill(PASSWORD)
    page.locator("button[name=login_submit]").click()
    visitor.goes(PAGES["product"])
    page.locator("#add_to_basket_form button[type=submit]").click()
    visitor.goes("/checkout/shipping-address/")
    for name, text in {
        "first_name": "Jane", "last_name": "Doe", "line1": "1 Egg Street", "line4": "London", "postcode": "N12 9RT",
    }.items():  # fmt: skip
        page.locator(f"#new_shipping_address [name={name}]").fill(text)
    page.locator("#new_shipping_address [name=country]").select_option("GB")
    page.locator("#new_shipping_address button[type=submit]").click()
    page.wait_for_url("**/checkout/payment-details/")
    visitor.goes("/checkout/preview/")
    page.locator("#place-order").click()
    page.wait_for_url("**" + THANKS.decode())


def test_from_stranger_to_lapsed(visitor: Visitor) -> None:
    advert = visitor.page.locator("#kitchen-week")
    shelf = visitor.page.locator(".shelf-of-yours")
    headline = visitor.page.locator(".page-header h1")

    # a stranger who has not answered the banner: the shop's own page, and nothing is kept
    visitor.goes(PAGES["list"])
    expect(headline).to_have_text("All products")
    expect(advert).to_have_count(0)
    assert not visitor.remembered

    # they consent: the first page begins to remember, the second knows
    visitor.consents("all")
    visitor.goes(PAGES["list"])
    first = visitor.state()
    visitor.goes(PAGES["list"])
    expect(headline).to_have_text("Start here & take your time")
    expect(advert).to_have_count(1)
    assert visitor.state() == first, "nothing changed, so nothing was written"

    # the next day: no newcomer any more, from the first page on
    visitor.is_away(1)
    visitor.goes(PAGES["list"])
    expect(headline).to_have_text("All products")
    expect(shelf).to_contain_text("Back for more?")
    expect(advert).to_have_count(1)

    # they buy, and what they bought is not advertised to them
    buys_a_kettle(visitor)
    assert visitor.shop.told == ["order; categories=kitchen"]
    visitor.goes(PAGES["list"])
    expect(advert).to_have_count(0)
    expect(shelf).to_contain_text("Back for more?")
    visitor.page.go_back()  # to the page that thanks: loaded again, and still one order
    visitor.is_away(29)
    visitor.goes(PAGES["list"])
    expect(advert).to_have_count(0)
    visitor.is_away(3)
    visitor.goes(PAGES["list"])
    expect(advert).to_have_count(1)

    # a year later
    visitor.is_away(340)
    visitor.goes(PAGES["list"])
    expect(headline).to_have_text("Here is what changed")
    expect(shelf).to_have_count(0)

    # they change their mind about being remembered
    visitor.consents("none")
    visitor.goes(PAGES["list"])
    expect(headline).to_have_text("All products")
    assert not visitor.remembered
