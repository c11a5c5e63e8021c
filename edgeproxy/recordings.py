"""Pages of the shop saved for tests and `render`: ``rules/tests/pages``.

Here: which file holds which page, reading and writing them.  Not here: fetching (``commands``), what is done with
them (``core.ruletest``).  A page ``/c/boots?page=2`` is saved as ``c/boots@page=2.html``, ``/`` as ``index.html``;
what its bytes do not say themselves (Content-Type, Content-Security-Policy) stands in ``pages.toml`` beside them.
A file that somebody put there by hand counts too: its name says the path.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

PAGES: Final = Path("tests/pages")
INDEX: Final = "pages.toml"
_INDEX_HEAD: Final = "# What the recorded pages' own bytes do not say; written by `edgeproxy record`.\n"


@dataclass(frozen=True, slots=True)
class Recording:
    """One page as the shop sent it, decoded of any content coding."""

    page: str  # path, with "?query" if it was recorded with one
    body: bytes
    content_type: str | None
    csp: str | None = None


def file_name(page: str) -> str:
    """The file below tests/pages that holds a page; it stays below it, whatever the page is called."""
    path, question, query = page.partition("?")
    steps = [quote(unquote(step, "latin-1"), safe=" !$&'()+,;=", encoding="latin-1") for step in path.split("/")]
    steps = [step.replace(".", "%2E") if step.startswith(".") else step for step in steps if step]
    if path.endswith("/") or not steps:
        steps.append("index")
    name = "/".join(steps)
    if question:
        name += "@" + quote(query, safe=" !$&'()+,;=%", encoding="latin-1")[:150]
    return name + ".html"


def page_name(name: str) -> str:
    """The page that a file's name says it holds: the inverse of ``file_name`` for names that people write."""
    stem = name.removesuffix(".html")
    path, at, query = stem.partition("@")
    if path == "index" or path.endswith("/index"):
        path = path.removesuffix("index")
    return "/" + re.sub(r"%2E", ".", path) + ("?" + query if at else "")


def read(folder: Path) -> Mapping[str, Recording]:
    """Every page recorded in a rules folder, by path.  Raises OSError; ValueError for a broken index."""
    pages = folder / PAGES
    if not pages.is_dir():
        return {}
    index = _read_index(pages / INDEX)
    found: dict[str, Recording] = {}
    for name in sorted(_files(pages)):
        entry = index.get(name, {})
        page = entry.get("page", page_name(name))
        found[page] = Recording(page, (pages / name).read_bytes(), entry.get("content_type"), entry.get("csp"))
    return found


def write(folder: Path, recording: Recording) -> Path:
    """Save one page, in place of an earlier recording of it; returns the file.  Raises OSError."""
    pages = folder / PAGES
    name = file_name(recording.page)
    target = pages / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(recording.body)
    index = _read_index(pages / INDEX)
    index[name] = {
        key: value
        for key, value in (
            ("page", recording.page),
            ("content_type", recording.content_type),
            ("csp", recording.csp),
        )
        if value is not None
    }
    lines = [_INDEX_HEAD]
    for file, entry in sorted(index.items()):
        lines.append(f"\n[{_text(file)}]\n")
        lines += [f"{key} = {_text(value)}\n" for key, value in entry.items()]
    (pages / INDEX).write_text("".join(lines), encoding="utf-8")
    return target


def _files(pages: Path) -> Iterator[str]:
    for path in pages.rglob("*.html"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(pages).parts):
            yield path.relative_to(pages).as_posix()


def _read_index(path: Path) -> dict[str, dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from None
    return {
        name: {key: value for key, value in table.items() if isinstance(value, str)}
        for name, table in tables.items()
        if isinstance(table, dict)
    }


def _text(value: str) -> str:
    """A TOML basic string: JSON's escapes are a subset of TOML's, but for DEL and lone surrogates."""
    return json.dumps(value.encode("utf-8", "replace").decode(), ensure_ascii=False).replace("\x7f", "\\u007f")
