"""``PURGE`` on the admin listener: what is kept is forgotten.

Here: reading such a request.  Not here: who may ask (``access``), who is told (``Overview``).

``PURGE /c/**`` is about a path pattern as in rule files, whatever the query.  ``PURGE /`` with ``Surrogate-Key``
(spaces between) or ``Cache-Tag`` (commas) is about what the shop sent under these tags.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from edgeproxy.console.access import from_elsewhere
from edgeproxy.console.overview import Overview
from edgeproxy.core.paths import PatternError, compile_paths

__all__ = ["Purging"]


class Purging(Route):
    """Every path, for this one method; other methods are none of its business."""

    def __init__(self, overview: Overview, refused: Callable[[Request], Response | None]) -> None:
        async def purge(request: Request) -> Response:
            no = refused(request)
            if no is not None:
                return no
            if from_elsewhere(request):
                return PlainTextResponse("a page of another origin may not ask for this\n", 403)
            return await _purged(request, overview)

        super().__init__("/{path:path}", purge, methods=["PURGE"])

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches(scope) if scope.get("method") == "PURGE" else (Match.NONE, {})


async def _purged(request: Request, overview: Overview) -> Response:
    told = [value for name in ("surrogate-key", "cache-tag") for value in request.headers.getlist(name)]
    if told:
        tags = " ".join(told).replace(",", " ").split()
        if not tags:
            return PlainTextResponse("no tag is named\n", 400)
        return _forgot(await overview.purge([], tags), f"tagged {', '.join(tags)}")
    pattern = request.scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1")
    try:
        compile_paths([pattern])
    except PatternError as problem:
        return PlainTextResponse(f"{problem}\n", 400)
    return _forgot(await overview.purge([pattern], []), f"at {pattern}")


def _forgot(count: int, what: str) -> Response:
    said = f"forgot {count} {'answer' if count == 1 else 'answers'} {what}\n"
    return PlainTextResponse(said, headers={"cache-control": "no-store"})
