"""The gist of a head: its lines without what no answer of the fast lane can depend on.

Here: which header lines those are, judged line by line and remembered by the line.  Not here: what a gist is answered
with (``fastlane``), whole heads and how they are judged (``asked``, ``sanitise``), a connection's bytes (``protocol``).
Called by ``fastlane`` for a head whose request line it knows.

Theory of operation
-------------------
Browsers send with nearly every request something that they never sent before: a Referer, the counters of analytics in
their cookies.  The lane's answer depends on little of a head, so the rest is left out, and what remains comes again.
A gist decides nothing: its answer is the one that was found, by the app's own judges, for the first head of this gist.
So all that has to hold is this: **two heads of one gist are judged alike.**  It does, because

    the bytes      a line is taken only in the one usual form: a name of letters, digits and hyphens, colon, space, a
                   value without controls and without spaces around it.  No reader sees two things in such lines, and
                   what they could be in relation to each other (framing, nominations) is left to the app by name
    left out       what the sanitiser drops whatever it says, or passes and ``core.sharing`` leaves out, and no fact of
                   the book is read from (``core.alike``, ``core.recollect``), and no kept page's Vary names
    made one       Accept that asks for HTML first; a field that facts are read from, by what they come to; cookies, by
                   how their names bear on a kept page (``core.sharing.bearing``) and by who the visitor is
    kept           everything else, byte for byte, in its order

A name that stands twice has no gist that is remembered: what two lines come to together is no line's own affair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from typing import Final, NamedTuple

from edgeproxy.core.alike import sayings
from edgeproxy.core.model import RawHeaders, RuleBook
from edgeproxy.core.policy import takes_html
from edgeproxy.core.recollect import READS
from edgeproxy.core.sharing import accepted_media, is_left_out
from edgeproxy.sanitise import ID_VALUE
from edgeproxy.server.asked import ELSEWHERE, Judge, Who
from edgeproxy.server.jar import EMPTY, Jar, Jars

__all__ = ["Gist", "Looks", "Reader"]

_CONTROLS: Final = bytes(range(32)) + b"\x7f"
_NAME: Final = re.compile(rb"[A-Za-z0-9-]{1,64}").fullmatch
_KEPT_ALIVE: Final = frozenset({b"keep-alive", b"Keep-Alive"})
_KEPT: Final = frozenset(
    b"""accept-encoding cdn-loop host if-modified-since if-none-match sec-fetch-dest x-forwarded-host
    x-forwarded-proto""".split()
)
"""Fields of which something is read in every request, or that a trusted proxy is believed in."""
_NOTHING: Final = b""
_CLOSE: Final = b"connection: close"
_OVERHEAD: Final = 200  # bytes that a remembered line takes beside its own
_JAR: Final = 700  # the same for cookies
_MOST_NAMES: Final = 1024
_MOST_ONCE: Final = 4096  # lines that came once: their hashes


class Looks(NamedTuple):
    """What answers depend on at present; another object when that changes."""

    book: RuleBook
    varying: frozenset[bytes]  # fields beside the key that kept pages vary by


Gist = tuple[tuple[Hashable, ...], Who, str, str]
"""What of a head an answer can depend on; who asks; their address and the request's id, where a trusted proxy told
them, else ""."""


class _Memo(NamedTuple):
    """A line that says something of memory: consent, or that nobody has decided to go there yet."""

    line: tuple[bytes, bytes]


class _Client(NamedTuple):
    address: str


class _RequestId(NamedTuple):
    text: str


_Said = bytes | Jar | _Memo | _Client | _RequestId
_Say = Callable[[bytes, bytes], _Said | None]


class _Unusual(Exception):
    """A line that the app judges."""


class _Lines(dict[bytes, _Said]):
    """Lines that came before; another one is judged as it is looked up."""

    __slots__ = ("_judged",)

    def __init__(self, judged: Callable[[bytes], _Said]) -> None:
        super().__init__()
        self._judged = judged

    def __missing__(self, line: bytes) -> _Said:
        return self._judged(line)


class Reader:
    """Of all connections over one scheme whose other ends are believed, or not (``trusted``).

    It remembers header lines up to ``most`` bytes, and visitors up to as many, then forgets them all: a line is judged
    in a microsecond or two.
    """

    def __init__(self, judge: Judge, *, trusted: bool, most: int) -> None:
        self._judge = judge
        self._trusted = trusted
        self._most = most
        self._looks: Looks | None = None
        self._lines = _Lines(self._judged)
        self._bytes = 0
        self._once: set[int] = set()
        self._names: dict[bytes, _Say | None] = {}
        self._sayings: Mapping[bytes, Callable[[bytes], Hashable]] = {}
        self._reads: frozenset[bytes] = frozenset()
        self._jars: Jars | None = None

    @property
    def size(self) -> int:
        """Bytes of the lines that are remembered, as far as they are counted."""
        return self._bytes

    def _use(self, looks: Looks) -> Jars:
        """Judge by these from now on, every line anew."""
        self._looks = looks
        self._sayings = sayings(looks.book)
        self._reads = READS if looks.book.recall is not None else frozenset()
        self._lines.clear()
        self._bytes = 0
        self._once.clear()
        self._names.clear()
        self._jars = Jars(self._judge, looks.book, most=self._most)
        return self._jars

    def read(self, lines: list[bytes], looks: Looks, now: float) -> Gist | None:
        """The gist of these header lines (without line ends); None: there is something unusual about them."""
        jars = self._jars
        if jars is None or looks is not self._looks:
            jars = self._use(looks)
        key: list[Hashable] = []
        jar = EMPTY
        memos: RawHeaders = ()
        client: str | None = None
        request_id = ""
        try:
            for one in filter(None, map(self._lines.__getitem__, lines)):  # without what says nothing
                if isinstance(one, bytes):
                    key.append(one)
                elif isinstance(one, Jar):
                    if jar is not EMPTY:
                        return None
                    jar = one
                elif isinstance(one, _Memo):
                    memos = (*memos, one.line)
                    key.append(one)
                elif isinstance(one, _Client):
                    if client is not None:
                        return None
                    client = one.address
                elif isinstance(one, _RequestId):
                    if request_id:
                        return None
                    request_id = one.text
        except _Unusual:
            return None
        who = jars.who(jar, memos, now)
        if who is None:
            return None
        key += (jar.bearings, who.mark)
        return tuple(key), who, client or "", request_id

    # ------------------------------------------------------------------ a line

    def _judged(self, line: bytes) -> _Said:
        """What a line comes to, remembered when it comes for the second time; raises _Unusual."""
        name, _, value = line.partition(b": ")
        if not value or value[0] == 32 or value[-1] == 32 or len(line.translate(None, _CONTROLS)) < len(line):
            raise _Unusual
        say = self._names.get(name, _unknown)
        if say is _unknown:
            say = self._say(name.lower()) if _NAME(name) else None
            if len(self._names) < _MOST_NAMES:
                self._names[name] = say
        said = None if say is None else say(name, value)
        if said is None:
            raise _Unusual
        once = hash(line)
        if once not in self._once:  # most new lines never come again
            if len(self._once) >= _MOST_ONCE:
                self._once.clear()
            self._once.add(once)
        elif said.__class__ is not _RequestId:
            size = len(line) + (_JAR if said.__class__ is Jar else _OVERHEAD)
            self._bytes += size
            if self._bytes > self._most:
                self._lines.clear()
                self._bytes = size
            self._lines[line] = said
        return said

    def _say(self, name: bytes) -> _Say | None:
        """How lines of this name are judged; None: by the app."""
        looks = self._looks
        assert looks is not None
        if name in ELSEWHERE:
            return None
        if name == b"connection":
            return _connection
        if name == b"cookie":
            return self._cookie
        if name == b"accept":
            return _accept
        if name in self._reads:
            return _memo
        if name in looks.varying:
            return _kept
        if name in self._sayings:
            return self._saying
        passes = self._judge.passes(name, trusted=self._trusted)
        if passes is False:
            return _nothing
        if name == b"x-forwarded-for":
            return self._client
        if name == b"x-request-id":
            return _request_id
        if name in _KEPT or name == self._judge.country_header:
            return _kept
        if passes is None:
            return None
        if name in _CONTROL or is_left_out(name, self._judge.country_header):
            return _nothing
        return _kept

    def _cookie(self, name: bytes, value: bytes) -> _Said | None:
        return self._jars.jar((b"cookie", value)) if self._jars is not None else None

    def _saying(self, name: bytes, value: bytes) -> _Said:
        name = name.lower()
        return b"%b: %r" % (name, self._sayings[name](value))

    def _client(self, name: bytes, value: bytes) -> _Said:
        return _Client(self._judge.visitor(value))


_CONTROL: Final = frozenset({b"cache-control", b"pragma"})
"""What is kept is served whatever a visitor says of caches, as by the app: a shop's freshness is not theirs to end."""


def _unknown(name: bytes, value: bytes) -> _Said | None:
    """Stands for a name that has not come before."""
    raise AssertionError


def _nothing(name: bytes, value: bytes) -> _Said:
    return _NOTHING


def _kept(name: bytes, value: bytes) -> _Said:
    return b"%b: %b" % (name.lower(), value)


def _connection(name: bytes, value: bytes) -> _Said | None:
    return _NOTHING if value in _KEPT_ALIVE else _CLOSE if value == b"close" else None


def _accept(name: bytes, value: bytes) -> _Said:
    """By what the shop is asked with; those that begin with HTML all name it, and may yet refuse it further on."""
    media = accepted_media(value)
    return b"accept: %b" % media if media == value or takes_html(value.decode("latin-1")) else _kept(name, value)


def _memo(name: bytes, value: bytes) -> _Said:
    return _Memo((name.lower(), value))


def _request_id(name: bytes, value: bytes) -> _Said | None:
    return _RequestId(value.decode()) if ID_VALUE(value) else None
