"""Whether an element's subtree is what stands between its tags, and nothing else.

Here: ``sealed``, which needs not look, ``written``, which compares, and what has to be known of left-out end tags.
Called by ``hazards``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import turbohtml

from edgeproxy.html.locate import TEXT_ONLY, Place, Source
from edgeproxy.html.reopening import FORMATTING, TABLE_PARTS

_HTML: Final = turbohtml.Namespace.HTML

# elements that a following start tag ends (HTML, 13.1.2.4), and the ones that the parser ends besides
_OPTIONAL: Final = frozenset(
    ("caption", "colgroup", "dd", "dt", "head", "li", "optgroup", "option", "p", "rb", "rp", "rt", "rtc")
) | frozenset(("tbody", "td", "tfoot", "th", "thead", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "button"))

_TABLE_BODY: Final = re.compile(r"</?tbody>")
# elements whose content may be put elsewhere, or go on behind their end tag
_OPEN_INSIDE: Final = TABLE_PARTS | frozenset(
    ("select", "option", "optgroup", "form", "head", "caption", "col", "template")
)
_REACHES_IN: Final = FORMATTING | frozenset(("select", "option", "optgroup", "svg", "math"))
_LEAVING: Final = ("</body", "</html", "</BODY", "</HTML")
_BLANK_END: Final = re.compile(r"(?:\s|</(?:body|html)\s*>|<!--(?:(?!-->)[\s\S])*-->)*", re.IGNORECASE)
_DROPPED_NEWLINE: Final = re.compile(r"(<(?:pre|listing|textarea)(?:\s[^>]*)?>)\n", re.IGNORECASE)


def sealed(source: Source, element: turbohtml.Element, at: Place, end: int, above: Sequence[turbohtml.Element]) -> bool:
    """Whether nothing gets in or out of an element between its two tags, whatever stands there.

    With an end tag of its own, it was on the stack of open elements till then, so nothing below it was touched but by
    the few tags that reach past open elements: those of formatting elements, of forms, of tables, and those of html
    and body (a comment behind </body> leaves the body).  Where none of these can matter, no tag needs a look.
    """
    tag = element.tag
    if not at.closed or at.unclosed_inside or element.namespace is not _HTML or source.merged:
        return False
    if tag in _OPEN_INSIDE:
        return False
    if tag == "body" and not _BLANK_END.fullmatch(source.text, end):
        return False
    tags = {node.tag for node in above}
    if not _REACHES_IN.isdisjoint(tags):
        return False
    if "form" in tags:
        forms = (source.end_tag(node) for node in above if node.tag == "form")
        if any(closing is None or closing.start_offset < end for closing in forms):
            return False
    if source.trailing_comments:
        inner_end = at.inner_end or at.start_tag_end
        if any(source.text.find(closing, at.start_tag_end, inner_end) >= 0 for closing in _LEAVING):
            return False
    form = source.form_before(at.start)
    return form is None or form in above or source.end_tag(form) is not None


def written(source: Source, element: turbohtml.Element, start: int, end: int, *, closed: bool = True) -> bool:
    """Whether the element's subtree, each tag as the source has it, is the source between two offsets.

    ``closed``: nothing in it is left open at its end (of interest for body).

    Text with character references comes back with other ones, so both sides are compared with all of them decoded
    but ``&lt;``, lest text pass for a tag.  The ``<tbody>`` that HTML makes in nearly every table is written, too.
    It is left out on both sides: it is made without a trace elsewhere, and where a stray one is ignored, it is inert.
    So is the newline that ``<pre>`` drops.
    """
    written, there = element.to_source(), source.text[start:end]
    if written == there:
        return True
    if element.tag == "body":  # what stands behind </body> lands in it, or in what is open: harmless only if blank
        there = there.removesuffix(source.text[source.content_end : end])
        written, rest = written[: len(there)], written[len(there) :]
        if written == there:
            return rest in ("", "</body>") or (closed and rest.removesuffix("</body>").isspace())
        written, there = (written + rest).removesuffix("</body>"), there.removesuffix("</body>")
        written, there = (written.rstrip(), there.rstrip()) if closed else (written, there)
    return same(written, there)


def same(written: str, there: str) -> bool:
    if written == there:
        return True
    written, there = (turbohtml.unescape(text.replace("&lt;", "\1")) for text in (written, there))
    if written == there:
        return True
    if "<tbody>" in written:
        written, there = _TABLE_BODY.sub("", written), _TABLE_BODY.sub("", there)
    return written == there or written == _DROPPED_NEWLINE.sub(r"\1", there)


def open_till(source: Source, element: turbohtml.Element, start: int) -> bool:
    """Whether the element before is open till this one's start tag ends it, and not any longer."""
    before = element.previous_sibling
    begin = source.start(before) if isinstance(before, turbohtml.Element) else None
    if not isinstance(before, turbohtml.Element) or begin is None or in_foreign(element):
        return False
    return before.tag in _OPTIONAL and written(source, before, begin, start)


def ends_rightly(source: Source, element: turbohtml.Element) -> bool:
    """Whether what stands at an unclosed element's end can be what ended it."""
    node: turbohtml.Node = element
    while isinstance(node, turbohtml.Element):
        if node.next_sibling is not None:
            return node.tag in _OPTIONAL
        parent = node.parent
        if isinstance(parent, turbohtml.Element) and source.end_tag(parent) is not None:
            return parent.tag not in FORMATTING
        if parent is None or isinstance(parent, turbohtml.Document):
            return True
        node = parent
    return False


def in_foreign(element: turbohtml.Element) -> bool:
    """HTML reads what is left open in SVG and MathML in ways of its own."""
    if element.namespace is not _HTML:
        return True
    return any(node.namespace is not _HTML for node in element.ancestors if isinstance(node, turbohtml.Element))


def closable(element: turbohtml.Element, at: Place) -> bool:
    """Whether end tags can be written for all that is left open in it, and before it."""
    if not at.closed and (element.tag in ("template", "form") or element.tag in TEXT_ONLY):
        return False  # a form without end tag goes on for ever, and one in a table ends at once
    return not any(tag == "template" or tag in TEXT_ONLY for tag in (*at.unclosed_inside, *at.unclosed_before))
