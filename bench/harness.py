"""What every benchmark reports, and how it is shown: a table for people, then one JSON object per line."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Final, Literal

from rich.console import Console
from rich.table import Table

_width: Final = 120
Direction = Literal["at most", "at least"]


@dataclass(frozen=True)
class Measurement:
    """One figure.  ``target`` None where nothing was promised; ``baseline`` None where there is none.

    ``case`` is the size or the variant, ``metric`` one of p50, p95, p99, mean, seconds, throughput, calls, lost,
    left, memory_mib, or a name that says what is counted.
    """

    bench: str
    case: str
    metric: str
    unit: str
    ours: float
    baseline: float | None = None
    target: float | None = None
    direction: Direction = "at most"

    @property
    def ratio(self) -> float | None:
        """Ours to baseline."""
        return None if not self.baseline else self.ours / self.baseline

    @property
    def ok(self) -> bool:
        """Whether the target is met; true where there is none."""
        if self.target is None:
            return True
        return self.ours <= self.target if self.direction == "at most" else self.ours >= self.target

    def as_json(self) -> str:
        """The line that programs read."""
        fields = asdict(self)
        del fields["direction"]
        return json.dumps(
            {
                **{name: _short(value) for name, value in fields.items() if name != "target"},
                "ratio": _short(self.ratio),
                "target": self.target,
                "ok": self.ok,
            }
        )


def show(measurements: Iterable[Measurement]) -> None:
    """The table on standard error as the last word for people, the lines on standard output for programs."""
    found = list(measurements)
    table = Table("bench", "case", "metric", "ours", "baseline", "ratio", "target", "ok")
    for one in found:
        limit = "" if one.target is None else f"{one.direction} {one.target:g} {one.unit}"
        table.add_row(
            one.bench,
            one.case,
            one.metric,
            f"{one.ours:.4g} {one.unit}",
            "" if one.baseline is None else f"{one.baseline:.4g} {one.unit}",
            "" if one.ratio is None else f"{one.ratio:.2f}",
            limit,
            "yes" if one.ok else "NO",
        )
    Console(stderr=True, width=_width).print(table)
    for one in found:
        print(one.as_json(), flush=True)


def progress(text: str) -> None:
    """What is being measured now: benchmarks take minutes."""
    print(f"  {text}", file=sys.stderr, flush=True)


def median_seconds(work: Callable[[], object], times: int = 3) -> float:
    """The median duration of ``work`` in seconds."""
    durations = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def _short(value: object) -> object:
    return float(f"{value:.6g}") if isinstance(value, float) else value
