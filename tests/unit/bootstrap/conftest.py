"""A checkout in a temporary folder, with a shell that answers from a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.step import Context
from tests.unit.bootstrap.fakes import FakeShell


@pytest.fixture
def shell(tmp_path: Path) -> FakeShell:
    return FakeShell(tmp_path, {"PATH": "/usr/bin"}, {"apt-get": ["/usr/bin/apt-get"]})


@pytest.fixture
def context(tmp_path: Path, shell: FakeShell) -> Context:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "dev.txt").write_text("pulumi==3.1.0\npulumi-docker==5.2.0 \\\n    --hash=sha256:00\n")
    (tmp_path / "Pulumi.yaml").write_text("name: berth\nruntime: python\n")
    (tmp_path / "stacks").mkdir()
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "package-lock.json").write_text("{}")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    return Context(tmp_path, "dev", shell)
