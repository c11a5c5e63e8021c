"""``[[cache]]`` in shop.toml: pages that are kept although the shop does not say so.

Here: its keys, and what is dangerous in them.  Not here: what follows (``core.cacherules``, ``core.storing``).
Called by ``core.rulefile`` once shop.toml is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from edgeproxy.core import durations
from edgeproxy.core.cacherules import TRACKING_QUERY, names_of
from edgeproxy.core.conditions import shapes
from edgeproxy.core.durations import DAY
from edgeproxy.core.model import CacheRule, Paths
from edgeproxy.core.rules.fields import Field, Row, paths, text
from edgeproxy.core.rules.sheet import Sheet, Spot

__all__ = ["CACHE", "FIELDS", "read"]

NEVER: Final = "never"

_USUAL: Final = ("/cart", "/basket", "/checkout", "/account", "/my-account", "/customer", "/login", "/orders", "/admin")
"""Where shops have what belongs to one visitor."""

_OWN: Final = re.compile(r"sess(?:ion|id)|[._-]sid$|logged[._-]?in|remember|auth|basket|cart(?![a-z])", re.IGNORECASE)
"""Names of cookies that shops keep a visitor by; tokens of forms are not meant, pages that hold one are never kept."""


def _tables(value: object, spot: Spot) -> Sequence[object] | None:
    if isinstance(value, list) and value:
        return value
    spot.tell("cache wants tables", "begin each with [[cache]]")
    return None


def _for(value: object, spot: Spot) -> float | None:
    if value == NEVER:
        return 0.0
    return _seconds(value, spot, f'"10 minutes", or "{NEVER}"')


def _stale(value: object, spot: Spot) -> float | None:
    return _seconds(value, spot, '"1 hour"')


def _seconds(value: object, spot: Spot, example: str) -> float | None:
    try:
        return durations.parse(value if isinstance(value, str) else "")
    except durations.NotADuration:
        said = f', not "{value}"' if isinstance(value, str) else ""
        spot.tell(f"{spot.name} wants a time in words{said}", example)
        return None


def _duration(name: str, help: str, read: object) -> Field[float]:  # noqa: A002 - its word
    return Field(name, help, {"type": "string", "minLength": 1}, read)  # type: ignore[arg-type]  # both readers above fit


def _names(value: object, spot: Spot) -> tuple[str, ...] | None:
    """Names with stars, perhaps none."""
    if value == []:
        return ()
    read = shapes.strings(value, spot)
    if read is None:
        return None
    good = True
    for index, name in enumerate(read):
        bare = name.removeprefix("!")
        if not bare or any(letter.isspace() or letter in ";,=&" or not letter.isprintable() for letter in bare):
            place = spot.at(index) if isinstance(value, list) else spot
            place.tell(f'"{name}" is no name', "names hold no spaces and no ; , = &; * stands for anything")
            good = False
    return read if good else None


_LIST: Mapping[str, object] = {
    "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string", "minLength": 1}}]
}


def _list(name: str, help: str) -> Field[tuple[str, ...]]:  # noqa: A002 - its word
    return Field(name, help, _LIST, _names)


SAYS = text("says", "what it is about, for people")
ON = paths("on", "path patterns of the pages that are kept", required=True)
FOR = Field(
    "for", f'how long: "10 minutes"; "{NEVER}": not even where the shop allows it', {"type": "string"}, _for, True
)
STALE_FOR = _duration(
    "stale_for", "so much longer it is still served, while it is asked for anew behind it; left out: not", _stale
)
STALE_IF_ERROR = _duration(
    "stale_if_error", 'so much longer it is served where the shop fails; left out: "1 hour"', _stale
)
IGNORE_QUERY = _list(
    "ignore_query", "query keys that change nothing, beside utm_*, gclid, fbclid and their like; !name: does change it"
)
IGNORE_COOKIES = _list("ignore_cookies", "cookies that change nothing, beside those of analytics; * for all others")
BYPASS_COOKIES = _list("bypass_cookies", "who has one of these gets pages of their own: sessions, baskets")
STRIP_SET_COOKIE = _list("strip_set_cookie", "cookies that the shop sets with every page, and that it can do without")

FIELDS: tuple[Field[object], ...] = (
    SAYS,
    ON,
    FOR,
    STALE_FOR,
    STALE_IF_ERROR,
    IGNORE_QUERY,
    IGNORE_COOKIES,
    BYPASS_COOKIES,
    STRIP_SET_COOKIE,
)

CACHE: Field[Sequence[object]] = Field(
    "cache",
    "pages that are kept for many although the shop does not say so; the first that names a page counts",
    {"type": "array", "items": {"$ref": "#/$defs/cache"}, "minItems": 1},
    _tables,
)


def read(sheet: Sheet, never: Paths | None) -> tuple[CacheRule, ...]:
    """Every rule that could be read, in order; mistakes and dangers are told to the sheet.

    ``never``: the pages that nobody ever edits, which are the first to look at.
    """
    tables = sheet.values.get(CACHE.name)
    if not isinstance(tables, list):
        return ()  # told where the rest of shop.toml is read
    found = [_rule(one, sheet.top.at(CACHE.name).at(index)) for index, one in enumerate(tables)]
    seen: set[tuple[str, ...]] = set()
    for index, rule in enumerate(found):
        if rule is None:
            continue
        spot = sheet.top.at(CACHE.name).at(index).about("cache")
        if rule.on.texts in seen:
            spot.warn("is never reached: a table above is about the same pages", "put both into one")
        seen.add(rule.on.texts)
        _dangers(rule, spot, never)
    return tuple(rule for rule in found if rule is not None)


def _rule(value: object, spot: Spot) -> CacheRule | None:
    if not isinstance(value, Mapping):
        spot.tell("cache wants tables", "begin each with [[cache]]")
        return None
    spot = spot.about("cache")
    row = Row(value, spot, FIELDS)
    on, fresh = row.get(ON), row.get(FOR)
    if not row.good or on is None or fresh is None:
        return None
    stale, if_error = row.get(STALE_FOR), row.get(STALE_IF_ERROR)
    return CacheRule(
        on=on,
        fresh=fresh,
        stale=stale or 0.0,
        stale_if_error=durations.HOUR if if_error is None else if_error,
        ignore_query=names_of((*TRACKING_QUERY, *(row.get(IGNORE_QUERY) or ()))),
        ignore_cookies=names_of(row.get(IGNORE_COOKIES) or ()),
        bypass_cookies=names_of(row.get(BYPASS_COOKIES) or ()),
        strip_set_cookie=names_of(row.get(STRIP_SET_COOKIE) or ()),
        where=spot.key,
    )


def _dangers(rule: CacheRule, spot: Spot, never: Paths | None) -> None:
    """What may be meant, and is worth a look."""
    if not rule.fresh:
        return
    if "*" in rule.ignore_cookies.texts and not rule.bypass_cookies.texts:
        spot.at(IGNORE_COOKIES.name).warn(
            "ignores every cookie, so whoever is signed in or has a basket gets everybody's page",
            "name the shop's session and basket cookies in bypass_cookies",
        )
    both = [name for name in rule.bypass_cookies.texts if name in rule.ignore_cookies.texts]
    if both:
        spot.at(IGNORE_COOKIES.name).warn(f'"{both[0]}" is in bypass_cookies too, which wins', "keep one")
    if "*" in rule.strip_set_cookie.texts:
        spot.at(STRIP_SET_COOKIE.name).warn(
            "takes away every cookie that these pages set, also what a session begins with", "name those that are meant"
        )
    hint = "leave it out, or name it in bypass_cookies"
    for part, names, what in (
        (IGNORE_COOKIES, rule.ignore_cookies.texts, "whoever has it gets everybody's page"),
        (STRIP_SET_COOKIE, rule.strip_set_cookie.texts, "who would get it here never does"),
    ):
        own = next((name for name in names if _OWN.search(name) and name not in rule.bypass_cookies), None)
        if own is not None:
            spot.at(part.name).warn(f'"{own}" sounds like what belongs to one visitor: {what}', hint)
    personal = next((path for path in _USUAL if rule.on.match(path) or rule.on.match(f"{path}/x")), None)
    if personal is not None:
        spot.at(ON.name).warn(
            f"names {personal} too, where shops have what belongs to one visitor", f'exclude it: "!{personal}/**"'
        )
    for pattern in never.texts if never is not None else ():
        sample = pattern.replace("/**", "/x").replace("*", "x")
        if not pattern.startswith("!") and rule.on.match(sample) and personal is None:
            spot.at(ON.name).warn(
                f'names pages under never ("{pattern}") too: do they belong to one visitor?', f'"!{pattern}"'
            )
            break
    if rule.fresh > DAY:
        spot.at(FOR.name).warn(
            f"keeps a page for {durations.words(rule.fresh)}: a price that changes meanwhile is shown late",
            "a shorter time with stale_for costs the shop hardly more",
        )
