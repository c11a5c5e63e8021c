"""THE function: which experiences fit a visitor and a request, in order, and why.  No page is needed.

Here: ``decide`` and what it needs to know of a visitor (``known``).  Not here: who wins a slot (``html.place``),
whether a response may be touched (``policy``).  Called by the proxy for every document, and by ``explain``, ``test``,
``render`` and previews: the same call, asked for its reasons or not.

Each experience ends in one outcome, the first that holds of: OFF, audience, page, when, schedule, share; what gets
past all of them FITS.  A reason is written where it is known, and only when somebody asked.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Final

from edgeproxy.core import schedule
from edgeproxy.core.model import (
    Decision,
    Experience,
    Facts,
    Outcome,
    PageRequest,
    Reasons,
    RuleBook,
    Source,
    Step,
    Visitor,
)

EVERYONE: Final = "everyone"
UNKNOWN: Final = "unknown"

_Judged = tuple[Outcome, str]


def known(book: RuleBook, visitor: Visitor) -> Visitor:
    """The visitor as the book sees them; the very same object when nothing changes.

    Labels that shop.toml does not name are dropped with a word in ``problems`` (a dropped stage leaves no stage);
    segments stand in shop.toml's order; who has no cookie at all gets ``without_cookie``'s stage.
    """
    shop = book.shop
    if visitor.source is Source.NOBODY:
        return visitor if visitor.stage == shop.without_cookie else replace(visitor, stage=shop.without_cookie)
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


def decide(
    book: RuleBook,
    visitor: Visitor,
    request: PageRequest,
    *,
    forced: str | None = None,
    reasons: bool = False,
) -> Decision:
    """Try every experience in order, at ``request.at``.  Pure: same input, same decision.  Never raises.

    ``forced`` names an experience that a preview wants seen: it comes first of what fits, whatever its audience,
    ``when``, schedule, share and ``enabled`` say; but never where ``never``, its ``on`` or the shop's own kill switch
    keep it away.  ``reasons`` fills ``steps``, one for each experience.
    """
    facts = Facts(known(book, visitor), request, book.shop)
    judge = _Judge(book, facts, reasons)
    fitting: list[Experience] = []
    steps: list[Step] = []
    for experience in book.experiences:
        if experience.name == forced:
            outcome, why = judge.forced(experience)
            if outcome is Outcome.PREVIEW:
                fitting.insert(0, experience)
        else:
            outcome, why = judge.free(experience)
            if outcome is Outcome.FITS:
                fitting.append(experience)
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

    __slots__ = ("_asked", "_audiences", "_book", "_facts", "_never", "_slots")

    def __init__(self, book: RuleBook, facts: Facts, asked: bool) -> None:
        self._book = book
        self._facts = facts
        self._asked = asked
        self._audiences: dict[str, tuple[bool | None, str]] = {}
        self._slots: dict[str | None, bool] = {None: True}  # a style needs no slot
        self._never: bool | None = None

    def free(self, experience: Experience) -> _Judged:
        """The outcome of an experience that nobody forced, by the first condition that does not hold."""
        failed = (
            self._off(experience)
            or self._audience(experience)
            or self._page(experience)
            or self._when(experience)
            or self._schedule(experience)
            or self._share(experience)
        )
        return failed or (Outcome.FITS, self._audience_words(experience, True) if self._asked else "")

    def forced(self, experience: Experience) -> _Judged:
        """The outcome of the experience that a preview forces: only the kill switch and the page can stop it."""
        failed = self._shop_off() or self._page(experience)
        return failed or (Outcome.PREVIEW, "forced by the preview, whoever asks and whenever" if self._asked else "")

    # ------------------------------------------------------------------ the conditions, in their order

    def _shop_off(self) -> _Judged | None:
        shop = self._book.shop
        return None if shop.enabled else (Outcome.OFF, f"the whole shop is off: enabled = false in {shop.where.file}")

    def _off(self, experience: Experience) -> _Judged | None:
        off = self._shop_off()
        if off is None and not experience.enabled:
            off = Outcome.OFF, "enabled = false"
        return off

    def _audience(self, experience: Experience) -> _Judged | None:
        for name in experience.audiences:
            if self._is_of(name)[0]:
                return None
        return Outcome.NOT_FOR_AUDIENCE, self._audience_words(experience, False) if self._asked else ""

    def _page(self, experience: Experience) -> _Judged | None:
        path = self._facts.request.path
        if self._never is None:
            never = self._book.shop.never
            self._never = never is not None and never.touches(path)
        if self._never:
            return Outcome.NOT_ON_PAGE, "nobody ever edits this page: never in shop.toml" if self._asked else ""
        if experience.on is not None and not experience.on.match(path):
            return Outcome.NOT_ON_PAGE, f"on is {_listed(experience.on.texts)}" if self._asked else ""
        for edit in experience.edits:
            here = self._slots.get(edit.slot)
            if here is None and edit.slot is not None:
                slot = self._book.slots.get(edit.slot)
                here = self._slots[edit.slot] = slot is not None and (slot.on is None or slot.on.match(path))
            if here:
                return None
        return Outcome.NOT_ON_PAGE, "none of its slots is on this page" if self._asked else ""

    def _when(self, experience: Experience) -> _Judged | None:
        if experience.when is None:
            return None
        heard = Reasons() if self._asked else None
        if experience.when.holds(self._facts, heard):
            return None
        return Outcome.NOT_WHEN, "; ".join(heard or ())

    def _schedule(self, experience: Experience) -> _Judged | None:
        at = self._facts.request.at
        if experience.begins is not None and at < experience.begins:
            return Outcome.NOT_YET, f"begins {self._date(experience.begins)}" if self._asked else ""
        if experience.ends is not None and at >= experience.ends:
            return Outcome.OVER, f"ended {self._date(experience.ends)}" if self._asked else ""
        return None

    def _share(self, experience: Experience) -> _Judged | None:
        share, ident = experience.share, self._facts.visitor.id
        if share >= 1.0:
            return None
        if ident is None:  # nothing stable to hash: only 0 % and 100 % hold
            why = f"share is {_percent(share)}" + (" and the visitor has no id to hash" if share > 0.0 else "")
            return Outcome.NOT_IN_SHARE, why if self._asked else ""
        place = share_number(experience.name, ident)
        if place < share * 2.0**64:  # exact: scaling by a power of two is, and so is int < float
            return None
        why = f"the visitor stands at {_percent(place / 2.0**64)} and share is {_percent(share)}"
        return Outcome.NOT_IN_SHARE, why if self._asked else ""

    # ------------------------------------------------------------------ audiences

    def _is_of(self, name: str) -> tuple[bool | None, str]:
        """Whether the visitor is of this audience, and why; looked at once per request."""
        judged = self._audiences.get(name)
        if judged is None:
            judged = self._audiences[name] = self._look(name)
        return judged

    def _look(self, name: str) -> tuple[bool | None, str]:
        visitor, shop = self._facts.visitor, self._book.shop
        if visitor.source is Source.DISBELIEVED:
            return False, f"the cookie is not believed, {visitor.problems[0]}" if visitor.problems else "not believed"
        if visitor.source is Source.NOBODY and shop.without_cookie is None:
            return False, 'no cookie, and without_cookie is "untouched"'
        if name == EVERYONE:
            return True, "everyone"
        if name == UNKNOWN:
            nobody = visitor.source is Source.NOBODY
            return nobody, "no cookie at all" if nobody else "the visitor has a cookie, wanted none at all"
        audience = self._book.audiences.get(name)
        if audience is None:
            return False, f'there is no audience "{name}"'
        heard = Reasons() if self._asked else None
        held = audience.test.holds(self._facts, heard)
        return held, "; ".join(heard or ())

    def _audience_words(self, experience: Experience, held: bool) -> str:
        names = experience.audiences
        if held:
            name = next(name for name in names if self._is_of(name)[0])
            why = self._is_of(name)[1]
            return why if why in {"", name} else f"{name}: {why}"
        whys = dict.fromkeys(self._is_of(name)[1] for name in names)
        if len(whys) == 1:
            return next(iter(whys))
        return "; ".join(f"not {name}: {self._is_of(name)[1]}" for name in names)

    def _date(self, at: float) -> str:
        return schedule.as_text(at, schedule.zone(self._book.shop.timezone))


def _listed(texts: tuple[str, ...]) -> str:
    return ", ".join(texts)


def _percent(share: float) -> str:
    return f"{share * 100:.4g} %"
