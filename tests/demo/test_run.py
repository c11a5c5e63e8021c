"""What the demo runs and says: the shop without a socket, a folder to edit, a link for each kind of visitor."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from edgeproxy.core.query import cut
from edgeproxy.demo.run import CHECKOUT, COPY, ShopInProcess, links, rules_folder, welcome
from edgeproxy.rulebook import load


def ask(target: bytes, method: str = "GET") -> httpx.Response:
    async def once() -> httpx.Response:
        request = httpx.Request(method, "http://shop.internal", extensions={"target": target})
        response = await ShopInProcess().handle_async_request(request)
        await response.aread()
        return response

    return asyncio.run(once())


@pytest.mark.parametrize(
    ("target", "status", "holds"),
    [
        (b"/", 200, "For weather that changes its mind"),
        (b"/search?q=wool+blanket", 200, "for “wool blanket”"),
        (b"/c/outdoor/footwear?sort=price&page=1", 200, "Ull hiking socks"),
        (b"/%2e%2e/nope", 404, "There is nothing here"),
        (b"//evil.example/", 404, "There is nothing here"),
        (b"/p/\xff\x00", 400, ""),
    ],
)
def test_the_shop_answers_what_is_asked_for(target: bytes, status: int, holds: str) -> None:
    answer = ask(target)
    assert answer.status_code == status
    assert holds in answer.text


def test_a_folder_that_is_named_is_taken(tmp_path: Path) -> None:
    assert rules_folder(tmp_path / "mine", tmp_path).path == tmp_path / "mine"


def test_a_rules_folder_that_is_here_is_taken(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "shop.toml").write_text("format = 1")
    assert rules_folder(None, tmp_path).path == tmp_path / "rules"
    assert not (tmp_path / COPY).exists()


def test_elsewhere_a_copy_is_made_once_and_kept(tmp_path: Path) -> None:
    made = rules_folder(None, tmp_path)
    assert made.path == tmp_path / COPY
    assert load(made.path).book is not None
    (made.path / "shop.toml").write_text("# mine\n")
    assert rules_folder(None, tmp_path).path == made.path
    assert (made.path / "shop.toml").read_text() == "# mine\n"


def test_there_is_a_link_for_each_kind_of_visitor() -> None:
    book = load(CHECKOUT).book
    assert book is not None
    rows = links("http://127.0.0.1:8080", book.personas)
    said = " ".join(row.says for row in rows)
    for kind in ("stranger", "newcomer", "returning customer", "loyal outdoor customer", "the shop itself"):
        assert kind in said
    for row in rows:
        query = row.url.partition("?")[2]
        assert cut(query.encode()).query == b"", "every parameter of a link is a flag of ours"


def test_rules_of_ones_own_have_links_too() -> None:
    text = welcome("http://127.0.0.1:8080", rules_folder(Path("mine"), Path()), None)
    assert "http://127.0.0.1:8080/?edge_persona=stranger" in text
    assert "mine/" in text
