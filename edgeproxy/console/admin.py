"""The admin listener: is it alive, is it ready, what are the numbers.

Here: ``/healthz``, ``/readyz``, ``/metrics`` as a Starlette app, and who may ask.  Not here: anything a visitor can
reach (the shop's listener knows none of these paths), nor anything that changes state.

Who may ask: a browser that somebody has open can be made to ask a listener on loopback in the name of a site (DNS
rebinding), so the Host must be an address, ``localhost``, or a name that the operator gave.  Where the listener can
be reached from outside, everything but health asks for the token.
"""

from __future__ import annotations

import hmac
from typing import Protocol

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from edgeproxy.core.model import Problem, RuleBook, Severity
from edgeproxy.journal import CONTENT_TYPE, Journal
from edgeproxy.sanitise import host_name
from edgeproxy.settings import Settings
from edgeproxy.values import is_ip, is_loopback

__all__ = ["Books", "build_admin"]


class Books(Protocol):
    """Where the live rule book is."""

    @property
    def book(self) -> RuleBook | None:
        """The last good book; None when there never was one."""


class _OnlyKnownHosts:
    """Answers 421 to a Host under which nobody was meant to ask."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            name = host_name(hosts[0]) if len(hosts) == 1 else None
            if name is None or not (is_ip(name) or is_loopback(name) or name in self._names):
                await PlainTextResponse("this listener has another name\n", 421)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def build_admin(settings: Settings, journal: Journal, books: Books) -> Starlette:
    """The app of the admin listener.

    ``/healthz`` is 200 as long as the process answers.  ``/readyz`` is 200 while it should get traffic: a rule book is
    live and no stop has begun (``app.state.draining``, which the server sets); else 503, with the reason.  ``/metrics``
    is Prometheus' text.
    """

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        if request.app.state.draining:
            return PlainTextResponse("a stop has begun\n", 503)
        if books.book is None:
            return PlainTextResponse("no rules are live: the folder has mistakes\n", 503)
        lines = [f"ready, rules {books.book.version}"]
        problems: tuple[Problem, ...] = getattr(books, "problems", ())
        mistakes = sum(problem.severity is Severity.MISTAKE for problem in problems)
        if mistakes:
            lines.append(f"the rules on disk have {mistakes} mistakes; these are the last good ones")
        return PlainTextResponse("\n".join(lines) + "\n")

    async def metrics(request: Request) -> Response:
        if settings.admin_token is not None:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            wanted = settings.admin_token.encode()
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("utf-8", "replace"), wanted):
                return PlainTextResponse("a token is needed\n", 401, {"www-authenticate": 'Bearer realm="edgeproxy"'})
        return Response(journal.metrics(), media_type=None, headers={"content-type": CONTENT_TYPE})

    async def elsewhere(request: Request, problem: Exception) -> Response:
        return PlainTextResponse("/healthz, /readyz and /metrics are here\n", 404)

    app = Starlette(
        routes=[
            Route("/healthz", healthz, methods=["GET"]),
            Route("/readyz", readyz, methods=["GET"]),
            Route("/metrics", metrics, methods=["GET"]),
        ],
        middleware=[Middleware(_OnlyKnownHosts, names=frozenset((*settings.admin_hosts, settings.admin.host)))],
        exception_handlers={404: elsewhere},
    )
    app.state.draining = False
    return app
