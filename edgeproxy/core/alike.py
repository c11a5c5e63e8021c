"""What two requests must have in common to be decided alike: the facts that a book looks at, and no others.

Here: the value of each fact, as part of a key.  Not here: judging by them (``conditions``), pages and addresses.
Called by whoever keeps what a decision came to (the fast lane), for each request that it has not met before.

Of an id the key holds the rollouts that it is in, and of what is remembered of visitors the answers (``recall``), which
a moment may change: such a key is good for that moment.  A condition whose fact is not known here makes ``alike`` say
None: such a decision is made anew each time.  Parameters of the query (``query.color``) are no part of the key: it is
kept for one exact address.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Final

from edgeproxy.core.conditions.request import device_of, language_of, referring_host
from edgeproxy.core.decide import share_number
from edgeproxy.core.model import Facts, PageRequest, RuleBook, Visitor
from edgeproxy.core.policy import is_document
from edgeproxy.core.recall import answers

__all__ = ["FACTS", "alike"]

_Look = Callable[[Visitor, PageRequest], Hashable]

FACTS: Final[Mapping[str, _Look]] = {
    "source": lambda visitor, request: visitor.source,
    "stage": lambda visitor, request: visitor.stage,
    "segments": lambda visitor, request: visitor.segments,
    "device": lambda visitor, request: device_of(request),
    "language": lambda visitor, request: language_of(request),
    "country": lambda visitor, request: request.country,
    "came_from": lambda visitor, request: referring_host(request),
}


def alike(book: RuleBook, visitor: Visitor, request: PageRequest) -> tuple[Hashable, ...] | None:
    """The key of what ``decide`` says of this visitor at one address, until the book next changes; None: it has none.

    ``visitor`` is as the decision has them (``Decision.visitor``).  Keys of different books are not to be compared.
    """
    looks = _memo.looks(book)
    if looks is None:
        return None
    seen = tuple([look(visitor, request) for look in looks])
    return (visitor.source, is_document(request), *seen, *answers(book, Facts(visitor, request, book.shop)))


class _Memo:
    """What the last book that was asked looks at; another book starts anew.  Books are never changed."""

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        self._latest: tuple[RuleBook, tuple[_Look, ...] | None] | None = None

    def looks(self, book: RuleBook) -> tuple[_Look, ...] | None:
        latest = self._latest
        if latest is None or latest[0] is not book:
            latest = self._latest = (book, _looks(book))
        return latest[1]


_memo: Final = _Memo()


def _looks(book: RuleBook) -> tuple[_Look, ...] | None:
    answered: set[str] = set()
    for condition in book.recall.conditions if book.recall is not None else ():
        answered |= condition.facts()
    asked = sorted(fact for fact in book.facts - answered if not fact.startswith("query."))
    if not all(fact in FACTS or fact == "id" for fact in asked):
        return None
    return tuple(FACTS[fact] if fact in FACTS else _shares(book) for fact in asked)


def _shares(book: RuleBook) -> _Look:
    """Of an id only this counts: which rollouts the visitor is in."""
    parts = [(one.name, one.share * 2.0**64) for one in book.experiences if 0 < one.share < 1]

    def look(visitor: Visitor, request: PageRequest) -> Hashable:
        ident = visitor.id
        return ident is not None and tuple([share_number(name, ident) < below for name, below in parts])

    return look
