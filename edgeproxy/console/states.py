"""How slots fare, and what somebody should look at: judgements for the console, in words.

Here: pure functions of what happened (``history.Past``), of numbers and of what is told about the rules.  Not here:
counting, HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edgeproxy.console.figures import rows, value
from edgeproxy.core.words import both, count
from edgeproxy.counters import Export
from edgeproxy.history import DAY, FOUND, HOUR, LOST, Past, Run, Window

__all__ = ["SlotState", "Trouble", "slot_state", "troubles"]

ENOUGH: Final = 3
"""Pages in a row without a slot that was there before: then it is called lost."""


@dataclass(frozen=True, slots=True)
class SlotState:
    """How often a slot was found as expected; ``kind``: "good", "patchy", "lost", "never", "unseen" or "off"."""

    kind: str
    found: int
    lost: int
    since: float | None  # when it was last found
    why: str  # of the last page where it was left alone, if that was the last that wanted it
    steps: tuple[tuple[int, int], ...]  # (found, lost), oldest first

    @property
    def share(self) -> float | None:
        """Found, of all; None where no page wanted it."""
        total = self.found + self.lost
        return self.found / total if total else None


def slot_state(past: Past, slot: str, now: float, window: Window, *, enabled: bool = True) -> SlotState:
    """How a slot fares in a window; whether it is lost is judged by the last pages, whatever the window."""
    steps = tuple(zip(past.series(FOUND, slot, now, window), past.series(LOST, slot, now, window), strict=True))
    found, lost = sum(step[0] for step in steps), sum(step[1] for step in steps)
    run = past.runs.get(slot, Run())
    day = past.total(LOST, now, DAY).get(slot, 0)
    if not enabled:
        kind = "off"
    elif run.lost >= ENOUGH or (run.lost and not run.found_at):
        kind = "lost" if run.found_at else "never"
    elif run.lost or lost or day:
        kind = "patchy"
    else:
        kind = "good" if run.found_at else "unseen"
    return SlotState(kind, found, lost, run.found_at or None, run.why, steps)


# --------------------------------------------------------------------------- what somebody should look at


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something for the top of every page; ``kind`` is "bad" or "look"."""

    kind: str
    title: str
    lines: tuple[str, ...] = ()
    more: str = ""  # address of the page that tells more


def troubles(
    *,
    good: bool,
    live: bool,
    problems: Sequence[str],
    numbers: Export,
    past: Past,
    slots: Sequence[Mapping[str, Any]],
    now: float,
    workers: str = "",
) -> tuple[Trouble, ...]:
    """Everything that somebody should look at, the worst first.

    ``good``: the rules on disk are live; ``live``: some rules are; ``problems`` of the folder, as they are told
    everywhere; ``slots`` as ``bookview`` tells them; ``workers``: what is wrong with them, in words.
    """
    found: list[Trouble] = []
    mistakes = tuple(line for line in problems if ": warning: " not in line)
    warnings = tuple(line for line in problems if ": warning: " in line)
    if not live:
        found.append(Trouble("bad", "No rules are live: every page is the shop's own", mistakes))
    elif not good:
        what = "The rules on disk have mistakes; the last good ones are live"
        found.append(Trouble("bad", what, mistakes))
    if workers:
        found.append(Trouble("bad", workers))
    states = [(slot["name"], slot_state(past, slot["name"], now, HOUR, enabled=slot["enabled"])) for slot in slots]
    lost = [(name, state) for name, state in states if state.kind in {"lost", "never"}]
    if lost:
        what = f"{count(len(lost), 'slot is', 'slots are')} not found any more: has the theme changed?"
        if all(state.kind == "never" for _, state in lost):
            what = f"{count(len(lost), 'slot has', 'slots have')} not been found on any page"
        lines = tuple(f"{name}: {state.why or 'left alone'}" for name, state in lost)
        found.append(Trouble("bad", what, lines, "/slots"))
    if faults := int(value(numbers, "edgeproxy_faults_total")):
        what = f"{count(faults, 'fault')} of our own: those visitors got the shop's page"
        found.append(Trouble("bad", what, ("The log has each with its traceback.",), "/live"))
    if distrusted := [labels[0] for labels, _ in rows(numbers, "edgeproxy_slots_distrusted_total")]:
        what = f"A second engine disagrees about {both(distrusted)}: left alone on those pages"
        found.append(Trouble("look", what, (), "/slots"))
    if slow := int(value(numbers, "edgeproxy_pages_slow_total")):
        what = f"Finding the slots took too long on {count(slow, 'page', 'pages')}: those like it are left alone"
        found.append(Trouble("look", what, ("The log says which, and names the selectors.",)))
    gone = [labels[0] for labels, usable in numbers.get("edgeproxy_origin_usable", {}).get("rows", ()) if not usable]
    if gone:
        found.append(Trouble("bad", f"{both(gone)} of the shop does not answer, and is left out for a while"))
    if dropped := int(value(numbers, "edgeproxy_log_lines_dropped")):
        found.append(Trouble("look", f"{count(dropped, 'line')} of the access log could not be written"))
    if warnings:
        found.append(Trouble("look", f"{count(len(warnings), 'warning')} about the rules", warnings))
    return tuple(found)
