"""What a page may cost: limits that keep every later step linear and short.

Here: limits and the sentences of pages beyond them.  Not here: charsets (``charset``), trees that outgrow their source
(``growth``).  Called by ``personalise`` (``size``), by ``plan`` (``depth`` and ``element``, on its tree) and, before
Lexbor sees a byte, by ``verify`` and ``roundtrip`` (``for_lexbor``).

Depth and attributes are counted on turbohtml's tree, not guessed from the bytes: a guess is either fooled by stray end
tags or forbids long lists of ``<li>`` without them.  turbohtml is linear in both (400,000 nested ``<div>``, 2 MB:
90 ms), never recurses and flattens what is too deep, so ``size`` and ``growth`` bound it.  Lexbor is quadratic in both
(100,000 nested ``<div>``: 9.5 s; 50,000 attributes: 11.6 s) and cannot be interrupted: what it is given has passed
turbohtml first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import turbohtml

from edgeproxy.html.model import Unplannable

MAX_BYTES: Final = 2 * 1024 * 1024
MAX_DEPTH: Final = 512  # html is at depth 1; from here on turbohtml and Chromium flatten, Lexbor does not
MAX_ATTRIBUTES: Final = 256  # of one tag
MAX_COPIES: Final = 4  # elements per "<" of the source: unclosed formatting elements are copied again and again

TOO_DEEP: Final = f"the page nests elements more than {MAX_DEPTH} deep"
TOO_MANY_ATTRIBUTES: Final = f"a tag has more than {MAX_ATTRIBUTES} attributes"

# an element at a depth beyond the limit has a first sibling there: looking at first children alone halves the work
_DEEP: Final = ">".join(["*"] * MAX_DEPTH) + ":first-child"
_MANY_ATTRIBUTES: Final = f"boolean(//*[count(@*) > {MAX_ATTRIBUTES}])"


def size(body: bytes, largest: int = MAX_BYTES) -> None:
    """Raises ``Unplannable`` for a body beyond ``largest`` bytes."""
    if len(body) > largest:
        raise Unplannable(f"the page has {len(body):,} bytes, more than {largest:,}")


def depth(document: turbohtml.Document) -> None:
    """Raises ``Unplannable`` for a tree that reaches ``MAX_DEPTH`` along its first or its last elements.

    That is how pages get too deep by mistake.  Depth elsewhere costs turbohtml nothing; ``element`` sees it where it
    matters, ``for_lexbor`` everywhere.
    """
    for last in (False, True):
        node: turbohtml.Element | None = document.select_one("body")
        deep = 1
        while node is not None:
            deep += 1
            if deep >= MAX_DEPTH:
                raise Unplannable(TOO_DEEP)
            children = reversed(node.children) if last else iter(node.children)
            node = next((child for child in children if isinstance(child, turbohtml.Element)), None)


def element(ancestors: Sequence[turbohtml.Element], location: turbohtml.SourceLocation | None) -> None:
    """Raises ``Unplannable`` for a matched element that is nested too deep or has too many attributes."""
    if len(ancestors) + 1 >= MAX_DEPTH:
        raise Unplannable(TOO_DEEP)
    if location is not None and len(location.attrs) > MAX_ATTRIBUTES:
        raise Unplannable(TOO_MANY_ATTRIBUTES)


def for_lexbor(text: str) -> None:
    """Raises ``Unplannable`` for source text that Lexbor could chew on for long; ``size`` has passed."""
    document = turbohtml.parse(text, positions=False, scripting=True)
    if document.select_one(_DEEP) is not None:
        raise Unplannable(TOO_DEEP)
    if document.xpath(_MANY_ATTRIBUTES):
        raise Unplannable(TOO_MANY_ATTRIBUTES)
    if len(document.select("*")) > MAX_COPIES * (text.count("<") + 256):
        raise Unplannable("unclosed elements multiply in the page's tree")
