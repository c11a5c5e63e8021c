"""Whether people who use a keyboard, a screen reader or big letters can use a page of ours: judged by axe-core.

Here: one question, asked of whatever a Playwright page shows.  axe does not see into closed shadow roots: what lives
in one is shown to it in an open one.
"""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def complaints(page: Page, within: str | None = None, *, but: tuple[str, ...] = ()) -> list[str]:
    """What axe finds wrong on the page, or inside the selector ``within``; rules named in ``but`` are not asked."""
    options: dict[str, Any] = {
        "runOnly": {"type": "tag", "values": STANDARDS},
        "resultTypes": ["violations"],
        "rules": {rule: {"enabled": False} for rule in but},
    }
    found = Axe().run(page, context=within, options=options).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for one in found
        for node in one["nodes"]
    ]
