"""Small stacks of our own components, deployed in a folder of their own by the engine that set-up chose."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

_root: Final = Path(__file__).resolve().parent.parent
_stack: Final = "bench"

source: Final = '''\
"""Contracts, and as the configuration says: the access list, and nodes that are asked to reach it."""

import pulumi

from components.access import AccessControl, AccessControlArgs
from components.contracts import Contracts, ContractsArgs
from components.settings import load
from providers.node_peers import NodePeers

settings, config = load(), pulumi.Config("bench")
contracts = Contracts("contracts", ContractsArgs(settings.chain, settings.access))
if config.get_bool("list"):
    access = AccessControl("access", AccessControlArgs(settings.chain, settings.access, contracts.key_registry))
    for number in range(config.get_int("nodes") or 0):
        NodePeers(
            f"peers-{number}",
            node=f"node-{number}",
            container=f"container-{number}",
            control_url=config.require("control"),
            token="not a secret here",
            digest=access.digest,
            block=access.block,
        )
pulumi.export("accessPass", contracts.access_pass.address)
pulumi.export("keyRegistry", contracts.key_registry.address)
pulumi.export("nodeRegistry", contracts.node_registry.address)
'''


class ProgramFailed(Exception):
    """The engine failed; the message holds what it printed."""


class Program:
    """One stack in ``folder``, and the same program whatever the configuration says; ``pin`` as ``make`` gives it."""

    def __init__(self, folder: Path, rpc_url: str, pin: Path | None = None) -> None:
        self._folder, self._pin = folder, pin
        folder.mkdir(parents=True)
        (folder / "__main__.py").write_text(source)
        project = {
            "name": "berth",
            "runtime": {"name": "python", "options": {"toolchain": "pip", "virtualenv": sys.prefix}},
            "backend": {"url": "file://."},
        }
        (folder / "Pulumi.yaml").write_text(json.dumps(project))  # JSON is YAML
        self.configure({"berth:chain": {"rpcUrl": rpc_url}})
        self._run("stack", "init", _stack)

    def configure(self, config: dict[str, Any]) -> None:
        """Replaces the configuration, but for what the engine keeps in the same file."""
        path = self._folder / f"Pulumi.{_stack}.yaml"
        kept = [line for line in path.read_text().splitlines() if "salt" in line] if path.exists() else []
        path.write_text("\n".join([f"config: {json.dumps(config)}", *kept, ""]))

    def up(self) -> None:
        """Deploys it."""
        self._run("up", "--yes", "--skip-preview", "--stack", _stack)

    def preview(self) -> str:
        """What ``pulumi preview --diff`` prints."""
        return self._run("preview", "--diff", "--stack", _stack)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs."""
        found: dict[str, Any] = json.loads(self._run("stack", "output", "--json", "--stack", _stack))
        return found

    def refresh(self) -> None:
        """Reads what is there into the state."""
        self._run("refresh", "--yes", "--skip-preview", "--stack", _stack)

    def state(self) -> str:
        """The stack's state file."""
        return (self._folder / ".pulumi" / "stacks" / "berth" / f"{_stack}.json").read_text()

    def resources(self) -> list[dict[str, Any]]:
        """The resources in the state."""
        found: list[dict[str, Any]] = json.loads(self.state())["checkpoint"]["latest"]["resources"]
        return found

    def entries(self) -> dict[str, Any]:
        """The access list in the state, by token."""
        found = [one for one in self.resources() if one["type"].endswith(":AccessList")]
        return dict(found[0]["outputs"].get("entries") or {})

    def _run(self, *arguments: str) -> str:
        found = shutil.which("pulumi")
        command = [found] if found else [sys.executable, "-m", "engine"]
        environment = {
            **os.environ,
            "PYTHONPATH": str(_root),
            "PULUMI_CONFIG_PASSPHRASE": "bench",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        environment.pop("BERTH_PIN_FILE", None)
        if self._pin is not None:
            environment["BERTH_PIN_FILE"] = str(self._pin)
        done = subprocess.run(
            [*command, *arguments, "--non-interactive"],
            cwd=self._folder,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise ProgramFailed(f"`{' '.join(arguments)}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout
