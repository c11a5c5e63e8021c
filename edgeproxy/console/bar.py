"""The preview bar: says what is being previewed, and how to leave.  Goes to the end of body, in previews only.

Here: HTML out of ``core.preview.Active``.  Not here: where it is put (the proxy), the answer to its form
(``core.preview.leave``).  No script, no class, no id, no marker: inline styles alone, and a plain form that works where
a page's CSP forbids them.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from edgeproxy.console.pages import PAGES, ascii_html
from edgeproxy.core import query
from edgeproxy.core.preview import LEAVE_PATH, Active


def bar(active: Active) -> bytes:
    """The bar as ASCII HTML, to be inserted as it is into a page of any ASCII-compatible charset."""
    return ascii_html(
        PAGES.get_template("bar.html").render(
            said=active.said,
            problems=active.problems,
            leave=_absolute(active, LEAVE_PATH),
            back=address(active),
            why=_why(active) if active.may_explain and not active.explain else None,
        )
    )


def address(active: Active, *, explain: bool | None = None) -> str:
    """The previewed page's own path and query, percent-encoded; ``explain`` asks for its explanation or against it."""
    raw = active.request.query.encode("latin-1", "replace")
    if explain is not None:
        raw = b"&".join(part for part in (raw, b"edge_explain=1" if explain else b"edge_explain=0") if part)
    return query.target(active.request.path, raw).decode("ascii")


def _why(active: Active) -> str:
    return _absolute(active, address(active, explain=True))


def _absolute(active: Active, target: str) -> str:
    """With scheme and host: a page's ``<base>`` may say that paths are another host's."""
    return f"{active.request.scheme}://{active.request.host}{target}"


def readable(url: str) -> str:
    """A raw address as people read it: escapes of UTF-8 resolved where they are letters, else left."""
    try:
        text = unquote_to_bytes(url.encode("latin-1", "replace")).decode("utf-8")
    except UnicodeDecodeError:
        return url
    return text if text.isprintable() else url
