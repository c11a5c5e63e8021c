"""How often somebody may be shown a thing: the nouns of courtesy.

Here: frozen data, as rule files say it.  Not here: judging by it (``courtesy``), what is remembered of showings
(``memory``).  ``model`` builds on it.  Times are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeproxy.core.model import Where

__all__ = ["NO_COURTESY", "NO_LIMITS", "Cap", "Courtesy", "HouseRules", "Lookback", "Suppress", "Wait"]


@dataclass(frozen=True, slots=True)
class Cap:
    """Shown at most ``times`` within any ``seconds``."""

    times: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Not before ``seconds`` have passed since ``event`` last happened."""

    event: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Suppress:
    """Not within ``seconds`` of buying something of one of these categories."""

    bought: tuple[str, ...]
    seconds: float
    said: bool  # the rule says so itself; else it comes with ``purpose = "sell"``


@dataclass(frozen=True, slots=True)
class Courtesy:
    """How an experience behaves towards one visitor over time (``core.courtesy`` judges it)."""

    code: str = ""  # under which its showings are remembered: its group's, where it has one
    cap: Cap | None = None
    gap: float | None = None  # seconds between two showings
    not_before: Wait | None = None
    stop_after: tuple[str, ...] = ()  # events
    suppress: Suppress | None = None
    group: str | None = None
    said_at: Mapping[str, Where] = field(default_factory=dict, compare=False, repr=False)  # event → where it is named

    @property
    def counted(self) -> bool:
        """Its showings are remembered."""
        return self.cap is not None or self.gap is not None

    @property
    def needs_memory(self) -> bool:
        """Of who may not be remembered nobody knows whether it would be rude."""
        said = self.suppress is not None and self.suppress.said
        return self.counted or said or self.not_before is not None or bool(self.stop_after)


NO_COURTESY = Courtesy()


@dataclass(frozen=True, slots=True)
class Lookback:
    """How much of the showings under one code has to be remembered: so many, from so many seconds back."""

    times: int
    seconds: float


@dataclass(frozen=True, slots=True)
class HouseRules:
    """What holds for all experiences together ([courtesy] in shop.toml); None: no limit."""

    slots_a_page: int | None = None  # personalised slots
    sells_a_day: int | None = None  # showings with the purpose "sell", in any 24 hours
    sell_share: float | None = None  # of the experiences, that may sell; None: half, and only a warning anyway


NO_LIMITS = HouseRules()
