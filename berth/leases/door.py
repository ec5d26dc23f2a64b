"""Sessions that end before their time: the gateway is told, and told again whenever it forgot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from berth.kit.logging import get_logger
from berth.leases.errors import LeaseError
from berth.leases.gateway import Gateway, GatewayAway
from berth.leases.model import Lease
from berth.leases.nodegates import NodeGates

_look_seconds: Final = 1.0
_prune_seconds: Final = 60.0
_farewell_seconds: Final = 1.0

Revoked = Callable[[], Awaitable[dict[str, int]]]
"""Everything that is revoked and would count otherwise: id of a session or lease -> unix time."""


class Door:
    """``gateway`` None where there is none; then nothing has to be told.  ``nodes``: those of the nodes."""

    def __init__(
        self, gateway: Gateway | None, nodes: NodeGates, seconds: int, now: Callable[[], float], revoked: Revoked
    ) -> None:
        self._gateway, self._nodes, self._seconds, self._now, self._revoked = gateway, nodes, seconds, now, revoked
        self._log = get_logger("door")
        self._untold: dict[str, tuple[int, list[str]]] = {}
        self.error: str | None = None

    async def run(self) -> None:
        """For ever: a gateway that started anew lets nobody in until it knows who is out."""
        pruned = self._now()
        while True:
            if self._gateway is not None:
                try:
                    if not await self._gateway.ready():
                        self._untold.clear()
                        await self._gateway.restore(await self._revoked())
                        self._log.info("the gateway knows what is revoked")
                    elif self._now() - pruned > _prune_seconds:
                        pruned = self._now()
                        known = await self._gateway.revoked()
                        await self._gateway.forget([k for k, until in known.items() if 0 < until < pruned])
                    for key, (until, addresses) in list(self._untold.items()):
                        await self._tell(self._gateway, key, until, addresses)
                        del self._untold[key]
                    self.error = None
                except (GatewayAway, LeaseError) as error:
                    self._note(str(error))
            await asyncio.sleep(_look_seconds)

    async def refuse(self, key: str, until: float, addresses: list[str]) -> None:
        """A session or all of a lease from now on, and what is open to these addresses.

        Where the gateway does not answer, :meth:`run` tells it as soon as it does.
        """
        await asyncio.gather(self._refuse(key, until, addresses), self._close(addresses))

    async def _close(self, addresses: list[str]) -> None:
        try:
            async with asyncio.timeout(_farewell_seconds):
                for address in addresses:
                    await self._nodes.close(address)
        except (GatewayAway, TimeoutError) as error:
            self._log.warning("a node's gateway may have connections open still", reason=str(error) or "it is slow")

    async def _refuse(self, key: str, until: float, addresses: list[str]) -> None:
        if self._gateway is None:
            return
        try:
            async with asyncio.timeout(_farewell_seconds):
                await self._tell(self._gateway, key, int(until) + 1, addresses)
        except (GatewayAway, TimeoutError) as error:
            self._untold[key] = int(until) + 1, addresses
            self._note(str(error) or "the gateway is slow")

    async def _tell(self, gateway: Gateway, key: str, until: int, addresses: list[str]) -> None:
        await gateway.revoke(key, until)
        for address in addresses:
            await gateway.close(address)

    async def leave(self, lease: Lease, addresses: list[str]) -> None:
        """The lease ends: its sessions do, and its connections, before its address is another's."""
        await self.refuse(lease.id, self._now() + self._seconds, addresses)
        for key, (until, at) in self._untold.items():
            self._untold[key] = until, [address for address in at if address not in addresses]

    def _note(self, told: str) -> None:
        if self.error is None:
            self._log.warning("the gateway could not be told who is out", reason=told)
        self.error = told
