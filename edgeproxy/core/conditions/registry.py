"""The registry of conditions, and tables of them.

Here: what a condition's class offers, how one enters the registry, and how a table of them is read, with ``not``.
Not here: the conditions themselves (``visitor``, ``request``, ``amounts``… beside this module).
The rule parser, the JSON Schema and the help read the registry; ``decide`` asks ``holds``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeVar

from edgeproxy.core.model import Condition, Facts, Reasons
from edgeproxy.core.rules.sheet import Spot
from edgeproxy.core.words import meant

About = Literal["visitor", "memory", "request", "either"]
"""Where a condition may stand: in an audience ("visitor"), there and in lifecycle.toml ("memory"), in an experience's
``when`` ("request"), everywhere."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels that rules may name; None where the files could not tell them: nothing is checked then."""

    stages: tuple[str, ...] | None  # of shop.toml
    segments: tuple[str, ...] | None
    categories: tuple[str, ...] | None = None  # of lifecycle.toml, where it lists any
    showings: Mapping[str, str] | None = None  # experiences and groups whose showings are counted → their codes


class Kind(Protocol):
    """What a class in the registry offers beside being a Condition."""

    key: ClassVar[str]
    about: ClassVar[About]
    help: ClassVar[str]

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        """JSON Schema (2020-12) of the value, in a table that is about ``about``."""

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        """The value in TOML → the condition; None after every mistake was told to ``spot``."""


CONDITIONS: dict[str, type[Kind]] = {}
"""Every condition by its key, in the order in which help and schema list them."""

_K = TypeVar("_K", bound=type[Kind])


def condition(kind: _K) -> _K:
    """Enter a class into the registry; two of one key are a fault of ours, found at import."""
    if kind.key in CONDITIONS:
        raise TypeError(f"two conditions are called {kind.key}")
    CONDITIONS[kind.key] = kind
    return kind


def kinds(about: About) -> dict[str, type[Kind]]:
    """The conditions that may stand in a table that is about the visitor, their memory, or the request."""
    fit = {about, "either"} | ({"memory"} if about == "visitor" else set())
    return {key: kind for key, kind in CONDITIONS.items() if kind.about in fit}


# --------------------------------------------------------------------------- tables: every line, and its opposite


@dataclass(frozen=True, slots=True)
class Every:
    """Every line of a table must hold (Kleene's and): one that does not decides, then one that is unknown."""

    lines: tuple[Condition, ...]

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        held: bool | None = True
        said: dict[bool | None, Reasons] = {}
        for line in self.lines:
            heard = None if reasons is None else Reasons()
            one = line.holds(facts, heard)
            if one is False:
                held = False
                if reasons is None:
                    return False
            elif one is None and held:
                held = None
            said.setdefault(one, Reasons()).extend(heard or ())
        if reasons is not None:
            reasons.extend(said.get(held, ()))
        return held

    def facts(self) -> frozenset[str]:
        return frozenset().union(*(line.facts() for line in self.lines))


def leaves(condition: Condition) -> Iterator[Condition]:
    """The single conditions inside one, however deep."""
    if isinstance(condition, Every):
        for line in condition.lines:
            yield from leaves(line)
    elif isinstance(condition, Not):
        yield from leaves(condition.inner)
    else:
        yield condition


def table(value: object, spot: Spot, labels: Labels, about: About, beside: Iterable[str] = ()) -> Every | None:
    """A table of conditions; None after every mistake was told.

    ``beside`` are keys that may stand in the same table and are read by the caller ("says").
    """
    example = _EXAMPLES[about]
    if not isinstance(value, Mapping):
        spot.tell(f"{spot.name} wants a table of conditions", f"such as {{ {example} }}")
        return None
    known = kinds(about)
    lines: list[Condition | None] = []
    for key, one in value.items():
        if key in known:
            lines.append(known[key].parse(one, spot.at(key), labels, about))
        elif key not in beside:
            spot.at(key).tell_key(f'unknown key "{key}"', _elsewhere(key, about) or meant(key, [*known, *beside]))
            lines.append(None)
    if not lines:
        name = "" if spot.name == spot.subject else f"{spot.name} "
        spot.tell_key(f"{name}has no condition", f"such as {example}")
        return None
    good = tuple(line for line in lines if line is not None)
    return Every(good) if len(good) == len(lines) else None


_EXAMPLES: Mapping[About, str] = {
    "visitor": 'stage = "new"',
    "memory": "visits = { at_least = 2 }",
    "request": 'device = "mobile"',
    "either": 'stage = "new"',
}


def _elsewhere(key: str, about: About) -> str:
    if key not in CONDITIONS:
        return ""
    if CONDITIONS[key].about != "request":
        if about == "memory":
            return "a lifecycle looks only at what is remembered: visits, page_views, orders, last_order…"
        return "that is about the visitor: it belongs in an audience"
    return "that is about the request: it belongs in an experience, as when = { … }"


@condition
@dataclass(frozen=True, slots=True)
class Not:
    """Holds when its table does not; unknown stays unknown."""

    key: ClassVar[str] = "not"
    about: ClassVar[About] = "either"
    help: ClassVar[str] = "holds when its table of conditions does not"

    inner: Condition

    @classmethod
    def schema(cls, about: About) -> Mapping[str, object]:
        return {"$ref": f"#/$defs/conditions-{about}"}

    @classmethod
    def parse(cls, value: object, spot: Spot, labels: Labels, about: About) -> Condition | None:
        inner = table(value, spot, labels, about)
        return None if inner is None else cls(inner)

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        heard = None if reasons is None else Reasons()
        inner = self.inner.holds(facts, heard)
        if reasons is not None and heard is not None:
            said = " and ".join(heard)
            reasons.append(f"not wanted: {said}" if inner else f"not: {said}" if inner is False else said)
        return None if inner is None else not inner

    def facts(self) -> frozenset[str]:
        return self.inner.facts()
