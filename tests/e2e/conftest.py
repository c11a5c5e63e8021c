"""What end-to-end tests share: the real shop, a browser, and the proxy between them with everything recorded."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import missing
from tests.e2e.oscar import Storefront
from tests.e2e.relay import Relay
from tests.e2e.running import Running, environment, serving

DATA = Path(__file__).parents[1] / "data"

CHROMIUM_FLAGS = (
    "--no-sandbox",  # the suite may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium of the system.  Per module: while it lives, its thread counts as one with a running loop."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        missing("no Chromium: install the system's package, or name one with CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, headless=True, args=list(CHROMIUM_FLAGS))
        yield chromium
        chromium.close()


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def oscar_setup(shared: Path) -> Path:
    """Where the shop's packages and its fresh catalogue lie: made once (a minute), then kept for later runs."""
    start = shared / "shops" / "oscar" / "start.sh"
    if not start.is_file():
        missing(f"no real shop: {start} is not there")
    kept = Path(os.environ.get("EDGEPROXY_WORK") or tempfile.gettempdir()) / "edgeproxy-oscar"
    kept.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(kept / ".lock"):
        if not (kept / "var" / ".ready").exists():
            kept_environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
            done = subprocess.run(
                ["bash", str(start), "setup"],
                env=kept_environment | {"SHOP_DIR": str(kept)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=900,
            )
            if done.returncode != 0:
                missing(f"the real shop could not be set up:\n{done.stdout}{done.stderr}")
    return kept


@contextmanager
def oscar(shared: Path, setup: Path, folder: Path, *origins: str) -> Iterator[str]:
    """The shop with a database of its own, so that no run sees another's baskets; ``origins`` may POST to it."""
    shutil.copytree(setup / "var", folder / "var", dirs_exist_ok=True)
    shop = Running(
        "the shop",
        ["bash", str(shared / "shops" / "oscar" / "start.sh")],
        env=environment(
            SHOP_DIR=str(folder),
            SHOP_VENV=str(setup / "venv"),
            SHOP_ORIGINS=",".join(origins) or "http://127.0.0.1",
            PORT="0",  # any: it prints which
        ),
    )
    try:
        yield shop.wait_for(r"Listening at: (http://127\.0\.0\.1:\d+)", seconds=60)[1]
    finally:
        shop.stop()


@pytest.fixture(scope="module")
def shop_alone(shared: Path, oscar_setup: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The shop by itself, with nothing in front: what everything is compared with."""
    with oscar(shared, oscar_setup, tmp_path_factory.mktemp("shop-alone")) as base:
        yield base


@pytest.fixture(scope="module")
def storefront(shared: Path, oscar_setup: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storefront]:
    """The proxy, the recording relay behind it, and the shop behind that; the shop knows the proxy's address."""
    relay = Relay()
    try:
        folder = tmp_path_factory.mktemp("storefront")
        rules = folder / "rules"
        shutil.copytree(DATA / "oscar-rules", rules)
        with serving(relay.base, rules) as proxy, oscar(shared, oscar_setup, folder, proxy.base) as shop:
            host, _, port = shop.removeprefix("http://").partition(":")
            relay.target = (host, int(port))
            yield Storefront(proxy, relay, shop, rules)
    finally:
        relay.close()
