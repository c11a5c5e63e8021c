"""Is the shop there, under which names, and where does it send visitors?

Here: checks of connection, TLS, time, statuses, redirects and Host, pure: what was observed in, findings out.
Called by ``examine``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from edgeproxy.core.words import count
from edgeproxy.doctor.model import Finding, Observed, Severity, page_title, shown, some

SLOW: Final = 1.0  # seconds to the first byte that visitors would feel
DAY: Final = 86400.0
DAYS_SOON: Final = 30
DAYS_NOW: Final = 7

_FIX, _LOOK, _FINE = Severity.FIX, Severity.LOOK, Severity.FINE

_UNREACHABLE: Final = {
    "dns": (
        "The shop's name is not known here",
        "check the name in --origin; it must resolve on the machine that edgeproxy runs on, not only on yours",
    ),
    "refused": (
        "Nobody answers at the shop's address",
        "is the shop running, does it listen on this address and port, and does a firewall let this machine in?",
    ),
    "timeout": (
        "The shop does not answer in time",
        "a firewall that drops packets looks like this; try from the machine that edgeproxy will run on",
    ),
    "tls": (
        "No TLS with the shop: edgeproxy would answer 502 to everybody",
        (
            "--origin must have a name that the certificate has; for an authority of your own, name its file with"
            " --origin-ca FILE; on a private network http:// is an answer too"
        ),
    ),
    "late": (
        "The shop takes the connection and does not answer",
        "look into the shop's own log: does it wait for something (a database)? Or check http:// against https://",
    ),
    "http": (
        "What answers there does not speak HTTP",
        "check the port in --origin, and http:// against https://",
    ),
}


def reach(seen: Observed) -> Iterator[Finding]:
    """Name, connection, certificate."""
    setup, reached = seen.setup, seen.reach
    if reached.trouble:
        title, do = _UNREACHABLE[reached.trouble]
        yield Finding(_FIX, "reach", title, f"{setup.origin}: {shown(reached.what, 200)}", do)
        return
    at = some(reached.addresses)
    yield Finding(_FINE, "reach", "The shop is there", f"{setup.origin} ({at}), connected in {_ms(reached.connect)}")
    certificate = reached.certificate
    if certificate is not None:
        yield _certificate(certificate.ends - setup.at, certificate.names)
    elif any(_is_public(address) for address in reached.addresses):
        yield Finding(
            _LOOK,
            "tls",
            "Between edgeproxy and the shop everything travels in the open",
            f"{setup.origin} is an address of the internet, without TLS: cookies and passwords can be read on the way",
            "use https:// in --origin, or a private network",
        )


def _certificate(left: float, names: tuple[str, ...]) -> Finding:
    days = int(left // DAY)
    said = f"{count(days, 'day')} left" + (f"; it names {shown(some(names))}" if names else "")
    if days > DAYS_SOON:
        return Finding(_FINE, "tls", "The shop's certificate is valid", said)
    severity = _FIX if days <= DAYS_NOW else _LOOK
    do = "renew it; when it has ended, edgeproxy answers 502 to everybody, since it verifies the shop's TLS"
    return Finding(severity, "tls", f"The shop's certificate ends in {count(days, 'day')}", said, do)


# --------------------------------------------------------------------------- statuses and time


_ABSENT: Final = (404, 410)
_STATUS: Final = {
    400: "the shop may not know the name that it was asked for: see its list of allowed hosts",
    401: "the shop asks for a password: give one with --header 'Authorization: Basic …'",
    403: "a firewall or the shop refuses this machine: let the address of edgeproxy in",
    404: "is the path right? It comes from --page, from on, or from the pages recorded in tests/pages of the rules",
    421: "the server before the shop does not serve this name: add it there",
    429: "the shop limits requests by address, and behind edgeproxy all come from one: let it count by X-Forwarded-For"
    " for edgeproxy's address, or lift the limit for it",
    503: "the shop is closed for maintenance or too busy: look again when it is open",
}


def statuses(seen: Observed) -> Iterator[Finding]:
    """What the pages answered, and how soon."""
    for page in seen.pages:
        last = page.last
        if last.trouble:
            yield Finding(
                _FIX,
                "answer",
                f"{shown(page.asked)} cannot be read",
                shown(last.trouble, 200),
                "edgeproxy passes such an answer as it is, or answers 502: look into the shop's own log",
            )
        elif not last.redirect and last.status != 200:
            otherwise = "look into the shop's own log" if last.status >= 500 else "is the path right?"
            do = _STATUS.get(last.status, otherwise)
            if last.status in _ABSENT and _named_by_rules(seen, page.asked):
                do += ". The rules name this page (on): take it out there if the shop has no such page"
            what = f"{shown(page.asked)} answers {last.status}"
            yield Finding(_FIX, "answer", what, f"status {last.status}, {page_title(last) or 'no title'}", do)
        elif last.status == 200 and not last.html:
            kind = shown(last.header("content-type")) or "no Content-Type"
            do = "only text/html is ever edited: mend the Content-Type, or name another page with --page"
            yield Finding(_LOOK, "answer", f"{shown(page.asked)} is no HTML page", kind, do)
    times = [(answer.first_byte, answer.path) for answer in seen.answers if answer.status]
    if not times:
        return
    worst, path = max(times)
    said = f"first byte after {_ms(worst)} at most ({shown(path)})"
    if worst > seen.setup.deadline / 2:
        do = "edgeproxy gives up after --deadline SECONDS, with 504: make the page faster, or give it more time"
        yield Finding(_FIX, "time", f"The shop is near the deadline of {seen.setup.deadline:g} s", said, do)
    elif worst > SLOW:
        do = "edgeproxy adds about a millisecond to what the shop takes: a cache inside the shop is where time is won"
        yield Finding(_LOOK, "time", "The shop is slow", said, do)
    else:
        yield Finding(_FINE, "time", "The shop answers soon", said)


def _ms(seconds: float) -> str:
    if seconds < 0.001:
        return "under 1 ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _named_by_rules(seen: Observed, path: str) -> bool:
    book = seen.rules.book
    if book is None:
        return False
    sets = (*(slot.on for slot in book.slots.values()), *(experience.on for experience in book.experiences))
    return any(path in on.texts for on in sets if on is not None)


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
