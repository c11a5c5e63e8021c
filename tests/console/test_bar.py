"""The preview bar: says what is previewed, leaves by a plain form, and is hostile to nobody's page."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from selectolax.lexbor import LexborHTMLParser

from edgeproxy.console.bar import address, bar
from edgeproxy.core.model import NOBODY
from edgeproxy.core.preview import Active, apply, leave
from tests.core.books import ask, plain, who
from tests.core.test_preview import KEYS, session, token

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</form></div>",
    "&lt;b&gt;",
    "å\u2028☃",
]


def previewed(query: str, path: str = "/c/boots") -> Active:
    result = apply(ask(path, query=query), who("loyal"), plain(), KEYS, open_previews=True)
    assert isinstance(result, Active)
    return result


def text(html: bytes) -> str:
    return re.sub(r"\s+", " ", LexborHTMLParser(html.decode()).body.text()).strip()  # type: ignore[union-attr]


def test_it_says_what_is_being_previewed() -> None:
    made = text(bar(previewed("edge_stage=new&edge_segment=city&edge_at=2026-12-24T10:00&edge_experience=half")))
    assert made == (
        'Preview stage "new" · segment city · experience "half" · 2026-12-24 10:00 Europe/Stockholm Why? Leave'
    )
    assert "the shop's own page" in text(bar(previewed("edge_off=1")))


def test_oneself() -> None:
    result = apply(ask("/", (b"cookie", session())), NOBODY, plain(), KEYS)
    assert isinstance(result, Active)
    assert text(bar(result)) == "Preview as yourself Leave", "and no explanation that the link does not allow"


def test_it_leaves_by_a_form_that_comes_back_here() -> None:
    made = bar(previewed("edge_stage=new&q=%C3%A5+b&x=%22", path="/c/b\xc3\xa5t \"'"))
    form = LexborHTMLParser(made.decode()).css_first("form")
    assert form is not None
    assert form.attributes["method"] == "post"
    assert form.attributes["action"] == "https://shop.example/-/edge/leave", "whatever <base> says"
    back = form.css_first("input[name=back]")
    assert back is not None
    assert back.attributes["value"] == "/c/b%C3%A5t%20%22'?q=%C3%A5+b&x=%22"
    left = leave(ask("/-/edge/leave"), b"back=" + back.attributes["value"].replace("&", "%26").encode())
    assert left.location == b"https://shop.example/c/b%C3%A5t%20%22'?q=%C3%A5+b&x=%22".replace(b"+", b"%20")
    assert len(form.css("button[type=submit]")) == 1


def test_why_is_a_click_away() -> None:
    active = previewed("edge_stage=new&q=1")
    link = LexborHTMLParser(bar(active).decode()).css_first("a")
    assert link is not None
    assert link.attributes["href"] == "https://shop.example/c/boots?q=1&edge_explain=1"
    assert address(previewed("edge_stage=new"), explain=True) == "/c/boots?edge_explain=1"
    assert address(active, explain=False) == "/c/boots?q=1&edge_explain=0"
    assert b"<a" not in bar(previewed("edge_stage=new&edge_explain=1")), "an explanation does not link to itself"


@pytest.mark.parametrize("nasty", NASTY)
def test_hostile_values_are_text(nasty: str) -> None:
    plain_shape = [node.tag for node in LexborHTMLParser(bar(previewed("edge_stage=x")).decode()).css("*")]
    active = previewed(f"edge_stage={quote(nasty)}&{quote(nasty)}=1", path=f"/{nasty.encode().decode('latin-1')}")
    made = bar(active)
    assert [node.tag for node in LexborHTMLParser(made.decode()).css("*")] == plain_shape
    assert nasty.replace("\u2028", "\ufffd") in LexborHTMLParser(made.decode()).body.text()  # type: ignore[union-attr]


def test_it_fits_into_a_page_of_any_charset() -> None:
    made = bar(previewed("edge_stage=%C3%A5"))
    assert made.isascii()


def test_no_script_no_marker_no_outside_file() -> None:
    made = bar(previewed("edge_stage=new"))
    tree = LexborHTMLParser(made.decode())
    assert not tree.css("script, link, img, style, iframe, [class], [id], [src]")
    assert not [name for node in tree.css("*") for name in node.attributes if name.startswith(("on", "data-"))]
    assert b"<!--" not in made


def test_people_who_do_not_see_it_hear_it() -> None:
    region = LexborHTMLParser(bar(previewed("edge_stage=new")).decode()).css_first("[role=region]")
    assert region is not None
    assert region.attributes["aria-label"] == "Preview"
    assert region.attributes["lang"] == "en"


def test_the_token_never_stands_in_it() -> None:
    result = apply(ask("/", (b"cookie", session()), query=f"edge_token={token(expires=1)}"), NOBODY, plain(), KEYS)
    assert isinstance(result, Active)
    assert b"edge_token" not in bar(result)
