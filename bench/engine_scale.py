"""Growth of the embedded engine: creating 10, 100 and 1,000 dynamic resources, and an ``up`` that changes none.

Per case (``create-1000``, ``noop-10``): ``seconds``, ``memory_mib`` of the engine's own process, and ``growth``,
how many times as long it takes as the size before (target: as many times as there are resources).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.engine_noop import Stack
from bench.harness import Measurement, progress

sizes: Final = (10, 100, 1_000)
_create_seconds: Final = 20.0  # for the largest size
_memory_mib: Final = 300.0


def run() -> Iterator[Measurement]:
    """All figures, smallest size first."""
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            progress(f"{size} resources")
            stack = Stack(Path(folder) / str(size), (sys.executable, "-m", "engine"), size)
            for name, (took, memory) in (("create", stack.up()), ("noop", min(stack.up() for _ in range(3)))):
                case = f"{name}-{size}"
                target = _create_seconds if (name, size) == ("create", sizes[-1]) else None
                yield Measurement("engine_scale", case, "seconds", "s", took, target=target)
                yield Measurement("engine_scale", case, "memory_mib", "MiB", memory, target=_memory_mib)
                if name in seconds:
                    growth, most = took / seconds[name], size / sizes[sizes.index(size) - 1]
                    yield Measurement("engine_scale", case, "growth", "times", growth, target=most)
                seconds[name] = took
