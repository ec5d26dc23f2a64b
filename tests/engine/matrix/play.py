"""Plays a scenario with any ``pulumi``, and tells what it did in a form in which two engines can be compared."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from itertools import cycle
from pathlib import Path
from typing import Any

from tests.engine.matrix.scenarios import Run, volume

programs = Path(__file__).with_name("programs")
_signature, _secret = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
_generated = re.compile(r"\b([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64})\b")
_incidental = {"created", "modified", "sourcePosition", "stackTrace"}


def play(name: str, runs: list[Run], commands: list[list[str]], root: Path) -> list[dict[str, Any]]:
    """What came of each run: exit code, steps and counts of each phase (preview, update), provider calls, state.

    Several ``commands`` take turns: the next run is of the next one.
    """
    (root / "world").mkdir(parents=True)
    shutil.copy(programs / "things.py", root)
    shutil.copy(programs / f"{name}.py", root / "__main__.py")
    runtime = {"name": "python", "options": {"virtualenv": sys.prefix}}
    (root / "Pulumi.yaml").write_text(json.dumps({"name": "matrix", "runtime": runtime}), encoding="utf-8")
    environment = {
        **os.environ,
        "PULUMI_BACKEND_URL": f"file://{root}",
        "PULUMI_CONFIG_PASSPHRASE": "pass",
        "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true",  # a preview's events, as of every other operation
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MATRIX_MARK": f"{volume}-{uuid.uuid4().hex[:6]}",  # others may be playing the same on this daemon
    }
    for stack in sorted({run.stack for run in runs}):
        subprocess.run(
            [*commands[0], "stack", "init", stack], cwd=root, env=environment, check=True, capture_output=True
        )
    return [_play(run, command, root, environment) for run, command in zip(runs, cycle(commands), strict=False)]


def _play(run: Run, command: list[str], root: Path, environment: dict[str, str]) -> dict[str, Any]:
    for line in run.before:
        line = line.replace(volume, environment["MATRIX_MARK"])
        subprocess.run(shlex.split(line), check=True, capture_output=True)
    for id, thing in run.world.items():
        if thing is None:
            (root / "world" / id).unlink()
        else:
            (root / "world" / id).write_text(json.dumps(thing), encoding="utf-8")
    calls = root / "calls.log"
    calls.write_text("", encoding="utf-8")
    arguments = [*shlex.split(run.command), "--json", "--non-interactive", "--stack", run.stack]
    env = {**environment, "MATRIX_VERSION": str(run.version)}
    done = subprocess.run([*command, *arguments], cwd=root, env=env, capture_output=True, text=True, timeout=100)
    missing = [word for word in run.says if word not in done.stdout + done.stderr]
    assert not missing, (
        f"`pulumi {run.command}` (version {run.version}) does not say {missing}:\n{done.stdout}{done.stderr}"
    )
    phases = _phases(done.stdout, done.stderr, run.command.startswith("refresh"))
    if done.returncode not in (0, 7):
        for phase in phases:  # how far what stays the same got before the failure is chance
            phase["steps"] = [step for step in phase["steps"] if not step.startswith("same ")]
            phase["changes"].pop("same", None)
    return {
        "command": run.command,
        "version": run.version,
        "exit": done.returncode,
        "phases": phases,
        # Things that have nothing to do with each other are worked on in any order.
        "calls": sorted(calls.read_text(encoding="utf-8").splitlines(), key=lambda line: line.partition(":")[0]),
        "state": _state(root / ".pulumi/stacks/matrix" / f"{run.stack}.json", environment["MATRIX_MARK"]),
    }


def _phases(text: str, errors: str, only_refresh: bool) -> list[dict[str, Any]]:
    """Steps as ``<operation> <URN>`` (a refresh with what came of it), in order for each URN."""
    phases: list[dict[str, Any]] = []
    steps: list[str] = []
    refreshing: set[str] = set()
    for line in text.split("\n"):  # there are other characters that Python takes for the end of a line
        if not line.startswith("{"):
            continue
        event = json.loads(line)
        if "resourcePreEvent" in event:
            metadata = event["resourcePreEvent"]["metadata"]
            if metadata["op"] == "refresh":
                refreshing.add(metadata["urn"])
            else:
                steps.append(f"{metadata['op']} {metadata['urn']}")
        elif "resOutputsEvent" in event:
            metadata = event["resOutputsEvent"]["metadata"]
            if metadata["urn"] in refreshing:
                refreshing.remove(metadata["urn"])
                verb = f"refresh-{metadata['op']}" if only_refresh else "refresh"
                steps.append(f"{verb} {metadata['urn']}")
        elif "resOpFailedEvent" in event:
            metadata = event["resOpFailedEvent"]["metadata"]
            steps.append(f"failed {metadata['urn']}")
        elif "summaryEvent" in event:
            summary = event["summaryEvent"]
            steps.sort(key=lambda step: step.split(" ")[1])
            phases.append({"preview": summary["isPreview"], "steps": steps, "changes": summary["resourceChanges"]})
            steps = []
    assert not steps, f"an operation without a summary:\n{text}{errors}"
    return phases


def _state(path: Path, mark: str) -> dict[str, Any]:
    deployment = json.loads(path.read_text(encoding="utf-8").replace(mark, volume))["checkpoint"].get("latest") or {}
    resources = [_normal(resource) for resource in deployment.get("resources") or []]
    pending = [f"{p['type']} {p['resource']['urn']}" for p in deployment.get("pending_operations") or []]
    return {
        "resources": sorted(resources, key=lambda resource: (resource["urn"], resource.get("id", ""))),
        "pending": sorted(pending),
    }


def _normal(value: Any) -> Any:
    """Without times and places, generated ids and secrets replaced by marks."""
    if isinstance(value, dict):
        if value.get(_signature) == _secret:
            return "[secret]"
        # The SDK sends dependencies in no order that would mean anything.
        ordered = {**value, "dependencies": sorted(value["dependencies"])} if "dependencies" in value else value
        items = {key: _normal(item) for key, item in ordered.items() if key not in _incidental}
        return items | ({"mountpoint": "[place]"} if "mountpoint" in items else {})
    if isinstance(value, list):
        return [_normal(item) for item in value]
    return _generated.sub("[generated]", value) if isinstance(value, str) else value
