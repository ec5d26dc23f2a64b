"""What is wanted against what is: at the start, every so often, and after Docker was out of sight."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from berth.kit.logging import get_logger
from berth.leases.dock import Dock
from berth.leases.engine import backoff
from berth.leases.engine.advance import Advance
from berth.leases.engine.core import Engine
from berth.leases.engine.pool import Pool
from berth.leases.errors import LeaseError
from berth.leases.model import Lease, Phase
from berth.leases.names import lease_label, pool_label, until_label

_states: Final = {Phase.ready: {"running", "restarting", "exited"}, Phase.paused: {"paused", "exited"}}


class Reconciler:
    """``strangers``: containers with our labels of which nobody knows anything; left alone until their maximum."""

    def __init__(self, engine: Engine, dock: Dock, pool: Pool, advance: Advance, seconds: float) -> None:
        self._engine, self._dock, self._pool, self._advance, self._seconds = engine, dock, pool, advance, seconds
        self._log = get_logger("reconcile")
        self._asked = asyncio.Event()
        self.strangers: list[str] = []
        self.outage_from: float | None = None
        """Unix seconds: Docker may have been away since then, until the next look."""
        self.last: float | None = None
        self.error: str | None = "not yet"

    def ask(self) -> None:
        """Look as soon as may be."""
        self._asked.set()

    async def run(self) -> None:
        """For ever; a look that fails is taken again soon, and changes nothing."""
        while True:
            self._asked.clear()
            try:
                await self.look()
            except LeaseError as error:
                if self.error is None:
                    self._log.warning("cannot look at what is", reason=str(error))
                self.error = str(error)
                wait = min(1.0, self._seconds)
            else:
                self.error, wait = None, self._seconds
            try:
                async with asyncio.timeout(wait):
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Once.  LeaseError where Docker or MongoDB do not say."""
        engine, mine = self._engine, self._engine.names.owned()
        # In this order: a container is made after its lease is written, so what has none here never had one.
        containers, networks = await asyncio.gather(self._dock.containers(mine), self._dock.networks(mine))
        leases = {lease.id: lease for lease in await engine.store.all_live()}
        found: dict[str, list[dict[str, Any]]] = {}
        for one in containers:
            found.setdefault(one["Labels"][lease_label], []).append(one)
        for identifier in [i for i in engine.known if i not in leases]:
            if await engine.store.get(identifier) is None:
                engine.forget(identifier)
        for lease in leases.values():
            if not engine.is_busy(lease.id):
                self._compare(lease, found.get(lease.id, []))
        others = [one for i, all_of in found.items() if i not in leases for one in all_of]
        await self._others(others)
        await self._networks([n for n in networks if n["Labels"].get(lease_label) not in leases])
        self.outage_from = None
        self.last = engine.clock.wall()

    def _compare(self, lease: Lease, found: list[dict[str, Any]]) -> None:
        engine = self._engine
        known = engine.known.get(lease.id)
        if known is None or known.generation <= lease.generation:
            engine.adopt(lease)
        scenario = engine.catalogue.scenarios.get(lease.scenario)
        expected = len(scenario.containers) if scenario else 0
        states = {one["State"] for one in found}
        fits = lease.phase in _states and states <= _states[lease.phase] and len(found) == expected
        outage = False
        if self.outage_from is not None and "exited" in states:
            self._advance.outages[lease.id], outage = self.outage_from, True
        if (not fits or outage or lease.failed) and not self._waits(lease):
            engine.kick(lease.id)

    def _waits(self, lease: Lease) -> bool:
        """Whether what failed is tried again soon anyway; a time that is too far away is of a clock that was set."""
        if lease.failed is None or lease.failed.next is None:
            return False
        return 0 < lease.failed.next - self._engine.clock.wall() <= backoff.longest_seconds

    async def _others(self, found: list[dict[str, Any]]) -> None:
        waiting, strangers = [], []
        for one in found:
            record = await self._engine.store.get(one["Labels"][lease_label])
            if record is not None:
                if record.phase is Phase.gone:  # it came up after all, when nobody waited for it any more
                    self._log.warning("removing what came up late", lease=record.id, container=one["Names"][0])
                    await self._dock.remove(one["Id"])
            elif one["Labels"].get(pool_label) and "-pool-" in one["Names"][0]:
                waiting.append(one)
            elif float(one["Labels"].get(until_label, "inf")) < self._engine.clock.wall():
                await self._dock.remove(one["Id"])
            else:
                strangers.append(one["Names"][0].lstrip("/"))
        if strangers and strangers != self.strangers:
            # Their records are lost.  Nothing is removed for want of data.
            self._log.error("containers of leases that nobody knows", containers=strangers)
        self.strangers = strangers
        await self._pool.look(waiting)

    async def _networks(self, found: list[dict[str, Any]]) -> None:
        for one in found:
            record = await self._engine.store.get(one["Labels"].get(lease_label, ""))
            over = float(one["Labels"].get(until_label, "inf")) < self._engine.clock.wall()
            if (record is not None and record.phase is Phase.gone) or over:
                await self._dock.remove_network(one["Id"])
