"""States that the Pulumi CLI and its Docker provider left, recorded from real runs of ``program``.

``created`` after its first ``up``; ``refreshed`` after a ``refresh`` of that; ``updated`` after an ``up`` with
another ``golden:memory``.  Ids, times and addresses that vary were replaced; secrets are plain, and none.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from engine.backend.codec import secret_signature, signature
from tests.engine.docker.conftest import daemon, world

__all__ = ["daemon", "world"]

HERE = Path(__file__).parent
STATES = sorted(path.stem for path in (HERE / "states").iterdir())


def plain(value: Any) -> Any:
    """What was recorded, without the marks of secrets."""
    if isinstance(value, dict):
        if value.get(signature) == secret_signature:
            return json.loads(value["plaintext"])
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def resources(state: str) -> list[dict[str, Any]]:
    """The Docker resources of a recorded state, in its order."""
    deployment = json.loads((HERE / "states" / f"{state}.json").read_text())["deployment"]
    return [plain(resource) for resource in deployment["resources"] if resource["type"].startswith("docker:")]


def given(value: Any) -> Any:
    """Checked inputs as the program gave them: without what the provider filled in."""
    if isinstance(value, dict):
        filled = {"__defaults", "contextDigest", "buildOnPreview", *value.get("__defaults", [])}
        return {key: given(item) for key, item in value.items() if key not in filled}
    return [given(item) for item in value] if isinstance(value, list) else value


def copy_program(target: Path) -> None:
    """The program in a directory of its own, with the modes that its build context was recorded with."""
    shutil.copytree(HERE / "program", target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
