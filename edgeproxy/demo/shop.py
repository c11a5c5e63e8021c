"""The demo shop's application: its addresses, and what each does.

A plain Starlette shop that knows nothing of edgeproxy, as any shop behind it would: pages, a basket, a checkout,
a search, an account.  It sells nothing and keeps nothing; all state is in the visitor's cookies.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Callable

from itsdangerous import Signer
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from . import basket, forms, media
from .catalogue import Product, catalogue, listing
from .forms import BadForm, form
from .pages import ListQuery, page
from .visit import ACCOUNT, FLASH, Visit, keep, visit

TEXTS = ("about", "help", "repairs", "size-guide", "journal")


class Shop:
    """The handlers; ``signer`` keeps the account cookie honest, ``token`` makes a form token."""

    def __init__(self, signer: Signer, token: Callable[[], str]) -> None:
        self.signer = signer
        self.token = token

    def visit(self, request: Request) -> Visit:
        return visit(request, catalogue(), self.signer, self.token)

    # ------------------------------------------------------------------ looking

    async def home(self, request: Request) -> Response:
        loved = [product for product in catalogue().favourites() if not product.new][:8]
        return page(request, self.visit(request), "home.html", loved=loved)

    async def text(self, request: Request) -> Response:
        return page(request, self.visit(request), request.url.path.strip("/") + ".html")

    async def everything(self, request: Request) -> Response:
        shop = catalogue()
        which = request.url.path.rpartition("/")[2]
        name, says, products = {
            "all": ("Everything", "The whole shop on a few pages.", shop.products),
            "new": ("New in", "Fresh from the loom, the forge and the kiln.", shop.newest()),
            "favourites": ("Favourites", "The things that are bought twice.", shop.favourites()),
        }[which]
        return self.list(request, products, name, says, trail=[(name, "")])

    async def department(self, request: Request) -> Response:
        shop = catalogue()
        wanted, _, shelf_slug = request.path_params["place"].strip("/").partition("/")
        department = next((d for d in shop.departments if d.slug == wanted), None)
        if department is None:
            raise HTTPException(404)
        trail = [(department.name, department.path)]
        head = (department.name, department.says)
        if shelf_slug:
            shelf = next((s for s in department.shelves if s.slug == shelf_slug), None)
            if shelf is None:
                raise HTTPException(404)
            trail.append((shelf.name, shelf.path))
            head = (shelf.name, shelf.says)
        products = shop.on(wanted, shelf_slug)
        return self.list(request, products, *head, trail=trail, scene=department.scene, shelves=department.shelves)

    def list(
        self, request: Request, products: tuple[Product, ...], heading: str, says: str, *,
        trail: list[tuple[str, str]], scene: str = "", shelves: tuple[object, ...] = (),
    ) -> Response:  # fmt: skip
        asked = request.query_params
        found = listing(
            products, order=asked.get("sort", ""), colour=asked.get("colour", ""), page=asked.get("page", "1")
        )
        query = ListQuery(request.url.path, None, found.order.key, found.colour)
        return page(
            request, self.visit(request), "list.html",
            heading=heading, says=says, trail=trail, scene=scene, shelves=shelves, list=found, query=query,
        )  # fmt: skip

    async def search(self, request: Request) -> Response:
        asked = request.query_params
        words = " ".join(asked.get("q", "").split())[:80]
        found = listing(
            catalogue().search(words),
            order=asked.get("sort", ""),
            colour=asked.get("colour", ""),
            page=asked.get("page", "1"),
        )
        query = ListQuery("/search", words, found.order.key, found.colour)
        return page(request, self.visit(request), "search.html", words=words, list=found, query=query)

    async def product(self, request: Request) -> Response:
        shop, here = catalogue(), self.visit(request)
        product = shop.product(request.path_params["slug"])
        if product is None:
            raise HTTPException(404)
        wanted = request.query_params.get("colour", "")
        colour = next((c for c in product.colours if c.slug == wanted), product.colours[0])
        department = next(d for d in shop.departments if d.slug == product.shelf.department)
        return page(
            request, here, "product.html",
            product=product, colour=colour, department=department, structured=structured(product), csrf=here.csrf,
        )  # fmt: skip

    # ------------------------------------------------------------------ buying

    async def show_basket(self, request: Request) -> Response:
        here = self.visit(request)
        small = [p for p in catalogue().favourites() if p.price < 700][:4]
        return page(
            request, here, "basket.html", private=True, small=small, csrf=here.csrf if here.basket.lines else ""
        )

    async def add(self, request: Request) -> Response:
        here = self.visit(request)
        fields = await form(request, here.known_token)
        product = catalogue().product(fields.get("product", ""))
        if product is None:
            raise BadForm(400, "We do not sell that, or not any more.")
        colour = next((c for c in product.colours if c.slug == fields.get("colour")), product.colours[0])
        filled = here.basket.add(product, colour, _count(fields, 1))
        return self.onward(request, "/basket", flash=f"added:{product.slug}", basket_now=filled)

    async def set(self, request: Request) -> Response:
        here = self.visit(request)
        fields = await form(request, here.known_token)
        changed = here.basket.set(fields.get("line", ""), _count(fields, 0))
        return self.onward(request, "/basket", flash="changed", basket_now=changed)

    async def checkout(self, request: Request) -> Response:
        here = self.visit(request)
        if not here.basket.lines:
            return self.onward(request, "/basket", flash="empty")
        if request.method != "POST":
            return page(request, here, "checkout.html", private=True, csrf=here.csrf, values={}, errors={})
        fields = await form(request, here.known_token)
        errors = forms.checkout(fields)
        if errors:
            return page(
                request, here, "checkout.html", status=422, private=True, csrf=here.csrf, values=fields, errors=errors
            )
        number = f"VS-{zlib.crc32(here.basket.cookie().encode()) % 90_000 + 10_000}"
        return self.onward(request, f"/checkout/thank-you?order={number}", basket_now=basket.Basket())

    async def thanks(self, request: Request) -> Response:
        order = request.query_params.get("order", "")
        if not (len(order) == 8 and order.startswith("VS-") and order[3:].isdecimal()):
            raise HTTPException(404)
        return page(request, self.visit(request), "thanks.html", private=True, order=order)

    async def newsletter(self, request: Request) -> Response:
        fields = await form(request)
        return self.onward(request, "/", flash="letter" if forms.is_mail(fields.get("mail", "")) else "letter-mail")

    # ------------------------------------------------------------------ account

    async def login(self, request: Request) -> Response:
        here = self.visit(request)
        if request.method != "POST":
            return page(request, here, "login.html", private=True, csrf=here.csrf, values={}, errors={})
        fields = await form(request, here.known_token)
        if (fields.get("mail", "").strip().lower(), fields.get("password", "")) != forms.GUEST:
            errors = {"form": "E-mail and password do not belong together."}
            return page(
                request, here, "login.html", status=422, private=True, csrf=here.csrf, values=fields, errors=errors
            )
        response = self.onward(request, "/account", flash="in")
        keep(response, request, ACCOUNT, self.signer.sign("guest").decode())
        return response

    async def account(self, request: Request) -> Response:
        here = self.visit(request)
        if not here.signed_in:
            return RedirectResponse("/account/login", 303, headers={"cache-control": "no-store"})
        return page(request, here, "account.html", private=True, csrf=here.csrf)

    async def logout(self, request: Request) -> Response:
        here = self.visit(request)
        await form(request, here.known_token)
        response = self.onward(request, "/", flash="out")
        keep(response, request, ACCOUNT, "")
        return response

    def onward(
        self, request: Request, to: str, *, flash: str = "", basket_now: basket.Basket | None = None
    ) -> Response:
        """See Other, after a form: nothing is sent twice by going back."""
        response = RedirectResponse(to, 303, headers={"cache-control": "no-store"})
        if flash:
            keep(response, request, FLASH, flash, age=60)
        if basket_now is not None:
            keep(response, request, basket.COOKIE, basket_now.cookie())
        return response

    # ------------------------------------------------------------------ trouble

    async def not_found(self, request: Request, _: Exception) -> Response:
        says = "The wind may have taken it. The search above finds most things."
        return page(request, self.visit(request), "error.html", status=404, heading="There is nothing here", says=says)

    async def bad_form(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, BadForm)
        here = self.visit(request)
        head = "That did not work"
        return page(request, here, "error.html", status=error.status, private=True, heading=head, says=error.says)


def structured(product: Product) -> dict[str, object]:
    """What search engines read of a product (schema.org)."""
    stock = "https://schema.org/InStock"
    return {
        "@context": "https://schema.org",
        "@type": "Product",
        "name": product.name,
        "description": product.about,
        "image": product.image,
        "brand": {"@type": "Brand", "name": "Vindskär"},
        "offers": {"@type": "Offer", "price": product.price, "priceCurrency": "SEK", "availability": stock},
        "aggregateRating": {"@type": "AggregateRating", "ratingValue": product.rating, "reviewCount": product.reviews},
    }


def _count(fields: dict[str, str], least: int) -> int:
    text = fields.get("count", "")
    return max(least, int(text)) if len(text) == 1 and text in "0123456789" else max(1, least)


# ---------------------------------------------------------------------- the application


def build_shop(*, secret: bytes | None = None, token: Callable[[], str] | None = None) -> Starlette:
    """The shop.  ``secret`` signs the account cookie, ``token`` makes form tokens: both random unless given."""
    shop = Shop(
        Signer(secret or secrets.token_bytes(32), salt="vindskar.account"), token or (lambda: secrets.token_hex(16))
    )

    get, post = ["GET"], ["POST"]
    return Starlette(
        routes=[
            Route("/", shop.home, methods=get),
            *(Route(f"/{name}", shop.text, methods=get) for name in TEXTS),
            *(Route(f"/c/{name}", shop.everything, methods=get) for name in ("all", "new", "favourites")),
            Route("/c/{place:path}", shop.department, methods=get),
            Route("/p/{slug}", shop.product, methods=get),
            Route("/search", shop.search, methods=get),
            Route("/basket", shop.show_basket, methods=get),
            Route("/basket/add", shop.add, methods=post),
            Route("/basket/set", shop.set, methods=post),
            Route("/checkout", shop.checkout, methods=get + post),
            Route("/checkout/thank-you", shop.thanks, methods=get),
            Route("/newsletter", shop.newsletter, methods=post),
            Route("/account", shop.account, methods=get),
            Route("/account/login", shop.login, methods=get + post),
            Route("/account/logout", shop.logout, methods=post),
            Route("/static/{name}", media.style, methods=get),
            Route("/media/p/{name}.svg", media.product_picture, methods=get),
            Route("/media/scene/{name}.svg", media.scene_picture, methods=get),
            Route("/media/icon.svg", media.icon, methods=get),
            Route("/favicon.ico", media.icon, methods=get),
            Route("/robots.txt", media.robots, methods=get),
            Route("/sitemap.xml", media.sitemap, methods=get),
        ],
        exception_handlers={404: shop.not_found, BadForm: shop.bad_form},
    )
