"""Where a page's head and body end, for what goes there whatever the slots are; and the policies it states itself.

Here: ``head_end``, ``body_end``, ``policies``, over a parsed page.  Called by ``plan``.  Offsets as in ``locate``.
"""

from __future__ import annotations

import re
from typing import Final

import turbohtml

from edgeproxy.html.locate import Source

_STYLE: Final = "<style data-edgeproxy></style>"
_BAR: Final = "<edgeproxy-end></edgeproxy-end>"
_DOCTYPE: Final = re.compile(r"<!doctype[^>]*>", re.IGNORECASE)


def head_end(source: Source) -> int | None:
    """Where a ``<style>`` becomes the last of head; None where it cannot be put there."""
    head = source.document.select_one("html > head")
    if head is None:
        return None
    closing = source.end_tag(head)
    if closing is not None:
        return closing.start_offset
    body = source.body_element
    location = source.location(body) if body is not None else None
    if location is not None:
        return location.start_tag.start_offset  # <body> itself ended the head
    for candidate in _candidates(source, head):
        tree = turbohtml.parse(source.text[:candidate] + _STYLE + source.text[candidate:], scripting=True)
        style = tree.select_one("html > head > style[data-edgeproxy]")
        if style is not None:
            style.extract()
            if tree.html == source.document.html:
                return candidate
    return None


def _candidates(source: Source, head: turbohtml.Element) -> list[int]:
    """Places at which an implied head could still be open, the best first."""
    found: list[int] = []
    for child in reversed(head.children):
        location = source.location(child) if isinstance(child, turbohtml.Element) else None
        if location is not None:
            found.append((location.end_tag or location.start_tag).end_offset)
            break
    for element in (head, source.document.root):
        location = source.location(element) if element is not None else None
        if location is not None:
            found.append(location.start_tag.end_offset)
    doctype = _DOCTYPE.search(source.text)
    return [*found, doctype.end()] if doctype is not None else found


def body_end(source: Source) -> int | None:
    """Where what is inserted comes last in body; None where there is no body or the text breaks off inside a tag."""
    if source.body_element is None:
        return None
    if source.content_end < len(source.text):
        return source.content_end
    tree = turbohtml.parse(source.text + _BAR, positions=False, scripting=True)
    return len(source.text) if tree.select_one("body edgeproxy-end") is not None else None


def policies(source: Source, header: str | None) -> list[str]:
    """Every Content-Security-Policy that holds for the page: the header's, and those of ``<meta>`` in head."""
    found = [
        meta.attr("content") or ""
        for meta in source.document.select("head > meta")
        if (meta.attr("http-equiv") or "").lower() == "content-security-policy"
    ]
    return [header, *found] if header else found
