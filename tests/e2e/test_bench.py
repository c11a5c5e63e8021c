"""The side-by-side benchmark's own check: edits exact, all else untouched, no stale 304, nobody's page swapped."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.e2e import bench_rules
from tests.e2e.running import Proxy, environment, free_ports, serving, visitor_cookie

pytestmark = [pytest.mark.shared, pytest.mark.timeout(300)]

DRIPPING = 50  # the benchmark's second origin listens this far above the first


@pytest.fixture(scope="module")
def bench(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder in which the benchmark's check can run: its pages, and this very Python as its own."""
    if not (shutil.which("nginx") or Path("/usr/sbin/nginx").exists()):
        missing("no nginx, which the benchmark's origin is")
    work = tmp_path_factory.mktemp("bench")
    python = work / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', "utf-8")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    subprocess.run(
        [sys.executable, str(shared / "bench" / "gen.py"), "--work", str(work)], check=True, capture_output=True
    )
    return work


RULE = """
[[cache]]
on             = "/**"
for            = "5 minutes"
ignore_cookies = ["sid", "seg", "theme"]
"""
"""For the shop that marks every page as nobody's to keep."""


@pytest.mark.parametrize("how", ["kept as the shop says", "kept by a rule", "not kept"])
def test_its_edits_are_made_exactly(how: str, shared: Path, bench: Path, tmp_path: Path) -> None:
    edits = json.loads((bench / "edits.json").read_bytes())
    bench_rules.write(edits, tmp_path / "rules")
    if how == "kept by a rule":
        with (tmp_path / "rules" / "shop.toml").open("a") as file:
            file.write(RULE)
    options = ["--limit-cache-bytes", "0"] if how == "not kept" else []
    no_store = ["--no-store"] if how == "kept by a rule" else []
    cookies = tmp_path / "cookies.json"
    signed = {segment: f"edge_visitor={visitor_cookie('known', segment)}" for segment in edits if edits[segment]}
    cookies.write_text(json.dumps(signed), "utf-8")
    (port,) = free_ports(offsets=(0, DRIPPING))
    with serving(f"http://127.0.0.1:{port}", tmp_path / "rules", "--host", "shop.example", *options) as proxy:
        command = [
            str(shared / "bench" / "run.sh"),
            "none",
            "--sut",
            proxy.base,
            "edgeproxy",
            "--check-only",
            *no_store,
        ]
        done = subprocess.run(
            [*command, "--sut-cookies", str(cookies)],
            env=environment(
                EDGEPROXY_WORK=str(bench),
                EDGEPROXY_BENCH_PORT=str(port),
                PATH=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]),
            ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        kept = float(re.findall(r"(?m)^edgeproxy_cache_pages (\S+)$", metrics(proxy))[0]) if not options else 0.0
    said = done.stdout + done.stderr
    print(said)
    assert done.returncode == 0, said
    assert "exact 48 dom-equal 0 semantic 0 WRONG 0 of 48" in said
    assert "outside bytes kept 48/48" in said
    assert "STALE304 False" in said
    mixups = re.search(r"mixups (\d+)/(\d+)", said)
    assert mixups
    assert (int(mixups[1]), int(mixups[2]) > 100) == (0, True)
    assert kept >= (0 if options else 12)


def metrics(proxy: Proxy) -> str:
    with urllib.request.urlopen(f"{proxy.admin}/metrics", timeout=30) as answer:
        return bytes(answer.read()).decode()
