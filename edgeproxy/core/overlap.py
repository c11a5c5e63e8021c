"""Whether two sets of path patterns can mean one page, from their texts alone.

Here: ``meet`` and ``within``.  Not here: matching one path (``paths``).  Called by ``coverage`` and ``calendar``, which
look at rules and at no request.

Both lean one way where they cannot tell: ``meet`` says True, ``within`` says False.  Exclusions (``!``) make neither
set smaller for ``meet``, and make ``within`` careful.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from edgeproxy.core.model import Paths

EVERYWHERE: Final = ("/**",)


def meet(*sets: Paths | None) -> bool:
    """Whether some path may be in all of these sets (None: every page); pairs are judged, not all at once."""
    known = [_included(one) for one in sets if one is not None]
    return all(
        any(_cross(a, b) for a in one for b in other) for place, one in enumerate(known) for other in known[place + 1 :]
    )


def within(inner: Paths | None, outer: Paths | None) -> bool:
    """Whether every path of ``inner`` is surely one of ``outer``."""
    if outer is None:
        return True
    if inner is None:
        return outer.texts == EVERYWHERE
    if inner.texts == outer.texts:
        return True
    if any(text.startswith("!") for text in outer.texts):
        return all("*" not in text and outer.match(text) for text in _included(inner))
    return all(_holds(text, outer) for text in _included(inner))


def _holds(text: str, outer: Paths) -> bool:
    if "*" not in text:
        return outer.match(text)
    below = [one.removesuffix("**") for one in outer.texts if one.endswith("/**") and "*" not in one[:-2]]
    return text in outer.texts or any(text.startswith(start) for start in below)


def _included(paths: Paths) -> Sequence[str]:
    texts = [text for text in paths.texts if not text.startswith("!")]
    return texts or EVERYWHERE


@lru_cache(4096)
def _cross(a: str, b: str) -> bool:
    """Whether two patterns without exclusions can match one path."""
    if "**" in _inside(a) or "**" in _inside(b):
        return True  # ** within a segment may stand for several: not looked into
    return _segments(tuple(a.split("/")), tuple(b.split("/")))


def _inside(pattern: str) -> str:
    """The segments that are more than a lone ``**``."""
    return "/".join(segment for segment in pattern.split("/") if segment != "**")


@lru_cache(4096)
def _segments(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    if not a or not b:
        return all(one == "**" for one in (*a, *b)) or (a or b) == ("",)  # /c/** holds /c and /c/ too
    if a[0] == "**":
        return _segments(a[1:], b) or _segments(a, b[1:])
    if b[0] == "**":
        return _segments(a, b[1:]) or _segments(a[1:], b)
    return _segment(a[0], b[0]) and _segments(a[1:], b[1:])


@lru_cache(4096)
def _segment(a: str, b: str) -> bool:
    """Whether two segments can be one text; ``*`` stands for anything, also for nothing."""
    if not a or not b:
        return not (a or b).strip("*")
    if a[0] == "*":
        return _segment(a[1:], b) or _segment(a, b[1:])
    if b[0] == "*":
        return _segment(a, b[1:]) or _segment(a[1:], b)
    return a[0] == b[0] and _segment(a[1:], b[1:])
