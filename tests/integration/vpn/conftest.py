"""Real nodes from the real image, on networks of their own, with a real chain: as the stack runs them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

import docker
import httpx
import pytest
from docker.errors import APIError
from docker.models.containers import Container
from docker.models.networks import Network

from bench.upload import upload
from berth.access.model import AccessList
from berth.access.read import read_access_list
from berth.access.tunnel import node_address
from berth.chain.access_pass import AccessPass
from berth.chain.anvil import Anvil, accounts_key, chain_id
from berth.chain.dev import Wallet, fresh_public_key, fund, mint
from berth.chain.endpoint import Endpoint
from berth.chain.key_registry import KeyRegistry
from berth.chain.seed import deploy
from berth.chain.transactions import Sender
from demo.client import Client, Tunnel
from engine.docker.build import Build
from tests.images import built

labels = {"berth.test": "vpn"}
tunnel_subnet = IPv4Network("10.77.0.0/16")
page_text = "only through the tunnel"


@pytest.fixture(scope="session")
def image(daemon: docker.DockerClient) -> Iterator[str]:
    """The node's image, built as the stack builds it; the builder's cache outlives it."""
    service, wireguard = "berth/service:vpn-test", "berth/wireguard:vpn-test"
    built(daemon, Build(service, ".", "images/service/Dockerfile"))
    arguments = {"SERVICE": service, "WIREGUARD_GO": "required"}
    yield built(daemon, Build(wireguard, ".", "images/wireguard/Dockerfile", arguments))
    for tag in (wireguard, service):
        with suppress(APIError):  # another run on this daemon may have ended before, or use it still
            daemon.images.remove(tag)


@dataclass(frozen=True)
class Networks:
    inside: Network
    edge: Network
    inside_gateway: str
    run: str
    """Unique to this run: part of every name."""


def _network(daemon: docker.DockerClient, name: str) -> tuple[Network, str]:
    for _ in range(20):
        subnet = IPv4Network(f"10.{201 + secrets.randbelow(50)}.{secrets.randbelow(256)}.0/24")
        pool = docker.types.IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))
        try:
            made = daemon.networks.create(name, ipam=docker.types.IPAMConfig(pool_configs=[pool]), labels=labels)
        except APIError as error:
            if "overlap" not in str(error):
                raise
            continue
        return made, str(subnet[1])
    raise AssertionError("no free subnet for a test network")


@pytest.fixture(scope="session")
def networks(daemon: docker.DockerClient) -> Iterator[Networks]:
    run = secrets.token_hex(3)
    inside, gateway = _network(daemon, f"berth-test-{run}-inside")
    edge, _ = _network(daemon, f"berth-test-{run}-edge")
    yield Networks(inside, edge, gateway, run)
    inside.remove()
    edge.remove()


@pytest.fixture(scope="session")
def anvil(networks: Networks) -> Iterator[Anvil]:
    """A chain that this process and the containers inside reach, and nobody else."""
    with Anvil("--host", f"127.0.0.1,{networks.inside_gateway}") as anvil:
        yield anvil


@dataclass(frozen=True)
class Member:
    token: int
    wallet: Wallet
    key: str


@dataclass(frozen=True)
class Chain:
    """A registry, who holds passes of it, and its list at the head."""

    endpoint: Endpoint
    collection: str
    registry: str
    container_url: str

    def join(self, key: str | None = None) -> Member:
        wallet, key = Wallet.fresh(), key or fresh_public_key()
        fund(self.endpoint, wallet.address)
        token = mint(self.endpoint, self.collection, accounts_key, wallet.address)
        KeyRegistry(self.endpoint, self.registry).register(Sender(self.endpoint, wallet.key), token, key)
        return Member(token, wallet, key)

    def sell(self, member: Member) -> Wallet:
        """To somebody new, who has money."""
        sender, buyer = Sender(self.endpoint, member.wallet.key), Wallet.fresh()
        fund(self.endpoint, buyer.address)
        AccessPass(self.endpoint, self.collection).transfer(sender, buyer.address, member.token)
        return buyer

    def register(self, wallet: Wallet, token: int, key: str) -> Member:
        KeyRegistry(self.endpoint, self.registry).register(Sender(self.endpoint, wallet.key), token, key)
        return Member(token, wallet, key)

    def list(self) -> AccessList:
        return read_access_list(self.endpoint, self.registry, tunnel_subnet)


@pytest.fixture(scope="session")
def contracts(anvil: Anvil, networks: Networks) -> Chain:
    made = deploy(anvil.endpoint())
    url = f"http://{networks.inside_gateway}:{anvil.port}"
    return Chain(anvil.endpoint(), made.access_pass, made.key_registry, url)


@pytest.fixture
def chain(contracts: Chain) -> Iterator[Chain]:
    """The chain, put back afterwards to what it was: each test has a list of its own."""
    snapshot = contracts.endpoint.request("evm_snapshot")
    yield contracts
    contracts.endpoint.request("evm_revert", snapshot)


@dataclass
class Node:
    """A node's container, as the component declares it, and its control API."""

    container: Container
    token: str
    started: float = field(default_factory=time.monotonic)

    @property
    def url(self) -> str:
        self.container.reload()
        return f"http://127.0.0.1:{self.container.ports['8080/tcp'][0]['HostPort']}"

    def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        return httpx.request(method, self.url + path, json=body, headers=headers, timeout=20)

    def state(self) -> dict[str, Any]:
        answer = self.call("GET", "/control/state")
        assert answer.status_code == 200, answer.text
        state: dict[str, Any] = answer.json()
        return state

    def ask(self, access: AccessList) -> httpx.Response:
        block = {"number": access.block.number, "hash": access.block.hash}
        return self.call("PUT", "/control/list", {"digest": access.digest, "block": block})

    def apply(self, access: AccessList) -> dict[str, Any]:
        answer = self.ask(access)
        assert answer.status_code == 200, answer.text
        state: dict[str, Any] = answer.json()
        assert state["drift"] == {"missing": {}, "extra": {}}
        assert state["actual"]["digest"] == access.digest
        return state

    def run(self, *command: str) -> str:
        status, output = self.container.exec_run(list(command))
        assert status == 0, f"{command}: {output.decode()}"
        text: str = output.decode()
        return text

    def peers(self) -> dict[str, str]:
        lines = self.run("wg", "show", "wg0", "allowed-ips").splitlines()
        return {key: address.removesuffix("/32") for key, address in (line.split("\t") for line in lines)}

    def address(self, network: Network) -> str:
        self.container.reload()
        found: str = self.container.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
        return found

    def wait_healthy(self, seconds: float = 30) -> float:
        """Seconds from the container's creation (or the last start) until Docker calls it healthy."""
        while True:
            self.container.reload()
            state = self.container.attrs["State"]
            if state.get("Health", {}).get("Status") == "healthy":
                return time.monotonic() - self.started
            assert state["Status"] in ("created", "running"), self.container.logs().decode()
            assert time.monotonic() - self.started < seconds, self.container.logs().decode()
            time.sleep(0.05)


@pytest.fixture
def make_node(
    daemon: docker.DockerClient, image: str, networks: Networks, chain: Chain
) -> Iterator[Callable[..., Node]]:
    """Makes nodes; removes them, with their volumes, at the end of the test."""
    nodes: list[Container] = []
    volumes: list[Any] = []

    def make(healthy: bool = True, **envs: str) -> Node:
        name = f"berth-test-{networks.run}-node-{len(nodes) + 1}"
        volumes.append(daemon.volumes.create(name, labels=labels))
        if "GATEWAY_SOCKET" in envs:
            volumes.append(daemon.volumes.create(f"{name}-gateway", labels=labels))
        node = Node(_create(daemon, image, networks, chain, name, envs), secrets.token_hex(32))
        nodes.append(node.container)
        upload(node.container, {"control-token": node.token}, "/run/berth")
        networks.edge.connect(node.container, aliases=[f"node-{len(nodes)}"])
        node.container.start()
        if healthy:
            node.wait_healthy()
        return node

    yield make
    for container in nodes:
        container.remove(force=True, v=True)
    for volume in volumes:
        volume.remove()


# Docker turns IPv6 off where a network has none.
_six = {f"net.ipv6.conf.{name}": value for name, value in (("all.disable_ipv6", "0"), ("default.disable_ipv6", "0"))}
_six["net.ipv6.conf.all.forwarding"] = "1"


def _create(
    daemon: docker.DockerClient, image: str, networks: Networks, chain: Chain, name: str, envs: dict[str, str]
) -> Container:
    environment = {
        "NODE_ID": "node-1",
        "RPC_URL": chain.container_url,
        "KEY_REGISTRY": chain.registry,
        "CHAIN_ID": str(chain_id),
        "TUNNEL_SUBNET": str(tunnel_subnet),
        "CONTROL_TOKEN_FILE": "/run/berth/control-token",
        "AUTO_SYNC": "false",
        **envs,
    }
    return daemon.containers.create(
        image,
        name=name,
        labels=labels,
        network=networks.inside.name,
        environment=environment,
        user="0:0",
        cap_drop=["ALL"],
        cap_add=["NET_ADMIN"],
        security_opt=["no-new-privileges:true"],
        devices=["/dev/net/tun:/dev/net/tun:rwm"],
        read_only=True,
        tmpfs={"/run/wireguard": "mode=700", "/tmp": ""},
        sysctls={"net.ipv4.ip_forward": "1", **(_six if "TUNNEL_SUBNET6" in envs else {})},
        volumes=[
            f"{name}:/var/lib/berth",
            "/run/berth",
            *([f"{name}-gateway:/run/gateway"] if "GATEWAY_SOCKET" in envs else []),
        ],
        ports={"8080/tcp": ("127.0.0.1", None)},
        mem_limit="256m",
        healthcheck={
            "test": ["CMD", "http-healthcheck", "8080"],
            "interval": 10**9,
            "timeout": 5 * 10**9,
            "retries": 5,
        },
    )


@pytest.fixture
def page(daemon: docker.DockerClient, image: str, networks: Networks) -> Iterator[str]:
    """host:port of a page inside; a second one, on the port after it, is there for nobody."""
    script = f"mkdir /tmp/p && echo '{page_text}' > /tmp/p/index.html && cd /tmp/p && "
    script += "python -m http.server 8082 & cd /tmp; sleep 0.2; cd /tmp/p; exec python -m http.server 8081"
    container = daemon.containers.run(
        image,
        ["sh", "-c", script],
        name=f"berth-test-{networks.run}-page",
        labels=labels,
        network=networks.inside.name,
        user="1001",
        detach=True,
    )
    container.reload()
    address = container.attrs["NetworkSettings"]["Networks"][networks.inside.name]["IPAddress"]
    _await_http(f"http://{address}:8081/")
    _await_http(f"http://{address}:8082/")
    yield f"{address}:8081"
    container.remove(force=True)


def _await_http(url: str) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            httpx.get(url, timeout=1)
        except httpx.HTTPError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def make_client(image: str, networks: Networks) -> Iterator[Callable[[], Client]]:
    """Makes clients at the edge; removes them at the end of the test."""
    clients: list[Client] = []

    def make() -> Client:
        name = f"berth-test-{networks.run}-client-{len(clients) + 1}"
        client = Client(name, image, networks.edge.name, labels).__enter__()
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)


def tunnel(node: Node, networks: Networks, address: str, *routes: str) -> Tunnel:
    """A tunnel to ``node`` that also carries ``routes``."""
    return Tunnel(
        node_key=node.state()["publicKey"],
        endpoint=f"{node.address(networks.edge)}:51820",
        address=address,
        routes=(f"{node_address(tunnel_subnet)}/32", *routes),
    )
