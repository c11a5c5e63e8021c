"""The cookie ``edge_state``: a signed value → ``Memory``, and a ``Memory`` → a value that fits.  Never an error.

Here: reading, judging, signing, and what is dropped when there is too much.  Not here: what a memory means
(``memory``), when it changes (``lifecycle``), whether it may be read at all (``consent``).  Called once per request
by ``remember``, and by commands.

The value has the form of ``edge_visitor`` with a salt of its own, ``edgeproxy.state``, so that neither passes for
the other.  Its JSON has one letter for each thing; minutes are told as minutes before the last activity, days as days
before its day.  A version is a table of what turns its JSON into that of the next: an older cookie is migrated as it
is read, one of a later edgeproxy is no state and is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from edgeproxy.core import cookies, durations
from edgeproxy.core.memory import (
    CODE,
    MINUTES_A_DAY,
    MOST,
    MOST_CATEGORIES,
    MOST_EVENTS,
    MOST_SHOWN,
    MOST_TIMES,
    ORDER,
    Memory,
    Preference,
)
from edgeproxy.core.remembered import phrases
from edgeproxy.core.signing import Keys
from edgeproxy.core.timestamped import (
    LONGEST_VALUE,
    SKEW,
    Disbelief,
    Rejected,
    Verified,
    closed,
    doubled,
    judge_age,
    opened,
    shown,
)

STATE_SALT: Final = b"edgeproxy.state"
VERSION: Final = 1
MAX_AGE: Final = 400 * durations.DAY  # the browsers' own limit (RFC 6265bis, 5.5)

HEALS: Final = 2 * durations.DAY  # a value from less far in the future is waited for

Content = Mapping[str, object]

MIGRATIONS: Final[Mapping[int, Callable[[Content], Content]]] = {}
"""Version → what makes its JSON that of the next version; every version below ``VERSION`` has a row."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{0,32}")
_SHOWN_CODE: Final = re.compile(r"[A-Za-z0-9_-]{1,8}")
_FURTHEST: Final = 10**8  # minutes since the epoch: the year 2160


@dataclass(frozen=True, slots=True)
class StateSettings:
    """Name of the cookie (``__Host-`` prefix allowed) and how long a signature is believed, in seconds."""

    name: str = "edge_state"
    max_age: float = MAX_AGE


@dataclass(frozen=True, slots=True)
class Kept:
    """A value whose signature and content hold; its age is judged anew each time."""

    memory: Memory
    at: int  # when it was signed, seconds since the epoch
    newest: bool  # by the newest key, and of this version: it need not be written anew


@dataclass(frozen=True, slots=True)
class State:
    """What a request's ``edge_state`` comes to."""

    memory: Memory | None
    sent: bool = False  # there is such a cookie
    fresh: bool = True  # it need not be written anew for its key, its version or its age
    disbelief: Disbelief | None = None
    words: str = ""  # why it is not believed
    replaceable: bool = True  # it may be written over
    since: float = 0.0  # it is believed from… (seconds since the epoch)
    until: float = inf  # …to


NO_STATE: Final = State(None)


class VerifiedStates(Verified[Kept]):
    """The last state cookies that held."""

    __slots__ = ()

    def __init__(self, entries: int = 5_000) -> None:
        super().__init__(verify, entries)


# --------------------------------------------------------------------------- believing


def read(
    cookie_lines: Sequence[bytes],
    keys: Keys,
    now: float,
    settings: StateSettings = StateSettings(),
    cache: VerifiedStates | None = None,
) -> State:
    """What the values of a request's ``Cookie`` headers remember.  Never raises, whatever the bytes are.

    ``now`` is seconds since the epoch; NO_STATE when no cookie has the name.
    """
    found = cookies.values(cookie_lines, settings.name.encode())
    if not found:
        return NO_STATE
    result: Kept | Rejected
    if len(found) > 1:
        result = doubled(settings.name, len(found))
    else:
        result = verify(found[0], keys) if cache is None else cache.verify(found[0], keys)
    if isinstance(result, Kept):
        late = judge_age(result.at, now, settings.max_age)
        if late is None:
            half = result.at + settings.max_age / 2  # from there on it is written anew
            ends = half if now < half else result.at + settings.max_age
            fresh = result.newest and now < half
            return State(result.memory, True, fresh, since=result.at - SKEW, until=ends)
        # A clock that was set back a little is no reason to forget anybody: it holds again when time has passed.
        soon = late.why is Disbelief.FUTURE and result.at - now < HEALS
        return State(None, True, True, late.why, late.words, replaceable=not soon)
    # What a later edgeproxy wrote is left for it; of two, one would stay whatever is written.
    replaceable = result.why not in {Disbelief.VERSION, Disbelief.DOUBLED}
    return State(None, True, True, result.why, result.words, replaceable)


def verify(value: bytes, keys: Keys) -> Kept | Rejected:
    """Form, signature and content of one value; not its age.  Never raises."""
    seen = opened(value, keys, STATE_SALT)
    if isinstance(seen, Rejected):
        return seen
    content = seen.content
    if not isinstance(content, dict):
        return Rejected(Disbelief.CONTENT, "its JSON is not an object")
    version = content.get("v")
    if type(version) is not int or not (version == VERSION or version in MIGRATIONS):
        return Rejected(Disbelief.VERSION, f'"v" is {shown(version)}, and {VERSION} is the newest that is known')
    migrated: Content = content
    for step in range(version, VERSION):
        migrated = MIGRATIONS[step](migrated)
    try:
        memory = _unpacked(migrated)
    except (TypeError, ValueError, AttributeError, OverflowError) as problem:
        return Rejected(Disbelief.CONTENT, f"signed by us, but {problem}")
    return Kept(memory, seen.at, seen.key == len(keys) - 1 and version == VERSION)


def _unpacked(content: Content) -> Memory:
    """The JSON as a memory; ValueError (or TypeError) for what ``_packed`` never writes."""
    active = _number(content.get("a", 0), _FURTHEST, "a")
    day = active // MINUTES_A_DAY
    ident = content.get("i", "")
    if not isinstance(ident, str) or not _ID.fullmatch(ident):
        raise ValueError(f'"i" is {shown(ident)}')
    prefers = content.get("r")
    return Memory(
        id=ident,
        first_day=_number(content.get("f", 0), _FURTHEST, "f"),
        active=active,
        visits=_number(content.get("n", 0), MOST, "n"),
        away=_maybe(content.get("w"), _FURTHEST, "w"),
        page_views=_number(content.get("p", 0), MOST, "p"),
        orders=_number(content.get("o", 0), MOST, "o"),
        signed_in=content.get("s") == 1,
        events=_dated(content.get("e", {}), active, MOST_EVENTS, "e"),
        bought=_dated(content.get("b", {}), day, MOST_CATEGORIES, "b"),
        shown=_shown(content.get("c", {}), active),
        prefers=None if prefers is None else Preference(prefers),
        csat=_maybe(content.get("q"), 5, "q"),
        nps=_maybe(content.get("m"), 10, "m"),
        opted_out=content.get("x") == 1,
    )


def _number(value: object, most: int, name: str) -> int:
    if type(value) is not int or not 0 <= value <= most:  # True is no number
        raise ValueError(f'"{name}" is {shown(value)}')
    return value


def _maybe(value: object, most: int, name: str) -> int | None:
    return None if value is None else _number(value, most, name)


def _before(value: object, since: int, name: str) -> int:
    """A moment that is told as a distance before another."""
    if type(value) is not int or not 0 <= since - value <= _FURTHEST:
        raise ValueError(f'"{name}" holds {shown(value)}')
    return since - value


def _dated(value: object, since: int, most: int, name: str) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, dict) or len(value) > most or not all(map(CODE.fullmatch, value)):
        raise ValueError(f'"{name}" is {shown(value)}')
    return tuple((code, _before(one, since, name)) for code, one in value.items())


def _shown(value: object, since: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    if not isinstance(value, dict) or len(value) > MOST_SHOWN or not all(map(_SHOWN_CODE.fullmatch, value)):
        raise ValueError(f'"c" is {shown(value)}')
    found = []
    for code, times in value.items():
        if not isinstance(times, list) or not 1 <= len(times) <= MOST_TIMES:
            raise ValueError(f'"c" holds {shown(times)}')
        found.append((code, tuple(_before(one, since, "c") for one in times)))
    return tuple(found)


# --------------------------------------------------------------------------- signing


@dataclass(frozen=True, slots=True)
class Written:
    """A cookie value, what it holds, and what there was no room for."""

    value: str
    memory: Memory
    dropped: tuple[str, ...] = ()  # kinds of what was dropped: "csat", "nps", "event", "category", "exposure"


def sign(memory: Memory, keys: Keys, now: float) -> Written:
    """The value that remembers ``memory``, signed ``now`` by the newest key: at most 1,200 bytes, by dropping.

    The least valuable goes first: the last csat and nps, then whatever dated thing is oldest (a category, an event
    but the order, the exposures of one experience), since what is oldest matters to the fewest rules still.
    """
    dropped: list[str] = []
    while len(value := closed(_packed(memory), keys, STATE_SALT, now)) > LONGEST_VALUE:
        kind, memory = _less(memory)
        dropped.append(kind)
    return Written(value, memory, tuple(dropped))


def _less(memory: Memory) -> tuple[str, Memory]:
    """The memory without its least valuable thing, and what kind of thing that was."""
    if memory.csat is not None:
        return "csat", replace(memory, csat=None)
    if memory.nps is not None:
        return "nps", replace(memory, nps=None)
    oldest: list[tuple[int, str, str]] = [(at, "event", name) for name, at in memory.events if name != ORDER]
    oldest += [((day + 1) * MINUTES_A_DAY, "category", code) for code, day in memory.bought]
    oldest += [(times[0], "exposure", code) for code, times in memory.shown]
    _, kind, name = min(oldest)
    return kind, replace(
        memory,
        events=tuple(one for one in memory.events if kind != "event" or one[0] != name),
        bought=tuple(one for one in memory.bought if kind != "category" or one[0] != name),
        shown=tuple(one for one in memory.shown if kind != "exposure" or one[0] != name),
    )


def _packed(memory: Memory) -> dict[str, object]:
    active, day = memory.active, memory.last_day
    said: dict[str, object] = {
        "i": memory.id,
        "f": memory.first_day,
        "a": active,
        "n": min(memory.visits, MOST),
        "w": memory.away,
        "p": min(memory.page_views, MOST),
        "o": min(memory.orders, MOST),
        "s": int(memory.signed_in),
        "e": {name: active - at for name, at in memory.events},
        "b": {code: day - at for code, at in memory.bought},
        "c": {code: [active - at for at in times] for code, times in memory.shown},
        "r": None if memory.prefers is None else memory.prefers.value,
        "q": memory.csat,
        "m": memory.nps,
        "x": int(memory.opted_out),
    }
    kept = {name: one for name, one in said.items() if one or (one == 0 and name in {"w", "m"} and one is not None)}
    return {"v": VERSION, **kept}


def explain_value(value: bytes, keys: Keys, now: float, settings: StateSettings = StateSettings()) -> tuple[str, ...]:
    """One value in lines of text: believed or exactly why not, then what it remembers."""
    found = read([settings.name.encode() + b"=" + value], keys, now, settings)
    if found.memory is None:
        why = found.disbelief.value if found.disbelief is not None else "no cookie"
        return (f"disbelieved  {why}: {found.words}",)
    lines = [
        "believed"
        if found.fresh
        else "believed, and to be signed anew: by an older key, of an older version, or long ago"
    ]
    said = phrases(found.memory, now) or ("nothing",)
    lines += [f"{'remembers' if not place else '':<12} {one}" for place, one in enumerate(said)]
    lines.append(f"{'id':<12} {found.memory.id or '(none)'}")
    lines.append(f"{'size':<12} {len(value):,} of {LONGEST_VALUE:,} bytes")
    return tuple(lines)
