"""shop.toml: what holds for the whole shop."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from edgeproxy.core.conditions import Labels
from edgeproxy.core.model import Consent, Shop, Where
from edgeproxy.core.rules import consent
from edgeproxy.core.rules.caching import CACHE
from edgeproxy.core.rules.courtesy import COURTESY
from edgeproxy.core.rules.fields import Field, Row, flag, names, paths, text, word
from edgeproxy.core.rules.sheet import Sheet, Spot
from edgeproxy.core.schedule import MomentError, zone
from edgeproxy.core.showings import HouseRules
from edgeproxy.core.words import meant

FILE = "shop.toml"
NEWEST_FORMAT = 1
UNTOUCHED = "untouched"


def _format(value: object, spot: Spot) -> int | None:
    if value == NEWEST_FORMAT and not isinstance(value, bool):
        return NEWEST_FORMAT
    if isinstance(value, int) and value > NEWEST_FORMAT:
        hint = "upgrade edgeproxy, or see what the format asks for"
    else:
        hint = f"write format = {NEWEST_FORMAT}"
    said = f'"{value}"' if isinstance(value, str) else str(value)
    spot.tell(f"format {said} is not one that this edgeproxy reads: it reads {NEWEST_FORMAT}", hint)
    return None


def _timezone(value: object, spot: Spot) -> ZoneInfo | None:
    if not isinstance(value, str):
        spot.tell("timezone wants a string", '"Europe/Stockholm"')
        return None
    try:
        return zone(value)
    except MomentError as error:
        spot.tell(error.what, error.hint)
        return None


FORMAT = Field("format", "the format of this folder; older ones keep working", {"const": NEWEST_FORMAT}, _format)
TIMEZONE = Field("timezone", 'where dates are meant: "Europe/Stockholm"', {"type": "string"}, _timezone)
STAGES = names("stages", "the lifecycle stages, from first meeting on", "stage")
SEGMENTS = names(
    "segments", "the labels that rules may name; their order decides which fragment comes first", "segment"
)
WITHOUT_COOKIE = text("without_cookie", f'the stage of who we have never seen, or "{UNTOUCHED}": the shop\'s own page')
ORDER = names("order", "experiences; for one slot, the first that fits wins")
NEVER = paths("never", "pages that nobody ever edits", may_be_none=True)
ENABLED = flag("enabled", "false: everything is the shop's own page, at once")
LANGUAGE = word("language", "of our own error pages and notices", ("en", "sv", "de"))
CONSENT: Field[Consent] = Field(
    "consent", "which cookie says whether a visitor may be remembered", {"$ref": "#/$defs/consent"}, consent.read
)

FIELDS: tuple[Field[object], ...] = (
    FORMAT,
    TIMEZONE,
    STAGES,
    SEGMENTS,
    WITHOUT_COOKIE,
    ORDER,
    NEVER,
    ENABLED,
    LANGUAGE,
    CONSENT,
    COURTESY,
    CACHE,
)


@dataclass(frozen=True, slots=True)
class ReadShop:
    """What shop.toml says, as far as it could be read; ``shop`` is None after a mistake in it."""

    shop: Shop | None
    zone: ZoneInfo
    labels: Labels
    order: tuple[str, ...] | None
    order_spot: Spot | None


UNREAD = ReadShop(None, ZoneInfo("UTC"), Labels(None, None), None, None)
"""When there is no shop.toml to read: what depends on it is not checked."""


def read(sheet: Sheet) -> ReadShop:
    """Read shop.toml; mistakes are told to the sheet."""
    row = Row(sheet.values, sheet.top, FIELDS)
    if FORMAT.name not in sheet.values:
        sheet.top.warn("format is missing", f"write format = {NEWEST_FORMAT}")
    stages = row.get(STAGES) if STAGES.name in sheet.values else ()
    segments = row.get(SEGMENTS) if SEGMENTS.name in sheet.values else ()
    if stages and UNTOUCHED in stages:
        row.at(STAGES).at(stages.index(UNTOUCHED)).tell(
            f'no stage can be called "{UNTOUCHED}"', f'without_cookie = "{UNTOUCHED}" means the shop\'s own page'
        )
        row.wrong()
    first = row.get(WITHOUT_COOKIE)
    if first is not None and first != UNTOUCHED and stages is not None and first not in stages:
        row.at(WITHOUT_COOKIE).tell(f'unknown stage "{first}"', meant(first, [*stages, UNTOUCHED]))
        row.wrong()
    timezone = row.get(TIMEZONE) or ZoneInfo("UTC")
    never = row.get(NEVER)
    enabled = row.get(ENABLED)
    shop = Shop(
        timezone=timezone.key,
        stages=stages or (),
        segments=segments or (),
        without_cookie=None if first in {None, UNTOUCHED} else first,
        never=never if never is not None and never.texts else None,
        enabled=True if enabled is None else enabled,
        language=row.get(LANGUAGE) or "en",
        where=Where(sheet.name),
        consent=row.get(CONSENT),
        courtesy=row.get(COURTESY) or HouseRules(),
    )
    order = row.get(ORDER) if ORDER.name in sheet.values else ()
    return ReadShop(shop if row.good else None, timezone, Labels(stages, segments), order, row.at(ORDER))
