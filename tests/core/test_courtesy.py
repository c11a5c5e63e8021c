"""Courtesy: what is shown to one visitor over time, and what is remembered of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgeproxy.core import state
from edgeproxy.core.courtesy import answers, shown
from edgeproxy.core.decide import decide
from edgeproxy.core.durations import DAY, HOUR, MINUTE, WEEK
from edgeproxy.core.lint import ROOM
from edgeproxy.core.memory import MOST_TIMES, Memory, Preference, begun, day_of, minute_of
from edgeproxy.core.model import Outcome, RuleBook, Source, Visitor
from edgeproxy.core.rulefile import parse
from edgeproxy.core.showings import Cap, Suppress, Wait
from edgeproxy.core.signing import Keys
from edgeproxy.html.checks import HtmlMarkup
from tests.core.books import ask

STOCKHOLM = ZoneInfo("Europe/Stockholm")
KEYS = Keys.parse("9f2b7c41d08e6a35f1c49b7e02d86a53")
NOON = datetime(2026, 6, 1, 12, tzinfo=STOCKHOLM).timestamp()
SAID = 'says = "x"\nbecause = "x"\nowner = "x"\nfor = "everyone"\n'
EDIT = "[[edit]]\nslot = '{slot}'\nbefore = {{ text = 'x' }}\n"
SLOTS = ("one", "two", "three", "four")


@cache
def book(house: str = "", **heads: str) -> RuleBook:
    """A book with an experience for each head ("_" of a name as "-"), tried in that order.

    A head is the keys of the file; ``slots`` in it names the slots that are edited, "one" where it is silent.
    """
    names = [name.replace("_", "-") for name in heads]
    files = {
        "shop.toml": f"format = 1\ntimezone = 'Europe/Stockholm'\norder = {names}\n{house}",
        "slots.toml": "".join(f"[{slot}]\nfind = '#{slot}'\n" for slot in SLOTS),
    }
    for name, head in zip(names, heads.values(), strict=True):
        lines = head.split("\n")
        edited = next((line.removeprefix("slots ").split() for line in lines if line.startswith("slots ")), ["one"])
        keys = "\n".join(line for line in lines if not line.startswith("slots "))
        purpose = "" if "purpose" in keys else 'purpose = "help"\n'
        files[f"experiences/{name}.toml"] = SAID + purpose + keys + "\n" + "".join(EDIT.format(slot=s) for s in edited)
    parsed = parse({name: text.encode() for name, text in files.items()}, markup=HtmlMarkup())
    assert parsed.book is not None, "\n".join(map(str, parsed.problems))
    return parsed.book


def visitor(memory: Memory | None = None, unremembered: str = "") -> Visitor:
    return Visitor(None, (), None, Source.COOKIE, memory=memory, unremembered=unremembered)


def outcomes(made: RuleBook, memory: Memory | None, at: float = NOON, unremembered: str = "") -> list[tuple[str, str]]:
    """How each experience ended, and why."""
    decision = decide(made, visitor(memory, unremembered), ask(at=at), reasons=True)
    bare = decide(made, visitor(memory, unremembered), ask(at=at))
    assert bare.fitting == decision.fitting, "asked for its reasons or not, it is one decision"
    return [(step.outcome.value, step.why) for step in decision.steps]


def fits(made: RuleBook, memory: Memory | None, at: float = NOON) -> list[str]:
    return [one.name for one in decide(made, visitor(memory), ask(at=at)).fitting]


def look(made: RuleBook, memory: Memory, at: float) -> tuple[list[str], Memory]:
    """A page on which everything that fits is applied: what was shown, and the memory after it."""
    fitting = decide(made, visitor(memory), ask(at=at)).fitting
    return [one.name for one in fitting], shown(memory, fitting, made.showings, at)


def known(**said: object) -> Memory:
    return replace(begun(NOON - 30 * DAY), **said)  # type: ignore[arg-type]  # names are checked by replace


def times(*ago: float) -> tuple[int, ...]:
    return tuple(minute_of(NOON - one) for one in ago)


# --------------------------------------------------------------------------- as it is written


@pytest.mark.parametrize(
    ("head", "field", "value"),
    [
        ('cap = "3 a week"', "cap", Cap(3, WEEK)),
        ('cap = "once a day"', "cap", Cap(1, DAY)),
        ('cap = "Twice an hour"', "cap", Cap(2, HOUR)),
        ('cap = "2 in 14 days"', "cap", Cap(2, 14 * DAY)),
        ('cap = "4 times per month"', "cap", Cap(4, 30 * DAY)),
        ('cap = "5 times every 2 weeks"', "cap", Cap(5, 2 * WEEK)),
        ('gap = "24 hours"', "gap", DAY),
        ('not_before = "2 hours after basket"', "not_before", Wait("basket", 2 * HOUR)),
        ('not_before = { after = "order", wait = "14 days" }', "not_before", Wait("order", 14 * DAY)),
        ('stop_after = "order"', "stop_after", ("order",)),
        ('stop_after = ["order", "call"]', "stop_after", ("order", "call")),
        ('suppress = { bought = "boots", for = "2 weeks" }', "suppress", Suppress(("boots",), 2 * WEEK, True)),
        ('suppress = { bought = ["boots", "tents"] }', "suppress", Suppress(("boots", "tents"), 30 * DAY, True)),
        ('category = "boots"\nsuppress = {bought = "same category"}', "suppress", Suppress(("boots",), 30 * DAY, True)),
        ('category = "boots"', "suppress", None),
        ('category = ["boots"]\npurpose = "sell"', "suppress", Suppress(("boots",), 30 * DAY, False)),
        ('category = "boots"\npurpose = "sell"\nsuppress = false', "suppress", None),
        ('group = "reminders"', "group", "reminders"),
    ],
)  # fmt: skip
def test_rules_say_it_in_words(head: str, field: str, value: object) -> None:
    assert getattr(book(it=head).experiences[0].courtesy, field) == value


def test_members_of_a_group_are_counted_together_and_others_alone() -> None:
    made = book(
        a='group = "g"\ngap = "1 day"', b='group = "g"\ncap = "3 a day"', c='gap = "1 day"', d='gap = "1 day"', e=""
    )
    a, b, c, d, e = (one.courtesy.code for one in made.experiences)
    assert a == b
    assert len({a, c, d, e}) == 4
    assert e == ""
    assert {code: (one.times, one.seconds) for code, one in made.showings.items()} == {
        a: (3, DAY),
        c: (1, DAY),
        d: (1, DAY),
    }


# --------------------------------------------------------------------------- as it is judged

BASKET_AT_11 = (("basket", minute_of(NOON - HOUR)),)

JUDGED = [
    # head, what is remembered, outcome, why
    ('cap = "3 a week"', {}, "fits", ""),
    ('cap = "3 a week"', {"shown": times(HOUR, DAY)}, "fits", ""),
    ('cap = "3 a week"', {"shown": times(HOUR, DAY, 6 * DAY)}, "shown often enough",
     "cap is 3 in 7 days, last shown 2026-06-01 11:00 Europe/Stockholm"),
    ('cap = "3 a week"', {"shown": times(HOUR, DAY, 7 * DAY)}, "fits", ""),
    ('gap = "24 hours"', {"shown": times(DAY)}, "fits", ""),
    ('gap = "24 hours"', {"shown": times(DAY - MINUTE)}, "too soon",
     "gap is 1 day, shown 2026-05-31 12:01 Europe/Stockholm"),
    ('not_before = "2 hours after basket"', {}, "too soon", 'no "basket" is remembered'),
    ('not_before = "2 hours after basket"', {"events": BASKET_AT_11}, "too soon",
     'not before 2 hours after "basket", that is 2026-06-01 13:01 Europe/Stockholm'),
    ('not_before = "1 hours after basket"', {"events": (("basket", minute_of(NOON - HOUR) - 1),)}, "fits", ""),
    ('stop_after = "order"', {}, "fits", ""),
    ('stop_after = "order"', {"events": (("order", minute_of(NOON - HOUR)),)}, "stopped",
     '"order" has happened, 2026-06-01 11:00 Europe/Stockholm'),
    ('stop_after = ["call", "order"]', {"events": (("order", 5),)}, "stopped",
     '"order" has happened, 1970-01-01 01:05 Europe/Stockholm'),
    ('category = "boots"\npurpose = "sell"', {}, "fits", ""),
    ('category = "boots"\npurpose = "sell"', {"bought": (("tents", day_of(NOON)),)}, "fits", ""),
    ('category = "boots"\npurpose = "sell"', {"bought": (("boots", day_of(NOON) - 30),)}, "suppressed",
     '"boots" was bought within 30 days'),
    ('category = "boots"\npurpose = "sell"', {"bought": (("boots", day_of(NOON) - 31),)}, "fits", ""),
    ('category = "boots"\npurpose = "sell"\nsuppress = false', {"bought": (("boots", day_of(NOON)),)}, "fits", ""),
    ('suppress = { bought = "tents", for = "1 day" }', {"bought": (("tents", day_of(NOON)),)}, "suppressed",
     '"tents" was bought within 1 day'),
]  # fmt: skip


@pytest.mark.parametrize(("head", "memory", "outcome", "why"), JUDGED)
def test_over_time(head: str, memory: dict[str, object], outcome: str, why: str) -> None:
    made = book(it=head)
    if "shown" in memory:
        memory = {"shown": ((made.experiences[0].courtesy.code, memory["shown"]),)}
    ((ended, said),) = outcomes(made, known(**memory))
    assert (ended, said) == (outcome, why or "it is for everyone")


def test_an_order_before_the_basket_ends_an_earlier_round() -> None:
    made = book(it='not_before = "2 hours after basket"\nstop_after = "order"')
    basket, before, after = (minute_of(NOON - hours * HOUR) for hours in (3, 5, 1))
    assert fits(made, known(events=(("basket", basket), ("order", before)))) == ["it"]
    assert fits(made, known(events=(("order", after), ("basket", basket)))) == []
    assert fits(made, known(events=(("order", basket), ("basket", basket)))) == []


def test_of_a_group_one_is_shown_and_the_others_say_which() -> None:
    made = book(a='group = "g"\ncap = "once a day"', b='group = "g"', c="", d='group = "h"')
    assert [end for end, _ in outcomes(made, known())] == ["fits", "another of its group is shown", "fits", "fits"]
    assert outcomes(made, known())[1][1] == "of group g, a comes first"
    code = made.experiences[0].courtesy.code
    assert fits(made, known(shown=((code, times(HOUR)),))) == ["b", "c", "d"]


def test_the_gap_of_a_group_counts_all_of_it() -> None:
    made = book(a='group = "g"\nnot_before = "1 hours after basket"\ngap = "1 day"', b='group = "g"\ngap = "1 day"')
    seen, memory = look(made, known(), NOON)
    assert seen == ["b"]
    memory = memory.with_event("basket", minute_of(NOON))
    assert look(made, memory, NOON + 3 * HOUR)[0] == []
    assert look(made, memory, NOON + DAY)[0] == ["a"]


def test_slots_of_a_page_are_limited_experience_by_experience() -> None:
    made = book(
        "[courtesy]\nslots_a_page = 2", a="slots one two three", b="slots one", c="slots one two", d="slots three"
    )
    assert outcomes(made, known()) == [
        ("enough on this page", "slots_a_page is 2; none is taken, and this edits one, three and two"),
        ("fits", "it is for everyone"),
        ("fits", "it is for everyone"),
        ("enough on this page", "slots_a_page is 2; one and two are taken, and this edits three"),
    ]


def test_what_sells_is_limited_over_the_day_and_on_the_page() -> None:
    sell = 'purpose = "sell"\nsuppress = false'
    made = book("[courtesy]\nsells_a_day = 2", a=sell, b=sell, c=sell, d="slots two")
    seen, memory = look(made, known(), NOON)
    assert seen == ["a", "b", "d"]
    assert outcomes(made, known())[2] == (
        "shown often enough",
        "sells_a_day is 2; shown in the last 24 hours 0, 2 on this page",
    )
    assert look(made, memory, NOON + DAY - MINUTE)[0] == ["d"]
    assert look(made, memory, NOON + DAY)[0] == ["a", "b", "d"]
    assert outcomes(made, None, unremembered="there is no consent")[0] == (
        "nothing is remembered",
        "there is no consent",
    )


# --------------------------------------------------------------------------- without memory


@pytest.mark.parametrize(
    ("head", "fitting"),
    [
        ("", True),
        ('group = "g"', True),
        ('category = "boots"\npurpose = "sell"', True),
        ('cap = "3 a week"', False),
        ('gap = "1 day"', False),
        ('stop_after = "order"', False),
        ('not_before = "2 hours after basket"', False),
        ('suppress = { bought = "boots" }', False),
    ],
)
def test_of_who_may_not_be_remembered_nobody_knows_whether_it_would_be_rude(head: str, fitting: bool) -> None:
    made = book(it=head)
    (ended,) = outcomes(made, None, unremembered="the visitor has not consented")
    assert ended == (
        ("fits", "it is for everyone") if fitting else ("nothing is remembered", "the visitor has not consented")
    )


def test_who_may_be_remembered_and_brings_nothing_is_here_for_the_first_time() -> None:
    made = book(a='cap = "once a week"', b='not_before = "2 hours after basket"')
    assert [end for end, _ in outcomes(made, None)] == ["fits", "too soon"]


# --------------------------------------------------------------------------- the visitor's own word

CHOICES = book(sells='purpose = "sell"\nsuppress = false', calm="slots two", inform='purpose = "inform"\nslots three')


@pytest.mark.parametrize(
    ("memory", "fitting"),
    [
        (Memory(), ["sells", "calm", "inform"]),
        (Memory(prefers=Preference.SIMPLE), ["calm", "inform"]),
        (Memory(prefers=Preference.FULL), ["sells", "inform"]),
        (Memory(prefers=Preference.OFF), []),
        (Memory(opted_out=True), []),
    ],
)
def test_what_the_visitor_asked_for_holds_with_and_without_consent(memory: Memory, fitting: list[str]) -> None:
    calm = replace(CHOICES.experiences[1], simplifies=True)
    made = replace(CHOICES, experiences=(CHOICES.experiences[0], calm, CHOICES.experiences[2]))
    assert fits(made, memory) == fitting
    assert [end for end, _ in outcomes(made, memory, unremembered="no consent")].count("fits") == len(fitting)


# --------------------------------------------------------------------------- previews


def test_what_a_preview_forces_is_seen_whatever_courtesy_says_and_takes_its_place() -> None:
    made = book(a='group = "g"', b='group = "g"\ncap = "once a week"', c="slots two")
    full = known(shown=((made.experiences[1].courtesy.code, times(HOUR)),))
    decision = decide(made, visitor(full), ask(at=NOON), forced="b", reasons=True)
    assert [one.name for one in decision.fitting] == ["b", "c"]
    assert [step.outcome for step in decision.steps] == [Outcome.GROUPED, Outcome.PREVIEW, Outcome.FITS]


# --------------------------------------------------------------------------- what is remembered


def test_only_what_a_rule_looks_at_is_remembered_and_forgotten_when_it_is_over() -> None:
    made = book(a='cap = "2 a day"\nslots one', b="slots two")
    assert shown(known(), made.experiences[1:], made.showings, NOON) == known()
    memory = known(shown=(("gone", times(HOUR)), (made.experiences[0].courtesy.code, times(2 * DAY))))
    memory = shown(memory, made.experiences, made.showings, NOON)
    assert memory.shown == ((made.experiences[0].courtesy.code, times(0)),)


def test_a_moment_is_rounded_up_so_that_no_gap_is_shorter() -> None:
    made = book(a='gap = "10 minutes"')
    memory = look(made, known(), NOON + 1)[1]
    assert fits(made, memory, NOON + 600.9) == []
    assert fits(made, memory, NOON + 660) == ["a"]


@pytest.mark.parametrize(("codes", "times"), [(6, MOST_TIMES), (22, 2), (32, 1)])
def test_what_check_lets_pass_has_room_in_the_cookie(codes: int, times: int) -> None:
    """Beside visits, orders, eight categories and a few events; every moment as far back as a week."""
    assert codes * (10 + 6 * times) <= ROOM
    minute = minute_of(NOON)
    memory = Memory(
        id="abcdefghijkl",
        first_day=day_of(NOON) - 300,
        active=minute,
        visits=99,
        away=30,
        page_views=99,
        orders=12,
        signed_in=True,
        events=tuple((name, minute - 9999) for name in ("order", "basket", "signed-in")),
        bought=tuple((f"category-{number}", day_of(NOON) - 100) for number in range(8)),
        shown=tuple((f"code{number:02}", tuple(minute - 10080 + n for n in range(times))) for number in range(codes)),
        prefers=Preference.SIMPLE,
    )
    assert state.sign(memory, KEYS, NOON).dropped == ()


# --------------------------------------------------------------------------- the key of a decision

COUNTED = book(
    "[courtesy]\nsells_a_day = 3",
    daily='cap = "2 a day"\nslots one',
    weekly='cap = "12 a week"\ngap = "1 hours"\nslots two',
    first='group = "g"\ngap = "6 hours"\ncap = "2 in 2 days"\nslots four',
    second='group = "g"\ngap = "6 hours"\nslots three',
    sells='purpose = "sell"\nsuppress = false\nslots one',
    sells_too='purpose = "sell"\ncategory = "boots"\ncap = "3 in 2 days"\nslots two',
)
CODES = sorted(COUNTED.showings)
MOMENTS = st.integers(minute_of(NOON - 3 * DAY), minute_of(NOON))
MEMORIES = st.builds(
    Memory,
    visits=st.integers(0, 2),
    active=st.just(minute_of(NOON)),
    events=st.dictionaries(st.sampled_from(["basket", "order"]), MOMENTS).map(lambda found: tuple(found.items())),
    bought=st.dictionaries(st.sampled_from(["boots", "tents"]), st.integers(day_of(NOON) - 40, day_of(NOON))).map(
        lambda found: tuple(found.items())
    ),
    shown=st.dictionaries(st.sampled_from(CODES), st.lists(MOMENTS, min_size=1, max_size=3).map(tuple)).map(
        lambda found: tuple(found.items())
    ),
    prefers=st.sampled_from([None, *Preference]),
    opted_out=st.booleans(),
)


WHO = st.tuples(st.one_of(st.none(), MEMORIES), st.sampled_from(["", "no consent"]))


@given(st.lists(WHO, min_size=2, max_size=12))
def test_who_gives_the_same_answers_gets_the_same(whos: list[tuple[Memory | None, str]]) -> None:
    seen: dict[tuple[object, ...], list[str]] = {}
    for memory, unremembered in whos:
        who = visitor(memory, unremembered)
        fitting = [one.name for one in decide(COUNTED, who, ask(at=NOON)).fitting]
        assert seen.setdefault(answers(COUNTED, who, NOON), fitting) == fitting


# --------------------------------------------------------------------------- the nagging diary


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=STOCKHOLM).timestamp()


def test_the_nagging_diary() -> None:
    """A basket is left at 15:00; reminders are wanted at 15:05, 16:05, 20:05 and 08:05 the next day.

    Without courtesy that is four of them.  "First reminder after a couple of hours, then wait 24 more" makes it one by
    the next morning; two, in whatever gap and cap a shop finds polite, are the most.
    """
    wanted = [at(f"2026-06-{when}") for when in ("01T15:05", "01T16:05", "01T20:05", "02T08:05")]
    left = known(events=(("basket", minute_of(at("2026-06-01T15:00"))),))

    def reminded(head: str, memory: Memory = left) -> list[str]:
        made, seen = book(reminder=head), []
        for moment in wanted:
            names, memory = look(made, memory, moment)
            seen += [datetime.fromtimestamp(moment, STOCKHOLM).strftime("%H:%M")] if names else []
        return seen

    polite = 'not_before = "2 hours after basket"\ngap = "24 hours"\ncap = "2 in 3 days"\nstop_after = "order"'
    assert reminded("") == ["15:05", "16:05", "20:05", "08:05"]
    assert reminded(polite) == ["20:05"]
    assert reminded('not_before = "2 hours after basket"\ncap = "2 in 3 days"') == ["20:05", "08:05"]
    assert reminded('cap = "2 in 3 days"') == ["15:05", "16:05"]
    assert reminded('gap = "24 hours"') == ["15:05"]
    ordered = left.with_event("order", minute_of(at("2026-06-01T19:00")))
    assert reminded(polite, ordered) == []


def test_reminders_of_three_kinds_do_not_take_turns() -> None:
    polite = 'group = "reminders"\ngap = "24 hours"\nslots '
    made = book(basket=polite + "one", wishes=polite + "two", letter=polite + "three")
    memory, seen = known(), []
    for moment in (at(f"2026-06-{when}") for when in ("01T15:05", "01T16:05", "01T20:05", "02T08:05", "02T15:05")):
        names, memory = look(made, memory, moment)
        seen += names
    assert seen == ["basket", "basket"]


# --------------------------------------------------------------------------- the model

STEPS = st.one_of(
    st.integers(0, 120),
    st.integers(0, 3 * 86400),
    st.builds(int.__add__, st.sampled_from([3600, 6 * 3600, 86400, 2 * 86400]), st.integers(-61, 1)),
)


class OneVisitor(RuleBasedStateMachine):
    """Requests of one visitor that follow one another, by a cookie that goes out and comes back each time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.cookie = b""
        self.diary: list[tuple[float, str]] = []
        self.orders: list[float] = []
        self.keys = KEYS

    @initialize()
    def arrives(self) -> None:
        self.keep(begun(self.now, "x" * 16))

    def keep(self, memory: Memory) -> None:
        written = state.sign(memory, self.keys, self.now)
        assert len(written.value) <= 1200
        assert "exposure" not in written.dropped, "what these caps need has room"
        self.cookie = written.value.encode()

    def memory(self) -> Memory:
        found = state.read([b"edge_state=" + self.cookie], self.keys, self.now).memory
        assert found is not None
        return found

    @rule(seconds=STEPS)
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(again=st.integers(1, 4))
    def looks(self, again: int) -> None:
        """A page, and the same page loaded again."""
        for _ in range(again):
            names, memory = look(COUNTED, self.memory(), self.now)
            self.diary += [(self.now, name) for name in names]
            self.keep(memory)

    @rule()
    def previews_and_heads_count_nothing(self) -> None:
        before = self.memory()
        decide(COUNTED, visitor(before), ask(at=self.now, method="HEAD"), forced="daily", reasons=True)
        assert self.memory() == before

    @rule(categories=st.lists(st.sampled_from(["boots", "tents", *"abcdef"]), max_size=10))
    def orders_something(self, categories: list[str]) -> None:
        """Of eight categories in all, so many as are remembered."""
        memory = self.memory().with_event("order", minute_of(self.now))
        self.keep(memory.with_categories(tuple(categories), day_of(self.now)))
        if "boots" in categories:
            self.orders.append(self.now)

    @precondition(lambda self: self.keys is KEYS)
    @rule()
    def keys_are_changed(self) -> None:
        self.keys = Keys.parse("9f2b7c41d08e6a35f1c49b7e02d86a53,c07d51e9a84b3f62705eb1d9284fa36c")

    def shown(self, *names: str) -> list[float]:
        return [moment for moment, name in self.diary if name in names]

    def most(self, moments: list[float], seconds: float) -> int:
        """The most showings within any such time."""
        return max((sum(since <= one < since + seconds for one in moments) for since in moments), default=0)

    @invariant()
    def caps_hold(self) -> None:
        assert self.most(self.shown("daily"), DAY) <= 2
        assert self.most(self.shown("weekly"), WEEK) <= MOST_TIMES
        assert self.most(self.shown("first", "second"), 2 * DAY) <= 8
        assert self.most(self.shown("sells", "sells-too"), DAY) <= 3
        assert self.most(self.shown("sells-too"), 2 * DAY) <= 3

    @invariant()
    def gaps_hold(self) -> None:
        assert self.most(self.shown("weekly"), HOUR) <= 1
        assert self.most(self.shown("first", "second"), 6 * HOUR) <= 1

    @invariant()
    def nobody_is_told_of_what_they_have_bought(self) -> None:
        for moment in self.shown("sells-too"):
            assert not any(0 < moment - order < 30 * DAY for order in self.orders)


OneVisitor.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestOneVisitor = OneVisitor.TestCase
