"""PURGE on the admin listener: who may, and what is read of it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import cast

import httpx
import pytest
from starlette.applications import Starlette

from edgeproxy.console.admin import build_console
from edgeproxy.console.single import OneProcess
from edgeproxy.core.model import Paths
from edgeproxy.journal import Journal
from edgeproxy.pages import PageCache
from edgeproxy.settings import Settings
from tests.console.test_admin import SETTINGS, Books


@dataclass
class Cache:
    """Counts what it is told to forget."""

    told: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)

    def purge(self, paths: Paths | None, tags: Iterable[str] = ()) -> int:
        self.told.append((() if paths is None else paths.texts, tuple(tags)))
        return 2


def listener(cache: Cache, settings: Settings = SETTINGS) -> Starlette:
    overview = OneProcess(settings, Journal(settings, stream=io.StringIO()), Books(), cache=cast(PageCache, cache))
    return build_console(settings, overview)


def purge(app: Starlette, target: str, *headers: tuple[str, str]) -> httpx.Response:
    async def test() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8081") as client:
            return await client.request("PURGE", target, headers=list(headers))

    return asyncio.run(test())


def test_a_path_pattern() -> None:
    cache = Cache()
    reply = purge(listener(cache), "/c/**")
    assert (reply.status_code, reply.text) == (200, "forgot 2 answers at /c/**\n")
    assert cache.told == [(("/c/**",), ())]


def test_the_home_page_and_an_address_of_ours_are_paths_like_others() -> None:
    cache = Cache()
    for path in ("/", "/metrics", "/reload"):
        assert purge(listener(cache), path).status_code == 200
    assert [paths for paths, _ in cache.told] == [("/",), ("/metrics",), ("/reload",)]


@pytest.mark.parametrize(
    ("headers", "tags"),
    [
        ([("Surrogate-Key", "a b")], ("a", "b")),
        ([("Cache-Tag", "a,b, c")], ("a", "b", "c")),
        ([("Surrogate-Key", "a"), ("Cache-Tag", "b")], ("a", "b")),
    ],
)
def test_tags(headers: list[tuple[str, str]], tags: tuple[str, ...]) -> None:
    cache = Cache()
    assert purge(listener(cache), "/", *headers).status_code == 200
    assert cache.told == [((), tags)]


@pytest.mark.parametrize(
    ("target", "headers"), [("/***", []), ("/a//b", []), ("/", [("Surrogate-Key", " ")]), ("/", [("Cache-Tag", ",")])]
)
def test_what_means_nothing_is_told(target: str, headers: list[tuple[str, str]]) -> None:
    cache = Cache()
    assert purge(listener(cache), target, *headers).status_code == 400
    assert cache.told == []


def test_a_token_is_asked_for_where_there_is_one() -> None:
    cache = Cache()
    app = listener(cache, replace(SETTINGS, admin_token="t" * 16))
    assert purge(app, "/**").status_code == 401
    assert purge(app, "/**", ("Authorization", "Bearer " + "t" * 16)).status_code == 200
    assert len(cache.told) == 1


@pytest.mark.parametrize("header", [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")])
def test_a_page_of_another_origin_may_not(header: tuple[str, str]) -> None:
    cache = Cache()
    assert purge(listener(cache), "/**", header).status_code == 403
    assert cache.told == []
