"""Whether an address of the shop may be asked: pure arithmetic; time and chance are arguments.

Two judges, each with its own memory:

    passive   ``failures`` exchanges failed in a row → out for ``first`` seconds, doubled each time up to ``most``,
              spread by chance so that the addresses (and the workers) do not come back in one moment.  Back from that,
              one more failure puts it out again; one whole answer makes it as good as new.
    active    a check of the health path: two bad ones in a row → out until a good one, which also ends what the
              passive judge has said.

Nobody here knows of the other addresses: that not all of them may be out is whoever chooses' to see to.  Called by
``addresses``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Health", "Tolerance"]

BAD_CHECKS = 2
"""One alone may be the network's doing."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much an address may fail; seconds."""

    failures: int = 5
    first: float = 10.0
    most: float = 300.0


@dataclass(slots=True)
class Health:
    """What is known of one address."""

    tolerance: Tolerance = field(default_factory=Tolerance)
    failures: int = 0  # in a row
    bad_checks: int = 0  # in a row
    times: int = 0  # put out in a row, without a whole answer in between
    out_until: float = 0.0  # by the passive judge

    def usable(self, now: float) -> bool:
        """It may be asked."""
        return self.bad_checks < BAD_CHECKS and now >= self.out_until

    def failed(self, now: float, chance: float) -> bool:
        """An exchange failed; ``chance`` in [0, 1).  True when this has put the address out."""
        if now < self.out_until:
            return False  # it was under way: known already
        self.failures += 1
        if self.failures < (1 if self.times else self.tolerance.failures):
            return False
        seconds = min(self.tolerance.most, self.tolerance.first * 2.0 ** min(self.times, 60))
        self.out_until = now + seconds * (0.75 + 0.5 * chance)
        self.times += 1
        self.failures = 0
        return True

    def answered(self, now: float) -> None:
        """A whole answer came."""
        self.failures = 0
        if now >= self.out_until:
            self.times = 0

    def checked(self, *, good: bool) -> bool:
        """The health path was asked.  True when this has put the address out."""
        if good:
            self.bad_checks = self.failures = self.times = 0
            self.out_until = 0.0
            return False
        self.bad_checks += 1
        return self.bad_checks == BAD_CHECKS
