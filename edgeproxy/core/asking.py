"""What the preview bar's forms ask for: other flags, a link to share, the way out.

Here: an urlencoded form and the preview cookie → where to go with which cookie, or the link.  Not here: what flags
come to (``preview``), the forms and the page around a link (``console``).  Called by the addresses of ours
(``previewpages``).

Whoever has no leave gets nothing: their form leads back to the page that it was on, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl

from edgeproxy.core import cookies, durations, query
from edgeproxy.core.flags import PreviewFlags
from edgeproxy.core.model import PageRequest
from edgeproxy.core.preview import COOKIE, OPEN_LASTS, changed, session_of, set_cookie
from edgeproxy.core.signing import Keys
from edgeproxy.core.tokens import Leave, Session, Token, link, sign_session

LEAVE_PATH: Final = "/-/edge/leave"
SHOW_PATH: Final = "/-/edge/show"
LINK_PATH: Final = "/-/edge/link"

LASTS: Final[Mapping[str, float]] = {
    "1h": durations.HOUR,
    "1d": durations.DAY,
    "7d": 7 * durations.DAY,
    "30d": 30 * durations.DAY,
}
"""How long a link may be good for."""
AS_IT_IS: Final = "*"
"""The value of a choice that says nothing: an empty one says "none"."""

BIGGEST_FORM: Final = 8192  # bytes


@dataclass(frozen=True, slots=True)
class Goes:
    """The answer to a form: 303 to ``location`` with this Set-Cookie; None: the cookie stands."""

    location: bytes
    set_cookie: bytes | None


@dataclass(frozen=True, slots=True)
class Linked:
    """A signed link to share: exactly these flags, until ``expires`` (seconds since the epoch)."""

    url: str
    flags: PreviewFlags
    expires: int
    shortened: bool  # no link lasts longer than the leave of who makes it
    back: str  # the page that it is a link to, without flags


def leave(request: PageRequest, form: bytes, domain: str | None = None) -> Goes:
    """End a preview.

    Every form holds ``back``, a path on this host; anything else goes to its front page.  ``request.host`` has been
    checked by the caller.
    """
    return Goes(_back(request, _pairs(form)), set_cookie("", request.scheme, domain))


def show(request: PageRequest, form: bytes, keys: Keys, *, open_previews: bool, domain: str | None = None) -> Goes:
    """Other flags from here on, for who may use them."""
    pairs = _pairs(form)
    session = _session(request, keys, open_previews)
    if session is None or session.leave is Leave.BOUND:
        return Goes(_back(request, pairs), None)
    asked, notes = changed(session, _flags(pairs, session.flags), request.at)
    value = sign_session(replace(asked, notes=notes), keys) or sign_session(asked, keys)
    return Goes(_back(request, pairs), set_cookie(value, request.scheme, domain) if value else None)


def share(request: PageRequest, form: bytes, keys: Keys, *, open_previews: bool) -> Linked | Goes:
    """A link that shows what the form says, for who may make one; never longer good than their own leave."""
    pairs = _pairs(form)
    session = _session(request, keys, open_previews)
    back = _back(request, pairs)
    if session is None:
        return Goes(back, None)
    flags = session.flags
    if session.leave is not Leave.BOUND:
        flags = changed(session, _flags(pairs, session.flags), request.at)[0].flags
    wanted = request.at + LASTS.get(dict(pairs).get("expires", ""), LASTS["7d"])
    limit = wanted if session.leave is Leave.OPEN else session.expires
    expires = int(min(wanted, limit))
    whole = f"{_scheme(request)}:{back.decode('ascii')}"
    try:
        url = link(whole, Token(flags, False, expires), keys)
    except ValueError:  # too long: the cookie held them, so that only a form that was tampered with comes here
        return Goes(back, None)
    return Linked(url, flags, expires, limit < wanted, whole)


def _scheme(request: PageRequest) -> str:
    """That of the page that asks: where TLS ends before us, the browser may be the only one to say so."""
    return "https" if request.header(b"origin") == f"https://{request.host}" else request.scheme


def _session(request: PageRequest, keys: Keys, open_previews: bool) -> Session | None:
    lines = [value for name, value in request.headers if name == b"cookie"]
    session = session_of(cookies.values(lines, COOKIE.encode()), keys, request.at, open_previews, [])
    if session is None and open_previews:
        return Session(Leave.OPEN, PreviewFlags(), int(request.at + OPEN_LASTS))
    return session


def _pairs(form: bytes) -> list[tuple[str, str]]:
    """What a form holds; names and values in UTF-8 (bar and pages of ours are, or write references)."""
    try:
        return parse_qsl(form[:BIGGEST_FORM].decode("latin-1"), keep_blank_values=True, max_num_fields=200)
    except ValueError:
        return []


def _flags(pairs: list[tuple[str, str]], before: PreviewFlags) -> list[tuple[str, str]]:
    """The flags that a form says.

    Its choices of stage and segments show what another choice comes to (a persona's): what was not touched says
    nothing (``was_stage``, ``was_segments``: as they were shown), unless it was said before and the persona stays.
    """
    said = [(name, value) for name, value in pairs if name.startswith("edge_") and value != AS_IT_IS]
    given = dict(pairs)
    stays = given.get("edge_persona", "") == (before.persona or "")
    kept = [(name, value) for name, value in said if name not in ("edge_stage", "edge_segment")]
    if "was_rules" in given and "edge_rules" not in given:  # its box was left empty
        kept.append(("edge_rules", ""))
    stage = [value for name, value in said if name == "edge_stage"]
    segments = [value for name, value in said if name == "edge_segment" and value]
    if stage and stage[-1] != given.get("was_stage", ""):
        kept.append(("edge_stage", stage[-1]))
    elif stays and before.stage is not None:
        kept.append(("edge_stage", before.stage))
    if ",".join(segments) != given.get("was_segments", ""):
        kept += [("edge_segment", value) for value in segments or [""]]
    elif stays and before.segments is not None:
        kept += [("edge_segment", value) for value in before.segments or ("",)]
    return kept


def _back(request: PageRequest, pairs: list[tuple[str, str]]) -> bytes:
    back = "/"
    for name, value in pairs:
        if name == "back" and value.startswith("/"):
            back = value
    path, _, rest = back.partition("?")
    raw = path.encode("utf-8", "replace").decode("latin-1")
    return query.on_host(request.host, raw, query.cut(rest.encode("utf-8", "replace")).query)
