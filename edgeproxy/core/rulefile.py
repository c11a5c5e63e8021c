"""A rules folder's bytes → a RuleBook, or every mistake in it at once.

Here: which files there are, in what order they are read against one another, and the book that comes of it.  Not
here: files on disk (``rulebook``), what each kind of file holds (``core.rules``), HTML (``markup`` is handed in).
Called by ``rulebook.load``: the running proxy, ``edgeproxy check`` and every other command read rules by it.

A book is made only when nothing was a mistake; warnings do not keep it from being made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from edgeproxy.core import lint, manners
from edgeproxy.core.audiences import named
from edgeproxy.core.courtesy import codes, kept
from edgeproxy.core.manners import Manners
from edgeproxy.core.markup import Markup
from edgeproxy.core.model import (
    Audience,
    Choice,
    Experience,
    Fragment,
    Problem,
    RuleBook,
    RuleTest,
    Severity,
    Where,
)
from edgeproxy.core.recall import recall
from edgeproxy.core.rules import (
    audiences,
    caching,
    edits,
    error_pages,
    experiences,
    fragments,
    lifecycle,
    personas,
    shop,
    slots,
    tests,
)
from edgeproxy.core.rules import manners as listened
from edgeproxy.core.rules.fields import NAME, name_is_good
from edgeproxy.core.rules.sheet import Sheet, sheet
from edgeproxy.core.words import meant

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What came of a rules folder: ``book`` is None when a problem is a mistake; problems are sorted by place."""

    book: RuleBook | None
    problems: tuple[Problem, ...]

    @property
    def mistakes(self) -> tuple[Problem, ...]:
        return tuple(one for one in self.problems if one.severity is Severity.MISTAKE)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(one for one in self.problems if one.severity is Severity.WARNING)


def parse(
    files: Mapping[str, bytes],
    *,
    markup: Markup,
    folder: str = "rules",
    now: float | None = None,
    unread: Mapping[str, str] | None = None,
    words: Mapping[str, bytes] | None = None,
) -> Parsed:
    """Read a whole rules folder.

    ``files`` are names relative to the folder ("shop.toml", "experiences/x.toml") and their bytes; recorded pages
    (tests/pages/) are no rules and left out.  ``folder`` is how the folder is called in places.  ``now`` (seconds)
    lets schedules that are over be told.  ``unread`` are files that are there and cannot be read, and why.
    ``words`` are the word lists that come with edgeproxy, by language; without any, fragments are not listened to.
    """
    reading = _Reading(files, markup, f"{folder}/" if folder else "", unread or {}, now, words or {})
    book = reading.book()
    problems = tuple(sorted(set(reading.problems), key=lambda one: (one.where, one.severity.value, one.what)))
    return Parsed(None if book is None else replace(book, warnings=problems), problems)


def version(files: Mapping[str, bytes]) -> str:
    """The digest of a folder: 12 hex digits of SHA-256 over names and bytes, sorted by name."""
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        # Lengths first, so that no two folders read as one row of bytes.
        digest.update(b"%d %d " % (len(name.encode()), len(data)) + name.encode() + data)
    return digest.hexdigest()[:12]


class _Reading:
    """One pass over a folder, in the order in which files are read against one another."""

    def __init__(
        self,
        files: Mapping[str, bytes],
        markup: Markup,
        prefix: str,
        unread: Mapping[str, str],
        now: float | None,
        words: Mapping[str, bytes],
    ) -> None:
        self.files = {name: data for name, data in files.items() if not name.startswith(tests.PAGES)}
        self.markup = markup
        self.prefix = prefix
        self.unread = unread
        self.now = now
        self.words = words
        self.used = lint.Used(set(), set(), set())
        self.problems = [Problem(Where(prefix + name), why) for name, why in sorted(unread.items())]

    def book(self) -> RuleBook | None:
        """The book, without its warnings; None when something was a mistake."""
        self.strangers()
        sheet = self.sheet(shop.FILE)
        if shop.FILE not in self.there:
            self.mistake(shop.FILE, "is missing", "every rules folder has one; `edgeproxy init` makes a start")
        top = shop.UNREAD if sheet is None else shop.read(sheet)
        life = self.sheet(lifecycle.FILE)
        labels = top.labels if life is None else replace(top.labels, categories=lifecycle.categories(life))
        stages = None if life is None else lifecycle.read(life, top.labels)
        known_slots = self.tables(slots.FILE, lambda one: slots.read(one, self.markup))
        known_audiences = self.tables(audiences.FILE, lambda one: audiences.read(one, labels))
        shelf = self.shelf()
        above = [field.name for field in experiences.FIELDS]
        desk = edits.Desk(known_slots, shelf, labels, self.markup, self.used.slots, above)
        read = self.experiences(experiences.Shelf(known_audiences, self.used.audiences, top.zone, self.now, desk))
        order = self.order(top, list(read))
        whole = None if None in read.values() else codes(one for one in read.values() if one is not None)
        sampled = replace(labels, showings=whole)
        known_personas = self.tables(personas.FILE, lambda one: personas.read(one, sampled))
        promised = self.tests(tests.Bench(sampled, top.zone, known_slots, list(read), known_personas))
        ours = error_pages.read(self.files, self.prefix, self.markup, self.problems)
        self.used.fragments.update(shelf.used)
        heard = self.manners(top)
        cached = () if sheet is None else caching.read(sheet, None if top.shop is None else top.shop.never)
        if top.shop is None or any(one.severity is Severity.MISTAKE for one in self.problems):
            return None
        found = [read[name] for name in order]
        tried = tuple(one for one in found if one is not None)
        showings = kept(tried, top.shop.courtesy)
        book = RuleBook(
            version=version(self.files),
            shop=top.shop,
            slots=_whole(known_slots),
            audiences=_whole(known_audiences),
            experiences=tried,
            personas=_whole(known_personas),
            tests=promised,
            warnings=(),
            facts=_facts(_whole(known_audiences), tried),
            lifecycle=stages,
            recall=recall(stages, _whole(known_audiences), tried, counts=bool(showings)),
            showings=showings,
            cache=cached,
            error_pages=ours,
        )
        self.problems.extend(lint.warnings(book, self.used, shelf.files, shelf.folder, self.markup))
        if heard is not None:
            self.problems.extend(manners.warnings(book, heard))
        self.problems.extend(manners.selling(book))
        return book

    @property
    def there(self) -> set[str]:
        return {*self.files, *self.unread}

    def mistake(self, name: str, what: str, hint: str = "") -> None:
        self.problems.append(Problem(Where(self.prefix + name), what, hint=hint))

    def strangers(self) -> None:
        """Files that are none of those that rules are made of."""
        tops = (shop.FILE, slots.FILE, audiences.FILE, lifecycle.FILE, personas.FILE, listened.FILE)
        homes = {".toml": (experiences.FOLDER, tests.FOLDER), ".html": (fragments.FOLDER,)}
        texts = [name for name in self.files if name.startswith(error_pages.FOLDER)]
        for name in sorted(texts):
            if error_pages.status_of(name) is None:
                self.mistake(name, "is for no answer of edgeproxy's", error_pages.strange(name))
        for name in sorted(self.files.keys() - set(texts)):
            here = homes.get(name[name.rfind(".") :], ())
            if name in tops or (name.startswith(here) and not _nested(name)):
                continue
            hint = meant(name, tops) if name.endswith(".toml") and "/" not in name else ""
            if not hint and here and ("/" not in name or _nested(name)):
                hint = f'did you mean "{here[0]}{name.rpartition("/")[2]}"?'
            self.mistake(name, "is none of the files that rules are made of", hint or _HOMES)

    def sheet(self, name: str) -> Sheet | None:
        data = self.files.get(name)
        return None if data is None else sheet(self.prefix + name, data, self.problems)

    def tables(self, name: str, read: Callable[[Sheet], Mapping[str, T | None]]) -> Mapping[str, T | None] | None:
        """A file of named tables; {} when there is none, None when it could not be read."""
        if name not in self.there:
            return {}
        sheet = self.sheet(name)
        return None if sheet is None else read(sheet)

    def manners(self, top: shop.ReadShop) -> Manners | None:
        lists = listened.shipped(self.words, self.problems)
        sheet = self.sheet(listened.FILE)
        return None if sheet is None and listened.FILE in self.there else listened.read(sheet, lists, top.labels)

    def shelf(self) -> fragments.Library:
        folder = fragments.FOLDER
        found: dict[str, bytes | None] = {
            name.removeprefix(folder): self.files.get(name) for name in sorted(self.there) if name.startswith(folder)
        }
        return fragments.library(found, self.prefix, self.markup, self.problems)

    def experiences(self, shelf: experiences.Shelf) -> dict[str, Experience | None]:
        """Every experience by its name, alphabetically; None for one with a mistake."""
        found: dict[str, Experience | None] = {}
        for file in sorted(self.there):
            if not file.startswith(experiences.FOLDER) or not file.endswith(".toml") or _nested(file):
                continue
            name = file.removeprefix(experiences.FOLDER).removesuffix(".toml")
            found[name] = None
            sheet = self.sheet(file)
            if sheet is not None and name_is_good(name, sheet.top, "experience"):
                found[name] = experiences.read(name, sheet, shelf)
        return found

    def order(self, top: shop.ReadShop, names: list[str]) -> list[str]:
        """The order in which experiences are tried: as shop.toml says, then the others alphabetically."""
        order = [name for name in top.order or () if name in names]
        for index, name in enumerate(top.order or ()):
            if name not in names and top.order_spot is not None:
                near = meant(name, names) or f"there is no {self.prefix}{experiences.FOLDER}{name}.toml"
                top.order_spot.at(index).tell(f'unknown experience "{name}"', near)
        left = [name for name in names if name not in order]
        if top.order is not None:
            for name in filter(NAME.fullmatch, left):
                where = Where(f"{self.prefix}{experiences.FOLDER}{name}.toml")
                what = "is not in the order of shop.toml"
                hint = "it is tried after those that are"
                self.problems.append(Problem(where, what, name, hint, Severity.WARNING))
        return order + left

    def tests(self, bench: tests.Bench) -> tuple[RuleTest, ...]:
        files = [name for name in sorted(self.files) if name.startswith(tests.FOLDER) and name.endswith(".toml")]
        sheets = [self.sheet(name) for name in files]
        return tuple(test for sheet in sheets if sheet is not None for test in tests.read(sheet, bench))


_HOMES = (
    f"experiences lie in {experiences.FOLDER}, tests in {tests.FOLDER}, HTML in {fragments.FOLDER}, "
    f"error pages in {error_pages.FOLDER}"
)


def _nested(name: str) -> bool:
    return name.startswith(experiences.FOLDER) and name.count("/") > 1


def _whole(found: Mapping[str, T | None] | None) -> Mapping[str, T]:
    return {name: one for name, one in (found or {}).items() if one is not None}


# --------------------------------------------------------------------------- what a book looks at


def _facts(audiences: Mapping[str, Audience], tried: Iterable[Experience]) -> frozenset[str]:
    """Names of all the facts that any experience depends on: what the key of a decision must hold."""
    facts: set[str] = set()
    for one in tried:
        for name in one.audiences:
            facts |= named(audiences, name).test.facts()
        if one.when is not None:
            facts |= one.when.facts()
        if 0 < one.share < 1:
            facts.add("id")
        for edit in one.edits:
            facts |= _facts_of(edit.content)
    return frozenset(facts)


_LABEL_FACTS = {"segment": "segments", "stage": "stage"}


def _facts_of(content: Fragment | Choice | None) -> set[str]:
    if content is None:
        return set()
    if isinstance(content, Fragment):
        return {_LABEL_FACTS[name] for name in content.placeholders if name in _LABEL_FACTS}
    picks = {fact for name, fact in _LABEL_FACTS.items() if f"{{{name}}}" in content.template}
    inner = [*content.by_segment.values(), *content.by_stage.values(), *content.by_both.values(), content.or_else]
    return picks.union(*(_facts_of(one) for one in inner))
