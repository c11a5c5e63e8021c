"""slots.toml: where things are in the theme; the only file that a theme change touches."""

from __future__ import annotations

from collections.abc import Mapping

from edgeproxy.core.markup import Markup
from edgeproxy.core.model import Expect, Slot
from edgeproxy.core.rules.fields import Field, Row, flag, paths, rows, text, word
from edgeproxy.core.rules.sheet import Sheet

FILE = "slots.toml"

SAYS = text("says", "what it is, for people")
FIND = text("find", "a CSS selector", required=True)
ON = paths("on", "path patterns of the pages where it is; left out: every page")
EXPECT = word(
    "expect",
    '"one" (default): where nothing or more than one matches, it is left alone; "any": each match is edited',
    [expect.value for expect in Expect],
)
ENABLED = flag("enabled", "false: nobody edits it")
ROUNDTRIP = flag("roundtrip", "true: where it cannot be spliced, the page may be parsed and written anew")

FIELDS: tuple[Field[object], ...] = (SAYS, FIND, ON, EXPECT, ENABLED, ROUNDTRIP)


def read(sheet: Sheet, markup: Markup) -> Mapping[str, Slot | None]:
    """Every slot by its name; None for one with a mistake, which was told."""
    found: dict[str, Slot | None] = dict.fromkeys(sheet.values)
    for name, table, spot in rows(sheet.values, sheet.top, "slot"):
        row = Row(table, spot, FIELDS)
        find = row.get(FIND)
        if find is not None and (problem := markup.selector_problem(find)):
            row.at(FIND).tell(f"find: {problem}")
            row.wrong()
        if find is not None and row.good:
            enabled, roundtrip = row.get(ENABLED), row.get(ROUNDTRIP)
            found[name] = Slot(
                name=name,
                find=find,
                on=row.get(ON),
                expect=Expect(row.get(EXPECT) or Expect.ONE.value),
                enabled=True if enabled is None else enabled,
                roundtrip=bool(roundtrip),
                says=row.get(SAYS) or "",
                where=spot.key,
            )
    return found
