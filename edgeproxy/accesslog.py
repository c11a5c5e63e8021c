"""The access log: one line for each request, written beside the event loop.

Here: ``Served`` (what is known of an answered request), ``Again`` (one more like it), their two line formats, and a
writer that neither blocks nor raises.  Not here: counting (``journal``).  A line holds no query, no cookie, no token:
the path ends at its ``?``.
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple, TextIO

__all__ = ["Again", "LogWriter", "Repeated", "Served", "as_json", "as_text", "shortened"]

_log = logging.getLogger("edgeproxy")

_UNSAFE: Final = re.compile(r'[ "\\]')


class Served(NamedTuple):
    """One request and what came of it.  Durations are in milliseconds; names and sentences are text from anywhere."""

    at: float  # when it began, seconds since the epoch
    method: str
    host: str  # as the visitor named it
    path: str  # raw, before "?", one character a byte
    status: int  # 0: the connection closed without an answer
    bytes: int = 0  # of the body, as they left
    lane: str = "pass"  # "pass", "private", "shared"; "relay"; "refused": it went nowhere; "own": ours
    why: str = ""  # of the lane
    total_ms: float = 0.0
    origin_ms: float = 0.0  # of it, waiting for the shop
    edge_ms: float = 0.0  # of it, our own work
    request_id: str = ""
    client: str = ""  # the visitor's address
    source: str = ""  # where stage and segments came from: ``core.model.Source``'s words; "": nobody looked
    applied: tuple[str, ...] = ()  # experiences that changed the page
    outcomes: Mapping[str, int] = {}  # what became of the edits: "placed", "shadowed", "refused"
    failed: tuple[tuple[str, str], ...] = ()  # slots that stayed the shop's own, and why
    found: tuple[str, ...] = ()  # slots in which an edit was placed
    personal: bool = False  # a page that some experience could change, whoever asked
    stage: str = ""  # the visitor's labels as the rules saw them
    segments: tuple[str, ...] = ()
    preview: bool = False  # somebody looked as somebody else: logged, never counted
    problem: str = ""
    fault: bool = False  # something of ours failed
    cut: bool = False  # the answer was broken off
    cache: str = ""  # what the page cache came to: "hit", "stale", "confirmed", "miss", "pass", "bypass", "failed"


FIRST: Final = 0.0005
"""Seconds: the first bound of histograms (``counters.SECONDS``)."""


class Again(NamedTuple):
    """An answer that was given before in all but this: when, to whom, and how long it took."""

    of: Repeated
    at: float  # when it began, seconds since the epoch
    client: str  # the visitor's address
    ms: float  # all of it our own work
    request_id: str = ""  # where a proxy in front has named it; else it gets one when its line is written


class Repeated:
    """Answers that say the same, counted together: how many, and how long they took in all.

    ``served`` is one of them; its times, its client and its request id are of no account.
    """

    __slots__ = ("_json_parts", "_parts", "_waiting", "hits", "seconds", "served", "slow")

    def __init__(self, served: Served, waiting: list[Repeated]) -> None:
        """``waiting`` takes it in when there is something to count."""
        self._waiting = waiting
        self.served = served._replace(origin_ms=0.0)  # nobody waited for the shop
        self.hits = 0
        self.seconds = 0.0
        self.slow: list[float] = []  # seconds of those that took longer than the first bucket of a histogram
        self._parts: tuple[str, str, str, str] | None = None
        self._json_parts: tuple[str, str] | None = None

    def add(self, seconds: float) -> None:
        """One more of them."""
        if not self.hits:
            self._waiting.append(self)
        self.hits += 1
        self.seconds += seconds
        if seconds > FIRST:
            self.slow.append(seconds)

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """What stands in each line: before the times, between them, between times and request id, behind it."""
        if self._parts is None:
            served = self.served
            self._parts = (_asked(served), _cached(served), _became(served), _reasons(served))
        return self._parts

    @property
    def json_parts(self) -> tuple[str, str]:
        """The same in JSON: from method to times, and behind the address."""
        if self._json_parts is None:
            told = _told(self.served, "", "")
            middle = _FIELDS.index("total_ms")
            before = {name: told[name] for name in _FIELDS[1:middle] if name in told}
            after = {name: told[name] for name in _FIELDS[_FIELDS.index("client") + 1 :] if name in told}
            self._json_parts = json.dumps(before)[1:-1], json.dumps({"": "", **after})[len('{"": ""') :]
        return self._json_parts


_FIELDS: Final = Served._fields


def as_text(served: Served | Again, *, short: bool = True) -> str:
    """One line for people."""
    client = (shortened(served.client) if short else served.client) or "-"
    if isinstance(served, Again):
        (asked, cached, became, reasons), ms = served.of.parts, served.ms
        times, request_id = f"{ms:.1f}ms{cached} edge={ms:.1f}ms", served.request_id or _new_id()
        return f"{_moment(served.at)} {client} {asked} {times}{became} id={request_id}{reasons}\n"
    times = f"{served.total_ms:.1f}ms{_cached(served)}"
    if served.origin_ms:
        times += f" shop={served.origin_ms:.1f}ms"
    if served.edge_ms:
        times += f" edge={served.edge_ms:.1f}ms"
    request_id = f" id={served.request_id}" if served.request_id else ""
    return f"{_moment(served.at)} {client} {_asked(served)} {times}{_became(served)}{request_id}{_reasons(served)}\n"


def _new_id() -> str:
    """As ``sanitise.new_request_id``, for the thread that writes: chance that belongs to nobody else."""
    return f"{_chance.getrandbits(64):016x}"


_chance: Final = random.Random()


def _asked(served: Served) -> str:
    target = f'"{served.method} {_printable(served.host)}{_printable(served.path)}"'
    return f"{target} {served.status} {served.bytes}B {served.lane}"


def _cached(served: Served) -> str:
    return "" if served.cache in ("", "bypass", "pass") else f" cache={served.cache}"


def _became(served: Served) -> str:
    parts = [""]
    if served.source:
        parts.append(f"visitor={_quoted(served.source)}")
    if served.applied:
        parts.append("applied=" + ",".join(map(_printable, served.applied)))
    parts += [f"{name}={number}" for name, number in served.outcomes.items()]
    if served.failed:
        parts.append("left=" + ",".join(_printable(slot) for slot, _ in served.failed))
    parts += [name for name in ("preview", "fault", "cut") if getattr(served, name)]
    return " ".join(parts)


def _reasons(served: Served) -> str:
    why = f" why={_quoted(served.why)}" if served.why else ""
    return why + (f" problem={_quoted(served.problem)}" if served.problem else "")


_UNLOGGED: Final = ("found", "personal", "stage", "segments")
"""What only those who look at the console are told, from memory: nobody's labels are written down."""


def as_json(served: Served | Again, *, short: bool = True) -> str:
    """One line for machines; what is empty is left out."""
    if isinstance(served, Again):
        of, at, client, ms, request_id = served
        request_id = request_id or _new_id()
        shown, rounded = shortened(client) if short else client, round(ms, 3)
        if shown and rounded:  # else they are left out
            before, after = of.json_parts
            times = f'"total_ms": {rounded}, "edge_ms": {rounded}'
            who = f'"request_id": "{request_id}", "client": {json.dumps(shown)}'
            return f'{{"at": "{_moment(at)}", {before}, {times}, {who}{after}\n'
        served = of.served._replace(at=at, client=client, total_ms=ms, edge_ms=ms, request_id=request_id)
    told = _told(served, _moment(served.at), shortened(served.client) if short else served.client)
    return json.dumps(told) + "\n"


def _told(served: Served, at: str, client: str) -> dict[str, object]:
    fields = served._asdict()
    for name in _UNLOGGED:
        del fields[name]
    fields["at"] = at
    fields["client"] = client
    fields["path"] = _printable(served.path)
    fields["host"] = _printable(served.host)
    fields["failed"] = [{"slot": slot, "why": why} for slot, why in served.failed]
    for name in ("total_ms", "origin_ms", "edge_ms"):
        fields[name] = round(fields[name], 3)
    always = ("at", "method", "path", "status", "bytes", "lane", "total_ms")
    return {name: value for name, value in fields.items() if value or name in always}


@lru_cache(4096)
def shortened(address: str) -> str:
    """The network that an address is in (/24, or /48 of IPv6), which names no household; text that is none as "?"."""
    if not address:
        return ""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "?"
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(ip_network((found, 24 if found.version == 4 else 48), strict=False).network_address)


@lru_cache(64)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _moment(at: float) -> str:
    whole = int(at)
    return f"{_second(whole)}.{int((at - whole) * 1000):03}Z"


def _printable(text: str) -> str:
    """ASCII without spaces, quotes, backslashes and controls: a terminal shows it and obeys nothing in it."""
    if text.isascii() and text.isprintable() and not _UNSAFE.search(text):
        return text
    return "".join(
        c if "!" <= c <= "~" and c not in '"\\' else "".join(f"%{byte:02X}" for byte in _bytes(c)) for c in text
    )


def _bytes(character: str) -> bytes:
    return character.encode("latin-1" if character <= "\xff" else "utf-8", "replace")


def _quoted(text: str) -> str:
    return json.dumps(text) if not text.isalnum() or not text.isascii() else text


class LogWriter:
    """Writes records to a stream from a thread of its own, which comes with the work and leaves with it.

    ``put`` costs an append.  A stream that does not take what is written costs lines (``dropped``), never time.
    """

    MOST: Final = 20_000  # records that wait
    PAUSE: Final = 0.1  # seconds between two writes
    QUIET: Final = 50  # pauses without work, then the thread leaves

    def __init__(self, stream: TextIO, line: Callable[[Served | Again], str]) -> None:
        self.dropped = 0
        self._failing = False  # the last write was not taken
        self._stream = stream
        self._line = line
        self._waiting: deque[Served | Again] = deque()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def put(self, served: Served | Again) -> None:
        """Take a record; never blocks, never raises."""
        if len(self._waiting) >= self.MOST:
            self.dropped += 1
            return
        self._waiting.append(served)
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="access log", daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError:  # no thread to be had now: the next record asks again
                self._thread = None

    def flush(self) -> None:
        """Write what waits, here and now."""
        with self._writing:
            batch: list[Served | Again] = []
            while self._waiting:
                batch.append(self._waiting.popleft())
            if not batch:
                return
            try:
                self._stream.write("".join(map(self._line, batch)))
                self._stream.flush()
            except (OSError, ValueError) as problem:  # a closed pipe, a full disk
                self.dropped += len(batch)
                if not self._failing:
                    why = getattr(problem, "strerror", None) or problem
                    _log.error("the access log cannot be written (%s): lines are lost, and counted", why)
                self._failing = True
            else:
                if self._failing:
                    _log.info("the access log is written again; %d lines were lost so far", self.dropped)
                self._failing = False

    def close(self, seconds: float = 1.0) -> None:
        """Let the thread write what waits, but not for longer than ``seconds``."""
        self._closed.set()
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        if thread is None or not thread.is_alive():
            self.flush()

    def _run(self) -> None:
        quiet = 0
        while not self._closed.wait(self.PAUSE):
            quiet = 0 if self._waiting else quiet + 1
            self.flush()
            if quiet > self.QUIET:
                break
        self._thread = None
        self.flush()  # what came between the last look and this line
