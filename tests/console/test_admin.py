"""The admin listener: health, readiness, numbers; nobody is fooled into asking it."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from edgeproxy.console.single import build_admin
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
    assert "1 mistake;" in reply.text
    assert "mistake" not in ask(admin(books=Books(problems=problems[1:])), "/readyz").text


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


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
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
    reply = ask(admin(), "/nothing")
    assert reply.status_code == 404
    assert "/metrics" in reply.text


# ------------------------------------------------------------------ reading again


@dataclass
class Reloadable(Books):
    """A folder: each reading finds what ``problems`` says by then."""

    times: int = 0

    @property
    def stale(self) -> bool:
        return any(problem.severity is Severity.MISTAKE for problem in self.problems)

    def reload(self) -> bool:
        self.times += 1
        return True


def test_everything_is_read_again_by_post_alone() -> None:
    books = Reloadable()
    assert ask(admin(books=books), "/reload").status_code == 405
    assert books.times == 0
    reply = ask(admin(books=books), "/reload", method="POST")
    assert (reply.status_code, reply.text) == (200, "rules 0123456789ab are live\n")
    assert books.times == 1


def test_what_is_wrong_with_the_rules_is_the_answer() -> None:
    reply = ask(admin(books=Reloadable(problems=(Problem(HERE, "something is wrong"),))), "/reload", method="POST")
    assert reply.status_code == 422
    assert reply.text.splitlines() == ["rules/shop.toml: something is wrong", "the rules on disk have mistakes"]
    assert ask(admin(), "/reload", method="POST").status_code == 422


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("origin", "http://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "http://127.0.0.1:9999", 403),
        ("origin", "http://127.0.0.1:8081", 200),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "none", 200),
        ("accept", "*/*", 200),
    ],
)
def test_a_page_of_another_origin_changes_nothing(name: str, value: str, status: int) -> None:
    books = Reloadable()
    app = admin(books=books)

    async def test() -> int:
        headers = {"host": "127.0.0.1:8081", name: value}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return (await client.post("/reload", headers=headers)).status_code

    assert asyncio.run(test()) == status
    assert books.times == (status == 200)


def test_where_there_is_a_token_nothing_is_read_again_without_it() -> None:
    books = Reloadable()
    app = admin(replace(SETTINGS, admin_token="t" * 16), books)
    assert ask(app, "/reload", method="POST").status_code == 401
    assert books.times == 0
    assert ask(app, "/reload", method="POST", token="Bearer " + "t" * 16).status_code == 200
