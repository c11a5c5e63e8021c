"""The admin listener: health, readiness, numbers; nobody is fooled into asking it."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from edgeproxy.console.admin import build_admin
from edgeproxy.core.model import Problem, RuleBook, Severity, Shop, Where
from edgeproxy.core.visitor import Keys
from edgeproxy.journal import Journal
from edgeproxy.settings import Settings
from edgeproxy.values import Address

KEYS = Keys.parse("tests-sign-with-this-9f31c2")
HERE = Where("rules/shop.toml")
SETTINGS = Settings("http://shop.invalid", Path(), KEYS, admin_hosts=("edge.internal",))
BOOK = RuleBook(
    version="0123456789ab",
    shop=Shop("UTC", (), (), None, None, True, "en", HERE),
    slots={},
    audiences={},
    experiences=(),
    personas={},
    tests=(),
    warnings=(),
)


@dataclass
class Books:
    book: RuleBook | None = BOOK
    problems: tuple[Problem, ...] = ()


def admin(settings: Settings = SETTINGS, books: Books | None = None) -> Starlette:
    return build_admin(settings, Journal(settings, stream=io.StringIO()), books or Books())


def ask(
    app: Starlette, path: str, *, host: str | None = "127.0.0.1:8081", method: str = "GET", token: str | bytes = b""
) -> httpx.Response:
    async def test() -> httpx.Response:
        headers = [(b"host", host.encode())] if host is not None else []
        if token:
            headers.append((b"authorization", token if isinstance(token, bytes) else token.encode()))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(test())  # fmt: skip


def test_it_is_alive_even_without_rules() -> None:
    assert ask(admin(books=Books(None)), "/healthz").status_code == 200


def test_it_is_ready_when_rules_are_live() -> None:
    reply = ask(admin(), "/readyz")
    assert (reply.status_code, reply.text) == (200, "ready, rules 0123456789ab\n")


def test_it_is_ready_with_the_last_good_rules_and_says_so() -> None:
    problems = (
        Problem(HERE, "something is wrong"),
        Problem(HERE, "something could be better", severity=Severity.WARNING),
    )
    reply = ask(admin(books=Books(problems=problems)), "/readyz")
    assert reply.status_code == 200
    assert "1 mistakes" in reply.text
    assert "mistakes" not in ask(admin(books=Books(problems=problems[1:])), "/readyz").text


def test_it_is_not_ready_without_rules_or_when_a_stop_has_begun() -> None:
    assert ask(admin(books=Books(None)), "/readyz").status_code == 503
    app = admin()
    app.state.draining = True
    assert ask(app, "/readyz").status_code == 503
    assert ask(app, "/healthz").status_code == 200


def test_metrics_are_prometheus_text() -> None:
    reply = ask(admin(), "/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain; version=")
    assert "edgeproxy_info{" in reply.text


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8081", "[::1]", "10.1.2.3:9", "localhost:1", "a.localhost", "edge.internal"]
)
def test_addresses_and_names_that_the_operator_gave_may_ask(host: str) -> None:
    assert ask(admin(), "/healthz", host=host).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "localhost.evil.example", "", "a b"]
)
def test_a_name_that_a_site_has_pointed_here_may_not(host: str) -> None:
    for path in ("/healthz", "/metrics", "/other"):
        assert ask(admin(), path, host=host).status_code == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PURGE"])
def test_nothing_changes_state(method: str) -> None:
    assert ask(admin(), "/metrics", method=method).status_code == 405


def test_off_loopback_everything_but_health_asks_for_the_token() -> None:
    app = admin(replace(SETTINGS, admin=Address("0.0.0.0", 8081), admin_token="t" * 16))
    assert ask(app, "/healthz").status_code == 200
    assert ask(app, "/readyz").status_code == 200
    refused = ask(app, "/metrics")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="edgeproxy"')
    for token in ("Bearer " + "t" * 15, "Bearer", "Basic " + "t" * 16, "t" * 16, b"Bearer tttttttttttttttt\xe9"):
        assert ask(app, "/metrics", token=token).status_code == 401
    assert ask(app, "/metrics", token="bearer " + "t" * 16).status_code == 200


def test_what_is_not_there_says_what_is() -> None:
    reply = ask(admin(), "/")
    assert reply.status_code == 404
    assert "/metrics" in reply.text
