"""Which unclosed formatting elements HTML opens again around what is put somewhere.

``<p><b>one</p><p>two`` makes "two" bold: the parser keeps a list of active formatting elements and opens what is
missing before text and before most inline elements (HTML, 13.2.4.3).  Here: ``leaks``, which reads that list off the
tree.  Called by ``hazards``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import turbohtml

from edgeproxy.html.locate import TEXT_ONLY, Source, last_child
from edgeproxy.html.scan import VOID

FORMATTING: Final = frozenset(
    ("a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u")
)
"""Elements that HTML opens again where their end tag is missing (HTML, 13.2.4.3)."""

_WALLS: Final = frozenset(("applet", "caption", "marquee", "object", "td", "template", "th"))
"""Elements past which no formatting element is opened again."""

TABLE_PARTS: Final = frozenset(("table", "tbody", "tfoot", "thead", "tr", "colgroup"))

# start tags that do not open formatting elements again (HTML, 13.2.6.4.7); more than that list says is safe here
_QUIET: Final = (
    VOID - frozenset(("area", "br", "embed", "img", "input", "keygen", "wbr"))
    | (TEXT_ONLY - {"xmp"})
    | TABLE_PARTS
    | frozenset(("address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "dir"))
    | frozenset(("div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "frameset", "h1", "h2", "h3"))
    | frozenset(("h4", "h5", "h6", "head", "header", "hgroup", "html", "li", "listing", "main", "menu", "nav", "ol"))
    | frozenset(("optgroup", "option", "p", "pre", "rb", "rp", "rt", "rtc", "search", "section", "select", "summary"))
    | frozenset(("ul", "caption", "td", "th", "template"))
)

_NO_REOPENING: Final = TABLE_PARTS | frozenset(("html", "head", "select", "optgroup", "option"))
_LOOK_BACK: Final = 400  # nodes
_HTML: Final = turbohtml.Namespace.HTML


def leaks(
    source: Source,
    node: turbohtml.Node | None,
    parent: turbohtml.Node | None,
    *,
    stop: turbohtml.Element | None = None,
) -> Iterator[str]:
    """Formatting elements without end tag that HTML opens again around text put behind ``node`` (in ``parent``).

    Walks back through the source, to what would have opened them again already, or to the beginning of ``stop``.
    Yields "?" where that is too far to tell.
    """
    for _ in range(_LOOK_BACK):
        if node is None:
            if parent is stop or not isinstance(parent, turbohtml.Element):
                return
            if _loud(parent) or parent.tag in _WALLS or parent.tag in ("html", "head", "body"):
                return
            node, parent = parent.previous_sibling, parent.parent
        elif isinstance(node, turbohtml.Element):
            html = node.namespace is _HTML
            if html and node.tag in FORMATTING and source.end_tag(node) is None:
                yield node.tag
            last = last_child(node)
            if html and node.tag in _WALLS:
                if node.tag in ("applet", "marquee", "object") and source.end_tag(node) is None:
                    yield node.tag
                node = node.previous_sibling
            elif last is not None and not (html and node.tag in TEXT_ONLY):
                node, parent = last, node
            elif _loud(node):
                return
            else:
                node = node.previous_sibling
        elif isinstance(node, turbohtml.Text) and _reopening_text(parent):
            return
        else:
            node = node.previous_sibling
    yield "?"


def _loud(element: turbohtml.Element) -> bool:
    """Whether its start tag opens unclosed formatting elements again."""
    parent = element.parent
    if isinstance(parent, turbohtml.Element) and parent.tag in _NO_REOPENING:
        return False
    if element.namespace is not _HTML:
        return element.tag in ("svg", "math") and isinstance(parent, turbohtml.Element) and parent.namespace is _HTML
    return element.tag not in _QUIET


def _reopening_text(parent: turbohtml.Node | None) -> bool:
    return isinstance(parent, turbohtml.Element) and parent.namespace is _HTML and parent.tag not in _NO_REOPENING
