"""Time limits by kind of test, and what may run side by side.

A limit includes the fixtures, and some of those deploy a whole stack.  With several workers (``make test``), what
shares Docker's names, networks and ports stays with one of them; of all else, each file does.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

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


class Scheduling(LoadScopeScheduling):
    """Files to workers, but for the tests that run in turn: these are one piece of work, and the first."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return "in turn" if file.startswith(tuple(f"{HERE.name}/{kind}/" for kind in IN_TURN)) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    # pytest 9.2 takes no suffix of a group in a node's id, on which xdist's own --dist loadgroup relies.
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents or item.get_closest_marker("timeout"):
            continue
        kind = item.path.relative_to(HERE).parts[0]
        item.add_marker(pytest.mark.timeout(LIMITS.get(kind, 120)))
