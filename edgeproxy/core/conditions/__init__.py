"""Conditions: one thing about a visitor or a request that can hold, not hold, or be unknown.

A new condition is one class with ``@condition``, in ``visitor``, in ``request``, or where memory is looked at
(``amounts``, ``moments``, ``memory``): a key, a line of help, a schema, ``parse``, ``holds``, ``facts``.  Truth has
three values (Kleene): ``None`` says that the fact is unknown, and then neither the condition nor its ``not`` holds.
A reason is written where the fact is looked at, and only when somebody asked for it.
"""

from edgeproxy.core.conditions import amounts, memory, moments, request, visitor
from edgeproxy.core.conditions.registry import CONDITIONS, Every, Kind, Labels, Not, condition, kinds, leaves, table

__all__ = [
    "CONDITIONS",
    "Every",
    "Kind",
    "Labels",
    "Not",
    "amounts",
    "condition",
    "kinds",
    "leaves",
    "memory",
    "moments",
    "request",
    "table",
    "visitor",
]
