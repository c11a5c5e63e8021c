"""The visitor cookie of edgeproxy, signed and read with itsdangerous (which Flask brings along).

keys: what EDGEPROXY_KEYS holds, comma-separated, oldest first; the newest (last) signs, all of them are believed.
"""

import hashlib
import json
import re
import time

from itsdangerous import BadSignature, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode

MAX_AGE = 400 * 86400


def sign(keys, stage=None, segments=(), id=None):
    """The cookie's value for a visitor: id is opaque, never a name, an address or an order's content."""
    visitor = {"v": 1, "stage": stage, "segments": list(segments), "id": id}
    content = json.dumps({name: value for name, value in visitor.items() if value is not None})
    return _signer(keys).sign(base64_encode(content)).decode()


def read(keys, value, max_age=MAX_AGE):
    """The visitor of a cookie's value as a dict; None for one that proves nothing."""
    # itsdangerous alone takes many spellings of one value (padding, a "!!!" at the end): take the one.
    if len(value) > 1200 or not re.fullmatch(
        r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", value
    ):
        return None
    try:
        payload, signed = _signer(keys).unsign(value, return_timestamp=True)
    except BadSignature:
        return None
    visitor = json.loads(base64_decode(payload))
    return visitor if visitor.get("v") == 1 and -60 <= time.time() - signed.timestamp() <= max_age else None


def _signer(keys):
    secrets = [key.strip() for key in keys.split(",")]
    return TimestampSigner(secrets, salt="edgeproxy.visitor", key_derivation="hmac", digest_method=hashlib.sha256)
