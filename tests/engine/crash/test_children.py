"""What the engine started ends with it: a program that hangs, a provider within a call, a client within a build."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.docker.client import Client
from tests.engine.crash.world import root
from tests.engine.docker.conftest import daemon  # noqa: F401 - the fixture that skips, and says why
from tests.engine.docker.world import BASE

hanging = "import pathlib, time, pulumi\npathlib.Path('reached').touch()\ntime.sleep(300)\n"
providing = """
import pathlib, time
import pulumi

class Provider(pulumi.dynamic.ResourceProvider):
    def create(self, props):
        pathlib.Path("reached").touch()
        time.sleep(300)

class Slow(pulumi.dynamic.Resource):
    pass

Slow(Provider(), "slow", {})
"""
building = """
import pulumi_docker as docker
build = docker.DockerBuildArgs(context="image")
docker.Image("image", image_name="berth-test-crash:never", skip_push=True, build=build)
"""


def killed(folder: Path, program: str, reached: Callable[[], bool], mark: str) -> None:
    """Run the program, kill the engine once ``reached``, and wait for all processes that bear ``mark`` to end."""
    (folder / "Pulumi.yaml").write_text('{"name": "crash", "runtime": "python", "backend": {"url": "file://."}}')
    (folder / "__main__.py").write_text(program)
    own = {"PYTHONPATH": str(root), "PULUMI_CONFIG_PASSPHRASE": "x", "PULUMI_HOME": str(folder / "home"), "MARK": mark}
    environment = {**os.environ, **own}
    command = [sys.executable, "-m", "engine"]
    subprocess.run([*command, "stack", "init", "dev"], cwd=folder, env=environment, check=True)
    with (folder / "log").open("w") as log:
        up = [*command, "up", "--yes", "--skip-preview"]
        engine = subprocess.Popen(up, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not reached():
            assert engine.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
    finally:
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    deadline = time.monotonic() + 20
    while left := [pid for pid in Path("/proc").glob("[0-9]*") if bears(pid, mark)]:
        assert time.monotonic() < deadline, [(pid / "cmdline").read_text() for pid in left]
        time.sleep(0.05)


def bears(pid: Path, mark: str) -> bool:
    try:
        return mark.encode() in (pid / "environ").read_bytes() + (pid / "cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.parametrize("program", [hanging, providing], ids=["program", "provider"])
def test_killed_engine(tmp_path: Path, program: str) -> None:
    killed(tmp_path, program, (tmp_path / "reached").exists, f"mark-{uuid.uuid4().hex}")


@pytest.mark.docker
def test_killed_engine_within_a_build(tmp_path: Path, daemon: Client) -> None:  # noqa: F811 - that fixture
    mark = f"mark-{uuid.uuid4().hex}"
    (tmp_path / "image").mkdir()
    (tmp_path / "image/Dockerfile").write_text(f"FROM {BASE}\nRUN sleep 300 || : {mark}\n")

    def reached() -> bool:
        return any(b"/bin/sh\0-c\0sleep 300" in line and mark.encode() in line for line in _commands())

    killed(tmp_path, building, reached, mark)


def _commands() -> list[bytes]:
    found = []
    for pid in Path("/proc").glob("[0-9]*"):
        try:
            found.append((pid / "cmdline").read_bytes())
        except OSError:
            continue
    return found
