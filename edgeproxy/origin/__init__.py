"""The shop behind us.

``errors`` what can go wrong · ``patience`` how long we wait (pure) · ``health`` which address may be asked (pure) ·
``exchange`` one answer, strictly · ``tunnel`` what follows a 101 · ``connection`` what carries them, one at a time ·
``pool`` connections found, opened and kept · ``lending`` how many there are, and who has one · ``transport`` the httpx
transport over them · ``addresses`` the same over several.  Called by ``proxy``, ``relay``, ``app`` and the commands
that fetch pages.
"""

from edgeproxy.origin.addresses import ShopAddresses
from edgeproxy.origin.errors import ShopBroken, ShopBusy, ShopError, ShopRefused, ShopTimeout
from edgeproxy.origin.health import Tolerance
from edgeproxy.origin.lending import tls_context
from edgeproxy.origin.patience import Limits
from edgeproxy.origin.transport import ShopBody, ShopTransport

__all__ = [
    "Limits",
    "ShopAddresses",
    "ShopBody",
    "ShopBroken",
    "ShopBusy",
    "ShopError",
    "ShopRefused",
    "ShopTimeout",
    "ShopTransport",
    "Tolerance",
    "tls_context",
]
