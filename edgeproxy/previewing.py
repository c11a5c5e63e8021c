"""What a preview adds to an answer: the bar, or the explanation in place of the page, and its headers.

Here: from a page that is made already to the one that the previewing person gets.  Not here: who may preview and
what they see (``core.preview``), the page itself (``rewrite``), the HTML of bar and explanation (``console``).
Called by ``rewrite`` and ``proxy``, for previews alone: nobody else's answer comes through here.

Every document that a browser goes to has the bar, whatever its status and whoever may edit it: a page that is never
edited, an answer to a form, a 404.  Nothing else of them is changed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edgeproxy import offloop, respond
from edgeproxy.answer import Page
from edgeproxy.blame import Blame
from edgeproxy.console.bar import Outlined, Way, address, bar, on_host
from edgeproxy.console.draft_page import draft_page
from edgeproxy.console.explain_page import CONTENT_SECURITY_POLICY, CONTENT_TYPE, explain_page
from edgeproxy.content_coding import Undecodable, codings_of, decode, encode
from edgeproxy.core import policy
from edgeproxy.core.asking import LEAVE_PATH
from edgeproxy.core.decide import decide
from edgeproxy.core.explain import explain
from edgeproxy.core.explanation import TO_OTHERS, Explanation, Written, as_json
from edgeproxy.core.model import Lane, LaneKind, PageRequest, Problem, RuleBook, Severity
from edgeproxy.core.policy import is_document, takes_html
from edgeproxy.core.preview import Active
from edgeproxy.drafts import NO_DRAFTS, Drafts, Source
from edgeproxy.html import charset
from edgeproxy.html.foot import Foot, foot
from edgeproxy.html.model import Charset, Placement, Unplannable
from edgeproxy.html.outline import Outline, outlines
from edgeproxy.lines import accept_encoding, is_html, joined
from edgeproxy.offloop import OFTEN, Work
from edgeproxy.pages.told import would_keep
from edgeproxy.personalise import Personalised, survey, waits
from edgeproxy.respond import NewLines
from edgeproxy.trail import Intent, Trail

log = logging.getLogger("edgeproxy.previewing")

JSON_TYPE: Final = "application/json; charset=utf-8"

_OF_THE_SHOPS_PAGE: Final = frozenset(
    {b"content-type", b"content-language", b"content-security-policy", b"content-security-policy-report-only", b"link"}
)
_BODILESS: Final = frozenset({204, 205, 206, 304})


def previewed(lines: NewLines, active: Active | None) -> NewLines:
    """The lines of a preview's answer: kept by nobody, and with the cookie that carries the preview on."""
    out = respond.preview(lines)
    if active is not None and active.set_cookie is not None:
        out.append((b"set-cookie", active.set_cookie))
    return out


# --------------------------------------------------------------------------- the page, with the bar


def shown(lines: NewLines, body: bytes, made: Personalised, intent: Intent, active: Active) -> Page:
    """The page as the previewed visitor gets it, with the bar; or its explanation instead."""
    if active.explain:
        return explanation(lines, intent, active, intent.lane, body=body, made=made)
    leaving = made.body
    if _for_a_person(intent.request):
        told = _told(lines, intent, active, intent.lane, body, made)
        leaving = with_bar(lines, leaving, intent, active, told, made=made)
    coding, leaving = encode(leaving, accept_encoding(intent.request))
    return Page(200, respond.framed(previewed(lines, active), length=None, coding=coding), leaving)


def takes_bar(lines: NewLines, status: int, intent: Intent, trail: Trail) -> bool:
    """Whether an answer that is not rewritten is a document that somebody looks at, in a preview.  Never raises."""
    active = intent.active
    if active is None or active.explain or trail.fault or intent.request.method == "HEAD" or not is_html(lines):
        return False
    if status < 200 or 300 <= status < 400 or status in _BODILESS:
        return False
    if (joined(lines, b"content-disposition") or "").lstrip().lower().startswith("attachment"):
        return False
    return _for_a_person(intent.request)


async def barred(
    lines: NewLines, status: int, coded: bytes, intent: Intent, lane: Lane, trail: Trail, *, limit: int
) -> Page | None:
    """Such a document with the bar; None where its coding cannot be undone.  Never raises."""
    size = len(coded) * (OFTEN if codings_of(lines) else 1)
    return await offloop.run(Work.SHOW, size, _barred, lines, status, coded, intent, lane, trail, limit)


def _barred(
    lines: NewLines, status: int, coded: bytes, intent: Intent, lane: Lane, trail: Trail, limit: int
) -> Page | None:
    active = intent.active
    assert active is not None
    try:
        body = decode(lines, coded, limit=limit)
        leaving = with_bar(lines, body, intent, active, _told(lines, intent, active, lane))
        coding, leaving = encode(leaving, accept_encoding(intent.request))
        return Page(status, respond.framed(previewed(lines, active), length=None, coding=coding), leaving)
    except Undecodable:
        return None
    except Exception:
        trail.failed(log, "putting the preview bar on the answer to")
        return None


def _for_a_person(request: PageRequest) -> bool:
    """The bar is for whoever looks at a page: not for a frame in it, nor for what a script fetched."""
    destination = request.header(b"sec-fetch-dest")
    if destination is not None:
        return destination.strip().lower() == "document"
    accept = request.header(b"accept")
    return request.header(b"x-requested-with") is None and (accept is None or takes_html(accept))


def with_bar(
    lines: NewLines,
    page: bytes,
    intent: Intent,
    active: Active,
    told: Explanation,
    *,
    made: Personalised | None = None,
) -> bytes:
    """The page with the bar at its foot; the very same where none can be put."""
    assert intent.book is not None
    found = _charset(lines, page)
    place = foot(page, found.bom, csp=_policies(lines)) if found is not None else None
    if place is None:
        return page
    way = Way(place.styles, not place.styles and place.own_styles, place.nonce)
    inserted = bar(
        active,
        intent.book,
        told,
        way=way,
        mistakes=intent.mistakes,
        outlined=_outlined(page, made) if active.flags.outline and way.inline else (),
        draft=intent.draft.says if intent.draft is not None else "",
        based=b"<base" in page.lower(),
    )
    return _put(page, place, inserted)


def _put(page: bytes, place: Foot, inserted: bytes) -> bytes:
    return page[: place.at] + place.closing + inserted + page[place.at :]


def _charset(lines: NewLines, body: bytes) -> Charset | None:
    """None where ASCII bytes cannot be put into the page: its charset is UTF-16 and the like."""
    try:
        return charset.detect(joined(lines, b"content-type"), body)
    except Unplannable:
        return None


def _policies(lines: NewLines) -> str | None:
    """Those that only report as well: nobody is to be reported for us."""
    found = [joined(lines, name) for name in (b"content-security-policy", b"content-security-policy-report-only")]
    return ", ".join(one for one in found if one) or None


# --------------------------------------------------------------------------- drafts and live rules


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where rules are, other than in the live book."""

    rules: Path  # the folder of the live ones
    drafts: Drafts | None
    blame: Blame


async def by_its_rules(intent: Intent, shelf: Shelf, live: tuple[Problem, ...]) -> Intent | Page:
    """A preview's intent by the rules that it is for: a draft's, or the live ones, with what is wrong with these.

    An explanation is told who wrote the rules.  Where the draft has mistakes or is none, a page that says so, for who
    goes to a page; forms go their way.
    """
    active = intent.active
    assert active is not None
    if active.draft is None:
        mistakes = tuple(problem for problem in live if problem.severity is Severity.MISTAKE)
        source = None if mistakes else Source(shelf.rules)  # the lines on disk are others than those that are live
        return replace(intent, mistakes=mistakes, written=await _written(intent, shelf, source))
    if not is_document(intent.request):
        return intent
    draft = NO_DRAFTS if shelf.drafts is None else await shelf.drafts.get(active.draft)
    if draft.book is not None:
        intent = replace(shown_by(active.under(draft.book), draft.book), draft=draft)
        return replace(intent, written=await _written(intent, shelf, draft.source))
    if intent.request.method not in {"GET", "HEAD"}:
        return intent
    lines = [
        *previewed([], active),
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    ]
    back = address(active)
    page = draft_page(draft, leave=on_host(active, LEAVE_PATH), back=back)
    return Page(422, lines, page)


async def _written(intent: Intent, shelf: Shelf, source: Source | None) -> Mapping[str, Written] | None:
    if source is None or intent.book is None or intent.active is None or not intent.active.explain:
        return None
    return await shelf.blame.of(source.folder, intent.book, source.commit, source.prefix)


def shown_by(active: Active, book: RuleBook) -> Intent:
    """What is meant to happen for somebody who previews, by this book."""
    decision = decide(book, active.visitor, active.request, forced=active.forced, without=active.without, reasons=True)
    if active.off:
        decision = replace(decision, fitting=())
    return Intent(policy.lane(book, active.request, decision, preview=True), active.request, decision, book, active)


# --------------------------------------------------------------------------- outlines


def _outlined(page: bytes, made: Personalised | None) -> tuple[Outlined, ...]:
    if made is None or made.plan is None:
        return ()
    return tuple(Outlined(_for_a_style(one), _label(one.placements)) for one in outlines(page, made.plan, made.placing))


def _for_a_style(outline: Outline) -> str:
    """A selector as it may stand in a ``<style>`` of a page of any charset: ASCII, and no tag."""
    return "".join(one if one.isascii() and one != "<" else f"\\{ord(one):x} " for one in outline.selector)


def _label(placements: tuple[Placement, ...]) -> str:
    return ", ".join(dict.fromkeys(f"{one.experience.name} · {one.edit.where.short}" for one in placements))


# --------------------------------------------------------------------------- the explanation


def instead(lines: NewLines, status: int, intent: Intent, lane: Lane, trail: Trail) -> Page | None:
    """The explanation of a page that passes, where it is asked for; else None.  Never raises."""
    if lane.kind is not LaneKind.PASS or intent.active is None or not intent.active.explain or trail.fault:
        return None
    try:
        return explanation(lines, intent, intent.active, lane, status=status)
    except Exception:
        trail.failed(log, "explaining the answer to")
        return None


def explanation(
    lines: NewLines,
    intent: Intent,
    active: Active,
    lane: Lane,
    *,
    body: bytes | None = None,
    made: Personalised | None = None,
    status: int = 200,
) -> Page:
    """Why the previewed visitor gets what they get, as a page in place of the shop's; ``body`` is that page."""
    told = _told(lines, intent, active, lane, body, made, status)
    out = [line for line in previewed(lines, active) if line[0] not in _OF_THE_SHOPS_PAGE | {b"location", b"refresh"}]
    if active.as_json:
        seen = _outlined(made.body, made) if made is not None else ()
        outlined = [{"selector": one.selector, "label": one.label} for one in seen]
        data = as_json(told) | {"outlines": outlined}
        page = json.dumps(data, ensure_ascii=False, indent=2).encode("utf-8", "replace") + b"\n"
        out.append((b"content-type", JSON_TYPE.encode()))
    else:
        page = explain_page(
            told, page=on_host(active, address(active, explain=False)), leave_path=LEAVE_PATH, back=address(active)
        )
        out.append((b"content-type", CONTENT_TYPE.encode()))
        out.append((b"content-security-policy", CONTENT_SECURITY_POLICY.encode()))
    coding, leaving = encode(page, accept_encoding(intent.request))
    return Page(200, respond.framed(out, length=None, coding=coding), leaving)


def _told(
    lines: NewLines,
    intent: Intent,
    active: Active,
    lane: Lane,
    body: bytes | None = None,
    made: Personalised | None = None,
    status: int = 200,
) -> Explanation:
    assert intent.book is not None
    plan = None
    if lane.kind is LaneKind.PRIVATE and intent.decision is not None:  # which one visitors take, who have no bar
        lane = policy.lane(intent.book, intent.request, intent.decision)
    if body is not None:
        csp = joined(lines, b"content-security-policy")
        plan = survey(intent.book, intent.request, body, joined(lines, b"content-type"), csp=csp, largest=len(body))
    notes = [*active.problems]
    if made is not None:
        notes += [made.note] if made.note else _held_back(intent)
    if active.off:
        notes.append("this preview shows the shop's own page: nothing is placed")
    if status != 200:
        to = joined(lines, b"location")
        notes.append(f"the shop answers {status}" + (f", and leads to {to[:300]}" if to else ""))
    if body is not None:
        kept = would_keep(intent.book, intent.request.path, status, lines, body, intent.request.at)
        notes.append(TO_OTHERS + kept.says)
    return explain(
        intent.book,
        active.visitor,
        intent.request,
        forced=active.forced,
        without=active.without,
        placing=made.placing if made is not None else None,
        plan=plan,
        lane=lane,
        notes=notes,
        written=intent.written,
    )


def _held_back(intent: Intent) -> tuple[str, ...]:
    """What an ordinary visitor, whose page may leave early, waits for."""
    if intent.book is None or intent.decision is None:
        return ()
    return waits(intent.book, intent.decision, intent.request.path)
