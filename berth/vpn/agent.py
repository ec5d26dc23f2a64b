"""Owns the applied list.  Whoever asks for a list names its digest and block; the node reads the chain itself.

An older list never replaces a newer one of the same chain, and no list that the chain does not give is applied.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Protocol

from berth.access.diff import diff
from berth.access.errors import ChainError
from berth.access.model import AccessList, Block, digest_of, peers_digest
from berth.access.receipt import Receipt
from berth.kit.logging import get_logger
from berth.vpn.errors import ApplyFailed, ListRefused, NodeError, StoreDamaged
from berth.vpn.metrics import NodeMetrics
from berth.vpn.reconcile import Outcome, Peers, reconcile
from berth.vpn.source import Source
from berth.vpn.store import Store, Stored


class Node(Protocol):
    """The parts of the node under the peers: interface and firewall."""

    def ensure(self) -> None:
        """Make both be there as they should; NodeError where that fails."""
        ...


class Agent:
    """One node's agent; safe to call from several threads."""

    def __init__(
        self,
        *,
        name: str,
        public_key: str,
        port: int,
        registry: str,
        chain_id: int,
        node: Node,
        peers: Peers,
        source: Source,
        store: Store,
        metrics: NodeMetrics,
    ) -> None:
        self._identity = {"node": name, "publicKey": public_key, "endpointPort": port}
        self._public_key, self._registry, self._chain_id = public_key, registry, chain_id
        self._node, self._peers, self._source, self._store, self._metrics = node, peers, source, store, metrics
        self._lock = threading.Lock()
        self._applied: Stored | None = None
        self._receipt: Receipt | None = None
        self._fault = ""
        self._log = get_logger("agent")

    def start(self) -> None:
        """Interface and firewall up, and the last good list of the volume applied."""
        with self._lock:
            self._node.ensure()
            try:
                stored = self._store.load()
            except StoreDamaged as damaged:
                self._fault = str(damaged)
                self._log.error("the last good list is lost", reason=str(damaged))
                return
            if stored is None:
                return
            access = stored.access
            if (access.registry, access.chain_id) != (self._registry, self._chain_id):
                self._log.warning(
                    "the list on the volume is another registry's, starting without peers", registry=access.registry
                )
                return
            outcome = self._reconcile(access)
            self._applied, self._receipt = stored, Receipt.of(access, outcome.peers)
            self._log.info(
                "last good list restored", block=access.block.number, digest=access.digest, peers=len(outcome.peers)
            )

    def check(self) -> str | None:
        """For health reports: what is applied.  NodeError where the node cannot know what should be."""
        if self._fault:
            raise NodeError(self._fault)
        applied = self._applied
        return (
            f"block {applied.access.block.number}, {len(applied.access.entries)} entries" if applied else "no list yet"
        )

    def state(self) -> dict[str, Any]:
        """What was applied, what is there now, and where they differ.  Unreadable where peers cannot be read."""
        with self._lock:
            return self._state()

    def apply(self, digest: str, block: Block) -> dict[str, Any]:
        """Reach the list with ``digest`` at ``block``; the state afterwards, with ``newer`` where the node is ahead.

        A node that already applied this list, or a newer one of the same chain, repairs its peers to what it
        applied and asks the chain no more than needed.  Errors: ListRefused, ChainError, NodeError (nothing was
        changed), ApplyFailed.
        """
        with self._lock, self._measured() as result:
            newer = self._newer_than(digest, block)
            if newer is None:
                access = self._source.read(digest, block)
                if access.left_out:
                    self._log.warning("passes without an address in the tunnel's subnet", tokens=access.left_out[:20])
                outcome = self._install(Stored(access, self._source.genesis()))
            else:
                self._node.ensure()
                outcome = self._reconcile(newer.access)
                result["as"] = "newer" if newer.access.block.number > block.number else "unchanged"
            if outcome.changes:
                result["as"] = "applied"
            applied = self._applied
            assert applied is not None
            return self._state() | {"newer": applied.access.block.number > block.number}

    def _newer_than(self, digest: str, block: Block) -> Stored | None:
        """The applied list where it stands against the one asked for; None where the chain has to be asked."""
        applied = self._applied
        if applied is None:
            return None
        ours = applied.access
        if ours.block.number < block.number:
            return None
        if ours.digest == digest:
            return applied
        if ours.block == block:
            raise ListRefused(f"the chain gave this node the list {ours.digest} at block {block}, not {digest}")
        # A list is older only within one chain: after a reorganisation, or on a chain started anew, ours is void.
        if self._source.genesis() != applied.genesis or not self._source.canonical(ours.block):
            self._log.warning("the applied list's block has left the chain", block=ours.block.number)
            return None
        return applied

    def _install(self, stored: Stored) -> Outcome:
        """Apply a list that the chain gave."""
        self._node.ensure()
        # Stored first: a node that dies in between comes back with what the chain said last.
        self._store.save(stored)
        try:
            outcome = self._reconcile(stored.access)
        except (ApplyFailed, ListRefused, NodeError):
            self._store.save(self._applied)
            raise
        self._applied, self._receipt, self._fault = stored, Receipt.of(stored.access, outcome.peers), ""
        self._store.add_receipt(self._receipt)
        return outcome

    def _reconcile(self, access: AccessList) -> Outcome:
        outcome = reconcile(self._desired(access), self._peers)
        changes = outcome.changes
        for kind, keys in (("added", changes.add), ("removed", changes.remove), ("moved", changes.move)):
            self._metrics.changes.labels(kind).inc(len(keys))
        self._metrics.peers.set(len(outcome.peers))
        self._metrics.block.set(access.block.number)
        if changes:
            self._log.info(
                "peers changed",
                block=access.block.number,
                digest=access.digest,
                peers=len(outcome.peers),
                added=sorted(changes.add)[:20],
                removed=sorted(changes.remove)[:20],
                moved=sorted(changes.move)[:20],
                count=changes.count,
            )
        return outcome

    def _desired(self, access: AccessList) -> dict[str, str]:
        desired = access.peers
        # WireGuard ignores a peer with its own key, so one holder could otherwise stop every list.
        if desired.pop(self._public_key, None):
            self._log.warning("a pass is registered with this node's own key and is left out")
        return desired

    def _state(self) -> dict[str, Any]:
        actual = self._peers.read().addresses
        applied, receipt = self._applied, self._receipt
        desired: Mapping[str, str] = self._desired(applied.access) if applied else {}
        changes = diff(desired, actual)
        shown = None
        if applied and receipt:
            block = applied.access.block
            shown = {
                "digest": applied.access.digest,
                "block": {"number": block.number, "hash": block.hash},
                "receipt": receipt.as_dict(),
            }
        whole = applied.access.digest if applied else digest_of(())
        return {
            **self._identity,
            "applied": shown,
            # Peers that are no list have no list's digest: theirs says only that they are others.
            "actual": {"digest": peers_digest(actual) if changes else whole, "peers": len(actual)},
            "drift": {
                "missing": {**changes.add, **changes.move},
                "extra": {**changes.remove, **{key: actual[key] for key in changes.move}},
            },
        }

    @contextmanager
    def _measured(self) -> Iterator[dict[str, str]]:
        result, started = {"as": "unchanged"}, perf_counter()
        try:
            yield result
        except Exception as error:
            kinds = {ListRefused: "refused", ChainError: "unreadable"}
            result["as"] = next((name for kind, name in kinds.items() if isinstance(error, kind)), "failed")
            raise
        finally:
            self._metrics.applies.labels(result["as"]).inc()
            self._metrics.seconds.observe(perf_counter() - started)
