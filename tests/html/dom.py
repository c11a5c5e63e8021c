"""The same edits made on a parsed tree: what a splice has to come to.

turbohtml's own DOM makes them; nothing of ``edgeproxy.html`` but the names of the verbs is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import turbohtml

PLACES = {"before": "beforebegin", "after": "afterend", "prepend": "afterbegin", "append": "beforeend"}


def elements(document: turbohtml.Document, find: str) -> list[turbohtml.Element]:
    """What a selector finds, in document order; elements inside templates are no part of the page."""
    return [
        element
        for element in document.select(find)
        if not any(isinstance(above, turbohtml.DocumentFragment) for above in element.ancestors)
    ]


def parse(text: str) -> turbohtml.Document:
    return turbohtml.parse(text, positions=False, scripting=True)


def edited(text: str, find: str, numbers: list[int], verb: str, value: Any) -> str:
    """The page's tree, serialised, after one edit of those of the found elements that have these numbers."""
    document = parse(text)
    found = elements(document, find)
    for element in [found[number] for number in numbers]:
        _EDITS[verb](element, value)
    return document.html


def _put(place: str) -> Callable[[turbohtml.Element, Any], None]:
    return lambda element, value: element.insert_adjacent_html(place, value["html"])


def _replace(element: turbohtml.Element, value: Any) -> None:
    element.insert_adjacent_html("beforebegin", value["html"])
    element.extract()


def _attributes(element: turbohtml.Element, value: Any) -> None:
    for name, said in value.items():
        if said is False:
            if name in element.attrs:
                del element.attrs[name]
        else:
            element.attrs[name] = "" if said is True else said


def _add_class(element: turbohtml.Element, value: Any) -> None:
    old = element.attr("class")
    if value not in (old or "").split():
        element.attrs["class"] = f"{(old or '').rstrip()} {value}".strip()


def _remove_class(element: turbohtml.Element, value: Any) -> None:
    old = (element.attr("class") or "").split()
    if value in old:
        element.attrs["class"] = " ".join(name for name in old if name != value)


def _hide(element: turbohtml.Element, _: Any) -> None:
    style = (element.attr("style") or "").rstrip().rstrip("; ")
    hidden = "display:none!important"
    element.attrs["hidden"] = ""
    if hidden not in style:
        element.attrs["style"] = f"{style};{hidden}" if style else hidden


def _children(element: turbohtml.Element) -> list[turbohtml.Element]:
    return [child for child in element.children if isinstance(child, turbohtml.Element)]


def _keep_first(element: turbohtml.Element, value: Any) -> None:
    for child in _children(element)[value:]:
        child.extract()


def _reorder(element: turbohtml.Element, value: Any) -> None:
    children = _children(element)
    first: list[turbohtml.Element] = []
    for selector in value:
        first += [child for child in children if child.matches(selector) and child not in first]
    order = first + [child for child in children if child not in first]
    marks = [turbohtml.Comment("") for _ in children]
    for child, mark in zip(children, marks, strict=True):
        child.replace_with(mark)
    for child, mark in zip(order, marks, strict=True):
        mark.replace_with(child)


_EDITS: dict[str, Callable[[turbohtml.Element, Any], None]] = {
    **{verb: _put(place) for verb, place in PLACES.items()},
    "inner": lambda element, value: element.set_inner_html(value["html"]),
    "replace": _replace,
    "remove": lambda element, _: element.decompose(),
    "hide": _hide,
    "attributes": _attributes,
    "add_class": _add_class,
    "remove_class": _remove_class,
    "keep_first": _keep_first,
    "reorder": _reorder,
}
