"""What can go wrong behind us.

Here: the few errors that the shop's side raises.  Not here: what the visitor is told (the proxy maps them:
``ShopTimeout`` to 504, the others to 502 before the head left, a visible cut after it).

    ShopError                   has .kind, one word for counters, and a sentence for the log
    ├── ShopRefused             no connection: kind "refused", "dns" or "tls"
    ├── ShopTimeout             too slow; .phase is "connect", "sending", "answer" or "body", kind the same
    └── ShopBroken              what it sent is not one well-formed answer: kind "silent" (closed before the first
                                byte), "head", "framing", "interim", "upgrade" or "cut" (ended before its end)
"""

from __future__ import annotations

__all__ = ["ShopBroken", "ShopError", "ShopRefused", "ShopTimeout"]


class ShopError(Exception):
    """The shop gave no usable answer; ``str()`` is a sentence without anything of the visitor's in it."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind = kind


class ShopRefused(ShopError):
    """There is no connection to the shop to be had."""


class ShopTimeout(ShopError):
    """The shop took too long; ``phase`` says over what."""

    @property
    def phase(self) -> str:
        return self.kind


class ShopBroken(ShopError):
    """The shop's bytes are not one well-formed answer."""
