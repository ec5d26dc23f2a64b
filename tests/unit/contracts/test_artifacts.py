"""The artifacts that the repository keeps are what their sources compile to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.contracts.evm import CONTRACTS

DEPLOYED = ["AccessPass", "KeyRegistry", "NodeRegistry"]
# EIP-170: longer code cannot be deployed. The creation code is a little longer than the code.
LONGEST_CODE = 24_576


def node() -> str:
    beside_python = Path(sys.executable).parent
    found = shutil.which("node", path=f"{beside_python}{os.pathsep}{os.environ['PATH']}")
    assert found, "Node.js is missing: run `make setup`"
    return found


def compile_contracts(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert (CONTRACTS / "node_modules" / "solc").is_dir(), (
        "the Solidity compiler is missing: run `npm ci` in contracts/"
    )
    return subprocess.run(
        [node(), str(folder / "compile.mjs"), *arguments], capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The contracts in a folder of their own, which a test may change; the tests' helpers are left out."""
    shutil.copytree(CONTRACTS / "src", tmp_path / "src")
    shutil.copytree(CONTRACTS / "artifacts", tmp_path / "artifacts", ignore=shutil.ignore_patterns("test"))
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "Nothing.sol").write_text(
        "// SPDX-License-Identifier: MIT\npragma solidity 0.8.37;\ninterface Nothing {}\n"
    )
    shutil.copy(CONTRACTS / "compile.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(CONTRACTS / "node_modules")
    return tmp_path


def test_the_artifacts_are_what_the_sources_compile_to() -> None:
    done = compile_contracts(CONTRACTS, "--check")
    assert done.returncode == 0, done.stderr


def test_the_check_finds_artifacts_that_differ(copy: Path) -> None:
    source = copy / "src" / "SlotTable.sol"
    source.write_text(source.read_text().replace("MAX_SLOTS = 8", "MAX_SLOTS = 9"))
    (copy / "artifacts" / "NodeRegistry.json").unlink()
    (copy / "artifacts" / "Gone.json").write_text("{}")
    done = compile_contracts(copy, "--check")
    assert done.returncode == 1
    assert done.stderr.splitlines()[:3] == [
        "artifacts/Gone.json has no source",
        "artifacts/KeyRegistry.json differs from its source",
        "artifacts/NodeRegistry.json differs from its source",
    ]
    assert compile_contracts(copy).returncode == 0
    assert not (copy / "artifacts" / "Gone.json").exists()
    assert (copy / "artifacts" / "NodeRegistry.json").read_text() == (
        CONTRACTS / "artifacts" / "NodeRegistry.json"
    ).read_text()


def test_a_source_that_does_not_compile_is_named(copy: Path) -> None:
    (copy / "src" / "Broken.sol").write_text("// SPDX-License-Identifier: MIT\npragma solidity 0.8.37;\ncontract {}\n")
    done = compile_contracts(copy)
    assert done.returncode == 1
    assert "src/Broken.sol:3" in done.stderr


@pytest.mark.parametrize("name", DEPLOYED)
def test_an_artifact(name: str) -> None:
    text = (CONTRACTS / "artifacts" / f"{name}.json").read_text()
    loaded = json.loads(text)
    assert text == json.dumps(loaded, indent=2, sort_keys=True) + "\n"
    assert set(loaded) == {"abi", "bytecode", "compiler"}
    pinned = json.loads((CONTRACTS / "package.json").read_text())["dependencies"]["solc"]
    assert loaded["compiler"]["version"].startswith(f"{pinned}+commit.")
    assert loaded["compiler"]["settings"]["evmVersion"] == "cancun"
    code = bytes.fromhex(loaded["bytecode"].removeprefix("0x"))
    assert len(code) < LONGEST_CODE
    assert b"solc" not in code[-64:]  # no metadata, which would depend on comments and paths


def test_every_deployed_contract_has_its_artifact() -> None:
    assert sorted(path.stem for path in (CONTRACTS / "artifacts").glob("*.json")) == DEPLOYED
