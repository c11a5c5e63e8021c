"""Leave to preview, signed: tokens in links, and the session cookie that they are exchanged for.

Here: both as frozen data, signing and reading them.  Not here: what a request makes of them (``preview``).  Called by
``preview`` and by the command that makes links.

Each is ``b64url(json).b64url(signature)`` with its expiry inside and a salt of its own, so that neither passes for the
other or for a visitor cookie.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import urlencode, urlsplit

from itsdangerous import BadData
from itsdangerous.encoding import base64_decode, base64_encode

from edgeproxy.core import durations, query
from edgeproxy.core.flags import PreviewFlags
from edgeproxy.core.signing import Keys

TOKEN_SALT: Final = b"edgeproxy.preview"
SESSION_SALT: Final = b"edgeproxy.preview-session"
LONGEST_SIGNED: Final = 3_800  # bytes: a cookie with its name and attributes stays below 4,096 (RFC 6265, 6.1)

_SIGNED: Final = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})")


class Leave(Enum):
    """What the holder of a preview may do."""

    BOUND = "exactly these flags"
    ANY = "all flags, all pages"
    OPEN = "all flags, where previews are open"


@dataclass(frozen=True, slots=True)
class Token:
    """Leave to preview until ``expires`` (seconds since the epoch); ``path``: good only at this raw path."""

    flags: PreviewFlags
    any: bool
    expires: int
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """What the preview cookie remembers between clicks."""

    leave: Leave
    flags: PreviewFlags
    expires: int
    explain_on: str | None = None  # raw path whose explanation a link asked for
    draft: str | None = None  # the draft that the link named: no other can be previewed
    notes: tuple[str, ...] = ()  # what the next page has to say, once


def sign_token(token: Token, keys: Keys) -> str:
    """The token as a query value.  Raises ValueError when its flags are too long."""
    content: dict[str, object] = {"v": 1, "exp": token.expires, **_packed(token.flags)}
    if token.any:
        content["any"] = True
    if token.path is not None:
        content["path"] = token.path
    value = _sign(content, keys, TOKEN_SALT)
    if value is None:
        raise ValueError("these flags are too long for a link")
    return value


def read_token(text: str, keys: Keys, now: float, path: str) -> Token | str:
    """The leave that a token gives at this raw path, or why it gives none, in words."""
    content = _read(text.encode("utf-8", "replace"), keys, TOKEN_SALT, now)
    if isinstance(content, str):
        return content
    token_path = content.get("path")
    if token_path is not None and token_path != path:
        return "it is for another page"
    path_text = token_path if isinstance(token_path, str) else None
    return Token(_unpacked(content), content.get("any") is True, _expiry(content), path_text)


def sign_session(session: Session, keys: Keys) -> str | None:
    """The preview cookie's value; None when it would not fit into a cookie."""
    content: dict[str, object] = {"v": 1, "exp": session.expires, "leave": session.leave.name, **_packed(session.flags)}
    if session.explain_on is not None:
        content["on"] = session.explain_on
    if session.draft is not None:
        content["draft"] = session.draft
    if session.notes:
        content["notes"] = list(session.notes)
    return _sign(content, keys, SESSION_SALT)


def read_session(value: bytes, keys: Keys, now: float) -> Session | str:
    """What the preview cookie remembers, or why it is not believed, in words."""
    content = _read(value, keys, SESSION_SALT, now)
    if isinstance(content, str):
        return content
    leave = content.get("leave")
    if leave not in Leave.__members__:
        return "it says nothing that is known"
    return Session(
        Leave[str(leave)],
        _unpacked(content),
        _expiry(content),
        _text(content, "on"),
        _text(content, "draft"),
        _texts(content, "notes"),
    )


def link(url: str, token: Token, keys: Keys) -> str:
    """``url`` with the token and its flags as parameters, behind what the query already holds, before a fragment."""
    parts = urlsplit(url)
    kept = query.cut(parts.query.encode("utf-8")).query.decode("utf-8")
    ours = urlencode([*token.flags.pairs(), ("edge_token", sign_token(token, keys))])
    return parts._replace(query=f"{kept}&{ours}" if kept else ours, path=parts.path or "/").geturl()


def _sign(content: Mapping[str, object], keys: Keys, salt: bytes) -> str | None:
    body = base64_encode(json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace"))
    value = keys.signing(salt).sign_plain(body)
    return value.decode("ascii") if len(value) <= LONGEST_SIGNED else None


def _read(value: bytes, keys: Keys, salt: bytes, now: float) -> dict[str, object] | str:
    parts = _SIGNED.fullmatch(value) if len(value) <= LONGEST_SIGNED else None
    if parts is None or keys.signing(salt).which_key(parts[1], parts[2]) is None:
        return "it was not signed here, or was altered"
    try:
        content = json.loads(base64_decode(parts[1]).decode())
    except (BadData, ValueError, RecursionError):
        return "it says nothing that is known"
    if not isinstance(content, dict) or content.get("v") != 1 or not isinstance(content.get("exp"), int):
        return "it says nothing that is known"
    if now >= _expiry(content):
        ago = durations.words(now - _expiry(content))
        return f"it expired {ago} ago"
    return content


def _expiry(content: Mapping[str, object]) -> int:
    expires = content["exp"]
    return min(expires, 2**53) if isinstance(expires, int) else 0


def _packed(flags: PreviewFlags) -> dict[str, object]:
    said: dict[str, object] = {
        "stage": flags.stage,
        "segments": None if flags.segments is None else list(flags.segments),
        "persona": flags.persona,
        "experience": flags.experience,
        "without": list(flags.without) or None,
        "at": flags.at,
        "off": flags.off or None,
        "explain": flags.explain or None,
        "outline": flags.outline or None,
        "rules": flags.rules,
    }
    return {name: value for name, value in said.items() if value is not None}


def _unpacked(content: Mapping[str, object]) -> PreviewFlags:
    return PreviewFlags(
        stage=_text(content, "stage"),
        segments=_texts(content, "segments") if isinstance(content.get("segments"), list) else None,
        persona=_text(content, "persona"),
        experience=_text(content, "experience"),
        without=_texts(content, "without"),
        at=_text(content, "at"),
        off=content.get("off") is True,
        explain=content.get("explain") is True,
        outline=content.get("outline") is True,
        rules=_text(content, "rules"),
    )


def _text(content: Mapping[str, object], name: str) -> str | None:
    value = content.get(name)
    return value if isinstance(value, str) else None


def _texts(content: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = content.get(name)
    return tuple(str(one) for one in value) if isinstance(value, list) else ()
