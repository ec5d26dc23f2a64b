"""``berth lease`` against the real manager and real containers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from berth.cli.__main__ import app
from berth.leases.client.follow import follow
from berth.leases.client.service import Caller, LeaseService
from tests.integration.leases.world import World, eventually, root

pytestmark = pytest.mark.docker


def berth(world: World, *arguments: str, user: str = "alice") -> Result:
    options = ("--url", f"http://127.0.0.1:{world.port}", "--user", user)
    return CliRunner().invoke(app, ["lease", *arguments, *options], env={"COLUMNS": "300"}, catch_exceptions=False)


def made(world: World, *arguments: str, user: str = "alice") -> Any:
    done = berth(world, *arguments, "--json", user=user)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_lease_from_create_to_rm(world: World) -> None:
    lease = made(world, "create", "talker", "--minutes", "5")
    assert (lease["status"], lease["username"]) == ("running", "alice")
    name = lease["name"]
    listed = berth(world, "ls")
    assert [name, "talker", "running", "5", "min"] == listed.stdout.splitlines()[1].split()[:5]
    assert name not in berth(world, "ls", user="bob").stdout
    assert berth(world, "rm", name, user="bob").exit_code == 1

    assert made(world, "extend", name, "30")["remainingSeconds"] > 30 * 60
    assert made(world, "pause", name)["paused"]
    assert [one.status for one in world.containers(lease["id"])] == ["paused"]
    assert made(world, "resume", name)["status"] == "running"
    assert f"http://{name}.test.localhost" in berth(world, "open", name).stdout

    assert berth(world, "rm", name).stdout == f"{name}\n"
    assert not world.containers(lease["id"])
    assert name not in berth(world, "ls").stdout
    assert "ended" in berth(world, "ls", "--ended").stdout


def test_what_is_refused_ends_with_1_and_why(world: World) -> None:
    unknown = berth(world, "create", "nothing")
    assert (unknown.exit_code, "there is no 'nothing'" in unknown.stderr) == (1, True)
    long = berth(world, "create", "basic", "--minutes", "100000")
    assert (long.exit_code, "out of range" in long.stderr) == (1, True)


def test_the_log_so_far_and_from_a_cursor_on(world: World) -> None:
    name = made(world, "create", "talker")["name"]
    eventually("it has written", lambda: len(berth(world, "logs", name).stdout.splitlines()) >= 3)
    lines = [json.loads(text) for text in berth(world, "logs", name, "--json").stdout.splitlines()]
    assert [line["message"] for line in lines[:3]] == ["line 1", "line 2", "line 3"]
    assert berth(world, "logs", name, "--after", lines[1]["cursor"]).stdout.splitlines()[0] == "line 3"
    berth(world, "rm", name)


def test_a_log_is_followed_to_its_end_over_a_manager_that_dies(world: World) -> None:
    name = made(world, "create", "talker")["name"]
    url = f"http://127.0.0.1:{world.port}"
    with LeaseService(url, Caller("alice")) as service:
        seen: list[str] = []
        told: list[str] = []
        for record in follow(service, service.find(name)["id"], told=told.append):
            seen.append(record["message"])
            if len(seen) == 5:
                world.stop()
                world.start()
            if len(seen) == 15:
                service.remove(service.find(name)["id"])
    numbered = [int(text.removeprefix("line ")) for text in seen if text.startswith("line ")]
    assert numbered == list(range(1, numbered[-1] + 1))
    assert told
    assert numbered[-1] >= 15


def test_following_can_be_interrupted_and_says_where_to_go_on(world: World) -> None:
    name = made(world, "create", "talker")["name"]
    command = [Path(sys.executable).parent / "berth", "lease", "logs", name, "--follow", "--user", "alice"]
    process = subprocess.Popen(
        [*command, "--url", f"http://127.0.0.1:{world.port}"],
        cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "line 1\n"
    time.sleep(0.5)
    process.send_signal(2)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "--after " in said
    berth(world, "rm", name)
