"""One real deployment, stack ``e2e``, for all of these tests: the program, the engine, Docker, Anvil, WireGuard.

It stands beside a ``dev`` stack that the same checkout may have up: other ports, other networks, own volumes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
import yaml

from berth.chain.dev import Wallet, fresh_public_key, fund
from berth.chain.transactions import Sender
from demo.deployment import Deployment
from providers.settings import anvil_key

root = Path(__file__).resolve().parents[2]
stack = "e2e"


@dataclass(frozen=True)
class Run:
    """What a command did: ``text`` is standard output and standard error together, as a person sees them."""

    status: int
    text: str


@dataclass(frozen=True)
class Pulumi:
    """The engine that set-up chose, on one stack.  ``env`` is laid over this process's environment."""

    stack: str = stack

    def __call__(self, *arguments: str, env: Mapping[str, str] | None = None, seconds: float = 420) -> Run:
        done = subprocess.run(
            [root / ".venv/bin/pulumi", *arguments, "--stack", self.stack, "--non-interactive"],
            cwd=root,
            env={**os.environ, **passphrase(), **(env or {})},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
        return Run(done.returncode, done.stdout)

    def up(self, *arguments: str, **options: Any) -> Run:
        return self("up", "--yes", "--skip-preview", *arguments, **options)

    def expect(self, *arguments: str, **options: Any) -> str:
        """Runs a command that has to succeed and returns what it printed."""
        run = self(*arguments, **options)
        assert run.status == 0, run.text
        return run.text

    def outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = json.loads(self.expect("stack", "output", "--json", "--show-secrets"))
        return outputs

    def checkpoint(self) -> bytes:
        """The state as it is on disk, byte for byte."""
        return (root / f".pulumi/stacks/berth/{self.stack}.json").read_bytes()


def passphrase() -> dict[str, str]:
    """The environment that ``make`` gives: a passphrase of the user's own, else the file that set-up made."""
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ or "PULUMI_CONFIG_PASSPHRASE_FILE" in os.environ:
        return {}
    return {"PULUMI_CONFIG_PASSPHRASE_FILE": str(root / ".berth/passphrase")}


def remove_containers(name: str) -> None:
    """Containers of that stack, by label: an interrupted run leaves some."""
    client = docker.from_env()
    for container in client.containers.list(all=True, filters={"label": f"berth.stack={name}"}):
        container.remove(force=True, v=True)
    for network in client.networks.list(filters={"label": f"berth.stack={name}"}):
        network.remove()
    for volume in client.volumes.list(filters={"label": f"berth.stack={name}"}):
        volume.remove(force=True)
    client.close()


@pytest.fixture(scope="session")
def pulumi() -> Iterator[Pulumi]:
    """The stack, brought up from nothing; taken down at the end, whatever the tests did."""
    engine = Pulumi()
    remove_containers(f"berth/{stack}")
    engine("stack", "rm", "--yes", "--force")  # there is one after an interrupted run only
    shutil.copy(Path(__file__).with_name(f"Pulumi.{stack}.yaml"), root / "stacks")
    engine.expect("stack", "init", stack)
    up = engine.up(seconds=900)
    assert up.status == 0, up.text
    yield engine
    engine("cancel", "--yes")
    down = engine("destroy", "--yes", "--skip-preview")
    remove_containers(f"berth/{stack}")
    engine("stack", "rm", "--yes", "--force")
    (root / f"stacks/Pulumi.{stack}.yaml").unlink(missing_ok=True)
    assert down.status == 0, down.text


@dataclass(frozen=True)
class Node:
    """A WireGuard node's control API, from this host."""

    url: str
    token: str

    def state(self) -> dict[str, Any]:
        answer = httpx.get(f"{self.url}/control/state", headers={"Authorization": f"Bearer {self.token}"}, timeout=10)
        answer.raise_for_status()
        state: dict[str, Any] = answer.json()
        return state


@pytest.fixture
def node(pulumi: Pulumi) -> Node:
    """The first node's control API."""
    first = Deployment(pulumi.outputs()).node
    return Node(first["controlUrl"], first["controlToken"])


@dataclass(frozen=True)
class Holder:
    """A funded wallet with a pass and a key that no client uses."""

    sender: Sender
    token: int
    key: str


@pytest.fixture
def two_passes(pulumi: Pulumi, node: Node) -> list[Holder]:
    """Two new passes with registered keys, applied to the node."""
    deployment = Deployment(pulumi.outputs())
    operator = Sender(deployment.endpoint, anvil_key)
    holders = []
    for _ in range(2):
        wallet = Wallet.fresh()
        fund(deployment.endpoint, wallet.address)
        sender = Sender(deployment.endpoint, wallet.key)
        token = deployment.passes.mint(operator, wallet.address)
        key = fresh_public_key()
        deployment.registry.register(sender, token, key)
        holders.append(Holder(sender, token, key))
    pulumi.expect("up", "--yes", "--skip-preview")
    return holders


@pytest.fixture
def settings() -> Iterator[Callable[..., None]]:
    """Changes settings of the stack, ``change(chain={"chainId": 1})``, and puts them back at the end."""
    file = root / "stacks/Pulumi.e2e.yaml"
    before = file.read_bytes()

    def change(**sections: Any) -> None:
        document = yaml.safe_load(before)
        for section, values in sections.items():
            known = document["config"].get(f"berth:{section}")
            merged = {**known, **values} if isinstance(known, dict) and isinstance(values, dict) else values
            document["config"][f"berth:{section}"] = merged
        file.write_text(yaml.safe_dump(document))

    yield change
    file.write_bytes(before)
