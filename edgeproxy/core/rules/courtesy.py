"""cap, gap, not_before, stop_after, suppress, group and category of an experience; [courtesy] in shop.toml.

Here: reading them.  Judged by ``core.courtesy``.
"""

from __future__ import annotations

import hashlib
import math
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from edgeproxy.core import durations
from edgeproxy.core.conditions import Labels, shapes
from edgeproxy.core.courtesy import SELL
from edgeproxy.core.durations import DAY, MINUTE
from edgeproxy.core.memory import CODE, MOST_TIMES
from edgeproxy.core.model import Where
from edgeproxy.core.rules.fields import NAME, NAME_SCHEMA, Field, Row, number
from edgeproxy.core.rules.sheet import Spot
from edgeproxy.core.showings import NO_COURTESY, Cap, Courtesy, HouseRules, Suppress, Wait
from edgeproxy.core.words import count, meant

SAME: Final = "same category"
MONTH: Final = 30 * DAY
LONGEST: Final = 400 * DAY  # a state cookie is believed no longer

_CAP: Final = re.compile(r"(?:(\d{1,4}|once|twice) (?:times? )?)(?:an?|per|every|in)(?: (\d{1,4}))? ([a-z]+?)s?")
_TIMES: Final = {"once": 1, "twice": 2}
_PERIODS: Final = {"hour": durations.HOUR, "day": DAY, "week": durations.WEEK, "month": MONTH}
_CAP_SCHEMA: Final = {
    "type": "string",
    "pattern": r"^\s*(\d{1,4}|[Oo]nce|[Tt]wice) (times? )?(an?|per|every|in)( \d{1,4})? (hour|day|week|month)s?\s*$",
}
_AFTER: Final = re.compile(r"(.+?) after (\S+)")
_CODE_SCHEMA: Final = {"type": "string", "pattern": f"^{CODE.pattern}$"}
_CODES_SCHEMA: Final = {"anyOf": [_CODE_SCHEMA, {"type": "array", "items": _CODE_SCHEMA, "minItems": 1}]}


def _cap(value: object, spot: Spot) -> Cap | None:
    said = " ".join(value.lower().split()) if isinstance(value, str) else ""
    found = _CAP.fullmatch(said)
    period = _PERIODS.get(found[3]) if found else None
    if found is None or period is None:
        has = f', not "{value}"' if isinstance(value, str) else ""
        spot.tell(f"cap wants how often in what time{has}", '"3 a week", "once a day", "2 in 14 days"')
        return None
    times, seconds = _TIMES.get(found[1]) or int(found[1]), int(found[2] or 1) * period
    if not 1 <= times <= MOST_TIMES:
        hint = "enabled = false shows it to nobody" if times == 0 else "more than that is no cap that anybody notices"
        spot.tell(f"cap goes from 1 to {MOST_TIMES} times", hint)
        return None
    return Cap(times, seconds) if _is_short_enough(seconds, spot) else None


def _duration(value: object, spot: Spot, step: float = MINUTE) -> float | None:
    seconds = shapes.duration(value, spot, step)
    return seconds if seconds is not None and _is_short_enough(seconds, spot) else None


def _is_short_enough(seconds: float, spot: Spot) -> bool:
    if seconds > LONGEST:
        spot.tell(f"{spot.name} looks further back than anything is remembered", "at most 400 days")
        return False
    return True


def _event(value: object, spot: Spot) -> str | None:
    if isinstance(value, str) and CODE.fullmatch(value):
        return value
    spot.tell(f"{spot.name} wants the name of an event", '"order", or one of your own: small letters, digits, - and _')
    return None


def _not_before(value: object, spot: Spot) -> Wait | None:
    example = 'not_before = "2 hours after basket"'
    if isinstance(value, Mapping):
        row = Row(value, spot, (AFTER, WAIT))
        after, wait = row.get(AFTER), row.get(WAIT)
        return Wait(after, wait) if row.good and after is not None and wait is not None else None
    if not isinstance(value, str):
        spot.tell("not_before wants a time after an event", example)
        return None
    found = _AFTER.fullmatch(" ".join(value.split()))
    if found is None:
        spot.tell("not_before does not say after which event", f'"{value} after order"' if value else example)
        return None
    seconds, event = _duration(found[1], spot), _event(found[2], spot)
    return None if seconds is None or event is None else Wait(event, seconds)


def _stop_after(value: object, spot: Spot) -> tuple[str, ...] | None:
    events = shapes.strings(value, spot)
    found = [_event(one, spot.at(index) if isinstance(value, list) else spot) for index, one in enumerate(events or ())]
    return None if events is None or None in found else events


def _bought(value: object, spot: Spot) -> tuple[str, ...] | None:
    if value == SAME:
        return (SAME,)
    codes = shapes.strings(value, spot, f', or "{SAME}"')
    good = codes is not None
    for index, one in enumerate(codes or ()):
        if not CODE.fullmatch(one):
            place = spot.at(index) if isinstance(value, list) else spot
            place.tell(f'"{one}" cannot be a category', meant(one, (SAME,)) or "small letters, digits, - and _")
            good = False
    return codes if good else None


def _suppress(value: object, spot: Spot) -> Suppress | None:
    """``false`` is a Suppress of nothing."""
    if value is False:
        return Suppress((), 0.0, said=True)
    if not isinstance(value, Mapping):
        spot.tell("suppress wants a table, or false", f'{{ bought = "{SAME}", for = "30 days" }}')
        return None
    row = Row(value, spot, (BOUGHT, FOR))
    bought = row.get(BOUGHT)
    return Suppress(bought, row.get(FOR) or MONTH, said=True) if row.good and bought is not None else None


def _group(value: object, spot: Spot) -> str | None:
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    spot.tell("group wants a name", "letters a to z, digits, - and _, at most 64")
    return None


def _category(value: object, spot: Spot) -> tuple[str, ...] | None:
    return shapes.codes(value, spot, None, "category")


AFTER = Field("after", "the event that it waits for", _CODE_SCHEMA, _event, required=True)
WAIT = Field("wait", 'how long: "2 hours"', shapes.DURATION, _duration, required=True)
BOUGHT = Field(
    "bought",
    f'what was bought: "{SAME}", a category, or a list of them',
    {"anyOf": [{"const": SAME}, *_CODES_SCHEMA["anyOf"]]},
    _bought,
    required=True,
)
FOR = Field(
    "for",
    'for how long after: "30 days"',
    shapes.DURATION,
    lambda value, spot: _duration(value, spot, step=DAY),
)

CAP = Field("cap", 'how often one visitor sees it at most: "3 a week", "once a day"', _CAP_SCHEMA, _cap)
GAP = Field("gap", 'between two showings: "24 hours"', shapes.DURATION, _duration)
NOT_BEFORE = Field(
    "not_before",
    'only so long after an event: "2 hours after basket"',
    {
        "anyOf": [
            {"type": "string", "pattern": rf"^\s*\d{{1,6}} ?[A-Za-z]+ after {CODE.pattern}\s*$"},
            {"$ref": "#/$defs/not-before"},
        ]
    },
    _not_before,
)
STOP_AFTER = Field("stop_after", 'no more after this event, or one of a list: "order"', _CODES_SCHEMA, _stop_after)
SUPPRESS = Field(
    "suppress",
    f'not for who has bought it: {{ bought = "{SAME}", for = "30 days" }}; false: for them too',
    {"anyOf": [{"const": False}, {"$ref": "#/$defs/suppress"}]},
    _suppress,
)
GROUP = Field("group", "of a group, one is shown at a time; cap and gap count all of it", NAME_SCHEMA, _group)
CATEGORY = Field("category", "what it is about, in the codes of orders", _CODES_SCHEMA, _category)

FIELDS: tuple[Field[object], ...] = (CATEGORY, CAP, GAP, NOT_BEFORE, STOP_AFTER, SUPPRESS, GROUP)


def read(row: Row, name: str, purpose: str, labels: Labels) -> Courtesy:
    """The courtesy of one experience; every mistake was told to ``row``."""
    category = row.get(CATEGORY) or ()
    _are_known(category, row, labels)
    suppress = _resolved(row, purpose, category, labels)
    group = row.get(GROUP)
    made = Courtesy(
        cap=row.get(CAP),
        gap=row.get(GAP),
        not_before=row.get(NOT_BEFORE),
        stop_after=row.get(STOP_AFTER) or (),
        suppress=suppress,
        group=group,
        said_at=_places(row),
    )
    _is_heard(made, row)
    if made == NO_COURTESY:
        return NO_COURTESY
    return replace(made, code=_code("group" if group else "experience", group or name)) if made.counted else made


def _places(row: Row) -> dict[str, Where]:
    """Where the events stand that it waits for, or ends with."""
    places: dict[str, Where] = {}
    waits, ends = row.table.get(NOT_BEFORE.name), row.table.get(STOP_AFTER.name)
    wait = row.get(NOT_BEFORE)
    if wait is not None:
        spot = row.at(NOT_BEFORE)
        places[wait.event] = (spot.at(AFTER.name) if isinstance(waits, Mapping) else spot).value
    for index, event in enumerate(row.get(STOP_AFTER) or ()):
        spot = row.at(STOP_AFTER)
        places.setdefault(event, (spot.at(index) if isinstance(ends, list) else spot).value)
    return places


def _is_heard(made: Courtesy, row: Row) -> None:
    """Showings a gap apart are at most so many in the cap's time: a cap that allows as many changes nothing.

    In a group others count too, and they may keep no such gap.
    """
    cap, gap = made.cap, made.gap
    if cap is None or not gap or made.group is not None:
        return
    most = math.ceil(cap.seconds / gap)
    if most <= cap.times:
        what = f"cap changes nothing: with a gap of {durations.words(gap)} it is {count(most, 'time')} at most anyhow"
        row.at(CAP).warn(what, "leave one of them out, or shorten the gap")


def _are_known(category: tuple[str, ...], row: Row, labels: Labels) -> None:
    if category and shapes.codes(row.table[CATEGORY.name], row.at(CATEGORY), labels.categories, "category") is None:
        row.wrong()


def _resolved(row: Row, purpose: str, category: tuple[str, ...], labels: Labels) -> Suppress | None:
    """What is suppressed, "same category" taken as the experience's own; by itself where it sells."""
    said = row.get(SUPPRESS)
    if said is None:
        if SUPPRESS.name in row.table or purpose != SELL:
            return None
        if not category:
            what = "sells, and says no category"
            row.spot.warn(what, "people who have bought a thing do not want to be told of it; or suppress = false")
            return None
        return Suppress(category, MONTH, said=False)
    if said.bought == (SAME,):
        if not category:
            row.at(SUPPRESS).tell(f'"{SAME}" as what?', 'say what it is about: category = "boots"')
            row.wrong()
        return replace(said, bought=category)
    if said.bought:
        table = row.table[SUPPRESS.name]
        assert isinstance(table, Mapping)
        place = row.at(SUPPRESS).at(BOUGHT.name)
        if shapes.codes(table[BOUGHT.name], place, labels.categories, "category") is None:
            row.wrong()
    return said if said.bought else None


def _code(kind: str, name: str) -> str:
    """What a name is called in the state cookie: six characters, the same on every machine."""
    return urlsafe_b64encode(hashlib.sha256(f"{kind}\0{name}".encode()).digest()[:5])[:6].decode()


# --------------------------------------------------------------------------- the whole shop


_PERCENT: Final = re.compile(r"(\d{1,3})\s*%")


def _sell_share(value: object, spot: Spot) -> float | None:
    if isinstance(value, str) and (found := _PERCENT.fullmatch(value.strip())) and int(found[1]) <= 100:
        return int(found[1]) / 100
    spot.tell("sell_share wants a part of the experiences", '"30%"')
    return None


SLOTS_A_PAGE = number("slots_a_page", "at most so many slots of a page are personalised; left out: no limit", 1, 999)
SELLS_A_DAY = number(
    "sells_a_day", 'at most so many showings with the purpose "sell", to one visitor, in 24 hours', 1, MOST_TIMES
)
SELL_SHARE = Field(
    "sell_share",
    "`check` warns when more of the experiences sell (left out: half)",
    {"type": "string", "pattern": r"^\s*\d{1,3}\s*%\s*$"},
    _sell_share,
)
SHOP_FIELDS: tuple[Field[object], ...] = (SLOTS_A_PAGE, SELLS_A_DAY, SELL_SHARE)


def house_rules(value: object, spot: Spot) -> HouseRules | None:
    """[courtesy] in shop.toml; None after every mistake was told."""
    if not isinstance(value, Mapping):
        spot.tell("courtesy wants a table", "begin with [courtesy]")
        return None
    row = Row(value, spot.about("courtesy"), SHOP_FIELDS)
    if not row.good:
        return None
    return HouseRules(row.get(SLOTS_A_PAGE), row.get(SELLS_A_DAY), row.get(SELL_SHARE))


COURTESY: Field[HouseRules] = Field(
    "courtesy", "what all experiences together owe a page and a visitor", {"$ref": "#/$defs/courtesy"}, house_rules
)
