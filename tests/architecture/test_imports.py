"""The arrows between packages, and what set-up may import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_arrows_point_one_way() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_set_up_uses_the_standard_library_alone() -> None:
    allowed = {*sys.stdlib_module_names, "bootstrap"}
    foreign = {
        f"{file.name}: {name}"
        for file in (ROOT / "bootstrap").glob("*.py")
        for name in _imported(file)
        if name.partition(".")[0] not in allowed
    }
    assert not foreign


def test_set_up_has_something_to_import() -> None:
    """The check above would pass on an empty folder."""
    assert "bootstrap" in {name.partition(".")[0] for name in _imported(ROOT / "bootstrap" / "__main__.py")}


def _imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


def test_policies_import_only_their_sdk() -> None:
    """A pack runs in a process of its own, perhaps on a machine that has nothing else of ours."""
    allowed = {*sys.stdlib_module_names, "pulumi_policy", "rules"}
    foreign = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in (ROOT / "policies").rglob("*.py")
        for name in _imported(file)
        if name.partition(".")[0] not in allowed
    }
    assert not foreign
