"""One page for one visitor: charset, plan, place, render, in one call.

Here: ``personalise``, a pure composition of ``html``; the proxy, ``render``, ``test`` and ``preview`` all call it, so
that a preview cannot be unlike the live page.  Not here: sockets, headers, caches, and faults of ours: an exception
out of here is a bug, which the proxy turns into the shop's own page.

A page that cannot be planned (too big, UTF-16, XHTML…) is left alone with a note; that is no exception.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from edgeproxy.core.model import Decision, Experience, PageRequest, RuleBook, Slot
from edgeproxy.html import charset as charsets
from edgeproxy.html import guards
from edgeproxy.html.early import settled, waiting
from edgeproxy.html.model import Charset, PagePlan, Placing, Unplannable
from edgeproxy.html.place import nothing, place
from edgeproxy.html.plan import plan as plan_page
from edgeproxy.html.render import render
from edgeproxy.html.roundtrip import roundtrip
from edgeproxy.html.verb import Verb
from edgeproxy.plans import Planner

_EMPTY: Final = PagePlan(Charset("utf-8", "utf-8", 0, "default"), {}, None, None, None, None)


@dataclass(frozen=True, slots=True)
class Personalised:
    """A page as one visitor gets it, and how it came about."""

    body: bytes  # the very same object when nothing was placed
    placing: Placing
    plan: PagePlan | None  # None: nothing could be placed here, or ``note`` says why the page was left alone
    charset: Charset | None
    note: str = ""  # why the page as a whole was left alone, or a round trip was not made


def personalise(
    book: RuleBook,
    decision: Decision,
    request: PageRequest,
    body: bytes,
    content_type: str | None,
    *,
    csp: str | None = None,
    distrusted: frozenset[str] = frozenset(),
    planner: Planner = plan_page,
    largest: int = guards.MAX_BYTES,
) -> Personalised:
    """Make the edits that ``decision`` comes to on ``body``.

    ``content_type`` and ``csp`` are the response's headers (several Content-Security-Policy lines joined by ", ");
    ``distrusted`` are slots of this page that failed verification: they stay the shop's own.  ``planner`` finds the
    slots (``plans`` has some that remember).  A page of more than ``largest`` bytes is left alone.
    """
    if not any(experience.edits for experience in decision.fitting):
        return Personalised(body, Placing((), (), {}, {}), None, None)
    slots = slots_here(book, decision.fitting, request.path)
    if not slots and not _styles(decision.fitting):
        return Personalised(body, place(decision, book, _EMPTY, body, {}), None, None)  # no reason to read the page
    charset: Charset | None = None
    try:
        guards.size(body, largest)
        charset = charsets.detect(content_type, body)
        page = planner(body, charset, slots, children=children_of(decision.fitting), csp=csp)
    except Unplannable as why:
        return Personalised(body, nothing(decision, str(why)), None, charset, str(why))
    if distrusted:
        page = _without(page, distrusted)
    values = _values(book, decision, request)
    placing = place(decision, book, page, body, values)
    note = ""
    if placing.roundtrips:
        try:
            changed = roundtrip(render(body, placing.splices), charset, placing.roundtrips)
            return Personalised(changed, placing, page, charset)
        except Unplannable as why:
            note = str(why)
            placing = place(decision, book, page, body, values, roundtrips=False)
    return Personalised(render(body, placing.splices), placing, page, charset, note)


@dataclass(frozen=True, slots=True)
class Begun:
    """The beginning of a page that is still coming."""

    offset: int  # bytes of the shop's page that it stands for
    body: bytes  # what the visitor gets of them


def begin(
    book: RuleBook,
    decision: Decision,
    request: PageRequest,
    body: bytes,
    content_type: str | None,
    *,
    csp: str | None = None,
    distrusted: frozenset[str] = frozenset(),
) -> Begun | None:
    """What of a page can leave while the rest of it is still coming, edits made; None: nothing yet.

    ``body`` is what has come of it; everything else as for ``personalise``, whose page for the whole body begins with
    this one (``html.early`` says why, and with which exceptions).
    """
    if len(body) < charsets.PRESCAN:
        return None
    slots = slots_here(book, decision.fitting, request.path)
    try:
        charset = charsets.detect(content_type, body)
        if charset.source == "default":  # any escape in the rest could make it something else
            return None
        known = settled(
            body, charset, slots, decision, children=children_of(decision.fitting), csp=csp, distrusted=distrusted
        )
    except Unplannable:
        return None
    if known is None:
        return None
    offset, made = known.offset, []
    for splice in place(decision, book, known.page, body, _values(book, decision, request), roundtrips=False).splices:
        if splice.end > offset or splice.start >= offset:
            offset = min(offset, splice.start)
            break
        made.append(splice)
    return Begun(offset, render(body[:offset], made))


def waits(book: RuleBook, decision: Decision, path: str) -> tuple[str, ...]:
    """A note on what keeps a page back from an early flush; none where nothing does, or nothing is edited."""
    why = waiting(decision, slots_here(book, decision.fitting, path))
    return (why,) if why else ()


def _values(book: RuleBook, decision: Decision, request: PageRequest) -> dict[str, str]:
    """What the placeholders segment, stage and path stand for."""
    return {
        "segment": next((s for s in book.shop.segments if s in decision.visitor.segments), ""),
        "stage": decision.visitor.stage or "",
        "path": request.path.encode("latin-1", "replace").decode("utf-8", "replace"),
    }


def survey(
    book: RuleBook,
    request: PageRequest,
    body: bytes,
    content_type: str | None,
    *,
    csp: str | None = None,
    largest: int = guards.MAX_BYTES,
) -> PagePlan | None:
    """Where every slot of the book is on this page, whoever looks; None where none can be planned."""
    slots = slots_here(book, book.experiences, request.path)
    try:
        guards.size(body, largest)
        charset = charsets.detect(content_type, body)
        return plan_page(body, charset, slots, children=children_of(book.experiences), csp=csp)
    except Unplannable:
        return None


def slots_here(book: RuleBook, experiences: Iterable[Experience], path: str) -> tuple[Slot, ...]:
    """The slots that ``experiences`` edit and that are switched on and on this page, in the book's order."""
    wanted = {edit.slot for experience in experiences for edit in experience.edits}
    return tuple(
        slot
        for slot in book.slots.values()
        if slot.name in wanted and slot.enabled and (slot.on is None or slot.on.match(path))
    )


def children_of(experiences: Iterable[Experience]) -> dict[str, Collection[str]]:
    """The slots whose elements' children edits are about, with the selectors that put them in order."""
    found: dict[str, Collection[str]] = {}
    for experience in experiences:
        for edit in experience.edits:
            asked = edit.action.children() if isinstance(edit.action, Verb) else None
            if edit.slot is not None and asked is not None:
                found[edit.slot] = tuple(dict.fromkeys((*found.get(edit.slot, ()), *asked)))
    return found


def _styles(experiences: Iterable[Experience]) -> bool:
    return any(edit.slot is None for experience in experiences for edit in experience.edits)


def _without(page: PagePlan, distrusted: frozenset[str]) -> PagePlan:
    """The plan without slots whose place on this page was found to be wrong."""
    trouble = "its place on this page failed verification"
    return replace(
        page,
        slots={
            name: replace(found, elements=(), trouble=trouble) if name in distrusted else found
            for name, found in page.slots.items()
        },
    )
