"""One matched element, described: everything that ``Element`` says.

Here: ``Survey``, for one page; it puts together offsets (``locate``), what can be trusted (``hazards``, ``trial``),
hydration, attributes and children.  Called by ``plan``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import turbohtml

from edgeproxy.html import guards, hazards, hydration, locate
from edgeproxy.html.locate import Place, Source
from edgeproxy.html.model import Charset, Child, Element
from edgeproxy.html.reopening import FORMATTING
from edgeproxy.html.trial import TOO_MANY, Trial

_HTML = turbohtml.Namespace.HTML
_PLAIN = re.compile(r"""[^\s=&\0]+(?:=(?:"([^"&\r\0]*)"|'([^'&\r\0]*)'|([^\s"'&>\0]+)))?""")
_IMPLIED = frozenset(("html", "head", "body", "tbody", "tr", "colgroup"))


class Survey:
    """Describes elements of one page; trials, where they are needed, share one budget."""

    def __init__(self, source: Source, charset: Charset) -> None:
        self.source = source
        self.charset = charset
        self._parts = hydration.Parts(hydration.detect(source))
        self.framework = self._parts.hydration.framework
        self._codec = "cp1252" if charset.source == "default" else charset.codec
        self._trial: Trial | None = None

    def describe(self, element: turbohtml.Element, selectors: Mapping[str, str | None] | None) -> Element:
        """Describe an element; ``selectors`` (as written → for this charset, None: matches nothing) ask for children.

        Raises ``Unplannable`` where a guard holds.
        """
        above = [node for node in element.ancestors if isinstance(node, turbohtml.Element)]
        above.reverse()
        guards.element(above, self.source.location(element))
        inside, holds, framework = self._parts.part(element, above)
        self.framework = self.framework or framework
        ancestors = tuple(node.tag for node in above)
        foreign = element.namespace is not _HTML
        children = self._children(element, selectors) if selectors is not None else ()
        at = locate.place(self.source, element)
        bom = self.charset.bom
        if at is None:
            return self._implied(element, ancestors, children, inside, holds)
        judged = hazards.judge(self.source, element, at, above, children=selectors is not None)
        outer, trouble = judged.outer, judged.inner
        if judged.doubts and not trouble:
            outer, trouble = self._try(element, at, judged.doubts[0], outer)
        end = at.end if at.end is not None else at.start_tag_end
        return Element(
            tag=element.tag,
            start=at.start + bom,
            end=end + bom,
            start_tag_end=at.start_tag_end + bom,
            inner_start=at.inner_start + bom if at.inner_start is not None else None,
            inner_end=at.inner_end + bom if at.inner_end is not None else None,
            closed=at.closed,
            raw_text=not foreign and element.tag in locate.TEXT_ONLY,
            attributes=self._attributes(element),
            ancestors=ancestors,
            children=children,
            hydrated=inside,
            trouble=trouble,
            unclosed_before=at.unclosed_before,
            unclosed_inside=at.unclosed_inside,
            reopens=judged.reopens,
            hydrates=holds,
            outer_trouble=outer,
            children_trouble=judged.children,
            tag_trouble=judged.tag,
            foreign=foreign,
        )

    def pending(self, element: turbohtml.Element, why: str) -> Element:
        """An element with a start tag, of which nothing but that tag is looked at: the rest has the trouble ``why``."""
        location = self.source.location(element)
        assert location is not None
        above = [node for node in element.ancestors if isinstance(node, turbohtml.Element)]
        above.reverse()
        guards.element(above, location)
        inside, holds, framework = self._parts.part(element, above)
        self.framework = self.framework or framework
        bom = self.charset.bom
        opened, end = location.start_tag.end_offset + bom, len(self.source.text) + bom
        foreign = element.namespace is not _HTML
        return Element(
            tag=element.tag,
            start=location.start_tag.start_offset + bom,
            end=end,
            start_tag_end=opened,
            inner_start=opened,
            inner_end=end,
            closed=False,
            raw_text=not foreign and element.tag in locate.TEXT_ONLY,
            attributes=self._attributes(element),
            ancestors=tuple(node.tag for node in above),
            hydrated=inside,
            hydrates=holds,
            trouble=why,
            outer_trouble=why,
            children_trouble=why,
            tag_trouble=hazards.tag_trouble(self.source, element),
            foreign=foreign,
        )

    def _implied(
        self,
        element: turbohtml.Element,
        ancestors: tuple[str, ...],
        children: tuple[Child, ...],
        inside: bool,
        holds: bool,
    ) -> Element:
        """An element without a start tag: its children may still be cut or moved about."""
        bom = self.charset.bom
        start = children[0].start if children else 0
        end = children[-1].end if children else start
        trouble = "" if element.tag in _IMPLIED and children else hazards.NO_TAG
        if element.tag in FORMATTING:
            trouble = hazards.COPY
        elif element.tag == "html":
            trouble = hazards.ALWAYS_THERE
        return Element(
            tag=element.tag,
            start=start,
            end=end,
            start_tag_end=start,
            inner_start=start,
            inner_end=end,
            closed=False,
            raw_text=False,
            attributes={},
            ancestors=ancestors,
            children=children,
            hydrated=inside,
            implied=True,
            trouble=trouble,
            hydrates=holds,
            outer_trouble=hazards.NO_TAG,
            children_trouble=trouble or hazards.children_of_implied(self.source, element, start - bom, end - bom),
            tag_trouble=hazards.NO_TAG,
        )

    def _try(self, element: turbohtml.Element, at: Place, doubt: str, outer: str) -> tuple[str, str]:
        """(why its outside, why its inside may not be edited), after a trial."""
        if doubt == hazards.MIRRORED:
            return doubt, doubt
        self._trial = self._trial or Trial(self.source)
        stands = self._trial.stands(element, at)
        if stands is None:
            return outer or TOO_MANY, TOO_MANY
        outside, inside = stands
        if not outside and not outer:
            outer = doubt
        return outer, "" if inside else doubt

    def _children(self, element: turbohtml.Element, selectors: Mapping[str, str | None]) -> tuple[Child, ...]:
        found: list[Child] = []
        bom = self.charset.bom
        for child in element.children:
            at = locate.place(self.source, child) if isinstance(child, turbohtml.Element) else None
            if at is None or at.end is None or not isinstance(child, turbohtml.Element):
                continue
            matches = frozenset(
                written for written, compiled in selectors.items() if compiled is not None and child.matches(compiled)
            )
            unclosed = locate.unclosed(self.source, child)
            found.append(Child(at.start + bom, at.end + bom, not unclosed, matches, unclosed))
        return tuple(found)

    def _attributes(self, element: turbohtml.Element) -> dict[str, tuple[int, int, str]]:
        location = self.source.location(element)
        if location is None or not location.attrs:
            return {}
        bom = self.charset.bom
        return {
            name: (span.start_offset + bom, span.end_offset + bom, self._value(span.start_offset, span.end_offset))
            for name, span in location.attrs.items()
        }

    def _value(self, start: int, end: int) -> str:
        """An attribute's value in characters: its bytes decoded first, references after."""
        text = self.source.body[start:end].decode(self._codec, "replace")
        plain = _PLAIN.fullmatch(text)
        if plain is not None:
            return plain[1] or plain[2] or plain[3] or ""
        tag = turbohtml.parse_fragment(f"<p {text}>").children[0]
        assert isinstance(tag, turbohtml.Element)
        return tag.attr(next(iter(tag.attrs))) or ""
