"""THE function: which experiences fit a visitor and a request, in order, and why.  No page is needed.

Here: ``decide`` and what it needs to know of a visitor (``known``).  Not here: who wins a slot (``html.place``),
whether a response may be touched (``policy``).  Called by the proxy for every document, and by ``explain``, ``test``,
``render`` and previews: the same call, asked for its reasons or not.

Each experience ends in one outcome, the first that holds of: OFF, audience, page, when, schedule, share, courtesy (in
the order that ``courtesy`` has); what gets past all of them FITS.  A reason is written where it is known, and only when
somebody asked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from typing import Final

from edgeproxy.core import schedule
from edgeproxy.core.audiences import BUILT_IN
from edgeproxy.core.courtesy import Usher
from edgeproxy.core.lifecycle import staged
from edgeproxy.core.model import (
    NOBODY,
    Decision,
    Experience,
    Facts,
    Outcome,
    PageRequest,
    Reasons,
    RuleBook,
    Shop,
    Source,
    Step,
    Visitor,
)
from edgeproxy.core.onpath import on_path

_Judged = tuple[Outcome, str]
_NONE: Final[frozenset[str]] = frozenset()


def known(book: RuleBook, visitor: Visitor) -> Visitor:
    """The visitor as the book sees them; the very same object when nothing changes.

    Labels that shop.toml does not name are dropped with a word in ``problems`` (a dropped stage leaves no stage);
    segments stand in shop.toml's order; who has no cookie at all gets ``without_cookie``'s stage.
    """
    shop = book.shop
    if visitor.source is Source.NOBODY:
        if visitor.stage == shop.without_cookie:
            return visitor
        return _stranger(shop.without_cookie) if visitor is NOBODY else replace(visitor, stage=shop.without_cookie)
    stage, segments = visitor.stage, visitor.segments
    dropped: list[str] = []
    if stage is not None and stage not in shop.stages:
        dropped.append(f'stage "{stage}" is dropped: shop.toml does not name it')
        stage = None
    if segments:
        dropped += [
            f'segment "{one}" is dropped: shop.toml does not name it' for one in segments if one not in shop.segments
        ]
        segments = tuple(one for one in shop.segments if one in visitor.segments)
    if not dropped and segments == visitor.segments:
        return visitor
    return replace(visitor, stage=stage, segments=segments, problems=(*visitor.problems, *dropped))


@lru_cache(maxsize=64)
def _stranger(stage: str | None) -> Visitor:
    return replace(NOBODY, stage=stage)


def undecided(book: RuleBook, visitor: Visitor, request: PageRequest) -> Decision:
    """As ``decide`` where nothing is to be edited whatever fits (``policy.passes``): who asks, and nothing tried."""
    return Decision((), (), known(book, staged(book, visitor, request.at)), None, book.version)


def decide(
    book: RuleBook,
    visitor: Visitor,
    request: PageRequest,
    *,
    forced: str | None = None,
    without: Collection[str] = (),
    reasons: bool = False,
) -> Decision:
    """Try every experience in order, at ``request.at``.  Pure: same input, same decision.  Never raises.

    ``forced`` names an experience that a preview wants seen: it comes first of what fits, whatever its audience,
    ``when``, schedule, share and ``enabled`` say; but never where ``never``, its ``on`` or the shop's own kill switch
    keep it away.  ``without`` are experiences that a preview wants not seen.  ``reasons`` fills ``steps``, one for each
    experience.
    """
    facts = Facts(known(book, staged(book, visitor, request.at)), request, book.shop)
    judge = _Judge(book, facts, reasons)
    fitting: list[Experience] = []
    steps: list[Step] = []
    if forced is not None:
        judge.make_room(forced)
    told = reasons or without or forced is not None
    for place in range(len(book.experiences)) if told else judge.possible():
        experience = book.experiences[place]
        if experience.name in without:
            outcome, why = Outcome.OFF, "switched off by the preview"
        elif experience.name == forced:
            outcome, why = judge.forced(place)
            if outcome is Outcome.PREVIEW:
                fitting.insert(0, experience)
        else:
            outcome, why = judge.free(experience, place)
            if outcome is Outcome.FITS:
                fitting.append(experience)
                judge.let_in(experience)
        if reasons:
            steps.append(Step(experience, outcome, why))
    return Decision(tuple(fitting), tuple(steps), facts.visitor, forced, book.version)


def share_number(experience: str, ident: str) -> int:
    """Where a visitor stands among 2**64 places of an experience's rollout: below ``share * 2**64`` is in.

    The first 8 bytes, big-endian, of SHA-256(experience, NUL, id), both in UTF-8; the same on every machine.
    """
    return int.from_bytes(sha256(f"{experience}\0{ident}".encode("utf-8", "surrogatepass")).digest()[:8], "big")


class _Judge:
    """One request's judgements: what several experiences ask is looked at once."""

    __slots__ = ("_asked", "_audiences", "_barred", "_book", "_facts", "_here", "_usher")

    def __init__(self, book: RuleBook, facts: Facts, asked: bool) -> None:
        self._book = book
        self._facts = facts
        self._asked = asked
        self._here = on_path(book, facts.request.path)
        self._usher = Usher(book.shop, facts.visitor, facts.request.at, asked=asked)
        self._barred = _bar(facts.visitor, book.shop)
        self._audiences: dict[str, tuple[bool | None, str]] = {}

    def possible(self) -> list[int]:
        """Places of the experiences that are here, on, and for this visitor's audiences, in order: no other can fit."""
        places: list[int] = []
        for audiences, group in self._here.groups:
            if self._theirs(audiences) is not None:
                places += group
        places.sort()
        return places

    def free(self, experience: Experience, place: int) -> _Judged:
        """The outcome of an experience that nobody forced: read down, the first line that holds decides."""
        asked = self._asked
        if not self._book.shop.enabled:
            return Outcome.OFF, self._all_off()
        if not experience.enabled:
            return Outcome.OFF, "enabled = false"
        if self._audience_of(experience) is None:
            return Outcome.NOT_FOR_AUDIENCE, self._why_not_theirs(experience) if asked else ""
        if self._here.why_not[place]:
            return Outcome.NOT_ON_PAGE, self._here.why_not[place]
        if experience.when is not None:
            heard = Reasons() if asked else None
            if not experience.when.holds(self._facts, heard):
                return Outcome.NOT_WHEN, "; ".join(heard or ())
        if experience.begins is not None and self._facts.request.at < experience.begins:
            return Outcome.NOT_YET, f"begins {self._date(experience.begins)}" if asked else ""
        if experience.ends is not None and self._facts.request.at >= experience.ends:
            return Outcome.OVER, f"ended {self._date(experience.ends)}" if asked else ""
        if experience.share < 1.0 and not self._in_share(experience):
            return Outcome.NOT_IN_SHARE, self._why_not_in_share(experience) if asked else ""
        if (away := self._usher.judge(experience, self._slots_of(experience))) is not None:
            return away
        return Outcome.FITS, self._why_theirs(experience) if asked else ""

    def forced(self, place: int) -> _Judged:
        """The outcome of the experience that a preview forces: only the kill switch and the page can stop it."""
        if not self._book.shop.enabled:
            return Outcome.OFF, self._all_off()
        if self._here.why_not[place]:
            return Outcome.NOT_ON_PAGE, self._here.why_not[place]
        return Outcome.PREVIEW, "forced by the preview, whoever asks and whenever"

    def make_room(self, forced: str) -> None:
        """What a preview forces is on the page first, wherever it stands in the order."""
        for place, experience in enumerate(self._book.experiences):
            if experience.name == forced and self.forced(place)[0] is Outcome.PREVIEW:
                self.let_in(experience)

    def let_in(self, experience: Experience) -> None:
        """It fits: groups and the room on the page are taken by it."""
        self._usher.let_in(experience, self._slots_of(experience))

    def _slots_of(self, experience: Experience) -> frozenset[str]:
        """The slots of this page that it edits, as far as they are counted."""
        if self._book.shop.courtesy.slots_a_page is None:
            return _NONE
        return frozenset(
            edit.slot for edit in experience.edits if edit.slot is not None and edit.slot in self._here.lit
        )

    def _all_off(self) -> str:
        return f"the whole shop is off: enabled = false in {self._book.shop.where.file}"

    def _date(self, at: float) -> str:
        return schedule.as_text(at, schedule.zone(self._book.shop.timezone))

    # ------------------------------------------------------------------ share

    def _in_share(self, experience: Experience) -> bool:
        ident = self._facts.visitor.id
        if ident is None:  # nothing stable to hash: only 0 % and 100 % hold
            return False
        # exact: scaling by a power of two is, and so is int < float
        return share_number(experience.name, ident) < experience.share * 2.0**64

    def _why_not_in_share(self, experience: Experience) -> str:
        share, ident = _percent(experience.share), self._facts.visitor.id
        if ident is None:
            return f"share is {share}, and the visitor has no id to hash"
        return f"share is {share}, and the visitor stands at {_percent(share_number(experience.name, ident) / 2.0**64)}"

    # ------------------------------------------------------------------ audiences

    def _audience_of(self, experience: Experience) -> str | None:
        """The first of the experience's audiences that the visitor is of."""
        return self._theirs(experience.audiences)

    def _theirs(self, audiences: Sequence[str]) -> str | None:
        for name in audiences:
            judged = self._audiences.get(name) or self._look(name)
            if judged[0]:
                return name
        return None

    def _look(self, name: str) -> tuple[bool | None, str]:
        """Whether the visitor is of this audience, and why; looked at once per request."""
        heard = Reasons() if self._asked else None
        audience = BUILT_IN.get(name) or self._book.audiences.get(name)
        if self._barred:
            judged: tuple[bool | None, str] = False, self._barred
        elif audience is None:
            judged = False, f'there is no audience "{name}"'
        else:
            held = audience.test.holds(self._facts, heard)
            judged = held, "; ".join(heard) if heard else ""
        self._audiences[name] = judged
        return judged

    def _why_theirs(self, experience: Experience) -> str:
        name = self._audience_of(experience) or ""
        why = self._audiences[name][1]
        return why if name in BUILT_IN else f"{name}: {why}" if why else name

    def _why_not_theirs(self, experience: Experience) -> str:
        whys = {name: self._audiences[name][1] for name in experience.audiences}
        if len(set(whys.values())) == 1:
            return next(iter(whys.values()))
        return "; ".join(f"{name}: {why}" for name, why in whys.items())


def _bar(visitor: Visitor, shop: Shop) -> str:
    """Why this visitor has no audience at all, not even the built-in ones; "" when they may have."""
    if visitor.source is Source.DISBELIEVED:
        kind = visitor.problems[0].partition(":")[0] if visitor.problems else "it proves nothing"
        return f"the cookie is not believed ({kind})"
    if visitor.source is Source.NOBODY and shop.without_cookie is None:
        return 'there is no cookie, and without_cookie is "untouched"'
    return ""


def _percent(share: float) -> str:
    return f"{share * 100:.4g} %"
