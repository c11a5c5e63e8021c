"""What people read in a fragment: its runs of text, sentence after sentence, with the lines that they stand in.

Here: HTML that was found well-formed → text, as a visitor or a screen reader meets it.  Not here: what is looked for
in it (``manners``), and whether it is good HTML (``markup`` says).  Called by the lint of manners.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final

from edgeproxy.core.markup import Parts

PLACEHOLDER: Final = "\ue000"
"""Stands in the text where a placeholder stands in the fragment; no fragment of a person's making holds it."""

_INLINE_TAGS: Final = (
    "a abbr b bdi bdo cite code data del dfn em i ins kbd label mark q s samp small span strong sub sup time u var wbr"
)
_INLINE: Final = frozenset(_INLINE_TAGS.split())
_UNREAD: Final = frozenset({"script", "style", "template", "noscript"})
_READ_ATTRIBUTES: Final = frozenset({"alt", "aria-label", "aria-description", "placeholder", "title", "value"})
_NAMING_ATTRIBUTES: Final = frozenset({"id", "class"})


@dataclass(frozen=True, slots=True)
class Run:
    """Text that is read in one go: a paragraph, a heading, an attribute that is shown or read aloud."""

    text: str
    starts: tuple[int, ...]  # where in the text each piece of source begins …
    lines: tuple[int, ...]  # … and in which line of the fragment, from 1

    def line(self, offset: int) -> int:
        """The fragment's line in which the text at ``offset`` stands."""
        piece = bisect_right(self.starts, offset) - 1
        return self.lines[piece] + self.text.count("\n", self.starts[piece], offset)


@dataclass(frozen=True, slots=True)
class Prose:
    runs: tuple[Run, ...]
    names: tuple[tuple[str, int], ...]  # words of classes, ids and data attributes, each with its line


def prose(parts: Parts) -> Prose:
    """A fragment's parts as what is read of them.  Never raises."""
    reader = _Reader()
    reader.feed("".join(part if isinstance(part, str) else PLACEHOLDER for part in parts))
    reader.close()
    reader.end_run()
    return Prose(tuple(reader.runs), tuple(reader.names))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.runs: list[Run] = []
        self.names: list[tuple[str, int]] = []
        self._pieces: list[tuple[str, int]] = []
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _INLINE:
            self.end_run()
        if tag in _UNREAD:
            self._unread += 1
        line = self.getpos()[0]
        for name, value in attrs:
            if name in _READ_ATTRIBUTES and value:
                self.runs.append(Run(value, (0,), (line,)))
            if name.startswith("data-"):
                self.names.append((name, line))
            elif name in _NAMING_ATTRIBUTES:
                self.names.extend((word, line) for word in (value or "").split())

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag in _UNREAD:
            self._unread -= 1

    def handle_endtag(self, tag: str) -> None:
        if tag not in _INLINE:
            self.end_run()
        if tag in _UNREAD:
            self._unread = max(0, self._unread - 1)

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self._pieces.append((data, self.getpos()[0]))

    def end_run(self) -> None:
        """What stands on both sides of a block's edge is not one sentence."""
        pieces, self._pieces = self._pieces, []
        if any(text.strip() for text, _ in pieces):
            starts = [0]
            for text, _ in pieces:
                starts.append(starts[-1] + len(text))
            self.runs.append(Run("".join(text for text, _ in pieces), tuple(starts[:-1]), tuple(n for _, n in pieces)))


_SPACES: Final = re.compile(r"\s+")


def said(text: str, limit: int = 60) -> str:
    """A piece of text as a warning quotes it: on one line, shortened, placeholders as people know them."""
    text = _SPACES.sub(" ", text.replace(PLACEHOLDER, "{{ … }}")).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"
