"""The rules' own tests: what ``tests/*.toml`` promises, decided and placed as the proxy would.

Here: running them and saying what failed.  Not here: reading them (``rules.tests``), reading recorded pages
(``recordings``), placing (handed in: ``core`` knows no HTML).  Called by ``edgeproxy test`` and by our own suite.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from edgeproxy.core import policy
from edgeproxy.core.decide import decide
from edgeproxy.core.explain import NOBODYS, Explanation, PlacingSeen, PlanSeen, explain, taker
from edgeproxy.core.model import Decision, LaneKind, PageRequest, RuleBook, RuleTest

HOST: Final = "shop.example"  # RFC 2606: a shop that rules cannot know


class RecordedPage(Protocol):
    """A page of the shop as it was saved (``recordings.Recording``)."""

    @property
    def body(self) -> bytes: ...
    @property
    def content_type(self) -> str | None: ...
    @property
    def csp(self) -> str | None: ...


class CharsetSeen(Protocol):
    @property
    def codec(self) -> str: ...


class PersonalisedPage(Protocol):
    """A page with its edits, and how it came about (``personalise.Personalised``)."""

    @property
    def body(self) -> bytes: ...
    @property
    def placing(self) -> PlacingSeen | None: ...
    @property
    def plan(self) -> PlanSeen | None: ...
    @property
    def charset(self) -> CharsetSeen | None: ...
    @property
    def note(self) -> str: ...


class Personalise(Protocol):
    """``personalise.personalise``."""

    def __call__(
        self,
        book: RuleBook,
        decision: Decision,
        request: PageRequest,
        body: bytes,
        content_type: str | None,
        *,
        csp: str | None = None,
    ) -> PersonalisedPage: ...


@dataclass(frozen=True, slots=True)
class TestResult:
    """What became of one test; ``failures`` are sentences, without the place."""

    __test__ = False  # no test of pytest's

    test: RuleTest
    failures: tuple[str, ...]
    explanation: Explanation
    placed: bool  # on a recorded page; False: decided only

    @property
    def passed(self) -> bool:
        """Every promise was kept."""
        return not self.failures

    @property
    def lines(self) -> tuple[str, ...]:
        """The failures as a compiler prints them: ``rules/tests/home.toml:4: home-hero: wanted …, got …``."""
        return tuple(f"{self.test.where.short}: {failure}" for failure in self.failures)


def run(
    book: RuleBook, pages: Mapping[str, RecordedPage], personalise: Personalise, now: float
) -> tuple[TestResult, ...]:
    """Every test of the book, in order.  ``pages`` by path (with its query where it was recorded with one);
    ``now`` is the moment of tests that name none."""
    return tuple(run_one(test, book, pages, personalise, now) for test in book.tests)


def run_one(
    test: RuleTest, book: RuleBook, pages: Mapping[str, RecordedPage], personalise: Personalise, now: float
) -> TestResult:
    """One test: placed on the page that is recorded for its path, else decided only."""
    path, _, query = test.page.partition("?")
    at = now if test.at is None else test.at
    request = PageRequest("GET", "https", HOST, path, query, test.headers, at, test.country)
    decision = decide(book, test.visitor, request)
    lane = policy.lane(book, request, decision)
    page = pages.get(test.page) or pages.get(path)
    if page is None:
        failures = [
            _show(slot, wanted, [taken] if (taken := _taker(book, slot, path, decision, lane.kind)) else [])
            for slot, wanted in test.shows.items()
        ]
        if test.has or test.without:
            failures.append(f"has and without need the page: save it with `edgeproxy record` ({test.page})")
        told = explain(book, test.visitor, request, notes=("decided only: no page is recorded for it",))
        return TestResult(test, tuple(one for one in failures if one), told, placed=False)

    if lane.kind is LaneKind.PASS:  # the proxy would not look at the page either
        body, placing, plan, codec, note = page.body, None, None, "utf-8", ""
        holders: Mapping[str, list[str]] = {}
    else:
        made = personalise(book, decision, request, page.body, page.content_type, csp=page.csp)
        body, placing, plan, note = made.body, made.placing, made.plan, made.note
        codec = made.charset.codec if made.charset is not None else "utf-8"
        holders = _holders(placing)
    failures = [_show(slot, wanted, holders.get(slot, [])) for slot, wanted in test.shows.items()]
    failures += _texts(test, body.decode(codec, "replace"))
    told = explain(book, test.visitor, request, placing=placing, plan=plan, lane=lane, notes=(note,) if note else ())
    return TestResult(test, tuple(one for one in failures if one), told, placed=True)


def _taker(book: RuleBook, slot: str, path: str, decision: Decision, lane: LaneKind) -> str | None:
    """Who would have the slot of a page that nobody recorded."""
    place = book.slots.get(slot)
    if place is None or not place.enabled or lane is LaneKind.PASS or (place.on and not place.on.match(path)):
        return None
    return taker(slot, decision.fitting)


def _holders(placing: PlacingSeen | None) -> Mapping[str, list[str]]:
    """Slot → the experiences that changed something there, the one that has it first."""
    holders: dict[str, list[str]] = {}
    if placing is not None:
        for slot, winner in placing.winners.items():
            holders[slot] = [winner]
        for one in placing.placements:
            if one.edit.slot is not None and one.outcome.value == "placed":
                names = holders.setdefault(one.edit.slot, [])
                if one.experience.name not in names:
                    names.append(one.experience.name)
    return holders


def _show(slot: str, wanted: str | None, holders: Sequence[str]) -> str:
    if wanted in holders or (wanted is None and not holders):
        return ""
    got = " and ".join(holders) or NOBODYS
    return f"{slot}: wanted {wanted or NOBODYS}, got {got}"


def _texts(test: RuleTest, page: str) -> list[str]:
    """Promises about the page's text: looked for in its source as it is and with references resolved, any spacing."""
    source = " ".join(page.split())
    plain = " ".join(html.unescape(page).split())

    def there(text: str) -> bool:
        wanted = " ".join(text.split())
        return wanted in source or wanted in plain

    failures = [f'the page lacks "{text}"' for text in test.has if not there(text)]
    return failures + [f'the page holds "{text}"' for text in test.without if there(text)]
