"""The page cache as operators and visitors meet it: two workers on real sockets, `edgeproxy purge`, curl's PURGE."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.running import Proxy, edgeproxy, serving, visitor_cookie
from tests.e2e.standin import StandIn, page, standing_in

PAGE = b"<!DOCTYPE html><html><head><title>x</title></head><body><main id=hero>Old</main></body></html>"
RULES = {
    "shop.toml": """
        format = 1
        stages = ["new", "loyal"]
        segments = []
        without_cookie = "untouched"
        order = ["calm"]
        [[cache]]
        on = ["/", "/c/**"]
        for = "10 minutes"
        bypass_cookies = "sid"
    """,
    "slots.toml": '[hero]\nfind = "#hero"\n',
    "audiences.toml": '[newcomers]\nstage = "new"\n',
    "experiences/calm.toml": 'for = "newcomers"\n[[edit]]\nslot = "hero"\ninner = { text = "Calm" }\n',
}
WORKERS = 2


@pytest.fixture
def shop() -> Iterator[StandIn]:
    private = page(PAGE, "text/html; charset=utf-8", ("Cache-Control", "private, no-store"), ("Cache-Tag", "home, all"))
    style = page(b"a{}" * 1000, "text/css", ("Cache-Control", "public, max-age=600"), ("ETag", '"1"'))
    with standing_in({"/": private, "/c/boots": private, "/a.css": style}) as shop:
        yield shop


@pytest.fixture
def proxy(shop: StandIn, tmp_path: Path) -> Iterator[Proxy]:
    for name, text in RULES.items():
        (tmp_path / "rules" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "rules" / name).write_text(text, "utf-8")
    with serving(shop.base, tmp_path / "rules", "--workers", str(WORKERS)) as proxy:
        yield proxy


def get(proxy: Proxy, path: str, **headers: str) -> tuple[int, bytes, http.client.HTTPMessage]:
    """On a connection of its own, so that it meets any of the workers."""
    place = urlsplit(proxy.base)
    connection = http.client.HTTPConnection(place.netloc, timeout=30)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def fill(proxy: Proxy, path: str) -> None:
    """So often that every worker has met it."""
    for _ in range(40):
        assert get(proxy, path)[0] == 200


def asked(shop: StandIn, path: str) -> int:
    return sum(one.target == path for one in shop.asked)


def test_each_worker_asks_once_and_a_purge_reaches_them_all(shop: StandIn, proxy: Proxy) -> None:
    fill(proxy, "/")
    fill(proxy, "/c/boots")
    first = asked(shop, "/"), asked(shop, "/c/boots")
    assert max(first) <= WORKERS
    admin = urlsplit(proxy.admin).netloc
    done = edgeproxy("purge", "/c/**", "--admin", admin)
    assert done.stdout == f"forgot {first[1]} answer{'s' if first[1] > 1 else ''} at /c/**\n"
    fill(proxy, "/")
    fill(proxy, "/c/boots")
    assert (asked(shop, "/"), asked(shop, "/c/boots")) == (first[0], first[1] * 2)
    done = edgeproxy("purge", "--tag", "home", "--admin", admin)
    assert done.stdout == f"forgot {sum(first)} answers tagged home\n"
    done = edgeproxy("purge", "/**", "--admin", admin)
    assert done.stdout == "forgot 0 answers at /**\n"


def test_after_a_post_no_worker_serves_what_was_kept_there(shop: StandIn, proxy: Proxy) -> None:
    fill(proxy, "/")
    fill(proxy, "/c/boots")
    first = asked(shop, "/"), asked(shop, "/c/boots")
    connection = http.client.HTTPConnection(urlsplit(proxy.base).netloc, timeout=30)
    connection.request("POST", "/c/boots")
    assert connection.getresponse().status == 200
    connection.close()
    deadline = time.monotonic() + 20
    while asked(shop, "/c/boots") < first[1] * 2 + 1:  # the POST too; the others hear of it a moment later
        assert time.monotonic() < deadline
        fill(proxy, "/c/boots")
    fill(proxy, "/")
    assert asked(shop, "/") == first[0]


def test_each_visitor_gets_their_own_from_what_is_kept(shop: StandIn, proxy: Proxy) -> None:
    calm = PAGE.replace(b"Old", b"Calm")
    novice = f"edge_visitor={visitor_cookie('new')}"
    loyal = f"edge_visitor={visitor_cookie('loyal')}"
    for _ in range(20):
        for cookie, body in ((novice, calm), (loyal, PAGE)):
            status, got, lines = get(proxy, "/", Cookie=cookie)
            assert (status, got) == (200, body)
            assert lines["Cache-Control"] == "private, no-cache, no-store"
            assert lines["Age"] is None
    assert asked(shop, "/") <= WORKERS
    assert not any(one.header("cookie") for one in shop.asked)
    get(proxy, "/", Cookie=f"{novice}; sid=jane")
    assert shop.asked[-1].header("cookie") == [f"{novice}; sid=jane"]


def test_a_file_is_kept_and_read_in_part(shop: StandIn, proxy: Proxy) -> None:
    fill(proxy, "/a.css")
    before = asked(shop, "/a.css")
    status, body, lines = get(proxy, "/a.css", Range="bytes=3-5")
    assert (status, body, lines["Content-Range"]) == (206, b"a{}", "bytes 3-5/3000")
    assert get(proxy, "/a.css", If_None_Match='"1"')[0] == 304
    assert int(get(proxy, "/a.css")[2]["Age"]) >= 0
    assert asked(shop, "/a.css") == before <= WORKERS


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "say what to forget"),
        (["c/**"], 2, "a path begins with /"),
        (["--tag", "a b"], 2, "is no tag"),
        (["/", "--admin", "nonsense"], 2, "--admin"),
        (["/", "--admin", "127.0.0.1:1"], 1, "nobody answers on the admin listener 127.0.0.1:1"),
    ],
)
def test_what_is_asked_wrongly_is_told(arguments: list[str], code: int, says: str) -> None:
    done = edgeproxy("purge", *arguments, check=False)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
