"""The project's own pack on the project's own program, as `make policy` runs it, from a copy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

repository = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("berth")
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(repository / name, root / name)
    without = shutil.ignore_patterns("node_modules", "__pycache__")
    for name in ("berth", "components", "contracts", "images", "policies", "providers", "requirements", "stacks"):
        shutil.copytree(repository / name, root / name, ignore=without)
    (root / ".venv").symlink_to(sys.prefix)
    done = pulumi(root, "stack", "init", "staging")
    assert done.returncode == 0, done.stderr
    return root


def pulumi(root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PULUMI_CONFIG_PASSPHRASE": "x", "PYTHONPATH": str(repository)}
    environment.pop("PULUMI_BACKEND_URL", None)
    command = [sys.executable, "-m", "engine", *args]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=110)


def test_staging_keeps_to_its_policies(copy: Path) -> None:
    done = pulumi(copy, "preview", "--stack", "staging", "--policy-pack", "policies")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Policies:\n    ✅ berth@v1.0.0 (local: policies)\n\n" in done.stdout


def test_the_pack_sees_what_the_program_declares(copy: Path) -> None:
    settings = copy / "strict.json"
    settings.write_text(json.dumps({"capabilities": {"allowed": []}}), encoding="utf-8")
    chosen = ("--policy-pack", "policies", "--policy-pack-config", str(settings))
    done = pulumi(copy, "preview", "--stack", "staging", *chosen)
    assert done.returncode == 1
    assert "[mandatory]  capabilities  (docker:index:Container: node-1)" in done.stdout
    assert "node-1 adds CAP_NET_ADMIN" in done.stdout
