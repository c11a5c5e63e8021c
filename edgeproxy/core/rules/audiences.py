"""audiences.toml: who is who.  What an audience's table means is ``core.audiences``."""

from __future__ import annotations

from collections.abc import Mapping

from edgeproxy.core.audiences import BUILT_IN
from edgeproxy.core.audiences import read as test
from edgeproxy.core.conditions import Labels
from edgeproxy.core.model import Audience
from edgeproxy.core.rules.fields import rows, text
from edgeproxy.core.rules.sheet import Sheet

FILE = "audiences.toml"

SAYS = text("says", "who they are, for people")


def read(sheet: Sheet, labels: Labels) -> Mapping[str, Audience | None]:
    """Every audience by its name; None for one with a mistake, which was told."""
    found: dict[str, Audience | None] = dict.fromkeys(sheet.values)
    for name, table, spot in rows(sheet.values, sheet.top, "audience"):
        if name in BUILT_IN:
            spot.tell_key(f'"{name}" is built in', "give yours another name")
            continue
        says = SAYS.read(table.get(SAYS.name, ""), spot.at(SAYS.name))
        lines = test(table, spot, labels)
        if says is not None and lines is not None:
            found[name] = Audience(name, lines, says, spot.key)
    return found
