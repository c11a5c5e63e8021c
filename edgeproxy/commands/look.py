"""`explain`, `render` and `test`: what somebody would see, and why, by the very calls that the proxy makes."""

from __future__ import annotations

import argparse
import difflib
import json as jsons
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TextIO
from urllib.parse import urljoin, urlsplit

from edgeproxy import recordings
from edgeproxy.blame import Blame
from edgeproxy.commands.looking import Page, Usage, book_of, clock, fetch, forced_of, page_of, request_of, visitor_of
from edgeproxy.core import policy, ruletest
from edgeproxy.core.decide import decide
from edgeproxy.core.explain import explain
from edgeproxy.core.explanation import as_json, as_text
from edgeproxy.core.model import Decision, Lane, LaneKind, PageRequest, RuleBook
from edgeproxy.core.words import count
from edgeproxy.html.model import PagePlan
from edgeproxy.pages.told import would_keep
from edgeproxy.personalise import Personalised, personalise, survey, waits

FINE, FAILED = 0, 1
_CONTEXT: Final = 2  # lines around a difference


def run_explain(arguments: argparse.Namespace, environ: Mapping[str, str], out: TextIO) -> int:
    """Print why a visitor sees what they see on a page; the page is fetched once, from the shop."""
    book = book_of(Path(arguments.rules))
    now = clock()
    url = urljoin(arguments.origin, arguments.url) if arguments.origin else arguments.url
    if urlsplit(url).scheme not in {"http", "https"}:
        raise Usage(f"{arguments.url} is not an address: write https://shop.example/path, or a path and --origin URL")
    visitor = visitor_of(arguments, book, environ, now)
    if arguments.origin and urlsplit(arguments.url).netloc:
        parts = urlsplit(arguments.url)
        url = urljoin(arguments.origin, f"{parts.path}?{parts.query}" if parts.query else parts.path)
    request = request_of(arguments.url if urlsplit(arguments.url).netloc else url, arguments, book, now)
    forced, without = forced_of(arguments, book)
    decision = decide(book, visitor, request, forced=forced, without=without, reasons=True)
    lane = policy.lane(book, request, decision)
    notes: list[str] = []
    made: Personalised | None = None
    plan: PagePlan | None = None
    if lane.kind is not LaneKind.PASS or lane.personal:
        page = fetch(url)
        if page.status != 200:
            notes.append(f"the shop answered {page.status} at {page.source}: such a page is never edited")
            lane = Lane(LaneKind.PASS, f"status is {page.status}")
        elif urlsplit(page.source).path != urlsplit(url).path:
            notes.append(f"the shop redirected to {page.source}: this is that page, judged by the address asked for")
        if page.status == 200:
            made = _made(book, decision, request, page)
            plan = survey(book, request, page.body, page.content_type, csp=page.csp)
            notes += [made.note] if made.note else waits(book, decision, request.path)
        if page.through_us:
            hint = "name the shop's own address with --origin"
            notes.append(f"this page came through edgeproxy, with what a stranger gets already in it: {hint}")
        else:
            notes.append(would_keep(book, request.path, page.status, page.lines, page.body, now).says)
    told = explain(
        book,
        visitor,
        request,
        forced=forced,
        without=without,
        placing=made.placing if made is not None else None,
        plan=plan,
        lane=lane,
        notes=notes,
        written=Blame().written(Path(arguments.rules), book),
    )
    if arguments.json:
        jsons.dump(as_json(told), out, indent=2, ensure_ascii=False)
        out.write("\n")
    else:
        out.write(as_text(told) + "\n")
    return FINE


def run_render(arguments: argparse.Namespace, environ: Mapping[str, str], out: TextIO, raw: TextIO) -> int:
    """Write a page with its edits applied to ``out``'s bytes, or the difference; notes go to ``raw`` (stderr)."""
    book = book_of(Path(arguments.rules))
    now = clock()
    visitor = visitor_of(arguments, book, environ, now)
    path = arguments.path
    recorded = _recorded(arguments.page, Path(arguments.rules))
    if recorded is not None:
        page = Page(recorded.body, recorded.content_type, recorded.csp, 200, arguments.page)
        path = path or recorded.page
    else:
        page = page_of(arguments.page, charset=arguments.charset)
        if page.status != 200:
            raise Usage(f"{page.source}: the shop answered {page.status}; such a page is never edited")
        if page.through_us:
            raw.write(
                "this page came through edgeproxy, with what a stranger gets already in it: ask the shop itself\n"
            )
        if path is None and not urlsplit(arguments.page).netloc:
            raise Usage(f"say which path {arguments.page} has in the shop, since rules ask for it: --path /")
    url = arguments.page if urlsplit(arguments.page).netloc else f"https://shop.example{path}"
    request = request_of(url, arguments, book, now, path=path.partition("?")[0] if path else None)
    forced, without = forced_of(arguments, book)
    decision = decide(book, visitor, request, forced=forced, without=without)
    lane = policy.lane(book, request, decision)
    if lane.kind is LaneKind.PASS:
        raw.write(f"untouched: {lane.why}\n")
        body = page.body
    else:
        made = _made(book, decision, request, page)
        body = made.body
        if body is page.body:
            raw.write(f"untouched: {made.note or 'nothing was placed; `edgeproxy explain` says why'}\n")
    if arguments.diff:
        out.writelines(difference(page.body, body, page.source))
    else:
        out.flush()
        out.buffer.write(body)
        out.buffer.flush()
    return FINE


def run_test(folder: Path, names: list[str], json: bool, out: TextIO) -> int:
    """Run the rules' own tests; exit code 1 when one failed, 2 when there are none to run."""
    book = book_of(folder)
    try:
        pages = recordings.read(folder)
    except (OSError, ValueError) as error:
        raise Usage(str(error)) from None
    wanted = [test for test in book.tests if not names or any(name in test.it for name in names)]
    if not wanted:
        raise Usage(
            f"{folder}/tests has no test" + (f" whose sentence holds {' or '.join(names)}" if names else " yet")
        )
    now = clock()
    results = [ruletest.run_one(test, book, pages, personalise, now) for test in wanted]
    failed = [result for result in results if not result.passed]
    if json:
        jsons.dump(
            [
                {
                    "it": result.test.it,
                    "where": result.test.where.short,
                    "passed": result.passed,
                    "placed": result.placed,
                    "failures": list(result.failures),
                }
                for result in results
            ],
            out,
            indent=2,
            ensure_ascii=False,
        )
        out.write("\n")
        return FAILED if failed else FINE
    for result in results:
        how = "" if result.placed else f"   (decided only: {result.test.page} is not recorded)"
        out.write(f"{'ok  ' if result.passed else 'FAIL'}  {result.test.it}{how}\n")
    for result in failed:
        out.write("\n")
        out.writelines(f"{line}\n" for line in result.lines)
        out.write("".join(f"    {line}\n" for line in as_text(result.explanation).splitlines()))
    passed = len(results) - len(failed)
    out.write(f"\n{folder}: {count(passed, 'test')} passed" + (f", {len(failed)} failed\n" if failed else "\n"))
    return FAILED if failed else FINE


def difference(before: bytes, after: bytes, name: str) -> Iterator[str]:
    """A unified difference by lines; very long lines are broken at tags first, so that a change can be seen."""
    yield from difflib.unified_diff(
        _readable(before), _readable(after), f"{name} (the shop's own)", f"{name} (personalised)", n=_CONTEXT
    )


def _readable(body: bytes) -> list[str]:
    text = body.decode("utf-8", "replace")
    lines: list[str] = []
    for line in text.splitlines():
        lines += [line] if len(line) <= 200 else line.replace("><", ">\n<").split("\n")
    return ["".join(one if one.isprintable() or one == "\t" else "\ufffd" for one in line) + "\n" for line in lines]


def _made(book: RuleBook, decision: Decision, request: PageRequest, page: Page) -> Personalised:
    return personalise(book, decision, request, page.body, page.content_type, csp=page.csp)


def _recorded(name: str, folder: Path) -> recordings.Recording | None:
    """The recorded page that a file of the rules folder or a path (`/c/boots`) names."""
    try:
        pages = recordings.read(folder)
    except (OSError, ValueError):
        return None
    if name in pages:
        return pages[name]
    file = Path(name)
    if not file.is_file():
        return None
    for page, recording in pages.items():
        here = folder / recordings.PAGES / recordings.file_name(page)
        if here.exists() and here.samefile(file):
            return recording
    return None
