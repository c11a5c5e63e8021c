"""The admin listener: is it alive, is it ready, what are the numbers, read everything again.

Here: ``/healthz``, ``/readyz``, ``/metrics``, ``/reload`` as a Starlette app, and who may ask.  Not here: anything a
visitor can reach (the shop's listener knows none of these paths), nor where the answers come from (``Overview``: a
supervisor's, or ``OneProcess``).

Who may ask: a browser that somebody has open can be made to ask a listener on loopback in the name of a site (DNS
rebinding), so the Host must be an address, ``localhost``, or a name that the operator gave.  It can also be made to
send a form there: nothing changes state by GET, and what changes state refuses a request that a page of another origin
sent (Origin, Sec-Fetch-Site).  Where the listener can be reached from outside, everything but health asks for the
token; where there is a token, so does loopback.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from edgeproxy.core.model import Problem, RuleBook, Severity
from edgeproxy.hosts import host_name
from edgeproxy.journal import CONTENT_TYPE, Journal
from edgeproxy.settings import Settings
from edgeproxy.values import is_ip, is_loopback

__all__ = ["Books", "OneProcess", "Overview", "Standing", "build_admin", "build_console"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How something stands, or what came of it, in lines for an operator."""

    ok: bool
    lines: list[str]


class Overview(Protocol):
    """Who knows how everything stands."""

    async def health(self) -> Standing:
        """Whether anybody serves at all."""

    async def readiness(self) -> Standing:
        """Whether traffic should come: rules are live, and no stop has begun."""

    async def metrics(self) -> tuple[bytes, str]:
        """Prometheus' text and its content type."""

    async def reload(self) -> Standing:
        """Read again whatever can be read again."""


class Books(Protocol):
    """Where the live rule book is."""

    @property
    def book(self) -> RuleBook | None:
        """The last good book; None when there never was one."""


class OneProcess:
    """The overview of a process that serves by itself."""

    def __init__(self, journal: Journal, books: Books) -> None:
        self.draining = False
        self._journal = journal
        self._books = books

    async def health(self) -> Standing:
        return Standing(True, ["ok"])

    async def readiness(self) -> Standing:
        if self.draining:
            return Standing(False, ["a stop has begun"])
        book = self._books.book
        if book is None:
            return Standing(False, ["no rules are live: the folder has mistakes"])
        lines = [f"ready, rules {book.version}"]
        mistakes = sum(problem.severity is Severity.MISTAKE for problem in self._problems)
        if mistakes:
            lines.append(f"the rules on disk have {mistakes} mistakes; these are the last good ones")
        return Standing(True, lines)

    async def metrics(self) -> tuple[bytes, str]:
        return self._journal.metrics(), CONTENT_TYPE

    async def reload(self) -> Standing:
        again: Callable[[], object] | None = getattr(self._books, "reload", None)
        if again is None:
            return Standing(False, ["these rules are no folder: there is nothing to read again"])
        again()
        book, ok = self._books.book, not getattr(self._books, "stale", False)
        self._journal.rules(book, ok=ok)
        last = "the rules on disk have mistakes" if not ok or book is None else f"rules {book.version} are live"
        return Standing(ok, [*map(str, self._problems), last])

    @property
    def _problems(self) -> tuple[Problem, ...]:
        return getattr(self._books, "problems", ())


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
    """The app of the admin listener of one process; ``app.state.draining``, which the server sets, is a stop's mark."""
    return build_console(settings, OneProcess(journal, books))


def build_console(settings: Settings, overview: Overview) -> Starlette:
    """The app of the admin listener.

    ``/healthz`` is 200 as long as somebody serves.  ``/readyz`` is 200 while traffic should come; else 503, with the
    reason.  ``/metrics`` is Prometheus' text.  ``POST /reload`` reads rules, keys and certificate again: 200 when
    all of them are live now, 422 with every problem when something stays as it was.
    """
    app: Starlette

    def refused(request: Request) -> Response | None:
        """Why this request may not know or do what it asks for."""
        if settings.admin_token is not None:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            wanted = settings.admin_token.encode()
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("utf-8", "replace"), wanted):
                return PlainTextResponse("a token is needed\n", 401, {"www-authenticate": 'Bearer realm="edgeproxy"'})
        return None

    async def healthz(request: Request) -> Response:
        return _told(await overview.health(), 503)

    async def readyz(request: Request) -> Response:
        if request.app.state.draining:
            return _told(Standing(False, ["a stop has begun"]), 503)
        return _told(await overview.readiness(), 503)

    async def metrics(request: Request) -> Response:
        if (no := refused(request)) is not None:
            return no
        text, kind = await overview.metrics()
        return Response(text, media_type=None, headers={"content-type": kind})

    async def reload(request: Request) -> Response:
        if (no := refused(request)) is not None:
            return no
        if _from_elsewhere(request):
            return PlainTextResponse("a page of another origin may not ask for this\n", 403)
        return _told(await overview.reload(), 422)

    async def elsewhere(request: Request, problem: Exception) -> Response:
        return PlainTextResponse("/healthz, /readyz, /metrics and POST /reload are here\n", 404)

    routes: list[tuple[str, Callable[[Request], Awaitable[Response]], str]] = [
        ("/healthz", healthz, "GET"),
        ("/readyz", readyz, "GET"),
        ("/metrics", metrics, "GET"),
        ("/reload", reload, "POST"),
    ]
    handlers: dict[Any, Any] = {404: elsewhere}
    app = Starlette(
        routes=[Route(path, endpoint, methods=[method]) for path, endpoint, method in routes],
        middleware=[Middleware(_OnlyKnownHosts, names=frozenset((*settings.admin_hosts, settings.admin.host)))],
        exception_handlers=handlers,
    )
    app.state.draining = False
    return app


def _told(standing: Standing, otherwise: int) -> Response:
    text = "".join(f"{line}\n" for line in standing.lines)
    return PlainTextResponse(text, 200 if standing.ok else otherwise, {"cache-control": "no-store"})


def _from_elsewhere(request: Request) -> bool:
    """A browser sent it for a page that this listener did not serve: it says so itself (Fetch, 3.2 and 9.1)."""
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return True
    origins = request.headers.getlist("origin")
    return any(origin != f"{request.url.scheme}://{request.headers['host']}" for origin in origins)
