"""The cleanup worker: every ``CLEANUP_INTERVAL_MINUTES``, what timers, events and workers should have done long ago.

Nothing is left to it in a manager that works, so what it finds is logged and counted (``berth_lease_swept``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from berth.kit.logging import get_logger
from berth.leases.engine.core import Engine
from berth.leases.engine.reconcile import Reconciler
from berth.leases.errors import LeaseError
from berth.leases.model import alive, ending
from berth.leases.store.journal import Journal

_late_seconds: Final = 5.0  # a timer has been missed, not just delayed

Swept = Callable[[str], None]
"""Hears of each thing that was found: overdue, stuck, journal."""


class Sweeper:
    """Ends what is overdue, goes on with what ends for too long, drops deadlines of leases that are no more."""

    def __init__(self, engine: Engine, reconciler: Reconciler, journal: Journal, seconds: float, swept: Swept) -> None:
        self._engine, self._reconciler, self._journal = engine, reconciler, journal
        self._seconds, self._swept = seconds, swept
        self._unknown: frozenset[str] = frozenset()
        self._log = get_logger("sweep")

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self.look()
            except (LeaseError, OSError) as error:
                self._log.warning("cannot sweep", reason=str(error))

    async def look(self) -> None:
        """Once.  Temporary where MongoDB does not say, OSError where the journal cannot be written."""
        engine, written = self._engine, self._journal.leases()
        live = {lease.id: lease for lease in await engine.store.all_live()}
        for lease in live.values():
            if lease.phase in alive and lease.remaining is None and engine.clock.left(lease.expires) < -_late_seconds:
                self._found("overdue", lease.id)
                await engine.expire(lease.id)
            elif self._is_stuck(lease.id):
                self._found("stuck", lease.id)
                engine.kick(lease.id)
        # A deadline is written just before its lease: only what had none the last time either is a leftover.
        unknown = written - live.keys()
        for identifier in unknown & self._unknown:
            self._found("journal", identifier)
            await self._journal.drop(identifier)
        self._unknown = unknown
        # Containers and networks of leases that are no more.
        self._reconciler.ask()

    def _is_stuck(self, identifier: str) -> bool:
        """Whether it ends, and nobody is at it or will be."""
        engine, known = self._engine, self._engine.known.get(identifier)
        if known is None or known.phase not in ending:
            return False
        return not engine.is_busy(identifier) and not engine.deadlines.has(identifier, "retry")

    def _found(self, what: str, lease: str) -> None:
        self._log.warning("found what should not have been left", what=what, lease=lease)
        self._swept(what)
