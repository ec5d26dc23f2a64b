"""Leases that only a pass's tunnel reaches end when the pass has another holder: they are not the buyer's."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.concurrency import run_in_threadpool

from berth.chain.errors import ChainError
from berth.kit.logging import get_logger
from berth.leases.engine.core import Engine
from berth.leases.errors import LeaseError
from berth.leases.holders import Holders
from berth.leases.model import Lease, alive

_look_seconds: Final = 1.0


class PassWatch:
    """Asks for each such pass every second; what the chain does not say changes nothing."""

    def __init__(self, engine: Engine, holders: Holders) -> None:
        self._engine, self._holders = engine, holders
        self._log = get_logger("passes")
        self.error: str | None = None

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await asyncio.sleep(_look_seconds)

    async def look(self) -> None:
        """Once."""
        leases: dict[str, list[Lease]] = {}
        for lease in list(self._engine.known.values()):
            if lease.holder_of is not None and lease.wallet is not None and lease.phase in alive:
                leases.setdefault(lease.holder_of, []).append(lease)
        for token, found in leases.items():
            try:
                holder = await run_in_threadpool(self._holders.holder_of, int(token))
                for lease in found:
                    if lease.wallet != holder:
                        self._log.info("a pass has another holder", token=token, lease=lease.id)
                        await self._engine.end(lease.id, "sold")
            except (ChainError, LeaseError) as error:
                if self.error is None:
                    self._log.warning("cannot tell who holds a pass", token=token, reason=str(error))
                self.error = str(error)
            else:
                self.error = None
