"""Which responses may be touched, and which are personal: the lane of a request.

Here: ``lane`` (the intention, before the shop is asked), ``response_lane`` (confirmed or turned to PASS by the head
of the shop's response), ``in_force`` and ``next_change`` (what the book can do to a path, and until when).  Not here:
the headers that follow from it (``respond``).  Called by the proxy for every request.

Read ``lane`` and ``response_lane`` from top to bottom: the first line that holds decides.  ``Lane.personal`` says
that the page's answer varies by visitor, also for those who got nothing: it must leave as private.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edgeproxy.core.model import Decision, Experience, Lane, LaneKind, PageRequest, RuleBook, Slot

BIGGEST_PAGE: Final = 2 * 1024 * 1024  # bytes of decoded body; bigger pages are the shop's own

_DOCUMENTS: Final = frozenset({"document", "iframe"})


@dataclass(frozen=True, slots=True)
class InForce:
    """What some enabled experience could change on one path at one moment; falsy when that is nothing."""

    slots: tuple[Slot, ...]  # in slots.toml's order
    style: bool  # a style that needs no slot

    def __bool__(self) -> bool:
        return self.style or bool(self.slots)


# --------------------------------------------------------------------------- before the shop is asked


def lane(book: RuleBook, request: PageRequest, decision: Decision, *, preview: bool = False) -> Lane:
    """PASS or PRIVATE for a request whose decision is known, with the reason in words.

    ``preview`` says that somebody with a valid token looks: the page is fetched whole even where nothing fits, since
    the preview bar goes to its end.  An Authorization header changes nothing here: a private page is never shared.
    """
    if request.method not in {"GET", "HEAD"}:
        return Lane(LaneKind.PASS, f"method is {request.method}")
    if book.shop.never is not None and book.shop.never.touches(request.path):
        return Lane(LaneKind.PASS, "nobody ever edits this page: never in shop.toml")
    force = in_force(book, request.path, request.at)
    personal = bool(force)
    if not personal and not preview:
        return Lane(LaneKind.PASS, _nothing(book))
    if request.header(b"range") is not None:
        # a piece of the shop's page would be joined to a variant that has other bytes (RFC 9110, 14.2)
        return Lane(LaneKind.PASS, "a part of the page was asked for (Range)", personal)
    destination = request.header(b"sec-fetch-dest")
    if destination is not None and destination.strip().lower() not in _DOCUMENTS:
        return Lane(LaneKind.PASS, "not fetched as a document (Sec-Fetch-Dest)", personal)
    if preview:
        return Lane(LaneKind.PRIVATE, "a preview", personal)
    if not decision.fitting:
        return Lane(LaneKind.PASS, "no experience fits this visitor here", personal)
    return Lane(LaneKind.PRIVATE, f"for this visitor: {', '.join(one.name for one in decision.fitting)}", personal)


def _nothing(book: RuleBook) -> str:
    if not book.shop.enabled:
        return f"the whole shop is off: enabled = false in {book.shop.where.file}"
    return "no experience can change this page now"


# --------------------------------------------------------------------------- once the shop's head is here

_KEEPS_PERSONAL: Final = frozenset({200, 206, 304})


def response_lane(
    intended: Lane,
    *,
    status: int,
    content_type: str | None,
    content_encoding: str | None = None,
    content_length: int | None = None,
    decodable: frozenset[str] = frozenset({"identity"}),
    unusable: str = "",
) -> Lane:
    """The lane that the head of the shop's response leaves: the intended one, or PASS with the reason.

    ``content_type`` and ``content_encoding`` are the fields' values (several lines joined by ", "), ``decodable`` the
    codings that the caller can undo, ``content_length`` bytes when the head says so, ``unusable`` why the page's
    charset cannot be edited ("charset is utf-16"), "" when it can or is not known yet.
    """
    if status not in _KEEPS_PERSONAL:
        return Lane(LaneKind.PASS, f"status is {status}")
    if status == 304:  # no body; its header fields go into the stored page's (RFC 9111, 3.2), so they stay marked
        return Lane(LaneKind.PASS, "status is 304", intended.personal)
    media = (content_type or "").partition(";")[0].strip().lower()
    if media != "text/html":
        return Lane(LaneKind.PASS, f"not an HTML document: {media[:80] or 'no Content-Type'}")
    if status == 206:
        return Lane(LaneKind.PASS, "status is 206", intended.personal)
    if unusable:
        return Lane(LaneKind.PASS, unusable)
    if intended.kind is LaneKind.PASS:
        return intended
    codings = [coding.strip().lower() for coding in (content_encoding or "").split(",") if coding.strip()]
    for coding in codings:
        if coding != "identity" and coding not in decodable:
            return Lane(LaneKind.PASS, f"content-encoding is {coding[:40]}, which is not undone", intended.personal)
    if content_length is not None and content_length > BIGGEST_PAGE:
        return Lane(LaneKind.PASS, f"bigger than {BIGGEST_PAGE:,} bytes", intended.personal)
    return intended


# --------------------------------------------------------------------------- what the book can do to a path


def in_force(book: RuleBook, path: str, at: float) -> InForce:
    """The slots that some enabled experience could edit on this raw path at this moment, whoever asks."""
    names: set[str] = set()
    style = False
    for experience, slots, styles in _could(book, path):
        if _runs(experience, at):
            names.update(slots)
            style = style or styles
    return InForce(tuple(slot for slot in book.slots.values() if slot.name in names), style)


def next_change(book: RuleBook, path: str, at: float) -> float | None:
    """When the book next changes what this path can show: a schedule that begins or ends; None when none will."""
    moments = [
        moment
        for experience, _, _ in _could(book, path)
        for moment in (experience.begins, experience.ends)
        if moment is not None and moment > at
    ]
    return min(moments, default=None)


def _runs(experience: Experience, at: float) -> bool:
    return (experience.begins is None or at >= experience.begins) and (experience.ends is None or at < experience.ends)


def _could(book: RuleBook, path: str) -> Iterator[tuple[Experience, list[str], bool]]:
    """Enabled experiences that have an edit on this path at some time: (experience, its slots here, has a style)."""
    shop = book.shop
    if not shop.enabled or (shop.never is not None and shop.never.touches(path)):
        return
    here: dict[str, bool] = {}
    for experience in book.experiences:
        if not experience.enabled or experience.share <= 0.0:
            continue
        if experience.on is not None and not experience.on.match(path):
            continue
        slots: list[str] = []
        style = False
        for edit in experience.edits:
            name = edit.slot
            if name is None:
                style = True
                continue
            if name not in here:
                slot = book.slots.get(name)
                here[name] = slot is not None and slot.enabled and (slot.on is None or slot.on.match(path))
            if here[name]:
                slots.append(name)
        if slots or style:
            yield experience, slots, style
