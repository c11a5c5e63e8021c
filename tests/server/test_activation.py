"""Sockets that systemd has bound, and what it is told: the two small protocols, with a stand-in for systemd."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from edgeproxy.server import activation
from edgeproxy.server.activation import Activated, inherited, notify
from edgeproxy.server.supervise import supervise
from edgeproxy.settings import Settings
from tests.e2e.running import environment
from tests.world import KEYS

PROGRAM = """
import os, sys
from edgeproxy.server.activation import NotOurs, inherited
files, names = sys.argv[1].split(","), sys.argv[2]
for place, file in enumerate(files, 3):
    os.dup2(int(file), place)
environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(files)), "LISTEN_FDNAMES": names}
try:
    found = inherited(environ)
except NotOurs as problem:
    print("not ours:", problem)
else:
    print([s.getsockname()[1] for s in found.public], found.admin and found.admin.getsockname()[1],
          any(os.get_inheritable(s.fileno()) for s in found.public))
"""


@pytest.fixture
def listening() -> list[socket.socket]:
    return [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]


def started_with(socks: list[socket.socket], names: str) -> str:
    high = [os.fdopen(os.dup(sock.fileno()), "rb", buffering=0) for sock in socks]
    files = [file.fileno() for file in high]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(map(str, files)), names],
        env=environment(),
        pass_fds=files,
        capture_output=True,
        text=True,
        timeout=60,
    )
    for file in high:
        file.close()
    for sock in socks:
        sock.close()
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_sockets_are_taken_by_their_names_and_kept_from_children(listening: list[socket.socket]) -> None:
    public, admin = (sock.getsockname()[1] for sock in listening)
    assert started_with(listening, "web:admin") == f"[{public}] {admin} False"


def test_two_addresses_for_visitors_are_refused(listening: list[socket.socket]) -> None:
    assert started_with(listening, "web:shop").startswith("not ours: systemd has bound several addresses")


def connected() -> socket.socket:
    left, right = socket.socketpair()
    right.close()
    return left


def datagrams() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def deaf() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


@pytest.mark.parametrize("make", [connected, datagrams, deaf])
def test_a_socket_that_takes_no_visitors_is_refused(make: Callable[[], socket.socket]) -> None:
    assert "none that listens for TCP" in started_with([make()], "")


@pytest.mark.parametrize("environ", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}])
def test_what_is_meant_for_somebody_else_is_left_alone(environ: dict[str, str]) -> None:
    assert inherited(environ) == Activated()
    assert inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"}) == Activated()


@pytest.mark.parametrize("abstract", [False, True])
def test_who_waits_for_us_is_told(tmp_path: Path, abstract: bool) -> None:
    name = f"@edgeproxy-tests-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name[1:] if abstract else name)
        notify({"NOTIFY_SOCKET": name}, "READY=1")
        assert systemd.recv(100) == b"READY=1"


def test_nobody_waiting_is_no_matter(tmp_path: Path) -> None:
    for address in ("", str(tmp_path / "nobody"), "vsock:2:1234"):
        activation.notify({"NOTIFY_SOCKET": address}, "READY=1")
    notify({}, "READY=1")


def test_sockets_that_no_worker_would_accept_on_are_told() -> None:
    told = StringIO()
    settings = Settings("http://127.0.0.1:1", Path(), KEYS, workers=1)
    with socket.create_server(("127.0.0.1", 0)) as first, first.dup() as second:
        assert supervise(settings, Activated((first, second)), {}, told) == 1
    assert "2 sockets for 1 workers" in told.getvalue()
