"""Whether HTML leaves a fragment where it is put, or throws it out of its place.

``<section>`` inside ``<p>``, ``<td>`` inside ``<div>``, ``<form>`` inside ``<form>``: the parser moves, drops or
closes what stands there, and the page around it breaks.  Here: one question, ``problem``, and its memory (a pure
function, so remembering changes nothing but time).  Not here: whether the fragment is well-formed by itself
(``fragments``).  Called by ``edits`` when an edit is placed.

How: the ancestors' start tags, a comment, the fragment, a comment are parsed as a page.  The fragment stands
where it was put when both comments are children of the innermost ancestor and what is between them is what the
fragment gives when it is parsed alone inside that ancestor.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import turbohtml

from edgeproxy.html import scan

_BEFORE: Final = "edgeproxy:before"
_AFTER: Final = "edgeproxy:after"
_NAMESPACES: Final = {"svg": "svg ", "math": "math "}


@lru_cache(maxsize=2048)
def problem(parents: tuple[str, ...], markup: str) -> str:
    """Why ``markup`` cannot stand inside ``parents`` (tags, outermost first), naming the tag; "" when it can."""
    if not parents or parents[-1] == "html":
        return "nothing can stand beside <head> and <body>"
    if _stays(parents, markup):
        return ""
    if not _stays(parents, ""):
        chain = " > ".join(parents[-4:])
        return f"the page nests {chain} in a way that HTML does not build from tags, so nothing can be put there"
    for token in scan.tokens(markup):
        if token.kind is scan.Kind.START:
            end = "" if token.name in scan.VOID else f"</{token.name}>"
            if not _stays(parents, f"<{token.name}>{end}"):
                return _sentence(parents, token.name)
        elif token.kind is scan.Kind.TEXT and not _stays(parents, markup[token.start : token.end]):
            return f"text cannot stand directly inside <{parents[-1]}>: HTML moves it out"
    return f"HTML would not leave it inside <{parents[-1]}>"


def _sentence(parents: tuple[str, ...], tag: str) -> str:
    if tag in parents:
        return f"<{tag}> cannot stand inside another <{tag}>: HTML drops or closes one of them"
    return f"<{tag}> cannot stand inside <{parents[-1]}>: HTML throws it out of its place"


def _stays(parents: tuple[str, ...], markup: str) -> bool:
    # with a doctype: quirks mode differs only in letting a table stand inside a paragraph, which we refuse everywhere
    before = f"<!DOCTYPE html>{''.join(f'<{tag}>' for tag in parents)}<!--{_BEFORE}-->"
    document = turbohtml.parse(
        f"{before}{markup}<!--{_AFTER}-->",
        scripting=True,
        source_locations=True,
        allow_declarative_shadow_roots=False,
    )
    inside = _innermost(document, parents)
    if inside is None:
        return False
    nodes = list(inside.children)
    first = next((i for i, node in enumerate(nodes) if _is_mark(node, _BEFORE)), None)
    last = next((i for i, node in enumerate(nodes) if _is_mark(node, _AFTER)), None)
    if first is None or last is None:
        return False
    between = nodes[first + 1 : last]
    return _nothing_dropped(between, markup, len(before)) and "".join(n.html for n in between) == _alone(inside, markup)


def _nothing_dropped(nodes: list[turbohtml.Node], markup: str, offset: int) -> bool:
    """Every start tag of the fragment has become an element: a ``<td>`` in a ``<div>`` is dropped without a trace."""
    there: set[int] = set()
    for node in nodes:
        if isinstance(node, turbohtml.Element):
            for element in (node, *node.iter_elements()):
                location = element.source_location
                if location is not None:
                    there.add(location.start_tag.start_offset - offset)
    return all(token.start in there for token in scan.tokens(markup) if token.kind is scan.Kind.START)


def _innermost(document: turbohtml.Document, parents: tuple[str, ...]) -> turbohtml.Element | None:
    """The element that the chain of ``parents`` leads to, the last at each step; None where it breaks."""
    here: turbohtml.Node = document
    for tag in parents:
        step = None
        for child in here.children:
            if isinstance(child, turbohtml.Element) and child.tag == tag:
                step = child
        if step is None:
            return None
        here = step
    return here if isinstance(here, turbohtml.Element) else None


def _is_mark(node: turbohtml.Node, text: str) -> bool:
    return isinstance(node, turbohtml.Comment) and node.data == text


def _alone(inside: turbohtml.Element, markup: str) -> str:
    """The fragment's nodes when it is the inner HTML of such an element."""
    name = f"{_NAMESPACES.get(inside.namespace.value, '')}{inside.tag}"
    try:
        return turbohtml.parse_fragment(markup, name, scripting=True).inner_html
    except ValueError:  # a custom element: content rules as for any other
        return turbohtml.parse_fragment(markup, "div", scripting=True).inner_html
