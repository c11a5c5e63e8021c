"""An explanation that has travelled as JSON, as data again.

Here: ``from_json``.  Not here: making one (``core.explain``), showing it (``console``).
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from edgeproxy.core.explanation import Explanation

__all__ = ["from_json"]


def from_json(told: Mapping[str, Any]) -> Explanation:
    """What ``core.explanation.as_json`` made; raises KeyError or TypeError for anything else."""
    built: Explanation = _built(Explanation, told)
    return built


def _built(hint: Any, value: Any) -> Any:
    """``value`` in JSON's types as what the hint says: dataclasses by their fields, tuples, options."""
    if is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint)
        return hint(**{each.name: _built(hints[each.name], value[each.name]) for each in fields(hint)})
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if isinstance(value, Mapping):  # pairs that JSON tells as an object
            return tuple(value.items())
        if len(inside) == 2 and inside[1] is Ellipsis:
            return tuple(_built(inside[0], each) for each in value)
        return tuple(_built(one, each) for one, each in zip(inside, value, strict=True))
    if origin in {types.UnionType, typing.Union}:
        return None if value is None else _built(next(one for one in inside if one is not type(None)), value)
    return value
