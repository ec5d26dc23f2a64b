"""``python -m bench [name ...]``: all without a name.  Exits 0 when it could measure, whatever the figures."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import bench
from bench.harness import Measurement, progress, show

_support = {
    "__main__",
    "bridge_failover_inside",
    "churn_inside",
    "follow_lab",
    "harness",
    "lease_lab",
    "mine_to_peer_inside",
    "peer_update_inside",
    "programs",
    "recorder",
    "wireguard_lab",
}


def names() -> list[str]:
    """The benchmarks there are."""
    return sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if module.name not in _support)


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
