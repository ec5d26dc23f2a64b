"""The ``berth`` command on the real deployment, from a folder of its own: as a holder, and as an operator."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from berth.access.client.device import private_in
from berth.access.possession import public_of
from berth.chain import dev
from berth.chain.transactions import Sender
from demo.deployment import Deployment
from providers.settings import anvil_key
from tests.e2e.conftest import Pulumi, passphrase, root

pytestmark = [pytest.mark.docker, pytest.mark.chain]


@dataclass(frozen=True)
class Command:
    """``berth``, called in ``folder``."""

    folder: Path
    stack: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [root / ".venv/bin/berth", *arguments],
            cwd=self.folder,
            env={**os.environ, **passphrase(), "STACK": self.stack},
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )

    def told(self, *arguments: str) -> dict[str, Any]:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told


@pytest.fixture
def command(pulumi: Pulumi, tmp_path: Path) -> Command:
    return Command(tmp_path, pulumi.stack)


def test_a_holder_connects_moves_and_leaves(pulumi: Pulumi, command: Command) -> None:
    deployment = Deployment(pulumi.outputs())
    wallet = dev.Wallet.fresh()
    token = str(deployment.passes.mint(Sender(deployment.endpoint, anvil_key), wallet.address))
    key_file = command.folder / "wallet"
    key_file.write_text(wallet.key)
    key_file.chmod(0o600)
    holder = ("connect", "--key-file", str(key_file))

    made = command.told(*holder)
    assert (made["token"], made["active"]) == (token, True), "the nodes follow the chain"
    assert made["milliseconds"] > 0, "the nodes' pings were measured through the gateway"
    file = command.folder / "berth.conf"
    assert public_of(private_in(file)) == made["key"]
    assert deployment.nodes[made["node"]]["publicKey"] in file.read_text()

    other = next(name for name in deployment.nodes if name != made["node"])
    moved = command.told(*holder, "--move", "--node", other)
    assert (moved["key"], moved["address"], moved["transaction"]) == (made["key"], made["address"], None)
    assert deployment.nodes[other]["publicKey"] in file.read_text()

    listed = command.told(*holder, "--list")
    assert [device["status"] for device in listed["devices"]] == ["active"]
    assert {node["id"]: node["healthy"] for node in listed["nodes"]} == dict.fromkeys(deployment.nodes, True)
    command.told(*holder, "--revoke", token)
    assert command.told(*holder, "--list")["devices"] == []


def test_an_operator_sees_every_node_and_verifies_what_they_applied(pulumi: Pulumi, command: Command) -> None:
    deployment = Deployment(pulumi.outputs())
    status = command.told("access", "status")
    assert set(status["nodes"]) == set(deployment.nodes)
    assert len({one["applied"]["digest"] for one in status["nodes"].values()}) == 1
    shown = command.run("access", "status")
    assert shown.returncode == 0, shown.stderr
    for secret in (one["controlToken"] for one in deployment.nodes.values()):
        assert secret not in shown.stdout + shown.stderr
    receipts = command.told("access", "verify", "--limit", "3")["receipts"]
    assert {one["node"] for one in receipts} == set(deployment.nodes)
    assert all(one["result"].startswith("true") for one in receipts), receipts
    # Offline, against the list of that block as it was written down.
    newest = receipts[0]
    listed = command.folder / "list.json"
    listed.write_text(command.run("access", "list", "--block", str(newest["block"]), "--json").stdout)
    (offline,) = command.told("access", "verify", newest["node"], "--limit", "1", "--list", str(listed))["receipts"]
    assert offline["result"].startswith("true")
    assert command.run("access", "approve", "--yes").stdout == "nothing waits\n"
