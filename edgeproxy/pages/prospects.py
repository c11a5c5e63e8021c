"""Where it is worth asking the shop for a shared answer, when nobody has told us so.

Here: a score per neighbourhood of addresses.  Not here: rules of the operator, which need no guess.

To fill a shared entry the shop is asked *without* the visitor's cookies, and once more as the visitor sent it when the
answer turns out not to be shareable.  That second question must be the exception: it doubles the work of a shop that
shares nothing, and it would use up what works only once (a link from an e-mail).  So nobody is asked for on a hunch:
only where answers to visitors' own requests already looked shareable, and where a theme's files lie (documents, music
and films are none: shops sell them by links that work once).  Where nothing was seen at all, the first goes for
themselves; who comes for the same while that question is on its way asks for everybody.
"""

from __future__ import annotations

from typing import Final

from cachetools import LRUCache

__all__ = ["Prospects"]

MOST: Final = 8192
_BEST: Final = 4
_WORST: Final = -8
_FILES: Final = frozenset(
    b"""avif bmp css eot gif ico jpeg jpg js map mjs otf png svg ttf wasm webmanifest webp woff woff2""".split()
)

Neighbourhood = tuple[bytes, bytes, bytes]


class Prospects:
    """What was seen, neighbourhood by neighbourhood."""

    def __init__(self) -> None:
        self._scores: LRUCache[Neighbourhood, int] = LRUCache(MOST)

    def promising(self, host: bytes, path: bytes) -> bool:
        """Is a shared answer likely there?"""
        place = neighbourhood(host, path)
        score = self._scores.get(place)
        return score > 0 if score is not None else place[2] in _FILES

    def unknown(self, host: bytes, path: bytes) -> bool:
        """Has no answer from there been seen at all?"""
        return neighbourhood(host, path) not in self._scores

    def passed(self, host: bytes, path: bytes) -> None:
        """An answer to a visitor's own question was for this visitor alone."""
        self._scores.setdefault(neighbourhood(host, path), 0)

    def shared(self, host: bytes, path: bytes) -> None:
        """An answer there could be shared, as its head says."""
        self._move(neighbourhood(host, path), 1)

    def refused(self, host: bytes, path: bytes) -> None:
        """An answer that was asked for to be shared could not be."""
        self._move(neighbourhood(host, path), -2)

    def _move(self, place: Neighbourhood, by: int) -> None:
        score = self._scores.get(place, 1 if place[2] in _FILES else 0)
        self._scores[place] = max(_WORST, min(_BEST, score + by))


def neighbourhood(host: bytes, path: bytes) -> Neighbourhood:
    """The host, the first step of the folder that a path lies in, and the extension of its last step."""
    folder, _, name = path.rpartition(b"/")
    first = folder[1:].partition(b"/")[0]
    stem, dot, extension = name.rpartition(b".")
    return host, first[:64], extension.lower()[:12] if dot and stem else b""
