"""Where the keys and values of a TOML document stand.

``tomllib`` reads the values and tells no places; this scanner tells the places and reads no values.  It walks a
document that ``tomllib`` has accepted, so it need not judge anything.  Called by ``core.rules.sheet`` alone.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from dataclasses import dataclass, field

Path = tuple[str | int, ...]
"""Keys and list indices from the top of a document: ("edit", 0, "slot")."""

Mark = tuple[int, int]
"""Line and column, both from 1; columns count characters."""

_BLANK = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?>(?:[^"\\\n]++|\\.)*)"')
_LITERAL = re.compile(r"'[^'\n]*'")
_LONG_BASIC = re.compile(r'"""(?>(?:[^"\\]++|\\.|"{1,2}(?!"))*)"{3,5}', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''(?>(?:[^']++|'{1,2}(?!'))*)'{3,5}")
_PLAIN = re.compile(r"[^,\]}\s#]+(?:(?<=\d{4}-\d\d-\d\d) \d\d:[^,\]}\s#]+)?")


@dataclass(slots=True)
class Places:
    """Places of one document: of each key (a table's is in its header), and of each value."""

    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)

    def key(self, path: Path) -> Mark:
        """Where a key stands; of a list's element, the element; (0, 0) for the document itself."""
        return self.keys.get(path) or self.values.get(path) or (self.key(path[:-1]) if path else (0, 0))

    def value(self, path: Path) -> Mark:
        """Where a value stands; of a table with a header, its key there."""
        return self.values.get(path) or self.key(path)


def places(text: str) -> Places:
    """The places in a document that ``tomllib.loads`` accepts (of any other: what was found up to the trouble)."""
    return _Scan(text).document()


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self.found = Places()
        self.lists: dict[Path, int] = {}  # [[header]] → how many there were

    def document(self) -> Places:
        table: Path = ()
        while True:
            self.skip(_GAP)
            if self.at >= len(self.text):
                return self.found
            before = self.at
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
            if self.at == before:
                return self.found

    def header(self) -> Path:
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        path: Path = ()
        parts = self.dotted()
        for index, (part, spot) in enumerate(parts):
            path = (*path, part)
            self.found.keys.setdefault(path, spot)
            if many and index == len(parts) - 1:
                self.lists[path] = self.lists.get(path, 0) + 1
            if path in self.lists:  # the last [[…]] of that name is what is meant
                path = (*path, self.lists[path] - 1)
                self.found.keys.setdefault(path, spot)
        self.skip(_BLANK)
        self.at += 2 if many else 1
        if parts and not many:
            self.found.keys[path] = parts[-1][1]  # [a] after [a.b]: the header that is its own
        return path

    def pair(self, table: Path) -> None:
        path = table
        for part, spot in self.dotted():
            path = (*path, part)
            self.found.keys.setdefault(path, spot)
        self.at += 1  # =
        self.skip(_BLANK)
        self.value(path)

    def dotted(self) -> list[tuple[str, Mark]]:
        parts: list[tuple[str, Mark]] = []
        while True:
            self.skip(_BLANK)
            here = self.spot()
            if (quoted := _BASIC.match(self.text, self.at)) or (quoted := _LITERAL.match(self.text, self.at)):
                parts.append((str(tomllib.loads(f"k={quoted[0]}")["k"]), here))
                self.at = quoted.end()
            elif bare := _BARE_KEY.match(self.text, self.at):
                parts.append((bare[0], here))
                self.at = bare.end()
            self.skip(_BLANK)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def value(self, path: Path) -> None:
        self.found.values[path] = self.spot()
        if self.text.startswith("[", self.at):
            self.inside("]", path)
        elif self.text.startswith("{", self.at):
            self.inside("}", path)
        else:
            for form in (_LONG_BASIC, _LONG_LITERAL, _BASIC, _LITERAL, _PLAIN):
                if found := form.match(self.text, self.at):
                    self.at = found.end()
                    return

    def inside(self, end: str, path: Path) -> None:
        """The elements of a list, or the pairs of an inline table, up to the closing bracket."""
        self.at += 1
        index = 0
        while True:
            self.skip(_GAP)
            if self.at >= len(self.text) or self.text[self.at] == end:
                self.at += 1
                return
            if end == "]":
                self.value((*path, index))
                index += 1
            else:
                self.pair(path)
            self.skip(_GAP)
            if self.text.startswith(",", self.at):
                self.at += 1

    def skip(self, what: re.Pattern[str]) -> None:
        found = what.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def spot(self) -> Mark:
        line = bisect_right(self.starts, self.at)
        return line, self.at - self.starts[line - 1] + 1
