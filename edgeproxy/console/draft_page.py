"""The page in place of a previewed one whose draft of the rules cannot be shown: what is wrong with it, and where.

Here: HTML out of ``drafts.Draft``.  Called by ``previewing``.
"""

from __future__ import annotations

from edgeproxy.console.pages import PAGES
from edgeproxy.drafts import Draft


def draft_page(draft: Draft, *, leave: str, back: str) -> bytes:
    """A whole HTML document in UTF-8.

    ``leave`` is where a form that leaves the preview goes, ``back`` the path that it comes back to.
    """
    html = PAGES.get_template("draft.html").render(draft=draft, leave=leave, back=back)
    return html.encode("utf-8", "replace")
