"""Time limits by kind of test: a limit includes the fixtures, and some of those deploy a whole stack."""

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents or item.get_closest_marker("timeout"):
            continue
        kind = item.path.relative_to(HERE).parts[0]
        item.add_marker(pytest.mark.timeout(LIMITS.get(kind, 120)))
