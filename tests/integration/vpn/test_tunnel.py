"""Real clients through a real tunnel: who gets in, who is shut out, and what nobody gets to."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from berth.access.tunnel import node_address
from demo.client import Client, ClientError
from tests.integration.vpn.conftest import Chain, Networks, Node, page_text, tunnel, tunnel_subnet

# The first test of a session builds the images as well.
pytestmark = [pytest.mark.docker, pytest.mark.chain, pytest.mark.timeout(600)]
node_tunnel_address = node_address(tunnel_subnet)


def pings(client: Client, address: str, *options: str) -> bool:
    try:
        client.run(f"ping -n -c 2 -i 0.2 -W 1 {' '.join(options)} {address}")
    except ClientError:
        return False
    return True


def gets_in(client: Client) -> bool:
    """Within 15 s: a client that was refused before asks again only every 5 s."""
    return any(pings(client, node_tunnel_address) for _ in range(15))


def handshake(node: Node, key: str) -> str:
    lines = node.run("wg", "show", "wg0", "latest-handshakes").splitlines()
    return dict(line.split("\t") for line in lines)[key]


def test_a_member_gets_in_and_a_sold_pass_is_shut_out_while_another_loses_nothing(
    make_node: Callable[..., Node], make_client: Callable[[], Client], chain: Chain, networks: Networks, page: str
) -> None:
    node = make_node(ALLOW=f"{page}/tcp")
    alice, bob = make_client(), make_client()
    seller, member = chain.join(alice.public_key), chain.join(bob.public_key)
    access = chain.list()
    host = page.split(":")[0]
    for client in (alice, bob):
        client.connect(tunnel(node, networks, access.peers[client.public_key], f"{host}/32"))
    assert not pings(alice, node_tunnel_address)
    assert alice.reaches(f"http://{page}/", 1) is None

    node.apply(access)
    for client in (alice, bob):
        assert gets_in(client)
        assert page_text in (client.reaches(f"http://{page}/") or "")

    session = handshake(node, bob.public_key)
    silent = chain.join()
    node.apply(chain.list())
    stats = node.call("GET", "/stats?peers=heard").json()
    assert (stats["silent"], stats["peers"]) == ([silent.key], {"total": 3, "connected": 2})
    shown = {peer["key"]: peer for peer in stats["peerList"]}[bob.public_key]
    assert shown["lastHandshake"] == int(session)
    assert min(shown["received"], shown["sent"]) > 100
    chain.sell(silent)
    bob.start_ping(node_tunnel_address, 0.02)
    for _ in range(25):
        other = chain.join()
        node.apply(chain.list())
        chain.sell(other)
        node.apply(chain.list())
    chain.sell(seller)
    node.apply(chain.list())
    assert not pings(alice, node_tunnel_address)
    assert alice.reaches(f"http://{page}/", 1) is None
    sent, received = bob.stop_ping()
    assert sent > 50
    answered = {int(n) for n in re.findall(r"icmp_seq=(\d+) ttl", bob.run("cat /tmp/ping.log"))}
    assert len(answered) == received
    # Those of the last moment were still under way when ping was told to stop: all before are answered.
    assert set(range(1, sent - 25)) - answered == set()
    assert handshake(node, bob.public_key) == session
    assert node.peers() == {member.key: access.peers[member.key]}


def test_a_slot_moves_to_a_new_holder_without_the_old_one(
    make_node: Callable[..., Node], make_client: Callable[[], Client], chain: Chain, networks: Networks
) -> None:
    """The address of a removed peer is of no use to it, even if the peer keeps its settings."""
    node = make_node()
    old, new = make_client(), make_client()
    member = chain.join(old.public_key)
    access = chain.list()
    node.apply(access)
    address = access.peers[old.public_key]
    old.connect(tunnel(node, networks, address))
    assert pings(old, node_tunnel_address)
    chain.sell(member)
    chain.join(new.public_key)
    later = chain.list()
    node.apply(later)
    new.connect(tunnel(node, networks, later.peers[new.public_key]))
    assert pings(new, node_tunnel_address)
    assert not pings(old, node_tunnel_address)


def test_what_a_member_must_not_reach(
    make_node: Callable[..., Node], make_client: Callable[[], Client], chain: Chain, networks: Networks, page: str
) -> None:
    host, port = page.split(":")
    node = make_node(ALLOW=f"{page}/tcp", CONTROL_SOURCES="0.0.0.0/0")
    mallory, victim = make_client(), make_client()
    chain.join(mallory.public_key)
    chain.join(victim.public_key)
    access = chain.list()
    node.apply(access)
    mine, theirs = access.peers[mallory.public_key], access.peers[victim.public_key]
    inside = node.address(networks.inside)
    victim.connect(tunnel(node, networks, theirs, str(tunnel_subnet)))
    mallory.connect(tunnel(node, networks, mine, str(tunnel_subnet), f"{networks.inside_gateway}/24"))
    victim.run("nohup python3 -m http.server 9000 > /dev/null 2>&1 & sleep 0.5")

    # What it may: or the refusals below would prove nothing.
    assert page_text in (mallory.reaches(f"http://{page}/") or "")
    assert pings(mallory, node_tunnel_address)
    assert pings(victim, node_tunnel_address)
    assert node.call("GET", "/health").status_code == 200

    # Another peer.
    assert not pings(mallory, theirs)
    assert mallory.reaches(f"http://{theirs}:9000/", 1) is None
    # The node's own services, by each of its addresses, though its control port is open to all the world here.
    assert mallory.reaches(f"http://{node_tunnel_address}:8080/health", 1) is None
    assert mallory.reaches(f"http://{inside}:8080/health", 1) is None
    assert not pings(mallory, inside)
    # Another port, another machine, the host, the chain.
    assert mallory.reaches(f"http://{host}:{int(port) + 1}/", 1) is None
    assert not pings(mallory, host)
    assert not pings(mallory, networks.inside_gateway)
    # Somebody else's address, and one that nobody has.
    for address in (theirs, "10.77.200.200", "192.0.2.1", node_tunnel_address):
        mallory.run(f"ip address add {address}/32 dev wg0")
        assert not pings(mallory, host if address == node_tunnel_address else node_tunnel_address, "-I", address)
        mallory.run(f"ip address del {address}/32 dev wg0")
    # IPv6 through the tunnel.
    mallory.run("ip -6 address add fd00::2/64 dev wg0 2>/dev/null || true")
    assert not pings(mallory, "fd00::1")
    # The victim's session is as it was.
    assert pings(victim, node_tunnel_address)


def test_what_a_stranger_at_the_edge_must_not_reach(
    make_node: Callable[..., Node], make_client: Callable[[], Client], chain: Chain, networks: Networks, page: str
) -> None:
    """Somebody who has no pass, next to the node."""
    host = page.split(":")[0]
    node = make_node(ALLOW=f"{page}/tcp")
    member, stranger = make_client(), make_client()
    chain.join(member.public_key)
    access = chain.list()
    node.apply(access)
    address = access.peers[member.public_key]
    member.connect(tunnel(node, networks, address, f"{host}/32"))
    assert page_text in (member.reaches(f"http://{page}/") or "")
    edge = node.address(networks.edge)
    assert pings(stranger, edge)

    assert stranger.reaches(f"http://{edge}:8080/health", 1) is None
    # The node as a router into the inside, plainly and with a member's address.
    stranger.run(f"ip route replace {host}/32 via {edge}")
    assert stranger.reaches(f"http://{page}/", 1) is None
    stranger.run(f"ip address add {address}/32 dev eth0 && ip route replace {host}/32 via {edge} src {address}")
    assert stranger.reaches(f"http://{page}/", 1) is None
    stranger.run(f"ip route replace {tunnel_subnet} via {edge}")
    assert not pings(stranger, node_tunnel_address)
    assert not pings(stranger, node_tunnel_address, "-I", address)
    assert pings(member, node_tunnel_address)
