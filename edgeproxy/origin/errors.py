"""What can go wrong behind us.

Here: the few errors that the shop's side raises.  Not here: what the visitor is told (the proxy maps them:
``ShopTimeout`` to 504, ``ShopBusy`` to 503, the others to 502 before the head left, a visible cut after it).

    ShopError                   has .kind, one word for counters, and a sentence for the log
    ├── ShopRefused             no connection: kind "refused", "dns" or "tls"
    ├── ShopBusy                every connection that we may have is at work; kind "busy"
    ├── ShopTimeout             too slow; .phase is "connect", "sending", "answer" or "body", kind "late" and it
    └── ShopBroken              what it sent is not one well-formed answer: kind "silent" (closed before the first
                                byte), "head", "framing", "interim", "upgrade" or "cut" (ended before its end)
"""

from __future__ import annotations

__all__ = ["ShopBroken", "ShopBusy", "ShopError", "ShopRefused", "ShopTimeout"]


class ShopError(Exception):
    """The shop gave no usable answer; ``str()`` is a sentence without anything of the visitor's in it."""

    def __init__(self, kind: str, what: str, limit: str = "") -> None:
        """``limit``: the setting that was hit, by its name in ``settings.Limits`` (or "deadline"), "" for none."""
        super().__init__(what)
        self.kind = kind
        self.limit = limit

    @property
    def unsent(self) -> bool:
        """Nothing of the request has left for the shop: it can be asked elsewhere, whatever its method."""
        return False


class ShopRefused(ShopError):
    """There is no connection to the shop to be had."""

    @property
    def unsent(self) -> bool:
        return True


class ShopBusy(ShopError):
    """All our connections to the shop stayed at work: a limit of ours, and no fault of the shop's."""

    @property
    def unsent(self) -> bool:
        return True


class ShopTimeout(ShopError):
    """The shop took too long; ``phase`` says over what."""

    def __init__(self, phase: str, what: str, limit: str = "") -> None:
        super().__init__(f"late {phase}", what, limit)
        self.phase = phase

    @property
    def unsent(self) -> bool:
        return self.phase == "connect"


class ShopBroken(ShopError):
    """The shop's bytes are not one well-formed answer."""
