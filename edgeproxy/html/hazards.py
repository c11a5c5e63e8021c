"""Whether an element's offsets can be trusted, judged from what stands around it.

Here: ``judge``: cheap looks at the element, its neighbours and its own source.  It never trusts wrongly, and it
trusts nearly everything on real pages; what it doubts goes to ``trial``, which tries.  Not here: offsets
(``locate``).  Called by ``survey``.

Theory.  HTML's parser is a machine that reads from left to right.  Cutting ``[start, end)`` removes exactly the
element when the machine is in the same state at ``end`` as it was at ``start``.  Its state is: the stack of open
elements, the list of active formatting elements, the form pointer, the insertion mode (which follows from the stack
but for the ends of head and body), and the tokenizer's.  So an element is trusted when

- nothing gets in or out between its two tags; or its subtree, written tag by tag as in the source, *is* the source
  between ``start`` and ``end``: no tag in there was ignored, moved, copied or made up (``nesting``);
- it stands where the tree says: inside its parent's tags, before ``</body>``, not thrown out of a table, not the tag
  that makes HTML begin a ``<body>`` or ``<tbody>`` of its own, and what is still open before it is known by name;
- no formatting element without end tag leaks out of it or into it (``reopening``), and no form without end tag;
- the text before it does not end in half a tag or half a character reference that what follows would complete
  (``seams``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import turbohtml

from edgeproxy.html.locate import TEXT_ONLY, Place, Source, last_child, outlives
from edgeproxy.html.nesting import closable, ends_rightly, in_foreign, open_till, same, sealed, written
from edgeproxy.html.reopening import FORMATTING, TABLE_PARTS, leaks
from edgeproxy.html.scan import NEWLINE_EATERS, VOID
from edgeproxy.html.seams import behind_body, half

# the listed reasons
COPY = "HTML makes it as a copy of an unclosed element"
NO_TAG = "it has no start tag of its own"
NO_END = "it is not clear where it ends"
MISPLACED = "its tags do not stand inside its parent's"
BEHIND_BODY = "it stands behind </body>"
OUT_OF_TABLE = "HTML moves it out of the table that it stands in"
MIXED = "its tags and those of other elements are not nested"
BEGINS_PARENT = "HTML begins its parent with it"
LEAKS = "a formatting element without end tag reaches in or out of it"
OPEN_FORM = "it has a form without end tag"
FRAMES = "the page is made of frames"
HALF = "the text before it ends in half a tag or half a character reference"
NEWLINE = "HTML would drop the newline behind it"
ALWAYS_THERE = "HTML makes it again when it is missing"
MERGED = "another tag gives it more attributes"
SPREADS = "HTML may copy its tag"
MIRRORED = "browsers fill it themselves"

REASONS = {COPY, NO_TAG, NO_END, MISPLACED, BEHIND_BODY, OUT_OF_TABLE, MIXED, BEGINS_PARENT, LEAKS, OPEN_FORM, FRAMES}
REASONS |= {HALF, NEWLINE, ALWAYS_THERE, MERGED, SPREADS, MIRRORED}
"""Every sentence that ``Element.trouble`` and its like can hold, ``trial``'s aside."""

_HTML: Final = turbohtml.Namespace.HTML
_NEWLINES: Final = (b"\r", b"\n")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is doubtful about one element, and what is certain.

    ``doubts`` are reasons that a trial may dispel.  ``outer``, ``inner``, ``children`` and ``tag`` are certain: why it
    may not be cut out and nothing may stand beside it, why its inside may not change, why its children may not be
    cut or moved about, why its start tag may not change.  ``reopens`` as in ``Element``.
    """

    doubts: tuple[str, ...] = ()
    outer: str = ""
    inner: str = ""
    children: str = ""
    tag: str = ""
    reopens: tuple[str, ...] = ()


def judge(
    source: Source, element: turbohtml.Element, at: Place, above: Sequence[turbohtml.Element], *, children: bool
) -> Judgement:
    """Judge an element with a start tag; ``above``: its ancestors, outermost first; ``children``: whether its own will
    be cut or moved about."""
    html = element.namespace is _HTML
    if html and element.tag in ("html", "frameset", "frame"):
        reason = ALWAYS_THERE if element.tag == "html" else FRAMES
        return Judgement(outer=reason, inner=reason, children=reason, tag=tag_trouble(source, element))
    reason = "" if source.body_element is not None else FRAMES
    end = at.end
    if end is None or end < at.start_tag_end or not closable(element, at):
        reason = reason or NO_END
    if reason or end is None:
        return Judgement(outer=reason, inner=reason, children=reason, tag=tag_trouble(source, element))
    text_only = html and element.tag in TEXT_ONLY
    reopens = tuple(leaks(source, element.previous_sibling, element.parent))
    if at.inner_end is not None and not text_only:
        reopens += tuple(leaks(source, last_child(element), element, stop=element))
    nested = text_only or (not children and not reopens and sealed(source, element, at, end, above))
    nested = nested or written(source, element, at.start, end, closed=not at.unclosed_inside)
    if nested and (at.unclosed_inside or not at.closed):
        nested = not in_foreign(element) and (at.closed or ends_rightly(source, element))
    doubts = [] if nested and not outlives(source, element) else [MIXED]
    outer = inner = ""
    if html and element.tag in ("head", "body"):
        outer = ALWAYS_THERE
    else:
        doubts += _surroundings(source, element, at, above, end)
        outer = _seam(source, element, at, end)
    if at.inner_end is not None and not text_only:
        inner = HALF if half(source.text, at.inner_end) else ""
        if not inner and behind_body(source, element, at.inner_end, inside=True):
            inner = BEHIND_BODY
    if html and element.tag in FORMATTING and not at.closed:
        reopens += (element.tag,)
    if reopens:
        doubts.append(LEAKS)
    if _open_form(source, at.start, end):
        doubts.append(OPEN_FORM)
    form = source.open_form
    if form is not None and form < end and form not in (source.start(node) for node in above):
        reopens += ("form",)
    cut = (_children(source, element, at.start, end) if nested else MIXED) if children else ""
    return Judgement(tuple(doubts), outer, inner, cut, tag_trouble(source, element), reopens)


def children_of_implied(source: Source, element: turbohtml.Element, start: int, end: int) -> str:
    """Why the children of an element without tags of its own, from ``start`` to ``end``, may not be moved about."""
    written = element.to_source().removeprefix(f"<{element.tag}>").removesuffix(f"</{element.tag}>")
    if not same(written, source.text[start:end]):
        return MIXED
    return _children(source, element, start - 1, end)


def _surroundings(
    source: Source, element: turbohtml.Element, at: Place, above: Sequence[turbohtml.Element], end: int
) -> Iterator[str]:
    if source.has_mirror and any(node.tag == "select" for node in above):
        yield MIRRORED
    if above:
        parent = above[-1]
        around = source.location(parent)
        if around is None:
            if parent.tag in FORMATTING:
                yield LEAKS
            elif element.previous_sibling is None:
                yield BEGINS_PARENT
        else:
            closing = around.end_tag
            if at.start < around.start_tag.end_offset or (closing is not None and end > closing.start_offset):
                yield MISPLACED
    if _holds_frames_off(source, end):
        yield FRAMES
    if any(start < at.start < stop for start, stop in source.tables):
        yield from _in_table(source, at, above, end)
    if at.unclosed_before and not open_till(source, element, at.start):
        yield MIXED


def _holds_frames_off(source: Source, end: int) -> bool:
    """Whether a stray ``<frameset>`` behind the element might take the page over if the element were not there.

    A ``<body>`` tag forbids that (HTML, 13.2.6.4.6, "frameset-ok"); where it is left out, the content does.
    """
    return not source.has_body_tag and b"<frameset" in source.body[end:].lower()


def _in_table(source: Source, at: Place, above: Sequence[turbohtml.Element], end: int) -> Iterator[str]:
    """What stands in a table but not in a cell is moved before the table; whatever is left open there stays open."""
    starts = {source.start(node) for node in above}
    if any(start < at.start < stop and start not in starts for start, stop in source.tables):
        yield OUT_OF_TABLE
    if above[-1].tag not in TABLE_PARTS:
        return
    text = source.text
    before = "" if at.unclosed_before else text[text.rfind(">", 0, at.start) + 1 : at.start]
    if before.strip() or text[end : text.find("<", end)].strip():
        yield OUT_OF_TABLE  # blank text next to other text goes where that goes
    table = next((node for node in reversed(above) if node.tag == "table"), None)
    begin = source.start(table) if table is not None else None
    node = table.previous_sibling if table is not None else None
    while node is not None and not isinstance(node, turbohtml.Element):
        node = node.previous_sibling
    if begin is None or (node is not None and (source.start(node) or begin) >= begin):
        yield OUT_OF_TABLE


def _seam(source: Source, element: turbohtml.Element, at: Place, end: int) -> str:
    """What would grow together, wrongly, where the element is cut out or something is put beside it."""
    if behind_body(source, element, at.start, inside=False):
        return BEHIND_BODY
    if half(source.text, at.start) or (not at.closed and half(source.text, end)):
        return HALF
    parent = element.parent
    if isinstance(parent, turbohtml.Element) and parent.tag in NEWLINE_EATERS and element.previous_sibling is None:
        around = source.location(parent)
        if around is not None and around.start_tag.end_offset == at.start and source.body[end : end + 1] in _NEWLINES:
            return NEWLINE
    return ""


def _children(source: Source, element: turbohtml.Element, start: int, end: int) -> str:
    for child in element.children:
        if not isinstance(child, turbohtml.Element):
            continue
        begin = source.start(child)
        if begin is None:
            return NO_TAG
        if half(source.text, begin):
            return HALF
        if source.end_tag(child) is None and child.tag not in VOID:
            if child.namespace is not _HTML:
                continue
            if child.tag in FORMATTING:
                return LEAKS
            if not ends_rightly(source, child):
                return MIXED
        if child.children and child.tag not in TEXT_ONLY and any(leaks(source, last_child(child), child, stop=child)):
            return LEAKS
    if _open_form(source, start, end):
        return OPEN_FORM
    if element.tag in NEWLINE_EATERS and element.children and isinstance(element.children[0], turbohtml.Element):
        return NEWLINE
    return ""


def _open_form(source: Source, start: int, end: int) -> bool:
    """Whether a form begins between two offsets that has no end tag: only the last one can."""
    form = source.form_before(end)
    return form is not None and source.end_tag(form) is None and (source.start(form) or 0) >= start


def tag_trouble(source: Source, element: turbohtml.Element) -> str:
    """Why an element's start tag may not change, whatever else is to be done there; "" when it may."""
    location = source.location(element)
    if location is not None and element.tag in ("html", "body") and len(element.attrs) != len(location.attrs):
        return MERGED
    open_ = location is None or location.end_tag is None
    if element.tag in FORMATTING and open_ and element.namespace is _HTML:
        return SPREADS
    return ""
