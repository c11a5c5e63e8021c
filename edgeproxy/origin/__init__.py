"""The shop behind us.

``errors`` what can go wrong · ``patience`` how long we wait (pure) · ``exchange`` one answer, strictly ·
``connection`` what the pool lends · ``transport`` the httpx transport over them.  Called by ``proxy``, ``app`` and
the commands that fetch pages.
"""

from edgeproxy.origin.errors import ShopBroken, ShopError, ShopRefused, ShopTimeout
from edgeproxy.origin.patience import Limits
from edgeproxy.origin.transport import ShopBody, ShopTransport, tls_context

__all__ = [
    "Limits",
    "ShopBody",
    "ShopBroken",
    "ShopError",
    "ShopRefused",
    "ShopTimeout",
    "ShopTransport",
    "tls_context",
]
