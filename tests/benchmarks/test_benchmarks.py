"""The benchmarks run.  How fast is nobody's business here."""

from __future__ import annotations

import sys

import pytest

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
