"""Outlines: selectors that find, in the edited page, exactly what edits have changed."""

from __future__ import annotations

import pytest
from selectolax.lexbor import LexborHTMLParser

from edgeproxy.core.model import NOBODY, PageRequest
from edgeproxy.html.outline import outlines
from edgeproxy.personalise import personalise
from tests.world import RULES, book_of

PAGE = (
    b"<!doctype html><html><head><title>t</title></head><body><nav id=menu><a href=/>A</a></nav>\n"
    b"<main><section class=hero>Old</section><p>one</p><p class=note>two</p><ul id=list><li>1<li>2<li>3</ul></main>"
    b"</body></html>"
)


def changed(edits: str, slots: str = "") -> list[str]:
    """What the outlines of these edits find in the edited page: the HTML of each element, as a browser has it."""
    rules = {
        **RULES,
        "slots.toml": '[hero]\nfind = ".hero"\n[menu]\nfind = "#menu"\n[items]\nfind = "#list li"\nexpect = "any"\n'
        '[note]\nfind = ".note"\n' + slots,
        "experiences/calm.toml": 'for = "newcomers"\n' + edits,
    }
    rules.pop("experiences/thanks.toml")
    book = book_of({**rules, "shop.toml": RULES["shop.toml"].replace('"calm", "thanks"', '"calm"')})
    request = PageRequest("GET", "https", "shop.example", "/", "", (), 0.0)
    from edgeproxy.core.decide import decide

    made = personalise(book, decide(book, NOBODY, request), request, PAGE, "text/html; charset=utf-8")
    assert made.plan is not None
    tree = LexborHTMLParser(made.body.decode())
    found = []
    for one in outlines(made.body, made.plan, made.placing):
        (node,) = tree.css(one.selector)
        found.append(node.html or "")
    return found


@pytest.mark.parametrize(
    ("edits", "found"),
    [
        ('[[edit]]\nslot="hero"\ninner={text="New"}', ['<section class="hero">New</section>']),
        ('[[edit]]\nslot="hero"\nreplace={html="<h2>New</h2><p>more</p>"}', ["<h2>New</h2>", "<p>more</p>"]),
        ('[[edit]]\nslot="hero"\nbefore={html="<h2>New</h2>"}', ["<h2>New</h2>"]),
        ('[[edit]]\nslot="note"\nafter={html="<h2>New</h2>"}', ["<h2>New</h2>"]),
        ('[[edit]]\nslot="hero"\nbefore={html="<b>x</b>"}\n[[edit]]\nslot="hero"\nadd_class="calm"',
         ["<b>x</b>", '<section class="hero calm">Old</section>']),
        ('[[edit]]\nslot="note"\nremove_class="note"', ['<p class="">two</p>']),
        ('[[edit]]\nslot="menu"\nremove=true', []),
        ('[[edit]]\nslot="menu"\nhide=true', []),
        ('[[edit]]\nslot="menu"\nremove=true\n[[edit]]\nslot="note"\ninner={text="x"}', ['<p class="note">x</p>']),
        ('[[edit]]\nslot="items"\nadd_class="calm"',
         ['<li class="calm">1</li>', '<li class="calm">2</li>', '<li class="calm">3</li>']),
    ],
)  # fmt: skip
def test_what_was_changed_is_found_and_nothing_else(edits: str, found: list[str]) -> None:
    seen = [one.replace(' class=""', "") for one in changed(edits)]
    assert seen == [one.replace(' class=""', "") for one in found]
