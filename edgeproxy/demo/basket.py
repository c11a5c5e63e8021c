"""What is in the basket: lines, sums, and the cookie that carries them.

The cookie holds plain ids, ``slug.colour.count`` joined by ``~``: nothing in it is worth forging, since prices
are the catalogue's.  Whatever a visitor sends is read without error; what makes no sense is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .catalogue import Catalogue, Colour, Product

COOKIE = "vs_basket"
MOST_LINES = 20
MOST_OF_ONE = 9
FREE_DELIVERY = 800  # kronor
DELIVERY = 59


@dataclass(frozen=True, slots=True)
class Line:
    product: Product
    colour: Colour
    count: int

    @property
    def key(self) -> str:
        return f"{self.product.slug}.{self.colour.slug}"

    @property
    def sum(self) -> int:
        return self.product.price * self.count


@dataclass(frozen=True, slots=True)
class Basket:
    lines: tuple[Line, ...] = ()

    @property
    def count(self) -> int:
        return sum(line.count for line in self.lines)

    @property
    def goods(self) -> int:
        return sum(line.sum for line in self.lines)

    @property
    def delivery(self) -> int:
        return 0 if self.goods >= FREE_DELIVERY or not self.lines else DELIVERY

    @property
    def total(self) -> int:
        return self.goods + self.delivery

    def add(self, product: Product, colour: Colour, count: int = 1) -> Basket:
        key = f"{product.slug}.{colour.slug}"
        if any(line.key == key for line in self.lines):
            lines = tuple(
                replace(x, count=min(MOST_OF_ONE, x.count + count)) if x.key == key else x for x in self.lines
            )
        else:
            lines = (*self.lines, Line(product, colour, min(MOST_OF_ONE, count)))[:MOST_LINES]
        return Basket(lines)

    def set(self, key: str, count: int) -> Basket:
        """Change how many of a line; 0 takes it out."""
        changed = (replace(x, count=min(MOST_OF_ONE, count)) if x.key == key else x for x in self.lines)
        return Basket(tuple(line for line in changed if line.count > 0))

    def cookie(self) -> str:
        return "~".join(f"{line.key}.{line.count}" for line in self.lines)


def read(cookie: str, catalogue: Catalogue) -> Basket:
    """The basket that a cookie's value describes."""
    basket = Basket()
    for part in cookie.split("~")[:MOST_LINES]:
        slug, _, rest = part.partition(".")
        colour_slug, _, count = rest.partition(".")
        product = catalogue.product(slug)
        if product is None or len(count) != 1 or count not in "123456789":
            continue
        colour = next((c for c in product.colours if c.slug == colour_slug), None)
        if colour is not None:
            basket = basket.add(product, colour, int(count))
    return basket
