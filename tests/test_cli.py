"""What a shell does to a program: standard streams that are closed before it begins."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from edgeproxy.cli import main

assert main(["key"]) == 0
print("heard", file=sys.stderr, flush=True)
sys.stdout.flush()
lowest = os.open(os.devnull, os.O_RDONLY)  # as the first socket would
assert lowest > 2, lowest
assert all(map(os.get_inheritable, range(3)))  # workers write there too
"""


@pytest.mark.parametrize("closed", [(), (0,), (1,), (2,), (0, 1), (0, 1, 2)])
def test_standard_streams_that_are_closed_are_nothing_that_sockets_get(closed: tuple[int, ...]) -> None:
    launch = f"import os, sys\nfor number in {closed}: os.close(number)\nos.execv(sys.executable, sys.argv[1:])"
    command = [sys.executable, "-c", launch, sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ("" if 2 in closed else "heard\n")
    assert len(done.stdout.strip()) == (0 if 1 in closed else 64)
