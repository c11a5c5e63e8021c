"""Who is shopping: the demo shop's own cookies, and the words it says once.

The shop knows nothing of edgeproxy: these are the cookies that any shop has.  Whatever is wrong in one counts as
not there.  Forms are read in ``forms``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from itsdangerous import BadSignature, Signer
from starlette.requests import Request
from starlette.responses import Response

from . import basket
from .catalogue import Catalogue

CSRF, FLASH, ACCOUNT = "vs_csrf", "vs_flash", "vs_account"
TWO_WEEKS = 14 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Flash:
    """Something to say once, on the next page."""

    says: str
    link: str = ""
    link_says: str = ""


FLASHES = {
    "changed": Flash("Your basket is changed."),
    "letter": Flash("Thank you. The next letter comes with the next season."),
    "letter-mail": Flash("That does not look like an e-mail address; the letter would not find you."),
    "in": Flash("You are signed in."),
    "out": Flash("You are signed out."),
    "empty": Flash("The basket is empty, so there is nothing to pay."),
}


@dataclass(slots=True)
class Visit:
    """One request's view of its visitor.  Asking for ``csrf`` on a first visit makes a token to be set."""

    basket: basket.Basket
    signed_in: bool
    flash: Flash | None
    known_token: str
    make_token: Callable[[], str]
    new_token: str = field(default="", init=False)

    @property
    def csrf(self) -> str:
        if not self.known_token and not self.new_token:
            self.new_token = self.make_token()
        return self.known_token or self.new_token

    @property
    def personal(self) -> bool:
        """Does the page show anything of this visitor?"""
        return bool(self.basket.lines or self.signed_in or self.flash or self.known_token or self.new_token)


def visit(request: Request, catalogue: Catalogue, signer: Signer, make_token: Callable[[], str]) -> Visit:
    """Read the cookies; whatever is wrong in them counts as not there."""
    cookies = request.cookies
    token = cookies.get(CSRF, "")
    return Visit(
        basket=basket.read(cookies.get(basket.COOKIE, ""), catalogue),
        signed_in=_signed_in(cookies.get(ACCOUNT, ""), signer),
        flash=_flash(cookies.get(FLASH, ""), catalogue),
        known_token=token if 16 <= len(token) <= 64 and token.isascii() and token.isalnum() else "",
        make_token=make_token,
    )


def _signed_in(cookie: str, signer: Signer) -> bool:
    try:
        return signer.unsign(cookie) == b"guest"
    except BadSignature:
        return False


def _flash(code: str, catalogue: Catalogue) -> Flash | None:
    kind, _, slug = code.partition(":")
    product = catalogue.product(slug) if kind == "added" else None
    if product is not None:
        return Flash(f"{product.name} is in your basket.", "/basket", "See the basket")
    return FLASHES.get(code)


def keep(response: Response, request: Request, name: str, value: str, *, age: int | None = TWO_WEEKS) -> None:
    """Set one of the shop's cookies; an empty value deletes it."""
    secure = request.url.scheme == "https"
    if value:
        response.set_cookie(name, value, max_age=age, path="/", httponly=True, samesite="lax", secure=secure)
    else:
        response.delete_cookie(name, path="/", httponly=True, samesite="lax", secure=secure)
