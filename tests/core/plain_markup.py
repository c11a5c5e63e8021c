"""A Markup that knows the verbs' names and next to nothing of HTML: rule files are tested without an HTML engine."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeproxy.core.markup import Content, Form, MarkupProblem, Parts, VerbMistake, VerbSpec
from edgeproxy.core.model import Action, Piece


@dataclass(frozen=True, slots=True)
class PlainAction:
    verb: str
    takes_slot: bool
    value: str


@dataclass(frozen=True, slots=True)
class PlainVerb:
    name: str
    takes_content: bool = False
    takes_slot: bool = True
    needs_slot: bool = True
    removes: bool = False
    ends_slot: bool = False
    schema: Mapping[str, object] = field(default_factory=dict)
    help: str = "a verb of the tests"

    def parse(self, value: object) -> Action:
        if not self.takes_content and value in ("", [], {}, None):
            raise VerbMistake(f"{self.name} wants a value")
        return PlainAction(self.name, self.takes_slot, "" if self.takes_content else repr(value))

    def content(self, value: object) -> Content | None:
        if not self.takes_content:
            return None
        if isinstance(value, str):
            return Content(Form.PATH, value)
        if isinstance(value, Mapping) and len(value) == 1:
            for form in (Form.TEXT, Form.HTML):
                said = value.get(form.value)
                if isinstance(said, str):
                    return Content(form, said)
        raise VerbMistake('wants a path, { text = "…" } or { html = "…" }')

    def doubts(self, value: object) -> tuple[str, ...]:
        return ("it says doubtful",) if value == "doubtful" else ()


_CONTENT: Mapping[str, object] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"text": {"type": "string"}, "html": {"type": "string"}},
            "additionalProperties": False,
        },
    ]
}


class PlainMarkup:
    def __init__(self) -> None:
        self.verbs: Mapping[str, VerbSpec] = {
            verb.name: verb
            for verb in (
                PlainVerb("replace", True, removes=True, ends_slot=True, schema=_CONTENT),
                PlainVerb("inner", True, removes=True, schema=_CONTENT),
                PlainVerb("before", True, takes_slot=False, schema=_CONTENT),
                PlainVerb("after", True, takes_slot=False, schema=_CONTENT),
                PlainVerb("remove", removes=True, ends_slot=True, schema={"const": True}),
                PlainVerb("keep_first", removes=True, schema={"type": "integer"}),
                PlainVerb("add_class", takes_slot=False, schema={"type": "string"}),
                PlainVerb("style", needs_slot=False, takes_slot=False, schema={"type": "string"}),
            )
        }

    def selector_problem(self, selector: str) -> str | None:
        return "it ends in the middle" if selector.rstrip().endswith((">", ",", "[")) else None

    def fragment(self, source: str) -> tuple[Parts, tuple[MarkupProblem, ...]]:
        wrong = [
            MarkupProblem(source.count("\n", 0, found.start()) + 1, 1, "<b> is not closed")
            for found in re.finditer("<b>(?!.*</b>)", source)
        ]
        return ((), tuple(wrong)) if wrong else (_parts(source), ())

    def text(self, source: str) -> tuple[Parts, tuple[MarkupProblem, ...]]:
        return _parts(html.escape(source, quote=False)), ()


def _parts(source: str) -> Parts:
    pieces = re.split(r"\{\{ *(\w+) *\}\}", source)
    return tuple(Piece(part, "text") if index % 2 else part for index, part in enumerate(pieces) if part)
