"""The benchmarks run.  How fast is nobody's business here."""

from __future__ import annotations

import sys

import pytest

from tests.benchmarks import slow_clients, slow_shapes
from tests.benchmarks.__main__ import BENCHMARKS, main
from tests.benchmarks.measure import Row, Table


@pytest.mark.skipif(sys.platform != "linux", reason="processor time and memory are read from /proc")
@pytest.mark.parametrize("name", BENCHMARKS)
def test_it_runs_in_a_tiny_size(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--quick"]) == 0
    out = capsys.readouterr().out
    first, *others = [line for line in out.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert " | 1 |" in first, "the first row is the baseline"
    assert others


def test_a_table_is_told_against_its_first_row() -> None:
    table = Table("a thing", "ms", [Row("one", 0.5, ("a",)), Row("two", 1250, ("b",))], ("which",))
    assert table.markdown().splitlines() == [
        "| a thing | ms | × | which |",
        "|---|---:|---:|---|",
        "| one | 0.5 | 1 | a |",
        "| two | 1,250 | 2.5e+03 | b |",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="processor time is read from /proc")
def test_slow_clients_are_measured_and_let_go(capsys: pytest.CaptureFixture[str]) -> None:
    limits = ("--limit-header-seconds=1", "--limit-rate-seconds=1")
    shapes = (slow_shapes.TLS_SHAPE,)
    argv = ["--each=2", "--quiet=0.2", *(f"--option={limit}" for limit in limits), *(f"--only={one}" for one in shapes)]
    assert slow_clients.main(argv) in {0, 1}
    rows = capsys.readouterr().out.splitlines()[2:]
    for shape, row in zip(shapes, rows, strict=True):
        name, kept, *_ = (cell.strip() for cell in row.strip("|").split("|"))
        assert name == shape
        assert float(kept) < slow_shapes.PATIENCE
