"""The console's pages: what the rules do today, for people, on the admin listener.

Here: addresses and who may ask.  Not here: what a page is made of (``glance``), where that comes from (``overview``),
headers and forms (``answers``), HTML (``templates/console``).  Read-only: rules are edited as files; the only POSTs are
those that log somebody in and out, and the one that signs a link.

Works without script; the one there is (``static/live.js``) keeps the list of decisions fresh.  Nothing comes from
elsewhere: the policy that every page is sent with allows this listener's own files and no others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from edgeproxy.console import answers, glance, showing
from edgeproxy.console.access import LASTS, Access, from_elsewhere, is_embedded, is_secure, set_cookie
from edgeproxy.console.glance import Glance
from edgeproxy.console.overview import Overview
from edgeproxy.core.sheetlink import read_link, sign_link
from edgeproxy.settings import Settings
from edgeproxy.sheet.model import SHEET_POLICY

__all__ = ["NAV", "routes"]

LOGIN_FORM: Final = 4096  # bytes
SHEET_FORM: Final = 32_768

Maker = Callable[[Glance, QueryParams], dict[str, Any]]

PAGES: Final[dict[str, tuple[str, str, Maker]]] = {
    "/": ("today", "Today", glance.today),
    "/slots": ("slots", "Slots", glance.slots),
    "/coverage": ("coverage", "Coverage", glance.coverage),
    "/calendar": ("calendar", "Calendar", glance.calendar),
    "/live": ("live", "Live", glance.live),
    "/speed": ("speed", "Speed", glance.speed),
    "/explain": ("explain", "Explain", glance.explain),
    "/sheet": ("sheet", "Sheet", glance.sheet),
}
"""Address → template, title, and what the page is made of."""

NAV: Final = tuple((path, title) for path, (_, title, _) in PAGES.items())


class Site:
    """Answers for the console's addresses."""

    def __init__(self, settings: Settings, overview: Overview, access: Access, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._overview = overview
        self._access = access
        self._clock = clock
        self._made: tuple[str, float, str] = ("", 0.0, "")  # the sheet that was made last: its link, when, its HTML

    # ------------------------------------------------------------------ pages

    async def page(self, request: Request) -> Response:
        """One of ``PAGES``, for who may look."""
        if not self._access.holds(request):
            return answers.to_login(request)
        return await self._page(request)

    async def _page(self, request: Request, status: int = 200, **more: Any) -> Response:
        template, title, make = PAGES[request.url.path]
        seen = await self._glance()
        public = urlsplit(request.app.state.public).netloc
        shown = {
            "title": title,
            "path": request.url.path,
            "nav": NAV,
            "shop": next(iter(self._settings.hosts), public or str(self._settings.listen)),
            "logout": self._access.asked,
            "seen": seen,
            "told": seen.telling,
            **make(seen, request.query_params),
            **more,
        }
        return answers.page(f"console/{template}.html", shown, status)

    async def _glance(self) -> Glance:
        now, overview = self._clock(), self._overview
        survey, past, numbers = await overview.survey(now), await overview.past(), await overview.numbers()
        return Glance(now, survey, past, numbers, overview.rules(), overview.workers())

    async def rows(self, request: Request) -> Response:
        """The decisions after a moment, as a piece of the live page."""
        if not self._access.holds(request):
            return Response("log in again\n", 401)
        now, overview = self._clock(), self._overview
        survey, past = await overview.survey(now), await overview.past()
        seen = Glance(now, survey, past, {}, overview.rules(), overview.workers())
        return answers.page("console/rows.html", {"told": seen.telling, **glance.live(seen, request.query_params)})

    # ------------------------------------------------------------------ what is shown of the shop

    async def explain(self, request: Request) -> Response:
        """Why somebody would see what they would: a form, or the explanation that it asks for."""
        page = request.query_params.get("page")
        if not page or not self._access.holds(request):
            return await self.page(request)
        if is_embedded(request):  # each asks the shop
            return await self._page(request, 403, trouble="a page of another site may not ask for this")
        flags = showing.flags_asked(request.query_params)
        told = await self._overview.look({"base": self._base(request), "page": page, "flags": flags})
        if "html" not in told:
            return await self._page(request, trouble=told["trouble"])
        return answers.document(told["html"], showing.EXPLAINED)

    async def sheet(self, request: Request) -> Response:
        """A contact sheet: the form, a link to share, or on to the sheet itself."""
        if request.method != "POST" or not self._access.holds(request):
            return await self.page(request)
        if from_elsewhere(request):
            return await self._page(request, 403, troubles=("a page of another origin may not ask for this",))
        form = await answers.form(request, SHEET_FORM)
        now, keys, lasts = self._clock(), self._overview.keys(), form.get("lasts", [""])[-1]
        book, wish = await self._overview.survey(now), showing.wish_of(form)
        link = showing.link_of(wish, lasts, book, keys, now)
        if isinstance(link, tuple):
            return await self._page(request, 422, wish=wish, lasts=lasts, troubles=link)
        path = f"/sheet/{sign_link(link, keys)}"
        if form.get("do") != ["link"]:
            return RedirectResponse(path, 303)
        address = f"{'https' if is_secure(request) else 'http'}://{request.headers['host']}{path}"
        return await self._page(request, wish=wish, lasts=lasts, link=address, until=link.expires)

    async def linked(self, request: Request) -> Response:
        """The sheet that a signed link shows, to whoever has it."""
        text, now = request.path_params["text"], self._clock()
        link = read_link(text, self._overview.keys(), now)
        if isinstance(link, str):
            return answers.refused(f"This link shows nothing: {link}.", 403)
        last, made, html = self._made
        if text != last or now - made > showing.SHOWN:
            told = await self._overview.look({"base": self._base(request), **showing.asked_by(link)})
            if "html" not in told:
                return answers.refused(f"There is no sheet: {told['trouble']}.", 503)
            html = told["html"]
            self._made = (text, now, html)
        return answers.document(html, SHEET_POLICY)

    def _base(self, request: Request) -> str:
        return showing.base_of(self._settings, request.app.state.public)

    # ------------------------------------------------------------------ in and out

    async def login(self, request: Request) -> Response:
        back = answers.local(request.query_params.get("back", "/"))
        if self._access.holds(request):
            return RedirectResponse(back, 303)
        if request.method != "POST":
            return answers.login(back)
        if from_elsewhere(request):
            return answers.login(back, "A page of another origin may not log in here.", 403)
        if self._access.too_many():
            return answers.login(back, "Too many wrong tokens: wait a minute, then try again.", 429)
        form = await answers.form(request, LOGIN_FORM)
        value = self._access.log_in(form.get("token", [""])[-1].strip())
        if value is None:
            return answers.login(back, "That is not the token.", 401)
        cookie = set_cookie(value, secure=is_secure(request), seconds=LASTS)
        return RedirectResponse(back, 303, {"set-cookie": cookie})

    async def logout(self, request: Request) -> Response:
        if from_elsewhere(request):
            return answers.login("/", "A page of another origin may not log out here.", 403)
        return RedirectResponse("/login", 303, {"set-cookie": set_cookie("", secure=is_secure(request), seconds=0)})


def routes(settings: Settings, overview: Overview, access: Access, clock: Callable[[], float]) -> list[Route]:
    """The console's addresses, for the admin listener's app."""
    site = Site(settings, overview, access, clock)
    others = {"/explain": site.explain, "/sheet": site.sheet}
    return [
        *(Route(path, others.get(path, site.page), methods=["GET"]) for path in PAGES),
        Route("/sheet", site.sheet, methods=["POST"]),
        Route("/sheet/{text}", site.linked, methods=["GET"]),
        Route("/live/rows", site.rows, methods=["GET"]),
        Route("/login", site.login, methods=["GET", "POST"]),
        Route("/logout", site.logout, methods=["POST"]),
        Route("/static/{name}", answers.static, methods=["GET"]),
    ]
