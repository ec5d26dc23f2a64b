"""The steps of the demo.  Each one either holds or raises :class:`Broken` with what was seen instead."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from berth.access.client import probe
from berth.access.client.device import Profile
from berth.access.client.service import AccessService, Registered
from berth.access.client.tunnel.bridges import mtu
from berth.access.client.wallet import Wallet
from berth.chain import dev
from berth.chain.transactions import Sender
from demo.client import Client, bridge_port
from demo.deployment import Deployment
from demo.leasing import Leased, leased
from demo.stack import Stack

Say = Callable[[str], None]
ping_interval: Final = 0.1  # seconds
soon: Final = 10.0  # seconds in which nodes must have followed; they take a fraction of one


class Broken(Exception):
    """A step did not show what it must show."""


def expect(holds: bool, otherwise: str) -> None:
    """Raises :class:`Broken` with ``otherwise`` unless ``holds``."""
    if not holds:
        raise Broken(otherwise)


@dataclass(frozen=True, eq=False)
class Member:
    """A holder: wallet, pass, key pair, and the client that is to get in with them."""

    name: str
    wallet: Wallet
    token: int
    private: X25519PrivateKey
    client: Client
    device: Registered


class Story:
    """Alice holds a pass, leases a container with it, moves between nodes and sells it; Bob keeps his.

    All is real but the money.
    """

    def __init__(self, stack: Stack, operator_key: str, say: Say) -> None:
        self._stack, self._say = stack, say
        self._deployment = Deployment(stack.outputs())
        self._operator = Sender(self._deployment.endpoint, operator_key)

    def tell(self) -> None:
        """Runs every step; Broken, ClientError or StackError at the first that does not hold."""
        first, *others = self._deployment.nodes
        last = others[-1] if others else first
        with ExitStack() as stack:
            service = stack.enter_context(AccessService(self._deployment.url))
            alice, bob = (self._join(name, service, stack) for name in ("alice", "bob"))
            self._settle({alice: "gains", bob: "gains"})
            self._enter(bob, last, service)
            bob.client.start_ping(self._deployment.nodes[last]["tunnelAddress"], ping_interval)
            self._enter(alice, first, service)
            if self._deployment.bridges(first):
                self._blocked(alice, first, service)
            lease = self._lease(alice, bob, first, service, stack)
            if last != first:
                self._move(alice, last, service)
                if lease:
                    self._still_leases(alice, lease)
            self._sell(alice)
            if lease:
                self._ended(alice, lease)
            self._settle({alice: "loses"})
            self._undisturbed(bob)
            self._leave(bob, service)

    def _join(self, name: str, service: AccessService, stack: ExitStack) -> Member:
        self._say(f"{name} gets a pass in a fresh wallet without any money, signs in, and registers a WireGuard key")
        fresh = dev.Wallet.fresh()
        wallet = Wallet(fresh.key, fresh.address)
        token = self._deployment.passes.mint(self._operator, wallet.address)
        # As `berth connect` does: the private key stays here, and goes into the client's file alone.
        private = X25519PrivateKey.generate()
        service.sign_in(wallet)
        held = [int(one["token"]) for one in service.passes()]
        expect(held == [token], f"the access API shows the passes {held} of {wallet.address}, not {token}")
        device = service.register(wallet, token, private)
        self._say(f"  pass {token}, key {device.key}, address {device.address}; the relay paid")

        label = {"berth.stack": f"berth/{self._stack.name}", "berth.demo": name}
        prefix = f"berth-{self._stack.name}"
        # The node's image has all that a client needs; outsiders are on the network called edge.
        client = Client(f"{prefix}-demo-{name}", self._deployment.node["image"], f"{prefix}-edge", label)
        return Member(name, wallet, token, private, stack.enter_context(client), device)

    def _settle(self, changes: dict[Member, str]) -> None:
        """The nodes reach the new list: by themselves, or (``access.mode: on-up``) when the stack is updated."""
        follows = self._deployment.follows
        if follows:
            self._followed(changes)
            self._shut_out([member for member, what in changes.items() if what == "loses"])
        self._preview_names(changes)
        self._up("records what the nodes did" if follows else "applies just that")
        if not follows:
            self._shut_out([member for member, what in changes.items() if what == "loses"])

    def _followed(self, changes: dict[Member, str]) -> None:
        """Without anybody's doing, every node has it."""
        started = time.monotonic()
        for name in self._deployment.nodes:
            for member, what in changes.items():
                present = what == "gains"
                while (member.device.key in self._deployment.peers(name)) != present:
                    state = "does not have" if present else "still has"
                    late = time.monotonic() - started > soon
                    expect(not late, f"{name} {state} {member.name}'s key after {soon:g} s")
                    time.sleep(0.02)
        names, where = " and ".join(member.name for member in changes), ", ".join(self._deployment.nodes)
        did = "let in" if "gains" in changes.values() else "dropped"
        self._say(f"{names}: {did} by {where}, which follow the chain; nobody ran anything")

    def _preview_names(self, changes: dict[Member, str]) -> None:
        told = ", ".join(f"pass {member.token} {what} access" for member, what in changes.items())
        self._say(f"make preview: {told}")
        shown = self._stack.make("preview").splitlines()
        for member, what in changes.items():
            sign = "+" if what == "gains" else "-"
            lines = [line.lstrip() for line in shown if member.device.key in line]
            expect(
                any(line.startswith(sign) for line in lines),
                f"the preview does not name {member.device.key} with `{sign}`",
            )

    def _up(self, what: str) -> None:
        self._say(f"make up: {what}")
        self._stack.make("up")
        self._deployment = Deployment(self._stack.outputs())

    def _profile(self, member: Member, node: str, service: AccessService, bridged: bool = False) -> str:
        """The file that the Connect page makes, for a client at the edge: there a node has another address.

        ``bridged``: the one for a network that blocks UDP.
        """
        offered = {one["id"]: one for one in service.nodes()}
        expect(node in offered, f"the access API offers {', '.join(offered) or 'no node'}, and not {node}")
        at_the_edge = {**offered[node], "endpoint": self._deployment.nodes[node]["edgeEndpoint"]}
        addresses = (member.device.address, member.device.address6)
        profile = Profile.of(service.config, member.private, addresses, at_the_edge)
        if bridged:
            others = [one["publicKey"] for one in offered.values() if one["id"] != node]
            endpoints = [one["edgeEndpoint"] for one in self._deployment.bridges(node).values()]
            profile = profile.through(bridge_port, mtu(profile.mtu, endpoints), others)
        return profile.text()

    def _enter(self, member: Member, node: str, service: AccessService) -> None:
        page = self._deployment.members_page
        self._say(f"{member.name}: {page} before the tunnel to {node} is up, and after")
        expect(member.client.reaches(page) is None, f"{member.name} reaches {page} without a tunnel")
        member.client.use(self._profile(member, node, service))
        content = member.client.reaches(page, seconds=10)
        expect(content is not None, f"{member.name} does not reach {page} through the tunnel")
        self._say(f"  out of reach, then {len(content or '')} bytes through the tunnel")

    def _blocked(self, member: Member, node: str, service: AccessService) -> None:
        page, bridges = self._deployment.members_page, self._deployment.bridges(node)
        self._say(f"{member.name}'s network drops all UDP: {page} without a TCP bridge, and through one of {node}")
        member.client.block_udp()
        expect(member.client.reaches(page) is None, f"{member.name} reaches {page} though UDP is dropped")
        member.client.take_program(f"berth-{self._stack.name}-{next(iter(bridges))}")
        member.client.start_bridge(*(one["edgeEndpoint"] for one in bridges.values()))
        member.client.use(self._profile(member, node, service, bridged=True))
        content = member.client.reaches(page, seconds=10)
        expect(content is not None, f"{member.name} does not reach {page} through the bridge")
        dropped = member.client.unblock_udp()
        expect(dropped > 0, "no UDP was dropped, so the bridge shows nothing")
        self._say(f"  out of reach, then {len(content or '')} bytes over TCP; {dropped} datagrams were dropped")
        member.client.stop_bridge()
        member.client.use(self._profile(member, node, service))

    def _move(self, member: Member, node: str, service: AccessService) -> None:
        measured = probe.measure(service.url, service.nodes())
        ways = ", ".join(
            f"{one.node['id']} {one.seconds * 1000:.1f} ms" if one.seconds else f"{one.node['id']} away"
            for one in measured
        )
        self._say(f"{member.name} moves to {node} (measured: {ways}), with the same key and address")
        member.client.use(self._profile(member, node, service))
        page = self._deployment.members_page
        expect(member.client.reaches(page, seconds=10) is not None, f"{member.name} does not reach {page} by {node}")
        self._say("  the page is there")

    def _lease(
        self, member: Member, other: Member, node: str, service: AccessService, stack: ExitStack
    ) -> Leased | None:
        """A container whose page is there for one pass, through the tunnel, and for nobody else."""
        address = self._deployment.nodes[node]["tunnelAddress"]
        lease = stack.enter_context(leased(service, member.name, member.wallet, member.token, address))
        if lease is None:
            return None
        self._say(f"{member.name} leases a container that only the tunnel of pass {member.token} reaches: {lease.url}")
        content = lease.await_page(member.client)
        expect(content is not None, f"{member.name} does not reach {lease.url} through the tunnel to {node}")
        self._say(f"  {member.name}, through the tunnel: {len(content or '')} bytes")
        expect(
            lease.reached_by(other.client) is None, f"{other.name} reaches the lease of {member.name}, by another pass"
        )
        self._say(f"  {other.name}, through a tunnel as well, by another pass: out of reach")
        expect(not lease.is_public(), f"the gateway shows {lease.public_host} to everybody")
        self._say(f"  everybody, at {service.url}: out of reach")
        return lease

    def _still_leases(self, member: Member, lease: Leased) -> None:
        expect(lease.await_page(member.client) is not None, f"{member.name} does not reach {lease.url} any more")
        self._say("  so is the lease's")

    def _ended(self, member: Member, lease: Leased) -> None:
        self._say(f"{member.name}'s lease, now that pass {member.token} is somebody else's")
        why = lease.await_end()
        page = lease.reached_by(member.client)
        expect(page is None, f"{member.name} still reaches {lease.url}")
        expect(why.startswith("Ended"), f"the lease has not ended with its pass: {why}")
        self._say(f"  out of reach. {why}")

    def _sell(self, member: Member) -> None:
        buyer = dev.Wallet.fresh()
        self._say(f"{member.name} sells pass {member.token} to {buyer.address}")
        dev.fund(self._deployment.endpoint, member.wallet.address)
        seller = Sender(self._deployment.endpoint, member.wallet.key)
        self._deployment.passes.transfer(seller, buyer.address, member.token)

    def _shut_out(self, members: list[Member]) -> None:
        page = self._deployment.members_page
        for member in members:
            self._say(f"{member.name}: the same tunnel, the same page")
            expect(member.client.reaches(page) is None, f"{member.name} still reaches {page}")
            self._say("  out of reach")

    def _undisturbed(self, member: Member) -> None:
        time.sleep(2 * ping_interval)
        sent, received = member.client.stop_ping()
        self._say(f"{member.name} pinged all along: {sent} sent, {received} received")
        expect(sent > 0 and sent == received, f"{member.name} lost {sent - received} of {sent} pings")

    def _leave(self, member: Member, service: AccessService) -> None:
        self._say(f"{member.name} gives the place back, so that the demo leaves nothing behind")
        service.sign_in(member.wallet)
        service.revoke(member.wallet, member.token)
        self._up("the list is as it was")
