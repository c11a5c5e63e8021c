"""Fragments: what is well-formed, placeholders, escaping, the page's charset; mistakes are in tests/cases/fragments."""

from __future__ import annotations

import html
import tomllib
from pathlib import Path
from typing import Any

import pytest
import turbohtml
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.core.markup import Markup
from edgeproxy.core.model import Piece
from edgeproxy.html import context, fragments, wellformed
from edgeproxy.html.checks import HtmlMarkup
from edgeproxy.html.edits import VERBS
from edgeproxy.html.model import Charset

CASES = tomllib.loads(
    Path(__file__).parents[1].joinpath("cases", "fragments", "mistakes.toml").read_text(encoding="utf-8")
)["case"]
LATIN = Charset("windows-1252", "cp1252", 0, "header")
UTF8 = Charset("utf-8", "utf-8", 0, "header")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["it"])
def test_every_mistake_is_told_with_its_place(case: dict[str, Any]) -> None:
    parts, mistakes = fragments.read(case["html"])
    assert parts == ()
    assert [f"{m.line}:{m.column} {m.what}" for m in mistakes] == case["told"]
    if "hint" in case:
        assert mistakes[0].hint == case["hint"]


@pytest.mark.parametrize(
    "source",
    [
        "",
        "text only, AT&T, Fish & Chips, &copy; &amp;",
        "<div>x</div>\n<p>y</p>\n",
        "<ul><li>a<li>b</ul><div><p>1<p>2</div><dl><dt>a<dd>b</dl>",
        "<table><tr><td>1<td>2<tr><td>3</table>",
        "<table><colgroup><col><tbody><tr><th>1</table>",
        "<td>1</td><td>2</td>",
        "<tr><td>1</td></tr>",
        "<tbody><tr><td>1</td></tr></tbody>",
        "<caption>x</caption>",
        "<option>1</option><option>2</option>",
        "<li>1</li><li>2</li>",
        '<svg viewBox="0 0 1 1"><path d="M0"/><foreignObject><p>x</p></foreignObject><title>t</title></svg>',
        '<path d="M0"/><g></g>',
        "<math><mi>x</mi></math>",
        "<script>if (a < b && c) d('</p>')</script><style>a > b {}</style>",
        "<textarea><b></textarea><title>a & b</title>",
        "<template><td>x</td></template>",
        "<div><template shadowrootmode=open><p>x</p></template></div>",
        "<x-shelf><slot name=a></slot></x-shelf>",
        "<img src=a.jpg><br><input disabled><hr/>",
        "<DIV CLASS=a>x</DIV>",
        '<a href="/a?b=1&c=2">x</a>',
        "<!-- a -- b --><p>x</p>",
        "<noscript><img src=x></noscript>",
        "<p>a\r\nb</p>\r\n",
        "<details><summary>x</summary>y</details>",
    ],
)
def test_well_formed_fragments(source: str) -> None:
    parts, mistakes = fragments.read(source)
    assert mistakes == ()
    assert "".join(str(part) for part in parts) == source


def test_a_fragment_that_two_parsers_read_differently_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wellformed, "_shape", lambda source: [("html", 0)])
    [mistake] = fragments.read("<p>x</p>")[1]
    assert mistake.what == "two HTML parsers read this fragment differently"


def test_a_byte_order_mark_is_no_part_of_a_fragment() -> None:
    assert fragments.read("\ufeff<p>x</p>") == (("<p>x</p>",), ())


def test_parts_are_literal_text_and_placeholders_in_turn() -> None:
    parts, mistakes = fragments.read(
        "<p title='for {{ segment }}'>{{stage}} {{ \"{{\" }}</p><script nonce=\"{{ nonce }}\">{{ '{{' }}</script>"
    )
    assert not mistakes
    assert parts == (
        "<p title='for ",
        Piece("segment", "attribute"),
        "'>",
        Piece("stage", "text"),
        ' {{</p><script nonce="',
        Piece("nonce", "nonce"),
        '">{{</script>',
    )


def test_text_is_escaped_and_has_placeholders_too() -> None:
    assert fragments.read_text('a < b & {{ stage }} "c"') == (("a &lt; b &amp; ", Piece("stage", "text"), ' "c"'), ())
    assert fragments.read_text("{{ nonce }}")[1][0].what == "{{ nonce }} may only be the value of a nonce attribute"
    assert fragments.read_text("a\n{{ x }}")[1][0].line == 2


HOSTILE = st.text(st.sampled_from("<>\"'&;=` \n/{}x\0\x07é\ud800\uffff") | st.characters(), max_size=30)


@given(HOSTILE)
def test_values_can_do_no_more_than_be_shown(value: str) -> None:
    parts, _ = fragments.read("<p title=\"{{ path }}\" lang='{{ path }}'>{{ path }}</p><title>{{ path }}</title>")
    filled = fragments.fill(parts, {"path": value})
    document = turbohtml.parse_fragment(filled, scripting=True)
    assert [element.tag for element in document.iter_elements()] == ["p", "title"]
    paragraph, title = list(document.iter_elements())
    assert dict(paragraph.attrs).keys() == {"title", "lang"}
    shown = "".join("\ufffd" if _control(c) else c for c in value).replace("\r\n", "\n").replace("\r", "\n")
    assert paragraph.text == title.text == paragraph.attr("title") == paragraph.attr("lang") == shown


def _control(c: str) -> bool:
    number = ord(c)
    surrogate, non_character = 0xD800 <= number <= 0xDFFF, 0xFDD0 <= number <= 0xFDEF or number in (0xFFFE, 0xFFFF)
    return (number < 32 and c not in "\t\n\r") or 0x7F <= number <= 0x9F or surrogate or non_character


def test_values_are_not_read_for_placeholders_again() -> None:
    parts, _ = fragments.read("<p>{{ path }}</p>")
    assert fragments.fill(parts, {"path": "{{ nonce }}", "nonce": "secret"}) == "<p>{{ nonce }}</p>"


def test_a_name_without_a_value_gives_nothing() -> None:
    parts, _ = fragments.read('<p title="{{ segment }}">x</p>')
    assert fragments.fill(parts, {}) == '<p title="">x</p>'


# --------------------------------------------------------------------------- charsets


def test_characters_that_the_charset_lacks_become_references() -> None:
    assert fragments.encode('<p title="☃">é ☃ €</p><title>☃</title>', LATIN) == (
        b'<p title="&#9731;">\xe9 &#9731; \x80</p><title>&#9731;</title>',
        "",
    )


@pytest.mark.parametrize("source", ["<script>☃</script>", "<style>☃</style>", "<p ☃=x>y</p>", "<x-☃>y</x-☃>"])
def test_where_a_reference_would_mean_nothing_they_are_refused(source: str) -> None:
    made, why = fragments.encode(source, LATIN)
    assert made == b""
    assert 'has no "☃"' in why
    assert fragments.encode(source, UTF8) == (source.encode(), "")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))
def test_encoded_text_reads_the_same(text: str) -> None:
    made, _ = fragments.encode(html.escape(text), LATIN)
    assert html.unescape(made.decode("cp1252")) == text


def test_css_is_escaped_as_css() -> None:
    assert fragments.encode_css('a::after{content:"é☃"}', LATIN) == b'a::after{content:"\xe9\\2603 "}'


# --------------------------------------------------------------------------- in its place


def test_a_place_that_tags_cannot_build_takes_nothing() -> None:
    assert "in a way that HTML does not build" in context.problem(("html", "body", "p", "p"), "x")


@pytest.mark.parametrize(
    ("parents", "source", "fits"),
    [
        ("body p", "a<b>c</b>", True),
        ("body p span", "<div>x</div>", False),
        ("body button div", "<button>x</button>", False),
        ("body ul", "<li>x</li>", True),
        ("body ul li", "<li>x</li>", False),
        ("body dl", "<dt>x</dt><dd>y</dd>", True),
        ("body table", "<tbody><tr><td>1</td></tr></tbody>", True),
        ("body table tbody tr", "<td>x</td>", True),
        ("body table tbody tr td", "<div>x</div>", True),
        ("body table caption", "<div>x</div>", True),
        ("body select", "<option>1</option>", True),
        ("body svg foreignObject", "<div>x</div>", True),
        ("body math mi", "<b>x</b>", True),
        ("body x-shelf", "<div>x</div>", True),
        ("body div", "<frameset></frameset>", False),
        ("head", "<link rel=x><style>a{}</style>", True),
        ("head", "<div>x</div>", False),
        ("", "<p>x</p>", False),
    ],
)
def test_whether_html_leaves_it_there(parents: str, source: str, fits: bool) -> None:
    assert (context.problem(("html", *parents.split()), source) == "") is fits


# --------------------------------------------------------------------------- the door for rules


def test_the_rules_see_html_through_one_door() -> None:
    markup: Markup = HtmlMarkup()
    assert markup.verbs == VERBS
    assert markup.selector_problem("main > section.hero:has(> h1)") is None
    assert markup.selector_problem("main > [") is not None
    assert markup.fragment("<p>x</p>") == (("<p>x</p>",), ())
    assert markup.text("<") == (("&lt;",), ())
