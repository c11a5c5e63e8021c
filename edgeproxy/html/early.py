"""What is settled of a page that is still coming: the bytes that no continuation can change any more.

Here: ``settled``, pure: from the part that has come, an offset, and where slots stand before it; ``waiting``, which
says of rules alone what will have to wait.  Not here: when that is asked, and what is sent (``early`` of the package).

Theory.  HTML is read from left to right, so most of a page is what it is as soon as it has been read.  What can still
reach back is known, and nothing behind the first of it is settled:

- a slot that expects one match, an experience that says ``whole``: both are judged at the end, so all is settled
  before the first place that they could touch, and nothing behind it.  Two matches of the former are judged, too;
- a matched element that is not closed yet: what is inside it (or, for verbs beside and instead of it, itself) waits
  for its end tag.  Its start tag does not;
- the parser's own ways back: unclosed formatting elements (the adoption agency moves what stands in them), open tables
  (what does not belong there is moved before them), forms left open, ``</body>`` with more behind it;
- a ``<body>`` tag that has not come: till then head can grow, and frames can take the page over;
- a framework that will hydrate the page and says so only at its end: signs of one are looked for, and edits that it
  would undo wait.

A selector that looks at what follows (``:last-child``, ``:has()``…) settles nothing, nor does a slot whose owner
allows the round trip.  Two things can come true afterwards all the same, and are left to the caller, who compares in
the end: a second ``<html>`` or ``<body>`` tag that gives the first one what a selector looks for, and a page that no
sign announced as hydrated.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import turbohtml

from edgeproxy.core.model import Decision, Edit, Expect, Slot
from edgeproxy.html import csp as policy
from edgeproxy.html import guards, hydration, margins, selectors
from edgeproxy.html.locate import Source
from edgeproxy.html.model import Charset, Element, PagePlan, SlotPlace
from edgeproxy.html.plan import matching, unexpected
from edgeproxy.html.reopening import FORMATTING
from edgeproxy.html.scan import VOID
from edgeproxy.html.survey import Survey
from edgeproxy.html.verb import Verb, Zone

_HTML: Final = turbohtml.Namespace.HTML
_LEAVING: Final = re.compile(r"</(?:body|html)", re.IGNORECASE)
_INSIDE: Final = (Zone.TAG, Zone.ENDS, Zone.CONTENT, Zone.CHILDREN)
_PENDING: Final = "its end has not come yet"

# What of a selector is no pseudo-class: strings, escapes, attribute conditions.
_LITERAL: Final = re.compile(r"\\[0-9a-fA-F]{1,6}\s?|\\.|\"[^\"]*\"|'[^']*'|\[[^\]]*\]", re.DOTALL)
_PSEUDO: Final = re.compile(r":([\w-]*)|(\|\|)")
_BACKWARD: Final = frozenset(("is", "where", "not", "root", "first-child", "first-of-type", "nth-child", "nth-of-type"))
"""Pseudo-classes that an element's ancestors and the siblings before it decide."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The first ``offset`` bytes of the page are settled, and so is every splice of ``page`` that ends there."""

    offset: int
    page: PagePlan


def looks_ahead(selector: str) -> bool:
    """Whether what a selector matches can depend on what comes behind an element's start tag."""
    bare = _LITERAL.sub("x", selector)
    return any(ahead or name not in _BACKWARD for name, ahead in _PSEUDO.findall(bare))


def waiting(decision: Decision, slots: Iterable[Slot]) -> str:
    """What of these rules keeps back a page that comes slowly, in a sentence; "" where nothing does."""
    first: list[str] = []
    edited = _edits(decision)
    for slot in slots:
        if slot.roundtrip:
            return f'nothing of a page leaves before all of it has come: slot "{slot.name}" allows the round trip'
        if looks_ahead(slot.find):
            return f'nothing of a page leaves before all of it has come: "{slot.find}" looks at what follows'
        if slot.expect is Expect.ONE or any(whole for _, whole in edited.get(slot.name, ())):
            first.append(slot.name)
    if not first:
        return ""
    return (
        f"of a page that comes slowly, what follows the first match of {', '.join(first)} waits for the end: "
        "whether one match is all there is, or all of an experience can be made, is known then"
    )


def settled(
    body: bytes,
    charset: Charset,
    slots: Sequence[Slot],
    decision: Decision,
    *,
    children: Mapping[str, Collection[str]],
    csp: str | None = None,
    distrusted: frozenset[str] = frozenset(),
) -> Settled | None:
    """How much of a page whose first bytes are ``body`` is settled for what ``decision`` fits; None: nothing yet.

    ``slots``, ``children`` and ``csp`` as for ``plan``, ``distrusted`` as for ``personalise``.  Raises ``Unplannable``
    where a guard holds already.
    """
    if any(slot.roundtrip or looks_ahead(slot.find) for slot in slots):
        return None
    guards.size(body)
    source = Source(body, charset.bom)
    guards.depth(source.document)
    return _Front(source, charset, decision).settled(
        [slot for slot in slots if slot.name not in distrusted], children, csp
    )


class _Front:
    """How far one page is settled: a line in its text that only moves back while reasons are looked for."""

    def __init__(self, source: Source, charset: Charset, decision: Decision) -> None:
        self.source = source
        self.charset = charset
        self.decision = decision
        self.edits = _edits(decision)
        self.open: list[turbohtml.Element] = []  # what has begun and not ended, outermost first
        self.at = self.firm = self._boundary()
        self.survey = Survey(source, charset)
        self.hydrated = self.survey.framework is not None or hydration.announced(source)

    def settled(
        self, slots: Sequence[Slot], children: Mapping[str, Collection[str]], csp: str | None
    ) -> Settled | None:
        source, bom = self.source, self.charset.bom
        head_end = margins.head_end(source) if source.has_body_tag else None
        styles = self.edits.get(None, ())
        if styles and head_end is None:
            return None
        if any(whole for _, whole in styles):
            self._back(head_end)
        self._back(leaving.start() if (leaving := _LEAVING.search(source.text, 0, self.at)) else None)
        self._left_open()
        self.firm = self.at
        places = self._places(slots, children)
        if self.at <= 0:
            return None
        allowed = policy.read(margins.policies(source, csp))
        page = PagePlan(
            charset=self.charset,
            slots=places,
            head_end=head_end + bom if head_end is not None else None,
            body_end=None,
            nonce=allowed.nonce,
            framework=self.survey.framework,
            inline_styles=allowed.inline_styles,
            style_elements=allowed.style_elements,
        )
        return Settled(self.at + bom, page)

    # ------------------------------------------------------------------ the parser's ways back

    def _back(self, offset: int | None) -> None:
        if offset is not None and offset < self.at:
            self.at = offset

    def _boundary(self) -> int:
        """The end of the last tag that has come whole: what is behind it may be half of something."""
        end, node = 0, cast("turbohtml.Node", self.source.document)
        while True:
            last = next((one for one in reversed(node.children) if isinstance(one, turbohtml.Element)), None)
            if last is None:
                return end
            location = self.source.location(last)
            if location is not None:
                if location.end_tag is not None:
                    return max(end, location.end_tag.end_offset)
                end = max(end, location.start_tag.end_offset)
            self.open.append(last)
            node = last

    def _left_open(self) -> None:
        """Nothing is settled behind what the parser may still move: see the theory above.

        Only what is on its stack can be; that is the last element of the page, the last one in it, and so on.
        """
        for element in self.open:
            html = element.namespace is _HTML
            if html and (element.tag == "table" or element.tag in FORMATTING):
                start = self.source.start(element)
                self._back(self._around(element) if start is None else start)
        for form in self.source.document.select("form"):
            location = self.source.location(form)
            if location is not None and location.end_tag is None and form not in self.open:
                self._back(location.start_tag.start_offset)

    def _around(self, element: turbohtml.Element) -> int:
        """Where the nearest ancestor with a tag of its own begins."""
        for node in element.ancestors:
            start = self.source.start(node) if isinstance(node, turbohtml.Element) else None
            if start is not None:
                return start
        return 0

    # ------------------------------------------------------------------ slots

    def _places(self, slots: Sequence[Slot], children: Mapping[str, Collection[str]]) -> dict[str, SlotPlace]:
        places: dict[str, SlotPlace] = {}
        found: dict[str, list[turbohtml.Element]] = {}
        wanted: dict[turbohtml.Element, list[Verb]] = {}  # by all slots that find it: they are one
        for slot in slots:
            matches = matching(self.survey, slot)
            if isinstance(matches, SlotPlace):
                places[slot.name] = matches
            elif slot.expect is Expect.ONE and len([1 for one in matches if self._before(one)]) > 1:
                places[slot.name] = unexpected(slot, len(matches))  # more can come, fewer not
            elif self._late(slot):
                places[slot.name] = SlotPlace(slot, len(matches), ())
                for element in matches[:1]:
                    start = self.source.start(element)
                    self._back(self._around(element) if start is None else start)
            else:
                found[slot.name] = matches
                for element in matches:
                    wanted.setdefault(element, []).extend(verb for verb, _ in self.edits.get(slot.name, ()))
        ready = {element: self._ready(element, verbs) for element, verbs in wanted.items()}
        for slot in slots:
            asked = children.get(slot.name)
            compiled = None if asked is None else {text: selectors.compiled(text, self.charset) for text in asked}
            if slot.name in found:
                there = [(element, ready[element]) for element in found[slot.name] if ready[element] is not None]
                elements = [self._element(element, bool(whole), compiled) for element, whole in there]
                places[slot.name] = SlotPlace(slot, len(found[slot.name]), tuple(one for one in elements if one))
        return places

    def _before(self, element: turbohtml.Element) -> bool:
        """Whether no way back of the parser's can reach an element any more."""
        start = self.source.start(element)
        return start is not None and start < self.firm

    def _late(self, slot: Slot) -> bool:
        """Whether only the whole page can tell what becomes of a slot's first match."""
        edits = self.edits.get(slot.name, ())
        if slot.expect is Expect.ONE or not self.source.has_body_tag or any(whole for _, whole in edits):
            return True
        return self.hydrated and any(verb.zone is not Zone.TAG for verb, _ in edits)

    def _ready(self, element: turbohtml.Element, verbs: Sequence[Verb]) -> bool | None:
        """True when all of an element is settled as far as can be told, False when its tag is, None for neither."""
        location = self.source.location(element)
        if location is None:
            self._back(self._around(element))
            return None
        start, opened = location.start_tag.start_offset, location.start_tag.end_offset
        if start >= self.at:
            return None
        above = {node.tag for node in element.ancestors if isinstance(node, turbohtml.Element)}
        if element.namespace is not _HTML or "select" in above or element.tag == "select":
            self._back(start)
            return None
        if all(verb.zone is Zone.TAG for verb in verbs):
            return False
        if location.end_tag is not None or element.tag in VOID:
            if (location.end_tag or location.start_tag).end_offset <= self.at:
                return True
            self._back(start)
            return None
        if all(verb.zone in _INSIDE or verb.name == "after" for verb in verbs):
            self._back(opened)
            return False
        self._back(start)
        return None

    def _element(
        self, element: turbohtml.Element, whole: bool, asked: Mapping[str, str | None] | None
    ) -> Element | None:
        """What is settled of an element, described; None where it has some trouble: the whole page is to judge that."""
        described = self.survey.describe(element, asked) if whole else self.survey.pending(element, _PENDING)
        trouble = described.tag_trouble
        if whole:
            trouble = trouble or described.trouble or described.outer_trouble or described.children_trouble
            trouble = trouble or ("form" if "form" in described.reopens else "")
        if trouble:
            self._back(described.start - self.charset.bom)
            return None
        return described


def _edits(decision: Decision) -> dict[str | None, list[tuple[Verb, bool]]]:
    """Slot (None: none) → what fitting experiences do there, and whether they say ``whole``."""
    found: dict[str | None, list[tuple[Verb, bool]]] = {}
    for experience in decision.fitting:
        for edit in experience.edits:
            found.setdefault(edit.slot, []).append((_verb(edit), experience.whole))
    return found


def _verb(edit: Edit) -> Verb:
    return cast("Verb", edit.action)  # opaque to core, made by html.edits
