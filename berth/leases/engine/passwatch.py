"""Leases end when what they were given for is no longer their holder's: a tunnel's pass, or any pass at all."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool

from berth.chain.errors import ChainError
from berth.kit.logging import get_logger
from berth.leases.engine.core import Engine
from berth.leases.errors import LeaseError
from berth.leases.holders import Holders
from berth.leases.model import Ending, Lease, alive
from berth.leases.store.leases import Vanished

_look_seconds: Final = 1.0
_wallet_seconds: Final = 15.0  # whether a wallet holds any pass takes more asking than whose one pass is


class PassWatch:
    """Asks whose each tunnel's pass is every second, and where leases are for holders alone (``only_holders``) whether
    each wallet holds a pass at all; what the chain does not say changes nothing."""

    def __init__(self, engine: Engine, holders: Holders, only_holders: bool) -> None:
        self._engine, self._holders, self._only_holders = engine, holders, only_holders
        self._log = get_logger("passes")
        self._wallets_at = 0.0
        self.error: str | None = None

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await asyncio.sleep(_look_seconds)

    async def look(self) -> None:
        """Once."""
        passes: defaultdict[tuple[str, str], list[Lease]] = defaultdict(list)
        wallets: defaultdict[str, list[Lease]] = defaultdict(list)
        for lease in list(self._engine.known.values()):
            if lease.wallet is None or lease.phase not in alive:
                continue
            wallets[lease.wallet].append(lease)
            if lease.holder_of is not None:
                passes[lease.holder_of, lease.wallet].append(lease)
        for (token, wallet), found in passes.items():
            await self._end_unless(partial(self._is_of, token, wallet), found, "sold")
        if self._only_holders and time.monotonic() >= self._wallets_at:
            self._wallets_at = time.monotonic() + _wallet_seconds
            for wallet, found in wallets.items():
                await self._end_unless(partial(self._holders.holds, wallet), found, "no-pass")

    def _is_of(self, token: str, wallet: str) -> bool:
        return self._holders.holder_of(int(token)) == wallet

    async def _end_unless(self, holds: Callable[[], bool], leases: list[Lease], ended_by: Ending) -> None:
        try:
            if not await run_in_threadpool(holds):
                for lease in leases:
                    self._log.info("the holder has not what the lease is for", lease=lease.id, ended_by=ended_by)
                    await self._engine.end(lease.id, ended_by)
        except (ChainError, LeaseError, Vanished) as error:
            if self.error is None:
                self._log.warning("cannot tell who holds a pass", wallet=leases[0].wallet, reason=str(error))
            self.error = str(error)
        else:
            self.error = None
