"""Previews: the live path with one visitor swapped in, for whoever holds a signed leave to look.

Here: what one request's preview comes to (``apply``).  Not here: what the bar's forms ask for (``asking``), the bar and
the pages around a preview (``console``), response headers (``respond``).  Called by the proxy before it decides.

A **token** in the query says either exactly which flags it shows, or that all flags may be used (``any``); it is
exchanged by a redirect for a **session** cookie and a clean address, so that it leaks by no Referer and the preview
survives the next click.  Where previews are open, flags need no token, and that session is worth nothing elsewhere.
Without a leave, flags are cut and ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from edgeproxy.core import cookies, durations, query
from edgeproxy.core.flags import PreviewFlags, read_flags, resolve, shown
from edgeproxy.core.model import PageRequest, RuleBook, Visitor
from edgeproxy.core.policy import is_document, is_navigation
from edgeproxy.core.signing import Keys
from edgeproxy.core.tokens import Leave, Session, Token, read_session, read_token, sign_session
from edgeproxy.core.words import both

COOKIE: Final = "edge_preview"
OPEN_LASTS: Final = 12 * durations.HOUR
LONGEST_PATH: Final = 512  # of a page whose explanation is remembered
MOST_NOTES: Final = 8  # that are remembered for the next page

_HOST: Final = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Inactive:
    """No preview: go on with ``request``, whose query is clean (the very same request when it always was)."""

    request: PageRequest
    problems: tuple[str, ...] = ()  # why a token or a cookie was not taken, in words


@dataclass(frozen=True, slots=True)
class Exchange:
    """Answer 303 to ``location``, a clean address, with this Set-Cookie if there is one, and nothing else."""

    request: PageRequest
    location: bytes
    set_cookie: bytes | None


@dataclass(frozen=True, slots=True)
class Active:
    """A preview: decide ``request`` (its ``at`` is the previewed moment) for ``visitor``, with what is forced or off.

    ``book`` is the one that flags were checked against.  Where ``draft`` names another one, ``under`` checks them
    against that.
    """

    request: PageRequest
    visitor: Visitor
    forced: str | None
    without: tuple[str, ...]  # experiences that are switched off
    off: bool  # the shop's own page
    explain: bool  # the explanation instead of the page
    may_explain: bool  # ``edge_explain`` would be honoured
    flags: PreviewFlags
    session: Session  # what the cookie remembers from here on
    real: tuple[Visitor, float]  # who really asks, and when
    said: tuple[str, ...]  # what is being previewed, in words; () when nothing is swapped
    notes: tuple[str, ...]  # what is wrong with flags, link or cookie, whatever the book
    problems: tuple[str, ...]  # the same, and flags that the book could not follow, in words
    set_cookie: bytes | None  # on the answer to this request; None: the cookie stands
    as_json: bool = False  # the explanation for machines

    @property
    def leave(self) -> Leave:
        """What the holder of this preview may do."""
        return self.session.leave

    @property
    def may_change(self) -> bool:
        """Other flags would be honoured."""
        return self.session.leave is not Leave.BOUND

    @property
    def expires(self) -> int:
        """When the preview is over, in seconds since the epoch."""
        return self.session.expires

    @property
    def draft(self) -> str | None:
        """The draft whose rules are wanted; None: the live ones."""
        return self.flags.rules

    def under(self, book: RuleBook) -> Active:
        """The same preview by other rules."""
        visitor, at = self.real
        seen = resolve(self.flags, book, visitor)
        return replace(
            self,
            request=replace(self.request, at=at if seen.at is None else seen.at),
            visitor=seen.visitor,
            forced=seen.forced,
            without=seen.without,
            said=seen.said,
            problems=(*self.notes, *seen.problems),
        )


Preview = Inactive | Exchange | Active


# --------------------------------------------------------------------------- one request


def apply(
    request: PageRequest,
    visitor: Visitor,
    book: RuleBook,
    keys: Keys,
    *,
    open_previews: bool = False,
    domain: str | None = None,
) -> Preview:
    """What a request's flags, token and preview cookie come to.  Never raises, whatever they hold.

    ``request`` is as it came: ``query`` with our flags in it, ``at`` the real moment, ``visitor`` the real visitor.
    ``open_previews`` says that no token is needed (the caller has made sure that only this machine can ask);
    ``domain`` is that of cookies that we set.

    A browser that goes to an address with flags in it is sent on to the clean one: a page's scripts, counters and
    Referers never get to know them.
    """
    raw = request.query.encode("latin-1", "replace")
    left = query.cut(raw)
    sent = cookies.values([value for name, value in request.headers if name == b"cookie"], COOKIE.encode())
    if not left.flags and not sent:
        return Inactive(request)
    clean = replace(request, query=left.query.decode("latin-1")) if left.flags else request
    # what a script or a picture asks for is never a place to change the preview
    document = request.method in {"GET", "HEAD"} and is_document(request)
    host = _HOST.fullmatch(request.host) is not None
    moves = bool(left.flags) and request.method == "GET" and host and is_navigation(request)
    pairs = [(name, value) for name, value in left.flags if name != "edge_token"]
    tokens = [value for name, value in left.flags if name == "edge_token"]
    notes: list[str] = []

    if tokens:
        token = read_token(tokens[-1], keys, request.at, request.path)
        if isinstance(token, str):
            notes.append(f"the link's token is not taken: {token}")
            pairs = []  # flags that came with it are nothing
        elif document and host:
            value = _signed(_begun(token, pairs, clean.path), keys)
            return Exchange(clean, _address(clean), set_cookie(value or "", clean.scheme, domain))

    session = session_of(sent, keys, request.at, open_previews, notes)
    if session is None:
        if not open_previews or not (pairs or tokens):  # who may preview is told why their link shows nothing
            return Exchange(clean, _address(clean), None) if moves else Inactive(clean, tuple(notes))
        session = Session(Leave.OPEN, PreviewFlags(), int(request.at + OPEN_LASTS))
    active = _active(clean, visitor, book, keys, session, pairs, notes, domain if document else None, document)
    if moves and not active.explain:
        told = active.notes if active.may_change else ()
        on = None if any(name == "edge_explain" for name, _ in pairs) else active.session.explain_on  # it was left
        value = _signed(replace(active.session, notes=told[:MOST_NOTES], explain_on=on), keys)
        if value is not None:
            return Exchange(clean, _address(clean), set_cookie(value, clean.scheme, domain))
    return active


def _begun(token: Token, pairs: list[tuple[str, str]], path: str) -> Session:
    """The session that a good token is exchanged for."""
    flags = token.flags
    if token.any:
        asked = read_flags(pairs)[0]
        rules = None if asked.rules == "" else flags.rules
        explain = asked.explain or flags.explain
        flags = replace(asked if _others(pairs) else flags, explain=explain, rules=rules)
    explain_on = path if flags.explain and len(path) <= LONGEST_PATH else None
    if token.any:  # leave to explain is part of it
        flags = replace(flags, explain=False)
    return Session(Leave.ANY if token.any else Leave.BOUND, flags, token.expires, explain_on, token.flags.rules)


def _signed(session: Session, keys: Keys) -> str | None:
    """The session's cookie; where it would not fit, without notes, then without the flags that came with a link."""
    bare = PreviewFlags(rules=session.draft)
    less = (replace(session, notes=()), replace(session, notes=(), explain_on=None, flags=bare))
    return sign_session(session, keys) or next(filter(None, (sign_session(one, keys) for one in less)), None)


def session_of(sent: list[bytes], keys: Keys, now: float, open_: bool, notes: list[str]) -> Session | None:
    """The session that the preview cookies of a request prove; ``notes`` hears why there is none."""
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
    notes: list[str],
    domain: str | None,
    document: bool,
) -> Active:
    explains, others = [value for name, value in pairs if name == "edge_explain"], _others(pairs)
    may_explain = session.leave is not Leave.BOUND or session.flags.explain
    if session.leave is Leave.BOUND:
        ignored = dict.fromkeys(name for name, _ in pairs if not (may_explain and name == "edge_explain"))
        if ignored:
            notes.append(f"ignored: {both(ignored)}; this preview shows exactly what its link says")
        explains, others = explains if may_explain else [], []
    cookie = None
    explain = clean.path == session.explain_on and not others
    if others:  # a link says all of what it shows: nothing of an earlier one lingers
        before = session
        session, problems = changed(session, others, clean.at)
        notes += problems
        if document and (session.flags, session.explain_on) != (before.flags, before.explain_on):
            value = sign_session(session, keys)
            cookie = set_cookie(value, clean.scheme, domain) if value else None
            if value is None:
                notes.append("these flags are too long to be remembered for the next click")
    as_json = False
    if explains:
        as_json = explains[-1].strip().lower() == "json"
        wanted, problems = read_flags([("edge_explain", "1" if as_json else explains[-1])])
        notes += problems
        explain = wanted.explain
    told = (*session.notes, *(note for note in notes if note not in session.notes))
    active = Active(
        request=clean,
        visitor=visitor,
        forced=None,
        without=(),
        off=session.flags.off,
        explain=explain and document,
        may_explain=may_explain,
        flags=session.flags,
        session=session,
        real=(visitor, clean.at),
        said=(),
        notes=told,
        problems=told,
        set_cookie=cookie,
        as_json=as_json,
    )
    return active.under(book)


def changed(session: Session, pairs: list[tuple[str, str]], now: float) -> tuple[Session, tuple[str, ...]]:
    """The session with other flags, and what is wrong with these in words; a draft stays, or one that was named."""
    flags, problems = read_flags(pairs)
    if flags.rules is None:
        flags = replace(flags, rules=session.flags.rules)
    elif not flags.rules:
        flags = replace(flags, rules=None)
    elif flags.rules != session.draft:
        told = f"the draft {shown(flags.rules)} is not shown: a draft needs a link that names it"
        flags, problems = replace(flags, rules=session.flags.rules), (*problems, told)
    expires = int(now + OPEN_LASTS) if session.leave is Leave.OPEN else session.expires
    return Session(session.leave, flags, expires, draft=session.draft), problems


def _others(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The flags that say who, what and when: what a link says replaces all of these."""
    return [(name, value) for name, value in pairs if name != "edge_explain"]


# --------------------------------------------------------------------------- cookie and address


def set_cookie(value: str, scheme: str, domain: str | None = None) -> bytes:
    """The preview cookie's Set-Cookie; an empty value ends the preview.

    SameSite=Lax: it comes along with a link from elsewhere, never with a form or a picture of another site.
    """
    attributes = ("; Secure" if scheme == "https" else "") + (f"; Domain={domain}" if domain else "")
    over = "; Max-Age=0" if not value else ""
    return f"{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax{attributes}{over}".encode("ascii")


def _address(clean: PageRequest) -> bytes:
    return query.on_host(clean.host, clean.path, clean.query.encode("latin-1", "replace"))
