"""Where the slots are in one page's bytes: guards, one parse, one plan.

Here: ``plan``, pure.  Not here: how ranges are found (``locate``), what goes there (``edits``, ``place``,
``render``).  Called by ``personalise`` and by whoever keeps plans of cached pages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import turbohtml

from edgeproxy.core.model import Expect, Slot
from edgeproxy.html import locate, selectors
from edgeproxy.html.model import Charset, PagePlan, SlotPlace

_NO_CHILDREN: Mapping[str, Collection[str]] = {}


def plan(
    body: bytes,
    charset: Charset,
    slots: Sequence[Slot],
    *,
    children: Mapping[str, Collection[str]] = _NO_CHILDREN,
    csp: str | None = None,
) -> PagePlan:
    """Find ``slots`` in ``body``.

    ``children`` names the slots whose elements' children are wanted, since some ``keep_first`` or ``reorder``
    of the book edits them, and the selectors of those ``reorder`` actions: ``{"product-grid": ("#sale", ".new")}``;
    an empty collection asks for the children alone.  Each ``Child.matches`` holds those of the selectors, as
    written, that the child matches.  Other slots' elements have ``children == ()``.

    ``csp`` is the response's Content-Security-Policy, several header lines joined by ", "; None: it has none.

    Raises ``Unplannable`` with a sentence where the page as a whole must be left alone.
    """
    document = locate.parse(body, charset.bom)
    length = len(body) - charset.bom
    places: dict[str, SlotPlace] = {}
    for slot in slots:
        selector = selectors.compiled(slot.find, charset.codec)
        found = document.select(selector) if selector is not None else []
        trouble = ""
        if slot.expect is Expect.ONE and len(found) != 1:
            trouble = f'"{slot.find}" matches {len(found)} elements, expected one'
        wanted = children.get(slot.name)
        asked = None if wanted is None else {w: selectors.compiled(w, charset.codec) for w in wanted}
        elements = () if trouble else tuple(locate.locate(e, charset, length, asked) for e in found)
        places[slot.name] = SlotPlace(slot, len(found), elements, trouble)
    return PagePlan(
        charset, places, _end_of(document, "head", charset.bom), _end_of(document, "body", charset.bom), None, None
    )


def _end_of(document: turbohtml.Document, tag: str, bom: int) -> int | None:
    for element in document.select(tag):
        location = element.source_location
        if location is not None and location.end_tag is not None:
            return location.end_tag[2] + bom
    return None
