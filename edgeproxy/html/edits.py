"""The edit verbs: one class each, and the registry that the rule parser, ``check``, schema and help read.

Here: for each verb how its value is read, whether it can be made at one element, which bytes it rewrites there, and
how.  Not here: who wins (``place``), offsets (``draft``), what verbs share (``verb``).  A new verb is one class
below, with ``@verb`` before it.

Instances are what ``core.model.Edit.action`` holds: frozen, compared by value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self, TypeVar

from edgeproxy.html import values
from edgeproxy.html.draft import Draft
from edgeproxy.html.model import Element, PagePlan
from edgeproxy.html.roundtrip import Change, DomEdit
from edgeproxy.html.starttag import HIDDEN_STYLE
from edgeproxy.html.verb import (
    NO_START_TAG,
    ChildrenVerb,
    ClassVerb,
    ContentVerb,
    Done,
    Ranges,
    Site,
    Verb,
    Zone,
    hydration_refusal,
    implied_refusal,
    tag_reach,
    tag_refusal,
)

VERBS: Final[dict[str, type[Verb]]] = {}
"""Every verb by name, in the order of this file."""

_V = TypeVar("_V", bound=type[Verb])


def verb(kind: _V) -> _V:
    """Register a verb; two of one name are a mistake in this program."""
    if kind.name in VERBS:
        raise ValueError(f'two verbs are called "{kind.name}": {VERBS[kind.name].__name__} and {kind.__name__}')
    VERBS[kind.name] = kind
    return kind


# --------------------------------------------------------------------------- content


@verb
class Replace(ContentVerb):
    """The element goes, the content stands in its place."""

    name = "replace"
    help = "put this in the element's place"
    zone = Zone.ALL
    takes_slot = True
    removes = True
    ends_slot = True
    __slots__ = ()

    def reach(self, site: Site) -> Ranges:
        return ((site.element.start, site.element.end),)

    def apply(self, site: Site, page: Draft, experience: str) -> Done:
        page.of(site.element).gone = self.written(site)
        return Done()


@verb
class Inner(ContentVerb):
    """The element stays, its content is replaced."""

    name = "inner"
    help = "put this into the element, instead of what it holds"
    zone = Zone.CONTENT
    takes_slot = True
    removes = True
    inside = True
    __slots__ = ()

    def reach(self, site: Site) -> Ranges:
        element = site.element
        return ((element.inner_start or 0, element.inner_end or 0),)

    def apply(self, site: Site, page: Draft, experience: str) -> Done:
        page.of(site.element).inner = self.written(site)
        return Done()


@verb
class Before(ContentVerb):
    """In front of the element."""

    name = "before"
    help = "put this in front of the element"
    zone = Zone.BESIDE
    __slots__ = ()

    def apply(self, site: Site, page: Draft, experience: str) -> Done:
        page.of(site.element).before.setdefault(experience, []).append(self.written(site))
        return Done()


@verb
class After(ContentVerb):
    """Behind the element; where its end tag is omitted, the end tag is written first."""

    name = "after"
    help = "put this behind the element"
    zone = Zone.BESIDE
    __slots__ = ()

    def apply(self, site: Site, page: Draft, experience: str) -> Done:
        page.of(site.element).after.setdefault(experience, []).append(self.written(site))
        return Done()


@verb
class Prepend(ContentVerb):
    """At the beginning of what the element holds."""

    name = "prepend"
    help = "put this at the beginning of the element's content"
    zone = Zone.ENDS
    takes_slot = True
    inside = True
    __slots__ = ()

    def apply(self, site: Site, page: Draft, experience: str) -> Done:
        page.of(site.element).prepended.append(self.written(site))
        return Done()


@verb
class Append(ContentVerb):
    """At the end of what the element holds; omitted end tags there are written."""

    name = "append"
    help = "put this at the end of the element's content"
    zone = Zone.ENDS
    takes_slot = True
    inside = True
    __slots__ = ()

    def apply(self, site: Site, page: Draft, experience: str) -> Done:
        page.of(site.element).appended.append(self.written(site))
        return Done()


# --------------------------------------------------------------------------- taking away


@verb
@dataclass(frozen=True, slots=True)
class Remove(Verb):
    """The element goes."""

    name = "remove"
    help = "take the element away"
    zone = Zone.ALL
    schema = {"const": True}  # noqa: RUF012 - never changed
    takes_slot = True
    removes = True
    ends_slot = True

    @classmethod
    def parse(cls, value: object) -> Self:
        values.flag(cls.name, value)
        return cls()

    def illegal(self, site: Site) -> str:
        return hydration_refusal(self.name, site.element, site.page)

    def unspliceable(self, site: Site) -> str:
        element = site.element
        return element.trouble or implied_refusal(element) or element.outer_trouble

    def dom(self, find: str, markup: str) -> DomEdit:
        return DomEdit(find, Change.REMOVE)

    def reach(self, site: Site) -> Ranges:
        return ((site.element.start, site.element.end),)

    def apply(self, site: Site, page: Draft, experience: str) -> Done:
        page.of(site.element).gone = b""
        return Done()


@verb
@dataclass(frozen=True, slots=True)
class Hide(Verb):
    """The element stays in the DOM, unseen: ``hidden``, and ``display:none!important`` in its style."""

    name = "hide"
    help = "keep the element in the page, but show it to nobody"
    zone = Zone.TAG
    schema = {"const": True}  # noqa: RUF012

    @classmethod
    def parse(cls, value: object) -> Self:
        values.flag(cls.name, value)
        return cls()

    def illegal(self, site: Site) -> str:
        return ""

    def unspliceable(self, site: Site) -> str:
        return tag_refusal(site)

    def dom(self, find: str, markup: str) -> DomEdit:
        return DomEdit(find, Change.START_TAG, attributes=(("hidden", ""), ("style", HIDDEN_STYLE)))

    def reach(self, site: Site) -> Ranges:
        return tag_reach(site)

    def remark(self, site: Site) -> str:
        if site.page.inline_styles:
            return ""
        return "the page's content security policy forbids inline styles: only the attribute hidden is set"

    def apply(self, site: Site, page: Draft, experience: str) -> Done:
        owner = page.of(site.element).tag.set_hidden(experience, site.page.inline_styles)
        return Done(bool(owner), f'"{owner}" has decided about hidden' if owner else "")


# --------------------------------------------------------------------------- start tags


_READ: Final = frozenset({"alt", "aria-label", "aria-description", "placeholder", "title", "value"})


@verb
@dataclass(frozen=True, slots=True)
class Attributes(Verb):
    """Single attributes: a string sets, true writes one without value, false removes."""

    name = "attributes"
    help = "set attributes, or remove them with false"
    zone = Zone.TAG
    schema = {  # noqa: RUF012
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"type": ["string", "boolean"]},
    }

    changes: tuple[tuple[str, str | bool], ...]

    @classmethod
    def parse(cls, value: object) -> Self:
        return cls(values.attributes(cls.name, value))

    @classmethod
    def doubts(cls, value: object) -> tuple[str, ...]:
        found = []
        for name, said in values.attributes(cls.name, value):
            if isinstance(said, str) and re.match(r"[\x00-\x20]*javascript\s*:", said, re.IGNORECASE):
                found.append(f'{name} = "javascript:…": code in an address, which a content security policy forbids')
        return tuple(found)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(said for name, said in self.changes if isinstance(said, str) and name in _READ)

    def illegal(self, site: Site) -> str:
        return ""

    def unspliceable(self, site: Site) -> str:
        return tag_refusal(site)

    def dom(self, find: str, markup: str) -> DomEdit:
        plain = tuple((name, None if said is False else "" if said is True else said) for name, said in self.changes)
        return DomEdit(find, Change.START_TAG, attributes=plain)

    def reach(self, site: Site) -> Ranges:
        return tag_reach(site)

    def apply(self, site: Site, page: Draft, experience: str) -> Done:
        tag = page.of(site.element).tag
        lost = [(name, owner) for name, said in self.changes if (owner := tag.set_attribute(experience, name, said))]
        words = ", ".join(f'"{owner}" has decided about {name}' for name, owner in lost)
        return Done(len(lost) == len(self.changes), words)


@verb
class AddClass(ClassVerb):
    """Classes behind those that are there."""

    name = "add_class"
    help = "add a class, or several"
    adds = True
    __slots__ = ()


@verb
class RemoveClass(ClassVerb):
    """Classes out of those that are there."""

    name = "remove_class"
    help = "take a class away, or several"
    adds = False
    __slots__ = ()


# --------------------------------------------------------------------------- children


@verb
@dataclass(frozen=True, slots=True)
class KeepFirst(ChildrenVerb):
    """The first N element children stay, the ranges of the others are cut; the space between them stays."""

    name = "keep_first"
    help = "keep the first N children, take the others away"
    schema = {"type": "integer", "minimum": 1}  # noqa: RUF012
    removes = True

    number: int

    @classmethod
    def parse(cls, value: object) -> Self:
        return cls(values.count(cls.name, value))

    def order(self, element: Element, current: tuple[int, ...]) -> tuple[int, ...]:
        return current[: self.number]

    def dom(self, find: str, markup: str) -> DomEdit:
        return DomEdit(find, Change.KEEP_FIRST, keep=self.number)


@verb
@dataclass(frozen=True, slots=True)
class Reorder(ChildrenVerb):
    """Children that match come first, selector by selector; the rest keep their order.

    The children change places with each other, the space between the places stays.
    """

    name = "reorder"
    help = "these children first, in this order; the rest keep theirs"
    schema = {  # noqa: RUF012
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"type": "string", "minLength": 1, "description": "a CSS selector"},
    }

    selectors: tuple[str, ...]

    @classmethod
    def parse(cls, value: object) -> Self:
        return cls(values.selector_list(cls.name, value))

    def children(self) -> tuple[str, ...] | None:
        return self.selectors

    def unspliceable(self, site: Site) -> str:
        element = site.element
        if element.implied and element.tag != "tbody" and element.children:
            return f"{NO_START_TAG}, and with another first child it could begin elsewhere"
        return ChildrenVerb.unspliceable(self, site)

    def dom(self, find: str, markup: str) -> DomEdit:
        return DomEdit(find, Change.REORDER, order=self.selectors)

    def order(self, element: Element, current: tuple[int, ...]) -> tuple[int, ...]:
        first: list[int] = []
        for selector in self.selectors:
            first += [i for i in current if selector in element.children[i].matches and i not in first]
        return (*first, *(i for i in current if i not in first))


# --------------------------------------------------------------------------- the page


@verb
@dataclass(frozen=True, slots=True)
class Style(Verb):
    """CSS at the end of head: one ``<style>`` for all experiences, in order, with the page's nonce."""

    name = "style"
    help = "CSS for the page, at the end of head; needs no slot"
    zone = Zone.PAGE
    schema = {"type": "string", "minLength": 1}  # noqa: RUF012
    needs_slot = False

    css: str

    @classmethod
    def parse(cls, value: object) -> Self:
        return cls(values.css(cls.name, value))

    @classmethod
    def doubts(cls, value: object) -> tuple[str, ...]:
        if "@import" in values.css(cls.name, value):
            return ("@import works only at the head of a style sheet, and makes the page wait",)
        return ()

    def illegal(self, site: Site) -> str:
        return self.page_refusal(site.page)

    def unspliceable(self, site: Site) -> str:
        return ""

    def dom(self, find: str, markup: str) -> DomEdit:
        raise TypeError("a style belongs to no slot")

    def page_refusal(self, page: PagePlan) -> str:
        """Why the page can take no style of ours."""
        if page.head_end is None:
            return "the page has no head that a style could be put into"
        if not page.style_elements:
            return "the page's content security policy forbids style elements, and shows no nonce that would allow one"
        return ""

    def apply(self, site: Site, page: Draft, experience: str) -> Done:
        self.put(page)
        return Done()

    def put(self, page: Draft) -> None:
        """Write it into the draft: it belongs to no element."""
        page.styles.append(self.css)
