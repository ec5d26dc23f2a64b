"""``python -m bench [name ...]``: all without a name.  Exits 0 when it could measure, whatever the figures."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import bench
from bench.harness import Measurement, progress, show

_support = {"__main__", "harness", "programs", "recorder", "upload"}
_parts = ("_lab", "_inside")  # what a benchmark sets up, and what it runs inside a container


def names() -> list[str]:
    """The benchmarks there are."""
    found = {module.name for module in pkgutil.iter_modules(bench.__path__)} - _support
    return sorted(name for name in found if not name.endswith(_parts))


def main(arguments: list[str]) -> int:
    """Runs the named benchmarks, shows all figures together, and returns the exit code."""
    unknown = [name for name in arguments if name not in names()]
    if unknown:
        progress(f"no benchmark {', '.join(unknown)}; there are: {', '.join(names())}")
        return 2
    found: list[Measurement] = []
    for name in arguments or names():
        progress(f"{name}: {(importlib.import_module(f'bench.{name}').__doc__ or '').splitlines()[0]}")
        found += importlib.import_module(f"bench.{name}").run()
    show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
