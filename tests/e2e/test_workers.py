"""Several workers and their supervisor, as an operator meets them: signals, files that change, processes that die."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serve
from tests.e2e.running import KEYS, Proxy, Running, edgeproxy, environment, visitor_cookie
from tests.e2e.standin import Asked, page, standing_in

HOME = b'<!doctype html><html><body><main id="hero">The shop</main></body></html>'
RULES = {
    "shop.toml": 'format = 1\ntimezone = "UTC"\nstages = ["new"]\nsegments = []\nwithout_cookie = "new"\n',
    "slots.toml": '[hero]\nfind = "#hero"\n',
    "audiences.toml": '[newcomers]\nstage = "new"\n',
}
CALM = 'says = "a"\nfor = "newcomers"\nbecause = "b"\npurpose = "help"\nowner = "c@d.e"\n\n[[edit]]\nslot = "hero"\n'
WHOLE = re.compile(rb"edition (\d+)</main>")


def write_edition(rules: Path, number: int) -> None:
    """What every visitor sees from now on."""
    (rules / "experiences" / "calm.toml").write_text(CALM + f'inner = {{ text = "edition {number}" }}\n', "utf-8")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    (folder / "experiences").mkdir(parents=True)
    for name, text in RULES.items():
        (folder / name).write_text(text, "utf-8")
    write_edition(folder, 0)
    return folder


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=30, headers={"Connection": "close"}) as client:
        yield client


def workers_of(client: httpx.Client, proxy: Proxy) -> str:
    return client.get(proxy.admin + "/readyz").text.splitlines()[1]


def metric(client: httpx.Client, proxy: Proxy, name: str) -> float:
    found = re.findall(rf"(?m)^{re.escape(name)}(?:\{{.*\}})? (\S+)$", client.get(proxy.admin + "/metrics").text)
    return sum(map(float, found))


# ------------------------------------------------------------------ under load


class Traffic:
    """Fifty requests a second, half of them on kept connections; what failed, and which editions were seen."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.failed: list[str] = []
        self.answered = 0

    async def _visit(self, client: httpx.AsyncClient, number: int) -> None:
        headers = {"Connection": "close"} if number % 2 else {}
        try:
            answer = await client.get(f"{self.base}/?{number}", headers=headers)
        except httpx.HTTPError as problem:
            self.failed.append(f"{number}: {problem!r}")
            return
        self.answered += 1
        if answer.status_code != 200 or not WHOLE.search(answer.content):
            self.failed.append(f"{number}: {answer.status_code} {answer.content[:200]!r}")

    @contextlib.asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        over = asyncio.Event()

        async def flow() -> None:
            number = 0
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client, asyncio.TaskGroup() as visits:
                while not over.is_set():
                    visits.create_task(self._visit(client, number))
                    number += 1
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(over.wait(), 1 / 50)

        flowing = asyncio.create_task(flow())
        try:
            yield
        finally:
            over.set()
            await flowing


@pytest.mark.timeout(300)
def test_reloads_and_rolling_restarts_under_load_fail_no_request(serve: Serve, rules: Path) -> None:
    async def test() -> None:
        with standing_in({"/": page(HOME)}) as shop:
            proxy = serve(shop.base, rules, "--workers", "2")
            running = proxy.running
            first = set(running.children)
            traffic = Traffic(proxy.base)
            async with traffic.flowing(), httpx.AsyncClient(trust_env=False, timeout=30) as admin:

                async def reload(number: int) -> None:
                    write_edition(rules, number)
                    told = await admin.post(proxy.admin + "/reload")
                    assert told.status_code == 200, told.text
                    for _ in range(4):  # whoever answers from now on knows it
                        shown = await admin.get(proxy.base + "/", headers={"Connection": "close"})
                        assert f"edition {number}<" in shown.text

                for number in range(1, 21):
                    await reload(number)
                for _ in range(3):
                    since = running.lines
                    running.tell(signal.SIGUSR2)
                    await asyncio.to_thread(running.wait_for, "rolling restart is done", seconds=60, since=since)
                shown = await admin.get(proxy.base + "/")
                assert "edition 20<" in shown.text
            assert traffic.failed == []
            assert traffic.answered > 100
            assert len(running.children) == 2
            assert not first & set(running.children)

    asyncio.run(test())


def test_a_worker_that_is_killed_takes_only_its_own_requests_along(
    serve: Serve, rules: Path, client: httpx.Client
) -> None:
    async def test() -> None:
        asked, go_on = threading.Semaphore(0), threading.Event()

        def slow(request: Asked) -> None:
            asked.release()
            go_on.wait(30)
            page(HOME)(request)

        with standing_in({"/": page(HOME), "/slow": slow}) as shop:
            proxy = serve(shop.base, rules, "--workers", "2")
            running = proxy.running
            traffic = Traffic(proxy.base)
            async with httpx.AsyncClient(trust_env=False, timeout=30) as visitor:
                open_ones = [asyncio.create_task(visitor.get(f"{proxy.base}/slow?{n}")) for n in range(12)]
                for _ in open_ones:
                    assert await asyncio.to_thread(asked.acquire, timeout=30)
                async with traffic.flowing():
                    since = running.lines
                    os.kill(running.children[0], signal.SIGKILL)
                    await asyncio.to_thread(running.wait_for, "signal 9; another takes", since=since)
                    async with httpx.AsyncClient(trust_env=False, timeout=30) as admin:
                        while "2 of 2" not in (await admin.get(proxy.admin + "/readyz")).text:
                            pass
                go_on.set()
                ends = await asyncio.gather(*open_ones, return_exceptions=True)
            finished = [end for end in ends if isinstance(end, httpx.Response) and end.status_code == 200]
            broken = [end for end in ends if isinstance(end, httpx.TransportError)]
            assert len(finished) + len(broken) == len(ends)
            # of the load, only what the killed worker had begun: kept connections are its own too
            assert all("RemoteProtocolError" in each or "ReadError" in each for each in traffic.failed), traffic.failed
            assert len(traffic.failed) <= 4, traffic.failed
            assert metric(client, proxy, "edgeproxy_worker_restarts_total") == 1

    asyncio.run(test())


# ------------------------------------------------------------------ what it is made of


def test_a_supervisor_holds_nothing_that_only_workers_use_and_no_key_is_to_be_seen(
    serve: Serve, rules: Path, client: httpx.Client
) -> None:
    with standing_in({"/": page(HOME)}) as shop:
        proxy = serve(shop.base, rules, "--workers", "2")
        maps = Path(f"/proc/{proxy.running.pid}/maps").read_text()
        assert not re.search("turbohtml|selectolax|isal", maps)
        assert len(proxy.running.children) == 2
        for worker in proxy.running.children:
            assert "turbohtml" in Path(f"/proc/{worker}/maps").read_text()
            for place in ("cmdline", "environ"):
                said = Path(f"/proc/{worker}/{place}").read_bytes()
                assert b"tests-sign-with" not in said
                assert b"EDGEPROXY" not in said
            assert b"MALLOC_TRIM_THRESHOLD_=" in said  # what a page took is kept for the next one
        assert workers_of(client, proxy) == "2 of 2 workers"
        for _ in range(20):
            assert client.get(proxy.base + "/").status_code == 200
        assert metric(client, proxy, "edgeproxy_requests_total") == 20
        assert metric(client, proxy, "edgeproxy_workers") == 2


def test_numbers_of_workers_that_ended_stay_in_the_sum(serve: Serve, rules: Path, client: httpx.Client) -> None:
    with standing_in({"/": page(HOME)}) as shop:
        proxy = serve(shop.base, rules)
        for _ in range(3):
            client.get(proxy.base + "/")
        proxy.running.tell(signal.SIGUSR2)
        proxy.running.wait_for("rolling restart is done", seconds=60)
        client.get(proxy.base + "/")
        assert metric(client, proxy, "edgeproxy_requests_total") == 4
        assert metric(client, proxy, "edgeproxy_connections") <= 1


def test_a_worker_that_is_told_to_end_is_replaced_first(serve: Serve, rules: Path, client: httpx.Client) -> None:
    with standing_in({"/": page(HOME)}) as shop:
        proxy = serve(shop.base, rules)
        (worker,) = proxy.running.children
        os.kill(worker, signal.SIGTERM)
        while worker in proxy.running.children:
            assert client.get(proxy.base + "/").status_code == 200
        (successor,) = proxy.running.children
        assert successor != worker
        assert client.get(proxy.base + "/").status_code == 200


def test_workers_end_when_their_supervisor_is_killed(rules: Path) -> None:
    argv = [sys.executable, "-m", "edgeproxy", "serve", "--origin", "http://127.0.0.1:9", "--rules", str(rules)]
    argv += ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "1"]
    running = Running("edgeproxy serve", argv, env=environment())
    try:
        running.wait_for("1 worker")
        (worker,) = running.children
        running.tell(signal.SIGKILL)
        running.wait_for("the supervisor is gone")
        handle = os.pidfd_open(worker)  # readable when it has ended
        with os.fdopen(handle, "rb", buffering=0):
            assert select.select([handle], [], [], 30)[0]
    except ProcessLookupError:
        pass  # it has ended already
    finally:
        running.stop()


# ------------------------------------------------------------------ rules


def test_a_bad_folder_is_told_once_and_a_new_worker_still_gets_the_good_one(
    serve: Serve, rules: Path, client: httpx.Client
) -> None:
    with standing_in({"/": page(HOME)}) as shop:
        proxy = serve(shop.base, rules, "--workers", "2")
        running = proxy.running
        (rules / "slots.toml").write_text("[hero]\nfidn = 1\n", "utf-8")
        running.wait_for("the rules on disk have mistakes")
        refused = client.post(proxy.admin + "/reload")
        assert refused.status_code == 422
        assert "slots.toml:2" in refused.text
        since = running.lines
        running.tell(signal.SIGUSR2)
        running.wait_for("rolling restart is done", seconds=60, since=since)
        for _ in range(8):
            assert b"edition 0<" in client.get(proxy.base + "/").content
        ready = client.get(proxy.admin + "/readyz")
        assert ready.status_code == 200
        assert "; these are the last good ones" in ready.text
        assert metric(client, proxy, "edgeproxy_rules_good") == 0
        told = running.output().count("the rules on disk have mistakes; the last good ones stay live")
        assert told == 2  # when it was saved, and when it was asked for: not for each worker
        (rules / "slots.toml").write_text(RULES["slots.toml"], "utf-8")
        running.wait_for(r"rules \w+ are live", since=since)
        assert metric(client, proxy, "edgeproxy_rules_good") == 1


def test_a_hang_up_reads_everything_again(serve: Serve, rules: Path, tmp_path: Path, client: httpx.Client) -> None:
    older, newer = KEYS.split(",")
    file = tmp_path / "keys"
    file.write_text(older + "\n", "utf-8")
    cookie = {"Cookie": f"edge_visitor={visitor_cookie('new')}"}  # signed by the newer key
    with standing_in({"/": page(HOME)}) as shop:
        proxy = serve(shop.base, rules, "--workers", "2", "--keys-file", str(file), env={"EDGEPROXY_KEYS": ""})
        running = proxy.running
        assert client.get(proxy.base + "/", headers=cookie).content == HOME  # disbelieved
        file.write_text(f"{older}\n{newer}\n", "utf-8")
        running.tell(signal.SIGHUP)
        running.wait_for("2 keys are live")
        for _ in range(6):
            assert b"edition 0<" in client.get(proxy.base + "/", headers=cookie).content
        since = running.lines
        file.write_text("password password", "utf-8")
        running.wait_for(f"{file}: .*; the keys stay as they are", since=since)
        for _ in range(6):
            assert b"edition 0<" in client.get(proxy.base + "/", headers=cookie).content
        assert "password password" not in running.output()


def test_a_draft_is_shown_by_every_worker_and_by_its_link_alone(
    serve: Serve, rules: Path, tmp_path: Path, client: httpx.Client
) -> None:
    """A change of it too, whoever read it before; the live rules stay what they are."""
    draft = tmp_path / "drafts" / "spring"
    shutil.copytree(rules, draft)
    write_edition(draft, 7)
    with standing_in({"/": page(HOME)}) as shop:
        proxy = serve(shop.base, rules, "--drafts", str(draft.parent), "--workers", "2")
        link = edgeproxy("preview", proxy.base + "/", "--stage", "new", "--rules", "spring").stdout
        exchange = client.get(re.search(r"http://\S+", link)[0])  # type: ignore[index]
        assert exchange.status_code == 303
        assert client.cookies

        def editions() -> set[bytes]:
            """Of connections that the system spreads over both."""
            pages = [client.get(proxy.base + "/") for _ in range(16)]
            return {found[1] for one in pages for found in WHOLE.finditer(one.content)}

        assert editions() == {b"7"}
        write_edition(draft, 8)
        while editions() != {b"8"}:  # it is looked for changes once a second
            pass
        client.cookies.clear()
        assert editions() == {b"0"}
        assert workers_of(client, proxy) == "2 of 2 workers"


# ------------------------------------------------------------------ TLS, sockets of somebody else


TLS = Path(__file__).parents[1] / "data" / "tls"


def served_certificate(proxy: Proxy) -> bytes:
    """What it greets with, whoever signed it."""
    host, _, port = proxy.base.removeprefix("https://").partition(":")
    pem = ssl.get_server_certificate((host, int(port)), timeout=30)
    return ssl.PEM_cert_to_DER_cert(pem)


def der(name: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert((TLS / f"{name}.pem").read_text("ascii"))


def test_https_with_a_certificate_that_is_renewed(
    serve: Serve, rules: Path, tmp_path: Path, client: httpx.Client
) -> None:
    certificate, key = tmp_path / "edge.pem", tmp_path / "edge.key"
    seen: list[list[str]] = []

    def home(asked: Asked) -> None:
        seen.append(asked.header("x-forwarded-proto"))
        page(HOME)(asked)

    def renew(name: str, key_of: str = "") -> None:
        for suffix, path, source in ((".pem", certificate, name), (".key", key, key_of or name)):
            fresh = path.with_suffix(".new")
            fresh.write_bytes((TLS / f"{source}{suffix}").read_bytes())
            fresh.replace(path)

    renew("edge-first")
    with standing_in({"/": home}) as shop:
        proxy = serve(shop.base, rules, "--workers", "2", "--tls-cert", str(certificate), "--tls-key", str(key))
        running = proxy.running
        assert proxy.base.startswith("https://")
        trusting = ssl.create_default_context(cafile=str(TLS / "edge-first.pem"))
        with httpx.Client(trust_env=False, verify=trusting, timeout=30) as visitor:
            answer = visitor.get(proxy.base + "/")
            assert b"edition 0<" in answer.content
            assert seen == [["https"]]
            renew("edge-second", key_of="edge-first")
            running.wait_for("is not the key of the certificate in .*the certificate stays as it is")
            for _ in range(4):
                assert served_certificate(proxy) == der("edge-first")
            since = running.lines
            running.tell(signal.SIGUSR2)  # who starts now is given the last good pair, not what is on disk
            running.wait_for("rolling restart is done", seconds=60, since=since)
            for _ in range(4):
                assert served_certificate(proxy) == der("edge-first")
            renew("edge-second")
            running.wait_for("the new certificate is live")
            for _ in range(4):
                assert served_certificate(proxy) == der("edge-second")


def test_a_certificate_that_is_none_is_told_at_the_start(rules: Path) -> None:
    argv = ["serve", "--origin", "http://127.0.0.1:9", "--rules", str(rules), "--listen", "127.0.0.1:0"]
    argv += ["--admin", "127.0.0.1:0", "--tls-cert", str(TLS / "README.md"), "--tls-key", str(TLS / "edge-first.key")]
    done = subprocess.run(
        [sys.executable, "-m", "edgeproxy", *argv], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "README.md: holds no certificate" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_another_has_is_not_shared_with_it(rules: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        argv = ["serve", "--origin", "http://127.0.0.1:9", "--rules", str(rules), "--listen", address, "--workers", "2"]
        done = subprocess.run(
            [sys.executable, "-m", "edgeproxy", *argv, "--admin", "127.0.0.1:0"],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert "is taken by another program" in done.stderr


BEFORE_EXEC = """
import os, sys
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, "-m", "edgeproxy", *sys.argv[2:]])
"""


def test_a_socket_of_systemd_is_served_on_and_readiness_is_told(
    rules: Path, tmp_path: Path, client: httpx.Client
) -> None:
    """One socket for all workers, as systemd binds it; a stop lets them finish what they have begun."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(asked: Asked) -> None:
        begun.set()
        assert go_on.wait(30)
        page(b"the whole answer", "image/png")(asked)

    with (
        standing_in({"/": page(HOME), "/slow.png": slow}) as shop,
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
    ):
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        os.set_inheritable(listening.fileno(), True)
        argv = [sys.executable, "-c", BEFORE_EXEC, str(listening.fileno()), "serve", "--origin", shop.base]
        argv += ["--rules", str(rules), "--admin", "127.0.0.1:0", "--workers", "2"]
        running = Running(
            "edgeproxy serve",
            argv,
            env=environment(NOTIFY_SOCKET=str(tmp_path / "notify")),
            keeps=(listening.fileno(),),
        )
        try:
            assert systemd.recv(100) == b"READY=1"
            port = listening.getsockname()[1]
            for _ in range(6):
                assert b"edition 0<" in client.get(f"http://127.0.0.1:{port}/").content
            with ThreadPoolExecutor() as other:
                finishing = other.submit(client.get, f"http://127.0.0.1:{port}/slow.png")
                assert begun.wait(30)
                running.tell(signal.SIGTERM)
                assert systemd.recv(100) == b"STOPPING=1"
                go_on.set()
                assert finishing.result().content == b"the whole answer"
        finally:
            go_on.set()
            assert running.stop() == 0
        assert "Traceback" not in running.output()
