"""The recorded program deployed, changed, refreshed and destroyed by Pulumi's CLI and by ours in turns."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.engine_noop import pulumi_cli
from engine.docker.client import Client
from tests.engine.golden.conftest import HERE, copy_program
from tests.engine.golden.test_plans import counts, set_memory

Engines = dict[str, list[str]]


class Stack:
    """The program in ``folder``; whatever becomes of the test, ours destroys what is left of it."""

    def __init__(self, folder: Path, engines: Engines) -> None:
        self.folder, self.engines = folder, engines
        copy_program(folder)
        main = folder / "__main__.py"  # the recorded subnet is one that a daemon also hands out by itself
        main.write_text(main.read_text().replace("172.29.203.", "10.219.203."))
        runtime = f"runtime: {{name: python, options: {{virtualenv: {sys.prefix}}}}}"
        (folder / "Pulumi.yaml").write_text(f'name: golden\n{runtime}\nbackend: {{url: "file://."}}\n')

    def __call__(self, by: str, *words: str) -> list[str]:
        """What the summary counts."""
        own = {"PULUMI_CONFIG_PASSPHRASE": "golden", "PYTHONPATH": str(HERE.parents[2])}
        done = subprocess.run(
            [*self.engines[by], *words, "--stack", "one", "--non-interactive"],
            cwd=self.folder, env={**os.environ, **own}, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, f"{by}: {' '.join(words)}\n{done.stdout}{done.stderr}"
        assert " errored" not in done.stdout, f"{by}: {' '.join(words)}\n{done.stdout}{done.stderr}"
        return counts(done.stdout) if "Resources:" in done.stdout else []


@pytest.fixture
def stack(tmp_path: Path, daemon: Client) -> Iterator[Stack]:
    cli = pulumi_cli()
    if cli is None:
        pytest.skip("needs Pulumi's own CLI: on PATH, or named by PULUMI_CLI")
    it = Stack(tmp_path, {"cli": list(cli), "ours": [sys.executable, "-m", "engine"]})
    yield it
    it("ours", "destroy", "--yes", "--skip-preview")
    subprocess.run(["docker", "volume", "rm", "golden-one-data"], check=False)  # the program keeps it


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("one", "other"), [("cli", "ours"), ("ours", "cli")])
def test_either_goes_on_with_what_the_other_left(stack: Stack, one: str, other: str) -> None:
    run = ["--yes", "--skip-preview"]
    stack(one, "stack", "init")
    assert stack(one, "up", *run) == ["+ 12 created"]
    assert stack(other, "preview") == ["12 unchanged"]
    assert stack(other, "refresh", *run) == ["12 unchanged"]
    assert stack(one, "preview") == ["12 unchanged"]
    set_memory(stack.folder, "96")
    assert stack(other, "up", *run) == ["~ 3 updated", "9 unchanged"]
    assert stack(one, "preview") == ["12 unchanged"]
    assert stack(one, "refresh", *run) == ["12 unchanged"]
    assert stack(other, "preview", "--refresh") == ["12 unchanged"]
    assert stack(other, "destroy", *run) == ["- 12 deleted"]
