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
from typing import Final, NamedTuple

from edgeproxy.core.conditions.request import device_of, language_of, referring_host
from edgeproxy.core.decide import share_number
from edgeproxy.core.model import Facts, PageRequest, RuleBook, Visitor
from edgeproxy.core.policy import is_document
from edgeproxy.core.recall import answers

__all__ = ["FACTS", "alike", "labels", "requested", "sayings"]

_OF_VISITORS: Final[Mapping[str, Callable[[Visitor], Hashable]]] = {
    "source": lambda visitor: visitor.source,
    "stage": lambda visitor: visitor.stage,
    "segments": lambda visitor: visitor.segments,
}
_OF_REQUESTS: Final[Mapping[str, Callable[[PageRequest], Hashable]]] = {
    "device": device_of,
    "language": language_of,
    "country": lambda request: request.country,
    "came_from": referring_host,
}
FACTS: Final = frozenset({*_OF_VISITORS, *_OF_REQUESTS, "id"})

_FIELDS: Final[Mapping[bytes, tuple[str, Callable[[bytes], Hashable]]]] = {
    b"user-agent": ("device", lambda value: device_of(_only(b"user-agent", value))),
    b"sec-ch-ua-mobile": ("device", lambda value: value),
    b"accept-language": ("language", lambda value: language_of(_only(b"accept-language", value))),
    b"referer": ("came_from", lambda value: referring_host(_only(b"referer", value))),
}
"""Header fields that facts are read from, and what a line of such a field comes to: two that say the same are alike.

``country`` has a header of the operator's choice; ``is_document`` reads Sec-Fetch-Dest and Accept for every book."""


class _Looks(NamedTuple):
    visitor: tuple[Callable[[Visitor], Hashable], ...]
    request: tuple[Callable[[PageRequest], Hashable], ...]
    fields: Mapping[bytes, Callable[[bytes], Hashable]]


def alike(book: RuleBook, visitor: Visitor, request: PageRequest) -> tuple[Hashable, ...] | None:
    """The key of what ``decide`` says of this visitor at one address, until the book next changes; None: it has none.

    ``visitor`` is as the decision has them (``Decision.visitor``).  Keys of different books are not to be compared.
    """
    asked, said = requested(book, request), labels(book, visitor, request.at)
    return None if asked is None or said is None else (*asked, *said)


def requested(book: RuleBook, request: PageRequest) -> tuple[Hashable, ...] | None:
    """The part of the key that is the request's, whoever asks; None: there is none."""
    looks = _memo.looks(book)
    return None if looks is None else (is_document(request), *[look(request) for look in looks.request])


def labels(book: RuleBook, visitor: Visitor, at: float) -> tuple[Hashable, ...] | None:
    """The part of the key that is the visitor's, whatever they ask for; None: there is none."""
    looks = _memo.looks(book)
    if looks is None:
        return None
    moment = PageRequest("GET", "https", "", "/", "", (), at)
    return (
        visitor.source,
        *[look(visitor) for look in looks.visitor],
        *answers(book, Facts(visitor, moment, book.shop)),
    )


def sayings(book: RuleBook) -> Mapping[bytes, Callable[[bytes], Hashable]]:
    """The header fields (lower-case) that the book's facts are read from, each with what one line of it says.

    Where every such field has one line, the lines' sayings decide what the facts are.
    """
    looks = _memo.looks(book)
    return {} if looks is None else looks.fields


class _Memo:
    """What the last book that was asked looks at; another book starts anew.  Books are never changed."""

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        self._latest: tuple[RuleBook, _Looks | None] | None = None

    def looks(self, book: RuleBook) -> _Looks | None:
        latest = self._latest
        if latest is None or latest[0] is not book:
            latest = self._latest = (book, _looks(book))
        return latest[1]


_memo: Final = _Memo()


def _looks(book: RuleBook) -> _Looks | None:
    answered: set[str] = set()
    for condition in book.recall.conditions if book.recall is not None else ():
        answered |= condition.facts()
    asked = sorted(fact for fact in book.facts - answered if not fact.startswith("query."))
    if not FACTS.issuperset(asked):
        return None
    visitor = [_shares(book) if fact == "id" else _OF_VISITORS[fact] for fact in asked if fact not in _OF_REQUESTS]
    fields = {name: say for name, (fact, say) in _FIELDS.items() if fact in asked}
    return _Looks(tuple(visitor), tuple(_OF_REQUESTS[fact] for fact in asked if fact in _OF_REQUESTS), fields)


def _shares(book: RuleBook) -> Callable[[Visitor], Hashable]:
    """Of an id only this counts: which rollouts the visitor is in."""
    parts = [(one.name, one.share * 2.0**64) for one in book.experiences if 0 < one.share < 1]

    def look(visitor: Visitor) -> Hashable:
        ident = visitor.id
        return ident is not None and tuple([share_number(name, ident) < below for name, below in parts])

    return look


def _only(name: bytes, value: bytes) -> PageRequest:
    """A request that says this and nothing else."""
    return PageRequest("GET", "https", "", "/", "", ((name, value),), 0.0)
