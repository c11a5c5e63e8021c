"""What would grow together, wrongly, where bytes are cut out or put in.

Here: looks at the text right before an offset.  Called by ``hazards``.
"""

from __future__ import annotations

import re
from html.entities import html5
from typing import Final

import turbohtml

from edgeproxy.html.locate import Source, last_child

_NEAR: Final = 160  # characters
_HTML: Final = turbohtml.Namespace.HTML
_BODY_END: Final = re.compile(r"</(?:body|html)[\s/>]", re.IGNORECASE)
_COMMENT: Final = re.compile(r"<(?:[!?]|/[^a-zA-Z])")
_HALF_REFERENCE: Final = re.compile(r"&(?:#[xX]?[0-9a-fA-F]*|[0-9A-Za-z]*)$")
_LONGEST_REFERENCE: Final = max(map(len, html5)) + 1


def half(text: str, at: int) -> bool:
    """Whether what is written at ``at`` could complete a tag or a character reference that the text before begins."""
    if text[at - 1 : at] in (">", "", " ", "\n"):
        return False
    if text[at - 1] == "<" or text[max(at - 2, 0) : at] in ("</", "<!", "<?"):
        return True
    reference = _HALF_REFERENCE.search(text, max(at - _LONGEST_REFERENCE, 0), at)
    if reference is None:
        return False
    name = reference[0][1:]
    return name[:1] in ("", "#") or any(known.startswith(name) for known in html5)


def behind_body(source: Source, element: turbohtml.Element, at: int, *, inside: bool) -> bool:
    """Whether a ``</body>`` or ``</html>`` stands right before the element's start or (``inside``) its inner end.

    It leaves no trace in the tree, and changes where a comment goes; text and start tags behind it undo that.
    """
    before = source.text[max(at - _NEAR, 0) : at].rstrip()
    if before and _COMMENT.search(before) is None:
        if before[-1] != ">":
            return False
        tag = before.rfind("<")
        if tag >= 0 and before[tag + 1] != "/":
            return False
    return _BODY_END.search(source.text, _behind(source, element, inside=inside), at) is not None


def _behind(source: Source, element: turbohtml.Element, *, inside: bool) -> int:
    """Where the last tag before an element (or before its end) ended that left something in the tree; 0: unknown."""
    node = last_child(element) if inside else element.previous_sibling
    while node is not None and not isinstance(node, turbohtml.Element):
        node = node.previous_sibling
    if node is not None:
        location = source.location(node)
        if location is None:
            return 0
        if node.namespace is not _HTML:
            return location.start_tag.start_offset  # it may hold a </body> that counts and leaves no trace
        return (location.end_tag or location.start_tag).end_offset
    parent = element if inside else element.parent
    location = source.location(parent) if isinstance(parent, turbohtml.Element) else None
    return location.start_tag.end_offset if location is not None else 0
