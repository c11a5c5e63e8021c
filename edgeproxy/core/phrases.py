"""Phrases as people write them down → what finds them in text.

Here: the small language of the lists that ship and of manners.toml (``^``, NAME, NUMBER, …, a comma at the end), and
amounts of money.  Not here: which phrases there are (data files), whose text it is (``prose``).  Called by the parser
of manners.toml and by the lint of manners.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from edgeproxy.core.prose import PLACEHOLDER

LONGEST: Final = 200  # characters of one phrase

_UPPER: Final = "".join(re.escape(chr(n)) for n in range(0x0587) if chr(n).isupper())
_NAME_WORD: Final = rf"(?:{PLACEHOLDER}|[{_UPPER}][\w’'-]*)"
_ELEMENTS: Final = {
    "NAME": rf"{_NAME_WORD}(?:\s+{_NAME_WORD})?",
    "NUMBER": r"\d+",
    "…": r"(?:[^\s.!?]+\s+){0,4}?",
}
_BETWEEN: Final = r",?\s+"
_BEGINS: Final = r"""(?:\A|[.!?…:;–—\n])[\s"“”»«„'‘’(¡¿]*"""
_ENDS: Final = r"""(?=\s*(?:[,.!?:;–—…"“”»«]|\Z))"""
_APOSTROPHE: Final = "[’']"


class NoPhrase(ValueError):
    """It is no phrase; the message says why, and what one looks like."""


def check(phrase: str) -> None:
    """Raises NoPhrase."""
    words = phrase.removeprefix("^").removesuffix(",").split()
    if not any(word not in _ELEMENTS and re.search(r"\w", word) for word in words):
        raise NoPhrase("a phrase has at least one word of its own")
    if len(phrase) > LONGEST:
        raise NoPhrase(f"a phrase has at most {LONGEST} characters")
    if words[0] == "…" or words[-1] == "…":
        raise NoPhrase("… stands between words")


@lru_cache(64)
def finder(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """What finds any of these phrases; ``(?P<said>…)`` or ``(?P<first>…)`` is what was found."""
    within = "|".join(_source(one) for one in phrases if not one.startswith("^"))
    first = "|".join(_source(one.removeprefix("^")) for one in phrases if one.startswith("^"))
    ways = [rf"(?<!\w)(?P<said>{within})(?!\w)"] if within else []
    ways += [rf"{_BEGINS}(?P<first>{first})(?!\w)"] if first else []
    return re.compile("|".join(ways) or r"(?!)")


def _source(phrase: str) -> str:
    whole = phrase.removesuffix(",")
    source = ""
    previous = "…"
    for word in whole.split():
        if previous != "…":  # that element brings the space behind it along
            source += _BETWEEN if word != "…" else r"\s+"
        source += _ELEMENTS.get(word) or _literal(word)
        previous = word
    return source + (_ENDS if phrase.endswith(",") else "")


def _literal(word: str) -> str:
    """A word of a phrase, in any case; its own comma may be left out by who writes in a hurry."""
    bare = word.removesuffix(",")
    return f"(?i:{re.escape(bare).replace(chr(39), _APOSTROPHE).replace('ß', '(?:ß|ss)')})"


@lru_cache(64)
def amount(currencies: tuple[str, ...]) -> re.Pattern[str]:
    """What finds amounts of money in these currencies: "499 kr", "€ 12.90", "99:-", "from $5"."""
    if not currencies:
        return re.compile(r"(?!)")
    names = "|".join(re.escape(one) for one in sorted(currencies, key=len, reverse=True))
    number = r"\d+(?:[.,’'\s]\d+)*"
    # A word such as "kr" or "EUR" must not be part of another; a sign such as "€" may touch anything.
    return re.compile(rf"(?:(?<!\w)(?:{names})\s?{number}|(?<![\w.,]){number}\s?(?:{names})(?!\w))(?<!\s)")


def known(phrases: Iterable[str]) -> tuple[str, ...]:
    """Each phrase once, in the order in which they were first said."""
    return tuple(dict.fromkeys(phrases))
