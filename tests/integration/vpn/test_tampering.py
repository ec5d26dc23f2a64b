"""What a member tries from inside a real client: each move is refused, and each would succeed if nothing held it.

The second test takes away what holds them, WireGuard's allowed IPs and the node's rules, with the agent stopped so
that it does not put them back: whatever then still looks refused would prove nothing in the first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Network

import docker
import pytest
from docker.models.containers import Container

from berth.access.tunnel import Subnets, node_address
from demo.client import Client, ClientError
from tests.integration.vpn.conftest import Chain, Networks, Node, labels, tunnel, tunnel_subnet

# The first test of a session builds the images as well.
pytestmark = [pytest.mark.docker, pytest.mark.chain, pytest.mark.timeout(600)]
subnets = Subnets(tunnel_subnet, IPv6Network("fd77::/64"))
node4 = node_address(tunnel_subnet)
node6 = subnets.address6(node4)
metadata = "169.254.169.254"
without_listener = ("the node's control API in the tunnel", "the node's control API at its address inside")
page, forbidden, udp_page, udp_forbidden, dns = 8081, 8082, 8083, 8084, 53

# Answers everything that comes, over TCP and UDP, in both families.
server = f"""
import socket, threading
def tcp(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nhere")
def udp(port):
    receiver = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    receiver.bind(("::", port))
    while True:
        data, sender = receiver.recvfrom(65535)
        receiver.sendto(data[:10], sender)
for port in ({page}, {forbidden}):
    threading.Thread(target=tcp, args=(port,)).start()
for port in ({udp_page}, {udp_forbidden}, {dns}):
    threading.Thread(target=udp, args=(port,)).start()
"""
# In the client: exit 0 where something came back.  ``send`` only sends: whether it arrives is counted at the node.
probe = """
import socket, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
sock = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
sock.settimeout(1)
if len(sys.argv) > 5:
    sock.bind((sys.argv[5], 0))
sock.connect((host, port))
sock.send(b"GET /health HTTP/1.0\\r\\n\\r\\n" + b"x" * int(sys.argv[4] if len(sys.argv) > 4 else 0))
sys.exit(0 if kind != "send" and sock.recv(10) else 1)
"""


@dataclass(frozen=True)
class Move:
    """``script`` runs in the client; it got through where that succeeds, or where packets ``arrives`` (nft) do."""

    name: str
    script: str
    arrives: str = ""


@dataclass
class Ground:
    node: Node
    mallory: Client
    victim: Client
    target: str
    target6: str
    control: str
    """The node's address inside."""
    victim_edge: str
    gateway: str
    rpc_port: int
    mine: str
    theirs: str
    log: list[str] = field(default_factory=list)

    def tcp(self, host: str, port: int) -> str:
        return f"python3 /tmp/probe.py tcp {host} {port}"

    def udp(self, host: str, port: int, size: int = 0) -> str:
        return f"python3 /tmp/probe.py udp {host} {port} {size}"

    def ping(self, host: str) -> str:
        return f"ping -n -c 2 -i 0.2 -W 1 {host}"

    def forge(self, source: str, to: str) -> str:
        """Send with somebody else's address, as one who owns the machine can."""
        bits = "128 nodad" if ":" in source else "32"
        add, remove = f"ip address add {source}/{bits} dev wg0", f"ip address del {source}/{bits.split()[0]} dev wg0"
        return f"{add} && python3 /tmp/probe.py send {to} 9 0 {source}; {remove}; false"

    def moves(self) -> list[Move]:
        their6 = subnets.address6(self.theirs)
        spoofed = {
            "another peer's address as the source": (self.theirs, node4),
            "an address that nobody has, a foreign slot, as the source": ("10.77.200.200", node4),
            "the node's own address as the source": (node4, self.target),
            "an address outside as the source": ("192.0.2.1", self.target),
            "the host's address, which may call the control API, as the source": (self.gateway, self.control),
            "another peer's IPv6 address as the source": (their6, node6),
            "a foreign slot's IPv6 address as the source": ("fd77::abcd", node6),
            "an IPv6 address outside as the source": ("2001:db8::1", self.target6),
        }
        return [
            Move("ping another peer", self.ping(self.theirs)),
            Move("another peer's service", self.tcp(self.theirs, page)),
            Move("another peer's service, UDP", self.udp(self.theirs, udp_page)),
            Move("ping another peer, IPv6", self.ping(their6)),
            Move("another peer's service, IPv6", self.tcp(their6, page)),
            Move("the node's control API in the tunnel", self.tcp(node4, 8080)),
            Move("the node's control API at its address inside", self.tcp(self.control, 8080)),
            Move("a service of the node, UDP", self.udp(node4, udp_page)),
            Move("a service of the node, IPv6", self.tcp(node6, page)),
            Move("ping the node's address inside", self.ping(self.control)),
            Move("another port of a machine that is allowed", self.tcp(self.target, forbidden)),
            Move("another port of a machine that is allowed, UDP", self.udp(self.target, udp_forbidden)),
            Move("another port of a machine that is allowed, IPv6", self.tcp(self.target6, forbidden)),
            Move("ping a machine whose service alone is allowed", self.ping(self.target)),
            Move("a name server inside", self.udp(self.target, dns)),
            Move("fragments for a port that is closed", self.udp(self.target, udp_forbidden, 4000)),
            Move("the host", self.ping(self.gateway)),
            Move("the chain's endpoint on the host", self.tcp(self.gateway, self.rpc_port)),
            Move("another network of the node", self.tcp(self.victim_edge, page)),
            Move("a cloud's metadata address", self.tcp(metadata, page)),
            *(
                Move(name, self.forge(source, to), f"{'ip6' if ':' in source else 'ip'} saddr {source}")
                for name, (source, to) in spoofed.items()
            ),
        ]

    def gets_through(self, move: Move) -> bool:
        if move.arrives:
            # After the node's own rules for what comes out of the tunnel, before anything else.
            rules = f"type filter hook prerouting priority -250;\niifname wg0 {move.arrives} counter"
            self.nft(f"table inet watch {{\nchain watch {{\n{rules}\n}}\n}}")
        try:
            self.mallory.run(move.script)
            answered = True
        except ClientError as error:
            self.log.append(f"{move.name}: {error}")
            answered = False
        if not move.arrives:
            return answered
        counted = self.node.run("nft", "list", "table", "inet", "watch")
        self.node.run("nft", "delete", "table", "inet", "watch")
        return "packets 0 " not in counted

    def nft(self, text: str) -> None:
        self.node.run("sh", "-c", f"echo '{text}' | nft -f -")

    def may(self) -> dict[str, bool]:
        """What is allowed: without it, refusals prove nothing."""
        scripts = {
            "page": self.tcp(self.target, page),
            "page, IPv6": self.tcp(self.target6, page),
            "UDP": self.udp(self.target, udp_page),
            "UDP in fragments": self.udp(self.target, udp_page, 4000),
            "node": self.ping(node4),
            "node, IPv6": self.ping(node6),
        }
        return {name: self.gets_through(Move(name, script)) for name, script in scripts.items()}


def _write(client: Client, path: str, text: str) -> None:
    client.run(f"cat > {path} <<'END'\n{text}\nEND")


@pytest.fixture
def target(daemon: docker.DockerClient, image: str, networks: Networks) -> Iterator[Container]:
    """A machine inside, with IPv6 on a network of its own, that answers at each port and at a metadata address."""
    six = daemon.networks.create(
        f"berth-test-{networks.run}-six",
        labels=labels,
        enable_ipv6=True,
        ipam=docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet="fd00:6e71::/64")]),
    )
    container = daemon.containers.create(
        image,
        ["python", "-c", server],
        name=f"berth-test-{networks.run}-target",
        labels=labels,
        network=networks.inside.name,
        cap_add=["NET_ADMIN"],
    )
    six.connect(container)
    container.start()
    container.exec_run(["ip", "address", "add", f"{metadata}/32", "dev", "lo"])
    container.reload()
    yield container
    container.remove(force=True)
    six.reload()
    for other in six.attrs["Containers"]:
        six.disconnect(other, force=True)
    six.remove()


def _address(container: Container, network: str, family: str = "IPAddress") -> str:
    container.reload()
    found: str = container.attrs["NetworkSettings"]["Networks"][network][family]
    return found


@pytest.fixture
def ground(
    make_node: Callable[..., Node],
    make_client: Callable[[], Client],
    chain: Chain,
    networks: Networks,
    daemon: docker.DockerClient,
    target: Container,
) -> Ground:
    six = f"berth-test-{networks.run}-six"
    host, host6 = _address(target, networks.inside.name), _address(target, six, "GlobalIPv6Address")
    allow = [f"{host}:{page}/tcp", f"{host}:{udp_page}/udp", f"[{host6}]:{page}/tcp"]
    node = make_node(ALLOW=",".join(allow), CONTROL_SOURCES="0.0.0.0/0", TUNNEL_SUBNET6=str(subnets.ipv6))
    daemon.networks.get(six).connect(node.container)
    # Docker may publish the node's port on the new network now, for whose device the node listens when it starts.
    node.container.restart(timeout=10)
    node.started = time.monotonic()
    node.wait_healthy()
    # What a cloud's host has: a metadata service that the node itself reaches.  Its services, on the tunnel's address.
    node.run("ip", "route", "add", f"{metadata}/32", "via", host)
    node.container.exec_run(["python", "-c", server], detach=True)
    mallory, victim = make_client(), make_client()
    for client in (mallory, victim):
        chain.join(client.public_key)
        _write(client, "/tmp/probe.py", probe)
        _write(client, "/tmp/server.py", server)
    access = chain.list()
    node.apply(access)
    mine, theirs = access.peers[mallory.public_key], access.peers[victim.public_key]
    inside = node.address(networks.inside)
    edge = victim.run("hostname -i").split()[0]
    wide = (str(tunnel_subnet), str(subnets.ipv6))
    victim.connect(tunnel(node, networks, theirs, *wide))
    routes = (*wide, f"{networks.inside_gateway}/24", f"{metadata}/32", f"{edge}/32", f"{host6}/128", "192.0.2.0/24")
    mallory.connect(tunnel(node, networks, mine, *routes))
    for client, address in ((mallory, mine), (victim, theirs)):
        client.run(f"ip address add {subnets.address6(address)}/128 dev wg0 nodad")
        client.run("nohup python3 /tmp/server.py > /dev/null 2>&1 & sleep 0.5")
    rpc = int(chain.container_url.rsplit(":", 1)[1])
    return Ground(node, mallory, victim, host, host6, inside, edge, networks.inside_gateway, rpc, mine, theirs)


def test_each_move_is_refused(ground: Ground) -> None:
    moves = ground.moves()
    assert len({move.name for move in moves}) == len(moves) >= 20
    allowed = ground.may()
    assert all(allowed.values()), (allowed, ground.log)
    succeeded = [move.name for move in moves if ground.gets_through(move)]
    assert succeeded == []
    # Nobody lost anything by it.
    assert all(ground.may().values())
    assert ground.victim.run(f"ping -n -c 1 -W 1 {node4}")


def test_each_move_succeeds_where_nothing_holds_it(ground: Ground) -> None:
    node = ground.node
    node.run("sh", "-c", "kill -STOP $(grep -l '^python' /proc/[0-9]*/comm | cut -d/ -f3 | sort -n | sed -n 2p)")
    # The victim keeps its own, which are narrower.
    node.run("wg", "set", "wg0", "peer", ground.mallory.public_key, "allowed-ips", "0.0.0.0/0,::/0")
    rules = 'type nat hook postrouting priority 100;\noifname != "wg0" masquerade'
    ground.nft(f"delete table inet berth\ntable inet berth {{\nchain nat {{\n{rules}\n}}\n}}")
    moves = ground.moves()
    # The victim's first answer to a stranger may take a moment.
    deadline = time.monotonic() + 30
    while not ground.gets_through(moves[0]) and time.monotonic() < deadline:
        time.sleep(0.5)
    held = [move.name for move in moves if not move.arrives and not ground.gets_through(move)]
    # The victim's address is mallory's as soon as the victim has it no more.
    node.run("wg", "set", "wg0", "peer", ground.victim.public_key, "remove")
    held += [move.name for move in moves if move.arrives and not ground.gets_through(move)]
    # These have a third thing in their way: no listener on the tunnel's device, which refuses by itself.
    assert held == list(without_listener), "\n".join([*held, *ground.log])
