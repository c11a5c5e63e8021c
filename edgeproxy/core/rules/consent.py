"""[consent] in shop.toml: which cookie says whether a visitor may be remembered.  Judged by ``core.consent``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from edgeproxy.core.conditions import shapes
from edgeproxy.core.model import Consent, ConsentForm
from edgeproxy.core.rules.fields import Field, Row, flag, strings
from edgeproxy.core.rules.sheet import Spot
from edgeproxy.core.words import both, either, quoted

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")  # RFC 6265, 4.1.1: a cookie's name
_GROUP = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOOLS = [form.value for form in ConsentForm if form is not ConsentForm.VALUE]
_COOKIES = {
    ConsentForm.TCF: "euconsent-v2",
    ConsentForm.COOKIEBOT: "CookieConsent",
    ConsentForm.ONETRUST: "OptanonConsent",
}
_KEYS = {
    ConsentForm.VALUE: "yes",
    ConsentForm.TCF: "purposes",
    ConsentForm.COOKIEBOT: "categories",
    ConsentForm.ONETRUST: "groups",
}
_COOKIEBOT = ("necessary", "preferences", "statistics", "marketing")


def _cookie(value: object, spot: Spot) -> str | None:
    if isinstance(value, str) and _TOKEN.fullmatch(value):
        return value
    spot.tell("cookie wants the name of a cookie", '"cookie_consent"')
    return None


def _tool(value: object, spot: Spot) -> ConsentForm | None:
    if isinstance(value, str) and value in _TOOLS:
        return ConsentForm(value)
    spot.tell(f"tool wants {either(quoted(_TOOLS))}", 'for another one write cookie = "…" and yes = "…"')
    return None


def _purposes(value: object, spot: Spot) -> tuple[str, ...] | None:
    numbers = value if isinstance(value, list) else [value]
    if numbers and all(type(one) is int and 1 <= one <= 24 for one in numbers):
        return tuple(dict.fromkeys(str(one) for one in numbers))
    spot.tell("purposes wants numbers of TCF purposes, 1 to 24", "purposes = [1, 5, 6]")
    return None


def _categories(value: object, spot: Spot) -> tuple[str, ...] | None:
    wanted = shapes.strings(value, spot)
    if wanted is None or set(wanted) <= set(_COOKIEBOT):
        return wanted
    spot.tell(f"Cookiebot knows {both(_COOKIEBOT)}", 'categories = "preferences"')
    return None


def _groups(value: object, spot: Spot) -> tuple[str, ...] | None:
    wanted = shapes.strings(value, spot)
    if wanted is None or all(map(_GROUP.fullmatch, wanted)):
        return wanted
    spot.tell("groups wants OneTrust's names of groups", 'groups = "C0003"')
    return None


NEEDED = flag("needed", "false: the shop declares that no consent is needed")
COOKIE = Field(
    "cookie",
    "the name of the shop's consent cookie; for a tool, when it is not the usual one",
    {"type": "string", "pattern": f"^{_TOKEN.pattern}$"},
    _cookie,
)
YES = strings("yes", "a pattern, or a list: the cookie's value that is a yes; * is anything")
TOOL: Field[ConsentForm] = Field("tool", "the consent tool that writes the cookie", {"enum": _TOOLS}, _tool)
_PURPOSE_SCHEMA: Mapping[str, object] = {"type": "integer", "minimum": 1, "maximum": 24}
PURPOSES = Field(
    "purposes",
    "for tcf: purposes that must all be consented to",
    {"anyOf": [_PURPOSE_SCHEMA, {"type": "array", "items": _PURPOSE_SCHEMA, "minItems": 1}]},
    _purposes,
)
CATEGORIES = Field(
    "categories",
    "for cookiebot: categories that must all be consented to",
    {"anyOf": [{"enum": list(_COOKIEBOT)}, {"type": "array", "items": {"enum": list(_COOKIEBOT)}, "minItems": 1}]},
    _categories,
)
GROUPS = Field("groups", "for onetrust: groups that must all be consented to", shapes.ONE_OR_MORE, _groups)

FIELDS: tuple[Field[object], ...] = (NEEDED, COOKIE, YES, TOOL, PURPOSES, CATEGORIES, GROUPS)
_WANTED: Mapping[ConsentForm, tuple[str, ...]] = {
    ConsentForm.TCF: ("1", "5", "6"),  # store on a device; make, and use, profiles for personalised content
    ConsentForm.COOKIEBOT: ("preferences",),
    ConsentForm.ONETRUST: ("C0003",),  # functional
}


def read(value: object, spot: Spot) -> Consent | None:
    """The table; None after every mistake was told."""
    if not isinstance(value, Mapping):
        spot.tell("consent wants a table", 'begin with [consent], and say cookie = "…" and yes = "…", or tool = "…"')
        return None
    spot = spot.about("consent")
    row = Row(value, spot, FIELDS)
    tool = row.get(TOOL)
    if row.get(NEEDED) is False:
        others = [key for key in value if key != NEEDED.name]
        if others:
            spot.at(others[0]).tell_key(f"{both(others)} beside needed = false", "keep one of them")
            return None
        return Consent(False) if row.good else None
    form = tool or ConsentForm.VALUE
    if TOOL.name not in value or tool is not None:
        for other in (YES, PURPOSES, CATEGORIES, GROUPS):
            if other.name in value and other.name != _KEYS[form]:
                of = f'goes with tool = "{_of(other.name).value}"' if other is not YES else "goes without a tool"
                spot.at(other.name).tell_key(f"{other.name} {of}", f"here it is {_KEYS[form]}" if tool else "")
                row.wrong()
    if row.good and tool is None and (COOKIE.name not in value or YES.name not in value):
        hint = f'cookie = "…" and yes = "…"; or tool = {either(quoted(_TOOLS))}'
        spot.tell_key("does not say which cookie holds it, and what in it is a yes", hint)
        return None
    if not row.good:
        return None
    if form is ConsentForm.VALUE and any(not one.strip("*") for one in row.get(YES) or ()):
        spot.at(YES.name).warn("every value is a yes, a refusal too", "name what the banner writes for a yes")
    said = (row.get(YES), row.get(PURPOSES), row.get(CATEGORIES), row.get(GROUPS))
    wanted = next((one for one in said if one is not None), _WANTED.get(form, ()))
    return Consent(True, row.get(COOKIE) or _COOKIES.get(form, ""), form, wanted)


def _of(key: str) -> ConsentForm:
    return next(form for form, name in _KEYS.items() if name == key)
