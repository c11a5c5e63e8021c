"""The explanation as a page: why somebody sees what they see.

Here: HTML out of ``core.explanation.Explanation``, the same sentences that the command prints.  Not here: finding them
out (``core.explain``), the headers of a preview (``respond``).  Called by the proxy for ``edge_explain`` and by the
console.  No script, no outside file; it reads well at 360 and at 1440 pixels, by day and by night.
"""

from __future__ import annotations

from typing import Final

from edgeproxy.console.bar import readable
from edgeproxy.console.pages import PAGES
from edgeproxy.core.explanation import NOBODYS, Explanation
from edgeproxy.core.model import Outcome

CONTENT_TYPE: Final = "text/html; charset=utf-8"
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""For the page's response: whatever a hostile label managed to be, it would not run."""

_GOOD: Final = frozenset({Outcome.APPLIED.value, Outcome.FITS.value, Outcome.PREVIEW.value})
_HALF: Final = frozenset({Outcome.SHADOWED.value, Outcome.NOT_PLACED.value})


def explain_page(
    explanation: Explanation, *, page: str | None = None, leave_path: str | None = None, back: str = "/"
) -> bytes:
    """The explanation as a whole HTML document in UTF-8.

    ``page`` is the address of the page itself, ``leave_path`` where a form that leaves the preview goes (None: this
    is none), ``back`` the path that it comes back to.
    """
    return (
        PAGES.get_template("explain.html")
        .render(
            told=explanation,
            url=readable(explanation.url),
            kinds={one.name: _kind(one.outcome) for one in explanation.experiences},
            nobodys=NOBODYS,
            page=page,
            leave_path=leave_path,
            back=back,
        )
        .encode("utf-8", "replace")
    )


def _kind(outcome: str) -> str:
    return "good" if outcome in _GOOD else "half" if outcome in _HALF else "none"
