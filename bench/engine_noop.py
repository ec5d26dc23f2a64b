"""An ``up`` and a ``preview`` that change nothing: the embedded engine, and Pulumi's CLI on the same program.

Cases are the verb and the program: ``dynamic`` has 25 dynamic resources, ``docker`` 20 and a network and volumes
on the Docker daemon.  ``seconds`` is the median of runs that alternate between both.  Pulumi's CLI is the one that
``PULUMI_CLI`` names, else the first on PATH that is not the embedded engine; without one there is no baseline.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench.harness import Measurement, progress

_root: Final = Path(__file__).resolve().parent.parent
_times: Final = 5
_own: Final = (sys.executable, "-m", "engine")
_providers: Final = """\
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider


class Provider(ResourceProvider):
    def create(self, props):
        return CreateResult(props["label"], {**props, "made": props["label"]})


class Thing(Resource, module="bench", name="Thing"):
    made: pulumi.Output[str]

    def __init__(self, name, **props):
        super().__init__(Provider(), name, {"label": name, "made": None, **props})
"""
_program: Final = """\
import pulumi
from providers import Thing

config = pulumi.Config()
for number in range(config.require_int("things")):
    Thing(f"thing-{number}", size=number, owners={"first": f"owner-{number}", "second": "nobody"})
if config.get("mark"):
    import pulumi_docker as docker

    docker.Network("network", name=f"{config.require('mark')}-network")
    for number in range(4):
        docker.Volume(f"volume-{number}", name=f"{config.require('mark')}-{number}")
"""


class Failed(Exception):
    """The engine failed; the message holds what it printed."""


class Stack:
    """A program of ``things`` dynamic resources in ``folder``, run by ``command``.

    With ``mark`` it has a Docker network and volumes too, whose names begin with it.
    """

    def __init__(self, folder: Path, command: tuple[str, ...], things: int, mark: str = "") -> None:
        self._folder, self._command = folder, command
        folder.mkdir(parents=True)
        (folder / "providers.py").write_text(_providers)
        (folder / "__main__.py").write_text(_program)
        project: dict[str, Any] = {
            "name": "bench",
            "runtime": {"name": "python", "options": {"toolchain": "pip", "virtualenv": sys.prefix}},
            "backend": {"url": "file://."},
        }
        (folder / "Pulumi.yaml").write_text(json.dumps(project))  # JSON is YAML
        self.run("stack", "init", "dev")
        self.run("config", "set", "things", str(things), "--stack", "dev")
        if mark:
            self.run("config", "set", "mark", mark, "--stack", "dev")

    def run(self, *words: str) -> tuple[float, float]:
        """Seconds that a command took, and the engine process's own memory at its highest (MiB).  Raises Failed."""
        environment = {**os.environ, "PULUMI_CONFIG_PASSPHRASE": "bench", "PULUMI_SKIP_UPDATE_CHECK": "true"}
        environment["PYTHONPATH"] = str(_root)
        for name in ("PULUMI_BACKEND_URL", "PULUMI_STACK"):
            environment.pop(name, None)
        log = self._folder / "log"
        memory = 0.0
        with log.open("w") as out:
            began = time.perf_counter()
            process = subprocess.Popen(
                [*self._command, *words, "--non-interactive"],
                cwd=self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
            while True:
                memory = max(memory, _memory_mib(process.pid))
                try:
                    code = process.wait(0.05)
                    break
                except subprocess.TimeoutExpired:
                    continue
            seconds = time.perf_counter() - began
        if code:
            raise Failed(f"`{' '.join(words)}` ended with {code}:\n{log.read_text()}")
        return seconds, memory

    def up(self) -> tuple[float, float]:
        """As :meth:`run`."""
        return self.run("up", "--yes", "--skip-preview", "--stack", "dev")

    def preview(self) -> tuple[float, float]:
        """As :meth:`run`."""
        return self.run("preview", "--stack", "dev")

    def destroy(self) -> None:
        """Nothing of it stays."""
        self.run("destroy", "--yes", "--skip-preview", "--stack", "dev")


def _memory_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # ended just now, or no /proc on this system
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def pulumi_cli() -> tuple[str, ...] | None:
    """Pulumi's own CLI, or None."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    candidates = [os.environ.get("PULUMI_CLI", ""), *(shutil.which("pulumi", path=folder) for folder in folders)]
    for candidate in candidates:
        if candidate and not Path(candidate).is_relative_to(_root / ".venv"):
            said = subprocess.run([candidate, "version"], capture_output=True, text=True, check=False)
            if said.returncode == 0 and "embedded" not in said.stdout:
                return (candidate,)
    progress("no Pulumi CLI on PATH and none named by PULUMI_CLI: the embedded engine is measured alone")
    return None


def run() -> Iterator[Measurement]:
    """All figures."""
    other = pulumi_cli()
    with tempfile.TemporaryDirectory() as folder:
        for case, things in (("dynamic", 25), ("docker", 20)):
            yield from _case(Path(folder) / case, case, things, other)


def _case(folder: Path, case: str, things: int, other: tuple[str, ...] | None) -> Iterator[Measurement]:
    stacks: dict[str, Stack] = {}
    try:
        for name, command in (("ours", _own), ("other", other)):
            if command:
                progress(f"{case}: {things} things deployed by {command[0] if name == 'other' else 'the engine'}")
                mark = f"berth-bench-{os.getpid()}-{name}" if case == "docker" else ""
                stack = Stack(folder / name, command, things, mark)
                try:
                    stack.up()
                except Failed as error:
                    progress(f"not measured: {error}")
                else:
                    stacks[name] = stack
        if "ours" not in stacks:
            return
        for verb in ("up", "preview"):
            found: dict[str, list[float]] = {name: [] for name in stacks}
            for _ in range(_times):
                for name, stack in stacks.items():
                    found[name].append((stack.up() if verb == "up" else stack.preview())[0])
            medians = {name: statistics.median(durations) for name, durations in found.items()}
            baseline = medians.get("other")
            yield Measurement("engine_noop", f"{verb}-{case}", "seconds", "s", medians["ours"], baseline, baseline)
    finally:
        for stack in stacks.values():
            stack.destroy()
