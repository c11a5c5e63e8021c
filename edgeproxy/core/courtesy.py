"""Courtesy: what an experience owes one visitor over time, and what all of them owe a page.

Here: judging caps, gaps, waits, stops, what was bought, groups and the limits of [courtesy] by what is remembered; and
what is remembered of a page that went out.  Not here: how rules say it (``rules.courtesy``), when a memory is written
(``remember``).  Called by ``decide``, after everything else holds, and by ``remember`` for what was shown.

The first that holds decides, in this order: DECLINED, NO_MEMORY, STOPPED, SUPPRESSED, TOO_SOON, CAPPED, GROUPED,
CROWDED.  Showings count from when the page went out: what was only decided, previewed or asked for by HEAD does not.
Moments are remembered as whole minutes, rounded up, so that a gap is never shorter than was said.

Caps hold for requests that follow one another.  Tabs that load at once, a cookie that is played again or taken away see
an old picture of what was shown: nothing of worth hangs on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from edgeproxy.core import durations, schedule
from edgeproxy.core.memory import MOST_TIMES, Memory, Preference, begun
from edgeproxy.core.model import Experience, Outcome, RuleBook, Shop, Source, Visitor
from edgeproxy.core.showings import NO_COURTESY, Cap, Courtesy, HouseRules, Lookback
from edgeproxy.core.words import both

SELL: Final = "sell"
SELLS: Final = "_sells"
"""Under which showings of everything that sells are remembered together."""

Judged = tuple[Outcome, str]


def recalled(visitor: Visitor, at: float) -> Memory | None:
    """What is remembered of a visitor; None where nothing may be, or what there is proves nothing.

    Who could be remembered and brings nothing is here for the first time, as far as anybody knows; a visitor of a
    preview or a rule test too.
    """
    memory = visitor.memory
    if memory is not None and memory.visits:
        return memory
    if visitor.unremembered or visitor.source is Source.DISBELIEVED:
        return None
    return begun(at)


def preference(visitor: Visitor) -> Preference | None:
    """What the visitor asked for on their own page; it holds with and without consent."""
    memory = visitor.memory
    if memory is None:
        return None
    return Preference.OFF if memory.opted_out else memory.prefers


# --------------------------------------------------------------------------- judging


@dataclass(frozen=True, slots=True)
class _Shown:
    """When something was shown, newest first, in seconds since the epoch."""

    moments: tuple[float, ...]

    def within(self, seconds: float, at: float) -> list[float]:
        return [moment for moment in self.moments if at - moment < seconds]


class Usher:
    """One page's courtesy: judges its experiences in turn, and remembers which of them were let in."""

    __slots__ = ("_asked", "_at", "_groups", "_plain", "_preference", "_rules", "_sells", "_slots", "_visitor", "_zone")

    def __init__(self, shop: Shop, visitor: Visitor, at: float, *, asked: bool) -> None:
        self._rules = shop.courtesy
        self._zone = shop.timezone
        self._visitor = visitor
        self._preference = preference(visitor)
        rules = shop.courtesy
        self._plain = self._preference is None and rules.slots_a_page is None and rules.sells_a_day is None
        self._at = at
        self._asked = asked
        self._groups: dict[str, str] = {}  # group → the experience that was let in
        self._sells = 0
        self._slots: set[str] = set()

    def judge(self, experience: Experience, slots: frozenset[str]) -> Judged | None:
        """Why an experience that fits otherwise stays away; None: it is let in.

        ``slots`` are those of the page that it edits.  The reason is "" when nobody asked.
        """
        courtesy = experience.courtesy
        if self._plain and courtesy is NO_COURTESY:
            return None
        return self._declined(experience) or self.over_time(experience) or self._on_page(experience, slots)

    def let_in(self, experience: Experience, slots: frozenset[str]) -> None:
        """It is on the page: what comes after it shares the room that is left."""
        if experience.courtesy.group is not None:
            self._groups.setdefault(experience.courtesy.group, experience.name)
        self._sells += experience.purpose == SELL
        self._slots |= slots

    # ------------------------------------------------------------------ the visitor's own word

    def _declined(self, experience: Experience) -> Judged | None:
        if self._preference is None:
            return None
        if self._preference is Preference.OFF:
            return Outcome.DECLINED, "the visitor has switched it off"
        if self._preference is Preference.SIMPLE and experience.purpose == SELL:
            return Outcome.DECLINED, "the visitor asked for a simpler shop, and this sells"
        if self._preference is Preference.FULL and experience.simplifies:
            return Outcome.DECLINED, "the visitor asked for the full shop, and this takes something away"
        return None

    # ------------------------------------------------------------------ over time

    def over_time(self, experience: Experience) -> Judged | None:
        """Why what is remembered keeps it away."""
        courtesy = experience.courtesy
        limited = self._rules.sells_a_day is not None and experience.purpose == SELL
        if courtesy is NO_COURTESY and not limited:
            return None
        memory = recalled(self._visitor, self._at)
        if memory is None:
            why = self._visitor.unremembered or "what the visitor brought proves nothing"
            return (Outcome.NO_MEMORY, why) if limited or courtesy.needs_memory else None
        if self._visitor.unremembered and (limited or courtesy.counted):  # read, but not to be written
            return Outcome.NO_MEMORY, self._visitor.unremembered
        return (
            self._stopped(courtesy, memory)
            or self._suppressed(courtesy, memory)
            or self._too_soon(courtesy, memory)
            or self._capped(experience, courtesy, memory)
        )

    def _stopped(self, courtesy: Courtesy, memory: Memory) -> Judged | None:
        """An event that ends it has happened; one that lies before what it waits for ended an earlier round."""
        since = None if courtesy.not_before is None else memory.happened(courtesy.not_before.event)
        for event in courtesy.stop_after:
            minute = memory.happened(event)
            if minute is not None and (since is None or minute >= since):
                return Outcome.STOPPED, self._said(f'"{event}" has happened', minute * 60.0)
        return None

    def _suppressed(self, courtesy: Courtesy, memory: Memory) -> Judged | None:
        suppress = courtesy.suppress
        if suppress is None:
            return None
        for code, day in memory.bought:
            # Days are all that is remembered: an order counts as made at the end of its day.
            if code in suppress.bought and self._at - (day + 1) * durations.DAY < suppress.seconds:
                return Outcome.SUPPRESSED, (
                    f'"{code}" was bought within {durations.words(suppress.seconds)}' if self._asked else ""
                )
        return None

    def _too_soon(self, courtesy: Courtesy, memory: Memory) -> Judged | None:
        wait = courtesy.not_before
        if wait is not None:
            minute = memory.happened(wait.event)
            if minute is None:
                return Outcome.TOO_SOON, f'no "{wait.event}" is remembered' if self._asked else ""
            # The moment was rounded down: to be sure it is taken as the end of its minute.
            begins = (minute + 1) * 60.0 + wait.seconds if wait.seconds else minute * 60.0
            if self._at < begins:
                words = f'{durations.words(wait.seconds)} after "{wait.event}"'
                return Outcome.TOO_SOON, self._said(f"not before {words}", begins, "that is")
        if courtesy.gap is not None:
            shown = _shown(memory, courtesy.code).within(courtesy.gap, self._at)
            if shown:
                return Outcome.TOO_SOON, self._said(f"gap is {durations.words(courtesy.gap)}", shown[0], "shown")
        return None

    def _capped(self, experience: Experience, courtesy: Courtesy, memory: Memory) -> Judged | None:
        cap = courtesy.cap
        if cap is not None:
            shown = _shown(memory, courtesy.code).within(cap.seconds, self._at)
            if len(shown) >= cap.times:
                return Outcome.CAPPED, self._said(f"cap is {cap_in_words(cap)}", shown[0], "last shown")
        most = self._rules.sells_a_day
        if most is not None and experience.purpose == SELL:
            shown = _shown(memory, SELLS).within(durations.DAY, self._at)
            if len(shown) + self._sells >= most:
                here = f", {self._sells} on this page" if self._sells else ""
                return Outcome.CAPPED, (
                    f"sells_a_day is {most}; shown in the last 24 hours {len(shown)}{here}" if self._asked else ""
                )
        return None

    # ------------------------------------------------------------------ on this page

    def _on_page(self, experience: Experience, slots: frozenset[str]) -> Judged | None:
        group = experience.courtesy.group
        if group is not None and group in self._groups:
            return Outcome.GROUPED, f"of group {group}, {self._groups[group]} comes first" if self._asked else ""
        most = self._rules.slots_a_page
        if most is not None and len(self._slots | slots) > most:
            taken = (
                f"{both(sorted(self._slots))} {'is' if len(self._slots) == 1 else 'are'} taken"
                if self._slots
                else "none is taken"
            )
            return Outcome.CROWDED, (
                f"slots_a_page is {most}; {taken}, and this edits {both(sorted(slots))}" if self._asked else ""
            )
        return None

    def _said(self, words: str, moment: float, verb: str = "") -> str:
        if not self._asked:
            return ""
        when = schedule.as_text(moment, schedule.zone(self._zone))
        return f"{words}, {verb} {when}" if verb else f"{words}, {when}"


def cap_in_words(cap: Cap) -> str:
    """ "3 in 7 days"."""
    return f"{cap.times} in {durations.words(cap.seconds)}"


def _shown(memory: Memory, code: str) -> _Shown:
    return _Shown(tuple(minute * 60.0 for minute in memory.times(code)))


def answers(book: RuleBook, visitor: Visitor, at: float) -> tuple[object, ...]:
    """All of it that depends on who asks and when, in few values: the part of a decision's key that is courtesy.

    What was asked for, then for each experience that has a courtesy whether it may be shown, and how much may sell.
    """
    usher = Usher(book.shop, visitor, at, asked=False)
    chosen = preference(visitor)
    found: list[object] = [] if chosen is None else [chosen]
    found += [usher.over_time(one) is None for one in book.experiences if one.courtesy is not NO_COURTESY]
    if SELLS in book.showings:
        memory = recalled(visitor, at)
        blind = memory is None or visitor.unremembered  # one more could not be counted
        found.append(None if memory is None or blind else len(_shown(memory, SELLS).within(durations.DAY, at)))
    return tuple(found)


# --------------------------------------------------------------------------- what was shown


def kept(experiences: Iterable[Experience], rules: HouseRules) -> Mapping[str, Lookback]:
    """Code → what of its showings some rule looks at; nothing else of them is remembered."""
    found: dict[str, Lookback] = {}
    for experience in experiences:
        courtesy = experience.courtesy
        if courtesy.counted:
            times = 1 if courtesy.cap is None else courtesy.cap.times
            seconds = max(courtesy.gap or 0.0, 0.0 if courtesy.cap is None else courtesy.cap.seconds)
            before = found.get(courtesy.code, Lookback(0, 0.0))
            found[courtesy.code] = Lookback(max(times, before.times), max(seconds, before.seconds))
        if experience.purpose == SELL and rules.sells_a_day is not None:
            found[SELLS] = Lookback(rules.sells_a_day, durations.DAY)
    return found


def codes(experiences: Iterable[Experience]) -> Mapping[str, str]:
    """Under what showings are remembered, by the names of the experiences and groups that are counted."""
    found: dict[str, str] = {}
    for experience in experiences:
        if experience.courtesy.code:
            found[experience.name] = experience.courtesy.code
            if experience.courtesy.group is not None:
                found.setdefault(experience.courtesy.group, experience.courtesy.code)
    return found


def counts(experiences: Iterable[Experience], looked: Mapping[str, Lookback]) -> bool:
    """Would a page with these experiences be counted?  ``looked`` is ``kept`` of the book."""
    return any(one.courtesy.code in looked or (one.purpose == SELL and SELLS in looked) for one in experiences)


def shown(memory: Memory, applied: Iterable[Experience], looked: Mapping[str, Lookback], at: float) -> Memory:
    """The memory after a page on which these experiences were applied; the same object when nothing is counted.

    ``looked`` is ``kept`` of the book.  What no rule looks at any more is forgotten on the way.
    """
    codes: list[str] = []
    for experience in applied:
        code = experience.courtesy.code
        if code in looked and code not in codes:
            codes.append(code)
        if experience.purpose == SELL and SELLS in looked:
            codes.append(SELLS)
    if not codes:
        return memory
    memory = _less(memory, looked, at)
    minute = -int(-at // 60)  # rounded up: a gap is never shorter than was said
    for code in codes:
        memory = memory.with_exposure(code, minute, min(looked[code].times, MOST_TIMES))
    return memory


def _less(memory: Memory, looked: Mapping[str, Lookback], at: float) -> Memory:
    """Without showings that no rule looks at any more."""
    left = []
    for code, times in memory.shown:
        still = tuple(one for one in times if code in looked and at - one * 60 < looked[code].seconds)
        if still:
            left.append((code, still))
    return memory if tuple(left) == memory.shown else replace(memory, shown=tuple(left))
