"""The real shop (django-oscar) as tests see it: its pages, a shopper with a cookie jar, and what the rules should make.

``expected`` is an oracle of its own: it finds the places by the shop's own markup with plain searches in bytes and
knows nothing of parsers, plans or verbs.  The rules are ``tests/data/oscar-rules``; change both together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import httpx

from tests.e2e.relay import Relay
from tests.e2e.running import Proxy, visitor_cookie

FRAGMENTS = Path(__file__).parents[1] / "data" / "oscar-rules" / "fragments"

USER, PASSWORD = "jane@example.com", "jane-pw-123"


@dataclass(frozen=True, slots=True)
class Storefront:
    """The proxy before the recording relay before the shop."""

    proxy: Proxy
    relay: Relay
    shop: str  # the shop's own address, past proxy and relay
    rules: Path  # the folder that the proxy watches


# --------------------------------------------------------------------------- visitors and pages

VISITORS = {
    "anonymous": None,
    "newcomer": ("new",),
    "loyal": ("loyal", "outdoor"),
    "loyal-elsewhere": ("loyal", "kitchen"),
}


def cookie_of(visitor: str) -> str | None:
    """The signed cookie of a sample visitor; None for one without."""
    labels = VISITORS[visitor]
    return visitor_cookie(*labels) if labels else None


PAGES = {
    "list": "/catalogue/",
    "page 2": "/catalogue/?page=2",
    "category": "/catalogue/category/kitchen_6/",
    "subcategory": "/catalogue/category/home/lamps_4/",
    "search": "/search/?q=knife",
    "product": "/catalogue/quiet-kettle-40-grey_1/",
    "offers": "/offers/",
    "basket": "/basket/",
}

LISTS = frozenset({"list", "page 2", "category", "subcategory", "search"})

NEVER = "/accounts/login/"  # a page that shop.toml keeps from every edit


# --------------------------------------------------------------------------- the oracle

Edit = Callable[[bytes], bytes]


def _range(body: bytes, start: bytes, end: bytes, *, inside: bool = False) -> tuple[int, int]:
    """Where the only thing that begins with ``start`` and ends with the next ``end`` stands."""
    assert body.count(start) == 1, f"{start!r} is there {body.count(start)} times"
    begins = body.index(start)
    ends = body.index(end, begins + len(start))
    return (begins + len(start), ends) if inside else (begins, ends + len(end))


def cut(start: bytes, end: bytes) -> Edit:
    """Take away from ``start`` to the end of the next ``end``."""

    def edit(body: bytes) -> bytes:
        begins, ends = _range(body, start, end)
        return body[:begins] + body[ends:]

    return edit


def put_after(start: bytes, end: bytes, content: bytes) -> Edit:
    """Insert behind the next ``end`` after ``start``."""

    def edit(body: bytes) -> bytes:
        _, ends = _range(body, start, end)
        return body[:ends] + content + body[ends:]

    return edit


def swap(old: bytes, new: bytes) -> Edit:
    """Replace the only ``old``."""

    def edit(body: bytes) -> bytes:
        assert body.count(old) == 1, f"{old!r} is there {body.count(old)} times"
        return body.replace(old, new)

    return edit


def without_reviews(body: bytes) -> bytes:
    """Take away the section that begins just before ``#reviews``."""
    begins = body.rindex(b"<section>", 0, body.index(b'<div id="reviews"'))
    ends = body.index(b"</section>", begins) + len(b"</section>")
    return body[:begins] + body[ends:]


def first_products(count: int) -> Edit:
    """Take away every product of a list but the first ones; what stands between them stays."""

    def edit(body: bytes) -> bytes:
        begins, ends = _range(body, b'<ol class="row list-unstyled ml-0 pl-0">', b"</ol>", inside=True)
        items = list(re.finditer(rb"<li class=\"col-sm-\d .*?</li>", body[begins:ends], re.DOTALL))
        kept = bytearray(body)
        for item in reversed(items[count:]):
            del kept[begins + item.start() : begins + item.end()]
        return bytes(kept)

    return edit


def fragment(name: str) -> bytes:
    return (FRAGMENTS / name).read_bytes()


NO_LANGUAGES = cut(b'<form id="language_selector"', b"</form>")
NO_SIDEBAR = cut(b'<aside class="sidebar', b"</aside>")


def newcomer(page: str, *, logged_in: bool) -> list[Edit]:
    """calm-start, page by page."""
    edits: list[Edit] = [NO_LANGUAGES]
    if page in LISTS:
        edits += [NO_SIDEBAR, first_products(8)]
    if page in {"list", "page 2"}:
        edits.append(swap(b"<h1>All products</h1>", b"<h1>Start here &amp; take your time</h1>"))
    if page == "product":
        edits += [without_reviews, put_after(b'<form id="add_to_basket_form"', b"</form>", fragment("next-step.html"))]
    return edits


def loyal(shelf: bytes) -> Callable[..., list[Edit]]:
    """curated-shelf, page by page, with this content on the shelf."""

    def edits_on(page: str, *, logged_in: bool) -> list[Edit]:
        edits: list[Edit] = [
            swap(b'<body id="default" class="default">', b'<body id="default" class="default regular">'),
            swap(b"</head>", b"<style>.shelf-of-yours{border:1px solid #ccc;padding:1rem}</style></head>"),
        ]
        if page != "basket":  # which has no small basket in its header
            edits.append(swap(b"<strong>Basket total:</strong>", b"<strong>Your basket so far:</strong>"))
        if page in LISTS or page == "product":
            edits.append(put_after(b'<div id="messages">', MESSAGES_END, shelf))
        if not logged_in:
            old = b'<a id="login_link" href="/accounts/login/" class="nav-link">'
            edits.append(swap(old, old[:-1] + b' title="Welcome back">'))
        return edits

    return edits_on


MESSAGES_END = b"\n</div>"  # the shop's template ends its block of messages on a line of its own
"""Messages hold further ``div`` elements; only the end of the whole block stands at the head of a line."""

_EDITS: dict[str, Callable[..., list[Edit]]] = {
    "anonymous": lambda page, *, logged_in: [],
    "newcomer": newcomer,
    "loyal": loyal(fragment("curated-outdoor.html").replace(b"{{ segment }}", b"outdoor")),
    "loyal-elsewhere": loyal(fragment("curated.html")),
}


def expected(visitor: str, page: str, body: bytes, *, logged_in: bool = False) -> bytes:
    """The shop's bytes with the edits that this visitor's experience makes on this kind of page, and no others."""
    for edit in _EDITS[visitor](page, logged_in=logged_in):
        body = edit(body)
    return body


def assert_same_bytes(got: bytes, wanted: bytes, what: str) -> None:
    """Equal, or a message that shows the first difference instead of two whole pages."""
    if got == wanted:
        return
    at = next((i for i, (a, b) in enumerate(zip(got, wanted, strict=False)) if a != b), min(len(got), len(wanted)))
    near = slice(max(at - 80, 0), at + 160)
    raise AssertionError(
        f"{what}: {len(got)} bytes, wanted {len(wanted)}; they differ from byte {at} on:\n"
        f"  got    {got[near]!r}\n  wanted {wanted[near]!r}"
    )


# --------------------------------------------------------------------------- a shopper


class Shopper:
    """A client that keeps cookies and sends what a browser sends with a form, and adds nothing else of its own."""

    def __init__(self, base: str, client: httpx.Client) -> None:
        self.base = base
        self.client = client

    def get(self, target: str, **headers: str) -> httpx.Response:
        return self.client.get(self.base + target, headers=headers)

    def submit(self, page: httpx.Response, action: str, **fields: str) -> httpx.Response:
        """Post a form of a page, with the page's own token, as a browser would (Origin, Referer)."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token, "the page has no token"
        return self.client.post(
            urljoin(str(page.url), action),
            data={"csrfmiddlewaretoken": token[1], **fields},
            headers={"Origin": self.base, "Referer": str(page.url)},
        )

    def follow(self, answer: httpx.Response) -> httpx.Response:
        """Where a redirect leads; it must not leave the host that was asked."""
        assert answer.status_code in {301, 302, 303}, f"{answer.status_code} where a redirect was wanted"
        there = urljoin(str(answer.url), answer.headers["location"])
        assert there.startswith(self.base + "/"), f"redirected away, to {there}"
        return self.client.get(there)

    def log_in(self) -> httpx.Response:
        """Log in as a user of the shop; the page that follows."""
        page = self.get("/accounts/login/?next=/catalogue/")
        fields = {"login-username": USER, "login-password": PASSWORD, "login-redirect_url": "/catalogue/"}
        return self.follow(self.submit(page, "/accounts/login/", login_submit="Log In", **fields))


@contextmanager
def shopping(base: str, visitor: str = "anonymous", *, coding: str = "identity") -> Iterator[Shopper]:
    """A shopper with an empty cookie jar but for the visitor's cookie."""
    headers = {"Accept": "text/html", "Accept-Encoding": coding, "User-Agent": "curl/8.0"}
    with httpx.Client(headers=headers, trust_env=False, timeout=30) as client:
        if value := cookie_of(visitor):
            client.cookies.set("edge_visitor", value, domain="127.0.0.1", path="/")
        yield Shopper(base, client)
