"""``--record``: take the expected results anew from the real Pulumi CLI (``PULUMI_CLI``, else one on PATH)."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="record the matrix's expected results from the Pulumi CLI")
