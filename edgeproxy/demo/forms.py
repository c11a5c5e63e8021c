"""What visitors send: forms, read and checked.

A form that changes something carries a token in a hidden field that must equal the one in a cookie (double submit),
so that no other site can send it.
"""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl

from starlette.requests import Request

FORM_LIMIT = 64 * 1024  # bytes of a form's body
GUEST = ("guest@vindskar.example", "skerry-wind")  # the one account of the demonstration, shown on the login page


class BadForm(Exception):
    """A form that is too long, not a form, or without its token; ``status`` is what to answer."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status
        self.says = says


async def form(request: Request, token: str | None = None) -> dict[str, str]:
    """The fields of a posted form; with ``token``, only if its ``csrf`` field equals it.  Raises BadForm."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_LIMIT:
            raise BadForm(413, "That form is longer than any of ours.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise BadForm(415, "That was not sent as a form.")
    try:
        fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50))
    except ValueError:
        raise BadForm(400, "That form has more fields than any of ours.") from None
    if token is not None and not (token and hmac.compare_digest(fields.get("csrf", "").encode(), token.encode())):
        raise BadForm(403, "The form was open for too long, or came from elsewhere. Please try once more.")
    return fields


def is_mail(text: str) -> bool:
    """Plausible enough to write a letter to."""
    name, at, host = text.strip().rpartition("@")
    return bool(
        name and at and "." in host.strip(".") and len(text) <= 254 and not any(c.isspace() for c in text.strip())
    )


def checkout(fields: dict[str, str]) -> dict[str, str]:
    """What is wrong with an address: field → sentence."""
    needed = {"name": "Who is it for?", "street": "Which street and number?", "town": "Which town?"}
    errors = {name: says for name, says in needed.items() if not fields.get(name, "").strip()}
    code = fields.get("code", "").replace(" ", "")
    if not (4 <= len(code) <= 6 and code.isalnum()):
        errors["code"] = "A postcode has four to six characters."
    if not is_mail(fields.get("mail", "")):
        errors["mail"] = "An e-mail address looks like someone@somewhere.example."
    return errors
