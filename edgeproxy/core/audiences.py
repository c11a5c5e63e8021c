"""Audiences: who is who.

Here: the two that every shop has, and the test that a table of audiences.toml becomes.  Not here: what an audience
gets (``experiences``).  Called by the rule parser (``read``) and by ``decide`` (``named``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeproxy.core.conditions import Every, Labels, table
from edgeproxy.core.model import Audience, Condition, Facts, Reasons, Source, Where
from edgeproxy.core.rules.sheet import Spot

_BELIEVED = frozenset({"source"})


@dataclass(frozen=True, slots=True)
class Believed:
    """Every line of an audience's table, for a visitor whose cookie is not disbelieved: that one has no audience."""

    lines: Condition

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        if facts.visitor.source is Source.DISBELIEVED:
            if reasons is not None:
                reasons.append("the cookie proves nothing")
            return False
        return self.lines.holds(facts, reasons)

    def facts(self) -> frozenset[str]:
        return self.lines.facts() | _BELIEVED


@dataclass(frozen=True, slots=True)
class Everyone:
    """Everybody but a visitor whose cookie is disbelieved."""

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        if reasons is not None:
            reasons.append("it is for everyone")
        return True

    def facts(self) -> frozenset[str]:
        return frozenset()


@dataclass(frozen=True, slots=True)
class Unknown:
    """No cookie at all."""

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        stranger = facts.visitor.source is Source.NOBODY
        if reasons is not None:
            reasons.append("there is no cookie" if stranger else "there is a cookie, wanted none")
        return stranger

    def facts(self) -> frozenset[str]:
        return _BELIEVED


BUILT_IN: Mapping[str, Audience] = {
    "everyone": Audience(
        "everyone", Believed(Everyone()), "Everybody with a cookie that holds, or with none", Where("")
    ),
    "unknown": Audience("unknown", Believed(Unknown()), "No cookie at all", Where("")),
}
"""Audiences that no file names."""


def named(audiences: Mapping[str, Audience], name: str) -> Audience:
    """An audience of the book or a built-in one; KeyError for a name that no checked book holds."""
    return BUILT_IN[name] if name in BUILT_IN else audiences[name]


def read(value: object, spot: Spot, labels: Labels) -> Condition | None:
    """A table of audiences.toml → its test; None after every mistake was told."""
    lines: Every | None = table(value, spot, labels, "visitor", beside=("says",))
    return None if lines is None else Believed(lines)
