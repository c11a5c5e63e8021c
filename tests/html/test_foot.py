"""The foot of a page: an element of ours becomes a child of body, and nothing else of the tree changes."""

from __future__ import annotations

import pytest
import turbohtml
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.html.foot import foot

OURS = b"<edge-preview><template shadowrootmode=closed><p>x</p></template></edge-preview>"
HEAD = b"<!doctype html><html><head><title>t</title></head>"

PAGES = {
    "whole": HEAD + b"<body><p>a</p></body></html>\n",
    "nothing closed": b"<p>a",
    "body left open": HEAD + b"<body><div style='transform:none'><p>a",
    "a div left open before </body>": HEAD + b"<body><div><p>a</body></html>",
    "an open link": HEAD + b"<body><a href=/x>all of it<div>b</body></html>",
    "an open bold": HEAD + b"<body><p><b>all of it<p>b",
    "an open form": HEAD + b"<body><form><input></body></html>",
    "an open table": HEAD + b"<body><table><tr><td>a</body></html>",
    "an open choice": HEAD + b"<body><select><option>a",
    "an open textarea": HEAD + b"<body><div><textarea>a</body></html>",
    "an open style": HEAD + b"<body><div><style>p{}",
    "an open comment": HEAD + b"<body><div><!-- all of it <p>",
    "a comment behind it all": HEAD + b"<body><p>a</p></body></html><!-- 12 ms",
    "an open button": HEAD + b"<body><button>a<div>b",
    "svg left open": HEAD + b"<body><svg><g><path>",
    "a script left open": HEAD + b"<body class=x><p>a</p><script>run()",
    "plaintext": HEAD + b"<body><plaintext>a",
    "a tag that breaks off": HEAD + b"<body><p>a<div class='",
    "text behind </html>": HEAD + b"<body><p>a</p></body></html>b",
    "a frame": HEAD + b"<body><iframe src=/x></iframe></body>",
    "a shadow root of its own": HEAD + b"<body><div><template shadowrootmode=closed><p>s</template></div></body>",
    "a template left open": HEAD + b"<body><template><p>s",
}


def parent_of_ours(page: bytes) -> list[str]:
    tree = turbohtml.parse(page.decode("latin-1"), scripting=True)
    node = tree.select_one("edge-preview")
    assert node is not None, "it is no element"
    found = [one.tag for one in node.ancestors if isinstance(one, turbohtml.Element)]
    node.extract()
    return found


def put(page: bytes) -> bytes:
    place = foot(page)
    assert place is not None
    return page[: place.at] + place.closing + OURS + page[place.at :]


@pytest.mark.parametrize("name", PAGES)
def test_it_is_a_child_of_body_and_nothing_else_changes(name: str) -> None:
    page = PAGES[name]
    whole = put(page)
    tree = turbohtml.parse(whole.decode("latin-1"), scripting=True)
    node = tree.select_one("edge-preview")
    assert node is not None, "it is no element"
    assert [one.tag for one in node.ancestors if isinstance(one, turbohtml.Element)] == ["body", "html"]
    node.extract()
    assert tree.html == turbohtml.parse(page.decode("latin-1"), scripting=True).html


def test_an_open_script_is_not_made_to_run() -> None:
    page = PAGES["a script left open"]
    assert put(page).startswith(HEAD + b"<body class=x>" + OURS)


@pytest.mark.parametrize(
    "page", [b"<frameset><frame src=/x></frameset>", HEAD + b"<frameset></frameset>", b"<title>x", HEAD]
)
def test_where_there_is_no_body_to_look_at(page: bytes) -> None:
    assert (foot(page) is None) == (page != HEAD)


def test_a_byte_order_mark_is_counted() -> None:
    page = b"\xef\xbb\xbf" + PAGES["whole"]
    place = foot(page, 3)
    assert place is not None
    assert page[place.at :].startswith(b"</body>")


@given(st.lists(st.sampled_from([b"<div>", b"</div>", b"<p>", b"<b>", b"<a>", b"<table>", b"<td>", b"<ul><li>", b"x",
                                 b"<form>", b"</form>", b"<select>", b"<textarea>", b"<!--", b"-->", b"</body>",
                                 b"<button>", b"</p>", b"<svg>", b"<math>", b"</table>", b"<h1>", b"<script>"]),
                max_size=8))  # fmt: skip
def test_whatever_is_left_open_it_is_an_element_of_body_or_nowhere(pieces: list[bytes]) -> None:
    page = HEAD + b"<body>" + b"".join(pieces)
    place = foot(page)
    assert place is not None, "behind <body> there is always a place"
    whole = page[: place.at] + place.closing + OURS + page[place.at :]
    assert parent_of_ours(whole) == ["body", "html"]


POLICIES = [
    (None, (True, True, None)),
    ("default-src 'self'", (False, True, None)),
    ("style-src 'none'", (False, False, None)),
    ("style-src 'self' 'nonce-abc123'", (True, True, "abc123")),
    ("style-src 'unsafe-inline'", (True, False, None)),
    ("script-src 'self'", (True, True, None)),
    ("style-src 'self', style-src https://cdn.example", (False, False, None)),
]


@pytest.mark.parametrize(("csp", "lets"), POLICIES)
def test_what_the_page_lets_in(csp: str | None, lets: tuple[bool, bool, str | None]) -> None:
    place = foot(PAGES["whole"], csp=csp)
    assert place is not None
    assert (place.styles, place.own_styles, place.nonce) == lets
