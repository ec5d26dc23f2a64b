"""Staging and production preview on any machine, with nothing deployed and nothing reachable."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Pulumi, root


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_it_previews(stack: str) -> None:
    engine = Pulumi(stack)
    file = root / f"stacks/Pulumi.{stack}.yaml"
    before = file.read_bytes()
    engine.expect("stack", "init", stack)
    try:
        assert "to create" in engine.expect("preview")
    finally:
        engine("stack", "rm", "--yes", "--force")
        file.write_bytes(before)
