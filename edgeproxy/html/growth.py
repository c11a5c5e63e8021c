"""How much bigger than its source a page's tree may get, told before the parse: which cannot be interrupted.

Here: ``check``.  Not here: the other limits (``guards``).  Called by ``locate``.

HTML closes a paragraph with everything in it, and opens every formatting element that was left open again in the next
one: 500 unclosed ``<b>`` in front of 5,000 paragraphs are 2.5 million elements, 360 MB, from a page of 25 KB.  What is
opened again at once is bounded (WHATWG, 13.2.4.3): per name and attributes no more than three (the Noah's Ark clause),
of ``<a>`` one.  So a page's tree has fewer elements than its tags times the formatting elements that differ, each as
heavy as its attributes, which are copied too.

Everything that looks like a tag is counted, in comments and scripts too: too much is safe.  A real tag is always seen,
since nothing that hides tags ends without a ``>``.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from edgeproxy.html import scan
from edgeproxy.html.model import Unplannable

__all__ = ["check"]

MOST: Final = 12_800_000  # units of an eighth of an element, which is 10 to 12 bytes: 150 MB, 0.1 s
ELEMENT: Final = 8  # units of an element; an attribute is one
ALIKE: Final = 3  # elements of one name and the same attributes that are opened again
USUAL: Final = 16  # attributes of an <a>…
ANCHOR: Final = 64  # …and the most
ODD: Final = 64  # tags with a ">" in a value…
ODD_SIZE: Final = 4096  # …each read so far

_SPACE: Final = rb"\t\n\f\r "
# WHATWG, 13.2.5.32 and on, one attribute; a value whose quotation mark is not closed makes no attribute.
_ATTRIBUTE: Final = (
    rb"""(?>
    [S/]*+ (?> [^S/>=]++ | = [^S/>=]*+ )
    (?> ="[^"]*+" | [S]*+ = [S]*+ (?> "[^"]*+" | '[^']*+' | [^S>"'][^S>]*+ | (?!["']) ) | (?! [S]*+ = ) )
)""".replace(b" ", b"")
    .replace(b"\n", b"")
    .replace(b"S", _SPACE)
)
# <a> with more than the usual attributes; and b i s u em tt big code font nobr small strong strike, whole.  The letters
# after "<" are asked before the names, since nearly every tag of a page fails there: half the time of plain names.
_FORMATTING: Final = re.compile(
    rb"""<[ABCEFINSTUabcefinstu](?:
    [S/](?: (?<=[Aa].)A{%d}+ | (?<=[BbIiSsUu].)[^>]*+ )
    | (?=[>IiMmTtOo])(?:
        (?<=[BbIiSsUu])(?=>)
        | (?: [Mm](?<=[Ee].) | [Tt](?<=[Tt].) | [Ii][Gg](?<=[Bb]..)
            | [Oo](?: [Dd][Ee](?<=[Cc]...) | [Nn][Tt](?<=[Ff]...) | [Bb][Rr](?<=[Nn]...) )
            | (?<=[Ss])(?: [Mm][Aa][Ll][Ll] | [Tt][Rr](?: [Oo][Nn][Gg] | [Ii][Kk][Ee] ) )
        )(?=[S/>])[^>]*+
    ))""".replace(b" ", b"")
    .replace(b"\n", b"")
    .replace(b"[S/", b"[%b/" % _SPACE)
    .replace(b"A{", _ATTRIBUTE + b"{")
    % (USUAL + 1),
    re.DOTALL,
)
_ANCHOR: Final = re.compile(rb"<[Aa][%b/>]" % _SPACE)
_HEAVY: Final = re.compile(rb"<[Aa](?=[%b/])%b{%d}+" % (_SPACE, _ATTRIBUTE, ANCHOR + 1))
_WHOLE: Final = re.compile(rb"[A-Za-z]++%b*+[%b/]*+" % (_ATTRIBUTE, _SPACE)).fullmatch

TOO_MUCH: Final = "unclosed formatting elements could multiply in the page's tree"


def check(body: bytes) -> None:
    """Raises ``Unplannable`` for a page whose tree could get out of hand; linear in ``body``."""
    found = Counter(_FORMATTING.findall(body))
    anchors = [tag for tag in found if _ANCHOR.match(tag)]
    for tag in anchors:
        del found[tag]
    weight, odd = ELEMENT + (ELEMENT + USUAL if _ANCHOR.search(body) else 0), 0
    for tag, number in found.items():
        if _WHOLE(tag, 1) is not None:
            weight += min(number, ALIKE) * (ELEMENT + (len(tag) - 1) // 4)
        else:
            odd += number
    if not anchors and not odd and len(body) * weight <= MOST:
        return  # a page has fewer tags than bytes, and counting them is a fifth of the work
    tags = body.count(b"<")
    if tags * (ELEMENT * tags + len(body)) <= MOST:
        return
    if anchors:
        if _HEAVY.search(body):
            raise Unplannable(f"an <a> has more than {ANCHOR} attributes")
        weight += ANCHOR
    if odd > ODD or tags * (weight + odd * ELEMENT) > MOST:
        raise Unplannable(TOO_MUCH)
    if odd:
        weight += sum(map(_weighed, _FORMATTING.finditer(body)))
        if tags * weight > MOST:
            raise Unplannable(TOO_MUCH)


def _weighed(found: re.Match[bytes]) -> int:
    """What a tag with a ``>`` in one of its values weighs; others nothing: they count by their bytes, or are <a>."""
    if _WHOLE(found[0], 1) is not None or _ANCHOR.match(found[0]):
        return 0
    tag = scan.start_tag(found.string[found.start() : found.start() + ODD_SIZE].decode("latin-1"))
    if tag is None or not tag.finished:
        raise Unplannable(TOO_MUCH)
    return ELEMENT + len(tag.attributes)
