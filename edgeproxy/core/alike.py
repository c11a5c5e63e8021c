"""What two requests must have in common to be decided alike: the facts that a book looks at, and no others.

Here: the value of each fact, as part of a key.  Not here: judging by them (``conditions``), pages and addresses.
Called by whoever keeps what a decision came to (the fast lane), for each request that it has not met before.

A condition whose fact is not in ``FACTS`` makes ``alike`` say None: such a decision is made anew each time.  Parameters
of the query (``query.color``) are no part of the key: it is kept for one exact address.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Final

from edgeproxy.core.conditions.request import device_of, language_of, referring_host
from edgeproxy.core.model import PageRequest, RuleBook, Visitor
from edgeproxy.core.policy import is_document

__all__ = ["FACTS", "alike"]

FACTS: Final[Mapping[str, Callable[[Visitor, PageRequest], Hashable]]] = {
    "source": lambda visitor, request: visitor.source,
    "stage": lambda visitor, request: visitor.stage,
    "segments": lambda visitor, request: visitor.segments,
    "id": lambda visitor, request: visitor.id,
    "device": lambda visitor, request: device_of(request),
    "language": lambda visitor, request: language_of(request),
    "country": lambda visitor, request: request.country,
    "came_from": lambda visitor, request: referring_host(request),
}


def alike(book: RuleBook, visitor: Visitor, request: PageRequest) -> tuple[Hashable, ...] | None:
    """The key of what ``decide`` says of this visitor at one address, until the book next changes; None: it has none.

    ``visitor`` is as the book sees them (``decide.known``).  Keys of different books are not to be compared.  A book
    that looks at what is remembered of visitors has none: there each page may change the memory.
    """
    if book.recall is not None:
        return None
    found: list[Hashable] = [visitor.source, is_document(request)]
    for fact in book.facts:  # a frozenset: its order stays the same as long as it lives
        look = FACTS.get(fact)
        if look is not None:
            found.append(look(visitor, request))
        elif not fact.startswith("query."):
            return None
    return tuple(found)
