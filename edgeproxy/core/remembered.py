"""What is remembered of a visitor, in words for whoever runs the shop: in explanations, previews, ``cookie --read``.

Here: one ``Memory`` at a moment → phrases.  Not here: the visitor's own page, which speaks their language.
"""

from __future__ import annotations

from edgeproxy.core import durations
from edgeproxy.core.memory import ORDER, Memory, day_of, minute_of
from edgeproxy.core.words import both, count


def phrases(memory: Memory, at: float) -> tuple[str, ...]:
    """What it says at ``at`` (seconds): "2 visits", "last order 3 days ago"…; () for a memory that is empty."""
    said: list[str] = []
    if memory.visits:
        said.append(count(memory.visits, "visit"))
        first = day_of(at) - memory.first_day
        said.append("first here today" if first <= 0 else f"first here {count(first, 'day')} ago")
        if memory.away is not None:
            said.append("back within a day" if memory.away == 0 else f"back after {count(memory.away, 'day')}")
    if memory.page_views:
        said.append(count(memory.page_views, "page view"))
    if memory.orders:
        said.append(count(memory.orders, "order"))
    for name, minute in memory.events:
        gone = minute_of(at) - minute
        when = f"{durations.words(gone * durations.MINUTE)} ago" if gone > 0 else "just now"
        said.append(f"{'last order' if name == ORDER else name} {when}")
    if memory.bought:
        said.append(f"bought {both(code for code, _ in memory.bought)}")
    if memory.signed_in:
        said.append("signed in")
    said += [f"{name} {score}" for name, score in (("csat", memory.csat), ("nps", memory.nps)) if score is not None]
    times = sum(len(moments) for _, moments in memory.shown)
    if times:
        said.append(f"{count(times, 'showing')} counted")
    if memory.prefers is not None:
        said.append(f"asked for {'no changes' if memory.prefers.value == 'off' else memory.prefers.value + ' pages'}")
    if memory.opted_out:
        said.append("asked not to be remembered")
    return tuple(said)
