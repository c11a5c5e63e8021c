"""The nouns of a decision: what a visitor, a request, a rule and an answer are.

Here: frozen data, nothing that acts.  Not here: bytes of pages (``html.model``), sockets, files, clocks.
Everybody may import this module; it imports only the standard library and the nouns ``memory`` and
``showings``.

Times are seconds since the epoch (``float``, UTC) unless a name says otherwise; paths are the raw path
before ``?`` as it came on the wire, one character a byte (latin-1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from edgeproxy.core.memory import Memory
from edgeproxy.core.showings import NO_COURTESY, NO_LIMITS, Courtesy, HouseRules, Lookback

RawHeaders = tuple[tuple[bytes, bytes], ...]
"""Header lines in wire order, names lower-case, duplicates kept (RFC 9110, 5.2)."""


# --------------------------------------------------------------------------- who asks, and for what


class Source(Enum):
    """Where a visitor's stage and segments come from."""

    NOBODY = "no cookie"  # no cookie at all: stranger
    COOKIE = "cookie"  # a cookie whose signature holds
    MEMORY = "memory"  # no word of the shop's; what edgeproxy remembers gives a stage (``lifecycle``)
    DISBELIEVED = "disbelieved"  # a cookie that proves nothing: no audience, not even "everyone"
    PREVIEW = "preview"  # swapped in by preview flags, a persona or a command


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: labels that a signed cookie proves (contract: the README's chapter on the visitor cookie)."""

    stage: str | None
    segments: tuple[str, ...]
    id: str | None
    source: Source
    problems: tuple[str, ...] = ()  # why a cookie was disbelieved or a label dropped, in words
    memory: Memory | None = None  # of edgeproxy's own; None: every fact of it is unknown
    unremembered: str = ""  # why there is no memory, in words


NOBODY = Visitor(None, (), None, Source.NOBODY)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The facts of a request that rules may look at; ours (flags, token) are already cut out of ``query``."""

    method: str
    scheme: str  # of the visitor's own connection: "http" or "https"
    host: str  # as the Host header has it, lower-case, with its port if it names one
    path: str  # raw, before "?"
    query: str  # raw, after "?", without our own flags
    headers: RawHeaders
    at: float  # the moment that is decided for
    country: str | None = None  # from a trusted proxy's header only, upper-case

    def header(self, name: bytes) -> str | None:
        """The first value of a header (lower-case name), as latin-1 text; None when it was not sent."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None


# --------------------------------------------------------------------------- what the operator wrote


@dataclass(frozen=True, slots=True, order=True)
class Where:
    """A place in the rules folder; line and column count from 1, 0 means the whole file."""

    file: str  # path relative to the folder that holds rules/, e.g. "rules/audiences.toml"
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return self.file + "".join(f":{n}" for n in (self.line, self.column) if n)

    @property
    def short(self) -> str:
        """``file:line``, as reasons and explanations show it."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Severity(Enum):
    MISTAKE = "mistake"  # the folder may not go live
    WARNING = "warning"  # it may; somebody should look


@dataclass(frozen=True, slots=True)
class Problem:
    """Something an operator should know, with its place: printed as ``where: subject: what (hint)``."""

    where: Where
    what: str
    subject: str = ""  # the table or name it is about, "" when the file is
    hint: str = ""  # 'did you mean "stage"?'
    severity: Severity = Severity.MISTAKE

    def __str__(self) -> str:
        subject = f"{self.subject}: " if self.subject else ""
        warning = "warning: " if self.severity is Severity.WARNING else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.where}: {warning}{subject}{self.what}{hint}"


class Paths(Protocol):
    """A set of path patterns (``core.paths``)."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The patterns as written."""

    def match(self, path: str) -> bool:
        """For ``on`` and cache rules: both forms of the path match and no exclusion holds."""

    def touches(self, path: str) -> bool:
        """For ``never``: either form of the path matches."""


class Expect(Enum):
    ONE = "one"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the theme that edits may change."""

    name: str
    find: str  # CSS selector
    on: Paths | None  # None: every page
    expect: Expect
    enabled: bool
    roundtrip: bool  # the owner allows parse-and-serialise where it cannot be spliced
    says: str
    where: Where


class Reasons(list[str]):
    """Sentences collected by conditions as they judge; handed in only when somebody asked for them."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What conditions judge: the visitor with the book's labels applied, the request, the book's own words."""

    visitor: Visitor
    request: PageRequest
    shop: Shop


class Condition(Protocol):
    """One thing that can hold or not; ``None`` means that the fact is unknown (Kleene's third value)."""

    def holds(self, facts: Facts, reasons: Reasons | None = None) -> bool | None:
        """Judge; append the sentence why to ``reasons`` when they are asked for."""

    def facts(self) -> frozenset[str]:
        """Names of the facts looked at ("stage", "segments", "device", "query.color"…): what a decision's key needs."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who: every line of its table must hold."""

    name: str
    test: Condition
    says: str
    where: Where


@dataclass(frozen=True, slots=True)
class Piece:
    """A placeholder inside a fragment and where it stands: ``name`` is segment, stage, path or nonce."""

    name: str
    context: str  # "text", "attribute" or "nonce"


@dataclass(frozen=True, slots=True)
class Fragment:
    """HTML that we insert: literal text and placeholders in turn; checked for well-formedness at load."""

    path: str  # below fragments/, or the place of an inline { html = … } / { text = … }
    parts: tuple[str | Piece, ...]
    where: Where

    @property
    def placeholders(self) -> frozenset[str]:
        """Names of the placeholders used; a page with "nonce" is never shared, "path" never across paths."""
        return frozenset(part.name for part in self.parts if isinstance(part, Piece))


@dataclass(frozen=True, slots=True)
class Choice:
    """Content picked by the visitor: ``curated-{segment}.html``; every combination was checked at load."""

    template: str
    by_segment: Mapping[str, Fragment]  # in shop.toml's order of segments; empty when only {stage} is used
    by_stage: Mapping[str, Fragment]  # used when the template names {stage} alone
    by_both: Mapping[tuple[str, str], Fragment]  # (segment, stage) when it names both
    or_else: Fragment | None


class Action(Protocol):
    """What an edit does, made by a verb of ``html.edits``; opaque to ``core``, hashable, compared by value."""

    @property
    def verb(self) -> str:
        """The verb's name in rules."""

    @property
    def takes_slot(self) -> bool:
        """True when the first experience that does this owns the slot (RULES: how a decision is made)."""

    @property
    def texts(self) -> tuple[str, ...]:
        """What people read of it that is no content: titles, placeholders, descriptions of pictures."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of one slot."""

    slot: str | None  # None only for ``style``
    action: Action
    content: Fragment | Choice | None
    where: Where


@dataclass(frozen=True, slots=True)
class Experience:
    """What an audience gets; the file's name is its name."""

    name: str
    audiences: tuple[str, ...]  # names, or the built-in "everyone", "unknown"; any of them
    edits: tuple[Edit, ...]
    on: Paths | None
    when: Condition | None
    begins: float | None  # seconds since the epoch, inclusive
    ends: float | None  # exclusive
    share: float  # 0.0 to 1.0
    whole: bool
    enabled: bool
    purpose: str
    says: str
    because: str
    owner: str
    where: Where
    category: tuple[str, ...] = ()  # what it is about, in the codes of orders
    courtesy: Courtesy = NO_COURTESY
    simplifies: bool = False  # of purpose "help", and takes something away


@dataclass(frozen=True, slots=True)
class Persona:
    """A sample visitor, for preview and tests."""

    name: str
    visitor: Visitor
    says: str
    where: Where


class ConsentForm(Enum):
    """How a shop's consent cookie says what was consented to (``core.consent`` reads each)."""

    VALUE = "value"  # the whole value matches a pattern
    TCF = "tcf"  # IAB Transparency and Consent Framework, version 2
    COOKIEBOT = "cookiebot"
    ONETRUST = "onetrust"


@dataclass(frozen=True, slots=True)
class Consent:
    """Where the visitor's consent stands, and what of it is needed to remember them ([consent] in shop.toml)."""

    needed: bool  # False: the shop declares that none is
    cookie: str = ""
    form: ConsentForm = ConsentForm.VALUE
    wanted: tuple[str, ...] = ()  # patterns (any of them), or purposes, categories, groups (all of them)


@dataclass(frozen=True, slots=True)
class LifeStage:
    """One way into a lifecycle stage ([[stage]] in lifecycle.toml)."""

    name: str
    test: Condition | None  # None: where everybody begins
    says: str
    where: Where


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What moves a visitor from stage to stage, and what counts as an event (lifecycle.toml)."""

    stages: tuple[LifeStage, ...]  # the last one whose lines hold is the visitor's
    events: Mapping[str, Paths]  # event → pages of the shop that say, by a 2xx, that it happened
    categories: tuple[str, ...] | None  # that orders may name; None: any
    where: Where


@dataclass(frozen=True, slots=True)
class Recall:
    """What of a visitor has to be remembered, so that the rules of a book can look at it."""

    page_views: int  # are counted up to here; 0: not at all
    events: frozenset[str]  # whose moment some rule asks for
    conditions: tuple[Condition, ...]  # every single condition about memory: their answers are all that a key needs
    where: Where  # the first rule that asks


@dataclass(frozen=True, slots=True)
class Shop:
    """What holds for the whole shop (shop.toml)."""

    timezone: str
    stages: tuple[str, ...]
    segments: tuple[str, ...]
    without_cookie: str | None  # a stage; None: "untouched"
    never: Paths | None
    enabled: bool
    language: str  # of our own error pages and notices: "en", "sv", "de"
    where: Where
    consent: Consent | None = None  # None: nothing is said, so none is needed
    courtesy: HouseRules = NO_LIMITS


class Names(Protocol):
    """A set of names, some with stars (``core.cacherules``)."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The names as written."""

    def __contains__(self, name: str, /) -> bool:
        """Is it one of them?"""


@dataclass(frozen=True, slots=True)
class CacheRule:
    """One ``[[cache]]`` of shop.toml: what the operator knows of these pages and the shop does not say.

    Two rules are equal when they say the same of the pages that they share, whatever else they name: a page that was
    stored under one may be used under the other.
    """

    on: Paths = field(compare=False)
    fresh: float  # seconds; 0: these pages are never stored
    stale: float  # seconds beyond, while the page is asked for anew behind it
    stale_if_error: float  # seconds beyond, while the shop fails
    ignore_query: Names  # keys that are no part of the address
    ignore_cookies: Names  # cookies that the page does not depend on
    bypass_cookies: Names  # a visitor who has one gets a page of their own
    strip_set_cookie: Names  # cookies that the stored page need not set
    where: Where = field(compare=False)

    def __hash__(self) -> int:
        return hash((self.fresh, self.stale, self.stale_if_error))  # of every key: lists of names are not gone through


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One ``[[test]]`` of rules/tests/*.toml."""

    it: str
    visitor: Visitor
    page: str  # path, with query if there is one
    at: float | None
    shows: Mapping[str, str | None]  # slot → experience; None: the shop's own
    has: tuple[str, ...]
    without: tuple[str, ...]
    headers: RawHeaders
    where: Where
    country: str | None = None


@dataclass(frozen=True, slots=True)
class RuleBook:
    """A whole rules folder that passed every check; never changed, only replaced."""

    version: str  # digest of every byte that was read, 12 hex digits
    shop: Shop
    slots: Mapping[str, Slot]
    audiences: Mapping[str, Audience]
    experiences: tuple[Experience, ...]  # in the order in which they are tried
    personas: Mapping[str, Persona]
    tests: tuple[RuleTest, ...]
    warnings: tuple[Problem, ...]
    facts: frozenset[str] = field(default_factory=frozenset)  # every fact that any rule looks at
    error_pages: Mapping[int, tuple[str | Piece, ...]] = field(default_factory=dict)  # by status, in place of ours
    lifecycle: Lifecycle | None = None
    recall: Recall | None = None  # None: no rule looks at memory, so nothing is remembered
    cache: tuple[CacheRule, ...] = ()  # in the order in which they are tried
    showings: Mapping[str, Lookback] = field(default_factory=dict)  # code → what of its showings is remembered


# --------------------------------------------------------------------------- what was decided


class Outcome(Enum):
    """How an experience ended, for this visitor on this page (closed: RULES, how a decision is made)."""

    APPLIED = "applied"
    SHADOWED = "shadowed"
    NOT_PLACED = "not placed"
    NOT_FOR_AUDIENCE = "not for this audience"
    NOT_ON_PAGE = "not on this page"
    NOT_WHEN = "not when this is so"
    NOT_YET = "not yet"
    OVER = "over"
    NOT_IN_SHARE = "not in the share"
    DECLINED = "declined by the visitor"
    NO_MEMORY = "nothing is remembered"
    STOPPED = "stopped"
    SUPPRESSED = "suppressed"
    TOO_SOON = "too soon"
    CAPPED = "shown often enough"
    GROUPED = "another of its group is shown"
    CROWDED = "enough on this page"
    OFF = "off"
    PREVIEW = "forced by preview"
    FITS = "fits"  # decided, not yet placed: what `decide` alone can say


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one experience, and why, in words."""

    experience: Experience
    outcome: Outcome
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Which experiences fit, in order; needs no page.  ``steps`` only when reasons were asked for."""

    fitting: tuple[Experience, ...]
    steps: tuple[Step, ...]
    visitor: Visitor  # as the book sees it: unknown labels dropped, without_cookie applied
    forced: str | None  # experience that a preview forced
    book_version: str


class LaneKind(Enum):
    PASS = "pass"  # untouched, streamed both ways  # noqa: S105 - a lane, not a password
    PRIVATE = "private"  # this visitor's page, rewritten now
    SHARED = "shared"  # one fetch, one parse, one splice for many


@dataclass(frozen=True, slots=True)
class Lane:
    kind: LaneKind
    why: str
    personal: bool = False  # the page has slots in force: its answer varies by visitor, whoever asks
