"""The command line with the engine behind it, on a small program with dynamic providers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from engine.backend import locks
from tests.engine.cli.conftest import Pulumi

program = """
import pulumi
from things import Thing

config = pulumi.Config()
first = config.get_int("first") or 0
thing = Thing("thing", {
    "entries": {str(n): {"owner": f"0x{n}"} for n in range(first, first + 3)},
    "password": config.require_secret("password"),
    "delay": config.get_float("delay") or 0,
})
pulumi.export("made", thing.made)
pulumi.export("password", thing.password)
"""
things = """
import time, uuid
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider, UpdateResult

class Provider(ResourceProvider):
    def create(self, props):
        time.sleep(props["delay"])
        return CreateResult(uuid.uuid4().hex, {**props, "made": "yes"})

    def update(self, id, olds, news):
        return UpdateResult({**news, "made": "again"})

class Thing(Resource, module="small", name="Thing"):
    made: pulumi.Output[str]
    password: pulumi.Output[str]

    def __init__(self, name, props):
        super().__init__(Provider(), name, {"made": None, **props})
"""


@pytest.fixture
def small(pulumi: Pulumi) -> Pulumi:
    pulumi.program(program)
    (pulumi.root / "things.py").write_text(things, encoding="utf-8")
    pulumi.ok("config", "set", "--secret", "password", "hush")
    return pulumi


def test_from_the_first_up_to_the_last_destroy(small: Pulumi) -> None:
    first = small.ok("up", "--yes")
    assert " +  pulumi-python:dynamic/small:Thing thing created (" in first
    assert "+ 2 created" in first
    assert "2 unchanged" in small.ok("up", "--yes")
    assert json.loads(small.ok("stack", "output", "--json")) == {"made": "yes", "password": "[secret]"}

    small.ok("config", "set", "first", "1")
    diff = small.ok("preview", "--diff")
    gone = '          - 0: {\n              - owner: "0x0"\n            }\n'
    come = '          + 3: {\n              + owner: "0x3"\n            }\n'
    assert "      ~ entries: {\n" + gone + come + "        }\n" in diff
    document = json.loads(small.ok("preview", "--json"))
    assert document["changeSummary"] == {"same": 1, "update": 1}
    assert "~ 1 updated" in small.ok("up", "--yes", "--skip-preview", "--refresh")
    assert "2 unchanged" in small.ok("refresh", "--yes")

    assert "- 2 deleted" in small.ok("destroy", "--yes")
    assert "Current stack resources (0)" in small.ok("stack")
    everything = "".join(path.read_text("utf-8") for path in small.root.rglob("*.json"))
    assert "hush" not in everything
    small.ok("stack", "rm", "--yes")


def interrupted(small: Pulumi, presses: int, delay: str) -> tuple[int, str, float]:
    """Exit code, output and seconds of an ``up`` that is interrupted while a resource is being created."""
    small.ok("config", "set", "delay", delay)
    command = [*small.command, "up", "--yes", "--skip-preview"]
    log = Path(small.root / "up.log")
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, env=small.environment, stdout=out, stderr=subprocess.STDOUT)
        for _ in range(600):
            if "Thing thing creating" in log.read_text(encoding="utf-8"):
                break
            time.sleep(0.05)
        time.sleep(0.3)  # the call itself is under way now
        began = time.monotonic()
        for _ in range(presses):
            os.kill(process.pid, signal.SIGINT)
            time.sleep(0.3)
        process.wait(timeout=60)
    return process.returncode, log.read_text(encoding="utf-8"), time.monotonic() - began


def test_ctrl_c_once_waits_for_the_running_step(small: Pulumi) -> None:
    code, text, _ = interrupted(small, 1, "2")
    assert code == 8
    assert "Thing thing created" in text
    assert locks.read(small.root / ".pulumi/locks/organization/small/dev") == []
    assert "2 unchanged" in small.ok("up", "--yes", "--skip-preview")


def test_ctrl_c_twice_stops_at_once_and_records_what_was_under_way(small: Pulumi) -> None:
    code, text, seconds = interrupted(small, 2, "120")
    assert code == 8
    assert seconds < 10
    assert "stopped; what was under way is recorded as pending" in text
    assert locks.read(small.root / ".pulumi/locks/organization/small/dev") == []
    latest = json.loads(small.state.read_text(encoding="utf-8"))["checkpoint"]["latest"]
    assert [pending["type"] for pending in latest["pending_operations"]] == ["creating"]
