"""The preview bar: what is previewed, why, and forms to see it otherwise.  Goes to the end of body, in previews only.

Here: HTML out of ``core.preview.Active`` and the explanation of the page.  Not here: where it is put (``previewing``),
the answers to its forms (``core.asking``).

It lives in a closed shadow root that the HTML itself declares: the page's styles do not reach in, the bar's do not
reach out, no script of the page sees it, and it needs none of its own.  The panel is a popover (Escape closes it, the
focus goes back).  Its style comes as the page's policy lets it: inline, with the page's nonce, as a file of our own,
or not at all; then it is a plain form at the page's end, which works the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final
from urllib.parse import unquote_to_bytes

from edgeproxy.console.pages import PAGES, ascii_html
from edgeproxy.core import query, schedule
from edgeproxy.core.asking import AS_IT_IS, LASTS, LEAVE_PATH, LINK_PATH, SHOW_PATH
from edgeproxy.core.decide import known
from edgeproxy.core.explanation import GOOD, NOBODYS, Explanation
from edgeproxy.core.flags import STRANGER
from edgeproxy.core.model import Problem, RuleBook
from edgeproxy.core.preview import Active

STYLE_PATH: Final = "/-/edge/bar.css"
STYLE: Final = re.sub(
    r"\s*([{};:,])\s+", r"\1", (files("edgeproxy.console") / "static" / "bar.css").read_text("ascii")
).strip()
"""The bar's own style; ASCII, so that it fits into any page."""

NO_OUTLINES: Final = "this page's Content-Security-Policy lets no style in: nothing is outlined"
MOST_MISTAKES: Final = 12  # that are told
HOST: Final = "edge-preview"
"""The element that carries the shadow root: a name that no page's style knows."""


@dataclass(frozen=True, slots=True)
class Way:
    """How the style gets in: ``inline`` (with ``nonce``, if there is one), ``linked``, or neither."""

    inline: bool = True
    linked: bool = False
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class Outlined:
    """One changed element: a selector, and what is said of it."""

    selector: str
    label: str


def bar(
    active: Active,
    book: RuleBook,
    told: Explanation | None = None,
    *,
    way: Way | None = None,
    mistakes: Sequence[Problem] = (),
    outlined: Sequence[Outlined] = (),
    draft: str = "",
    based: bool = False,
) -> bytes:
    """The bar as ASCII HTML, to be inserted as it is into a page of any ASCII-compatible charset.

    ``told`` explains the page; ``mistakes`` are those of the rules on disk, where the last good ones are shown;
    ``outlined`` are changed elements, in a page that lets a style in; ``draft`` says which rules these are, when they
    are not the live ones; ``based`` says that the page may have a ``<base>``.
    """
    way = way or Way()
    seen = known(book, active.visitor)
    flags = active.flags
    styled = way.inline or way.linked
    return ascii_html(
        PAGES.get_template("bar.html").render(
            host=HOST,
            way=way,
            style=STYLE,
            styled=styled,
            style_at=on_host(active, STYLE_PATH, based=based),
            active=active,
            flags=flags,
            told=told if active.may_explain else None,
            good=GOOD,
            nobodys=NOBODYS,
            mistakes=mistakes[:MOST_MISTAKES] if active.may_explain else (),
            stale=bool(mistakes),
            more=max(0, len(mistakes) - MOST_MISTAKES),
            outlined=outlined if way.inline else (),
            problems=(*active.problems, *([NO_OUTLINES] if flags.outline and not way.inline else [])),
            draft=draft,
            personas=[STRANGER, *book.personas] if STRANGER not in book.personas else list(book.personas),
            stages=book.shop.stages,
            segments=book.shop.segments,
            experiences=[one.name for one in book.experiences],
            stage=seen.stage or "",
            wears=seen.segments,
            as_it_is=AS_IT_IS,
            at=_local(active, book),
            timezone=book.shop.timezone,
            until=schedule.as_text(active.expires // 60 * 60, schedule.zone(book.shop.timezone)),
            lasts=LASTS,
            show=on_host(active, SHOW_PATH, based=based),
            link=on_host(active, LINK_PATH, based=based),
            leave=on_host(active, LEAVE_PATH, based=based),
            back=address(active),
            why=on_host(active, address(active, explain=True), based=based) if active.may_explain else None,
        )
    )


def address(active: Active, *, explain: bool | None = None) -> str:
    """The previewed page's own path and query, percent-encoded; ``explain`` asks for its explanation or against it."""
    raw = active.request.query.encode("latin-1", "replace")
    if explain is not None:
        raw = b"&".join(part for part in (raw, b"edge_explain=1" if explain else b"edge_explain=0") if part)
    return query.target(active.request.path, raw).decode("ascii")


def _local(active: Active, book: RuleBook) -> str:
    """The previewed moment as an ``<input type=datetime-local>`` takes it; "" for now."""
    if active.flags.at is None or active.request.at == active.real[1]:
        return ""
    text = schedule.as_text(active.request.at, schedule.zone(book.shop.timezone))
    found = re.match(r"(\d{4,}-\d\d-\d\d) (\d\d:\d\d(?::\d\d)?)", text)
    return f"{found[1]}T{found[2]}" if found else ""


def on_host(active: Active, target: str, *, based: bool = False) -> str:
    """With the host, since a page's ``<base>`` may say that paths are another's; the scheme is the page's own.

    Only where there is one (``based``) is the scheme said, as far as we were told it: that, too, would be the base's.
    """
    scheme = f"{active.request.scheme}:" if based else ""
    return f"{scheme}//{active.request.host}{target}"


def readable(url: str) -> str:
    """A raw address as people read it: escapes of UTF-8 resolved where they are letters, else left."""
    try:
        text = unquote_to_bytes(url.encode("latin-1", "replace")).decode("utf-8")
    except UnicodeDecodeError:
        return url
    return text if text.isprintable() else url
