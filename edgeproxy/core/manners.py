"""The lint of manners: what a fragment should not say, in the words of people who were at the receiving end.

Here: warnings about names and salutations, call-outs, greetings of old friends that newcomers can get, urgency,
prices, and selling over the budget.  Not here: which words those are (``edgeproxy/manners/*.toml`` and the shop's
manners.toml, read by ``rules.manners``), how phrases match (``phrases``).  Called by ``rulefile`` for a book without
mistakes.

It listens to the fragments that experiences use, and says the same thing of the same line once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape
from itertools import combinations
from typing import Final

from edgeproxy.core.audiences import named
from edgeproxy.core.decide import known
from edgeproxy.core.model import (
    NOBODY,
    Choice,
    Experience,
    Facts,
    Fragment,
    PageRequest,
    Problem,
    RuleBook,
    Severity,
    Source,
    Visitor,
)
from edgeproxy.core.phrases import amount, finder
from edgeproxy.core.prose import Run, prose, said
from edgeproxy.core.words import both, either, quoted

OLD_FRIEND: Final = "old_friend"
PRICE: Final = "price"
URGENCY: Final = "urgency"

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "salutation": ("calls people by a name or a title", "few act on it and most dislike it; begin with what it is for"),
    "call_out": ("tells people that they are watched", "say what helps them, not how you came to know"),
    OLD_FRIEND: ("greets as an old friend", ""),
    URGENCY: ("hurries people", "it is untrue by tomorrow, and bought in a hurry is sent back at leisure"),
    PRICE: ("holds a price", "it will not change when the shop's does: leave amounts to the shop"),
}
"""What is listened for: its words in a warning, and what to do."""

FEW_ENOUGH: Final = 8  # segments, up to which every set of them is tried
SELL_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Manners:
    """What is listened for, all languages together."""

    phrases: Mapping[str, tuple[str, ...]]  # kind → phrases; none for a kind that is switched off
    currencies: tuple[str, ...]
    allow: tuple[str, ...]  # phrases that may stand, whatever they sound like
    early: tuple[str, ...] | None  # stages that are greeted by nobody as old friends; None: the first half of them


def warnings(book: RuleBook, manners: Manners) -> Iterator[Problem]:
    """Every warning about the manners of a book."""
    for fragment in _fragments(book):
        yield from _spoken(fragment, manners)
    for experience in book.experiences:
        yield from _greeted(book, experience, manners)


def selling(book: RuleBook) -> Iterator[Problem]:
    """A warning when more of the live experiences sell than sell_share in [courtesy] allows; unsaid, it is half."""
    budget = book.shop.courtesy.sell_share
    live = [one for one in book.experiences if one.enabled and one.share > 0]
    sell = [one.name for one in live if one.purpose == "sell"]
    most = SELL_SHARE if budget is None else budget
    if len(sell) > most * len(live) and (budget is not None or len(sell) > 1):
        what = f"{len(sell)} of {len(live)} experiences sell ({both(sell[:5])}{', …' if len(sell) > 5 else ''})"
        hint = f"at most {most:.0%} of them should: sell_share in [courtesy]"
        yield Problem(book.shop.where, what, "", hint, Severity.WARNING)


# --------------------------------------------------------------------------- what is said


@dataclass(frozen=True, slots=True)
class _Hit:
    kind: str
    text: str
    line: int


def _spoken(fragment: Fragment, manners: Manners) -> Iterator[Problem]:
    for hit in _hits(fragment, manners):
        if hit.kind != OLD_FRIEND:
            what, hint = KINDS[hit.kind]
            yield _problem(fragment, hit, f'{what}: "{hit.text}"', hint)


def _problem(fragment: Fragment, hit: _Hit, what: str, hint: str, subject: str = "") -> Problem:
    where = fragment.where
    if where.line == 0:  # a file of its own; an inline one has the place of its key
        where = replace(where, line=hit.line)
    elif hit.line > 1:
        what += f" (its line {hit.line})"
    return Problem(where, what, subject, hint, Severity.WARNING)


def _hits(fragment: Fragment, manners: Manners) -> Iterator[_Hit]:
    """What there is to be said of a fragment, in the order in which it is read; the same in one line once."""
    read = prose(fragment.parts)
    found: dict[_Hit, None] = {}
    for run in read.runs:
        found.update(dict.fromkeys(_of_run(run, manners)))
    if manners.phrases.get(URGENCY):
        for name, line in read.names:
            if re.search("count-?down", name, re.IGNORECASE):
                found[_Hit(URGENCY, name, line)] = None
    yield from sorted(found, key=lambda hit: hit.line)


def _of_run(run: Run, manners: Manners) -> Iterator[_Hit]:
    allowed = [_span(match) for match in finder(manners.allow).finditer(run.text)]
    taken: list[tuple[int, int]] = []  # "hello again" is one thing to be said, not two
    for kind in (OLD_FRIEND, "call_out", URGENCY, "salutation", PRICE):
        pattern = amount(manners.currencies) if kind == PRICE else finder(manners.phrases.get(kind, ()))
        for match in pattern.finditer(run.text):
            start, end = _span(match)
            if not any(start < to and since < end for since, to in (*allowed, *taken)):
                taken.append((start, end))
                yield _Hit(kind, said(run.text[start:end]), run.line(start))


def _span(match: re.Match[str]) -> tuple[int, int]:
    """What was said itself, without the end of the sentence before."""
    for name in ("said", "first"):
        if name in match.re.groupindex and match[name] is not None:
            return match.span(name)
    return match.span()


def _fragments(book: RuleBook) -> tuple[Fragment, ...]:
    """Every fragment that some experience uses, once."""
    found: dict[tuple[str, str], Fragment] = {}  # by place and text
    for experience in book.experiences:
        for fragment, _ in _contents(experience):
            found[(fragment.where.short, str(fragment.parts))] = fragment
    return tuple(found.values())


def _contents(experience: Experience) -> Iterator[tuple[Fragment, str | None]]:
    """The fragments of an experience, each with the one stage that gets it; None: any."""
    for edit in experience.edits:
        for text in edit.action.texts:
            yield Fragment(edit.where.short, (escape(text),), edit.where), None
        content = edit.content
        if isinstance(content, Fragment):
            yield content, None
        elif isinstance(content, Choice):
            yield from ((fragment, None) for fragment in content.by_segment.values())
            yield from ((fragment, stage) for stage, fragment in content.by_stage.items())
            yield from ((fragment, stage) for (_, stage), fragment in content.by_both.items())
            if content.or_else is not None:
                yield content.or_else, None


# --------------------------------------------------------------------------- to whom


def _greeted(book: RuleBook, experience: Experience, manners: Manners) -> Iterator[Problem]:
    """Greetings of old friends that somebody can get who is none."""
    who: list[str] | None = None
    for fragment, stage in _contents(experience):
        for hit in _hits(fragment, manners):
            if hit.kind != OLD_FRIEND:
                continue
            if who is None:
                who = newcomers(book, experience, _early(book, manners))
            reached = [one for one in who if stage is None or one == _stage_in_words(stage)]
            if reached:
                what = f'{KINDS[OLD_FRIEND][0]}: "{hit.text}"'
                hint = f"{either(reached)} can get it: narrow its audience, or greet nobody"
                yield _problem(fragment, hit, what, hint, experience.name)


def _early(book: RuleBook, manners: Manners) -> tuple[str, ...]:
    stages = book.shop.stages
    return stages[: max(1, len(stages) // 2)] if manners.early is None else manners.early


def newcomers(book: RuleBook, experience: Experience, early: tuple[str, ...]) -> list[str]:
    """Who of those that hardly know the shop can get this experience, in words; none when nobody can.

    The audience alone is judged, on a first visit: nobody who orders or comes back is a newcomer any more.
    """
    if not book.shop.enabled or not experience.enabled or experience.share <= 0:
        return []
    found = []
    if _can(book, experience, known(book, NOBODY)):
        found.append("a visitor without a cookie")
    found += [
        _stage_in_words(stage)
        for stage in early
        if any(_can(book, experience, visitor) for visitor in _of_stage(stage, book.shop.segments))
    ]
    return found


def _stage_in_words(stage: str) -> str:
    return f"stage {quoted([stage])[0]}"


def _can(book: RuleBook, experience: Experience, visitor: Visitor) -> bool:
    if visitor.source is Source.NOBODY and book.shop.without_cookie is None:
        return False
    anywhere = PageRequest("GET", "https", "", "/", "", (), 0.0)  # audiences look at the visitor alone
    facts = Facts(visitor, anywhere, book.shop)
    held = [bool(named(book.audiences, name).test.holds(facts)) for name in experience.audiences]
    return any(held)


def _of_stage(stage: str, segments: tuple[str, ...]) -> Iterator[Visitor]:
    """Visitors of a stage with every set of segments; of very many segments, with none, each, all but each, and all."""
    if len(segments) <= FEW_ENOUGH:
        sets = [some for size in range(len(segments) + 1) for some in combinations(segments, size)]
    else:
        sets = [(), segments, *((one,) for one in segments)]
        sets += [tuple(other for other in segments if other != one) for one in segments]
    for some in sets:
        yield Visitor(stage, tuple(some), "someone", Source.COOKIE)
