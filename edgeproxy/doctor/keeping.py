"""What the page cache makes of the pages that were looked at.

Here: checks of ``[[cache]]`` tables against the shop's own answers, pure.  Not here: other caches (``headers``).
Called by ``examine``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgeproxy.doctor.model import Finding, Observed, Page, Severity, shown, some
from edgeproxy.pages.told import Kept, would_keep

_WAYS_OUT: Final = (
    ("it sets the cookie", "if these pages can do without it, name it in strip_set_cookie; else take them out of `on`"),
    ("CSRF token", "take these pages out of `on`, or let the shop fetch its token by script"),
    ("nonce", "take these pages out of `on`: a nonce is for one answer"),
    ("session id", "let the shop keep its session in a cookie alone, or take these pages out of `on`"),
    ("status is", "take these pages out of `on`: only whole pages with status 200 are kept by a rule"),
)


def keeping(seen: Observed) -> Iterator[Finding]:
    """Pages that a ``[[cache]]`` table names and that cannot be kept; and, where none is named, what would be."""
    book = seen.rules.book
    if book is None:
        return
    judged: list[tuple[Page, Kept]] = []
    for page in seen.pages:
        answer = page.last
        if answer.status and not answer.trouble:
            lines = [(name.lower(), value) for name, value in answer.headers]
            kept = would_keep(book, page.path, answer.status, lines, answer.body, seen.setup.at)
            judged.append((page, kept))
    lost = [(page, kept) for page, kept in judged if kept.rule is not None and kept.rule.fresh and not kept.kept]
    if lost:
        said = some([f"{shown(page.path)}: {kept.says}" for page, kept in lost])
        first = lost[0][1].says
        do = next((way for mark, way in _WAYS_OUT if mark in first), "take these pages out of `on`")
        yield Finding(Severity.LOOK, "cache", "A [[cache]] table names pages that cannot be kept", said, do)
    rest = [(page, kept) for page, kept in judged if (page, kept) not in lost and page.last.status == 200]
    if rest:
        title = "What edgeproxy keeps for many" if any(kept.kept for _, kept in rest) else "Each visit asks the shop"
        alike: dict[str, list[str]] = {}
        for page, kept in rest:
            alike.setdefault(kept.says, []).append(shown(page.path))
        ways = [f"{some(paths)}: {says}" for says, paths in alike.items()]
        more = f"; and {len(ways) - 2} more" if len(ways) > 2 else ""
        yield Finding(Severity.FINE, "cache", title, "; ".join(ways[:2]) + more)
