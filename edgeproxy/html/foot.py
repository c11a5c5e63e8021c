"""The foot of a page: where something of ours can stand behind everything, however the page ends, and its policy.

Here: ``foot``, pure.  Not here: what is put there (a preview's bar).  Called by ``previewing``, for previews alone.

Shops leave elements open: what follows an open ``<div style="transform…">`` is laid out by it, and what follows an
open ``<textarea>`` or comment is its text.  Whatever is still open is closed before our element, which changes nothing:
the end of the page would have closed it there too.  An open ``<script>`` does not run; its end tag would make it run,
so there the place is at the beginning of body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import turbohtml

from edgeproxy.html import csp as policy
from edgeproxy.html.locate import Source, unclosed
from edgeproxy.html.margins import policies

_PROBE: Final = "<edge-probe></edge-probe>"
_LOOKS: Final = 3  # at what is still open once something was closed
_NEVER_CLOSED: Final = frozenset({"script", "plaintext", "noscript"})


@dataclass(frozen=True, slots=True)
class Foot:
    """``at``: offset in the page's bytes, a byte-order mark included; ``closing`` goes there before what is ours."""

    at: int
    closing: bytes
    styles: bool  # a <style> is let through, one with ``nonce`` if there is one
    own_styles: bool  # a stylesheet of the page's own host is
    nonce: str | None


def foot(page: bytes, bom: int = 0, *, csp: str | None = None) -> Foot | None:
    """Where an element becomes a child of body, in nothing else; None where no element can (a frameset, no body).

    ``csp`` is as ``plan`` takes it; a policy that only reports counts too, since nobody should be reported for us.
    """
    source = Source(page, bom)
    body = source.body_element
    if body is None:
        return None
    allowed = policy.read(policies(source, csp))
    for at, closing in _places(source, body):
        found = _settled(source, at, closing)
        if found is not None:
            return Foot(at + bom, found.encode("ascii"), allowed.style_elements, allowed.own_styles, allowed.nonce)
    return None


def _places(source: Source, body: turbohtml.Element) -> list[tuple[int, str]]:
    """Candidates, the best first: before ``</body>``, behind everything, behind ``<body>``."""
    found: list[tuple[int, str]] = []
    last = body.children[-1] if body.children else None
    still_open = unclosed(source, last)
    if _NEVER_CLOSED.isdisjoint(still_open):
        closing = "".join(f"</{tag}>" for tag in reversed(still_open))
        ends = [source.content_end] if source.content_end < len(source.text) else []
        for at in (*ends, len(source.text)):
            found += [(at, closing), (at, "-->" + closing)]
    location = source.location(body)
    if location is not None:
        found.append((location.start_tag.end_offset, ""))
    return found


def _settled(source: Source, at: int, closing: str) -> str | None:
    """``closing``, and what else it takes that an element behind it is a child of body; None when it never is."""
    for _ in range(_LOOKS):
        tree = turbohtml.parse(source.text[:at] + closing + _PROBE + source.text[at:], scripting=True)
        probe = tree.select_one("edge-probe")
        if probe is None:
            return None
        around = [node for node in probe.ancestors if isinstance(node, turbohtml.Element)]
        tags = [element.tag for element in around if element.tag not in {"html", "body"}]
        if not tags:
            return closing
        if not _NEVER_CLOSED.isdisjoint(tags):
            return None
        closing += "".join(f"</{tag}>" for tag in tags)
    return None
