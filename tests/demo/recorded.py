"""The pages that rules/tests/pages holds, and recording them anew: ``python -m tests.demo.recorded``."""

from __future__ import annotations

from pathlib import Path

from edgeproxy.recordings import Recording, write
from tests.demo.browser import Browser

RULES = Path(__file__).parents[2] / "rules"
PAGES = ("/", "/c/outdoor", "/p/hede-hiking-boot", "/basket", "/checkout")


def as_the_shop_sends_it(page: str) -> Recording:
    """With something in the basket where the page is nothing without."""
    visitor = Browser()
    if page in {"/basket", "/checkout"}:
        visitor.fill_basket()
        visitor.get("/basket")  # hears that the boot is in it
    answer = visitor.get(page)
    return Recording(page, answer.content, answer.headers["content-type"])


if __name__ == "__main__":
    for page in PAGES:
        print(write(RULES, as_the_shop_sends_it(page)))
