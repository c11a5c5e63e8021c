"""A second opinion on a plan: does another HTML5 engine see its places where the plan says they are?

Here: ``verify``, pure.  Not here: when and for which pages it runs (``edgeproxy.verification``: off the hot path, in a
thread, since Lexbor cannot be interrupted).  The plan comes from turbohtml, the opinion from selectolax (Lexbor); where
the two read a page differently, a browser may side with either, so the slot is not to be trusted.

For every element: comments written at its offsets must not change the tree but for themselves and must stand where the
offsets claim (before it, first and last in it, behind it), and the page without its bytes must be the page without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser, LexborNode

from edgeproxy.html import guards
from edgeproxy.html.model import Element, PagePlan, Unplannable

BUDGET: Final = 24 * 1024 * 1024
"""Bytes that one call may have parsed; elements beyond it are taken on trust (they were judged when planned)."""

ELEMENTS: Final = 8
"""Elements of one slot that are looked at: a slot that matches sixty cards has sixty alike."""

_MARK: Final = "<!--edgeproxy-{}-->"


def verify(body: bytes, plan: PagePlan, names: Iterable[str]) -> Mapping[str, str]:
    """Which of the slots ``names`` do not stand where ``plan`` says, and why; slots without elements pass.

    Takes about five parses an element.  Never raises: a page beyond ``guards`` fails as a whole, with its sentence.
    """
    wanted = [name for name in names if name in plan.slots and plan.slots[name].elements]
    if not wanted:
        return {}
    text = body.decode("latin-1")[plan.charset.bom :]
    try:
        guards.size(body)
        guards.for_lexbor(text)
    except Unplannable as reason:
        return {name: str(reason) for name in wanted}
    page = _Page(text, plan.charset.bom)
    failed: dict[str, str] = {}
    for name in wanted:
        for element in plan.slots[name].elements[:ELEMENTS]:
            if page.parsed > BUDGET:
                return failed
            fault = next(page.faults(element), None)
            if fault is not None:
                failed[name] = f"selectolax reads the page differently around <{element.tag}>: {fault}"
                break
    return failed


@dataclass(slots=True)
class _Mark:
    at: int
    text: str  # the end tags that must come first, and the comment
    node: LexborNode | None = None


class _Page:
    """One page, read by Lexbor as often as needed."""

    def __init__(self, text: str, bom: int) -> None:
        self.parsed = 0
        self._text = text
        self._bom = bom
        self._html = self._parse(text).html or ""

    def _parse(self, text: str) -> LexborHTMLParser:
        self.parsed += len(text)
        return LexborHTMLParser(text, scripting=True, options=LexborDocumentOptions.WO_EVENTS)

    def faults(self, element: Element) -> Iterator[str]:
        """What Lexbor finds different; an element that the plan itself gives up has nothing to be checked."""
        if element.implied or element.trouble:
            return
        outer = not element.outer_trouble
        inner = element.inner_start is not None and element.inner_end is not None and not element.raw_text
        marks = self._marks(element, outer=outer, inner=inner)
        tree = self._parse(self._marked(marks))
        if not _find(tree, marks):
            yield "text put there would become part of something else"
            return
        nodes = [mark.node for mark in marks if mark.node is not None]
        if not nodes:
            return
        node = nodes[0].next if outer else nodes[0].parent
        if node is None or node.tag != element.tag:
            yield (
                f"<{node.tag}> stands there" if node is not None and node.is_element_node else "it does not begin there"
            )
            return
        yield from _misplaced(node, nodes, outer=outer, inner=inner, blank_tail=element.tag == "body")
        for mark in nodes:
            mark.decompose()
        if tree.html != self._html:
            yield "text put there would change the tree elsewhere"
            return
        if outer:
            node.decompose()
            start, end = element.start - self._bom, element.end - self._bom
            without = self._text[:start] + _closing(element.unclosed_before) + self._text[end:]
            if tree.html != self._parse(without).html:
                yield "without its bytes the page is not the page without it"

    def _marks(self, element: Element, *, outer: bool, inner: bool) -> list[_Mark]:
        """The comments, in the order in which they stand; end tags that were left out are written as an edit would."""
        bom, inside = self._bom, _closing(element.unclosed_inside)
        marks: list[_Mark] = []
        if outer:
            marks.append(_Mark(element.start - bom, _closing(element.unclosed_before)))
        if inner and element.inner_start is not None and element.inner_end is not None:
            marks += [_Mark(element.inner_start - bom, ""), _Mark(element.inner_end - bom, inside)]
        if outer:
            own = "" if element.closed else ("" if inner else inside) + f"</{element.tag}>"
            marks.append(_Mark(element.end - bom, own))
        for number, mark in enumerate(marks):
            mark.text += _MARK.format(number)
        return marks

    def _marked(self, marks: list[_Mark]) -> str:
        pieces: list[str] = []
        at = 0
        for mark in marks:
            pieces += [self._text[at : mark.at], mark.text]
            at = mark.at
        return "".join((*pieces, self._text[at:]))


def _find(tree: LexborHTMLParser, marks: list[_Mark]) -> bool:
    """Give each mark its node; False where one has become no comment of the tree."""
    wanted = {_MARK.format(number): mark for number, mark in enumerate(marks)}
    waiting = [tree.root]
    while waiting:
        node = waiting.pop()
        while node is not None:
            if node.is_comment_node:
                mark = wanted.get(node.html or "")
                if mark is not None:
                    mark.node = node
            elif node.first_child is not None:
                waiting.append(node.first_child)
            node = node.next
    return all(mark.node is not None for mark in marks)


def _misplaced(
    node: LexborNode, marks: list[LexborNode], *, outer: bool, inner: bool, blank_tail: bool
) -> Iterator[str]:
    if outer and (node.next is None or node.next.mem_id != marks[-1].mem_id):
        yield "it does not end there"
    if inner:
        first, last = (marks[1], marks[2]) if outer else (marks[0], marks[1])
        if node.first_child is None or node.first_child.mem_id != first.mem_id:
            yield "its content does not begin there"
        behind = last.next
        blank = blank_tail and behind is not None and behind.next is None and behind.is_empty_text_node
        if not blank and (node.last_child is None or node.last_child.mem_id != last.mem_id):
            yield "its content does not end there"


def _closing(tags: tuple[str, ...]) -> str:
    return "".join(f"</{tag}>" for tag in reversed(tags))
