"""Keys, and signatures made and checked with them: HMAC-SHA256 by itsdangerous, a salt for each purpose.

Here: ``Keys`` (what ``EDGEPROXY_KEYS`` holds) and ``Signing`` (one purpose's signer).  Not here: what is signed
(``visitor``, ``preview``), and chance: keys are made by ``edgeproxy key``.

A signed text is ``body.signature`` (or ``body.timestamp.signature``), each part unpadded base64url.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from itsdangerous import HMACAlgorithm, TimestampSigner
from itsdangerous.encoding import base64_encode, int_to_bytes

SHORTEST_KEY: Final = 16
_HOW: Final = "make one with `edgeproxy key` and put it into EDGEPROXY_KEYS"

# What people type when a key is asked for; what is left of a key without these must still be a key.
_WELL_KNOWN: Final = """
    changeme change default example secret password passwd passphrase test testing demo sample letmein welcome
    qwertyuiop qwerty asdfghjkl asdf zxcvbnm admin root insecure django flask rails development dev prod
    production please replace this with your own edgeproxy edge proxy keys key sign signing signed cookie
    visitor session token notsecure unsafe dummy foobar foo bar baz lorem ipsum hello world supersecret
    verysecret mysecret long random string abcdefghijklmnopqrstuvwxyz abcdef abc xyz
    0123456789 1234567890 123456789 12345678 1234567 123456 12345 1234 123 9876543210 987654321
"""
_WORDS: Final = re.compile("|".join(sorted(_WELL_KNOWN.split(), key=len, reverse=True)))


class BadKey(ValueError):
    """A key that must not sign anything; the message says why and how to make a good one, never the key itself."""


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Signing keys, oldest first: all of them verify, the newest (last) signs.  ``repr`` and ``str`` show no key."""

    secrets: tuple[bytes, ...]
    _signers: dict[bytes, Signing] = field(default_factory=dict, init=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Keys:
        """From the text of ``EDGEPROXY_KEYS``: comma-separated, oldest first, whitespace around a key ignored.

        Raises BadKey for no key at all, a key below 16 bytes, a well-known word, a repetition, or the same key twice.
        """
        parts = [part.strip() for part in text.split(",")]
        if not any(parts):
            raise BadKey(f"no key is given; {_HOW}")
        for place, part in enumerate(parts, start=1):
            trouble = _trouble(part) if part not in parts[: place - 1] else "is there twice"
            if trouble:
                which = "the key" if len(parts) == 1 else f"key {place} of {len(parts)}"
                raise BadKey(f"{which} {trouble}; {_HOW}")
        return cls(tuple(part.encode() for part in parts))

    def __len__(self) -> int:
        return len(self.secrets)

    def __repr__(self) -> str:
        return f"<Keys: {len(self)}, hidden>"

    def signing(self, salt: bytes) -> Signing:
        """The signer for one purpose; made once, its derived keys are kept with it."""
        signer = self._signers.get(salt)
        if signer is None:
            signer = self._signers[salt] = Signing(self.secrets, salt)
        return signer


def _trouble(key: str) -> str:
    """Why this key must not be used, "" when it may."""
    size = len(key.encode())
    if size < SHORTEST_KEY:
        return f"has {size} bytes, and {SHORTEST_KEY} are the least"
    if not key.isprintable():
        return "holds control characters"
    folded = key.lower()
    if len(set(folded)) < 6 or any(_repeats(folded, unit) for unit in range(1, len(folded) // 2 + 1)):
        return "repeats itself"
    rest = _WORDS.sub("", re.sub(r"[\W_]+", "", folded))
    if len(rest) < 6 or len(set(rest)) < 4:
        return "is made of well-known words"
    steps = sum(ord(b) - ord(a) in (-1, 0, 1) for a, b in itertools.pairwise(folded))
    if steps > len(folded) // 2:
        return "counts up or down"
    return ""


def _repeats(text: str, unit: int) -> bool:
    """True when ``text`` is its first ``unit`` characters over and over (the last time may be cut short)."""
    return (text[:unit] * (len(text) // unit + 1)).startswith(text)


class _HmacSha256(HMACAlgorithm):
    """The same signature in one call of OpenSSL, a third of the time of ``hmac.new``."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return hmac.digest(key, value, "sha256")


class Signing(TimestampSigner):
    """itsdangerous' signer with the derived keys kept, the clock handed in, and one spelling per signature.

    ``TimestampSigner.unsign`` reads the wall clock and takes four spellings of a signature's last character
    (43 characters of base64 hold 258 bits, a signature has 256); ``which_key`` does neither.
    """

    def __init__(self, secrets: Sequence[bytes], salt: bytes) -> None:
        sha256 = hashlib.sha256
        algorithm = _HmacSha256(sha256)
        super().__init__(list(secrets), salt=salt, key_derivation="hmac", digest_method=sha256, algorithm=algorithm)
        self._derived: dict[bytes, bytes] = {}

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        """As the base class derives it, once per key."""
        secret = self.secret_keys[-1] if secret_key is None else secret_key
        if isinstance(secret, str):
            secret = secret.encode()
        derived = self._derived.get(secret)
        if derived is None:
            derived = self._derived[secret] = super().derive_key(secret)
        return derived

    def which_key(self, signed: bytes, signature: bytes) -> int | None:
        """Index of the key (oldest is 0) whose signature of ``signed`` is spelled exactly ``signature``, else None."""
        for index in range(len(self.secret_keys) - 1, -1, -1):
            digest = self.algorithm.get_signature(self.derive_key(self.secret_keys[index]), signed)
            if hmac.compare_digest(base64_encode(digest), signature):
                return index
        return None

    def sign_at(self, body: bytes, at: float) -> bytes:
        """``body.timestamp.signature`` by the newest key: what ``TimestampSigner.sign`` makes at that moment."""
        return self.sign_plain(body + b"." + base64_encode(int_to_bytes(int(at))))

    def sign_plain(self, body: bytes) -> bytes:
        """``body.signature`` by the newest key, without a timestamp."""
        return body + b"." + self.get_signature(body)
