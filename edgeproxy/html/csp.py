"""What a page's Content-Security-Policy lets us do: inline styles, and the nonce that lets more through.

Here: ``read``, called by ``plan``; ``nameless``, called by whoever remembers pages; pure.  Several policies hold
together: each must allow.

Source: CSP Level 3, 2.2 (parsing), 6.8.3 (fallbacks), 6.7.3.2 (inline behaviour).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_NONCE: Final = re.compile(r"'nonce-([A-Za-z0-9+/_-]+={0,2})'", re.IGNORECASE)
_HASH: Final = re.compile(r"'sha(?:256|384|512)-[^']+'", re.IGNORECASE)
_STYLES: Final = ("style-src-elem", "style-src", "default-src")
_STYLE_ATTRIBUTES: Final = ("style-src-attr", "style-src", "default-src")
_SCRIPTS: Final = ("script-src-elem", "script-src", "default-src")


@dataclass(frozen=True, slots=True)
class Csp:
    """``nonce``: the page's, None when no policy names one; the rest as in ``PagePlan``."""

    nonce: str | None = None
    inline_styles: bool = True
    style_elements: bool = True
    own_styles: bool = True  # a stylesheet of the page's own origin is let through


NONE: Final = Csp()


def read(policies: Iterable[str]) -> Csp:
    """What header values (comma-separated lists of policies) and ``<meta>`` contents come to, together."""
    parsed = [_directives(policy) for value in policies for policy in value.split(",") if policy.strip()]
    if not parsed:
        return NONE
    styles = [sources for policy in parsed if (sources := _sources(policy, _STYLES)) is not None]
    attributes = [sources for policy in parsed if (sources := _sources(policy, _STYLE_ATTRIBUTES)) is not None]
    scripts = [sources for policy in parsed if (sources := _sources(policy, _SCRIPTS)) is not None]
    nonce = _common(styles) or _common(scripts)
    return Csp(
        nonce,
        all(_all_inline(sources) for sources in attributes),
        all(_all_inline(sources) or (nonce is not None and nonce in _NONCE.findall(sources)) for sources in styles),
        all({"'self'", "*"} & set(sources.lower().split()) for sources in styles),
    )


def nameless(header: str | None) -> str | None:
    """A header's policies with their nonces numbered: two headers that differ in nonces alone come to the same."""
    if header is None or "nonce-" not in header.lower():
        return header
    numbers: dict[str, int] = {}
    return _NONCE.sub(lambda found: f"'nonce-{numbers.setdefault(found[1], len(numbers))}'", header)


def _directives(policy: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for directive in policy.split(";"):
        name, _, value = directive.strip().partition(" ")
        found.setdefault(name.lower(), value)
    return found


def _sources(policy: dict[str, str], names: Iterable[str]) -> str | None:
    return next((policy[name] for name in names if name in policy), None)


def _all_inline(sources: str) -> bool:
    """'unsafe-inline' counts only where no nonce and no hash stands beside it."""
    if _NONCE.search(sources) or _HASH.search(sources):
        return False
    return "'unsafe-inline'" in sources.lower()


def _common(lists: list[str]) -> str | None:
    """A nonce that every list names; else the first that one names."""
    nonces = [_NONCE.findall(sources) for sources in lists]
    for nonce in (nonce for some in nonces for nonce in some):
        if all(nonce in some for some in nonces):
            return str(nonce)
    return next((str(nonce) for some in nonces for nonce in some), None)
