"""What is known of one request while it is on its way: the proxy's own notes, no part of any decision.

Here: ``Intent`` (what is meant to happen, before the shop was asked) and ``Trail`` (what did).  Not here: what is
written and counted of it (``journal``).  Made by ``proxy`` for each request, handed down, never shared.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgeproxy.core.explanation import Written
from edgeproxy.core.model import Decision, Experience, Lane, LaneKind, Outcome, PageRequest, Problem, RuleBook
from edgeproxy.core.policy import is_document
from edgeproxy.core.preview import Active, Exchange
from edgeproxy.core.recollect import Recollection
from edgeproxy.core.sharing import SharedRequest
from edgeproxy.drafts import Draft
from edgeproxy.html.model import PlaceOutcome, Placing
from edgeproxy.journal import Served
from edgeproxy.origin import ShopError
from edgeproxy.pages.model import StoredPage
from edgeproxy.sanitise import Forwardable

if TYPE_CHECKING:
    from edgeproxy.answer import Reusable

_LANES: Final = frozenset(kind.value for kind in LaneKind)


@dataclass(frozen=True, slots=True)
class Intent:
    """What is meant to happen with a request; the shop's answer confirms it or turns it to PASS."""

    lane: Lane
    request: PageRequest  # without our flags
    decision: Decision | None = None
    book: RuleBook | None = None
    preview: Active | Exchange | None = None
    mistakes: tuple[Problem, ...] = ()  # of the rules on disk, for who previews: the last good ones are shown
    draft: Draft | None = None  # whose rules a preview is by; None: the live ones
    written: Mapping[str, Written] | None = None  # by "file:line", for an explanation
    known: Recollection | None = None  # what the visitor brought, to be remembered by

    @property
    def active(self) -> Active | None:
        """The preview that is shown, if one is."""
        return self.preview if isinstance(self.preview, Active) else None

    @property
    def is_document(self) -> bool:
        """The visitor navigates to it, or does not say what it is for (``core.policy``)."""
        return is_document(self.request)

    @property
    def edited_here(self) -> bool:
        """Some visitor gets this page with edits, so that the shop is asked for it uncompressed, whoever asks."""
        return self.lane.personal and self.is_document


class Tally(NamedTuple):
    """What a placing came to, as it is logged and counted."""

    applied: tuple[str, ...]  # experiences that changed the page
    outcomes: Mapping[str, int]  # what became of the edits
    failed: tuple[tuple[str, str], ...]  # slots that stayed the shop's own, and why
    found: tuple[str, ...]  # slots in which an edit was placed

    @classmethod
    def of(cls, placing: Placing | None) -> Tally:
        return cls(_applied(placing), _outcomes(placing), _failed(placing), _found(placing))


@dataclass(slots=True)
class Trail:
    """Notes of one request; seconds by the monotonic clock but for ``at`` (epoch)."""

    began: float
    at: float
    method: str
    version: str = "1.1"  # of HTTP, as the visitor speaks it
    request_id: str = ""
    host: str = ""
    target: bytes = b""  # without our flags
    client: str = ""
    scheme: str = ""
    intent: Intent | None = None
    lane: Lane | None = None
    placing: Placing | None = None
    tally: Tally | None = None  # of the placing, where it was kept instead of made
    shop_seconds: float = 0.0  # waiting for the shop
    edge_seconds: float = 0.0  # our own work until the head left
    status: int = 0
    sent: int = 0  # bytes of body
    problem: str = ""
    refused: bool = False
    fault: bool = False  # ours
    cut: bool = False  # the answer was broken off
    own: bool = False  # an address of ours
    cache: str = ""  # what the page cache came to: "hit", "stale", "confirmed", "miss", "pass", "bypass", "failed"
    why_not_shared: str = ""  # for "pass" and "bypass"
    shared: SharedRequest | None = field(default=None, repr=False)
    events: tuple[bytes, ...] = ()  # what the shop told us with its answer
    kept: StoredPage | None = field(default=None, repr=False)  # the page that was answered with
    reusable: Reusable | None = field(default=None, repr=False)  # what others may get of the answer
    why_incomplete: str = ""  # why a page that was to be rewritten passes
    broken: ShopError | None = field(default=None, repr=False)  # the break that must follow what was read

    def seen(self, head: Forwardable, target: bytes) -> None:
        """What the guard learnt."""
        self.request_id, self.host, self.client, self.scheme = head.request_id, head.host, head.client, head.scheme
        self.target = target

    def turned_away(self, scope: Mapping[str, Any]) -> None:
        """Who asked for what, in their own words, of a request that the guard refused: for the log alone."""
        peer = scope.get("client")
        self.client = peer[0] if peer else ""
        self.host = next((value for name, value in scope["headers"] if name == b"host"), b"")[:255].decode("latin-1")
        self.target = scope.get("raw_path") or scope["path"].encode("latin-1", "replace")

    def applied(self) -> tuple[Experience, ...]:
        """The experiences that changed the page."""
        if self.intent is None or self.intent.decision is None:
            return ()
        names = self.tally.applied if self.tally is not None else _applied(self.placing)
        return tuple([one for one in self.intent.decision.fitting if one.name in names]) if names else ()

    def nothing_made(self) -> None:
        """What was made so far is not what leaves: the shop's own page does."""
        self.lane = self.placing = self.tally = self.kept = self.reusable = None

    def failed(self, log: logging.Logger, doing: str) -> None:
        """A fault of ours, told where it is caught: once a request, with its traceback."""
        if not self.fault:
            log.exception("%s request %s", doing, self.request_id)
        self.fault = True

    def served(self, now: float) -> Served:
        """The record of it all, for log and counters; ``now`` by the monotonic clock."""
        intent, lane = self.intent, self.lane
        kind = "refused" if self.refused else "own" if self.own else "relay" if self.status == 101 else "pass"
        if lane is None and intent is not None:
            lane = intent.lane
        if lane is not None and kind == "pass":
            kind = lane.kind.value
        decision = intent.decision if intent is not None else None
        tally = self.tally or Tally.of(self.placing)
        return Served(
            at=self.at,
            method=self.method,
            host=self.host,
            path=self.target.partition(b"?")[0].decode("latin-1"),
            status=self.status,
            bytes=self.sent,
            lane=kind,
            why=lane.why if lane is not None else "",
            total_ms=(now - self.began) * 1000,
            origin_ms=self.shop_seconds * 1000,
            edge_ms=self.edge_seconds * 1000,
            request_id=self.request_id,
            client=self.client,
            source=decision.visitor.source.value if decision is not None else "",
            applied=tally.applied,
            outcomes=tally.outcomes,
            failed=tally.failed,
            found=tally.found,
            personal=lane is not None and lane.personal and kind in _LANES,
            stage=(decision.visitor.stage or "") if decision is not None else "",
            segments=decision.visitor.segments if decision is not None else (),
            preview=intent is not None and intent.preview is not None,
            problem=self.problem,
            fault=self.fault,
            cut=self.cut,
            cache=self.cache,
        )


def _applied(placing: Placing | None) -> tuple[str, ...]:
    if placing is None:
        return ()
    return tuple(name for name, (outcome, _) in placing.outcomes.items() if outcome is Outcome.APPLIED)


def _found(placing: Placing | None) -> tuple[str, ...]:
    """Slots in which an edit was placed."""
    if placing is None:
        return ()
    placed = (one.edit.slot for one in placing.placements if one.outcome is PlaceOutcome.PLACED)
    return tuple(dict.fromkeys(slot for slot in placed if slot is not None))


def _outcomes(placing: Placing | None) -> dict[str, int]:
    counted: dict[str, int] = {}
    for one in placing.placements if placing is not None else ():
        if one.outcome is PlaceOutcome.ELSEWHERE:
            continue
        counted[one.outcome.value] = counted.get(one.outcome.value, 0) + 1
    return counted


def _failed(placing: Placing | None) -> tuple[tuple[str, str], ...]:
    """Slots that an edit wanted and could not have, whatever the visitor: for whoever looks after the theme."""
    if placing is None:
        return ()
    return tuple(
        (one.edit.slot or "style", one.why) for one in placing.placements if one.outcome is PlaceOutcome.REFUSED
    )
