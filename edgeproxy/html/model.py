"""The nouns of a page: where things are in its bytes, and what changes there.

Here: frozen data.  All offsets count bytes of the page's original body, a byte-order mark included;
ranges are half-open.  Not here: how offsets are found (``locate``) or used (``render``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from edgeproxy.core.model import Edit, Experience, Outcome, Slot

if TYPE_CHECKING:
    from edgeproxy.html.roundtrip import DomEdit


@dataclass(frozen=True, slots=True)
class Charset:
    """How the page's bytes become characters; ``codec`` is Python's name (WHATWG label → codec)."""

    label: str  # WHATWG name, lower-case
    codec: str
    bom: int  # length of a byte-order mark at the head of the body: 0 or 3
    source: str  # "bom", "header", "meta" or "default"


@dataclass(frozen=True, slots=True)
class Element:
    """Where one matched element stands.

    ``inner_*`` are None for void elements, self-closed foreign ones (``<path/>``) and ``<template>``, whose content
    is no part of the page's tree; ``closed`` is False where the source has no end tag (``end`` is then the next
    sibling's start, or the parent's end).  ``attributes`` maps the lower-case name to (start, end) of
    ``name="value"`` in the start tag and the decoded value.  ``children`` are the element children, (start, end)
    each, in source order.  ``ancestors`` are tag names, outermost first.

    Where the source leaves out end tags, a place in the tree is not yet a place in the bytes: in
    ``<p>one<div id=x>`` text put before the ``div`` would land in the ``p``.  Hence ``unclosed_before``: tags of the
    elements, outermost first, that are still open just before ``start`` and are no ancestors (the previous
    sibling and its last descendants): their end tags are written whatever happens at ``start``, ``remove`` included,
    since what followed the element would fall into them; ``unclosed_inside``: the same just before ``inner_end``
    (the last child…).
    ``reopens``: formatting elements (a b big code em font i nobr s small strike strong tt u) without end tag that
    begin before ``end`` and are no ancestors, so that HTML reopens them around whatever is inserted here; "form": some
    form is never closed, so that HTML ignores another one; "?": too much stands between to tell.
    """

    tag: str
    start: int
    end: int
    start_tag_end: int
    inner_start: int | None
    inner_end: int | None
    closed: bool
    raw_text: bool  # title, textarea, script, style…: inner takes escaped text only
    attributes: Mapping[str, tuple[int, int, str]]
    ancestors: tuple[str, ...]
    children: tuple[Child, ...] = ()
    hydrated: bool = False  # inside a root that a framework hydrates
    implied: bool = False  # no start tag of its own: only children can be changed
    trouble: str = ""  # why nothing but its start tag may be changed ("": the rest may too)
    unclosed_before: tuple[str, ...] = ()
    unclosed_inside: tuple[str, ...] = ()
    reopens: tuple[str, ...] = ()
    hydrates: bool = False  # it is the container of a hydrated root: edits inside do not survive, beside it they do
    outer_trouble: str = ""  # why only its inside may be changed: no remove, replace, before, after (body, head…)
    children_trouble: str = ""  # why its children may not be cut or moved about: no keep_first, reorder
    tag_trouble: str = ""  # why its start tag may not be changed ("": attributes and classes may)
    foreign: bool = False  # of SVG or MathML, where HTML's content rules do not hold


@dataclass(frozen=True, slots=True)
class Child:
    """An element child of a matched element; ``matches`` are those of the asked reorder selectors, as written.

    ``unclosed`` are the tags still open at ``end``, outermost first, the child's own included: their end tags are
    written wherever it gets another neighbour.  ``closed`` is ``not unclosed``.
    """

    start: int
    end: int
    closed: bool
    matches: frozenset[str] = frozenset()
    unclosed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SlotPlace:
    """What a slot's selector found in a page, or why it is left alone there."""

    slot: Slot
    count: int  # how many elements matched
    elements: tuple[Element, ...]  # () when ``trouble`` says why
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class PagePlan:
    """Where every slot in question is in one page's bytes: one parse, many renders."""

    charset: Charset
    slots: Mapping[str, SlotPlace]
    head_end: int | None  # where the head ends: a style goes there
    body_end: int | None  # where the body ends: a preview bar goes there
    nonce: str | None  # the CSP nonce of the page, when one can be known
    framework: str | None  # "React", "Next", "Vue", "Nuxt"…: who hydrates this page
    inline_styles: bool = True  # False: the page's CSP forbids style="…"
    style_elements: bool = True  # False: it forbids <style> too, even one with the page's nonce


class Unplannable(Exception):
    """The page as a whole is left alone; the sentence says why.  Caught by whoever asked for a plan."""


@dataclass(frozen=True, slots=True)
class Splice:
    """Replace ``body[start:end]`` by ``text``; ``start == end`` inserts."""

    start: int
    end: int
    text: bytes


class PlaceOutcome(Enum):
    PLACED = "placed"
    SHADOWED = "shadowed"  # an earlier experience has the slot, or bytes that cross it
    REFUSED = "refused"  # not found as expected, illegal there, not verified…
    ELSEWHERE = "elsewhere"  # its slot is for other pages: no success and no failure


@dataclass(frozen=True, slots=True)
class Placement:
    """What became of one edit on one page, and why."""

    experience: Experience
    edit: Edit
    outcome: PlaceOutcome
    why: str  # in words, e.g. 'shadowed by "curated-shelf"'
    content: str = ""  # the fragment that was chosen: its path; "" for other verbs and for content said in the rule


@dataclass(frozen=True, slots=True)
class Placing:
    """All that a decision comes to on one page."""

    splices: tuple[Splice, ...]  # sorted, disjoint; () → the very same body
    placements: tuple[Placement, ...]
    winners: Mapping[str, str]  # slot → experience that has it; slots that stay the shop's own are absent
    outcomes: Mapping[str, tuple[Outcome, str]]  # fitting experience → how it ended, and why
    roundtrips: tuple[DomEdit, ...] = ()  # placed too, but on the DOM: slots whose owner allows it
    portable: bool = False  # no text of a splice is of the page's values: what ``likeness`` tells may be relied on
