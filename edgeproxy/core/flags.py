"""Preview flags: what somebody asks to see, and what a book makes of it.

Here: ``edge_stage`` and its kin as frozen data, read from a query, resolved against a book; everything that cannot be
followed is told in words.  Not here: who may use them (``tokens``), the request as a whole (``preview``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from edgeproxy.core import schedule
from edgeproxy.core.decide import known
from edgeproxy.core.model import NOBODY, RuleBook, Source, Visitor
from edgeproxy.core.words import both, meant

STRANGER: Final = "stranger"
"""A persona that every shop has: no cookie at all, unless personas.toml has one of that name."""

LONGEST_LABEL: Final = 64  # characters
MOST_SEGMENTS: Final = 32
MOST_NAMED: Final = 6  # in a hint
LONGEST_DRAFT: Final = 120  # characters: branches have longer names than labels

_YES: Final = frozenset({"", "1", "yes", "true", "on"})
_NO: Final = frozenset({"0", "no", "false", "off"})


@dataclass(frozen=True, slots=True)
class PreviewFlags:
    """What is to be previewed, as somebody wrote it; checked against a book by ``resolve``."""

    stage: str | None = None  # "": no stage
    segments: tuple[str, ...] | None = None  # (): none; None: not said
    persona: str | None = None
    experience: str | None = None  # forced
    without: tuple[str, ...] = ()  # experiences that are switched off
    at: str | None = None
    off: bool = False
    explain: bool = False
    outline: bool = False  # what is changed is outlined
    rules: str | None = None  # a draft; None: the live rules

    def pairs(self) -> list[tuple[str, str]]:
        """As query parameters, in a fixed order."""
        said = [("edge_stage", self.stage), ("edge_persona", self.persona)]
        said += [("edge_segment", segment) for segment in (self.segments if self.segments is not None else ())]
        said += [("edge_segment", "")] if self.segments == () else []
        said += [("edge_experience", self.experience)]
        said += [("edge_experience", f"!{name}") for name in self.without]
        said += [("edge_at", self.at)]
        said += [("edge_off", "1")] if self.off else []
        said += [("edge_explain", "1")] if self.explain else []
        said += [("edge_outline", "1")] if self.outline else []
        said += [("edge_rules", self.rules)]
        return [(name, value) for name, value in said if value is not None]


def read_flags(pairs: Iterable[tuple[str, str]]) -> tuple[PreviewFlags, tuple[str, ...]]:
    """Decoded query parameters (``edge_token`` among them is skipped) → flags, and what is wrong with them in words.

    ``edge_segment`` may repeat, an empty one says "none"; so may ``edge_experience=!name``, which switches one off; of
    any other the last holds.  Values longer than any label are not taken.
    """
    single: dict[str, str] = {}
    segments: list[str] | None = None
    without: list[str] = []
    problems: list[str] = []
    for name, value in pairs:
        value = value.strip()
        longest = LONGEST_DRAFT if name == "edge_rules" else LONGEST_LABEL
        if len(value) > longest:
            problems.append(f"{name} is longer than {longest} characters: not taken")
        elif name == "edge_segment":
            segments = segments if segments is not None else []
            if value and value not in segments and len(segments) < MOST_SEGMENTS:
                segments.append(value)
        elif name == "edge_experience" and value.startswith("!"):
            if value[1:] not in without and len(without) < MOST_SEGMENTS:
                without.append(value[1:])
        elif name != "edge_token":
            if single.get(name, value) != value:
                problems.append(f"{name} is there more than once: the last one holds")
            single[name] = value
    switches = {}
    for name in ("edge_off", "edge_explain", "edge_outline"):
        text = single.get(name, "0").lower()
        if text not in _YES | _NO:
            wanted = "1, 0 or json" if name == "edge_explain" else "1 or 0"
            problems.append(f"{name} is {shown(text)}, wanted {wanted}")
        switches[name] = text in _YES
    flags = PreviewFlags(
        stage=single.get("edge_stage"),
        segments=None if segments is None else tuple(segments),
        persona=single.get("edge_persona") or None,
        experience=single.get("edge_experience") or None,
        without=tuple(without),
        at=single.get("edge_at") or None,
        off=switches["edge_off"],
        explain=switches["edge_explain"],
        outline=switches["edge_outline"],
        rules=single.get("edge_rules"),
    )
    return flags, tuple(problems)


@dataclass(frozen=True, slots=True)
class Resolved:
    """Flags as a book understands them."""

    visitor: Visitor
    at: float | None  # None: the real moment
    forced: str | None
    without: tuple[str, ...]
    said: tuple[str, ...]
    problems: tuple[str, ...]


def resolve(flags: PreviewFlags, book: RuleBook, visitor: Visitor) -> Resolved:
    """The visitor, moment and experience that flags name; what a book does not know is told and left as it is.

    A persona sets stage, segments and id; stage and segment flags go before it, and before the real visitor's.
    """
    problems: list[str] = []
    said: list[str] = []
    seen = visitor
    if flags.persona is not None:
        persona = book.personas.get(flags.persona)
        if persona is not None:
            source = Source.NOBODY if persona.visitor.source is Source.NOBODY else Source.PREVIEW
            seen = replace(persona.visitor, source=source)
        elif flags.persona == STRANGER:
            seen = NOBODY
        else:
            problems.append(_unknown("persona", flags.persona, (*book.personas, STRANGER)))
        if persona is not None or flags.persona == STRANGER:
            said.append(f'persona "{flags.persona}"')
    base = known(book, seen)
    stage, segments, changed = base.stage, base.segments, False
    if flags.stage is not None:
        if flags.stage and flags.stage not in book.shop.stages:
            problems.append(_unknown("stage", flags.stage, book.shop.stages))
        else:
            stage, changed = flags.stage or None, True
            said.append(f'stage "{stage}"' if stage else "no stage")
    if flags.segments is not None:
        strange = [one for one in flags.segments if one not in book.shop.segments]
        problems += [_unknown("segment", one, book.shop.segments) for one in strange]
        if len(strange) < len(flags.segments) or not flags.segments:
            segments = tuple(one for one in book.shop.segments if one in flags.segments)
            changed = True
            named = "segment " + both(segments) if len(segments) == 1 else "segments " + both(segments)
            said.append(named if segments else "no segments")
    if changed:
        seen = replace(base, stage=stage, segments=segments, source=Source.PREVIEW, problems=())
    forced = None
    names = [experience.name for experience in book.experiences]
    if flags.experience is not None:
        if flags.experience in names:
            forced = flags.experience
            said.append(f'experience "{forced}"')
        else:
            problems.append(_unknown("experience", flags.experience, names))
    without = tuple(name for name in flags.without if name in names)
    problems += [_unknown("experience", name, names) for name in flags.without if name not in names]
    if without:
        said.append(f"without {both(without)}")
    at = None
    if flags.at is not None:
        try:
            zone = schedule.zone(book.shop.timezone)
            at = schedule.from_text(_with_plus(flags.at), zone)
            said.append(schedule.as_text(at, zone))
        except (ValueError, OverflowError, OSError):
            problems.append(f"edge_at is {shown(flags.at)}: write a day or a moment, 2026-12-24 or 2026-12-24T10:00")
    if flags.off:
        said.append("the shop's own page")
    return Resolved(seen, at, forced, without, tuple(said), tuple(problems))


def _with_plus(text: str) -> str:
    """A query's ``+`` is a space (WHATWG URL): the one before an offset is given back."""
    return re.sub(r"(?<=[0-9]) (?=[0-9]{2}:?[0-9]{2}$)", "+", text) if len(text) > len("2026-12-24T10:00") else text


def _unknown(noun: str, value: str, names: Iterable[str]) -> str:
    names = list(names)
    listed = f"there is {both(names)}" if len(names) <= MOST_NAMED else ""
    hint = meant(value, names) or (listed if names else f"there is no {noun}")
    return f"unknown {noun} {shown(value)}" + (f" ({hint})" if hint else "")


def shown(text: str) -> str:
    """A value from outside as it may be told: quoted, short, without what cannot be printed."""
    return (
        '"' + "".join(one if one.isprintable() else "\ufffd" for one in text[:40]) + ('…"' if len(text) > 40 else '"')
    )
