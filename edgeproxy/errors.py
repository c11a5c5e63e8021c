"""Our own error pages, and the one exception with which the app cuts an answer.

Here: small plain pages for what the proxy itself must refuse or cannot do, in English, Swedish or German, with the
request id, everything escaped; or the operator's page in place of one (``ErrorPages``).  Not here: when one is sent
(``server`` for the guard's refusals, ``proxy`` for the rest), how the operator's are read
(``core.rules.error_pages``), and the shop's own error pages, which pass as they are.  There is no page for 500: a fault
of ours is the shop's page or, where there is none, a 502.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from edgeproxy.core.model import Piece, RawHeaders, RuleBook

__all__ = ["LANGUAGES", "STATUSES", "CutShort", "ErrorPage", "ErrorPages", "error_page"]


class CutShort(Exception):
    """Raised by the app to end an answer that must not look whole.

    After the head has left, the server breaks the connection: a Content-Length or chunked body stays visibly
    incomplete (RFC 9112, 8), an HTTP/1.0 body without a length is reset.  Before the head, the connection closes
    without an answer.  Nothing is logged: whoever raises it has said why.
    """


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """A whole answer of ours; ``headers`` have no framing but Content-Length, names lower-case."""

    status: int
    headers: RawHeaders
    body: bytes


LANGUAGES: Final = ("en", "sv", "de")

# status → (title, sentence) per language, in the order of LANGUAGES.  What a shopper can do comes first.
_TEXTS: Final[dict[int, tuple[tuple[str, str], ...]]] = {
    400: (
        ("Bad request", "The address or the request was not understood. Please check the address and try again."),
        ("Felaktig förfrågan", "Adressen eller förfrågan gick inte att förstå. Kontrollera adressen och försök igen."),
        (
            "Ungültige Anfrage",
            "Die Adresse oder die Anfrage war nicht zu verstehen. Bitte prüfen Sie die Adresse.",
        ),
    ),
    404: (
        ("Not found", "There is nothing at this address."),
        ("Hittades inte", "Det finns inget på den här adressen."),
        ("Nicht gefunden", "Unter dieser Adresse gibt es nichts."),
    ),
    405: (
        ("Method not allowed", "This kind of request is not accepted here."),
        ("Metoden är inte tillåten", "Den här typen av förfrågan tas inte emot här."),
        ("Methode nicht erlaubt", "Diese Art von Anfrage wird hier nicht angenommen."),
    ),
    408: (
        ("Request timed out", "The request took too long to arrive. Please try again."),
        ("Förfrågan tog för lång tid", "Förfrågan kom inte fram i tid. Försök igen."),
        ("Zeitüberschreitung", "Die Anfrage kam nicht rechtzeitig an. Bitte versuchen Sie es noch einmal."),
    ),
    413: (
        ("Too large", "What was sent is larger than is accepted here."),
        ("För stort", "Det som skickades är större än vad som tas emot här."),
        ("Zu groß", "Das Gesendete ist größer, als hier angenommen wird."),
    ),
    414: (
        ("Address too long", "The address is longer than is accepted here."),
        ("Adressen är för lång", "Adressen är längre än vad som tas emot här."),
        ("Adresse zu lang", "Die Adresse ist länger, als hier angenommen wird."),
    ),
    421: (
        ("Wrong address", "This site is not served here. Please check the address."),
        ("Fel adress", "Den här webbplatsen finns inte här. Kontrollera adressen."),
        ("Falsche Adresse", "Diese Website gibt es hier nicht. Bitte prüfen Sie die Adresse."),
    ),
    431: (
        (
            "Request headers too large",
            "Your browser sent too much along with the request. Deleting this site's cookies usually helps.",
        ),
        (
            "För stora rubriker",
            "Webbläsaren skickade med för mycket. Det brukar hjälpa att radera webbplatsens kakor.",
        ),
        (
            "Kopfzeilen zu groß",
            "Ihr Browser hat zu viel mitgeschickt. Meist hilft es, die Cookies dieser Website zu löschen.",
        ),
    ),
    502: (
        ("The shop did not answer properly", "Please try again in a moment."),
        ("Butiken svarade inte som den skulle", "Försök igen om en stund."),
        ("Der Shop hat nicht richtig geantwortet", "Bitte versuchen Sie es gleich noch einmal."),
    ),
    503: (
        ("Very busy right now", "Please try again in a moment."),
        ("Mycket att göra just nu", "Försök igen om en stund."),
        ("Gerade stark ausgelastet", "Bitte versuchen Sie es gleich noch einmal."),
    ),
    504: (
        ("The shop takes too long to answer", "Please try again in a moment."),
        ("Butiken svarar för långsamt", "Försök igen om en stund."),
        ("Der Shop antwortet zu langsam", "Bitte versuchen Sie es gleich noch einmal."),
    ),
    505: (
        ("HTTP version not supported", "Please use HTTP/1.1."),
        ("HTTP-versionen stöds inte", "Använd HTTP/1.1."),
        ("HTTP-Version nicht unterstützt", "Bitte HTTP/1.1 verwenden."),
    ),
    508: (
        ("Going in circles", "The request came back to where it started."),
        ("Går i cirkel", "Förfrågan kom tillbaka till utgångspunkten."),
        ("Im Kreis geleitet", "Die Anfrage kam dahin zurück, wo sie begonnen hat."),
    ),
}

STATUSES: Final = frozenset(_TEXTS)
"""Statuses that have a page of their own."""

_REQUEST: Final = {"en": "Request", "sv": "Förfrågan", "de": "Anfrage"}

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1.125rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1.25rem }}
h1 {{ font-size: 1.5rem; line-height: 1.25 }}
small {{ opacity: .75; overflow-wrap: anywhere }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{sentence}</p>
{notes}</main>
</body>
</html>
"""


def error_page(
    status: int,
    *,
    language: str = "en",
    request_id: str = "",
    detail: str = "",
    retry_after: int | None = None,
    allow: tuple[str, ...] = (),
    own: tuple[str | Piece, ...] | None = None,
) -> ErrorPage:
    """The page for one of ``STATUSES``; any other status (500 among them) becomes 502's.

    ``request_id`` and ``detail`` are text from anywhere and are escaped; ``language`` may be a tag ("sv-SE"), an
    unknown one is English; ``retry_after`` is in seconds; ``allow`` are the methods that a 405 must name
    (RFC 9110, 15.5.6).  ``own``: the operator's page, in place of ours.
    """
    if status not in _TEXTS:
        status = 502
    if own is not None:
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        body = _filled(own, {"request_id": request_id, "status": str(status)})
    else:
        language = _known(language)
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-language", language.encode()),
            (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        ]
        body = _ours(status, language, request_id, detail)
    encoded = body.encode("utf-8", "replace")
    headers += [
        (b"content-length", str(len(encoded)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    if status == 405:
        headers.append((b"allow", ", ".join(allow).encode("ascii", "replace")))
    return ErrorPage(status, tuple(headers), encoded)


@dataclass(frozen=True, slots=True)
class ErrorPages:
    """The error pages of the live rules: in the shop's language, the operator's own in place of some."""

    language: str = "en"
    own: Mapping[int, tuple[str | Piece, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, book: RuleBook | None) -> ErrorPages:
        """Those of a book; where there is none, ours."""
        return cls() if book is None else cls(book.shop.language, book.error_pages)

    def page(
        self,
        status: int,
        *,
        request_id: str = "",
        retry_after: int | None = None,
        allow: tuple[str, ...] = (),
    ) -> ErrorPage:
        """As ``error_page``."""
        return error_page(
            status,
            language=self.language,
            request_id=request_id,
            retry_after=retry_after,
            allow=allow,
            own=self.own.get(status if status in _TEXTS else 502),
        )


def _known(language: str) -> str:
    language = language.lower().partition("-")[0]
    return language if language in LANGUAGES else "en"


def _ours(status: int, language: str, request_id: str, detail: str) -> str:
    title, sentence = _TEXTS[status][LANGUAGES.index(language)]
    notes = ""
    if detail:
        notes += f"<p><small>{html.escape(detail)}</small></p>\n"
    if request_id:
        notes += f"<p><small>{_REQUEST[language]}: <code>{html.escape(request_id)}</code></small></p>\n"
    return _PAGE.format(language=language, title=html.escape(title), sentence=html.escape(sentence), notes=notes)


def _filled(page: tuple[str | Piece, ...], values: Mapping[str, str]) -> str:
    """Escaped for text and for quoted attributes, where alone placeholders may stand."""
    return "".join(part if isinstance(part, str) else html.escape(values.get(part.name, "")) for part in page)
