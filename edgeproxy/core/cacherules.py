"""The operator's cache rules: which one holds for a path, and what it says of cookies and query keys.

Here: the built-in lists, lists of names with ``*``, and taking names out of a query.  Not here: the file they stand in
(``core.rules.caching``), what an answer must be to be stored (``storing``).  Pure; called for every request that a
cache could answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from edgeproxy.core.model import CacheRule, Names, RuleBook

__all__ = ["TRACKING_COOKIES", "TRACKING_QUERY", "NameSet", "names_of", "rule_for", "without_names"]


def _listed(names: str) -> tuple[str, ...]:
    return tuple(names.split())


TRACKING_QUERY: Final = _listed(
    """utm_* gclid gclsrc gbraid wbraid dclid gad_source gad_campaignid fbclid msclkid ttclid twclid li_fat_id yclid
    ysclid igshid igsh mc_cid mc_eid _ga _gl _hsenc _hsmi hsCtaTracking mkt_tok pk_* mtm_* matomo_* srsltid epik
    s_kwcid ef_id vero_id oly_enc_id oly_anon_id wickedid _kx dm_i irclickid irgwc cjevent rb_clickid"""
)
"""Query keys that tell where somebody came from, and change no page: what a cache rule ignores by itself."""

TRACKING_COOKIES: Final = _listed(
    """_ga _ga_* _gid _gat _gat_* _gac_* _gcl_* _dc_gtm_* __utm? _fbp _fbc _hj* _clck _clsk _uetsid _uetvid _uetmsclkid
    _tt_enable_cookie _ttp _pin_unauth _pinterest_* _scid _scid_r _pk_id.* _pk_ses.* _pk_ref.* mtm_* ajs_* amp_* mp_*
    _hp2_* _vwo_* optimizely* __hstc __hssc __hssrc hubspotutk _mkto_trk intercom-* __cf_bm cf_clearance _cfuvid
    OptanonConsent OptanonAlertBoxClosed CookieConsent cookieyes-consent CookieScriptConsent euconsent-v2
    borlabs-cookie cmplz_* didomi_token usprivacy"""
)
"""Cookies of analytics, advertising and consent banners, which scripts read and no shop's page depends on."""


@dataclass(frozen=True, slots=True)
class NameSet:
    """Names as rule files list them: ``*`` is anything, ``?`` one character, ``!name`` leaves out and wins.

    Two sets are equal when their texts are.
    """

    texts: tuple[str, ...]
    _test: re.Pattern[str] = field(compare=False, repr=False)
    _not: re.Pattern[str] = field(compare=False, repr=False)

    def __contains__(self, name: str) -> bool:
        return self._test.fullmatch(name) is not None and self._not.fullmatch(name) is None


def names_of(texts: Iterable[str]) -> NameSet:
    """Names with stars → a set that is asked with ``in``; no name makes a match slow."""
    texts = tuple(texts)
    return NameSet(
        texts,
        _any_of(text for text in texts if not text.startswith("!")),
        _any_of(text[1:] for text in texts if text.startswith("!")),
    )


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    ways = "|".join(_one(text) for text in texts)
    return re.compile(ways or "(?!)", re.DOTALL)


def _one(text: str) -> str:
    """Runs between stars are taken where they stand first, for good: nothing is tried twice."""
    head, *rest = (re.escape(run).replace(r"\?", ".") for run in re.split(r"\*+", text))
    if not rest:
        return head
    *middle, tail = rest
    return head + "".join(f"(?>.*?{run})" for run in middle) + f".*{tail}"


def rule_for(book: RuleBook, path: str) -> CacheRule | None:
    """The first cache rule that names the path (raw, one character a byte); both its forms must be meant."""
    return next((rule for rule in book.cache if rule.on.match(path)), None)


def without_names(query: bytes, ignored: Names) -> bytes:
    """A raw query without the parameters of these names; what stays keeps its bytes and its order.

    A name counts as a shop would read it: percent-decoded, ``+`` as a space.
    """
    if not query:
        return query
    kept = [pair for pair in query.split(b"&") if _name(pair) not in ignored]
    return b"&".join(kept)


def _name(pair: bytes) -> str:
    name = pair.partition(b"=")[0]
    if b"%" in name or b"+" in name:
        name = unquote_to_bytes(name.replace(b"+", b" "))
    return name.decode("latin-1")
