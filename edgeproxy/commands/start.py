"""`init` and `record`: the shop's pages fetched, a first rules folder written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TextIO
from urllib.parse import urljoin, urlsplit

from edgeproxy import recordings, starter
from edgeproxy.commands.look import run_test
from edgeproxy.commands.looking import Page, Usage, fetch
from edgeproxy.commands.rules import run_check
from edgeproxy.paths import no_folder
from edgeproxy.recordings import Recording
from edgeproxy.starter import Ground, Sample

FINE: Final = 0
Fetch = Callable[[str], Page]


def run_record(folder: Path, urls: Sequence[str], out: TextIO, *, fetch: Fetch = fetch) -> int:
    """Fetch pages and save them for `test` and `render`; prints each file.  Usage for what cannot be had."""
    if why := no_folder(folder):
        raise Usage(f"{folder} {why}; name the rules folder with --rules, or make one: edgeproxy init")
    for url in urls:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise Usage(f"{url} is not an address: write https://shop.example/path")
    for url in urls:
        page = _html(fetch(url))
        out.write(f"{_save(folder, url, page)}  {len(page.body):,} bytes of {page.source}\n")
    return FINE


def run_init(
    origin: str, folder: Path, pages: Sequence[str], out: TextIO, *, fetch: Fetch = fetch, timezone: str = ""
) -> int:
    """Write a rules folder that passes `check` and its own test, from the shop's own pages; says what it found."""
    if urlsplit(origin).scheme not in {"http", "https"} or not urlsplit(origin).netloc:
        raise Usage(f"{origin} is not an address: write --origin https://shop.example")
    if (why := no_folder(folder)).startswith("cannot"):
        raise Usage(f"{folder} {why}")
    if folder.exists() and (why or any(folder.iterdir())):
        raise Usage(f"{folder} is there already and not empty: name another folder with --rules")
    out.write(f"looking at {origin}\n")
    fetched: dict[str, Page] = {}

    def look(path: str) -> None:
        page = _shops_own(fetch(urljoin(origin, path)))
        kind = (page.content_type or "").partition(";")[0].strip().lower()
        if page.status != 200 or kind != "text/html":
            out.write(f"  {path}  left out: status {page.status}, {kind or 'no Content-Type'}\n")
            return
        where = urlsplit(page.source).path or "/"
        fetched.setdefault(where, page)
        out.write(f"  {where}  {len(page.body):,} bytes\n")

    look("/")
    for path in pages:
        look(path)
    if not fetched:
        raise Usage(f"{origin} shows no HTML page; name one that it has with --page /path")
    front, first = next(iter(fetched.items()))
    for path in starter.further_pages(_sample(front, first), first.source):
        if path not in fetched and len(fetched) <= starter.MOST_PAGES:
            look(path)

    samples = [_sample(path, page) for path, page in fetched.items()]
    proposals = starter.propose(samples)
    ground = Ground(
        host=urlsplit(origin).netloc,
        timezone=timezone or _timezone(),
        never=starter.money_paths(samples),
        language="en",
    )
    page = next((path for path in fetched if any(path in one.paths for one in proposals)), front)
    try:
        files = starter.files(ground, proposals, page)
    except ValueError as error:
        raise Usage(f"{error}; name another page with --page /path, or write slots.toml by hand") from None
    for name, text in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    _save(folder, page, fetched[page])

    out.write(f"\nslots that are really there (in {folder}/slots.toml):\n")
    for one in proposals:
        where = "every page" if one.everywhere else ", ".join(one.paths)
        out.write(f"  {one.name:<14} {one.find:<40} {where}\n")
    out.write("\n")
    code = run_check(folder, False, False, out) or run_test(folder, [], False, out)
    out.write(
        f"\nNext: put edgeproxy in front of the shop, and edit {folder}/ while it runs:\n"
        f'  export EDGEPROXY_KEYS="$(edgeproxy key)"\n'
        f"  edgeproxy serve --origin {origin} --origin-host {ground.host} --rules {folder} --preview open\n"
        f"  then open http://127.0.0.1:8080{page}?edge_persona=ada\n"
    )
    return code


def _sample(path: str, page: Page) -> Sample:
    return Sample(path, page.body, page.content_type)


def _shops_own(page: Page) -> Page:
    if page.through_us:
        what = "came through edgeproxy, with what a stranger gets already in it"
        raise Usage(f"{page.source} {what}: name the shop's own address")
    return page


def _html(page: Page) -> Page:
    kind = (page.content_type or "").partition(";")[0].strip().lower()
    _shops_own(page)
    if page.status != 200:
        raise Usage(f"{page.source}: the shop answered {page.status}; such a page is never edited")
    if kind != "text/html":
        raise Usage(f"{page.source} is no HTML document but {kind or 'without a Content-Type'}; only those are edited")
    return page


def _save(folder: Path, url: str, page: Page) -> Path:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        return recordings.write(folder, Recording(path, page.body, page.content_type, page.csp))
    except (OSError, ValueError) as error:
        raise Usage(f"{path} cannot be saved: {error}") from None


def _timezone() -> str:
    """The machine's own time zone by its name, "UTC" where it has none that a rules folder could name."""
    try:
        name = str(Path("/etc/localtime").resolve()).partition("/zoneinfo/")[2]
    except OSError:
        name = ""
    name = name.removeprefix("posix/")
    return "UTC" if name in {"", "Etc/UTC", "Etc/UCT", "Universal"} else name
