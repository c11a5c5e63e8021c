"""What a visitor reads on a page and not on another: the visible words of both, compared line by line.

Here: pure text out of HTML.  Not here: bytes and places (``html``); tokens and addresses that change from answer to
answer are no words, so a shop that signs every form anew differs in nothing here.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

__all__ = ["compared", "words_of"]

MOST_LINES: Final = 12  # of each side that are told
LONGEST: Final = 160  # characters of a line
_MOST_WORDS: Final = 5000  # lines that are compared: more is no summary

_SILENT: Final = frozenset({"script", "style", "template", "noscript", "head", "svg", "iframe", "object", "select"})
_NAMES: Final = """
    a abbr b bdi bdo cite code data del dfn em i ins kbd label mark q s samp small span strong sub sup time u var wbr
"""
_INLINE: Final = frozenset(_NAMES.split())


def words_of(html: str) -> list[str]:
    """The visible lines of a page: one for each block, spaces made single; what is hidden is not there."""
    body = LexborHTMLParser(html).body
    lines: list[str] = [""]
    if body is not None:
        _walk(body, lines)
    return [line for line in (" ".join(line.split()) for line in lines) if line][:_MOST_WORDS]


def _walk(top: LexborNode, lines: list[str]) -> None:
    """Down the tree without recursion: pages may be deep."""
    waiting: list[LexborNode | str] = [top]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):  # the end of a block
            lines.append("")
            continue
        tag = node.tag
        if tag == "-text":
            lines[-1] += node.text_content or ""
            continue
        if tag in _SILENT or (tag or "").startswith("-") or "hidden" in node.attributes:
            continue
        if tag not in _INLINE:
            lines.append("")
            waiting.append("end")
        children = []
        child = node.first_child
        while child is not None:
            children.append(child)
            child = child.next
        waiting += reversed(children)


def compared(own: Sequence[str], seen: Sequence[str]) -> tuple[list[str], list[str]]:
    """(lines of the shop's own page that are gone, lines that are new), each in order and cut to a summary."""
    taken: list[str] = []
    added: list[str] = []
    matcher = difflib.SequenceMatcher(None, own, seen, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "equal":
            taken += own[a:b]
            added += seen[c:d]
    return _cut(taken), _cut(added)


def _cut(lines: list[str]) -> list[str]:
    short = [line if len(line) <= LONGEST else line[: LONGEST - 1] + "…" for line in lines[:MOST_LINES]]
    return short if len(lines) <= MOST_LINES else [*short, f"… and {len(lines) - MOST_LINES} lines more"]
