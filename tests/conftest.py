"""Time limits by kind of test, and what may run side by side.

A limit includes the fixtures, and some of those deploy a whole stack.  With several workers (``make test``), what
shares Docker's names, networks and ports stays with one of them; of all else, each file does.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
LIMITS = {
    "e2e": 900,
    "browser": 900,
    "integration": 300,
    "component": 120,
    "engine": 180,
    "architecture": 120,
    "unit": 90,
}  # seconds
IN_TURN = ("browser", "e2e", "integration")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents:
            continue
        file = item.path.relative_to(HERE)
        kind = file.parts[0]
        item.add_marker(pytest.mark.xdist_group("in turn" if kind in IN_TURN else file.as_posix()))
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LIMITS.get(kind, 120)))
