"""Shapes that values of conditions have: a word or a list of words, labels of the shop.

Each reader returns the value, or None after every mistake in it was told.  Called by the conditions' ``parse``.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgeproxy.core import durations
from edgeproxy.core.memory import CODE
from edgeproxy.core.rules.sheet import Spot
from edgeproxy.core.words import both, meant

STRING_OR_STRINGS: tuple[Mapping[str, object], ...] = (
    {"type": "string", "minLength": 1},
    {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
)
ONE_OR_MORE: Mapping[str, object] = {"anyOf": list(STRING_OR_STRINGS)}
"""JSON Schema of what ``strings`` takes."""


def strings(value: object, spot: Spot, also: str = "") -> tuple[str, ...] | None:
    """A string, or a list of at least one; ``also`` names what else the caller takes."""
    if isinstance(value, str) and value:
        return (value,)
    if not isinstance(value, list) or not value:
        spot.tell(f"{spot.name} wants a string or a list of strings{also}")
        return None
    wrong = [index for index, one in enumerate(value) if not isinstance(one, str) or not one]
    for index in wrong:
        spot.at(index).tell(f"{spot.name} wants a list of strings")
    return None if wrong else tuple(value)


def labels(value: object, spot: Spot, known: tuple[str, ...] | None, noun: str) -> tuple[str, ...] | None:
    """``strings`` that shop.toml names; ``noun`` is "stage" or "segment"."""
    values = strings(value, spot)
    if values is None or known is None:
        return values
    for index, one in enumerate(values):
        if one not in known:
            named = f"shop.toml names {both(known)}" if known else f"shop.toml names no {noun}s"
            place = spot.at(index) if isinstance(value, list) else spot
            place.tell(f'unknown {noun} "{one}"', meant(one, known) or named)
    return values if set(values) <= set(known) else None


def codes(value: object, spot: Spot, known: tuple[str, ...] | None, noun: str) -> tuple[str, ...] | None:
    """``strings`` that are codes, and that lifecycle.toml names where it names any; ``noun`` is "category"."""
    values = strings(value, spot)
    good = True
    for index, one in enumerate(values or ()):
        place = spot.at(index) if isinstance(value, list) else spot
        if not CODE.fullmatch(one):
            place.tell(f'"{one}" cannot be the name of a {noun}', "small letters, digits, - and _, at most 24")
            good = False
        elif known is not None and one not in known:
            place.tell(f'unknown {noun} "{one}"', meant(one, known) or f"lifecycle.toml names {both(known)}")
            good = False
    return values if good else None


DURATION: Mapping[str, object] = {"type": "string", "pattern": r"^\s*\d{1,6} ?[A-Za-z]+\s*$"}
"""JSON Schema of what ``duration`` takes."""


def duration(value: object, spot: Spot, step: float = durations.MINUTE) -> float | None:
    """ "14 days" in seconds, in whole steps of ``step`` (a minute, a day): nothing finer is remembered."""
    try:
        seconds = durations.parse(value) if isinstance(value, str) else None
    except durations.NotADuration as problem:
        spot.tell(f"{spot.name}: {problem}")
        return None
    if seconds is None:
        spot.tell(f"{spot.name} wants a duration in words", '"14 days"')
        return None
    if seconds % step:
        unit = "days" if step == durations.DAY else "minutes"
        spot.tell(f"{spot.name} wants whole {unit}", "nothing finer is remembered")
        return None
    return seconds
