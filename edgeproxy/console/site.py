"""The console's pages: what the rules do today, for people, on the admin listener.

Here: addresses, who may ask, what each page is made of.  Not here: where it comes from (``overview``), judgements
(``states``, ``figures``, ``core.coverage``, ``core.calendar``), HTML (``templates/console``).  Read-only: rules are
edited as files; the only POSTs are those that log somebody in and out.

Works without script; the one there is (``static/live.js``) keeps the list of decisions fresh.  Nothing comes from
elsewhere: the policy that every page is sent with allows this listener's own files and no others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from edgeproxy import __version__
from edgeproxy.console import drawing, figures, states
from edgeproxy.console.access import LASTS, Access, from_elsewhere, is_secure, set_cookie
from edgeproxy.console.overview import Overview, Rules, Workers
from edgeproxy.console.telling import Telling, milliseconds, number, size
from edgeproxy.core import schedule
from edgeproxy.counters import Export
from edgeproxy.history import APPLIED, DAY, HOUR, PAGES, Past, Window
from edgeproxy.settings import Settings

__all__ = ["POLICY", "routes"]

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
STATIC: Final = Path(__file__).with_name("static")
_KINDS: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FORM: Final = 4096  # bytes of the login form
_NEWEST: Final = 8  # decisions on the first page
_MONTHS: Final = 3  # of the calendar
_FAR: Final = 24  # months that the calendar goes back and forth

NAV: Final = (
    ("/", "Today"),
    ("/slots", "Slots"),
    ("/coverage", "Coverage"),
    ("/calendar", "Calendar"),
    ("/live", "Live"),
    ("/speed", "Speed"),
)


@dataclass(frozen=True, slots=True)
class Glance:
    """Everything that pages are made of, at one moment."""

    now: float
    book: Mapping[str, Any]  # ``bookview.view``; {}: no rules are live
    past: Past
    numbers: Export
    rules: Rules
    workers: Workers

    @property
    def telling(self) -> Telling:
        return Telling(self.now, schedule.zone(self.book.get("timezone", "UTC")))

    @property
    def troubles(self) -> tuple[states.Trouble, ...]:
        serving, wanted = self.workers.serving, self.workers.wanted
        missing = f"{serving} of {wanted} workers serve; others are being started" if serving < wanted else ""
        return states.troubles(
            good=self.rules.good,
            live=self.rules.live,
            problems=self.rules.problems,
            numbers=self.numbers,
            past=self.past,
            slots=self.book.get("slots", ()),
            now=self.now,
            workers=missing,
        )


Page = Callable[[Glance, Request], dict[str, Any]]


def routes(settings: Settings, overview: Overview, access: Access, clock: Callable[[], float]) -> list[Route]:
    """The console's addresses, for the admin listener's app."""
    names = settings.hosts[0] if settings.hosts else str(settings.listen)

    async def glance() -> Glance:
        now = clock()
        return Glance(
            now,
            await overview.survey(now),
            await overview.past(),
            await overview.numbers(),
            overview.rules(),
            overview.workers(),
        )

    def page(template: str, title: str, make: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if not access.holds(request):
                return _to_login(request)
            seen = await glance()
            shown = {
                "title": title,
                "path": request.url.path,
                "nav": NAV,
                "shop": names,
                "logout": access.asked,
                "seen": seen,
                "told": seen.telling,
                **make(seen, request),
            }
            return _html(f"console/{template}.html", shown)

        return answer

    async def rows(request: Request) -> Response:
        """The decisions after a moment, as a piece of the live page."""
        if not access.holds(request):
            return Response("log in again\n", 401)
        seen = await glance()
        return _html("console/rows.html", {"told": seen.telling, **_live(seen, request)})

    async def login(request: Request) -> Response:
        back = _path(request.query_params.get("back", "/"))
        if access.holds(request):
            return RedirectResponse(back, 303)
        if request.method != "POST":
            return _login(back)
        if from_elsewhere(request):
            return _login(back, "A page of another origin may not log in here.", 403)
        if access.too_many():
            return _login(back, "Too many wrong tokens: wait a minute, then try again.", 429)
        given = await _form(request)
        value = access.log_in(given.get("token", "").strip())
        if value is None:
            return _login(back, "That is not the token.", 401)
        answer = RedirectResponse(back, 303)
        answer.headers["set-cookie"] = set_cookie(value, secure=is_secure(request), seconds=LASTS)
        return answer

    async def logout(request: Request) -> Response:
        if from_elsewhere(request):
            return _login("/", "A page of another origin may not log out here.", 403)
        answer = RedirectResponse("/login", 303)
        answer.headers["set-cookie"] = set_cookie("", secure=is_secure(request), seconds=0)
        return answer

    async def static(request: Request) -> Response:
        found = _static().get(request.path_params["name"])
        if found is None:
            return Response("not here\n", 404)
        data, kind = found
        kept = "public, max-age=31536000, immutable" if request.url.query else "no-cache"
        return Response(
            data, headers={"content-type": kind, "cache-control": kept, "x-content-type-options": "nosniff"}
        )

    pages: tuple[tuple[str, str, str, Page], ...] = (
        ("/", "today", "Today", _today),
        ("/slots", "slots", "Slots", _slots),
        ("/coverage", "coverage", "Coverage", _coverage),
        ("/calendar", "calendar", "Calendar", _calendar),
        ("/live", "live", "Live", _live),
        ("/speed", "speed", "Speed", _speed),
    )
    return [
        *(Route(path, page(template, title, make), methods=["GET"]) for path, template, title, make in pages),
        Route("/live/rows", rows, methods=["GET"]),
        Route("/login", login, methods=["GET", "POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/static/{name}", static, methods=["GET"]),
    ]


# --------------------------------------------------------------------------- pages


def _window(request: Request) -> Window:
    return DAY if request.query_params.get("over") == "day" else HOUR


def _today(seen: Glance, request: Request) -> dict[str, Any]:
    window = _window(request)
    hour = seen.past.total(APPLIED, seen.now, HOUR)
    lanes = seen.past.total(PAGES, seen.now, HOUR)
    by_lane = [seen.past.series(PAGES, lane, seen.now, window) for lane in seen.past.total(PAGES, seen.now, window)]
    pages = [sum(step) for step in zip(*by_lane, strict=True)]
    rows = [
        {
            **one,
            "hour": hour.get(one["name"], 0),
            "spark": drawing.bars(seen.past.series(APPLIED, one["name"], seen.now, window), 120, 28),
            "total": sum(seen.past.series(APPLIED, one["name"], seen.now, window)),
            "last": seen.past.seen.get(one["name"]),
        }
        for one in seen.book.get("experiences", ())
    ]
    order = ("live", "waits", "over", "off")
    rows.sort(key=lambda row: order.index(row["status"]))
    total = sum(lanes.values())
    return {
        "window": window.words,
        "rows": rows,
        "counts": {status: sum(row["status"] == status for row in rows) for status in order},
        "pages": {
            "hour": total,
            "changed": sum(number for lane, number in lanes.items() if lane != "pass"),
            "spark": drawing.bars(pages, 120, 28),
        },
        "times": _times(seen.numbers),
        "began": _began(seen.numbers),
        "newest": seen.past.tail[:_NEWEST],
    }


def _times(numbers: Export) -> dict[str, tuple[float, float] | None]:
    names = {"total": "edgeproxy_request_seconds", "shop": "edgeproxy_origin_seconds", "edge": "edgeproxy_edge_seconds"}
    return {name: figures.pages(numbers, metric) for name, metric in names.items()}


def _began(numbers: Export) -> float | None:
    return figures.value(numbers, "edgeproxy_start_seconds") or None


def _slots(seen: Glance, request: Request) -> dict[str, Any]:
    window = _window(request)
    rows = []
    for slot in seen.book.get("slots", ()):
        state = states.slot_state(seen.past, slot["name"], seen.now, window, enabled=slot["enabled"])
        found, lost = drawing.rates(state.steps, 240, 32)
        rows.append({**slot, "state": state, "drawn_found": found, "drawn_lost": lost})
    order = ("lost", "never", "patchy", "good", "unseen", "off")
    rows.sort(key=lambda row: order.index(row["state"].kind))
    return {"window": window.words, "rows": rows}


def _coverage(seen: Glance, request: Request) -> dict[str, Any]:
    return {"coverage": seen.book.get("coverage")}


def _calendar(seen: Glance, request: Request) -> dict[str, Any]:
    zone = seen.telling.zone
    try:
        shift = max(-_FAR, min(_FAR, int(request.query_params.get("months", "0"))))
    except ValueError:
        shift = 0
    start = drawing.month_after(seen.now, zone, shift)
    stop = drawing.month_after(start, zone, _MONTHS)
    experiences = list(seen.book.get("experiences", ()))
    spans = [
        {**one, "span": drawing.span(one["begins"], one["ends"], start, stop)}
        for one in experiences
        if one["status"] != "off"
    ]
    spans.sort(key=lambda one: (one["begins"] is None and one["ends"] is None, one["begins"] or 0))
    clashes = [
        {**one, "span": drawing.span(one["begins"], one["ends"], start, stop)}
        for one in seen.book.get("collisions", ())
    ]
    gaps = [{**one, "span": drawing.span(one["begins"], one["ends"], start, stop)} for one in seen.book.get("gaps", ())]
    busy = dict.fromkeys([one["slot"] for one in clashes if one["scheduled"]] + [one["slot"] for one in gaps])
    lines = [
        {
            "name": slot,
            "takers": [one for one in spans if slot in one["takes"] and one["span"]],
            "clashes": [one for one in clashes if one["slot"] == slot and one["scheduled"] and one["span"]],
            "gaps": [one for one in gaps if one["slot"] == slot and one["span"]],
        }
        for slot in busy
    ]
    today = drawing.span(seen.now, seen.now + 1, start, stop)
    return {
        "months": drawing.months(start, _MONTHS, zone),
        "spans": spans,
        "lines": lines,
        "clashes": clashes,
        "gaps": gaps,
        "today": today.x if today else None,
        "shift": shift,
        "far": _FAR,
        "width": drawing.WIDTH,
    }


def _live(seen: Glance, request: Request) -> dict[str, Any]:
    try:
        after = float(request.query_params.get("after", "0"))
    except ValueError:
        after = 0.0
    return {"tail": [one for one in seen.past.tail if one["ended"] > after]}


def _speed(seen: Glance, request: Request) -> dict[str, Any]:
    return {
        "lanes": figures.lanes(seen.numbers),
        "times": _times(seen.numbers),
        "figures": figures.figures(seen.numbers),
        "visitors": list(figures.rows(seen.numbers, "edgeproxy_visitors_total")),
        "refusals": list(figures.rows(seen.numbers, "edgeproxy_refusals_total")),
        "memory": list(figures.rows(seen.numbers, "edgeproxy_worker_resident_bytes")),
        "connections": figures.value(seen.numbers, "edgeproxy_connections"),
        "began": _began(seen.numbers),
    }


# --------------------------------------------------------------------------- answers


def _html(template: str, shown: Mapping[str, Any], status: int = 200) -> Response:
    # Here and not above: a supervisor that nobody looks at needs no templates.
    from edgeproxy.console.pages import PAGES as TEMPLATES

    text = TEMPLATES.get_template(template).render(
        static=_address, number=number, ms=milliseconds, size=size, version=__version__, **shown
    )
    headers = {
        "content-security-policy": POLICY,
        "cache-control": "no-store",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "x-robots-tag": "noindex",
        "cross-origin-opener-policy": "same-origin",
    }
    return Response(text.encode("utf-8", "replace"), status, headers, media_type="text/html")


def _to_login(request: Request) -> Response:
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse("/login" + ("" if back == "/" else "?" + urlencode({"back": back})), 303)


def _login(back: str, problem: str = "", status: int = 200) -> Response:
    return _html("console/login.html", {"title": "Log in", "back": back, "problem": problem}, status)


def _path(text: str) -> str:
    """A path of this listener; anything else is the first page (an open redirect otherwise)."""
    good = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() and text.isascii()
    return text if good else "/"


async def _form(request: Request) -> dict[str, str]:
    """A small urlencoded form; what is longer is no form of ours."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM:
            return {}
    return {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


@cache
def _static() -> dict[str, tuple[bytes, str]]:
    found = {name: (STATIC / name).read_bytes() for name in ("icon.svg", "live.js")}
    found["console.css"] = b"".join((STATIC / name).read_bytes() for name in ("tokens.css", "console.css"))
    return {name: (data, _KINDS[name[name.rindex(".") :]]) for name, data in found.items()}


@cache
def _address(name: str) -> str:
    """A file's address with its digest, so that it may be kept for ever."""
    return f"/static/{name}?{blake2b(_static()[name][0], digest_size=6).hexdigest()}"
