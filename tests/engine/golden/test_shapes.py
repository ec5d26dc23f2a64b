"""What our Docker provider checks and leaves in a state equals what the real one did, value by value."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from engine.docker import DockerProvider
from engine.provider import Call
from tests.engine.docker.world import World
from tests.engine.golden.conftest import STATES, copy_program, given, resources


@pytest.mark.parametrize("state", ["created", "updated"])  # a refresh writes sets in another order
def test_inputs_are_checked_as_by_the_real_one(state: str, tmp_path: Path) -> None:
    copy_program(tmp_path)
    provider = DockerProvider(tmp_path)
    for resource in resources(state):
        checked = provider.check(Call(resource["urn"], inputs=resource["inputs"], news=given(resource["inputs"])))
        assert checked.failures == []
        assert checked.inputs == resource["inputs"], resource["urn"]


@pytest.mark.parametrize("state", STATES)
def test_nothing_differs(state: str, tmp_path: Path) -> None:
    copy_program(tmp_path)
    provider = DockerProvider(tmp_path)
    for resource in resources(state):
        urn, inputs = resource["urn"], resource["inputs"]
        checked = provider.check(Call(urn, inputs=inputs, news=given(inputs))).inputs
        diff = provider.diff(Call(urn, resource["id"], inputs, resource["outputs"], checked))
        assert (diff.changes, diff.replaces) == (False, []), urn


@pytest.mark.docker
def test_the_same_is_left_in_the_state(world: World, tmp_path: Path) -> None:
    """Every resource of the recorded stack made on this daemon, by our provider."""
    copy_program(tmp_path)
    ports = dict(zip(("27231", "27232", "27233"), free_ports(3), strict=True))
    actual = {"golden-one": world.prefix, **ports}  # what was recorded -> what it is here
    for resource in resources("created"):
        made = world.create(resource["type"], translated(given(resource["inputs"]), actual))
        for recorded, here in zip(ids(resource), ids({"id": made.id, "outputs": made.outputs}), strict=True):
            actual |= {recorded: here, recorded[:12]: here[:12]}
        expected = masked(translated(resource["outputs"], actual))
        assert masked(made.outputs) == expected, resource["urn"]
        read = world.read(made)
        assert read.inputs == made.inputs, "and reading it again finds no change"


def ids(resource: dict[str, Any]) -> list[str]:
    """What names the object on the daemon: by it others refer to this one."""
    outputs = resource["outputs"]
    found = [resource["id"], outputs.get("imageId"), outputs.get("repoDigest")]
    return [id for value in found if isinstance(value, str) for id in re.findall("[0-9a-f]{64}", value)]


def translated(value: Any, names: dict[str, str]) -> Any:
    text = json.dumps(value)
    for recorded, here in names.items():
        text = text.replace(recorded, here)
    return json.loads(text)


def masked(outputs: dict[str, Any]) -> dict[str, Any]:
    """Without what a daemon hands out as it likes, and with what is a set in one order."""
    result = {name: in_order(value) for name, value in outputs.items()}
    for network in result.get("networkDatas") or []:
        for name, value in network.items():
            if name != "networkName":
                network[name] = type(value).__name__
    if result.get("networkDatas"):  # the real provider's order is chance
        result["networkDatas"] = sorted(result["networkDatas"], key=lambda network: network["networkName"])
    if outputs.get("internal"):  # the network whose addresses nobody chose
        result["ipamConfigs"] = [sorted(config) for config in outputs["ipamConfigs"]]
    return result


def in_order(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sorted(value, key=lambda item: json.dumps(item, sort_keys=True))
    return value


def free_ports(count: int) -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(opened.getsockname()[1]) for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports
