"""What of visitors a rule book asks to be remembered, and what a memory answers.

Here: what a book looks at (``recall``, once per book) and the answers to all of it for one visitor (``answers``, the
part of a decision's key that is about memory).  Not here: the memory (``memory``), single conditions (``conditions``).
Called by ``rulefile`` for each book, and by whoever keeps decisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgeproxy.core.audiences import Believed, named
from edgeproxy.core.conditions import leaves
from edgeproxy.core.conditions.memory import PageViews
from edgeproxy.core.model import Audience, Condition, Experience, Facts, Lifecycle, Recall, RuleBook, Where


def recall(stages: Lifecycle | None, audiences: Mapping[str, Audience], tried: Iterable[Experience]) -> Recall | None:
    """What of a visitor has to be remembered for these rules; None when none of them looks at memory."""
    looked: dict[Condition, Where] = {}
    for stage in stages.stages if stages is not None else ():
        looked |= dict.fromkeys(leaves(stage.test), stage.where) if stage.test is not None else {}
    names = {name for one in tried for name in one.audiences}
    for audience in (named(audiences, name) for name in sorted(names)):
        for one in leaves(audience.test.lines) if isinstance(audience.test, Believed) else ():
            if getattr(one, "about", "") == "memory":
                looked.setdefault(one, audience.where)
    wheres = [stages.where, *looked.values()] if stages is not None else [*looked.values()]
    if not wheres:
        return None
    views = max((one.largest for one in looked if isinstance(one, PageViews)), default=0)
    return Recall(views, frozenset(), tuple(looked), wheres[0])


Answers = tuple[bool | None, ...]


def answers(book: RuleBook, facts: Facts) -> Answers:
    """What the book's conditions about memory say of this visitor now, each of them: few values, many visitors.

    () for a book that looks at no memory.  ``facts.visitor`` is as ``lifecycle.staged`` gives it: its stage and id
    are facts of their own.
    """
    if book.recall is None:
        return ()
    return tuple([one.holds(facts) for one in book.recall.conditions])
