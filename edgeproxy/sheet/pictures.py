"""Pictures of cells: each page as a browser shows it, at several widths, with what was edited outlined.

Here: what the browser is told, and what it may ask for.  Not here: the browser (``chromium``), the pages (``asking``).

The document that is photographed is the cell's own body, byte for byte: the browser goes to the page's address and is
handed these bytes; outlines are a style of the inspector's, which is no part of the page and which no policy forbids.
Whatever else the page asks of the shop goes through the proxy, by GET alone: a picture changes nothing in the shop.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from edgeproxy.sheet.asking import Front
from edgeproxy.sheet.chromium import Chromium, ChromiumError
from edgeproxy.sheet.framing import outline_style
from edgeproxy.sheet.model import Cell, Picture

__all__ = ["NO_PICTURE", "WIDTHS", "Camera"]

NO_PICTURE: Final = "no picture"

WIDTHS: Final = (1280, 390)
HEIGHT: Final = 900  # of the window
TALLEST: Final = 3200  # CSS pixels of a picture
WIDEST: Final = 720  # pixels of a picture: a wider window's is made smaller
LOADING: Final = 10.0  # seconds for a page to be there; then it is taken as it is
QUALITY: Final = 76
KEPT: Final = 64 << 20  # bytes of what pages have in common
_PHONE: Final = 600  # a window narrower than this is a telephone's

_HOP: Final = frozenset({"connection", "content-encoding", "content-length", "keep-alive", "transfer-encoding"})
_ACTS: Final = frozenset({"XHR", "Fetch", "Ping", "WebSocket", "EventSource", "CSPViolationReport", "Preflight"})
_READY: Final = """Promise.race([
  Promise.all([document.fonts ? document.fonts.ready : 0, ...[...document.images].map((image) => image.complete ? 0
    : new Promise((done) => { image.onload = image.onerror = done; }))]),
  new Promise((done) => setTimeout(done, 4000))
]).then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1)))))"""


class Camera:
    """Takes pictures with one browser, one page at a time."""

    def __init__(self, browser: Chromium, proxy: Front, widths: Sequence[int] = WIDTHS) -> None:
        self._browser = browser
        self._proxy = proxy
        self._widths = tuple(widths)
        self._answering: set[asyncio.Task[None]] = set()
        self._kept: dict[str, httpx.Response] = {}  # what pages have in common is asked for once
        browser.on_event = self._heard
        self._session = self._frame = ""
        self._handed = False  # the document
        self._cell: Cell | None = None
        self._address = ""
        self._loaded = asyncio.Event()
        self._quiet = asyncio.Event()

    async def shoot(self, cell: Cell) -> Cell:
        """The cell with its pictures; a page that cannot be photographed says so among its notes."""
        if cell.problem or not cell.body:
            return cell
        try:
            return replace(cell, pictures=await self._shoot(cell))
        except ChromiumError as error:
            return replace(cell, notes=(*cell.notes, f"{NO_PICTURE}: {error}"))

    async def _shoot(self, cell: Cell) -> tuple[Picture, ...]:
        """In a profile of its own, so that no page sees what another has left in the browser."""
        browser = self._browser
        context = (await browser.ask("Target.createBrowserContext"))["browserContextId"]
        try:
            target = await browser.ask("Target.createTarget", {"url": "about:blank", "browserContextId": context})
            attached = await browser.ask("Target.attachToTarget", {"targetId": target["targetId"], "flatten": True})
            self._session = session = attached["sessionId"]
            self._frame, self._handed = target["targetId"], False  # a page's main frame has its target's id
            self._cell, self._address = cell, self._proxy.base + cell.place.page
            self._loaded.clear()
            self._quiet.clear()
            await browser.ask("Page.enable", session=session)
            await browser.ask("Page.setLifecycleEventsEnabled", {"enabled": True}, session)
            await browser.ask("Fetch.enable", {"patterns": [{"urlPattern": "*"}]}, session)
            await self._window(self._widths[0])
            went = await browser.ask("Page.navigate", {"url": self._address}, session)
            await self._until(self._loaded)
            await self._until(self._quiet, seconds=3)
            await self._outline(cell, went["frameId"])
            taken = []
            for width in self._widths:
                if width != self._widths[0]:
                    await self._window(width)
                taken.append(await self._picture(width))
            return tuple(taken)
        finally:
            self._cell = None
            with contextlib.suppress(ChromiumError):
                await browser.ask("Target.disposeBrowserContext", {"browserContextId": context})

    async def _window(self, width: int) -> None:
        window = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width < _PHONE}
        await self._browser.ask("Emulation.setDeviceMetricsOverride", window, self._session)

    async def _outline(self, cell: Cell, frame: str) -> None:
        text = outline_style(cell)
        if text:
            await self._browser.ask("DOM.enable", session=self._session)
            await self._browser.ask("CSS.enable", session=self._session)
            sheet = (await self._browser.ask("CSS.createStyleSheet", {"frameId": frame}, self._session))["styleSheetId"]
            await self._browser.ask("CSS.setStyleSheetText", {"styleSheetId": sheet, "text": text}, self._session)

    async def _picture(self, width: int) -> Picture:
        ready = {"expression": _READY, "awaitPromise": True}
        with contextlib.suppress(ChromiumError):  # a page that blocks its own scripts is taken as it is
            await self._browser.ask("Runtime.evaluate", ready, self._session, seconds=6)
        content = (await self._browser.ask("Page.getLayoutMetrics", session=self._session))["cssContentSize"]
        height = max(1, min(int(content["height"]), TALLEST))
        scale = min(1.0, WIDEST / width)
        shot = {
            "format": "webp",
            "quality": QUALITY,
            "captureBeyondViewport": True,
            "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": scale},
        }
        data = (await self._browser.ask("Page.captureScreenshot", shot, self._session))["data"]
        return Picture(width, "image/webp", base64.b64decode(data), (round(width * scale), round(height * scale)))

    async def _until(self, event: asyncio.Event, seconds: float = LOADING) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)

    # ------------------------------------------------------------------ what the page asks for

    def _heard(self, session: str, method: str, params: Mapping[str, Any]) -> None:
        if session != self._session:
            return
        if method == "Page.loadEventFired" or (
            method == "Page.frameStoppedLoading" and self._handed and params.get("frameId") == self._frame
        ):
            self._loaded.set()
        elif method == "Page.lifecycleEvent" and params.get("name") == "networkAlmostIdle":
            self._quiet.set()
        elif method == "Page.javascriptDialogOpening":
            self._later(self._quietly("Page.handleJavaScriptDialog", {"accept": False}, session))
        elif method == "Fetch.requestPaused":
            self._later(self._answer(params, session))

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _quietly(self, method: str, params: Mapping[str, Any], session: str) -> None:
        with contextlib.suppress(ChromiumError):
            await self._browser.ask(method, params, session)

    async def _answer(self, params: Mapping[str, Any], session: str) -> None:
        request, kind, cell = params["request"], params.get("resourceType", ""), self._cell
        number = {"requestId": params["requestId"]}
        url: str = request["url"].partition("#")[0]
        whole = kind == "Document" and params.get("frameId") == self._frame
        if whole and (cell is None or self._handed):  # a page that leads on by itself is photographed where it was
            await self._quietly("Fetch.failRequest", {**number, "errorReason": "Aborted"}, session)
        elif whole and cell is not None:
            self._handed = True
            self._quiet.clear()  # what was said of the empty page before it
            head = [{"name": "content-type", "value": cell.content_type}]
            body = base64.b64encode(cell.body).decode()
            await self._quietly(
                "Fetch.fulfillRequest", {**number, "responseCode": 200, "responseHeaders": head, "body": body}, session
            )
        elif request["method"] != "GET" or (kind in _ACTS and not self._of_the_shop(url)):
            await self._quietly("Fetch.failRequest", {**number, "errorReason": "BlockedByClient"}, session)
        elif self._of_the_shop(url):
            await self._hand_on(url, number, session)
        else:
            await self._quietly("Fetch.continueRequest", number, session)

    def _of_the_shop(self, url: str) -> bool:
        return url.startswith(self._proxy.base + "/")

    async def _hand_on(self, url: str, number: Mapping[str, str], session: str) -> None:
        """What the page asks of the shop, asked of the proxy as whoever previews would: nobody is counted."""
        answer = self._kept.get(url)
        if answer is None:
            parts = urlsplit(url)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            try:
                answer = await self._proxy.get(target, {"accept": "*/*", "accept-encoding": "identity"})
            except httpx.HTTPError:
                failed = {**number, "errorReason": "ConnectionFailed"}
                await self._quietly("Fetch.failRequest", failed, session)
                return
            if sum(len(each.content) for each in self._kept.values()) < KEPT:
                self._kept[url] = answer
        head = [{"name": n, "value": v} for n, v in answer.headers.multi_items() if n.lower() not in _HOP]
        body = base64.b64encode(answer.content).decode()
        status = {"responseCode": answer.status_code, "responseHeaders": head, "body": body}
        await self._quietly("Fetch.fulfillRequest", {**number, **status}, session)
