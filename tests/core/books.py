"""The rule book of the decision tests: tests/data/rules-decide, and the same with some of its files changed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from edgeproxy.core.model import PageRequest, RuleBook, Shop, Source, Visitor
from edgeproxy.core.rulefile import parse
from edgeproxy.html.checks import HtmlMarkup

FOLDER = Path(__file__).parents[1] / "data" / "rules-decide"
NOW = 1_780_315_200.0  # 2026-06-01 12:00:00 UTC, a Monday
PHONE = (b"sec-ch-ua-mobile", b"?1")


def files() -> dict[str, bytes]:
    """The folder's files by name."""
    return {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in FOLDER.rglob("*.*") if path.is_file()}


def book(**changed: tuple[str, str]) -> RuleBook:
    """The book; ``shop=("a", "b")`` has "b" in place of "a" in shop.toml, other names are experiences."""
    read = files()
    for name, (old, new) in changed.items():
        file = "shop.toml" if name == "shop" else f"experiences/{name.replace('_', '-')}.toml"
        text = read[file].decode()
        assert old in text, f"{file} has no {old!r}"
        read[file] = text.replace(old, new).encode()
    parsed = parse(read, markup=HtmlMarkup())
    assert parsed.book is not None, "\n".join(map(str, parsed.problems))
    return parsed.book


@cache
def plain() -> RuleBook:
    """The book as it is."""
    return book()


def shop_of(made: RuleBook, **changed: object) -> RuleBook:
    """The book with other facts of the shop."""
    shop: Shop = replace(made.shop, **changed)  # type: ignore[arg-type]  # names are checked by replace
    return replace(made, shop=shop)


def ask(
    path: str = "/", *headers: tuple[bytes, bytes], at: float = NOW, query: str = "", method: str = "GET"
) -> PageRequest:
    """A request of a browser at a shop."""
    return PageRequest(method, "https", "shop.example", path, query, headers, at)


def who(stage: str | None = None, *segments: str, id: str | None = None) -> Visitor:  # noqa: A002 - the noun's own word
    """A visitor whose cookie was believed."""
    return Visitor(stage, segments, id, Source.COOKIE)


DISBELIEVED = Visitor(None, (), None, Source.DISBELIEVED, ("forged: its signature was not made by our key",))
