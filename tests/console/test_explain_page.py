"""The explanation as a page: all that the text says, escaped, and a way back."""

from __future__ import annotations

import pytest
from selectolax.lexbor import LexborHTMLParser

from edgeproxy.console.explain_page import CONTENT_SECURITY_POLICY, explain_page
from edgeproxy.core.explain import explain
from edgeproxy.core.model import Source, Visitor
from tests.console.test_bar import NASTY
from tests.core.books import ask, plain, who
from tests.core.test_explain import SCENES


def page(made: bytes) -> LexborHTMLParser:
    assert made.startswith(b"<!doctype html>")
    return LexborHTMLParser(made.decode())


@pytest.mark.parametrize("name", SCENES)
def test_it_tells_what_the_text_tells(name: str) -> None:
    told = SCENES[name]()
    body = page(explain_page(told)).body
    assert body is not None
    words = " ".join(body.text().split())
    for one in told.experiences:
        for part in (one.name, one.outcome, one.why, one.where):
            assert part in words
    for slot in told.slots:
        for part in (slot.name, slot.find, slot.why, slot.where, slot.winner or "the shop's own"):
            assert part in words
        for edit in slot.edits:
            assert f"{edit.experience}: {edit.verb}, {edit.outcome}" in words
    for part in (
        told.visitor.words,
        *told.visitor.problems,
        told.moment,
        told.lane_why,
        told.book_version,
        *told.notes,
    ):
        assert part in words


@pytest.mark.parametrize("nasty", NASTY)
def test_hostile_values_are_text(nasty: str) -> None:
    def made(value: str) -> LexborHTMLParser:
        visitor = Visitor(value, (value,), value, Source.COOKIE, (value,))
        request = ask(
            "/" + value.encode().decode("latin-1"),
            (b"accept-language", value.encode()),
            query=value.encode().decode("latin-1"),
        )
        told = explain(plain(), visitor, request, notes=(value,))
        return page(explain_page(told, page="/" + value, leave_path="/-/edge/leave", back=value))

    harmless = [node.tag for node in made("x").css("*")]
    hostile = made(nasty)
    assert [node.tag for node in hostile.css("*")] == harmless
    assert hostile.body is not None
    assert nasty in hostile.body.text()


def test_a_way_back_and_a_way_out() -> None:
    told = explain(plain(), who("new"), ask("/"))
    tree = page(explain_page(told, page="/c?edge_explain=0", leave_path="/-/edge/leave", back="/c"))
    assert [link.attributes["href"] for link in tree.css("a")] == ["/c?edge_explain=0"]
    form = tree.css_first("form[method=post]")
    assert form is not None
    assert form.attributes["action"] == "/-/edge/leave"
    assert [node.attributes["value"] for node in form.css("input")] == ["/c"]
    alone = page(explain_page(told))
    assert not alone.css("form, a")


def test_nothing_runs_and_nothing_is_fetched() -> None:
    tree = page(explain_page(explain(plain(), who("new"), ask("/"))))
    assert not tree.css("script, link, img, iframe, [src], [style]")
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert tree.css_first("meta[name=robots][content=noindex]") is not None
    assert tree.css_first("html[lang=en]") is not None
