"""How it is measured: processor time, best of several rounds; tables whose first row is the baseline."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

__all__ = ["Row", "Table", "cpu_of", "millis", "resident"]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured; ``value`` in the table's unit, ``notes`` beside it."""

    name: str
    value: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows against the first of them, which is the baseline."""

    title: str
    unit: str
    rows: Sequence[Row]
    columns: tuple[str, ...] = ()  # of the notes

    def markdown(self) -> str:
        head = f"| {self.title} | {self.unit} | × |" + "".join(f" {name} |" for name in self.columns)
        lines = [head, "|---|---:|---:|" + "---|" * len(self.columns)]
        base = self.rows[0].value
        for row in self.rows:
            ratio = f"{row.value / base:.3g}" if base > 0 else "-"
            notes = "".join(f" {note} |" for note in row.notes)
            lines.append(f"| {row.name} | {_short(row.value)} | {ratio} |{notes}")
        return "\n".join(lines)


def _short(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def millis(work: Callable[[], object], *, seconds: float, rounds: int = 3) -> float:
    """Processor time of one call in milliseconds: the best of ``rounds``, of ``seconds`` each."""
    work()
    gc.collect()
    times = 1
    while True:
        spent = _spent(work, times)
        if spent >= seconds / 4 or times >= 1 << 20:
            break
        times *= 4 if spent < seconds / 16 else 2
    times = max(1, int(times * seconds / max(spent, 1e-9)))
    return min(_spent(work, times) for _ in range(rounds)) / times * 1000


def _spent(work: Callable[[], object], times: int) -> float:
    began = process_time()
    for _ in range(times):
        work()
    return process_time() - began


def cpu_of(pids: Iterable[int]) -> float:
    """Seconds of processor that these processes have used so far, by the scheduler's own nanoseconds."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text("ascii").split()[0])
    return total / 1e9


def resident(pids: Iterable[int]) -> float:
    """Bytes of memory that these processes hold."""
    return sum(float(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * 4096 for pid in pids)
