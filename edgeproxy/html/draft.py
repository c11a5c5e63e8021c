"""What all placed edits come to in one page's bytes: drafts of elements, and the splices that make them real.

Here: ``Draft``, into which ``edits`` write, and the arithmetic of offsets.  Not here: whether an edit may be made
(``edits``) and who wins (``place``), which also sees to it that no two edits change the same bytes.

Several things can stand at one offset; their order follows the tree, so that each lands where its edit said:
what belongs to elements that end there, innermost first (append, then after), then what belongs to elements that
begin there, outermost first (before, then prepend).  Beside one element the earlier experience stands nearer;
inside one experience contents stand in file order.

Omitted end tags make a place in the tree and a place in the bytes differ.  What must be closed first is said by
each piece, by depth and tag; at one offset nothing is closed twice.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from edgeproxy.html import fragments, scan, starttag
from edgeproxy.html.model import Child, Element, PagePlan, Splice
from edgeproxy.html.starttag import TagChanges
from edgeproxy.html.wellformed import OMITTABLE

_TAG_AT: Final = re.compile(rb"<(/?)([A-Za-z][^\t\n\f\r />]*)")

# Where pieces of an element at depth d stand among others at the same offset.  End side: negative, deeper first.
_EMPTY_PREPEND: Final = -0.75
_EMPTY_INNER: Final = -0.6
_APPEND: Final = -0.5
_OWN_END_TAG: Final = -0.25
_AFTER: Final = 0.0
# Start side: positive, shallower first.
_BEFORE: Final = 0.0
_ITSELF: Final = 0.2
_PREPEND: Final = 0.5
_CHILDREN: Final = 0.6


@dataclass(slots=True)
class ElementDraft:
    """What becomes of one element; ``experience`` names are keys, in the order in which experiences come."""

    element: Element
    tag: TagChanges = field(default_factory=TagChanges)
    before: dict[str, list[bytes]] = field(default_factory=dict)
    after: dict[str, list[bytes]] = field(default_factory=dict)
    prepended: list[bytes] = field(default_factory=list)
    appended: list[bytes] = field(default_factory=list)
    inner: bytes | None = None
    gone: bytes | None = None  # what stands in its place; None: it stays
    order: tuple[int, ...] | None = None  # the element children that stay, by index, in their new order


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    end: int
    rank: float
    text: bytes
    closes: tuple[tuple[int, str], ...] = ()  # depth and tag of the elements to be closed before it, outermost first
    beside_text: bool = False  # it may stand right behind <pre>, which swallows a newline


class Draft:
    """All changes of one page, collected edit by edit."""

    def __init__(self, body: bytes, page: PagePlan) -> None:
        self.body = body
        self.page = page
        self.elements: dict[tuple[int, int, int], ElementDraft] = {}
        self.styles: list[str] = []
        self._idle = False  # what would have changed nothing was left out

    def copy(self) -> Draft:
        """Another draft of the same state, to try a whole experience in."""
        other = Draft(self.body, self.page)
        other.styles = list(self.styles)
        for key, one in self.elements.items():
            other.elements[key] = replace(
                one,
                tag=one.tag.copy(),
                before={name: list(contents) for name, contents in one.before.items()},
                after={name: list(contents) for name, contents in one.after.items()},
                prepended=list(one.prepended),
                appended=list(one.appended),
            )
        return other

    def of(self, element: Element) -> ElementDraft:
        """The draft of an element; slots that resolve to one element share it."""
        key = identity(element)
        draft = self.elements.get(key)
        if draft is None:
            draft = self.elements[key] = ElementDraft(element)
        elif not draft.element.children:  # not every slot asks for them
            draft.element = element
        return draft

    @property
    def portable(self) -> bool:
        """Whether the splices, once made, are the same on a page that differs in values alone (``likeness``).

        They are not where children change places, values and all, nor where one was left out since it says what the
        page says already: another page may say something else.
        """
        return not self._idle and all(one.order is None for one in self.elements.values())

    def splices(self) -> tuple[Splice, ...]:
        """Sorted, disjoint; what would change nothing is left out."""
        pieces = [piece for draft in self.elements.values() for piece in self._pieces(draft)]
        if self.styles and self.page.head_end is not None:
            at = self.page.head_end
            pieces.append(_Piece(at, at, _end(1, _APPEND), self._style()))
        pieces.sort(key=lambda piece: (piece.start, piece.rank))
        made: list[Splice] = []
        at = 0
        while at < len(pieces):
            until = at
            while until < len(pieces) and pieces[until].start == pieces[at].start:
                until += 1
            splice = self._joined(pieces[at:until])
            if splice.text != self.body[splice.start : splice.end]:
                made.append(splice)
            elif splice.end > splice.start:
                self._idle = True
            at = until
        return tuple(made)

    def _joined(self, pieces: Sequence[_Piece]) -> Splice:
        """All that stands at one offset."""
        start = pieces[0].start
        end = max(piece.end for piece in pieces)
        closed: float = math.inf
        text = b""
        for piece in pieces:
            for depth, tag in reversed(piece.closes):
                if depth < closed:
                    closed = depth
                    text += f"</{tag}>".encode("latin-1", "xmlcharrefreplace")
            text += piece.text
        if any(piece.beside_text for piece in pieces) and _behind_newline_eater(self.body, start):
            follows = text[:1] or self.body[end : end + 1]
            if follows in (b"\n", b"\r"):
                text = b"\n" + text  # the parser drops the first one
        return Splice(start, end, text)

    def _style(self) -> bytes:
        nonce = f' nonce="{html.escape(self.page.nonce)}"' if self.page.nonce else ""
        css = "\n".join(self.styles)
        return f"<style{nonce}>".encode("ascii", "replace") + fragments.encode_css(css, self.page.charset) + b"</style>"

    def _pieces(self, draft: ElementDraft) -> Iterator[_Piece]:
        element, depth = draft.element, len(draft.element.ancestors)
        in_text = bool(element.ancestors) and element.ancestors[-1] in scan.NEWLINE_EATERS
        closes_before = _chain(depth, element.unclosed_before)
        if draft.before:
            text = b"".join(content for name in reversed(draft.before) for content in draft.before[name])
            yield _Piece(element.start, element.start, depth + _BEFORE, text, closes_before, in_text)
        if draft.gone is not None:
            needed = closes_before if draft.gone or not self._closes_itself(element) else ()
            yield _Piece(element.start, element.end, depth + _ITSELF, draft.gone, needed, in_text)
        else:
            if draft.tag.owners:
                for splice in starttag.rewrite(
                    self.body, element.start, element.start_tag_end, draft.tag, self.page.charset
                ):
                    yield _Piece(splice.start, splice.end, depth + _ITSELF, splice.text)
            yield from self._inside(draft, depth)
        if draft.after:
            text = b"".join(content for contents in draft.after.values() for content in contents)
            closes = _chain(depth, (element.tag, *element.unclosed_inside)) if left_open(element) else ()
            yield _Piece(element.end, element.end, _end(depth, _AFTER), text, closes)

    def _inside(self, draft: ElementDraft, depth: int) -> Iterator[_Piece]:
        element = draft.element
        start, end = element.inner_start, element.inner_end
        if start is None or end is None:
            return
        eats = element.tag in scan.NEWLINE_EATERS
        if draft.inner is not None:
            text = b"".join((*draft.prepended, draft.inner, *draft.appended))
            rank = _end(depth, _EMPTY_INNER) if start == end else depth + _CHILDREN
            yield _Piece(start, end, rank, text, (), eats)
            return
        if draft.order is not None:
            for place, tags in closings(element, draft.order):
                at = element.children[place].end
                yield _Piece(at, at, _end(depth + 1, _OWN_END_TAG), b"", _chain(depth + 1, tags))
            for at, until, text in rearranged(self.body, element, draft.order):
                yield _Piece(at, until, depth + 1 + _ITSELF, text, (), eats)
        if draft.prepended:
            rank = _end(depth, _EMPTY_PREPEND) if start == end else depth + _PREPEND
            yield _Piece(start, start, rank, b"".join(draft.prepended), (), eats)
        if draft.appended:
            closes = _chain(depth + 1, element.unclosed_inside)
            yield _Piece(end, end, _end(depth, _APPEND), b"".join(draft.appended), closes, eats)
            if left_open(element) and element.tag in OMITTABLE and not element.implied:
                yield _Piece(
                    end, end, _end(depth, _OWN_END_TAG), b"", _chain(depth, (element.tag, *element.unclosed_inside))
                )

    def _closes_itself(self, element: Element) -> bool:
        """Whether what follows a removed element closes what its start tag closed: a like sibling, the parent's end."""
        tag = element.unclosed_before[0] if element.unclosed_before else ""
        if tag not in OMITTABLE:
            return False
        follows = _TAG_AT.match(self.body, element.end)
        if follows is None:
            return False
        name = follows[2].decode("latin-1").lower()
        return name == (element.ancestors[-1] if follows[1] else tag)


def identity(element: Element) -> tuple[int, int, int]:
    """Two slots that found the same element have the same identity; an implied one shares its first child's start."""
    return element.start, element.end, -1 if element.implied else element.start_tag_end


def left_open(element: Element) -> bool:
    """An element that takes an end tag and has none in the source (``<li>`` does and may not, ``<img>`` never)."""
    return not element.closed and element.inner_start is not None


def rearranged(body: bytes, element: Element, order: Sequence[int]) -> list[tuple[int, int, bytes]]:
    """The ranges of element children that change, with what stands there instead.

    The first ``len(order)`` ranges take the children of ``order``, the rest are emptied; text and comments between
    them stay where they are.
    """
    children = element.children
    changed: list[tuple[int, int, bytes]] = []
    for place, spot in enumerate(children):
        text = b""
        if place < len(order):
            if order[place] == place:
                continue
            child = children[order[place]]
            text = body[child.start : child.end]
        changed.append((spot.start, spot.end, text))
    return changed


def closings(element: Element, order: Sequence[int]) -> list[tuple[int, tuple[str, ...]]]:
    """Places (indices of ranges) at whose end end tags must be written, with the open tags, outermost first.

    A child without end tag is ended by what follows it; where something else follows now, it gets its end tag.
    """
    children = element.children
    found: list[tuple[int, tuple[str, ...]]] = []
    for place, child in enumerate(order):
        unclosed = children[child].unclosed
        if unclosed:
            now, before = _follower(element, order, place), _old_follower(element, child)
            by_parent = now == -1 and element.closed and unclosed[0] in OMITTABLE
            if now != before and not by_parent:
                found.append((place, unclosed))
    return found


def _follower(element: Element, order: Sequence[int], place: int) -> int | None:
    """The child right behind a place in the new order; -1 when the parent ends there, None when text is between."""
    children = element.children
    for following in range(place, len(children)):
        if following + 1 < len(order):
            return order[following + 1] if _touch(children[following], children[following + 1]) else None
        until = children[following + 1].start if following + 1 < len(children) else element.inner_end
        if until != children[following].end:
            return None
    return -1


def _old_follower(element: Element, child: int) -> int | None:
    children = element.children
    if child + 1 < len(children):
        return child + 1 if _touch(children[child], children[child + 1]) else None
    return -1 if children[child].end == element.inner_end else None


def _touch(one: Child, other: Child) -> bool:
    return one.end == other.start


def _end(depth: int, step: float) -> float:
    return -depth + step


def _chain(depth: int, tags: Sequence[str]) -> tuple[tuple[int, str], ...]:
    return tuple((depth + step, tag) for step, tag in enumerate(tags))


def _behind_newline_eater(body: bytes, at: int) -> bool:
    """Whether ``at`` is right behind a start tag that swallows a newline."""
    opening = body.rfind(b"<", 0, at)
    token = scan.start_tag(body[opening:at].decode("latin-1")) if opening >= 0 else None
    return token is not None and token.finished and token.end == at - opening and token.name in scan.NEWLINE_EATERS
