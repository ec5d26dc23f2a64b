"""A node's gateway: leases that only the tunnel reaches, each by its own pass alone.  The real image, real tunnels."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import ImageNotFound
from docker.models.containers import Container
from docker.models.networks import Network

from bench.upload import upload
from berth.access.model import AccessList
from berth.leases.names import vpn_label
from berth.leases.nodegates import NodeGates
from berth.vpn.gateway.wire import owner_word
from components.node_proxy import TunnelFront, render
from demo.client import Client
from engine.docker.build import Build
from tests.images import built
from tests.integration.vpn.conftest import (
    Chain,
    Member,
    Networks,
    Node,
    _network,
    labels,
    tunnel,
)

domain = "vpn.test.internal"
socket_path = "/run/gateway/node.sock"
here = "10.77.0.1"
owners_map = "/run/haproxy/owners.map"

# Tells what reaches it, and speaks the WebSocket handshake; afterwards it sends back what it gets.
echo = """
import base64, hashlib, http.server, json, sys
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.headers.get("Upgrade") == "websocket":
            accept = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(accept.encode()).digest()).decode())
            self.end_headers()
            while data := self.rfile.read1(1000):
                self.wfile.write(data)
            self.close_connection = True
            return
        text = json.dumps({"lease": sys.argv[1], "path": self.path, "headers": dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Set-Cookie", "theirs=1")
        self.end_headers()
        self.wfile.write(text)
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Echo).serve_forever()
"""

ask = """
import http.client, json, sys
address, host, path, headers = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
try:
    connection = http.client.HTTPConnection(address, 80, timeout=3)
    connection.request("GET", path, headers={"Host": host, **headers})
    answer = connection.getresponse()
    print(json.dumps({"status": answer.status, "headers": dict(answer.getheaders()), "body": answer.read().decode()}))
except OSError as error:
    print(json.dumps({"status": 0, "body": repr(error)}))
"""

# Opens a WebSocket, and notes each second whether what it sends comes back.
hold = """
import socket, sys, time
connection = socket.create_connection((sys.argv[1], 80), 3)
connection.sendall(("GET / HTTP/1.1\\r\\nHost: " + sys.argv[2] + "\\r\\n"
    "Upgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
    "Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n").encode())
answer = connection.recv(1000)
print("open" if b" 101 " in answer else answer, flush=True)
connection.settimeout(2)
while True:
    connection.sendall(b"hello")
    print("echo" if connection.recv(100) else "end", flush=True)
    time.sleep(0.2)
"""


@dataclass
class Leases:
    """The network of leases, plain containers that stand for them, and the gateway of one node."""

    daemon: docker.DockerClient
    network: Network
    image: str
    gateway_image: str
    doors: Path
    run: str
    containers: list[Container]

    def lease(self, member: Member, name: str, token: str = "") -> Container:
        """A lease of the member's, which says ``<token>-<name>``, by the name that the manager gives it."""
        token = token or str(member.token)
        container = self.daemon.containers.run(
            self.image,
            ["python", "-c", echo, f"{token}-{name}"],
            name=f"berth-t{self.run}-vpn-{vpn_label(token, member.wallet.address, name)}",
            labels=labels,
            network=self.network.name,
            user="1001",
            detach=True,
        )
        self.containers.append(container)
        return container

    def gateway(self, node: Node, ipv6: bool = False) -> Container:
        subnet = IPv4Network(self.network.attrs["IPAM"]["Config"][0]["Subnet"])
        name = node.container.name
        container = self.daemon.containers.create(
            self.gateway_image,
            name=f"{name}-gateway",
            labels=labels,
            network=self.network.name,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            tmpfs={"/run/haproxy": "uid=1001,gid=1001,mode=700", "/tmp": ""},
            environment={"CLOSE_SOCKET": f"/run/doors/{name}.sock"},
            volumes=[f"{name}-gateway:/run/gateway:ro", f"{self.doors}:/run/doors", "/run/berth"],
            mem_limit="128m",
            healthcheck={"test": ["CMD", "http-healthcheck", "8080"], "interval": 10**9, "timeout": 5 * 10**9},
        )
        self.containers.append(container)
        config = render(TunnelFront(f"t{self.run}", domain, subnet, ipv6=ipv6))
        upload(container, {"haproxy.cfg": config}, "/run/berth")
        container.start()
        wait_healthy(container)
        return container


def wait_healthy(container: Container, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while True:
        container.reload()
        if container.attrs["State"].get("Health", {}).get("Status") == "healthy":
            return
        assert time.monotonic() < deadline, container.logs().decode()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def gateway_image(daemon: docker.DockerClient, image: str) -> Iterator[str]:
    """The image of the gateway, on the service's that the node's image was built on."""
    tag = "berth/node-gateway:vpn-test"
    arguments = {"SERVICE": "berth/service:vpn-test"}
    yield built(daemon, Build(tag, ".", "images/node-gateway/Dockerfile", arguments))
    with suppress(ImageNotFound):
        daemon.images.remove(tag)


@pytest.fixture
def leases(
    daemon: docker.DockerClient, image: str, gateway_image: str, networks: Networks, tmp_path: Path
) -> Iterator[Leases]:
    network, _ = _network(daemon, f"berth-test-{networks.run}-leases")
    tmp_path.chmod(0o777)
    made = Leases(daemon, network, image, gateway_image, tmp_path, networks.run, [])
    yield made
    for container in made.containers:
        container.remove(force=True, v=True)
    network.remove()


Ask = Callable[..., dict[str, Any]]


def get(client: Client, name: str, path: str = "/", address: str = here, **headers: str) -> dict[str, Any]:
    """The answer to one request through the tunnel; status 0 where there is none."""
    host = name if "." in name else f"{name}.{domain}"
    client.run(f"cat > /tmp/ask.py <<'E'\n{ask}\nE")
    found: dict[str, Any] = json.loads(
        client.run(f"python3 /tmp/ask.py '{address}' '{host}' '{path}' '{json.dumps(headers)}'")
    )
    return found


def until(holds: Callable[[], bool], seconds: float, otherwise: str) -> float:
    """Seconds until it holds."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < seconds, otherwise
        time.sleep(0.05)
    return time.monotonic() - started


@dataclass
class Scene:
    node: Node
    leases: Leases
    gateway: Container
    members: list[Member]
    clients: list[Client]
    access: AccessList
    edge: Network


@pytest.fixture
def scene(
    chain: Chain,
    networks: Networks,
    make_node: Callable[..., Node],
    make_client: Callable[[], Client],
    leases: Leases,
) -> Scene:
    """Two members with a client each, on a node with a gateway; each has a lease called ``mine``."""
    node = make_node(GATEWAY_SOCKET=socket_path, TUNNEL_SUBNET6="fd77::/64")
    gateway = leases.gateway(node, ipv6=True)
    clients = [make_client(), make_client()]
    members = [chain.join(client.public_key) for client in clients]
    access = chain.list()
    node.apply(access)
    subnet = leases.network.attrs["IPAM"]["Config"][0]["Subnet"]
    for client, member in zip(clients, members, strict=True):
        address = access.by_token[member.token].address
        client.use(
            tunnel(node, networks, address, subnet, "fd77::1/128")
            .config()
            .replace(f"{address}/32\n", f"{address}/32, fd77::{address.rsplit('.')[-1]}/128\n")
        )
        leases.lease(member, "mine")
    until(lambda: get(clients[1], "mine")["status"] == 200, 10, "the second lease does not answer")
    return Scene(node, leases, gateway, members, clients, access, networks.edge)


def test_a_lease_is_reached_by_its_own_pass_and_in_no_other_way(scene: Scene) -> None:
    _each_pass_reaches_its_own(scene)
    _what_callers_say_of_themselves_does_not_reach_a_lease(scene)
    _long_tokens_are_found_as_the_manager_names_them(scene)
    _there_is_no_other_way(scene)


def _each_pass_reaches_its_own(scene: Scene) -> None:
    alice, bob = scene.clients
    for client, member in zip(scene.clients, scene.members, strict=True):
        for address in (here, "fd77::1"):
            answer = get(client, "mine", "/some?thing", address)
            assert (answer["status"], json.loads(answer["body"])["lease"]) == (200, f"{member.token}-mine")
            assert json.loads(answer["body"])["path"] == "/some?thing"
    scene.leases.lease(scene.members[0], "only")
    until(lambda: get(alice, "only")["status"] == 200, 10, "the lease does not answer")
    assert get(bob, "only")["status"] == 404
    # Names that might be taken for part of another's, or of anything that is not a lease.
    token = scene.members[0].token
    for name in (f"{token}-only", f"-{token}-only", "only.", "a.only", "..", "mine_", "x" * 31):
        assert get(bob, f"{name}.{domain}")["status"] in (400, 404), name
    for host in ("mine.example.org", domain, here, f"mine.{domain}.example.org", f"minex{domain}", "localhost"):
        assert get(alice, host)["status"] == 404, host
    assert get(alice, "MINE")["status"] == 200  # host names have no case
    assert get(alice, f"mine.{domain}:80")["status"] == 200


def _what_callers_say_of_themselves_does_not_reach_a_lease(scene: Scene) -> None:
    said = {
        "Authorization": "Bearer secret",
        "Proxy-Authorization": "Basic secret",
        "Cookie": "berth_session=secret",
        "X-Berth-User": "secret",
        "X-Forwarded-For": "10.77.0.99",
        "Forwarded": "for=10.77.0.99",
    }
    answer = get(scene.clients[1], "mine", **said)
    reached = {name.lower(): value for name, value in json.loads(answer["body"])["headers"].items()}
    assert not {"authorization", "proxy-authorization", "cookie", "x-berth-user", "forwarded"} & reached.keys()
    assert reached["x-forwarded-for"] == scene.access.by_token[scene.members[1].token].address
    assert "secret" not in answer["body"]
    assert "10.77.0.99" not in answer["body"]
    assert "set-cookie" not in {name.lower() for name in answer["headers"]}
    # Nor is a caller somebody else by what it says.
    assert get(scene.clients[0], "mine", **{"X-Forwarded-For": here})["status"] == 200


def _long_tokens_are_found_as_the_manager_names_them(scene: Scene) -> None:
    member, other = scene.members
    address, token = scene.access.by_token[member.token].address, 2**255 + 7
    scene.leases.lease(member, "huge", str(token))
    for owner, holder, status in (
        (token, member, 200),
        (token + 1, member, 404),
        (token, other, 404),
        (member.token, member, 404),
    ):
        word = owner_word(owner, holder.wallet.address)
        runtime(scene.gateway, f"set map {owners_map} {address} {word}")
        until(lambda s=status: get(scene.clients[0], "huge")["status"] == s, 10, word)  # type: ignore[misc]


def _there_is_no_other_way(scene: Scene) -> None:
    alice, lease, name = scene.clients[0], scene.leases.containers[-1], scene.leases.network.name

    def address(container: Container) -> str:
        container.reload()
        found: str = container.attrs["NetworkSettings"]["Networks"][name]["IPAddress"]
        return found

    behind = [f"{address(lease)}:8080", f"{address(scene.gateway)}:80", f"{address(scene.gateway)}:8080"]
    assert not reached(alice.run, "python3", behind)
    # Nor does the gateway tell a lease anything: the sockets in the tunnel are its only ones outside.
    assert not reached(lambda script: lease.exec_run(["sh", "-c", script])[1].decode(), "python", behind[1:])
    # And without a tunnel, the node's other address answers nobody there.
    alice.run("wg-quick down wg0")
    edge = scene.node.address(scene.edge)
    assert get(alice, "mine", address=edge)["status"] == 0


def reached(run: Callable[[str], str], python: str, targets: list[str]) -> list[str]:
    """Which of these take a connection, all of them tried at once."""
    script = (
        "import socket, sys, threading\n"
        "def one(target):\n"
        "    host, _, port = target.partition(chr(58))\n"
        "    try:\n        socket.create_connection((host, int(port)), 1.5).close()\n"
        "    except OSError:\n        return\n"
        "    print(target, flush=True)\n"
        "threads = [threading.Thread(target=one, args=(each,)) for each in sys.argv[1:]]\n"
        "[each.start() for each in threads]; [each.join() for each in threads]; print(chr(46))\n"
    )
    said = run(f"{python} -c '{script}' {' '.join(targets)}").split()
    assert said[-1:] == ["."], said
    return said[:-1]


def runtime(gateway: Container, command: str) -> str:
    script = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/haproxy.sock');"
        f"s.sendall(b'{command}\\n'); print(b''.join(iter(lambda: s.recv(65536), b'')).decode())"
    )
    status, output = gateway.exec_run(["python", "-c", script])
    assert status == 0, output
    text: str = output.decode()
    return text


def owners(gateway: Container) -> dict[str, str]:
    rows = [line.split() for line in runtime(gateway, f"show map {owners_map}").splitlines() if line.strip()]
    return {address: owner for _, address, owner in rows}


def echoes(client: Client) -> int:
    """How many answers the open socket has had: whole lines, since what it dies of quotes its source."""
    return client.run("cat /tmp/hold.log").splitlines().count("echo")


def test_who_buys_a_pass_and_registers_it_at_once_does_not_reach_what_its_seller_leased(
    scene: Scene, chain: Chain, networks: Networks
) -> None:
    client, seller = scene.clients[0], scene.members[0]
    client.run(f"cat > /tmp/hold.py <<'E'\n{hold}\nE")
    client.run(f"nohup python3 /tmp/hold.py {here} mine.{domain} > /tmp/hold.log 2>&1 &")
    until(lambda: echoes(client) > 1, 5, "the socket does not open")
    # As like the seller as can be: the same device and key, and the node hears of sale and registration at once.
    buyer = chain.register(chain.sell(seller), seller.token, seller.key)
    access = chain.list()
    scene.node.apply(access)
    address = access.by_token[buyer.token].address
    theirs = owner_word(buyer.token, buyer.wallet.address)
    until(lambda: owners(scene.gateway).get(address) == theirs, 2, "the address is not the buyer's")
    subnet = scene.leases.network.attrs["IPAM"]["Config"][0]["Subnet"]
    if address != scene.access.by_token[seller.token].address:
        client.use(tunnel(scene.node, networks, address, subnet).config())
    # The manager has not ended the seller's lease yet: it runs, and is not even a name for the buyer.
    assert get(client, "mine")["status"] == 404
    ended = echoes(client)
    time.sleep(1)
    assert echoes(client) == ended, "the seller's socket is still open"
    scene.leases.lease(buyer, "mine")
    until(lambda: get(client, "mine")["status"] == 200, 10, "the buyer does not reach a lease of their own")


def test_a_pass_that_is_sold_loses_its_leases_and_open_sockets(scene: Scene, chain: Chain) -> None:
    (alice, bob), (seller, keeper) = scene.clients, scene.members
    for client in (alice, bob):
        client.run(f"cat > /tmp/hold.py <<'E'\n{hold}\nE")
        client.run(f"nohup python3 /tmp/hold.py {here} mine.{domain} > /tmp/hold.log 2>&1 & echo $! > /tmp/hold.pid")
    for client in (alice, bob):
        until(lambda c=client: echoes(c) > 1, 5, client.run("cat /tmp/hold.log"))  # type: ignore[misc]
    mine, others = (owner_word(one.token, one.wallet.address) for one in (seller, keeper))
    assert list(owners(scene.gateway).values()).count(mine) == 2  # IPv4 and IPv6
    chain.sell(seller)
    scene.node.apply(chain.list())
    until(lambda: mine not in owners(scene.gateway).values(), 2, "the address is still the seller's")
    assert others in owners(scene.gateway).values()
    until(lambda: b'"sessions": 1' in scene.gateway.logs(), 3, scene.gateway.logs().decode())
    assert get(alice, "mine")["status"] == 0
    until(lambda: "timed out" in alice.run("cat /tmp/hold.log"), 5, alice.run("cat /tmp/hold.log"))
    # Nobody else noticed.
    before = echoes(bob)
    until(lambda: echoes(bob) > before + 2, 5, bob.run("cat /tmp/hold.log"))
    assert get(bob, "mine")["status"] == 200


def test_what_is_open_to_a_lease_is_closed_when_the_manager_says_so(scene: Scene) -> None:
    gates = NodeGates(scene.leases.doors)
    addresses = []
    for client, lease in zip(scene.clients, scene.leases.containers[1:3], strict=True):
        client.run(f"cat > /tmp/hold.py <<'E'\n{hold}\nE")
        client.run(f"nohup python3 /tmp/hold.py {here} mine.{domain} > /tmp/hold.log 2>&1 &")
        until(lambda c=client: echoes(c) > 1, 5, "the socket does not open")  # type: ignore[misc]
        lease.reload()
        addresses.append(lease.attrs["NetworkSettings"]["Networks"][scene.leases.network.name]["IPAddress"])
    alice, bob = scene.clients
    # One that ended and left its socket is no hindrance.
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(scene.leases.doors / "gone.sock"))
    assert asyncio.run(gates.close("10.255.255.1")) == 0
    assert asyncio.run(gates.close(addresses[0])) == 1
    until(lambda: alice.run("pgrep -f hold.py || true").strip() == "", 2, alice.run("cat /tmp/hold.log"))
    before = echoes(bob)
    until(lambda: echoes(bob) > before + 2, 5, bob.run("cat /tmp/hold.log"))
    # The pass lets its device in as before: there is no session to refuse.
    assert get(alice, "mine")["status"] == 200


def kill(container: Container, command: str) -> None:
    """SIGKILL to every process whose command line ends so; there must be one."""
    script = f"""
import os, signal
killed = 0
for pid in filter(str.isdigit, os.listdir("/proc")):
    words = open(f"/proc/{{pid}}/cmdline").read().replace(chr(0), " ").strip() if pid != "1" else ""
    if words.endswith({command!r}):
        os.kill(int(pid), signal.SIGKILL)
        killed += 1
assert killed
"""
    status, output = container.exec_run(["python", "-c", script])
    assert status == 0, output.decode()


def back(scene: Scene, before: int, seconds: float = 30) -> None:
    """HAProxy was started once more, and answers."""
    until(lambda: starts(scene) > before, seconds, scene.gateway.logs().decode()[-3000:])
    answers(scene, seconds)


def answers(scene: Scene, seconds: float = 30) -> None:
    until(lambda: get(scene.clients[0], "mine")["status"] == 200, seconds, scene.gateway.logs().decode()[-3000:])


def starts(scene: Scene) -> int:
    log: str = scene.gateway.logs().decode()
    return log.count('"event": "serving"')


def test_it_comes_back_by_itself(scene: Scene) -> None:
    before = starts(scene)
    kill(scene.gateway, "/run/berth/haproxy.cfg")
    back(scene, before)
    # With its container gone nobody answers, and nothing is left waiting.
    before = starts(scene)
    scene.gateway.kill()
    until(lambda: get(scene.clients[0], "mine")["status"] == 0, 5, "somebody still answers")
    until(lambda: scene.node.call("GET", "/health/gateway").status_code == 503, 2, "the node still has a gateway")
    assert "no gateway" in json.dumps(scene.node.call("GET", "/health").json())
    scene.gateway.start()
    back(scene, before)
    until(lambda: scene.node.call("GET", "/health/gateway").status_code == 200, 2, "the node finds no gateway")


@pytest.mark.slow
def test_it_comes_back_whatever_becomes_of_its_node(scene: Scene) -> None:
    node, before = scene.node, starts(scene)
    # The agent, which process 1 starts anew.
    kill(node.container, "-m berth.vpn")
    back(scene, before)
    # The node itself, with its network.
    before, node.started = starts(scene), time.monotonic()
    node.container.restart(timeout=5)
    node.wait_healthy(60)
    scene.clients[0].run("wg-quick down wg0; wg-quick up wg0")
    back(scene, before)
    # Its interface: the sockets are not bound to that.
    node.run("ip", "link", "delete", "wg0")
    answers(scene)
