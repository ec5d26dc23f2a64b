"""The list and the peers as applied: each change is one transaction over memory, volume and interface.

Not safe to call from several threads: :class:`berth.vpn.agent.Agent` lets in one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from berth.access.current import CurrentList, Update
from berth.access.diff import Changes
from berth.access.errors import InconsistentList
from berth.access.model import AccessList, Entry
from berth.access.peering import Peering, Plan
from berth.access.policy import Breaker
from berth.access.receipt import Receipt
from berth.kit.logging import get_logger
from berth.vpn.errors import ApplyFailed, Drifted, ListRefused, NodeError, VpnError
from berth.vpn.metrics import NodeMetrics
from berth.vpn.owners import Owners, owned_by
from berth.vpn.reconcile import Peers, apply_changes, reconcile
from berth.vpn.store import Store, Stored

shown: Final = 20  # keys or tokens that a log line names
_confirm_every: Final = 5.0  # seconds: how often a list that stays the same is noted on the volume
_back: Final = 2.0  # seconds by which a clock may be set back without anybody looking at all terms again
_failures: Final = (ApplyFailed, ListRefused, NodeError, OSError)


class Watched(Protocol):
    """Who compares the peers with those that should be there (key -> address)."""

    def reset(self, peers: Mapping[str, str]) -> None: ...

    def change(self, changes: Changes) -> None: ...


class Unwatched:
    """Nobody does."""

    def reset(self, peers: Mapping[str, str]) -> None:
        """Nothing to do."""

    def change(self, changes: Changes) -> None:
        """Nothing to do."""


class Applied:
    """``current`` is None until there is a list; ``confirmed``: when the chain last said so, UNIX seconds."""

    def __init__(
        self,
        public_key: str,
        breaker: Breaker,
        device: Peers,
        store: Store,
        metrics: NodeMetrics,
        watched: Watched,
        owners: Owners,
        clock: Callable[[], float],
    ) -> None:
        self._device, self._store, self._metrics, self._watched = device, store, metrics, watched
        self._owners = owners
        self._clock = clock
        self.peering = Peering(public_key, breaker)
        self.current: CurrentList | None = None
        self.genesis = ""
        self.receipt: Receipt | None = None
        self.confirmed = self._noted = self._now = 0.0
        self._log = get_logger("agent")

    @property
    def breaker(self) -> Breaker:
        return self.peering.breaker

    @property
    def peers(self) -> Mapping[str, str]:
        """Key -> address; not to be changed."""
        return self.peering.peers

    def restore(self, stored: Stored) -> None:
        """Take over what was on the volume; the peers follow with :meth:`reach`."""
        self.current, self.genesis = CurrentList.of(stored.access), stored.genesis
        self.confirmed = stored.confirmed

    def note(self) -> None:
        """Now and then, keep on the volume that the list is still confirmed, and its block."""
        current, now = self.current, self._clock()
        if current is not None and now - self._noted > _confirm_every:
            self._noted = now
            self._store.append(Update(current.block, removals=current.removals), current.digest, self.confirmed)

    def snapshot(self) -> tuple[Stored, int] | None:
        """The list as it is, and the number of its last line on the volume."""
        if self.current is None:
            return None
        return Stored(self.current.access(), self.genesis, self.confirmed), self._store.sequence

    def begin(self, access: AccessList, genesis: str) -> bool:
        """The first list, or the first of another chain: stored whole, and whatever was there before is void."""
        before, origin = self.current, self.genesis
        fresh = CurrentList.of(access)
        self.confirmed = self._noted = self._clock()
        # Stored first: a node that dies in between comes back with what the chain said last.
        self._store.save(Stored(access, genesis, self.confirmed))
        try:
            plan = self._plan(tuple(before.entries.values()) if before else (), access.entries)
            changed = self._whole(plan, access.entries, fresh)
        except _failures:
            self._store.save(Stored(before.access(), origin, self.confirmed) if before else None)
            raise
        self.current, self.genesis = fresh, genesis
        self._record(fresh, new=True)
        return changed

    def commit(self, update: Update, whole: bool = False) -> bool:
        """Go to the list of ``update``: the volume, then the peers; neither where that fails.

        ``whole``: look at all peers, not only at those that the update names.  True where peers changed.
        """
        current = self.current
        assert current is not None
        old = tuple(current.entries[token] for token in update.tokens if token in current.entries)
        undo = current.change(update)
        try:
            plan = self._plan(old, update.put)
            self._store.append(update, current.digest, self.confirmed)
            try:
                changed = self._whole(plan, update.put, current) if whole else self._some(plan, update.put, current)
            except _failures:
                self._store.undo()
                raise
        except _failures:
            current.change(undo)
            raise
        self._record(current, new=bool(update))
        return changed

    def _plan(self, old: tuple[Entry, ...], new: tuple[Entry, ...]) -> Plan:
        try:
            return self.peering.plan(old, new, self._clock())
        except InconsistentList as error:
            raise ListRefused(str(error)) from None

    def _some(self, plan: Plan, put: tuple[Entry, ...], current: CurrentList) -> bool:
        """Carry out a plan on the peers that it names; on all where others were changed by somebody else."""
        left = [(key, self.peers[key]) for key in plan.changes.move]
        try:
            if plan.changes:
                apply_changes(plan.changes, self.peering.peers, self._device)
        except Drifted as drifted:
            self._log.warning("peers are not as they were left", reason=str(drifted))
            self._metrics.drifts.inc()
            return self._whole(plan, put, current)
        self._watched.change(plan.changes)
        self._settle(plan, put, plan.changes, current)
        made = plan.changes
        touched = [one for group in (made.remove, made.move, made.add, plan.hold) for one in group.items()]
        touched += left + [(entry.key, entry.address) for entry in put]
        # Who waits for an address keeps its own, which is no pass's any more.
        touched += [(entry.key, self.peers[entry.key]) for entry in plan.waiting if entry.key in self.peers]
        self._owners.change(owned_by(current, self.peers, touched))
        return bool(plan.changes)

    def _whole(self, plan: Plan, put: tuple[Entry, ...], current: CurrentList) -> bool:
        """Carry out a plan, and make all other peers be as they should as well."""
        wanted = self.peering.after(plan)
        outcome = reconcile(wanted, self._device)
        self._watched.reset(wanted)
        self._settle(plan, put, outcome.changes, current)
        everybody = owned_by(current, self.peers, self.peers.items())
        self._owners.reset({address: owner for address, owner in everybody.items() if owner is not None})
        return bool(outcome.changes)

    def _settle(self, plan: Plan, put: tuple[Entry, ...], made: Changes, current: CurrentList) -> None:
        """Remember what is there now."""
        breaker, now = self.peering.breaker, self._clock()
        tripped, before = breaker.tripped, breaker.pending
        self.peering.done(plan, put, now, f"{current.block.number}-{current.digest[7:15]}")
        if breaker.pending != before:
            self._store.save_pending(breaker.pending)
            self._metrics.held.set(len(breaker.held))
        if breaker.tripped and not tripped:
            self._metrics.trips.inc()
            self._log.error(
                "a mass removal waits for approval",
                incident=breaker.id,
                held=len(breaker.held),
                seconds=breaker.rule.wait,
                do="`berth access approve`, or wait: then they are removed",
            )
        self._count(made, current)

    def _count(self, made: Changes, current: CurrentList) -> None:
        for kind, keys in (("added", made.add), ("removed", made.remove), ("moved", made.move)):
            if keys:
                self._metrics.changes.labels(kind).inc(len(keys))
        self._metrics.peers.set(len(self.peering.peers))
        self._metrics.block.set(current.block.number)
        if made:
            self._log.info(
                "peers changed",
                block=current.block.number,
                digest=current.digest,
                peers=len(self.peering.peers),
                added=sorted(made.add)[:shown],
                removed=sorted(made.remove)[:shown],
                moved=sorted(made.move)[:shown],
                count=made.count,
            )

    def _record(self, current: CurrentList, new: bool = False) -> None:
        """A receipt for what is applied now, if it is another generation than the last."""
        made = Receipt(
            current.digest,
            current.block,
            self.peering.digest,
            len(self.peering.peers),
            current.chain_id,
            current.registry,
            current.removals,
            at=round(self._clock(), 3),
        )
        last = self.receipt or next(iter(self._store.receipts(1)), None)
        self.receipt = last if made == last and not new else self._store.add_receipt(made)

    def reach(self) -> bool:
        """All peers as the applied list and the time want them; whether any changed."""
        current = self.current
        if current is None:
            reconcile({}, self._device)
            self._watched.reset({})
            self._owners.reset({})
            return False
        entries = tuple(current.entries.values())
        plan = self.peering.plan_closing() if self.peering.closed else self._plan(entries, entries)
        first = self.receipt is None
        changed = self._whole(plan, entries if first else (), current)
        self._record(current)
        return changed

    def keep_time(self, now: float) -> None:
        """A clock that was set back: nothing was confirmed in the future, and terms that were over are not yet."""
        self.confirmed = min(self.confirmed, now)
        if self.current is not None and now < self._now - _back:
            self._log.warning("the clock was set back, all terms are looked at again", seconds=round(self._now - now))
            self.peering.watch(self.current.entries.values())
            self.reach()
        self._now = now

    def expire(self, now: float) -> None:
        """Terms that are over: the passes stay in the list of their block, but are no peers any more."""
        current = self.current
        assert current is not None
        due = self.peering.due(now)
        entries = tuple(current.entries[token] for _, token in due if token in current.entries)
        if not entries:
            return
        try:
            plan = self._plan(entries, entries)
            if not plan:
                return
            self._some(plan, (), current)
        except _failures:
            self.peering.again(due)
            raise
        self._metrics.expired.inc(len(plan.changes.remove))
        self._log.info("terms are over", tokens=[entry.token for entry in entries][:shown], second=int(now))
        self._record(current)

    def release(self) -> None:
        """Whoever was held goes."""
        current, plan = self.current, self.peering.plan_release(self._clock())
        assert current is not None
        self._some(plan, (), current)
        self.peering.breaker.let_go(list(self.peering.breaker.held))
        self._store.save_pending(self.peering.breaker.pending)
        self._metrics.held.set(0)
        self._record(current)

    def close(self, allowed: float) -> None:
        """The list is too old to be believed: everybody goes."""
        current, plan = self.current, self.peering.plan_closing()
        assert current is not None
        self._log.error(
            "the chain has not confirmed the list for too long: all peers are put out",
            age=round(self._clock() - self.confirmed),
            allowed=allowed,
            peers=len(self.peers),
        )
        self._whole(plan, (), current)
        self.peering.closed = True
        self._record(current)

    def reopen(self) -> None:
        """The chain confirms the list again."""
        current = self.current
        assert current is not None
        self.peering.closed = False
        entries = tuple(current.entries.values())
        try:
            plan = self._plan((), entries)
            self._whole(plan, entries, current)
        except (VpnError, OSError):
            self.peering.closed = True
            raise
        self._log.warning("the chain confirms the list again: its peers are back", peers=len(self.peers))
        self._record(current)
