"""fragments/ and the content of edits: the HTML that we insert, and which of it a visitor gets.

Here: fragments checked once each, inline content, and paths with ``{segment}`` or ``{stage}``, of which every
combination is looked up at load.  Not here: what makes HTML good (``markup`` says).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

from edgeproxy.core.conditions import Labels
from edgeproxy.core.markup import Content, Form, Markup, MarkupProblem, Parts
from edgeproxy.core.model import Choice, Fragment, Problem, Where
from edgeproxy.core.rules.sheet import Spot, text_of
from edgeproxy.core.words import both, meant, quoted

FOLDER = "fragments/"

_PICK = re.compile(r"\{(segment|stage)\}")


@dataclass(frozen=True, slots=True)
class Library:
    """Every file below fragments/ by its path there; None for one with a mistake, which was told."""

    folder: str  # as printed: "rules/fragments/"
    files: Mapping[str, Fragment | None]
    used: set[str] = field(default_factory=set, compare=False)

    def take(self, path: str) -> Fragment | None:
        """A fragment that is there; it counts as used."""
        self.used.add(path)
        return self.files.get(path)


def library(files: Mapping[str, bytes | None], folder: str, markup: Markup, problems: list[Problem]) -> Library:
    """Check every fragment (path below fragments/ → bytes, None where it could not be read)."""
    found: dict[str, Fragment | None] = {}
    for path, data in files.items():
        name = f"{folder}{FOLDER}{path}"
        text = None if data is None else text_of(name, data, problems)
        found[path] = None
        if text is not None:
            parts, mistakes = markup.fragment(text)
            problems.extend(Problem(Where(name, one.line, one.column), one.what, hint=one.hint) for one in mistakes)
            if not mistakes:
                found[path] = Fragment(path, parts, Where(name))
    return Library(f"{folder}{FOLDER}", found)


# --------------------------------------------------------------------------- the content of one edit


def content(written: Content, spot: Spot, shelf: Library, labels: Labels, markup: Markup) -> Fragment | Choice | None:
    """An edit's content; None after every mistake was told."""
    if written.form is Form.PATH:
        return _path(written.source, spot, shelf, labels)
    parts, mistakes = (markup.text if written.form is Form.TEXT else markup.fragment)(written.source)
    return _inline(written, spot, parts, mistakes)


def _inline(written: Content, spot: Spot, parts: Parts, mistakes: tuple[MarkupProblem, ...]) -> Fragment | None:
    place = spot.at(written.form.value)
    for one in mistakes:
        # The places inside a string of TOML are not those of its text once it holds escapes: the key is near enough.
        where = f" (its line {one.line})" if one.line > 1 else ""
        place.tell(f"{one.what}{where}", one.hint)
    return None if mistakes else Fragment(place.key.short, parts, place.key)


def is_template(path: str) -> bool:
    """Whether the path picks by the visitor."""
    return _PICK.search(path) is not None


def _path(path: str, spot: Spot, shelf: Library, labels: Labels) -> Fragment | Choice | None:
    if is_template(path):
        return _choice(path, spot, shelf, labels)
    if path not in shelf.files:
        _absent(path, spot, shelf)
        return None
    return shelf.take(path)


def _absent(path: str, spot: Spot, shelf: Library) -> None:
    spot.tell(f"there is no {shelf.folder}{path}", meant(path, shelf.files))


def _choice(path: str, spot: Spot, shelf: Library, labels: Labels) -> Choice | None:
    named = set(_PICK.findall(path))
    if labels.stages is None or labels.segments is None:
        return None
    segments = labels.segments if "segment" in named else ("",)
    stages = labels.stages if "stage" in named else ("",)
    there = {
        (segment, stage): name
        for segment, stage in product(segments, stages)
        if (name := path.replace("{segment}", segment).replace("{stage}", stage)) in shelf.files
    }
    if not there:
        what = both(sorted(named))
        spot.tell(f"no {what} of shop.toml has a fragment {path}", "such as " + _example(path, labels))
        return None
    chosen = {labels: shelf.take(name) for labels, name in there.items()}
    whole = {labels: one for labels, one in chosen.items() if one is not None}  # the others: told where they are
    if named == {"segment"}:
        return Choice(path, {segment: one for (segment, _), one in whole.items()}, {}, {}, None)
    if named == {"stage"}:
        return Choice(path, {}, {stage: one for (_, stage), one in whole.items()}, {}, None)
    return Choice(path, {}, {}, whole, None)


def _example(path: str, labels: Labels) -> str:
    segment, stage = ((known or ("…",))[0] for known in (labels.segments, labels.stages))
    return quoted([path.replace("{segment}", segment).replace("{stage}", stage)])[0]
