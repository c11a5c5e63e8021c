"""Byte ranges of elements in the original body.

Here: one turbohtml parse with source locations, and what its elements say about bytes.  Not here: which elements
are wanted (``plan``) or what is done to them (``edits``).  Called by ``plan`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import turbohtml

from edgeproxy.html.model import Charset, Child, Element

VOID = frozenset(
    ("area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "keygen", "link")
    + ("meta", "param", "source", "track", "wbr")
)
RAW_TEXT = frozenset(
    ("title", "textarea", "script", "style", "iframe", "noembed", "noframes", "noscript", "xmp", "plaintext")
)
FORMATTING = frozenset(
    ("a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u")
)


def parse(body: bytes, bom: int) -> turbohtml.Document:
    """The page's tree; one character a byte, so offsets (plus ``bom``) are byte offsets."""
    text = body[bom:].decode("latin-1") if bom else body.decode("latin-1")
    return turbohtml.parse(text.replace("\r", " "), source_locations=True, scripting=True)


def ends(element: turbohtml.Element, length: int) -> int:
    """Where an element ends: its end tag, else the next sibling's start, else where its parent's content ends."""
    node: turbohtml.Node = element
    location = element.source_location
    if location is not None and location.end_tag is not None:
        return location.end_tag[5]
    if location is not None and element.tag in VOID:
        return location.start_tag[5]
    while isinstance(node, turbohtml.Element):
        for sibling in node.next_siblings:
            if isinstance(sibling, turbohtml.Element) and sibling.source_location is not None:
                return sibling.source_location.start_tag[2]
        parent = node.parent
        if not isinstance(parent, turbohtml.Element):
            return length
        there = parent.source_location
        if there is not None and there.end_tag is not None:
            return there.end_tag[2]
        node = parent
    return length


def spine(node: turbohtml.Node | None) -> tuple[str, ...]:
    """Tags still open where ``node`` ends, outermost first: itself and its last descendants without end tag."""
    tags: list[str] = []
    while isinstance(node, turbohtml.Element) and node.tag not in VOID:
        location = node.source_location
        if location is not None and location.end_tag is not None:
            break
        tags.append(node.tag)
        node = node.children[-1] if len(node.children) else None
    return tuple(tags)


def locate(
    element: turbohtml.Element, charset: Charset, length: int, selectors: Mapping[str, str | None] | None
) -> Element:
    """Everything a plan says about one matched element; ``selectors`` (as written → compiled) asks for children."""
    bom = charset.bom
    ancestors = tuple(a.tag for a in reversed(list(element.ancestors)) if isinstance(a, turbohtml.Element))
    location = element.source_location
    tag = element.tag
    children: tuple[Child, ...] = ()
    if selectors is not None:
        children = tuple(
            _child(c, bom, length, selectors) for c in element.children if isinstance(c, turbohtml.Element)
        )
    if location is None:
        start = children[0].start if children else 0
        end = children[-1].end if children else 0
        return Element(
            tag,
            start,
            end,
            start,
            start,
            end,
            False,
            False,
            {},
            ancestors,
            children,
            implied=True,
            trouble="" if children else "it has no start tag of its own",
        )
    start, start_tag_end = location.start_tag[2] + bom, location.start_tag[5] + bom
    end = ends(element, length) + bom
    values = element.attrs
    attributes = {
        name: (span[2] + bom, span[5] + bom, _text(element.attr(name), charset))
        for name, span in location.attrs.items()
    }
    del values
    void = tag in VOID
    inner_end = location.end_tag[2] + bom if location.end_tag is not None else end
    last = element.children[-1] if len(element.children) else None
    return Element(
        tag,
        start,
        end,
        start_tag_end,
        None if void else start_tag_end,
        None if void else inner_end,
        void or location.end_tag is not None,
        tag in RAW_TEXT,
        attributes,
        ancestors,
        children,
        unclosed_before=spine(element.previous_sibling),
        unclosed_inside=spine(last),
    )


def _child(child: turbohtml.Element, bom: int, length: int, selectors: Mapping[str, str | None]) -> Child:
    location = child.source_location
    start = location.start_tag[2] if location is not None else 0
    matches = frozenset(w for w, selector in selectors.items() if selector is not None and child.matches(selector))
    unclosed = spine(child)
    return Child(start + bom, ends(child, length) + bom, not unclosed, matches, unclosed)


def _text(value: str | None, charset: Charset) -> str:
    return (value or "").encode("latin-1", "replace").decode(charset.codec, "replace")
