"""What the console asks of a process that serves: a contact sheet, or why one visitor would see what they would.

Here: both by the proxy's own path, asked from inside.  Not here: who may ask (``console``), and how a supervisor hands
the question on (``server.control``).  Belongs to one process; one sheet at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import httpx

from edgeproxy.core.model import RuleBook
from edgeproxy.core.signing import Keys
from edgeproxy.sheet.inside import Inside
from edgeproxy.sheet.model import Persona, Wish, troubles_of

__all__ = ["MOST_CELLS", "Looking"]

MOST_CELLS: Final = 60
"""Of a sheet that is served: its frames are drawn by one browser, and the shop is asked for each."""

SECONDS: Final = 60.0


class Served(Protocol):
    """The proxy, as far as it is asked."""

    @property
    def keys(self) -> Keys: ...

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Books(Protocol):
    """Where the live rule book is."""

    @property
    def book(self) -> RuleBook | None: ...


class Looking:
    """Answers ``ask``: what is asked for and what comes of it are in JSON's own types, so that both can travel."""

    def __init__(self, proxy: Served, books: Books, clock: Callable[[], float] = time.time) -> None:
        self._proxy = proxy
        self._books = books
        self._clock = clock
        self._turn = asyncio.Lock()

    async def ask(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """``{"html": …}``, or ``{"trouble": …}`` in words.  Never raises for what somebody may ask for.

        ``base`` is the shop as visitors write it.  A sheet: ``pages``, ``personas``, ``moments``, ``expires``.  An
        explanation: ``page``, ``flags`` (pairs as in a query).
        """
        # Here and not above: a process that nobody looks at needs none of it.
        from edgeproxy.sheet.asking import NoLeave

        book = self._books.book
        if book is None:
            return {"trouble": "no rules are live: the folder has mistakes"}
        try:
            async with asyncio.timeout(SECONDS):
                if "page" in asked:
                    return await self._explained(asked)
                return await self._sheet(asked, book)
        except NoLeave as error:
            return {"trouble": str(error)}
        except TimeoutError:
            return {"trouble": f"it took longer than {SECONDS:g} s: ask for less, or see whether the shop answers"}

    async def _sheet(self, asked: Mapping[str, Any], book: RuleBook) -> dict[str, Any]:
        from edgeproxy.console.bookview import persona_words
        from edgeproxy.sheet.asking import ask_sheet, front
        from edgeproxy.sheet.page import sheet_page

        known = {one.name: Persona(one.name, one.says, persona_words(one)) for one in book.personas.values()}
        wish = Wish(tuple(asked["pages"]), tuple(asked["personas"]), tuple(asked["moments"]))
        if not known:
            return {"trouble": "personas.toml has no persona: a sheet shows pages as they see them"}
        if troubles := troubles_of(wish, tuple(known), most=MOST_CELLS):
            return {"trouble": "; ".join(troubles)}
        if self._turn.locked():
            return {"trouble": "another sheet is being made: load this page again in a moment"}
        async with self._turn:
            personas = [known[name] for name in wish.personas] or list(known.values())
            now = self._clock()
            proxy = front(asked["base"], Inside(self._proxy), self._proxy.keys, now)
            sheet = await ask_sheet(proxy, wish, personas, now=now)
            page = await asyncio.to_thread(sheet_page, sheet, expires=asked.get("expires"))
        return {"html": page.decode()}

    async def _explained(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        from edgeproxy.console.explain_page import explain_page
        from edgeproxy.sheet.asking import explain, front
        from edgeproxy.sheet.telling import from_json

        page = asked["page"]
        if troubles := troubles_of(Wish((page,), ()), ("",)):
            return {"trouble": "; ".join(troubles)}
        proxy = front(asked["base"], Inside(self._proxy), self._proxy.keys, self._clock())
        try:
            told = await explain(proxy, page, [(str(name), str(value)) for name, value in asked["flags"]])
        except httpx.HTTPError as error:
            return {"trouble": f"no answer: {error or type(error).__name__}"}
        if isinstance(told, str):
            return {"trouble": told}
        return {"html": explain_page(from_json(told), page=asked["base"] + page).decode()}
