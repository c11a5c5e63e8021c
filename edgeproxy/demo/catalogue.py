"""What the demo shop sells: products, shelves, reviews; search, sorting, pages of a list.

Here: frozen data read once from the package's TOML files, and pure functions over it.
Not here: how any of it looks (templates, ``pictures``).  ``shop`` calls it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from .pictures import pen
from .pictures.products import DRAWINGS

PAGE_SIZE = 12
BACKGROUNDS = ("#efe6d5", "#dde7e3", "#ecd9c3", "#d9e4ea", "#e4e7d2", "#efdcd2")


@dataclass(frozen=True, slots=True)
class Colour:
    name: str
    main: str  # "#rrggbb"
    trim: str

    @property
    def slug(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Shelf:
    slug: str
    name: str
    says: str
    department: str  # slug of the department
    picture: str  # slug of the product whose picture stands for it

    @property
    def path(self) -> str:
        return f"/c/{self.department}/{self.slug}"


@dataclass(frozen=True, slots=True)
class Department:
    slug: str
    name: str
    says: str
    scene: str
    shelves: tuple[Shelf, ...]

    @property
    def path(self) -> str:
        return f"/c/{self.slug}"


@dataclass(frozen=True, slots=True)
class Product:
    slug: str
    name: str
    shelf: Shelf
    price: int  # kronor, VAT included
    was: int  # the price before, 0 when it was never lowered
    picture: str  # name of a drawing
    colours: tuple[Colour, ...]
    says: str
    about: str
    facts: tuple[str, ...]
    rating: float  # of 5
    reviews: int
    new: bool
    loved: int  # how high it stands among the favourites; 0: not among them
    background: str

    @property
    def path(self) -> str:
        return f"/p/{self.slug}"

    @property
    def image(self) -> str:
        return self.image_in(self.colours[0])

    def image_in(self, colour: Colour) -> str:
        return f"/media/p/{self.slug}-{colour.slug}.svg"

    def draw(self, colour: Colour) -> str:
        """The picture as an SVG document."""
        subject = DRAWINGS[self.picture](pen.Tint(colour.main, colour.trim))
        return pen.drawing(
            f"{self.name} in {colour.slug}", 400, 400, pen.rect(0, 0, 400, 400, self.background), subject
        )


@dataclass(frozen=True, slots=True)
class Review:
    says: str
    about: Product
    by: str
    stars: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    departments: tuple[Department, ...]
    products: tuple[Product, ...]
    reviews: tuple[Review, ...]

    def product(self, slug: str) -> Product | None:
        return next((product for product in self.products if product.slug == slug), None)

    def on(self, department: str, shelf: str = "") -> tuple[Product, ...]:
        """The products of a department, or of one shelf of it."""
        return tuple(p for p in self.products if p.shelf.department == department and shelf in ("", p.shelf.slug))

    def newest(self) -> tuple[Product, ...]:
        return tuple(p for p in self.products if p.new)

    def favourites(self, department: str = "") -> tuple[Product, ...]:
        loved = (p for p in self.products if p.loved and department in ("", p.shelf.department))
        return tuple(sorted(loved, key=lambda p: -p.loved))

    def beside(self, product: Product, count: int = 4) -> tuple[Product, ...]:
        """Others of the same shelf, then of the same department."""
        same = [p for p in self.on(product.shelf.department, product.shelf.slug) if p != product]
        near = [p for p in self.favourites(product.shelf.department) if p != product and p not in same]
        return tuple((same + near)[:count])

    def search(self, words: str) -> tuple[Product, ...]:
        """Products in which every word occurs, best first; empty words find nothing."""
        wanted = words.casefold().split()[:8]
        scored = []
        for product in self.products:
            weights = [_weight(product, word) for word in wanted]
            if weights and all(weights):
                scored.append((sum(weights), product))
        return tuple(product for _, product in sorted(scored, key=lambda pair: -pair[0]))


def _weight(product: Product, word: str) -> int:
    """How well a word fits a product; 0 when it does not occur."""
    if word in product.name.casefold():
        return 8
    if word in product.shelf.name.casefold() or any(word == colour.slug for colour in product.colours):
        return 4
    text = " ".join((product.says, product.about, *product.facts)).casefold()
    return 1 if word in text else 0


@dataclass(frozen=True, slots=True)
class Order:
    """A way to sort a list."""

    key: str
    name: str
    by: Callable[[Product], float] | None  # None: as the list came


ORDERS = (
    Order("", "Our choice", None),
    Order("new", "New first", lambda p: not p.new),
    Order("rating", "Best rated", lambda p: -p.rating),
    Order("price", "Price, low to high", lambda p: p.price),
    Order("price-desc", "Price, high to low", lambda p: -p.price),
)


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list, as its query asked for it."""

    products: tuple[Product, ...]
    total: int
    page: int
    pages: int
    order: Order
    colour: str
    colours: tuple[Colour, ...]  # those that the whole list has


def listing(products: Sequence[Product], *, order: str = "", colour: str = "", page: str = "1") -> Listing:
    """Filter, sort and cut a list; what the query says wrongly is read as its default."""
    colours = tuple({c.name: c for p in products for c in p.colours}.values())
    chosen = next((c for c in colours if c.slug == colour), None)
    shown = [p for p in products if chosen is None or chosen in p.colours]
    how = next((o for o in ORDERS if o.key == order), ORDERS[0])
    if how.by is not None:
        shown.sort(key=how.by)
    pages = max(1, -(-len(shown) // PAGE_SIZE))
    number = min(int(page), pages) if page.isascii() and page.isdigit() and len(page) < 6 and int(page) else 1
    cut = shown[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    return Listing(tuple(cut), len(shown), number, pages, how, chosen.slug if chosen else "", colours)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((files("edgeproxy.demo") / "data" / name).read_text("utf-8"))


@cache
def catalogue() -> Catalogue:
    """The shop's catalogue, read once."""
    departments = tuple(
        Department(
            d["slug"], d["name"], d["says"], d["scene"], tuple(Shelf(**s, department=d["slug"]) for s in d["shelf"])
        )
        for d in _read("departments.toml")["department"]
    )
    shelves = {f"{s.department}/{s.slug}": s for d in departments for s in d.shelves}
    table = _read("products.toml")
    colours = {name: Colour(name, *pair) for name, pair in table["colours"].items()}
    products = []
    for number, row in enumerate(table["product"]):
        row = {"was": 0, "new": False, "loved": 0, "background": BACKGROUNDS[number % len(BACKGROUNDS)], **row}
        row["shelf"] = shelves[row["shelf"]]
        row["colours"] = tuple(colours[name] for name in row["colours"])
        row["facts"] = tuple(row["facts"])
        products.append(Product(**row))
    by_slug = {p.slug: p for p in products}
    reviews = tuple(
        Review(r["says"], by_slug[r["about"]], r["from"], r["stars"]) for r in _read("reviews.toml")["review"]
    )
    return Catalogue(departments, tuple(products), reviews)
