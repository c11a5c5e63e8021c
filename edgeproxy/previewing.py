"""What a preview adds to an answer: the bar, or the explanation in place of the page, and its headers.

Here: from a page that is made already to the one that the previewing person gets.  Not here: who may preview and
what they see (``core.preview``), the page itself (``rewrite``), the HTML of bar and explanation (``console``).
Called by ``rewrite`` and ``proxy``, for previews alone: nobody else's answer comes through here.
"""

from __future__ import annotations

import logging
from typing import Final

from edgeproxy import respond
from edgeproxy.answer import Page
from edgeproxy.console.bar import address, bar
from edgeproxy.console.explain_page import CONTENT_SECURITY_POLICY, CONTENT_TYPE, explain_page
from edgeproxy.content_coding import encode
from edgeproxy.core.explain import explain
from edgeproxy.core.model import Lane, LaneKind
from edgeproxy.core.preview import LEAVE_PATH, Active
from edgeproxy.html import charset
from edgeproxy.html.model import Unplannable
from edgeproxy.lines import accept_encoding, joined
from edgeproxy.personalise import Personalised, survey
from edgeproxy.respond import NewLines
from edgeproxy.trail import Intent, Trail

log = logging.getLogger("edgeproxy.previewing")

_OF_THE_SHOPS_PAGE: Final = frozenset(
    {b"content-type", b"content-language", b"content-security-policy", b"content-security-policy-report-only", b"link"}
)


def previewed(lines: NewLines, active: Active | None) -> NewLines:
    """The lines of a preview's answer: kept by nobody, and with the cookie that carries the preview on."""
    out = respond.preview(lines)
    if active is not None and active.set_cookie is not None:
        out.append((b"set-cookie", active.set_cookie))
    return out


def shown(lines: NewLines, body: bytes, made: Personalised, intent: Intent, active: Active) -> Page:
    """The page as the previewed visitor gets it, with the bar; or its explanation instead."""
    if active.explain:
        return explanation(lines, intent, active, intent.lane, body=body, made=made)
    leaving = with_bar(made, bar(active)) if _takes_ascii(lines, body) else made.body
    coding, leaving = encode(leaving, accept_encoding(intent.request))
    return Page(200, respond.framed(previewed(lines, active), length=None, coding=coding), leaving)


def instead(lines: NewLines, intent: Intent, lane: Lane, trail: Trail) -> Page | None:
    """The explanation of a page that passes, where it is asked for; else None.  Never raises."""
    if lane.kind is not LaneKind.PASS or intent.active is None or not intent.active.explain or trail.fault:
        return None
    try:
        return explanation(lines, intent, intent.active, lane)
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
) -> Page:
    """Why the previewed visitor gets what they get, as a page in place of the shop's; ``body`` is that page."""
    assert intent.book is not None
    request, plan = intent.request, None
    if body is not None:
        csp = joined(lines, b"content-security-policy")
        plan = survey(intent.book, request, body, joined(lines, b"content-type"), csp=csp)
    told = explain(
        intent.book,
        active.visitor,
        request,
        forced=active.forced,
        placing=made.placing if made is not None else None,
        plan=plan,
        lane=lane,
        notes=(*active.problems, *((made.note,) if made is not None and made.note else ())),
    )
    page = explain_page(told, page=address(active, explain=False), leave_path=LEAVE_PATH, back=address(active))
    out = [line for line in previewed(lines, active) if line[0] not in _OF_THE_SHOPS_PAGE]
    out.append((b"content-type", CONTENT_TYPE.encode()))
    out.append((b"content-security-policy", CONTENT_SECURITY_POLICY.encode()))
    coding, leaving = encode(page, accept_encoding(request))
    return Page(200, respond.framed(out, length=None, coding=coding), leaving)


def with_bar(made: Personalised, bar: bytes) -> bytes:
    """The page with the bar at the end of its body, where the plan knows that place, else behind everything.

    HTML puts what follows the end tag of the body into the body (WHATWG HTML, 13.2.6.4.19).
    """
    end = made.plan.body_end if made.plan is not None else None
    splices = made.placing.splices
    if end is None or made.placing.roundtrips or any(one.start < end < one.end for one in splices):
        return made.body + bar
    end += sum(len(one.text) - (one.end - one.start) for one in splices if one.end <= end)
    return made.body[:end] + bar + made.body[end:]


def _takes_ascii(lines: NewLines, body: bytes) -> bool:
    """ASCII bytes can be put into the page: not where its charset is UTF-16 and the like."""
    try:
        charset.detect(joined(lines, b"content-type"), body)
    except Unplannable:
        return False
    return True
