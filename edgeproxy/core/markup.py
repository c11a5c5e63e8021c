"""What the rules need to know of HTML: the doors that ``html.checks`` opens and ``core.rulefile`` walks through.

Here: protocols and the small values that cross them.  Not here: any HTML (``core`` imports nothing of ``html``;
whoever wires the program hands an ``html.checks.HtmlMarkup`` to ``rulefile.parse``, ``lint`` and ``schema``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from edgeproxy.core.model import Action, Piece

Parts = tuple[str | Piece, ...]
"""A fragment's literal text and placeholders in turn: what ``core.model.Fragment.parts`` holds."""


@dataclass(frozen=True, slots=True)
class MarkupProblem:
    """A mistake inside a fragment's text; line and column count from 1, in characters of that text."""

    line: int
    column: int
    what: str
    hint: str = ""


class VerbMistake(ValueError):
    """The value of an edit's verb is not what the verb takes; ``what`` and ``hint`` as in ``core.model.Problem``."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what} ({hint})" if hint else what)
        self.what = what
        self.hint = hint


class Form(Enum):
    """How an edit's content is written: ``inner = "a.html"``, ``{ text = "…" }`` or ``{ html = "…" }``."""

    PATH = "path"
    TEXT = "text"
    HTML = "html"


@dataclass(frozen=True, slots=True)
class Content:
    """The content of an edit as written.

    ``source`` is a path below fragments/ (``{segment}`` and ``{stage}`` unresolved), plain text, or HTML, by ``form``.
    """

    form: Form
    source: str


class VerbSpec(Protocol):
    """One verb of the registry, as the rule parser, lint, schema and help see it."""

    @property
    def name(self) -> str:
        """The key in ``[[edit]]``: "inner", "add_class"…"""

    @property
    def help(self) -> str:
        """One line for people."""

    @property
    def takes_content(self) -> bool:
        """The value is content: ``content(value)`` says which, and ``or_else`` may stand beside it."""

    @property
    def takes_slot(self) -> bool:
        """The first experience that does this owns the slot; others of the kind live side by side."""

    @property
    def needs_slot(self) -> bool:
        """False only for ``style``, which edits the page, not a slot."""

    @property
    def removes(self) -> bool:
        """It can take away what crawlers read: links, headings, structured data."""

    @property
    def ends_slot(self) -> bool:
        """After it, another edit of that slot in the same experience is a mistake (``remove``, ``replace``)."""

    @property
    def schema(self) -> Mapping[str, object]:
        """JSON Schema (2020-12) of the value."""

    def parse(self, value: object) -> Action:
        """The value of the key in TOML → what the edit does.  Raises VerbMistake."""

    def content(self, value: object) -> Content | None:
        """The content in the value; None when the verb takes none.  Raises VerbMistake."""

    def doubts(self, value: object) -> tuple[str, ...]:
        """Warnings about a value that parses, one sentence each (``attributes`` with a ``javascript:`` address…)."""


class Markup(Protocol):
    """All that rules ask of HTML."""

    @property
    def verbs(self) -> Mapping[str, VerbSpec]:
        """Every verb by name, in the order in which help and schema list them."""

    def selector_problem(self, selector: str) -> str | None:
        """Why a CSS selector cannot be used, in words; None when it can."""

    def fragment(self, source: str) -> tuple[Parts, tuple[MarkupProblem, ...]]:
        """A fragment's HTML → its parts and every mistake in it; parts are () when there is a mistake."""

    def page(self, source: str, names: Sequence[str]) -> tuple[Parts, tuple[MarkupProblem, ...]]:
        """A whole page of ours with these placeholders → its parts and every mistake in it."""

    def text(self, source: str) -> tuple[Parts, tuple[MarkupProblem, ...]]:
        """The same for ``{ text = "…" }``: escaped, with the same placeholders."""
