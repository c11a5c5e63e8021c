"""What every test may use: the shared material, free ports, a clock to move, ``edgeproxy serve``, Hypothesis profiles.

Under ``CI=true`` nothing is optional: a missing browser, shop or shared folder fails the tests that need it; elsewhere
they are skipped, and say what is missing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.e2e import running

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}

# Machines differ and are shared: no property is judged by the time it takes.
_untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", _untimed, max_examples=50)
settings.register_profile("ci", _untimed, max_examples=100, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if IN_CI else "dev")


def pytest_configure() -> None:
    """A suite that is told to end (SIGTERM) ends as by Ctrl-C: what its tests have started is stopped too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def missing(what: str) -> NoReturn:
    """Skip, or fail where nothing is optional, because something outside the project is not there."""
    if IN_CI:
        pytest.fail(f"{what} (not optional under CI)", pytrace=False)
    pytest.skip(what)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the programs that this test talked to have printed meanwhile."""
    report = yield
    if report.failed:
        report.sections += [
            (f"{child.name} (pid {child.pid})", child.recent()) for child in running.alive if child.lines > child.shown
        ]
    if report.when == "teardown":
        for child in running.alive:
            child.shown = child.lines
    return report


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test material beside the project, named by ``EDGEPROXY_SHARED``."""
    named = os.environ.get("EDGEPROXY_SHARED")
    if not named:
        missing("EDGEPROXY_SHARED does not name the folder of shared test material")
    folder = Path(named).resolve()
    if not (folder / "shops").is_dir():
        missing(f"EDGEPROXY_SHARED names {folder}, which is not the folder of shared test material")
    return folder


class Clock:
    """A clock that stands still until a test moves it; call it for the seconds since the epoch."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    """Stands at 2026-06-01 12:00:00 UTC."""
    return Clock(1_780_315_200.0)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository whose rules are live from main, with other branches; ``tests.repository`` tells which."""
    from tests.repository import repository_in

    return repository_in(tmp_path)


@pytest.fixture
def anyio_backend() -> str:
    """Tests marked ``anyio`` run on asyncio, as the proxy does."""
    return "asyncio"


@pytest.fixture
def free_port() -> int:
    """A port of loopback that nobody listens on, for a program that cannot be told "any"."""
    return running.free_ports()[0]


Serve = Callable[..., running.Proxy]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start ``edgeproxy serve``: ``serve(origin, rules, *options, env={…})``; all are stopped after the test."""
    with ExitStack() as stack:

        def start(origin: str, rules: Path, *options: str, env: dict[str, str] | None = None) -> running.Proxy:
            return stack.enter_context(running.serving(origin, rules, *options, cwd=tmp_path, env=env))

        yield start
