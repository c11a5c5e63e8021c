"""`sheet`: a contact sheet of pages as every persona sees them, in one file; or a signed link to one on the console."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TextIO
from urllib.parse import urlsplit

import httpx

from edgeproxy.app import build_app
from edgeproxy.commands.looking import Usage, book_of, clock
from edgeproxy.console.bookview import persona_words
from edgeproxy.core import durations
from edgeproxy.core.durations import NotADuration
from edgeproxy.core.model import RuleBook
from edgeproxy.core.schedule import MomentError, parse_moment
from edgeproxy.core.sheetlink import SheetLink, sign_link
from edgeproxy.core.signing import BadKey, Keys
from edgeproxy.demo.run import CHECKOUT, SHIPPED, ShopInProcess
from edgeproxy.paths import no_folder
from edgeproxy.settings import Settings, keys_text
from edgeproxy.sheet.asking import Front, NoLeave, ask_sheet, front
from edgeproxy.sheet.chromium import Chromium, ChromiumError, find_chromium
from edgeproxy.sheet.inside import Inside
from edgeproxy.sheet.model import Cell, Persona, Place, Sheet, Wish, troubles_of
from edgeproxy.sheet.page import sheet_page
from edgeproxy.sheet.pictures import NO_PICTURE, WIDTHS, Camera

FINE, BROKEN = 0, 1
_NARROWEST, _WIDEST = 200, 4000
_BAR: Final = 24  # characters of the progress bar


class Progress:
    """A bar on a terminal that goes over itself; elsewhere a line now and then."""

    def __init__(self, err: TextIO, what: str) -> None:
        self._err = err
        self._what = what
        self._told = time.monotonic()
        self._on_terminal = err.isatty()

    def __call__(self, done: int, of: int, place: Place) -> None:
        last = f"{place.persona or 'the shop itself'} on {place.page}{' at ' + place.moment if place.moment else ''}"
        if self._on_terminal:
            filled = _BAR * done // of
            self._err.write(f"\r{self._what} [{'#' * filled:<{_BAR}}] {done}/{of} {last[:50]:<50}")
            self._err.write("\r" + " " * (len(self._what) + _BAR + 64) + "\r" if done == of else "")
        elif done < of and time.monotonic() - self._told > 5:
            self._told = time.monotonic()
            self._err.write(f"{self._what} {done} of {of}\n")
        self._err.flush()


def run_sheet(arguments: argparse.Namespace, environ: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    """Make a sheet, or a link to one; 1 when a cell of it is broken."""
    folder = Path(arguments.rules)
    if arguments.demo and not (folder / "shop.toml").is_file():
        folder = SHIPPED if SHIPPED.is_dir() else CHECKOUT
    book = book_of(folder) if arguments.demo or arguments.origin or not no_folder(folder) else None
    wish = Wish(tuple(arguments.pages), tuple(dict.fromkeys(arguments.personas)), tuple(dict.fromkeys(arguments.at)))
    personas = _personas(wish, book)
    if troubles := troubles_of(replace(wish, personas=()), tuple(one.name for one in personas)):
        raise Usage("; ".join(troubles))
    _moments(wish, book)
    if arguments.link:
        out.write(_link(arguments.link, wish, arguments.expires, environ) + "\n")
        return FINE
    sheet = asyncio.run(_run(arguments, environ, folder, wish, personas, err))
    target, data = Path(arguments.out), sheet_page(sheet)
    try:
        target.write_bytes(data)
    except OSError as error:
        raise Usage(f"{target} cannot be written: {error.strerror or error}") from None
    return _tell(sheet, target, len(data), out)


def _personas(wish: Wish, book: RuleBook | None) -> tuple[Persona, ...]:
    if book is None:
        if not wish.personas:
            raise Usage("name the personas, or the rules folder that has them: --rules DIR")
        return tuple(Persona(name) for name in wish.personas)
    known = {one.name: Persona(one.name, one.says, persona_words(one)) for one in book.personas.values()}
    if not known:
        raise Usage("personas.toml has no persona: a sheet shows pages as they see them")
    if strange := [name for name in wish.personas if name not in known]:
        raise Usage(f"unknown persona {', '.join(strange)}; personas.toml has {', '.join(known)}")
    return tuple(known[name] for name in wish.personas) or tuple(known.values())


def _moments(wish: Wish, book: RuleBook | None) -> None:
    for text in wish.moments:
        try:
            parse_moment(text, book.shop.timezone if book is not None else "UTC")
        except MomentError as error:
            raise Usage(f"--at: {error}") from None


def _keys(environ: Mapping[str, str], what: str) -> Keys:
    try:
        return Keys.parse(keys_text(environ))
    except BadKey as error:
        raise Usage(f"{what} is signed with EDGEPROXY_KEYS, the proxy's own: {error}") from None


def _link(console: str, wish: Wish, expires: str, environ: Mapping[str, str]) -> str:
    """The address of a sheet on a console; who has it needs no token and no repository."""
    parts = urlsplit(console)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise Usage(f"--link wants the console's address, such as http://127.0.0.1:8081, got {console}")
    try:
        until = int(clock() + durations.parse(expires))
        text = sign_link(SheetLink(wish.pages, wish.personas, wish.moments, until), _keys(environ, "a link"))
    except NotADuration as error:
        raise Usage(f"--expires: {error}") from None
    except ValueError as error:
        raise Usage(str(error)) from None
    return f"{parts.scheme}://{parts.netloc}/sheet/{text}"


async def _run(
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
    folder: Path,
    wish: Wish,
    personas: tuple[Persona, ...],
    err: TextIO,
) -> Sheet:
    widths = _widths(arguments.width)
    program = None if arguments.no_pictures else find_chromium(environ)
    async with _proxy(arguments, environ, folder) as proxy:
        try:
            sheet = await ask_sheet(proxy, wish, personas, now=clock(), told=Progress(err, "asking"))
        except NoLeave as error:
            raise Usage(str(error)) from None
        if program is None and not arguments.no_pictures:
            err.write("no Chromium is here (CHROMIUM names one): the sheet shows the pages in frames\n")
        elif program is not None:
            sheet = await _photographed(sheet, proxy, program, widths, err)
    return sheet


def _widths(given: Sequence[int]) -> tuple[int, ...]:
    for width in given:
        if not _NARROWEST <= width <= _WIDEST:
            raise Usage(f"--width {width}: a window is {_NARROWEST} to {_WIDEST} pixels wide")
    return tuple(dict.fromkeys(given)) or WIDTHS


async def _photographed(sheet: Sheet, proxy: Front, program: str, widths: Sequence[int], err: TextIO) -> Sheet:
    """The sheet with its pictures; without them where the browser does not come, and a word about it."""
    told = Progress(err, "photographing")
    cells: dict[Place, Cell] = dict(sheet.cells)
    seen: dict[tuple[str, bytes], Cell] = {}
    try:
        async with Chromium.running(program) as browser:
            camera = Camera(browser, proxy, widths)
            for done, (place, cell) in enumerate(sheet.cells.items(), 1):
                known = seen.get((place.page, cell.body))  # the same bytes look the same
                if known is not None and known.outlines == cell.outlines:
                    cells[place] = replace(cell, pictures=known.pictures)
                else:
                    cells[place] = seen[place.page, cell.body] = await camera.shoot(cell)
                told(done, len(sheet.cells), place)
    except ChromiumError as error:
        err.write(f"no pictures: {error}; the sheet shows the pages in frames\n")
        return sheet
    if why := next((note for cell in cells.values() for note in cell.notes if note.startswith(NO_PICTURE)), ""):
        err.write(f"some pages could not be photographed: {why}; the sheet shows them in frames\n")
    return replace(sheet, cells=cells)


@contextlib.asynccontextmanager
async def _proxy(arguments: argparse.Namespace, environ: Mapping[str, str], folder: Path) -> AsyncIterator[Front]:
    """The proxy to ask: one that runs, or one made here before the shop, by the very wiring of `serve`."""
    if arguments.proxy:
        base = _base(arguments.proxy, "--proxy")
        keys = (
            _keys(environ, "a preview") if environ.get("EDGEPROXY_KEYS") or environ.get("EDGEPROXY_KEYS_FILE") else None
        )
        transport = httpx.AsyncHTTPTransport()
        try:
            yield front(base, transport, keys, clock())
        finally:
            await transport.aclose()
        return
    base = "http://the-demo-shop" if arguments.demo else _base(arguments.origin, "--origin")
    keys = Keys.parse(secrets.token_hex(32))
    name = urlsplit(base).hostname or ""
    settings = Settings(base, folder, keys, hosts=(name,), origin_host=arguments.origin_host)
    parts = build_app(settings, transport=ShopInProcess() if arguments.demo else None, log_to=io.StringIO())
    try:
        yield front(base, Inside(parts.proxy), keys, clock())
    finally:
        await parts.transport.aclose()
        parts.journal.close()


def _base(url: str | None, flag: str) -> str:
    if not url:
        raise Usage("say which pages: --origin URL of the shop with --rules, --proxy URL of a running proxy, or --demo")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path not in {"", "/"}:
        raise Usage(f"{flag} wants an address without a path, such as https://shop.example, got {url}")
    return f"{parts.scheme}://{parts.netloc}"


def _tell(sheet: Sheet, target: Path, size: int, out: TextIO) -> int:
    """What there is to know without opening it."""
    for cell in sheet.broken:
        place = cell.place
        when = f" at {place.moment}" if place.moment else ""
        out.write(f"broken: {place.page}{when} for {place.persona or 'everybody'}: {cell.problem}\n")
    refused: dict[str, None] = {}
    for cell in sheet.cells.values():
        for edit in cell.refused:
            refused[f"not made: {edit.slot} on {cell.place.page}: {edit.verb} of {edit.experience}: {edit.why}"] = None
    out.writelines(f"{line}\n" for line in refused)
    out.write(f"{target}: {sheet.words}, {size / 1e6:.1f} MB\n")
    return BROKEN if sheet.broken else FINE
