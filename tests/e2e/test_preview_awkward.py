"""The preview bar on pages that make it hard: strict policies, broken layouts, frames, scripts that write; and flags
that somebody made up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.bar import Bar
from tests.e2e.running import Proxy, edgeproxy, serving
from tests.e2e.standin import StandIn, page, standing_in
from tests.world import RULES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

HTML = "text/html; charset=utf-8"
BODY = '<nav id="menu"><a href="/a">A</a></nav><main><section class="hero">Old</section><p>text</p></main>'
HEAD = "<!doctype html><html><head><title>Shop</title>"


def document(body: str, head: str = "") -> bytes:
    return f"{HEAD}{head}</head><body>{body}</body></html>".encode()


def csp(policy: str) -> tuple[str, str]:
    return "Content-Security-Policy", policy


NONCE = (
    "default-src 'self'; script-src 'nonce-abc'; style-src 'nonce-abc'; form-action 'self'; "
    "require-trusted-types-for 'script'"
)
STYLED = {  # the bar stands at the foot of the window
    "/": page(document(BODY)),
    "/nonce": page(document(BODY), HTML, csp(NONCE)),
    "/self": page(document(BODY), HTML, csp("default-src 'self'")),
    "/meta": page(document(BODY, f'<meta http-equiv="Content-Security-Policy" content="{NONCE}">')),
    "/base": page(document(BODY, '<base href="https://elsewhere.example/deep/" target="_blank">')),
    "/moved": page(f"{HEAD}</head><body>{BODY}<div style='transform:translateX(40px);filter:blur(0)'><p>open".encode()),
    "/link": page(f"{HEAD}</head><body>{BODY}<a href='/a'><b>all of it is a link".encode()),
    "/textarea": page(f"{HEAD}</head><body>{BODY}<form><textarea>open".encode()),
    "/comment": page(f"{HEAD}</head><body>{BODY}<!-- open <p>".encode()),
    "/script": page(f"{HEAD}</head><body>{BODY}<script>window.ran = 1".encode()),
    "/hostile": page(document(BODY, "<style>* { display: none !important; all: unset !important } "
                                    "body, html { display: block !important } "
                                    "body > *:last-child { position: static !important; opacity: 0 }</style>")),
    "/grid": page(document(BODY, "<style>body { display: grid; gap: 99px; height: 100vh; overflow: hidden }</style>")),
    "/closed": page(document(BODY + "<div><template shadowrootmode=closed><style>* { color: red }</style><p>own</p>"
                                    "</template></div><script>customElements.define('x-y', class extends HTMLElement "
                                    "{ constructor() { super(); this.attachShadow({mode: 'closed'}) } })</script>"
                                    "<x-y></x-y>")),
    "/write": page(document(BODY + "<script>document.write('<p>written</p><div>open')</script>")),
    "/frame": page(document(BODY + "<iframe src='/inner' title='inner'></iframe>")),
    "/latin": page(document(BODY + "<p>caf\xe9</p>").decode().encode("latin-1"), "text/html; charset=iso-8859-1"),
}  # fmt: skip
PLAIN = {  # the policy lets no style in: a plain form at the page's end
    "/none": page(document(BODY), HTML, csp("default-src 'none'; form-action 'self'")),
    "/report": page(
        document(BODY), HTML, ("Content-Security-Policy-Report-Only", "default-src 'none'; report-uri /reports")
    ),
    "/elsewhere": page(document(BODY), HTML, csp("default-src https://cdn.example; form-action 'self'")),
}
OTHERS = {
    "/inner": page(document(BODY)),
    "/frames": page(b"<frameset cols='50%,50%'><frame src='/inner'><frame src='/inner'></frameset>"),
    "/rewritten": page(document(BODY + "<script>onload = () => { document.open(); document.write('<p>all new'); "
                                       "document.close() }</script>")),
    "/a": page(document("<p>another</p>")),
}  # fmt: skip


@dataclass
class Set:
    proxy: Proxy
    shop: StandIn
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Set]:
    rules: Path = tmp_path_factory.mktemp("awkward") / "rules"
    for name, text in {**RULES, "slots.toml": RULES["slots.toml"].replace('on = ["/", "/c/**"]', "")}.items():
        (rules / name).parent.mkdir(parents=True, exist_ok=True)
        (rules / name).write_text(text, "utf-8")
    with standing_in({**STYLED, **PLAIN, **OTHERS}) as shop, serving(shop.base, rules) as proxy:
        yield Set(proxy, shop)


@pytest.fixture(scope="module")
def window(browser: Browser, stage: Set) -> Iterator[Page]:
    """One browser for all pages, in a preview; what its console says is kept."""
    context = browser.new_context(viewport={"width": 1000, "height": 700})
    context.set_default_timeout(20_000)
    opened = context.new_page()
    opened.on("console", lambda message: stage.complaints.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: stage.complaints.append(str(error)))
    made = edgeproxy("preview", stage.proxy.base + "/", "--any", "--stage", "loyal", "--expires", "1h")
    opened.goto(made.stdout.strip())
    yield opened
    context.close()


@pytest.mark.parametrize("path", STYLED)
def test_it_stands_at_the_foot_of_the_window(window: Page, stage: Set, path: str) -> None:
    stage.complaints.clear()
    window.goto(stage.proxy.base + path, wait_until="load")
    bar = Bar(window)
    assert bar.said == 'stage "loyal"'
    box = bar.ask(
        "const b = this.querySelector('.pill').getBoundingClientRect(); return [b.left, b.right, b.top, b.bottom]"
    )
    left, right, top, bottom = box
    assert abs((left + right) / 2 - 500) < 12, "in the middle of the window"
    assert 600 < top < bottom < 700
    assert bar.ask("return getComputedStyle(this.querySelector('.pill')).backgroundColor") == "rgb(20, 33, 61)"
    assert [one for one in stage.complaints if "edge" in one.lower() or "policy" in one.lower()] == []


@pytest.mark.parametrize("path", ["/nonce", "/base", "/hostile"])
def test_its_forms_lead_back_to_the_page(window: Page, stage: Set, path: str) -> None:
    window.goto(stage.proxy.base + path)
    bar = Bar(window)
    bar.change(edge_stage="new")
    assert window.url == stage.proxy.base + path
    assert bar.said == 'stage "new"'
    bar.change(edge_stage="loyal")


@pytest.mark.parametrize("path", PLAIN)
def test_where_no_style_may_come_it_is_a_plain_form_that_works(window: Page, stage: Set, path: str) -> None:
    stage.complaints.clear()
    window.goto(stage.proxy.base + path)
    bar = Bar(window)
    assert bar.said == 'stage "loyal"'
    assert "<style" not in bar.html()
    bar.change(edge_stage="new")
    assert bar.said == 'stage "new"'
    bar.change(edge_stage="loyal")
    assert stage.complaints == [], "the browser had nothing to refuse, so that nobody was reported"


def test_a_frame_in_a_page_has_no_bar_of_its_own(window: Page, stage: Set) -> None:
    window.goto(stage.proxy.base + "/frame")
    inner = window.frame_locator("iframe")
    assert inner.locator(".hero").inner_text() == "Good to see you", "its page is the previewed visitor's, though"
    assert inner.locator("edge-preview").count() == 0


def test_an_open_script_does_not_run_for_the_bars_sake(window: Page, stage: Set) -> None:
    window.goto(stage.proxy.base + "/script")
    assert window.evaluate("window.ran") is None


@pytest.mark.parametrize("path", ["/frames", "/rewritten"])
def test_where_no_bar_can_be_the_preview_goes_on_all_the_same(window: Page, stage: Set, path: str) -> None:
    window.goto(stage.proxy.base + path, wait_until="load")
    window.goto(stage.proxy.base + "/")
    assert Bar(window).said == 'stage "loyal"'


def test_the_pages_scripts_do_not_reach_into_it(window: Page, stage: Set) -> None:
    window.goto(stage.proxy.base + "/")
    assert window.evaluate("document.querySelector('edge-preview').shadowRoot") is None
    assert "edge_" not in window.evaluate("document.cookie + location.href + document.referrer")
    assert window.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]


def test_outlines_stand_where_edits_were_made(window: Page, stage: Set) -> None:
    window.goto(stage.proxy.base + "/?edge_stage=loyal&edge_outline=1")
    bar = Bar(window)
    hero = window.locator(".hero").bounding_box()
    assert hero is not None
    label = bar.ask("const b = this.querySelector('.label').getBoundingClientRect(); return [b.left, b.bottom]")
    assert bar.text(".label") == "thanks · rules/experiences/thanks.toml:3"
    assert abs(label[0] - hero["x"]) < 2
    assert abs(label[1] - hero["y"]) < 2
    assert window.locator(".hero").evaluate("one => getComputedStyle(one).outlineStyle") == "dashed"
    assert window.locator("#menu").evaluate("one => getComputedStyle(one).outlineStyle") == "none"
    window.goto(stage.proxy.base + "/?edge_stage=loyal")
    assert window.locator(".hero").evaluate("one => getComputedStyle(one).outlineStyle") == "none"


HOSTILE = [
    "<script>window.hacked=1</script>",
    '"><img src=x onerror="window.hacked=1">',
    "</template></edge-preview><script>window.hacked=1</script>",
    "\r\nSet-Cookie: hacked=1",
    "å\u2028☃\x00\x1b[2J",
    "x" * 10_000,  # of which a target takes a part
]


@pytest.mark.parametrize("value", HOSTILE, ids=["script", "attribute", "out of the root", "header", "unicode", "10 KB"])
def test_whatever_a_flag_holds_is_text_and_is_named_in_words(window: Page, stage: Set, value: str) -> None:
    told = {
        "edge_stage": "unknown stage",
        "edge_segment": "unknown segment",
        "edge_persona": "unknown persona",
        "edge_experience": "unknown experience",
        "edge_at": "edge_at is",
        "edge_off": "edge_off is",
        "edge_rules": "a draft needs a link that names it",
    }
    stage.shop.asked.clear()
    answer = window.goto(f"{stage.proxy.base}/?" + "&".join(f"{flag}={quote(value[:1900])}" for flag in told))
    assert answer
    assert answer.status == 200
    assert window.url == stage.proxy.base + "/", "a clean address"
    words = Bar(window).text()
    for flag, said in told.items():
        assert (f"{flag} is longer than" if len(value) > 200 else said) in words
    assert window.evaluate("window.hacked") is None
    assert "hacked" not in {one["name"] for one in window.context.cookies()}
    window.goto(stage.proxy.base + "/?edge_stage=loyal")
    assert all("edge_" not in asked.target for asked in stage.shop.asked)
