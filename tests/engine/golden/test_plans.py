"""A stack that the Pulumi CLI made is previewed without changes; no daemon is asked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.golden.conftest import HERE, STATES, copy_program


def run(root: Path, *command: str) -> str:
    environment = {
        **os.environ,
        "PULUMI_CONFIG_PASSPHRASE": "golden",
        "PYTHONPATH": str(HERE.parents[2]),
        "DOCKER_HOST": "unix:///nowhere/docker.sock",
    }
    done = subprocess.run(
        [sys.executable, "-m", "engine", *command, "--stack", "one"],
        cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("state", STATES)
def test_what_the_real_one_left_is_as_the_program_wants_it(state: str, tmp_path: Path) -> None:
    copy_program(tmp_path)
    with (tmp_path / "Pulumi.yaml").open("a") as project:
        project.write('backend: {url: "file://."}\n')
    run(tmp_path, "stack", "init", "one")
    memory, other = ("96", "64") if state == "updated" else ("64", "96")
    set_memory(tmp_path, memory)
    run(tmp_path, "stack", "import", "--file", str(HERE / "states" / f"{state}.json"))
    assert counts(run(tmp_path, "preview")) == ["12 unchanged"]
    set_memory(tmp_path, other)
    # As with the real one, the three containers with that limit are changed in place.
    assert counts(run(tmp_path, "preview")) == ["~ 3 to update", "9 unchanged"]


def set_memory(root: Path, value: str) -> None:
    path = root / "Pulumi.one.yaml"
    path.write_text(re.sub(r"(golden:memory:).*", rf'\1 "{value}"', path.read_text()))


def counts(shown: str) -> list[str]:
    """The lines below ``Resources:``."""
    found = re.search(r"^Resources:\n((?:    .+\n)+)", shown, re.MULTILINE)
    assert found, shown
    return [line.strip() for line in found[1].splitlines()]
