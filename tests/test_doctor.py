"""A look before going live: what was seen → what is said; and the command itself, against a shop on loopback."""

from __future__ import annotations

import json
import socket
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from edgeproxy.cli import main
from edgeproxy.core.model import RawHeaders, RuleBook
from edgeproxy.core.rulefile import Parsed, parse
from edgeproxy.core.signing import BadKey, Keys
from edgeproxy.core.visitor import sign
from edgeproxy.demo.shop import build_shop
from edgeproxy.doctor import examine
from edgeproxy.doctor.choose import links, wanted
from edgeproxy.doctor.model import Answer, Certificate, Finding, Observed, Page, Reach, Setup, Severity, shown, some
from edgeproxy.doctor.platforms import PLATFORMS
from edgeproxy.doctor.report import as_json, as_text
from edgeproxy.html.checks import HtmlMarkup
from edgeproxy.starter import Sample, further_pages
from tests.world import KEYS, NOON, PAGE, RULES

CASES = Path(__file__).parent / "cases" / "doctor"
TABLE: list[tuple[str, dict[str, Any]]] = [
    (file.stem, case)
    for file in sorted(CASES.glob("*.toml"))
    for case in tomllib.loads(file.read_text("utf-8"))["case"]
]
KEY = "4d1f0c7be2a84b5d9c3e6f7081a2b3c4"
TLS = Path(__file__).parent / "data" / "tls"
DEMO_RULES = Path(__file__).parents[1] / "rules"
SAID = "says = 'x'\nbecause = 'x'\npurpose = 'help'\nowner = 'x'\n"


# --------------------------------------------------------------------------- what was seen


def headers(*lines: str) -> RawHeaders:
    pairs = (line.partition(":") for line in lines)
    return tuple((name.strip().lower().encode(), value.strip().encode("latin-1")) for name, _, value in pairs)


def answer(table: dict[str, Any], case: dict[str, Any], *, proto: str | None = "https") -> Answer:
    """An answer of the world's shop, where nothing else is said: one good page."""
    status = table.get("status", 200)
    lines = list(table.get("headers", ()))
    if not any(line.lower().startswith("content-type") for line in lines):
        lines.append("Content-Type: text/html; charset=utf-8")
    if hsts := table.get("hsts", "max-age=86400"):
        lines.append(f"Strict-Transport-Security: {hsts}")
    if stage := case.get("sign"):
        lines.append(f"Set-Cookie: edge_visitor={sign(KEYS, NOON, stage=stage)}; Secure")
    body = table["body"].encode() if "body" in table else PAGE if status == 200 else b""
    body = body.replace(b"</body>", case.get("add", "").encode() + b"</body>")
    body += b" " * (case.get("padding", 0) * 1024)
    first_byte = table.get("first_byte", 0.05)
    path = table.get("path", "/")
    return Answer(path, status, headers(*lines), body, proto, first_byte, trouble=table.get("trouble", ""))


def parsed(changes: dict[str, str], *, warned: bool = False) -> Parsed:
    """The world's rules with some files changed; without a warning where none is meant.  "" takes a file away."""
    files = {**RULES, **changes}
    if not warned:
        files = {name: SAID + text if name.startswith("experiences/") else text for name, text in files.items()}
        files["shop.toml"] = files["shop.toml"].replace('without_cookie = "new"', 'without_cookie = "untouched"')
    return parse({name: text.encode() for name, text in files.items() if text}, markup=HtmlMarkup(), now=NOON)


def observed(case: dict[str, Any]) -> Observed:
    origin = case.get("origin", "http://10.0.0.5:8000")
    setup = Setup(origin, case.get("host", "shop.example") or None, case.get("origin_host"), at=NOON)
    told = case.get("reach", {})
    certificate = (
        Certificate(NOON + told["days"] * 86400 + 60, tuple(told.get("names", ()))) if "days" in told else None
    )
    addresses = tuple(told.get("addresses", ("10.0.0.5",)))
    reach = Reach(addresses, 0.002, certificate, told.get("trouble", ""), told.get("what", ""))
    pages: list[Page] = []
    for table in case.get("answers", [{}]):
        one = answer(table, case)
        if table.get("hop"):
            pages[-1] = Page(pages[-1].asked, (*pages[-1].hops, one))
        else:
            pages.append(Page(one.path, (one,)))
    keys, trouble = None, ""
    try:
        keys = Keys.parse(case.get("keys", KEY))
    except BadKey as problem:
        trouble = str(problem)
    gzip = {"headers": ["Content-Encoding: gzip"]}
    path = {"path": pages[0].last.path} if pages else {}
    return Observed(
        setup,
        reach,
        parsed(case.get("rules", {}), warned=case.get("warned", False)),
        tuple(pages),
        answer(path | case.get("direct", gzip), case, proto=None) if pages else None,
        answer(path | case.get("plain", gzip), case, proto="http") if pages else None,
        keys=keys,
        keys_trouble=trouble,
    )


def text_of(finding: Finding) -> str:
    return f"{finding.severity.value} {finding.about}: {finding.title} | {finding.seen} | {finding.do}"


@cache
def findings_of(number: int) -> tuple[Finding, ...]:
    return examine(observed(TABLE[number][1]))


NUMBERED = pytest.mark.parametrize("number", range(len(TABLE)), ids=[f"{name}: {case['it']}" for name, case in TABLE])


@NUMBERED
def test_what_was_seen_is_told(number: int) -> None:
    case, findings = TABLE[number][1], findings_of(number)
    told = "\n".join(text_of(one) for one in findings)
    for severity, about, *words in case["finds"]:
        those = [one for one in findings if (one.severity.value, one.about) == (severity, about)]
        assert any(all(word in text_of(one) for word in words) for one in those), (
            f"no {severity} {about} {words}:\n{told}"
        )
    loud = [one for one in findings if one.severity is not Severity.FINE]
    assert not [one for one in loud if one.about in case.get("quiet", ())], told
    assert not case.get("clean") or loud == [], told
    assert not [word for word in case.get("silent", ()) if word in told], told


@NUMBERED
def test_every_finding_is_fit_to_be_read(number: int) -> None:
    findings = findings_of(number)
    ranks = [list(Severity).index(one.severity) for one in findings]
    assert ranks == sorted(ranks), "the worst comes first"
    for one in findings:
        assert one.title
        assert one.seen
        assert bool(one.do) == (one.severity is not Severity.FINE), "who is told of trouble is told what to do"
        assert text_of(one).isprintable()
        assert "{public}" not in one.do
        assert "{host}" not in one.do


def test_every_system_that_is_known_has_an_example() -> None:
    named = {words for _, case in TABLE for _, _, *words in case["finds"] for words in words}
    assert [one.name for one in PLATFORMS if not any(one.name.split(" ")[0] in word for word in named)] == []


# --------------------------------------------------------------------------- which pages


def book(changes: dict[str, str]) -> RuleBook:
    found = parsed(changes).book
    assert found is not None
    return found


def front(*hrefs: str) -> Page:
    body = "".join(f'<a href="{one}">x</a>' for one in hrefs).encode()
    return Page("/", (Answer("/", 200, headers("Content-Type: text/html"), body),))


SETUP = Setup("http://10.0.0.5:8000", "shop.example", at=NOON)


def test_pages_are_chosen_so_that_each_slot_is_seen_and_no_more() -> None:
    rules = book(
        {"slots.toml": "[hero]\nfind = '.hero'\non = '/p/**'\n[menu]\nfind = '#menu'\non = ['/deals', '/x/*']\n"}
    )
    page = front("/c/a", "/c/b", "/p/1", "/p/2", "https://shop.example/about", "http://10.0.0.5:8000/x/1")
    assert wanted(rules, [], [], page, SETUP) == ["/p/1", "/deals", "/c/a", "/about", "/x/1"]
    assert wanted(rules, ["/p/7"], ["/p/8"], page, SETUP) == ["/p/7", "/deals"], "what was asked for serves as well"
    assert wanted(rules, [], ["/p/8?page=2"], page, SETUP)[0] == "/p/8", "a page that somebody recorded first"
    assert wanted(None, [], [], page, SETUP) == ["/c/a", "/p/1", "/about", "/x/1"]


def test_pages_that_act_or_that_nobody_may_edit_are_never_fetched() -> None:
    page = front(
        "/logout",
        "/user/sign-out/",
        "/cart/add/1",
        "/feed.xml",
        "/?q=1",
        "https://else.example/a",
        "/checkout/a",
        "/a b",
        "/ö",
    )
    assert wanted(book({}), [], [], page, SETUP) == []
    assert further_pages(Sample("/", page.last.body + b'<a href="//[x">y</a>', None), "http://10.0.0.5:8000/")
    assert links(front("/address", "/ladders", "//["), SETUP) == ["/address", "/ladders"]


# --------------------------------------------------------------------------- words


def test_text_of_the_shops_is_cut_and_cleaned() -> None:
    assert shown("a\x1b[31m\n  b\u202e") == "a [31m b"
    assert shown("x" * 200, 10) == "x" * 9 + "…"
    assert some(["/", "/a", "/", "/b", "/c", "/d"]) == "/, /a, /b and 2 more"
    assert (some(["/"]), some(["/", "/a"]), some([])) == ("/", "/ and /a", "")


FINDINGS = (
    Finding(Severity.FIX, "host", "The shop does not know the name", "seen " * 30, "do this " * 20),
    Finding(Severity.LOOK, "hsts", "Nothing keeps visitors on https", "no header", "send it"),
    Finding(Severity.FINE, "keys", "Strong", "1 key " * 20),
    Finding(Severity.FINE, "reach", "The shop is there", "10.0.0.5"),
)


def test_the_report_is_aligned_and_fits_its_width() -> None:
    lines = as_text(FINDINGS, SETUP, 7, width=72).splitlines()
    assert "visitors at https://shop.example; 7 GETs" in lines[0]
    assert all(len(line) <= 72 for line in lines[1:])
    starts = {line.index(word) for line in lines for word in ("seen seen", "do this do") if word in line[:20]}
    assert starts == {11}, "what was seen and what to do stand in one column"
    fine = [line for line in lines if line.startswith("     ")]
    columns = {line.index(word) for line in fine for word in ("1 key", "10.0.0.5") if word in line}
    assert len(columns) == 1
    assert lines[-1] == "1 thing to fix and 1 to look at. Mend the first, and run this again."


def test_a_report_without_trouble_says_what_comes_next() -> None:
    text = as_text(FINDINGS[1:], SETUP, 7)
    assert "Fix before" not in text
    assert "Nothing to fix, 1 to look at. Go live:\n  edgeproxy serve --origin http://10.0.0.5:8000" in text
    assert "--host shop.example --trust 127.0.0.1\n" in text
    assert "--tls-cert" in text


def test_what_comes_next_is_what_was_looked_at() -> None:
    setup = replace(SETUP, host="127.0.0.1:8080", origin_host="shop.internal", origin_ca="our ca.pem")
    last = as_text(FINDINGS[1:], setup, 7).splitlines()[-1]
    assert "--origin-host shop.internal --origin-ca 'our ca.pem'" in last
    assert last.endswith("--host 127.0.0.1")  # visitors of this machine need no TLS


def test_machines_get_the_same() -> None:
    told = as_json(FINDINGS, SETUP, 7)
    assert told["counts"] == {"fix": 1, "look": 1, "fine": 2}
    assert told["gets"] == 7
    assert isinstance(told["findings"], list)
    assert told["findings"][3] == {
        "severity": "fine",
        "about": "reach",
        "title": "The shop is there",
        "seen": "10.0.0.5",
        "do": None,
    }


# --------------------------------------------------------------------------- the command, against a shop


class Watched:
    """An application that notes what it is asked."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.asked: list[tuple[str, str, dict[bytes, bytes]]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.asked.append((scope["method"], scope["path"], dict(scope["headers"])))
        await self.app(scope, receive, send)


@contextmanager
def serving(app: ASGIApp, *, certificate: Path | None = None) -> Iterator[str]:
    """The application on a free port of loopback; connections wait in the backlog until it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ssl_certfile=certificate))
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            scheme = "http://127.0.0.1" if certificate is None else "https://localhost"
            yield f"{scheme}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPROXY_KEYS", KEY)


@pytest.mark.usefixtures("key")
def test_the_demo_shop_and_its_rules_need_no_mending(capsys: pytest.CaptureFixture[str]) -> None:
    shop = Watched(build_shop())
    with serving(shop) as origin:
        host = ["--host", "shop.example"]
        assert main(["doctor", "--origin", origin, "--rules", str(DEMO_RULES), *host, "-H", "X-Pass: open"]) == 0
    told = capsys.readouterr()
    assert "18 slots are where the rules say" in told.out
    assert "The shop answers to shop.example" in told.out
    assert "GET /c/outdoor  200" in told.err, "progress is told as it goes"
    assert 5 < len(shop.asked) <= 10
    assert {method for method, _, _ in shop.asked} == {"GET"}
    first, alone, plain, *_ = [lines for _, _, lines in shop.asked]
    assert first[b"host"] == b"shop.example"
    assert first[b"x-forwarded-proto"] == b"https"
    assert first[b"accept-encoding"] == b"identity"
    assert first[b"x-pass"] == b"open"
    assert first[b"cdn-loop"] == b"edgeproxy"
    assert alone[b"host"].startswith(b"127.0.0.1:")
    assert b"x-forwarded-proto" not in alone
    assert b"via" not in alone
    assert b"via" not in first
    assert b"via" in plain
    assert plain[b"x-forwarded-proto"] == b"http"


def test_keys_may_be_in_a_file(
    free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EDGEPROXY_KEYS", raising=False)
    monkeypatch.setenv("EDGEPROXY_KEYS_FILE", str(tmp_path / "keys"))
    argv = ["doctor", "--origin", f"http://127.0.0.1:{free_port}", "--rules", str(DEMO_RULES)]
    main(argv)
    assert "serve would not start: no good key" in capsys.readouterr().out
    (tmp_path / "keys").write_text(KEY + "\n")
    main(argv)
    assert "EDGEPROXY_KEYS is strong enough" in capsys.readouterr().out


async def _maze(scope: Scope, receive: Receive, send: Send) -> None:
    """Every page redirects to the next one, and the tenth leaves the shop."""
    step = int(scope["path"].strip("/") or 0)
    where = f"/{step + 1}" if step < 40 else "http://127.0.0.1:9/gone"
    lines = [(b"location", where.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 302, "headers": lines})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.usefixtures("key")
def test_there_are_never_more_than_ten_gets(capsys: pytest.CaptureFixture[str]) -> None:
    maze = Watched(_maze)
    pages = [word for n in range(10, 20) for word in ("--page", f"/{n}")]
    with serving(maze) as origin:
        assert main(["doctor", "--origin", origin, "--rules", str(DEMO_RULES), *pages, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert len(maze.asked) == told["gets"] == 10
    assert any("no GET left" in one["title"] and "/19" in one["seen"] for one in told["findings"])


async def _leaving(scope: Scope, receive: Receive, send: Send) -> None:
    lines = [(b"location", b"http://127.0.0.2:9/"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 302, "headers": lines})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.usefixtures("key")
def test_nobody_else_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(_leaving) as origin:
        assert main(["doctor", "--origin", origin, "--rules", str(DEMO_RULES)]) == 1
    assert "The shop sends visitors to 127.0.0.2" in capsys.readouterr().out


@pytest.mark.usefixtures("key")
def test_a_certificate_is_read_and_judged(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(build_shop(), certificate=TLS / "shop.pem") as origin:
        argv = ["doctor", "--origin", origin, "--rules", str(DEMO_RULES)]
        main([*argv, "--origin-ca", str(TLS / "ca.pem")])
        out = capsys.readouterr().out
        assert "The shop's certificate" in out
        assert "it names localhost" in out
        assert "18 slots are where" in out
        assert main(argv) == 1
        out = capsys.readouterr().out
        assert "No TLS with the shop" in out
        assert "unable to get local issuer certificate" in out


@contextmanager
def saying(data: bytes) -> Iterator[str]:
    """Something that answers whoever connects with these bytes, whatever they say."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer_all() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)  # all of it, or closing is a reset
                    connection.sendall(data)

        thread = threading.Thread(target=answer_all, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(("scheme", "says"), [("http", "does not speak HTTP"), ("https", "No TLS with the shop")])
def test_what_is_no_shop_is_told(scheme: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with saying(b"220 mail.example ESMTP\r\n") as address:
        assert main(["doctor", "--origin", f"{scheme}://{address}", "--rules", str(DEMO_RULES)]) == 1
    assert says in capsys.readouterr().out


@pytest.mark.usefixtures("key")
def test_a_page_that_breaks_off_is_told_and_its_slots_are_not_missed(capsys: pytest.CaptureFixture[str]) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9000\r\n\r\n<!doctype html><title>Half"
    with saying(half) as address:
        assert main(["doctor", "--origin", f"http://{address}", "--rules", str(DEMO_RULES)]) == 1
    out = capsys.readouterr().out
    assert "/ cannot be read" in out
    assert "the answer broke off" in out
    assert "is not there" not in out


@pytest.mark.usefixtures("key")
def test_nobody_there_is_told(free_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--origin", f"http://127.0.0.1:{free_port}", "--rules", str(DEMO_RULES)]) == 1
    out = capsys.readouterr().out
    assert "Nobody answers at the shop's address" in out
    assert "The rules are in order" in out, "what can be told without the shop is told"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--origin", "shop.example"], "is no http or https address"),
        (["--origin", "http://127.0.0.1", "--host", "https://shop.example"], "is no host"),
        (["--origin", "http://127.0.0.1", "--page", "c/tea"], "--page wants a path"),
        (["--origin", "http://127.0.0.1", "--page", "/c tea"], "--page wants a path"),
        (["--origin", "http://127.0.0.1", "--header", "nonsense"], "Name: value"),
        (["--origin", "http://127.0.0.1", "--header", "a: b\nc: d"], "characters"),
        (["--origin", "https://127.0.0.1", "--origin-ca", "/nowhere.pem"], "--origin-ca"),
        (["--origin", "http://127.0.0.1", "--rules", "/nowhere"], "is not a folder"),
    ],
)
def test_wrong_usage_is_told_in_words(argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--rules", str(DEMO_RULES), *argv]) == 2
    assert says in capsys.readouterr().err
