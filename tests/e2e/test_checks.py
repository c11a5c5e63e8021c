"""The checks from outside: real clients, a misbehaving shop, awkward HTML, a header flood, ambiguous requests.

Each starts an origin of its own and judges what the proxy makes of it.  A check's whole report is printed, so that it
stands beside a failure.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.e2e.running import environment, free_ports, serving

pytestmark = [pytest.mark.shared, pytest.mark.timeout(400)]

Check = Callable[..., dict[str, Any]]

QUIET = {  # rules that never touch a page of the checks, nor wait for one
    "shop.toml": 'format = 1\ntimezone = "UTC"\nstages = ["new"]\nsegments = []\nwithout_cookie = "new"\n',
    "slots.toml": '[hero]\nfind = "#no-such-hero"\non = ["/nowhere/"]\n',
    "audiences.toml": '[newcomers]\nstage = "new"\n',
    "experiences/calm.toml": 'for = "newcomers"\n\n[[edit]]\nslot = "hero"\nremove = true\n',
}

EAGER = QUIET | {"slots.toml": '[hero]\nfind = "#no-such-hero"\n'}  # every page is looked at, and none has the slot


def write_rules(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture
def check(shared: Path, tmp_path: Path) -> Check:
    """Run one script against a fresh proxy; its whole report comes back."""

    def run(script: str, *options: str, rules: dict[str, str] = QUIET, deadline: int = 30) -> dict[str, Any]:
        (port,) = free_ports()
        report = tmp_path / "report.json"
        hosts = ("--host", "shop.test", "--host", "127.0.0.1", "--deadline", str(deadline))
        with serving(f"http://127.0.0.1:{port}", write_rules(tmp_path / "rules", rules), *hosts) as proxy:
            command = [sys.executable, str(shared / "checks" / script)]
            done = subprocess.run(
                [*command, "--base", proxy.base, "--origin-port", str(port), "--out", str(report), *options],
                env=environment(EDGEPROXY_WORK=str(tmp_path / "work")),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=360,
            )
        print(done.stdout + done.stderr)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(report.read_bytes())
        return found

    return run


PASSED_AS_DECLARED = {"gzip-double"}
"""Two codings, both declared, both passed on (RFC 9110, section 8.4); the check itself undoes one at most."""


def failed(report: dict[str, Any]) -> dict[str, Any]:
    return {case["id"]: case for case in report["cases"] if not case["pass"]}


def test_real_clients_see_what_the_shop_shows_them(check: Check) -> None:
    if not shutil.which("curl"):
        missing("no curl")
    report = check("clients.py")
    assert failed(report) == {}
    assert len(report["cases"]) == 34


@pytest.mark.parametrize("rules", [QUIET, EAGER], ids=["no slot on the page", "a slot that is nowhere"])
def test_awkward_html_passes_byte_for_byte(check: Check, rules: dict[str, str]) -> None:
    report = check("h5.py", rules=rules)
    assert report["failed"] == []
    assert report["pass"] == report["docs"] == 1592


@pytest.mark.parametrize("rules", [QUIET, EAGER], ids=["passed", "looked at"])
def test_a_misbehaving_shop_is_never_hidden_and_never_waited_for(check: Check, rules: dict[str, str]) -> None:
    """Whatever the shop does: its page, a 502/503/504 or a visible break; and the next visitor is served."""
    report = check("faults.py", rules=rules, deadline=10)
    kinds = {case["id"]: case["kind"] for case in report["cases"]}
    assert len(kinds) == 64
    assert [name for name, kind in kinds.items() if kind in {"silent-cut", "hang"} and name != "cl-too-small"] == []
    assert [case["id"] for case in report["cases"] if case["healthy_after"] is False] == []
    assert set(failed(report)) <= PASSED_AS_DECLARED


def test_a_header_flood_reaches_nobody(check: Check) -> None:
    report = check("flood.py")
    assert report["flood_status"] >= 400 or report["flood_status"] == 0
    assert report["reached_origin_lines"] < 20_000
    assert report["probe_bad"] == 0


def test_no_request_hides_in_another(check: Check) -> None:
    report = check("smuggle.py")
    verdicts = {case["id"]: case["verdict"] for case in report["cases"]}
    assert len(verdicts) == 143
    assert {name: verdict for name, verdict in verdicts.items() if verdict in {"SMUGGLED", "POISON"}} == {}
    assert failed(report) == {}
