"""Where the slots are in one page's bytes: guards, one parse, one plan.

Here: ``plan``, pure.  Not here: how ranges are found (``locate``), what goes there (``edits``, ``place``,
``render``).  Called by ``personalise`` and by whoever keeps plans of cached pages.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

import turbohtml

from edgeproxy.core.model import Expect, Slot
from edgeproxy.html import csp as policy
from edgeproxy.html import guards, margins, selectors
from edgeproxy.html.locate import Source
from edgeproxy.html.model import Charset, PagePlan, SlotPlace
from edgeproxy.html.survey import Survey

_ID = re.compile(r"#[A-Za-z][A-Za-z0-9_-]*")
_NO_CHILDREN: Mapping[str, Collection[str]] = {}


def plan(
    body: bytes,
    charset: Charset,
    slots: Sequence[Slot],
    *,
    children: Mapping[str, Collection[str]] = _NO_CHILDREN,
    csp: str | None = None,
) -> PagePlan:
    """Find ``slots`` in ``body``.

    ``children`` names the slots whose elements' children are wanted, since some ``keep_first`` or ``reorder``
    of the book edits them, and the selectors of those ``reorder`` actions: ``{"product-grid": ("#sale", ".new")}``;
    an empty collection asks for the children alone.  Each ``Child.matches`` holds those of the selectors, as
    written, that the child matches.  Other slots' elements have ``children == ()``.

    ``csp`` is the response's Content-Security-Policy, several header lines joined by ", "; None: it has none.

    Every offset counts bytes of ``body``.  An element whose range cannot be trusted says so in its ``trouble`` or the
    like (``hazards.REASONS``); a slot that is not found as expected in its own.

    Raises ``Unplannable`` with a sentence where the page as a whole must be left alone.
    """
    source = Source(body, charset.bom)
    guards.depth(source.document)
    survey = Survey(source, charset)
    known = _by_id(survey, slots)
    places = {slot.name: _slot(survey, slot, children.get(slot.name), known.get(slot.find)) for slot in slots}
    allowed = policy.read(margins.policies(source, csp))
    head_end, body_end = margins.head_end(source), margins.body_end(source)
    return PagePlan(
        charset=charset,
        slots=places,
        head_end=head_end + charset.bom if head_end is not None else None,
        body_end=body_end + charset.bom if body_end is not None else None,
        nonce=allowed.nonce,
        framework=survey.framework,
        inline_styles=allowed.inline_styles,
        style_elements=allowed.style_elements,
    )


def _by_id(survey: Survey, slots: Sequence[Slot]) -> dict[str, list[turbohtml.Element]]:
    """What the selectors that are a single ``#id`` find, in one walk: turbohtml keeps names and classes, but no ids."""
    asked = {slot.find for slot in slots if _ID.fullmatch(slot.find)}
    if len(asked) < 2:
        return {}
    there: dict[str, list[turbohtml.Element]] = {}
    for element in survey.source.document.select(", ".join(asked)):
        there.setdefault((element.attr("id") or "").lower(), []).append(element)
    # matches: only in quirks mode are ids alike whatever their case
    return {find: [one for one in there.get(find[1:].lower(), ()) if one.matches(find)] for find in asked}


def _slot(
    survey: Survey, slot: Slot, wanted: Collection[str] | None, known: list[turbohtml.Element] | None
) -> SlotPlace:
    found = matching(survey, slot, known)
    if isinstance(found, SlotPlace):
        return found
    if slot.expect is Expect.ONE and len(found) != 1:
        return unexpected(slot, len(found))
    asked = None if wanted is None else {text: selectors.compiled(text, survey.charset) for text in wanted}
    return SlotPlace(slot, len(found), tuple(survey.describe(element, asked) for element in found))


def matching(
    survey: Survey, slot: Slot, known: list[turbohtml.Element] | None = None
) -> list[turbohtml.Element] | SlotPlace:
    """The elements that a slot's selector finds (``known``: has found); or what to say where it cannot be asked."""
    selector = selectors.compiled(slot.find, survey.charset)
    if selector is None:
        missing = f'{survey.charset.label} has not all characters of "{slot.find}"'
        if survey.charset.source == "default":
            missing = f'the page declares no charset, so that the characters of "{slot.find}" cannot be looked for'
        return SlotPlace(slot, 0, (), missing if slot.expect is Expect.ONE else "")
    found = known if known is not None else survey.source.document.select(selector)
    if survey.source.has_template:
        found = [element for element in found if not _in_template(element)]
    return found


def unexpected(slot: Slot, count: int) -> SlotPlace:
    """A slot that expects one match and has ``count``: it is left alone."""
    return SlotPlace(slot, count, (), f'"{slot.find}" matches {count} elements, expected one')


def _in_template(element: turbohtml.Element) -> bool:
    """Browsers do not find elements inside ``<template>``: they are no part of the document."""
    return any(isinstance(node, turbohtml.DocumentFragment) for node in element.ancestors)
