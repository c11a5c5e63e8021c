"""`init` and `record`: from a shop's address to a rules folder that passes `check` and its own test."""

from __future__ import annotations

import tomllib
from io import StringIO
from pathlib import Path

import pytest

from edgeproxy import recordings
from edgeproxy.commands.look import run_test
from edgeproxy.commands.looking import Page, Usage
from edgeproxy.commands.rules import run_check
from edgeproxy.commands.start import run_init, run_record
from edgeproxy.starter import Sample, further_pages, money_paths, propose

ITEMS = "".join(f'<li class=item><a href="/p/{n}"><img src="/{n}.svg" alt=""></a></li>' for n in range(6))
HEAD = (
    '<header class="top"><nav class="main-menu"><a href="/c/tea">Tea</a><a href="/c/cups">Cups</a>'
    '<a href="/cart">Cart</a></nav></header>'
)
FRONT = (
    f'<!DOCTYPE html><title>Tea</title>{HEAD}<main><div class="hero-x9f3a2b1c banner"><h1>Tea</h1></div>'
    f'<ul class="grid">{ITEMS}</ul></main><footer>©</footer>'
)
CATEGORY = (
    f"<!DOCTYPE html><title>Cups</title>{HEAD}<main><h1>Cups</h1><ul class=grid>{ITEMS}</ul></main><footer>©</footer>"
)


class Web:
    """Pages by path; everything else is a 404."""

    def __init__(self, pages: dict[str, str]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    def __call__(self, url: str) -> Page:
        path = "/" + url.removeprefix("http://tea.example").lstrip("/")
        self.asked.append(path)
        body = self.pages.get(path)
        status = 200 if body is not None else 404
        return Page((body or "gone").encode(), "text/html; charset=utf-8", None, status, f"http://tea.example{path}")


@pytest.fixture
def web() -> Web:
    return Web({"/": FRONT, "/c/tea": CATEGORY, "/c/cups": CATEGORY, "/p/1": "<h1>One</h1>"})


def test_init_writes_a_folder_that_passes_check_and_its_own_test(web: Web, tmp_path: Path) -> None:
    out = StringIO()
    folder = tmp_path / "rules"
    assert run_init("http://tea.example", folder, [], out, fetch=web, timezone="Europe/Stockholm") == 0
    assert run_check(folder, True, False, StringIO()) == 0, "not even a warning"
    assert run_test(folder, [], False, StringIO()) == 0
    assert "2 tests passed" in out.getvalue()
    shop = tomllib.loads((folder / "shop.toml").read_text())
    assert shop["timezone"] == "Europe/Stockholm"
    assert "/cart/**" in shop["never"]
    assert "/cart" not in web.asked, "pages where money is are not even looked at"


def test_every_proposed_slot_is_on_the_pages_that_it_names(web: Web) -> None:
    proposals = {
        one.name: one for one in propose([Sample("/", FRONT.encode(), None), Sample("/c", CATEGORY.encode(), None)])
    }
    assert proposals["hero"].find == "div.banner", "never by a name that a build makes anew"
    assert proposals["hero"].paths == ("/",)
    assert proposals["product-grid"].everywhere
    assert {"menu", "headline", "footer"} <= proposals.keys()


def test_a_folder_with_something_in_it_is_never_touched(web: Web, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(Usage, match="not empty"):
        run_init("http://tea.example", tmp_path, [], StringIO(), fetch=web)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("origin", "pages", "says"),
    [
        ("tea.example", {}, "write --origin https://"),
        ("http://tea.example", {}, "shows no HTML page"),
        ("http://tea.example", {"/": ""}, "can be edited"),
    ],
)
def test_init_says_what_is_in_its_way(origin: str, pages: dict[str, str], says: str, tmp_path: Path) -> None:
    with pytest.raises(Usage, match=says):
        run_init(origin, tmp_path / "rules", [], StringIO(), fetch=Web(pages))
    assert not (tmp_path / "rules").exists()


def test_record_saves_pages_where_tests_find_them(web: Web, tmp_path: Path) -> None:
    out = StringIO()
    assert run_record(tmp_path, ["http://tea.example/", "http://tea.example/c/tea"], out, fetch=web) == 0
    assert recordings.read(tmp_path)["/c/tea"].body == CATEGORY.encode()
    assert out.getvalue().count("bytes of") == 2


@pytest.mark.parametrize(("url", "says"), [("/c/tea", "not an address"), ("http://tea.example/gone", "answered 404")])
def test_record_says_what_cannot_be_saved(url: str, says: str, web: Web, tmp_path: Path) -> None:
    with pytest.raises(Usage, match=says):
        run_record(tmp_path, [url], StringIO(), fetch=web)


def test_pages_that_edgeproxy_has_edited_are_none_of_the_shops(tmp_path: Path) -> None:
    def through_us(url: str) -> Page:
        return Page(FRONT.encode(), "text/html", None, 200, url, ((b"via", b"1.1 edgeproxy"),))

    with pytest.raises(Usage, match="name the shop's own address"):
        run_init("http://tea.example", tmp_path / "rules", [], StringIO(), fetch=through_us)
    with pytest.raises(Usage, match="name the shop's own address"):
        run_record(tmp_path, ["http://tea.example/"], StringIO(), fetch=through_us)
    assert list(tmp_path.iterdir()) == []


def test_pages_of_other_shapes_are_looked_at_first() -> None:
    found = further_pages(Sample("/", FRONT.encode(), None), "http://tea.example/")
    assert found[:2] == ("/p/0", "/c/tea")


def test_money_is_found_by_its_links() -> None:
    page = b'<a href="/sv/kassa/steg-1">x</a><form action="/my-account/login"></form><a href="javascript:x">y</a>'
    assert {"/checkout/**", "/sv/kassa/**", "/my-account/**"} <= set(money_paths([Sample("/", page, None)]))
