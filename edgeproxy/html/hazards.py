"""Whether an element's offsets can be trusted, judged from what stands around it.

Here: ``judge``: cheap looks at the element, its neighbours and its own source.  It never trusts wrongly, and it
trusts nearly everything on real pages; what it doubts goes to ``trial``, which tries.  Not here: offsets (``locate``).
Called by ``plan``.

Theory.  HTML's parser is a machine that reads from left to right.  Cutting ``[start, end)`` removes exactly the
element when the machine is in the same state at ``end`` as it was at ``start``.  Its state is: the stack of open
elements, the list of active formatting elements, the form pointer, the insertion mode (which follows from the stack
but for the ends of head and body), and the tokenizer's.  So an element is trusted when

- its subtree, written tag by tag as in the source, *is* the source between ``start`` and ``end``: no tag in there was
  ignored, moved, copied or made up, and nothing from elsewhere came in (``Source`` keeps every tag's own bytes);
- it stands where the tree says: inside its parent's tags, before ``</body>``, not thrown out of a table, not the tag
  that makes HTML begin a ``<body>`` or ``<tbody>`` of its own, and what is still open before it is known by name;
- no formatting element without end tag leaks out of it or into it, and no form without end tag;
- the text before it does not end in half a tag or half a character reference that what follows would complete.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.entities import html5

import turbohtml

from edgeproxy.html.locate import TEXT_ONLY, Place, Source, outlives
from edgeproxy.html.scan import NEWLINE_EATERS, VOID

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
TEMPLATE = "it stands inside <template>"

REASONS = {COPY, NO_TAG, NO_END, MISPLACED, BEHIND_BODY, OUT_OF_TABLE, MIXED, BEGINS_PARENT, LEAKS, OPEN_FORM, FRAMES}
REASONS |= {HALF, NEWLINE, ALWAYS_THERE, MERGED, SPREADS, MIRRORED, TEMPLATE}
"""Every sentence that ``Element.trouble`` and its like can hold, ``trial``'s aside."""

FORMATTING = frozenset(
    ("a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u")
)
"""Elements that HTML opens again where their end tag is missing (HTML, 13.2.4.3)."""

_WALLS = frozenset(("applet", "caption", "marquee", "object", "td", "template", "th"))
"""Elements past which no formatting element is opened again."""

_TABLE_PARTS = frozenset(("table", "tbody", "tfoot", "thead", "tr", "colgroup"))

# start tags that do not open formatting elements again (HTML, 13.2.6.4.7); more than that list says is safe here
_QUIET = (
    VOID - frozenset(("area", "br", "embed", "img", "input", "keygen", "wbr"))
    | (TEXT_ONLY - {"xmp"})
    | _TABLE_PARTS
    | frozenset(("address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "dir"))
    | frozenset(("div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "frameset", "h1", "h2", "h3"))
    | frozenset(("h4", "h5", "h6", "head", "header", "hgroup", "html", "li", "listing", "main", "menu", "nav", "ol"))
    | frozenset(("optgroup", "option", "p", "pre", "rb", "rp", "rt", "rtc", "search", "section", "select", "summary"))
    | frozenset(("ul", "caption", "td", "th", "template"))
)

# elements that a following start tag ends (HTML, 13.1.2.4), and the ones that the parser ends besides
_OPTIONAL = frozenset(("caption", "colgroup", "dd", "dt", "head", "li", "optgroup", "option", "p", "rb", "rp", "rt"))
_OPTIONAL |= frozenset(
    ("rtc", "tbody", "td", "tfoot", "th", "thead", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "button")
)

_NO_REOPENING = _TABLE_PARTS | frozenset(("html", "head", "select", "optgroup", "option"))
_LOOK_BACK = 400  # nodes
_HTML = turbohtml.Namespace.HTML
_NEWLINES = (b"\r", b"\n")

_TABLE_BODY = re.compile(r"</?tbody>")
_DROPPED_NEWLINE = re.compile(r"(<(?:pre|listing|textarea)(?:\s[^>]*)?>)\n", re.IGNORECASE)
_BODY_END = re.compile(r"</(?:body|html)[\s/>]", re.IGNORECASE)
_HALF_REFERENCE = re.compile(r"&(?:#[xX]?[0-9a-fA-F]*|[0-9A-Za-z]*)$")
_LONGEST_REFERENCE = max(map(len, html5)) + 1


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


def judge(source: Source, element: turbohtml.Element, at: Place, *, children: bool) -> Judgement:
    """Judge an element with a start tag; ``children``: whether its children will be cut or moved about."""
    html = element.namespace is _HTML
    if html and element.tag in ("html", "frameset", "frame"):
        reason = ALWAYS_THERE if element.tag == "html" else FRAMES
        return Judgement(outer=reason, inner=reason, children=reason, tag=_tag(source, element, at))
    reason = "" if source.body_element is not None else FRAMES
    end = at.end
    if end is None or end < at.start_tag_end or not _closable(element, at):
        reason = reason or NO_END
    if reason or end is None:
        return Judgement(outer=reason, inner=reason, children=reason, tag=_tag(source, element, at))
    text_only = html and element.tag in TEXT_ONLY
    nested = text_only or _written(source, element, at.start, end, closed=not at.unclosed_inside)
    if nested and (at.unclosed_inside or not at.closed):
        nested = not _in_foreign(element) and (at.closed or _ends_rightly(source, element))
    doubts = [] if nested and not outlives(source, element) else [MIXED]
    outer = inner = ""
    if html and element.tag in ("head", "body"):
        outer = ALWAYS_THERE
    else:
        doubts += _surroundings(source, element, at, end)
        outer = _seam(source, element, at, end)
    reopens = tuple(leaks(source, element.previous_sibling, element.parent))
    if at.inner_end is not None and not text_only:
        inner = HALF if _half(source.text, at.inner_end) else ""
        if element.tag == "body" and _BODY_END.search(source.text, _behind(source, element, inside=True), at.inner_end):
            inner = BEHIND_BODY
        reopens += tuple(leaks(source, _last(element), element, stop=element))
    if html and element.tag in FORMATTING and not at.closed:
        reopens += (element.tag,)
    if reopens:
        doubts.append(LEAKS)
    form = source.last_form(element)
    if form is not None and source.end_tag(form) is None:
        doubts.append(OPEN_FORM)
    if source.open_form is not None and source.open_form < end:
        around = (_start(source, node) for node in element.ancestors if isinstance(node, turbohtml.Element))
        if source.open_form not in around:
            reopens += ("form",)
    cut = (_children(source, element, at.start, end) if nested else MIXED) if children else ""
    return Judgement(tuple(doubts), outer, inner, cut, _tag(source, element, at), reopens)


def children_of_implied(source: Source, element: turbohtml.Element, start: int, end: int) -> str:
    """Why the children of an element without tags of its own, from ``start`` to ``end``, may not be moved about."""
    written = element.to_source().removeprefix(f"<{element.tag}>").removesuffix(f"</{element.tag}>")
    if not _same(written, source.text[start:end]):
        return MIXED
    return _children(source, element, start - 1, end)


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
            last = _last(node)
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


def _last(element: turbohtml.Element) -> turbohtml.Node | None:
    children = element.children
    return children[-1] if children else None


def _start(source: Source, element: turbohtml.Element) -> int | None:
    location = source.location(element)
    return location.start_tag.start_offset if location is not None else None


def _written(source: Source, element: turbohtml.Element, start: int, end: int, *, closed: bool = True) -> bool:
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
    return _same(written, there)


def _same(written: str, there: str) -> bool:
    if written == there:
        return True
    written, there = (turbohtml.unescape(text.replace("&lt;", "\1")) for text in (written, there))
    if written == there:
        return True
    if "<tbody>" in written:
        written, there = _TABLE_BODY.sub("", written), _TABLE_BODY.sub("", there)
    return written == _DROPPED_NEWLINE.sub(r"\1", there)


def _surroundings(source: Source, element: turbohtml.Element, at: Place, end: int) -> Iterator[str]:
    mirror = source.document.select_one("selectedcontent")
    if mirror is not None and any(
        isinstance(node, turbohtml.Element) and node.tag == "select" for node in element.ancestors
    ):
        yield MIRRORED
    parent = element.parent
    if isinstance(parent, turbohtml.Element):
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
        yield from _in_table(source, element, at, end)
    if at.unclosed_before and not _open_till(source, element, at.start):
        yield MIXED


def _behind(source: Source, element: turbohtml.Element, *, inside: bool) -> int:
    """Where the last tag before an element (or before its end) ended that left something in the tree; 0: unknown."""
    node = _last(element) if inside else element.previous_sibling
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


def _holds_frames_off(source: Source, end: int) -> bool:
    """Whether a stray ``<frameset>`` behind the element might take the page over if the element were not there.

    A ``<body>`` tag forbids that (HTML, 13.2.6.4.6, "frameset-ok"); where it is left out, the content does.
    """
    if source.body_element is not None and source.location(source.body_element) is not None:
        return False
    return b"<frameset" in source.body[end:].lower()


def _in_table(source: Source, element: turbohtml.Element, at: Place, end: int) -> Iterator[str]:
    """What stands in a table but not in a cell is moved before the table; whatever is left open there stays open."""
    above = [node for node in element.ancestors if isinstance(node, turbohtml.Element)]
    starts = {_start(source, node) for node in above}
    if any(start < at.start < stop and start not in starts for start, stop in source.tables):
        yield OUT_OF_TABLE
    if above[0].tag not in _TABLE_PARTS:
        return
    text = source.text
    before = "" if at.unclosed_before else text[text.rfind(">", 0, at.start) + 1 : at.start]
    if before.strip() or text[end : text.find("<", end)].strip():
        yield OUT_OF_TABLE  # blank text next to other text goes where that goes
    table = next((node for node in above if node.tag == "table"), None)
    begin = _start(source, table) if table is not None else None
    node = table.previous_sibling if table is not None else None
    while node is not None and not isinstance(node, turbohtml.Element):
        node = node.previous_sibling
    if begin is None or (node is not None and (_start(source, node) or begin) >= begin):
        yield OUT_OF_TABLE


def _open_till(source: Source, element: turbohtml.Element, start: int) -> bool:
    """Whether the element before is open till this one's start tag ends it, and not any longer."""
    before = element.previous_sibling
    begin = _start(source, before) if isinstance(before, turbohtml.Element) else None
    if not isinstance(before, turbohtml.Element) or begin is None or _in_foreign(element):
        return False
    return before.tag in _OPTIONAL and _written(source, before, begin, start)


def _ends_rightly(source: Source, element: turbohtml.Element) -> bool:
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


def _in_foreign(element: turbohtml.Element) -> bool:
    """HTML reads what is left open in SVG and MathML in ways of its own."""
    if element.namespace is not _HTML:
        return True
    return any(node.namespace is not _HTML for node in element.ancestors if isinstance(node, turbohtml.Element))


def _closable(element: turbohtml.Element, at: Place) -> bool:
    """Whether end tags can be written for all that is left open in it, and before it."""
    if not at.closed and (element.tag in ("template", "form") or element.tag in TEXT_ONLY):
        return False  # a form without end tag goes on for ever, and one in a table ends at once
    return not any(tag == "template" or tag in TEXT_ONLY for tag in (*at.unclosed_inside, *at.unclosed_before))


def _seam(source: Source, element: turbohtml.Element, at: Place, end: int) -> str:
    """What would grow together, wrongly, where the element is cut out or something is put beside it."""
    if _BODY_END.search(source.text, _behind(source, element, inside=False), at.start):
        return BEHIND_BODY
    if _half(source.text, at.start) or (not at.closed and _half(source.text, end)):
        return HALF
    parent = element.parent
    if isinstance(parent, turbohtml.Element) and parent.tag in NEWLINE_EATERS and element.previous_sibling is None:
        around = source.location(parent)
        if around is not None and around.start_tag.end_offset == at.start and source.body[end : end + 1] in _NEWLINES:
            return NEWLINE
    return ""


def _half(text: str, at: int) -> bool:
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


def _children(source: Source, element: turbohtml.Element, start: int, end: int) -> str:
    for child in element.children:
        if not isinstance(child, turbohtml.Element):
            continue
        begin = _start(source, child)
        if begin is None:
            return NO_TAG
        if _half(source.text, begin):
            return HALF
        if source.end_tag(child) is None and child.tag not in VOID:
            if child.namespace is not _HTML:
                continue
            if child.tag in FORMATTING:
                return LEAKS
            if not _ends_rightly(source, child):
                return MIXED
        if child.children and child.tag not in TEXT_ONLY and any(leaks(source, _last(child), child, stop=child)):
            return LEAKS
    form = source.last_form(element)
    if form is not None and source.end_tag(form) is None:
        return OPEN_FORM
    if element.tag in NEWLINE_EATERS and element.children and isinstance(element.children[0], turbohtml.Element):
        return NEWLINE
    return ""


def _tag(source: Source, element: turbohtml.Element, at: Place) -> str:
    location = source.location(element)
    if location is not None and element.tag in ("html", "body") and len(element.attrs) != len(location.attrs):
        return MERGED
    if element.tag in FORMATTING and not at.closed and element.namespace is _HTML:
        return SPREADS
    return ""
