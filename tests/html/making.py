"""Small books, decisions and pages for the tests of edits and placing: what rules say, without files.

``experience`` takes edits as rules have them: ``{"slot": "hero", "inner": {"html": "…"}}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgeproxy.core.model import (
    Choice,
    Decision,
    Edit,
    Expect,
    Experience,
    Fragment,
    PageRequest,
    RuleBook,
    Shop,
    Slot,
    Source,
    Visitor,
    Where,
)
from edgeproxy.html import fragments
from edgeproxy.html.edits import VERBS
from edgeproxy.personalise import Personalised, personalise

HEAD = "<!DOCTYPE html><html><head><title>t</title></head>"
TAIL = "</html>"


def whole(body: str) -> str:
    """A page around ``<body>``'s content."""
    return f"{HEAD}<body>{body}</body>{TAIL}"


def slot(name: str, find: str, **more: Any) -> Slot:
    where = Where("rules/slots.toml", 1)
    expect = Expect(more.get("expect", "one"))
    return Slot(name, find, more.get("on"), expect, more.get("enabled", True), more.get("roundtrip", False), "", where)


def fragment(source: str, *, text: bool = False, path: str = "f.html") -> Fragment:
    parts, mistakes = fragments.read_text(source) if text else fragments.read(source)
    assert not mistakes, mistakes
    return Fragment(path, parts, Where(f"rules/fragments/{path}"))


def choice(
    template: str,
    *,
    segments: Mapping[str, str] | None = None,
    stages: Mapping[str, str] | None = None,
    both: Mapping[tuple[str, str], str] | None = None,
    or_else: str | None = None,
) -> Choice:
    return Choice(
        template,
        {name: fragment(source) for name, source in (segments or {}).items()},
        {name: fragment(source) for name, source in (stages or {}).items()},
        {names: fragment(source) for names, source in (both or {}).items()},
        None if or_else is None else fragment(or_else),
    )


def edit(written: Mapping[str, Any], line: int = 1) -> Edit:
    [name] = [key for key in written if key in VERBS]
    verb, value = VERBS[name], written[name]
    if isinstance(value, Choice):
        return Edit(written["slot"], verb.parse("x.html"), value, Where("rules/experiences/x.toml", line))
    content = verb.content(value)
    made = None if content is None else fragment(content.source, text=content.form.value == "text")
    return Edit(written.get("slot"), verb.parse(value), made, Where("rules/experiences/x.toml", line))


def experience(name: str, edits: Sequence[Mapping[str, Any]], *, whole: bool = False) -> Experience:
    return Experience(
        name,
        ("everyone",),
        tuple(edit(one, line) for line, one in enumerate(edits, 1)),
        None,
        None,
        None,
        None,
        1.0,
        whole,
        True,
        "help",
        "",
        "",
        "",
        Where(f"rules/experiences/{name}.toml"),
    )


def book(slots: Sequence[Slot], experiences: Sequence[Experience]) -> RuleBook:
    shop = Shop("UTC", ("new", "loyal"), ("outdoor", "city"), None, None, True, "en", Where("rules/shop.toml"))
    return RuleBook("0" * 12, shop, {one.name: one for one in slots}, {}, tuple(experiences), {}, (), ())


def made(
    page: bytes,
    slots: Sequence[Slot],
    experiences: Sequence[Experience],
    *,
    visitor: Visitor = Visitor("new", ("outdoor",), None, Source.COOKIE),  # noqa: B008 - frozen
    charset: str = "utf-8",
    path: str = "/",
    forced: str | None = None,
    **more: Any,
) -> Personalised:
    """The page with the edits of experiences that all fit."""
    rules = book(slots, experiences)
    decision = Decision(tuple(experiences), (), visitor, forced, rules.version)
    request = PageRequest("GET", "https", "shop.example", path, "", (), 0.0)
    return personalise(rules, decision, request, page, f"text/html; charset={charset}", **more)
