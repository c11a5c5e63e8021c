"""The main job on a real shop: the expected slots change for each visitor, and every other byte is the shop's.

Each page through the proxy is compared with the very bytes that the shop sent for it, which a relay has recorded.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess

import httpx
import pytest

from tests.conftest import missing
from tests.e2e.oscar import (
    NEVER,
    PAGES,
    VISITORS,
    Shopper,
    Storefront,
    assert_same_bytes,
    cookie_of,
    expected,
    shopping,
)

pytestmark = [pytest.mark.shared, pytest.mark.timeout(600)]

EVERYBODY = tuple(VISITORS)

# What a proxy adds, leaves out or makes anew for every response (RFC 9110, section 7.6; RFC 9112, section 6).
OURS_TO_CHANGE = {
    "age",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "via",
    "server-timing",
    "date",
}


def shop_headers(lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in lines if name.lower() not in OURS_TO_CHANGE]


def lines_of(head: bytes) -> list[tuple[str, str]]:
    pairs = (line.partition(b":") for line in head.split(b"\r\n")[1:] if line)
    return [(name.decode("latin-1"), value.strip().decode("latin-1")) for name, _, value in pairs]


def lines_from(answer: httpx.Response) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers.raw]


def holds(storefront: Storefront, answer: httpx.Response, visitor: str, page: str, *, logged_in: bool = False) -> None:
    """The page is the recorded one with this visitor's edits and nothing else."""
    sent = storefront.relay.last(answer.request.url.raw_path.decode("ascii"))
    assert answer.status_code == sent.status == 200
    assert_same_bytes(answer.content, expected(visitor, page, sent.body, logged_in=logged_in), f"{page} for {visitor}")
    assert answer.headers.get_list("set-cookie") == sent.answered("set-cookie")


@pytest.mark.parametrize("visitor", EVERYBODY)
@pytest.mark.parametrize("page", PAGES)
def test_each_visitor_gets_their_edits_and_the_shops_bytes(storefront: Storefront, visitor: str, page: str) -> None:
    with shopping(storefront.proxy.base, visitor) as shopper:
        answer = shopper.get(PAGES[page])
        holds(storefront, answer, visitor, page)
        assert (answer.content == storefront.relay.last(PAGES[page]).body) == (visitor == "anonymous")


@pytest.mark.parametrize("options", [(), ("--compressed",), ("--http1.0",)])
def test_curl_with_a_cookie_from_the_command_line(storefront: Storefront, options: tuple[str, ...]) -> None:
    if not shutil.which("curl"):
        missing("no curl")
    cookie = f"edge_visitor={cookie_of('newcomer')}"
    command = ["curl", "-sS", "--max-time", "30", *options, "-b", cookie, storefront.proxy.base + PAGES["list"]]
    got = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    assert_same_bytes(got, expected("newcomer", "list", storefront.relay.last(PAGES["list"]).body), "the list in curl")


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "gzip, deflate, br, zstd"])
def test_a_compressed_page_is_the_same_page(storefront: Storefront, coding: str) -> None:
    with shopping(storefront.proxy.base, "newcomer", coding=coding) as shopper:
        holds(storefront, shopper.get(PAGES["list"]), "newcomer", "list")


def test_personalised_pages_are_for_one_visitor_only(storefront: Storefront) -> None:
    etags = set()
    for visitor in EVERYBODY:
        with shopping(storefront.proxy.base, visitor) as shopper:
            answer = shopper.get(PAGES["list"])
        assert "private" in answer.headers["cache-control"]
        assert "public" not in answer.headers["cache-control"]
        assert "cookie" in answer.headers["vary"].lower()
        etags.add(answer.headers.get("etag"))
    assert etags == {None} or len(etags) == len(EVERYBODY)


@pytest.mark.parametrize("visitor", EVERYBODY)
def test_a_page_that_nobody_may_edit_passes_with_its_headers(storefront: Storefront, visitor: str) -> None:
    with shopping(storefront.proxy.base, visitor) as shopper:
        answer = shopper.get(NEVER)
    sent = storefront.relay.last(NEVER)
    assert_same_bytes(answer.content, sent.body, NEVER)
    assert shop_headers(lines_from(answer)) == shop_headers(lines_of(sent.head))


def test_the_shop_is_asked_as_the_visitor_asked(storefront: Storefront) -> None:
    with shopping(storefront.proxy.base, "newcomer") as shopper:
        shopper.client.cookies.set("theme", "dark", domain="127.0.0.1", path="/")
        shopper.get(PAGES["list"], **{"Accept-Language": "sv", "X-Anything": "kept"})
    asked = storefront.relay.last(PAGES["list"])
    assert asked.asked("host") == [storefront.proxy.netloc]
    assert asked.asked("accept-language") == ["sv"]
    assert asked.asked("x-anything") == ["kept"]
    assert asked.asked("x-forwarded-proto") == ["http"]
    assert asked.asked("x-forwarded-host") == [storefront.proxy.netloc]
    cookies = "; ".join(asked.asked("cookie"))
    assert "theme=dark" in cookies
    assert "edge_visitor=" in cookies


def buyable(shopper: Shopper, listing: str) -> tuple[str, str]:
    """The first product of a list that can be bought: its page and the form's action."""
    text = shopper.get(listing).text
    for item in re.findall(r'<article class="product_pod">.*?</article>', text, re.DOTALL):
        link, action = re.search(r'href="(/catalogue/[^"]+)"', item), re.search(r'action="(/basket/add/\d+/)"', item)
        if link and action:
            return link[1], action[1]
    raise AssertionError(f"nothing to buy in {listing}")


@pytest.mark.parametrize("visitor", EVERYBODY)
def test_browse_log_in_and_buy(storefront: Storefront, visitor: str) -> None:
    """Search, look at a product, put it into the basket, log in and still have it: through the proxy all along."""
    with shopping(storefront.proxy.base, visitor) as shopper:
        holds(storefront, shopper.get(PAGES["search"]), visitor, "search")
        product, action = buyable(shopper, PAGES["category"])
        page = shopper.get(product)
        holds(storefront, page, visitor, "product")
        name = re.search(r"<h1>([^<]+)</h1>", page.text)
        assert name

        added = shopper.follow(shopper.submit(page, action, quantity="1"))
        assert f"<strong>{name[1]}</strong> has been added to your basket." in added.text
        holds(storefront, added, visitor, "product")
        basket = shopper.get(PAGES["basket"])
        assert name[1] in basket.text
        holds(storefront, basket, visitor, "basket")

        shopper.log_in()
        assert shopper.client.cookies.get("sessionid")
        again = shopper.get(PAGES["list"])
        assert "Logout" in again.text
        holds(storefront, again, visitor, "list", logged_in=True)
        basket = shopper.get(PAGES["basket"])
        assert name[1] in basket.text
        holds(storefront, basket, visitor, "basket", logged_in=True)


def test_what_is_posted_reaches_the_shop_as_it_was_sent(storefront: Storefront) -> None:
    with shopping(storefront.proxy.base, "newcomer") as shopper:
        product, action = buyable(shopper, PAGES["category"])
        answer = shopper.submit(shopper.get(product), action, quantity="2")
    posted = storefront.relay.last(action, "POST")
    assert posted.request_body == answer.request.content
    assert posted.asked("origin") == [storefront.proxy.base]
    assert answer.status_code == posted.status == 302
    assert answer.headers.get_list("set-cookie") == posted.answered("set-cookie")
    assert len(answer.headers.get_list("set-cookie")) >= 2


def test_assets_and_pictures_are_the_shops(storefront: Storefront) -> None:
    with shopping(storefront.proxy.base, "loyal") as shopper:
        page = shopper.get(PAGES["list"]).text
        assets = sorted(set(re.findall(r'(?:src|href)="(/(?:static|media)/[^"]+)"', page)))
        assert len(assets) > 10
        for asset, coding in itertools.product(assets, ("identity", "gzip")):
            answer = shopper.get(asset, **{"Accept-Encoding": coding})
            sent = storefront.relay.last(asset)
            assert answer.status_code == 200
            if coding == "identity":
                assert_same_bytes(answer.content, sent.body, asset)
            assert shop_headers(lines_from(answer)) == shop_headers(lines_of(sent.head))


def test_a_stylesheet_is_revalidated_and_read_in_part(storefront: Storefront) -> None:
    asset = "/static/oscar/css/styles.css"
    with shopping(storefront.proxy.base, "loyal") as shopper:
        as_asset = {"Accept": "text/css,*/*;q=0.1", "Sec-Fetch-Dest": "style", "Sec-Fetch-Mode": "no-cors"}
        whole = shopper.get(asset, **as_asset)
        fresh = shopper.get(asset, **as_asset, **{"If-Modified-Since": whole.headers["last-modified"]})
        assert fresh.status_code == 304
        part = shopper.get(asset, **as_asset, Range="bytes=100-199")
        assert (part.status_code, part.content) == (206, whole.content[100:200])
        head = shopper.client.head(shopper.base + asset)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == whole.headers["content-length"]


def test_not_found_and_redirects_are_the_shops(storefront: Storefront) -> None:
    with shopping(storefront.proxy.base, "newcomer") as shopper:
        missing = shopper.get("/no/such/page/")
        sent = storefront.relay.last("/no/such/page/")
        assert (missing.status_code, missing.content) == (404, sent.body)
        home = shopper.get("/")
        assert home.status_code == storefront.relay.last("/").status
        assert home.headers["location"] == "/catalogue/"


LIVE = r"rules \w+ are live"


def test_rules_are_reloaded_while_shoppers_browse(storefront: Storefront) -> None:
    """Switched off, the shop's own page; a mistake never goes live; put right again, the edits are back."""
    shop_file = storefront.rules / "shop.toml"
    good = shop_file.read_text("utf-8")

    def seen_as(visitor: str) -> bool:
        answer = shopper.get(PAGES["offers"])
        return answer.content == expected(visitor, "offers", storefront.relay.last(PAGES["offers"]).body)

    with shopping(storefront.proxy.base, "newcomer") as shopper:
        try:
            since = storefront.proxy.running.lines
            shop_file.write_text(good + "\nenabled = false\n", "utf-8")
            storefront.proxy.running.wait_for(LIVE, since=since)
            assert seen_as("anonymous")
            since = storefront.proxy.running.lines
            shop_file.write_text(good.replace("stages ", "stagse "), "utf-8")
            storefront.proxy.running.wait_for(r"shop\.toml:\d+:\d+.*stagse", since=since)
            assert seen_as("anonymous")
        finally:
            since = storefront.proxy.running.lines
            shop_file.write_text(good, "utf-8")
        storefront.proxy.running.wait_for(LIVE, since=since)
        assert seen_as("newcomer")
