"""Real nodes that follow a real chain with many passes, in containers of their own: for benchmarks of following."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Any, Final, Self, cast

import docker
import httpx

from bench.wireguard_lab import InContainer, labels, root
from berth.chain import abi
from berth.chain.anvil import Anvil, chain_id
from berth.chain.endpoint import Endpoint, Header
from berth.chain.heads import Heads, websocket_url
from berth.chain.seed import Contracts, deploy, holder_of, seed

_healthy_within: Final = 120.0  # seconds
# Seeding puts hundreds of registrations into one block.
_spare_gas: Final = ("--gas-limit", "1000000000")


class Chain:
    """An Anvil on the network's own address, with our contracts; passes are seeded as wanted."""

    def __init__(self, network: str, gateway: str) -> None:
        self.network = network
        self._anvil = Anvil("--host", f"127.0.0.1,{gateway}", *_spare_gas)
        self._gateway = gateway
        self.passes = 0

    def __enter__(self) -> Self:
        self._anvil.__enter__()
        self.endpoint: Endpoint = self._anvil.endpoint()
        self.contracts: Contracts = deploy(self.endpoint)
        self._news: dict[str, float] = {}
        self._heads = Heads(self.endpoint, websocket_url(self._anvil.url), self._hear, poll=3600, watch=3600)
        self._heads.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._heads.stop()
        self._anvil.stop()

    def _hear(self, _: Endpoint, __: Header, received: float) -> None:
        self._news.setdefault("head", received)

    @property
    def url(self) -> str:
        """As containers reach it."""
        return f"http://{self._gateway}:{self._anvil.port}"

    def grow(self, size: int) -> None:
        """So many passes in all, each with a key."""
        seed(self.endpoint, self.contracts, range(self.passes + 1, size + 1))
        self.passes = size

    def by_hand(self) -> None:
        """From now on blocks are made by :meth:`mine` alone, and anybody's transactions are taken."""
        self.endpoint.request("anvil_autoImpersonateAccount", True)
        self.endpoint.request("evm_setAutomine", False)

    def submit_key(self, token: int, key: str) -> None:
        """The holder registers another key, in the next block."""
        data = abi.encode_call("register(uint256,bytes32)", token, int.from_bytes(b64decode(key), "big"))
        call = {"from": holder_of(token), "to": self.contracts.key_registry, "gas": hex(400_000), "gasPrice": "0x0"}
        self.endpoint.request("anvil_setNextBlockBaseFeePerGas", "0x0")
        self.endpoint.request("eth_sendTransaction", {**call, "data": "0x" + data.hex()})

    def mine(self) -> float:
        """Make a block; the moment at which it was there, by ``perf_counter``, which all processes here share.

        That is the answer to the request or the news of the head, whichever comes first.  The request itself is not
        counted: Anvil hashes its whole state for each block, 0.1 s and more over 10,000 passes.
        """
        self._news.clear()
        self.endpoint.request("evm_mine")
        return min(time.perf_counter(), self._news.get("head", float("inf")))


class Node(InContainer):
    """One node that follows; a context manager that removes it."""

    def __init__(self, image: str, network: str, chain: Chain, name: str, **variables: str) -> None:
        self._image, self._network, self._chain, self.name = image, network, chain, name
        self._variables = variables
        super().__init__()
        self.token = secrets.token_hex(32)

    def __enter__(self) -> Self:
        environment = {
            "NODE_ID": self.name,
            "NETWORK": "local",
            "CHAIN_ID": str(chain_id),
            "RPC_URLS": self._chain.url,
            "KEY_REGISTRY": self._chain.contracts.key_registry,
            "CONTROL_TOKEN": self.token,
            "LOG_LEVEL": "warning",
            # Benchmarks give half of all passes new keys within a minute, which would wait for a person.
            "BREAKER_SHARE": "100",
            **self._variables,
        }
        self.started = time.perf_counter()
        self._container = self._daemon.containers.run(
            self._image,
            name=f"berth-bench-{secrets.token_hex(3)}-{self.name}",
            labels=labels,
            network=self._network,
            environment=environment,
            user="0:0",
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN"],
            devices=["/dev/net/tun:/dev/net/tun:rwm"],
            read_only=True,
            tmpfs={"/run/wireguard": "mode=700", "/tmp": ""},
            sysctls={"net.ipv4.ip_forward": "1"},
            volumes={str(root): {"bind": "/src", "mode": "ro"}},
            ports={"8080/tcp": ("127.0.0.1", None)},
            mem_limit="3g",
            detach=True,
        )
        return self

    @property
    def url(self) -> str:
        """Its HTTP, from here."""
        self.container.reload()
        return f"http://127.0.0.1:{self.container.ports['8080/tcp'][0]['HostPort']}"

    def await_ready(self) -> float:
        """Seconds from the container's creation until the node is healthy, and so has the list."""
        deadline = time.perf_counter() + _healthy_within
        while time.perf_counter() < deadline:
            try:
                answer = httpx.get(f"{self.url}/health", timeout=5)
                if answer.status_code == 200:
                    return time.perf_counter() - self.started
            except (httpx.HTTPError, KeyError, IndexError, TypeError):
                self.container.reload()
                if self.container.status == "exited":
                    break
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} did not become healthy: {self.container.logs().decode()[-2000:]}")

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.url}/stats", timeout=30).json()
        return found

    def run(self, script: str) -> str:
        """What a shell script prints; RuntimeError where it fails."""
        status, output = self.container.exec_run(["sh", "-c", script])
        if status:
            raise RuntimeError(f"{self.name}: `{script}` ended with {status}: {output.decode()}")
        text: str = output.decode()
        return text

    def memory(self) -> tuple[float, float]:
        """MiB that the agent has in memory now, and had at most."""
        of_agent = "tr '\\0' ' ' < $p/cmdline | grep -q 'berth.vpn $'"
        lines = self.run(f"for p in /proc/[0-9]*; do {of_agent} && cat $p/status; done; true").splitlines()
        sizes = [line.split() for line in lines if line.startswith(("VmRSS", "VmHWM"))]
        found = {name.rstrip(":"): int(kilobytes) / 1024 for name, kilobytes, _ in sizes}
        return found["VmRSS"], found["VmHWM"]

    def watch(self) -> Watcher:
        """Somebody inside who says when a key is a peer."""
        return Watcher(self.container.id or "")


class Watcher:
    """A process in a node's container that asks WireGuard for one key until it is there; a context manager."""

    def __init__(self, container: str) -> None:
        command = ["docker", "exec", "-i", "-w", "/src", "-e", "PYTHONPATH=/src", container]
        self._process = subprocess.Popen(
            [*command, "python", "-m", "bench.mine_to_peer_inside"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        assert self._read() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        cast(IO[str], self._process.stdin).close()
        self._process.wait(10)

    def expect(self, key: str) -> None:
        """Begin to look for ``key``."""
        stdin = cast(IO[str], self._process.stdin)
        stdin.write(key + "\n")
        stdin.flush()

    def seen(self) -> float:
        """When it was there, by ``perf_counter``; RuntimeError where it did not come."""
        answer = self._read()
        if not answer or answer == "none":
            raise RuntimeError("a key did not become a peer in time")
        return float(json.loads(answer))

    def _read(self) -> str:
        return cast(IO[str], self._process.stdout).readline().strip()


@contextmanager
def world(names: Sequence[str], size: int, image: str) -> Iterator[tuple[Chain, list[Node]]]:
    """A chain with ``size`` passes, and nodes that have them all."""
    daemon = docker.from_env()
    network = daemon.networks.create(f"berth-bench-{secrets.token_hex(3)}", labels=labels)
    try:
        network.reload()
        gateway = network.attrs["IPAM"]["Config"][0]["Gateway"]
        with ExitStack() as stack:
            chain = stack.enter_context(Chain(network.name, gateway))
            chain.grow(size)
            made = [stack.enter_context(Node(image, network.name, chain, name)) for name in names]
            for node in made:
                node.await_ready()
            yield chain, made
    finally:
        network.remove()
        daemon.close()
