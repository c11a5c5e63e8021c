"""Previews: the live path with one visitor swapped in, for whoever holds a signed leave to look.

Here: what one request's preview comes to (``apply``), and leaving it.  Not here: the bar and the pages around a
preview (``console``), response headers (``respond``).  Called by the proxy before it decides.

A **token** in the query says either exactly which flags it shows, or that all flags may be used (``any``); it is
exchanged by a redirect for a **session** cookie and a clean address, so that it leaks by no Referer and the preview
survives the next click.  Where previews are open, flags need no token, and that session is worth nothing elsewhere.
Without a leave, flags are cut and ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl

from edgeproxy.core import cookies, durations, query
from edgeproxy.core.flags import PreviewFlags, read_flags, resolve
from edgeproxy.core.model import PageRequest, RuleBook, Visitor
from edgeproxy.core.policy import is_document
from edgeproxy.core.signing import Keys
from edgeproxy.core.tokens import Leave, Session, Token, read_session, read_token, sign_session
from edgeproxy.core.words import both

COOKIE: Final = "edge_preview"
LEAVE_PATH: Final = "/-/edge/leave"
OPEN_LASTS: Final = 12 * durations.HOUR
LONGEST_PATH: Final = 512  # of a page whose explanation is remembered

_HOST: Final = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Inactive:
    """No preview: go on with ``request``, whose query is clean (the very same request when it always was)."""

    request: PageRequest
    problems: tuple[str, ...] = ()  # why a token or a cookie was not taken, in words


@dataclass(frozen=True, slots=True)
class Exchange:
    """A good token: answer 303 to ``location`` with this Set-Cookie, and nothing else."""

    request: PageRequest
    location: bytes
    set_cookie: bytes


@dataclass(frozen=True, slots=True)
class Active:
    """A preview: decide ``request`` (its ``at`` is the previewed moment) for ``visitor``, with ``forced``."""

    request: PageRequest
    visitor: Visitor
    forced: str | None
    off: bool  # the shop's own page
    explain: bool  # the explanation instead of the page
    may_explain: bool  # ``edge_explain`` would be honoured
    flags: PreviewFlags
    leave: Leave
    expires: int
    said: tuple[str, ...]  # what is being previewed, in words; () when nothing is swapped
    problems: tuple[str, ...]  # flags that could not be followed, in words
    set_cookie: bytes | None  # on the answer to this request; None: the cookie stands


Preview = Inactive | Exchange | Active


# --------------------------------------------------------------------------- one request


def apply(
    request: PageRequest, visitor: Visitor, book: RuleBook, keys: Keys, *, open_previews: bool = False
) -> Preview:
    """What a request's flags, token and preview cookie come to.  Never raises, whatever they hold.

    ``request`` is as it came: ``query`` with our flags in it, ``at`` the real moment, ``visitor`` the real visitor.
    ``open_previews`` says that no token is needed (the caller has made sure that only this machine can ask).
    """
    raw = request.query.encode("latin-1", "replace")
    left = query.cut(raw)
    lines = [value for name, value in request.headers if name == b"cookie"]
    sent = cookies.values(lines, COOKIE.encode())
    if not left.flags and not sent:
        return Inactive(request)
    clean = replace(request, query=left.query.decode("latin-1")) if left.flags else request
    # what a script or a picture asks for is never a place to change the preview
    document = request.method in {"GET", "HEAD"} and is_document(request)
    pairs = [(name, value) for name, value in left.flags if name != "edge_token"]
    tokens = [value for name, value in left.flags if name == "edge_token"]
    notes: list[str] = []

    if tokens:
        token = read_token(tokens[-1], keys, request.at, request.path)
        if isinstance(token, str):
            notes.append(f"the link's token is not taken: {token}")
            pairs = []  # flags that came with it are nothing
        elif document and _HOST.fullmatch(request.host):
            return _exchange(clean, token, pairs, keys)

    session = _session(sent, keys, request.at, open_previews, notes)
    if session is None:
        if not (open_previews and pairs):
            return Inactive(clean, tuple(notes))
        session = Session(Leave.OPEN, PreviewFlags(), int(request.at + OPEN_LASTS))
    return _active(clean, visitor, book, keys, session, pairs, document, notes)


def _exchange(clean: PageRequest, token: Token, pairs: list[tuple[str, str]], keys: Keys) -> Exchange:
    flags = token.flags
    if token.any:
        asked = read_flags(pairs)[0]
        flags = replace(asked if _others(pairs) else flags, explain=asked.explain or flags.explain)
    explain_on = clean.path if flags.explain and len(clean.path) <= LONGEST_PATH else None
    if token.any:  # leave to explain is part of it
        flags = replace(flags, explain=False)
    session = Session(Leave.ANY if token.any else Leave.BOUND, flags, token.expires, explain_on)
    # flags that came beside an any-token may be too long for a cookie; the token's own, which fit a link, do fit
    value = sign_session(session, keys) or sign_session(replace(session, flags=token.flags, explain_on=None), keys)
    location = query.absolute(clean.scheme, clean.host, clean.path, clean.query.encode("latin-1", "replace"))
    return Exchange(clean, location, _set_cookie(value or "", clean.scheme))


def _session(sent: list[bytes], keys: Keys, now: float, open_: bool, notes: list[str]) -> Session | None:
    if not sent:
        return None
    if len(sent) > 1:
        notes.append(f"cookie {COOKIE} came {len(sent)} times, so none is believed")
        return None
    session = read_session(sent[0], keys, now)
    if isinstance(session, str):
        notes.append(f"the preview is over: {session}")
        return None
    if session.leave is Leave.OPEN and not open_:
        notes.append("previews are not open here")
        return None
    return session


def _active(
    clean: PageRequest,
    visitor: Visitor,
    book: RuleBook,
    keys: Keys,
    session: Session,
    pairs: list[tuple[str, str]],
    document: bool,
    notes: list[str],
) -> Active:
    explains, others = [value for name, value in pairs if name == "edge_explain"], _others(pairs)
    may_explain = session.leave is not Leave.BOUND or session.flags.explain
    if session.leave is Leave.BOUND:
        ignored = dict.fromkeys(name for name, _ in pairs if not (may_explain and name == "edge_explain"))
        if ignored:
            notes.append(f"ignored: {both(ignored)}; this preview shows exactly what its link says")
        explains, others = explains if may_explain else [], []
    flags, set_cookie = session.flags, None
    if others:  # a link says all of what it shows: nothing of an earlier one lingers
        flags, problems = read_flags(others)
        notes += problems
        if document and (flags, None) != (session.flags, session.explain_on):
            expires = int(clean.at + OPEN_LASTS) if session.leave is Leave.OPEN else session.expires
            value = sign_session(Session(session.leave, flags, expires), keys)
            set_cookie = _set_cookie(value, clean.scheme) if value else None
            if value is None:
                notes.append("these flags are too long to be remembered for the next click")
    explain = clean.path == session.explain_on and not others
    if explains:
        wanted, problems = read_flags([("edge_explain", explains[-1])])
        notes += problems
        explain = wanted.explain
    seen = resolve(flags, book, visitor)
    return Active(
        request=replace(clean, at=seen.at) if seen.at is not None else clean,
        visitor=seen.visitor,
        forced=seen.forced,
        off=flags.off,
        explain=explain and document,
        may_explain=may_explain,
        flags=flags,
        leave=session.leave,
        expires=session.expires,
        said=seen.said,
        problems=(*notes, *seen.problems),
        set_cookie=set_cookie,
    )


def _others(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The flags that say who, what and when: what a link says replaces all of these."""
    return [(name, value) for name, value in pairs if name != "edge_explain"]


# --------------------------------------------------------------------------- cookie and leaving


def _set_cookie(value: str, scheme: str) -> bytes:
    secure = "; Secure" if scheme == "https" else ""
    return f"{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax{secure}".encode("ascii")


@dataclass(frozen=True, slots=True)
class Left:
    """The answer to a form that leaves the preview: 303 to ``location`` with this Set-Cookie."""

    location: bytes
    set_cookie: bytes


def leave(request: PageRequest, form: bytes) -> Left:
    """End a preview: ``form`` is the urlencoded body of the bar's form, whose ``back`` is a path on this host.

    Anything that is no path of this host goes to its front page.  ``request.host`` has been checked by the caller.
    """
    back = "/"
    for name, value in parse_qsl(form[:8192].decode("latin-1"), keep_blank_values=True, encoding="latin-1"):
        if name == "back" and value.startswith("/"):
            back = value
    path, _, rest = back.partition("?")
    location = query.absolute(request.scheme, request.host, path, query.cut(rest.encode("latin-1", "replace")).query)
    return Left(location, _set_cookie("", request.scheme) + b"; Max-Age=0")
