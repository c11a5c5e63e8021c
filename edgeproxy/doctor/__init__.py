"""A set-up looked over before it goes live: what was seen of a shop → findings in words.

Here: ``examine``; ``model`` has the nouns, ``choose`` says which pages are worth a look, ``reach`` (connection, TLS,
statuses, time), ``names`` (redirects, Host), ``headers`` (cookies, caches), ``keeping`` (the page cache), ``markup``
(what pages say), ``rules`` and ``edits`` (whether the rules meet the shop), ``consent`` (whether visitors give theirs)
judge, ``platforms`` knows shop systems and their settings, ``report`` words it all.  All of it is pure.  Not here: a
single socket (``commands.doctor``).
"""

from __future__ import annotations

from edgeproxy.doctor import consent, edits, headers, keeping, markup, names, platforms, reach, rules
from edgeproxy.doctor.model import Finding, Observed, Severity

_ORDER = tuple(Severity)


def examine(seen: Observed) -> tuple[Finding, ...]:
    """Everything worth saying, the worst first; what concerns the way to the shop before what concerns its pages."""
    platform = platforms.recognise(seen.documents, tuple(seen.answers))
    found = [
        *reach.reach(seen),
        *rules.folder(seen),
        *rules.keys(seen),
        *consent.consent(seen),
        *reach.statuses(seen),
        *names.redirects(seen, platform),
        *names.host(seen, platform),
        *markup.addresses(seen, platform),
        *headers.cookies(seen, platform),
        *markup.forms(seen, platform),
        *rules.slots(seen),
        *edits.edits(seen),
        *rules.money(seen),
        *markup.pages(seen),
        *headers.caches(seen),
        *keeping.keeping(seen),
        *headers.codings(seen),
        *headers.hsts(seen),
    ]
    if seen.left_out:
        left = ", ".join(seen.left_out)
        do = "look again with fewer pages, or these alone: --page"
        found.append(Finding(Severity.LOOK, "page", "Pages that there was no GET left for", left, do))
    return tuple(sorted(found, key=lambda one: _ORDER.index(one.severity)))
