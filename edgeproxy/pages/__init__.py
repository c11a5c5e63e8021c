"""The page cache: answers of the shop that are kept for many (RFC 9111, a shared cache).

``model`` what is kept · ``making`` how it comes of an answer · ``marks`` what keeps an answer from it · ``store``
where, bounded by bytes · ``prospects`` where sharing is worth an attempt · ``filling`` an answer that is read by many
while it comes · ``asking`` one question for everybody · ``knowledge`` what is known where nothing is kept ·
``cache`` the rules of the house: look, wait, ask, forget · ``serving`` conditions and ranges answered
from what is kept · ``told`` the same judgements in words · ``counts`` what is counted.  What may be kept is judged in
``core`` (``sharing``, ``storing``, ``freshness``) and by ``html.traces``.  Called by ``sharing``; everything after it
does not know whether a page was kept or came just now.
"""

from edgeproxy.pages.cache import PageCache
from edgeproxy.pages.filling import Filling
from edgeproxy.pages.model import StoredPage
from edgeproxy.pages.outcome import Found, Unshared

__all__ = ["Filling", "Found", "PageCache", "StoredPage", "Unshared"]
