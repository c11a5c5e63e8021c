"""The admin listener: is it alive, is it ready, what are the numbers, read everything again.

Here: ``/healthz``, ``/readyz``, ``/metrics``, ``/reload`` as a Starlette app with ``PURGE`` (``purging``) and the
console's pages (``site``) beside them, and who may ask.  Not here: anything a visitor can reach (the shop's listener
knows none of these paths), nor where the answers come from (``overview``: a supervisor's, or a ``single`` process's).

Who may ask: a browser that somebody has open can be made to ask a listener on loopback in the name of a site (DNS
rebinding), so the Host must be an address, ``localhost``, or a name that the operator gave.  It can also be made to
send a form there: nothing changes state by GET, and what changes state refuses a request that a page of another origin
sent (Origin, Sec-Fetch-Site).  Where the listener can be reached from outside, everything but health asks for the
token; where there is a token, so does loopback.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from edgeproxy.console import site
from edgeproxy.console.access import Access, from_elsewhere
from edgeproxy.console.overview import Overview, Standing
from edgeproxy.console.purging import Purging
from edgeproxy.hosts import host_name
from edgeproxy.settings import Settings
from edgeproxy.values import is_ip, is_loopback

__all__ = ["build_console"]


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


def build_console(settings: Settings, overview: Overview, *, clock: Callable[[], float] = time.time) -> Starlette:
    """The app of the admin listener.

    ``/healthz`` is 200 as long as somebody serves.  ``/readyz`` is 200 while traffic should come; else 503, with the
    reason.  ``/metrics`` is Prometheus' text.  ``POST /reload`` reads rules, keys and certificate again: 200 when
    all of them are live now, 422 with every problem when something stays as it was.  ``PURGE`` forgets what is kept
    (``purging``).  Everything else is the console's (``site``), for people.
    """
    app: Starlette
    access = Access(settings.admin_token, clock)

    def refused(request: Request) -> Response | None:
        """Why this request may not know or do what it asks for."""
        if access.bearer(request):
            return None
        return PlainTextResponse("a token is needed\n", 401, {"www-authenticate": 'Bearer realm="edgeproxy"'})

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
        if from_elsewhere(request):
            return PlainTextResponse("a page of another origin may not ask for this\n", 403)
        return _told(await overview.reload(), 422)

    async def elsewhere(request: Request, problem: Exception) -> Response:
        return PlainTextResponse(
            "the console is at /; /healthz, /readyz, /metrics, POST /reload, PURGE are here\n", 404
        )

    routes: list[tuple[str, Callable[[Request], Awaitable[Response]], str]] = [
        ("/healthz", healthz, "GET"),
        ("/readyz", readyz, "GET"),
        ("/metrics", metrics, "GET"),
        ("/reload", reload, "POST"),
    ]
    handlers: dict[Any, Any] = {404: elsewhere}
    app = Starlette(
        routes=[
            *(Route(path, endpoint, methods=[method]) for path, endpoint, method in routes),
            Purging(overview, refused),
            *site.routes(settings, overview, access, clock),
        ],
        middleware=[Middleware(_OnlyKnownHosts, names=frozenset((*settings.admin_hosts, settings.admin.host)))],
        exception_handlers=handlers,
    )
    app.state.draining = False
    app.state.public = ""  # where visitors come, once the server knows its port
    return app


def _told(standing: Standing, otherwise: int) -> Response:
    text = "".join(f"{line}\n" for line in standing.lines)
    return PlainTextResponse(text, 200 if standing.ok else otherwise, {"cache-control": "no-store"})
