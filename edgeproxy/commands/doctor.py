"""`edgeproxy doctor`: a set-up looked over before it goes live.

Here: the few GETs that it takes, one connection each, as edgeproxy itself would ask; what they mean is judged by
``edgeproxy.doctor``.  Nothing but GET is ever sent, at most ``MOST_GETS`` of them, and redirects are followed only
as long as they stay on the shop.  Progress goes to ``err``, the findings to ``out``.
"""

from __future__ import annotations

import argparse
import http.client
import json as jsons
import re
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TextIO
from urllib.parse import urlsplit

from edgeproxy import recordings, values
from edgeproxy.commands.looking import USER_AGENT, Usage, headers_of
from edgeproxy.content_coding import Undecodable, codings_of, decode
from edgeproxy.core.model import RawHeaders
from edgeproxy.core.signing import BadKey, Keys
from edgeproxy.doctor import examine
from edgeproxy.doctor.choose import PLAIN, wanted
from edgeproxy.doctor.model import Answer, Certificate, Observed, Page, Reach, Setup, Severity, hostname, shown, target
from edgeproxy.doctor.names import MOST_HOPS
from edgeproxy.doctor.report import as_json, as_text
from edgeproxy.html.guards import MAX_BYTES
from edgeproxy.origin import tls_context
from edgeproxy.paths import no_folder
from edgeproxy.rulebook import load
from edgeproxy.settings import keys_text

FINE, TO_FIX = 0, 1
MOST_GETS: Final = 10
CONNECT_SECONDS: Final = 5.0
DEADLINE: Final = 30.0  # of `serve`, unless told otherwise
_ADDRESS: Final = "203.0.113.9"  # a visitor of nowhere (RFC 5737)
_FIELD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*")
_COMPRESSED: Final = "gzip, br"


def run_doctor(
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
    out: TextIO,
    err: TextIO,
    *,
    clock: Callable[[], float] = time.time,
) -> int:
    """Look, judge, print.  Exit code: 0 fine, 1 something to fix; Usage when it cannot be done as asked."""
    setup, client = _prepared(arguments, err, clock())
    seen = look(setup, client, arguments.page, environ)
    findings = examine(seen)
    err.write("\n")
    if arguments.json:
        jsons.dump(as_json(findings, setup, client.gets), out, indent=2, ensure_ascii=False)
        out.write("\n")
    else:
        width = min(shutil.get_terminal_size((100, 24)).columns, 110)
        out.write(as_text(findings, setup, client.gets, width=width))
    return TO_FIX if any(one.severity is Severity.FIX for one in findings) else FINE


def _prepared(arguments: argparse.Namespace, err: TextIO, now: float) -> tuple[Setup, Client]:
    try:
        origin = values.origin(arguments.origin)
        host, origin_host = (
            values.origin_host(name.lower()) if name else None for name in (arguments.host, arguments.origin_host)
        )
    except values.Unfit as problem:
        raise Usage(f"{problem.what}; {problem.hint}") from None
    for page in arguments.page:
        if not PLAIN.fullmatch(page):
            raise Usage(f'--page wants a path of the shop, like /c/tea, got "{page}"')
    if why := no_folder(Path(arguments.rules)):
        raise Usage(f"{arguments.rules} {why}; name the rules folder with --rules, or make: edgeproxy init")
    tls = None
    if origin.startswith("https:"):
        try:
            tls = tls_context(Path(arguments.origin_ca) if arguments.origin_ca else None)
        except OSError as problem:  # ssl.SSLError is one
            raise Usage(f"--origin-ca: {problem.strerror or problem}") from None
    setup = Setup(origin, host, origin_host, arguments.rules, DEADLINE, now, arguments.origin_ca)
    headers = headers_of(arguments.header)
    if any(not _FIELD.fullmatch(name + b":" + value) for name, value in headers):
        raise Usage("--header has characters that no header may have")
    return setup, Client(setup, tls, headers, err)


# --------------------------------------------------------------------------- what is looked at


def look(setup: Setup, client: Client, asked: Sequence[str], environ: Mapping[str, str]) -> Observed:
    """Everything that is worth seeing of a set-up; stops early where the shop cannot be reached."""
    folder = Path(setup.rules)
    keys, trouble = None, ""
    try:
        keys = Keys.parse(keys_text(environ))
    except BadKey as problem:
        trouble = str(problem)
    seen = Observed(setup, Reach(), load(folder, now=setup.at), keys=keys, keys_trouble=trouble)
    seen = replace(seen, reach=client.reach())
    if seen.reach.trouble:
        return seen
    first = _page(client, "/")
    if not first.last.status:
        kind = "late" if first.last.trouble == _LATE else "http"
        return replace(seen, reach=replace(seen.reach, trouble=kind, what=first.last.trouble))
    pages = [first]
    direct = client.get(first.last.path, proto=None, coding=_COMPRESSED)
    plain = client.get(first.last.path, proto="http", coding=_COMPRESSED)
    try:
        recorded = list(recordings.read(folder))
    except (OSError, ValueError):
        recorded = []
    left: list[str] = []
    for path in wanted(seen.rules.book, asked, recorded, first, setup):
        if client.gets < MOST_GETS:
            pages.append(_page(client, path))
        else:
            left.append(path)
    return replace(seen, pages=tuple(pages), direct=direct, plain=plain, left_out=tuple(left))


def _page(client: Client, path: str) -> Page:
    """One page, asked for as edgeproxy would for a visitor, its own redirects followed."""
    setup = client.setup
    hops = [client.get(path, proto=setup.scheme)]
    while hops[-1].redirect and len(hops) < MOST_HOPS and client.gets < MOST_GETS:
        where = urlsplit(target(setup, hops[-1]))
        following = (where.path or "/") + (f"?{where.query}" if where.query else "")
        own = where.netloc.lower() == setup.visitors and where.scheme == setup.scheme
        if not own or not PLAIN.fullmatch(following) or following in (hop.path for hop in hops):
            break
        hops.append(client.get(following, proto=setup.scheme))
    return Page(path, tuple(hops))


# --------------------------------------------------------------------------- asking


@dataclass
class Client:
    """Asks the shop, a new connection for each GET, and counts."""

    setup: Setup
    tls: ssl.SSLContext | None
    headers: RawHeaders
    err: TextIO
    gets: int = 0
    _address: tuple[str, int] = field(default=("", 0), init=False)

    def reach(self) -> Reach:
        """Name, connection, TLS: each with its own trouble."""
        parts = urlsplit(self.setup.origin)
        name, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._address = (name, port)
        self._say(f"looking up {name}")
        try:
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except OSError as problem:
            return Reach(trouble="dns", what=problem.strerror or str(problem))
        addresses = tuple(dict.fromkeys(str(one[4][0]) for one in found))
        self._say(f"connecting to {addresses[0]}, port {port}")
        since = time.perf_counter()
        try:
            connection = socket.create_connection(self._address, CONNECT_SECONDS)
        except TimeoutError:
            return Reach(addresses, trouble="timeout", what=f"no connection within {CONNECT_SECONDS:g} s")
        except OSError as problem:
            return Reach(addresses, trouble="refused", what=problem.strerror or str(problem))
        took = time.perf_counter() - since
        with closing(connection):
            if self.tls is None:
                return Reach(addresses, took)
            self._say("shaking hands (TLS)")
            try:
                with self.tls.wrap_socket(connection, server_hostname=name) as safe:
                    return Reach(addresses, took, _certificate(safe))
            except ssl.SSLCertVerificationError as problem:
                return Reach(addresses, took, trouble="tls", what=problem.verify_message)
            except OSError as problem:
                return Reach(addresses, took, trouble="tls", what=problem.strerror or str(problem))

    def get(self, path: str, *, proto: str | None, coding: str = "identity") -> Answer:
        """One GET.  ``proto``: as edgeproxy asks for a visitor by that scheme; None: as if no proxy were there."""
        self.gets += 1
        lines = self._lines(proto, coding)
        since = time.perf_counter()
        first = 0.0
        told: http.client.HTTPResponse | None = None
        name, port = self._address
        connection = (
            http.client.HTTPSConnection(name, port, timeout=DEADLINE, context=self.tls)
            if self.tls is not None
            else http.client.HTTPConnection(name, port, timeout=DEADLINE)
        )
        try:
            with closing(connection):
                connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
                for key, value in lines:
                    connection.putheader(key, value)
                connection.endheaders()
                told = connection.getresponse()
                first = time.perf_counter() - since
                body = b""
                while len(body) <= MAX_BYTES and (data := told.read1(65536)):
                    body += data
                    if time.perf_counter() - since > DEADLINE:
                        raise TimeoutError
                if told.length and len(body) <= MAX_BYTES:  # read1 takes an early end for the end
                    raise http.client.IncompleteRead(body, told.length)
        except (OSError, http.client.HTTPException) as problem:
            status = told.status if told is not None else 0
            answer = Answer(path, status, proto=proto, first_byte=first, trouble=_words(problem))
        else:
            raw = tuple((k.lower().encode("latin-1"), v.encode("latin-1", "replace")) for k, v in told.getheaders())
            answer = _decoded(Answer(path, told.status, raw, body, proto, first, length=len(body)))
        answer = replace(answer, seconds=time.perf_counter() - since)
        self._say(f"GET {shown(path, 60)}  {_told(answer)}{self._under(proto)}")
        return answer

    def _lines(self, proto: str | None, coding: str) -> list[tuple[str, bytes]]:
        setup = self.setup
        lines = {"Host": setup.authority, "User-Agent": USER_AGENT, "Accept": "text/html,*/*;q=0.8"}
        lines |= {"Accept-Encoding": coding, "Connection": "close"}
        if proto is not None:
            lines |= {"Host": setup.origin_host or setup.visitors, "X-Forwarded-For": _ADDRESS}
            lines |= {"X-Forwarded-Proto": proto, "X-Forwarded-Host": setup.visitors, "CDN-Loop": "edgeproxy"}
            if coding == _COMPRESSED:
                lines["Via"] = "1.1 cdn.example"  # a CDN before edgeproxy would add one, and that passes on
        own = {key.decode("latin-1") for key, _ in self.headers}
        kept = [(key, value.encode("latin-1", "replace")) for key, value in lines.items() if key.lower() not in own]
        return kept + [(key.decode("latin-1"), value) for key, value in self.headers]

    def _under(self, proto: str | None) -> str:
        if proto is None:
            return f"  (as {hostname(self.setup.authority)}, without a proxy)"
        return "" if proto == self.setup.scheme else f"  (as by {proto})"

    def _say(self, text: str) -> None:
        self.err.write(f"  {text}\n")
        self.err.flush()


def _certificate(safe: ssl.SSLSocket) -> Certificate | None:
    told = safe.getpeercert()
    if not told:
        return None
    ends = ssl.cert_time_to_seconds(str(told["notAfter"]))
    names = told.get("subjectAltName", ())
    return Certificate(ends, tuple(str(pair[1]) for pair in names if isinstance(pair, tuple)))


def _decoded(answer: Answer) -> Answer:
    """Less its content codings; what cannot be undone is told."""
    if answer.length > MAX_BYTES and not codings_of(answer.headers):
        return answer  # cut off, and longer than what is ever edited: told as that
    try:
        return replace(answer, body=decode(answer.headers, answer.body, limit=MAX_BYTES))
    except Undecodable as problem:
        trouble = f"the shop's content coding cannot be undone: {problem}"
        if problem.kind == "too big" or answer.length > MAX_BYTES:
            trouble = f"unpacked it is more than {MAX_BYTES >> 20} MB"
        return replace(answer, body=b"", trouble=trouble)


_LATE: Final = f"no answer within {DEADLINE:g} s"


def _words(problem: Exception) -> str:
    if isinstance(problem, TimeoutError):
        return _LATE
    if isinstance(problem, http.client.RemoteDisconnected):
        return "the shop closed the connection without an answer"
    if isinstance(problem, ConnectionResetError):
        return "the shop reset the connection"
    if isinstance(problem, http.client.BadStatusLine):
        return "what answered is no HTTP"
    if isinstance(problem, http.client.IncompleteRead):
        return "the answer broke off"
    return f"{type(problem).__name__}: {problem}"


def _told(answer: Answer) -> str:
    if answer.trouble:
        return answer.trouble
    return f"{answer.status}  {answer.length:,} bytes  {answer.seconds:.2f} s"
