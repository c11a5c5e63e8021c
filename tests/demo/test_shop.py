"""The demo shop does what a shop does: lists, search, basket, checkout, account; and what it refuses."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.demo import basket
from edgeproxy.demo.catalogue import PAGE_SIZE, catalogue, listing
from tests.demo.browser import Browser

NBSP = "\N{NO-BREAK SPACE}"


@pytest.fixture
def visitor() -> Browser:
    return Browser()


def cards(text: str) -> list[str]:
    return re.findall(r'<li class="card" data-product="([^"]+)"', text)


# ---------------------------------------------------------------------- buying


def test_something_put_in_the_basket_is_bought(visitor: Browser) -> None:
    token = visitor.fill_basket()
    shown = visitor.get("/basket")
    assert "Hede hiking boot is in your basket." in shown.text
    assert f"4{NBSP}990{NBSP}kr" in shown.text
    assert "is in your basket." not in visitor.get("/basket").text, "a flash is said once"

    address = {"name": "A", "street": "B 1", "code": "123 45", "town": "C", "mail": "a@b.example"}
    ordered = visitor.post("/checkout", csrf=token, **address)
    assert ordered.status_code == 303
    assert "Your order VS-" in visitor.get(ordered.headers["location"]).text
    assert "Nothing in it yet." in visitor.get("/basket").text


def test_a_line_is_changed_and_taken_out(visitor: Browser) -> None:
    token = visitor.fill_basket()
    visitor.post("/basket/set", csrf=token, line="hede-hiking-boot.rust", count="3")
    assert f"7{NBSP}485{NBSP}kr" in visitor.get("/basket").text
    visitor.post("/basket/set", csrf=token, line="hede-hiking-boot.rust", count="0")
    assert "Nothing in it yet." in visitor.get("/basket").text


def test_an_incomplete_address_is_told_field_by_field(visitor: Browser) -> None:
    token = visitor.fill_basket()
    answer = visitor.post("/checkout", csrf=token, name="A", street=" ", code="1", town="", mail="nobody")
    assert answer.status_code == 422
    assert answer.text.count('aria-invalid="true"') == 4
    assert 'value="A"' in answer.text, "what was right stays filled in"


def test_the_checkout_of_an_empty_basket_goes_back_to_it(visitor: Browser) -> None:
    assert visitor.get("/checkout").headers["location"] == "/basket"


@pytest.mark.parametrize("path", ["/basket/add", "/basket/set", "/account/login", "/account/logout"])
@pytest.mark.parametrize("sent", ["", "f" * 32])
def test_a_form_without_its_token_changes_nothing(visitor: Browser, path: str, sent: str) -> None:
    visitor.fill_basket()
    before = visitor.cookies.get(basket.COOKIE)
    answer = visitor.post(path, csrf=sent, product="kasa-enamel-mug", line="hede-hiking-boot.rust", count="0")
    assert answer.status_code == 403
    assert visitor.cookies.get(basket.COOKIE) == before


def test_a_token_in_the_field_alone_is_not_enough() -> None:
    stranger = Browser()
    assert stranger.post("/basket/add", csrf="0123456789abcdef" * 2, product="kasa-enamel-mug").status_code == 403


def test_what_is_no_form_of_ours_is_refused(visitor: Browser) -> None:
    visitor.fill_basket()
    assert visitor.ask("POST", "/basket/add", json={}).status_code == 415
    long = {"content-type": "application/x-www-form-urlencoded"}
    assert visitor.ask("POST", "/basket/add", content=b"a" * 70_000, headers=long).status_code == 413
    many = "&".join(f"f{i}=" for i in range(60))
    assert visitor.ask("POST", "/basket/add", content=many, headers=long).status_code == 400


def test_the_account_opens_with_its_password_only(visitor: Browser) -> None:
    assert visitor.get("/account").headers["location"] == "/account/login"
    token = visitor.token("/account/login")
    assert visitor.post("/account/login", csrf=token, mail="guest@vindskar.example", password="x").status_code == 422
    answer = visitor.post("/account/login", csrf=token, mail="Guest@vindskar.example", password="skerry-wind")
    assert answer.headers["location"] == "/account"
    assert "Two orders" in visitor.get("/account").text
    visitor.post("/account/logout", csrf=token)
    assert visitor.get("/account").status_code == 303


def test_an_account_cookie_of_another_making_is_nobody(visitor: Browser) -> None:
    visitor.cookies.set("vs_account", "guest.forged")
    assert visitor.get("/account").status_code == 303


@given(st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=200))
def test_any_basket_cookie_is_read_as_some_basket(value: str) -> None:
    read = basket.read(value, catalogue())
    assert basket.read(read.cookie(), catalogue()) == read
    assert all(1 <= line.count <= basket.MOST_OF_ONE for line in read.lines)


# ---------------------------------------------------------------------- looking


def test_a_search_finds_what_holds_every_word(visitor: Browser) -> None:
    found = cards(visitor.get("/search", params={"q": "wool blanket"}).text)
    assert found[0] == "lya-wool-blanket"
    assert "hede-hiking-boot" not in found
    assert "Nothing found for “zeppelin”" in visitor.get("/search?q=zeppelin").text


def test_what_is_searched_for_is_shown_as_text(visitor: Browser) -> None:
    text = visitor.get("/search", params={"q": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


@pytest.mark.parametrize(("order", "first"), [("price", "tjara-soap"), ("price-desc", "stuga-lounge-chair")])
def test_a_list_is_sorted_as_its_query_says(visitor: Browser, order: str, first: str) -> None:
    assert cards(visitor.get(f"/c/all?sort={order}").text)[0] == first


def test_a_list_is_filtered_by_colour_and_cut_into_pages(visitor: Browser) -> None:
    shop = catalogue()
    lichen = [p.slug for p in shop.products if any(c.slug == "lichen" for c in p.colours)]
    seen: list[str] = []
    for number in (1, 2):
        text = visitor.get(f"/c/all?colour=lichen&page={number}").text
        assert f"{len(lichen)} things" in text
        assert 'href="/c/all?colour=lichen&amp;page=2"' in text
        seen += cards(text)
    assert seen == lichen
    assert len(lichen) > PAGE_SIZE


@pytest.mark.parametrize("page", ["0", "-1", "99999999", "²", "x", ""])
def test_a_page_number_that_makes_no_sense_is_some_page(page: str) -> None:
    found = listing(catalogue().products, page=page)
    assert 1 <= found.page <= found.pages
    assert found.products


@pytest.mark.parametrize("path", ["/nope", "/c/nope", "/c/outdoor/nope", "/p/nope", "/media/p/nope-rust.svg"])
def test_what_is_not_there_is_a_page_that_says_so(visitor: Browser, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


# ---------------------------------------------------------------------- headers


def test_a_page_without_anything_personal_may_be_kept_a_minute(visitor: Browser) -> None:
    answer = visitor.get("/")
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert answer.headers["vary"] == "Cookie"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/c/outdoor", "/p/hede-hiking-boot", "/basket"])
def test_a_page_that_shows_a_basket_is_private(visitor: Browser, path: str) -> None:
    visitor.fill_basket()
    assert visitor.get(path).headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("path", ["/", "/media/scene/lake-at-dawn.svg", "/media/p/hede-hiking-boot-rust.svg"])
def test_a_validator_confirms_the_same_page_only(visitor: Browser, path: str) -> None:
    first = visitor.get(path)
    tag, changed = first.headers["etag"], first.headers["last-modified"]
    again = visitor.get(path, headers={"if-none-match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert visitor.get(path, headers={"if-modified-since": changed}).status_code == 304
    other = visitor.get(path, headers={"if-none-match": '"x"', "if-modified-since": changed})
    assert other.status_code == 200, "an ETag that differs goes before a date that does not"


def test_head_is_get_without_its_body(visitor: Browser) -> None:
    page, head = visitor.get("/c/home"), visitor.ask("HEAD", "/c/home")
    assert head.content == b""
    assert {**head.headers} == {**page.headers}


def test_the_same_page_has_the_same_bytes_every_time() -> None:
    for path in ("/", "/c/all", "/p/hede-hiking-boot", "/media/scene/winter-fell.svg"):
        assert Browser().get(path).content == Browser().get(path).content
