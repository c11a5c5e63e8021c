"""One rule file on the reader's desk: its values, the places of its keys, and the list that mistakes are told to.

Here: bytes → values with places; every way in which a file is no TOML at all.  Not here: what keys mean.
Called by ``core.rulefile``; a ``Spot`` is handed to everything that reads a value and may find fault with it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeproxy.core.model import Problem, Severity, Where
from edgeproxy.core.toml import Path, Places, places

LARGEST = 1 << 20
"""Bytes of the largest file that is read: rule files and fragments are written by people."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One rule file: ``name`` as printed ("rules/audiences.toml"), what it says, and where."""

    name: str
    values: Mapping[str, object]
    places: Places
    problems: list[Problem] = field(compare=False)

    @property
    def top(self) -> Spot:
        return Spot(self, (), "")


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a rule file, by path; ``subject`` names what a mistake there is about ("newcomers")."""

    sheet: Sheet
    path: Path
    subject: str

    def at(self, step: str | int) -> Spot:
        """The place of a key or an element inside this one."""
        return Spot(self.sheet, (*self.path, step), self.subject)

    def about(self, subject: str) -> Spot:
        """The same place, with mistakes told about ``subject``."""
        return Spot(self.sheet, self.path, subject)

    @property
    def name(self) -> str:
        """The nearest key, for "… wants a string"."""
        return next((step for step in reversed(self.path) if isinstance(step, str)), "the file")

    @property
    def key(self) -> Where:
        return Where(self.sheet.name, *self.sheet.places.key(self.path))

    @property
    def value(self) -> Where:
        return Where(self.sheet.name, *self.sheet.places.value(self.path))

    def tell(self, what: str, hint: str = "") -> None:
        """A mistake in the value here."""
        self.sheet.problems.append(Problem(self.value, what, self.subject, hint))

    def tell_key(self, what: str, hint: str = "") -> None:
        """A mistake in the key here: it is unknown, or does not belong."""
        self.sheet.problems.append(Problem(self.key, what, self.subject, hint))

    def warn(self, what: str, hint: str = "") -> None:
        """Nothing that keeps the folder from going live."""
        self.sheet.problems.append(Problem(self.key, what, self.subject, hint, Severity.WARNING))


# --------------------------------------------------------------------------- bytes → text → values


def text_of(name: str, data: bytes, problems: list[Problem]) -> str | None:
    """A file's bytes as text; None after the mistake was told (too big, a byte-order mark, not UTF-8)."""
    if len(data) > LARGEST:
        problems.append(Problem(Where(name), f"is bigger than {LARGEST >> 20} MiB", hint="rule files are small"))
        return None
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        kind = "a byte-order mark" if data.startswith(b"\xef") else "a UTF-16 byte-order mark"
        problems.append(Problem(Where(name, 1, 1), f"begins with {kind}", hint="save it as UTF-8 without BOM"))
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        where = Where(name, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        problems.append(Problem(where, f"is not UTF-8: byte 0x{data[error.start]:02x}", hint="save it as UTF-8"))
        return None


def sheet(name: str, data: bytes, problems: list[Problem]) -> Sheet | None:
    """A TOML file's bytes as a Sheet; None after the mistake was told."""
    text = text_of(name, data, problems)
    if text is None:
        return None
    if text.count(".") > MOST_DOTS and _DOTS.search(text):
        problems.append(_too_deep(name))
        return None
    try:
        values = tomllib.loads(text)
        return Sheet(name, values, places(text), problems)
    except RecursionError:
        problems.append(_too_deep(name))
    except ValueError as error:  # TOMLDecodeError; plain ValueError for a number of thousands of digits
        problems.append(_syntax(name, text, str(error)))
    return None


MOST_DOTS = 64
"""Parts of the longest key, a.b.c: tomllib takes time, and places take memory, by the square of them."""

_PART = r"""(?:[\w-]++|"[^"\n]*"|'[^'\n]*')"""
_DOTS = re.compile(rf"(?:^[ \t\[]*+|[{{,]\s*+){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MOST_DOTS}}}", re.MULTILINE)


def _too_deep(name: str) -> Problem:
    return Problem(Where(name), "is nested too deeply", hint="two levels are enough")


_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_KEY = re.compile(r"\s*([^=]*?)\s*=")
_SAID = (  # how tomllib's message begins, what is said instead ("": the same), the hint
    ("Invalid value", "this is no value", 'text stands in quotes: key = "…"'),
    ("Unescaped '\\'", "a backslash in double quotes", "in single quotes a backslash is itself: '…'"),
    ("Expected '=' after a key", "there is no = after this key", "a line is key = value, or [table]"),
    ("Illegal character '\\n'", "the string is not closed on its line", 'long text stands in """…"""'),
    ("Illegal character", "", ""),
    ("Unterminated string", "the string is not closed", ""),
    ("Expected newline or end of document", "something follows the value", "one key = value on a line"),
    ("Unclosed array", "the list is not closed", "a ] or a comma is missing"),
    ("Unclosed inline table", "the table is not closed", "a } or a comma is missing"),
    ("Invalid initial character for a key", "this is no key", "a line is key = value, or [table]"),
    ("Invalid date or datetime", "there is no such date", "2026-12-24 or 2026-12-24T10:00:00"),
)
_TYPOGRAPHIC = "\u201c\u201d\u201e\u201a\u2018\u2019\u00ab\u00bb"
_YES_OR_NO = re.compile(r"(?i:true|false|yes|no|on|off)\b")
_OTHER_DATE = re.compile(r"=\s*\d{1,4}[./]\d{1,2}[./]\d{1,4}")
_LISTED = re.compile(r"\s*\[(edit|stage|test|cache)\]")  # tables of which a file has several


def _meant(what: str, here: str, column: int) -> tuple[str, str] | None:
    """What is wrong at a place where tomllib only says what it had expected, and the hint; None: nothing is known."""
    rest = here[column - 1 :]
    if rest[:1] and rest[0].isspace() and not rest[0].isascii():
        return f"here is a space of another kind (U+{ord(rest[0]):04X})", "delete it, and type a plain one"
    if rest[:1] and rest[0] in _TYPOGRAPHIC:
        return "these quotes are typographic ones", 'TOML wants straight ones: "…"'
    if what.startswith("Invalid value") and _YES_OR_NO.match(rest):
        return "this is no value", "write true or false, in small letters"
    if what.startswith("Expected newline") and _OTHER_DATE.search(here):
        return "this is no date", "a date is written 2026-12-24"
    return None


def _syntax(name: str, text: str, message: str) -> Problem:
    """tomllib's message as a problem with a place; a key or a table given twice is said in those words."""
    found = _PLACE.search(message)
    lines = text.split("\n")
    if found is None:
        return Problem(Where(name), f"is not TOML: {message}")
    if found[1] is None:
        end = len(text.rstrip())
        line, column = text.count("\n", 0, end) + 1, end - (text.rfind("\n", 0, end) + 1) + 1
    else:
        line, column = int(found[1]), int(found[2])
    what = message[: found.start()]
    here = lines[line - 1] if line <= len(lines) else ""
    if what.startswith("Cannot overwrite a value") and (key := _KEY.match(here)):
        return Problem(Where(name, line, key.start(1) + 1), f'the key "{key[1]}" is there twice', hint="keep one")
    if (what.startswith("Cannot declare") and what.endswith("twice")) or what.startswith("Cannot overwrite a value"):
        column = len(here) - len(here.lstrip()) + 1
        several = _LISTED.match(here)
        hint = f"write [[{several[1]}]], with two brackets, each time" if several else "put both into one table"
        return Problem(Where(name, line, column), f"{here.strip()[:80]} is there twice", hint=hint)
    if (known := _meant(what, here, column)) is not None:
        return Problem(Where(name, line, column), f"is not TOML: {known[0]}", hint=known[1])
    said, hint = next(((said, hint) for start, said, hint in _SAID if what.startswith(start)), ("", ""))
    said = said or f"{what[:1].lower()}{what[1:]}"
    return Problem(Where(name, line, column), f"is not TOML: {said}", hint=hint)
