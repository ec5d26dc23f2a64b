"""Leases end when what they were given for is no longer their holder's: a tunnel's pass, or any pass at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from berth.chain.errors import ChainError
from berth.kit.logging import get_logger
from berth.leases.engine.core import Engine
from berth.leases.errors import Refused, Temporary
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
        leases = [one for one in list(self._engine.known.values()) if one.wallet is not None and one.phase in alive]
        await self._look_at_passes([one for one in leases if one.holder_of is not None])
        if self._only_holders and time.monotonic() >= self._wallets_at:
            self._wallets_at = time.monotonic() + _wallet_seconds
            for wallet in {one.wallet for one in leases if one.wallet is not None}:
                holds = await self._asked(partial(self._holders.holds, wallet))
                if holds is False:
                    await self._end([one for one in leases if one.wallet == wallet], "no-pass")

    async def _look_at_passes(self, leases: list[Lease]) -> None:
        tokens = sorted({int(one.holder_of or 0) for one in leases})
        if tokens and (holders := await self._asked(partial(self._holders.holders_of, tokens))) is not None:
            await self._end([one for one in leases if holders[int(one.holder_of or 0)] != one.wallet], "sold")

    async def _asked(self, ask: Callable[[], Any]) -> Any:
        """What the chain says; None where it does not."""
        try:
            answer = await run_in_threadpool(ask)
        except (ChainError, Refused) as error:
            if self.error is None:
                self._log.warning("cannot tell who holds a pass", reason=str(error))
            self.error = str(error)
            return None
        self.error = None
        return answer

    async def _end(self, leases: list[Lease], ended_by: Ending) -> None:
        for lease in leases:
            self._log.info("the holder has not what the lease is for", lease=lease.id, ended_by=ended_by)
            try:
                await self._engine.end(lease.id, ended_by)
            except (Temporary, Vanished) as error:
                self._log.warning("a lease's end has to wait", lease=lease.id, reason=str(error))
