"""Findings as a person reads them, and as a machine does.  Pure.  Called by ``commands.doctor``."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from typing import Final

from edgeproxy.core.words import both, count
from edgeproxy.doctor.model import Finding, Setup, Severity, hostname

_NARROWEST: Final = 50
_HTTPS: Final = (
    "  (--trust names what ends TLS before edgeproxy, here on the same machine: without it the shop is told that",
    "  visitors use http. Or TLS is edgeproxy's own: --tls-cert FILE --tls-key FILE --listen 0.0.0.0:443)",
)


def as_text(findings: Sequence[Finding], setup: Setup, gets: int, *, width: int = 100) -> str:
    """The worst first, each with what was seen and what to do; what is fine in two columns at the end."""
    width = max(width, _NARROWEST)
    visitors = f"visitors at {setup.public}" if setup.host else "visitors' name not said (--host)"
    lines = [f"{setup.origin}, rules in {setup.rules}, {visitors}; {count(gets, 'GET')}, nothing else was sent", ""]
    for severity, heading in ((Severity.FIX, "Fix before going live"), (Severity.LOOK, "Look at these")):
        those = [one for one in findings if one.severity is severity]
        if those:
            lines += [f"{heading} ({len(those)})", ""]
        for number, one in enumerate(those, 1):
            lines += _wrapped(f"{number:3}. ", one.title, width)
            lines += _wrapped("     seen  ", one.seen, width)
            lines += _wrapped("     do    ", one.do, width) if one.do else []
            lines.append("")
    fine = [one for one in findings if one.severity is Severity.FINE]
    if fine:
        lines += [f"Fine ({len(fine)})", ""]
        column = min(max(len(one.title) for one in fine), width // 2)
        for one in fine:
            lines += _wrapped(f"     {one.title:<{column}}  ", one.seen, width, column + 7)
        lines.append("")
    return "\n".join([*lines, _verdict(findings, setup), ""])


def _wrapped(first: str, text: str, width: int, indent: int | None = None) -> list[str]:
    """Text under a label, broken between words; long words (addresses, selectors) stay whole, to be copied."""
    rest = " " * (len(first) if indent is None else indent)
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    ) or [first.rstrip()]


def _verdict(findings: Sequence[Finding], setup: Setup) -> str:
    fixes = sum(one.severity is Severity.FIX for one in findings)
    looks = sum(one.severity is Severity.LOOK for one in findings)
    said = both(
        filter(None, (count(fixes, "thing") + " to fix" if fixes else "", f"{looks} to look at" if looks else ""))
    )
    if fixes:
        return f"{said}. Mend the first, and run this again."
    done = f"Nothing to fix{f', {said}' if said else ''}."
    if setup.host is None:
        return done
    flags = {"--origin": setup.origin, "--origin-host": setup.origin_host, "--origin-ca": setup.origin_ca}
    flags |= {"--rules": setup.rules, "--host": hostname(setup.visitors)}
    if setup.scheme == "https":
        flags["--trust"] = "127.0.0.1"
    line = " ".join(f"{flag} {shlex.quote(value)}" for flag, value in flags.items() if value)
    return "\n".join([f"{done} Go live:", f"  edgeproxy serve {line}", *(_HTTPS if "--trust" in flags else ())])


def as_json(findings: Sequence[Finding], setup: Setup, gets: int) -> dict[str, object]:
    """For machines: ``about`` and ``severity`` are stable, titles are for people."""
    return {
        "origin": setup.origin,
        "visitors": setup.public if setup.host else None,
        "rules": setup.rules,
        "gets": gets,
        "counts": {kind.value: sum(one.severity is kind for one in findings) for kind in Severity},
        "findings": [
            {
                "severity": one.severity.value,
                "about": one.about,
                "title": one.title,
                "seen": one.seen,
                "do": one.do or None,
            }
            for one in findings
        ],
    }
