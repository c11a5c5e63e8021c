"""Words for reasons and mistakes: lists read aloud, and the word that was probably meant.

Here: pure text.  Called wherever core says something to a person.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def either(values: Iterable[str]) -> str:
    """("new", "exploring") → "new or exploring"."""
    return _listed(list(values), "or")


def both(values: Iterable[str]) -> str:
    """("new", "exploring") → "new and exploring"."""
    return _listed(list(values), "and")


def _listed(values: list[str], word: str) -> str:
    return f" {word} ".join(part for part in (", ".join(values[:-1]), *values[-1:]) if part)


def count(number: int, noun: str, plural: str = "") -> str:
    """(1, "slot") → "1 slot"; (2, "slot") → "2 slots"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def meant(word: str, known: Iterable[str]) -> str:
    """'did you mean "stage"?' when one of the known words is near, else ""."""
    near = nearest(word, known)
    return f'did you mean "{near}"?' if near is not None else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant: another case, letters in another order, or most of it the same."""
    known = list(known)
    folded = word.casefold()
    for one in known:
        if one.casefold() == folded:
            return one
    for one in known:
        if sorted(one.casefold()) == sorted(folded):
            return one
    return next(iter(difflib.get_close_matches(word, known, 1)), None)


def quoted(values: Iterable[str]) -> list[str]:
    """Each in double quotes, shortened to what fits a line."""
    return [f'"{one[:60]}…"' if len(one) > 60 else f'"{one}"' for one in values]
