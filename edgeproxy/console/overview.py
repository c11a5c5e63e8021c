"""Who knows how everything stands: what the admin listener and the console ask.

Here: the ``Overview`` protocol with its nouns.  Not here: the answers of several workers (``server.supervisor``) and
of a single process (``single``), HTTP (``admin``, ``site``).  Imports nothing that only workers use: the supervisor
knows this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edgeproxy.core.model import RuleBook
from edgeproxy.core.signing import Keys
from edgeproxy.counters import Export
from edgeproxy.history import Past

__all__ = ["Books", "Overview", "Rules", "Standing", "Workers"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How something stands, or what came of it, in lines for an operator."""

    ok: bool
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Rules:
    """How the rules folder stands to the rules that are live."""

    live: bool  # some rules are
    good: bool  # those on disk are
    problems: tuple[str, ...]  # of those on disk, as they are told everywhere


@dataclass(frozen=True, slots=True)
class Workers:
    """Those that serve, of those that should."""

    serving: int
    wanted: int


class Overview(Protocol):
    """Who knows how everything stands."""

    async def health(self) -> Standing:
        """Whether anybody serves at all."""

    async def readiness(self) -> Standing:
        """Whether traffic should come: rules are live, and no stop has begun."""

    async def metrics(self) -> tuple[bytes, str]:
        """Prometheus' text and its content type."""

    async def reload(self) -> Standing:
        """Read again whatever can be read again."""

    async def purge(self, paths: Sequence[str], tags: Sequence[str]) -> int:
        """Forget what is kept for these path patterns, or under one of these tags; how many answers that were."""

    async def numbers(self) -> Export:
        """The same as ``metrics``, in plain types."""

    async def past(self) -> Past:
        """What happened lately."""

    async def survey(self, at: float) -> Mapping[str, Any]:
        """What the live rules come to at a moment (``bookview.view``); {} without any."""

    async def look(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """A contact sheet or an explanation (``sheet.looking``): its HTML, or what is wrong in words."""

    def keys(self) -> Keys:
        """What signs links now."""

    def rules(self) -> Rules:
        """How the rules on disk stand to those that are live."""

    def workers(self) -> Workers:
        """Those that serve, of those that should."""


class Books(Protocol):
    """Where the live rule book is."""

    @property
    def book(self) -> RuleBook | None:
        """The last good book; None when there never was one."""
