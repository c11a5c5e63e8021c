"""A signed link to one contact sheet: which pages, personas and moments, and until when.

Here: making and reading the text that stands in the link.  Not here: what is shown (``sheet``), who serves it
(``console``).  Its salt is its own (``edgeproxy.link``): it is no leave to preview, and a leave to preview is no link.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Final

from edgeproxy.core import durations
from edgeproxy.core.signing import Keys

__all__ = ["LONGEST", "SheetLink", "read_link", "sign_link"]

SALT: Final = b"edgeproxy.link"
LONGEST: Final = 4000  # characters: a link that mail programs and proxies take

_SIGNED: Final = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class SheetLink:
    """Exactly this sheet may be seen until ``expires`` (seconds since the epoch)."""

    pages: tuple[str, ...]
    personas: tuple[str, ...]  # (): all
    moments: tuple[str, ...]  # (): now
    expires: int


def sign_link(link: SheetLink, keys: Keys) -> str:
    """The text of a link.  Raises ValueError where it would be too long for one."""
    content = {
        "v": 1,
        "exp": link.expires,
        "pages": list(link.pages),
        "personas": list(link.personas),
        "at": list(link.moments),
    }
    data = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    signed = keys.signing(SALT).sign_plain(base64.urlsafe_b64encode(data).rstrip(b"="))
    if len(signed) > LONGEST:
        raise ValueError("these pages are too many for a link")
    return signed.decode("ascii")


def read_link(text: str, keys: Keys, now: float) -> SheetLink | str:
    """What a link shows, or why it shows nothing, in words.  Never raises, whatever it holds."""
    value = text.encode("utf-8", "replace")
    parts = _SIGNED.fullmatch(value) if len(value) <= LONGEST else None
    if parts is None or keys.signing(SALT).which_key(parts[1], parts[2]) is None:
        return "it was not signed here, or was altered"
    try:
        content = json.loads(base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4)))
        expires = content["exp"]
        fields = [tuple(str(one) for one in content[name]) for name in ("pages", "personas", "at")]
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        return "it says nothing that is known"
    if content.get("v") != 1 or not isinstance(expires, int):
        return "it says nothing that is known"
    if now >= expires:
        return f"it expired {durations.words(now - min(expires, 2**53))} ago"
    return SheetLink(fields[0], fields[1], fields[2], expires)
