"""The real service in a process of its own, on a real chain with our contracts."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from berth.access.client.service import AccessService
from berth.access.client.wallet import Wallet
from berth.chain import anvil, dev, seed
from berth.chain.anvil import Anvil, accounts_key
from berth.chain.artifacts import Artifact, folder
from berth.chain.create2 import deploy, init_code
from berth.chain.endpoint import Endpoint
from berth.chain.key_registry import KeyRegistry
from berth.chain.node_registry import NodeRegistry
from berth.chain.transactions import Sender
from tests.stand_in import Answer, Asked, StandIn

root = Path(__file__).resolve().parents[3]
starts_within = 60.0  # seconds


class NodeHttp(StandIn):
    """What a node answers on its HTTP port, by hand: these tests are about who asks, not about nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.stats: dict[str, Any] = {}
        self.status = 200

    def answer(self, asked: Asked) -> Answer:
        return self.status, self.stats if asked.path == "/stats" else {}


@dataclass
class Service:
    """``python -m berth.access.api`` with these variables."""

    variables: dict[str, str]
    port: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Service:
        environment = {"PATH": os.environ["PATH"], "PORT": str(self.port), "PUBLIC_URL": self.url, **self.variables}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "berth.access.api"], cwd=root, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        deadline = time.monotonic() + starts_within
        while True:
            try:
                httpx.get(f"{self.url}/health")
            except httpx.TransportError:
                assert self._process.poll() is None, self.log
                assert time.monotonic() < deadline, self.log
                time.sleep(0.05)
            else:
                return self

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(15)
        self._reader.join(5)
        return status

    def refusals(self, reason: str) -> float:
        """How often the service counted a refusal."""
        text = httpx.get(f"{self.url}/metrics").text
        wanted = f'berth_access_refusals_total{{reason="{reason}"}} '
        return sum(float(line.removeprefix(wanted)) for line in text.splitlines() if line.startswith(wanted))

    def logged(self, event: str, **members: Any) -> list[dict[str, Any]]:
        return [line for line in self.log if line.get("event") == event and members.items() <= line.items()]

    def _read(self, stream: Any) -> None:
        for line in stream:
            try:
                self.log.append(json.loads(line))
            except ValueError:
                self.log.append({"text": line})


@dataclass(frozen=True)
class World:
    """The chain, the contracts, and who is who."""

    endpoint: Endpoint
    contracts: seed.Contracts
    relay: dev.Wallet
    node: NodeHttp
    session_key: str

    @property
    def registry(self) -> KeyRegistry:
        return KeyRegistry(self.endpoint, self.contracts.key_registry)

    @property
    def operator(self) -> Sender:
        return Sender(self.endpoint, accounts_key)

    def variables(self, **changes: str) -> dict[str, str]:
        return {
            "CHAIN_ID": str(self.endpoint.chain_id),
            "RPC_URLS": self.endpoint.url,
            "KEY_REGISTRY": self.contracts.key_registry,
            "NODE_REGISTRY": self.contracts.node_registry,
            "RELAY_PRIVATE_KEY": self.relay.key,
            "SESSION_KEY": self.session_key,
            "TUNNEL_SUBNET6": "fd77::/64",
            "NODES": json.dumps([{"id": "node-1", "url": self.node.url}]),
            "RELAY_PER_MINUTE": "1000",
            "RELAY_TOTAL_PER_MINUTE": "1000",
            "REQUESTS_PER_MINUTE": "100000",
            "SIGN_INS_PER_MINUTE": "100000",
            **changes,
        }

    def lease_variables(self) -> dict[str, str]:
        """What the manager of leases needs where passes say who may lease."""
        return {
            "LEASE_ACCESS": "pass",
            "ACCESS_SESSION_KEY": self.session_key,
            "CHAIN_ID": str(self.endpoint.chain_id),
            "RPC_URLS": self.endpoint.url,
            "KEY_REGISTRY": self.contracts.key_registry,
        }

    def wallet(self) -> Wallet:
        """A fresh account without funds."""
        fresh = dev.Wallet.fresh()
        return Wallet(fresh.key, fresh.address)

    def member(self, expires: int = 0) -> tuple[Wallet, int]:
        """A fresh account with a pass."""
        wallet = self.wallet()
        return wallet, dev.mint(self.endpoint, self.contracts.access_pass, accounts_key, wallet.address, expires)

    def lend(self, owner: Wallet, token: int, to: str, until: int) -> None:
        """ERC-4907: until then the pass counts for ``to``, or for its owner again where that is the zero address."""
        dev.fund(self.endpoint, owner.address)
        Sender(self.endpoint, owner.key).send("AccessPass", self.contracts.access_pass, "setUser", token, to, until)

    def smart_wallet(self, signer: str) -> str:
        """The address of a deployed wallet contract with that signer."""
        return self.deployed(for_tests("SmartWallet"), signer=signer)

    def deployed(self, artifact: Artifact, **arguments: Any) -> str:
        """The address of a contract, which is deployed if it is not there."""
        return deploy(self.endpoint, self.operator, artifact, init_code(artifact, arguments)).address

    def signed_in(self, service: Service, wallet: Wallet) -> AccessService:
        """A client with a session; close it."""
        client = AccessService(service.url)
        client.sign_in(wallet)
        return client


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    if not anvil.binary.exists():
        pytest.fail("Anvil is not installed: `make setup` installs it")
    node = NodeHttp()
    with Anvil() as chain:
        endpoint = chain.endpoint()
        contracts = seed.deploy(endpoint, delegates=True, quarantine=0)
        relay, account = dev.Wallet.fresh(), dev.Wallet.fresh()
        for address in (relay.address, account.address):
            dev.fund(endpoint, address)
        made = World(endpoint, contracts, relay, node, secrets.token_hex(32))
        key = dev.fresh_public_key()
        nodes = NodeRegistry(endpoint, contracts.node_registry)
        nodes.allow(made.operator, "node-1", account.address)
        bridges = ("vpn.example:51840", "vpn.example:443")
        nodes.announce(Sender(endpoint, account.key), "node-1", key, "vpn.example:51820", "here", bridges)
        node.stats = {
            "interfacePublicKey": key,
            "wireguard": "kernel",
            "peers": {"total": 0, "connected": 0},
            "peerList": [],
        }
        yield made
    node.close()


def for_tests(name: str) -> Artifact:
    """A compiled contract that is for tests alone."""
    raw = json.loads((folder / "test" / f"{name}.json").read_text())
    return Artifact(name, raw["abi"], bytes.fromhex(raw["bytecode"].removeprefix("0x")))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def service(world: World) -> Iterator[Service]:
    running = Service(world.variables(), free_port()).start()
    yield running
    running.stop()
