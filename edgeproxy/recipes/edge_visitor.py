"""The visitor cookie of edgeproxy, signed and read with nothing but Python's standard library (3.8 or newer).

keys: what EDGEPROXY_KEYS holds, comma-separated, oldest first; the newest (last) signs, all of them are believed.
"""

import base64
import hmac
import json
import re
import time

SALT = b"edgeproxy.visitor"
MAX_AGE = 400 * 86400


def sign(keys, stage=None, segments=(), id=None):
    """The cookie's value for a visitor: id is opaque, never a name, an address or an order's content."""
    visitor = {"v": 1, "stage": stage, "segments": list(segments), "id": id}
    body = _b64(json.dumps({name: value for name, value in visitor.items() if value is not None}).encode())
    body += b"." + _b64(int(time.time()).to_bytes(4, "big"))
    return (body + b"." + _signature(_split(keys)[-1], body)).decode()


def read(keys, value, max_age=MAX_AGE):
    """The visitor of a cookie's value as a dict; None for one that proves nothing."""
    if len(value) > 1200 or not re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", value):
        return None
    body, _, signature = value.encode().rpartition(b".")
    if not any(hmac.compare_digest(_signature(key, body), signature) for key in _split(keys)):
        return None
    payload, _, stamp = body.partition(b".")
    age = time.time() - int.from_bytes(_unb64(stamp), "big")
    visitor = json.loads(_unb64(payload))
    return visitor if visitor.get("v") == 1 and -60 <= age <= max_age else None


def _split(keys):
    return [key.strip().encode() for key in keys.split(",")]


def _signature(key, body):
    derived = hmac.new(key, SALT, "sha256").digest()
    return _b64(hmac.new(derived, body, "sha256").digest())


def _b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _unb64(text):
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
