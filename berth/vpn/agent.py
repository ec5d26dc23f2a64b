"""Owns the applied list.  Whoever asks for a list names its digest and block; the node reads the chain itself.

An older list never replaces a newer one of the same chain, and no list that the chain does not give is applied.
Whoever changes something, the follower, the control API, a timer or a repair, does so one after the other here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Protocol

from berth.access.current import CurrentList, Update
from berth.access.diff import diff
from berth.access.errors import ChainError, OlderBlock
from berth.access.model import AccessList, Block, digest_of, peers_digest
from berth.access.policy import Breaker, BreakerRule, Freshness
from berth.kit.logging import get_logger
from berth.vpn.applied import Applied, Unwatched, Watched, shown
from berth.vpn.errors import ListRefused, Moved, NodeError, NotPending, StoreDamaged, VpnError
from berth.vpn.metrics import NodeMetrics
from berth.vpn.owners import Owners
from berth.vpn.reconcile import Peers
from berth.vpn.source import Source
from berth.vpn.store import Store


class Node(Protocol):
    """The parts of the node under the peers: interface and firewall."""

    def ensure(self) -> Any:
        """Make both be there as they should; NodeError where that fails."""
        ...


class Agent:
    """One node's agent; safe to call from several threads.  ``follows``: whether it is told of new blocks."""

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
        follows: bool = False,
        breaker: BreakerRule | None = None,
        freshness: Freshness | None = None,
        watched: Watched | None = None,
        owners: Owners | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._identity = {"node": name, "publicKey": public_key, "endpointPort": port}
        self._registry, self._chain_id = registry, chain_id
        self._node, self._device, self._source, self._store, self._metrics = node, peers, source, store, metrics
        self._follows, self._clock = follows, clock
        self._freshness = freshness or Freshness()
        self._lock = threading.RLock()
        # Without a follower nobody would approve in time, and every list was shown before it is asked for.
        rule = (breaker or BreakerRule()) if follows else BreakerRule(share=100)
        pending = store.load_pending() if follows else None
        self._applied = Applied(
            public_key,
            Breaker(rule, pending),
            peers,
            store,
            metrics,
            watched or Unwatched(),
            owners if owners is not None else Owners(),
            clock,
        )
        self._fault = ""
        self._log = get_logger("agent")

    # ------------------------------------------------------------------ what others ask

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
            self._applied.restore(stored)
            self._applied.peering.closed = self._closes()
            self._applied.reach()
            self._log.info(
                "last good list restored", block=access.block.number, digest=access.digest, peers=len(self.peers)
            )

    def check(self) -> str | None:
        """For health reports: what is applied.  NodeError where the node cannot know what should be."""
        if self._fault:
            raise NodeError(self._fault)
        current = self._applied.current
        if self._follows:
            age = self.age
            if current is None or age is None:
                raise NodeError("no list yet: the chain has not been read")
            if self._freshness.too_old(age):
                became = "and all peers were put out" if self._applied.peering.closed else "and nobody is added"
                raise NodeError(f"the list is {age:.0f} s old, {self._freshness.max_age:g} s are allowed, {became}")
        return f"block {current.block.number}, {len(current.entries)} entries" if current else "no list yet"

    @property
    def age(self) -> float | None:
        """Seconds since the chain confirmed the list; None without one, or where the node does not follow."""
        if not self._follows or self._applied.current is None:
            return None
        return max(self._clock() - self._applied.confirmed, 0.0)

    @property
    def peers(self) -> Mapping[str, str]:
        """Key -> address, as applied last; not to be changed."""
        return self._applied.peers

    @property
    def blocks(self) -> tuple[Block, Block | None] | None:
        """The block of the applied list, and the one of its removals where that is another."""
        current = self._applied.current
        return (current.block, current.removals) if current else None

    @property
    def applied(self) -> dict[str, Any] | None:
        """Digest, block and receipt of the applied list."""
        current, receipt = self._applied.current, self._applied.receipt
        if current is None or receipt is None:
            return None
        block, removals = current.block, current.removals
        shown = {"digest": current.digest, "block": {"number": block.number, "hash": block.hash}}
        if removals:
            shown["removalBlock"] = {"number": removals.number, "hash": removals.hash}
        return {**shown, "receipt": receipt.as_dict()}

    @property
    def breaker(self) -> dict[str, Any]:
        """See :meth:`berth.access.policy.Breaker.as_dict`."""
        return self._applied.breaker.as_dict()

    @property
    def closed(self) -> bool:
        """Whether all peers were put out because the list is too old."""
        return self._applied.peering.closed

    @property
    def genesis(self) -> str:
        """The hash of block 0 of the applied list's chain; "" without one."""
        return self._applied.genesis

    def sync(self) -> None:
        """Make what the volume has outlast a loss of power."""
        self._store.sync()

    def state(self) -> dict[str, Any]:
        """What was applied, what is there now, and where they differ.  Unreadable where peers cannot be read."""
        with self._lock:
            return self._state()

    def status(self) -> dict[str, Any]:
        """What a person wants to know before approving something; asks nobody."""
        age = self.age
        return {
            **self._identity,
            "mode": "follow" if self._follows else "on-up",
            "applied": self.applied,
            "peers": len(self.peers),
            "age": age if age is None else round(age, 1),
            "maxAge": self._freshness.max_age,
            "outagePolicy": self._freshness.policy,
            "closed": self.closed,
            "breaker": self.breaker,
            "fault": self._fault,
        }

    def receipts(self, limit: int) -> list[dict[str, Any]]:
        """The receipts of the last generations, newest first."""
        return [receipt.as_dict() for receipt in self._store.receipts(limit)]

    # ------------------------------------------------------------------ what changes the peers

    def apply(self, digest: str, block: Block) -> dict[str, Any]:
        """Reach the list with ``digest`` at ``block``; the state afterwards, with ``newer`` where the node is ahead.

        A node that already applied this list, or a newer one of the same chain, repairs its peers to what it
        applied and asks the chain no more than needed.  Errors: ListRefused, ChainError, NodeError (nothing was
        changed), ApplyFailed.
        """
        with self._lock, self._measured() as result:
            if self._stands(digest, block):
                current = self._applied.current
                assert current is not None
                self._node.ensure()
                ahead = current.block.number > block.number or current.digest != digest
                result["as"] = "newer" if ahead else "unchanged"
                changed = self._applied.reach()
            else:
                self._require_removals_known(block)
                access = self._source.read(digest, block)
                self._warn_left_out(access)
                changed = self._install(access, self._source.genesis())
            if changed:
                result["as"] = "applied"
            current = self._applied.current
            assert current is not None
            return self._state() | {"newer": current.block.number > block.number or current.digest != digest}

    def install(self, access: AccessList, genesis: str, forked: bool = False) -> None:
        """Reach a list that was read whole.  ``forked``: the chain is known to have left the applied one's block.

        Errors: OlderBlock where a newer one is applied, ChainError, NodeError, ApplyFailed.
        """
        with self._lock, self._measured() as result:
            current = self._applied.current
            if current is not None and not forked and genesis == self._applied.genesis:
                pairs = ((access.block, current.block), (_last(access), _last(current)))
                for theirs, ours in pairs:
                    older = theirs != ours and theirs.number <= ours.number
                    # Asked only where it matters; OlderBlock where the endpoint has not got that far.
                    if older and self._source.canonical(ours):
                        result["as"] = "newer"
                        raise OlderBlock(f"block {theirs} is behind block {ours}, whose list is applied")
            self._warn_left_out(access)
            if self._install(access, genesis):
                result["as"] = "applied"

    def advance(self, base: tuple[Block, Block | None], update: Update, received: float | None = None) -> None:
        """Go from the list of ``base`` to that of ``update``; ``received``: when its block came, by perf_counter.

        Errors: Moved where another list is applied by now, ListRefused, ChainError, NodeError, ApplyFailed.
        """
        if not update:
            with self._lock:
                self._require(base).change(update)
            return
        with self._lock, self._measured(received) as result:
            self._require(base)
            self._applied.commit(update)
            result["as"] = "applied"

    def confirm(self, at: float) -> None:
        """The chain says at this time (UNIX seconds) that the applied list is the one that counts."""
        with self._lock:
            applied = self._applied
            applied.confirmed = max(applied.confirmed, at)
            if applied.current is None:
                return
            if applied.peering.closed and not self._closes():
                applied.reopen()
            applied.note()

    def tick(self) -> float | None:
        """What time alone brings about; the UNIX second at which to be called again, None where none is known.

        Errors: NodeError and ApplyFailed; what was due is due again.
        """
        with self._lock:
            applied, now = self._applied, self._clock()
            if applied.current is None:
                return None
            applied.keep_time(now)
            if not applied.peering.closed and self._closes():
                applied.close(self._freshness.max_age)
            applied.expire(now)
            if applied.breaker.overdue(now):
                self._log.warning(
                    "nobody approved the mass removal in time: it takes place", held=len(applied.breaker.held)
                )
                applied.release()
            times = [applied.peering.next_due(), applied.breaker.deadline if applied.breaker.tripped else None]
            return min((one for one in times if one is not None), default=None)

    def approve(self, incident: str) -> dict[str, Any]:
        """A person lets the mass removal ``incident`` happen; NotPending where no such one waits."""
        with self._lock:
            breaker = self._applied.breaker
            if not breaker.tripped or breaker.id != incident:
                waiting = f"{breaker.id} does" if breaker.tripped else "none does"
                raise NotPending(f"no mass removal {incident} waits for approval, {waiting}")
            self._log.warning("mass removal approved", incident=incident, held=len(breaker.held))
            self._applied.release()
            return breaker.as_dict()

    def settled(self, look: Callable[[], bool]) -> bool:
        """What ``look`` finds while no change is under way."""
        with self._lock:
            return look()

    def repair(self, reason: str) -> None:
        """Interface, firewall and peers as they should be; what cannot be repaired is logged and fails the checks."""
        with self._lock:
            self._log.warning("the node is repaired", reason=reason)
            self._metrics.repairs.inc()
            try:
                self._node.ensure()
                if self._applied.reach():
                    self._log.info("peers are as they should be", peers=len(self.peers))
            except (VpnError, OSError) as error:
                self._log.error("the node could not be repaired", reason=str(error))

    def compact(self) -> None:
        """Write the list on the volume as a whole where its log has become long; changes do not wait for it."""
        if not self._store.full:
            return
        with self._lock:
            taken = self._applied.snapshot()
        if taken is not None:
            self._store.compact(*taken)

    # ------------------------------------------------------------------ inside, with the lock held

    def _require(self, base: tuple[Block, Block | None]) -> CurrentList:
        current = self._applied.current
        if current is None or (current.block, current.removals) != base:
            raise Moved("another list was applied meanwhile")
        return current

    def _stands(self, digest: str, block: Block) -> bool:
        """Whether the applied list stands against the one asked for; else the chain has to be asked."""
        ours = self._applied.current
        if ours is None or ours.block.number < block.number:
            return False
        if ours.digest == digest:
            return True
        if ours.block == block and not ours.removals:
            raise ListRefused(f"the chain gave this node the list {ours.digest} at block {block}, not {digest}")
        # A list is older only within one chain: after a reorganisation, or on a chain started anew, ours is void.
        if self._source.genesis() != self._applied.genesis or not self._source.canonical(ours.block):
            self._log.warning("the applied list's block has left the chain", block=ours.block.number)
            return False
        return True

    def _require_removals_known(self, block: Block) -> None:
        """OlderBlock where this node takes removals from a later block already: who went since must not come back."""
        current = self._applied.current
        if self._follows and current is not None and current.removals and current.removals.number > block.number:
            raise OlderBlock(
                f"this node takes removals from block {current.removals} already, and gets to the additions of block "
                f"{block} by itself"
            )

    def _install(self, access: AccessList, genesis: str) -> bool:
        """Apply a list that the chain gave; whether peers changed."""
        self._node.ensure()
        applied = self._applied
        if applied.current is not None and genesis == applied.genesis:
            changed = applied.commit(applied.current.update_to(access), whole=True)
        else:
            changed = applied.begin(access, genesis)
        self._fault = ""
        return changed

    def _closes(self) -> bool:
        return self._follows and self._freshness.closes(max(self._clock() - self._applied.confirmed, 0.0))

    def _warn_left_out(self, access: AccessList) -> None:
        if access.left_out:
            self._log.warning("passes without an address in the tunnel's subnet", tokens=access.left_out[:shown])

    def _state(self) -> dict[str, Any]:
        actual = self._device.read().addresses
        current = self._applied.current
        desired = self._applied.peers if current else {}
        changes = diff(desired, actual)
        whole = current.digest if current else digest_of(())
        return {
            **self._identity,
            "mode": "follow" if self._follows else "on-up",
            "applied": self.applied,
            # Peers that are no list have no list's digest: theirs says only that they are others.
            "actual": {"digest": peers_digest(actual) if changes else whole, "peers": len(actual)},
            "drift": {
                "missing": {**changes.add, **changes.move},
                "extra": {**changes.remove, **{key: actual[key] for key in changes.move}},
            },
        }

    @contextmanager
    def _measured(self, received: float | None = None) -> Iterator[dict[str, str]]:
        result, started = {"as": "unchanged"}, perf_counter() if received is None else received
        try:
            yield result
        except Exception as error:
            kinds = {ListRefused: "refused", ChainError: "unreadable"}
            result["as"] = next((name for kind, name in kinds.items() if isinstance(error, kind)), "failed")
            raise
        finally:
            self._metrics.applied(result["as"], perf_counter() - started)


def _last(one: AccessList | CurrentList) -> Block:
    """The block that removals were taken from."""
    return one.removals or one.block
