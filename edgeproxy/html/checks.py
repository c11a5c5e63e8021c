"""HTML as rules ask for it: the implementation of ``core.markup.Markup``.

Here: one class that hands on.  Not here: the verbs (``edits``), fragments (``fragments``), selectors
(``selectors``).  Whoever wires the program (commands, the live rule book) hands an ``HtmlMarkup`` to
``core.rulefile``, ``core.schema`` and ``core.lint``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeproxy.core.markup import MarkupProblem, Parts, VerbSpec
from edgeproxy.html import fragments, selectors
from edgeproxy.html.edits import VERBS


@dataclass(frozen=True, slots=True)
class HtmlMarkup:
    """All that rules ask of HTML; stateless."""

    @property
    def verbs(self) -> Mapping[str, VerbSpec]:
        """Every verb by name, in the order in which help and schema list them."""
        return VERBS

    def selector_problem(self, selector: str) -> str | None:
        """Why a CSS selector cannot be used, in words; None when it can."""
        return selectors.problem(selector)

    def fragment(self, source: str) -> tuple[Parts, tuple[MarkupProblem, ...]]:
        """A fragment's HTML → its parts and every mistake in it."""
        return fragments.read(source)

    def page(self, source: str, names: Sequence[str]) -> tuple[Parts, tuple[MarkupProblem, ...]]:
        """A whole page of ours with these placeholders → its parts and every mistake in it."""
        return fragments.read_page(source, names)

    def text(self, source: str) -> tuple[Parts, tuple[MarkupProblem, ...]]:
        """The same for ``{ text = "…" }``."""
        return fragments.read_text(source)
