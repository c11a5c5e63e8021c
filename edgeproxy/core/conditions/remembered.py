"""What conditions about memory have in common: whose memory is judged, and how a reason is put.

Here: ``remembered`` and the base ``Remembered``.  Not here: the conditions (``amounts``, ``moments``, ``memory``
beside this module).

A visitor of whom nothing is remembered because nothing may be (no consent), or whose state cookie proves nothing, has
unknown facts.  Somebody who is here for the first time is known to be: one visit, no order.
"""

from __future__ import annotations

from typing import ClassVar

from edgeproxy.core.conditions.registry import About
from edgeproxy.core.memory import Memory, begun
from edgeproxy.core.model import Facts, Reasons, Source


def remembered(facts: Facts) -> Memory | None:
    """The memory that conditions judge; None: unknown.

    A visitor who brought no state, though they might have, is here for the first time as far as anybody knows.
    """
    visitor = facts.visitor
    if visitor.memory is not None:
        return visitor.memory if visitor.memory.visits else None
    if visitor.source in {Source.NOBODY, Source.COOKIE} and not visitor.unremembered:
        return begun(facts.request.at)
    return None


class Remembered:
    """A condition that looks at a memory and nothing else."""

    __slots__ = ()

    key: ClassVar[str]
    about: ClassVar[About] = "memory"
    what: ClassVar[str]  # it looks at: "the last order", "visits"
    be: ClassVar[str] = "is"

    @property
    def wanted(self) -> str:
        """What would hold, in words."""
        raise NotImplementedError

    def seen(self, memory: Memory, at: float) -> tuple[bool | None, str]:
        """Whether it holds of this memory at ``at`` (seconds), and what there is, in words."""
        raise NotImplementedError

    def memory(self, facts: Facts) -> Memory | None:
        return remembered(facts)

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        memory = self.memory(facts)
        held, has = (None, "") if memory is None else self.seen(memory, facts.request.at)
        if reasons is not None:
            why = facts.visitor.unremembered
            if held is None:
                reasons.append(f"{self.what} {self.be} unknown" + (f": {why}" if why else ""))
            else:
                reasons.append(has if held else f"{has}, wanted {self.wanted}")
        return held

    def facts(self) -> frozenset[str]:
        # The answer, never the number itself: a decision's key holds it, so there are few keys and many visitors.
        return frozenset({f"{self.key} {self.wanted}"})
