"""Do the rules meet the shop?  The folder, the keys, and every slot on the pages that were looked at.

Here: checks of a rule book against live pages, pure.  Not here: what edits come to there (``edits``), what pages say by
themselves (``markup``).  Called by ``examine``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgeproxy import starter
from edgeproxy.core.model import Expect, RuleBook, Slot
from edgeproxy.core.words import count
from edgeproxy.doctor.choose import active, used
from edgeproxy.doctor.edits import planned
from edgeproxy.doctor.model import Finding, Observed, Severity, shown, some
from edgeproxy.starter import Sample

_FIX, _LOOK, _FINE = Severity.FIX, Severity.LOOK, Severity.FINE


# --------------------------------------------------------------------------- the folder and the keys


def folder(seen: Observed) -> Iterator[Finding]:
    """What `edgeproxy check` says, in short."""
    parsed, name = seen.rules, seen.setup.rules
    check = f"edgeproxy check --rules {name}"
    if parsed.book is None:
        said = some([shown(str(one), 160) for one in parsed.mistakes], 2)
        title = f"The rules have {count(len(parsed.mistakes), 'mistake')}: they would not go live"
        yield Finding(_FIX, "rules", title, said, f"mend them; all of them: {check}")
        return
    book = parsed.book
    said = ", ".join(
        count(len(things), noun)
        for things, noun in ((book.slots, "slot"), (book.audiences, "audience"), (book.experiences, "experience"))
    )
    warnings = [one for one in parsed.warnings if one.subject != "consent"]  # asked in ``consent``, and once is enough
    if warnings:
        warned = some([shown(str(one), 160) for one in warnings], 2)
        title = f"The rules have {count(len(warnings), 'warning')}"
        yield Finding(_LOOK, "rules", title, warned, f"read them: {check}")
    else:
        yield Finding(_FINE, "rules", "The rules are in order", said)
    if not book.shop.enabled:
        do = f"take it out when you go live ({book.shop.where.file})"
        yield Finding(_LOOK, "rules", "Everything is switched off", "enabled = false in shop.toml", do)
    elif not active(book, seen.setup.at):
        do = "is something switched off, over, or at share 0 %?"
        yield Finding(_LOOK, "rules", "No experience is for anybody", said, do)


def keys(seen: Observed) -> Iterator[Finding]:
    """EDGEPROXY_KEYS: is there one, and is it worth something?"""
    if seen.keys is None:
        do = 'export EDGEPROXY_KEYS="$(edgeproxy key)", the same for the shop, which signs with it'
        yield Finding(_FIX, "keys", "serve would not start: no good key", shown(seen.keys_trouble, 200), do)
        return
    said = count(len(seen.keys), "key") + (", the last one signs" if len(seen.keys) > 1 else "")
    yield Finding(_FINE, "keys", "EDGEPROXY_KEYS is strong enough", said)


def money(seen: Observed) -> Iterator[Finding]:
    """Pages where people pay or sign in, which the rules reach without naming them."""
    book = seen.rules.book
    if book is None or not book.shop.enabled:
        return
    samples = [Sample(page.path, page.last.body, page.last.header("content-type")) for page in seen.documents]
    reached: list[str] = []
    for pattern in starter.money_paths(samples):
        path = pattern.removesuffix("/**")
        there = re.compile(re.escape(path.encode("latin-1", "replace")) + rb"(?![\w-])")
        linked = any(there.search(sample.body) for sample in samples)
        if linked and not (book.shop.never and book.shop.never.touches(path)) and _reaches(book, path, seen.setup.at):
            reached.append(pattern)
    if reached:
        patterns = ", ".join(f'"{one}"' for one in reached)
        do = f"if nobody should edit them, add them to never in shop.toml: {patterns}"
        title = "The rules reach pages where people pay or sign in"
        yield Finding(_LOOK, "money", title, some(reached, 6), do)
    elif samples:
        yield Finding(_FINE, "money", "Checkout and account are left alone", "but for edits that name them")


def _reaches(book: RuleBook, path: str, at: float) -> bool:
    """Some edit can be made there whose `on` does not spell this path out."""
    for experience in active(book, at):
        if experience.on is not None and (not experience.on.match(path) or path in experience.on.texts):
            continue
        for edit in experience.edits:
            slot = book.slots[edit.slot] if edit.slot is not None else None
            if slot is None or (
                slot.enabled and (slot.on is None or (slot.on.match(path) and path not in slot.on.texts))
            ):
                return True
    return False


# --------------------------------------------------------------------------- slots


def slots(seen: Observed) -> Iterator[Finding]:
    """Each slot that is edited, on each page that it should be on."""
    book = seen.rules.book
    if book is None or not seen.documents:
        return
    plans = planned(seen, book)
    good: list[str] = []
    unseen: list[str] = []
    moved: dict[str, list[str]] = {}
    for slot in used(book, seen.setup.at):
        counts = {path: page.slots[slot.name] for path, page in plans.items() if slot.name in page.slots}
        if not counts and (away := _moved(seen, slot)):
            moved.setdefault(away, []).append(slot.name)
            continue
        if not counts:
            unseen.append(f"{slot.name} ({', '.join(slot.on.texts) if slot.on else 'every page'})")
            continue
        found = [path for path, place in counts.items() if place.elements]
        none = [path for path, place in counts.items() if place.count == 0]
        many = {path: place.count for path, place in counts.items() if place.count > 1}
        where = f"mend find in {slot.where.short}"
        if many and slot.expect is Expect.ONE:
            said = f"{shown(slot.find)} matches {some([f'{number} on {shown(path)}' for path, number in many.items()])}"
            do = f'{where}, so that it matches one; or say expect = "any", to edit each of them'
            yield Finding(_FIX, "slot", f"Slot {slot.name} is there more than once: it would be left alone", said, do)
        if none and not found and not many:
            trouble = counts[none[0]].trouble or f"{shown(slot.find)} matches nothing"
            said = f"{trouble}; looked at {some([shown(path) for path in none])}"
            do = f"{where}: has the theme changed, is it made by script, or is it on other pages (on)?"
            yield Finding(_FIX, "slot", f"Slot {slot.name} is not there", said, do)
        elif none and not _named(slot, none) and slot.expect is Expect.ONE:
            said = f"{shown(slot.find)}: on {some(found or list(many))}; not on {some([shown(path) for path in none])}"
            do = f"nothing happens there but a count; narrow on in {slot.where.short} to where it is"
            yield Finding(_LOOK, "slot", f"Slot {slot.name} is on some of its pages", said, do)
        elif none and slot.expect is Expect.ONE:
            said = f"{shown(slot.find)}: on {some(found or list(many))}; not on {some(_named(slot, none))}"
            do = f"its on names the page: {where}; or is it sometimes without (an empty list, a search for nothing)?"
            yield Finding(_LOOK, "slot", f"Slot {slot.name} is not on a page that its on names", said, do)
        elif found and (not many or slot.expect is Expect.ANY):
            good.append(slot.name)
    for away, names in moved.items():
        title = f"{count(len(names), 'slot is', 'slots are')} on a page that redirects"
        do = "visitors arrive at the second address: name that one in on, in slots.toml"
        yield Finding(_FIX, "slot", title, f"{away}: {some(names)}", do)
    if unseen:
        do = "name a page that has it: --page /path"
        yield Finding(_LOOK, "slot", f"{count(len(unseen), 'slot')} could not be looked at", some(unseen), do)
    if good:
        title = f"{count(len(good), 'slot is', 'slots are')} where the rules say"
        yield Finding(_FINE, "slot", title, f"{some(good, 6)}; {count(len(plans), 'page')} looked at")


def _moved(seen: Observed, slot: Slot) -> str:
    """The redirect by which visitors leave the only page that a slot is on; "" when there is none."""
    for page in seen.pages:
        asked = page.asked.partition("?")[0]
        if slot.on is not None and page.path != asked and slot.on.match(asked):
            return f"{shown(asked)} → {shown(page.path)}"
    return ""


def _named(slot: Slot, paths: Sequence[str]) -> list[str]:
    return [path for path in paths if slot.on is not None and path in slot.on.texts]
