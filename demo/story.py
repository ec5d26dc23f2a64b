"""The steps of the demo.  Each one either holds or raises :class:`Broken` with what was seen instead."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any, Final
from urllib.parse import urlsplit

from berth.access.read import read_access_list
from berth.chain import dev
from berth.chain.access_pass import AccessPass
from berth.chain.endpoint import Endpoint
from berth.chain.key_registry import KeyRegistry
from berth.chain.transactions import Sender
from demo.client import Client, Tunnel
from demo.stack import Stack

Say = Callable[[str], None]
ping_interval: Final = 0.1  # seconds


class Broken(Exception):
    """A step did not show what it must show."""


def expect(holds: bool, otherwise: str) -> None:
    """Raises :class:`Broken` with ``otherwise`` unless ``holds``."""
    if not holds:
        raise Broken(otherwise)


@dataclass(frozen=True)
class Deployment:
    """What the stack's outputs tell: the chain, its contracts, one node and the page behind it."""

    outputs: dict[str, Any]

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.outputs["rpcUrl"], int(self.outputs["chainId"]))

    @property
    def passes(self) -> AccessPass:
        return AccessPass(self.endpoint, self.outputs["accessPass"])

    @property
    def registry(self) -> KeyRegistry:
        return KeyRegistry(self.endpoint, self.outputs["keyRegistry"])

    @property
    def node(self) -> dict[str, Any]:
        """The first node."""
        nodes: dict[str, dict[str, Any]] = self.outputs["nodes"]
        return next(iter(nodes.values()))

    @property
    def members_page(self) -> str:
        return str(self.outputs["membersUrl"])

    def address_of(self, token: int) -> str:
        """The tunnel address that the registry's slot gives the pass."""
        subnet = IPv4Network(self.outputs["tunnelSubnet"])
        return read_access_list(self.endpoint, self.registry.address, subnet).by_token[token].address

    def tunnel(self, address: str) -> Tunnel:
        """The tunnel of a client on the ``edge`` network to the first node."""
        return Tunnel(
            node_key=self.node["publicKey"],
            endpoint=self.node["edgeEndpoint"],
            address=address,
            routes=(f"{self.node['tunnelAddress']}/32", f"{urlsplit(self.members_page).hostname}/32"),
        )


@dataclass
class Member:
    """A holder: wallet, pass, and the client that made the key bound to it."""

    wallet: dev.Wallet
    token: int
    client: Client
    address: str = ""


class Story:
    """Alice holds a pass and sells it; Bob holds one and keeps it.  Everything is real but the money."""

    def __init__(self, stack: Stack, operator_key: str, say: Say) -> None:
        self._stack, self._say = stack, say
        self._deployment = Deployment(stack.outputs())
        self._operator = Sender(self._deployment.endpoint, operator_key)

    def tell(self) -> None:
        """Runs every step; Broken, ClientError or StackError at the first that does not hold."""
        with ExitStack() as stack:
            alice, bob = (self._join(name, stack) for name in ("alice", "bob"))
            self._preview_names(alice, "gains access")
            self._up()
            for member in (alice, bob):
                member.address = self._deployment.address_of(member.token)
            self._enter(bob)
            bob.client.start_ping(self._deployment.node["tunnelAddress"], ping_interval)
            self._enter(alice)
            self._sell(alice)
            self._preview_names(alice, "loses access")
            self._up()
            self._shut_out(alice)
            self._undisturbed(bob)
            self._leave(bob)

    def _join(self, name: str, stack: ExitStack) -> Member:
        self._say(f"{name} starts a client, which makes its WireGuard key, and gets a pass in a fresh wallet")
        label = {"berth.stack": f"berth/{self._stack.name}", "berth.demo": name}
        prefix = f"berth-{self._stack.name}"
        # The node's image has all that a client needs; outsiders are on the network called edge.
        client = Client(f"{prefix}-demo-{name}", self._deployment.node["image"], f"{prefix}-edge", label)
        stack.enter_context(client)
        wallet = dev.Wallet.fresh()
        token = self._deployment.passes.mint(self._operator, wallet.address)
        # The holder only signs; the operator's account pays for the transaction.
        registry = self._deployment.registry
        dev.register_for(registry.endpoint, registry.address, self._operator.key, wallet.key, token, client.public_key)
        self._say(f"  pass {token}, wallet {wallet.address}, key {client.public_key}")
        return Member(wallet, token, client)

    def _preview_names(self, member: Member, what: str) -> None:
        self._say(f"make preview: pass {member.token} {what}")
        shown = self._stack.make("preview")
        sign_of_change = "+" if what.startswith("gains") else "-"
        lines = [line for line in shown.splitlines() if member.client.public_key in line]
        expect(
            any(line.lstrip().startswith(sign_of_change) for line in lines),
            f"the preview does not name {member.client.public_key} with `{sign_of_change}`",
        )

    def _up(self) -> None:
        self._say("make up: applies just that")
        self._stack.make("up")
        self._deployment = Deployment(self._stack.outputs())

    def _enter(self, member: Member) -> None:
        page = self._deployment.members_page
        self._say(f"{member.client.name}: {page} before the tunnel is up, and after")
        expect(member.client.reaches(page) is None, f"{member.client.name} reaches {page} without a tunnel")
        member.client.connect(self._deployment.tunnel(member.address))
        content = member.client.reaches(page, seconds=10)
        expect(content is not None, f"{member.client.name} does not reach {page} through the tunnel")
        self._say(f"  out of reach, then {len(content or '')} bytes through the tunnel")

    def _sell(self, member: Member) -> None:
        buyer = dev.Wallet.fresh()
        self._say(f"pass {member.token} is sold to {buyer.address}")
        seller = Sender(self._deployment.endpoint, member.wallet.key)
        dev.fund(self._deployment.endpoint, seller.address)
        self._deployment.passes.transfer(seller, buyer.address, member.token)

    def _shut_out(self, member: Member) -> None:
        page = self._deployment.members_page
        self._say(f"{member.client.name}: the same tunnel, the same page")
        expect(member.client.reaches(page) is None, f"{member.client.name} still reaches {page}")
        self._say("  out of reach")

    def _undisturbed(self, member: Member) -> None:
        time.sleep(2 * ping_interval)
        sent, received = member.client.stop_ping()
        self._say(f"{member.client.name} pinged all along: {sent} sent, {received} received")
        expect(sent > 0 and sent == received, f"{member.client.name} lost {sent - received} of {sent} pings")

    def _leave(self, member: Member) -> None:
        self._say(f"pass {member.token} gives its place back, so that the demo leaves nothing behind")
        holder = Sender(self._deployment.endpoint, member.wallet.key)
        dev.fund(self._deployment.endpoint, holder.address)
        self._deployment.registry.revoke(holder, member.token)
        self._up()
