"""CSS selectors as they are asked of a page that is read one character a byte.

Here: whether a selector parses, and how it is written for a page's charset.  Not here: where its matches stand
(``locate``).  Called by ``plan`` and by the check of rule files.
"""

from __future__ import annotations

from functools import lru_cache

import turbohtml

_NOTHING = turbohtml.parse("", scripting=True)


@lru_cache(maxsize=4096)
def problem(selector: str) -> str | None:
    """What is wrong with a selector, in words; None when it parses."""
    try:
        _NOTHING.select(selector)
    except ValueError as mistake:
        return str(mistake)
    return None


@lru_cache(maxsize=4096)
def compiled(selector: str, codec: str) -> str | None:
    """The selector as the latin-1 view of a page in ``codec`` needs it; None: it has characters the charset lacks."""
    if selector.isascii():
        return selector
    try:
        return selector.encode(codec).decode("latin-1")
    except UnicodeEncodeError:
        return None
