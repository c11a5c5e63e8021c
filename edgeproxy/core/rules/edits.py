"""[[edit]]: one change of one slot, within an experience.

Here: reading one table of an edit: its slot, its one verb, its content.  The verbs themselves are ``html.edits``;
this module knows only their registry (``markup.verbs``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from edgeproxy.core.conditions import Labels
from edgeproxy.core.markup import Content, Form, Markup, VerbMistake, VerbSpec
from edgeproxy.core.model import Choice, Edit, Fragment, Slot
from edgeproxy.core.rules import fragments
from edgeproxy.core.rules.fields import Field, Row, text
from edgeproxy.core.rules.sheet import Spot
from edgeproxy.core.words import both, meant

SLOT = text("slot", "which slot of slots.toml is edited", required=True)
_ABOVE = "it belongs above the first [[edit]]"
OR_ELSE = "or_else"
OR_ELSE_HELP = "the fragment for visitors for whom the path's {segment} or {stage} has none"


@dataclass(frozen=True, slots=True)
class Desk:
    """What edits are read against: the slots (None: slots.toml could not be read), fragments, labels, markup."""

    slots: Mapping[str, Slot | None] | None
    shelf: fragments.Library
    labels: Labels
    markup: Markup
    used: set[str]  # slots that some edit names
    above: Collection[str]  # keys that belong above the first [[edit]], where TOML's tables mislead


def read(value: object, spot: Spot, desk: Desk) -> Edit | None:
    """One [[edit]]; None after every mistake was told."""
    if not isinstance(value, Mapping):
        spot.tell("an edit is a table", "begin with [[edit]]")
        return None
    verbs = desk.markup.verbs
    written = [key for key in value if key in verbs]
    spec = verbs[written[0]] if len(written) == 1 else None
    # A slot is asked for unless the verb edits the page; of two verbs or none, the first mistake says enough.
    slot_field: list[Field[object]] = [replace(SLOT, required=spec is not None and spec.needs_slot)]
    row = Row(value, spot, slot_field, [*verbs, OR_ELSE], dict.fromkeys(desk.above, _ABOVE))
    slot = row.get(SLOT)
    if slot is not None and not _slot_is_known(slot, row.at(SLOT), desk):
        row.wrong()
    if spec is None:
        if len(written) > 1:
            spot.at(written[1]).tell_key(f"{both(written)} in one edit", "write one [[edit]] for each")
        elif row.good or not _misspelt(value, verbs):
            spot.tell_key("says no verb", f"one of {', '.join(verbs)}")
        return None
    if slot is not None and not spec.needs_slot:
        row.at(SLOT).tell_key(f"{spec.name} edits the page and takes no slot", "leave slot out")
        row.wrong()
    return _act(spec, value, spot, row, desk)


def _slot_is_known(slot: str, spot: Spot, desk: Desk) -> bool:
    if desk.slots is None or slot in desk.slots:
        desk.used.add(slot)
        return True
    near = meant(slot, desk.slots)
    spot.tell(f'unknown slot "{slot}"', near or ("" if desk.slots else "slots.toml names none"))
    return False


def _misspelt(value: Mapping[str, object], verbs: Mapping[str, VerbSpec]) -> bool:
    """An unknown key that was probably meant to be the verb has been told already."""
    return any(meant(key, verbs) for key in value if key not in {SLOT.name, OR_ELSE})


def _act(spec: VerbSpec, value: Mapping[str, object], spot: Spot, row: Row, desk: Desk) -> Edit | None:
    place = spot.at(spec.name)
    said = value[spec.name]
    chosen: Fragment | Choice | None = None
    try:
        action = spec.parse(said)
        written = spec.content(said)
    except VerbMistake as mistake:
        place.tell(_named(spec.name, mistake.what), mistake.hint)
        return None
    if written is not None:
        chosen = fragments.content(written, place, desk.shelf, desk.labels, desk.markup)
    if OR_ELSE in value:
        instead = _or_else(spec, written, value[OR_ELSE], spot.at(OR_ELSE), desk)
        if instead is None:
            row.wrong()
        elif isinstance(chosen, Choice):
            chosen = replace(chosen, or_else=instead)
    for doubt in spec.doubts(said):
        place.warn(doubt)
    if not row.good or (written is not None and chosen is None):
        return None
    return Edit(row.get(SLOT) if spec.needs_slot else None, action, chosen, spot.key)


def _named(verb: str, what: str) -> str:
    """A verb's own sentence, begun with its name where it does not say it itself."""
    return what if verb in what else f"{verb}: {what}"


def _or_else(spec: VerbSpec, first: Content | None, said: object, spot: Spot, desk: Desk) -> Fragment | None:
    if first is None or first.form is not Form.PATH or not fragments.is_template(first.source):
        spot.tell_key(f"{OR_ELSE} is for a path with {{segment}} or {{stage}}", "leave it out")
        return None
    try:
        written = spec.content(said)
    except VerbMistake as mistake:
        spot.tell(f"{OR_ELSE}: {mistake.what}", mistake.hint)
        return None
    if written is None:
        return None
    if written.form is Form.PATH and fragments.is_template(written.source):
        spot.tell(f"{OR_ELSE} is one fragment for everybody else", "a path without {segment} and {stage}")
        return None
    chosen = fragments.content(written, spot, desk.shelf, desk.labels, desk.markup)
    return chosen if isinstance(chosen, Fragment) else None
