"""`edgeproxy key`, `cookie` and `preview`: what they print, and how they say that something is wrong."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from edgeproxy.commands.keys import run_cookie, run_cookie_read, run_key, run_preview_link
from edgeproxy.core import state
from edgeproxy.core.flags import PreviewFlags
from edgeproxy.core.memory import begun
from edgeproxy.core.model import NOBODY, Source, Visitor
from edgeproxy.core.preview import Active, Exchange, apply
from edgeproxy.core.signing import Keys
from edgeproxy.core.visitor import read
from tests.core.books import NOW, ask, plain

KEYS = "9b2c4d6e8f0a1b3c5d7e9f0a2b4c6d81,f81d4fae7dec11d0a76500a0c91e6bf6"


def told(run: Callable[..., int], *arguments: object, **named: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run(*arguments, **{"keys": KEYS, "now": NOW, "out": out, "err": err, **named})
    return code, out.getvalue(), err.getvalue()


def cookie(stage: str | None = None, *segments: str, **named: object) -> tuple[int, str, str]:
    return told(run_cookie, stage=stage, segments=segments, **{"id": None, **named})


def test_a_key_is_new_each_time_and_good() -> None:
    made = set()
    for _ in range(20):
        out = io.StringIO()
        assert run_key(out) == 0
        key = out.getvalue().removesuffix("\n")
        assert len(key) == 64
        Keys.parse(key)
        made.add(key)
    assert len(made) == 20


def test_a_cookie_is_the_bare_value() -> None:
    code, out, err = cookie("loyal", "outdoor", "city", id="q7Hk2m")
    assert (code, err, out.count("\n")) == (0, "", 1)
    visitor = read([b"edge_visitor=" + out.strip().encode()], Keys.parse(KEYS), NOW)
    assert visitor == Visitor("loyal", ("outdoor", "city"), "q7Hk2m", Source.COOKIE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"keys": ""}, "edgeproxy cookie: no key is given; make one with `edgeproxy key`"),
        ({"keys": "changeme"}, "edgeproxy cookie: the key has 8 bytes, and 16 are the least"),
        ({"stage": "very new"}, 'edgeproxy cookie: stage "very new" is dropped: not a label'),
    ],
)
def test_a_cookie_that_cannot_be_made(arguments: dict[str, str], words: str) -> None:
    code, out, err = told(run_cookie, **{"stage": "new", "segments": [], "id": None, **arguments})
    assert (code, out) == (2, "")
    assert err.startswith(words)


def test_a_cookie_is_read_back() -> None:
    value = cookie("loyal")[1].strip()
    for text in (value, f"edge_visitor={value}", f" {value}\n"):
        code, out, err = told(run_cookie_read, text)
        assert (code, err) == (0, "")
        assert out.startswith("believed\nsignature    key 2 of 2 (the newest)\n")
        assert "stage        loyal\n" in out


def test_a_cookie_that_is_not_believed_says_why_and_is_1() -> None:
    value = cookie("loyal")[1].strip()
    code, out, _ = told(run_cookie_read, value[:-2])
    assert code == 1
    assert out.startswith("disbelieved  forged: its signature was made by none of our 2 keys\n")
    code, out, _ = told(run_cookie_read, value, now=NOW + 500 * 86400)
    assert code == 1
    assert out.startswith("disbelieved  expired: signed 500 days ago, believed for 400 days\n")
    assert told(run_cookie_read, "\udcff\ud800 nonsense")[0] == 1
    assert told(run_cookie_read, value, keys="short")[0] == 2


def test_a_state_cookie_is_read_too() -> None:
    value = state.sign(replace(begun(NOW - 86400 * 3, "q7Hk2m"), visits=2), Keys.parse(KEYS), NOW).value
    code, out, err = told(run_cookie_read, f"edge_state={value}")
    assert (code, err) == (0, "")
    assert out.startswith("believed\nremembers    2 visits\n             first here 3 days ago\n")
    assert "id           q7Hk2m\n" in out
    code, out, _ = told(run_cookie_read, f"edge_state={value}x")
    assert code == 1
    assert out.startswith("disbelieved  forged: its signature")


def test_a_preview_link_leads_to_the_preview() -> None:
    code, out, err = told(
        run_preview_link,
        "https://shop.example/c/boots?a=1",
        stage="new",
        segments=["city"],
        at="2026-12-24",
        expires="2 days",
    )
    assert code == 0
    assert err == "good for 2 days, until 2026-06-03 12:00 UTC; whoever has it can look\n"
    parts = urlsplit(out.strip())
    first = apply(ask(parts.path, query=parts.query), NOBODY, plain(), Keys.parse(KEYS))
    assert isinstance(first, Exchange)
    assert first.location == b"//shop.example/c/boots?a=1"
    kept = (first.set_cookie or b"").partition(b";")[0]
    seen = apply(ask("/", (b"cookie", kept)), NOBODY, plain(), Keys.parse(KEYS))
    assert isinstance(seen, Active)
    assert seen.flags == PreviewFlags("new", ("city",), at="2026-12-24")
    assert seen.expires == NOW + 2 * 86400


def test_a_link_for_the_team() -> None:
    code, out, _ = told(run_preview_link, "http://127.0.0.1:8080", any=True)
    assert code == 0
    assert out.startswith("http://127.0.0.1:8080/?edge_token=")


@pytest.mark.parametrize(
    ("url", "arguments", "words"),
    [
        ("https://shop.example/", {}, "say what to preview, like --stage new, or --any"),
        ("shop.example/c", {"stage": "new"}, '"shop.example/c" is no address'),
        ("ftp://shop.example/c", {"stage": "new"}, "is no address"),
        ("https://[::1/", {"stage": "new"}, ""),
        ("https://shop.example/", {"stage": "new", "expires": "soon"}, '"soon" is no duration'),
        ("https://shop.example/", {"at": "soon"}, '"soon" is not a date or date-time'),
        ("https://shop.example/", {"stage": "x" * 65}, "edge_stage is longer than 64 characters"),
        ("https://shop.example/", {"stage": "new", "keys": ""}, "no key is given"),
    ],
)
def test_links_that_cannot_be_made(url: str, arguments: dict[str, object], words: str) -> None:
    code, out, err = told(run_preview_link, url, **arguments)
    assert (code, out) == (2, "")
    assert err.startswith("edgeproxy preview: ")
    assert words in err
