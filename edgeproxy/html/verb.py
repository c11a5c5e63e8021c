"""What every edit verb is: its face for the rules, and the questions that ``place`` asks of it.

Here: ``Verb``, ``Site``, and the refusals and kinds that several verbs share.  Not here: the verbs (``edits``),
offsets (``draft``), who wins (``place``).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Final, Self

from edgeproxy.core.markup import Content, Form
from edgeproxy.html import context, draft, fragments, scan, starttag, values
from edgeproxy.html.draft import Draft
from edgeproxy.html.model import Element, PagePlan
from edgeproxy.html.roundtrip import Change, DomEdit

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Site:
    """Where an edit is to be made: one element, and the content with its values filled in."""

    body: bytes
    page: PagePlan
    element: Element
    content: str = ""  # HTML
    outline: str = ""  # the content with letters for values: what its place is judged by

    def bytes_of(self, markup: str) -> tuple[bytes, str]:
        """Markup in the page's charset, or why it cannot be written there."""
        return fragments.encode(markup, self.page.charset)


class Zone(Enum):
    """What part of an element a verb is about; decides how edits of one element go together."""

    BESIDE = "beside"  # before, after
    TAG = "tag"  # attributes, classes, hide
    ENDS = "ends"  # prepend, append
    CONTENT = "content"  # inner
    CHILDREN = "children"  # keep_first, reorder
    ALL = "all"  # replace, remove
    PAGE = "page"  # style


@dataclass(frozen=True, slots=True)
class Done:
    """What came of applying an edit at one element."""

    all_lost: bool = False  # earlier experiences have decided about everything it says
    lost: str = ""  # about what, and who, in words


class Verb(ABC):
    """What every verb says about itself; see ``core.markup.VerbSpec`` for the fields that rules read."""

    name: ClassVar[str]
    help: ClassVar[str]
    zone: ClassVar[Zone]
    schema: ClassVar[Mapping[str, object]]
    takes_content: ClassVar[bool] = False
    takes_slot: ClassVar[bool] = False
    needs_slot: ClassVar[bool] = True
    removes: ClassVar[bool] = False
    ends_slot: ClassVar[bool] = False

    __slots__ = ()

    @property
    def verb(self) -> str:
        """The verb's name in rules."""
        return self.name

    @classmethod
    @abstractmethod
    def parse(cls, value: object) -> Self:
        """The TOML value → what the edit does.  Raises VerbMistake."""

    @classmethod
    def content(cls, value: object) -> Content | None:
        """The content in the value; None when the verb takes none.  Raises VerbMistake."""
        return values.content(cls.name, value) if cls.takes_content else None

    @classmethod
    def doubts(cls, value: object) -> tuple[str, ...]:
        """Warnings about a value that parses."""
        return ()

    @property
    def texts(self) -> tuple[str, ...]:
        """What people read of it that is no content."""
        return ()

    @abstractmethod
    def illegal(self, site: Site) -> str:
        """Why this may not be done there, however it is done; "" when it may."""

    @abstractmethod
    def unspliceable(self, site: Site) -> str:
        """Why the page's bytes do not allow it there, though its tree does; "" when they do."""

    @abstractmethod
    def dom(self, find: str, markup: str) -> DomEdit:
        """The same change of the tree, for slots whose owner allows the round trip."""

    def reach(self, site: Site) -> Ranges:
        """The ranges of the original body that are rewritten; insertions reach nothing."""
        return ()

    def children(self) -> tuple[str, ...] | None:
        """The selectors that element children are asked about; None: children do not matter to it."""
        return None

    def remark(self, site: Site) -> str:
        """What one should know about an edit that is made all the same; "" for nothing."""
        return ""

    @abstractmethod
    def apply(self, site: Site, page: Draft, experience: str) -> Done:
        """Write it into the draft, where earlier experiences may have decided about parts of it."""


# --------------------------------------------------------------------------- content


@dataclass(frozen=True, slots=True)
class ContentVerb(Verb):
    """Verbs that put something in; ``form`` says how the content was written."""

    form: Form

    schema: ClassVar[Mapping[str, object]] = values.CONTENT_SCHEMA
    takes_content: ClassVar[bool] = True
    inside: ClassVar[bool] = False  # the content stands inside the element, not beside it

    @classmethod
    def parse(cls, value: object) -> Self:
        return cls(values.content(cls.name, value).form)

    def illegal(self, site: Site) -> str:
        element = site.element
        if self.inside and element.inner_start is None and not element.implied:
            return f"<{element.tag}> has no content"
        return (
            hydration_refusal(self.name, element, site.page)
            or (self._raw_refusal(site) if self.inside else "")
            or self._place_refusal(site)
        )

    def unspliceable(self, site: Site) -> str:
        element = site.element
        trouble = element.trouble or implied_refusal(element) or ("" if self.inside else element.outer_trouble)
        if trouble or not site.outline or (self.inside and element.raw_text):
            return trouble
        for tag in element.reopens:
            if tag != "form" or "<form" in site.outline.lower():
                open_ = f"<{tag}>" if tag != "?" else "a formatting element"
                return f"{open_} is left open before it, and HTML would carry it into what is put there"
        return ""

    def dom(self, find: str, markup: str) -> DomEdit:
        return DomEdit(find, Change(self.name), markup)

    def _place_refusal(self, site: Site) -> str:
        """Why HTML would not leave the content where it is put."""
        element = site.element
        if self.inside and element.raw_text:
            return ""
        _, unwritable = site.bytes_of(site.content)
        if unwritable or not site.outline:
            return unwritable
        parents = (*element.ancestors, element.tag) if self.inside else element.ancestors
        return context.problem(parents, site.outline)

    def _raw_refusal(self, site: Site) -> str:
        """Raw text takes text, and only what cannot end it."""
        element = site.element
        if not element.raw_text:
            return ""
        if element.tag in scan.RCDATA or element.tag == "noscript":
            return "" if "<" not in site.content else f"<{element.tag}> holds text only: it cannot take elements"
        if self.form is not Form.TEXT:
            return f'<{element.tag}> holds raw text: only {{ text = "…" }} can be put there'
        text = fragments.unescaped(site.content)
        if re.search(rf"</{re.escape(element.tag)}|<!--", text, re.IGNORECASE) or element.tag == "plaintext":
            return f"the text would end <{element.tag}> or open a comment in it"
        if (
            site.page.charset.codec
            and text.encode(site.page.charset.codec, "ignore").decode(site.page.charset.codec, "ignore") != text
        ):
            return (
                f"the page's charset {site.page.charset.label} lacks a character of it, and raw text has no references"
            )
        return ""

    def written(self, site: Site) -> bytes:
        """The content's bytes at an element where neither refusal holds."""
        element = site.element
        if self.inside and element.raw_text and element.tag not in scan.RCDATA and element.tag != "noscript":
            return fragments.unescaped(site.content).encode(site.page.charset.codec)
        return site.bytes_of(site.content)[0]


@dataclass(frozen=True, slots=True)
class ClassVerb(Verb):
    """Classes put to or taken from an element, one by one; the others stay."""

    schema: ClassVar[Mapping[str, object]] = {
        "oneOf": [
            {"type": "string", "minLength": 1},
            {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
        ]
    }
    zone: ClassVar[Zone] = Zone.TAG
    adds: ClassVar[bool]

    classes: tuple[str, ...]

    @classmethod
    def parse(cls, value: object) -> Self:
        return cls(values.classes(cls.name, value))

    def illegal(self, site: Site) -> str:
        return ""

    def unspliceable(self, site: Site) -> str:
        return tag_refusal(site)

    def dom(self, find: str, markup: str) -> DomEdit:
        if self.adds:
            return DomEdit(find, Change.START_TAG, add=self.classes)
        return DomEdit(find, Change.START_TAG, drop=self.classes)

    def reach(self, site: Site) -> Ranges:
        return tag_reach(site)

    def apply(self, site: Site, page: Draft, experience: str) -> Done:
        tag = page.of(site.element).tag
        lost = [(name, owner) for name in self.classes if (owner := tag.set_class(experience, name, self.adds))]
        words = ", ".join(f'"{owner}" has decided about the class {name}' for name, owner in lost)
        return Done(len(lost) == len(self.classes), words)


@dataclass(frozen=True, slots=True)
class ChildrenVerb(Verb):
    """Verbs on the element children; text and comments between them stay where they are."""

    zone: ClassVar[Zone] = Zone.CHILDREN
    takes_slot: ClassVar[bool] = True

    def children(self) -> tuple[str, ...] | None:
        return ()

    @abstractmethod
    def order(self, element: Element, current: tuple[int, ...]) -> tuple[int, ...]:
        """Indices of the children that stay, in their new order, from those of an earlier edit."""

    def illegal(self, site: Site) -> str:
        element = site.element
        if element.inner_start is None and not element.implied:
            return f"<{element.tag}> has no content"
        return hydration_refusal(self.name, element, site.page)

    def unspliceable(self, site: Site) -> str:
        element = site.element
        at = element.inner_start
        trouble = element.trouble or element.children_trouble or (NO_START_TAG if at is None else "")
        if trouble or at is None:
            return trouble
        for child in element.children:
            if child.start < at or child.end <= child.start:
                return "its children do not stand one behind the other in the page's source"
            at = child.end
        return ""

    def reach(self, site: Site) -> Ranges:
        children = site.element.children
        order = self.order(site.element, tuple(range(len(children))))
        return tuple((start, end) for start, end, _ in draft.rearranged(site.body, site.element, order))

    def apply(self, site: Site, page: Draft, experience: str) -> Done:
        element = page.of(site.element)
        current = tuple(range(len(site.element.children))) if element.order is None else element.order
        element.order = self.order(site.element, current)
        return Done()


# --------------------------------------------------------------------------- refusals that verbs share


NO_START_TAG: Final = "it has no start tag in the page's source"


def implied_refusal(element: Element) -> str:
    """Elements that HTML implies (``tbody``, ``head``…) are nowhere in the bytes."""
    return NO_START_TAG if element.implied else ""


def tag_refusal(site: Site) -> str:
    element = site.element
    trouble = implied_refusal(element) or element.tag_trouble
    if trouble:
        return trouble
    if starttag.malformed(site.body[element.start : element.start_tag_end]):
        return "its start tag is too malformed to be changed"
    return ""


def tag_reach(site: Site) -> Ranges:
    return ((site.element.start, site.element.start_tag_end),)


def hydration_refusal(name: str, element: Element, page: PagePlan) -> str:
    """Why the page's framework would undo or break this: it hydrates the tree that it rendered on the server.

    Text and elements inside a hydrated root are compared with what the framework expects.  Attributes, classes and
    styles are not; neither is what stands beside the root, or at the end of body.
    """
    if element.hydrated and not (element.tag == "body" and name == "append"):
        return f"{page.framework or 'a framework'} hydrates this part of the page: {name} would not survive there"
    if element.hydrates and name not in ("before", "after"):
        return f"{page.framework or 'a framework'} hydrates what this element holds: {name} would not survive there"
    return ""
