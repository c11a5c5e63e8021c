"""errors/STATUS.html: pages of the shop's own in place of ours, for what the proxy must refuse or cannot do.

Here: which statuses there are, and each file checked once.  Not here: when one is sent, and our own pages (``errors``
of the package); what makes HTML good (``markup`` says).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edgeproxy.core.markup import Markup, Parts
from edgeproxy.core.model import Problem, Where
from edgeproxy.core.rules.sheet import text_of

FOLDER: Final = "errors/"
STATUSES: Final = (400, 404, 405, 408, 413, 414, 421, 431, 502, 503, 504, 505, 508)
"""Every status that an answer of ours may have beside pages of the shop."""

PLACEHOLDERS: Final = ("request_id", "status")
LARGEST: Final = 64 * 1024
"""Bytes: it is sent for every request that is refused, also to those who send many."""

_KNOWN: Final = {f"{FOLDER}{status}.html": status for status in STATUSES}


def status_of(name: str) -> int | None:
    """The status that a file of the folder is for; None for a file that is none of these."""
    return _KNOWN.get(name)


def strange(name: str) -> str:
    """Why a file below errors/ is none, as a hint."""
    return f"name it after a status that edgeproxy answers with: {', '.join(map(str, STATUSES))}"


def read(files: Mapping[str, bytes], prefix: str, markup: Markup, problems: list[Problem]) -> dict[int, Parts]:
    """Every such page among a folder's files, by its status; one with a mistake, which is told, is left out."""
    found: dict[int, Parts] = {}
    for name, status in _KNOWN.items():
        data = files.get(name)
        if data is None:
            continue
        place = prefix + name
        if len(data) > LARGEST:
            hint = "it is sent with every refusal: let it refer to its pictures"
            problems.append(Problem(Where(place), f"is bigger than {LARGEST // 1024} KiB", hint=hint))
            continue
        text = text_of(place, data, problems)
        if text is None:
            continue
        parts, mistakes = markup.page(text, PLACEHOLDERS)
        problems.extend(Problem(Where(place, one.line, one.column), one.what, hint=one.hint) for one in mistakes)
        if not mistakes:
            found[status] = parts
    return found
