"""The fallback by opt-in: parse, edit the DOM, serialise, for a slot with ``roundtrip = true`` that cannot be spliced.

Here: ``roundtrip``, pure.  Not here: deciding that it is needed (``personalise``).  It rewrites bytes all over the
page (quotes, case, whitespace, character references), so a shop has to allow it slot by slot.  Bound the page first
(``guards.for_lexbor``): Lexbor is quadratic in depth and cannot be interrupted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser, LexborNode, SelectolaxError

from edgeproxy.html import guards
from edgeproxy.html.model import Charset, Unplannable
from edgeproxy.html.scan import RAW_TEXT


class Change(Enum):
    """What is done to each element that a selector finds."""

    REPLACE = "replace"
    INNER = "inner"
    BEFORE = "before"
    AFTER = "after"
    PREPEND = "prepend"
    APPEND = "append"
    REMOVE = "remove"
    START_TAG = "start tag"
    KEEP_FIRST = "keep_first"
    REORDER = "reorder"


@dataclass(frozen=True, slots=True)
class DomEdit:
    """One change of the DOM, content already resolved to HTML text.

    ``html`` is the content of the six content verbs.  START_TAG carries ``attributes``, ``hide``, ``add_class`` and
    ``remove_class`` alike: ``attributes`` are (name, value) pairs, value None removes; ``add`` and ``drop`` are
    classes.  ``keep`` is KEEP_FIRST's number, ``order`` REORDER's selectors.
    """

    find: str
    change: Change
    html: str = ""
    attributes: tuple[tuple[str, str | None], ...] = ()
    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep: int = 0
    order: tuple[str, ...] = ()


_RAW_TEXT = ", ".join(sorted(RAW_TEXT))
_DOCTYPE = re.compile(r"<!doctype[^>]*>", re.IGNORECASE)


def roundtrip(body: bytes, charset: Charset, edits: Sequence[DomEdit]) -> bytes:
    """The page after ``edits``, in order, on its DOM; every selector is asked of the page as it came.

    Raises ``Unplannable`` with a sentence where bytes cannot make the trip: they are not valid in the page's
    charset, a guard holds, a selector finds nothing, or what was serialised would not parse to the same tree.
    """
    guards.size(body)
    try:
        text = body[charset.bom :].decode(charset.codec)
    except (UnicodeDecodeError, LookupError):
        raise Unplannable(f"the page is not valid {charset.label}, so it cannot be written again") from None
    guards.for_lexbor(text)
    page = _parse(text)
    for number, edit in enumerate(edits):
        for node in _found(page, edit.find):
            node.attrs[_mark(number)] = ""  # survives what other edits do to the nodes around
    for number, edit in enumerate(edits):
        for node in page.css(f"[{_mark(number)}]"):
            del node.attrs[_mark(number)]
            _APPLY[edit.change](node, edit)
    return body[: charset.bom] + _written(page, text, charset)


def _parse(text: str) -> LexborHTMLParser:
    return LexborHTMLParser(text, scripting=True, options=LexborDocumentOptions.WO_EVENTS)


def _mark(number: int) -> str:
    return f"data-edgeproxy-{number}"


def _found(page: LexborHTMLParser, selector: str) -> list[LexborNode]:
    try:
        found = page.css(selector)
    except (SelectolaxError, ValueError) as mistake:
        raise Unplannable(f'selectolax cannot use the selector "{selector}": {mistake}') from None
    if not found:
        raise Unplannable(f'selectolax finds nothing for the selector "{selector}"')
    return found


def _written(page: LexborHTMLParser, text: str, charset: Charset) -> bytes:
    html = page.html or ""
    if _parse(html).html != html:
        raise Unplannable("the page's tree cannot be written as HTML that parses to the same tree")
    doctype = _DOCTYPE.search(text)
    if doctype is not None and html.startswith("<!DOCTYPE"):
        html = _DOCTYPE.sub(lambda _: doctype[0], html, count=1)  # Lexbor drops the public id: quirks mode
    try:
        return html.encode(charset.codec)
    except UnicodeEncodeError:
        for node in page.css(_RAW_TEXT):  # character references mean nothing there
            if not _encodable(node.inner_html or "", charset.codec):
                raise Unplannable(f"{charset.label} has not all characters of a <{node.tag}>") from None
        return html.encode(charset.codec, "xmlcharrefreplace")


def _encodable(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _fragment(html: str, context: LexborNode | None) -> list[LexborNode]:
    tag = (context.tag if context is not None else None) or "div"
    node = LexborHTMLParser(html, is_fragment=True, fragment_tag=tag, scripting=True).root
    return list(_following(node))


def _following(node: LexborNode | None) -> Iterator[LexborNode]:
    while node is not None:
        following = node.next
        yield node
        node = following


def _before(node: LexborNode, edit: DomEdit) -> None:
    for new in _fragment(edit.html, node.parent):
        node.insert_before(new)


def _after(node: LexborNode, edit: DomEdit) -> None:
    for new in reversed(_fragment(edit.html, node.parent)):
        node.insert_after(new)


def _replace(node: LexborNode, edit: DomEdit) -> None:
    _before(node, edit)
    node.decompose()


def _inner(node: LexborNode, edit: DomEdit) -> None:
    _empty(node)
    _append(node, edit)


def _prepend(node: LexborNode, edit: DomEdit) -> None:
    first = node.first_child
    if first is None:
        return _append(node, edit)
    for new in _fragment(edit.html, node):
        first.insert_before(new)
    return None


def _append(node: LexborNode, edit: DomEdit) -> None:
    for new in _fragment(edit.html, node):
        node.insert_child(new)


def _remove(node: LexborNode, _: DomEdit) -> None:
    node.decompose()


def _start_tag(node: LexborNode, edit: DomEdit) -> None:
    for name, value in edit.attributes:
        if value is not None:
            node.attrs[name] = value
        elif name in node.attributes:
            del node.attrs[name]
    if edit.add or edit.drop:
        old = (node.attributes.get("class") or "").split()
        new = [name for name in old if name not in edit.drop] + [name for name in edit.add if name not in old]
        node.attrs["class"] = " ".join(new)


def _keep_first(node: LexborNode, edit: DomEdit) -> None:
    for child in list(node.iter())[edit.keep :]:
        child.decompose()


def _reorder(node: LexborNode, edit: DomEdit) -> None:
    children = list(node.iter())
    wanted: list[LexborNode] = []
    for selector in edit.order:
        chosen = {match.mem_id for match in (node.parent or node).css(selector)}
        wanted += [child for child in children if child.mem_id in chosen and child not in wanted]
    order = wanted + [child for child in children if child not in wanted]
    # places between text and comments stay; the elements move among them
    for place, child in zip(children, order, strict=True):
        place.insert_before(child.clone())
    for child in children:
        child.decompose()


def _empty(node: LexborNode) -> None:
    for child in list(node.iter(include_text=True)):
        child.decompose()


_APPLY: dict[Change, Callable[[LexborNode, DomEdit], None]] = {
    Change.REPLACE: _replace,
    Change.INNER: _inner,
    Change.BEFORE: _before,
    Change.AFTER: _after,
    Change.PREPEND: _prepend,
    Change.APPEND: _append,
    Change.REMOVE: _remove,
    Change.START_TAG: _start_tag,
    Change.KEEP_FIRST: _keep_first,
    Change.REORDER: _reorder,
}
