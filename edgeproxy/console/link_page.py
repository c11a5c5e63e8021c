"""The page with a preview link to copy.

Here: HTML out of ``core.asking.Linked``.  Not here: making the link.  Its one script copies the link at a click;
without scripts the link is text to copy.
"""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import Final

from edgeproxy.console.pages import PAGES
from edgeproxy.core import durations
from edgeproxy.core.asking import Linked

_SAID: Final = {"edge_off": "the shop's own page", "edge_outline": "what is changed outlined"}
_A_MOMENT: Final = 60  # seconds that have passed since the form was sent are none

CONTENT_TYPE: Final = "text/html; charset=utf-8"

SCRIPT: Final = """\
const field = document.querySelector("input");
const button = document.querySelector("button");
const told = document.querySelector("output");
field.addEventListener("focus", () => field.select());
button.hidden = false;
button.addEventListener("click", async () => {
  field.select();
  try { await navigator.clipboard.writeText(field.value); } catch { document.execCommand("copy"); }
  told.value = "Copied.";
});
button.focus();
"""
_HASH: Final = base64.b64encode(sha256(SCRIPT.encode()).digest()).decode()
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)


def link_page(made: Linked, now: float) -> bytes:
    """The link as a whole HTML document in UTF-8; ``now`` in seconds since the epoch."""
    html = PAGES.get_template("link.html").render(
        made=made,
        said=[
            _SAID.get(name) or f"{name.removeprefix('edge_')} {value or 'none'}" for name, value in made.flags.pairs()
        ],
        lasts=durations.words(made.expires - now + _A_MOMENT),
        script=SCRIPT,
    )
    return html.encode("utf-8", "replace")
