"""The passes of an account, and its devices.

Events say which passes to look at (:mod:`berth.chain.history`); what holds is asked of the contracts, all at one
block.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from berth.access.api.nodes import NodeWatch
from berth.access.tunnel import Subnets, address_of, slots
from berth.chain.access_pass import AccessPass
from berth.chain.endpoint import Block, Endpoint
from berth.chain.errors import CallFailed, NoContract
from berth.chain.hashing import zero_address
from berth.chain.history import Binding, History
from berth.chain.key_registry import KeyRegistry, Peer

Role = Literal["owner", "user", "delegate"]
_batch: Final = 100  # passes in one question
_at_once: Final = 8  # questions about single passes


@dataclass(frozen=True)
class Pass:
    """One pass as an account sees it; ``expires`` unix seconds, 0 for never; ``peer`` what is registered and counts."""

    token: int
    owner: str
    holder: str
    role: Role
    expires: int
    peer: Peer | None

    @property
    def usable(self) -> bool:
        """Whether the account may register a key: an owner who rented the pass out may not."""
        return self.role != "owner" or self.owner == self.holder


class Passes:
    """What the chain says of an account.  Errors: ChainError."""

    def __init__(
        self, endpoint: Endpoint, registry: KeyRegistry, history: History, tunnel: Subnets, nodes: NodeWatch
    ) -> None:
        self._endpoint, self._registry, self._history = endpoint, registry, history
        self._tunnel, self._nodes = tunnel, nodes
        self._askers = ThreadPoolExecutor(_at_once, "passes")

    @cached_property
    def collection(self) -> AccessPass:
        """The collection, which the registry names."""
        return AccessPass(self._endpoint, self._registry.collection())

    def of(self, account: str) -> list[Pass]:
        """Its passes, by token: those it owns, rents, or may register as a delegate."""
        mentions = self._history.of(account, self.collection.address)
        return self._look(account, sorted(mentions.tokens), self._endpoint.block())

    def shown(self, account: str) -> list[dict[str, Any]]:
        """Its passes as the API shows them."""
        return [self._show(one) for one in self.of(account)]

    def entitled(self, account: str, token: int) -> tuple[bool, str]:
        """Whether the account may register the pass now (expiry apart), and who holds it."""
        holder = self._registry.holder_of(token)
        if holder == account:
            return True, holder
        may = self._delegates and holder != zero_address and self._registry.delegate_of(token) == account
        return may, holder

    def expires(self, token: int, block: Block) -> int:
        """First second at which the pass itself is over, unix seconds; 0 for never, or where the collection is mute."""
        return self._ask_expiry("expiring", token, block)

    def taken_by(self, key: str, token: int) -> bool:
        """Whether a key belongs to another pass whose binding counts."""
        other = self._registry.token_of(key)
        return other is not None and other != token and bool(self._registry.peers_of([other]))

    def peer_at(self, token: int, block: Block) -> Peer | None:
        """The binding of a pass at a block, where it counts."""
        return next(iter(self._registry.peers_of([token], block)), None)

    def addresses(self, slot: int) -> tuple[str | None, str | None]:
        """IPv4 and IPv6 address of a slot; None for one that the tunnel does not have."""
        if not 1 <= slot <= slots(self._tunnel.ipv4):
            return None, None
        four = address_of(self._tunnel.ipv4, slot)
        return four, self._tunnel.address6(four) or None

    def devices(self, account: str) -> list[dict[str, Any]]:
        """Its devices as the API shows them: what is registered for its passes, and what it registered that ended."""
        mentions = self._history.of(account, self.collection.address)
        block = self._endpoint.block()
        passes = {one.token: one for one in self._look(account, sorted(mentions.tokens), block)}
        peers = {
            token: one.peer
            for token, one in passes.items()
            # A delegate sees what it may change; an owner whose pass is rented out does not see the user's device.
            if one.peer and (one.peer.holder == account or one.role == "delegate")
        }
        shown = [self._device(peer.token, peer.key, peer.slot, peer.expires, "") for peer in peers.values()]
        for token, binding in mentions.bindings.items():
            if token not in peers and (status := self._ended(account, binding, block)):
                expires = self.expires(token, block)
                shown.append(self._device(token, binding.key, binding.slot, expires, status))
        return sorted(shown, key=lambda device: int(device["token"]))

    @cached_property
    def _delegates(self) -> bool:
        return self._registry.flag("delegates")

    @cached_property
    def _rentable(self) -> bool:
        return self._registry.flag("rentable")

    @cached_property
    def _expiring(self) -> bool:
        return self._registry.flag("expiring")

    def _look(self, account: str, tokens: Sequence[int], block: Block) -> list[Pass]:
        peers: dict[int, Peer] = {}
        for start in range(0, len(tokens), _batch):
            peers |= {peer.token: peer for peer in self._registry.peers_of(tokens[start : start + _batch], block)}
        found = self._askers.map(lambda token: self._pass(account, token, peers.get(token), block), tokens)
        return [one for one in found if one is not None]

    def _pass(self, account: str, token: int, peer: Peer | None, block: Block) -> Pass | None:
        try:
            owner = self.collection.owner_of(token, block)
        except CallFailed:
            return None  # burnt
        holder = self._registry.holder_of(token, block)
        if owner == account:
            role: Role = "owner"
        elif holder == account:
            role = "user"
        elif self._delegates and self._registry.delegate_of(token, block) == account:
            role = "delegate"
        else:
            return None
        ends = [self.expires(token, block), self._ask_expiry("rented", token, block) if holder != owner else 0]
        return Pass(token, owner, holder, role, min(filter(None, ends), default=0), peer)

    def _ask_expiry(self, which: Literal["expiring", "rented"], token: int, block: Block) -> int:
        if not (self._expiring if which == "expiring" else self._rentable):
            return 0
        ask = self.collection.expires_at if which == "expiring" else self.collection.user_expires
        try:
            return ask(token, block)
        except (CallFailed, NoContract):
            return 0  # anybody's contract: the registry decides what that means

    def _show(self, one: Pass) -> dict[str, Any]:
        peer = one.peer
        four, six = self.addresses(peer.slot) if peer else (None, None)
        return {
            "token": str(one.token),
            "owner": one.owner,
            "holder": one.holder,
            "role": one.role,
            "usable": one.usable,
            "expires": one.expires,
            "registered": peer is not None,
            "key": peer.key if peer else None,
            "address": four,
            "address6": six,
        }

    def _ended(self, account: str, binding: Binding, block: Block) -> str:
        """What became of a binding that does not count: expired, replaced, or empty where its maker revoked it."""
        now, holder = self._registry.slot_of(binding.token, block), self._registry.holder_of(binding.token, block)
        if holder != account:
            return "replaced"
        return "expired" if now == binding.slot else ""

    def _device(self, token: int, key: str, slot: int, expires: int, ended: str) -> dict[str, Any]:
        four, six = self.addresses(slot)
        seen = None if ended else self._nodes.seen(key)
        return {
            "token": str(token),
            "key": key,
            "address": four,
            "address6": six,
            "expires": expires,
            "status": ended or ("active" if seen else "pending"),
            "lastHandshake": seen.last_handshake if seen else None,
            "connected": bool(seen and seen.connected),
            "node": seen.node if seen and seen.last_handshake else None,
            # As the device sees it: what a node sent, the device received.
            "received": seen.sent if seen else None,
            "sent": seen.received if seen else None,
        }
