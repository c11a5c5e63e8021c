"""The laws that bind the whole proxy, each as a property: from what a visitor sends to what leaves, without ports.

1. Bytes outside the edits are the shop's.            6. A preview is nothing without a token, and never counted.
3. Same edits, same bytes, whoever the visitor is.    7. A rule file with a mistake never goes live.
4. Nothing personal is shared.                        8. What was decided explains itself.
5. A cookie that is not good proves nothing.          9. Same input, same decision.

The second, fail open but guard closed, has a module of its own (``test_law_2``); what binds decisions alone is held by
``core/test_laws.py``.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from edgeproxy.core.decide import decide
from edgeproxy.core.flags import PreviewFlags
from edgeproxy.core.model import PageRequest, Severity, Source, Visitor
from edgeproxy.core.tokens import Leave, Session, Token, sign_session, sign_token
from edgeproxy.core.visitor import sign
from edgeproxy.origin import ShopRefused
from edgeproxy.rulebook import RuleBookSource
from tests.law_world import (
    FORGERS,
    HEAD,
    HERO,
    HTML,
    MENU,
    MIDDLE,
    PAGE,
    PHONE,
    RULES,
    VISITORS,
    Who,
    ask,
    clear,
    in_pieces,
    plain,
    session,
    world,
)
from tests.world import HOST, KEYS, NOON, Asked, Shop, Told, World

# --------------------------------------------------------------------------- 1

WHOLE = b"""<p>caf\xc3\xa9</p>|<br>|\r\n|\r|<!-- x -->|&amp;|&copy;|<ul><li>a<li>b</ul>|<IMG SRC=a.png >|<p>a<p>b</p>|
\xe6\x97\xa5|<div id=x><i>y</i></div>|\xff\xfe|<script>if (a < b) '<nav id="menu">'</script>|<textarea><b></textarea>"""
BROKEN = b"""<p> <b> <table> <!-- --> <script> </script> <plaintext> <svg> <template> </body> </html> </p> </div>
<select> <a> ' " & \x00 &copy <title> <math> <li> <td> <frameset> ]]> <![CDATA[ <i><i><i> <noscript> <head> <form>
<h1> <style> <button> <nav> <option> <xmp> \x0c"""
SAFE = st.lists(st.sampled_from(WHOLE.split(b"|")), max_size=6).map(b"".join)
WILD = (
    st.lists(st.sampled_from(BROKEN.replace(b"\n", b" ").split(b" ")) | st.binary(max_size=6), max_size=5)
    .map(b"".join)
    .filter(lambda text: text.rfind(b"<") <= text.rfind(b">"))  # no tag begins that a slot's own would end
)
MARKS = st.sampled_from([b"", b"\xef\xbb\xbf"])


@given(VISITORS, MARKS, SAFE, SAFE, SAFE, st.booleans(), st.booleans(), st.lists(st.integers(0, 500), max_size=4))
@example(Who("new", coding="br"), b"", b"", b"", b"", True, False, [])
def test_law_1_bytes_outside_the_edits_are_the_shops(
    who: Who, mark: bytes, before: bytes, between: bytes, after: bytes, coded: bool, slots: bool, cuts: list[int]
) -> None:
    """Every edit that fits is made, and nothing else; where none is, the shop's very bytes leave, coding included."""
    before = mark + HEAD + before
    page = before + MENU + between + HERO + after if slots else before + between + after
    sent = gzip.compress(page, mtime=0) if coded else page
    headers = [HTML, ("Content-Encoding", "gzip")] if coded else [HTML]
    shop = world().shop
    shop.answer = Told(headers=headers, chunks=in_pieces(sent, cuts))
    got = ask(world(), headers=who.headers())
    assert got.body == clear(got.headers, got.raw) == (who.page(before, between, after) if slots else page)
    if got.body == page and (coded or not who.coding.startswith("gzip")):
        assert got.raw == sent


# What an edit may be between bytes that are the shop's.  End tags that the shop left out belong to an edit.
CLOSED = rb"(?:</[a-z0-9]+>)*"
MENU_NOW = re.escape(MENU) + rb"|" + CLOSED
HERO_NOW = CLOSED + rb'(?:<aside>outdoor</aside>)?<section class="hero"(?: data-phone="yes")?>'
HERO_NOW += rb"(?:Old|<p>Good to see you, loyal</p>)</section>"


@settings(max_examples=150)
@given(VISITORS, MARKS, WILD, WILD, WILD)
def test_law_1_on_pages_that_are_not_well_formed(
    who: Who, mark: bytes, before: bytes, between: bytes, after: bytes
) -> None:
    """Whatever the page is: each edit is made whole or not at all, and all bytes around them are the shop's."""
    before = mark + before
    world().shop.answer = Told(chunks=[before + MENU + between + HERO + after])
    path = "/c/" + hashlib.sha256(before + b"|" + between + b"|" + after).hexdigest()  # nobody has judged it before
    got = ask(world(), path, headers=who.headers())
    around = (re.escape(before), rb"(?:" + MENU_NOW + rb")", re.escape(between), HERO_NOW, re.escape(after))
    assert re.fullmatch(b"".join(around), got.body), got.body
    assert got.status == 200


# --------------------------------------------------------------------------- 3


@given(st.tuples(VISITORS, VISITORS), st.sampled_from(["", "gzip"]), st.sampled_from(["/", "/c/x?y=1"]))
@example((Who("new", id="a"), Who("exploring", ("city",), id="b", others=("sid=1",))), "gzip", "/")
@example((Who("new", ("outdoor",), id="a"), Who(None, ("outdoor",))), "", "/")
def test_law_3_same_edits_same_bytes(pair: tuple[Who, Who], coding: str, target: str) -> None:
    """Two visitors get the same answer, head and body and ETag, exactly when they get the same edits."""
    world().shop.answer = Told(headers=[HTML, ("ETag", '"1"')], chunks=[HEAD + MENU + MIDDLE + HERO])
    a, b = (ask(world(), target, headers=replace(who, coding=coding).headers()) for who in pair)
    if (pair[0].menu(), pair[0].hero()) == (pair[1].menu(), pair[1].hero()):
        assert a.raw == b.raw
        assert plain(a) == plain(b)
    else:
        assert a.body != b.body
        assert a.get("etag") != b.get("etag") or not a.get("etag")


# --------------------------------------------------------------------------- 4

SHARING = st.lists(
    st.sampled_from(
        [
            ("Cache-Control", "public, max-age=600"),
            ("cache-control", "s-maxage=9, max-age=0"),
            ("Cache-Control", "no-store"),
            ("Cache-Control", "immutable"),
            ("Cache-Control", 'private="set-cookie", max-age=60, no-transform'),
            ("Cache-Control", "stale-while-revalidate=60,,=;\x7f"[:-1]),
            ("Expires", "Thu, 31 Dec 2037 23:55:55 GMT"),
            ("Expires", "0"),
            ("Pragma", "public"),
            ("Age", "4"),
            ("ETag", '"shop"'),
            ("ETag", 'W/"shop"'),
            ("eTaG", "shop"),
            ("Last-Modified", "Mon, 01 Jun 2026 00:00:00 GMT"),
            ("Vary", "Accept-Encoding"),
            ("Vary", "cookie , User-Agent"),
            ("Vary", "*"),
            ("Vary", ""),
            ("Surrogate-Control", "max-age=600"),
            ("CDN-Cache-Control", "max-age=600"),
            ("Cloudflare-CDN-Cache-Control", "max-age=600"),
            ("X-Accel-Expires", "600"),
            ("Edge-Control", "cache-maxage=1d"),
            ("Connection", "cache-control, vary, etag, cdn-cache-control"),
            ("Set-Cookie", "sid=1; Path=/"),
            ("Accept-Ranges", "bytes"),
        ]
    ),
    max_size=8,
)
DESTINATIONS = st.sampled_from([None, None, "document", "iframe", "empty", "image"])
STATUSES = st.sampled_from([200, 200, 200, 206, 304])


@settings(max_examples=150)
@given(
    VISITORS,
    SHARING,
    STATUSES,
    DESTINATIONS,
    st.sampled_from(["GET", "HEAD"]),
    st.sampled_from([None, None, "bytes=0-9"]),
)
def test_law_4_nothing_personal_is_shared(
    who: Who, lines: list[tuple[str, str]], status: int, destination: str | None, method: str, part: str | None
) -> None:
    """Whatever the shop says of caches, and however one asks: an address with slots in force is nobody's to keep."""
    body = b"" if status == 304 else HEAD + MENU + MIDDLE + HERO
    world().shop.answer = Told(status=status, headers=[HTML, *lines], chunks=[body] if method == "GET" else [])
    headers = who.headers()
    headers += [("Sec-Fetch-Dest", destination)] if destination else []
    headers += [("Range", part)] if part else []
    got = ask(world(), method=method, headers=headers)
    assert got.status == status
    (control,) = got.get("cache-control")
    assert control.split(", ")[:2] == ["private", "no-cache"]
    assert set(control.split(", ")[2:]) <= {"no-store", "no-transform"}
    assert ("no-store" in control) == (("Cache-Control", "no-store") in lines)
    assert got.get("cdn-cache-control") == ["no-store"]
    (vary,) = got.get("vary")
    assert {"cookie", "*"} & {name.strip().lower() for name in vary.split(",")}
    for name in ("expires", "pragma", "age", "last-modified", "surrogate-control", "cloudflare-cdn-cache-control"):
        assert got.get(name) == [], name
    for name in ("x-accel-expires", "edge-control", "accept-ranges"):
        assert got.get(name) == [], name
    assert all(tag.startswith('"edge-') for tag in got.get("etag"))
    assert got.get("set-cookie") == ["sid=1; Path=/"] * lines.count(("Set-Cookie", "sid=1; Path=/"))


SHOPS_TAG, SHOPS_DATE = '"shop"', "Mon, 01 Jun 2026 00:00:00 GMT"


def revalidating(asked: Asked) -> Told:
    """A shop that confirms whatever it is asked to."""
    conditions = asked.get("if-none-match") + asked.get("if-modified-since")
    validators = [("ETag", SHOPS_TAG), ("Last-Modified", SHOPS_DATE)]
    if any(SHOPS_TAG in one or one == "*" or one == SHOPS_DATE for one in conditions):
        return Told(304, validators, [])
    return Told(200, [HTML, *validators], [HEAD + MENU + MIDDLE + HERO])


@given(st.lists(VISITORS, min_size=2, max_size=4), st.sampled_from(["", "gzip"]), DESTINATIONS)
def test_law_4_a_304_never_confirms_another_visitors_page(
    visitors: list[Who], coding: str, destination: str | None
) -> None:
    """One browser, several visitors in turn, holding every validator seen so far: 304 means that very page."""
    world().shop.answer = revalidating
    document = destination in {None, "document", "iframe"}
    held: dict[str, bytes] = {}
    tags = [SHOPS_TAG, "*"]
    for who in visitors:
        headers = [*replace(who, coding=coding).headers(), ("If-Modified-Since", SHOPS_DATE)]
        headers += [("Sec-Fetch-Dest", destination)] if destination else []
        for tag in [", ".join(tags[:1] + tags[2:]), *tags]:
            got = ask(world(), headers=[*headers, ("If-None-Match", tag)])
            if got.status == 304:
                assert got.body == b""
                if document:
                    assert held[got.one("etag")] == who.page(HEAD, MIDDLE, b"")
                    assert got.one("etag") in tag
            else:
                assert got.body == (who.page(HEAD, MIDDLE, b"") if document else HEAD + MENU + MIDDLE + HERO)
                for own in got.get("etag"):
                    held[own] = got.body
                    tags += [own] if own not in tags else []


# --------------------------------------------------------------------------- 5


@given(
    st.data(),
    st.sampled_from(["forged", "old", "early", "oversized", "doubled", "two lines", "cut", "spelled"]),
    st.booleans(),
    st.sampled_from(["/", "/c/x"]),
)
def test_law_5_a_cookie_that_is_not_good_proves_nothing(
    data: st.DataObject, how: str, phone: bool, target: str
) -> None:
    """The shop's own page, the reason for whoever asks, a count; to the shop the cookie goes as it came."""
    at = NOON
    value = sign(KEYS, NOON, stage="loyal", segments=["outdoor"], id="q7")
    values = [f"edge_visitor={value}"]
    if how == "forged":
        values = [f"edge_visitor={sign(FORGERS, NOON, stage='loyal', segments=['outdoor'])}"]
    elif how == "old":
        at = NOON + 400 * 86400 + data.draw(st.floats(1, 1e8))
    elif how == "early":
        at = NOON - 61 - data.draw(st.floats(0, 1e8))
    elif how == "oversized":
        values[0] += "A" * data.draw(st.integers(1200, 9000))
    elif how == "doubled":
        values = [f"{values[0]}; sid=1; edge_visitor=" + data.draw(st.sampled_from([value, "", "x", "\xff"]))]
    elif how == "two lines":
        values += [f"edge_visitor={data.draw(st.sampled_from([value, '', 'x']))}"]
    elif how == "cut":
        values[0] = values[0][: data.draw(st.integers(len("edge_visitor="), len(values[0]) - 1))]
    else:
        values[0] += data.draw(st.text(st.characters(min_codepoint=33, max_codepoint=255), min_size=1, max_size=5))
        assume(";" not in values[0])
    page = HEAD + MENU + MIDDLE + HERO
    world().shop.answer = Told(chunks=[page])
    world().now = at
    try:
        counted = world().parts.journal.visitors.get("disbelieved")
        headers = [*(("Cookie", one) for one in values), *([PHONE] if phone else [])]
        got = ask(world(), target, headers=headers)
        told = ask(world(), f"{target}?edge_explain=1", headers=[*headers, ("Cookie", with_expiry(at))])
    finally:
        world().now = NOON
    assert (got.status, got.raw) == (200, page)
    assert world().shop.asked[-2].get("cookie") == values
    assert world().parts.journal.visitors.get("disbelieved") == counted + 1
    assert b"disbelieved" in told.body
    assert b"the cookie is not believed" in told.body
    assert b"id q7" not in told.body


def with_expiry(at: float) -> str:
    return f"edge_preview={sign_session(Session(Leave.ANY, PreviewFlags(), int(at + 600)), KEYS)}"


# --------------------------------------------------------------------------- 6

OURS = ["edge_stage", "edge_segment", "edge_persona", "edge_experience", "edge_at", "edge_off", "edge_explain"]
FLAGS = st.lists(
    st.tuples(
        st.sampled_from([*OURS, "edge%5Fstage", "%65dge_off", "edge_token"]),
        st.sampled_from(["loyal", "new", "outdoor", "1", "", "thanks", "2026-12-24", "%FF", "..", "a.b"])
        | st.text(max_size=8).map(lambda text: quote(text, safe="")),
    ).map("=".join),
    min_size=1,
    max_size=5,
)
SHOPS = st.lists(
    st.sampled_from(["a=1", "q=%C3%A5+b", "edge_color=red", "EDGE_STAGE=x", "edge_stages=1", "=", "", "a=%zz", "edge"]),
    max_size=4,
)
BAD_TOKENS = st.sampled_from(
    [
        "",
        "x",
        sign_token(Token(PreviewFlags(stage="loyal"), True, int(NOON)), KEYS),
        sign_token(Token(PreviewFlags(stage="loyal"), True, int(NOON) + 600), FORGERS),
        sign_token(Token(PreviewFlags(stage="loyal"), False, int(NOON) + 600, "/elsewhere"), KEYS),
        sign_token(Token(PreviewFlags(stage="loyal"), True, int(NOON) + 600), KEYS)[:-1],
        session(stage="loyal").partition("=")[2],
        sign(KEYS, NOON, stage="loyal"),
    ]
)
BAD_SESSIONS = st.sampled_from(
    [
        "edge_preview=",
        "edge_preview=x.y",
        "edge_preview=" + sign_token(Token(PreviewFlags(stage="loyal"), True, int(NOON) + 600), KEYS),
        f"edge_preview={sign_session(Session(Leave.ANY, PreviewFlags(stage='loyal'), int(NOON)), KEYS)}",
        f"edge_preview={sign_session(Session(Leave.OPEN, PreviewFlags(stage='loyal'), int(NOON) + 600), KEYS)}",
        f"{session(stage='loyal')}; {session(stage='new')}",
    ]
)


def what_the_shop_saw(asked: Asked) -> tuple[object, ...]:
    lines = [line for line in asked.headers if line[0] != b"x-request-id"]
    return asked.method, asked.target, lines, asked.body, asked.deadline


@given(
    st.data(),
    VISITORS,
    FLAGS,
    SHOPS,
    st.none() | BAD_TOKENS,
    st.none() | BAD_SESSIONS,
    st.sampled_from(["/", "/other", "/checkout/"]),
    st.sampled_from(["GET", "GET", "HEAD", "POST"]),
)
def test_law_6_a_preview_is_nothing_without_a_token(
    data: st.DataObject,
    who: Who,
    flags: list[str],
    shops: list[str],
    token: str | None,
    cookie: str | None,
    path: str,
    method: str,
) -> None:
    """The answer, and what the shop is asked, are byte for byte those of the same request without flags."""
    mixed, left = list(shops), "&".join(shops)
    left = f"?{left}" if left else ""
    for flag in [*flags, *([] if token is None else [f"edge_token={token}"])]:
        mixed.insert(data.draw(st.integers(0, len(mixed))), flag)
    page = Told(headers=[HTML, ("ETag", '"1"')], chunks=[] if method == "HEAD" else [HEAD + MENU + MIDDLE + HERO])
    asked = world()
    asked.shop.answer = page
    lines = who.headers()
    without = ask(asked, path + left, method=method, headers=lines)
    lines = [(name, value) for name, value in lines if name != "Cookie"]
    own = [value for name, value in who.headers() if name == "Cookie"]
    cookies = "; ".join([*([] if cookie is None else [cookie]), *own])
    lines = [*([("Cookie", cookies)] if cookies else []), *lines]
    referer = f"http://{HOST}/?{'&'.join(mixed)}"
    got = ask(asked, f"{path}?{'&'.join(mixed)}", method=method, headers=[*lines, ("Referer", referer)])
    assert (got.status, got.raw, plain(got)) == (without.status, without.raw, plain(without))
    clean, seen = asked.shop.asked[-2:]
    assert seen.get("referer") == [f"http://{HOST}/{left}"]
    seen.headers = [line for line in seen.headers if line[0] != b"referer"]
    assert what_the_shop_saw(seen) == what_the_shop_saw(clean)


def numbers(asked: World) -> list[str]:
    """Every number of ours; memory and time are nobody's visit (what is kept is forgotten before each question)."""
    lines = asked.parts.journal.metrics().decode().splitlines()
    return [line for line in lines if line.startswith("edgeproxy_") and not re.match(r"\w+_bytes[ {]", line)]


PREVIEWS = st.builds(
    PreviewFlags,
    stage=st.sampled_from([None, "", "new", "loyal", "nobody's"]),
    segments=st.sampled_from([None, (), ("outdoor",)]),
    experience=st.sampled_from([None, "thanks", "no-such"]),
    at=st.sampled_from([None, "2026-12-24", "yesterday"]),
    off=st.booleans(),
    explain=st.booleans(),
)
ANSWERS = st.sampled_from(
    [
        Told(headers=[HTML, ("Cache-Control", "public, max-age=600"), ("ETag", '"1"')], chunks=[PAGE]),
        Told(404, [HTML, ("Cache-Control", "max-age=60")], [PAGE]),
        Told(chunks=[PAGE.decode().encode("utf-16")]),
        Told(chunks=[PAGE * 4000, PAGE]),
        ShopRefused("refused", "no connection"),
    ]
)


@given(VISITORS, PREVIEWS, st.sampled_from(["token", "session"]), ANSWERS, st.sampled_from(["/", "/other"]))
def test_law_6_a_preview_is_never_stored_never_counted_never_indexed(
    who: Who, flags: PreviewFlags, how: str, answer: Told | Exception, path: str
) -> None:
    asked = world()
    asked.shop.answer = answer
    asked.shop.asked.clear()
    before = numbers(asked)
    lines = who.headers()
    if how == "token":
        value = sign_token(Token(flags, False, int(NOON + 600)), KEYS)
        got = ask(asked, f"{path}?edge_token={value}", headers=lines)
        assert got.status == 303
        assert asked.shop.asked == []
    else:
        value = sign_session(Session(Leave.BOUND, flags, int(NOON + 600), path if flags.explain else None), KEYS) or ""
        got = ask(asked, path, headers=[*lines, ("Cookie", f"edge_preview={value}")])
        assert "edge_preview" not in str(asked.shop.asked)
    assert got.one("cache-control") == "no-store"
    assert numbers(asked) == before
    if not (isinstance(answer, Exception) and how == "session"):  # an error page of ours is no preview
        assert got.one("x-robots-tag") == "noindex"
        assert got.one("referrer-policy") in {"same-origin", "no-referrer"}
        assert got.get("etag") == []
    asked.parts.journal.log.flush()
    assert value not in asked.log.getvalue()


# --------------------------------------------------------------------------- 7

WORDS = [
    "[[edit]]",
    "[hero]",
    "= true",
    '"loyal"',
    "slot",
    "{ text = 'x' }",
    "]",
    "\n",
    "find",
    '"',
    "#",
    "<b>",
    "</p>",
]
WORDS += [
    "{{ name }}",
    "0",
    "-",
    "2026-13-01",
    "experiences",
    "for",
    "\u2028",
    "\t",
    '"""',
    "remove",
    "\\",
    "= ",
    "\x00",
]


@st.composite
def mutations(draw: st.DrawFn) -> dict[str, bytes | None]:
    """Some files of the folder as somebody's slip leaves them; None: gone."""
    slips: dict[str, bytes | None] = {}
    for name in draw(st.lists(st.sampled_from(sorted(RULES)), min_size=1, max_size=2, unique=True)):
        text = RULES[name]
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        lines = text.splitlines(keepends=True)
        line = draw(st.integers(0, len(lines) - 1))
        slips[name] = draw(
            st.sampled_from(
                [
                    text[:start] + text[end:],
                    text[:start] + draw(st.sampled_from(WORDS)) + text[end:],
                    text[:start],
                    "".join([*lines[:line], lines[line], *lines[line:]]),
                    "".join([*lines[:line], *lines[line + 1 :]]),
                    text.replace(draw(st.sampled_from(["hero", "loyal", "newcomers", "thanks"])), "heros"),
                ]
            ).map(lambda changed: changed.encode("utf-8", "surrogatepass"))
            | st.just(text.encode()[:start] + b"\xff" + text.encode()[start:])
            | st.none()
        )
    return slips


@dataclass
class Live:
    """A proxy whose rules are a folder's."""

    folder: Path
    source: RuleBookSource
    asked: World


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "rules"
        lay(folder, GOOD)
        yield Live(folder, RuleBookSource(folder, clock=lambda: NOON), World(Shop(Told(chunks=[PAGE])), rules=None))


def lay(folder: Path, files: Mapping[str, bytes | None]) -> None:
    for name, data in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            place.unlink()
        else:
            place.write_bytes(data)


GOOD = {name: text.encode() for name, text in RULES.items()}
WHOLE_FILE = re.compile(r"is missing|is not UTF-8")


@given(slips=mutations(), who=VISITORS)
def test_law_7_a_rule_file_with_a_mistake_never_goes_live(live: Live, slips: dict[str, bytes | None], who: Who) -> None:
    """Either the folder is good and live as it is, or what was live stays, and each mistake is told with its place."""
    folder, source, asked = live.folder, live.source, live.asked
    lay(folder, GOOD)
    source.reload()
    old = asked.books.book = source.book
    assert old is not None
    before = ask(asked, headers=who.headers())
    lay(folder, slips)
    source.reload()
    asked.books.book = source.book
    got = ask(asked, headers=who.headers())
    mistakes = [problem for problem in source.problems if problem.severity is Severity.MISTAKE]
    assert got.status == 200
    if mistakes:
        assert source.book is old
        assert (got.body, plain(got)) == (before.body, plain(before))
    else:
        assert source.book is not None
        fresh = RuleBookSource(folder, clock=lambda: NOON).book
        assert fresh == source.book, "all of what is on disk is live, nothing of what was"
    for problem in mistakes:
        name = problem.where.file.removeprefix("rules/")
        assert name in GOOD
        assert problem.what.strip()
        assert problem.where.line >= 1 or WHOLE_FILE.search(problem.what), str(problem)
        text = slips.get(name) or GOOD[name]
        assert problem.where.line <= text.count(b"\n") + 1
    lay(folder, GOOD)
    source.reload()
    assert source.book is not None
    assert (source.book.version, source.stale) == (old.version, False)


# --------------------------------------------------------------------------- 8

ROW = re.compile(
    r'<div class="name">([^<]*)</div>.*?<span class="tag \w+">([^<]*)</span>.*?<p class="why">(.*?)</p>', re.DOTALL
)


def rows(page: str, section: str) -> dict[str, tuple[str, str]]:
    """Name → what it says of it and why, of one section of an explanation."""
    part = page.partition(f'id="{section}"')[2].partition("<h2")[0]
    found = ([html.unescape(text) for text in row] for row in ROW.findall(part))
    return {name: (what, why) for name, what, why in found}


@given(VISITORS, st.sampled_from(["/", "/c/x"]))
def test_law_8_what_was_decided_explains_itself(who: Who, path: str) -> None:
    """Asking for reasons changes nothing of the page, and the reasons are those of what the page shows."""
    who = replace(who, coding="")
    asked = world()
    asked.shop.answer = Told(chunks=[HEAD + MENU + MIDDLE + HERO])
    leave = ("Cookie", session())
    live = ask(asked, path, headers=who.headers())
    looked = ask(asked, path, headers=[*who.headers(), leave])
    assert looked.body.startswith(live.body)
    assert looked.body[len(live.body) :].lstrip().startswith(b"<edge-preview>")

    told = ask(asked, path + "?edge_explain=1", headers=[*who.headers(), leave]).body.decode()
    experiences, slots = rows(told, "experiences"), rows(told, "slots")
    assert list(experiences) == ["calm", "trail", "thanks", "phones", "later"]
    assert all(why.strip() for _, why in [*experiences.values(), *slots.values()])
    applied = {name for name, (outcome, _) in experiences.items() if outcome == "applied"}
    assert applied == {
        name
        for name, sign_of_it in {
            "calm": MENU not in live.body,
            "trail": b"<aside>outdoor</aside>" in live.body,
            "thanks": b"<p>Good to see you, loyal</p>" in live.body,
            "phones": b"data-phone" in live.body,
        }.items()
        if sign_of_it
    }
    assert slots["menu"][0] == ("calm" if "calm" in applied else "the shop's own")
    assert slots["hero"][0] == ("thanks" if "thanks" in applied else "the shop's own")

    book = asked.books.book
    assert book is not None
    visitor = Visitor(None, (), None, Source.NOBODY)
    if who.stage is not None:
        visitor = Visitor(who.stage, who.segments, who.id, Source.COOKIE)
    headers = ((b"sec-ch-ua-mobile", b"?1"),) if who.phone else ()
    decision = decide(book, visitor, PageRequest("GET", "http", HOST, path, "", headers, NOON), reasons=True)
    assert [step.experience.name for step in decision.steps] == list(experiences)
    for step in decision.steps:
        if step.experience.name not in applied:
            assert experiences[step.experience.name] == (step.outcome.value, step.why)


# --------------------------------------------------------------------------- 9


@given(st.lists(st.tuples(VISITORS, st.sampled_from(["/", "/c/x", "/other"])), min_size=2, max_size=4), st.randoms())
def test_law_9_same_input_same_decision(asking: list[tuple[Who, str]], random: Any) -> None:
    """Whoever asked before, in whatever order, of this proxy or of another one with the same rules."""
    again = list(enumerate(asking))
    random.shuffle(again)
    answers: list[dict[int, object]] = []
    for asked, order in ((world(), list(enumerate(asking))), (world(), again), (twin(), again)):
        asked.shop.answer = Told(headers=[HTML, ("ETag", '"1"')], chunks=[HEAD + MENU + MIDDLE + HERO])
        answers.append({})
        for number, (who, path) in order:
            got = ask(asked, path, headers=who.headers())
            answers[-1][number] = (got.status, plain(got), got.raw)
    assert answers[0] == answers[1] == answers[2]


@cache
def twin() -> World:
    return World(rules=dict(reversed(list(RULES.items()))))


def told() -> str:
    """Answers to many visitors, as one text."""
    said = []
    asked = World(rules=RULES)
    asked.shop.answer = Told(headers=[HTML, ("ETag", '"1"')], chunks=[HEAD + MENU + MIDDLE + HERO])
    for stage in (None, "new", "loyal"):
        for segments in (("outdoor", "city"), ("city", "ski", "outdoor")):
            for target in ("/c/x", "/?edge_at=2026-12-24T10:00", "/?edge_explain=1"):
                who = Who(stage, segments, phone=len(segments) > 2, id="q7", coding="gzip")
                got = ask(asked, target, headers=[*who.headers(), ("Cookie", session(experience="trail"))])
                said.append([got.status, plain(got), got.body.decode()])
                got = ask(asked, target, headers=who.headers())
                said.append([got.status, plain(got), got.body.decode()])
    return json.dumps(said)


def test_law_9_in_another_process_with_other_hashes() -> None:
    here = told()
    for seed in ("1", "2"):
        environ = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "Pacific/Auckland", "LC_ALL": "C"}
        code = "import sys, tests.test_laws as laws; sys.stdout.write(laws.told())"
        there = subprocess.run(
            [sys.executable, "-c", code],
            env=environ,
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout == here
