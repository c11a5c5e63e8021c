"""The visitor cookie: a signed value → ``Visitor``, or a disbelieved one with the reason.  Never an error.

Here: reading, judging, signing and explaining ``edge_visitor``.  Not here: which labels the rules know
(``decide.known``), and setting cookies.  Called once per request by the proxy, and by the commands.

A value is ``b64url(json).b64url(timestamp).b64url(signature)``: itsdangerous' TimestampSigner over unpadded
base64url of ``{"v":1,"stage":…,"segments":[…],"id":…}``, salt ``edgeproxy.visitor``, HMAC-SHA256, key derivation
"hmac".  Believed is only the one spelling of a value that a key of ours signed, and only while it is young enough.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from itsdangerous import BadData
from itsdangerous.encoding import base64_decode

from edgeproxy.core import cookies, durations
from edgeproxy.core.model import NOBODY, Source, Visitor
from edgeproxy.core.signing import BadKey, Keys
from edgeproxy.core.timestamped import (
    LONGEST_VALUE,
    PARTS,
    Disbelief,
    Rejected,
    Verified,
    closed,
    doubled,
    judge_age,
    opened,
    shown,
)

__all__ = [
    "VISITOR_SALT",
    "BadKey",
    "CookieSettings",
    "Disbelief",
    "Keys",
    "NotSignable",
    "VerifiedCookies",
    "disbelief",
    "explain_value",
    "read",
    "read_value",
    "sign",
]

VISITOR_SALT: Final = b"edgeproxy.visitor"
MOST_SEGMENTS: Final = 32
LONGEST_LABEL: Final = 64  # characters

_LABEL: Final = re.compile(r"\w[\w.:+-]{0,63}")  # letters of any script, digits, and . : + - _ inside
_ID: Final = re.compile(r"[A-Za-z0-9._~:+/=-]{1,64}")  # opaque: no @, no spaces


class NotSignable(ValueError):
    """What was to be signed would not be believed; the message says why."""


@dataclass(frozen=True, slots=True)
class CookieSettings:
    """Name of the cookie (``__Host-`` prefix allowed) and how long a signature is believed, in seconds."""

    name: str = "edge_visitor"
    max_age: float = 400 * durations.DAY  # the browsers' own limit (RFC 6265bis, 5.5)


@dataclass(frozen=True, slots=True)
class Signed:
    """A value whose signature and content hold; its age is judged anew each time, by the request's time."""

    visitor: Visitor
    at: int  # when it was signed, seconds since the epoch
    key: int  # index of the key that signed it, oldest is 0


class VerifiedCookies(Verified[Signed]):
    """The last visitor cookies that held."""

    __slots__ = ()

    def __init__(self, entries: int = 20_000) -> None:
        super().__init__(verify, entries)


# --------------------------------------------------------------------------- believing


def read(
    cookie_lines: Sequence[bytes],
    keys: Keys,
    now: float,
    settings: CookieSettings = CookieSettings(),
    cache: VerifiedCookies | None = None,
) -> Visitor:
    """Who the values of a request's ``Cookie`` headers say is asking.  Never raises, whatever the bytes are.

    NOBODY when no cookie has the name; source COOKIE when one is believed; DISBELIEVED otherwise, with
    ``problems[0]`` as ``"<Disbelief value>: <sentence>"``.  ``now`` is seconds since the epoch.
    """
    found = cookies.values(cookie_lines, settings.name.encode())
    if not found:
        return NOBODY
    if len(found) > 1:
        return _disbelieved(doubled(settings.name, len(found)))
    return read_value(found[0], keys, now, settings, cache)


def read_value(
    value: bytes,
    keys: Keys,
    now: float,
    settings: CookieSettings = CookieSettings(),
    cache: VerifiedCookies | None = None,
) -> Visitor:
    """As ``read``, for the bare value of the one cookie."""
    result = verify(value, keys) if cache is None else cache.verify(value, keys)
    if isinstance(result, Signed):
        late = judge_age(result.at, now, settings.max_age)
        if late is None:
            return result.visitor
        result = late
    return _disbelieved(result)


def disbelief(visitor: Visitor) -> Disbelief | None:
    """The kind of a disbelieved visitor's first problem, for counters; None for everybody else."""
    if visitor.source is not Source.DISBELIEVED:
        return None
    return Disbelief(visitor.problems[0].partition(":")[0])


def verify(value: bytes, keys: Keys) -> Signed | Rejected:
    """Form, signature and content of one value; not its age.  Never raises."""
    seen = opened(value, keys, VISITOR_SALT)
    if isinstance(seen, Rejected):
        return seen
    visitor = _content(seen.content)
    return visitor if isinstance(visitor, Rejected) else Signed(visitor, seen.at, seen.key)


def _disbelieved(rejected: Rejected) -> Visitor:
    return Visitor(None, (), None, Source.DISBELIEVED, (f"{rejected.why.value}: {rejected.words}",))


def _content(content: object) -> Visitor | Rejected:
    """The signed JSON as a visitor.  Wrong types are not believed; a label that no rule could name is dropped.

    ``null`` is the same as a key that is missing, since many languages write it so; keys that we do not know are
    ignored.
    """
    if not isinstance(content, dict):
        return Rejected(Disbelief.CONTENT, "its JSON is not an object")
    version = content.get("v")
    if type(version) is not int or version != 1:  # True is no version
        return Rejected(Disbelief.VERSION, f'"v" is {shown(version)}, and only 1 is known')
    stage, segments, ident = content.get("stage"), content.get("segments"), content.get("id")
    if not (stage is None or isinstance(stage, str)):
        return Rejected(Disbelief.CONTENT, f'"stage" is {shown(stage)}, wanted a string')
    if not (segments is None or (isinstance(segments, list) and all(isinstance(one, str) for one in segments))):
        return Rejected(Disbelief.CONTENT, f'"segments" is {shown(segments)}, wanted a list of strings')
    if not (ident is None or isinstance(ident, str)):
        return Rejected(Disbelief.CONTENT, f'"id" is {shown(ident)}, wanted a string')
    problems: list[str] = []
    if stage is not None and not _LABEL.fullmatch(stage):
        problems.append(f"stage {shown(stage)} is dropped: not a label")
        stage = None
    kept: list[str] = []
    for segment in dict.fromkeys(segments or ()):
        if not _LABEL.fullmatch(segment):
            problems.append(f"segment {shown(segment)} is dropped: not a label")
        elif len(kept) == MOST_SEGMENTS:
            problems.append(f"more than {MOST_SEGMENTS} segments: the rest is dropped")
            break
        else:
            kept.append(segment)
    if ident is not None and not _ID.fullmatch(ident):
        problems.append("the id is dropped: it must be opaque, at most 64 of A-Z a-z 0-9 . _ ~ : + / = -")
        ident = None
    return Visitor(stage, tuple(kept), ident, Source.COOKIE, tuple(problems))


# --------------------------------------------------------------------------- signing and explaining


def sign(
    keys: Keys,
    now: float,
    *,
    stage: str | None = None,
    segments: Sequence[str] = (),
    id: str | None = None,  # noqa: A002 - the contract's name
    salt: bytes = VISITOR_SALT,
) -> str:
    """A cookie value, signed ``now`` by the newest key.  Raises NotSignable for what ``read`` would not believe."""
    content: dict[str, object] = {"v": 1}
    if stage is not None:
        content["stage"] = stage
    content["segments"] = list(segments)
    if id is not None:
        content["id"] = id
    visitor = _content(content)
    if isinstance(visitor, Rejected):
        raise NotSignable(visitor.words)
    if visitor.problems:
        raise NotSignable("; ".join(visitor.problems))
    value = closed(content, keys, salt, now)
    if len(value) > LONGEST_VALUE:
        raise NotSignable(f"the value would have {len(value):,} bytes, and {LONGEST_VALUE:,} are the most")
    return value


def explain_value(
    value: bytes,
    keys: Keys,
    now: float,
    settings: CookieSettings = CookieSettings(),
) -> tuple[str, ...]:
    """One cookie value in lines of text: believed or exactly why not, then each of its parts.

    What an unbelieved value says is shown too, marked as such: it is how a shop's own signing code is put right.
    """
    result = verify(value, keys)
    late = judge_age(result.at, now, settings.max_age) if isinstance(result, Signed) else result
    lines = ["believed" if late is None else f"disbelieved  {late.why.value}: {late.words}"]
    parts = PARTS.fullmatch(value)
    if parts is None or len(value) > LONGEST_VALUE:
        return tuple(lines)
    if isinstance(result, Signed):
        lines.append(f"signature    key {result.key + 1} of {len(keys)}{_age_of_key(result.key, len(keys))}")
    else:
        lines.append("             what it says, none of it believed:")
    lines.append(f"signed       {_moment(parts[2], now)}; believed for {durations.words(settings.max_age)}")
    visitor = result.visitor if isinstance(result, Signed) else None
    if visitor is None:
        lines.append(f"payload      {_payload(parts[1])}")
        return tuple(lines)
    lines.append(f"stage        {visitor.stage or '(none)'}")
    lines.append(f"segments     {', '.join(visitor.segments) or '(none)'}")
    lines.append(f"id           {visitor.id or '(none)'}")
    lines.extend(f"note         {problem}" for problem in visitor.problems)
    lines.append(f"size         {len(value):,} of {LONGEST_VALUE:,} bytes")
    return tuple(lines)


def _age_of_key(index: int, count: int) -> str:
    if count == 1:
        return ""
    return " (the newest)" if index == count - 1 else " (the oldest)" if index == 0 else ""


def _moment(stamp: bytes, now: float) -> str:
    try:
        at = int.from_bytes(base64_decode(stamp), "big")
        when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (BadData, ValueError, OverflowError, OSError):
        return "at no time that a calendar knows"
    gap = durations.words(abs(now - at))
    return f"{when}, {gap} {'ago' if at <= now else 'in the future'}"


def _payload(payload: bytes) -> str:
    try:
        text = base64_decode(payload).decode("utf-8", "backslashreplace")
    except BadData:
        return "(not base64url)"
    return text.encode("unicode_escape").decode("ascii")  # a terminal is not to be written to by a forger
