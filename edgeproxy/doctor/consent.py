"""Do visitors consent to being remembered?  Asked once, with the consent tool that the shop's pages seem to have.

Here: [consent] of the rules against what pages show, pure.  Not here: judging a consent cookie (``core.consent``).
Called by ``examine``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgeproxy.core.model import ConsentForm
from edgeproxy.doctor.model import Finding, Observed, Severity

_LOOK, _FINE = Severity.LOOK, Severity.FINE

_TOOLS: Final = (  # (form, its name, what its pages hold)
    (ConsentForm.COOKIEBOT, "Cookiebot", (b"consent.cookiebot.com", b"consent.cookiebot.eu")),
    (ConsentForm.ONETRUST, "OneTrust", (b"cdn.cookielaw.org", b"otSDKStub.js", b"OptanonWrapper")),
    (ConsentForm.TCF, "a TCF consent tool", (b"__tcfapi", b"euconsent-v2")),
)


def consent(seen: Observed) -> Iterator[Finding]:
    """Only where the rules remember visitors."""
    book = seen.rules.book
    if book is None or book.recall is None:
        return
    said, asks = book.shop.consent, book.recall.where.short
    tool = next(
        ((form, name) for form, name, marks in _TOOLS for page in seen.documents for mark in marks
         if mark in page.last.body),
        None,
    )  # fmt: skip
    if said is None:
        title = "Visitors are remembered, and nothing says that they consent"
        looks = f"{asks} asks for it; shop.toml has no [consent]"
        do = 'is that meant? Then consent = { needed = false }; else [consent] with cookie = "…" and yes = "…"'
        if tool is not None:
            looks += f"; the pages have {tool[1]}"
            do = f'is that meant? Then consent = {{ needed = false }}; else [consent] with tool = "{tool[0].value}"'
        yield Finding(_LOOK, "consent", title, looks, do)
    elif not said.needed and tool is not None:
        title = "No consent is needed, say the rules, and the shop asks for it"
        do = f'in shop.toml: [consent] with tool = "{tool[0].value}", or keep it so if the tool asks for others only'
        yield Finding(_LOOK, "consent", title, f"consent = {{ needed = false }}; the pages have {tool[1]}", do)
    elif not said.needed:
        yield Finding(_FINE, "consent", "The shop declares that no consent is needed", "consent = { needed = false }")
    else:
        how = said.form.value if said.form is not ConsentForm.VALUE else "its value"
        yield Finding(_FINE, "consent", "Nobody is remembered without a yes", f"cookie {said.cookie}, read as {how}")
