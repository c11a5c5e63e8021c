"""Our own pages' templates: one Jinja2 environment, everything escaped, nothing undefined.

Templates are package files beside this module.  Called by the modules of ``console`` that make pages.
"""

from __future__ import annotations

from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

PAGES: Final = Environment(
    loader=PackageLoader("edgeproxy.console", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=False,
)


def ascii_html(text: str) -> bytes:
    """HTML text for a page of any ASCII-compatible charset: other characters become references."""
    return text.encode("ascii", "xmlcharrefreplace")
