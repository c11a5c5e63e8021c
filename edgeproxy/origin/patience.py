"""How long we wait for the shop: pure arithmetic, no clock of its own.

Patience is a purse of seconds.  Only time spent *waiting for the shop* is taken from it: a visitor who reads
slowly costs the shop nothing.  What arrives may refill it.  One idea covers all three rules:

    document   starts with the whole deadline, is never refilled: a total
    stream     starts with ``rate_grace`` seconds, every ``rate`` bytes earn a second, never more than ``idle``:
               a minimum rate and an idle limit in one
    events     an event stream is silent by nature: refilled to ``idle`` by any byte

An empty purse knows whose limit it was: ``limit``, by its name in ``settings.Limits``.

Called by ``exchange`` (spends) and ``transport`` (chooses).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits", "Patience"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How far the shop may go; times in seconds, sizes in bytes."""

    connect: float = 2.0  # to a usable connection, TLS included
    answer: float = 60.0  # to the end of the answer's head, where the request has no deadline of its own
    sending: float = 60.0  # without the shop taking any byte of a request body
    idle: float = 60.0  # longest silence inside an answer that streams
    rate: float = 1024.0  # bytes a second that such an answer must keep up…
    rate_grace: float = 30.0  # …over so many seconds
    head: int = 64 * 1024  # of an answer's head, or of what stands between two pieces of its body
    headers: int = 500  # lines of a head
    interims: int = 20  # answers of the 1xx kind before the real one
    connections: int = 256  # open to the shop at once
    tunnels: int = 512  # connections that have left HTTP (101) at once
    keepalive: float = 15.0  # an idle connection is kept so long
    age: float = 300.0  # a connection is used so long: a name that has moved is noticed
    dns: int = 10  # seconds that an address is believed
    window: int = 256 * 1024  # of a body held for a visitor who reads slowly


@dataclass(slots=True)
class Patience:
    """Seconds that we will still wait; refilled by ``per_byte`` for each byte, up to ``cap``."""

    left: float
    cap: float
    per_byte: float = 0.0
    name: str = "deadline"
    full: bool = True  # when something came last, no more could be earned: from there on, silence alone empties it

    @property
    def limit(self) -> str:
        """The setting that is hit when nothing is left."""
        return self.name if self.full else "origin_rate_bytes"

    def spend(self, seconds: float) -> None:
        self.left -= seconds

    def earn(self, size: int) -> None:
        """``size`` bytes of the body arrived (at least 1)."""
        if self.per_byte:
            self.left = min(self.cap, self.left + size * self.per_byte)
            self.full = self.left >= self.cap

    @classmethod
    def total(cls, seconds: float, name: str = "deadline") -> Patience:
        return cls(seconds, seconds, name=name)

    @classmethod
    def stream(cls, limits: Limits) -> Patience:
        full = limits.rate_grace >= limits.idle
        return cls(limits.rate_grace, limits.idle, 1.0 / limits.rate, "origin_idle_seconds", full)

    @classmethod
    def events(cls, limits: Limits) -> Patience:
        return cls(limits.idle, limits.idle, limits.idle, "origin_idle_seconds")
