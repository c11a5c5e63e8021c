"""Trying what is doubtful: edit the source, parse it again, and see whether the tree is the one that was meant.

Here: ``Trial``, for one page.  Not here: what is doubtful (``hazards``); the same question put to another engine,
after the fact (``verify``).  Called by ``plan``, for the few elements of untidy pages that need it: each costs
up to three more parses, so a page gets a budget.
"""

from __future__ import annotations

from typing import Final

import turbohtml

from edgeproxy.html.locate import TEXT_ONLY, Place, Source

BUDGET: Final = 4 * 1024 * 1024
"""Characters that one page's trials may parse."""

TOO_MANY = "the page is too untidy to try every place on it"

_MARK = "<!--edgeproxy-->"


class Trial:
    """Trials on one page.  Trees are compared by their serialisation, which has every element's end and merges text."""

    def __init__(self, source: Source) -> None:
        self._text = source.text
        self._source = source
        self._left = BUDGET - len(source.text)
        self._tree = turbohtml.parse(source.text, positions=False, scripting=True)

    def stands(self, element: turbohtml.Element, at: Place) -> tuple[bool, bool] | None:
        """Whether (its outside, its inside) can be edited by bytes; None where the budget is used up."""
        if at.end is None:
            return False, False
        self._left -= 3 * len(self._text)
        if self._left < 0:
            return None
        node = self._same(element)
        return self._outer(node, at, at.end), self._inner(node, at)

    def _same(self, element: turbohtml.Element) -> turbohtml.Element:
        """The element of the fresh tree that stands where ``element`` stands in the located one."""
        steps: list[int] = []
        node: turbohtml.Node = element
        while node.parent is not None:
            steps.append(node.parent.children.index(node))
            node = node.parent
        found: turbohtml.Node = self._tree
        for step in reversed(steps):
            found = found.children[step]
        assert isinstance(found, turbohtml.Element)
        return found

    def _outer(self, node: turbohtml.Element, at: Place, end: int) -> bool:
        text, before = self._text, _closing(at.unclosed_before)
        behind = "" if at.closed else _closing((node.tag, *at.unclosed_inside))
        marks = (turbohtml.Comment("edgeproxy"), turbohtml.Comment("edgeproxy"))
        node.insert_before(marks[0])
        node.insert_after(marks[1])
        meant = self._tree.html
        for mark in marks:
            mark.extract()
        if meant != _html(text[: at.start] + before + _MARK + text[at.start : end] + behind + _MARK + text[end:]):
            return False
        parent, following = node.parent, node.next_sibling
        node.extract()
        meant = self._tree.html
        if following is not None:
            following.insert_before(node)
        elif isinstance(parent, turbohtml.Element | turbohtml.DocumentFragment):
            parent.append(node)
        return meant == _html(text[: at.start] + before + text[end:])

    def _inner(self, node: turbohtml.Element, at: Place) -> bool:
        if at.inner_start is None or at.inner_end is None:
            return True
        text, inside = self._text, _closing(at.unclosed_inside)
        if node.tag not in TEXT_ONLY:
            marks = (turbohtml.Comment("edgeproxy"), turbohtml.Comment("edgeproxy"))
            node.insert(0, marks[0])
            node.append(marks[1])
            meant = self._tree.html
            for mark in marks:
                mark.extract()
            middle = text[at.inner_start : at.inner_end] + inside
            if meant != _html(text[: at.inner_start] + _MARK + middle + _MARK + text[at.inner_end :]):
                return False
        children = list(node.children)
        for child in children:
            child.extract()
        meant = self._tree.html
        node.extend(children)
        return meant == _html(text[: at.inner_start] + text[at.inner_end :])


def _closing(tags: tuple[str, ...]) -> str:
    return "".join(f"</{tag}>" for tag in reversed(tags))


def _html(text: str) -> str:
    return turbohtml.parse(text, positions=False, scripting=True).html
