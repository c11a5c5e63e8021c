"""The preview bar: says what is previewed and why, asks by plain forms, and is hostile to nobody's page."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote, urlencode

import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode

from edgeproxy.console.bar import STYLE, Outlined, Way, address, bar
from edgeproxy.core.asking import leave, show
from edgeproxy.core.explain import explain
from edgeproxy.core.flags import PreviewFlags
from edgeproxy.core.model import NOBODY, Problem, Severity, Where
from edgeproxy.core.preview import Active, apply
from edgeproxy.core.tokens import Leave
from tests.core.books import ask, plain, who
from tests.core.test_preview import KEYS, session, token

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</form></template></edge-preview>",
    "&lt;b&gt;",
    "å\u2028☃",
]
PLAIN = Way(inline=False)


def previewed(query: str, path: str = "/c/boots") -> Active:
    result = apply(ask(path, query=query), who("loyal"), plain(), KEYS, open_previews=True)
    assert isinstance(result, Active)
    return result


def made(active: Active, **more: object) -> bytes:
    told = explain(plain(), active.visitor, active.request, forced=active.forced, without=active.without)
    return bar(active, plain(), told, **more)  # type: ignore[arg-type]


def tree(html: bytes) -> LexborHTMLParser:
    """The bar's inside as a tree of its own."""
    inner = re.fullmatch(
        rb'<edge-preview><template shadowrootmode="closed">(.*)</template>(<style.*</style>)?</edge-preview>',
        html,
        re.DOTALL,
    )
    assert inner is not None
    return LexborHTMLParser(inner[1].decode())


def only(html: bytes, selector: str) -> LexborNode:
    found = tree(html).css(selector)
    assert len(found) == 1, f"{selector}: {len(found)}"
    return found[0]


def text(node: LexborNode | None) -> str:
    assert node is not None
    return re.sub(r"\s+", " ", node.text()).strip()


def said(active: Active) -> str:
    return text(only(made(active), ".said"))


def fields(html: bytes, form: str = "form[action$=show]") -> list[tuple[str, str]]:
    """What a browser would send of a form as it stands."""
    found = []
    for node in only(html, form).css("input[name], select[name]"):
        name, kind = node.attributes["name"] or "", node.attributes.get("type")
        if node.tag == "select":
            chosen = node.css("option[selected]") or node.css("option")
            found.append((name, chosen[0].attributes["value"] or ""))
        elif kind != "checkbox" or "checked" in node.attributes:
            found.append((name, node.attributes.get("value") or ""))
    return found


def test_it_says_what_is_being_previewed() -> None:
    active = previewed("edge_stage=new&edge_segment=city&edge_at=2026-12-24T10:00&edge_experience=half")
    assert said(active) == 'stage "new" · segment city · experience "half" · 2026-12-24 10:00 Europe/Stockholm'
    assert said(previewed("edge_off=1")) == "the shop's own page"
    assert said(previewed("edge_experience=!half")) == "without half"


def test_who_holds_a_link_for_one_thing_sees_that_and_can_leave() -> None:
    result = apply(ask("/", (b"cookie", session())), NOBODY, plain(), KEYS)
    assert isinstance(result, Active)
    html = made(result)
    assert text(tree(html).body).endswith("Preview as yourself Copy link Leave"), (
        "no explanation, and nothing to change"
    )
    assert not tree(html).css("[popover], a")


def test_it_leaves_by_a_form_that_comes_back_here() -> None:
    html = made(previewed("edge_stage=new&q=%C3%A5+b&x=%22", path="/c/b\xc3\xa5t \"'"))
    form = only(html, "form[action$=leave]")
    assert form.attributes["method"] == "post"
    assert form.attributes["action"] == "//shop.example/-/edge/leave", "whatever <base> says"
    assert form.attributes["target"] == "_self", "whatever <base> says"
    back = form.css_first("input[name=back]")
    assert back is not None
    assert back.attributes["value"] == "/c/b%C3%A5t%20%22'?q=%C3%A5+b&x=%22"
    left = leave(ask("/-/edge/leave"), urlencode({"back": back.attributes["value"]}).encode())
    assert left.location == b"//shop.example/c/b%C3%A5t%20%22'?q=%C3%A5+b&x=%22"
    assert len(form.css("button[type=submit]")) == 1


@pytest.mark.parametrize(
    "query",
    [
        "edge_stage=new",
        "edge_stage=",
        "edge_persona=anna",
        "edge_segment=",
        "edge_segment=city&edge_segment=outdoor&edge_stage=loyal",
        "edge_at=2026-12-24T10:00&edge_outline=1",
        "edge_off=1",
        "edge_experience=half&edge_experience=!calm-start",
        "edge_at=2026-12-24T10:00:30",
    ],
)
def test_a_form_that_nobody_touched_changes_nothing(query: str) -> None:
    active = previewed(query)
    cookie = session(Leave.ANY, **{name: getattr(active.flags, name) for name in active.flags.__slots__})
    went = show(
        ask("/-/edge/show", (b"cookie", cookie), method="POST"),
        urlencode(fields(made(active))).encode(),
        KEYS,
        open_previews=False,
    )
    after = apply(ask("/", (b"cookie", (went.set_cookie or b"").partition(b";")[0])), NOBODY, plain(), KEYS)
    assert isinstance(after, Active)
    assert after.flags == active.flags


def test_a_choice_is_taken_and_another_persona_brings_its_own_labels() -> None:
    cookie = session(Leave.ANY, stage="loyal")

    def chosen(html: bytes, **choices: str) -> PreviewFlags:
        form = {**dict(fields(html)), **choices}
        request = ask("/-/edge/show", (b"cookie", cookie), method="POST")
        went = show(request, urlencode(form).encode(), KEYS, open_previews=False)
        after = apply(ask("/", (b"cookie", (went.set_cookie or b"").partition(b";")[0])), NOBODY, plain(), KEYS)
        assert isinstance(after, Active)
        return after.flags

    html = made(previewed("edge_stage=loyal"))
    assert chosen(html, edge_stage="new") == PreviewFlags(stage="new")
    assert chosen(html, edge_stage="") == PreviewFlags(stage="")
    assert chosen(html, edge_persona="anna") == PreviewFlags(persona="anna"), "the stage that was shown was not chosen"
    assert chosen(html, edge_persona="anna", edge_stage="new") == PreviewFlags(persona="anna", stage="new")
    assert chosen(html, edge_segment="city") == PreviewFlags(stage="loyal", segments=("city",))
    assert chosen(html, edge_experience="!half") == PreviewFlags(stage="loyal", without=("half",))


def test_why_is_a_click_away() -> None:
    active = previewed("edge_stage=new&q=1")
    links = [link.attributes["href"] for link in tree(made(active)).css("a")]
    assert set(links) == {"//shop.example/c/boots?q=1&edge_explain=1"}
    assert address(previewed("edge_stage=new"), explain=True) == "/c/boots?edge_explain=1"
    assert address(active, explain=False) == "/c/boots?q=1&edge_explain=0"


def test_it_tells_what_was_considered_and_why_not() -> None:
    active = previewed("edge_stage=new")
    told = explain(plain(), active.visitor, active.request)
    words = text(tree(made(active)).css_first("[popover]"))
    for one in told.experiences:
        for part in (one.name, one.outcome, one.why, one.where):
            assert part in words
    for slot in told.slots:
        for part in (slot.name, slot.why, slot.where):
            assert part in words


def test_mistakes_of_the_rules_on_disk_are_told_to_who_may_know_them() -> None:
    problems = [
        Problem(Where("rules/slots.toml", number), f"mistake {number}", severity=Severity.MISTAKE)
        for number in range(1, 20)
    ]
    words = text(tree(made(previewed("edge_stage=new"), mistakes=problems)).body)
    assert "The rules on disk have mistakes; showing the last good ones" in words
    assert "rules/slots.toml:1: mistake 1" in words
    assert "and 7 more" in words
    bound = apply(ask("/", (b"cookie", session(stage="new"))), NOBODY, plain(), KEYS)
    assert isinstance(bound, Active)
    words = text(tree(made(bound, mistakes=problems)).body)
    assert "showing the last good ones" in words
    assert "slots.toml" not in words


@pytest.mark.parametrize("nasty", NASTY)
@pytest.mark.parametrize("way", [Way(), PLAIN])
def test_hostile_values_are_text(nasty: str, way: Way) -> None:
    harmless = [node.tag for node in tree(made(previewed("edge_stage=x", path="/x"), way=way)).css("*")]
    active = previewed(f"edge_stage={quote(nasty)}&{quote(nasty)}=1", path=f"/{nasty.encode().decode('latin-1')}")
    html = made(active, way=way)
    assert [node.tag for node in tree(html).css("*")] == harmless
    assert nasty.replace("\u2028", "\ufffd") in tree(html).body.text()  # type: ignore[union-attr]
    labelled = made(replace(active, notes=(nasty,), problems=(nasty,)), outlined=[Outlined("#x", nasty)], draft=nasty)
    assert nasty in tree(labelled).body.text()  # type: ignore[union-attr]
    assert not tree(labelled).css("script, img")


def test_it_fits_into_a_page_of_any_charset() -> None:
    assert made(previewed("edge_stage=%C3%A5")).isascii()
    assert STYLE.isascii()
    assert "</" not in STYLE


def test_no_script_and_no_outside_file() -> None:
    for way in (Way(), Way(nonce="n0nce"), PLAIN):
        html = made(previewed("edge_stage=new"), way=way)
        assert not tree(html).css("script, link, img, iframe, [src], [style]")
        assert not [name for node in tree(html).css("*") for name in node.attributes if name.startswith("on")]
        assert b"<!--" not in html


def test_the_style_comes_as_the_page_lets_it() -> None:
    active = previewed("edge_stage=new")
    assert only(made(active), "style").attributes == {}
    assert only(made(active, way=Way(nonce="n0nce")), "style").attributes == {"nonce": "n0nce"}
    linked = made(active, way=Way(inline=False, linked=True))
    assert only(linked, "link[rel=stylesheet]").attributes["href"] == "//shop.example/-/edge/bar.css"
    assert not tree(linked).css("style")
    assert not tree(made(active, way=PLAIN)).css("style, link, .name input")


def test_outlines_are_a_style_for_the_page_with_labels_of_the_bars_own() -> None:
    outlined = [Outlined("#hero", "calm-start · rules/x.toml:4"), Outlined("main > p:nth-child(2)", "half · y:1")]
    html = made(previewed("edge_outline=1"), way=Way(nonce="n0nce"), outlined=outlined)
    style = html.partition(b"</template>")[2]
    assert style.startswith(b'<style nonce="n0nce">#hero{outline:')
    assert b"main > p:nth-child(2){outline:" in style
    assert b"edge-preview::part(l2){position-anchor:--edge-preview-2" in style
    assert [text(label) for label in tree(html).css(".label")] == [one.label for one in outlined]
    plain = made(previewed("edge_outline=1"), way=PLAIN, outlined=outlined)
    assert b"outline:2px" not in plain
    assert "nothing is outlined" in text(tree(plain).body), "and that is told"


def test_people_who_do_not_see_it_hear_it() -> None:
    region = only(made(previewed("edge_stage=new")), "[role=region]")
    assert region.attributes["aria-label"] == "Preview"
    assert region.attributes["lang"] == "en"
    for node in tree(made(previewed("edge_stage=new"))).css("select, input:not([type=hidden])"):
        assert node.attributes.get("aria-label") or node.parent.tag == "label"  # type: ignore[union-attr]


def test_the_token_never_stands_in_it() -> None:
    result = apply(ask("/", (b"cookie", session()), query=f"edge_token={token(expires=1)}"), NOBODY, plain(), KEYS)
    assert isinstance(result, Active)
    assert b"edge_token" not in made(result)
