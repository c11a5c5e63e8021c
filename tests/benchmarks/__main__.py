"""``python -m tests.benchmarks [NAME…] [--quick]``: runs them one after another, and prints as it goes."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from edgeproxy.server.child import ALLOCATOR
from tests.benchmarks import failing, paths, pure
from tests.benchmarks.measure import Table

BENCHMARKS: Final[Mapping[str, Callable[..., list[Table]]]] = {
    "decisions": pure.decisions,
    "sizes": pure.sizes,
    "codings": pure.codings,
    "cookies": pure.cookies,
    "crowds": pure.crowds,
    "ways": paths.ways,
    "connections": paths.connections,
    "workers": paths.workers,
    "faults": failing.faults,
    "waits": paths.waits,
    "kept": paths.kept,
    "drip": paths.drip,
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Ratios against a baseline of the same run; × is a row against its table's first one.",
        epilog="\n".join(f"  {name:<12} {(run.__doc__ or '').strip()}" for name, run in BENCHMARKS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *BENCHMARKS], help="which (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only to see that they run")
    said = parser.parse_args(argv)
    for name in said.names or BENCHMARKS:
        began = time.monotonic()
        print(f"{name}: {(BENCHMARKS[name].__doc__ or '').strip()}", file=sys.stderr, flush=True)
        for table in BENCHMARKS[name](quick=said.quick):
            print(f"\n{table.markdown()}", flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s\n", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    if any(name not in os.environ for name in ALLOCATOR):  # as our workers are set
        argv = [sys.executable, "-m", "tests.benchmarks", *sys.argv[1:]]
        os.execve(sys.executable, argv, {**ALLOCATOR, **os.environ})
    sys.exit(main())
