"""What ``python -m bench`` calls a benchmark can be run as one."""

from __future__ import annotations

import importlib

import pytest

from bench.__main__ import names


@pytest.mark.parametrize("name", names())
def test_a_benchmark_says_what_it_measures_and_runs(name: str) -> None:
    module = importlib.import_module(f"bench.{name}")
    assert (module.__doc__ or "").strip(), "no docstring: its first line is what is shown"
    assert callable(module.run)
