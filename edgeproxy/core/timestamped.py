"""Signed values with a time: ``b64url(json).b64url(timestamp).b64url(signature)``, opened or turned away with a reason.

Here: form, signature and age of such a value, whatever its salt; and the last values that held.  Not here: what their
JSON means (``visitor`` for the shop's cookie, ``state`` for ours).  Called by those two alone.

Believed is only the one spelling of a value that a key of ours signed, at most 1,200 bytes, and only while it is
young enough by the clock that is handed in.  Nothing here raises, whatever the bytes are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeVar

from cachetools import LRUCache
from itsdangerous import BadData
from itsdangerous.encoding import base64_decode, base64_encode

from edgeproxy.core import durations
from edgeproxy.core.signing import Keys

LONGEST_VALUE: Final = 1200  # bytes
SKEW: Final = 60.0  # seconds that the signer's clock may be ahead of ours

PARTS: Final = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")

T = TypeVar("T")


class Disbelief(Enum):
    """Why a cookie proves nothing: the first word of ``Visitor.problems``, and the label of its counter."""

    DOUBLED = "doubled"
    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    FORGED = "forged"
    EXPIRED = "expired"
    FUTURE = "future"
    VERSION = "version"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Rejected:
    why: Disbelief
    words: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A value whose signature holds; its age is judged anew each time, by the request's time."""

    content: object  # of the JSON
    at: int  # when it was signed, seconds since the epoch
    key: int  # index of the key that signed it, oldest is 0


def opened(value: bytes, keys: Keys, salt: bytes) -> Opened | Rejected:
    """Form and signature of one value, and its JSON; not its age."""
    if len(value) > LONGEST_VALUE:
        return Rejected(Disbelief.OVERSIZED, f"{len(value):,} bytes, and {LONGEST_VALUE:,} are the most")
    parts = PARTS.fullmatch(value)
    if parts is None:
        return Rejected(Disbelief.MALFORMED, _misshapen(value))
    payload, stamp, signature = parts.groups()
    signer = keys.signing(salt)
    signed = value[: parts.end(2)]
    key = signer.which_key(signed, signature)
    if key is None:
        if signer.verify_signature(signed, signature):
            return Rejected(Disbelief.MALFORMED, "its signature is spelled in a second way")
        maker = "not made by our key" if len(keys) == 1 else f"made by none of our {len(keys)} keys"
        return Rejected(Disbelief.FORGED, f"its signature was {maker}")
    try:
        at = int.from_bytes(base64_decode(stamp), "big")
        content = json.loads(base64_decode(payload).decode())
    except (BadData, ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return Rejected(Disbelief.CONTENT, "signed by us, but its first part is not base64url of JSON in UTF-8")
    return Opened(content, at, key)


def closed(content: object, keys: Keys, salt: bytes, now: float) -> str:
    """The value that says ``content``, signed ``now`` by the newest key; it may be longer than ``opened`` takes."""
    payload = base64_encode(json.dumps(content, separators=(",", ":")).encode())
    return keys.signing(salt).sign_at(payload, now).decode("ascii")


def judge_age(at: int, now: float, max_age: float) -> Rejected | None:
    """Whether something signed ``at`` may be believed at ``now``: not from the future (bar a minute), not too old."""
    if at > now + SKEW:  # first: an absurdly large integer compares, but does not subtract
        ahead = durations.words(min(at, 10**12) - now)
        return Rejected(Disbelief.FUTURE, f"signed {ahead} in the future: whose clock is wrong?")
    if now - at > max_age:
        return Rejected(
            Disbelief.EXPIRED, f"signed {durations.words(now - at)} ago, believed for {durations.words(max_age)}"
        )
    return None


def doubled(name: str, times: int) -> Rejected:
    """Two of one name is how a sibling host tosses a cookie of its own in: which one is first says nothing."""
    return Rejected(Disbelief.DOUBLED, f"cookie {name} came {times} times, so neither is believed")


def shown(value: object, limit: int = 40) -> str:
    """A hostile or mistaken value as short ASCII JSON."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _misshapen(value: bytes) -> str:
    if not value:
        return "it is empty"
    if value[:1] == b'"':
        return "it is in quotes; send the bare value"
    count = value.count(b".") + 1
    if count != 3:
        return f"{count} part{'s' if count > 1 else ''} between dots, wanted 3"
    if b"" in value.split(b"."):
        return "one of its three parts is empty"
    return "a character other than A-Z a-z 0-9 _ - in one of its parts"


class Verified(Generic[T]):
    """The last values that held, least recently used dropped first; one per worker, handed to ``read``.

    Only values that a key of ours signed get in, each in its one spelling and at most 1,200 bytes, so that
    nobody without a key can fill it.  Another set of keys empties it.
    """

    __slots__ = ("_judge", "_keys", "_values", "hits", "misses")

    def __init__(self, judge: Callable[[bytes, Keys], T | Rejected], entries: int) -> None:
        self._judge = judge
        self._values: LRUCache[bytes, T] = LRUCache(entries)
        self._keys: Keys | None = None
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._values)

    def verify(self, value: bytes, keys: Keys) -> T | Rejected:
        """As the judge does, remembering what holds."""
        if keys is not self._keys:
            if keys != self._keys:
                self._values.clear()
            self._keys = keys
        try:
            held = self._values[value]
        except KeyError:
            self.misses += 1
        else:
            self.hits += 1
            return held
        result = self._judge(value, keys)
        if not isinstance(result, Rejected):
            self._values[value] = result
        return result
