"""Would the edits be made?  Each is tried on the pages that were looked at, by the very calls that the proxy makes.

Here: ``planned``, where slots are on the pages; ``edits``, what would be refused or made by half, and why.  Pure.
Called by ``examine`` and ``rules``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from edgeproxy.core.model import Choice, Decision, Experience, Fragment, PageRequest, RuleBook, Source, Visitor
from edgeproxy.core.words import count
from edgeproxy.doctor.choose import active
from edgeproxy.doctor.model import Finding, Observed, Page, Severity, shown, some
from edgeproxy.html import charset
from edgeproxy.html.model import PagePlan, PlaceOutcome, Unplannable
from edgeproxy.html.plan import plan
from edgeproxy.html.verify import verify
from edgeproxy.personalise import children_of, personalise, slots_here

_FIX, _LOOK, _FINE = Severity.FIX, Severity.LOOK, Severity.FINE
_STYLED: Final = re.compile(r"<[^>]*\sstyle\s*=", re.IGNORECASE)


def planned(seen: Observed, book: RuleBook) -> Mapping[str, PagePlan]:
    """Where the slots are, on each page that may be edited."""
    experiences = active(book, seen.setup.at)
    found: dict[str, PagePlan] = {}
    for page in seen.documents:
        if book.shop.never is not None and book.shop.never.touches(page.path):
            continue
        kind = page.last.header("content-type")
        try:
            found[page.path] = plan(
                page.last.body,
                charset.detect(kind or None, page.last.body),
                slots_here(book, experiences, page.path),
                children=children_of(experiences),
                csp=_csp(page),
            )
        except Unplannable:
            continue  # ``markup.pages`` has told it
    return found


def _csp(page: Page) -> str | None:
    return page.last.header("content-security-policy") or None


def edits(seen: Observed) -> Iterator[Finding]:
    """Every edit of every experience, tried on every page: what would be refused, what would be made by half."""
    book = seen.rules.book
    if book is None:
        return
    plans = planned(seen, book)
    frameworks = {page.framework: path for path, page in plans.items() if page.framework}
    if frameworks:
        names = some([f"{name} ({path})" for name, path in frameworks.items()])
        do = "inside what it hydrates use hide, attributes, classes and style; other edits are refused there"
        yield Finding(_LOOK, "framework", "A framework takes pages over in the browser", names, do)
    refused: dict[tuple[str, str, str], list[str]] = {}
    remarked: dict[tuple[str, str, str], list[str]] = {}
    tried: set[str] = set()
    for page in seen.documents:
        here = plans.get(page.path)
        if here is None:
            continue
        distrusted = verify(page.last.body, here, here.slots)
        for name, why in distrusted.items():
            refused.setdefault((f"Slot {name}", book.slots[name].where.short, why), []).append(page.path)
        for experience in active(book, seen.setup.at):
            if experience.on is not None and not experience.on.match(page.path):
                continue
            made = personalise(
                book,
                Decision((experience,), (), _visitor(book, experience), None, book.version),
                PageRequest("GET", seen.setup.scheme, seen.setup.visitors, page.path, "", (), seen.setup.at),
                page.last.body,
                page.last.header("content-type") or None,
                csp=_csp(page),
            )
            for placement in made.placing.placements:
                slot = placement.edit.slot
                if slot is not None and (slot not in here.slots or not here.slots[slot].elements):
                    continue  # ``slots`` has told it
                tried.add(placement.edit.where.short)
                key = (f"{experience.name}: {placement.edit.action.verb}" + (f" of {slot}" if slot else ""),)
                where = placement.edit.where.short
                if placement.outcome is PlaceOutcome.REFUSED:
                    refused.setdefault((*key, where, placement.why), []).append(page.path)
                elif placement.why != "placed":
                    remarked.setdefault((*key, where, placement.why.removeprefix("placed: ")), []).append(page.path)
    for (what, where, why), paths in refused.items():
        said = f"{shown(why, 200)}; on {some(paths)}"
        yield Finding(_FIX, "edit", f"{what} would not be made", said, f"{_way_out(why)} ({where})")
    for (what, where, why), paths in remarked.items():
        said = f"{shown(why, 200)}; on {some(paths)}"
        yield Finding(_LOOK, "edit", f"{what} would be made, but not wholly", said, f"{_way_out(why)} ({where})")
    yield from _csp_findings(seen, book, plans)
    if tried and not refused:
        said = f"each tried on {count(len(plans), 'page')}"
        yield Finding(_FINE, "edit", f"{count(len(tried), 'edit')} can be made", said)


def _visitor(book: RuleBook, experience: Experience) -> Visitor:
    """Somebody for whom every choice of the experience has content."""
    stage = book.shop.stages[0] if book.shop.stages else None
    for edit in experience.edits:
        if isinstance(edit.content, Choice):
            stage = next((one for _, one in edit.content.by_both), next(iter(edit.content.by_stage), stage))
    return Visitor(stage, book.shop.segments, None, Source.PREVIEW)


def _way_out(why: str) -> str:
    if "hydrates" in why:
        return "use hide, attributes, add_class or style there, or a slot outside of what the framework hydrates"
    if "forbids style elements" in why:
        return "let style-src of the shop's CSP carry a nonce, or put the styles into the shop's own style sheet"
    if "forbids inline styles" in why:
        return "the theme must leave [hidden] alone; or use add_class and a class of the theme"
    if "selectolax" in why:
        return "two HTML engines disagree, so it is left alone: close the tags around it, or choose an element near it"
    return "choose another verb, or an element near it"


def _csp_findings(seen: Observed, book: RuleBook, plans: Mapping[str, PagePlan]) -> Iterator[Finding]:
    strict = [path for path, page in plans.items() if not page.inline_styles]
    styled = sorted({one.path for e in active(book, seen.setup.at) for one in _fragments(e) if _styled(one)})
    if strict and styled:
        said = f"{some([shown(one, 60) for one in styled])}, on pages like {some(strict, 2)}"
        do = "use classes of the theme, or the verb style, which takes the page's nonce"
        title = 'Your HTML has style="…", and the shop\'s CSP forbids it'
        yield Finding(_LOOK, "csp", title, said, do)
    nonces = [path for path, page in plans.items() if page.nonce]
    if nonces:
        said = f"{some(nonces)}: styles of yours carry it, and such a page is made for each visitor anew"
        yield Finding(_FINE, "csp", "The CSP has a nonce", said)
    elif any(_csp(page) for page in seen.documents):
        yield Finding(_FINE, "csp", "The CSP stays as it is", "no nonce in it")


def _fragments(experience: Experience) -> Iterator[Fragment]:
    for edit in experience.edits:
        content = edit.content
        if isinstance(content, Fragment):
            yield content
        elif content is not None:
            yield from (*content.by_segment.values(), *content.by_stage.values(), *content.by_both.values())
            if content.or_else is not None:
                yield content.or_else


def _styled(fragment: Fragment) -> bool:
    return _STYLED.search("".join(part for part in fragment.parts if isinstance(part, str))) is not None
