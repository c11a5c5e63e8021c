"""What of visitors a rule book asks to be remembered, and what a memory answers.

Here: what a book looks at (``recall``, once per book) and the answers to all of it for one visitor (``answers``, the
part of a decision's key that is about memory).  Not here: the memory (``memory``), single conditions (``conditions``).
Called by ``rulefile`` for each book, and by whoever keeps decisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgeproxy.core import courtesy
from edgeproxy.core.audiences import Believed, named
from edgeproxy.core.conditions import leaves
from edgeproxy.core.conditions.amounts import PageViews
from edgeproxy.core.model import Audience, Condition, Experience, Facts, Lifecycle, Recall, RuleBook, Where


def recall(
    stages: Lifecycle | None, audiences: Mapping[str, Audience], tried: Iterable[Experience], *, counts: bool = False
) -> Recall | None:
    """What of a visitor has to be remembered for these rules; None when none of them looks at memory.

    ``counts``: the shop counts showings, whatever its experiences ask for themselves.
    """
    tried = tuple(tried)
    looked: dict[Condition, Where] = {}
    for stage in stages.stages if stages is not None else ():
        looked |= dict.fromkeys(leaves(stage.test), stage.where) if stage.test is not None else {}
    names = {name for one in tried for name in one.audiences}
    for audience in (named(audiences, name) for name in sorted(names)):
        for one in leaves(audience.test.lines) if isinstance(audience.test, Believed) else ():
            if getattr(one, "about", "") == "memory":
                looked.setdefault(one, audience.where)
    polite = [one for one in tried if one.courtesy.needs_memory or one.courtesy.suppress is not None]
    wheres = [*looked.values(), *(one.where for one in polite), *(one.where for one in tried if counts)]
    if stages is not None:
        wheres.insert(0, stages.where)
    if not wheres:
        return None
    waited = {one.courtesy.not_before.event for one in polite if one.courtesy.not_before is not None}
    events = waited.union(*(one.courtesy.stop_after for one in polite))
    views = max((one.largest for one in looked if isinstance(one, PageViews)), default=0)
    return Recall(views, frozenset(events), tuple(looked), wheres[0])


Answers = tuple[object, ...]
"""Hashable values, compared by what they are."""


def answers(book: RuleBook, facts: Facts) -> Answers:
    """What the book's conditions about memory and its courtesy say of this visitor now: few values, many visitors.

    () for a visitor of whom a book that looks at no memory knows nothing.  ``facts.visitor`` is as
    ``lifecycle.staged`` gives it: its stage and id are facts of their own.
    """
    polite = courtesy.answers(book, facts.visitor, facts.request.at)
    if book.recall is None:
        return polite
    return (*polite, *[one.holds(facts) for one in book.recall.conditions])
