"""``edgeproxy serve`` as an operator starts it: a process of its own, real sockets, a small shop behind it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serve
from tests.e2e.running import Proxy, edgeproxy, environment, free_ports, visitor_cookie
from tests.e2e.standin import Answer, Asked, StandIn, page, standing_in

HERO = '<!doctype html><html><head><title>Shop</title></head><body><main id="hero">{}</main><p>rest</p></body></html>'
HOME = HERO.format("The shop’s own").encode()
CALM = HERO.format("Welcome").encode()

RULES = {
    "shop.toml": 'format = 1\ntimezone = "UTC"\nstages = ["new"]\nsegments = []\nwithout_cookie = "untouched"\n',
    "slots.toml": '[hero]\nfind = "#hero"\n',
    "audiences.toml": '[newcomers]\nstage = "new"\n',
    "experiences/calm.toml": (
        'says = "calm"\nfor = "newcomers"\nbecause = "test"\npurpose = "help"\nowner = "web@shop.example"\n\n'
        '[[edit]]\nslot = "hero"\ninner = { text = "Welcome" }\n'
    ),
}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    for name, text in RULES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=30, headers={"Accept-Encoding": "identity"}) as client:
        yield client


@pytest.fixture(scope="module")
def newcomer() -> dict[str, str]:
    return {"Cookie": f"edge_visitor={visitor_cookie('new')}"}


def resident_kib(proxy: Proxy) -> int:
    """The most memory that its worker has had so far."""
    (worker,) = proxy.running.children
    status = Path(f"/proc/{worker}/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1])


# --------------------------------------------------------------------------- starting and stopping


def test_health_and_metrics_are_on_the_admin_listener_only(
    serve: Serve, rules: Path, client: httpx.Client, newcomer: dict[str, str]
) -> None:
    with standing_in({"/": page(HOME)}) as shop:
        proxy = serve(shop.base, rules)
        assert client.get(proxy.admin + "/healthz").status_code == 200
        assert client.get(proxy.admin + "/readyz").status_code == 200
        assert client.get(proxy.base + "/", headers=newcomer).content == CALM
        metrics = client.get(proxy.admin + "/metrics")
        assert metrics.status_code == 200
        assert re.search(r"(?m)^edgeproxy_\w+.* \d", metrics.text)
        for path in ("/healthz", "/readyz", "/metrics"):
            assert client.get(proxy.base + path).text == "nowhere"


def test_without_keys_it_refuses_and_says_how_to_make_one(rules: Path) -> None:
    env = environment()
    del env["EDGEPROXY_KEYS"]
    done = subprocess.run(
        [sys.executable, "-m", "edgeproxy", "serve", "--origin", "http://127.0.0.1:9", "--rules", str(rules)],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "edgeproxy key" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_that_it_made_is_a_key_that_it_takes(serve: Serve, rules: Path, client: httpx.Client) -> None:
    key = edgeproxy("key").stdout.strip()
    with standing_in({"/": page(HOME)}) as shop:
        proxy = serve(shop.base, rules, env={"EDGEPROXY_KEYS": key})
        assert client.get(proxy.base + "/").content == HOME


def test_what_is_open_is_finished_before_it_stops(serve: Serve, rules: Path, client: httpx.Client) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow(request: Asked) -> None:
        asked.set()
        go_on.wait(30)
        page(HOME)(request)

    with standing_in({"/slow": slow}) as shop:
        proxy = serve(shop.base, rules)
        got: list[httpx.Response] = []
        visit = threading.Thread(target=lambda: got.append(client.get(proxy.base + "/slow")))
        visit.start()
        assert asked.wait(30)
        proxy.running.tell(signal.SIGTERM)
        go_on.set()
        visit.join(30)
        assert [(answer.status_code, answer.content) for answer in got] == [(200, HOME)]


# --------------------------------------------------------------------------- rules while it runs

LIVE = r"rules \w+ are live"


def test_a_rules_folder_that_vanishes_changes_nothing(
    serve: Serve, rules: Path, client: httpx.Client, newcomer: dict[str, str]
) -> None:
    with standing_in({"/": page(HOME)}) as shop:
        proxy = serve(shop.base, rules)
        since = proxy.running.lines
        away = rules.rename(rules.with_name("away"))
        proxy.running.wait_for(r"last good ones stay", since=since)
        assert client.get(proxy.base + "/", headers=newcomer).content == CALM
        experience = away / "experiences" / "calm.toml"
        experience.write_text(experience.read_text("utf-8").replace("Welcome", "Welcome back"), "utf-8")
        since = proxy.running.lines
        shutil.move(away, rules)
        proxy.running.wait_for(LIVE, since=since)
        assert client.get(proxy.base + "/", headers=newcomer).content == HERO.format("Welcome back").encode()


def test_a_folder_with_a_mistake_serves_the_shops_own_pages(
    serve: Serve, rules: Path, client: httpx.Client, newcomer: dict[str, str]
) -> None:
    (rules / "slots.toml").write_text('[hero]\nfind = "#hero"\nfnid = "#hero"\n', "utf-8")
    with standing_in({"/": page(HOME)}) as shop:
        proxy = serve(shop.base, rules)
        assert "slots.toml:3:1" in proxy.running.output()
        assert client.get(proxy.base + "/", headers=newcomer).content == HOME
        since = proxy.running.lines
        (rules / "slots.toml").write_text(RULES["slots.toml"], "utf-8")
        proxy.running.wait_for(LIVE, since=since)
        assert client.get(proxy.base + "/", headers=newcomer).content == CALM


# --------------------------------------------------------------------------- the log


def test_one_line_a_request_and_no_secret_in_it(
    serve: Serve, rules: Path, client: httpx.Client, newcomer: dict[str, str]
) -> None:
    with standing_in({"/": page(HOME)}) as shop:
        proxy = serve(shop.base, rules, "--log", "json")
        since = proxy.running.lines
        client.get(proxy.base + "/?edge_token=very.secret.token&q=socks", headers=newcomer)
        client.get(proxy.base + "/nowhere", headers=newcomer)
        proxy.running.wait_for("/nowhere", since=since)
    lines = [line for line in proxy.running.output(since).splitlines() if line.startswith("{")]
    records = [json.loads(line) for line in lines if '"GET"' in line]
    assert len(records) == 2
    assert {str(status) for record in records for key, status in record.items() if key == "status"} == {"200", "404"}
    printed = proxy.running.output()
    assert newcomer["Cookie"].partition("=")[2] not in printed
    assert "very.secret.token" not in printed


# --------------------------------------------------------------------------- shops that are in trouble


def test_a_shop_that_is_down_is_told_plainly_and_served_again_when_it_is_back(
    serve: Serve, rules: Path, client: httpx.Client, newcomer: dict[str, str]
) -> None:
    (port,) = free_ports()
    proxy = serve(f"http://127.0.0.1:{port}", rules)
    down = client.get(proxy.base + "/", headers=newcomer)
    assert down.status_code == 502
    assert "Traceback" not in down.text
    with standing_in({"/": page(HOME)}, port=port):
        assert client.get(proxy.base + "/", headers=newcomer).content == CALM


def test_a_shop_that_is_too_slow_is_not_waited_for(
    serve: Serve, rules: Path, client: httpx.Client, newcomer: dict[str, str]
) -> None:
    leave = threading.Event()

    def never(request: Asked) -> None:
        leave.wait(60)

    with standing_in({"/": never}) as shop:
        proxy = serve(shop.base, rules, "--deadline", "1")
        try:
            assert client.get(proxy.base + "/", headers=newcomer).status_code == 504
        finally:
            leave.set()


# --------------------------------------------------------------------------- what streams


def of_size(megabytes: int, content_type: str) -> Answer:
    block = hashlib.sha256(content_type.encode()).hexdigest().encode() * 16384  # 1 MiB

    def answer(asked: Asked) -> None:
        asked.begin(200, ("Content-Type", content_type), ("Content-Length", str(megabytes * len(block))))
        for _ in range(megabytes):
            asked.send(block)

    return answer


@pytest.mark.parametrize("content_type", ["application/zip", "text/html; charset=utf-8"])
def test_a_hundred_megabytes_pass_in_constant_memory(
    serve: Serve, rules: Path, client: httpx.Client, newcomer: dict[str, str], content_type: str
) -> None:
    """A download, and a page far beyond what is rewritten: both arrive whole, neither is held."""
    with standing_in({"/": page(HOME), "/big": of_size(100, content_type)}) as shop:
        proxy = serve(shop.base, rules)
        assert client.get(proxy.base + "/", headers=newcomer).content == CALM
        before, length = resident_kib(proxy), 0
        with client.stream("GET", proxy.base + "/big", headers=newcomer) as answer:
            for data in answer.iter_raw():
                length += len(data)
        assert (answer.status_code, length) == (200, 100 * 1024 * 1024)
        assert resident_kib(proxy) - before < 32 * 1024


def test_an_upload_reaches_the_shop_as_it_was_sent(serve: Serve, rules: Path, client: httpx.Client) -> None:
    block = bytes(range(256)) * 4096  # 1 MiB

    def digest(asked: Asked) -> None:
        body = b""
        if lengths := asked.header("content-length"):
            body = asked.read(int(lengths[0]))
        else:
            while size := int(asked._handler.rfile.readline(), 16):
                body += asked.read(size)
                asked.read(2)
            asked.read(2)
        page(f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode(), "text/plain")(asked)

    wanted = f"{40 * len(block)} {hashlib.sha256(block * 40).hexdigest()}"
    with standing_in({"/upload": digest}) as shop:
        proxy = serve(shop.base, rules)
        before = resident_kib(proxy)
        assert client.post(proxy.base + "/upload", content=block * 40).text == wanted
        assert client.post(proxy.base + "/upload", content=(block for _ in range(40))).text == wanted
        assert resident_kib(proxy) - before < 32 * 1024


def test_events_arrive_as_they_happen(serve: Serve, rules: Path, client: httpx.Client) -> None:
    """The second event is not sent before the first has been seen: nothing on the way may hold it back."""
    seen = threading.Event()

    def events(asked: Asked) -> None:
        asked.begin(200, ("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))
        asked.chunk(b"data: one\n\n")
        if seen.wait(30):
            asked.chunk(b"data: two\n\n")
        asked.send(b"0\r\n\r\n")

    with standing_in({"/events": events}) as shop:
        proxy = serve(shop.base, rules)
        got = b""
        with client.stream("GET", proxy.base + "/events") as answer:
            for data in answer.iter_raw():
                got += data
                seen.set()
        assert got == b"data: one\n\ndata: two\n\n"


# --------------------------------------------------------------------------- charsets


def in_charset(codec: str, mark: bytes = b"", *, meta: str = "") -> tuple[bytes, bytes]:
    """The same page before and after, in another charset."""
    head = f'<!doctype html><html><head>{meta}</head><body><p>tea café</p><main id="hero">'
    tail = "</main><p>café</p></body></html>"
    if codec == "shift_jis":
        head, tail = head.replace("café", "お茶"), tail.replace("café", "茶")
    before, after = (mark + (head + words + tail).encode(codec) for words in ("own", "Welcome"))
    return before, after


CHARSETS = {
    "utf-8 with its mark": ("text/html", *in_charset("utf-8", b"\xef\xbb\xbf")),
    "windows-1252 by header": ("text/html; charset=windows-1252", *in_charset("cp1252")),
    "windows-1252 by meta": ("text/html", *in_charset("cp1252", meta='<meta charset="windows-1252">')),
    "Shift_JIS by header": ("text/html; charset=Shift_JIS", *in_charset("shift_jis")),
}
UNTOUCHED = {
    "UTF-16 with its mark": ("text/html", in_charset("utf-16-le", b"\xff\xfe")[0]),
    "UTF-16 big-endian with its mark": ("text/html", in_charset("utf-16-be", b"\xfe\xff")[0]),
    "UTF-16 by header": ("text/html; charset=utf-16", in_charset("utf-16-le")[0]),
}


@pytest.mark.parametrize("name", CHARSETS)
def test_a_page_in_another_charset_keeps_its_bytes(
    serve: Serve, rules: Path, client: httpx.Client, newcomer: dict[str, str], name: str
) -> None:
    content_type, before, after = CHARSETS[name]
    with standing_in({"/": page(before, content_type)}) as shop:
        proxy = serve(shop.base, rules)
        assert client.get(proxy.base + "/").content == before
        answer = client.get(proxy.base + "/", headers=newcomer)
        assert answer.content == after
        assert answer.headers["content-type"] == content_type


@pytest.mark.parametrize("name", UNTOUCHED)
def test_a_page_in_utf_16_is_left_alone(
    serve: Serve, rules: Path, client: httpx.Client, newcomer: dict[str, str], name: str
) -> None:
    content_type, body = UNTOUCHED[name]
    with standing_in({"/": page(body, content_type)}) as shop:
        proxy = serve(shop.base, rules)
        assert client.get(proxy.base + "/", headers=newcomer).content == body


# --------------------------------------------------------------------------- addresses and cookies of the shop's own


def own_addresses(shop: list[StandIn]) -> Answer:
    def answer(asked: Asked) -> None:
        asked.begin(
            302,
            ("Location", f"{shop[0].base}/there?x=1"),
            ("Set-Cookie", "a=1; Path=/; Domain=127.0.0.1"),
            ("Set-Cookie", "b=2; Path=/; HttpOnly"),
            ("Set-Cookie", "a=3; Path=/deep"),
            ("Content-Length", "0"),
        )

    return answer


def test_a_redirect_to_the_shops_own_address_stays_with_us(serve: Serve, rules: Path, client: httpx.Client) -> None:
    known: list[StandIn] = []
    elsewhere = page(b"", "text/plain")
    with standing_in({"/away": own_addresses(known), "/there": elsewhere}) as shop:
        known.append(shop)
        proxy = serve(shop.base, rules)
        answer = client.get(proxy.base + "/away")
        assert answer.status_code == 302
        assert answer.headers["location"] in {proxy.base + "/there?x=1", "/there?x=1"}
        cookies = answer.headers.get_list("set-cookie")
        assert [cookie.partition(";")[0] for cookie in cookies] == ["a=1", "b=2", "a=3"]
        assert cookies[1:] == ["b=2; Path=/; HttpOnly", "a=3; Path=/deep"]
