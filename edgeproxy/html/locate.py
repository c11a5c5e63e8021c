"""Where elements stand in a page's bytes.

Here: ``Source``, one turbohtml parse with source locations, and ``place``, the offsets of one of its elements.  Not
here: which elements are wanted (``plan``), whether the offsets can be trusted (``hazards``, ``trial``), what is done
there (``edits``).  Called by ``plan``.

The page is read as latin-1, one character a byte, so that turbohtml's offsets are byte offsets.  Three things make
that true: a byte-order mark is cut off first (or html, head and body have no place, and quirks mode begins), CR is
replaced by a space (the parser would drop it), and scripting is on (or the inside of ``<noscript>`` is markup).
Offsets here do not count the mark; ``plan`` adds it.

Where an end tag is left out, an element ends where the next one begins, or where its parent's content ends, climbing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import turbohtml

from edgeproxy.html import growth
from edgeproxy.html.scan import NEWLINE_EATERS, RAW_TEXT, RCDATA, VOID

TEXT_ONLY = RAW_TEXT | RCDATA
"""Elements whose content is text and never markup."""

_HTML = turbohtml.Namespace.HTML
_IMPLIED_ENDS = frozenset(("dd", "dt", "li", "optgroup", "option", "p", "rb", "rp", "rt", "rtc"))


class Source:
    """One page, parsed: ``text`` (one character a byte), ``document``, and what is asked of both more than once."""

    def __init__(self, body: bytes, bom: int) -> None:
        """Raises ``Unplannable`` for a page that would get out of hand."""
        growth.check(body)
        self.body = body[bom:]
        self.text = self.body.decode("latin-1").replace("\r", " ")
        self.document = turbohtml.parse(self.text, source_locations=True, scripting=True)
        self._locations: dict[turbohtml.Element, turbohtml.SourceLocation | None] = {}

    def location(self, element: turbohtml.Element) -> turbohtml.SourceLocation | None:
        """The element's tags in the text; None where HTML made it without a start tag of its own."""
        try:
            return self._locations[element]
        except KeyError:
            found = self._locations[element] = element.source_location
            return found

    def start(self, element: turbohtml.Element) -> int | None:
        """Where the element's start tag begins; None without one."""
        location = self.location(element)
        return location.start_tag.start_offset if location is not None else None

    def end_tag(self, element: turbohtml.Element) -> turbohtml.SourceSpan | None:
        location = self.location(element)
        return location.end_tag if location is not None else None

    @cached_property
    def body_element(self) -> turbohtml.Element | None:
        return self.document.select_one("html > body")

    @cached_property
    def content_end(self) -> int:
        """Where ``</body>`` or, without it, ``</html>`` stands; the text's length without both."""
        for element in (self.body_element, self.document.root):
            tag = self.end_tag(element) if element is not None else None
            if tag is not None:
                return tag.start_offset
        return len(self.text)

    @cached_property
    def tables(self) -> tuple[tuple[int, int], ...]:
        """Start and end of every table that has a start tag; the end of an unclosed one is the text's length."""
        found: list[tuple[int, int]] = []
        for table in self.document.select("table"):
            location = self.location(table)
            if location is not None:
                end = location.end_tag.end_offset if location.end_tag else len(self.text)
                found.append((location.start_tag.start_offset, end))
        return tuple(found)

    @cached_property
    def has_body_tag(self) -> bool:
        return self.body_element is not None and self.location(self.body_element) is not None

    @cached_property
    def has_mirror(self) -> bool:
        """Whether browsers copy a chosen option into a ``<selectedcontent>``."""
        return self.document.select_one("selectedcontent") is not None

    @cached_property
    def has_template(self) -> bool:
        return self.document.select_one("template") is not None

    @cached_property
    def merged(self) -> bool:
        """Whether a second ``<html>`` or ``<body>`` tag gave the first one more attributes."""
        for element in (self.document.root, self.body_element):
            location = self.location(element) if element is not None else None
            if element is not None and len(element.attrs) != (len(location.attrs) if location is not None else 0):
                return True
        return False

    @cached_property
    def trailing_comments(self) -> bool:
        """Whether comments stand behind body or html: they may have been written anywhere behind a ``</body>``."""
        root = self.document.root
        after_body = root.children[-1] if root is not None and root.children else None
        return not isinstance(after_body, turbohtml.Element) or self.document.children[-1] != root

    @cached_property
    def forms(self) -> list[turbohtml.Element]:
        """Every form with a start tag, in order; those inside ``<template>`` are no part of the page."""
        forms = self.document.select("form")
        if not self.has_template:
            return forms
        return [form for form in forms if form.closest("template") is None]

    @cached_property
    def _form_starts(self) -> list[int | None]:
        """Starts of ``forms`` as far as they were asked for: a location costs as much as everything else here."""
        return [None] * len(self.forms)

    def form_before(self, offset: int) -> turbohtml.Element | None:
        """The last form that begins before an offset.

        If any form is open there without being an ancestor, it is this one: while one is open, HTML ignores others.
        """
        starts = self._form_starts
        low, high = 0, len(starts)
        while low < high:
            middle = (low + high) // 2
            start = starts[middle]
            if start is None:
                start = starts[middle] = self.start(self.forms[middle]) or 0
            if start < offset:
                low = middle + 1
            else:
                high = middle
        return self.forms[low - 1] if low else None

    @cached_property
    def open_form(self) -> int | None:
        """Start of a form that is never closed: HTML ignores every later ``<form>``, so it is the last one."""
        form = self.form_before(len(self.text))
        return self.start(form) if form is not None and self.end_tag(form) is None else None


def last_child(element: turbohtml.Element) -> turbohtml.Node | None:
    """The last node inside an element, text and comments included."""
    children = element.children
    return children[-1] if children else None


@dataclass(frozen=True, slots=True)
class Place:
    """Offsets of one element with a start tag of its own; ``end`` is None where it cannot be known."""

    start: int
    start_tag_end: int
    inner_start: int | None
    inner_end: int | None
    end: int | None
    closed: bool
    unclosed_before: tuple[str, ...]
    unclosed_inside: tuple[str, ...]


def place(source: Source, element: turbohtml.Element) -> Place | None:
    """Where an element stands; None where it has no start tag of its own."""
    location = source.location(element)
    if location is None:
        return None
    start, opened = location.start_tag.start_offset, location.start_tag.end_offset
    closed = not _unclosed(source, element)
    end = location.end_tag.end_offset if location.end_tag else opened if closed else end_of(source, element)
    inner_start: int | None = None
    inner_end: int | None = None
    inside: tuple[str, ...] = ()
    if (location.end_tag is not None or not closed) and element.tag != "template":
        inner_start = opened + _dropped_newline(source, element, opened)
        inner_end = location.end_tag.start_offset if location.end_tag else end
        last = element.children[-1] if element.children else None
        inside = unclosed(source, last)
    before = () if element.tag == "body" else unclosed(source, element.previous_sibling)
    return Place(start, opened, inner_start, inner_end, end, closed, before, inside)


def unclosed(source: Source, node: turbohtml.Node | None) -> tuple[str, ...]:
    """Tags of what is still open where ``node`` ends, outermost first: the node itself and its last descendants."""
    tags: list[str] = []
    while isinstance(node, turbohtml.Element):
        if not _unclosed(source, node):
            return (*tags, *outlives(source, node))
        tags.append(node.tag)
        node = node.children[-1] if node.children else None
    return tuple(tags)


def outlives(source: Source, element: turbohtml.Element) -> tuple[str, ...]:
    """What stays open behind an element's end tag: ``</form>`` ends the form alone (HTML, 13.2.6.4.7)."""
    if element.tag != "form" or element.namespace is not _HTML or not element.children:
        return ()
    tags = unclosed(source, element.children[-1])
    while tags and tags[-1] in _IMPLIED_ENDS:
        tags = tags[:-1]
    return tags


def end_of(source: Source, element: turbohtml.Element) -> int | None:
    """Where an element without end tag ends; None where something follows whose place is not known."""
    node: turbohtml.Node = element
    while True:
        following = node.next_sibling
        if isinstance(following, turbohtml.Element):
            return _first_tag(source, following)
        if following is not None:
            return None  # text or a comment cannot end an element: something that left no trace did
        parent = node.parent
        if not isinstance(parent, turbohtml.Element):
            return len(source.text)
        closing = source.end_tag(parent)
        if closing is not None:
            return closing.start_offset
        node = parent


def _unclosed(source: Source, element: turbohtml.Element) -> bool:
    location = source.location(element)
    if element.namespace is _HTML and element.tag in VOID:
        return False
    if location is None:
        return element.tag != "p"  # a stray </p> makes an empty, closed one
    if location.end_tag is not None:
        return False
    if element.namespace is _HTML:
        return True
    last = location.start_tag.end_offset - 2
    return source.text[last] != "/" or any(span.end_offset > last for span in location.attrs.values())


def _first_tag(source: Source, element: turbohtml.Element) -> int | None:
    """Where an element begins; one without start tag begins with its first child."""
    node: turbohtml.Node | None = element
    while isinstance(node, turbohtml.Element):
        location = source.location(node)
        if location is not None:
            return location.start_tag.start_offset
        node = node.children[0] if node.children else None
    return None


def _dropped_newline(source: Source, element: turbohtml.Element, at: int) -> int:
    """Length of the newline behind ``<pre>`` and its like, which is no part of the content (HTML, 13.2.6.4.7)."""
    if element.tag not in NEWLINE_EATERS or element.namespace is not _HTML:
        return 0
    head = source.body[at : at + 2]
    return 2 if head == b"\r\n" else 1 if head[:1] in (b"\r", b"\n") else 0
