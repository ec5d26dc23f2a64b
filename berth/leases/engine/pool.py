"""Containers that wait, made and (where that does no harm) paused, for somebody to lease them.

A member bears the id of the lease that it will be, because labels cannot change: whoever takes it inserts a lease with
that id, and the database sees to it that nobody else does.  So nothing but labels says what is in the pool.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from berth.kit.logging import get_logger
from berth.leases.clock import Clock
from berth.leases.dock import Conflict, Dock, Missing
from berth.leases.engine import crash, spec
from berth.leases.engine.advance import Place
from berth.leases.errors import LeaseError
from berth.leases.model import new_id
from berth.leases.names import Names, lease_label, pool_label, spec_label
from berth.leases.scenario import Catalogue, main
from berth.leases.settings import Waiting

settle_seconds: Final = 0.5  # so that a program has started when it is paused
_retry_seconds: Final = 5.0
_at_once: Final = 2


class Pool:
    """``hours``: how old a member may become; ``waits``: in which state; ``busy``: whether leases are being made."""

    def __init__(
        self, catalogue: Catalogue, dock: Dock, names: Names, clock: Clock, place: Place, longest: float, hours: float,
        waits: Waiting, busy: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._catalogue, self._dock, self._names, self._clock = catalogue, dock, names, clock
        self._place, self._longest, self._seconds, self._busy_elsewhere = place, longest, hours * 3600, busy
        self._waiting: dict[str, deque[str]] = {name: deque() for name, s in catalogue.scenarios.items() if s.pool}
        self._waits = waits
        self._made: dict[str, float] = {}
        self._held: set[str] = set()
        self._wake, self._looked = asyncio.Event(), asyncio.Event()
        self._digests = {
            name: spec.digest(s.containers[main], s.told, place.network, place.port)
            for name, s in catalogue.scenarios.items()
            if s.pool
        }
        self._log = get_logger("pool")
        self.draining = False

    def sizes(self) -> dict[str, int]:
        """Scenario -> how many wait."""
        return {name: len(waiting) for name, waiting in self._waiting.items()}

    def take(self, scenario: str) -> str | None:
        """The id of a member, held for the caller until :meth:`taken` or :meth:`give_back`."""
        waiting = self._waiting.get(scenario)
        if not waiting:
            return None
        identifier = waiting.popleft()
        self._held.add(identifier)
        return identifier

    def taken(self, identifier: str) -> None:
        """It is a lease now."""
        self._held.discard(identifier)
        self._made.pop(identifier, None)
        self._wake.set()

    def give_back(self, scenario: str, identifier: str) -> None:
        """Nobody took it after all."""
        self._held.discard(identifier)
        self._waiting[scenario].appendleft(identifier)

    async def look(self, found: Iterable[dict[str, Any]]) -> None:
        """Adopts what waits on the daemon (containers that no lease has), and removes what is outdated or too many."""
        there = set()
        for one in found:
            labels, identifier = one["Labels"], one["Labels"].get(lease_label, "")
            there.add(identifier)
            if identifier in self._held or self._knows(identifier):
                if one["State"] != self._waits and identifier not in self._held:
                    self._drop(identifier)
                    await self._remove(one["Id"])
                continue
            scenario = labels.get(pool_label, "")
            fits = self._digests.get(scenario) == labels.get(spec_label) and not self.draining
            too_old = self._clock.wall() - one["Created"] > self._seconds
            full = len(self._waiting.get(scenario, ())) >= self._wanted(scenario)
            if one["State"] != self._waits or not fits or too_old or full:
                await self._remove(one["Id"])
                continue
            self._made[identifier] = one["Created"]
            self._waiting[scenario].append(identifier)
        for identifier in [i for waiting in self._waiting.values() for i in waiting if i not in there]:
            if self._clock.wall() - self._made.get(identifier, 0) > _retry_seconds:
                self._drop(identifier)
        self._looked.set()
        self._wake.set()

    async def run(self) -> None:
        """Fills up, for ever, once it is known what waits already; a request that waits comes first."""
        await self._looked.wait()
        while True:
            self._wake.clear()
            lacking = [name for name in self._waiting if len(self._waiting[name]) < self._wanted(name)]
            old = [i for i, made in self._made.items() if self._clock.wall() - made > self._seconds]
            for identifier in old:
                if self._knows(identifier):
                    self._drop(identifier)
                    await self._remove(self._names.pool(identifier))
            if lacking and not self._busy_elsewhere():
                done = await asyncio.gather(*(self._make(name) for name in lacking[:_at_once]))
                if all(done):
                    continue
            with suppress(TimeoutError):
                async with asyncio.timeout(0.3 if lacking and self._busy_elsewhere() else _retry_seconds):
                    await self._wake.wait()

    async def empty(self) -> None:
        """Removes every member."""
        self.draining = True
        for identifier in [i for waiting in self._waiting.values() for i in waiting]:
            self._drop(identifier)
            await self._remove(self._names.pool(identifier))

    async def _make(self, scenario: str) -> bool:
        template = self._catalogue.scenarios[scenario].containers[main]
        told, now = self._catalogue.scenarios[scenario].told, self._clock.wall()
        identifier = new_id(now)
        name = self._names.pool(identifier)
        until = now + self._seconds + 2 * self._longest
        labels = spec.labels(self._names.owner, identifier, main, until, None)
        labels |= {pool_label: scenario, spec_label: self._digests[scenario]}
        self._held.add(identifier)
        try:
            body = spec.body(template, labels, self._place.network, (), told, self._place.port)
            try:
                await self._dock.create(name, body)
            except Missing:
                await self._dock.pull(template.image)
                await self._dock.create(name, body)
            crash.point("pool.created")
            await self._dock.start(name)
            crash.point("pool.started")
            if self._waits == "paused":
                await asyncio.sleep(settle_seconds)
                await self._dock.pause(name)
        except LeaseError as error:
            self._log.warning("a container for the pool could not be made", scenario=scenario, reason=str(error))
            await self._remove(name)
            return False
        else:
            self._made[identifier] = now
            self._waiting[scenario].append(identifier)
            return True
        finally:
            self._held.discard(identifier)

    async def _remove(self, container: str) -> None:
        try:
            await self._dock.remove(container)
        except (LeaseError, Conflict) as error:
            self._log.warning("a container of the pool could not be removed yet", reason=str(error))

    def _wanted(self, scenario: str) -> int:
        return 0 if self.draining else self._catalogue.scenarios[scenario].pool if scenario in self._waiting else 0

    def _knows(self, identifier: str) -> bool:
        return any(identifier in waiting for waiting in self._waiting.values())

    def _drop(self, identifier: str) -> None:
        self._made.pop(identifier, None)
        for waiting in self._waiting.values():
            with suppress(ValueError):
                waiting.remove(identifier)
